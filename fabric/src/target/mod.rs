//! A SCSI target with one logical unit: what it does with each command, and when it answers.
//!
//! A command is taken from the transport by [`Input::Dispatch`], which is also where it is checked
//! against the reservation (SPC-4: before the task enters the enabled state; a later change of the
//! reservation does not stop it). Medium accesses then wait in the task set, go to the back end by
//! [`Input::Submit`] and end by [`Input::Done`]; everything else is answered at once. So a write
//! that was let in outlives a plain PREEMPT, and PREEMPT AND ABORT has to end it: what waits in the
//! task set is dropped, what the back end has is waited for, and only then comes GOOD.
//!
//! The target neither stores blocks nor keeps time. **Deliberately absent:** a second check at
//! commit, which would make PREEMPT stronger than the standard makes it.

mod access;
mod border;
mod legacy;
mod manage;
mod offer;
mod port;
mod pr;
mod store;
#[cfg(test)]
mod tests;

use alloc::vec::Vec;
use redline_vocab::{
    Block, Command, Data, Disposition, Event, Extent, Function, Generation, LunView, Name, Nexus, NodeId,
    PrOut, Quirk, Quirks, Reply, Sense, Status, Tag,
};

use access::Standing;
use legacy::Compatible;
use offer::Work;
pub use offer::{Medium, Offer};
use port::{Port, Stage, Task};
use pr::{Table, Worked};
pub(crate) use store::checksum;
pub use store::{Damaged, StoredTable};

/// Size and limits of a target.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Config {
    /// Capacity in blocks.
    pub blocks: u64,
    /// Registrations it has room for; one more is answered by 05/55/04.
    pub registrants_max: u16,
    /// Tasks of one nexus it has room for; one more is answered by TASK SET FULL.
    pub tasks_max: u16,
}

/// How a back-end operation ended.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Outcome {
    /// The blocks read, one entry each.
    Read(Vec<Block>),
    /// The medium has changed.
    Written,
    /// Everything written before is durable.
    Flushed,
    /// The medium has not changed.
    Failed(Sense),
}

/// What can happen to a target.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Input {
    /// A session is established on the nexus, or reinstated: an earlier session on it ends here.
    /// Only when [`Target::accepts_login`].
    Login {
        /// Who logs in.
        node: NodeId,
        /// On which nexus.
        nexus: Nexus,
    },
    /// The oldest command of the nexus is taken from the transport.
    Dispatch {
        /// Whose.
        nexus: Nexus,
        /// Its tag, not in use on this nexus.
        tag: Tag,
        /// The command.
        command: Command,
    },
    /// The oldest command of the nexus is taken from the transport; it came as bytes.
    Offer {
        /// Whose.
        nexus: Nexus,
        /// Its tag, not in use on this nexus.
        tag: Tag,
        /// The command.
        offer: Offer,
    },
    /// A task goes from the task set to the back end.
    Submit {
        /// Whose.
        nexus: Nexus,
        /// Which.
        tag: Tag,
    },
    /// The back end is done with a task, wanted or not.
    Done {
        /// Whose.
        nexus: Nexus,
        /// Which.
        tag: Tag,
        /// How it ended.
        outcome: Outcome,
    },
    /// The nexus is given up: its session ended, or Time2Retain has passed.
    LoseNexus {
        /// Which.
        nexus: Nexus,
    },
    /// The session of the nexus ended in order: its initiator logged out.
    Logout {
        /// Which.
        nexus: Nexus,
    },
    /// Writes the table to stable storage if quirk `persist-late` has put that off.
    Persist,
}

/// What the target wants done, in this order.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Effect {
    /// Replace the stored table, or erase it, durably, before any later effect is carried out.
    Store(Option<StoredTable>),
    /// Begin this medium access. Tasks that were offered begin with [`Input::Submit`]: whoever offered them knows what they are.
    Start {
        /// Whose.
        nexus: Nexus,
        /// Which.
        tag: Tag,
        /// What to do.
        command: Command,
    },
    /// Hand this reply to the transport.
    Reply {
        /// To whom.
        nexus: Nexus,
        /// Answers which command.
        tag: Tag,
        /// The reply.
        reply: Reply,
    },
    /// Break every connection (TARGET COLD RESET). Their nexuses are lost in the usual way.
    DropConnections,
    /// Something happened that a trace records.
    Event(Event),
}

