//! The search on several workers and processes gives what the search in one process gives.
#![cfg(feature = "distributed")]

#[allow(dead_code)]
#[path = "../models/graph.rs"]
mod graph;
#[path = "../models/twophase.rs"]
mod twophase;

use graph::Subsets;
use redline_checker::{
    Check, Cut, Ending, Error, Explored, Limits, Until,
    distributed::{Cluster, execute},
};
use std::{
    net::TcpListener,
    sync::{Arc, atomic::AtomicBool},
    thread,
    time::Duration,
};
use twophase::{KINDS, State, TwoPhase};

fn exhaust() -> Limits {
    Limits { until: Until::Exhausted, ..Limits::threads(1) }
}

/// Free ports of this machine, one for each process.
fn addresses(processes: usize) -> Vec<String> {
    let held: Vec<TcpListener> =
        (0..processes).map(|_| TcpListener::bind("127.0.0.1:0").expect("loopback")).collect();
    held.iter().map(|one| one.local_addr().expect("it is bound").to_string()).collect()
}

/// The same work on every process of a cluster; here each process is a thread with a network of its own.
fn on_cluster<T: Send + 'static>(
    processes: usize,
    threads: usize,
    work: impl Fn(&mut redline_checker::distributed::Member<'_>) -> T + Clone + Send + Sync + 'static,
) -> Vec<T> {
    let addresses = addresses(processes);
    let running: Vec<_> = (0..processes)
        .map(|process| {
            let cluster = Cluster { process, addresses: addresses.clone(), threads };
            let work = work.clone();
            thread::spawn(move || execute(&cluster, work).expect("the cluster runs"))
        })
        .collect();
    running.into_iter().flat_map(|one| one.join().expect("no panic")).collect()
}

fn two_phase(processes: usize, threads: usize, count: u32, limits: Limits) -> Vec<Explored<TwoPhase<2>>> {
    let work = move |member: &mut redline_checker::distributed::Member<'_>| {
        let model = TwoPhase::<2> { count };
        let check = Check::new(&model).kinds(KINDS.to_vec(), |step| step.0);
        check.run_packed_on(member, limits, &AtomicBool::new(false)).expect("it runs")
    };
    on_cluster(processes, threads, work).into_iter().flatten().collect()
}

#[test]
fn counts_levels_and_verdict_are_those_of_one_process() {
    let model = TwoPhase::<2> { count: 6 };
    let check = Check::new(&model).kinds(KINDS.to_vec(), |step| step.0);
    let local = check.run(exhaust()).expect("it runs");
    for (processes, threads) in [(1, 1), (1, 3), (2, 1), (3, 2)] {
        let reports = two_phase(processes, threads, 6, exhaust());
        assert_eq!(reports.len(), processes, "one report a process");
        for report in reports {
            let what = format!("{processes} processes with {threads} workers");
            assert_eq!((report.unique, report.generated), (local.unique, local.generated), "{what}");
            assert_eq!((&report.levels, &report.fired), (&local.levels, &local.fired), "{what}");
            assert_eq!((report.verdict(), report.ending), (local.verdict(), local.ending), "{what}");
        }
    }
}

fn subsets(processes: usize, threads: usize, limits: Limits) -> Vec<Explored<Subsets>> {
    let work = move |member: &mut redline_checker::distributed::Member<'_>| {
        let check = Subsets { bits: 12 };
        Check::new(&check).run_encoded_on(member, limits, &AtomicBool::new(false)).expect("it runs")
    };
    on_cluster(processes, threads, work).into_iter().flatten().collect()
}

#[test]
fn a_counterexample_is_a_shortest_one_and_the_same_for_any_number_of_workers() {
    let local = Check::new(&Subsets { bits: 12 }).run(Limits::threads(1)).expect("it runs");
    let mut ways = Vec::new();
    for (processes, threads) in [(1, 1), (1, 2), (2, 2)] {
        for report in subsets(processes, threads, Limits::threads(1)) {
            assert_eq!((report.unique, report.ending), (local.unique, Ending::Violated));
            let found = &report.counterexamples[0];
            assert_eq!(found.path.steps.len(), local.counterexamples[0].path.steps.len());
            assert_eq!(found.path.last, (1 << 12) - 1);
            let mut state = 0u32;
            for (before, bit) in &found.path.steps {
                assert_eq!(*before, state);
                state |= 1 << bit;
            }
            ways.push(found.path.clone());
        }
    }
    assert_eq!(ways.len(), 4);
    assert!(ways.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn a_limit_ends_all_processes_as_inconclusive() {
    for (limits, cut) in [
        (Limits { states_max: Some(100), ..exhaust() }, Cut::States),
        (Limits { time_max: Some(Duration::ZERO), ..exhaust() }, Cut::Time),
    ] {
        let reports = two_phase(2, 1, 6, limits);
        assert_eq!(reports.len(), 2);
        for report in reports {
            assert_eq!(report.ending, Ending::Cut(cut));
            assert!(report.unique < TwoPhase::<2> { count: 6 }.states());
        }
    }
}

#[test]
fn an_interruption_of_one_process_ends_all() {
    let stop = Arc::new(AtomicBool::new(true));
    let work = move |member: &mut redline_checker::distributed::Member<'_>| {
        let model = TwoPhase::<1> { count: 8 };
        let check = Check::new(&model).kinds(KINDS.to_vec(), |step| step.0);
        check.run_packed_on(member, exhaust(), &stop).expect("it runs").map(|report| report.ending)
    };
    assert_eq!(on_cluster(2, 1, work), vec![Some(Ending::Cut(Cut::Interrupted)); 2]);
}

#[test]
fn what_needs_the_whole_graph_is_refused() {
    let cluster = Cluster { process: 0, addresses: vec!["127.0.0.1:0".to_owned()], threads: 1 };
    let refused = execute(&cluster, |member| {
        let model = TwoPhase::<1> { count: 3 };
        let check = Check::new(&model).eventually("decides", |_, state: &State<1>| state.0[0] != 0);
        check
            .run_packed_on(member, exhaust(), &AtomicBool::new(false))
            .map(|_| ())
            .map_err(|error| error.to_string())
    });
    let text = refused.expect("the cluster runs").pop().expect("one worker").expect_err("it is refused");
    assert!(text.contains("`decides` is a property of whole paths"), "{text}");
    let nobody = Cluster { process: 2, addresses: vec!["127.0.0.1:0".to_owned()], threads: 1 };
    assert!(matches!(execute(&nobody, |_| ()), Err(Error::Network(_))));
}
