//! The endpoint against PDUs made by hand, broken connections, time, and limits: what a sound initiator never does.

use super::{CloseReason, Config, ConnectionId, LoginStatus, Notice};
use crate::array;
use crate::iscsi::NO_TAG;
use crate::iscsi::initiator::{self, Direction, Event, Management};
use crate::iscsi::negotiate::Offer;
use crate::iscsi::pdu::{
    self, DataOut, Digests, Header, LoginRequest, Malformed, Request, Snack, Stage, TaskRequest, TextRequest,
    Writer,
};
use crate::iscsi::serial::Sn;
use crate::iscsi::support::{BLOCK, World, config, read10, rw10, scsi, settings, write10};
use crate::iscsi::text::Text;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;
use bytes::Bytes;
use redline_vocab::{Nexus, Tag};

/// The first CmdSN of the tests' initiators.
const FIRST: u32 = u32::MAX - 2;

fn request(cmd_sn: u32) -> Request {
    Request { immediate: false, cmd_sn: Sn(cmd_sn), exp_stat_sn: Sn(0) }
}

fn command(cmd_sn: u32, tag: u32, opcode: u8) -> pdu::Command {
    let mut cdb = [0; 16];
    cdb[0] = opcode;
    pdu::Command {
        request: request(cmd_sn),
        last: true,
        reads: false,
        writes: false,
        attribute: 1,
        lun: [0; 8],
        tag: Tag(tag),
        expected: 0,
        cdb,
    }
}

/// A write of blocks at block 20 that sends nothing with the command.
fn write(cmd_sn: u32, tag: u32, blocks: u8, unsolicited: bool) -> pdu::Command {
    let mut write = command(cmd_sn, tag, 0x2A);
    write.cdb[..10].copy_from_slice(&rw10(0x2A, 20, blocks));
    (write.writes, write.last, write.expected) = (true, !unsolicited, u32::from(blocks) * BLOCK as u32);
    write
}

fn data_out(tag: u32, transfer: u32, data_sn: u32, offset: usize, last: bool) -> Header {
    Header::DataOut(DataOut {
        last,
        lun: [0; 8],
        tag: Tag(tag),
        transfer,
        exp_stat_sn: Sn(0),
        data_sn: Sn(data_sn),
        offset: offset as u32,
    })
}

/// A session for which the tests speak.
fn session(world: &mut World) -> ConnectionId {
    let one = world.login(settings(1), 1);
    world.detach(one);
    one
}

/// Tags of the commands that the array got, in order.
fn delivered(world: &World) -> Vec<u32> {
    let tag = |input: &array::Input| match input {
        array::Input::Command { tag, .. } => Some(tag.0),
        _ => None,
    };
    world.script.log.iter().filter_map(tag).collect()
}

fn count(world: &World, wanted: impl Fn(&array::Input) -> bool) -> usize {
    world.script.log.iter().filter(|input| wanted(input)).count()
}

fn statuses(headers: &[Header]) -> Vec<(u32, u8)> {
    let status = |header: &Header| match header {
        Header::Response(pdu) => Some((pdu.tag.0, pdu.status)),
        _ => None,
    };
    headers.iter().filter_map(status).collect()
}

#[test]
fn garbage_stalls_and_giants_are_dropped_while_others_go_on() {
    let mut world = World::new(config());
    let sound = world.login(settings(1), 1);

    let garbage = world.dial(1);
    world.carry(garbage, &[0x5A; 4096]);
    let Some(CloseReason::Malformed(_) | CloseReason::NotLogin) = world.peer(garbage).closed else {
        panic!("{:?}", world.peer(garbage).closed)
    };
    let early = world.dial(1);
    world.inject(early, Header::Command(command(1, 1, 0)), &[]);
    assert_eq!(world.peer(early).closed, Some(CloseReason::NotLogin));
    let giant = world.dial(1);
    let mut bhs = [0; 48];
    (bhs[0], bhs[5], bhs[6], bhs[7]) = (0x43, 0xFF, 0xFF, 0xFF);
    world.carry(giant, &bhs);
    let malformed = Malformed::Data { announced: 0xFF_FFFF, allowed: 8192 };
    assert_eq!(world.peer(giant).closed, Some(CloseReason::Malformed(malformed)));
    assert_eq!(
        world.peer(giant).closed.unwrap().to_string(),
        "a PDU announces 16777215 bytes of data where 8192 are allowed"
    );
    let stalled = world.dial(1);
    world.carry(stalled, &bhs[..20]);
    world.wait(14);
    assert_eq!(world.peer(stalled).closed, None);
    world.wait(1);
    assert_eq!(world.peer(stalled).closed, Some(CloseReason::LoginTimeout));

    assert_eq!(world.command(sound, scsi(1, &[0], Direction::None)).len(), 1);
    assert_eq!(world.peer(sound).closed, None);
}

/// scsi-pr.md 9.4: outside of the window nothing happens, and the connection goes on.
#[test]
fn commands_outside_of_the_window_are_dropped_without_a_word() {
    let mut world = World::new(config());
    let one = session(&mut world);
    for (cmd_sn, tag) in
        [(FIRST.wrapping_sub(1), 1), (FIRST.wrapping_add(128), 2), (FIRST.wrapping_add(1 << 31), 3)]
    {
        world.inject(one, Header::Command(command(cmd_sn, tag, 0)), &[]);
    }
    assert_eq!(world.headers(one), vec![]);
    world.inject(one, Header::Command(command(FIRST, 4, 0)), &[]);
    assert_eq!(statuses(&world.headers(one)), [(4, 0)]);
    assert_eq!(delivered(&world), [4]);
}

