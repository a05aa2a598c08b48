//! Carries a story out on a target, under the judge's eyes.
//!
//! Every story begins with a clean logical unit: nobody registered, nothing reserved, everybody logged in with nothing left to hear. So a story
//! means the same whatever was done before it, which is what shrinking rests on.

use super::finding::{Aspect, Danger, Mismatch, Signature};
use super::judge::{Judge, attention_in};
use super::medium::{Fate, Medium};
use super::observed::Seen;
use super::situation;
use super::story::{How, Order, Reset, Rk, Sark, Seat, Step, command_words, status_words};
use super::way::{DataOut, Patience, Place, Trouble, Way};
use redline_model::Set;
use redline_vocab::{
    Command, Data, Epoch, Extent, Generation, Key, Lba, Name, Nexus, Nexuses, NodeId, PortList, PrIn, PrOut,
    Record, Reply, Serial, ServiceAction, Status,
};
use std::collections::{BTreeMap, BTreeSet};

/// Blocks of the scratch range.
pub const SCRATCH_BLOCKS: u16 = 8;

/// Seats that can get a second ISID each, beside the onlooker and a nexus for keys that are nobody's.
pub const SEATS_WITH_TWO_MAX: u8 = 3;

/// Seats at most.
pub const SEATS_MAX: u8 = 6;

/// Unit attentions that one nexus may report in a row.
pub(super) const ATTENTIONS_MAX: usize = 16;

/// Key of the shared kind.
const SHARED: Key = Key(0x5ed);

/// A key under which nobody is ever registered.
const NOBODY: Key = Key(0xdead);

/// Which nexus plays what.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cast {
    /// How many seats, 2 to [`SEATS_MAX`].
    pub seats: u8,
    /// Target ports that they log in at, at least 1 and fewer than seats. Beyond the first port there is one seat at each: the last seats are
    /// further paths of A's initiator port, all others are at the first port.
    pub ports: u8,
    /// The unit has no other target ports: what ALL_TG_PT does is seen.
    pub sees_all_ports: bool,
}

impl Cast {
    /// The seat's nexus with its first or second ISID.
    pub fn nexus(self, seat: Seat, second: bool) -> Nexus {
        Nexus(if second { seat.0 + self.seats } else { seat.0 })
    }

    /// The target port of a seat, from 0.
    pub fn port(self, seat: Seat) -> u8 {
        (seat.0 + self.ports).saturating_sub(self.seats)
    }

    /// The seat of A's initiator port at a further target port.
    pub fn path(self, port: u8) -> Seat {
        Seat(self.seats - self.ports + port)
    }

    /// The other paths of the seat's initiator port.
    pub fn paths(self, seat: Seat) -> impl Iterator<Item = Seat> {
        let shares = move |one: Seat| one.0 == 0 || self.port(one) > 0;
        self.seats().filter(move |one| shares(seat) && shares(*one) && *one != seat)
    }

    /// Whether every nexus that ALL_TG_PT of the seat reaches is one of the cast.
    pub fn reaches_all_ports(self, seat: Seat) -> bool {
        self.sees_all_ports && (self.ports == 1 || self.paths(seat).next().is_some())
    }

    /// The ports of the first `nexuses` nexuses.
    pub fn places(self, nexuses: u8) -> Vec<Place> {
        let place = |nexus: u8| {
            let second = nexus >= self.seats;
            let plays = nexus < if self.has_second() { 2 * self.seats } else { self.seats };
            match self.port(Seat(nexus % self.seats)) {
                port @ 1.. if plays => Place { initiator: self.nexus(Seat(0), second).0, port },
                _ => Place { initiator: nexus, port: 0 },
            }
        };
        (0..nexuses).map(place).collect()
    }

    /// Whether seats can get a second ISID.
    pub fn has_second(self) -> bool {
        self.seats <= SEATS_WITH_TWO_MAX
    }

    /// The nexus that only looks on.
    pub fn onlooker(self) -> Nexus {
        Nexus(if self.has_second() { 2 * self.seats } else { self.seats })
    }

