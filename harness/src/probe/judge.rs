//! Judges a target by the model, reply after reply, through the eyes of its initiators.
//!
//! The judge keeps the *worlds* that are still possible: states of the model's unit in which everything seen so far is lawful. A reply
//! keeps the worlds that allow it; where the standard leaves a choice a world forks. No world left is a divergence. The judge then
//! says what was expected and what came, and *adopts* what it saw, so that one divergence does not hide the next.
//!
//! The rules are the model's. Here is only what a stranger's target needs beyond them: unit attentions that may or may not have been
//! kept, optional features that it may lack, and names for what went wrong.

use super::finding::{self, Aspect, Danger, Mismatch, Signature};
use super::situation;
use super::story::status_words;
use redline_model::lun::{Answer, Due, Kind, Lun, Reaction, Rules, ignores_attentions};
use redline_model::{Attention, NEXUSES, Set, Table};

use redline_vocab::{
    Command, Data, Design, Generation, Holder, Key, Name, Nexus, PortList, PrIn, PrOut, PrType, Reply,
    Reservation, Sense, ServiceAction, Status, Tag,
};
use std::collections::BTreeSet;

/// A nexus that no session of the probe uses: keys that belong to nobody are put on it.
pub const PHANTOM: Nexus = Nexus(NEXUSES as u8 - 1);

/// Worlds that are followed; more would mean that the probe knows too little to judge.
const WORLDS_MAX: usize = 512;

/// The tag of a command that is judged alone.
const TAG: Tag = Tag(0);

/// Pending unit attentions of one nexus, as the model keeps them.
pub type Pending = u8;

/// A possible state of the target.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct World {
    /// The model's unit.
    pub lun: Lun,
    /// By nexus: unit attentions that may be pending, or may have been dropped.
    pub maybe: [Pending; NEXUSES],
}

/// Something that may have changed the state, and so may be the reason for what is seen later.
#[derive(Clone, Debug)]
pub struct Cause {
    /// In words.
    pub situation: String,
    /// The service action, if it was one.
    pub action: Option<ServiceAction>,
    /// Who sent it.
    pub sender: Nexus,
    /// Its status.
    pub status: Status,
    /// The unit before it, in the first world.
    pub before: Lun,
    /// The unit after it.
    pub after: Lun,
}

/// The judge.
#[derive(Clone, Debug)]
pub struct Judge {
    rules: Rules,
    worlds: Vec<World>,
    pub(super) causes: Vec<Cause>,
    /// By nexus: how many causes there were when it last heard something that was no unit attention.
    heard: [usize; NEXUSES],
    /// Nexuses that have logged in anew since they registered.
    anew: [Option<&'static str>; NEXUSES],
    /// GOOD where it must not be: what it has done is still to be seen.
    pub(super) open: Option<Mismatch>,
    /// READ RESERVATION shows a key for an all-registrants reservation; said once.
    pub(super) shows_shared_key: bool,
    /// The state cannot be followed any more.
    pub(super) lost: bool,
    /// What was noted: optional features that are missing, choices that the standard leaves open.
    pub notes: BTreeSet<String>,
}

/// The unit attention bit, as [`Lun::pending`] has it.
pub const fn bit(attention: Attention) -> Pending {
    1 << attention as Pending
}

/// The bits of the attentions for which this holds.
fn bits(which: impl Fn(Attention) -> bool) -> Pending {
    Attention::ALL.into_iter().filter(|one| which(*one)).map(bit).fold(0, |all, one| all | one)
}

/// The sense data if the status reports a unit attention.
pub const fn attention_in(status: Status) -> Option<Sense> {
    match status {
        Status::CheckCondition(sense) if sense.key == 6 => Some(sense),
        _ => None,
    }
}

/// `2A/05`
fn code(sense: Sense) -> String {
    format!("{:02X}/{:02X}", sense.asc, sense.ascq)
}

fn codes(pending: Pending) -> String {
    let all: Vec<String> = Attention::ALL
        .into_iter()
        .filter(|one| pending & bit(*one) != 0)
        .map(|one| if one.is_reset() { "29/xx".to_owned() } else { code(one.sense()) })
        .collect();
    if all.is_empty() { "none".to_owned() } else { all.join(" or ") }
}

impl Judge {
    /// A judge of a clean unit: nobody is registered, and these nexuses are logged in and have heard everything.
    pub fn new(blocks: u64, generation: Generation, aptpl: bool, sessions: Set) -> Judge {
        let lun = Lun {
            table: Table { aptpl, ..Table::EMPTY },
            generation,
            sessions,
            known: sessions,
            pending: std::array::from_fn(|nexus| {
                if sessions.has(Nexus(nexus as u8)) { 0 } else { bit(Attention::PowerOn) }
            }),
            ..Lun::new()
        };
        // What a nexus without session has been told in earlier stories is not known.
        let maybe =
            std::array::from_fn(|nexus| if sessions.has(Nexus(nexus as u8)) { 0 } else { bits(|_| true) });
        Judge {
            rules: Rules { design: Design::SOUND, blocks, limits: true },
            worlds: vec![World { lun, maybe }],
            causes: Vec::new(),
            heard: [0; NEXUSES],
            anew: [None; NEXUSES],
            open: None,
            shows_shared_key: false,
            lost: false,
            notes: BTreeSet::new(),
        }
    }

