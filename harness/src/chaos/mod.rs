//! Chaos runs: seed to plan, plan to run, every event judged while it happens.
//!
//! Runs are independent and done in parallel; what comes out is sorted by seed and does not depend on the number
//! of threads. A run that fails keeps its plan, so that it can be recorded, replayed and reduced.

#[cfg(test)]
mod tests;

use crate::conform::{Coverage, Judge, Judgement, Options as Judging, Verdict};
use crate::scenario::Scenario;
use crate::sim::events::{self, Totals};
use crate::sim::plan::Plan;
use crate::sim::raw;
use rayon::prelude::*;
use redline_properties::monitor::Witness;
use redline_traces::{Arm, Footer, Header, Initiators, TraceFile, Visibility, Writer};
use redline_vocab::{Event, FaultKind, Micros, Quirks};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Candidate states of one part beyond which a run is inconclusive.
pub const STATES_MAX: usize = 10_000;

/// Which runs.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Seed of the first run; the others follow.
    pub seed: u64,
    /// How many.
    pub runs: u64,
    /// Bugs planted in the fabric beside those that the scenario's design asks for.
    pub quirks: Quirks,
    /// Who issues the commands.
    pub initiators: Initiators,
    /// Failing runs that are kept; the rest is counted.
    pub keep: usize,
}

/// One run that was judged.
#[derive(Clone, Debug)]
pub struct Judged {
    /// What was run.
    pub plan: Plan,
    /// What it came to.
    pub totals: Totals,
    /// What the judges say.
    pub judgement: Judgement,
}

impl Judged {
    /// Whether the model or a monitor objects.
    pub fn failed(&self) -> bool {
        self.judgement.fingerprint().is_some()
    }

    /// Whether the model could not judge it to its end.
    pub fn inconclusive(&self) -> bool {
        self.totals.cut || matches!(self.judgement.verdict, Verdict::Inconclusive(_))
    }
}

/// What all runs came to.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Runs that ended by themselves.
    pub runs: u64,
    /// Their events.
    pub events: u64,
    /// Fewest events of a run.
    pub events_min: u64,
    /// Operations of the workload.
    pub operations: u64,
    /// Virtual time.
    pub simulated: Micros,
    /// Faults by kind.
    pub faults: BTreeMap<FaultKind, u64>,
    /// Fewest faults of a run.
    pub faults_min: u64,
    /// How often each property's premise fired.
    pub witnesses: Vec<Witness>,
    /// Situations met.
    pub coverage: Coverage,
    /// Sum over the judged events of the candidate worlds.
    pub worlds_sum: u64,
    /// Events judged by the model.
    pub judged: u64,
    /// Largest number of candidate worlds.
    pub worlds_largest: u64,
    /// Runs that failed.
    pub failed: u64,
    /// The first of them, by seed.
    pub failures: Vec<Judged>,
    /// Runs that could not be judged to their end.
    pub inconclusive: u64,
    /// Not all runs were made.
    pub cut: bool,
}

impl Summary {
    /// No runs.
    pub fn nothing() -> Summary {
        Summary {
            runs: 0,
            events: 0,
            events_min: u64::MAX,
            operations: 0,
            simulated: Micros(0),
            faults: BTreeMap::new(),
            faults_min: u64::MAX,
            witnesses: Vec::new(),
            coverage: Coverage::NONE,
            worlds_sum: 0,
            judged: 0,
            worlds_largest: 0,
            failed: 0,
            failures: Vec::new(),
            inconclusive: 0,
            cut: false,
        }
    }

    /// One run.
    pub fn of(run: Judged) -> Summary {
        let totals = &run.totals;
        let statistics = run.judgement.statistics;
        let faults: BTreeMap<FaultKind, u64> =
            FaultKind::ALL.into_iter().zip(totals.faults).filter(|(_, count)| *count > 0).collect();
        Summary {
            runs: 1,
            events: totals.events,
            events_min: totals.events,
            operations: totals.operations,
            simulated: totals.until,
            faults_min: faults.values().sum(),
            faults,
            witnesses: run.judgement.witnesses.clone(),
            coverage: run.judgement.coverage.clone(),
            worlds_sum: statistics.worlds_sum,
            judged: statistics.events,
            worlds_largest: statistics.worlds_largest,
            failed: u64::from(run.failed()),
            inconclusive: u64::from(run.inconclusive() && !run.failed()),
            cut: totals.cut,
            failures: if run.failed() { vec![run] } else { Vec::new() },
        }
    }

    /// Adds up. Associative, and commutative but for the order of failures, which is by seed.
    #[must_use]
    pub fn and(mut self, mut other: Summary, keep: usize) -> Summary {
        self.runs += other.runs;
        self.events += other.events;
        self.events_min = self.events_min.min(other.events_min);
        self.operations += other.operations;
        self.simulated = Micros(self.simulated.0 + other.simulated.0);
        for (kind, count) in other.faults {
            *self.faults.entry(kind).or_default() += count;
        }
        self.faults_min = self.faults_min.min(other.faults_min);
        if self.witnesses.is_empty() {
            self.witnesses = other.witnesses;
        } else {
            for (mine, theirs) in self.witnesses.iter_mut().zip(other.witnesses) {
                mine.fired += theirs.fired;
            }
        }
        self.coverage.merge(&other.coverage);
        self.worlds_sum += other.worlds_sum;
        self.judged += other.judged;
        self.worlds_largest = self.worlds_largest.max(other.worlds_largest);
        self.failed += other.failed;
        self.failures.append(&mut other.failures);
        self.failures.sort_by_key(|run| run.plan.seed);
        self.failures.truncate(keep);
        self.inconclusive += other.inconclusive;
        self.cut |= other.cut;
        self
    }
}

