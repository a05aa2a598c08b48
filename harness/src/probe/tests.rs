use super::finding::Danger;
use super::hunt::{Again, Bounds, Ended, Found, Hunt, Hunter};
use super::judge::Judge;
use super::memory::Memory;
use super::player::{Cast, Player};
use redline_model::Set;
use redline_vocab::{
    Command, Data, Function, Generation, Lba, Managed, Name, Nexus, Quirk, Quirks, Reply, Sense, Status,
};
use std::sync::atomic::AtomicBool;

const BLOCKS: u64 = 64;

/// Hunts on a target with these bugs.
fn hunt(quirks: Quirks, seats: u8, commands: u64) -> (Hunt, u64) {
    let mut memory = Memory::new(BLOCKS, quirks);
    let cast = Cast { seats, ports: if seats > 2 { 2 } else { 1 }, sees_all_ports: true };
    let mut player = Player::new(&mut memory, cast, BLOCKS, Lba(8));
    let bounds = Bounds { commands, until: None, depth: 2, seed: 1 };
    let hunt = Hunter::new(&mut player, bounds, &AtomicBool::new(false), &|_, _| {}).hunt();
    (hunt, player.commands)
}

fn words(found: &Found) -> String {
    let steps: Vec<String> = found.story.iter().map(super::story::Step::words).collect();
    format!(
        "[{}] {}\n    {}\n    log:\n      {}",
        found.mismatch.danger,
        found.mismatch.sentence(),
        steps.join("\n    "),
        found.log.join("\n      ")
    )
}

#[test]
fn a_sound_target_does_not_diverge() {
    let (hunt, commands) = hunt(Quirks::NONE, 3, 600_000);
    println!("{commands} commands, {:?}", hunt.stories);
    let found: Vec<String> = hunt.found.iter().map(words).collect();
    assert!(found.is_empty(), "{} findings:\n{}", found.len(), found.join("\n"));
    assert_eq!(hunt.ended, Ended::Whole);
    assert!(commands >= 100_000, "only {commands} commands");
    assert_eq!(hunt.unclear, 0);
}

/// B has news of an earlier story under its second ISID, and a reservation of SPC-2 goes before them. Neither the reset that it asks for nor
/// INQUIRY says that it has heard them.
#[test]
fn news_that_a_conflict_went_before_may_still_come_after_a_reset() {
    let (a, b) = (Nexus(0), Nexus(1));
    let (conflict, good) = (Reply::of(Status::ReservationConflict), Reply::of(Status::Good));
    let told = |asc, ascq| Reply::of(Status::CheckCondition(Sense { key: 6, asc, ascq }));
    let look = Command::Other(Name::TestUnitReady);
    let mut judge = Judge::new(BLOCKS, Generation(0), false, Set::of(a));
    let say = |judge: &mut Judge, nexus, command: &Command, reply: &Reply| {
        let wrong = judge.step(nexus, command, reply);
        assert!(wrong.is_none(), "{command:?}: {reply:?}: {}", wrong.expect("it is some").sentence());
    };
    say(&mut judge, a, &Command::LegacyReserve, &good);
    judge.logged_in(b, "login");
    say(&mut judge, b, &look, &conflict);
    say(&mut judge, b, &Command::Other(Name::Inquiry), &good);
    let done = Reply { data: Data::Managed(Managed::Complete), ..good.clone() };
    say(&mut judge, b, &Command::Manage(Function::TargetColdReset), &done);
    judge.logged_in(b, "login after the reset");
    say(&mut judge, b, &look, &told(0x29, 2));
    say(&mut judge, b, &look, &told(0x2a, 3));
    say(&mut judge, b, &look, &good);
    assert!(judge.step(b, &look, &told(0x2a, 3)).is_some(), "it has heard everything");
}

#[test]
fn each_planted_bug_is_found() {
    let mut missed = Vec::new();
    for quirk in BUGS {
        let (hunt, _) = hunt(Quirks::NONE.with(quirk), 3, 600_000);
        if !hunt.found.iter().any(|found| found.again == Again::Seen) {
            missed.push(quirk.name());
        }
        for found in hunt.found.iter().filter(|found| found.again == Again::Seen) {
            println!("{}: {}", quirk.name(), words(found));
        }
    }
    assert!(missed.is_empty(), "{missed:?}");
}

/// The bugs of the target; the others are bugs of nodes.
const BUGS: [Quirk; 22] = [
    Quirk::AbortIgnored,
    Quirk::AbortBeforeQuiet,
    Quirk::PersistLate,
    Quirk::ConflictUnchecked,
    Quirk::OrphanReservation,
    Quirk::TasksOutliveNexus,
    Quirk::LoginBeforeQuiet,
    Quirk::TableLostAtRestart,
    Quirk::ReleaseByAnyone,
    Quirk::WrongKeyAccepted,
    Quirk::AllRegistrantsAsSingle,
    Quirk::GenerationStuck,
    Quirk::UnitAttentionLost,
    Quirk::PreemptKeepsVictim,
    Quirk::ExecutedDespiteAttention,
    Quirk::NexusLossUnregisters,
    Quirk::LegacyOutlivesNexus,
    Quirk::CrhIgnored,
    Quirk::ResetClearsRegistrations,
    Quirk::ResetBeforeQuiet,
    Quirk::SpecIPtPartial,
    Quirk::AllTgPtIgnored,
];

#[test]
fn the_last_seats_are_paths_of_a() {
    let cast = Cast { seats: 3, ports: 2, sees_all_ports: true };
    let places: Vec<(u8, u8)> = cast.places(8).iter().map(|place| (place.initiator, place.port)).collect();
    // C is A at the second port, with either ISID; the onlooker and whoever comes after it are alone.
    assert_eq!(places, [(0, 0), (1, 0), (0, 1), (3, 0), (4, 0), (3, 1), (6, 0), (7, 0)]);
    let cast = Cast { seats: 5, ports: 3, sees_all_ports: true };
    let places: Vec<(u8, u8)> = cast.places(8).iter().map(|place| (place.initiator, place.port)).collect();
    assert_eq!(places, [(0, 0), (1, 0), (2, 0), (0, 1), (0, 2), (5, 0), (6, 0), (7, 0)]);
}

#[test]
fn a_write_that_outlives_preempt_and_abort_is_the_worst() {
    let (hunt, _) = hunt(Quirks::NONE.with(Quirk::AbortIgnored), 2, 200_000);
    let worst = hunt.found.iter().max_by_key(|found| found.mismatch.danger).expect("it is found");
    assert_eq!(worst.mismatch.danger, Danger::FencedWrite);
}
