//! Simulated chaos: many runs, each judged while it happens; what failed is kept, reduced and told.

use super::{Desk, Error, file_word, io_error, since, worlds_words};
use crate::case::Case;
use crate::chaos::{Judged, Options, Summary, campaign};
use crate::conform::{Judgement, Verdict, words};
use crate::record::{Finding, STEPS_SHOWN_MAX, Section, Shard, Table};
use crate::scenario::Scenario;
use crate::schedule::Schedule;
use crate::shrink::Limit;
use crate::situations;
use crate::verdict::Outcome;
use redline_properties::catalogue::CATALOGUE;
use redline_traces::{Initiators, Reader};
use redline_vocab::{Event, FaultKind, Quirks};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Runs between two looks at the clock when the time is limited.
const BATCH: u64 = 200;

/// Failures of a campaign that are recorded.
const KEPT: usize = 3;

/// How far the first failure is reduced while the campaign's report is made.
const REDUCE: Limit = Limit { tries_max: 400 };

/// How far the first failure of raw initiators is reduced to a story.
const STORY: Limit = Limit { tries_max: 5000 };

/// Which runs.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    /// Seed of the first run.
    pub seed: u64,
    /// How many runs.
    pub runs: u64,
    /// Go on with further seeds until this time has passed.
    pub lasts: Option<Duration>,
    /// Which part of the runs.
    pub shard: Option<Shard>,
    /// Bugs that are planted.
    pub quirks: Quirks,
    /// Who issues the commands.
    pub initiators: Initiators,
}

/// Makes the runs.
///
/// # Errors
/// If an artefact cannot be written.
pub fn run(desk: &Desk<'_>, scenario: &Scenario, ask: Ask) -> Result<Section, Error> {
    let start = Instant::now();
    let (seed, runs) = part(ask);
    let who = initiators_word(ask.initiators);
    let what = format!("chaos {who}");
    let count = AtomicU64::new(0);
    let of = if ask.lasts.is_some() { None } else { Some(runs) };
    let mut summary = Summary::nothing();
    let mut next = 0;
    loop {
        let left = if ask.lasts.is_some() { BATCH } else { runs - next };
        let options = Options {
            seed: seed.wrapping_add(next),
            runs: left,
            quirks: ask.quirks,
            initiators: ask.initiators,
            keep: KEPT,
        };
        let more = campaign(scenario, options, desk.stop, &|_| {
            desk.tell(&what, count.fetch_add(1, Ordering::Relaxed) + 1, of);
        });
        summary = summary.and(more, KEPT);
        next += left;
        let over = ask.lasts.is_none_or(|lasts| start.elapsed() >= lasts);
        if over || summary.cut || desk.stop.load(Ordering::Relaxed) {
            break;
        }
    }
    let mut section = describe(scenario, &what, ask, seed, &summary);
    measure(&mut section, scenario, ask.initiators, &summary);
    if summary.failures.is_empty() {
        section.elapsed_ms = since(start);
        return Ok(section);
    }
    for (nth, failure) in summary.failures.iter().enumerate() {
        let case = Case {
            scenario: scenario.clone(),
            plan: failure.plan.clone(),
            initiators: ask.initiators,
            quirks: ask.quirks,
        };
        let limit = if nth == 0 { REDUCE } else { Limit { tries_max: 0 } };
        section.findings.push(tell(desk, case, failure, limit)?);
    }
    section.elapsed_ms = since(start);
    Ok(section)
}

/// Makes one run again, from its case.
///
/// # Errors
/// If an artefact cannot be written.
pub fn again(desk: &Desk<'_>, case: &Case) -> Result<Section, Error> {
    let start = Instant::now();
    let judged = case.run().judge(desk.stop);
    let summary = Summary::of(judged);
    let ask = Ask {
        seed: case.plan.seed,
        runs: 1,
        lasts: None,
        shard: None,
        quirks: case.quirks,
        initiators: case.initiators,
    };
    let what = format!("case {}", initiators_word(case.initiators));
    let mut section = describe(&case.scenario, &what, ask, case.plan.seed, &summary);
    // One run meets few premises: it says what it found, not that everything was met.
    if section.outcome == Outcome::Vacuous {
        section.outcome = Outcome::Holds;
    }
    for failure in &summary.failures {
        section.findings.push(tell(desk, case.clone(), failure, Limit { tries_max: 0 })?);
    }
    section.elapsed_ms = since(start);
    Ok(section)
}