/// The header of a trace of this run.
pub fn header(scenario: &Scenario, initiators: Initiators, seed: u64, quirks: Quirks) -> Header {
    let guests = initiators == Initiators::Guests;
    let nexuses = if guests { events::setup(scenario, quirks).nexuses() } else { scenario.cluster.nodes };
    Header {
        redline: env!("CARGO_PKG_VERSION").to_owned(),
        arm: Arm::Simulation,
        visibility: Visibility::Internal,
        initiators,
        scenario: scenario.name.clone(),
        seed: seed.to_string(),
        nodes: scenario.cluster.nodes,
        nexuses,
        blocks: if guests { scenario.array.blocks } else { raw::BLOCKS },
        keys: if guests { scenario.keys() } else { Vec::new() },
        design: scenario.design,
        quirks,
    }
}

/// A run that can be made again.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// In which world.
    pub scenario: &'a Scenario,
    /// Under which plan. Raw initiators take no more of it than the seed and the number of events.
    pub plan: &'a Plan,
    /// Who issues the commands.
    pub initiators: Initiators,
    /// Bugs planted beside those of the design.
    pub quirks: Quirks,
}

impl Run<'_> {
    fn all_quirks(&self) -> Quirks {
        self.scenario.quirks().iter().fold(self.quirks, Quirks::with)
    }

    /// The header of its trace.
    pub fn header(&self) -> Header {
        header(self.scenario, self.initiators, self.plan.seed, self.all_quirks())
    }

    /// Makes the run and shows every event to the sink.
    pub fn make(&self, stop: &dyn Fn() -> bool, sink: impl FnMut(Micros, &Event)) -> Totals {
        let quirks = self.all_quirks();
        match self.initiators {
            Initiators::Guests => {
                events::run(self.scenario, self.plan, &events::setup(self.scenario, quirks), stop, sink)
            }
            Initiators::Raw => {
                let setup = raw::setup(self.scenario, quirks);
                raw::run(&setup, self.plan.seed, self.plan.events_min, stop, sink)
            }
        }
    }

    /// Makes the run and judges it.
    ///
    /// # Panics
    /// If the scenario describes a world that the model does not have; its checks rule that out.
    pub fn judge(&self, stop: &AtomicBool) -> Judged {
        let within = Some(self.scenario.chaos.recovery).filter(|_| self.initiators == Initiators::Guests);
        let options = Judging { states_max: STATES_MAX, owner_within: within };
        let mut judge = Judge::new(&self.header(), options)
            .expect("a scenario that was read describes a world that the model has");
        let mut seq = 0;
        let totals = self.make(&|| stop.load(Ordering::Relaxed), |at, event| {
            seq += 1;
            judge.see(seq, at, event);
        });
        let judgement = judge.finish(!totals.cut).expect("powering on is an event, so there is one");
        Judged { plan: self.plan.clone(), totals, judgement }
    }

    /// Makes the run and records it in a file.
    ///
    /// # Errors
    /// What the operating system says; then there is no file.
    pub fn record_to(&self, path: &Path) -> io::Result<Footer> {
        let mut file = TraceFile::create(path, &self.header())?;
        let failed = RefCell::new(None);
        self.make(&|| failed.borrow().is_some(), |at, event| {
            if failed.borrow().is_none()
                && let Err(error) = file.record(at, event)
            {
                *failed.borrow_mut() = Some(error);
            }
        });
        match failed.into_inner() {
            Some(error) => Err(error),
            None => file.commit(),
        }
    }

    /// Makes the run and records it in memory.
    ///
    /// # Panics
    /// Never: memory does not fail to be written.
    pub fn record(&self) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new(), &self.header()).expect("memory can be written");
        self.make(&|| false, |at, event| writer.record(at, event).expect("memory can be written"));
        writer.finish().expect("memory can be written").0
    }
}

/// Makes all runs. `done` is told after each how many there have been.
pub fn campaign(
    scenario: &Scenario,
    options: Options,
    stop: &AtomicBool,
    done: &(dyn Fn(u64) + Sync),
) -> Summary {
    let count = AtomicU64::new(0);
    (0..options.runs)
        .into_par_iter()
        .map(|nth| {
            if stop.load(Ordering::Relaxed) {
                return Summary { cut: true, ..Summary::nothing() };
            }
            let plan = &Plan::draw(scenario, options.seed.wrapping_add(nth));
            let run = Run { scenario, plan, initiators: options.initiators, quirks: options.quirks };
            let judged = run.judge(stop);
            done(count.fetch_add(1, Ordering::Relaxed) + 1);
            Summary::of(judged)
        })
        .reduce(Summary::nothing, |one, other| one.and(other, options.keep))
}