    /// The seats.
    pub fn seats(self) -> impl Iterator<Item = Seat> {
        (0..self.seats).map(Seat)
    }
}

/// How a performance ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum End {
    /// Every step was carried out.
    Whole,
    /// The target left the standard in a way that is not tolerated.
    Diverged,
    /// After a tolerated divergence nobody can say any more what the state is.
    Unclear,
    /// It could not be carried out.
    Broken(Trouble),
}

/// What a performance gave.
#[derive(Clone, Debug)]
pub struct Played {
    /// Divergences, in order, tolerated ones included.
    pub wrong: Vec<Mismatch>,
    /// How it ended.
    pub end: End,
    /// What was sent and what came, a line each.
    pub log: Vec<String>,
    /// What was noted.
    pub notes: BTreeSet<String>,
}

/// Divergences that do not end a story.
pub type Tolerated = BTreeSet<Signature>;

/// The stage.
pub struct Player<'a> {
    pub(super) way: &'a mut dyn Way,
    cast: Cast,
    pub(super) scratch: Lba,
    blocks: u64,
    pub(super) medium: Medium,
    serial: u32,
    /// Nexuses with a session.
    sessions: BTreeSet<Nexus>,
    /// Seats that play under their second ISID.
    second: BTreeSet<Seat>,
    /// The target has READ FULL STATUS.
    full_status: bool,
    /// RESERVE of SPC-2 was sent.
    legacy_used: bool,
    /// The onlooker is reading.
    looking_on: bool,
    pub(super) judge: Judge,
    pub(super) log: Vec<String>,
    /// Commands sent so far.
    pub commands: u64,
    /// Commands by their name: how often, and how often with GOOD.
    pub met: BTreeMap<&'static str, (u64, u64)>,
}

/// Divergences of one step.
pub(super) type Wrong = Vec<Mismatch>;

