//! Random walks through a model that is too large to be exhausted, and how much such walks see of one that is not.
//!
//! A walk can find a violation and cannot exclude one: without a violation the outcome is *inconclusive*. To give the count of
//! states that were met a meaning, a small instance of the same model is exhausted and then walked through with as many steps: the share of
//! its states that the walks met is known.

use super::check::{Explored, choices, finding, instance, model};
use super::{Desk, Error, since};
use crate::catalogue::RECOVERY;
use crate::check::{
    self, Counterexample, Cut, Limits, Subject, Until, Walked, Walks, raw_story_header, story_header,
};
use crate::record::{Section, Table};
use crate::scenario::Scenario;
use crate::verdict::Outcome;
use redline_model::cluster::Readings;
use redline_model::reservations::Reservations;
use redline_traces::Header;
use redline_vocab::{Action, Design, Event};
use std::time::Instant;

/// Steps of one walk: longer than any counterexample that is known, and short enough that walks keep beginning.
pub const DEPTH_MAX: u32 = 200;
/// The exhausted instance of the reservation model.
const SMALL: &str = "two-nexuses";

/// Walks through an instance.
///
/// # Errors
/// If there is nothing to walk through, or an artefact cannot be written.
pub fn run(
    desk: &Desk<'_>,
    scenario: &Scenario,
    explored: Explored,
    design: Design,
    walks: Walks,
) -> Result<Section, Error> {
    match explored {
        Explored::Cluster(bounds) => {
            let (asked, small) = (model(scenario, bounds, design), model(scenario, RECOVERY, design));
            let header = story_header(scenario, design, bounds.nodes, asked.nexuses());
            walk(
                desk,
                scenario,
                (&asked, "guest-cluster"),
                (&small, "guest-cluster, small"),
                walks,
                &header,
                |choices| asked.story(choices),
            )
        }
        Explored::Reservations(one) => {
            // A story that is to be replayed needs the readings of the fabric.
            let readings = if design == Design::SOUND { Readings::Every } else { Readings::OurTarget };
            let asked = Reservations::new(one, design, readings);
            let small = Reservations::new(instance(SMALL)?, design, readings);
            let header = raw_story_header(scenario, design, one.nexuses);
            walk(desk, scenario, (&asked, one.name), (&small, SMALL), walks, &header, |choices| {
                asked.story(choices)
            })
        }
        Explored::Recovery(_) => Err(Error::Asked(
            "whether the fabric can always recover is a question about all states: it cannot be simulated"
                .to_owned(),
        )),
    }
}

fn walk<M: Subject>(
    desk: &Desk<'_>,
    scenario: &Scenario,
    asked: (&M, &str),
    small: (&M, &str),
    walks: Walks,
    header: &Header,
    story: impl Fn(&[(Action, u8)]) -> Option<Vec<Event>>,
) -> Result<Section, Error> {
    let start = Instant::now();
    let mut section = Section::new(format!("walks {}", asked.1));
    desk.tell(&section.name.clone(), 0, Some(walks.steps_max));
    let check::Simulated { walked, violation } = check::simulate(asked.0, walks, desk.stop)?;
    section.figure("walks", walked.walks);
    section.figure("steps", walked.steps);
    section.figure("longest walk", walked.longest);
    section.figure("distinct states", walked.unique);
    section.figure("seed", walks.seed);
    if walked.cut.is_none() {
        section.figure("coverage", coverage(desk, small, walks)?);
    }
    let never: Vec<&str> = walked.fired.iter().filter(|one| one.count == 0).map(|one| one.kind).collect();
    section
        .figure("actions never taken", if never.is_empty() { "none".to_owned() } else { never.join(", ") });
    section.tables.push(Table {
        title: "steps by kind of move".to_owned(),
        columns: vec!["move".to_owned(), "steps".to_owned()],
        rows: walked.fired.iter().map(|one| vec![one.kind.to_owned(), one.count.to_string()]).collect(),
    });
    for name in &walked.met {
        section.judged(format!("met: {name}"), Outcome::Holds, "on some walk");
    }
    for name in &walked.unmet {
        section.judged(format!("met: {name}"), Outcome::Inconclusive, "on no walk");
    }
    conclude(&mut section, &walked, violation.as_ref());
    if let Some(Counterexample { property, steps }) = &violation {
        section.findings.push(finding(desk, scenario, header, property, steps, story(&choices(steps)))?);
    }
    section.elapsed_ms = since(start);
    Ok(section)
}

/// What the same number of steps meets of an instance that is known.
fn coverage<M: Subject>(desk: &Desk<'_>, small: (&M, &str), walks: Walks) -> Result<String, Error> {
    let limits = Limits { until: Until::Exhausted, ..Limits::threads(desk.threads) };
    let whole = check::run(small.0, limits, desk.stop, &mut |_| {})?;
    if whole.ending != check::Ending::Exhausted {
        return Ok(format!("unknown: {} was not exhausted", small.1));
    }
    let check::Simulated { walked, violation } = check::simulate(small.0, walks, desk.stop)?;
    let until = if violation.is_some() { ", until a violation" } else { "" };
    Ok(format!(
        "{:.1} % of the {} states of the exhausted instance {}, by {} steps{until}",
        100.0 * walked.unique as f64 / whole.unique as f64,
        whole.unique,
        small.1,
        walked.steps
    ))
}

fn conclude<S, A>(section: &mut Section, walked: &Walked<S, A>, violation: Option<&Counterexample>) {
    (section.outcome, section.summary) = match (violation, walked.cut) {
        (Some(found), _) => {
            section.judged(
                found.property,
                Outcome::Violated,
                format!("on a walk of {} steps", found.steps.len()),
            );
            (
                Outcome::Violated,
                format!("{} is violated on a walk of {} steps", found.property, found.steps.len()),
            )
        }
        (None, Some(Cut::Interrupted)) => {
            (Outcome::Interrupted, format!("interrupted after {} steps", walked.steps))
        }
        (None, cut) => {
            let cut = cut.map(|cut| format!("{cut}; ")).unwrap_or_default();
            let (steps, unique) = (walked.steps, walked.unique);
            (
                Outcome::Inconclusive,
                format!("{cut}{steps} steps through {unique} states met no violation, which proves nothing"),
            )
        }
    };
}
