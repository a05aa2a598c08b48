//! Persistent reservations as bytes (scsi-pr.md sections 3, 4, 5, 6 and 8).

use super::rig::*;
use crate::scsi::cdb::{Access, Cdb, Form, Verb};
use crate::scsi::pr::{self, Destination};
use crate::scsi::transport_id::TransportId;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;
use bytes::Bytes;
use redline_vocab::{Nexus, Sense, ServiceAction as Action};

const WE: u8 = 1;
const EA: u8 = 3;
const WERO: u8 = 5;
const EARO: u8 = 6;
const WEAR: u8 = 7;
const EAAR: u8 = 8;
const ALL: [u8; 6] = [WE, EA, WERO, EARO, WEAR, EAAR];

fn read() -> Cdb {
    Cdb::Range(Verb::Read, Access::new(Form::Ten, 0, 1))
}

fn write() -> Cdb {
    Cdb::Range(Verb::Write, Access::new(Form::Ten, 0, 1))
}

/// Whether the nexus can read, and whether it can write.
fn access(rig: &mut Rig, nexus: Nexus) -> (bool, bool) {
    let reads = matches!(rig.ask(nexus, read(), 512), Answered::Good(_));
    let writes = matches!(rig.send(nexus, write(), &[0; BLOCK]), Answered::Good(_));
    (reads, writes)
}

/// Both are registered with keys 1 and 2, A holds.
fn contested(kind: u8) -> Rig {
    let mut rig = Rig::new();
    rig.register(A, 1);
    rig.register(B, 2);
    rig.reserve(A, 1, kind);
    rig
}

/// Section 5: what registered and unregistered nexuses may do under each type.
#[test]
fn each_type_lets_through_what_the_table_says() {
    for (kind, registered, unregistered) in [
        (WE, (true, false), (true, false)),
        (EA, (false, false), (false, false)),
        (WERO, (true, true), (true, false)),
        (EARO, (true, true), (false, false)),
        (WEAR, (true, true), (true, false)),
        (EAAR, (true, true), (false, false)),
    ] {
        let mut rig = contested(kind);
        assert_eq!(access(&mut rig, A), (true, true), "type {kind}, holder");
        assert_eq!(access(&mut rig, B), registered, "type {kind}, registered");
        assert_eq!(rig.order(B, Order::new(Action::Register, 2, 0)), good());
        assert_eq!(access(&mut rig, B), unregistered, "type {kind}, unregistered");
    }
}

/// Section 5, row by row, under Exclusive Access and Write Exclusive of somebody else.
#[test]
fn commands_conflict_as_their_rows_say() {
    let range = |verb| Cdb::Range(verb, Access::new(Form::Ten, 0, 0));
    let long = |verb| Cdb::Range(verb, Access::new(Form::Sixteen, 0, 0));
    let free = [
        Cdb::Inquiry { vital: false, page: 0, allocation: 96 },
        Cdb::ReportLuns { select: 0, allocation: 64 },
        Cdb::RequestSense { descriptors: false, allocation: 18 },
        Cdb::TestUnitReady,
        Cdb::ReadCapacity10,
        Cdb::ReadCapacity16 { allocation: 32 },
        Cdb::ReportTargetPortGroups { format: 0, allocation: 64 },
        Cdb::PersistentReserveIn { action: 0, allocation: 64 },
        Cdb::StartStopUnit { power_condition: 0, no_flush: false, load_eject: false, start: true },
        Cdb::PreventAllow { prevent: 0 },
    ];
    let looks = [
        range(Verb::Read),
        range(Verb::Verify),
        range(Verb::PreFetch),
        Cdb::GetLbaStatus { lba: 0, allocation: 24 },
        Cdb::ModeSense {
            form: Form::Six,
            no_descriptors: false,
            control: 0,
            page: 0x3f,
            subpage: 0,
            allocation: 255,
        },
        Cdb::ReportSupportedTaskManagementFunctions { extended: false, allocation: 4 },
        Cdb::PopulateToken { list: 1, length: 0 },
    ];
    let changes = [
        range(Verb::Write),
        range(Verb::WriteAndVerify),
        range(Verb::SynchronizeCache),
        long(Verb::OrWrite),
        long(Verb::CompareAndWrite),
        Cdb::Unmap { anchor: false, length: 0 },
        Cdb::ModeSelect { form: Form::Six, page_format: true, save: false, length: 0 },
        Cdb::ExtendedCopy { length: 0 },
        Cdb::WriteUsingToken { list: 1, length: 0 },
        Cdb::ReceiveCopyParameters { allocation: 64 },
        Cdb::StartStopUnit { power_condition: 0, no_flush: false, load_eject: false, start: false },
        Cdb::PreventAllow { prevent: 1 },
    ];
    for (kind, looks_pass) in [(WE, true), (EA, false)] {
        let mut rig = contested(kind);
        let rows = free
            .iter()
            .map(|cdb| (cdb, true))
            .chain(looks.iter().map(|cdb| (cdb, looks_pass)))
            .chain(changes.iter().map(|cdb| (cdb, false)));
        for (cdb, passes) in rows {
            let answer = rig.ask(B, *cdb, 512);
            assert_eq!(answer != Answered::Conflict, passes, "type {kind}: {cdb:?} is {answer:?}");
        }
    }
}

