//! Measures how fast traces are written to memory and read back, on one core.
//!
//! `cargo run --release -p redline-traces --example rates`

use redline_traces::{Arm, Header, Initiators, Reader, Visibility, Writer};
use redline_vocab::{
    Block, Command, Data, Design, Disposition, Epoch, Event, Extent, Key, Lba, Micros, Nexus, NodeId, Quirks,
    Record, Reply, Serial, Status, Tag,
};
use std::time::Instant;

const EVENTS: u64 = 2_000_000;
const ROUNDS: u32 = 5;

/// The life of one command: mostly writes, sometimes a read of two blocks, as a workload gives them.
fn life(number: u32) -> Vec<Event> {
    let (nexus, node, tag) = (Nexus((number % 2) as u8), NodeId((number % 2) as u8), Tag(number));
    let extent = Extent { lba: Lba(u64::from(number) % 1000), blocks: 2 };
    let record = Record { writer: node, epoch: Epoch(3), serial: Serial(number) };
    let read = number.is_multiple_of(8);
    let command = if read { Command::Read(extent) } else { Command::Write { extent, record } };
    let data = if read { Data::Blocks(vec![Block::Of(record), Block::Blank]) } else { Data::Nothing };
    let reply = Reply { status: Status::Good, data };
    vec![
        Event::Issued { node, extent, record },
        Event::Sent { nexus, tag, command },
        Event::Dispatched { nexus, tag, disposition: Disposition::Enabled },
        Event::Submitted { nexus, tag },
        Event::Committed { nexus, tag },
        Event::Replied { nexus, tag, reply: reply.clone() },
        Event::Received { nexus, tag, reply },
    ]
}

fn main() {
    let header = Header {
        redline: env!("CARGO_PKG_VERSION").to_string(),
        arm: Arm::Simulation,
        visibility: Visibility::Internal,
        initiators: Initiators::Guests,
        scenario: "rates".to_string(),
        seed: "1".to_string(),
        nodes: 2,
        nexuses: 2,
        blocks: 1000,
        keys: vec![Key(0xa), Key(0xb)],
        design: Design::SOUND,
        quirks: Quirks::NONE,
    };
    let events: Vec<Event> = (1..).flat_map(life).take(EVENTS as usize).collect();
    let rate = |start: Instant| EVENTS as f64 / start.elapsed().as_secs_f64() / 1e6;
    let (mut write_best, mut read_best) = (0.0_f64, 0.0_f64);
    let mut bytes = Vec::new();
    for _ in 0..ROUNDS {
        bytes.clear();
        let start = Instant::now();
        let mut writer = Writer::new(&mut bytes, &header).expect("memory takes all bytes");
        for (at, event) in events.iter().enumerate() {
            writer.record(Micros(at as u64 * 17), event).expect("memory takes all bytes");
        }
        writer.finish().expect("memory takes all bytes");
        write_best = write_best.max(rate(start));

        let start = Instant::now();
        let mut reader = Reader::new(&bytes[..], "memory").expect("the header was just written");
        let mut read = 0;
        for event in reader.by_ref() {
            read = event.expect("the trace was just written").seq;
        }
        read_best = read_best.max(rate(start));
        assert_eq!(read, EVENTS, "the reader must see every event");
        assert!(reader.footer().is_some(), "the reader must check the digest");
    }
    let size = bytes.len() as f64 / EVENTS as f64;
    println!("best of {ROUNDS} rounds of {EVENTS} events, {size:.0} bytes each");
    println!("write to memory: {write_best:.2} M events/s");
    println!("read with digest: {read_best:.2} M events/s");
}
