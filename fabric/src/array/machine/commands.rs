//! Commands on their way in.

use super::super::answers::{self, Question};
use super::super::plan::{self, Plan, Work as Planned};
use super::super::task::{Answer, Key, Order, Stage, Task};
use super::super::{Effect, Request, Response};
use super::{Array, nothing};
use crate::scsi::cdb::{Cdb, Unknown};
use crate::scsi::report::{AccessState, lun_of};
use crate::scsi::sense::{Format, SenseData};
use crate::scsi::{inquiry, pr, status};
use crate::target::{self, Offer};
use alloc::vec::Vec;
use bytes::Bytes;
use redline_vocab::{Command, Lba, Name, Nexus, Sense, Tag};

/// 05/25/00
const NO_SUCH_UNIT: Sense = Sense { key: 0x05, asc: 0x25, ascq: 0x00 };
/// 02/04/0B
const STANDBY: Sense = Sense { key: 0x02, asc: 0x04, ascq: 0x0b };
/// 02/04/0C
const UNAVAILABLE: Sense = Sense { key: 0x02, asc: 0x04, ascq: 0x0c };
/// 00/00/00
const NO_SENSE: Sense = Sense { key: 0x00, asc: 0x00, ascq: 0x00 };
/// Longest parameter list of a PERSISTENT RESERVE OUT that is collected, in bytes.
const LIST_MAX: u32 = 128 << 10;

impl Array {
    pub(super) fn command(&mut self, key: Key, request: Request, out: &mut Vec<Effect>) {
        assert!(self.has_session(key.0), "a command on {} without session", key.0);
        assert!(!self.tasks.contains_key(&key), "{} is in use on {}", key.1, key.0);
        let lun = lun_of(request.lun);
        let Some(unit) = lun.and_then(|lun| self.units.iter().position(|unit| unit.config.lun == lun)) else {
            return self.no_unit(key, &request, out);
        };
        if self.waits_for_list(key.0, unit) {
            self.insert(key, unit, Stage::Held(request), 0, nothing());
            return self.held.push(key);
        }
        self.begin(key, unit, &request, out);
        self.settle(out);
    }

    /// Whether a PERSISTENT RESERVE OUT of the nexus waits for its parameter list.
    fn waits_for_list(&self, nexus: Nexus, unit: usize) -> bool {
        let mut own = self.tasks.range((nexus, Tag(0))..=(nexus, Tag(u32::MAX)));
        own.any(|(_, task)| task.unit == unit && matches!(task.stage, Stage::Listing(_)))
    }

    /// Whoever waited behind a PERSISTENT RESERVE OUT goes on, in order, up to the next one.
    pub(super) fn release_held(&mut self, out: &mut Vec<Effect>) {
        let mut at = 0;
        while at < self.held.len() {
            let key = self.held[at];
            let unit = self.tasks[&key].unit;
            if self.waits_for_list(key.0, unit) {
                at += 1;
                continue;
            }
            self.held.remove(at);
            if let Some(Task { stage: Stage::Held(request), .. }) = self.tasks.remove(&key) {
                self.begin(key, unit, &request, out);
            }
        }
    }

    fn insert(&mut self, key: Key, unit: usize, stage: Stage, length: u64, answer: Answer) {
        let task = Task { unit, stage, length, answer, detail: None };
        self.tasks.insert(key, task);
    }

    /// A LUN without logical unit (SPC-4 6.4.1, SAM-5 4.7).
    fn no_unit(&mut self, key: Key, request: &Request, out: &mut Vec<Effect>) {
        let (data, allocation) = match Cdb::decode(&request.cdb) {
            Ok(Cdb::Inquiry { vital: false, page: 0, allocation }) => {
                (inquiry::encode(false), u32::from(allocation))
            }
            Ok(Cdb::RequestSense { descriptors, allocation }) => {
                let format = if descriptors { Format::Descriptors } else { Format::Fixed };
                (SenseData::of(NO_SUCH_UNIT).encode(format), u32::from(allocation))
            }
            Ok(Cdb::ReportLuns { select, allocation }) => match answers::luns(&self.config, select) {
                Ok(data) => (data, allocation),
                Err(sense) => return self.refuse(key, sense, Format::Fixed, out),
            },
            _ => return self.refuse(key, SenseData::of(NO_SUCH_UNIT), Format::Fixed, out),
        };
        self.respond(key, answered(data, allocation), out);
    }