/// A malformed command of a nexus that has no right is a conflict; an unknown one is unknown to everybody.
#[test]
fn conflicts_go_before_errors_of_the_cdb() {
    let mut rig = contested(EA);
    let beyond = Cdb::Range(Verb::Write, Access::new(Form::Ten, u64::from(u32::MAX), 1));
    let protected = Cdb::Range(Verb::Read, Access { protect: 1, ..Access::new(Form::Ten, 0, 1) });
    assert_eq!(rig.ask(B, beyond, 0), Answered::Conflict);
    assert_eq!(rig.ask(B, protected, 512), Answered::Conflict);
    let mut unknown = [0; 16];
    unknown[0] = 0x48;
    let tag = rig.begin(B, 0, unknown, 0, &[]);
    assert_eq!(rig.answer(B, tag), check(5, 0x20, 0));
}

/// Section 3.1, REGISTER and REGISTER AND IGNORE EXISTING KEY.
#[test]
fn registering_follows_its_keys() {
    let mut rig = Rig::new();
    let register = |key, new| Order::new(Action::Register, key, new);
    assert_eq!(rig.order(A, register(9, 1)), Answered::Conflict, "not registered: the key must be 0");
    assert_eq!(rig.keys(A), (0, vec![]));
    assert_eq!(rig.order(A, register(0, 0)), good());
    assert_eq!(rig.keys(A), (1, vec![]), "nothing has changed, and it counts");
    assert_eq!(rig.order(A, register(0, 1)), good());
    assert_eq!(rig.order(A, register(0, 2)), Answered::Conflict, "registered: the key must be its own");
    assert_eq!(rig.order(A, register(1, 2)), good());
    assert_eq!(rig.keys(A), (3, vec![2]));
    rig.reserve(A, 2, WE);
    assert_eq!(rig.order(A, register(2, 3)), good());
    assert_eq!(rig.reservation(B), Some((3, WE)), "the holder's new key is shown");
    rig.register(A, 4);
    assert_eq!(rig.keys(A), (5, vec![4]));
    assert_eq!(rig.order(A, register(4, 0)), good());
    assert_eq!((rig.keys(A), rig.reservation(A)), ((6, vec![]), None));
}

#[test]
fn reserving_and_releasing_follow_key_holder_and_type() {
    let mut rig = Rig::new();
    let order = |action, key, kind| Order::new(action, key, 0).of(kind);
    assert_eq!(rig.order(A, order(Action::Reserve, 0, WE)), Answered::Conflict, "not registered");
    rig.register(A, 1);
    rig.register(B, 2);
    assert_eq!(rig.order(A, order(Action::Reserve, 9, WE)), Answered::Conflict, "wrong key");
    for kind in [0, 2, 4, 9, 15] {
        assert_eq!(rig.order(A, order(Action::Reserve, 1, kind)), check(5, 0x24, 0), "type {kind}");
    }
    rig.reserve(A, 1, WERO);
    rig.reserve(A, 1, WERO);
    assert_eq!(rig.order(A, order(Action::Reserve, 1, WE)), Answered::Conflict, "another type");
    assert_eq!(rig.order(B, order(Action::Reserve, 2, WERO)), Answered::Conflict, "another nexus");
    assert_eq!(rig.order(B, order(Action::Release, 2, WERO)), good(), "not the holder: nothing happens");
    assert_eq!(rig.reservation(B), Some((1, WERO)));
    assert_eq!(rig.order(A, order(Action::Release, 9, WERO)), Answered::Conflict);
    assert_eq!(rig.order(A, order(Action::Release, 1, WE)), check(5, 0x26, 4));
    assert_eq!(rig.order(A, order(Action::Release, 1, WERO)), good());
    assert_eq!(rig.hear(B, 0), [Sense::RESERVATIONS_RELEASED]);
    assert_eq!(rig.reservation(B), None);
    assert_eq!(rig.keys(A), (2, vec![1, 2]), "neither RESERVE nor RELEASE counts");
}

