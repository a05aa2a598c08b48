//! A takeover, told event by event.
//!
//! 1. Node 0 starts on an empty table, reserves, reads block 0 and owns the disk in epoch 1.
//! 2. It writes twice; the first write ends, the second is at the back end when the node is paused.
//! 3. Node 1 challenges, waits, and preempts. Its GOOD is held until the second write is over.
//! 4. Node 1 owns the disk in epoch 2. Node 0 wakes, sends a third write and learns that it lost.

use crate::{Arm, Header, Initiators, Stamped, Visibility, Writer};
use redline_vocab::{
    Block, Command, Data, Design, Disposition, Epoch, Event, Extent, Generation, Held, Holder, Key, Lba,
    LossReason, LunView, Micros, Nexus, NodeId, PrIn, PrOut, PrType, Quirks, Record, Reply, Reservation,
    Sense, Serial, ServiceAction, Status, Tag,
};

const WERO: PrType = PrType::WriteExclusiveRegistrantsOnly;
const KEYS: [Key; 2] = [Key(0xa), Key(0xb)];
const BLOCK_0: Extent = Extent { lba: Lba(0), blocks: 1 };

pub(super) fn header() -> Header {
    Header {
        redline: "0.1.0".to_string(),
        arm: Arm::Simulation,
        visibility: Visibility::Internal,
        initiators: Initiators::Guests,
        scenario: "reference \"täst\"".to_string(),
        seed: "18446744073709551615".to_string(),
        nodes: 2,
        nexuses: 2,
        blocks: 64,
        keys: KEYS.to_vec(),
        design: Design::SOUND,
        quirks: Quirks::NONE,
    }
}

/// Builds a story with the time in steps of 10 us.
struct Story {
    events: Vec<Event>,
    tags: [u32; 2],
    view: LunView,
}

impl Story {
    fn tell(&mut self, events: impl IntoIterator<Item = Event>) {
        self.events.extend(events);
    }

    fn send(&mut self, node: u8, command: Command) -> (Nexus, Tag) {
        self.tags[usize::from(node)] += 1;
        let (nexus, tag) = (Nexus(node), Tag(self.tags[usize::from(node)]));
        self.tell([Event::Sent { nexus, tag, command }]);
        (nexus, tag)
    }

    fn reply(&mut self, (nexus, tag): (Nexus, Tag), reply: Reply) {
        self.tell([
            Event::Replied { nexus, tag, reply: reply.clone() },
            Event::Received { nexus, tag, reply },
        ]);
    }

    /// A command that is answered at dispatch.
    fn ask(&mut self, node: u8, command: Command, reply: Reply) {
        let (nexus, tag) = self.send(node, command);
        self.tell([Event::Dispatched { nexus, tag, disposition: Disposition::Answered(reply.status) }]);
        self.reply((nexus, tag), reply);
    }

    /// A PROUT that changes the table and is answered GOOD.
    fn change(&mut self, node: u8, command: Command, change: impl FnOnce(&mut LunView)) {
        let (nexus, tag) = self.send(node, command);
        change(&mut self.view);
        let view = self.view.clone();
        self.tell([
            Event::Dispatched { nexus, tag, disposition: Disposition::Answered(Status::Good) },
            Event::TableChanged { view },
            Event::TablePersisted,
        ]);
        self.reply((nexus, tag), Reply::of(Status::Good));
    }

    fn read_reservation(&mut self, node: u8, holder: Option<Key>) {
        let held = holder.map(|key| Held { key, kind: WERO });
        let data = Data::Reservation { generation: self.view.generation, held };
        self.ask(node, Command::PrIn(PrIn::ReadReservation), Reply { status: Status::Good, data });
    }

    fn read_keys(&mut self, node: u8) {
        let keys = self.view.registrants.iter().map(|(_, key)| *key).collect();
        let data = Data::Keys { generation: self.view.generation, keys };
        self.ask(node, Command::PrIn(PrIn::ReadKeys), Reply { status: Status::Good, data });
    }

    fn register(&mut self, node: u8) {
        let mut out = PrOut::new(ServiceAction::RegisterAndIgnoreExistingKey);
        out.service_key = KEYS[usize::from(node)];
        out.aptpl = true;
        self.change(node, Command::PrOut(out), |view| {
            view.generation = Generation(view.generation.0 + 1);
            view.registrants.push((Nexus(node), KEYS[usize::from(node)]));
            view.aptpl = true;
        });
    }

    /// A first access that finds this block, and what follows from it.
    fn own(&mut self, node: u8, found: Block, epoch: u32) {
        let (nexus, tag) = self.send(node, Command::Read(BLOCK_0));
        self.tell([
            Event::Dispatched { nexus, tag, disposition: Disposition::Enabled },
            Event::Submitted { nexus, tag },
            Event::Committed { nexus, tag },
        ]);
        self.reply((nexus, tag), Reply { status: Status::Good, data: Data::Blocks(vec![found]) });
        let node = NodeId(node);
        self.tell([Event::Owned { node, epoch: Epoch(epoch) }, Event::Fence { node, open: true }]);
    }
}

