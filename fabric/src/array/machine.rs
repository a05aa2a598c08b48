//! The array: nexuses, logical units and tasks. See `super` for what comes in and goes out.
//!
//! Each logical unit has one [`Target`], which decides about reservations and tasks. The array gives it what it needs to know of a command,
//! and does what the target has decided: collects data, keeps ranges apart, works the disk, and makes bytes of answers. It never answers
//! a command that the target could have something to say about.

mod commands;
mod lists;
mod manage;
mod sessions;

use super::config::Config;
use super::copies::Copies;
use super::job::{Ended, Next};
use super::names::Names;
use super::plan::INFORMATION_UNIT_INVALID;
use super::store::Stored;
use super::task::{Answer, Claims, Key, Stage, Task, disk_id, key_of};
use super::{Effect, Input, Response, UnitConfig};
use crate::scsi::mode::Settings;
use crate::scsi::sense::{Format, SenseData};
use crate::scsi::{record, status};
use crate::target::{self, Outcome, StoredTable, Target};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use bytes::Bytes;
use manage::Managing;
use redline_vocab::{Event, Nexus, Quirks, Reply, Sense, Status};
use sessions::Waiting;

/// 06/29/00, POWER ON, RESET, OR BUS DEVICE RESET OCCURRED: what a stranger hears of a power on. It may have been reset or be new to the
/// array, and iscsi-ls knows no other code.
const POWER_ON_OR_RESET: Sense = Sense { key: 0x06, asc: 0x29, ascq: 0x00 };

/// One logical unit.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Unit {
    config: UnitConfig,
    target: Target,
    settings: Settings,
    /// What stable storage holds of its table.
    stored: Option<StoredTable>,
}

/// A SAN array behind its target ports.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Array {
    config: Config,
    units: Vec<Unit>,
    names: Names,
    /// By nexus number: whether a session is established.
    sessions: Vec<bool>,
    /// Logins that wait for the back end, oldest first.
    logins: Vec<Waiting>,
    tasks: BTreeMap<Key, Task>,
    /// Commands behind a PERSISTENT RESERVE OUT of their nexus, oldest first.
    held: Vec<Key>,
    /// Tasks that are ready for the back end, oldest first.
    ready: Vec<Key>,
    /// Tasks at the back end.
    running: Vec<Key>,
    managing: Vec<Managing>,
    copies: Copies,
    /// Room for the effects of one step of a target, kept so that it is not allocated again for each.
    steps: Vec<target::Effect>,
}

impl Array {
    /// An array that has just been switched on and found `stored` on its stable storage. If that is damaged, its units stay not ready until
    /// an operator decides.
    ///
    /// # Panics
    /// If the configuration makes no sense: no unit, no target port, more known nexuses than there are numbers.
    pub fn power_on(config: Config, quirks: Quirks, stored: Option<&[u8]>, out: &mut Vec<Effect>) -> Array {
        assert!(!config.units.is_empty() && !config.target_ports.is_empty(), "an array has units and ports");
        let mut names = Names::new(&config.known);
        let found = match stored.map(|bytes| Stored::decode(bytes, config.units.len())) {
            None => Ok(alloc::vec![None; config.units.len()]),
            Some(Ok(found)) => {
                let whole = found.names.into_iter().all(|(nexus, pair)| names.restore(nexus, pair));
                whole.then_some(found.tables).ok_or(target::Damaged)
            }
            Some(Err(damaged)) => Err(damaged),
        };
        let mut array = Array {
            units: Vec::new(),
            names,
            sessions: Vec::new(),
            logins: Vec::new(),
            tasks: BTreeMap::new(),
            held: Vec::new(),
            ready: Vec::new(),
            running: Vec::new(),
            managing: Vec::new(),
            copies: Copies::new(config.secret),
            steps: Vec::new(),
            config,
        };
        for at in 0..array.config.units.len() {
            let unit = array.config.units[at];
            let size = target::Config {
                blocks: unit.blocks,
                registrants_max: array.config.registrants_max,
                tasks_max: array.config.tasks_max,
            };
            let mut steps = Vec::new();
            let table = found.as_ref().ok().and_then(|tables| tables[at].clone());
            let target = match &found {
                Ok(_) => Target::power_on(size, quirks, table.clone(), &mut steps),
                Err(target::Damaged) => Target::power_on_damaged(size, quirks, &mut steps),
            };
            let settings = Settings { descriptors: false, protected: false };
            array.units.push(Unit { config: unit, target, settings, stored: table });
            for effect in steps {
                array.carry_out(at, effect, out);
            }
        }
        array
    }