/// Section 3.1 and 8: who hears of a reservation that goes.
#[test]
fn releasing_is_news_only_where_others_had_rights_by_it() {
    for kind in ALL {
        let shared = !matches!(kind, WE | EA);
        let mut rig = contested(kind);
        assert_eq!(rig.order(A, Order::new(Action::Release, 1, 0).of(kind)), good());
        let news: &[Sense] = if shared { &[Sense::RESERVATIONS_RELEASED] } else { &[] };
        assert_eq!(rig.hear(B, 0), news, "RELEASE, type {kind}");
        let mut rig = contested(kind);
        assert_eq!(rig.order(A, Order::new(Action::Register, 1, 0)), good());
        let news: &[Sense] = if matches!(kind, WERO | EARO) { &[Sense::RESERVATIONS_RELEASED] } else { &[] };
        // The one that unregisters goes on without a word about it.
        let stays = matches!(kind, WEAR | EAAR);
        assert_eq!(rig.reservation(A), stays.then_some((0, kind)), "type {kind}");
        assert_eq!(rig.hear(B, 0), news, "unregistering, type {kind}");
        assert_eq!(rig.hear(A, 0), []);
    }
}

#[test]
fn clear_takes_everything_and_tells_the_others() {
    let mut rig = contested(WE);
    assert_eq!(rig.order(B, Order::new(Action::Clear, 9, 0)), Answered::Conflict);
    assert_eq!(rig.order(B, Order::new(Action::Clear, 2, 0)), good());
    assert_eq!(rig.hear(A, 0), [Sense::RESERVATIONS_PREEMPTED]);
    assert_eq!(rig.hear(B, 0), []);
    assert_eq!((rig.keys(A), rig.reservation(A)), ((3, vec![]), None));
}

/// Section 3.3, table of PREEMPT, for both of its service actions.
#[test]
fn preempt_takes_the_reservation_or_removes_registrations() {
    for action in [Action::Preempt, Action::PreemptAndAbort] {
        let preempt = |key, victim, kind| Order::new(action, key, victim).of(kind);
        let mut rig = contested(WERO);
        assert_eq!(rig.order(B, preempt(2, 7, WERO)), Answered::Conflict, "nobody has key 7");
        assert_eq!(rig.order(B, preempt(2, 0, WERO)), check(5, 0x26, 0), "key 0 names nobody");
        assert_eq!(rig.order(B, preempt(2, 1, 2)), check(5, 0x24, 0), "a type is needed to take over");
        assert_eq!(rig.keys(B), (2, vec![1, 2]));
        assert_eq!(rig.order(B, preempt(2, 1, WE)), good());
        assert_eq!((rig.keys(B), rig.reservation(B)), ((3, vec![2]), Some((2, WE))));
        assert_eq!(rig.hear(A, 0), [Sense::REGISTRATIONS_PREEMPTED]);
        // Not the holder's key: the registration goes, scope and type are not looked at.
        let mut rig = contested(WERO);
        assert_eq!(rig.order(A, preempt(1, 2, 15)), good());
        assert_eq!((rig.keys(A), rig.reservation(A)), ((3, vec![1]), Some((1, WERO))));
        assert_eq!(rig.hear(B, 0), [Sense::REGISTRATIONS_PREEMPTED]);
        // All registrants: key 0 names everybody else.
        let mut rig = contested(WEAR);
        assert_eq!(rig.order(B, preempt(2, 0, EA)), good());
        assert_eq!((rig.keys(B), rig.reservation(B)), ((3, vec![2]), Some((2, EA))));
    }
}

/// Case 5 of section 13: never both GOOD.
#[test]
fn of_two_mutual_preempts_one_wins() {
    let mut rig = contested(WERO);
    assert_eq!(rig.order(A, Order::new(Action::PreemptAndAbort, 1, 2).of(WERO)), good());
    let second = Order::new(Action::PreemptAndAbort, 2, 1).of(WERO);
    assert_eq!(rig.order(B, second.clone()), Answered::Conflict, "the second is not registered any more");
    assert_eq!(rig.hear(B, 0), [Sense::REGISTRATIONS_PREEMPTED]);
    assert_eq!(rig.order(B, second), Answered::Conflict);
}

/// Case 7: a PERSISTENT RESERVE OUT that is answered by news was not executed.
#[test]
fn an_order_that_meets_news_is_not_executed() {
    let mut rig = contested(WERO);
    assert_eq!(rig.order(A, Order::new(Action::Release, 1, 0).of(WERO)), good());
    let reserve = Order::new(Action::Reserve, 2, 0).of(WERO);
    assert_eq!(rig.order(B, reserve.clone()), Answered::Check(Sense::RESERVATIONS_RELEASED));
    assert_eq!(rig.reservation(A), None);
    assert_eq!(rig.order(B, reserve), good());
}

