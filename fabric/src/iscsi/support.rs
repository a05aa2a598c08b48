//! The laboratory of the tests: an endpoint, initiators, and behind the endpoint an array: the real one with a disk in memory, or one
//! that follows a script by opcode.
//!
//! | opcode | the array |
//! |---|---|
//! | 00h | GOOD |
//! | 28h READ(10) | data of its blocks |
//! | 2Ah WRITE(10) | asks, writes what comes, GOOD |
//! | 1Ah MODE SENSE(6) | 24 bytes, cut to the allocation length |
//! | 12h | CHECK CONDITION with 18 bytes of sense |
//! | C0h | no answer until it is aborted |
//! | C1h | RESERVATION CONFLICT |

use super::chap::{Account, Algorithm, Challenge};
use super::initiator::{self, Credentials, Direction, Event, Initiator, Opening, ScsiCommand, Settings};
use super::negotiate::Offer;
use super::pdu::{Bounds, Decoder, Frame, Header, Writer};
use super::serial::Sn;
use super::target::{
    Accounts, CloseReason, Config, ConnectionId, Effect, Endpoint, Input, Limits, Notice, Portal, Timing,
};
use crate::array::{
    self, Array, DiskOperation, DiskOutcome, Function, InitiatorPort, Managed, Response, TargetPort,
    TargetPortConfig, UnitConfig,
};
use crate::scsi::report::AccessState;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;
use bytes::Bytes;
use redline_vocab::{Micros, Nexus, Quirks, Tag};

pub(super) const BLOCK: usize = 512;
pub(super) const TARGET: &str = "iqn.2026-11.example.redline:array";

/// The array.
#[derive(Default)]
pub(super) struct Script {
    nexuses: Vec<(InitiatorPort, TargetPort)>,
    pub(super) medium: Vec<u8>,
    /// Commands that are not answered.
    pub(super) open: BTreeMap<(Nexus, Tag), array::Request>,
    /// Commands that were aborted: data for them may be on their way.
    aborted: BTreeSet<(Nexus, Tag)>,
    pub(super) log: Vec<array::Input>,
    /// Logins are answered only when this is false.
    pub(super) slow: bool,
    pub(super) logins: Vec<(u64, Nexus)>,
    pub(super) full: bool,
}

pub(super) fn good(data: Bytes, length: u64) -> Response {
    Response { status: 0, sense: Vec::new(), data, length }
}

pub(super) fn check(key: u8, asc: u8, ascq: u8) -> Response {
    let mut sense = vec![0; 18];
    (sense[0], sense[2], sense[7], sense[12], sense[13]) = (0x70, key, 10, asc, ascq);
    Response { status: 2, sense, data: Bytes::new(), length: 0 }
}

fn range(cdb: &[u8; 16]) -> (usize, usize) {
    let lba = u32::from_be_bytes([cdb[2], cdb[3], cdb[4], cdb[5]]) as usize;
    (lba * BLOCK, usize::from(u16::from_be_bytes([cdb[7], cdb[8]])) * BLOCK)
}

impl Script {
    pub(super) fn new() -> Script {
        Script { medium: (0..64 * BLOCK).map(|at| (at / BLOCK) as u8).collect(), ..Script::default() }
    }

