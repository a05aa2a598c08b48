//! What iSCSI and the array cost for each command, without sockets and disks: initiator, target endpoint and array against each other in
//! memory, on one core.
//!
//! The figures bound from above what a process can reach that adds system calls. Data are never copied between disk and socket, so the
//! time does not depend on their length but for the digests.

use bytes::Bytes;
use redline_fabric::array::{
    self, Array, DiskOperation, DiskOutcome, TargetPort, TargetPortConfig, UnitConfig,
};
use redline_fabric::iscsi::chap::Challenge;
use redline_fabric::iscsi::crc::Crc32c;
use redline_fabric::iscsi::initiator::{self, Direction, Event, Initiator, Opening, ScsiCommand, Settings};
use redline_fabric::iscsi::negotiate::Offer;
use redline_fabric::iscsi::serial::Sn;
use redline_fabric::iscsi::target::{self, Config, ConnectionId, Endpoint, Limits, Portal, Timing};
use redline_fabric::scsi::report::AccessState;
use redline_vocab::{Micros, Quirks, Tag};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

const NAME: &str = "iqn.2026-11.example.redline:array";
const ONE: ConnectionId = ConnectionId(1);
const RUN: Duration = Duration::from_secs(1);

struct World {
    endpoint: Endpoint,
    array: Array,
    initiator: Initiator,
    /// What the disk reads: always the same bytes, since their content costs nothing.
    blocks: Bytes,
    done: usize,
}

impl World {
    fn new(offer: Offer) -> World {
        let config = Config {
            name: NAME.to_string(),
            portals: vec![Portal { address: "127.0.0.1:3260".to_string(), port: TargetPort(1) }],
            chap: None,
            offer: Offer::TARGET,
            limits: Limits::USUAL,
            timing: Timing::USUAL,
        };
        let unit = UnitConfig {
            lun: 0,
            blocks: 1 << 20,
            block_bytes: 512,
            physical_exponent: 3,
            thin: true,
            reads_zeros: true,
            write_back: true,
        };
        let array = array::Config {
            name: NAME.to_string(),
            serial: 1,
            units: vec![unit],
            target_ports: vec![TargetPortConfig { port: TargetPort(1), state: AccessState::ActiveOptimized }],
            known: Vec::new(),
            registrants_max: 64,
            tasks_max: 256,
            secret: [7; 32],
            events: false,
        };
        let settings = Settings {
            name: "iqn.2026-11.example.redline:bench".to_string(),
            isid: [0x80, 0, 0, 0, 0, 1],
            tsih: 0,
            cid: 0,
            target: Some(NAME.to_string()),
            credentials: None,
            opening: Opening::Operational,
            offer,
            cmd_sn: Sn(1),
        };
        let mut world = World {
            endpoint: Endpoint::new(config).expect("the configuration works"),
            array: Array::power_on(array, Quirks::NONE, None, &mut Vec::new()),
            initiator: Initiator::new(settings),
            blocks: Bytes::from(vec![0xA5; 1 << 20]),
            done: 0,
        };
        let challenge = Challenge { id: 1, bytes: [1; 32] };
        let accepted = target::Input::Accepted {
            connection: ONE,
            port: TargetPort(1),
            peer: "bench".to_string(),
            challenge,
        };
        world.endpoint.step(Micros(1), accepted, &mut Vec::new());
        world.tell(vec![initiator::Input::Connected]);
        assert!(world.initiator.is_logged_in());
        // The news of the power on.
        world.tell(vec![command(1, [0; 16], Direction::None)]);
        world
    }

    /// Everything that follows from the initiator's inputs.
    fn tell(&mut self, inputs: Vec<initiator::Input>) {
        let mut inputs = VecDeque::from(inputs);
        while !inputs.is_empty() {
            let mut effects = Vec::new();
            inputs.drain(..).for_each(|input| self.initiator.step(input, &mut effects));
            let mut target = VecDeque::new();
            for effect in effects {
                match effect {
                    initiator::Effect::Send(pieces) => {
                        target.extend(
                            pieces
                                .into_iter()
                                .map(|bytes| target::Input::Received { connection: ONE, bytes }),
                        );
                    }
                    initiator::Effect::Event(Event::Completed(_)) => self.done += 1,
                    initiator::Effect::Event(_) => {}
                    initiator::Effect::Close => panic!("the session ends"),
                }
            }
            while let Some(input) = target.pop_front() {
                let mut effects = Vec::new();
                self.endpoint.step(Micros(2), input, &mut effects);
                for effect in effects {
                    match effect {
                        target::Effect::Send { pieces, .. } => {
                            inputs.extend(pieces.into_iter().map(initiator::Input::Received));
                        }
                        target::Effect::Array(input) => self.array(input, &mut target),
                        target::Effect::Notice(_) => {}
                        target::Effect::Close { reason, .. } => panic!("{reason}"),
                    }
                }
            }
        }
    }

