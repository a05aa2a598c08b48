//! Target ports, logical units and who is who (scsi-pr.md sections 1, 9.3 and 13.17).

use super::rig::*;
use crate::array::{DiskOutcome, Input, TargetPort};
use crate::scsi::cdb::{Access, Cdb, Form, Verb};
use crate::scsi::report::{self, AccessState};
use alloc::format;
use alloc::vec::Vec;
use redline_vocab::{Nexus, ServiceAction as Action};

fn read() -> Cdb {
    Cdb::Range(Verb::Read, Access::new(Form::Ten, 0, 1))
}

#[test]
fn a_nexus_is_name_isid_and_target_port() {
    let mut rig = Rig::new();
    let first = rig.login("x", 0, 1).expect("there is room");
    assert!(first > B, "behind the known ones");
    let other_isid = rig.login("x", 1, 1).expect("there is room");
    let other_port = rig.login("x", 0, 2).expect("there is room");
    assert!(first != other_isid && first != other_port && other_isid != other_port);
    assert_eq!(rig.login("x", 1, 1), Some(other_isid));
    rig.register(first, 1);
    assert_eq!(rig.order(other_isid, Order::new(Action::Register, 1, 2)), Answered::Conflict);
    assert_eq!(rig.login("x", 0, 9), None, "there is no such port");
}

/// Three hundred initiators come and go: more than there are numbers. Who is registered keeps its number.
#[test]
fn numbers_are_used_again_when_nobody_remembers_them() {
    let mut rig = Rig::new();
    let kept = rig.login("kept", 0, 1).expect("there is room");
    rig.register(kept, 77);
    rig.step(Input::Logout(kept));
    for at in 0..300 {
        let nexus = rig.login(&format!("guest-{at}"), 0, 1).expect("there is room");
        assert_ne!(nexus, kept);
        rig.step(Input::NexusLost(nexus));
    }
    assert_eq!(rig.keys(A).1, [77]);
    assert_eq!(rig.login("kept", 0, 1), Some(kept));
    assert_eq!(rig.order(kept, Order::new(Action::Register, 77, 0)), good());
}

#[test]
fn when_every_number_is_in_use_a_login_is_refused() {
    let mut rig = Rig::new();
    let logins: Vec<Option<Nexus>> = (0..300).map(|at| rig.login(&format!("{at}"), 0, 1)).collect();
    assert_eq!(logins.iter().flatten().count(), 254);
    assert!(logins[254..].iter().all(Option::is_none));
    rig.step(Input::Logout(logins[0].expect("it was let in")));
    assert_eq!(rig.login("late", 0, 1), logins[0], "a number that has become free");
    assert_eq!(rig.hear(logins[0].expect("as before"), 0), []);
}

/// Section 13.17: through a standby port reservations can be read and changed, the medium cannot be reached.
#[test]
fn a_standby_port_acts_on_the_shared_table() {
    let mut rig = Rig::new();
    let standby = rig.login("a", 0, 3).expect("there is room");
    assert_eq!(rig.ask(standby, read(), 512), check(2, 4, 0x0b));
    assert_eq!(rig.ask(standby, Cdb::TestUnitReady, 0), check(2, 4, 0x0b));
    rig.register(standby, 3);
    assert_eq!(rig.keys(A), (1, alloc::vec![3]));
    rig.reserve(standby, 3, 1);
    assert_eq!(
        rig.send(A, Cdb::Range(Verb::Write, Access::new(Form::Ten, 0, 1)), &[0; BLOCK]),
        Answered::Conflict
    );
    let groups = Cdb::ReportTargetPortGroups { format: 0, allocation: 512 };
    let Answered::Good(data) = rig.ask(standby, groups, 512) else { panic!("it works everywhere") };
    let groups = report::decode_groups(&data).expect("it reads");
    let states: Vec<(u16, AccessState)> = groups.iter().map(|group| (group.id, group.state)).collect();
    let optimized = AccessState::ActiveOptimized;
    assert_eq!(states, [(1, optimized), (2, optimized), (3, AccessState::Standby)]);
}

#[test]
fn a_lun_without_unit_says_so() {
    let mut rig = Rig::new();
    assert_eq!(rig.on(A, 5, Cdb::TestUnitReady, 0, &[]), check(5, 0x25, 0));
    assert_eq!(rig.on(A, 5, read(), 512, &[]), check(5, 0x25, 0));
    let inquiry = Cdb::Inquiry { vital: false, page: 0, allocation: 36 };
    let Answered::Good(data) = rig.on(A, 5, inquiry, 36, &[]) else { panic!("INQUIRY always works") };
    assert_eq!(data[0], 0x7f);
    let luns = Cdb::ReportLuns { select: 0, allocation: 64 };
    for lun in [0, 5] {
        let Answered::Good(data) = rig.on(A, lun, luns, 64, &[]) else { panic!("REPORT LUNS always works") };
        assert_eq!(report::decode_luns(&data), Some(alloc::vec![0, 1]));
    }
}

/// REQUEST SENSE tells news and takes them away; INQUIRY and REPORT LUNS leave them.
#[test]
fn request_sense_tells_pending_news() {
    let mut rig = Rig::new();
    let nexus = rig.login_only("x", 0, 1).expect("there is room");
    for cdb in
        [Cdb::Inquiry { vital: false, page: 0, allocation: 8 }, Cdb::ReportLuns { select: 0, allocation: 16 }]
    {
        assert!(matches!(rig.ask(nexus, cdb, 16), Answered::Good(_)), "{cdb:?}");
    }
    let sense = |rig: &mut Rig| {
        let Answered::Good(data) =
            rig.ask(nexus, Cdb::RequestSense { descriptors: false, allocation: 18 }, 18)
        else {
            panic!("REQUEST SENSE always works")
        };
        (data[2], data[12], data[13])
    };
    assert_eq!(sense(&mut rig), (6, 0x29, 1));
    assert_eq!(sense(&mut rig), (0, 0, 0));
    assert_eq!(rig.ask(nexus, Cdb::TestUnitReady, 0), good());
    assert_eq!(
        rig.on(nexus, 1, Cdb::TestUnitReady, 0, &[]),
        check(6, 0x29, 0),
        "a stranger may be new to the unit"
    );
}

/// Two logins on one nexus while the disk is busy: each is answered, and the second one has the session.
#[test]
fn logins_on_one_nexus_are_answered_in_order() {
    let mut rig = Rig::new();
    rig.holds_disk = true;
    let write = Cdb::Range(Verb::Write, Access::new(Form::Ten, 0, 1));
    rig.begin(A, 0, write.encode(), 0, &[1; BLOCK]);
    for login in [1001, 1002] {
        rig.step(Input::Login { login, initiator: initiator("a", 0), port: TargetPort(1) });
        assert_eq!(rig.logins.get(&login), None);
    }
    let (id, _) = rig.waiting.remove(0);
    rig.step(Input::DiskDone { id, outcome: DiskOutcome::Done });
    assert_eq!([rig.logins[&1001], rig.logins[&1002]], [Some(A), Some(A)]);
    assert_eq!(rig.array.sessions(), 2);
}
