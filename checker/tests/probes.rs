//! Five questions that stateright 0.31 answers wrongly, or not at all.

#[path = "../models/graph.rs"]
mod graph;

use graph::{Graph, Subsets, Swap};
use redline_checker::{Check, Counterexample, Cut, Ending, Limits, Until, Verdict};
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

fn exhaust(threads: usize) -> Limits {
    Limits { until: Until::Exhausted, ..Limits::threads(threads) }
}

/// The nodes of a counterexample, and where its loop begins.
fn lasso(found: &Counterexample<u8, u8>) -> (Vec<u8>, Option<usize>) {
    let mut nodes: Vec<u8> = found.path.steps.iter().map(|(state, _)| *state).collect();
    nodes.push(found.path.last);
    (nodes, found.loops_from)
}

#[test]
fn eventually_is_violated_by_ends_and_loops_that_avoid_the_goal() {
    for (name, edges, expected) in [
        ("line", vec![(0, 1)], (vec![0, 1], None)),
        ("cycle", vec![(0, 1), (1, 0)], (vec![0, 1, 0], Some(0))),
        ("self-loop", vec![(0, 0)], (vec![0, 0], Some(0))),
        ("lasso", vec![(0, 9), (0, 1), (1, 2), (2, 1)], (vec![0, 1, 2, 1], Some(1))),
        ("join", vec![(0, 9), (0, 1), (9, 5), (1, 5)], (vec![0, 1, 5], None)),
        ("long way round", vec![(0, 1), (1, 2), (2, 3), (3, 1), (3, 9)], (vec![0, 1, 2, 3, 1], Some(1))),
    ] {
        for threads in [1, 2] {
            let report = Check::new(&Graph(edges.clone())).run(exhaust(threads)).expect(name);
            assert_eq!(report.verdict(), Verdict::Violated, "{name}");
            assert_eq!(lasso(&report.counterexamples[0]), expected, "{name}");
        }
    }
}

#[test]
fn eventually_holds_where_every_path_meets_the_goal() {
    for (name, edges) in [
        ("goal at once", vec![(0, 9)]),
        ("both ways", vec![(0, 1), (0, 2), (1, 9), (2, 9), (9, 0)]),
        ("loops behind the goal", vec![(0, 9), (9, 1), (1, 2), (2, 1)]),
    ] {
        let report = Check::new(&Graph(edges)).run(exhaust(2)).expect(name);
        assert_eq!(report.verdict(), Verdict::Holds, "{name}: {:?}", report.counterexamples);
    }
}

#[test]
fn symmetry_counts_orbits() {
    for threads in [1, 2] {
        let check = Check::new(&Swap).symmetric(|_, (a, b)| (a.min(b), a.max(b)));
        assert_eq!(check.run(exhaust(threads)).expect("it runs").unique, 55);
    }
    assert_eq!(Check::new(&Swap).run(exhaust(2)).expect("it runs").unique, 100);
}

#[test]
fn a_time_limit_stops_with_one_thread_and_is_inconclusive() {
    for threads in [1, 2] {
        let limits = Limits { time_max: Some(Duration::from_millis(50)), ..exhaust(threads) };
        let started = Instant::now();
        let report = Check::new(&Subsets { bits: 30 }).run(limits).expect("it runs");
        assert!(started.elapsed() < Duration::from_secs(20), "it was not stopped");
        assert_eq!(report.ending, Ending::Cut(Cut::Time));
        assert_eq!(report.verdict(), Verdict::Inconclusive(Cut::Time));
        assert!(report.unique > 0 && report.unique < 1 << 30);
    }
}

#[test]
fn a_limit_on_states_is_inconclusive() {
    let limits = Limits { states_max: Some(1000), ..exhaust(2) };
    let report = Check::new(&Subsets { bits: 22 }).run(limits).expect("it runs");
    assert_eq!(report.verdict(), Verdict::Inconclusive(Cut::States));
    assert!(report.unique >= 1000 && report.unique < 1 << 22, "{}", report.unique);
}

#[test]
fn the_late_violation_is_found_with_any_number_of_threads() {
    let mut ways = BTreeSet::new();
    for threads in [1, 2, 8] {
        let report = Check::new(&Subsets { bits: 16 }).run(Limits::threads(threads)).expect("it runs");
        assert_eq!((report.ending, report.verdict()), (Ending::Violated, Verdict::Violated));
        let path = &report.counterexamples[0].path;
        assert_eq!((path.steps.len(), path.last), (16, (1 << 16) - 1));
        ways.insert(path.steps.clone());
    }
    assert_eq!(ways.len(), 1, "the same counterexample");
}
