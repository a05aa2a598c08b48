//! Fencing with writes on their way (scsi-pr.md sections 7 and 13): what a takeover ends, and when it is answered.

use super::rig::*;
use crate::array::{DiskOutcome, Effect, Input};
use crate::scsi::cdb::{Access, Cdb, Form, Verb, WriteSame};
use crate::scsi::copy::{self, CopyList, Cscd, Segment};
use crate::scsi::provisioning::{self, Run};
use crate::scsi::vpd;
use alloc::vec;
use alloc::vec::Vec;
use redline_vocab::{Event, Nexus, Sense, ServiceAction as Action, Tag};

const WERO: u8 = 5;

fn contested() -> Rig {
    let mut rig = Rig::new();
    rig.register(A, 1);
    rig.register(B, 2);
    rig.reserve(A, 1, WERO);
    rig
}

fn takeover(action: Action) -> Order {
    Order::new(action, 2, 1).of(WERO)
}

fn range(verb: Verb, blocks: u32) -> Cdb {
    Cdb::Range(verb, Access::new(Form::Sixteen, 0, blocks))
}

/// Every command that changes the medium, with its data.
fn changes(rig: &mut Rig) -> Vec<(Cdb, Vec<u8>)> {
    let page = match rig.ask(A, Cdb::Inquiry { vital: true, page: 0x83, allocation: 512 }, 512) {
        Answered::Good(page) => page,
        other => panic!("{other:?}"),
    };
    let naa = vpd::decode_naa(&page).expect("there is one").to_vec();
    let copies = copy::encode_list(&CopyList {
        list: 1,
        discards_status: false,
        units: vec![Cscd { kind: 3, designator: naa, block_bytes: 512 }],
        segments: vec![Segment { source: 0, destination: 0, blocks: 1, from: 100, to: 0 }],
    });
    let unmap = provisioning::encode_unmap(&[Run { lba: 0, blocks: 1 }]);
    let same = WriteSame {
        form: Form::Ten,
        lba: 0,
        blocks: 1,
        protect: 0,
        anchor: false,
        unmap: false,
        no_data: false,
    };
    vec![
        (range(Verb::Write, 1), vec![9; BLOCK]),
        (range(Verb::WriteAndVerify, 1), vec![9; BLOCK]),
        (range(Verb::OrWrite, 1), vec![9; BLOCK]),
        (range(Verb::CompareAndWrite, 1), [vec![0; BLOCK], vec![9; BLOCK]].concat()),
        (Cdb::WriteSame(same), vec![9; BLOCK]),
        (Cdb::Unmap { anchor: false, length: unmap.len() as u16 }, unmap),
        (Cdb::ExtendedCopy { length: copies.len() as u32 }, copies),
    ]
}

/// A write whose data is still on its way has been let in, and dies with its nexus's registration.
#[test]
fn preempt_and_abort_ends_commands_that_wait_for_their_data() {
    let rows = changes(&mut Rig::new());
    for (cdb, data) in rows {
        let mut rig = contested();
        rig.holds_data = true;
        let victim = rig.begin(A, 0, cdb.encode(), 0, &data);
        assert_eq!(rig.asked, [(A, victim)], "{cdb:?} is let in and waits");
        rig.holds_data = false;
        assert_eq!(rig.order(B, takeover(Action::PreemptAndAbort)), good(), "{cdb:?}");
        assert_eq!(rig.answer(A, victim), Answered::Dropped, "{cdb:?}: TAS = 0, no answer");
        // Late data changes nothing.
        rig.step(Input::Data { nexus: A, tag: victim, data: vec![data.into()] });
        assert_eq!(rig.medium(0, 0, 1), [0; BLOCK], "{cdb:?}");
        let mut news = rig.hear(A, 0);
        news.sort_unstable();
        assert_eq!(news, [Sense::REGISTRATIONS_PREEMPTED, Sense::COMMANDS_CLEARED]);
    }
}