    /// Takes one step.
    pub fn step(&mut self, input: Input, out: &mut Vec<Effect>) {
        match input {
            Input::Login { login, initiator, port } => self.login(login, initiator, port, out),
            Input::Logout(nexus) => self.logout(nexus, out),
            Input::NexusLost(nexus) => self.nexus_lost(nexus, out),
            Input::Command { nexus, tag, request } => self.command((nexus, tag), request, out),
            Input::Data { nexus, tag, data } => self.collected((nexus, tag), Some(data), out),
            Input::DataBroken { nexus, tag } => self.collected((nexus, tag), None, out),
            Input::Manage { nexus, tag, lun, function } => self.manage((nexus, tag), lun, function, out),
            Input::DiskDone { id, outcome } => {
                if let Some(key) = key_of(id) {
                    self.disk_done(key, outcome, out);
                }
            }
            Input::Persist => {
                for unit in 0..self.units.len() {
                    self.ask(unit, target::Input::Persist, out);
                }
            }
        }
    }

    /// Whether quirk `persist-late` has left the stored state behind.
    pub fn is_behind_on_storage(&self) -> bool {
        self.units.iter().any(|unit| unit.target.is_behind_on_storage())
    }

    /// Sessions that are established.
    pub fn sessions(&self) -> usize {
        self.sessions.iter().filter(|session| **session).count()
    }

    /// Commands that have not been answered.
    pub fn tasks(&self) -> usize {
        self.tasks.len()
    }

    fn has_session(&self, nexus: Nexus) -> bool {
        self.sessions.get(usize::from(nexus.0)).copied().unwrap_or(false)
    }

    /// One step of a unit's target.
    fn ask(&mut self, unit: usize, input: target::Input, out: &mut Vec<Effect>) {
        let mut steps = core::mem::take(&mut self.steps);
        self.units[unit].target.step(input, &mut steps);
        for effect in steps.drain(..) {
            self.carry_out(unit, effect, out);
        }
        self.steps = steps;
    }

    fn carry_out(&mut self, unit: usize, effect: target::Effect, out: &mut Vec<Effect>) {
        match effect {
            target::Effect::Store(table) => {
                self.units[unit].stored = table;
                out.push(Effect::Store(self.to_store()));
            }
            target::Effect::Start { nexus, tag, .. } => {
                unreachable!("{tag} of {nexus}: tasks are offered to the target, never dispatched")
            }
            target::Effect::Reply { nexus, tag, reply } => self.replied(unit, (nexus, tag), reply, out),
            target::Effect::DropConnections => {}
            target::Effect::Event(event) => {
                if let Event::TableChanged { view } = &event {
                    self.copies.registered(unit, view);
                }
                let aborted = match event {
                    Event::Aborted { nexus, tag } => Some((nexus, tag)),
                    _ => None,
                };
                if unit == 0 && self.config.events {
                    out.push(Effect::Event(event));
                }
                if let Some(key) = aborted {
                    self.drop_task(key, out);
                }
            }
        }
    }

    /// What power loss must not take away; `None` if that is nothing.
    fn to_store(&self) -> Option<Vec<u8>> {
        let tables: Vec<Option<StoredTable>> = self.units.iter().map(|unit| unit.stored.clone()).collect();
        let mut registered: Vec<Nexus> = tables.iter().flatten().flat_map(StoredTable::nexuses).collect();
        registered.sort_unstable();
        registered.dedup();
        let named = |nexus: Nexus| self.names.pair(nexus).map(|pair| (nexus, pair.clone()));
        let names = registered.into_iter().filter_map(named).collect();
        tables.iter().any(Option::is_some).then(|| Stored { names, tables }.encode())
    }

