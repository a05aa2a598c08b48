//! What holds of both ends: target and initiator against each other, in memory. Rows of RFC 7143 as far as they show on the wire.

use super::chap::{self, Algorithm};
use super::initiator::{Completion, Direction, Event, Input, Management, Opening, Settings};
use super::negotiate::Offer;
use super::pdu::{Digests, Residual};
use super::serial::Sn;
use super::support::{BLOCK, World, accounts, config, credentials, read10, rw10, scsi, settings, write10};
use super::target::{CloseReason, LoginStatus};
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;
use bytes::Bytes;
use redline_vocab::Tag;

fn only(completions: Vec<Completion>) -> Completion {
    assert_eq!(completions.len(), 1, "{completions:?}");
    completions.into_iter().next().unwrap()
}

#[test]
fn serial_numbers_wrap() {
    assert_eq!(Sn(u32::MAX).next(), Sn(0));
    assert_eq!(Sn(1).ahead_of(Sn(u32::MAX)), 2);
    assert!(Sn(u32::MAX).before(Sn(3)));
    assert!(!Sn(3).before(Sn(u32::MAX)));
    assert!(!Sn(3).before(Sn(3)));
}

/// Reads and writes of one block to many, in every way of sending data that can be agreed on, cut into any chunks.
#[test]
fn data_get_through_in_every_way_that_can_be_agreed_on() {
    for (initial_r2t, immediate_data) in [(false, false), (false, true), (true, false), (true, true)] {
        for (receive, first, burst, r2ts) in
            [(262_144, 262_144, 262_144, 1), (512, 1024, 2048, 1), (1500, 1024, 2048, 4)]
        {
            for digests in [false, true] {
                for chunk in [1, 7, 1000, usize::MAX] {
                    let mut target = config();
                    target.offer.receive_max = receive;
                    let mut world = World::new(target);
                    world.chunk = chunk;
                    let offer = Offer {
                        initial_r2t,
                        immediate_data,
                        header_digest: digests,
                        data_digest: digests,
                        receive_max: receive,
                        first_burst_max: first,
                        burst_max: burst,
                        r2t_max: r2ts,
                        ..Offer::INITIATOR
                    };
                    check_transfer(&mut world, Settings { offer, ..settings(1) });
                }
            }
        }
    }
}

fn check_transfer(world: &mut World, settings: Settings) {
    let expected = Digests { header: settings.offer.header_digest, data: settings.offer.data_digest };
    let one = world.login(settings, 1);
    let holds = *world.peer(one).initiator.as_ref().unwrap().parameters();
    assert_eq!(holds.digests, expected);
    for (tag, blocks) in [(1, 1_u8), (2, 3), (3, 24)] {
        let length = u32::from(blocks) * BLOCK as u32;
        let data: Vec<u8> = (0..length).map(|at| (at * 7 + tag) as u8).collect();
        let pieces = data.chunks(700).map(Bytes::copy_from_slice).collect();
        let direction = Direction::Out { expected: length, data: pieces, withheld: false };
        let done = only(world.command(one, scsi(tag, &rw10(0x2A, 8, blocks), direction)));
        assert_eq!((done.tag, done.status, done.residual), (Tag(tag), 0, Residual::None));
        let done = only(world.command(one, read10(100 + tag, 8, blocks, length)));
        assert_eq!((done.tag, done.status, done.residual), (Tag(100 + tag), 0, Residual::None));
        assert_eq!(done.data.joined(), data);
    }
    assert!(world.script.open.is_empty());
    assert_eq!(world.endpoint.outstanding(), 0);
}

