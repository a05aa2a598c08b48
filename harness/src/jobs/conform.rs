//! Judges a recorded trace.

use super::{Desk, Error, since, worlds_words};
use crate::chaos::STATES_MAX;
use crate::conform::{self, Judgement, Options, Verdict, words};
use crate::record::{Finding, STEPS_SHOWN_MAX, Section, Table};
use crate::verdict::Outcome;
use redline_traces::Reader;
use redline_vocab::Micros;
use std::path::Path;
use std::time::Instant;

/// Judges the trace in this file. `owner_within`: once nothing disturbs the fabric, an owner must exist within this time.
///
/// # Errors
/// If it cannot be read, or its header cannot be judged.
pub fn run(desk: &Desk<'_>, path: &Path, owner_within: Option<Micros>) -> Result<Section, Error> {
    let start = Instant::now();
    let file = path.display().to_string();
    desk.tell("conform", 0, None);
    let reader = Reader::open(path)?;
    let header = reader.header().clone();
    let judgement = match conform::judge(reader, Options { states_max: STATES_MAX, owner_within }) {
        Ok(judgement) => judgement,
        Err(conform::Error::Trace(error)) => return Err(error.into()),
        Err(error @ (conform::Error::Empty | conform::Error::World(_))) => {
            return Err(Error::Unfit { file, what: error.to_string() });
        }
    };
    let mut section = Section::new(format!("conform {}", header.scenario));
    let judged = judgement.statistics.events;
    section.figure("trace", &file);
    section.figure("events judged by the model", judged);
    let worlds = judgement.statistics;
    section.figure("candidate worlds", worlds_words(worlds.worlds_sum, judged, worlds.worlds_largest));
    section.figure("situations covered", judgement.coverage.count());
    section.tables.push(Table {
        title: "premises met".to_owned(),
        columns: vec!["property".to_owned(), "times".to_owned()],
        rows: judgement
            .witnesses
            .iter()
            .map(|one| vec![one.property.to_owned(), one.fired.to_string()])
            .collect(),
    });
    decide(&mut section, &judgement);
    let command = format!("redline conform {file}");
    for (property, sentence, seq, extra) in failures(&judgement) {
        let mut steps = last_steps(path, seq)?;
        steps.extend(extra);
        let mut finding = Finding::new(property, sentence, steps);
        finding.steps_left_out = 0;
        finding.artefacts.push(format!("{file}:{}", seq + 1));
        finding.reproduce = command.clone();
        section.findings.push(finding);
    }
    section.elapsed_ms = since(start);
    Ok(section)
}

pub(super) fn decide(section: &mut Section, judgement: &Judgement) {
    let broken = !judgement.violations.is_empty();
    let verdict = match &judgement.verdict {
        Verdict::Conforms => Outcome::Holds,
        Verdict::Diverged(_) => Outcome::Violated,
        Verdict::Inconclusive(_) => Outcome::Inconclusive,
    };
    section.judged("conformance", verdict, "model against trace");
    for witness in judgement.witnesses.iter().filter(|one| one.fired > 0) {
        let count = judgement.violations.iter().filter(|one| one.property == witness.property).count();
        let outcome = match (count, verdict) {
            (0, Outcome::Inconclusive) => Outcome::Inconclusive,
            (0, _) => Outcome::Holds,
            _ => Outcome::Violated,
        };
        section.judged(witness.property, outcome, format!("premise met {} times", witness.fired));
    }
    section.outcome = if broken { Outcome::Violated } else { verdict };
    section.summary = match (&judgement.verdict, judgement.violations.first()) {
        (Verdict::Diverged(divergence), _) => {
            format!("line {}: the model of {} refuses an event", divergence.line(), divergence.part)
        }
        (_, Some(violation)) => format!("line {}: {} is violated", violation.seq + 1, violation.property),
        (Verdict::Conforms, None) => "the model allows every event, and no property is violated".to_owned(),
        (Verdict::Inconclusive(why), None) => why.to_string(),
    };
}

/// Property, sentence, event, and further lines.
fn failures(judgement: &Judgement) -> Vec<(String, String, u64, Vec<String>)> {
    let mut all = Vec::new();
    if let Verdict::Diverged(divergence) = &judgement.verdict {
        let mut extra: Vec<String> =
            divergence.before.iter().map(|state| format!("the model's state before it: {state}")).collect();
        extra.extend(divergence.alternatives.iter().take(5).map(|one| format!("allowed there: {one}")));
        all.push(("conformance".to_owned(), divergence.to_string(), divergence.seq, extra));
    }
    let mut told: Vec<&str> = Vec::new();
    for violation in &judgement.violations {
        if !told.contains(&violation.property) {
            told.push(violation.property);
            all.push((violation.property.to_owned(), violation.sentence.clone(), violation.seq, Vec::new()));
        }
    }
    all
}

/// The events up to this one, in words; fewer than a finding may have, so that the state fits beside them.
fn last_steps(path: &Path, seq: u64) -> Result<Vec<String>, Error> {
    let shown = STEPS_SHOWN_MAX as u64 / 2;
    let mut steps = Vec::new();
    for stamped in Reader::open(path)? {
        let Ok(stamped) = stamped else { break };
        if stamped.seq > seq {
            break;
        }
        if stamped.seq + shown > seq {
            steps.push(format!("line {}: {}", stamped.line(), words::sentence(&stamped.event)));
        }
    }
    Ok(steps)
}