/// Section 4: the answer is cut, its length field is not; every service action above 3 fails.
#[test]
fn persistent_reserve_in_is_cut_but_not_shortened() {
    let mut rig = contested(WERO);
    for action in 0..4 {
        let whole = rig.prin(A, action, 4096);
        for allocation in 0..whole.len() as u16 {
            assert_eq!(rig.prin(A, action, allocation), whole[..usize::from(allocation)], "action {action}");
        }
    }
    assert_eq!(rig.prin(A, 0, 8)[..], [0, 0, 0, 2, 0, 0, 0, 16]);
    assert_eq!(rig.prin(A, 2, 8)[..2], [0, 8]);
    for action in 4..32 {
        let cdb = Cdb::PersistentReserveIn { action, allocation: 64 };
        assert_eq!(rig.ask(A, cdb, 64), check(5, 0x24, 0), "action {action}");
    }
    for action in 8..32 {
        let cdb = Cdb::PersistentReserveOut { action, scope: 0, kind: WERO, length: 24 };
        assert_eq!(rig.send(A, cdb, &[0; 24]), check(5, 0x24, 0), "action {action}");
    }
}

#[test]
fn a_parameter_list_of_another_length_is_refused() {
    let mut rig = Rig::new();
    for length in [0, 8, 23, 25, 4096] {
        let cdb = Cdb::PersistentReserveOut { action: 0, scope: 0, kind: 0, length };
        assert_eq!(rig.send(A, cdb, &vec![0; length as usize]), check(5, 0x1a, 0), "{length}");
    }
    let cdb = Cdb::PersistentReserveOut { action: 0, scope: 0, kind: 0, length: 24 };
    assert_eq!(rig.send(A, cdb, &[0; 12]), check(5, 0x1a, 0), "announced, and not sent");
    assert_eq!(rig.keys(A), (0, vec![]));
}

#[test]
fn full_status_names_ports() {
    let mut rig = contested(WEAR);
    let (generation, entries) = pr::decode_full_status(&rig.prin(A, 3, 4096)).expect("it reads");
    let found: Vec<_> = entries
        .iter()
        .map(|entry| (entry.key.0, entry.initiator.name.as_str(), entry.relative_port, entry.holds))
        .collect();
    let kind = redline_vocab::PrType::from_code(WEAR);
    assert_eq!(generation.0, 2);
    assert_eq!(found, [(1, "a", 1, kind), (2, "b", 1, kind)]);
}

fn transport_id(name: &str, isid: u8) -> TransportId {
    TransportId { name: name.to_string(), isid: Some([0x80, 0, 0, 0, 0, isid]) }
}

/// Section 3.1, REGISTER AND MOVE, to a nexus that has never logged in.
#[test]
fn register_and_move_gives_the_reservation_to_a_named_port() {
    let to = |port, initiator: Option<TransportId>, unreg| {
        let mut order = Order::new(Action::RegisterAndMove, 1, 5);
        order.list.destination = Some(Destination { relative_port: port, initiator });
        order.list.unreg = unreg;
        order
    };
    let named = || Some(transport_id("new", 9));
    let mut rig = Rig::new();
    rig.register(A, 1);
    rig.register(B, 2);
    assert_eq!(rig.order(A, to(2, named(), false)), check(5, 0x24, 0), "there is no reservation");
    rig.reserve(A, 1, WE);
    let mut foreign = to(2, named(), false);
    foreign.list.key = redline_vocab::Key(2);
    assert_eq!(rig.order(B, foreign), Answered::Conflict, "not the holder");
    assert_eq!(rig.order(A, to(9, named(), false)), check(5, 0x26, 0), "no such port");
    assert_eq!(rig.order(A, to(1, Some(transport_id("a", 0)), false)), check(5, 0x26, 0), "to itself");
    assert_eq!(rig.order(A, to(2, named(), true)), good());
    assert_eq!(rig.reservation(B), Some((5, WE)));
    assert_eq!(access(&mut rig, A), (true, false));
    let new = rig.login("new", 9, 2).expect("there is room");
    assert_eq!(access(&mut rig, new), (true, true), "the registration waited for its nexus");
    assert_eq!(rig.keys(A), (3, vec![2, 5]));
}