    fn step(&mut self, input: array::Input, effects: &mut Vec<array::Effect>) {
        self.log.push(input.clone());
        match input {
            array::Input::Login { login, initiator, port } => {
                if self.full {
                    effects.push(array::Effect::LoginRefused { login });
                    return;
                }
                let who = (initiator, port);
                let place = self.nexuses.iter().position(|known| *known == who).unwrap_or_else(|| {
                    self.nexuses.push(who);
                    self.nexuses.len() - 1
                });
                let nexus = Nexus(place as u8);
                self.open.retain(|(of, _), _| *of != nexus);
                if self.slow {
                    self.logins.push((login, nexus));
                } else {
                    effects.push(array::Effect::LoggedIn { login, nexus });
                }
            }
            array::Input::Logout(nexus) | array::Input::NexusLost(nexus) => {
                self.open.retain(|(of, _), _| *of != nexus);
            }
            array::Input::Command { nexus, tag, request } => self.command(nexus, tag, request, effects),
            array::Input::Data { nexus, tag, data } => {
                let Some(request) = self.open.remove(&(nexus, tag)) else {
                    assert!(
                        self.aborted.remove(&(nexus, tag)),
                        "data of a command that does not wait for any"
                    );
                    return;
                };
                let (offset, length) = range(&request.cdb);
                let data = data.concat();
                assert!(data.len() <= length);
                self.medium[offset..offset + data.len()].copy_from_slice(&data);
                effects.push(array::Effect::Respond {
                    nexus,
                    tag,
                    response: good(Bytes::new(), length as u64),
                });
            }
            array::Input::DataBroken { nexus, tag } => {
                if self.open.remove(&(nexus, tag)).is_none() {
                    assert!(
                        self.aborted.remove(&(nexus, tag)),
                        "data of a command that does not wait for any"
                    );
                    return;
                }
                effects.push(array::Effect::Respond { nexus, tag, response: check(0x0B, 0x4B, 0) });
            }
            array::Input::Manage { nexus, tag, function, .. } => self.manage(nexus, tag, function, effects),
            other => unreachable!("the script has no disk: {other:?}"),
        }
    }

    fn command(&mut self, nexus: Nexus, tag: Tag, request: array::Request, effects: &mut Vec<array::Effect>) {
        assert!(!self.open.contains_key(&(nexus, tag)), "a tag is used twice");
        self.aborted.remove(&(nexus, tag));
        let (offset, length) = range(&request.cdb);
        let response = match request.cdb[0] {
            0x28 | 0x2A if offset + length > self.medium.len() => check(5, 0x21, 0),
            0x2A if length == 0 => good(Bytes::new(), 0),
            0x00 => good(Bytes::new(), 0),
            0x28 => good(Bytes::copy_from_slice(&self.medium[offset..offset + length]), length as u64),
            0x2A => {
                self.open.insert((nexus, tag), request);
                effects.push(array::Effect::Ask { nexus, tag, bytes: length as u32 });
                return;
            }
            0x1A => {
                let mut data = Bytes::from_static(&[0x5A; 24]);
                data.truncate(usize::from(request.cdb[4]));
                let length = data.len() as u64;
                good(data, length)
            }
            0x12 => check(5, 0x24, 0),
            0xC1 => Response { status: 0x18, sense: Vec::new(), data: Bytes::new(), length: 0 },
            _ => {
                self.open.insert((nexus, tag), request);
                return;
            }
        };
        effects.push(array::Effect::Respond { nexus, tag, response });
    }

    fn manage(&mut self, nexus: Nexus, tag: Tag, function: Function, effects: &mut Vec<array::Effect>) {
        let all = |of: Nexus| matches!(function, Function::AbortTaskSet) && of == nexus;
        let ended: Vec<(Nexus, Tag)> = match function {
            Function::AbortTask(task) => {
                self.open.keys().copied().filter(|key| *key == (nexus, task)).collect()
            }
            Function::AbortTaskSet => self.open.keys().copied().filter(|(of, _)| all(*of)).collect(),
            _ => self.open.keys().copied().collect(),
        };
        let found = !ended.is_empty() || !matches!(function, Function::AbortTask(_));
        for (nexus, tag) in ended {
            self.open.remove(&(nexus, tag));
            self.aborted.insert((nexus, tag));
            effects.push(array::Effect::Dropped { nexus, tag });
        }
        let outcome = if found { Managed::Complete } else { Managed::NoSuchTask };
        effects.push(array::Effect::Managed { nexus, tag, outcome });
        if function == Function::TargetColdReset {
            effects.push(array::Effect::DropConnections);
        }
    }
}

/// The real array, with a disk in memory that is done at once.
pub(super) struct Real {
    array: Array,
    ram: Vec<u8>,
}

impl Real {
    pub(super) fn new() -> Real {
        let unit = UnitConfig {
            lun: 0,
            blocks: 64,
            block_bytes: BLOCK as u32,
            physical_exponent: 0,
            thin: true,
            reads_zeros: true,
            write_back: false,
        };
        let port =
            |number| TargetPortConfig { port: TargetPort(number), state: AccessState::ActiveOptimized };
        let config = array::Config {
            name: TARGET.to_string(),
            serial: 1,
            units: vec![unit],
            target_ports: vec![port(1), port(2)],
            known: Vec::new(),
            registrants_max: 64,
            tasks_max: 256,
            secret: [7; 32],
            events: false,
        };
        let array = Array::power_on(config, Quirks::NONE, None, &mut Vec::new());
        Real { array, ram: vec![0; 64 * BLOCK] }
    }