/// The numbers run over the end of their space: the first command has FFFFFFFDh.
#[test]
fn commands_are_executed_in_the_order_of_their_numbers() {
    let mut world = World::new(config());
    let one = session(&mut world);
    for step in [3, 1, 2, 2, 4] {
        world.inject(one, Header::Command(command(FIRST.wrapping_add(step), step, 0)), &[]);
    }
    assert_eq!(world.headers(one), vec![], "they wait for the first");
    world.inject(one, Header::Command(command(FIRST, 10, 0)), &[]);
    let headers = world.headers(one);
    assert_eq!(statuses(&headers), [(10, 0), (1, 0), (2, 0), (3, 0), (4, 0)]);
    assert_eq!(delivered(&world), [10, 1, 2, 3, 4]);
    let mut stat_sn = None;
    for (header, free) in headers.into_iter().zip([124, 125, 126, 127, 128]) {
        let Header::Response(pdu) = header else { panic!("{header:?}") };
        assert_eq!(pdu.numbers.max_cmd_sn.next().ahead_of(pdu.numbers.exp_cmd_sn), free, "free places");
        assert!(
            stat_sn.is_none_or(|before: Sn| before.next() == pdu.numbers.stat_sn),
            "one more for each status"
        );
        stat_sn = Some(pdu.numbers.stat_sn);
    }
}

#[test]
fn reinstatement_ends_the_old_connection_and_keeps_the_nexus() {
    let mut world = World::new(config());
    let old = world.login(settings(1), 1);
    assert!(world.command(old, scsi(1, &[0xC0], Direction::None)).is_empty());
    let new = world.login(settings(1), 1);
    assert_eq!(world.peer(old).closed, Some(CloseReason::Reinstated));
    assert_eq!(world.endpoint.sessions(), 1);
    assert_eq!(world.endpoint.outstanding(), 0);
    assert_eq!(
        count(&world, |input| matches!(input, array::Input::NexusLost(_) | array::Input::Logout(_))),
        0
    );
    let nexus = |notice: &Notice| match notice {
        Notice::LoggedIn { nexus, .. } => *nexus,
        Notice::Retained { .. } => None,
    };
    assert_eq!(world.notices.iter().map(nexus).collect::<Vec<_>>(), [Some(Nexus(0)), Some(Nexus(0))]);
    // The same tag is free again.
    assert_eq!(world.command(new, scsi(1, &[0], Direction::None)).len(), 1);
    // Another target port is another nexus.
    world.login(settings(1), 2);
    assert_eq!(world.endpoint.sessions(), 2);
}

#[test]
fn a_full_window_is_closed_and_opens_again() {
    let mut world = World::new(Config {
        limits: super::Limits { window: 4, immediate_max: 2, ..super::Limits::USUAL },
        ..config()
    });
    let one = session(&mut world);
    for step in 0..6 {
        world.inject(one, Header::Command(command(FIRST.wrapping_add(step), step, 0xC0)), &[]);
    }
    assert_eq!(delivered(&world), [0, 1, 2, 3], "two are outside of the window");
    // Two immediate ones beside them, and no third.
    for tag in [10, 11, 12] {
        let mut immediate = command(FIRST.wrapping_add(4), tag, 0xC0);
        immediate.request.immediate = true;
        world.inject(one, Header::Command(immediate), &[]);
    }
    let headers = world.headers(one);
    let [Header::Reject(rejected)] = &headers[..] else { panic!("{headers:?}") };
    assert_eq!(rejected.reason, pdu::reject::IMMEDIATE);
    assert_eq!(rejected.numbers.max_cmd_sn.next(), rejected.numbers.exp_cmd_sn, "closed");
    assert_eq!(rejected.numbers.exp_cmd_sn, Sn(FIRST.wrapping_add(4)), "immediate commands do not count");
    for tag in [0, 1, 10, 11] {
        let answer = array::Effect::Respond {
            nexus: Nexus(0),
            tag: Tag(tag),
            response: crate::iscsi::support::good(Bytes::new(), 0),
        };
        world.target(super::Input::Array(answer));
    }
    let headers = world.headers(one);
    let Some(Header::Response(last)) = headers.last() else { panic!("{headers:?}") };
    assert_eq!(last.numbers.max_cmd_sn.next().ahead_of(last.numbers.exp_cmd_sn), 2, "two free places");
}

#[test]
fn what_cannot_be_done_is_rejected_and_does_not_count() {
    let mut world = World::new(config());
    let one = session(&mut world);
    world.inject(one, Header::Command(command(FIRST, 1, 0xC0)), &[]);
    world.inject(one, Header::Command(command(FIRST.wrapping_add(1), 1, 0)), &[]);
    world.inject(one, Header::Command(command(FIRST.wrapping_add(1), NO_TAG, 0)), &[]);
    let snack =
        Snack { kind: 1, lun: [0; 8], tag: Tag(1), transfer: 0, exp_stat_sn: Sn(0), begin: 0, length: 0 };
    world.inject(one, Header::Snack(snack), &[]);
    let mut bhs = [0; 48];
    bhs[0] = 0x5C;
    world.carry(one, &bhs);
    let answer = pdu::TaskResponse {
        tag: Tag(1),
        numbers: pdu::Numbers { stat_sn: Sn(0), exp_cmd_sn: Sn(0), max_cmd_sn: Sn(0) },
        response: 0,
    };
    world.inject(one, Header::TaskResponse(answer), &[]);
    let frames = world.frames(one);
    let reason = |frame: &pdu::Frame| match frame.header {
        Ok(Header::Reject(pdu)) => (pdu.reason, frame.data.joined()[0], pdu.numbers.exp_cmd_sn),
        _ => panic!("{frame:?}"),
    };
    let next = Sn(FIRST.wrapping_add(1));
    let due =
        [(0x07, 0x01, next), (0x09, 0x01, next), (0x03, 0x10, next), (0x05, 0x5C, next), (0x04, 0x22, next)];
    assert_eq!(frames.iter().map(reason).collect::<Vec<_>>(), due);
    assert_eq!(frames[0].data.len(), 48, "the header comes back");
    // The number that was rejected is still free.
    world.inject(one, Header::Command(command(FIRST.wrapping_add(1), 2, 0)), &[]);
    assert_eq!(statuses(&world.headers(one)), [(2, 0)]);
}

