//! Data-Out and Data-In, R2T, digests.

use super::{FIRST, command, data_out, delivered, request, session, statuses, write};
use crate::array;
use crate::iscsi::NO_TAG;
use crate::iscsi::initiator::{self, Direction, Event};
use crate::iscsi::negotiate::Offer;
use crate::iscsi::pdu::{Digests, Header, Malformed, Writer};
use crate::iscsi::support::{BLOCK, World, config, read10, rw10, scsi, settings};
use crate::iscsi::target::{CloseReason, Config, ConnectionId, Input, Limits};
use alloc::vec;
use alloc::vec::Vec;
use bytes::Bytes;
use redline_vocab::{Nexus, Tag};

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
    world.target(Input::Array(array::Effect::Dropped { nexus: Nexus(0), tag: Tag(1) }));
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
    let limits = Limits { solicited_max: 2 * 1024, ..Limits::USUAL };
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
    let limits = Limits { buffered_max: 4096, ..Limits::USUAL };
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