    /// The command is looked at.
    fn begin(&mut self, key: Key, unit: usize, request: &Request, out: &mut Vec<Effect>) {
        let config = self.units[unit].config;
        let cdb = match Cdb::decode(&request.cdb) {
            Ok(Cdb::Unmap { .. }) if !config.thin => Err(SenseData::of(Sense::INVALID_OPCODE)),
            Ok(cdb) => Ok(cdb),
            Err(Unknown::Opcode) => Err(SenseData::of(Sense::INVALID_OPCODE)),
            Err(Unknown::ServiceAction) => Err(SenseData::in_cdb(1)),
        };
        let cdb = match cdb {
            Ok(cdb) => cdb,
            Err(sense) => return self.refuse(key, sense, self.format(unit), out),
        };
        let state = self.access_state(key);
        if !answers::passes(&cdb, state) {
            let sense = if state == AccessState::Standby { STANDBY } else { UNAVAILABLE };
            return self.offer(key, unit, cdb.name(), Err(SenseData::of(sense)), out);
        }
        if let Some(plan) = plan::plan(&cdb, request, &config, self.units[unit].settings) {
            return self.admit(key, unit, plan, request, out);
        }
        match cdb {
            Cdb::PersistentReserveIn { action, allocation } => match pr::in_action(action) {
                Some(action) => {
                    self.insert(key, unit, Stage::Asked, 0, Answer::Reservations { allocation });
                    self.dispatch(key, unit, Command::PrIn(action), out);
                }
                None => {
                    self.offer(key, unit, Name::PersistentReserveIn, Err(SenseData::in_cdb(1)), out);
                }
            },
            Cdb::PersistentReserveOut { action, scope, kind, length } => {
                let Some(action) = pr::out_action(action) else {
                    let fault = Err(SenseData::in_cdb(1));
                    return self.offer(key, unit, Name::PersistentReserveOut, fault, out);
                };
                self.reserve_out(key, unit, Order { action, scope, kind }, length, request, out);
            }
            Cdb::Reserve { elaborate: true, .. } | Cdb::Release { elaborate: true, .. } => {
                self.offer(key, unit, cdb.name(), Err(SenseData::in_cdb(1)), out);
            }
            Cdb::Reserve { .. } => {
                self.insert(key, unit, Stage::Asked, 0, nothing());
                self.dispatch(key, unit, Command::LegacyReserve, out);
            }
            Cdb::Release { .. } => {
                self.insert(key, unit, Stage::Asked, 0, nothing());
                self.dispatch(key, unit, Command::LegacyRelease, out);
            }
            Cdb::RequestSense { descriptors, allocation } => {
                let sense = self.units[unit].target.take_attention(key.0).unwrap_or(NO_SENSE);
                let format = if descriptors { Format::Descriptors } else { Format::Fixed };
                let data = cut(SenseData::of(sense).encode(format), u32::from(allocation));
                self.offer(key, unit, Name::RequestSense, Ok(data), out);
            }
            Cdb::ReceiveCopyStatus { .. }
            | Cdb::ReceiveCopyParameters { .. }
            | Cdb::ReceiveRodTokenInformation { .. } => {
                let answer = self.copies.results(&cdb, key.0, unit, &config);
                self.offer(key, unit, Name::ReceiveCopyResults, answer, out);
            }
            _ => {
                let port = self.names.pair(key.0).map(|pair| pair.1).expect("a session has a name");
                let settings = self.units[unit].settings;
                let question = Question { config: &self.config, unit: &config, settings, port };
                let answer = answers::answer(&cdb, &question).expect("every other command is one of these");
                self.offer(key, unit, cdb.name(), answer, out);
            }
        }
    }

