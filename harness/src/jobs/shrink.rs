//! Reduces a failing case while the same property fails at the same kind of event.

use super::{Desk, Error, file_word, io_error, since};
use crate::case::Case;
use crate::chaos::Judged;
use crate::record::{Finding, Section};
use crate::schedule::Schedule;
use crate::shrink::{End, Fingerprint, Limit, Reduce, Shrunk, Tried, shrink};
use crate::verdict::Outcome;
use redline_traces::Initiators;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Reduces the case and records what is left.
///
/// # Errors
/// If the case does not fail, or an artefact cannot be written.
pub fn run(desk: &Desk<'_>, case: Case, limit: Limit) -> Result<Section, Error> {
    let start = Instant::now();
    let judged = case.run().judge(desk.stop);
    let Some(fingerprint) = judged.judgement.fingerprint() else {
        return Err(Error::Asked("the case does not fail: there is nothing to shrink".to_owned()));
    };
    let mut section = Section::new("shrink");
    section.figure("fails", format!("{} at an event `{}`", fingerprint.property, fingerprint.event));
    let (finding, end) = match case.initiators {
        Initiators::Guests => reduce_case(desk, &mut section, case, &judged, &fingerprint, limit)?,
        Initiators::Raw => reduce_choices(desk, &mut section, &case, &fingerprint, limit)?,
    };
    section.findings.push(finding);
    // What was shrunk still fails: a shrunk failure is a failure.
    (section.outcome, section.summary) = match end {
        End::Minimal => {
            (Outcome::Violated, "no single removal and no simpler size keeps the failure".to_owned())
        }
        End::Limit => {
            (Outcome::Violated, "the limit on tries was reached; a smaller case may exist".to_owned())
        }
        End::Stopped => (Outcome::Interrupted, "interrupted; a smaller case may exist".to_owned()),
    };
    section.elapsed_ms = since(start);
    Ok(section)
}

/// Guests: leaves out faults and hosts, shortens times and the workload, and keeps what is left as a case.
fn reduce_case(
    desk: &Desk<'_>,
    section: &mut Section,
    before: Case,
    judged: &Judged,
    fingerprint: &Fingerprint,
    limit: Limit,
) -> Result<(Finding, End), Error> {
    let shrunk = reduce(desk, before.clone(), fingerprint, limit);
    let smaller = shrunk.case.run().judge(&AtomicBool::new(false));
    let mut change = |name: &str, one: u64, other: u64| section.figure(name, format!("{one} -> {other}"));
    change("faults", before.plan.injections.len() as u64, shrunk.case.plan.injections.len() as u64);
    change("hosts", before.scenario.cluster.nodes.into(), shrunk.case.scenario.cluster.nodes.into());
    change("events", judged.totals.events, smaller.totals.events);
    change("operations", judged.totals.operations, smaller.totals.operations);
    change("simulated ms", judged.totals.until.0 / 1000, smaller.totals.until.0 / 1000);
    section.figure("cases tried", shrunk.tries);
    let name = format!("shrunk-{}", file_word(&fingerprint.property));
    let mut finding = super::chaos::record(desk, &shrunk.case, &name)?;
    let faults = shrunk.case.fault_words();
    finding.sentence += &if faults.is_empty() {
        " (without any fault)".to_owned()
    } else {
        format!(" ({})", faults.join("; "))
    };
    Ok((finding, shrunk.end))
}

/// Raw initiators: leaves out single commands and steps, and keeps what is left as a trace.
fn reduce_choices(
    desk: &Desk<'_>,
    section: &mut Section,
    case: &Case,
    fingerprint: &Fingerprint,
    limit: Limit,
) -> Result<(Finding, End), Error> {
    let whole = Schedule::of(case);
    let before = whole.len(0);
    let (mut finding, shrunk) = story(desk, whole, fingerprint, limit)?;
    section.figure("commands and steps", format!("{before} -> {}", shrunk.case.len(0)));
    section.figure("schedules tried", shrunk.tries);
    finding.reproduce = format!("redline conform {}", finding.artefacts[0]);
    Ok((finding, shrunk.end))
}

/// The fewest commands and steps of raw initiators that fail in this way, as a trace in the run's folder.
///
/// # Errors
/// If the trace cannot be written.
pub fn story(
    desk: &Desk<'_>,
    whole: Schedule,
    fingerprint: &Fingerprint,
    limit: Limit,
) -> Result<(Finding, Shrunk<Schedule>), Error> {
    let mut tries = 0;
    let shrunk = shrink(whole, fingerprint, limit, |smaller: &Schedule| {
        tries += 1;
        desk.tell("shrink", tries, None);
        if desk.stop.load(Ordering::Relaxed) {
            return Tried::Stop;
        }
        match smaller.judge().fingerprint() {
            Some(found) => Tried::Failed(found),
            None => Tried::Passed,
        }
    });
    let path = desk.file(&format!("shrunk-{}-story.ndjson", file_word(&fingerprint.property)));
    shrunk.case.record_to(&path).map_err(io_error(&path))?;
    let mut finding = super::chaos::told(&shrunk.case.judge(), &shrunk.case.record())?;
    finding.artefacts.push(path.display().to_string());
    Ok((finding, shrunk))
}

/// Reduces a case that is known to fail in this way.
pub fn reduce(desk: &Desk<'_>, case: Case, fingerprint: &Fingerprint, limit: Limit) -> Shrunk<Case> {
    let mut tries = 0;
    shrink(case, fingerprint, limit, |smaller: &Case| {
        tries += 1;
        desk.tell("shrink", tries, None);
        if desk.stop.load(Ordering::Relaxed) {
            return Tried::Stop;
        }
        match smaller.run().judge(desk.stop).judgement.fingerprint() {
            Some(found) => Tried::Failed(found),
            None => Tried::Passed,
        }
    })
}