/// scsi-pr.md 9.5, with reads and writes of two blocks.
#[test]
fn residuals() {
    let mut world = World::new(config());
    let one = world.login(settings(1), 1);
    let two = 2 * BLOCK as u32;
    for (expected, bytes, residual) in [
        (two, two, Residual::None),
        (0, 0, Residual::Overflow(two)),
        (200, 200, Residual::Overflow(two - 200)),
        (512, 512, Residual::Overflow(512)),
        (10_000, two, Residual::Underflow(10_000 - two)),
    ] {
        let done = only(world.command(one, read10(1, 4, 2, expected)));
        assert_eq!((done.status, done.data.len() as u32, done.residual), (0, bytes, residual), "{expected}");
        let done = only(world.command(one, write10(2, 10, 2, expected, 0xEE)));
        assert_eq!((done.status, done.residual), (0, residual), "{expected}");
    }
    // The write of 10,000 bytes has changed two blocks and no more.
    assert!(world.script.medium[10 * BLOCK..12 * BLOCK].iter().all(|byte| *byte == 0xEE));
    assert!(world.script.medium[12 * BLOCK..13 * BLOCK].iter().all(|byte| *byte == 12));
    // Truncation by allocation length is no overflow; less than the allocation length is an underflow.
    for (allocation, expected, residual) in [(4, 4, Residual::None), (255, 255, Residual::Underflow(231))] {
        let done =
            only(world.command(one, scsi(3, &[0x1A, 0, 0x3F, 0, allocation], Direction::In(expected))));
        assert_eq!((done.status, done.residual), (0, residual));
    }
    // READ with the W flag: GOOD, nothing is waited for, nothing was transferred.
    let direction = Direction::Out { expected: 512, data: vec![Bytes::from(vec![1; 512])], withheld: false };
    let done = only(world.command(one, scsi(4, &rw10(0x28, 0, 1), direction)));
    assert_eq!((done.status, done.residual), (0, Residual::Underflow(512)));
}

#[test]
fn sense_data_come_with_check_condition() {
    let mut world = World::new(config());
    let one = world.login(settings(1), 1);
    let done = only(world.command(one, scsi(1, &[0x12], Direction::In(96))));
    assert_eq!((done.status, done.sense.len()), (2, 18));
    assert_eq!((done.sense[2], done.sense[12]), (5, 0x24));
    assert_eq!(done.residual, Residual::Underflow(96));
    let done = only(world.command(one, scsi(2, &[0xC1], Direction::None)));
    assert_eq!((done.status, done.sense.len(), done.residual), (0x18, 0, Residual::None));
}

#[test]
fn chap_lets_in_who_knows_the_secret() {
    for algorithm in Algorithm::ALL {
        for mutual in [false, true] {
            let mut world = World::new(super::target::Config { chap: Some(accounts(true)), ..config() });
            let who = Settings { credentials: Some(credentials(&[algorithm], mutual)), ..settings(1) };
            let one = world.login(who, 1);
            assert_eq!(only(world.command(one, scsi(1, &[0], Direction::None))).status, 0);
        }
    }
}

fn check_refused(target: super::target::Config, who: Settings, status: LoginStatus) {
    let mut world = World::new(target);
    let one = world.connect(who, 1);
    assert_eq!(world.events(one), vec![Event::LoginRefused { status: status.code() }]);
    assert_eq!(world.peer(one).closed, Some(CloseReason::LoginRefused(status)));
    assert_eq!(world.endpoint.sessions(), 0);
    assert!(world.script.log.is_empty());
}

#[test]
fn logins_are_refused_with_their_status() {
    let guarded = || super::target::Config { chap: Some(accounts(false)), ..config() };
    let known = || credentials(&[Algorithm::Sha256], false);
    let failed = LoginStatus::AuthenticationFailed;

    let mut wrong_secret = known();
    wrong_secret.initiator.secret = b"wrong horse!!".to_vec();
    check_refused(guarded(), Settings { credentials: Some(wrong_secret), ..settings(1) }, failed);
    let mut wrong_name = known();
    wrong_name.initiator.name = "mallory".to_string();
    check_refused(guarded(), Settings { credentials: Some(wrong_name), ..settings(1) }, failed);
    check_refused(guarded(), settings(1), failed);
    check_refused(guarded(), Settings { opening: Opening::Security, ..settings(1) }, failed);
    check_refused(guarded(), Settings { target: None, ..settings(1) }, failed);
    // The target has no secret of its own to prove.
    let mutual = Settings { credentials: Some(credentials(&[Algorithm::Md5], true)), ..settings(1) };
    check_refused(guarded(), mutual, failed);
    // The target has no accounts at all.
    check_refused(config(), Settings { credentials: Some(known()), ..settings(1) }, failed);
    // The initiator sends the target's challenge back to it.
    let mut reflected = credentials(&[Algorithm::Sha256], true);
    reflected.challenge = super::support::challenge(0);
    let mutually = super::target::Config { chap: Some(accounts(true)), ..config() };
    check_refused(mutually, Settings { credentials: Some(reflected), ..settings(1) }, failed);

    let elsewhere = Settings { target: Some("iqn.2026-11.example.redline:other".to_string()), ..settings(1) };
    check_refused(config(), elsewhere, LoginStatus::NotFound);
    check_refused(config(), Settings { tsih: 77, ..settings(1) }, LoginStatus::SessionDoesNotExist);
    check_refused(config(), Settings { name: "x".repeat(224), ..settings(1) }, LoginStatus::InitiatorError);
}

