//! Chaos on processes: many runs, several fabrics at a time, each judged by its logs when it has ended.
//!
//! A run works in a folder of its own inside the folder of the command. The folder of a run that fails stays, with its
//! logs, its case and the history that was judged; the others are removed, unless they are to be kept.

use super::chaos::{self, Ask, part, told};
use super::{Desk, Error, io_error, since};
use crate::case::Case;
use crate::chaos::{Judged, Summary, header};
use crate::conform;
use crate::process::fabric::{HURRY, Setup};
use crate::process::order::Placed;
use crate::process::run::{Failure, Made, run as make};
use crate::process::{judge, logs};
use crate::record::{Finding, Section};
use crate::scenario::Scenario;
use crate::sim::plan::Plan;
use crate::verdict::Outcome;
use redline_traces::{Arm, Header, Initiators, Writer, write_atomically};
use redline_vocab::{FaultKind, Micros, Quirks};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;
use std::{fs, thread};

/// Runs when neither a number nor a time is given: a run lasts seconds.
pub const RUNS: u64 = 20;

/// Failing runs whose folders are kept.
const KEPT: usize = 3;

/// Fabrics that run at a time for each worker thread: a fabric mostly waits for its own clocks.
const FABRICS_PER_THREAD: usize = 2;

/// How the runs are made.
#[derive(Clone, Copy, Debug)]
pub struct How<'a> {
    /// The executable whose `node` command runs one process.
    pub program: &'a Path,
    /// The folders of all runs stay.
    pub keep_all: bool,
}

/// Whether this arm can inject faults of this kind. One that it could not would be refused when the scenario is loaded.
pub const fn injects(kind: FaultKind) -> bool {
    match kind {
        FaultKind::ConnectionReset
        | FaultKind::ConnectionStall
        | FaultKind::Partition
        | FaultKind::HeartbeatLoss
        | FaultKind::NodePause
        | FaultKind::NodeCrash
        | FaultKind::ClockSkew
        | FaultKind::ClockJump
        | FaultKind::PowerCycle
        | FaultKind::TornWrite
        | FaultKind::Corruption
        | FaultKind::DiskSlow
        | FaultKind::DiskError => true,
    }
}

/// Whether this arm can make runs of this scenario.
///
/// # Errors
/// What it cannot do.
pub fn check(scenario: &Scenario, initiators: Initiators) -> Result<(), Error> {
    if initiators == Initiators::Raw {
        let what = "the process arm has guest cluster nodes only: raw initiators run with `--arm sim`";
        return Err(Error::Asked(what.to_owned()));
    }
    let wanted = scenario.chaos.weights.iter().filter(|(_, weight)| **weight > 0);
    let cannot: Vec<&str> =
        wanted.filter(|(kind, _)| !injects(**kind)).map(|(kind, _)| kind.name()).collect();
    if cannot.is_empty() {
        return Ok(());
    }
    Err(Error::Asked(format!(
        "{}: the process arm cannot inject {}; give these faults the weight 0 in [chaos.faults]",
        scenario.name,
        cannot.join(", ")
    )))
}

/// Makes the runs.
///
/// # Errors
/// If the scenario does not fit this arm, or an artefact cannot be written.
pub fn run(desk: &Desk<'_>, scenario: &Scenario, ask: Ask, how: How<'_>) -> Result<Section, Error> {
    check(scenario, ask.initiators)?;
    let (seed, runs) = part(ask);
    let plans = |nth: u64| Plan::draw(scenario, seed.wrapping_add(nth));
    campaign(desk, scenario, ask, how, seed, if ask.lasts.is_some() { u64::MAX } else { runs }, &plans)
}

/// Makes one run again, from its case. Processes have no seed: it is the same plan, not the same run.
///
/// # Errors
/// If the case does not fit this arm, or an artefact cannot be written.
pub fn again(desk: &Desk<'_>, case: &Case, how: How<'_>) -> Result<Section, Error> {
    check(&case.scenario, case.initiators)?;
    let ask = Ask {
        seed: case.plan.seed,
        runs: 1,
        lasts: None,
        shard: None,
        quirks: case.quirks,
        initiators: case.initiators,
    };
    let plan = |_| case.plan.clone();
    let mut section = campaign(desk, &case.scenario, ask, how, case.plan.seed, 1, &plan)?;
    // One run meets few premises: it says what it found, not that everything was met.
    if section.outcome == Outcome::Vacuous {
        section.outcome = Outcome::Holds;
    }
    Ok(section)
}

