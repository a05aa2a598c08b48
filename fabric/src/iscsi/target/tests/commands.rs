//! Order, window, rejects, task management, pings, text: what happens to a PDU that has a CmdSN.

use super::{FIRST, command, delivered, request, session, statuses};
use crate::array;
use crate::iscsi::NO_TAG;
use crate::iscsi::initiator::{self, Direction, Event, Management};
use crate::iscsi::pdu::{self, Header, Request, Snack, TaskRequest, TextRequest};
use crate::iscsi::serial::Sn;
use crate::iscsi::support::{World, config, scsi, settings};
use crate::iscsi::target::{CloseReason, Config, Input, Limits};
use crate::iscsi::text::Text;
use alloc::vec;
use alloc::vec::Vec;
use bytes::Bytes;
use redline_vocab::{Nexus, Tag};

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
fn a_full_window_is_closed_and_opens_again() {
    let mut world =
        World::new(Config { limits: Limits { window: 4, immediate_max: 2, ..Limits::USUAL }, ..config() });
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
        world.target(Input::Array(answer));
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