    /// Forgets a task that is not answered.
    fn drop_task(&mut self, key: Key, out: &mut Vec<Effect>) {
        self.ready.retain(|ready| *ready != key);
        self.running.retain(|running| *running != key);
        if self.tasks.remove(&key).is_some() && self.has_session(key.0) {
            out.push(Effect::Dropped { nexus: key.0, tag: key.1 });
        }
    }

    /// The target has answered.
    fn replied(&mut self, unit: usize, key: Key, reply: Reply, out: &mut Vec<Effect>) {
        if self.managed(key, &reply, out) {
            return;
        }
        if let Some(task) = self.tasks.remove(&key) {
            let mut reply = reply;
            if reply.status == Status::CheckCondition(Sense::POWER_ON) && !self.is_known(key.0) {
                reply.status = Status::CheckCondition(POWER_ON_OR_RESET);
            }
            let response = self.response(unit, task, reply);
            self.respond(key, response, out);
        }
    }

    /// A nexus that had its number before it logged in.
    fn is_known(&self, nexus: Nexus) -> bool {
        usize::from(nexus.0) < self.config.known.len()
    }

    fn respond(&self, (nexus, tag): Key, response: Response, out: &mut Vec<Effect>) {
        out.push(Effect::Respond { nexus, tag, response });
    }

    fn response(&self, unit: usize, task: Task, reply: Reply) -> Response {
        match reply.status {
            Status::Good => {
                let (data, length) = match task.answer {
                    // Blocks beyond what the initiator takes were not read, but the CDB asks for them.
                    Answer::Blocks(_, data) => (data, task.length),
                    Answer::Data(data) if data.is_empty() => (data, task.length),
                    // The allocation length has cut it already.
                    Answer::Data(data) => (data.clone(), data.len() as u64),
                    Answer::Reservations { allocation } => {
                        let data = self.reservations(&reply.data, allocation);
                        (data.clone(), data.len() as u64)
                    }
                };
                Response { status: status::GOOD, sense: Vec::new(), data, length }
            }
            Status::CheckCondition(sense) => {
                let detail = task.detail.filter(|detail| detail.sense == sense);
                // Data that are too short are an overflow of what the initiator expected, whether they were taken or not.
                let length = if sense == INFORMATION_UNIT_INVALID { task.length } else { 0 };
                let sense = detail.unwrap_or(SenseData::of(sense)).encode(self.format(unit));
                Response { status: status::CHECK_CONDITION, sense, data: Bytes::new(), length }
            }
            refused @ (Status::ReservationConflict | Status::TaskSetFull | Status::TaskAborted) => {
                Response { status: status::code(refused), sense: Vec::new(), data: Bytes::new(), length: 0 }
            }
        }
    }

    fn format(&self, unit: usize) -> Format {
        if self.units[unit].settings.descriptors { Format::Descriptors } else { Format::Fixed }
    }

    /// An answer that no target has a say in: there is no such command, or no such logical unit.
    fn refuse(&self, key: Key, sense: SenseData, format: Format, out: &mut Vec<Effect>) {
        let sense = sense.encode(format);
        let response = Response { status: status::CHECK_CONDITION, sense, data: Bytes::new(), length: 0 };
        self.respond(key, response, out);
    }

    /// Lets everything go on that can: logins, then tasks.
    fn settle(&mut self, out: &mut Vec<Effect>) {
        self.admit_logins(out);
        let mut at = 0;
        while at < self.ready.len() {
            if self.may_start(at) {
                let key = self.ready.remove(at);
                self.start(key, out);
                // It may have ended at once and made room for an earlier one.
                at = 0;
            } else {
                at += 1;
            }
        }
    }

    /// Whether a ready task may go to the back end: nothing that PREEMPT AND ABORT has ended is still there, and neither what is there nor
    /// what came before it works on its ranges.
    fn may_start(&self, at: usize) -> bool {
        let task = &self.tasks[&self.ready[at]];
        let Stage::Ready(work) = &task.stage else { return false };
        if self.units[task.unit].target.is_barred() {
            return false;
        }
        let before = self.running.iter().chain(&self.ready[..at]);
        !before.filter_map(|key| self.claims(key)).any(|claims| claims.exclude(&work.claims))
    }