/// What the workers share.
struct Shared<'a> {
    desk: &'a Desk<'a>,
    scenario: &'a Scenario,
    ask: Ask,
    how: How<'a>,
    runs: u64,
    plans: &'a (dyn Fn(u64) -> Plan + Sync),
    start: Instant,
    next: AtomicU64,
    done: AtomicU64,
    gathered: Mutex<Gathered>,
    /// Something went wrong with the laboratory: nobody begins another run.
    broken: AtomicBool,
}

struct Gathered {
    summary: Summary,
    findings: Vec<(u64, Finding)>,
    broken: Option<(Outcome, String)>,
}

fn campaign(
    desk: &Desk<'_>,
    scenario: &Scenario,
    ask: Ask,
    how: How<'_>,
    seed: u64,
    runs: u64,
    plans: &(dyn Fn(u64) -> Plan + Sync),
) -> Result<Section, Error> {
    let shared = Shared {
        desk,
        scenario,
        ask,
        how,
        runs,
        plans,
        start: Instant::now(),
        next: AtomicU64::new(0),
        done: AtomicU64::new(0),
        gathered: Mutex::new(Gathered { summary: Summary::nothing(), findings: Vec::new(), broken: None }),
        broken: AtomicBool::new(false),
    };
    let workers = (desk.threads * FABRICS_PER_THREAD).min(usize::try_from(runs).unwrap_or(usize::MAX)).max(1);
    thread::scope(|scope| {
        for _ in 0..workers {
            // Children ask the kernel to end them with the thread that has started them: it lives as long as they do.
            scope.spawn(|| shared.work());
        }
    });
    let Gathered { summary, mut findings, broken } =
        shared.gathered.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut section = chaos::describe(scenario, "chaos processes", ask, seed, &summary);
    for figure in &mut section.figures {
        if figure.name == "simulated time" {
            "time of the fabrics together".clone_into(&mut figure.name);
        }
    }
    let elapsed = since(shared.start);
    let faults: u64 = summary.faults.values().sum();
    section.figure("faults a minute", faults * 60_000 / elapsed.max(1));
    section.figure("fabrics at a time", workers);
    section.figure("clocks of the scenario", format!("{HURRY} times faster than written"));
    findings.sort_by_key(|(seed, _)| *seed);
    section.findings = findings.into_iter().map(|(_, finding)| finding).take(KEPT).collect();
    if let Some((outcome, what)) = broken {
        section.outcome = section.outcome.max(outcome);
        section.summary = what;
    }
    section.elapsed_ms = elapsed;
    Ok(section)
}

impl Shared<'_> {
    fn stopped(&self) -> bool {
        self.desk.stop.load(Ordering::Relaxed)
    }

    fn gathered(&self) -> std::sync::MutexGuard<'_, Gathered> {
        self.gathered.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn work(&self) {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return self.breaks(Outcome::InputOutput, format!("no runtime: {error}")),
        };
        loop {
            let over = self.ask.lasts.is_some_and(|lasts| self.start.elapsed() >= lasts);
            if over || self.broken.load(Ordering::Relaxed) {
                return;
            }
            if self.stopped() {
                self.gathered().summary.cut = true;
                return;
            }
            let nth = self.next.fetch_add(1, Ordering::Relaxed);
            if nth >= self.runs {
                return;
            }
            self.one(&runtime, &(self.plans)(nth));
        }
    }

    fn breaks(&self, outcome: Outcome, what: String) {
        self.broken.store(true, Ordering::Relaxed);
        self.gathered().broken.get_or_insert((outcome, what));
    }

    fn one(&self, runtime: &tokio::runtime::Runtime, plan: &Plan) {
        let dir = self.desk.file(&format!("run-{}", plan.seed));
        if let Err(error) = self.attempt(runtime, plan, &dir) {
            self.breaks(error.outcome(), error.to_string());
        }
    }

    fn attempt(&self, runtime: &tokio::runtime::Runtime, plan: &Plan, dir: &Path) -> Result<(), Error> {
        fs::create_dir(dir).map_err(io_error(dir))?;
        let quirks = self.scenario.quirks().iter().fold(self.ask.quirks, Quirks::with);
        let header = process_header(self.scenario, plan.seed, quirks);
        let setup =
            Setup { program: self.how.program, scenario: self.scenario, pause: plan.pause, quirks, dir };
        let made = match runtime.block_on(make(setup, &header, plan, self.desk.stop)) {
            Ok(made) => made,
            Err(Failure::Stopped) => {
                self.gathered().summary.cut = true;
                return fs::remove_dir_all(dir).map_err(io_error(dir));
            }
            Err(Failure::Io(source)) => return Err(io_error(dir)(source)),
            // A process of the fabric that does not do what it is told is a bug, of the fabric or of the laboratory.
            Err(failure @ (Failure::Member(_) | Failure::Logs(_))) => {
                self.breaks(Outcome::Internal, format!("{}: {failure}", dir.display()));
                return Ok(());
            }
        };
        let judged =
            Judged { plan: plan.clone(), totals: made.totals.clone(), judgement: made.judgement.clone() };
        let keeps = {
            let gathered = self.gathered();
            self.how.keep_all || judged.failed() && gathered.findings.len() < KEPT
        };
        if keeps {
            let finding = self.keep(plan, dir, &header, &made)?;
            if judged.failed() {
                self.gathered().findings.push((plan.seed, finding));
            }
        } else {
            fs::remove_dir_all(dir).map_err(io_error(dir))?;
        }
        let mut gathered = self.gathered();
        let summary = std::mem::replace(&mut gathered.summary, Summary::nothing());
        gathered.summary = summary.and(Summary::of(judged), KEPT);
        drop(gathered);
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        self.desk.tell("chaos processes", done, self.ask.lasts.is_none().then_some(self.runs));
        Ok(())
    }

    /// Completes the folder of a run that stays, and tells what is wrong with it.
    fn keep(&self, plan: &Plan, dir: &Path, header: &Header, made: &Made) -> Result<Finding, Error> {
        let case = Case {
            scenario: self.scenario.clone(),
            plan: plan.clone(),
            initiators: Initiators::Guests,
            quirks: self.ask.quirks,
        };
        let case_file = dir.join("case.toml");
        case.save(&case_file).map_err(io_error(&case_file))?;
        let bytes = history(header, &made.history);
        let history_file = dir.join("history.ndjson");
        write_atomically(&history_file, |out| out.write_all(&bytes)).map_err(io_error(&history_file))?;
        let mut finding = match made.judgement.fingerprint() {
            Some(_) => told(&made.judgement, &bytes)?,
            None => Finding::new("none", "nothing is wrong", Vec::new()),
        };
        finding.artefacts = [dir, &history_file, &case_file].map(|path| path.display().to_string()).to_vec();
        finding.reproduce = format!("redline conform {}", dir.display());
        Ok(finding)
    }
}