/// `iSCSIDataSnInvalid`: whatever is wrong with the numbers, the write does not end in GOOD and changes nothing.
#[test]
fn wrong_data_sequences_end_in_an_error_and_change_nothing() {
    let block = vec![0xEE; BLOCK];
    // DataSN, offset, F of two Data-Out, unsolicited.
    for sequence in [
        [(0, 0, false), (0, 1, true)],
        [(27, 0, false), (28, 1, true)],
        [(u32::MAX, 0, false), (0, 1, true)],
        [(1, 0, false), (0, 1, true)],
        [(0, 1, false), (1, 0, true)],
        [(0, 0, false), (1, 2, true)],
    ] {
        for solicited in [false, true] {
            let mut world = World::new(config());
            let one = session(&mut world);
            world.inject(one, Header::Command(write(FIRST, 1, 2, !solicited)), &[]);
            let transfer = match &world.headers(one)[..] {
                [Header::ReadyToTransfer(pdu)] if solicited => pdu.transfer,
                [] if !solicited => NO_TAG,
                other => panic!("{other:?}"),
            };
            for (data_sn, blocks, last) in sequence {
                world.inject(one, data_out(1, transfer, data_sn, blocks * BLOCK, last), &block);
            }
            let frames = world.frames(one);
            let [frame] = &frames[..] else { panic!("{frames:?}") };
            let Ok(Header::Response(pdu)) = frame.header else { panic!("{frame:?}") };
            assert_eq!(pdu.status, 2);
            let sense = frame.data.joined();
            assert_eq!((sense[2 + 2], sense[2 + 12], sense[2 + 13]), (0x0B, 0x4B, 0x00));
            assert!(!world.script.medium.contains(&0xEE));
            world.inject(one, Header::Command(command(FIRST.wrapping_add(1), 2, 0)), &[]);
            assert_eq!(statuses(&world.headers(one)), [(2, 0)], "the stream is in step");
        }
    }
}

#[test]
fn more_data_than_agreed_on_end_in_an_error() {
    let offer = Offer { first_burst_max: 1024, burst_max: 2048, ..Offer::TARGET };
    let block = vec![0xEE; BLOCK];
    let unsolicited_beyond_first_burst = |world: &mut World, one| {
        world.inject(one, Header::Command(write(FIRST, 1, 4, true)), &[]);
        for at in 0..3 {
            world.inject(one, data_out(1, NO_TAG, at, at as usize * BLOCK, at == 2), &block);
        }
    };
    let immediate_beyond_first_burst = |world: &mut World, one| {
        world.inject(one, Header::Command(write(FIRST, 1, 4, false)), &vec![0xEE; 3 * BLOCK]);
    };
    let more_than_was_asked_for = |world: &mut World, one| {
        world.inject(one, Header::Command(write(FIRST, 1, 6, false)), &[]);
        let headers = world.headers(one);
        let [Header::ReadyToTransfer(pdu)] = &headers[..] else { panic!("{headers:?}") };
        assert_eq!((pdu.offset, pdu.length), (0, 2048), "one burst, one R2T outstanding");
        world.inject(one, data_out(1, pdu.transfer, 0, 0, true), &vec![0xEE; 5 * BLOCK]);
    };
    let less_than_was_asked_for = |world: &mut World, one| {
        world.inject(one, Header::Command(write(FIRST, 1, 2, false)), &[]);
        let headers = world.headers(one);
        let [Header::ReadyToTransfer(pdu)] = &headers[..] else { panic!("{headers:?}") };
        world.inject(one, data_out(1, pdu.transfer, 0, 0, true), &block);
    };
    type Case<'a> = &'a dyn Fn(&mut World, ConnectionId);
    let cases: [Case<'_>; 4] = [
        &unsolicited_beyond_first_burst,
        &immediate_beyond_first_burst,
        &more_than_was_asked_for,
        &less_than_was_asked_for,
    ];
    for (place, case) in cases.into_iter().enumerate() {
        let mut world = World::new(Config { offer, ..config() });
        let one = session(&mut world);
        case(&mut world, one);
        assert_eq!(statuses(&world.headers(one)), [(1, 2)], "case {place}");
        assert!(!world.script.medium.contains(&0xEE));
    }
}

#[test]
fn late_data_are_harmless() {
    let mut world = World::new(config());
    let one = session(&mut world);
    world.inject(one, data_out(77, 5, 0, 0, true), &[1; 512]);
    world.inject(one, data_out(77, NO_TAG, 0, 0, true), &[1; 512]);
    world.inject(one, Header::Command(write(FIRST, 1, 2, false)), &[]);
    let headers = world.headers(one);
    let [Header::ReadyToTransfer(first)] = &headers[..] else { panic!("{headers:?}") };
    // The command is aborted while its data are on their way; the tag is used again.
    world.target(super::Input::Array(array::Effect::Dropped { nexus: Nexus(0), tag: Tag(1) }));
    world.script.open.clear();
    world.inject(one, Header::Command(write(FIRST.wrapping_add(1), 1, 2, false)), &[]);
    let headers = world.headers(one);
    let [Header::ReadyToTransfer(second)] = &headers[..] else { panic!("{headers:?}") };
    world.inject(one, data_out(1, first.transfer, 0, 0, true), &[0xEE; 1024]);
    assert_eq!(world.headers(one), vec![]);
    world.inject(one, data_out(1, second.transfer, 0, 0, true), &[0xDD; 1024]);
    assert_eq!(statuses(&world.headers(one)), [(1, 0)]);
    assert_eq!(world.script.medium[20 * BLOCK], 0xDD);
}