    fn claims(&self, key: &Key) -> Option<&Claims> {
        match &self.tasks.get(key)?.stage {
            Stage::Ready(work) | Stage::Running(work) => Some(&work.claims),
            Stage::Held(_)
            | Stage::Listing(_)
            | Stage::Collecting(_)
            | Stage::CollectingList(_)
            | Stage::Asked => None,
        }
    }

    fn start(&mut self, key: Key, out: &mut Vec<Effect>) {
        let task = self.tasks.get_mut(&key).expect("ready tasks are tasks");
        let Stage::Ready(mut work) = core::mem::replace(&mut task.stage, Stage::Asked) else {
            unreachable!("only ready tasks are started")
        };
        let unit = task.unit;
        let next = work.job.start(place(unit));
        task.stage = Stage::Running(work);
        self.running.push(key);
        self.ask(unit, target::Input::Submit { nexus: key.0, tag: key.1 }, out);
        self.go_on(key, next, out);
    }

    fn disk_done(&mut self, key: Key, outcome: super::DiskOutcome, out: &mut Vec<Effect>) {
        let Some(task) = self.tasks.get_mut(&key) else { return };
        let Stage::Running(work) = &mut task.stage else { return };
        let unit = task.unit;
        let wanted = self.units[unit].target.wants(key.0, key.1);
        let failed = outcome == super::DiskOutcome::Failed;
        // A task that was aborted stops here; what it has done so far has taken effect.
        let next = match (wanted || failed, work.job.has_changed()) {
            (true, _) => work.job.advance(place(unit), outcome),
            (false, true) => Next::End(Ended::Done),
            (false, false) => Next::End(Ended::Failed(SenseData::of(Sense::COMMANDS_CLEARED))),
        };
        self.go_on(key, next, out);
        self.settle(out);
    }

    fn go_on(&mut self, key: Key, next: Next, out: &mut Vec<Effect>) {
        match next {
            Next::Disk(operation) => out.push(Effect::Disk { id: disk_id(key), operation }),
            Next::End(ended) => self.finish(key, ended, out),
        }
    }

    /// The back end is done with a task.
    fn finish(&mut self, key: Key, ended: Ended, out: &mut Vec<Effect>) {
        self.running.retain(|running| *running != key);
        let task = self.tasks.get_mut(&key).expect("running tasks are tasks");
        let unit = task.unit;
        if let Stage::Running(work) = core::mem::replace(&mut task.stage, Stage::Asked) {
            self.copies.ended(key, unit, &work.job, &ended);
        }
        let seen = self.config.events && unit == 0;
        let outcome = match ended {
            Ended::Done => Outcome::Written,
            Ended::Failed(sense) => {
                task.detail = Some(sense);
                Outcome::Failed(sense.sense)
            }
            Ended::Data(bytes) => match &mut task.answer {
                Answer::Blocks(lba, data) => {
                    *data = bytes;
                    let size = self.units[unit].config.block_bytes;
                    Outcome::Read(if seen { record::decode_extent(data, *lba, size) } else { Vec::new() })
                }
                answer @ (Answer::Data(_) | Answer::Reservations { .. }) => {
                    let room = usize::try_from(task.length).unwrap_or(usize::MAX);
                    *answer = Answer::Data(bytes.slice(..bytes.len().min(room)));
                    Outcome::Written
                }
            },
        };
        self.ask(unit, target::Input::Done { nexus: key.0, tag: key.1, outcome }, out);
        // Nobody waits for it any more.
        self.drop_task(key, out);
    }
}

/// A unit as the disk names it.
fn place(unit: usize) -> u16 {
    u16::try_from(unit).expect("there are fewer than 16384 units")
}

/// What an answer to a command without data looks like.
fn nothing() -> Answer {
    Answer::Data(Bytes::new())
}