/// The header of the traces of a run on processes.
fn process_header(scenario: &Scenario, seed: u64, quirks: Quirks) -> Header {
    Header { arm: Arm::Process, ..header(scenario, Initiators::Guests, seed, quirks) }
}

/// The history that was judged, as a trace; time in it is the number of the event.
fn history(header: &Header, history: &[Placed]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), header).expect("memory can be written");
    for (number, event) in (1..).zip(judge::events(history)) {
        writer.record(Micros(number), event).expect("memory can be written");
    }
    writer.finish().expect("memory can be written").0
}

/// Judges the logs of a run again. They are evidence: nothing in the folder is changed.
///
/// # Errors
/// If they cannot be read or judged.
pub fn conform(desk: &Desk<'_>, dir: &Path) -> Result<Section, Error> {
    let start = Instant::now();
    desk.tell("conform", 0, None);
    let unfit = |what: &dyn std::fmt::Display| Error::Unfit {
        file: dir.display().to_string(),
        what: what.to_string(),
    };
    let read = logs::Logs::read(dir).map_err(|error| match error {
        conform::Error::Trace(error) => Error::Trace(error),
        error => unfit(&error),
    })?;
    let judged = judge::judge(&read, crate::chaos::STATES_MAX).map_err(|error| unfit(&error))?;
    let mut section = Section::new(format!("conform {}", read.header.scenario));
    section.figure("logs", dir.display());
    section.figure("lines", read.events());
    section.figure("lives of the array", read.array.len());
    section.figure("lives of nodes", read.guests.iter().map(Vec::len).sum::<usize>());
    super::conform::decide(&mut section, &judged.judgement);
    if judged.judgement.fingerprint().is_some() {
        let bytes = history(&read.header, &judged.history);
        let file = desk.file("history.ndjson");
        write_atomically(&file, |out| out.write_all(&bytes)).map_err(io_error(&file))?;
        let mut finding = told(&judged.judgement, &bytes)?;
        finding.artefacts = vec![dir.display().to_string(), file.display().to_string()];
        finding.reproduce = format!("redline conform {}", dir.display());
        section.findings.push(finding);
    }
    section.elapsed_ms = since(start);
    Ok(section)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{EMBEDDED, load};

    #[test]
    fn every_scenario_that_comes_with_the_program_fits_this_arm() {
        for embedded in EMBEDDED {
            let scenario = load(embedded.name).expect("it is embedded");
            check(&scenario, Initiators::Guests).expect("all its faults can be injected");
            let error = check(&scenario, Initiators::Raw).expect_err("there are guests only");
            assert_eq!(error.outcome(), Outcome::Malformed);
        }
    }
}