/// Section 3.4: ports that are listed, and every target port.
#[test]
fn spec_i_pt_and_all_tg_pt_register_ports_all_or_none() {
    let mut rig = Rig::new();
    let listed = |ids: &[TransportId], all| {
        let mut order = Order::new(Action::Register, 0, 7);
        (order.list.spec_i_pt, order.list.all_tg_pt) = (true, all);
        order.list.initiators = Some(ids.to_vec());
        order
    };
    let twice = [transport_id("c", 1), transport_id("c", 1)];
    assert_eq!(rig.order(A, listed(&twice, false)), check(5, 0x26, 0));
    assert_eq!(rig.keys(A), (0, vec![]));
    assert_eq!(rig.order(A, listed(&[transport_id("c", 1)], false)), good());
    assert_eq!(rig.keys(A), (1, vec![7, 7]));
    // Whoever was named finds itself registered.
    let c = rig.login("c", 1, 1).expect("there is room");
    assert_eq!(rig.order(c, Order::new(Action::Register, 7, 8)), good());
    let mut everywhere = Order::new(Action::Register, 0, 9);
    everywhere.list.all_tg_pt = true;
    assert_eq!(rig.order(B, everywhere), good());
    assert_eq!(rig.keys(A).1.iter().filter(|key| **key == 9).count(), 3, "at each of three ports");
    let b2 = rig.login("b", 0, 2).expect("there is room");
    rig.reserve(b2, 9, WE);
    let (_, entries) = pr::decode_full_status(&rig.prin(A, 3, 4096)).expect("it reads");
    let ports: Vec<u16> =
        entries.iter().filter(|entry| entry.initiator.name == "b").map(|entry| entry.relative_port).collect();
    assert_eq!(ports, [1, 2, 3]);
}

#[test]
fn a_malformed_transport_id_is_told_after_the_keys() {
    let mut rig = contested(WE);
    let order = Order::new(Action::RegisterAndMove, 1, 5);
    let mut data = order.list.encode(Action::RegisterAndMove);
    data[23] = 24;
    data.extend_from_slice(&[0x06; 24]);
    let cdb = Cdb::PersistentReserveOut { action: 7, scope: 0, kind: 0, length: data.len() as u32 };
    assert_eq!(rig.send(A, cdb, &data), check(5, 0x26, 0));
    assert_eq!(rig.send(B, cdb, &data), Answered::Conflict, "a wrong key goes first");
}

/// Section 6: RESERVE and RELEASE of SPC-2.
#[test]
fn legacy_reservations_and_persistent_ones_exclude_each_other() {
    let reserve = Cdb::Reserve { form: Form::Six, elaborate: false };
    let release = Cdb::Release { form: Form::Ten, elaborate: false };
    let sense = Cdb::ModeSense {
        form: Form::Six,
        no_descriptors: false,
        control: 0,
        page: 0x3f,
        subpage: 0,
        allocation: 255,
    };
    let mut rig = Rig::new();
    assert_eq!(rig.ask(A, reserve, 0), good());
    assert_eq!(rig.ask(A, reserve, 0), good());
    assert_eq!(rig.ask(B, reserve, 0), Answered::Conflict);
    assert_eq!(rig.ask(B, sense, 255), Answered::Conflict);
    assert_eq!(access(&mut rig, B), (false, false));
    assert_eq!(access(&mut rig, A), (true, true));
    assert_eq!(rig.order(A, Order::new(Action::Register, 0, 1)), Answered::Conflict);
    assert_eq!(rig.ask(B, release, 0), good(), "not the holder: nothing happens");
    assert_eq!(access(&mut rig, B), (false, false));
    assert_eq!(rig.ask(A, release, 0), good());
    assert_eq!(access(&mut rig, B), (true, true));
    rig.register(A, 1);
    assert_eq!(rig.ask(B, reserve, 0), Answered::Conflict);
    rig.reserve(A, 1, WE);
    assert_eq!(rig.ask(A, reserve, 0), good(), "CRH: the holder's is GOOD and nothing");
    assert_eq!(rig.ask(A, Cdb::Reserve { form: Form::Six, elaborate: true }, 0), check(5, 0x24, 0));
}

#[test]
fn each_unit_has_its_own_table() {
    let mut rig = contested(EA);
    let on_one = rig.on(B, 1, write(), 0, &[1; BLOCK]);
    assert_eq!(on_one, good());
    assert_eq!((rig.medium(0, 0, 1)[0], rig.medium(1, 0, 1)[0]), (0, 1));
    let keys = rig.on(B, 1, Cdb::PersistentReserveIn { action: 0, allocation: 8 }, 8, &[]);
    assert_eq!(keys, Answered::Good(Bytes::from(vec![0; 8])));
}