    fn access_state(&self, key: Key) -> AccessState {
        let port = self.names.pair(key.0).map(|pair| pair.1);
        let found = self.config.target_ports.iter().find(|known| Some(known.port) == port);
        found.map_or(AccessState::Unavailable, |known| known.state)
    }

    fn dispatch(&mut self, key: Key, unit: usize, command: Command, out: &mut Vec<Effect>) {
        let (nexus, tag) = key;
        self.ask(unit, target::Input::Dispatch { nexus, tag, command }, out);
    }

    /// A command that is answered at once, if nothing goes before it.
    pub(super) fn offer(
        &mut self,
        key: Key,
        unit: usize,
        name: Name,
        answer: Result<Vec<u8>, SenseData>,
        out: &mut Vec<Effect>,
    ) {
        let (data, detail) = match answer {
            Ok(data) => (Bytes::from(data), None),
            Err(sense) => (Bytes::new(), Some(sense)),
        };
        let length = data.len() as u64;
        let answer = Answer::Data(data);
        let task = Task { unit, stage: Stage::Asked, length, answer, detail };
        self.tasks.insert(key, task);
        let offer = Offer { name, medium: None, fault: detail.map(|detail| detail.sense) };
        self.ask(unit, target::Input::Offer { nexus: key.0, tag: key.1, offer }, out);
    }

    fn reserve_out(
        &mut self,
        key: Key,
        unit: usize,
        order: Order,
        length: u32,
        request: &Request,
        out: &mut Vec<Effect>,
    ) {
        if length > LIST_MAX {
            let fault = Err(SenseData::of(Sense::PARAMETER_LIST_LENGTH_ERROR));
            return self.offer(key, unit, Name::PersistentReserveOut, fault, out);
        }
        self.insert(key, unit, Stage::Listing(order), u64::from(length), nothing());
        self.collect(key, u64::from(length), request, out);
    }

    /// A command with a task: the target lets it in, then its data is collected.
    fn admit(&mut self, key: Key, unit: usize, plan: Plan, request: &Request, out: &mut Vec<Effect>) {
        let Plan { name, medium, fault, length, sends, work } = plan;
        let answer = match &work {
            Planned::Job(super::super::job::Job::Read(span)) => Answer::Blocks(Lba(span.lba), Bytes::new()),
            Planned::Job(_) | Planned::List(_) => nothing(),
        };
        let stage = match work {
            Planned::Job(job) => Stage::Collecting(job),
            Planned::List(list) => Stage::CollectingList(list),
        };
        let task = Task { unit, stage, length, answer, detail: fault };
        self.tasks.insert(key, task);
        let offer = Offer { name, medium: Some(medium), fault: fault.map(|fault| fault.sense) };
        self.ask(unit, target::Input::Offer { nexus: key.0, tag: key.1, offer }, out);
        if self.tasks.contains_key(&key) {
            self.collect(key, if sends { length } else { 0 }, request, out);
        }
    }

    /// Asks for the data of a task, or goes on without.
    fn collect(&mut self, key: Key, length: u64, request: &Request, out: &mut Vec<Effect>) {
        let bytes = if request.writes { length.min(u64::from(request.expected)) } else { 0 };
        match u32::try_from(bytes) {
            Ok(0) => self.supplied(key, Ok(Vec::new()), out),
            Ok(bytes) => out.push(Effect::Ask { nexus: key.0, tag: key.1, bytes }),
            Err(_) => unreachable!("what a command sends is limited by `expected`, which has 32 bits"),
        }
    }
}

fn cut(mut data: Vec<u8>, allocation: u32) -> Vec<u8> {
    data.truncate(usize::try_from(allocation).unwrap_or(usize::MAX));
    data
}

fn answered(data: Vec<u8>, allocation: u32) -> Response {
    let data = Bytes::from(cut(data, allocation));
    let length = data.len() as u64;
    Response { status: status::GOOD, sense: Vec::new(), data, length }
}