    fn step(&mut self, input: array::Input, answers: &mut Vec<array::Effect>) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let mut effects = Vec::new();
            self.array.step(input, &mut effects);
            for effect in effects {
                match effect {
                    array::Effect::Disk { id, operation } => {
                        let outcome = self.disk(operation);
                        inputs.push_back(array::Input::DiskDone { id, outcome });
                    }
                    other => answers.push(other),
                }
            }
        }
    }

    fn disk(&mut self, operation: DiskOperation) -> DiskOutcome {
        match operation {
            DiskOperation::Read { offset, length, .. } => {
                let offset = offset as usize;
                DiskOutcome::Read(Bytes::copy_from_slice(&self.ram[offset..offset + length as usize]))
            }
            DiskOperation::Write { offset, data, .. } => {
                let data = data.concat();
                self.ram[offset as usize..offset as usize + data.len()].copy_from_slice(&data);
                DiskOutcome::Done
            }
            DiskOperation::Unmap { offset, length, .. } => {
                self.ram[offset as usize..(offset + length) as usize].fill(0);
                DiskOutcome::Done
            }
            DiskOperation::Map { length, .. } => DiskOutcome::Allocated { allocated: true, length },
            DiskOperation::Flush { .. } => DiskOutcome::Done,
        }
    }
}

/// One side of a connection that the tests hold: an initiator, or just bytes.
pub(super) struct Peer {
    pub(super) initiator: Option<Initiator>,
    pub(super) events: Vec<Event>,
    /// Bytes from the target that no initiator takes.
    pub(super) received: Vec<u8>,
    pub(super) closed: Option<CloseReason>,
    /// What the initiator closed itself.
    pub(super) left: bool,
}

/// Everything.
pub(super) struct World {
    pub(super) now: Micros,
    pub(super) endpoint: Endpoint,
    pub(super) script: Script,
    /// Takes the script's place.
    pub(super) real: Option<Real>,
    pub(super) peers: BTreeMap<ConnectionId, Peer>,
    pub(super) notices: Vec<Notice>,
    /// Bytes travel in chunks of this length at most.
    pub(super) chunk: usize,
    wire: VecDeque<Arrival>,
    next: u64,
}

/// What is under way.
enum Arrival {
    Target(Input),
    Peer(ConnectionId, Bytes),
}

pub(super) fn config() -> Config {
    Config {
        name: TARGET.to_string(),
        portals: vec![
            Portal { address: "127.0.0.1:3260".to_string(), port: TargetPort(1) },
            Portal { address: "127.0.0.1:3261".to_string(), port: TargetPort(2) },
        ],
        chap: None,
        offer: Offer::TARGET,
        limits: Limits::USUAL,
        timing: Timing::USUAL,
    }
}

pub(super) fn settings(node: u8) -> Settings {
    Settings {
        name: alloc::format!("iqn.2026-11.example.redline:node-{node}"),
        isid: [0x80, 0, 0, 0, 0, node],
        tsih: 0,
        cid: 0,
        target: Some(TARGET.to_string()),
        credentials: None,
        opening: Opening::Operational,
        offer: Offer::INITIATOR,
        cmd_sn: Sn(u32::MAX - 2),
    }
}

pub(super) fn account(name: &str, secret: &str) -> Account {
    Account { name: name.to_string(), secret: secret.as_bytes().to_vec() }
}

pub(super) fn accounts(mutual: bool) -> Accounts {
    Accounts {
        initiator: account("alice", "correct horse"),
        target: mutual.then(|| account("array", "battery staple")),
    }
}

pub(super) fn credentials(algorithms: &[Algorithm], mutual: bool) -> Credentials {
    Credentials {
        initiator: account("alice", "correct horse"),
        target: mutual.then(|| account("array", "battery staple")),
        algorithms: algorithms.to_vec(),
        challenge: Challenge { id: 9, bytes: [0x3C; 32] },
    }
}