#[test]
fn several_r2ts_are_outstanding_if_that_was_agreed_on() {
    let offer = Offer { burst_max: 1024, first_burst_max: 512, ..Offer::TARGET };
    let mut world = World::new(Config { offer, ..config() });
    let one = world
        .login(initiator::Settings { offer: Offer { r2t_max: 3, ..Offer::INITIATOR }, ..settings(1) }, 1);
    world.detach(one);
    world.inject(one, Header::Command(write(FIRST, 1, 10, false)), &[]);
    let asked: Vec<_> = world
        .headers(one)
        .iter()
        .map(|header| match header {
            Header::ReadyToTransfer(pdu) => (pdu.r2t_sn.0, pdu.offset, pdu.length, pdu.transfer),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        asked.iter().map(|(sn, offset, length, _)| (*sn, *offset, *length)).collect::<Vec<_>>(),
        [(0, 0, 1024), (1, 1024, 1024), (2, 2048, 1024)]
    );
    world.inject(one, data_out(1, asked[0].3, 0, 0, true), &[0xEE; 1024]);
    let headers = world.headers(one);
    assert!(matches!(&headers[..], [Header::ReadyToTransfer(pdu)] if pdu.offset == 3072), "{headers:?}");
}

/// One burst of each of two writes fits what may be asked for; the others wait.
#[test]
fn what_is_asked_for_is_limited() {
    let limits = super::Limits { solicited_max: 2 * 1024, ..super::Limits::USUAL };
    let offer = Offer { burst_max: 1024, first_burst_max: 512, ..Offer::TARGET };
    let mut world = World::new(Config { offer, limits, ..config() });
    let one = session(&mut world);
    for step in 0..4 {
        world.inject(one, Header::Command(write(FIRST.wrapping_add(step), step, 2, false)), &[]);
    }
    let mut done = Vec::new();
    let mut asked: Vec<Header> = world.headers(one);
    assert_eq!(asked.len(), 2);
    while let Some(header) = asked.pop() {
        match header {
            Header::ReadyToTransfer(pdu) => {
                world.inject(
                    one,
                    data_out(pdu.tag.0, pdu.transfer, 0, pdu.offset as usize, true),
                    &[0xEE; 1024],
                );
                asked.extend(world.headers(one));
            }
            Header::Response(pdu) => done.push((pdu.tag.0, pdu.status)),
            other => panic!("{other:?}"),
        }
    }
    done.sort_unstable();
    assert_eq!(done, [(0, 0), (1, 0), (2, 0), (3, 0)]);
}

#[test]
fn who_sends_more_than_may_be_held_is_dropped() {
    let limits = super::Limits { buffered_max: 4096, ..super::Limits::USUAL };
    let mut world = World::new(Config { limits, ..config() });
    let one = session(&mut world);
    for step in 1..=9 {
        let mut held = write(FIRST.wrapping_add(step), step, 1, false);
        held.request = request(FIRST.wrapping_add(step));
        world.inject(one, Header::Command(held), &[0xEE; 512]);
        let due = (step == 9).then_some(CloseReason::Buffered { held: 4608, allowed: 4096 });
        assert_eq!(world.peer(one).closed, due, "{step}");
    }
    assert!(delivered(&world).is_empty());
}

fn with_digests(header: bool, data: bool) -> initiator::Settings {
    initiator::Settings {
        offer: Offer { header_digest: header, data_digest: data, ..Offer::INITIATOR },
        ..settings(1)
    }
}

fn digested(header: &Header, data: &[u8]) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.set(Digests { header: true, data: true });
    writer.put(header, &[Bytes::copy_from_slice(data)]);
    writer.take().concat()
}

#[test]
fn a_header_that_does_not_fit_its_digest_ends_the_connection() {
    let mut world = World::new(config());
    let one = world.login(with_digests(true, true), 1);
    let mut bytes = digested(&Header::Command(command(FIRST, 1, 0)), &[]);
    bytes[40] ^= 1;
    world.carry(one, &bytes);
    assert_eq!(world.peer(one).closed, Some(CloseReason::Malformed(Malformed::HeaderDigest)));
    assert!(delivered(&world).is_empty());
}

/// scsi-pr.md 9.7: Reject 02, and the task ends in 0B/47/05.
#[test]
fn data_that_do_not_fit_their_digest_fail_the_command() {
    let mut world = World::new(config());
    let one = world.login(with_digests(true, true), 1);
    let direction =
        Direction::Out { expected: 512, data: vec![Bytes::from(vec![0xEE; 512])], withheld: true };
    world.tell(one, initiator::Input::Command(scsi(1, &rw10(0x2A, 20, 1), direction)));
    let events = world.events(one);
    assert_eq!(events, vec![Event::Withheld { tag: Tag(1), offset: 0, length: 512 }]);
    let mut bytes = digested(&data_out(1, 0, 0, 0, true), &[0xEE; 512]);
    bytes[100] ^= 1;
    world.carry(one, &bytes);
    let events = world.events(one);
    let [Event::Rejected { reason: 2, .. }, Event::Completed(done)] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!((done.status, done.sense[2], done.sense[12], done.sense[13]), (2, 0x0B, 0x47, 0x05));
    assert!(!world.script.medium.contains(&0xEE));
    // Immediate data: the command counts as not received.
    let mut bytes = digested(&Header::Command(write(FIRST.wrapping_add(1), 2, 1, false)), &[0xEE; 512]);
    bytes[100] ^= 1;
    world.carry(one, &bytes);
    let events = world.events(one);
    assert!(matches!(&events[..], [Event::Rejected { reason: 2, .. }]), "{events:?}");
    assert_eq!(world.command(one, scsi(3, &[0], Direction::None)).len(), 1, "its number is still free");
}

