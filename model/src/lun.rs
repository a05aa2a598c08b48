//! One logical unit as a relation: what a target may make of a command, and what must follow.
//!
//! The idea: taking a command from the transport is the only place where the standard leaves
//! choices. [`Lun::reactions`] lists them; [`Lun::react`] carries one out and adds to a list what
//! the target then owes: aborted tasks, a changed table, a table on stable storage, an answer.
//! Everything else (a task goes to the back end, takes effect, dies with its nexus) has one outcome.
//!
//! The unit does not know what it stores. A task is a read, a write or a flush; a write carries the
//! tenure in which it was issued, which the target never looks at.
//!
//! **Deliberately absent:** transport (`unit`), bounds (`cluster`, `reservations`), time.

use crate::legacy::{self, Meets};
use crate::set::{NEXUSES, Set};
use crate::table::{Attention, Change, Result, Table};
use redline_vocab::{
    Capabilities, Command, Data, Design, Disposition, FullStatusEntry, Function, Generation, Guard, Held,
    Holder, Key, LunView, Managed, Name, Nexus, PrIn, PrOut, Reply, Sense, ServiceAction, Status, Tag,
};
use serde::{Deserialize, Serialize};

/// What a task does to the medium.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Kind {
    /// READ.
    Read,
    /// WRITE, issued in this tenure (see `cluster`; 0 on traces).
    Write {
        /// Rank of the tenure.
        tenure: u8,
    },
    /// SYNCHRONIZE CACHE.
    Flush,
}

/// Where a task is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Stage {
    /// In the task set.
    TaskSet,
    /// At the back end.
    BackEnd,
}

/// A medium access that was let in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Task {
    /// Whose.
    pub nexus: Nexus,
    /// Under which tag.
    pub tag: Tag,
    /// What it does.
    pub kind: Kind,
    /// Where it is.
    pub stage: Stage,
    /// Whether anybody still waits for its answer: not after an abort or the loss of its nexus.
    pub wanted: bool,
    /// PREEMPT AND ABORT has ended a write that the back end has: what is taken later goes after it.
    pub condemned: bool,
    /// PREEMPT AND ABORT has answered GOOD to its end: F1 says that it must not take effect.
    pub doomed: bool,
}

/// A PREEMPT AND ABORT or a task management function whose answer waits for the back end.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Waiting {
    /// Who hears it.
    pub nexus: Nexus,
    /// Answers which command.
    pub tag: Tag,
    /// The function; `None`: PREEMPT AND ABORT.
    pub function: Option<Function>,
    /// Whose earlier commands PREEMPT AND ABORT ends.
    pub aborts: Set,
    /// Tasks that the back end must be done with.
    pub awaited: Vec<(Nexus, Tag)>,
}

/// What the target owes after a step, in this order; aborted tasks among themselves in any order.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Due {
    /// This task ends without effect.
    Aborted(Nexus, Tag),
    /// The table becomes what the unit's state says.
    TableChanged,
    /// The table is put on stable storage.
    TablePersisted,
    /// This command is answered.
    Replied(Nexus, Tag, Answer),
}

/// The content of an answer. Data of the medium is not the unit's: see `properties::monitor`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Answer {
    /// This status without data.
    Status(Status),
    /// GOOD with what PERSISTENT RESERVE IN shows of the unit's state.
    Shown(PrIn),
    /// GOOD with blocks of the medium.
    Blocks,
    /// The service response to a task management function.
    Managed(Managed),
}

/// One way in which the target may take a command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reaction {
    /// CHECK CONDITION with this pending unit attention; the command is not executed.
    Attention(Attention),
    /// Another status than GOOD, and nothing changes.
    Refused(Status),
    /// A medium access enters the task set.
    Admitted(Kind),
    /// GOOD at once, with this content; nothing changes.
    Answered(Answer),
    /// A PERSISTENT RESERVE OUT is carried out.
    Done(Change),
    /// GOOD to RESERVE or RELEASE: the unit is reserved for this nexus, or for nobody.
    Legacy(Option<Nexus>),
    /// A task management function is carried out. A reset leaves this unit attention.
    Manages(Function, Attention),
}