#[test]
fn a_target_that_does_not_know_the_mutual_secret_is_not_trusted() {
    let mut world = World::new(super::target::Config { chap: Some(accounts(true)), ..config() });
    let mut who = credentials(&[Algorithm::Sha1], true);
    who.target.as_mut().unwrap().secret = b"something else".to_vec();
    let one = world.connect(Settings { credentials: Some(who), ..settings(1) }, 1);
    assert_eq!(world.events(one), vec![Event::Failed(super::initiator::Failure::Authentication)]);
    assert_eq!(world.endpoint.sessions(), 0);
}

#[test]
fn the_security_stage_may_be_passed_without_chap() {
    let mut world = World::new(config());
    world.login(Settings { opening: Opening::Security, ..settings(1) }, 1);
}

#[test]
fn discovery_tells_every_portal_in_one_response() {
    let mut world = World::new(config());
    let one = world.login(Settings { target: None, ..settings(1) }, 1);
    world.tell(one, Input::SendTargets { tag: Tag(5), value: "All".to_string() });
    let events = world.events(one);
    let [Event::Targets { tag: Tag(5), targets }] = &events[..] else { panic!("{events:?}") };
    assert_eq!(targets.len(), 1);
    assert_eq!(targets[0].name, super::support::TARGET);
    assert_eq!(targets[0].addresses, ["127.0.0.1:3260,1", "127.0.0.1:3261,2"]);
    // No SCSI command in a discovery session.
    world.tell(one, Input::Command(scsi(6, &[0], Direction::None)));
    let events = world.events(one);
    assert!(
        matches!(&events[..], [Event::Rejected { reason: 4, header }] if header[0] == 0x01),
        "{events:?}"
    );
    assert!(world.script.log.is_empty());
    world.tell(one, Input::Logout { tag: Tag(7), reason: 0 });
    assert_eq!(world.events(one), vec![Event::LoggedOut { tag: Tag(7), response: 0 }]);
    assert_eq!(world.endpoint.sessions(), 0);
}

#[test]
fn abort_ends_a_command_once() {
    let mut world = World::new(config());
    let one = world.login(settings(1), 1);
    assert!(world.command(one, scsi(1, &[0xC0], Direction::None)).is_empty());
    let abort = |tag, of| {
        Input::Manage(Management {
            tag: Tag(tag),
            function: 1,
            lun: [0; 8],
            reference: Some(Tag(of)),
            immediate: true,
        })
    };
    world.tell(one, abort(2, 1));
    assert_eq!(world.events(one), vec![Event::Managed { tag: Tag(2), response: 0 }]);
    world.tell(one, abort(3, 1));
    assert_eq!(world.events(one), vec![Event::Managed { tag: Tag(3), response: 1 }]);
    assert_eq!(world.endpoint.outstanding(), 0);
}

#[test]
fn chap_values_are_read_in_both_forms() {
    assert_eq!(chap::from_text("0x00fF"), Some(vec![0x00, 0xFF]));
    assert_eq!(chap::from_text("0xf00"), Some(vec![0x0F, 0x00]));
    assert_eq!(chap::from_text("0bAP8="), Some(vec![0x00, 0xFF]));
    assert_eq!(chap::from_text("0bAP8"), None);
    for bad in ["", "0x", "0b", "00ff", "0xfg", "0b====", "0bA=A=", "é"] {
        assert_eq!(chap::from_text(bad), None, "{bad}");
    }
    let bytes: Vec<u8> = (0..=255).collect();
    assert_eq!(chap::from_text(&chap::to_text(&bytes)), Some(bytes));
    assert!(chap::same(b"abc", b"abc") && !chap::same(b"abc", b"abd") && !chap::same(b"abc", b"ab"));
}