    /// The rules.
    pub fn rules(&self) -> Rules {
        self.rules
    }

    /// The usual reading of the state.
    pub fn lun(&self) -> &Lun {
        &self.worlds[0].lun
    }

    /// All that is possible.
    pub fn worlds(&self) -> &[World] {
        &self.worlds
    }

    /// Whether the state can still be followed.
    pub fn follows(&self) -> bool {
        !self.lost
    }

    /// The worlds are these now.
    pub(super) fn keep(&mut self, mut worlds: Vec<World>) {
        let mut seen = BTreeSet::new();
        worlds.retain(|world| seen.insert(world.clone()));
        self.lost |= worlds.is_empty() || worlds.len() > WORLDS_MAX;
        worlds.truncate(WORLDS_MAX);
        if !worlds.is_empty() {
            self.worlds = worlds;
        }
    }

    /// The nexus has logged in, after its earlier session ended in this way. Whether it hears of a reset then, and whether it still hears of
    /// what happened before, differs between targets, and no cluster depends on it.
    pub fn logged_in(&mut self, nexus: Nexus, how: &'static str) {
        let rules = self.rules;
        let before = self.lun().clone();
        for world in &mut self.worlds {
            if world.lun.sessions.has(nexus) {
                world.lun.lose(rules, nexus, &mut Vec::new());
            }
            world.lun.login(nexus);
            let pending = &mut world.lun.pending[usize::from(nexus.0)];
            world.maybe[usize::from(nexus.0)] |= *pending | bits(Attention::is_reset);
            *pending = 0;
        }
        if self.lun().table.registered().has(nexus) {
            self.anew[usize::from(nexus.0)] = Some(how);
        }
        self.caused(how.to_owned(), nexus, before);
    }

    /// The session of the nexus has ended.
    pub fn logged_out(&mut self, nexus: Nexus) {
        let rules = self.rules;
        for world in &mut self.worlds {
            world.lun.lose(rules, nexus, &mut Vec::new());
            let pending = &mut world.lun.pending[usize::from(nexus.0)];
            world.maybe[usize::from(nexus.0)] |= *pending | bits(Attention::is_reset);
            *pending = 0;
        }
    }

    /// Whether the command would be refused, whatever is pending.
    pub fn refuses(&self, nexus: Nexus, command: &Command) -> bool {
        let mut reactions = Vec::new();
        for world in &self.worlds {
            without_pending(world, nexus).lun.reactions(self.rules, nexus, command, &mut reactions);
        }
        reactions.iter().filter_map(status_of).all(|status| status != Status::Good)
    }

    /// The target has lost its power and is up again; everybody has to log in anew.
    pub fn power_cycled(&mut self) {
        let before = self.lun().clone();
        for world in &mut self.worlds {
            world.lun.power_cycle();
            world.maybe = [0; NEXUSES];
        }
        let kept = if before.table.aptpl { "APTPL=1" } else { "APTPL=0" };
        self.caused(format!("power cycle with {kept}"), PHANTOM, before);
    }

    /// The logins after a power cycle are over: what is seen now comes of the power cycle.
    pub fn blame_power_cycle(&mut self) {
        let power = self.causes.iter().rposition(|cause| cause.situation.starts_with("power cycle with"));
        if let Some(at) = power {
            self.causes.truncate(at + 1);
            self.heard.iter_mut().for_each(|heard| *heard = (*heard).min(at + 1));
        }
    }