/// What the relation is asked about: whose rules, of which unit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Rules {
    /// The guards that hold.
    pub design: Design,
    /// Size of the unit in blocks.
    pub blocks: u64,
    /// Whether the target may run out of room for tasks (TASK SET FULL) and registrations (55h/04h).
    pub limits: bool,
}

/// One logical unit.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Lun {
    /// Registrations and reservation.
    pub table: Table,
    /// PRgeneration.
    pub generation: Generation,
    /// What stable storage holds; an empty table if nothing.
    pub stored: Table,
    /// Who has reserved the unit with RESERVE of SPC-2.
    pub legacy: Option<Nexus>,
    /// By nexus: bits of pending unit attentions, in the order of [`Attention::ALL`].
    pub pending: [u8; NEXUSES],
    /// Nexuses with a session.
    pub sessions: Set,
    /// Nexuses that have had a session since power on.
    pub known: Set,
    /// Medium accesses, in the order in which they were let in.
    pub tasks: Vec<Task>,
    /// Answers that wait for the back end.
    pub waiting: Vec<Waiting>,
}

impl Lun {
    /// A unit that has never been used, switched on.
    pub fn new() -> Lun {
        Lun {
            table: Table::EMPTY,
            generation: Generation(0),
            stored: Table::EMPTY,
            legacy: None,
            pending: [bit(Attention::PowerOn); NEXUSES],
            sessions: Set::EMPTY,
            known: Set::EMPTY,
            tasks: Vec::new(),
            waiting: Vec::new(),
        }
    }

    /// Every way in which the target may take this command of the nexus.
    ///
    /// Open in the standard, and therefore all listed: which of several unit attentions is reported
    /// first, and whether RESERVATION CONFLICT or a pending unit attention goes first. The usual reading comes first.
    pub fn reactions(&self, rules: Rules, nexus: Nexus, command: &Command, out: &mut Vec<Reaction>) {
        if let Command::Manage(function) = command {
            return self.manageable(nexus, *function, out);
        }
        if ignores_attentions(command) {
            return out.push(Reaction::Answered(Answer::Status(Status::Good)));
        }
        let pending = self.pending[at(nexus)];
        for attention in Attention::ALL {
            if pending & bit(attention) != 0 {
                out.push(Reaction::Attention(attention));
            }
        }
        let first = out.len();
        self.carry_out(rules, nexus, command, out);
        if pending != 0 {
            // What was not executed cannot have failed by itself: only the conflict may go first.
            let conflict = Reaction::Refused(Status::ReservationConflict);
            let (possible, usual) = (out[first..].contains(&conflict), out.get(first) == Some(&conflict));
            out.truncate(first);
            if possible {
                out.insert(if usual { 0 } else { first }, conflict);
            }
        }
    }

    fn carry_out(&self, rules: Rules, nexus: Nexus, command: &Command, out: &mut Vec<Reaction>) {
        let unchecked = is_medium_access(command) && !rules.design.has(Guard::ConflictCheck);
        if let Some(name) = command.name().filter(|_| !unchecked) {
            let legacy = self.legacy.map_or(Meets::Nothing, |holder| legacy::meets(holder, nexus, name));
            if legacy != Meets::Nothing || self.table.conflicts(nexus, name) {
                out.push(Reaction::Refused(Status::ReservationConflict));
            }
            if legacy == Meets::Conflict || self.table.conflicts(nexus, name) {
                return;
            }
        }
        let extent = match command {
            Command::Read(extent) | Command::Write { extent, .. } => Some(extent),
            Command::SynchronizeCache
            | Command::PrIn(_)
            | Command::PrOut(_)
            | Command::LegacyReserve
            | Command::LegacyRelease
            | Command::Manage(_)
            | Command::Other(_) => None,
        };
        if extent
            .is_some_and(|extent| u128::from(extent.lba.0) + u128::from(extent.blocks) > rules.blocks.into())
        {
            return out.push(Reaction::Refused(Status::CheckCondition(Sense::LBA_OUT_OF_RANGE)));
        }
        if rules.limits && is_medium_access(command) {
            out.push(Reaction::Refused(Status::TaskSetFull));
        }
        match command {
            Command::Read(_) => out.push(Reaction::Admitted(Kind::Read)),
            Command::Write { .. } => out.push(Reaction::Admitted(Kind::Write { tenure: 0 })),
            Command::SynchronizeCache => out.push(Reaction::Admitted(Kind::Flush)),
            Command::PrIn(what) => out.push(Reaction::Answered(Answer::Shown(*what))),
            Command::Other(_) => out.push(Reaction::Answered(Answer::Status(Status::Good))),
            Command::LegacyReserve => self.legacy(nexus, Some(nexus), out),
            Command::LegacyRelease => {
                let keeps = self.legacy.filter(|holder| *holder != nexus);
                self.legacy(nexus, keeps, out);
            }
            Command::Manage(function) => self.manageable(nexus, *function, out),
            Command::PrOut(order) => {
                let mut results = Vec::new();
                if rules.limits && registers(order) {
                    let full = Status::CheckCondition(Sense::INSUFFICIENT_REGISTRATION_RESOURCES);
                    out.push(Reaction::Refused(full));
                }
                self.table.results(rules.design, nexus, order, &mut results);
                out.extend(results.into_iter().map(|result| match result {
                    Result::Refused(status) => Reaction::Refused(status),
                    Result::Done(change) => Reaction::Done(change),
                }));
            }
        }
    }