/// First seed and number of runs of the shard.
pub fn part(ask: Ask) -> (u64, u64) {
    let Some(shard) = ask.shard else { return (ask.seed, ask.runs) };
    let (number, of) = (u64::from(shard.number), u64::from(shard.of));
    if ask.lasts.is_some() {
        // Each shard has seeds of its own for as long as it likes.
        return (ask.seed.wrapping_add((number - 1) << 40), ask.runs);
    }
    let first = ask.runs * (number - 1) / of;
    (ask.seed.wrapping_add(first), ask.runs * number / of - first)
}

/// Who issues the commands, in one word.
pub fn initiators_word(initiators: Initiators) -> &'static str {
    match initiators {
        Initiators::Guests => "guests",
        Initiators::Raw => "raw",
    }
}

pub(super) fn describe(scenario: &Scenario, what: &str, ask: Ask, seed: u64, summary: &Summary) -> Section {
    let mut section = Section::new(what);
    section.figure("runs judged to their end", summary.runs - summary.inconclusive);
    section.figure("seeds", format!("{seed} and the {} after it", summary.runs.saturating_sub(1)));
    section.figure("events", summary.events);
    section.figure("fewest events of a run", if summary.runs == 0 { 0 } else { summary.events_min });
    section.figure("fewest faults of a run", if summary.runs == 0 { 0 } else { summary.faults_min });
    section.figure("faults", summary.faults.values().sum::<u64>());
    section.figure("operations of the workload", summary.operations);
    section.figure("simulated time", format!("{} s", summary.simulated.0 / 1_000_000));
    section.figure("situations covered", summary.coverage.count());
    section
        .figure("candidate worlds", worlds_words(summary.worlds_sum, summary.judged, summary.worlds_largest));
    if ask.quirks != Quirks::NONE {
        let names: Vec<&str> = ask.quirks.iter().map(|quirk| quirk.name()).collect();
        section.figure("planted bugs", names.join(", "));
    }
    section.tables.push(Table {
        title: "faults by kind".to_owned(),
        columns: vec!["fault".to_owned(), "times".to_owned()],
        rows: FaultKind::ALL
            .into_iter()
            .map(|kind| {
                vec![kind.name().to_owned(), summary.faults.get(&kind).copied().unwrap_or(0).to_string()]
            })
            .collect(),
    });
    judge(&mut section, scenario, ask.initiators, summary);
    section
}

/// Measures the situations met against those that walks through the model meet.
fn measure(section: &mut Section, scenario: &Scenario, initiators: Initiators, summary: &Summary) {
    let of = situations::walked(scenario, initiators).coverage;
    let met = summary.coverage.count_of(&of);
    section.figure("of the situations that walks through the model meet", format!("{met} of {}", of.count()));
    section.tables.push(Table {
        title: "situations of the model that no run met".to_owned(),
        columns: vec!["situation".to_owned()],
        rows: summary.coverage.missing(&of).map(|name| vec![name]).collect(),
    });
}

/// Properties whose premise a run of this kind can meet at all.
fn reachable(scenario: &Scenario, initiators: Initiators, property: &str) -> bool {
    let weight = |kinds: &[FaultKind]| {
        kinds.iter().any(|kind| scenario.chaos.weights.get(kind).is_some_and(|one| *one > 0))
    };
    let power = weight(&[FaultKind::PowerCycle, FaultKind::TornWrite]);
    match property {
        // Raw initiators read no data back, own nothing, and do not flush.
        "fabric/owner-unique" | "fabric/no-evicted-write" | "fabric/progress" | "disk/reads-last-write" => {
            initiators == Initiators::Guests
        }
        "disk/flushed-survives" => initiators == Initiators::Guests && power,
        "lun/durable-with-aptpl" => initiators == Initiators::Raw || power,
        // Guests send neither task management functions nor RESERVE.
        "lun/reset-is-final" | "lun/legacy-excludes-persistent" => initiators == Initiators::Raw,
        _ => true,
    }
}