    pub(super) fn caused(&mut self, situation: String, sender: Nexus, before: Lun) {
        let after = self.lun().clone();
        self.causes.push(Cause { situation, action: None, sender, status: Status::Good, before, after });
    }

    /// A command was answered. What the model says against it.
    pub fn step(&mut self, nexus: Nexus, command: &Command, reply: &Reply) -> Option<Mismatch> {
        let before = self.lun().clone();
        let next = self.explained(nexus, command, reply, &self.worlds);
        let wrong = if next.is_empty() {
            self.diverged(nexus, command, reply)
        } else {
            self.keep(next);
            None
        };
        let mark = self.causes.len();
        if let Command::Manage(function) = command {
            self.caused(function.name().to_owned(), nexus, before);
        } else if let Command::PrOut(order) = command {
            let told = match reply.status {
                Status::Good => String::new(),
                other => format!(" (answered {})", status_words(other)),
            };
            let situation = situation::of(&before, nexus, command) + &told;
            let after = self.lun().clone();
            let action = Some(order.action);
            self.causes.push(Cause { situation, action, sender: nexus, status: reply.status, before, after });
            if reply.status == Status::Good && registers(order) {
                self.anew[usize::from(nexus.0)] = None;
            }
        }
        if !ignores_attentions(command) && attention_in(reply.status).is_none() {
            self.heard[usize::from(nexus.0)] = mark;
        }
        wrong
    }

    /// The worlds after the reply, of those worlds that allow it.
    fn explained(&self, nexus: Nexus, command: &Command, reply: &Reply, worlds: &[World]) -> Vec<World> {
        let mut out = Vec::new();
        for world in worlds {
            let settled =
                if ignores_attentions(command) { world.clone() } else { settled(world, nexus, reply.status) };
            self.answered(&settled, nexus, command, reply, &mut out);
            out.extend(heard(world, nexus, reply.status));
        }
        out
    }

    fn answered(&self, world: &World, nexus: Nexus, command: &Command, reply: &Reply, out: &mut Vec<World>) {
        let mut reactions = Vec::new();
        world.lun.reactions(self.rules, nexus, command, &mut reactions);
        for reaction in &reactions {
            let mut next = world.clone();
            let mut due = Vec::new();
            next.lun.react(self.rules, nexus, TAG, reaction, &mut due);
            if matches!(reaction, Reaction::Admitted(_)) {
                let task = next.lun.tasks.len() - 1;
                next.lun.submit(task);
                next.lun.end(task, None, &mut due);
            }
            let answer = due.into_iter().find_map(|due| match due {
                Due::Replied(_, _, answer) => Some(answer),
                Due::Aborted(..) | Due::TableChanged | Due::TablePersisted => None,
            });
            if answer.is_some_and(|answer| self.is_answer(&next.lun, *reaction, answer, reply)) {
                out.push(next);
            }
        }
    }

    /// Whether the reply is what the world would answer.
    fn is_answer(&self, lun: &Lun, reaction: Reaction, answer: Answer, reply: &Reply) -> bool {
        // Which code of ASC 29h tells of a reset is the target's to choose; several report the general 29/00.
        if let (Reaction::Attention(attention), Some(sense)) = (reaction, attention_in(reply.status)) {
            return sense == attention.sense() || attention.is_reset() && sense.asc == 0x29;
        }
        match (answer, &reply.data) {
            // Whether power loss can be survived at all is the target's own; what it says of the moment is not.
            (Answer::Shown(PrIn::ReportCapabilities), Data::Capabilities(shown)) => {
                reply.status == Status::Good && shown.ptpl_a == lun.table.aptpl
            }
            (Answer::Shown(PrIn::ReadFullStatus), Data::FullStatus { entries, .. })
                if entries.iter().any(|entry| usize::from(entry.nexus.0) >= NEXUSES) =>
            {
                false
            }
            // Data that comes with GOOD to other commands than these is not judged.
            (Answer::Status(Status::Good), _) => reply.status == Status::Good,
            _ => lun.answers(answer, &self.shown(reply)),
        }
    }

    /// The reply without a peculiarity that has been reported already.
    fn shown(&self, reply: &Reply) -> Reply {
        let mut reply = reply.clone();
        if let Data::Reservation { held: Some(held), .. } = &mut reply.data
            && self.shows_shared_key
            && is_shared(held.kind)
        {
            held.key = Key(0);
        }
        reply
    }

