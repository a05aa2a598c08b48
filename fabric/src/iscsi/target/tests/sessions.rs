//! How connections and sessions begin and end, and how many there may be.

use super::{command, count};
use crate::array;
use crate::iscsi::NO_TAG;
use crate::iscsi::initiator::{self, Direction, Event};
use crate::iscsi::negotiate::Offer;
use crate::iscsi::pdu::{Header, Malformed};
use crate::iscsi::support::{World, config, scsi, settings, write10};
use crate::iscsi::target::{CloseReason, Config, Input, Limits, LoginStatus, Notice};
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;
use redline_vocab::{Nexus, Tag};

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
fn a_planned_failover_asks_for_logout_and_then_insists() {
    let mut world = World::new(config());
    let stays = world.login(settings(1), 1);
    let goes = world.login(settings(2), 1);
    let other = world.login(settings(3), 2);
    world.target(Input::AskLogout { port: Some(crate::array::TargetPort(1)), seconds: 3 });
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

#[test]
fn sessions_and_connections_are_limited() {
    let limits = Limits { sessions_max: 2, connections_max: 3, ..Limits::USUAL };
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
        world.target(Input::Array(array::Effect::LoggedIn { login, nexus }));
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
