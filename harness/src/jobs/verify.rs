//! The main job: everything that can be asked of a scenario, in one record.
//!
//! Exhaustive checks first, then proof that a check can fail (the canary) and that model and fabric agree step by step,
//! then simulated runs, then proof that runs can be made again. What the scenario expects is compared at the end of
//! each part that its design decides.

use super::chaos::{self, Ask as ChaosAsk};
use super::check::{self, Ask as CheckAsk, Explored};
use super::{Desk, Error, replay, since};
use crate::catalogue::{RELAXATIONS, relaxation};
use crate::chaos::Run;
use crate::check::Limits;
use crate::conform::{Bounds as LinearBounds, linearizable};
use crate::lockstep;
use crate::record::Section;
use crate::scenario::Scenario;
use crate::sim::plan::Plan;
use crate::verdict::Outcome;
use rayon::ThreadPoolBuilder;
use rayon::prelude::*;
use redline_model::reservations::INSTANCES;
use redline_traces::{Initiators, Reader};
use redline_vocab::{Design, Guard, Quirks};
use std::sync::atomic::Ordering;
use std::time::Instant;

/// Seed of the first simulated run.
const SEED: u64 = 1;
/// Runs of raw initiators.
const RAW_RUNS: u64 = 300;
/// Runs that are made twice.
const TWICE: u64 = 16;
/// Runs whose client histories are searched for a linearization.
const HISTORIES: u64 = 24;
/// The canary's counterexample is at most this long.
const CANARY_STEPS_MAX: usize = 20;

/// Does all of it. `done` is given each section when it is there.
///
/// # Errors
/// If something cannot be explored or written; the sections given so far stand.
pub fn run(desk: &Desk<'_>, scenario: &Scenario, done: &mut dyn FnMut(Section)) -> Result<(), Error> {
    let limits = Limits::threads(desk.threads);
    let sound = CheckAsk::new(Design::SOUND, limits);
    let own = CheckAsk::new(scenario.design, limits);
    type Part<'a> = Box<dyn Fn() -> Result<Section, Error> + 'a>;
    let mut parts: Vec<Part<'_>> = Vec::new();
    for instance in INSTANCES {
        parts.push(Box::new(move || check::run(desk, scenario, Explored::Reservations(instance), sound)));
    }
    parts.push(Box::new(move || {
        Ok(expected(scenario, check::run(desk, scenario, Explored::Cluster(scenario.bounds), own)?))
    }));
    parts.push(Box::new(move || check::run(desk, scenario, check::recovery_instance(), sound)));
    parts.push(Box::new(move || canary(desk, scenario, limits)));
    parts.push(Box::new(move || mirror(desk)));
    parts.push(Box::new(move || product(desk, scenario)));
    let runs = u64::from(scenario.chaos.runs);
    for (initiators, runs) in [(Initiators::Guests, runs), (Initiators::Raw, RAW_RUNS)] {
        let quirks = Quirks::NONE;
        let ask = ChaosAsk { seed: SEED, runs, lasts: None, shard: None, quirks, initiators };
        parts.push(Box::new(move || {
            Ok(expected_in_runs(scenario, chaos::run(desk, scenario, ask)?, initiators))
        }));
    }
    parts.push(Box::new(move || determinism(desk, scenario)));
    parts.push(Box::new(move || histories(desk, scenario)));
    for part in parts {
        if desk.stop.load(Ordering::Relaxed) {
            let mut section = Section::new("verify");
            section.outcome = Outcome::Interrupted;
            section.summary = "interrupted; the parts after this were not begun".to_owned();
            done(section);
            return Ok(());
        }
        done(part()?);
    }
    Ok(())
}

/// Compares what was found with what the scenario says should be found.
pub(super) fn expected(scenario: &Scenario, mut section: Section) -> Section {
    let expect = &scenario.expect;
    if expect.holds {
        return section;
    }
    let found: Vec<String> = section.findings.iter().map(|finding| finding.property.clone()).collect();
    match section.outcome {
        Outcome::Violated if found.iter().all(|property| expect.properties.contains(property)) => {
            section.outcome = Outcome::Holds;
            section.summary = format!("as the scenario expects, {} is violated", found.join(", "));
        }
        Outcome::Holds => {
            section.outcome = Outcome::Vacuous;
            section.summary = "the scenario expects a violation, and none was found".to_owned();
        }
        _ => {}
    }
    section
}

/// Runs of raw initiators have no owner: what a scenario expects of the cluster does not show there.
fn expected_in_runs(scenario: &Scenario, section: Section, initiators: Initiators) -> Section {
    match initiators {
        Initiators::Guests => expected(scenario, section),
        Initiators::Raw => section,
    }
}