#[test]
fn a_session_is_kept_for_a_while_and_then_the_nexus_is_lost() {
    let keeps =
        || initiator::Settings { offer: Offer { time_to_retain: 5, ..Offer::INITIATOR }, ..settings(1) };
    let lost = |world: &World| count(world, |input| *input == array::Input::NexusLost(Nexus(0)));
    let mut world = World::new(config());
    let one = world.login(keeps(), 1);
    world.cut(one);
    assert_eq!(world.notices.last(), Some(&Notice::Retained { nexus: Nexus(0), seconds: 5 }));
    world.wait(4);
    assert_eq!(lost(&world), 0);
    let two = world.login(keeps(), 1);
    world.wait(10);
    assert_eq!(lost(&world), 0, "it has come back");
    world.cut(two);
    world.wait(5);
    assert_eq!(lost(&world), 1);
    // Without retention at once.
    let mut world = World::new(config());
    let one = world.login(settings(1), 1);
    world.cut(one);
    assert_eq!(lost(&world), 1);
    assert_eq!(world.endpoint.sessions(), 0);
}

#[test]
fn a_tsih_names_a_session_that_is_there() {
    let keeps =
        || initiator::Settings { offer: Offer { time_to_retain: 5, ..Offer::INITIATOR }, ..settings(1) };
    let mut world = World::new(config());
    let one = world.connect(keeps(), 1);
    let events = world.events(one);
    let [Event::LoggedIn { tsih, group: Some(1), .. }] = events[..] else { panic!("{events:?}") };
    assert_ne!(tsih, 0);
    // A second connection, but a session has one.
    let two = world.connect(initiator::Settings { tsih, cid: 1, ..keeps() }, 1);
    assert_eq!(
        world.events(two),
        vec![Event::LoginRefused { status: LoginStatus::TooManyConnections.code() }]
    );
    assert_eq!(world.peer(one).closed, None);
    // Another port's session.
    let two = world.connect(initiator::Settings { tsih, ..keeps() }, 2);
    assert_eq!(
        world.events(two),
        vec![Event::LoginRefused { status: LoginStatus::SessionDoesNotExist.code() }]
    );
    // The connection is reinstated, live or broken.
    for _ in 0..2 {
        let again = world.connect(initiator::Settings { tsih, ..keeps() }, 1);
        let events = world.events(again);
        assert!(matches!(events[..], [Event::LoggedIn { tsih: same, .. }] if same == tsih), "{events:?}");
        world.cut(again);
    }
    world.wait(5);
    let late = world.connect(initiator::Settings { tsih, ..keeps() }, 1);
    assert_eq!(
        world.events(late),
        vec![Event::LoginRefused { status: LoginStatus::SessionDoesNotExist.code() }]
    );
}

#[test]
fn logout_ends_the_session_and_the_nexus_is_not_lost() {
    for (reason, response, ends) in [(0, 0, true), (1, 0, true), (2, 2, false)] {
        let mut world = World::new(config());
        let one = world.login(settings(1), 1);
        world.tell(one, initiator::Input::Logout { tag: Tag(1), reason });
        assert_eq!(world.events(one), vec![Event::LoggedOut { tag: Tag(1), response }]);
        assert_eq!(world.peer(one).closed, ends.then_some(CloseReason::LoggedOut));
        assert_eq!(count(&world, |input| matches!(input, array::Input::Logout(_))), usize::from(ends));
        assert_eq!(count(&world, |input| matches!(input, array::Input::NexusLost(_))), 0);
    }
}

#[test]
fn silent_initiators_are_pinged_and_then_dropped() {
    let mut world = World::new(config());
    let alive = world.login(settings(1), 1);
    let dead = world.login(settings(2), 1);
    world.detach(dead);
    world.wait(29);
    assert_eq!(world.headers(dead), vec![]);
    world.wait(1);
    let headers = world.headers(dead);
    assert!(
        matches!(&headers[..], [Header::NopIn(pdu)] if pdu.tag.0 == NO_TAG && pdu.transfer != NO_TAG),
        "{headers:?}"
    );
    world.wait(14);
    assert_eq!(world.peer(dead).closed, None);
    world.wait(1);
    assert_eq!(world.peer(dead).closed, Some(CloseReason::Silent));
    assert_eq!(world.peer(alive).closed, None, "it has answered");
    assert_eq!(world.command(alive, scsi(1, &[0], Direction::None)).len(), 1, "the ping has used no number");
}

#[test]
fn pings_of_the_initiator_come_back() {
    let mut world = World::new(config());
    let one = world.login(settings(1), 1);
    world.tell(one, initiator::Input::Ping { tag: Tag(3), data: Bytes::from_static(b"are you there?") });
    assert_eq!(
        world.events(one),
        vec![Event::Pong { tag: Tag(3), data: Bytes::from_static(b"are you there?") }]
    );
    assert_eq!(world.command(one, scsi(1, &[0], Direction::None)).len(), 1);
}

#[test]
fn a_planned_failover_asks_for_logout_and_then_insists() {
    let mut world = World::new(config());
    let stays = world.login(settings(1), 1);
    let goes = world.login(settings(2), 1);
    let other = world.login(settings(3), 2);
    world.target(super::Input::AskLogout { port: Some(crate::array::TargetPort(1)), seconds: 3 });
    let events = world.events(stays);
    assert!(
        matches!(&events[..], [Event::Message(message)] if (message.event, message.parameters[2]) == (1, 3)),
        "{events:?}"
    );
    world.tell(goes, initiator::Input::Logout { tag: Tag(1), reason: 0 });
    world.wait(3);
    assert_eq!(world.peer(stays).closed, Some(CloseReason::LogoutOverdue));
    assert_eq!(world.peer(goes).closed, Some(CloseReason::LoggedOut));
    assert_eq!((world.peer(other).closed, world.events(other)), (None, vec![]));
}

fn manage(function: u8, tag: u32, reference: Option<u32>) -> initiator::Input {
    let reference = reference.map(Tag);
    initiator::Input::Manage(Management { tag: Tag(tag), function, lun: [0; 8], reference, immediate: true })
}