/// A PREEMPT AND ABORT or a task management function whose answer waits for the back end.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
struct HeldAnswer {
    nexus: Nexus,
    tag: Tag,
    /// `None`: PREEMPT AND ABORT.
    function: Option<Function>,
    waits_for: Vec<(Nexus, Tag)>,
}

/// A target with one logical unit.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Target {
    config: Config,
    quirks: Quirks,
    table: Table,
    /// What stable storage holds.
    stored: Option<StoredTable>,
    /// The stored table could not be read: nothing is let in until an operator decides.
    damaged: bool,
    /// Who has reserved the unit with RESERVE of SPC-2.
    legacy: Option<Nexus>,
    /// By nexus number; grows as nexuses appear.
    ports: Vec<Port>,
    held: Vec<HeldAnswer>,
}

impl Target {
    /// A target that has just been switched on and found `stored` on its stable storage. Every
    /// nexus will first hear of the power on.
    pub fn power_on(
        config: Config,
        quirks: Quirks,
        stored: Option<StoredTable>,
        out: &mut Vec<Effect>,
    ) -> Target {
        let found = stored.clone().filter(|_| !quirks.has(Quirk::TableLostAtRestart));
        let table = Table::new(config.registrants_max, quirks, found);
        let target = Target {
            config,
            quirks,
            table,
            stored,
            damaged: false,
            legacy: None,
            ports: Vec::new(),
            held: Vec::new(),
        };
        out.push(Effect::Event(Event::PoweredOn { view: target.view() }));
        target
    }

    /// A target whose stored table does not decode. It fails closed: it answers NOT READY, manual
    /// intervention required, to all but INQUIRY, REPORT LUNS and REQUEST SENSE.
    pub fn power_on_damaged(config: Config, quirks: Quirks, out: &mut Vec<Effect>) -> Target {
        let mut target = Target::power_on(config, quirks, None, out);
        target.damaged = true;
        target
    }

    /// Takes one step.
    ///
    /// # Panics
    /// If the environment breaks the protocol: a dispatch without session, a tag in use, a Submit
    /// or Done for a task that is not there, a login that was not accepted.
    pub fn step(&mut self, input: Input, out: &mut Vec<Effect>) {
        match input {
            Input::Login { node, nexus } => self.login(node, nexus, out),
            Input::Dispatch { nexus, tag, command } => self.dispatch(nexus, tag, command, out),
            Input::Offer { nexus, tag, offer } => self.offered(nexus, tag, offer, out),
            Input::Submit { nexus, tag } => self.submit(nexus, tag, out),
            Input::Done { nexus, tag, outcome } => self.done(nexus, tag, outcome, out),
            Input::LoseNexus { nexus } => self.lose_nexus(nexus, out),
            Input::Logout { nexus } => self.logout(nexus, out),
            Input::Persist => self.persist(out),
        }
    }

    /// Whether the back end is done with what earlier sessions of the nexus gave it. Until then a
    /// login has to wait: an old write would land among the new session's.
    pub fn accepts_login(&self, nexus: Nexus) -> bool {
        self.quirks.has(Quirk::LoginBeforeQuiet) || self.at_back_end(nexus).next().is_none()
    }