fn judge(section: &mut Section, scenario: &Scenario, initiators: Initiators, summary: &Summary) {
    let broken = |property: &str| {
        summary
            .failures
            .iter()
            .any(|run| run.judgement.violations.iter().any(|violation| violation.property == property))
    };
    let incomplete = summary.cut || summary.inconclusive > 0 || summary.runs == 0;
    let mut missing = Vec::new();
    for property in &CATALOGUE {
        let fired =
            summary.witnesses.iter().find(|one| one.property == property.id).map_or(0, |one| one.fired);
        let (outcome, note) = if broken(property.id) {
            (Outcome::Violated, format!("premise met {fired} times"))
        } else if fired == 0 && !reachable(scenario, initiators, property.id) {
            continue;
        } else if incomplete {
            (Outcome::Inconclusive, format!("premise met {fired} times in an incomplete campaign"))
        } else if fired == 0 {
            missing.push(property.id);
            (Outcome::Vacuous, "its premise was never met".to_owned())
        } else {
            (Outcome::Holds, format!("premise met {fired} times"))
        };
        section.judged(property.id, outcome, note);
    }
    let diverged = summary.failures.iter().any(|run| matches!(run.judgement.verdict, Verdict::Diverged(_)));
    let conformance = match (diverged, incomplete) {
        (true, _) => Outcome::Violated,
        (false, true) => Outcome::Inconclusive,
        (false, false) => Outcome::Holds,
    };
    section.judged("conformance", conformance, format!("{} events judged by the model", summary.judged));
    (section.outcome, section.summary) = if summary.failed > 0 {
        (Outcome::Violated, format!("{} of {} runs fail", summary.failed, summary.runs))
    } else if summary.cut {
        (Outcome::Interrupted, format!("interrupted after {} runs, none of which fails", summary.runs))
    } else if summary.runs == 0 {
        (Outcome::Inconclusive, "no run was made".to_owned())
    } else if summary.inconclusive > 0 {
        (
            Outcome::Inconclusive,
            format!("{} of {} runs could not be judged to their end", summary.inconclusive, summary.runs),
        )
    } else if !missing.is_empty() {
        (Outcome::Vacuous, format!("premises never met: {}", missing.join(", ")))
    } else {
        (Outcome::Holds, format!("{} runs, {} events, none fails", summary.runs, summary.events))
    };
}

/// Records a failing run, reduced if there is time, and tells its end.
fn tell(desk: &Desk<'_>, case: Case, failure: &Judged, limit: Limit) -> Result<Finding, Error> {
    let fingerprint = failure.judgement.fingerprint().expect("only failing runs are kept");
    let reduced = super::shrink::reduce(desk, case, &fingerprint, limit).case;
    let name = format!("{}-seed-{}", file_word(&fingerprint.property), reduced.plan.seed);
    let mut finding = record(desk, &reduced, &name)?;
    if reduced.initiators == Initiators::Raw && limit.tries_max > 0 {
        // The run itself is long; what people read is the fewest commands that do the same.
        let (story, _) = super::shrink::story(desk, Schedule::of(&reduced), &fingerprint, STORY)?;
        finding.artefacts.splice(0..0, story.artefacts);
        (finding.sentence, finding.steps, finding.steps_left_out) =
            (story.sentence, story.steps, story.steps_left_out);
    }
    Ok(finding)
}

/// Writes a failing case with its trace, and tells its end.
///
/// # Errors
/// If a file cannot be written.
pub fn record(desk: &Desk<'_>, case: &Case, name: &str) -> Result<Finding, Error> {
    let case_file = desk.file(&format!("{name}.case.toml"));
    case.save(&case_file).map_err(io_error(&case_file))?;
    let trace_file = desk.file(&format!("{name}.ndjson"));
    case.run().record_to(&trace_file).map_err(io_error(&trace_file))?;
    let judged = case.run().judge(&std::sync::atomic::AtomicBool::new(false));
    let mut finding = told(&judged.judgement, &case.run().record())?;
    finding.artefacts = vec![trace_file.display().to_string(), case_file.display().to_string()];
    finding.reproduce = format!("redline chaos --case {}", case_file.display());
    Ok(finding)
}

/// The first thing that is wrong with this run, with the events up to it.
///
/// # Errors
/// If nothing is wrong.
pub fn told(judgement: &Judgement, bytes: &[u8]) -> Result<Finding, Error> {
    let (property, sentence, seq) = match (judgement.violations.first(), &judgement.verdict) {
        (Some(violation), _) => (violation.property, violation.sentence.clone(), violation.seq),
        (None, Verdict::Diverged(divergence)) => ("conformance", divergence.to_string(), divergence.seq),
        (None, Verdict::Conforms | Verdict::Inconclusive(_)) => {
            return Err(Error::Asked("the run does not fail".to_owned()));
        }
    };
    let steps = steps_before(bytes, seq)?;
    let mut finding = Finding::new(property, sentence, steps);
    finding.steps_left_out = seq.saturating_sub(finding.steps.len() as u64);
    Ok(finding)
}

/// The last events up to this one, in words.
fn steps_before(bytes: &[u8], seq: u64) -> Result<Vec<String>, Error> {
    let mut steps = Vec::new();
    for stamped in Reader::new(bytes, "the recorded run")? {
        let stamped = stamped?;
        if stamped.seq > seq {
            break;
        }
        if stamped.seq + STEPS_SHOWN_MAX as u64 > seq {
            steps.push(step_words(stamped.at.0, &stamped.event));
        }
    }
    Ok(steps)
}

fn step_words(at: u64, event: &Event) -> String {
    format!("{:.4} s: {}", at as f64 / 1e6, words::sentence(event))
}
