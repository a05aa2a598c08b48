//! Sessions, task management and limits (scsi-pr.md sections 7 and 9.6).

use super::rig::*;
use crate::array::{Function, Input, Managed};
use crate::scsi::cdb::{Access, Cdb, Form, Verb};
use redline_vocab::{Sense, ServiceAction as Action};

fn write() -> [u8; 16] {
    Cdb::Range(Verb::Write, Access::new(Form::Ten, 0, 1)).encode()
}

/// A write that waits for its data, and one at the disk.
fn busy(rig: &mut Rig) -> [redline_vocab::Tag; 2] {
    rig.holds_data = true;
    let waiting = rig.begin(A, 0, write(), 0, &[1; BLOCK]);
    rig.holds_data = false;
    rig.holds_disk = true;
    let running = rig.begin(A, 0, write(), 0, &[2; BLOCK]);
    [waiting, running]
}

#[test]
fn an_aborted_task_is_never_answered() {
    let mut rig = Rig::new();
    let [waiting, running] = busy(&mut rig);
    assert_eq!(rig.manage(A, 0, Function::AbortTask(waiting)), Some(Managed::Complete));
    assert_eq!(rig.answer(A, waiting), Answered::Dropped);
    assert_eq!(rig.manage(A, 0, Function::AbortTask(running)), None, "the disk has it");
    rig.release_disk();
    assert_eq!(rig.answer(A, running), Answered::Dropped);
    assert_eq!(rig.managed.len(), 2);
    assert_eq!(rig.manage(A, 0, Function::AbortTask(running)), Some(Managed::NoSuchTask));
    assert_eq!(rig.manage(A, 1, Function::AbortTask(running)), Some(Managed::NoSuchTask));
    assert_eq!(rig.manage(A, 7, Function::AbortTaskSet), Some(Managed::NoSuchLun));
    assert_eq!(rig.manage(A, 0, Function::ClearAca), Some(Managed::Unsupported));
}

#[test]
fn an_order_without_its_list_can_be_aborted() {
    let mut rig = Rig::new();
    rig.holds_data = true;
    let order = rig.order_only(A, Order::new(Action::Register, 0, 1));
    let behind = rig.begin(A, 0, Cdb::TestUnitReady.encode(), 0, &[]);
    assert_eq!(rig.answer(A, behind), Answered::Waits);
    assert_eq!(rig.manage(A, 0, Function::AbortTask(order)), Some(Managed::Complete));
    assert_eq!(rig.answer(A, order), Answered::Dropped);
    assert_eq!(rig.answer(A, behind), good(), "what waited behind it goes on");
    assert_eq!(rig.keys(A), (0, alloc::vec![]));
}

/// Section 7: LOGICAL UNIT RESET ends tasks and RESERVE, leaves persistent reservations, and everybody hears of it.
#[test]
fn a_unit_reset_ends_tasks_and_keeps_registrations() {
    let mut rig = Rig::new();
    rig.register(B, 2);
    rig.reserve(B, 2, 5);
    rig.register(A, 1);
    let [waiting, running] = busy(&mut rig);
    assert_eq!(rig.manage(B, 0, Function::LogicalUnitReset), None);
    rig.release_disk();
    assert_eq!([waiting, running].map(|tag| rig.answer(A, tag)), [Answered::Dropped, Answered::Dropped]);
    for nexus in [A, B] {
        assert!(rig.hear(nexus, 0).contains(&Sense::BUS_DEVICE_RESET), "{nexus}");
        assert_eq!(rig.hear(nexus, 1), [], "the other unit was not reset");
    }
    assert_eq!(rig.reservation(A), Some((2, 5)));
}

#[test]
fn a_target_reset_reaches_every_unit() {
    for function in [Function::TargetWarmReset, Function::TargetColdReset] {
        let mut rig = Rig::new();
        assert_eq!(rig.manage(A, 0, function), Some(Managed::Complete));
        let dropped = rig.effects.contains(&crate::array::Effect::DropConnections);
        assert_eq!(dropped, function == Function::TargetColdReset);
        for lun in [0, 1] {
            assert_eq!(rig.hear(B, lun).len(), 1, "{function:?}, LUN {lun}");
        }
    }
}

/// Section 7: logout and nexus loss end tasks and RESERVE; the registration waits for the nexus.
#[test]
fn the_end_of_a_session_keeps_registrations_and_ends_the_rest() {
    let reserve = Cdb::Reserve { form: Form::Six, elaborate: false };
    for (input, news) in
        [(Input::Logout(A), alloc::vec![]), (Input::NexusLost(A), alloc::vec![Sense::NEXUS_LOSS])]
    {
        let mut rig = Rig::new();
        rig.register(A, 1);
        assert_eq!(rig.on(A, 1, reserve, 0, &[]), good());
        let [waiting, running] = busy(&mut rig);
        rig.step(input);
        assert_eq!(rig.login_only("a", 0, 1), None, "the disk still has a write of the earlier session");
        rig.release_disk();
        let login = *rig.logins.keys().max().expect("there was one");
        assert_eq!(rig.logins[&login], Some(A));
        assert_eq!([waiting, running].map(|tag| rig.answer(A, tag)), [Answered::Waits, Answered::Waits]);
        assert_eq!(rig.hear(A, 0), news);
        assert_eq!(rig.keys(A).1, [1]);
        rig.hear(B, 1);
        assert_eq!(rig.on(B, 1, reserve, 0, &[]), good(), "the reservation of SPC-2 is gone");
    }
}

#[test]
fn a_second_login_takes_the_place_of_the_first() {
    let mut rig = Rig::new();
    rig.register(A, 1);
    rig.holds_data = true;
    let lost = rig.begin(A, 0, write(), 0, &[1; BLOCK]);
    rig.holds_data = false;
    assert_eq!(rig.login_only("a", 0, 1), Some(A), "it is the same nexus");
    assert_eq!(rig.hear(A, 0), [Sense::NEXUS_LOSS]);
    assert_eq!(rig.keys(A).1, [1]);
    rig.step(Input::Data { nexus: A, tag: lost, data: alloc::vec![alloc::vec![1; BLOCK].into()] });
    assert_eq!(rig.medium(0, 0, 1), [0; BLOCK]);
}

#[test]
fn a_full_task_set_says_so() {
    let mut rig = Rig::new();
    rig.holds_disk = true;
    let tags: alloc::vec::Vec<_> = (0..17).map(|_| rig.begin(A, 0, write(), 0, &[1; BLOCK])).collect();
    assert_eq!(rig.answer(A, tags[16]), Answered::Other(0x28));
    rig.release_disk();
    assert!(tags[..16].iter().all(|tag| rig.answer(A, *tag) == good()));
}

#[test]
fn broken_data_changes_nothing() {
    let mut rig = Rig::new();
    rig.holds_data = true;
    let tag = rig.begin(A, 0, write(), 0, &[1; BLOCK]);
    let order = rig.order_only(A, Order::new(Action::Register, 0, 1));
    for tag in [tag, order] {
        rig.step(Input::DataBroken { nexus: A, tag });
        assert_eq!(rig.answer(A, tag), check(0x0b, 0x4b, 0));
    }
    assert_eq!(rig.medium(0, 0, 1), [0; BLOCK]);
    assert_eq!(rig.keys(A), (0, alloc::vec![]));
}