    /// RESERVE or RELEASE that no legacy reservation refuses; on its own it would leave the unit reserved for `then`.
    ///
    /// Open: whether the target knows the exceptions of CRH, or refuses everybody while there are registrations (SPC-2 5.5.1).
    fn legacy(&self, nexus: Nexus, then: Option<Nexus>, out: &mut Vec<Reaction>) {
        let registered = self.table.registered();
        if registered.is_empty() {
            return out.push(Reaction::Legacy(then));
        }
        if legacy::served(registered, self.table.reservation).has(nexus) {
            out.push(Reaction::Answered(Answer::Status(Status::Good)));
        }
        out.push(Reaction::Refused(Status::ReservationConflict));
    }

    /// Every way in which the task manager may take the function (SAM-5 clause 7): no reservation and no unit attention keeps it off.
    ///
    /// Open: the response to ABORT TASK of a command that is not there, and which reset a target reset is reported as.
    fn manageable(&self, nexus: Nexus, function: Function, out: &mut Vec<Reaction>) {
        let device = Reaction::Manages(function, Attention::BusDeviceReset);
        match function {
            Function::AbortTask(task) => {
                let there = self.tasks.iter().any(|one| (one.nexus, one.tag) == (nexus, task))
                    || self
                        .waiting
                        .iter()
                        .any(|one| one.function.is_none() && (one.nexus, one.tag) == (nexus, task));
                if there {
                    out.push(device);
                } else {
                    out.push(Reaction::Answered(Answer::Managed(Managed::NoSuchTask)));
                    out.push(Reaction::Answered(Answer::Managed(Managed::Complete)));
                }
            }
            Function::AbortTaskSet | Function::ClearTaskSet | Function::LogicalUnitReset => out.push(device),
            Function::TargetWarmReset | Function::TargetColdReset => {
                out.push(Reaction::Manages(function, Attention::ScsiBusReset));
                out.push(device);
            }
        }
    }

    /// What the target would say that it has done with the command.
    pub fn disposition(&self, rules: Rules, nexus: Nexus, reaction: &Reaction) -> Disposition {
        match reaction {
            Reaction::Attention(attention) => {
                Disposition::Answered(Status::CheckCondition(attention.sense()))
            }
            Reaction::Refused(status) => Disposition::Answered(*status),
            Reaction::Admitted(_) => Disposition::Enabled,
            Reaction::Answered(_) | Reaction::Legacy(_) => Disposition::Answered(Status::Good),
            Reaction::Manages(function, _) => {
                let running = |task: &Task| {
                    task.stage == Stage::BackEnd && ends(*function, nexus, task.nexus, task.tag)
                };
                if self.tasks.iter().any(running) {
                    Disposition::Held
                } else {
                    Disposition::Answered(Status::Good)
                }
            }
            Reaction::Done(change) if self.must_wait(rules, change) => Disposition::Held,
            Reaction::Done(_) => Disposition::Answered(Status::Good),
        }
    }

    /// F1 asks for it: GOOD to PREEMPT AND ABORT comes after the back end is done with the victims.
    fn must_wait(&self, rules: Rules, change: &Change) -> bool {
        let busy = |task: &Task| task.stage == Stage::BackEnd && change.aborts.has(task.nexus);
        rules.design.has(Guard::AbortTasks)
            && rules.design.has(Guard::AbortQuiesces)
            && self.tasks.iter().any(busy)
    }