    /// No world allows the reply: says why, and adopts it.
    fn diverged(&mut self, nexus: Nexus, command: &Command, reply: &Reply) -> Option<Mismatch> {
        if let Some(sense) = attention_in(reply.status) {
            return self.odd_attention(nexus, sense);
        }
        if let Some(note) = self.optional(nexus, command, reply) {
            self.notes.insert(note);
            return None;
        }
        let deaf: Vec<World> = self.worlds.iter().map(|world| without_pending(world, nexus)).collect();
        let next = self.explained(nexus, command, reply, &deaf);
        if !next.is_empty() {
            let wrong = self.missing_attention(nexus);
            self.keep(next);
            return Some(wrong);
        }
        if let Some(wrong) = self.forgotten_registration(nexus, command, reply) {
            return Some(wrong);
        }
        self.wrong_status(nexus, command, reply, &deaf)
    }

    /// A unit attention that no world has for the nexus.
    fn odd_attention(&mut self, nexus: Nexus, sense: Sense) -> Option<Mismatch> {
        let of_reservations = sense.asc == 0x2a && (3..=5).contains(&sense.ascq);
        if !(of_reservations || sense.asc == 0x29 || sense.asc == 0x2f) {
            // News that reservations have no part in.
            self.notes.insert(format!("unit attention {} was reported", code(sense)));
            return None;
        }
        let pending = self.lun().pending[usize::from(nexus.0)];
        let (situation, action) = self.reason(nexus, pending);
        let mut worlds = self.worlds.clone();
        worlds.extend(self.worlds.iter().map(|world| without_pending(world, nexus)));
        self.keep(worlds);
        let signature = Signature {
            situation,
            aspect: Aspect::Attention,
            expected: codes(pending),
            got: if sense.asc == 0x29 { "29/xx".to_owned() } else { code(sense) },
        };
        let danger = if pending == 0 { Danger::Misreports } else { Danger::Cosmetic };
        let clause = action.map_or(finding::ATTENTIONS, finding::clause_of);
        Some(Mismatch { signature, danger, clause })
    }

    /// The command was executed although a unit attention is due.
    fn missing_attention(&self, nexus: Nexus) -> Mismatch {
        let pending = self.lun().pending[usize::from(nexus.0)];
        let (situation, action) = self.reason(nexus, pending);
        let signature = Signature {
            situation,
            aspect: Aspect::Attention,
            expected: codes(pending),
            got: "none".to_owned(),
        };
        let clause = action.map_or(finding::ATTENTIONS, finding::clause_of);
        Mismatch { signature, danger: Danger::Misreports, clause }
    }

    /// What the nexus should have been told of, or was told of, since it last heard something.
    fn reason(&self, nexus: Nexus, pending: Pending) -> (String, Option<ServiceAction>) {
        let at = usize::from(nexus.0);
        let heard = self.heard[at].min(self.causes.len());
        let recent = &self.causes[heard..];
        // A conflict may have gone before the attention: it can be older than the last answer.
        let told = self.causes.iter().rev().find(|cause| {
            let news = cause.after.pending[at] & !cause.before.pending[at];
            news & pending != 0
        });
        let changed = recent.iter().rev().find(|cause| cause.before.table != cause.after.table);
        match told.or(changed).or(recent.last()) {
            Some(cause) => (format!("{}: {}", cause.situation, relation(cause, nexus)), cause.action),
            None => ("a command after nothing that concerns its nexus".to_owned(), None),
        }
    }

    /// What a target may lack, or may choose: noted, and no divergence.
    fn optional(&mut self, nexus: Nexus, command: &Command, reply: &Reply) -> Option<String> {
        let Status::CheckCondition(sense) = reply.status else {
            return self.free_choice(nexus, command, reply);
        };
        let unsupported = sense == Sense::INVALID_OPCODE;
        let bad_field =
            sense == Sense::INVALID_FIELD_IN_CDB || sense == Sense::INVALID_FIELD_IN_PARAMETER_LIST;
        let answered = status_words(reply.status);
        match command {
            Command::PrOut(PrOut { action: ServiceAction::RegisterAndMove, .. }) if unsupported => {
                Some(format!("REGISTER AND MOVE is not supported ({answered})"))
            }
            Command::PrOut(order) if bad_field && registers(order) && order.aptpl => {
                Some(format!("APTPL=1 is refused ({answered}): reservations do not outlive power loss"))
            }
            Command::PrOut(order) if bad_field && order.spec_i_pt != PortList::Absent => {
                Some(format!("SPEC_I_PT=1 is refused ({answered})"))
            }
            Command::PrOut(order) if bad_field && order.all_tg_pt != PortList::Absent => {
                Some(format!("ALL_TG_PT=1 is refused ({answered})"))
            }
            Command::PrOut(_) | Command::PrIn(_) | Command::Read(_) | Command::Write { .. } => None,
            other if unsupported || bad_field => Some(format!(
                "{} is not supported ({answered})",
                other.name().map_or("the function", Name::text)
            )),
            _ => None,
        }
    }