/// MD5("\x01" "secret" "0123456789abcdef") and its sisters, computed with coreutils.
#[test]
fn chap_responses_are_digests_of_identifier_secret_and_challenge() {
    let response =
        |algorithm: Algorithm| chap::to_text(&algorithm.response(1, b"secret", b"0123456789abcdef"));
    assert_eq!(response(Algorithm::Md5), "0x1166c5a4d653b5f41cc0431512a91a1c");
    assert_eq!(response(Algorithm::Sha1), "0xec20cd14ef7965b5dde745550fa926b5da810b68");
    assert_eq!(
        response(Algorithm::Sha256),
        "0x522793e21c2154b398008b91188ea8e0efecf2e328088117ac4cf13dfc809946"
    );
}

fn reserve_out(tag: u32, action: u8, key: u64, other: u64) -> super::initiator::ScsiCommand {
    let mut list = vec![0; 24];
    list[..8].copy_from_slice(&key.to_be_bytes());
    list[8..16].copy_from_slice(&other.to_be_bytes());
    let cdb = [0x5F, action, 5, 0, 0, 0, 0, 0, 24];
    scsi(tag, &cdb, Direction::Out { expected: 24, data: vec![Bytes::from(list)], withheld: false })
}

/// A session whose unit attentions are read.
fn ready(world: &mut World, node: u8) -> super::target::ConnectionId {
    let one = world.login(settings(node), 1);
    let attention = only(world.command(one, scsi(1, &[0], Direction::None)));
    assert_eq!((attention.status, attention.sense[2], attention.sense[12]), (2, 6, 0x29));
    assert_eq!(only(world.command(one, scsi(2, &[0], Direction::None))).status, 0);
    one
}

/// The fencing story with the real array:
///
/// 1. nodes 1 and 2 register; 1 reserves (Write Exclusive - Registrants Only)
/// 2. 1 sends a write and keeps its data back after the R2T
/// 3. 2 preempts and aborts 1, and gets GOOD
/// 4. 1 sends the data: nothing changes, and nothing is answered
/// 5. 1's next write gets the news, the one after that a conflict
#[test]
fn a_write_whose_data_come_after_preempt_and_abort_changes_nothing() {
    let mut world = World::new(config());
    world.real = Some(super::support::Real::new());
    let (one, two) = (ready(&mut world, 1), ready(&mut world, 2));
    for (connection, key) in [(one, 1), (two, 2)] {
        assert_eq!(only(world.command(connection, reserve_out(3, 6, 0, key))).status, 0);
    }
    assert_eq!(only(world.command(one, reserve_out(4, 1, 1, 0))).status, 0);

    let data = vec![Bytes::from(vec![0xEE; BLOCK])];
    let direction = Direction::Out { expected: BLOCK as u32, data, withheld: true };
    world.tell(one, Input::Command(scsi(5, &rw10(0x2A, 7, 1), direction)));
    assert_eq!(world.events(one), vec![Event::Withheld { tag: Tag(5), offset: 0, length: 512 }]);
    assert_eq!(only(world.command(two, reserve_out(5, 5, 2, 1))).status, 0);
    world.tell(one, Input::Release(Tag(5)));
    assert_eq!(world.events(one), vec![]);

    let blank = only(world.command(two, read10(6, 7, 1, 512)));
    assert_eq!((blank.status, blank.data.joined()), (0, Bytes::from(vec![0; BLOCK])));
    let mut statuses = Vec::new();
    for tag in 10.. {
        let done = only(world.command(one, write10(tag, 7, 1, 512, 0xEE)));
        statuses.push((done.status, done.sense.get(12).copied()));
        if done.status != 2 {
            break;
        }
    }
    assert_eq!(statuses.last(), Some(&(0x18, None)), "{statuses:?}");
}

#[test]
fn the_real_array_reads_what_was_written_to_it_in_every_way() {
    for initial_r2t in [false, true] {
        let mut world = World::new(config());
        world.real = Some(super::support::Real::new());
        world.chunk = 999;
        let offer = Offer { initial_r2t, first_burst_max: 1024, burst_max: 2048, ..Offer::INITIATOR };
        let one = world.login(Settings { offer, ..settings(1) }, 1);
        only(world.command(one, scsi(1, &[0], Direction::None)));
        assert_eq!(only(world.command(one, write10(2, 5, 20, 20 * 512, 0xAB))).status, 0);
        let done = only(world.command(one, read10(3, 4, 22, 22 * 512)));
        let mut due = vec![0xAB; 22 * BLOCK];
        due[..BLOCK].fill(0);
        due[21 * BLOCK..].fill(0);
        assert_eq!((done.status, done.data.joined()), (0, Bytes::from(due)));
    }
}