    /// Carries a reaction out, and adds what is owed then.
    pub fn react(&mut self, rules: Rules, nexus: Nexus, tag: Tag, reaction: &Reaction, due: &mut Vec<Due>) {
        match reaction {
            Reaction::Attention(attention) => {
                self.pending[at(nexus)] &= !bit(*attention);
                let status = Status::CheckCondition(attention.sense());
                due.push(Due::Replied(nexus, tag, Answer::Status(status)));
            }
            Reaction::Refused(status) => due.push(Due::Replied(nexus, tag, Answer::Status(*status))),
            Reaction::Answered(answer) => due.push(Due::Replied(nexus, tag, *answer)),
            Reaction::Admitted(kind) => self.tasks.push(Task {
                nexus,
                tag,
                kind: *kind,
                stage: Stage::TaskSet,
                wanted: true,
                condemned: false,
                doomed: false,
            }),
            Reaction::Done(change) => self.change(rules, nexus, tag, change, due),
            Reaction::Legacy(holder) => {
                self.legacy = *holder;
                due.push(Due::Replied(nexus, tag, Answer::Status(Status::Good)));
            }
            Reaction::Manages(function, attention) => self.manage(nexus, tag, *function, *attention, due),
        }
    }

    fn manage(&mut self, nexus: Nexus, tag: Tag, function: Function, reset: Attention, due: &mut Vec<Due>) {
        match function {
            Function::AbortTask(_) | Function::AbortTaskSet => {}
            Function::ClearTaskSet => {
                let tasks = self.tasks.iter().filter(|task| task.wanted).map(|task| task.nexus);
                let waiting = self.waiting.iter().filter(|one| one.function.is_none()).map(|one| one.nexus);
                let robbed: Set = tasks.chain(waiting).collect();
                for other in robbed.minus(Set::of(nexus)).iter() {
                    self.attend(other, Attention::CommandsCleared);
                }
            }
            Function::LogicalUnitReset | Function::TargetWarmReset | Function::TargetColdReset => {
                self.known.iter().for_each(|known| self.attend(known, reset));
                self.legacy = None;
            }
        }
        self.waiting.retain(|one| {
            let ended = one.function.is_none() && ends(function, nexus, one.nexus, one.tag);
            if ended {
                due.push(Due::Aborted(one.nexus, one.tag));
            }
            !ended
        });
        let mut awaited = Vec::new();
        self.tasks.retain_mut(|task| {
            if !ends(function, nexus, task.nexus, task.tag) {
                return true;
            }
            task.wanted = false;
            if task.stage == Stage::TaskSet {
                due.push(Due::Aborted(task.nexus, task.tag));
                return false;
            }
            // What others are let do next must not be overtaken by it.
            task.condemned |= matches!(task.kind, Kind::Write { .. });
            awaited.push((task.nexus, task.tag));
            true
        });
        if awaited.is_empty() {
            due.push(Due::Replied(nexus, tag, Answer::Managed(Managed::Complete)));
        } else {
            self.waiting.push(Waiting { nexus, tag, function: Some(function), aborts: Set::EMPTY, awaited });
        }
    }

    fn change(&mut self, rules: Rules, nexus: Nexus, tag: Tag, change: &Change, due: &mut Vec<Due>) {
        let held = self.must_wait(rules, change);
        let mut awaited = Vec::new();
        if rules.design.has(Guard::AbortTasks) && !change.aborts.is_empty() {
            for victim in change.aborts.iter().filter(|victim| *victim != nexus) {
                if self.tasks.iter().any(|task| task.nexus == victim && task.wanted) {
                    self.attend(victim, Attention::CommandsCleared);
                }
            }
            self.end_tasks(change.aborts, due);
            if rules.design.has(Guard::AbortQuiesces) {
                self.condemn(change.aborts);
            }
            let at_back_end = self.tasks.iter().filter(|task| change.aborts.has(task.nexus));
            awaited.extend(at_back_end.map(|task| (task.nexus, task.tag)));
        }
        for (whom, what) in change.told {
            whom.iter().for_each(|nexus| self.attend(nexus, what));
        }
        let before = (self.table, self.generation);
        self.table = change.table;
        if change.steps {
            self.generation = Generation(self.generation.0.wrapping_add(1));
        }
        if before != (self.table, self.generation) {
            due.push(Due::TableChanged);
        }
        if rules.design.has(Guard::PersistBeforeGood) && self.is_behind() {
            self.persist();
            due.push(Due::TablePersisted);
        }
        if held {
            self.waiting.push(Waiting { nexus, tag, function: None, aborts: change.aborts, awaited });
        } else {
            self.doom(change.aborts);
            due.push(Due::Replied(nexus, tag, Answer::Status(Status::Good)));
        }
    }

