//! The project's engine beside that of the stateright crate, on the project's own models: the same counts, depth, verdict, and
//! counterexamples of the same length.

use redline_harness::catalogue::{RELAXATIONS, Shown};
use redline_harness::check::{Ending, Engine, How, Limits, Report, Subject, Until, run_as};
use redline_harness::{jobs, scenario};
use redline_model::cluster::Readings;
use redline_model::reservations::{INSTANCES, Reservations};
use redline_vocab::Design;
use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

/// Instances that stateright explores in a few seconds.
const SMALL: [&str; 2] = ["two-nexuses-restart", "two-nexuses"];

/// One thread: with several, stateright's paths are not the shortest.
fn explored<M: Subject>(engine: Engine, model: &M, until: Until) -> Report {
    let limits = Limits { until, ..Limits::threads(1) };
    let how = How { engine, limits, wide: false, checkpoints: None, place: None };
    run_as(how, model, &AtomicBool::new(false), &mut |_| {}).expect("it can be explored")
}

/// Length of the path to each violated property.
fn lengths(report: &Report) -> BTreeMap<&'static str, usize> {
    report.counterexamples.iter().map(|found| (found.property, found.steps.len())).collect()
}

#[test]
fn both_engines_count_the_same_states_of_the_small_instances() {
    for instance in INSTANCES.into_iter().filter(|instance| SMALL.contains(&instance.name)) {
        let model = Reservations::new(instance, Design::SOUND, Readings::Every);
        let ours = explored(Engine::Redline, &model, Until::Exhausted);
        let theirs = explored(Engine::Stateright, &model, Until::Exhausted);
        let name = instance.name;
        assert_eq!((ours.ending, theirs.ending), (Ending::Exhausted, Ending::Exhausted), "{name}");
        assert_eq!((ours.unique, ours.generated), (theirs.unique, theirs.generated), "{name}");
        assert_eq!((ours.depth, ours.verdict()), (theirs.depth, theirs.verdict()), "{name}");
    }
}

#[test]
fn both_engines_find_counterexamples_of_the_same_length() {
    let reference = scenario::load("reference").expect("it is embedded");
    let mut compared = 0;
    for row in RELAXATIONS {
        let design = row.guards.iter().fold(Design::SOUND, |design, guard| design.without(*guard));
        let Shown::Cluster(bounds) = row.shown else { continue };
        let model = jobs::check::model(&reference, bounds, design);
        let ours = explored(Engine::Redline, &model, Until::FirstViolation);
        let theirs = explored(Engine::Stateright, &model, Until::FirstViolation);
        let (ours, theirs) = (lengths(&ours), lengths(&theirs));
        let nearest = ours.values().min().expect("a relaxation breaks a property");
        assert_eq!(Some(nearest), theirs.values().min(), "{}: {ours:?}, {theirs:?}", row.name());
        assert_eq!(ours.get(row.property), Some(nearest), "{}: {ours:?}", row.name());
        compared += 1;
    }
    assert!(compared >= 5, "only {compared} relaxations show in the cluster model");
}