    /// The nexus's tasks that may go to the back end now, oldest first: those in the task set, and none
    /// while [`Target::is_barred`].
    pub fn waiting(&self, nexus: Nexus) -> impl Iterator<Item = Tag> + '_ {
        let port = self.ports.get(usize::from(nexus.0)).filter(|_| !self.is_barred());
        port.into_iter().flat_map(|port| port.at(Stage::TaskSet))
    }

    /// Whether the back end still has writes that PREEMPT AND ABORT ended. What was taken since goes
    /// after them, also where its sender's own takeover had nothing to wait for: otherwise a second takeover
    /// right after the first would be overtaken by writes that the first one ended.
    pub fn is_barred(&self) -> bool {
        self.ports.iter().any(|port| port.tasks.iter().any(|task| task.condemned))
    }

    /// The nexus's tasks that the back end has not finished, oldest first; unwanted ones included.
    pub fn at_back_end(&self, nexus: Nexus) -> impl Iterator<Item = Tag> + '_ {
        self.ports.get(usize::from(nexus.0)).into_iter().flat_map(|port| port.at(Stage::BackEnd))
    }

    /// Whether somebody still waits for this task: it is there, and neither aborted nor lost with its nexus.
    pub fn wants(&self, nexus: Nexus, tag: Tag) -> bool {
        let port = self.ports.get(usize::from(nexus.0));
        port.is_some_and(|port| port.tasks.iter().any(|task| task.tag == tag && task.wanted))
    }

    /// Every tag of the nexus that the target remembers.
    pub fn tags(&self, nexus: Nexus) -> impl Iterator<Item = Tag> + '_ {
        let port = self.ports.get(usize::from(nexus.0));
        let tasks = port.into_iter().flat_map(|port| port.tasks.iter().map(|task| task.tag));
        let held = self.held.iter().flat_map(move |held| {
            let own = (held.nexus == nexus).then_some(held.tag);
            let waits = held.waits_for.iter().filter(move |waits| waits.0 == nexus).map(|waits| waits.1);
            own.into_iter().chain(waits)
        });
        tasks.chain(held)
    }

    /// Registrations and reservation.
    pub fn view(&self) -> LunView {
        self.table.view()
    }

    /// Who has reserved the unit with RESERVE of SPC-2.
    pub fn legacy_holder(&self) -> Option<Nexus> {
        self.legacy
    }

    /// Whether quirk `persist-late` has left the stored table behind.
    pub fn is_behind_on_storage(&self) -> bool {
        self.stored != self.table.to_store()
    }

    /// The canonical form for exploration: PRgeneration 0, tags renamed.
    pub fn rename(&mut self, mut tag: impl FnMut(Nexus, Tag) -> Tag) {
        self.table.generation = Generation(0);
        for (number, port) in self.ports.iter_mut().enumerate() {
            let nexus = Nexus(u8::try_from(number).expect("ports are indexed by a u8"));
            for task in &mut port.tasks {
                task.tag = tag(nexus, task.tag);
            }
        }
        for held in &mut self.held {
            held.tag = tag(held.nexus, held.tag);
            if let Some(Function::AbortTask(task)) = &mut held.function {
                *task = tag(held.nexus, *task);
            }
            for (nexus, waits) in &mut held.waits_for {
                *waits = tag(*nexus, *waits);
            }
        }
    }

    fn port(&mut self, nexus: Nexus) -> &mut Port {
        let at = usize::from(nexus.0);
        if at >= self.ports.len() {
            self.ports.resize_with(at + 1, Port::new);
        }
        &mut self.ports[at]
    }

    fn login(&mut self, node: NodeId, nexus: Nexus, out: &mut Vec<Effect>) {
        assert!(self.accepts_login(nexus), "login on {nexus} before its back end is quiet");
        if self.port(nexus).session {
            self.lose_nexus(nexus, out);
        }
        let port = self.port(nexus);
        port.session = true;
        port.known = true;
        out.push(Effect::Event(Event::LoggedIn { node, nexus }));
    }

    /// The nexus is gone, and hears of it when it comes back.
    fn lose_nexus(&mut self, nexus: Nexus, out: &mut Vec<Effect>) {
        let port = self.port(nexus);
        if port.known {
            port.attend(Sense::NEXUS_LOSS);
        }
        out.push(Effect::Event(Event::NexusLost { nexus }));
        self.end_session(nexus, out);
    }

    /// The initiator has taken its leave: there is nothing to tell it when it comes back.
    fn logout(&mut self, nexus: Nexus, out: &mut Vec<Effect>) {
        out.push(Effect::Event(Event::LoggedOut { nexus }));
        self.end_session(nexus, out);
    }

    /// Tasks and a legacy reservation die with the session, registration and reservation stay (SPC-4 5.7.1).
    fn end_session(&mut self, nexus: Nexus, out: &mut Vec<Effect>) {
        let outlives = self.quirks.has(Quirk::TasksOutliveNexus);
        if !self.quirks.has(Quirk::LegacyOutlivesNexus) {
            self.legacy = self.legacy.filter(|holder| *holder != nexus);
        }
        let port = self.port(nexus);
        port.session = false;
        if outlives {
            port.tasks.iter_mut().for_each(|task| task.wanted = false);
        } else {
            drop_tasks(port, nexus, out);
        }
        // A held answer has nobody left to hear it.
        self.held.retain(|held| held.nexus != nexus);
        if self.quirks.has(Quirk::NexusLossUnregisters) {
            let before = self.view();
            self.table.forget(nexus);
            self.publish(&before, out);
        }
    }

    fn dispatch(&mut self, nexus: Nexus, tag: Tag, command: Command, out: &mut Vec<Effect>) {
        let port = self.port(nexus);
        assert!(port.session, "a command on {nexus} without session");
        debug_assert!(port.find(tag).is_none(), "{tag} is in use on {nexus}");
        match command {
            Command::PrOut(order) => self.persistent_reserve_out(nexus, tag, &order, out),
            Command::Read(_) | Command::Write { .. } | Command::SynchronizeCache => {
                self.admit(nexus, tag, command, out);
            }
            Command::Manage(function) => self.manage(nexus, tag, function, out),
            Command::PrIn(_) | Command::LegacyReserve | Command::LegacyRelease | Command::Other(_) => {
                let reply = self.answer(nexus, &command);
                self.respond(nexus, tag, reply, out);
            }
        }
    }

    /// A medium access enters the task set, or is refused.
    fn admit(&mut self, nexus: Nexus, tag: Tag, command: Command, out: &mut Vec<Effect>) {
        if let Some(status) = self.refuses(nexus, &command) {
            return self.respond(nexus, tag, Reply::of(status), out);
        }
        self.enter(nexus, tag, Work::Command(command), out);
    }

    /// A command that came as bytes: the same checks, with the CDB's own error at their end.
    fn offered(&mut self, nexus: Nexus, tag: Tag, offer: Offer, out: &mut Vec<Effect>) {
        let port = self.port(nexus);
        assert!(port.session, "a command on {nexus} without session");
        debug_assert!(port.find(tag).is_none(), "{tag} is in use on {nexus}");
        let refused = if ignores_attentions(offer.name) {
            None
        } else {
            self.refused_before_validation(nexus, offer.name, offer.medium.is_some())
        };
        match (refused.or(offer.fault.map(Status::CheckCondition)), offer.medium) {
            (Some(status), _) => self.respond(nexus, tag, Reply::of(status), out),
            (None, None) => self.respond(nexus, tag, Reply::of(Status::Good), out),
            (None, Some(medium)) => self.enter(nexus, tag, Work::Offered(medium), out),
        }
    }

    /// A task enters the task set, if there is room.
    fn enter(&mut self, nexus: Nexus, tag: Tag, work: Work, out: &mut Vec<Effect>) {
        let room = usize::from(self.config.tasks_max);
        let port = self.port(nexus);
        if port.tasks.len() >= room {
            return self.respond(nexus, tag, Reply::of(Status::TaskSetFull), out);
        }
        port.tasks.push(Task { tag, work, stage: Stage::TaskSet, wanted: true, condemned: false });
        out.push(Effect::Event(Event::Dispatched { nexus, tag, disposition: Disposition::Enabled }));
    }

    /// Commands that change no registration and access no medium.
    fn answer(&mut self, nexus: Nexus, command: &Command) -> Reply {
        if let Some(status) = self.refuses(nexus, command) {
            return Reply::of(status);
        }
        let data = match command {
            Command::PrIn(action) => self.table.answer(*action),
            Command::LegacyReserve => {
                if self.compatible(nexus) == Compatible::Alone || self.quirks.has(Quirk::CrhIgnored) {
                    self.legacy = Some(nexus);
                }
                Data::Nothing
            }
            Command::LegacyRelease => {
                self.legacy = self.legacy.filter(|holder| *holder != nexus);
                Data::Nothing
            }
            Command::Other(_) => Data::Nothing,
            Command::Read(_)
            | Command::Write { .. }
            | Command::SynchronizeCache
            | Command::PrOut(_)
            | Command::Manage(_) => {
                unreachable!("medium accesses, PERSISTENT RESERVE OUT and functions are taken elsewhere")
            }
        };
        Reply { status: Status::Good, data }
    }

    /// Why the command is not carried out, if so. A reset's unit attention goes first, then the
    /// reservation conflict, then any other unit attention, then errors of the command itself
    /// (SAM-5 status precedence).
    fn refuses(&mut self, nexus: Nexus, command: &Command) -> Option<Status> {
        let name = command.name()?;
        if ignores_attentions(name) {
            return None;
        }
        let medium = matches!(command, Command::Read(_) | Command::Write { .. } | Command::SynchronizeCache);
        self.refused_before_validation(nexus, name, medium)
            .or_else(|| self.out_of_range(command).then_some(Status::CheckCondition(Sense::LBA_OUT_OF_RANGE)))
    }

    /// Why a command is not even looked at, if so.
    fn refused_before_validation(&mut self, nexus: Nexus, name: Name, medium: bool) -> Option<Status> {
        if let Some(status) = self.refused_by_state(nexus) {
            return Some(status);
        }
        if self.conflicts(nexus, name) && !(medium && self.quirks.has(Quirk::ConflictUnchecked)) {
            return Some(Status::ReservationConflict);
        }
        let sense = self.port(nexus).next_attention()?;
        self.port(nexus).reported(sense);
        Some(Status::CheckCondition(sense))
    }

    /// Whether a reservation, legacy or persistent, refuses the command of the nexus. Of PERSISTENT RESERVE OUT it says only
    /// what the legacy reservation does: each service action has its own rule.
    fn conflicts(&self, nexus: Nexus, name: Name) -> bool {
        if self.legacy.is_some_and(|holder| legacy::conflicts(holder, nexus, name)) {
            return true;
        }
        if matches!(name, Name::LegacyReserve | Name::LegacyRelease) {
            let ignored = name == Name::LegacyReserve && self.quirks.has(Quirk::CrhIgnored);
            return !ignored && self.compatible(nexus) == Compatible::Conflict;
        }
        let standing = self.table.standing(nexus);
        self.table.reservation().is_some_and(|held| access::conflicts(name, held.kind, standing))
    }

    fn compatible(&self, nexus: Nexus) -> Compatible {
        let standing = self.table.standing(nexus);
        let registered = standing != Standing::Stranger;
        let held = self.table.reservation().map(|held| held.kind);
        legacy::compatible(self.table.is_in_use(), registered, standing == Standing::Holder, held)
    }

    /// What goes before the reservation: a reset's unit attention, and a table that could not be read.
    fn refused_by_state(&mut self, nexus: Nexus) -> Option<Status> {
        let port = self.port(nexus);
        if let Some(sense) = port.reset_attention() {
            port.reported(sense);
            return Some(Status::CheckCondition(sense));
        }
        self.damaged.then_some(Status::CheckCondition(Sense::MANUAL_INTERVENTION_REQUIRED))
    }

    fn out_of_range(&self, command: &Command) -> bool {
        match command {
            Command::Read(extent) | Command::Write { extent, .. } => ends_beyond(*extent, self.config.blocks),
            Command::SynchronizeCache
            | Command::PrIn(_)
            | Command::PrOut(_)
            | Command::LegacyReserve
            | Command::LegacyRelease
            | Command::Manage(_)
            | Command::Other(_) => false,
        }
    }

    fn persistent_reserve_out(&mut self, nexus: Nexus, tag: Tag, order: &PrOut, out: &mut Vec<Effect>) {
        if let Some(status) = self.refused_by_state(nexus) {
            return self.respond(nexus, tag, Reply::of(status), out);
        }
        if self.conflicts(nexus, Name::PersistentReserveOut) {
            return self.respond(nexus, tag, Reply::of(Status::ReservationConflict), out);
        }
        let mut next = self.table.clone();
        let worked = next.work_out(nexus, order);
        if worked.status == Status::ReservationConflict {
            return self.respond(nexus, tag, Reply::of(worked.status), out);
        }
        let attention = self.port(nexus).next_attention();
        if let Some(sense) = attention {
            self.port(nexus).reported(sense);
            let reply = Reply::of(Status::CheckCondition(sense));
            // Answered by a unit attention means not executed (SPC-4; SAM-5 5.14).
            if !self.quirks.has(Quirk::ExecutedDespiteAttention) || worked.status != Status::Good {
                return self.respond(nexus, tag, reply, out);
            }
            let before = self.view();
            self.table = next;
            out.push(Effect::Event(Event::Dispatched {
                nexus,
                tag,
                disposition: Disposition::Answered(reply.status),
            }));
            self.publish(&before, out);
            return self.reply(nexus, tag, reply, out);
        }
        let before = self.view();
        if worked.status != Status::Good {
            let reply = Reply::of(worked.status);
            if !self.quirks.has(Quirk::SpecIPtPartial) {
                return self.respond(nexus, tag, reply, out);
            }
            let disposition = Disposition::Answered(reply.status);
            out.push(Effect::Event(Event::Dispatched { nexus, tag, disposition }));
            self.table = next;
            self.publish(&before, out);
            return self.reply(nexus, tag, reply, out);
        }
        self.table = next;
        self.conclude(nexus, tag, worked, &before, out);
    }

    /// The table has changed: aborts, unit attentions, storage and, unless it has to wait, GOOD.
    fn conclude(&mut self, nexus: Nexus, tag: Tag, worked: Worked, before: &LunView, out: &mut Vec<Effect>) {
        let mut aborted = Vec::new();
        let waits_for = self.abort(nexus, &worked.abort, &mut aborted);
        let held = !waits_for.is_empty() && !self.quirks.has(Quirk::AbortBeforeQuiet);
        let disposition = if held { Disposition::Held } else { Disposition::Answered(Status::Good) };
        out.push(Effect::Event(Event::Dispatched { nexus, tag, disposition }));
        out.append(&mut aborted);
        for (whom, sense) in worked.attentions {
            self.port(whom).attend(sense);
        }
        self.publish(before, out);
        if held {
            self.held.push(HeldAnswer { nexus, tag, function: None, waits_for });
        } else {
            self.reply(nexus, tag, Reply::of(Status::Good), out);
        }
    }

    /// Ends the victims' commands. Returns those that the back end still has.
    fn abort(&mut self, nexus: Nexus, victims: &[Nexus], out: &mut Vec<Effect>) -> Vec<(Nexus, Tag)> {
        let mut waits_for = Vec::new();
        if self.quirks.has(Quirk::AbortIgnored) {
            return waits_for;
        }
        let barrier = !self.quirks.has(Quirk::AbortBeforeQuiet);
        for &victim in victims {
            let port = self.port(victim);
            // TAS = 0: no answer to the commands, but the nexus hears that they are gone.
            if victim != nexus && port.tasks.iter().any(|task| task.wanted) {
                port.attend(Sense::COMMANDS_CLEARED);
            }
            drop_tasks(port, victim, out);
            waits_for.extend(port.tasks.iter().map(|task| (victim, task.tag)));
            if !barrier {
                continue;
            }
            for task in &mut port.tasks {
                task.condemned |= task.work.changes();
            }
        }
        waits_for
    }

    fn submit(&mut self, nexus: Nexus, tag: Tag, out: &mut Vec<Effect>) {
        let port = self.port(nexus);
        let at = port.find(tag).expect("the environment submits tasks that wait");
        let task = &mut port.tasks[at];
        assert_eq!(task.stage, Stage::TaskSet, "{tag} of {nexus} is at the back end already");
        task.stage = Stage::BackEnd;
        out.push(Effect::Event(Event::Submitted { nexus, tag }));
        match task.work {
            Work::Command(command) => out.push(Effect::Start { nexus, tag, command }),
            Work::Offered(_) => {}
        }
    }

    fn done(&mut self, nexus: Nexus, tag: Tag, outcome: Outcome, out: &mut Vec<Effect>) {
        let port = self.port(nexus);
        let at = port.find(tag).expect("the back end finishes tasks that it was given");
        let task = port.tasks.remove(at);
        assert_eq!(task.stage, Stage::BackEnd, "{tag} of {nexus} was never submitted");
        let (status, data) = match outcome {
            Outcome::Read(blocks) => (Status::Good, Data::Blocks(blocks)),
            Outcome::Written | Outcome::Flushed => (Status::Good, Data::Nothing),
            Outcome::Failed(sense) => (Status::CheckCondition(sense), Data::Nothing),
        };
        // An unwanted write has changed the medium all the same; an unwanted read is nothing, and neither is what failed.
        let took_effect = task.wanted || task.work.changes();
        if status == Status::Good && took_effect {
            out.push(Effect::Event(Event::Committed { nexus, tag }));
        } else if !task.wanted {
            out.push(Effect::Event(Event::Aborted { nexus, tag }));
        }
        if task.wanted {
            self.reply(nexus, tag, Reply { status, data }, out);
        }
        self.release_held(nexus, tag, out);
    }

    /// One operation less for the held answers to wait for.
    fn release_held(&mut self, nexus: Nexus, tag: Tag, out: &mut Vec<Effect>) {
        let mut given = Vec::new();
        let mut at = 0;
        while at < self.held.len() {
            self.held[at].waits_for.retain(|waits| *waits != (nexus, tag));
            if self.held[at].waits_for.is_empty() {
                let held = self.held.remove(at);
                self.give(&held, out);
                given.push(held);
            } else {
                at += 1;
            }
        }
        manage::drop_connections(&given, out);
    }

    fn respond(&mut self, nexus: Nexus, tag: Tag, reply: Reply, out: &mut Vec<Effect>) {
        let disposition = Disposition::Answered(reply.status);
        out.push(Effect::Event(Event::Dispatched { nexus, tag, disposition }));
        self.reply(nexus, tag, reply, out);
    }

    fn reply(&mut self, nexus: Nexus, tag: Tag, reply: Reply, out: &mut Vec<Effect>) {
        out.push(Effect::Event(Event::Replied { nexus, tag, reply: reply.clone() }));
        out.push(Effect::Reply { nexus, tag, reply });
    }

    /// Tells of a changed table and puts it on stable storage before anybody hears GOOD.
    fn publish(&mut self, before: &LunView, out: &mut Vec<Effect>) {
        let view = self.view();
        if view != *before {
            out.push(Effect::Event(Event::TableChanged { view }));
        }
        if !self.quirks.has(Quirk::PersistLate) {
            self.persist(out);
        }
    }

    fn persist(&mut self, out: &mut Vec<Effect>) {
        let wanted = self.table.to_store();
        if wanted != self.stored {
            self.stored.clone_from(&wanted);
            out.push(Effect::Store(wanted));
            out.push(Effect::Event(Event::TablePersisted));
        }
    }
}

/// Drops what waits in the task set; what the back end has goes on, unwanted.
fn drop_tasks(port: &mut Port, nexus: Nexus, out: &mut Vec<Effect>) {
    port.tasks.retain_mut(|task| {
        task.wanted = false;
        let stays = task.stage == Stage::BackEnd;
        if !stays {
            out.push(Effect::Event(Event::Aborted { nexus, tag: task.tag }));
        }
        stays
    });
}

/// INQUIRY, REPORT LUNS and REQUEST SENSE are carried out whatever is pending (SAM-5 5.14).
fn ignores_attentions(name: Name) -> bool {
    matches!(name, Name::Inquiry | Name::ReportLuns | Name::RequestSense)
}

fn ends_beyond(extent: Extent, blocks: u64) -> bool {
    extent.lba.0.checked_add(u64::from(extent.blocks)).is_none_or(|end| end > blocks)
}