/// What the disk has cannot be taken back: the answer waits until it has no effect any more, and no later step of it begins.
#[test]
fn preempt_and_abort_waits_for_the_disk_and_stops_what_goes_on() {
    let rows = changes(&mut Rig::new());
    for (cdb, data) in rows {
        let mut rig = contested();
        rig.holds_disk = true;
        let victim = rig.begin(A, 0, cdb.encode(), 0, &data);
        assert_eq!(rig.waiting.len(), 1, "{cdb:?} is at the disk");
        let order = rig.order_only(B, takeover(Action::PreemptAndAbort));
        assert_eq!(rig.answer(B, order), Answered::Waits, "{cdb:?}");
        let own = rig.begin(B, 0, range(Verb::Write, 1).encode(), 0, &[7; BLOCK]);
        assert_eq!(rig.waiting.len(), 1, "nothing overtakes the condemned command: {cdb:?}");
        let (id, operation) = rig.waiting.remove(0);
        let outcome = match operation {
            crate::array::DiskOperation::Read { length, .. } => {
                DiskOutcome::Read(vec![0; length as usize].into())
            }
            _ => DiskOutcome::Done,
        };
        rig.step(Input::DiskDone { id, outcome });
        assert_eq!(rig.answer(B, order), good(), "{cdb:?}");
        assert_eq!(rig.answer(A, victim), Answered::Dropped, "{cdb:?}");
        assert_eq!(rig.waiting.len(), 1, "of {cdb:?} nothing goes on, of the new owner's write all");
        rig.release_disk();
        assert_eq!(rig.answer(B, own), good());
        assert_eq!(rig.medium(0, 0, 1), [7; BLOCK]);
    }
}

/// Case 1 of section 13, hazard H05: plain PREEMPT does not end what was let in.
#[test]
fn plain_preempt_leaves_what_was_let_in_alive() {
    let mut rig = contested();
    rig.holds_data = true;
    let write = rig.begin(A, 0, range(Verb::Write, 1).encode(), 0, &[9; BLOCK]);
    rig.holds_data = false;
    assert_eq!(rig.order(B, takeover(Action::Preempt)), good());
    rig.step(Input::Data { nexus: A, tag: write, data: vec![vec![9; BLOCK].into()] });
    assert_eq!(rig.answer(A, write), good());
    assert_eq!(rig.medium(0, 0, 1), [9; BLOCK]);
}

/// A command behind a PERSISTENT RESERVE OUT of its nexus is not looked at before it.
#[test]
fn commands_stay_behind_an_order_that_waits_for_its_list() {
    let mut rig = Rig::new();
    rig.register(B, 2);
    rig.reserve(B, 2, 1);
    rig.holds_data = true;
    let register = rig.order_only(A, Order::new(Action::Register, 0, 1));
    let behind = rig.begin(A, 0, range(Verb::Read, 1).encode(), 512, &[]);
    let other = rig.begin(B, 0, range(Verb::Read, 1).encode(), 512, &[]);
    assert_eq!(rig.answer(A, behind), Answered::Waits);
    assert!(matches!(rig.answer(B, other), Answered::Good(_)), "another nexus does not wait");
    let dispatched = |rig: &Rig, tag: Tag| {
        let is = |event: &Event| matches!(event, Event::Dispatched { nexus: A, tag: of, .. } if *of == tag);
        rig.events.iter().position(is)
    };
    assert_eq!(dispatched(&rig, behind), None);
    let list = Order::new(Action::Register, 0, 1).list.encode(Action::Register);
    rig.step(Input::Data { nexus: A, tag: register, data: vec![list.into()] });
    assert_eq!(rig.answer(A, register), good());
    assert!(matches!(rig.answer(A, behind), Answered::Good(_)));
    assert!(dispatched(&rig, register) < dispatched(&rig, behind));
}

/// Events tell a judge what happened on the first unit, in the order in which it happened.
#[test]
fn the_first_unit_tells_of_its_tasks() {
    let mut rig = Rig::new();
    rig.events.clear();
    let tag = rig.begin(A, 0, range(Verb::Read, 2).encode(), 1024, &[]);
    let told: Vec<Event> = core::mem::take(&mut rig.events);
    let nexus = A;
    use redline_vocab::{Block, Data, Disposition, Reply, Status};
    let reply = Reply { status: Status::Good, data: Data::Blocks(vec![Block::Blank; 2]) };
    assert_eq!(
        told,
        [
            Event::Dispatched { nexus, tag, disposition: Disposition::Enabled },
            Event::Submitted { nexus, tag },
            Event::Committed { nexus, tag },
            Event::Replied { nexus, tag, reply },
        ]
    );
    rig.begin(A, 1, range(Verb::Read, 2).encode(), 1024, &[]);
    assert_eq!(rig.events, [], "the second unit is silent");
    let mut silent = config();
    silent.events = false;
    let mut rig = Rig::with(silent);
    rig.begin(A, 0, range(Verb::Read, 2).encode(), 1024, &[]);
    assert_eq!(rig.events, []);
}