    fn array(&mut self, input: array::Input, target: &mut VecDeque<target::Input>) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let mut effects = Vec::new();
            self.array.step(input, &mut effects);
            for effect in effects {
                match effect {
                    array::Effect::Disk { id, operation } => {
                        let outcome = match operation {
                            DiskOperation::Read { length, .. } => {
                                DiskOutcome::Read(self.blocks.slice(..length as usize))
                            }
                            DiskOperation::Map { length, .. } => {
                                DiskOutcome::Allocated { allocated: true, length }
                            }
                            DiskOperation::Write { .. }
                            | DiskOperation::Unmap { .. }
                            | DiskOperation::Flush { .. } => DiskOutcome::Done,
                        };
                        inputs.push_back(array::Input::DiskDone { id, outcome });
                    }
                    other => target.push_back(target::Input::Array(other)),
                }
            }
        }
    }
}

fn command(tag: u32, cdb: [u8; 16], direction: Direction) -> initiator::Input {
    initiator::Input::Command(ScsiCommand {
        tag: Tag(tag),
        lun: [0; 8],
        cdb,
        direction,
        attribute: 1,
        immediate: false,
    })
}

/// Commands in a second, `depth` at a time.
fn rate(world: &mut World, depth: u32, make: impl Fn(u32) -> initiator::Input) -> f64 {
    let (start, before) = (Instant::now(), world.done);
    let mut tag = 2;
    while start.elapsed() < RUN {
        for _ in 0..32 {
            world.tell((0..depth).map(|step| make(tag + step)).collect());
            tag += depth;
        }
    }
    assert_eq!((world.done - before) as u32, tag - 2, "every command was answered");
    (world.done - before) as f64 / start.elapsed().as_secs_f64()
}

fn transfer(opcode: u8, tag: u32, bytes: u32, data: &Bytes) -> initiator::Input {
    let mut cdb = [0; 16];
    cdb[0] = opcode;
    cdb[2..6].copy_from_slice(&(tag % 1000 * 1024).to_be_bytes());
    cdb[7..9].copy_from_slice(&((bytes / 512) as u16).to_be_bytes());
    let direction = match opcode {
        0x28 => Direction::In(bytes),
        _ => Direction::Out { expected: bytes, data: vec![data.slice(..bytes as usize)], withheld: false },
    };
    command(tag, cdb, direction)
}

fn main() {
    let data = Bytes::from(vec![0x5A; 1 << 18]);
    for (digests, words) in [(false, "no digests"), (true, "both digests")] {
        let offer = Offer { header_digest: digests, data_digest: digests, ..Offer::INITIATOR };
        let mut world = World::new(offer);
        for (opcode, verb) in [(0x28, "read"), (0x2A, "write")] {
            for (bytes, depth) in [(4096, 1), (4096, 32), (262_144, 1)] {
                let rate = rate(&mut world, depth, |tag| transfer(opcode, tag, bytes, &data));
                println!(
                    "{verb} {:>3} KiB, depth {depth:>2}, {words}: {:>9.0} commands/s, {:>8.2} us each, {:>9.0} MiB/s",
                    bytes / 1024,
                    rate,
                    1e6 / rate,
                    rate * f64::from(bytes) / f64::from(1 << 20)
                );
            }
        }
    }
    let start = Instant::now();
    let mut turns = 0_u64;
    while start.elapsed() < RUN {
        std::hint::black_box(Crc32c::new().with(std::hint::black_box(&data)));
        turns += 1;
    }
    println!("CRC32C: {:.0} MiB/s", turns as f64 * 0.25 / start.elapsed().as_secs_f64());
    let start = Instant::now();
    let mut turns = 0_u64;
    while start.elapsed() < RUN {
        std::hint::black_box(crc32c::crc32c(std::hint::black_box(&data)));
        turns += 1;
    }
    println!(
        "CRC32C by the processor's instruction: {:.0} MiB/s",
        turns as f64 * 0.25 / start.elapsed().as_secs_f64()
    );
}