/// A check that must fail, a replay that must fail, and a replay that must be refused.
fn canary(desk: &Desk<'_>, scenario: &Scenario, limits: Limits) -> Result<Section, Error> {
    let start = Instant::now();
    let row = relaxation(&[Guard::PreemptAbort]).unwrap_or(&RELAXATIONS[0]);
    let mut sound = scenario.clone();
    sound.design = Design::SOUND;
    let mut section = Section::new("canary");
    section.figure("dropped", row.name());
    let found = check::canary(desk, &sound, row, limits)?;
    if desk.stop.load(Ordering::Relaxed) {
        section.outcome = Outcome::Interrupted;
        "interrupted".clone_into(&mut section.summary);
        return Ok(section);
    }
    let Some(canary) = found else {
        section.outcome = Outcome::Vacuous;
        section.summary = format!("the model without {} has no counterexample: it cannot fail", row.name());
        return Ok(section);
    };
    let quirks = crate::replay::matching_quirks(&canary.header);
    let of = canary.story.len();
    let follow = |quirks| {
        let setup = crate::replay::setup(&sound, &canary.header, quirks);
        replay::describe(&crate::replay::replay(setup, canary.story.clone()), of)
    };
    let (planted, refused) = (follow(quirks), follow(Quirks::NONE));
    let same = planted.findings.iter().any(|finding| finding.property == canary.property);
    let short = canary.steps <= CANARY_STEPS_MAX;
    let mut say = |name: &str, good: bool, note: String| {
        section.judged(name, if good { Outcome::Holds } else { Outcome::Vacuous }, note);
    };
    say("the check fails", true, format!("{} by a path of {} steps", canary.property, canary.steps));
    say("the path is short", short, format!("{} steps, {CANARY_STEPS_MAX} at most", canary.steps));
    say(
        "the replay with the planted bug fails",
        planted.outcome == Outcome::Violated && same,
        planted.summary,
    );
    say("the sound fabric refuses", refused.outcome == Outcome::Refused, refused.summary);
    section.outcome = Outcome::worst(section.properties.iter().map(|judged| judged.outcome));
    section.summary = format!("without {} the checks must fail, and they do", row.name());
    if section.outcome != Outcome::Holds {
        section.summary = "a check that must fail did not".to_owned();
    }
    section.elapsed_ms = since(start);
    Ok(section)
}

/// Every transition of a small model on the fabric.
fn mirror(desk: &Desk<'_>) -> Result<Section, Error> {
    let start = Instant::now();
    let mut section = Section::new("lockstep model to fabric");
    let mut told = |done| desk.tell("lockstep: transitions of the model on the fabric", done, None);
    let raw = lockstep::mirror(lockstep::MIRRORED, Quirks::NONE, desk.stop, &mut told);
    let more = lockstep::mirror(lockstep::MIRRORED_MORE, Quirks::NONE, desk.stop, &mut told);
    let lists = lockstep::mirror(lockstep::MIRRORED_LISTS, Quirks::NONE, desk.stop, &mut told);
    let guests = lockstep::mirror_cluster(Quirks::NONE, desk.stop, &mut told);
    section.figure(
        "bounds for raw initiators",
        "2 nexuses, 2 keys, 1 writer, types EA WEAR, restart with and without APTPL",
    );
    section.figure(
        "bounds for raw initiators, more",
        "2 nexuses, 1 writer, type WERO, with RESERVE and RELEASE of SPC-2, task management, logout; and, without writer, with SPEC_I_PT, ALL_TG_PT",
    );
    section.figure("bounds for guests", check::bounds_words(lockstep::MIRRORED_CLUSTER));
    for (who, found) in [
        ("raw initiators", &raw),
        ("raw initiators, more", &more),
        ("raw initiators, lists", &lists),
        ("guests", &guests),
    ] {
        section.figure(&format!("states of the model, {who}"), found.states);
        section.figure(&format!("transitions replayed on the fabric, {who}"), found.transitions);
    }
    lockstep_outcome(&mut section, &[raw, more, lists, guests]);
    section.elapsed_ms = since(start);
    Ok(section)
}

/// The fabric's own steps under the eyes of the model.
fn product(desk: &Desk<'_>, scenario: &Scenario) -> Result<Section, Error> {
    let start = Instant::now();
    let mut section = Section::new("lockstep fabric to model");
    let mut told = |done| desk.tell("lockstep: the fabric's steps judged by the model", done, None);
    let found = lockstep::product(scenario, lockstep::BOUNDS, desk.stop, &mut told);
    section.figure("bounds", lockstep::BOUNDS);
    section.figure("states of fabric and model together", found.states);
    section.figure("transitions judged by the model", found.transitions);
    lockstep_outcome(&mut section, &[found]);
    section.elapsed_ms = since(start);
    Ok(section)
}

