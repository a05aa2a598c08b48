//! The target through its inputs and effects: what it answers, when, and what it keeps.

mod sessions;

use super::*;
use alloc::vec;
use alloc::vec::Vec;
use redline_vocab::{Epoch, Holder, Key, Lba, PrIn, PrType, Record, Reservation, Serial, ServiceAction};

const A: Nexus = Nexus(0);
const B: Nexus = Nexus(1);
const CONFIG: Config = Config { blocks: 16, registrants_max: 3, tasks_max: 2 };

/// A target with what it has stored, as its driver sees it.
struct Rig {
    target: Target,
    stored: Option<StoredTable>,
    replies: Vec<(Nexus, Tag, Reply)>,
    started: Vec<(Nexus, Tag)>,
    events: Vec<Event>,
    /// How often the connections were dropped.
    dropped: u32,
    next: u32,
}

impl Rig {
    fn new(quirks: Quirks) -> Rig {
        Rig::powered_on(quirks, None)
    }

    fn powered_on(quirks: Quirks, stored: Option<StoredTable>) -> Rig {
        let mut out = Vec::new();
        let target = Target::power_on(CONFIG, quirks, stored.clone(), &mut out);
        let mut rig = Rig {
            target,
            stored,
            replies: Vec::new(),
            started: Vec::new(),
            events: Vec::new(),
            dropped: 0,
            next: 1,
        };
        rig.carry_out(out);
        for nexus in [A, B] {
            rig.step(Input::Login { node: NodeId(nexus.0), nexus });
            let probe = rig.ask(nexus, Command::Other(Name::TestUnitReady));
            assert_eq!(probe.map(|reply| reply.status), Some(Status::CheckCondition(Sense::POWER_ON)));
        }
        rig
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Store(table) => self.stored = table,
                Effect::Start { nexus, tag, .. } => self.started.push((nexus, tag)),
                Effect::Reply { nexus, tag, reply } => self.replies.push((nexus, tag, reply)),
                Effect::DropConnections => self.dropped += 1,
                Effect::Event(event) => self.events.push(event),
            }
        }
    }

    fn step(&mut self, input: Input) {
        let mut out = Vec::new();
        self.target.step(input, &mut out);
        self.carry_out(out);
    }

    fn send(&mut self, nexus: Nexus, command: Command) -> Tag {
        let tag = Tag(self.next);
        self.next += 1;
        self.step(Input::Dispatch { nexus, tag, command });
        tag
    }

    fn answer(&self, nexus: Nexus, tag: Tag) -> Option<Reply> {
        self.replies.iter().find(|(of, to, _)| (*of, *to) == (nexus, tag)).map(|(_, _, reply)| reply.clone())
    }

    fn ask(&mut self, nexus: Nexus, command: Command) -> Option<Reply> {
        let tag = self.send(nexus, command);
        self.answer(nexus, tag)
    }

    fn good(&mut self, nexus: Nexus, order: PrOut) {
        let reply = self.ask(nexus, Command::PrOut(order)).expect("it is answered at once");
        assert_eq!(reply.status, Status::Good, "{order:?}");
    }

    fn register(&mut self, nexus: Nexus, key: u64, aptpl: bool) {
        let order = PrOut::new(ServiceAction::RegisterAndIgnoreExistingKey);
        self.good(nexus, PrOut { service_key: Key(key), aptpl, ..order });
    }

    fn reserve(&mut self, nexus: Nexus, key: u64, kind: PrType) {
        self.good(nexus, PrOut { key: Key(key), kind: kind.code(), ..PrOut::new(ServiceAction::Reserve) });
    }
}

fn write(nexus: Nexus) -> Command {
    let record = Record { writer: NodeId(nexus.0), epoch: Epoch(1), serial: Serial(1) };
    Command::Write { extent: Extent { lba: Lba(0), blocks: 1 }, record }
}

fn takeover(action: ServiceAction) -> Command {
    let kind = PrType::WriteExclusiveRegistrantsOnly.code();
    Command::PrOut(PrOut { key: Key(2), service_key: Key(1), kind, ..PrOut::new(action) })
}

