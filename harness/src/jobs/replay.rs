//! Drives the fabric along a stored story.

use super::{Desk, Error, quirk_options, since};
use crate::conform::words;
use crate::record::{Finding, STEPS_SHOWN_MAX, Section};
use crate::replay::{self, Replay};
use crate::scenario::Scenario;
use crate::verdict::Outcome;
use redline_traces::{Arm, Header, Initiators, Reader};
use redline_vocab::{Event, Quirks};
use std::path::Path;
use std::time::Instant;

/// Follows the story in this file in a fabric with these bugs. `given`: the scenario; without it, the one that the story
/// names.
///
/// # Errors
/// If the story or its scenario cannot be used.
pub fn run(desk: &Desk<'_>, path: &Path, given: Option<&Scenario>, quirks: Quirks) -> Result<Section, Error> {
    let start = Instant::now();
    let file = path.display().to_string();
    desk.tell("replay", 0, None);
    let reader = Reader::open(path)?;
    let header = reader.header().clone();
    let scenario = match given {
        Some(scenario) => scenario.clone(),
        None => crate::scenario::load(&header.scenario)?,
    };
    fits(&file, &header, &scenario)?;
    let mut story: Vec<Event> = Vec::new();
    for stamped in reader {
        story.push(stamped?.event);
    }
    if story.is_empty() {
        return Err(Error::Unfit { file, what: "the story has no events".to_owned() });
    }
    let of = story.len();
    let replayed = replay::replay(replay::setup(&scenario, &header, quirks), story);
    let mut section = describe(&replayed, of);
    section.figure("story", &file);
    section.figure("planted bugs", names(quirks));
    let command = format!("redline replay {file}{}", quirk_options(quirks));
    for finding in &mut section.findings {
        finding.artefacts.push(file.clone());
        finding.reproduce.clone_from(&command);
    }
    section.elapsed_ms = since(start);
    Ok(section)
}

fn names(quirks: Quirks) -> String {
    let names: Vec<&str> = quirks.iter().map(|quirk| quirk.name()).collect();
    if names.is_empty() { "none: the sound fabric".to_owned() } else { names.join(", ") }
}

/// Whether the story can have happened in this scenario's world.
fn fits(file: &str, header: &Header, scenario: &Scenario) -> Result<(), Error> {
    let unfit = |what: String| Err(Error::Unfit { file: file.to_owned(), what });
    if header.arm == Arm::Foreign {
        return unfit(
            "the story is of another implementation: only its own fabric could follow it".to_owned(),
        );
    }
    if header.visibility == redline_traces::Visibility::Client {
        return unfit(
            "the story shows only what clients see: the choices in between are not in it".to_owned(),
        );
    }
    if header.initiators == Initiators::Guests {
        let mut sized = scenario.clone();
        sized.cluster.nodes = header.nodes;
        if sized.keys() != header.keys {
            return unfit(format!(
                "its keys are not those of scenario `{}`; give its own with --scenario",
                scenario.name
            ));
        }
    }
    Ok(())
}

/// What came of it.
pub fn describe(replayed: &Replay, of: usize) -> Section {
    let mut section = Section::new("replay");
    section.figure("events followed", format!("{} of {of}", replayed.followed));
    for violation in &replayed.violations {
        section.judged(violation.property, Outcome::Violated, format!("at event {}", violation.seq));
    }
    let shown = replayed.events.len().saturating_sub(STEPS_SHOWN_MAX);
    let steps: Vec<String> = replayed.events[shown..].iter().map(words::sentence).collect();
    let tell = |property: &str, sentence: String| {
        let mut finding = Finding::new(property, sentence, steps.clone());
        finding.steps_left_out = shown as u64;
        finding
    };
    if let Some(violation) = replayed.violations.first() {
        section.outcome = Outcome::Violated;
        section.summary = format!("{} is violated at event {}", violation.property, violation.seq);
        let mut told: Vec<&str> = Vec::new();
        for violation in &replayed.violations {
            if !told.contains(&violation.property) {
                told.push(violation.property);
                section.findings.push(tell(violation.property, violation.sentence.clone()));
            }
        }
    } else if let Some(refusal) = &replayed.refusal {
        section.outcome = Outcome::Refused;
        section.summary = refusal.to_string();
        section.findings.push(tell("replay", refusal.to_string()));
    } else {
        section.outcome = Outcome::Holds;
        section.summary = format!("the fabric follows all {of} events, and no property is violated");
    }
    section
}
