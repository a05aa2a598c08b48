//! The simulator: plans, time, and what the disk keeps.

use super::events::{self, Stream};
use super::plan::{Plan, lasts};
use super::{Disk, Loss, World};
use crate::scenario::{self, Scenario};
use proptest::prelude::*;
use redline_vocab::{
    Action, Block, Epoch, Event, Extent, FaultKind, Lba, Micros, Nexus, NodeId, Quirks, Record, Serial,
};

fn reference() -> Scenario {
    scenario::load("reference").expect("it is embedded")
}

fn record(serial: u32) -> Record {
    Record { writer: NodeId(0), epoch: Epoch(1), serial: Serial(serial) }
}

const BLOCK: Extent = Extent { lba: Lba(3), blocks: 1 };

#[test]
fn streams_of_different_names_or_seeds_differ_and_equal_ones_do_not() {
    let draw = |seed, name| {
        let mut stream = Stream::new(seed, name);
        (0..8).map(|_| stream.below(1 << 40)).collect::<Vec<_>>()
    };
    assert_eq!(draw(1, "network"), draw(1, "network"));
    assert_ne!(draw(1, "network"), draw(1, "disk"));
    assert_ne!(draw(1, "network"), draw(2, "network"));
    assert_eq!(Stream::new(1, "x").below(0), 0);
}

#[test]
fn a_write_back_cache_loses_what_was_not_flushed() {
    let mut disk = Disk::new(true);
    disk.write(BLOCK, record(1));
    disk.flush();
    disk.write(BLOCK, record(2));
    assert_eq!(disk.read(BLOCK), [Block::Of(record(2))]);
    disk.lose_power(&mut |_| Loss::Dropped);
    assert_eq!(disk.read(BLOCK), [Block::Of(record(1))]);
    let mut durable = Disk::new(false);
    durable.write(BLOCK, record(2));
    durable.lose_power(&mut |_| Loss::Dropped);
    assert_eq!(durable.read(BLOCK), [Block::Of(record(2))]);
}

#[test]
fn a_corrupt_block_is_not_read_as_data_until_it_is_written_again() {
    let mut disk = Disk::new(false);
    disk.write(BLOCK, record(1));
    disk.corrupt(Lba(3));
    assert_ne!(disk.read(BLOCK), [Block::Of(record(1))]);
    disk.write(BLOCK, record(2));
    assert_eq!(disk.read(BLOCK), [Block::Of(record(2))]);
}

#[test]
fn a_choice_that_is_not_possible_changes_nothing() {
    let mut world = World::new(events::setup(&reference(), Quirks::NONE), &mut Vec::new());
    let before = world.clone();
    let mut notices = Vec::new();
    for action in [
        Action::Dispatch(Nexus(0)),
        Action::Commit { nexus: Nexus(0), nth: 0 },
        Action::Receive(NodeId(1)),
        Action::Login(NodeId(0)),
        Action::Wake(NodeId(0)),
        Action::Restart(NodeId(0)),
        Action::Expire(Nexus(0)),
        Action::Break(Nexus(200)),
        Action::Persist,
    ] {
        assert!(world.apply(action, &mut notices).is_err(), "{action:?}");
        assert_eq!(world, before, "{action:?}");
    }
    assert_eq!(notices, vec![]);
}

#[test]
fn what_is_offered_is_possible() {
    let mut world = World::new(events::setup(&reference(), Quirks::NONE), &mut Vec::new());
    let mut dice = Stream::new(7, "walk");
    let mut offered = Vec::new();
    for _ in 0..3000 {
        offered.clear();
        world.enabled(&mut offered);
        for action in &offered {
            assert!(world.clone().apply(*action, &mut Vec::new()).is_ok(), "{action:?}");
        }
        let action = offered[dice.below(offered.len() as u64) as usize];
        world.apply(action, &mut Vec::new()).expect("it was offered");
    }
}

#[test]
fn runs_are_as_long_as_the_scenario_says_and_time_never_goes_back() {
    let scenario = reference();
    for seed in 0..20 {
        let plan = Plan::draw(&scenario, seed);
        let (mut last, mut seen, mut injected) = (Micros(0), 0, 0);
        let setup = events::setup(&scenario, Quirks::NONE);
        let totals = events::run(&scenario, &plan, &setup, &|| false, |at, event| {
            assert!(at >= last);
            last = at;
            seen += 1;
            injected += u64::from(matches!(event, Event::FaultInjected { .. }));
        });
        assert!(seen >= u64::from(scenario.chaos.events) && totals.events == seen);
        assert!(injected >= u64::from(scenario.chaos.faults_min), "seed {seed}: {injected} faults");
        assert_eq!(totals.faults.iter().sum::<u64>(), injected);
    }
}

proptest! {
    #[test]
    fn plans_are_in_order_and_within_the_scenario(seed in any::<u64>()) {
        let scenario = scenario::load("three-nodes").expect("it is embedded");
        let plan = Plan::draw(&scenario, seed);
        prop_assert_eq!(&plan, &Plan::draw(&scenario, seed));
        prop_assert!(plan.injections.len() >= scenario.chaos.faults_min as usize);
        prop_assert!(plan.injections.windows(2).all(|pair| pair[0].at <= pair[1].at));
        for injection in &plan.injections {
            prop_assert!(scenario.chaos.weights[&injection.fault.kind()] > 0);
            let (least, most) = scenario.chaos.lasts;
            prop_assert!(!lasts(&injection.fault) || (least..=most).contains(&injection.lasts));
        }
    }
}

#[test]
fn every_kind_of_fault_is_drawn_by_some_seed() {
    let scenario = reference();
    let drawn: std::collections::BTreeSet<FaultKind> = (0..100)
        .flat_map(|seed| Plan::draw(&scenario, seed).injections)
        .map(|injection| injection.fault.kind())
        .collect();
    assert_eq!(drawn.len(), FaultKind::ALL.len());
}