/// A holds, both are registered.
fn contested(quirks: Quirks) -> Rig {
    let mut rig = Rig::new(quirks);
    rig.register(A, 1, true);
    rig.register(B, 2, true);
    rig.reserve(A, 1, PrType::WriteExclusiveRegistrantsOnly);
    rig
}

#[test]
fn preempt_and_abort_drops_what_waits_in_the_task_set() {
    let mut rig = contested(Quirks::NONE);
    let task = rig.send(A, write(A));
    let takeover = rig.send(B, takeover(ServiceAction::PreemptAndAbort));
    assert!(rig.events.contains(&Event::Aborted { nexus: A, tag: task }));
    assert_eq!(rig.answer(B, takeover).map(|reply| reply.status), Some(Status::Good));
    assert_eq!(rig.answer(A, task), None, "TAS = 0: an aborted command is not answered");
    let next = rig.ask(A, Command::Other(Name::TestUnitReady)).map(|reply| reply.status);
    assert_eq!(next, Some(Status::CheckCondition(Sense::COMMANDS_CLEARED)));
}

#[test]
fn preempt_and_abort_is_answered_only_when_the_back_end_is_quiet() {
    let mut rig = contested(Quirks::NONE);
    let task = rig.send(A, write(A));
    rig.step(Input::Submit { nexus: A, tag: task });
    let takeover = rig.send(B, takeover(ServiceAction::PreemptAndAbort));
    assert_eq!(rig.answer(B, takeover), None);
    assert!(rig.target.is_barred(), "nothing may overtake the condemned write");
    rig.step(Input::Done { nexus: A, tag: task, outcome: Outcome::Written });
    assert_eq!(rig.answer(B, takeover).map(|reply| reply.status), Some(Status::Good));
    assert!(!rig.target.is_barred());
    let committed = rig.events.iter().position(|event| *event == Event::Committed { nexus: A, tag: task });
    let told = rig
        .events
        .iter()
        .position(|event| matches!(event, Event::Replied { nexus: B, tag, .. } if *tag == takeover));
    assert!(committed < told && committed.is_some());
}

#[test]
fn plain_preempt_leaves_accepted_writes_alive() {
    let mut rig = contested(Quirks::NONE);
    let task = rig.send(A, write(A));
    let takeover = rig.send(B, takeover(ServiceAction::Preempt));
    assert_eq!(rig.answer(B, takeover).map(|reply| reply.status), Some(Status::Good));
    rig.step(Input::Submit { nexus: A, tag: task });
    rig.step(Input::Done { nexus: A, tag: task, outcome: Outcome::Written });
    assert_eq!(rig.answer(A, task).map(|reply| reply.status), Some(Status::Good));
}

#[test]
fn a_task_that_nobody_waits_for_says_how_it_ended() {
    for (outcome, took_effect) in [(Outcome::Written, true), (Outcome::Failed(Sense::WRITE_ERROR), false)] {
        let mut rig = contested(Quirks::NONE);
        let task = rig.send(A, write(A));
        rig.step(Input::Submit { nexus: A, tag: task });
        rig.step(Input::LoseNexus { nexus: A });
        assert!(!rig.target.accepts_login(A), "the back end still has a write of the earlier session");
        rig.step(Input::Done { nexus: A, tag: task, outcome });
        assert_eq!(rig.events.contains(&Event::Committed { nexus: A, tag: task }), took_effect);
        assert_eq!(rig.events.contains(&Event::Aborted { nexus: A, tag: task }), !took_effect);
        assert!(rig.target.accepts_login(A));
    }
}

#[test]
fn the_table_survives_a_power_cycle_exactly_with_aptpl() {
    for aptpl in [true, false] {
        let mut rig = Rig::new(Quirks::NONE);
        rig.register(A, 1, aptpl);
        rig.reserve(A, 1, PrType::ExclusiveAccess);
        let before = rig.target.view();
        let after = Rig::powered_on(Quirks::NONE, rig.stored.clone()).target.view();
        if aptpl {
            assert_eq!((after.registrants, after.reservation), (before.registrants, before.reservation));
        } else {
            assert_eq!((after.registrants, after.reservation), (vec![], None));
        }
        assert_eq!(after.generation, Generation(0));
    }
}

