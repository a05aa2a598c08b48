//! Reduces a failing case while the same property fails at the same kind of event.

use super::{Desk, Error, file_word, since};
use crate::case::Case;
use crate::record::Section;
use crate::shrink::{End, Fingerprint, Limit, Shrunk, Tried, shrink};
use crate::verdict::Outcome;
use std::sync::atomic::Ordering;
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
    let before = case.clone();
    let shrunk = reduce(desk, case, &fingerprint, limit);
    let smaller = shrunk.case.run().judge(&std::sync::atomic::AtomicBool::new(false));
    let change = |one: u64, other: u64| format!("{one} -> {other}");
    let count = |case: &Case| case.plan.injections.len() as u64;
    section.figure("faults", change(count(&before), count(&shrunk.case)));
    section.figure(
        "hosts",
        change(before.scenario.cluster.nodes.into(), shrunk.case.scenario.cluster.nodes.into()),
    );
    section.figure("events", change(judged.totals.events, smaller.totals.events));
    section.figure("operations", change(judged.totals.operations, smaller.totals.operations));
    section.figure("simulated ms", change(judged.totals.until.0 / 1000, smaller.totals.until.0 / 1000));
    section.figure("cases tried", shrunk.tries);
    let name = format!("shrunk-{}", file_word(&fingerprint.property));
    let mut finding = super::chaos::record(desk, &shrunk.case, &name)?;
    let faults = shrunk.case.fault_words();
    finding.sentence += &if faults.is_empty() {
        " (without any fault)".to_owned()
    } else {
        format!(" ({})", faults.join("; "))
    };
    section.findings.push(finding);
    // What was shrunk still fails: a shrunk failure is a failure.
    (section.outcome, section.summary) = match shrunk.end {
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
