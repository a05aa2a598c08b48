//! Jobs give honest sections: what was cut, empty or vacuous is no pass.

use super::*;
use crate::check::Limits;
use crate::record::Shard;
use crate::scenario::load;
use redline_traces::Initiators;
use redline_vocab::{Design, Guard, Quirk};
use std::sync::atomic::Ordering;
use tempfile::TempDir;

fn with_desk<T>(stop: bool, job: impl FnOnce(&Desk<'_>) -> T) -> T {
    let folder = TempDir::new().expect("a folder for temporary files");
    let stop = AtomicBool::new(stop);
    job(&Desk { stop: &stop, threads: 2, out: folder.path(), progress: &|_| {} })
}

fn ask(runs: u64) -> chaos::Ask {
    chaos::Ask {
        seed: 1,
        runs,
        lasts: None,
        shard: None,
        quirks: Quirks::NONE,
        initiators: Initiators::Guests,
    }
}

#[test]
fn no_runs_and_interrupted_runs_are_no_pass() {
    let reference = load("reference").expect("it is embedded");
    let none = with_desk(false, |desk| chaos::run(desk, &reference, ask(0))).expect("it can be made");
    assert_eq!(none.outcome, Outcome::Inconclusive);
    let stopped = with_desk(true, |desk| chaos::run(desk, &reference, ask(10))).expect("it can be made");
    assert_eq!(stopped.outcome, Outcome::Interrupted);
    assert!(
        stopped.properties.iter().all(|judged| judged.outcome != Outcome::Holds),
        "{:?}",
        stopped.properties
    );
}

#[test]
fn a_premise_that_faults_cannot_reach_is_vacuous() {
    let mut quiet = load("reference").expect("it is embedded");
    quiet.chaos.weights.retain(|kind, _| *kind == redline_vocab::FaultKind::DiskSlow);
    let section = with_desk(false, |desk| chaos::run(desk, &quiet, ask(20))).expect("it can be made");
    assert_eq!(section.outcome, Outcome::Vacuous, "{}", section.summary);
}

#[test]
fn shards_divide_the_runs_without_gap_or_overlap() {
    let reference = load("reference").expect("it is embedded");
    let mut seeds = Vec::new();
    for number in 1..=3 {
        let shard = Some(Shard { number, of: 3 });
        let section = with_desk(false, |desk| chaos::run(desk, &reference, chaos::Ask { shard, ..ask(10) }))
            .expect("it can be made");
        let said = |name: &str| {
            section.figures.iter().find(|figure| figure.name == name).expect("it is said").value.clone()
        };
        let first: u64 = said("seeds").split(' ').next().and_then(|seed| seed.parse().ok()).expect("a seed");
        let runs: u64 = said("runs judged to their end").parse().expect("a number");
        seeds.extend(first..first + runs);
    }
    assert_eq!(seeds, (1..=10).collect::<Vec<u64>>());
}

#[test]
fn a_failing_campaign_leaves_a_case_and_a_trace_that_fail_again() {
    let reference = load("reference").expect("it is embedded");
    with_desk(false, |desk| {
        let quirks = Quirks::NONE.with(Quirk::PersistLate);
        let section = chaos::run(desk, &reference, chaos::Ask { quirks, ..ask(20) }).expect("it can be made");
        assert_eq!(section.outcome, Outcome::Violated);
        let [trace, case] = &section.findings[0].artefacts[..] else { panic!("{:?}", section.findings) };
        let again =
            chaos::again(desk, &crate::case::Case::load(Path::new(case)).expect("it was just written"));
        assert_eq!(again.expect("it can be made").outcome, Outcome::Violated);
        let judged = conform::run(desk, Path::new(trace), None).expect("it can be judged");
        assert_eq!(judged.outcome, Outcome::Violated);
        assert!(!judged.findings.is_empty());
    });
}

#[test]
fn a_case_that_does_not_fail_cannot_be_shrunk() {
    let scenario = load("reference").expect("it is embedded");
    let plan = crate::sim::plan::Plan::draw(&scenario, 1);
    let case = crate::case::Case { scenario, plan, initiators: Initiators::Guests, quirks: Quirks::NONE };
    let error = with_desk(false, |desk| shrink::run(desk, case, crate::shrink::Limit { tries_max: 10 }));
    assert_eq!(error.expect_err("it holds").outcome(), Outcome::Malformed);
}

#[test]
fn a_scenario_that_must_fail_is_verified_when_it_does() {
    // What `verify` compares, on a scenario that expects a violation and on one that does not have it any more.
    let expecting = load("zombie-owner").expect("it is embedded");
    assert!(!expecting.expect.holds);
    let limits = Limits::threads(1);
    let explored = check::Explored::Cluster(expecting.bounds);
    let (violated, holds) = with_desk(false, |desk| {
        let ask = check::Ask::new(expecting.design, limits);
        let violated = check::run(desk, &expecting, explored, ask).expect("it can be explored");
        let sound = check::Ask::new(Design::SOUND, limits);
        (violated, check::run(desk, &expecting, explored, sound).expect("it can be explored"))
    });
    assert_eq!(violated.outcome, Outcome::Violated);
    assert_eq!(verify::expected(&expecting, violated).outcome, Outcome::Holds);
    assert_ne!(holds.outcome, Outcome::Violated);
    assert_ne!(verify::expected(&expecting, holds).outcome, Outcome::Holds);
}

#[test]
fn an_unknown_set_of_guards_is_explored_in_the_scenarios_own_bounds() {
    let reference = load("reference").expect("it is embedded");
    let odd = [Guard::Aptpl, Guard::HostFence];
    assert!(
        matches!(check::explored_for(&reference, &odd), Ok(check::Explored::Cluster(bounds)) if bounds == reference.bounds)
    );
    assert!(check::explored_for(&reference, &[Guard::LoginWaits]).is_err());
}

#[test]
fn errors_have_the_outcome_that_the_exit_code_needs() {
    let missing = load("/no/such/folder/x.toml").map_err(Error::from).expect_err("it is not there");
    assert_eq!(missing.outcome(), Outcome::Malformed, "a name that is no file may be a misspelt scenario");
    let io = Error::Io { file: "x".to_owned(), source: std::io::Error::other("full") };
    assert_eq!(io.outcome(), Outcome::InputOutput);
    with_desk(true, |desk| assert!(desk.stop.load(Ordering::Relaxed)));
}

/// Models, monitors and catalogue each write the identifiers themselves; here they are held to one list.
#[test]
fn models_and_monitors_claim_what_the_catalogue_promises() {
    use redline_model::cluster::Readings;
    use redline_model::reservations::{INSTANCES, Reservations};
    use redline_properties::catalogue::{CATALOGUE, find};
    use redline_properties::monitor::{Panel, Setup};
    use stateright::{Expectation, Model};
    let reference = load("reference").expect("it is embedded");
    let cluster = check::model(&reference, reference.bounds, reference.design);
    let claims =
        cluster.properties().into_iter().map(|one| (one.name, one.expectation == Expectation::Always));
    let raw = Reservations::new(INSTANCES[1], Design::SOUND, Readings::Every);
    let more = raw.properties().into_iter().map(|one| (one.name, one.expectation == Expectation::Always));
    let always: Vec<&str> = claims.chain(more).filter(|(_, always)| *always).map(|(name, _)| name).collect();
    assert!(always.len() >= 10);
    for name in always {
        assert!(find(name).is_some(), "{name}");
    }
    let panel = Panel::new(Setup { nodes: 2, owner_within: None });
    let watched: Vec<&str> = panel.witnesses().map(|one| one.property).collect();
    assert_eq!(watched, CATALOGUE.map(|one| one.id));
}