#[test]
fn the_table_is_stored_before_good_is_sent() {
    let mut rig = Rig::new(Quirks::NONE);
    let order = PrOut { service_key: Key(1), aptpl: true, ..PrOut::new(ServiceAction::Register) };
    let mut out = Vec::new();
    rig.target.step(Input::Dispatch { nexus: A, tag: Tag(9), command: Command::PrOut(order) }, &mut out);
    let stored = out.iter().position(|effect| matches!(effect, Effect::Store(Some(_))));
    let replied = out.iter().position(|effect| matches!(effect, Effect::Reply { .. }));
    assert!(stored < replied && stored.is_some(), "{out:?}");
}

#[test]
fn room_runs_out_with_the_standards_answers() {
    let mut rig = Rig::new(Quirks::NONE);
    let tasks: Vec<Tag> = (0..3).map(|_| rig.send(A, write(A))).collect();
    assert_eq!(rig.answer(A, tasks[2]).map(|reply| reply.status), Some(Status::TaskSetFull));
    assert_eq!(rig.answer(A, tasks[1]), None, "it waits in the task set");
    let mut full = Rig::new(Quirks::NONE);
    full.register(A, 1, false);
    full.register(B, 2, false);
    full.step(Input::Login { node: NodeId(2), nexus: Nexus(2) });
    full.ask(Nexus(2), Command::Other(Name::TestUnitReady));
    full.register(Nexus(2), 3, false);
    full.step(Input::Login { node: NodeId(3), nexus: Nexus(3) });
    full.ask(Nexus(3), Command::Other(Name::TestUnitReady));
    let order = PrOut { service_key: Key(4), ..PrOut::new(ServiceAction::Register) };
    let refused = full.ask(Nexus(3), Command::PrOut(order)).map(|reply| reply.status);
    assert_eq!(refused, Some(Status::CheckCondition(Sense::INSUFFICIENT_REGISTRATION_RESOURCES)));
}

#[test]
fn an_access_beyond_the_end_is_refused() {
    let mut rig = Rig::new(Quirks::NONE);
    for extent in [
        Extent { lba: Lba(16), blocks: 1 },
        Extent { lba: Lba(15), blocks: 2 },
        Extent { lba: Lba(u64::MAX), blocks: 1 },
    ] {
        let reply = rig.ask(A, Command::Read(extent)).map(|reply| reply.status);
        assert_eq!(reply, Some(Status::CheckCondition(Sense::LBA_OUT_OF_RANGE)), "{extent:?}");
    }
}

#[test]
fn reading_keys_neither_changes_nor_conflicts() {
    let mut rig = contested(Quirks::NONE);
    let before = rig.target.view();
    let reply = rig.ask(B, Command::PrIn(PrIn::ReadKeys)).expect("it is answered at once");
    let Data::Keys { generation, keys } = reply.data else { panic!("{reply:?}") };
    assert_eq!((generation, keys), (before.generation, vec![Key(1), Key(2)]));
    assert_eq!(rig.target.view(), before);
}

/// Every table that fits a few nexuses comes back from its stored form, and no damaged form is read.
#[test]
fn a_stored_table_is_read_back_or_refused() {
    let kinds = PrType::ALL.into_iter().flat_map(|kind| {
        [Reservation { kind, holder: Holder::Nexus(B) }, Reservation { kind, holder: Holder::AllRegistrants }]
    });
    let reservations: Vec<Option<Reservation>> = kinds.map(Some).chain([None]).collect();
    let mut damaged = 0;
    for count in 0..4_u8 {
        for reservation in &reservations {
            let registrants =
                (0..count).map(|nexus| (Nexus(nexus), Key(u64::MAX - u64::from(nexus)))).collect();
            let table = StoredTable { registrants, reservation: *reservation };
            let bytes = table.encode();
            assert_eq!(StoredTable::decode(&bytes), Ok(table));
            for cut in 0..bytes.len() {
                assert_eq!(StoredTable::decode(&bytes[..cut]), Err(Damaged), "cut to {cut}");
            }
            for at in 0..bytes.len() {
                for bit in 0..8 {
                    let mut flipped = bytes.clone();
                    flipped[at] ^= 1 << bit;
                    assert_eq!(StoredTable::decode(&flipped), Err(Damaged), "byte {at} bit {bit}");
                    damaged += 1;
                }
            }
        }
    }
    assert!(damaged > 5000);
}