    /// Tasks in the task set end; what the back end has goes on without anybody waiting for it.
    fn end_tasks(&mut self, of: Set, due: &mut Vec<Due>) {
        self.tasks.retain_mut(|task| {
            if !of.has(task.nexus) {
                return true;
            }
            task.wanted = false;
            if task.stage == Stage::TaskSet {
                due.push(Due::Aborted(task.nexus, task.tag));
            }
            task.stage == Stage::BackEnd
        });
    }

    /// GOOD to PREEMPT AND ABORT is on its way: what its victims have under way must not land. Where GOOD had
    /// to wait, what was under way has ended by then, and what the target has taken since it took lawfully.
    fn doom(&mut self, victims: Set) {
        for task in self.tasks.iter_mut().filter(|task| victims.has(task.nexus)) {
            task.doomed = true;
        }
    }

    /// Writes of these nexuses that the back end has are the last things before a barrier.
    fn condemn(&mut self, victims: Set) {
        for task in self.tasks.iter_mut().filter(|task| victims.has(task.nexus)) {
            task.condemned |= matches!(task.kind, Kind::Write { .. });
        }
    }

    /// Whether nothing may go to the back end now: it still has writes that PREEMPT AND ABORT has ended. Without
    /// this a later owner, whose own takeover had nothing to wait for, could be overtaken by them.
    pub fn is_barred(&self) -> bool {
        self.tasks.iter().any(|task| task.condemned)
    }

    /// The task with this tag at this stage.
    pub fn task(&self, nexus: Nexus, tag: Tag, stage: Stage) -> Option<usize> {
        self.tasks.iter().position(|task| (task.nexus, task.tag, task.stage) == (nexus, tag, stage))
    }

    /// A task goes to the back end.
    pub fn submit(&mut self, task: usize) {
        self.tasks[task].stage = Stage::BackEnd;
    }

    /// The back end is done with a task. `failed`: with a medium error instead of its effect.
    pub fn end(&mut self, task: usize, failed: Option<Sense>, due: &mut Vec<Due>) -> Task {
        let ended = self.tasks.remove(task);
        if ended.wanted {
            let answer = match (failed, ended.kind) {
                (Some(sense), _) => Answer::Status(Status::CheckCondition(sense)),
                (None, Kind::Read) => Answer::Blocks,
                (None, Kind::Write { .. } | Kind::Flush) => Answer::Status(Status::Good),
            };
            due.push(Due::Replied(ended.nexus, ended.tag, answer));
        }
        let mut at = 0;
        while let Some(waiting) = self.waiting.get_mut(at) {
            let waited = waiting.awaited.len();
            waiting.awaited.retain(|awaited| *awaited != (ended.nexus, ended.tag));
            if waiting.awaited.is_empty() && waited > 0 {
                let waiting = self.waiting.remove(at);
                let answer = match waiting.function {
                    None => Answer::Status(Status::Good),
                    Some(_) => Answer::Managed(Managed::Complete),
                };
                due.push(Due::Replied(waiting.nexus, waiting.tag, answer));
            } else {
                at += 1;
            }
        }
        ended
    }

    /// The nexus is given up: its tasks die, its registration stays (SPC-4 5.7.1).
    pub fn lose(&mut self, rules: Rules, nexus: Nexus, due: &mut Vec<Due>) {
        if self.known.has(nexus) {
            self.attend(nexus, Attention::NexusLoss);
        }
        self.end_session(rules, nexus, due);
    }