#[test]
fn task_management() {
    let mut world = World::new(config());
    let one = world.login(settings(1), 1);
    let two = world.login(settings(2), 1);
    for (function, response) in [(2, 0), (4, 0), (5, 0), (6, 0), (8, 4), (9, 5), (0, 5)] {
        world.tell(one, initiator::Input::Command(scsi(1, &[0xC0], Direction::None)));
        world.tell(one, manage(function, 2, None));
        assert_eq!(world.events(one), vec![Event::Managed { tag: Tag(2), response }], "{function}");
        world.tell(one, manage(5, 3, None));
        world.events(one);
        assert_eq!(world.endpoint.outstanding(), 0);
    }
    world.tell(one, manage(7, 2, None));
    assert_eq!(world.events(one), vec![Event::Managed { tag: Tag(2), response: 0 }]);
    for connection in [one, two] {
        assert_eq!(world.peer(connection).closed, Some(CloseReason::ColdReset));
    }
}

fn abort(cmd_sn: u32, tag: u32, reference: u32, reference_sn: u32) -> Header {
    let request = Request { immediate: true, ..request(cmd_sn) };
    let (reference, reference_sn) = (Tag(reference), Sn(reference_sn));
    Header::TaskRequest(TaskRequest {
        request,
        function: 1,
        lun: [0; 8],
        tag: Tag(tag),
        reference,
        reference_sn,
        exp_data_sn: 0,
    })
}

/// RFC 7143, 11.5.5: a command of the window that has not come counts as received, and is swallowed when it comes.
#[test]
fn abort_of_a_command_that_has_not_begun_swallows_it() {
    let mut world = World::new(config());
    let one = session(&mut world);
    let number = |step: u32| FIRST.wrapping_add(step);
    // 1 and 2 wait for 0. 1 is aborted where it waits, 0 before it comes.
    world.inject(one, Header::Command(command(number(1), 1, 0)), &[]);
    world.inject(one, Header::Command(command(number(2), 2, 0)), &[]);
    world.inject(one, abort(number(3), 10, 1, number(1)), &[]);
    world.inject(one, abort(number(3), 11, 99, number(0)), &[]);
    let headers = world.headers(one);
    let responses: Vec<_> = headers
        .iter()
        .filter_map(|header| match header {
            Header::TaskResponse(pdu) => Some((pdu.tag.0, pdu.response)),
            _ => None,
        })
        .collect();
    assert_eq!(responses, [(10, 0), (11, 0)]);
    assert_eq!(statuses(&headers), [(2, 0)]);
    world.inject(one, Header::Command(command(number(0), 99, 0)), &[]);
    assert_eq!(world.headers(one), vec![]);
    assert_eq!(delivered(&world), [2]);
    world.inject(one, Header::Command(command(number(3), 3, 0)), &[]);
    assert_eq!(statuses(&world.headers(one)), [(3, 0)]);
}

#[test]
fn sessions_and_connections_are_limited() {
    let limits = super::Limits { sessions_max: 2, connections_max: 3, ..super::Limits::USUAL };
    let mut world = World::new(Config { limits, ..config() });
    let one = world.login(settings(1), 1);
    world.login(settings(2), 1);
    for who in [settings(3), initiator::Settings { target: None, ..settings(3) }] {
        let refused = world.connect(who, 1);
        assert_eq!(
            world.events(refused),
            vec![Event::LoginRefused { status: LoginStatus::OutOfResources.code() }]
        );
    }
    // Reinstatement needs no place.
    let again = world.login(settings(1), 1);
    assert_eq!(world.peer(one).closed, Some(CloseReason::Reinstated));
    world.dial(1);
    let one_too_many = world.dial(1);
    assert_eq!(world.peer(one_too_many).closed, Some(CloseReason::Connections));
    assert_eq!(world.peer(again).closed, None);
    // The array has no room.
    let mut world = World::new(config());
    world.script.full = true;
    let refused = world.connect(settings(1), 1);
    assert_eq!(
        world.events(refused),
        vec![Event::LoginRefused { status: LoginStatus::OutOfResources.code() }]
    );
    assert_eq!(count(&world, |input| matches!(input, array::Input::NexusLost(_))), 0);
}

/// The array answers a login when the back end is done with the earlier session's writes. Meanwhile the connection may break, or the port
/// log in once more.
#[test]
fn a_login_may_be_answered_late() {
    let answer = |world: &mut World| {
        let (login, nexus) = world.script.logins.remove(0);
        world.target(super::Input::Array(array::Effect::LoggedIn { login, nexus }));
    };
    let lost = |world: &World| count(world, |input| matches!(input, array::Input::NexusLost(_)));
    let mut world = World::new(config());
    world.script.slow = true;
    let one = world.connect(settings(1), 1);
    assert_eq!(world.events(one), vec![]);
    answer(&mut world);
    assert!(matches!(world.events(one)[..], [Event::LoggedIn { .. }]));

    // It breaks while it waits: the nexus is lost as soon as it has a number.
    let two = world.connect(settings(2), 1);
    world.cut(two);
    assert_eq!(lost(&world), 0);
    answer(&mut world);
    assert_eq!(lost(&world), 1);

    // It logs in again while it waits: the first login's answer must not end the second.
    let three = world.connect(settings(3), 1);
    let four = world.connect(settings(3), 1);
    assert_eq!(world.peer(three).closed, Some(CloseReason::Reinstated));
    answer(&mut world);
    assert_eq!((lost(&world), world.events(four)), (1, vec![]));
    answer(&mut world);
    assert!(matches!(world.events(four)[..], [Event::LoggedIn { .. }]));
    assert_eq!(world.command(four, scsi(1, &[0], Direction::None)).len(), 1);
    assert_eq!(lost(&world), 1);
}

fn login_request(stage: Stage, next: Option<Stage>, more: bool) -> LoginRequest {
    LoginRequest {
        request: Request { immediate: true, cmd_sn: Sn(5), exp_stat_sn: Sn(7) },
        next,
        more,
        stage,
        version_max: 0,
        version_min: 0,
        isid: [0x80, 0, 0, 0, 0, 9],
        tsih: 0,
        tag: Tag(0),
        cid: 0,
    }
}

