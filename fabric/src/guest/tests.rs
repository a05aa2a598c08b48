//! The node's rules through its inputs and effects. Each test names the rule of `docs/arbitration.md` that it is about.

use super::*;
use alloc::vec;
use alloc::vec::Vec;
use redline_vocab::{Data, Extent, Generation, Held, Lba, PrIn, PrOut, PrType, Reply, ServiceAction, Status};

const MINE: Key = Key(0x101);
const THEIRS: Key = Key(0x102);

fn guest(quirks: Quirks) -> Guest {
    let config = Config {
        node: NodeId(0),
        nodes: 2,
        key: MINE,
        blocks: 16,
        depth: 2,
        queue_max: 2,
        defend: Micros(3),
        challenge_wait: Micros(7),
        heartbeat: Micros(1),
        silence: Micros(5),
        mix: Mix::WRITES_ONLY,
        write_blocks: 1,
    };
    let mut guest = Guest::new(config, quirks);
    guest.step(Input::Boot, &mut Vec::new());
    guest.step(Input::Connected { nexus: Nexus(0) }, &mut Vec::new());
    guest
}

/// What a step sends and shows.
fn step(guest: &mut Guest, input: Input) -> (Vec<(Tag, Command)>, Vec<Event>) {
    let mut out = Vec::new();
    guest.step(input, &mut out);
    let mut sent = Vec::new();
    let mut events = Vec::new();
    for effect in out {
        match effect {
            Effect::Send { tag, command } => sent.push((tag, command)),
            Effect::Event(event) => events.push(event),
            Effect::Arm { .. } | Effect::Disarm(_) | Effect::Heartbeat { .. } => {}
        }
    }
    (sent, events)
}

/// Answers the one command that was sent.
fn answer(guest: &mut Guest, sent: &[(Tag, Command)], reply: Reply) -> (Vec<(Tag, Command)>, Vec<Event>) {
    let [(tag, _)] = sent else { panic!("one command is expected: {sent:?}") };
    step(guest, Input::Reply { tag: *tag, reply })
}

fn held(key: Option<Key>) -> Reply {
    let kind = PrType::WriteExclusiveRegistrantsOnly;
    let held = key.map(|key| Held { key, kind });
    Reply { status: Status::Good, data: Data::Reservation { generation: Generation(1), held } }
}

fn action(sent: &[(Tag, Command)]) -> Option<PrOut> {
    match sent {
        [(_, Command::PrOut(order))] => Some(*order),
        _ => None,
    }
}

const GOOD: fn() -> Reply = || Reply::of(Status::Good);

/// Through registration and reservation up to the first read of the disk.
fn reserved(guest: &mut Guest) -> Vec<(Tag, Command)> {
    let (sent, _) = step(guest, Input::Timer(Timer::Silence));
    let (sent, _) = answer(guest, &sent, held(None));
    assert_eq!(action(&sent).map(|order| order.action), Some(ServiceAction::RegisterAndIgnoreExistingKey));
    let (sent, _) = answer(guest, &sent, GOOD());
    assert_eq!(action(&sent).map(|order| order.action), Some(ServiceAction::Reserve));
    let (sent, events) = answer(guest, &sent, GOOD());
    assert!(!events.iter().any(|event| matches!(event, Event::Owned { .. })), "GOOD alone is no ownership");
    let (sent, _) = answer(guest, &sent, held(Some(MINE)));
    sent
}

#[test]
fn ownership_comes_after_confirmation_and_first_access_and_only_then_the_fence_opens() {
    let mut guest = guest(Quirks::NONE);
    let sent = reserved(&mut guest);
    assert!(matches!(sent[..], [(_, Command::Read(Extent { lba: Lba(0), .. }))]), "{sent:?}");
    assert!(!guest.may_issue());
    let blocks = Data::Blocks(vec![redline_vocab::Block::Blank]);
    let (_, events) = answer(&mut guest, &sent, Reply { status: Status::Good, data: blocks });
    assert!(
        matches!(events[..], [Event::Received { .. }, Event::Owned { .. }, Event::Fence { open: true, .. }]),
        "{events:?}"
    );
    assert!(guest.may_issue());
}

#[test]
fn every_registration_sets_aptpl_unless_the_bug_is_planted() {
    for (quirks, aptpl) in [(Quirks::NONE, true), (Quirks::NONE.with(Quirk::AptplNotSet), false)] {
        let mut guest = guest(quirks);
        let (sent, _) = step(&mut guest, Input::Timer(Timer::Silence));
        let (sent, _) = answer(&mut guest, &sent, held(None));
        assert_eq!(action(&sent).map(|order| order.aptpl), Some(aptpl));
    }
}

#[test]
fn a_challenger_waits_reads_again_and_names_the_key_it_saw_last() {
    let mut guest = guest(Quirks::NONE);
    let (sent, _) = step(&mut guest, Input::Timer(Timer::Silence));
    let (sent, _) = answer(&mut guest, &sent, held(Some(THEIRS)));
    let (sent, _) = answer(&mut guest, &sent, GOOD());
    assert_eq!(sent, vec![], "it is registered, and waits");
    let (sent, _) = step(&mut guest, Input::Timer(Timer::ChallengeWait));
    assert!(matches!(sent[..], [(_, Command::PrIn(PrIn::ReadReservation))]), "{sent:?}");
    let (sent, _) = answer(&mut guest, &sent, held(Some(THEIRS)));
    let keys = Data::Keys { generation: Generation(1), keys: vec![THEIRS, MINE] };
    let (sent, _) = answer(&mut guest, &sent, Reply { status: Status::Good, data: keys });
    let order = action(&sent).expect("a takeover");
    assert_eq!((order.action, order.service_key), (ServiceAction::PreemptAndAbort, THEIRS));
}

#[test]
fn a_challenger_whose_key_was_removed_has_lost() {
    let mut guest = guest(Quirks::NONE);
    let (sent, _) = step(&mut guest, Input::Timer(Timer::Silence));
    let (sent, _) = answer(&mut guest, &sent, held(Some(THEIRS)));
    answer(&mut guest, &sent, GOOD());
    let (sent, _) = step(&mut guest, Input::Timer(Timer::ChallengeWait));
    let (sent, _) = answer(&mut guest, &sent, held(Some(THEIRS)));
    let keys = Data::Keys { generation: Generation(2), keys: vec![THEIRS] };
    let (sent, events) = answer(&mut guest, &sent, Reply { status: Status::Good, data: keys });
    assert_eq!(action(&sent), None, "it must not preempt");
    assert!(events.iter().any(|event| matches!(event, Event::Lost { .. })), "{events:?}");
}

#[test]
fn a_conflict_on_its_own_disk_closes_the_fence_and_empties_the_queue() {
    let mut guest = guest(Quirks::NONE);
    let sent = reserved(&mut guest);
    let blocks = Data::Blocks(vec![redline_vocab::Block::Blank]);
    answer(&mut guest, &sent, Reply { status: Status::Good, data: blocks });
    step(&mut guest, Input::Issue);
    step(&mut guest, Input::Issue);
    let (sent, _) = step(&mut guest, Input::SendOne);
    let (_, events) = answer(&mut guest, &sent, Reply::of(Status::ReservationConflict));
    assert!(events.iter().any(|event| matches!(event, Event::Lost { .. })), "{events:?}");
    assert!(events.iter().any(|event| matches!(event, Event::Fence { open: false, .. })), "{events:?}");
    assert!(events.iter().any(|event| matches!(event, Event::Drained { .. })), "{events:?}");
    assert!(!guest.may_send() && !guest.may_issue());
}