fn lockstep_outcome(section: &mut Section, all: &[lockstep::Found]) {
    for difference in all.iter().filter_map(|found| found.difference.as_ref()) {
        let sentence = format!("{}; {}", difference.wanted, difference.instead);
        section.findings.push(crate::record::Finding::new("conformance", sentence, difference.steps.clone()));
    }
    let transitions: u64 = all.iter().map(|found| found.transitions).sum();
    (section.outcome, section.summary) = if !section.findings.is_empty() {
        (Outcome::Violated, "model and fabric disagree".to_owned())
    } else if all.iter().any(|found| found.cut) {
        (Outcome::Interrupted, "interrupted".to_owned())
    } else if all.iter().any(|found| found.transitions == 0) {
        (Outcome::Vacuous, "nothing was compared".to_owned())
    } else {
        (Outcome::Holds, format!("they agree in all {transitions} transitions"))
    };
}

/// The same seed twice, with one thread and with several: the same bytes.
fn determinism(desk: &Desk<'_>, scenario: &Scenario) -> Result<Section, Error> {
    let start = Instant::now();
    desk.tell("determinism", 0, Some(2 * TWICE));
    let record = |threads: usize| -> Result<Vec<Vec<u8>>, Error> {
        let pool = ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .map_err(|error| Error::Asked(format!("no threads: {error}")))?;
        Ok(pool.install(|| {
            (0..TWICE)
                .into_par_iter()
                .map(|nth| {
                    let initiators = if nth % 4 == 3 { Initiators::Raw } else { Initiators::Guests };
                    let plan = &Plan::draw(scenario, SEED + nth);
                    Run { scenario, plan, initiators, quirks: Quirks::NONE }.record()
                })
                .collect()
        }))
    };
    let (once, twice) = (record(1)?, record(desk.threads.max(2))?);
    let mut section = Section::new("determinism");
    section.figure("runs made twice, with 1 thread and with several", TWICE);
    section.figure("bytes compared", once.iter().map(Vec::len).sum::<usize>());
    let different: Vec<String> = (SEED..)
        .zip(once.iter().zip(&twice))
        .filter(|(_, (a, b))| a != b)
        .map(|(seed, _)| seed.to_string())
        .collect();
    (section.outcome, section.summary) = if different.is_empty() {
        (Outcome::Holds, "the same seed gives the same bytes".to_owned())
    } else {
        (Outcome::Nondeterministic, format!("seeds with two different traces: {}", different.join(", ")))
    };
    section.elapsed_ms = since(start);
    Ok(section)
}

/// What clients saw, by the linearizability tester of stateright.
fn histories(desk: &Desk<'_>, scenario: &Scenario) -> Result<Section, Error> {
    let start = Instant::now();
    let mut section = Section::new("client histories");
    let (mut operations, mut unjudged, mut broken) = (0, 0, Vec::new());
    let mut sound = scenario.clone();
    sound.design = Design::SOUND;
    for seed in SEED..SEED + HISTORIES {
        desk.tell("client histories", seed - SEED, Some(HISTORIES));
        if desk.stop.load(Ordering::Relaxed) {
            section.outcome = Outcome::Interrupted;
            return Ok(section);
        }
        let plan = &Plan::draw(&sound, seed);
        let bytes =
            Run { scenario: &sound, plan, initiators: Initiators::Guests, quirks: Quirks::NONE }.record();
        let events = Reader::new(&bytes[..], "the recorded run")?.collect::<Result<Vec<_>, _>>()?;
        let found = linearizable(&events, LinearBounds { operations_max: OPERATIONS_MAX });
        operations += found.operations;
        unjudged += found.unjudged;
        broken.extend(
            found.refused.iter().map(|(block, seq)| format!("seed {seed}, block {block}, from event {seq}")),
        );
    }
    section.figure("histories", HISTORIES);
    section.figure("reads and writes judged, by block", operations);
    section.figure("reads and writes not judged, in pieces that are too long", unjudged);
    (section.outcome, section.summary) = if !broken.is_empty() {
        (Outcome::Violated, format!("no order of operations explains {}", broken.join("; ")))
    } else if operations == 0 {
        (Outcome::Vacuous, "there was nothing to judge".to_owned())
    } else {
        (Outcome::Holds, format!("an order of operations explains all {operations} reads and writes"))
    };
    section.elapsed_ms = since(start);
    Ok(section)
}

/// Longest piece of a block's history that is searched.
const OPERATIONS_MAX: usize = 24;
