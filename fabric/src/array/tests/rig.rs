//! An array with its disk, as its driver and its initiators see it.

use crate::array::*;
use crate::scsi::cdb::Cdb;
use crate::scsi::pr::{self, ParameterList};
use crate::scsi::report::{AccessState, lun_bytes};
use crate::scsi::sense::SenseData;
use crate::scsi::status;
use alloc::collections::BTreeMap;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;
use bytes::Bytes;
use redline_vocab::{Event, Key, Nexus, NodeId, Quirks, Sense, ServiceAction, Tag};

pub(super) const BLOCK: usize = 512;
pub(super) const BLOCKS: u64 = 4096;
/// Guests, on port 1.
pub(super) const A: Nexus = Nexus(0);
pub(super) const B: Nexus = Nexus(1);

pub(super) fn initiator(name: &str, last: u8) -> InitiatorPort {
    InitiatorPort { name: name.to_string(), isid: [0x80, 0, 0, 0, 0, last] }
}

pub(super) fn unit(lun: u16) -> UnitConfig {
    UnitConfig {
        lun,
        blocks: BLOCKS,
        block_bytes: 512,
        physical_exponent: 0,
        thin: true,
        reads_zeros: true,
        write_back: true,
    }
}

/// Two guests on port 1, two ports, two units.
pub(super) fn config() -> Config {
    let known = ["a", "b"].into_iter().zip(0..).map(|(name, node)| KnownNexus {
        node: NodeId(node),
        initiator: initiator(name, 0),
        port: TargetPort(1),
    });
    let port = |number, state| TargetPortConfig { port: TargetPort(number), state };
    Config {
        name: "iqn.2026-11.example:array".to_string(),
        serial: 7,
        units: vec![unit(0), unit(1)],
        target_ports: vec![
            port(1, AccessState::ActiveOptimized),
            port(2, AccessState::ActiveOptimized),
            port(3, AccessState::Standby),
        ],
        known: known.collect(),
        registrants_max: 8,
        tasks_max: 16,
        secret: [9; 32],
        events: true,
    }
}

/// An answer, or that there is none.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Answered {
    Good(Bytes),
    Check(Sense),
    Conflict,
    Other(u8),
    /// It is not answered yet.
    Waits,
    Dropped,
}

pub(super) struct Rig {
    pub(super) array: Array,
    config: Config,
    media: Vec<Vec<u8>>,
    allocated: Vec<Vec<bool>>,
    pub(super) stored: Option<Vec<u8>>,
    /// Data-Out of commands that have been sent.
    data: BTreeMap<(Nexus, Tag), Bytes>,
    pub(super) responses: BTreeMap<(Nexus, Tag), Response>,
    pub(super) dropped: Vec<(Nexus, Tag)>,
    pub(super) managed: BTreeMap<(Nexus, Tag), Managed>,
    pub(super) logins: BTreeMap<u64, Option<Nexus>>,
    pub(super) events: Vec<Event>,
    pub(super) effects: Vec<Effect>,
    /// Disk operations wait here while the disk is held.
    pub(super) waiting: Vec<(DiskId, DiskOperation)>,
    pub(super) holds_disk: bool,
    /// Data-Out is not delivered.
    pub(super) holds_data: bool,
    pub(super) asked: Vec<(Nexus, Tag)>,
    next: u32,
}

impl Rig {
    /// Two guests are logged in and have heard of the power on.
    pub(super) fn new() -> Rig {
        let mut rig = Rig::powered_on(config(), None);
        rig.login_guests();
        rig
    }

    pub(super) fn with(config: Config) -> Rig {
        let mut rig = Rig::powered_on(config, None);
        rig.login_guests();
        rig
    }

    pub(super) fn login_guests(&mut self) {
        for (name, nexus) in [("a", A), ("b", B)] {
            assert_eq!(self.login(name, 0, 1), Some(nexus));
        }
    }

    pub(super) fn powered_on(config: Config, stored: Option<Vec<u8>>) -> Rig {
        let mut out = Vec::new();
        let array = Array::power_on(config.clone(), Quirks::NONE, stored.as_deref(), &mut out);
        let bytes = BLOCKS as usize * BLOCK;
        let mut rig = Rig {
            array,
            media: config.units.iter().map(|_| vec![0; bytes]).collect(),
            allocated: config.units.iter().map(|_| vec![false; BLOCKS as usize]).collect(),
            config,
            stored,
            data: BTreeMap::new(),
            responses: BTreeMap::new(),
            dropped: Vec::new(),
            managed: BTreeMap::new(),
            logins: BTreeMap::new(),
            events: Vec::new(),
            effects: Vec::new(),
            waiting: Vec::new(),
            holds_disk: false,
            holds_data: false,
            asked: Vec::new(),
            next: 1,
        };
        rig.carry_out(out);
        rig
    }

    /// The same array after a power cycle, with its medium and what it has stored.
    pub(super) fn power_cycle(self) -> Rig {
        let mut rig = Rig::powered_on(self.config, self.stored);
        rig.media = self.media;
        rig.allocated = self.allocated;
        rig
    }