fn answers(world: &mut World, connection: ConnectionId) -> Vec<(pdu::LoginResponse, Text)> {
    let frames = world.frames(connection);
    let answer = |frame: &pdu::Frame| match frame.header {
        Ok(Header::LoginResponse(pdu)) => (pdu, Text::read(&frame.data.joined()).unwrap()),
        _ => panic!("{frame:?}"),
    };
    frames.iter().map(answer).collect()
}

/// The one Login PDU of libiscsi, scsi-pr.md 9.2.
#[test]
fn one_login_pdu_is_answered_by_one_with_a_value_for_each_key() {
    let mut world = World::new(config());
    let one = world.dial(1);
    let keys: &[u8] = b"InitiatorName=iqn.2007-10.com.github:sahlberg:libiscsi:x\0TargetName=iqn.2026-11.example.redline:array\0\
SessionType=Normal\0HeaderDigest=None,CRC32C\0DataDigest=None\0InitialR2T=No\0ImmediateData=Yes\0MaxBurstLength=262144\0\
FirstBurstLength=262144\0DefaultTime2Wait=2\0DefaultTime2Retain=0\0MaxOutstandingR2T=1\0ErrorRecoveryLevel=0\0IFMarker=No\0\
OFMarker=No\0MaxConnections=1\0MaxRecvDataSegmentLength=262144\0DataPDUInOrder=Yes\0DataSequenceInOrder=Yes\0X-com.example=1\0";
    let request = login_request(Stage::Operational, Some(Stage::FullFeature), false);
    world.inject(one, Header::LoginRequest(request), keys);
    let answers = answers(&mut world, one);
    let [(response, text)] = &answers[..] else { panic!("{answers:?}") };
    assert_eq!(
        (response.status, response.stage, response.next),
        (0, Stage::Operational, Some(Stage::FullFeature))
    );
    assert_ne!(response.tsih, 0);
    assert_eq!(
        (response.numbers.stat_sn, response.numbers.exp_cmd_sn),
        (Sn(7), Sn(5)),
        "a login uses no CmdSN"
    );
    let due = [
        ("TargetPortalGroupTag", "1"),
        ("HeaderDigest", "None"),
        ("DataDigest", "None"),
        ("InitialR2T", "No"),
        ("ImmediateData", "Yes"),
        ("MaxBurstLength", "262144"),
        ("FirstBurstLength", "262144"),
        ("DefaultTime2Wait", "2"),
        ("DefaultTime2Retain", "0"),
        ("MaxOutstandingR2T", "1"),
        ("ErrorRecoveryLevel", "0"),
        ("IFMarker", "No"),
        ("OFMarker", "No"),
        ("MaxConnections", "1"),
        ("DataPDUInOrder", "Yes"),
        ("DataSequenceInOrder", "Yes"),
        ("X-com.example", "NotUnderstood"),
        ("MaxRecvDataSegmentLength", "262144"),
    ];
    assert_eq!(text.iter().collect::<Vec<_>>(), due);
    world.inject(one, Header::Command(command(5, 1, 0)), &[]);
    let headers = world.headers(one);
    assert!(matches!(&headers[..], [Header::Response(pdu)] if pdu.numbers.stat_sn == Sn(8)), "{headers:?}");
}

#[test]
fn impossible_values_are_rejected_and_change_nothing() {
    let mut world = World::new(config());
    let one = world.dial(1);
    let request = login_request(Stage::Operational, None, false);
    let keys = b"InitiatorName=iqn.x\0TargetName=IQN.2026-11.example.REDLINE:array\0MaxBurstLength=17\0InitialR2T=maybe\0\
HeaderDigest=SHA1\0MaxOutstandingR2T=0\0MaxRecvDataSegmentLength=99999999999\0ErrorRecoveryLevel=2\0OFMarkInt=1~2\0FirstBurstLength=0x1000\0";
    world.inject(one, Header::LoginRequest(request), keys);
    let answers = answers(&mut world, one);
    let [(response, text)] = &answers[..] else { panic!("{answers:?}") };
    assert_eq!((response.status, response.next), (0, None));
    for (key, value) in [
        ("MaxBurstLength", "Reject"),
        ("InitialR2T", "Reject"),
        ("HeaderDigest", "Reject"),
        ("MaxOutstandingR2T", "Reject"),
        ("ErrorRecoveryLevel", "0"),
        ("OFMarkInt", "Irrelevant"),
        ("FirstBurstLength", "4096"),
    ] {
        assert_eq!(text.get(key), Some(value), "{key}");
    }
}

#[test]
fn a_login_may_come_in_pieces() {
    let mut world = World::new(config());
    let one = world.dial(1);
    world.inject(
        one,
        Header::LoginRequest(login_request(Stage::Security, None, true)),
        b"InitiatorName=iqn.exam",
    );
    world.inject(one, Header::LoginRequest(login_request(Stage::Security, None, true)), b"ple:x\0Target");
    let last = login_request(Stage::Security, Some(Stage::Operational), false);
    world.inject(
        one,
        Header::LoginRequest(last),
        b"Name=iqn.2026-11.example.redline:array\0AuthMethod=CHAP,None\0",
    );
    let partial = answers(&mut world, one);
    assert_eq!(
        partial.iter().map(|(response, _)| response.next).collect::<Vec<_>>(),
        [None, None, Some(Stage::Operational)]
    );
    assert_eq!(partial[2].1.get("AuthMethod"), Some("None"));
    world.inject(one, Header::LoginRequest(login_request(Stage::Operational, None, false)), b"");
    let last = login_request(Stage::Operational, Some(Stage::FullFeature), false);
    world.inject(one, Header::LoginRequest(last), b"MaxRecvDataSegmentLength=65536\0");
    let whole = answers(&mut world, one);
    assert_eq!(whole[0].1.get("MaxRecvDataSegmentLength"), Some("262144"), "declared once");
    assert_eq!((whole[1].0.next, whole[1].1.is_empty()), (Some(Stage::FullFeature), true));
    assert_eq!(world.endpoint.sessions(), 1);
}

