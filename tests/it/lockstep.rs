//! Model and fabric in lock-step: they agree when nothing is planted, and do not when something is.

use proptest::prelude::*;
use redline_harness::chaos::{Run, STATES_MAX};
use redline_harness::conform::{self, Verdict};
use redline_harness::lockstep::{
    Budget, MIRRORED, MIRRORED_LISTS, MIRRORED_MORE, mirror, mirror_cluster, product, product_of,
};
use redline_harness::scenario;
use redline_harness::sim::plan::Plan;
use redline_traces::{Initiators, Reader};
use redline_vocab::{Quirk, Quirks};
use std::sync::atomic::AtomicBool;

const SMALL: Budget = Budget { writes: 1, challenges: 2, defends: 1, faults: 1, commands: 3 };

#[test]
fn every_transition_of_the_small_model_is_what_the_fabric_does() {
    let found = mirror(MIRRORED, Quirks::NONE, &AtomicBool::new(false), &mut |_| {});
    assert_eq!(found.difference, None);
    insta::assert_snapshot!(format!("raw: {} states, {} transitions", found.states, found.transitions));
}

#[test]
fn every_transition_with_legacy_functions_and_lists_is_what_the_fabric_does() {
    let [more, lists] = [MIRRORED_MORE, MIRRORED_LISTS].map(|instance| {
        let found = mirror(instance, Quirks::NONE, &AtomicBool::new(false), &mut |_| {});
        assert_eq!(found.difference, None);
        format!("{}: {} states, {} transitions", instance.name, found.states, found.transitions)
    });
    insta::assert_snapshot!(format!("{more}\n{lists}"));
}

#[test]
fn every_transition_of_the_small_cluster_is_what_the_fabric_does() {
    let found = mirror_cluster(Quirks::NONE, &AtomicBool::new(false), &mut |_| {});
    assert_eq!(found.difference, None);
    insta::assert_snapshot!(format!("guests: {} states, {} transitions", found.states, found.transitions));
}

#[test]
fn the_model_allows_every_step_of_the_fabric() {
    let reference = scenario::load("reference").expect("it is embedded");
    let found = product(&reference, SMALL, &AtomicBool::new(false), &mut |_| {});
    assert_eq!(found.difference, None);
    insta::assert_snapshot!(format!("{} states, {} transitions", found.states, found.transitions));
}

#[test]
fn a_planted_bug_of_the_target_shows_in_both_directions() {
    let reference = scenario::load("reference").expect("it is embedded");
    let stop = AtomicBool::new(false);
    for quirk in
        [Quirk::OrphanReservation, Quirk::ReleaseByAnyone, Quirk::WrongKeyAccepted, Quirk::GenerationStuck]
    {
        let quirks = Quirks::NONE.with(quirk);
        assert!(
            mirror(MIRRORED, quirks, &stop, &mut |_| {}).difference.is_some(),
            "{quirk:?}: model to fabric"
        );
        let bounds = Budget { commands: 4, faults: 0, ..SMALL };
        let found = product_of(&reference, Initiators::Raw, quirks, bounds, &stop, &mut |_| {});
        assert!(found.difference.is_some(), "{quirk:?}: fabric to model");
    }
}

#[test]
fn a_planted_bug_of_the_node_shows_in_both_directions() {
    let reference = scenario::load("reference").expect("it is embedded");
    let stop = AtomicBool::new(false);
    for quirk in
        [Quirk::PlainPreempt, Quirk::AptplNotSet, Quirk::ConfirmSkipped, Quirk::FenceOpenWhileChallenging]
    {
        let quirks = Quirks::NONE.with(quirk);
        assert!(
            mirror_cluster(quirks, &stop, &mut |_| {}).difference.is_some(),
            "{quirk:?}: model to fabric"
        );
        let found = product_of(&reference, Initiators::Guests, quirks, SMALL, &stop, &mut |_| {});
        assert!(found.difference.is_some(), "{quirk:?}: fabric to model");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// The model allows what the fabric does under any plan and any wrong use.
    #[test]
    fn the_model_allows_random_runs_of_the_fabric(
        seed in any::<u64>(),
        raw in any::<bool>(),
        name in prop::sample::select(vec!["reference", "three-nodes"]),
        events in 50u32..1500,
    ) {
        let scenario = scenario::load(name).expect("it is embedded");
        let mut plan = Plan::draw(&scenario, seed);
        plan.events_min = events;
        let initiators = if raw { Initiators::Raw } else { Initiators::Guests };
        let bytes = Run { scenario: &scenario, plan: &plan, initiators, quirks: Quirks::NONE }.record();
        let reader = Reader::new(&bytes[..], "the run").expect("it was just recorded");
        let options = conform::Options { states_max: STATES_MAX, owner_within: None };
        let judgement = conform::judge(reader, options).expect("it was just recorded");
        prop_assert_eq!(judgement.verdict, Verdict::Conforms);
        prop_assert_eq!(judgement.violations, vec![]);
    }
}