fn write(serial: u32, lba: u64) -> (Extent, Record) {
    (
        Extent { lba: Lba(lba), blocks: 1 },
        Record { writer: NodeId(0), epoch: Epoch(1), serial: Serial(serial) },
    )
}

fn pr_out(node: u8, action: ServiceAction, service_key: Key) -> Command {
    let mut out = PrOut::new(action);
    out.key = KEYS[usize::from(node)];
    out.service_key = service_key;
    out.kind = WERO.code();
    Command::PrOut(out)
}

pub(super) fn events() -> Vec<Stamped> {
    let empty = LunView { generation: Generation(0), registrants: vec![], reservation: None, aptpl: false };
    let mut story = Story { events: vec![], tags: [0; 2], view: empty.clone() };
    let power_on = Reply::of(Status::CheckCondition(Sense::POWER_ON));

    story.tell([Event::PoweredOn { view: empty }]);
    story.tell([0, 1].map(|node| Event::LoggedIn { node: NodeId(node), nexus: Nexus(node) }));
    story.tell([Event::Challenged { node: NodeId(0) }]);
    story.ask(0, Command::PrIn(PrIn::ReadReservation), power_on.clone());
    story.read_reservation(0, None);
    story.register(0);
    story.change(0, pr_out(0, ServiceAction::Reserve, Key(0)), |view| {
        view.reservation = Some(Reservation { kind: WERO, holder: Holder::Nexus(Nexus(0)) });
    });
    story.read_reservation(0, Some(KEYS[0]));
    story.own(0, Block::Blank, 1);

    for serial in 1..=3 {
        let (extent, record) = write(serial, u64::from(serial) - 1);
        story.tell([Event::Issued { node: NodeId(0), extent, record }]);
    }
    let [first, second] = [1, 2].map(|serial| {
        let (extent, record) = write(serial, u64::from(serial) - 1);
        story.send(0, Command::Write { extent, record })
    });
    for (nexus, tag) in [first, second] {
        story.tell([Event::Dispatched { nexus, tag, disposition: Disposition::Enabled }]);
    }
    for (nexus, tag) in [first, second] {
        story.tell([Event::Submitted { nexus, tag }]);
    }
    story.tell([Event::Committed { nexus: first.0, tag: first.1 }]);
    story.reply(first, Reply::of(Status::Good));
    story.tell([Event::Stalled { node: NodeId(0) }, Event::Challenged { node: NodeId(1) }]);

    story.ask(1, Command::PrIn(PrIn::ReadReservation), power_on);
    story.read_reservation(1, Some(KEYS[0]));
    story.register(1);
    story.tell([Event::WaitEnded { node: NodeId(1) }]);
    story.read_reservation(1, Some(KEYS[0]));
    story.read_keys(1);
    let preempt = story.send(1, pr_out(1, ServiceAction::PreemptAndAbort, KEYS[0]));
    story.view = LunView {
        generation: Generation(3),
        registrants: vec![(Nexus(1), KEYS[1])],
        reservation: Some(Reservation { kind: WERO, holder: Holder::Nexus(Nexus(1)) }),
        aptpl: true,
    };
    let view = story.view.clone();
    story.tell([
        Event::Dispatched { nexus: preempt.0, tag: preempt.1, disposition: Disposition::Held },
        Event::TableChanged { view },
        Event::TablePersisted,
        Event::Committed { nexus: second.0, tag: second.1 },
    ]);
    story.reply(preempt, Reply::of(Status::Good));
    story.read_reservation(1, Some(KEYS[1]));
    story.own(1, Block::Of(write(1, 0).1), 2);

    story.tell([Event::Woke { node: NodeId(0) }]);
    let (extent, record) = write(3, 2);
    let preempted = Reply::of(Status::CheckCondition(Sense::REGISTRATIONS_PREEMPTED));
    story.ask(0, Command::Write { extent, record }, preempted);
    story.read_keys(0);
    story.tell([
        Event::Fence { node: NodeId(0), open: false },
        Event::Lost { node: NodeId(0), reason: LossReason::KeyMissing },
        Event::Drained { node: NodeId(0), writes: 1 },
    ]);
    stamp(story.events)
}

/// Numbers events from 1, with the time in steps of 10 us.
pub(super) fn stamp(events: Vec<Event>) -> Vec<Stamped> {
    (1..).zip(events).map(|(seq, event)| Stamped { seq, at: Micros(seq * 10), event }).collect()
}

/// The bytes of a trace with these events.
pub(super) fn bytes(header: &Header, events: &[Stamped]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), header).expect("memory takes all bytes");
    for stamped in events {
        writer.record(stamped.at, &stamped.event).expect("memory takes all bytes");
    }
    writer.finish().expect("memory takes all bytes").0
}

/// The lines of the sample trace, without line ends.
pub(super) fn lines() -> Vec<String> {
    let text = String::from_utf8(bytes(&header(), &events())).expect("traces are UTF-8");
    text.lines().map(str::to_string).collect()
}