pub(super) fn challenge(seed: u64) -> Challenge {
    Challenge { id: seed as u8, bytes: [0xA5 ^ seed as u8; 32] }
}

impl World {
    pub(super) fn new(config: Config) -> World {
        World {
            now: Micros(1),
            endpoint: Endpoint::new(config).expect("the tests' configurations work"),
            script: Script::new(),
            real: None,
            peers: BTreeMap::new(),
            notices: Vec::new(),
            chunk: usize::MAX,
            wire: VecDeque::new(),
            next: 0,
        }
    }

    /// A connection without an initiator.
    pub(super) fn dial(&mut self, port: u16) -> ConnectionId {
        let connection = ConnectionId(self.next);
        self.next += 1;
        let peer =
            Peer { initiator: None, events: Vec::new(), received: Vec::new(), closed: None, left: false };
        self.peers.insert(connection, peer);
        let challenge = challenge(connection.0);
        let port = TargetPort(port);
        self.target(Input::Accepted { connection, port, peer: "test".to_string(), challenge });
        connection
    }

    /// A connection with an initiator, which begins to log in.
    pub(super) fn connect(&mut self, settings: Settings, port: u16) -> ConnectionId {
        let connection = self.dial(port);
        self.peer(connection).initiator = Some(Initiator::new(settings));
        self.tell(connection, initiator::Input::Connected);
        connection
    }

    /// The same, and the login must succeed.
    pub(super) fn login(&mut self, settings: Settings, port: u16) -> ConnectionId {
        let connection = self.connect(settings, port);
        let peer = self.peer(connection);
        assert!(peer.initiator.as_ref().is_some_and(Initiator::is_logged_in), "{:?}", peer.events);
        peer.events.clear();
        connection
    }

    pub(super) fn peer(&mut self, connection: ConnectionId) -> &mut Peer {
        self.peers.get_mut(&connection).expect("the connection was made")
    }

    /// Events since the last time.
    pub(super) fn events(&mut self, connection: ConnectionId) -> Vec<Event> {
        core::mem::take(&mut self.peer(connection).events)
    }

    /// Something happens to an initiator, and everything that follows from it.
    pub(super) fn tell(&mut self, connection: ConnectionId, input: initiator::Input) {
        self.towards_peer(connection, input);
        self.settle();
    }

    /// Bytes reach the target, and everything that follows from it.
    pub(super) fn carry(&mut self, connection: ConnectionId, bytes: &[u8]) {
        self.towards_target(connection, bytes);
        self.settle();
    }

    /// Something happens to the target, and everything that follows from it.
    pub(super) fn target(&mut self, input: Input) {
        self.wire.push_back(Arrival::Target(input));
        self.settle();
    }

    fn towards_target(&mut self, connection: ConnectionId, bytes: &[u8]) {
        for chunk in bytes.chunks(self.chunk) {
            let bytes = Bytes::copy_from_slice(chunk);
            self.wire.push_back(Arrival::Target(Input::Received { connection, bytes }));
        }
    }

    fn towards_peer(&mut self, connection: ConnectionId, input: initiator::Input) {
        let mut effects = Vec::new();
        let peer = self.peer(connection);
        peer.initiator.as_mut().expect("an initiator").step(input, &mut effects);
        for effect in effects {
            match effect {
                initiator::Effect::Send(pieces) => self.towards_target(connection, &pieces.concat()),
                initiator::Effect::Close => {
                    self.peer(connection).left = true;
                    self.wire.push_back(Arrival::Target(Input::Closed { connection }));
                }
                initiator::Effect::Event(event) => self.peer(connection).events.push(event),
            }
        }
    }

    /// Lets everything arrive that is under way, in order.
    fn settle(&mut self) {
        while let Some(arrival) = self.wire.pop_front() {
            match arrival {
                Arrival::Target(input) => self.step(input),
                Arrival::Peer(connection, bytes) => match self.peer(connection).initiator {
                    Some(_) => self.towards_peer(connection, initiator::Input::Received(bytes)),
                    None => self.peer(connection).received.extend_from_slice(&bytes),
                },
            }
        }
    }