    /// PREEMPT of key 0 with nothing to preempt: the standard says neither that it fails nor how.
    fn free_choice(&mut self, nexus: Nexus, command: &Command, reply: &Reply) -> Option<String> {
        let Command::PrOut(order) = command else { return None };
        let preempts = matches!(order.action, ServiceAction::Preempt | ServiceAction::PreemptAndAbort);
        let table = &self.lun().table;
        let lawful = preempts
            && order.service_key == Key(0)
            && table.reservation.is_none()
            && table.registered().has(nexus)
            && order.key == table.key(nexus)
            && reply.status == Status::Good;
        if !lawful {
            return None;
        }
        let stepped = self.worlds.iter().map(|world| {
            let mut world = world.clone();
            world.lun.generation = Generation(world.lun.generation.0.wrapping_add(1));
            world
        });
        let worlds = self.worlds.iter().cloned().chain(stepped).collect();
        self.keep(worlds);
        Some("PREEMPT of key 0 while nothing is reserved ends with GOOD and does nothing (open in the standard)".into())
    }

    /// A registration that does not outlive the session explains the reply.
    fn forgotten_registration(&mut self, nexus: Nexus, command: &Command, reply: &Reply) -> Option<Mismatch> {
        let how = self.anew[usize::from(nexus.0)]?;
        let mut worlds = Vec::new();
        for world in &self.worlds {
            let key = world.lun.table.key(nexus);
            if key == Key(0) {
                return None;
            }
            let mut gone = without_pending(world, nexus);
            gone.lun.table.keys[usize::from(nexus.0)] = Key(0);
            let mut orphaned = gone.clone();
            orphaned.lun.table.keys[usize::from(PHANTOM.0)] = key;
            if let Some(Reservation { holder: Holder::Nexus(holder), .. }) =
                &mut orphaned.lun.table.reservation
                && *holder == nexus
            {
                *holder = PHANTOM;
            }
            worlds.extend([orphaned, gone]);
        }
        let next = self.explained(nexus, command, reply, &worlds);
        if next.is_empty() {
            return None;
        }
        self.keep(next);
        self.anew[usize::from(nexus.0)] = None;
        Some(Mismatch {
            signature: Signature {
                situation: how.to_owned(),
                aspect: Aspect::Persistence,
                expected: "the nexus is still registered".to_owned(),
                got: "it is not, for the target".to_owned(),
            },
            danger: Danger::Loses,
            clause: finding::PERSISTENCE,
        })
    }