    /// The initiator logs out. Open: whether it hears of a nexus loss when it comes back (RFC 7143 counts the end of a
    /// session as one; most targets do not).
    pub fn log_out(&mut self, rules: Rules, nexus: Nexus, told: bool, due: &mut Vec<Due>) {
        if told {
            self.attend(nexus, Attention::NexusLoss);
        }
        self.end_session(rules, nexus, due);
    }

    /// Tasks and a legacy reservation go with the session.
    fn end_session(&mut self, rules: Rules, nexus: Nexus, due: &mut Vec<Due>) {
        self.sessions = self.sessions.minus(Set::of(nexus));
        if self.legacy == Some(nexus) {
            self.legacy = None;
        }
        if rules.design.has(Guard::NexusLossAborts) {
            self.end_tasks(Set::of(nexus), due);
        } else {
            self.tasks.iter_mut().filter(|task| task.nexus == nexus).for_each(|task| task.wanted = false);
        }
        self.waiting.retain(|waiting| waiting.nexus != nexus);
    }

    /// Whether a login on the nexus may complete now.
    pub fn accepts_login(&self, rules: Rules, nexus: Nexus) -> bool {
        let busy = |task: &Task| task.nexus == nexus && task.stage == Stage::BackEnd;
        !rules.design.has(Guard::LoginWaits) || !self.tasks.iter().any(busy)
    }

    /// A session is established.
    pub fn login(&mut self, nexus: Nexus) {
        self.sessions = self.sessions.or(Set::of(nexus));
        self.known = self.known.or(Set::of(nexus));
    }

    /// The target loses power and comes up with what stable storage holds.
    pub fn power_cycle(&mut self) {
        *self = Lun { table: self.stored, stored: self.stored, ..Lun::new() };
    }

    /// What power loss must not take away: nothing unless APTPL is active.
    pub fn durable(&self) -> Table {
        if self.table.aptpl { self.table } else { Table::EMPTY }
    }

    /// Whether stable storage does not hold what it should.
    pub fn is_behind(&self) -> bool {
        self.stored != self.durable()
    }

    /// The table is put on stable storage.
    pub fn persist(&mut self) {
        self.stored = self.durable();
    }

    fn attend(&mut self, nexus: Nexus, attention: Attention) {
        self.pending[at(nexus)] |= bit(attention);
    }

    /// Registrations and reservation, to be shown.
    pub fn view(&self) -> LunView {
        LunView {
            generation: self.generation,
            registrants: self.table.registered().iter().map(|nexus| (nexus, self.table.key(nexus))).collect(),
            reservation: self.table.reservation,
            aptpl: self.table.aptpl,
        }
    }

    /// Whether this is what a view shows.
    pub fn shows(&self, view: &LunView) -> bool {
        let listed = |(nexus, key): &(Nexus, Key)| at(*nexus) < NEXUSES && self.table.key(*nexus) == *key;
        view.generation == self.generation
            && view.reservation == self.table.reservation
            && view.aptpl == self.table.aptpl
            && view.registrants.len() == self.table.registered().iter().count()
            && view.registrants.iter().all(listed)
    }

    /// Whether the reply is the answer that is owed. The order in which keys are listed is open.
    pub fn answers(&self, answer: Answer, reply: &Reply) -> bool {
        match answer {
            Answer::Status(status) => reply.status == status && reply.data == Data::Nothing,
            Answer::Blocks => reply.status == Status::Good && matches!(reply.data, Data::Blocks(_)),
            Answer::Managed(managed) => reply.status == Status::Good && reply.data == Data::Managed(managed),
            Answer::Shown(what) => reply.status == Status::Good && self.answers_with(what, &reply.data),
        }
    }

    fn answers_with(&self, what: PrIn, data: &Data) -> bool {
        match (what, data) {
            (PrIn::ReadKeys, Data::Keys { generation, keys }) => {
                let registered = self.table.registered();
                let times = |key: Key| keys.iter().filter(|listed| **listed == key).count();
                *generation == self.generation
                    && keys.len() == registered.iter().count()
                    && registered.iter().all(|nexus| {
                        let key = self.table.key(nexus);
                        times(key) == self.table.with_key(key).iter().count()
                    })
            }
            (PrIn::ReadReservation, Data::Reservation { generation, held }) => {
                *generation == self.generation && *held == self.held()
            }
            // SIP_C, ATP_C and CRH are the target's own; what APTPL says is not.
            (PrIn::ReportCapabilities, Data::Capabilities(shown)) => {
                shown.ptpl_c && shown.ptpl_a == self.table.aptpl
            }
            (PrIn::ReadFullStatus, Data::FullStatus { generation, entries }) => {
                *generation == self.generation
                    && entries.len() == self.table.registered().iter().count()
                    && entries.iter().all(|entry| *entry == self.full_status(entry.nexus))
            }
            _ => false,
        }
    }