    fn step(&mut self, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let mut effects = Vec::new();
            self.endpoint.step(self.now, input, &mut effects);
            for effect in effects {
                match effect {
                    Effect::Send { connection, pieces } => {
                        assert!(pieces.iter().all(|piece| !piece.is_empty()) && !pieces.is_empty());
                        assert_eq!(self.peer(connection).closed, None, "nothing is sent after the end");
                        for chunk in pieces.concat().chunks(self.chunk) {
                            self.wire.push_back(Arrival::Peer(connection, Bytes::copy_from_slice(chunk)));
                        }
                    }
                    Effect::Close { connection, reason } => self.peer(connection).closed = Some(reason),
                    Effect::Array(input) => {
                        let mut answers = Vec::new();
                        match &mut self.real {
                            Some(real) => real.step(input, &mut answers),
                            None => self.script.step(input, &mut answers),
                        }
                        inputs.extend(answers.into_iter().map(Input::Array));
                    }
                    Effect::Notice(notice) => self.notices.push(notice),
                }
            }
        }
    }

    /// From now on the tests speak for the initiator, who goes on as it was.
    pub(super) fn detach(&mut self, connection: ConnectionId) -> Initiator {
        self.peer(connection).initiator.take().expect("an initiator")
    }

    /// A PDU of the tests' own making reaches the target; without digests.
    pub(super) fn inject(&mut self, connection: ConnectionId, header: Header, data: &[u8]) {
        let mut writer = Writer::default();
        writer.put(&header, &[Bytes::copy_from_slice(data)]);
        self.carry(connection, &writer.take().concat());
    }

    /// What the target has sent since the last time, to a connection that has no initiator.
    pub(super) fn frames(&mut self, connection: ConnectionId) -> Vec<Frame> {
        let received = core::mem::take(&mut self.peer(connection).received);
        let mut decoder = Decoder::new(Bounds { data_max: 0xFF_FFFF, ahs_max: 0 });
        decoder.push(Bytes::from(received));
        let mut frames = Vec::new();
        while let Some(frame) = decoder.next().expect("the target speaks well") {
            frames.push(frame);
        }
        assert_eq!(decoder.held(), 0, "the target sends whole PDUs");
        frames
    }

    /// The headers of those.
    pub(super) fn headers(&mut self, connection: ConnectionId) -> Vec<Header> {
        self.frames(connection)
            .into_iter()
            .map(|frame| frame.header.expect("headers that mean something"))
            .collect()
    }

    /// Time passes.
    pub(super) fn wait(&mut self, seconds: u64) {
        self.now.0 += seconds * 1_000_000;
        self.target(Input::Tick);
    }

    /// The connection breaks.
    pub(super) fn cut(&mut self, connection: ConnectionId) {
        self.tell(connection, initiator::Input::Closed);
        self.target(Input::Closed { connection });
    }

    /// A command, and its completions.
    pub(super) fn command(
        &mut self,
        connection: ConnectionId,
        command: ScsiCommand,
    ) -> Vec<initiator::Completion> {
        self.tell(connection, initiator::Input::Command(command));
        let events = self.events(connection);
        let completions = events.into_iter().map(|event| match event {
            Event::Completed(completion) => completion,
            other => panic!("only completions are expected here: {other:?}"),
        });
        completions.collect()
    }
}

pub(super) fn scsi(tag: u32, cdb: &[u8], direction: Direction) -> ScsiCommand {
    let mut padded = [0; 16];
    padded[..cdb.len()].copy_from_slice(cdb);
    ScsiCommand { tag: Tag(tag), lun: [0; 8], cdb: padded, direction, attribute: 1, immediate: false }
}

pub(super) fn rw10(opcode: u8, lba: u8, blocks: u8) -> [u8; 10] {
    [opcode, 0, 0, 0, 0, lba, 0, 0, blocks, 0]
}

pub(super) fn read10(tag: u32, lba: u8, blocks: u8, expected: u32) -> ScsiCommand {
    scsi(tag, &rw10(0x28, lba, blocks), Direction::In(expected))
}

pub(super) fn write10(tag: u32, lba: u8, blocks: u8, expected: u32, fill: u8) -> ScsiCommand {
    let data = vec![Bytes::from(vec![fill; expected as usize])];
    scsi(tag, &rw10(0x2A, lba, blocks), Direction::Out { expected, data, withheld: false })
}