    /// Another status than the standard allows. GOOD to a PERSISTENT RESERVE OUT is told once it is seen what it has done.
    fn wrong_status(
        &mut self,
        nexus: Nexus,
        command: &Command,
        reply: &Reply,
        deaf: &[World],
    ) -> Option<Mismatch> {
        let mut reactions = Vec::new();
        for world in deaf {
            world.lun.reactions(self.rules, nexus, command, &mut reactions);
        }
        let allowed: BTreeSet<String> = reactions.iter().filter_map(status_of).map(status_words).collect();
        let good = status_words(Status::Good);
        let expected_good = allowed.contains(&good);
        let right_status = allowed.contains(&status_words(reply.status));
        let signature = Signature {
            situation: situation::of(self.lun(), nexus, command),
            aspect: Aspect::Status,
            expected: allowed.into_iter().collect::<Vec<_>>().join(" or "),
            got: if right_status { "other data".to_owned() } else { status_words(reply.status) },
        };
        let took_effect = reply.status == Status::Good;
        let danger = match command {
            Command::Write { .. } if took_effect => Danger::FencedWrite,
            Command::Read(_) if took_effect => Danger::Loses,
            Command::PrOut(PrOut { action: ServiceAction::PreemptAndAbort, .. }) if expected_good => {
                Danger::FencedWrite
            }
            Command::PrOut(_) if took_effect => Danger::Misreports,
            _ if !expected_good && !took_effect => Danger::Cosmetic,
            _ => Danger::Misreports,
        };
        let clause = match command {
            Command::PrOut(order) => finding::clause_of(order.action),
            Command::LegacyReserve | Command::LegacyRelease => finding::LEGACY,
            _ if self.lun().legacy.is_some() => finding::LEGACY,
            Command::PrIn(_) => "SPC-4 6.15 PERSISTENT RESERVE IN",
            _ => finding::CONFLICTS,
        };
        // What the two kinds of reservations do to each other fences nobody: clusters use one of them.
        let danger = if self.lun().legacy.is_some() { danger.min(Danger::Misreports) } else { danger };
        let wrong = Mismatch { signature, danger, clause };
        if took_effect && matches!(command, Command::LegacyReserve) {
            // Whether it has been carried out the next commands show.
            let mut worlds = self.worlds.clone();
            worlds.extend(self.worlds.iter().cloned().map(|mut world| {
                world.lun.legacy = Some(nexus);
                world
            }));
            self.keep(worlds);
        }
        if took_effect && matches!(command, Command::PrOut(_)) {
            self.open = Some(wrong);
            return None;
        }
        Some(wrong)
    }
}

/// The world in which a unit attention that the nexus may have pending is reported.
pub(super) fn heard(world: &World, nexus: Nexus, status: Status) -> Option<World> {
    let sense = attention_in(status)?;
    let maybe = world.maybe[usize::from(nexus.0)];
    let fits = |one: &Attention| one.sense() == sense || one.is_reset() && sense.asc == 0x29;
    let mut reported = Attention::ALL.into_iter().filter(|one| maybe & bit(*one) != 0).filter(fits);
    let exact = reported.clone().find(|one| one.sense() == sense);
    let reported = exact.or_else(|| reported.next())?;
    let mut world = world.clone();
    world.maybe[usize::from(nexus.0)] &= !bit(reported);
    Some(world)
}

/// The world in which the nexus has nothing pending that only may be there: it was answered with something else. A conflict proves
/// nothing: it may go first.
pub(super) fn settled(world: &World, nexus: Nexus, status: Status) -> World {
    let mut world = world.clone();
    if attention_in(status).is_none() && status != Status::ReservationConflict {
        world.maybe[usize::from(nexus.0)] = 0;
    }
    world
}

fn without_pending(world: &World, nexus: Nexus) -> World {
    let mut world = world.clone();
    world.lun.pending[usize::from(nexus.0)] = 0;
    world.maybe[usize::from(nexus.0)] = 0;
    world
}

fn status_of(reaction: &Reaction) -> Option<Status> {
    match reaction {
        Reaction::Attention(_) => None,
        // Room is not what anybody waits for.
        Reaction::Refused(Status::TaskSetFull) => None,
        Reaction::Refused(Status::CheckCondition(Sense::INSUFFICIENT_REGISTRATION_RESOURCES)) => None,
        Reaction::Refused(status) => Some(*status),
        Reaction::Admitted(Kind::Read | Kind::Write { .. } | Kind::Flush) => Some(Status::Good),
        Reaction::Answered(_) | Reaction::Done(_) | Reaction::Legacy(_) | Reaction::Manages(..) => {
            Some(Status::Good)
        }
    }
}

fn relation(cause: &Cause, nexus: Nexus) -> &'static str {
    let (before, after) = (&cause.before.table, &cause.after.table);
    if cause.sender == nexus {
        "the sender itself is told"
    } else if before.registered().has(nexus) && !after.registered().has(nexus) {
        "the nexus that it removed is told"
    } else if after.registered().has(nexus) {
        "another registrant is told"
    } else {
        "an unregistered nexus is told"
    }
}

/// Whether the service action decides about registration and APTPL.
pub fn registers(order: &PrOut) -> bool {
    matches!(order.action, ServiceAction::Register | ServiceAction::RegisterAndIgnoreExistingKey)
}

/// Whether every registrant is a holder.
pub fn is_shared(kind: PrType) -> bool {
    matches!(kind, PrType::WriteExclusiveAllRegistrants | PrType::ExclusiveAccessAllRegistrants)
}