    /// What READ RESERVATION shows.
    pub fn held(&self) -> Option<Held> {
        self.table.reservation.map(|held| Held { key: self.table.shown_key(), kind: held.kind })
    }

    fn full_status(&self, nexus: Nexus) -> FullStatusEntry {
        let holds = self.table.reservation.filter(|_| self.table.holders().has(nexus)).map(|held| held.kind);
        FullStatusEntry { nexus, key: self.table.key(nexus), holds }
    }

    /// An answer with its data, to be shown. Blocks of the medium are left out.
    pub fn reply(&self, answer: Answer) -> Reply {
        let generation = self.generation;
        let registered = self.table.registered();
        let data = match answer {
            Answer::Status(status) => return Reply::of(status),
            Answer::Blocks => Data::Blocks(Vec::new()),
            Answer::Managed(managed) => Data::Managed(managed),
            Answer::Shown(PrIn::ReadKeys) => Data::Keys {
                generation,
                keys: registered.iter().map(|nexus| self.table.key(nexus)).collect(),
            },
            Answer::Shown(PrIn::ReadReservation) => Data::Reservation { generation, held: self.held() },
            Answer::Shown(PrIn::ReportCapabilities) => Data::Capabilities(Capabilities {
                crh: true,
                sip_c: true,
                atp_c: true,
                ptpl_c: true,
                ptpl_a: self.table.aptpl,
            }),
            Answer::Shown(PrIn::ReadFullStatus) => Data::FullStatus {
                generation,
                entries: registered.iter().map(|nexus| self.full_status(nexus)).collect(),
            },
        };
        Reply { status: Status::Good, data }
    }
}

impl Default for Lun {
    fn default() -> Lun {
        Lun::new()
    }
}

/// Whether a function of `sender` ends the command of `nexus` with this tag.
fn ends(function: Function, sender: Nexus, nexus: Nexus, tag: Tag) -> bool {
    match function {
        Function::AbortTask(task) => (nexus, tag) == (sender, task),
        Function::AbortTaskSet => nexus == sender,
        Function::ClearTaskSet
        | Function::LogicalUnitReset
        | Function::TargetWarmReset
        | Function::TargetColdReset => true,
    }
}

/// Whether the command reads or changes the medium.
pub const fn is_medium_access(command: &Command) -> bool {
    matches!(command, Command::Read(_) | Command::Write { .. } | Command::SynchronizeCache)
}

/// Whether the service action may need room for one more registration.
fn registers(order: &PrOut) -> bool {
    let adds = matches!(
        order.action,
        ServiceAction::Register
            | ServiceAction::RegisterAndIgnoreExistingKey
            | ServiceAction::RegisterAndMove
    );
    adds && order.service_key != Key(0)
}

/// Whether the command is PREEMPT AND ABORT.
pub const fn is_preempt_and_abort(command: &Command) -> bool {
    matches!(command, Command::PrOut(order) if matches!(order.action, ServiceAction::PreemptAndAbort))
}

/// Whether the table has a holder that is not registered.
pub fn holder_is_stranger(table: &Table) -> bool {
    match table.reservation.map(|held| held.holder) {
        Some(Holder::Nexus(nexus)) => table.key(nexus) == Key(0),
        Some(Holder::AllRegistrants) | None => false,
    }
}

fn at(nexus: Nexus) -> usize {
    usize::from(nexus.0)
}

/// Whether it is carried out whatever unit attention is pending: task management is no command, and some commands go past it
/// (SAM-5 5.14).
pub fn ignores_attentions(command: &Command) -> bool {
    let name = || matches!(command.name(), Some(Name::Inquiry | Name::ReportLuns | Name::RequestSense));
    matches!(command, Command::Manage(_)) || name()
}

const fn bit(attention: Attention) -> u8 {
    1 << attention as u8
}
