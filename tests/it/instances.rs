//! The exhausted instances with their pinned counts. A change of a count is a change of the model.

use redline_harness::check::{Ending, Limits, Report, Verdict, recover, recovery_terms, run};
use redline_harness::{catalogue, jobs, scenario};
use redline_model::cluster::Readings;
use redline_model::reservations::{INSTANCES, Reservations};
use redline_vocab::Design;
use std::fmt::Write;
use std::sync::atomic::AtomicBool;

const LIMITS: Limits = Limits::threads(2);

/// Counts that do not depend on the order of exploration.
fn line(name: &str, report: &Report) -> String {
    assert_eq!(report.verdict(), Verdict::Holds, "{name}: {:?}", report.counterexamples);
    assert_eq!(report.ending, Ending::Exhausted, "{name}");
    let never: Vec<&str> = report.never_enabled().collect();
    format!("{name}: {} unique, {} generated; never: {}", report.unique, report.generated, never.join(", "))
}

#[test]
fn the_named_instances_are_exhausted_with_pinned_counts() {
    let mut counts = String::new();
    let mut total = 0;
    for instance in INSTANCES {
        let model = Reservations::new(instance, Design::SOUND, Readings::Every);
        let report = run(&model, LIMITS, &AtomicBool::new(false), &mut |_| {}).expect("it can be explored");
        total += report.unique;
        let _ = writeln!(counts, "{}", line(instance.name, &report));
    }
    assert!(total >= 1_000_000, "{total} states are too few");
    insta::assert_snapshot!(counts);
}

#[test]
fn the_reference_cluster_is_exhausted_with_pinned_counts() {
    let reference = scenario::load("reference").expect("it is embedded");
    let model = jobs::check::model(&reference, reference.bounds, reference.design);
    let report = run(&model, LIMITS, &AtomicBool::new(false), &mut |_| {}).expect("it can be explored");
    insta::assert_snapshot!(line("guest-cluster", &report));
}

#[test]
fn from_every_state_an_owner_can_be_reached_again() {
    let reference = scenario::load("reference").expect("it is embedded");
    let model = jobs::check::model(&reference, catalogue::RECOVERY, reference.design);
    let found =
        recover(&model, &recovery_terms(), LIMITS, &AtomicBool::new(false)).expect("it can be explored");
    assert_eq!((found.stuck, found.cut), (0, None));
    insta::assert_snapshot!(format!("{} states, {} with an owner", found.states, found.goals));
}

#[test]
fn one_thread_and_two_count_the_same() {
    let model = Reservations::new(INSTANCES[1], Design::SOUND, Readings::Every);
    let counts = [1, 2].map(|threads| {
        let limits = Limits { threads, ..LIMITS };
        let report = run(&model, limits, &AtomicBool::new(false), &mut |_| {}).expect("it can be explored");
        (report.unique, report.generated, report.fired)
    });
    assert_eq!(counts[0], counts[1]);
}