    pub(super) fn step(&mut self, input: Input) {
        let mut out = Vec::new();
        self.array.step(input, &mut out);
        self.carry_out(out);
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            self.effects.push(effect.clone());
            match effect {
                Effect::LoggedIn { login, nexus } => {
                    self.logins.insert(login, Some(nexus));
                }
                Effect::LoginRefused { login } => {
                    self.logins.insert(login, None);
                }
                Effect::Ask { nexus, tag, bytes } => {
                    if self.holds_data {
                        self.asked.push((nexus, tag));
                        continue;
                    }
                    let sent = self.data[&(nexus, tag)].clone();
                    assert!(bytes as usize <= sent.len(), "never more than is expected");
                    let data = vec![sent.slice(..bytes as usize)];
                    self.step(Input::Data { nexus, tag, data });
                }
                Effect::Respond { nexus, tag, response } => {
                    let before = self.responses.insert((nexus, tag), response);
                    assert_eq!(before, None, "{tag} of {nexus} is answered twice");
                }
                Effect::Dropped { nexus, tag } => self.dropped.push((nexus, tag)),
                Effect::Managed { nexus, tag, outcome } => {
                    self.managed.insert((nexus, tag), outcome);
                }
                Effect::DropConnections => {}
                Effect::Disk { id, operation } if self.holds_disk => self.waiting.push((id, operation)),
                Effect::Disk { id, operation } => self.work(id, operation),
                Effect::Store(bytes) => self.stored = bytes,
                Effect::Event(event) => self.events.push(event),
            }
        }
    }

    /// Lets the disk do what waits, and everything after it.
    pub(super) fn release_disk(&mut self) {
        self.holds_disk = false;
        for (id, operation) in core::mem::take(&mut self.waiting) {
            self.work(id, operation);
        }
    }

    fn work(&mut self, id: DiskId, operation: DiskOperation) {
        let outcome = match operation {
            DiskOperation::Read { unit, offset, length } => {
                let medium = &self.media[usize::from(unit)];
                DiskOutcome::Read(Bytes::copy_from_slice(&medium[offset as usize..][..length as usize]))
            }
            DiskOperation::Write { unit, offset, data, .. } => {
                let bytes = data.concat();
                self.media[usize::from(unit)][offset as usize..][..bytes.len()].copy_from_slice(&bytes);
                self.mark(unit, offset, bytes.len() as u64, true);
                DiskOutcome::Done
            }
            DiskOperation::Unmap { unit, offset, length } => {
                self.media[usize::from(unit)][offset as usize..][..length as usize].fill(0);
                self.mark(unit, offset, length, false);
                DiskOutcome::Done
            }
            DiskOperation::Map { unit, offset, length } => {
                let blocks = &self.allocated[usize::from(unit)][offset as usize / BLOCK..];
                let blocks = &blocks[..length as usize / BLOCK];
                let allocated = blocks[0];
                let same = blocks.iter().take_while(|block| **block == allocated).count();
                DiskOutcome::Allocated { allocated, length: (same * BLOCK) as u64 }
            }
            DiskOperation::Flush { .. } => DiskOutcome::Done,
        };
        self.step(Input::DiskDone { id, outcome });
    }

    fn mark(&mut self, unit: u16, offset: u64, length: u64, allocated: bool) {
        let first = offset as usize / BLOCK;
        let count = length as usize / BLOCK;
        self.allocated[usize::from(unit)][first..first + count].fill(allocated);
    }

    pub(super) fn medium(&self, unit: usize, lba: u64, blocks: u64) -> &[u8] {
        &self.media[unit][lba as usize * BLOCK..][..blocks as usize * BLOCK]
    }

    /// Logs in and takes the news of the power on.
    pub(super) fn login(&mut self, name: &str, isid: u8, port: u16) -> Option<Nexus> {
        let nexus = self.login_only(name, isid, port)?;
        for lun in 0..self.config.units.len() as u16 {
            self.hear(nexus, lun);
        }
        Some(nexus)
    }

    pub(super) fn login_only(&mut self, name: &str, isid: u8, port: u16) -> Option<Nexus> {
        let login = u64::from(self.next);
        self.next += 1;
        let initiator = initiator(name, isid);
        self.step(Input::Login { login, initiator, port: TargetPort(port) });
        self.logins.get(&login).copied().flatten()
    }

    /// TEST UNIT READY until there is no more news; says what there was.
    pub(super) fn hear(&mut self, nexus: Nexus, lun: u16) -> Vec<Sense> {
        let mut heard = Vec::new();
        loop {
            match self.on(nexus, lun, Cdb::TestUnitReady, 0, &[]) {
                Answered::Check(sense) if sense.key == 6 => heard.push(sense),
                _ => return heard,
            }
        }
    }

    /// Sends a command to LUN 0; `expected_in` bytes of Data-In at most.
    pub(super) fn ask(&mut self, nexus: Nexus, cdb: Cdb, expected_in: u32) -> Answered {
        self.on(nexus, 0, cdb, expected_in, &[])
    }

    pub(super) fn send(&mut self, nexus: Nexus, cdb: Cdb, data: &[u8]) -> Answered {
        self.on(nexus, 0, cdb, 0, data)
    }

    pub(super) fn on(&mut self, nexus: Nexus, lun: u16, cdb: Cdb, expected_in: u32, data: &[u8]) -> Answered {
        let tag = self.begin(nexus, lun, cdb.encode(), expected_in, data);
        self.answer(nexus, tag)
    }

    pub(super) fn begin(
        &mut self,
        nexus: Nexus,
        lun: u16,
        cdb: [u8; 16],
        expected_in: u32,
        data: &[u8],
    ) -> Tag {
        let tag = Tag(self.next);
        self.next += 1;
        self.data.insert((nexus, tag), Bytes::copy_from_slice(data));
        let expected = if data.is_empty() { expected_in } else { data.len() as u32 };
        let request = Request {
            lun: lun_bytes(lun),
            cdb,
            expected,
            reads: data.is_empty() && expected_in > 0,
            writes: !data.is_empty(),
        };
        self.step(Input::Command { nexus, tag, request });
        tag
    }

    pub(super) fn answer(&self, nexus: Nexus, tag: Tag) -> Answered {
        let Some(response) = self.responses.get(&(nexus, tag)) else {
            let dropped = self.dropped.contains(&(nexus, tag));
            return if dropped { Answered::Dropped } else { Answered::Waits };
        };
        match response.status {
            status::GOOD => Answered::Good(response.data.clone()),
            status::CHECK_CONDITION => {
                Answered::Check(SenseData::decode(&response.sense).expect("sense data reads").sense)
            }
            status::RESERVATION_CONFLICT => Answered::Conflict,
            other => Answered::Other(other),
        }
    }

    pub(super) fn manage(&mut self, nexus: Nexus, lun: u16, function: Function) -> Option<Managed> {
        let tag = Tag(self.next);
        self.next += 1;
        self.step(Input::Manage { nexus, tag, lun: lun_bytes(lun), function });
        self.managed.get(&(nexus, tag)).copied()
    }

    /// PERSISTENT RESERVE OUT.
    pub(super) fn order(&mut self, nexus: Nexus, order: Order) -> Answered {
        let tag = self.order_only(nexus, order);
        self.answer(nexus, tag)
    }

    pub(super) fn order_only(&mut self, nexus: Nexus, order: Order) -> Tag {
        let data = order.list.encode(order.action);
        let cdb = Cdb::PersistentReserveOut {
            action: pr::out_code(order.action),
            scope: 0,
            kind: order.kind,
            length: data.len() as u32,
        };
        self.begin(nexus, 0, cdb.encode(), 0, &data)
    }

    pub(super) fn prin(&mut self, nexus: Nexus, action: u8, allocation: u16) -> Bytes {
        match self.ask(nexus, Cdb::PersistentReserveIn { action, allocation }, u32::from(allocation)) {
            Answered::Good(data) => data,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn keys(&mut self, nexus: Nexus) -> (u32, Vec<u64>) {
        let (generation, keys) = pr::decode_keys(&self.prin(nexus, 0, 1000)).expect("it is whole");
        (generation.0, keys.into_iter().map(|key| key.0).collect())
    }

    pub(super) fn reservation(&mut self, nexus: Nexus) -> Option<(u64, u8)> {
        let (_, held) = pr::decode_reservation(&self.prin(nexus, 1, 1000)).expect("it is whole");
        held.map(|held| (held.key.0, held.kind.code()))
    }

    pub(super) fn register(&mut self, nexus: Nexus, key: u64) {
        let order = Order::new(ServiceAction::RegisterAndIgnoreExistingKey, 0, key);
        assert_eq!(self.order(nexus, order), good());
    }

    pub(super) fn reserve(&mut self, nexus: Nexus, key: u64, kind: u8) {
        assert_eq!(self.order(nexus, Order::new(ServiceAction::Reserve, key, 0).of(kind)), good());
    }
}

/// A PERSISTENT RESERVE OUT to be sent.
#[derive(Clone)]
pub(super) struct Order {
    pub(super) action: ServiceAction,
    pub(super) kind: u8,
    pub(super) list: ParameterList,
}

impl Order {
    pub(super) fn new(action: ServiceAction, key: u64, service_key: u64) -> Order {
        let list = ParameterList {
            key: Key(key),
            service_key: Key(service_key),
            aptpl: false,
            spec_i_pt: false,
            all_tg_pt: false,
            unreg: false,
            initiators: Some(Vec::new()),
            destination: None,
        };
        Order { action, kind: 0, list }
    }

    pub(super) fn of(self, kind: u8) -> Order {
        Order { kind, ..self }
    }
}

pub(super) fn good() -> Answered {
    Answered::Good(Bytes::new())
}

pub(super) fn check(key: u8, asc: u8, ascq: u8) -> Answered {
    Answered::Check(Sense { key, asc, ascq })
}
