//! The kill matrix: each planted bug is caught by conformance, and by the property that its row names.

use rayon::prelude::*;
use redline_harness::catalogue::{BUGS, Bug, relaxation};
use redline_harness::chaos::{Options, campaign};
use redline_harness::conform::Verdict;
use redline_harness::scenario;
use redline_vocab::{Design, Quirks};
use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;

/// What objects to runs of a sound design with this bug planted.
fn seen(bug: &Bug, quirks: Quirks) -> BTreeSet<&'static str> {
    let mut scenario = scenario::load(bug.scenario).expect("the catalogue is tested");
    scenario.design = Design::SOUND;
    let options = Options { seed: 1, runs: bug.runs, quirks, initiators: bug.initiators, keep: usize::MAX };
    let summary = campaign(&scenario, options, &AtomicBool::new(false), &|_| {});
    assert_eq!(summary.inconclusive, 0, "{bug:?}");
    let mut seen = BTreeSet::new();
    for run in &summary.failures {
        if matches!(run.judgement.verdict, Verdict::Diverged(_)) {
            seen.insert("conformance");
        }
        seen.extend(run.judgement.violations.iter().map(|violation| violation.property));
    }
    seen
}

#[test]
fn every_planted_bug_is_caught() {
    let missed: Vec<String> = BUGS
        .par_iter()
        .filter_map(|bug| {
            let seen = seen(bug, bug.quirks());
            let caught = seen.contains("conformance") && bug.property.is_none_or(|id| seen.contains(id));
            (!caught).then(|| {
                format!("{}: expected conformance and {:?}, seen {seen:?}", bug.quirk.name(), bug.property)
            })
        })
        .collect();
    assert_eq!(missed, Vec::<String>::new());
    assert!(BUGS.len() >= 15);
}

#[test]
fn nothing_objects_to_the_same_runs_without_a_bug() {
    let mut done = BTreeSet::new();
    for bug in BUGS {
        let raw = bug.initiators == redline_traces::Initiators::Raw;
        if done.insert((bug.scenario, raw, bug.runs)) {
            assert_eq!(seen(bug, Quirks::NONE), BTreeSet::new(), "{} raw {raw}", bug.scenario);
        }
    }
}

#[test]
fn a_bug_that_needs_a_race_names_the_relaxation_that_shows_it() {
    let raced: Vec<_> = BUGS.iter().filter(|bug| !bug.race.is_empty()).collect();
    assert!(!raced.is_empty());
    for bug in raced {
        let row = relaxation(bug.race).unwrap_or_else(|| panic!("{bug:?}"));
        // `counterexamples` replays its story on the matching bugs to a violation.
        let matching: BTreeSet<_> =
            row.guards.iter().map(|guard| scenario::quirk_of(*guard).name()).collect();
        let planted: BTreeSet<_> = bug.quirks().iter().map(|quirk| quirk.name()).collect();
        assert_eq!(matching, planted);
    }
}