/// The table is on stable storage before anybody hears GOOD; nobody hears of a write before the disk has it.
#[test]
fn storage_goes_before_good() {
    let mut rig = Rig::new();
    rig.effects.clear();
    let mut order = Order::new(Action::Register, 0, 1);
    order.list.aptpl = true;
    assert_eq!(rig.order(A, order), good());
    let at = |rig: &Rig, is: fn(&Effect) -> bool| rig.effects.iter().position(is);
    let stored = at(&rig, |effect| matches!(effect, Effect::Store(Some(_))));
    let persisted = at(&rig, |effect| matches!(effect, Effect::Event(Event::TablePersisted)));
    let answered = at(&rig, |effect| matches!(effect, Effect::Respond { .. }));
    assert!(stored.is_some() && stored < persisted && persisted < answered);
}

/// Section 7, power cycle, with and without APTPL; the names of nexuses survive with their registrations.
#[test]
fn registrations_survive_a_power_cycle_exactly_with_aptpl() {
    for aptpl in [true, false] {
        let mut rig = Rig::new();
        let stranger = rig.login("s", 3, 2).expect("there is room");
        let mut order = Order::new(Action::Register, 0, 5);
        order.list.aptpl = aptpl;
        assert_eq!(rig.order(stranger, order), good());
        rig.reserve(stranger, 5, 1);
        let mut rig = rig.power_cycle();
        // Others log in first, so that numbers would be handed out anew.
        rig.login_guests();
        rig.login("t", 3, 2);
        let again = rig.login("s", 3, 2).expect("there is room");
        let kept: &[u64] = if aptpl { &[5] } else { &[] };
        assert_eq!(rig.keys(A), (0, kept.to_vec()), "APTPL {aptpl}");
        assert_eq!(rig.reservation(A), aptpl.then_some((5, 1)));
        let refused = rig.send(A, range(Verb::Write, 1), &[1; BLOCK]) == Answered::Conflict;
        assert_eq!(refused, aptpl);
        assert_eq!(rig.send(again, range(Verb::Write, 1), &[1; BLOCK]), good());
    }
}

/// A damaged store is never "no registrations" (section 3.1, REPLACE LOST RESERVATION).
#[test]
fn a_damaged_store_fails_closed() {
    let mut rig = Rig::new();
    let mut order = Order::new(Action::Register, 0, 5);
    order.list.aptpl = true;
    assert_eq!(rig.order(A, order), good());
    let whole = rig.stored.clone().expect("APTPL is on");
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        let mut rig = Rig::powered_on(config(), Some(bytes));
        let nexus = rig.login_only("a", 0, 1).expect("login works");
        let mut answers = Vec::new();
        for _ in 0..2 {
            answers.push(rig.send(nexus, range(Verb::Write, 1), &[1; BLOCK]));
        }
        assert_eq!(answers, [Answered::Check(Sense::POWER_ON), check(2, 4, 3)], "byte {at}");
        let inquiry = Cdb::Inquiry { vital: false, page: 0, allocation: 36 };
        assert!(matches!(rig.ask(nexus, inquiry, 36), Answered::Good(_)));
    }
}

/// Case 16: a full table refuses new registrations, and can be emptied.
#[test]
fn a_full_table_can_still_be_emptied() {
    let mut rig = Rig::new();
    let mut nexuses: Vec<Nexus> = vec![A, B];
    for name in ["c", "d", "e", "f", "g", "h"] {
        nexuses.push(rig.login(name, 0, 1).expect("there is room"));
    }
    for (nexus, key) in nexuses.iter().zip(1..) {
        rig.register(*nexus, key);
    }
    let late = rig.login("late", 0, 1).expect("there is room");
    assert_eq!(rig.order(late, Order::new(Action::Register, 0, 99)), check(5, 0x55, 4));
    assert_eq!(rig.order(A, Order::new(Action::PreemptAndAbort, 1, 2).of(WERO)), good());
    assert_eq!(rig.order(late, Order::new(Action::Register, 0, 99)), good());
    assert_eq!(rig.order(A, Order::new(Action::Clear, 1, 0)), good());
    assert_eq!(rig.keys(A).1, [0_u64; 0]);
}