impl<'a> Player<'a> {
    /// A stage on this way to a unit of `blocks` blocks; writes go to the blocks from `scratch` on.
    pub fn new(way: &'a mut dyn Way, cast: Cast, blocks: u64, scratch: Lba) -> Player<'a> {
        assert!((2..=SEATS_MAX).contains(&cast.seats), "{} seats", cast.seats);
        assert!((1..cast.seats).contains(&cast.ports), "{} target ports", cast.ports);
        let judge = Judge::new(blocks, Generation(0), false, Set::EMPTY);
        Player {
            way,
            cast,
            scratch,
            blocks,
            medium: Medium::default(),
            serial: 0,
            sessions: BTreeSet::new(),
            second: BTreeSet::new(),
            full_status: true,
            legacy_used: false,
            looking_on: false,
            judge,
            log: Vec::new(),
            commands: 0,
            met: BTreeMap::new(),
        }
    }

    /// The way.
    pub fn way(&mut self) -> &mut dyn Way {
        self.way
    }

    /// Who plays.
    pub fn cast(&self) -> Cast {
        self.cast
    }

    /// Carries the story out from a clean unit, up to the first divergence that is not tolerated.
    pub fn play(&mut self, steps: &[Step], tolerated: &Tolerated) -> Played {
        let mut wrong = Vec::new();
        self.log.clear();
        // Until its absence has been told, READ FULL STATUS is asked for in every story.
        self.full_status |= !tolerated.iter().any(|one| one.situation == "READ FULL STATUS");
        let end = match self.clean() {
            Err(trouble) => End::Broken(trouble),
            Ok(()) => self.perform(steps, tolerated, &mut wrong),
        };
        let notes = std::mem::take(&mut self.judge.notes);
        Played { wrong, end, log: std::mem::take(&mut self.log), notes }
    }

    fn perform(&mut self, steps: &[Step], tolerated: &Tolerated, wrong: &mut Wrong) -> End {
        for step in steps {
            if self.ends_the_target(*step, tolerated) {
                self.log.push(format!("{}: not sent, it ends the target", step.words()));
                continue;
            }
            let found = match self.step(*step) {
                Ok(found) => found,
                Err(trouble) => {
                    self.log.push(format!("{}: {trouble}", step.words()));
                    return self.broken(*step, trouble, tolerated, wrong);
                }
            };
            let ends = found.iter().any(|one| !tolerated.contains(&one.signature));
            wrong.extend(found);
            if ends {
                return End::Diverged;
            }
            if !self.judge.follows() {
                return End::Unclear;
            }
        }
        End::Whole
    }

    /// Whether it is known already that the target does not outlive this.
    fn ends_the_target(&self, step: Step, tolerated: &Tolerated) -> bool {
        let deadly: Vec<&str> = tolerated
            .iter()
            .filter(|one| one.aspect == Aspect::Silence)
            .map(|one| one.situation.as_str())
            .collect();
        !deadly.is_empty() && deadly.contains(&self.situation(step).as_str())
    }

    /// The situation of a step, as a divergence in it would be called.
    fn situation(&self, step: Step) -> String {
        match step {
            Step::PrOut(seat, order) => {
                let command = Command::PrOut(self.resolved(seat, &order));
                situation::of(self.judge.lun(), self.nexus(seat), &command)
            }
            other => other.words(),
        }
    }

    /// The target gave no legal answer: that is a divergence, and the end of the story.
    fn broken(&mut self, step: Step, trouble: Trouble, tolerated: &Tolerated, wrong: &mut Wrong) -> End {
        let (aspect, expected, got) = match &trouble {
            Trouble::Unable(_) => return End::Broken(trouble),
            Trouble::Odd(what) => (Aspect::Status, "an answer that the standard knows", what.clone()),
            Trouble::Lost(_) => (Aspect::Silence, "an answer", "the connection ends".to_owned()),
            Trouble::LoginRefused(_) => (Aspect::Silence, "a session", "login is refused".to_owned()),
            Trouble::Silent => (Aspect::Silence, "an answer", "nothing".to_owned()),
        };
        if aspect == Aspect::Silence {
            // Every session is made anew.
            for nexus in std::mem::take(&mut self.sessions) {
                self.way.cut(nexus);
            }
        }
        let situation = match (step, self.judge.causes.last()) {
            // The answer to an onlooker: the step itself was answered.
            (Step::PrOut(..), Some(cause)) if self.looking_on => cause.situation.clone(),
            (other, _) => self.situation(other),
        };
        self.looking_on = false;
        let signature = Signature { situation, aspect, expected: expected.to_owned(), got };
        let known = tolerated.contains(&signature);
        let clause = match aspect {
            Aspect::Status => "SPC-4 6.15 PERSISTENT RESERVE IN: fields with the values that are defined",
            _ => "SAM-5: every command is answered, unless it is aborted",
        };
        wrong.push(Mismatch { signature, danger: Danger::Loses, clause });
        if known { End::Unclear } else { End::Diverged }
    }

    pub(super) fn nexus(&self, seat: Seat) -> Nexus {
        self.cast.nexus(seat, self.second.contains(&seat))
    }

    pub(super) fn extent(&self) -> Extent {
        Extent { lba: self.scratch, blocks: SCRATCH_BLOCKS }
    }

    fn step(&mut self, step: Step) -> Result<Wrong, Trouble> {
        match step {
            Step::PrOut(seat, order) => {
                let command = Command::PrOut(self.resolved(seat, &order));
                let (_, mut wrong) = self.ask(self.nexus(seat), command)?;
                wrong.extend(self.observe()?);
                Ok(wrong)
            }
            Step::PrIn(seat, what) => Ok(self.ask(self.nexus(seat), Command::PrIn(what))?.1),
            Step::Read(seat) => Ok(self.ask(self.nexus(seat), Command::Read(self.extent()))?.1),
            Step::Write(seat) => {
                let command = self.write(seat, u64::from(seat.0));
                Ok(self.ask(self.nexus(seat), command)?.1)
            }
            Step::Flush(seat) => Ok(self.ask(self.nexus(seat), Command::SynchronizeCache)?.1),
            Step::LegacyReserve(seat) => {
                self.legacy_used = true;
                let (_, mut wrong) = self.ask(self.nexus(seat), Command::LegacyReserve)?;
                wrong.extend(self.observe()?);
                Ok(wrong)
            }
            Step::LegacyRelease(seat) => {
                let (_, mut wrong) = self.ask(self.nexus(seat), Command::LegacyRelease)?;
                wrong.extend(self.observe()?);
                Ok(wrong)
            }
            Step::Reset(seat, reset) => self.reset(seat, reset),
            Step::Other(seat, name) => Ok(self.ask(self.nexus(seat), Command::Other(name))?.1),
            Step::Reconnect(seat, how) => {
                let mut wrong = self.reconnect(seat, how)?;
                wrong.extend(self.observe()?);
                Ok(wrong)
            }
            Step::Flight(flight) => self.fly(flight),
            Step::PowerCycle => self.power_cycle(),
        }
    }

    /// The order with keys as numbers.
    pub(super) fn resolved(&self, seat: Seat, order: &Order) -> PrOut {
        let table = &self.judge.lun().table;
        let registered = |seat: Seat| table.key(self.nexus(seat));
        let first = |seat: Seat| Key(0xa1 + 0x10 * u64::from(seat.0));
        PrOut {
            key: match order.key {
                Rk::Right => registered(seat),
                Rk::Wrong => NOBODY,
                Rk::Zero => Key(0),
            },
            service_key: match order.service_key {
                Sark::Zero => Key(0),
                Sark::First => first(seat),
                Sark::Second => Key(first(seat).0 + 1),
                Sark::Shared => SHARED,
                Sark::Own => registered(seat),
                Sark::Of(other) => registered(other),
                Sark::Nobody => NOBODY,
            },
            kind: order.kind,
            scope: order.scope,
            aptpl: order.aptpl,
            unreg: order.unreg,
            destination: order.to.map(|to| self.nexus(to)),
            spec_i_pt: match order.with {
                Some(seat) => PortList::Of(Nexuses::NONE.with(self.nexus(seat))),
                None => PortList::Absent,
            },
            all_tg_pt: if order.all_ports { PortList::Of(self.paths(seat)) } else { PortList::Absent },
            ..PrOut::new(order.action)
        }
    }

    /// The nexuses of the seat's initiator port at the other target ports, logged in or not.
    fn paths(&self, seat: Seat) -> Nexuses {
        let second = self.second.contains(&seat);
        self.cast.paths(seat).map(|path| self.cast.nexus(path, second)).collect()
    }

    pub(super) fn write(&mut self, seat: Seat, block: u64) -> Command {
        self.serial += 1;
        let record = Record { writer: NodeId(seat.0), epoch: Epoch(0), serial: Serial(self.serial) };
        let lba = Lba(self.scratch.0 + block % u64::from(SCRATCH_BLOCKS));
        Command::Write { extent: Extent { lba, blocks: 1 }, record }
    }

    /// Sends a command and waits for its answer.
    pub(super) fn exchange(&mut self, nexus: Nexus, command: &Command) -> Result<Reply, Trouble> {
        self.commands += 1;
        let tag = self.way.send(nexus, command, DataOut::AtOnce)?;
        let reply = self.way.receive(nexus, tag, Patience::Long)?.ok_or(Trouble::Silent)?;
        let name = match command {
            Command::Manage(function) => function.name(),
            other => other.name().map_or("", Name::text),
        };
        let count = self.met.entry(name).or_default();
        count.0 += 1;
        count.1 += u64::from(reply.status == Status::Good);
        Ok(reply)
    }

    /// Sends a command, waits for its answer, and has it judged.
    fn ask(&mut self, nexus: Nexus, command: Command) -> Result<(Reply, Wrong), Trouble> {
        let reply = self.exchange(nexus, &command)?;
        self.tell(nexus, &command, &reply);
        let mut wrong: Wrong = self.judge.step(nexus, &command, &reply).into_iter().collect();
        match (&command, &reply.data) {
            (Command::Write { extent, record }, _) => {
                let fate = if reply.status == Status::Good { Fate::Written } else { Fate::Refused };
                self.medium.wrote(*extent, *record, fate);
            }
            (Command::Read(extent), Data::Blocks(found)) => wrong.extend(self.medium.read(*extent, found)),
            _ => {}
        }
        Ok((reply, wrong))
    }

    fn name(&self, nexus: Nexus) -> String {
        if nexus == self.cast.onlooker() {
            return "onlooker".to_owned();
        }
        let seat = Seat(nexus.0 % self.cast.seats);
        let again = if nexus.0 >= self.cast.seats { " (second ISID)" } else { "" };
        match self.cast.port(seat) {
            0 => format!("{seat}{again}"),
            port => format!("{seat}{again} (A's name at target port {})", port + 1),
        }
    }

    pub(super) fn tell(&mut self, nexus: Nexus, command: &Command, reply: &Reply) {
        let data = data_words(&reply.data);
        let line = format!(
            "{}: {} -> {}{data}",
            self.name(nexus),
            command_words(command),
            status_words(reply.status)
        );
        self.log.push(line);
    }

    /// What the onlooker sees, judged.
    pub(super) fn observe(&mut self) -> Result<Wrong, Trouble> {
        self.looking_on = true;
        let wrong = self.look_on()?;
        self.looking_on = false;
        Ok(wrong)
    }

    fn look_on(&mut self) -> Result<Wrong, Trouble> {
        let onlooker = self.cast.onlooker();
        let mut wrong = Vec::new();
        let mut seen =
            Seen { generation: self.judge.lun().generation, keys: Vec::new(), held: None, full: None };
        for what in [PrIn::ReadKeys, PrIn::ReadReservation, PrIn::ReadFullStatus] {
            if what == PrIn::ReadFullStatus && !self.full_status {
                continue;
            }
            let command = Command::PrIn(what);
            let mut reply = self.exchange(onlooker, &command)?;
            // News that concerns everybody reaches the onlooker too; anything else it must not hear.
            for _ in 0..ATTENTIONS_MAX {
                if attention_in(reply.status).is_none() {
                    break;
                }
                self.tell(onlooker, &command, &reply);
                wrong.extend(self.judge.step(onlooker, &command, &reply));
                reply = self.exchange(onlooker, &command)?;
            }
            match reply.data {
                Data::Keys { generation, keys } => (seen.generation, seen.keys) = (generation, keys),
                Data::Reservation { held, .. } => seen.held = held,
                Data::FullStatus { entries, .. } => seen.full = Some(entries),
                _ => {
                    self.tell(onlooker, &command, &reply);
                    wrong.extend(self.judge.step(onlooker, &command, &reply));
                    if what != PrIn::ReadFullStatus || reply.status == Status::ReservationConflict {
                        // RESERVE of SPC-2 keeps onlookers off; without it this has just been judged.
                        return Ok(wrong);
                    }
                    self.full_status = false;
                }
            }
        }
        let found = self.judge.see(&seen);
        if !found.is_empty() {
            self.log.push(seen_words(&seen));
        }
        wrong.extend(found);
        Ok(wrong)
    }

    /// TEST UNIT READY until nothing is pending, judged: what initiators do after a login.
    pub(super) fn drain(&mut self, nexus: Nexus) -> Result<Wrong, Trouble> {
        let mut wrong = Vec::new();
        for _ in 0..ATTENTIONS_MAX {
            let (reply, found) = self.ask(nexus, Command::Other(Name::TestUnitReady))?;
            wrong.extend(found);
            if attention_in(reply.status).is_none() {
                break;
            }
        }
        Ok(wrong)
    }

    fn leave(&mut self, nexus: Nexus, how: How) -> Result<(), Trouble> {
        match how {
            How::Drop | How::DropNewIsid => self.way.cut(nexus),
            How::Logout | How::LogoutNewIsid => self.way.logout(nexus)?,
            How::Reinstate => return Ok(()),
        }
        self.sessions.remove(&nexus);
        Ok(())
    }

    /// The seat's session ends and another one begins.
    pub(super) fn relogin(&mut self, seat: Seat, how: How) -> Result<Nexus, Trouble> {
        let old = self.nexus(seat);
        self.leave(old, how)?;
        if how.changes_nexus() && self.cast.has_second() {
            if !self.second.remove(&seat) {
                self.second.insert(seat);
            }
            self.judge.logged_out(old);
        }
        let nexus = self.nexus(seat);
        self.way.login(nexus)?;
        self.sessions.insert(nexus);
        self.judge.logged_in(nexus, how.words());
        self.log.push(format!("{seat}: {}", how.words()));
        Ok(nexus)
    }

    fn reconnect(&mut self, seat: Seat, how: How) -> Result<Wrong, Trouble> {
        let nexus = self.relogin(seat, how)?;
        self.drain(nexus)
    }

    fn reset(&mut self, seat: Seat, reset: Reset) -> Result<Wrong, Trouble> {
        let command = Command::Manage(reset.function());
        let mut wrong = match self.ask(self.nexus(seat), command) {
            Ok((_, wrong)) => wrong,
            Err(Trouble::Unable(what)) => {
                self.judge.notes.insert(format!("{}: {what}", reset.function().name()));
                return Ok(Vec::new());
            }
            Err(trouble) => return Err(trouble),
        };
        if reset == Reset::TargetCold {
            for nexus in std::mem::take(&mut self.sessions) {
                self.way.cut(nexus);
                self.way.login(nexus)?;
                self.sessions.insert(nexus);
                self.judge.logged_in(nexus, "TARGET COLD RESET; login with the same ISID");
                wrong.extend(self.drain(nexus)?);
            }
        }
        wrong.extend(self.observe()?);
        Ok(wrong)
    }

    fn power_cycle(&mut self) -> Result<Wrong, Trouble> {
        self.way.power_cycle()?;
        self.log.push("the target loses its power and comes up again".to_owned());
        self.sessions.clear();
        self.judge.power_cycled();
        let mut wrong = Vec::new();
        let nexuses: Vec<Nexus> =
            self.cast.seats().map(|seat| self.nexus(seat)).chain([self.cast.onlooker()]).collect();
        for nexus in nexuses {
            self.way.login(nexus)?;
            self.sessions.insert(nexus);
            self.judge.logged_in(nexus, "power cycle; login with the same ISID");
            wrong.extend(self.drain(nexus)?);
        }
        self.judge.blame_power_cycle();
        wrong.extend(self.observe()?);
        Ok(wrong)
    }

    /// Makes the unit clean and the judge new.
    fn clean(&mut self) -> Result<(), Trouble> {
        let seats: Vec<Nexus> = self.cast.seats().map(|seat| self.cast.nexus(seat, false)).collect();
        let onlooker = self.cast.onlooker();
        self.second.clear();
        if std::mem::take(&mut self.legacy_used) {
            for nexus in self.sessions.clone() {
                self.hear_out(nexus)?;
                self.exchange(nexus, &Command::LegacyRelease)?;
            }
        }
        let strangers: Vec<Nexus> =
            self.sessions.iter().copied().filter(|one| !seats.contains(one) && *one != onlooker).collect();
        for nexus in strangers {
            self.way.cut(nexus);
            self.sessions.remove(&nexus);
        }
        for nexus in seats.iter().copied().chain([onlooker]) {
            if !self.sessions.contains(&nexus) {
                self.way.login(nexus)?;
                self.sessions.insert(nexus);
            }
            self.hear_out(nexus)?;
        }
        let mut generation = self.clean_generation()?;
        if generation.is_none() {
            let register =
                PrOut { service_key: NOBODY, ..PrOut::new(ServiceAction::RegisterAndIgnoreExistingKey) };
            self.exchange(seats[0], &Command::PrOut(register))?;
            let clear = PrOut { key: NOBODY, ..PrOut::new(ServiceAction::Clear) };
            self.exchange(seats[0], &Command::PrOut(clear))?;
            for nexus in seats.iter().copied().chain([onlooker]) {
                self.hear_out(nexus)?;
            }
            generation = self.clean_generation()?;
        }
        let Some(generation) = generation else {
            return Err(Trouble::Odd("CLEAR leaves registrations or a reservation".to_owned()));
        };
        // CLEAR leaves APTPL as it is.
        let aptpl = match self.exchange(onlooker, &Command::PrIn(PrIn::ReportCapabilities)) {
            Ok(reply) => matches!(reply.data, Data::Capabilities(shown) if shown.ptpl_a),
            Err(Trouble::Odd(_)) => false,
            Err(trouble) => return Err(trouble),
        };
        let sessions = self.sessions.iter().copied().collect();
        let notes = std::mem::take(&mut self.judge.notes);
        self.judge = Judge::new(self.blocks, generation, aptpl, sessions);
        self.judge.notes = notes;
        Ok(())
    }

    /// TEST UNIT READY until nothing is pending, not judged.
    fn hear_out(&mut self, nexus: Nexus) -> Result<(), Trouble> {
        for _ in 0..ATTENTIONS_MAX {
            let reply = self.exchange(nexus, &Command::Other(Name::TestUnitReady))?;
            if attention_in(reply.status).is_none() {
                return Ok(());
            }
        }
        Err(Trouble::Odd("unit attentions without end".to_owned()))
    }

    /// PRgeneration, if nobody is registered and nothing is reserved. What cannot be read is not clean.
    fn clean_generation(&mut self) -> Result<Option<Generation>, Trouble> {
        let onlooker = self.cast.onlooker();
        let mut read = |what| match self.exchange(onlooker, &Command::PrIn(what)) {
            Ok(reply) => Ok(reply.data),
            Err(Trouble::Odd(_)) => Ok(Data::Nothing),
            Err(trouble) => Err(trouble),
        };
        Ok(match (read(PrIn::ReadKeys)?, read(PrIn::ReadReservation)?) {
            (Data::Keys { generation, keys }, Data::Reservation { held: None, .. }) => {
                Some(generation).filter(|_| keys.is_empty())
            }
            _ => None,
        })
    }

    /// Starts the target anew after it has gone.
    ///
    /// # Errors
    /// If it does not come back.
    pub fn restart(&mut self) -> Result<(), Trouble> {
        self.sessions.clear();
        self.way.power_cycle()
    }

    /// Leaves the unit clean and logs out.
    ///
    /// # Errors
    /// If the target does not let it.
    pub fn finish(&mut self) -> Result<(), Trouble> {
        self.clean()?;
        for nexus in std::mem::take(&mut self.sessions) {
            self.way.logout(nexus)?;
        }
        Ok(())
    }
}

fn data_words(data: &Data) -> String {
    match data {
        Data::Keys { generation, keys } => {
            let keys: Vec<String> = keys.iter().map(|key| format!("{:#x}", key.0)).collect();
            format!(", PRgeneration {}, keys {{{}}}", generation.0, keys.join(", "))
        }
        Data::Reservation { held: None, .. } => ", no reservation".to_owned(),
        Data::Reservation { held: Some(held), .. } => {
            format!(", {} held under key {:#x}", held.kind.short(), held.key.0)
        }
        _ => String::new(),
    }
}

fn seen_words(seen: &Seen) -> String {
    let keys: Vec<String> = seen.keys.iter().map(|key| format!("{:#x}", key.0)).collect();
    let held = seen.held.map_or_else(
        || "no reservation".to_owned(),
        |held| format!("{} held under key {:#x}", held.kind.short(), held.key.0),
    );
    format!("onlooker reads: PRgeneration {}, keys {{{}}}, {held}", seen.generation.0, keys.join(", "))
}