#[test]
fn senseless_logins_are_refused_with_their_status() {
    let names = "InitiatorName=iqn.x\0TargetName=iqn.2026-11.example.redline:array\0";
    let plain = login_request(Stage::Operational, Some(Stage::FullFeature), false);
    let check = |request: LoginRequest, text: &str, status: LoginStatus| {
        let mut world = World::new(config());
        let one = world.dial(1);
        world.inject(one, Header::LoginRequest(request), text.as_bytes());
        let answers = answers(&mut world, one);
        assert_eq!(
            answers.iter().map(|(response, _)| response.status).collect::<Vec<_>>(),
            [status.code()],
            "{text}"
        );
        assert_eq!(world.peer(one).closed, Some(CloseReason::LoginRefused(status)));
    };
    check(LoginRequest { version_min: 1, version_max: 1, ..plain }, names, LoginStatus::UnsupportedVersion);
    check(plain, "TargetName=iqn.2026-11.example.redline:array\0", LoginStatus::MissingParameter);
    check(plain, "InitiatorName=iqn.x\0", LoginStatus::MissingParameter);
    check(plain, "InitiatorName=iqn.x\0SessionType=Other\0", LoginStatus::UnsupportedSessionType);
    check(plain, "InitiatorName=iqn.x\0no equals sign\0", LoginStatus::InitiatorError);
    check(plain, &(names.to_string() + "InitialR2T=No\0InitialR2T=No\0"), LoginStatus::InitiatorError);
    check(
        LoginRequest { stage: Stage::FullFeature, next: None, ..plain },
        names,
        LoginStatus::InitiatorError,
    );
    // The text of a login has an end.
    let mut world = World::new(config());
    let one = world.dial(1);
    for _ in 0..3 {
        let request = login_request(Stage::Operational, None, true);
        world.inject(one, Header::LoginRequest(request), &[b'x'; 8000]);
    }
    assert_eq!(world.peer(one).closed, Some(CloseReason::LoginRefused(LoginStatus::InitiatorError)));
}

#[test]
fn text_is_answered_in_one_pdu() {
    let mut world = World::new(config());
    let one = session(&mut world);
    let mut ask = |text: &[u8], last: bool, transfer: u32| {
        let request = Request { immediate: true, ..request(FIRST) };
        let header = TextRequest { request, last, more: false, lun: [0; 8], tag: Tag(1), transfer };
        world.inject(one, Header::TextRequest(header), text);
        let frames = world.frames(one);
        let [frame] = &frames[..] else { panic!("{frames:?}") };
        (frame.bhs[1], frame.header.unwrap(), Text::read(&frame.data.joined()).unwrap_or_default())
    };
    let (flags, _, text) = ask(b"SendTargets=\0", true, NO_TAG);
    assert_eq!((flags, text.get("TargetName")), (0x80, Some(crate::iscsi::support::TARGET)));
    // SendTargets=All belongs to discovery (RFC 7143, appendix C).
    let (_, _, text) =
        ask(b"SendTargets=All\0MaxBurstLength=512\0Foo=1\0MaxRecvDataSegmentLength=512\0", true, NO_TAG);
    let due = [("SendTargets", "Reject"), ("MaxBurstLength", "Reject"), ("Foo", "NotUnderstood")];
    assert_eq!(text.iter().collect::<Vec<_>>(), due);
    let (flags, header, _) = ask(b"Foo=1\0", false, NO_TAG);
    let Header::TextResponse(pdu) = header else { panic!("{header:?}") };
    assert_eq!(flags, 0);
    assert_ne!(pdu.transfer, NO_TAG);
    let (flags, _, text) = ask(b"Bar=1\0", true, pdu.transfer);
    assert_eq!((flags, text.get("Bar")), (0x80, Some("NotUnderstood")));
    let (_, header, _) = ask(b"Bar=1\0", true, 12345);
    assert!(matches!(header, Header::Reject(pdu) if pdu.reason == pdu::reject::PROTOCOL), "{header:?}");
    let (_, header, _) = ask(b"=\0", true, NO_TAG);
    assert!(matches!(header, Header::Reject(pdu) if pdu.reason == pdu::reject::PROTOCOL), "{header:?}");
}

/// Segments of what the initiator takes, F at the end of each burst, the status in the last.
#[test]
fn data_in_is_segmented_and_ends_with_the_status() {
    let offer = Offer { receive_max: 1000, burst_max: 1536, first_burst_max: 512, ..Offer::INITIATOR };
    let mut world = World::new(config());
    let one = world.login(initiator::Settings { offer, ..settings(1) }, 1);
    let mut machine = world.detach(one);
    let mut effects = Vec::new();
    machine.step(initiator::Input::Command(read10(1, 0, 5, 2560)), &mut effects);
    for effect in effects {
        if let initiator::Effect::Send(pieces) = effect {
            world.carry(one, &pieces.concat());
        }
    }
    let segment = |header: Header| match header {
        Header::DataIn(pdu) => (pdu.data_sn.0, pdu.offset, pdu.last, pdu.status),
        other => panic!("{other:?}"),
    };
    let segments: Vec<_> = world.headers(one).into_iter().map(segment).collect();
    let due = [(0, 0, false, None), (1, 1000, true, None), (2, 1536, false, None), (3, 2536, true, Some(0))];
    assert_eq!(segments, due);
}

#[test]
fn two_hundred_sessions_are_held() {
    let mut world = World::new(config());
    let all: Vec<_> = (0..200).map(|node| world.login(settings(node), 1 + u16::from(node % 2))).collect();
    assert_eq!(world.endpoint.sessions(), 200);
    for (tag, one) in (0..).zip(&all) {
        let done = world.command(*one, write10(tag, 3, 1, 512, tag as u8));
        assert_eq!(done.iter().map(|done| done.status).collect::<Vec<_>>(), [0]);
    }
    assert!(all.iter().all(|one| world.peer(*one).closed.is_none()));
}
