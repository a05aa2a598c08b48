//! A run of raw initiators as the list of its choices, so that single commands and steps can be left out.
//!
//! A seed cannot be made smaller by one command: everything after it would be drawn anew. A list of choices can. What is left
//! is kept as a trace, which says the same and can be judged and replayed.

use crate::case::Case;
use crate::chaos::STATES_MAX;
use crate::conform::{Judge, Judgement, Options};
use crate::shrink::Reduce;
use crate::sim::{Setup, raw};
use redline_traces::{Header, TraceFile, Writer};
use redline_vocab::Action;
use std::cell::RefCell;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// The choices of a run of raw initiators.
#[derive(Clone, Debug)]
pub struct Schedule {
    setup: Arc<Setup>,
    header: Header,
    choices: Vec<Action>,
}

impl Schedule {
    /// The choices of this case, whose initiators are raw.
    pub fn of(case: &Case) -> Schedule {
        let run = case.run();
        let header = run.header();
        let setup = raw::setup(&case.scenario, header.quirks);
        let choices = raw::choices(&setup, case.plan.seed, case.plan.events_min);
        Schedule { setup, header, choices }
    }

    /// Makes and judges the run.
    ///
    /// # Panics
    /// If the case describes a world that the model does not have; the checks of its scenario rule that out.
    pub fn judge(&self) -> Judgement {
        let options = Options { states_max: STATES_MAX, owner_within: None };
        let mut judge =
            Judge::new(&self.header, options).expect("a scenario describes a world that the model has");
        let mut seq = 0;
        raw::follow(&self.setup, &self.choices, |at, event| {
            seq += 1;
            judge.see(seq, at, event);
        });
        judge.finish(true).expect("powering on is an event, so there is one")
    }

    /// Records the run in a file.
    ///
    /// # Errors
    /// What the operating system says; then there is no file.
    pub fn record_to(&self, path: &Path) -> io::Result<()> {
        let mut file = TraceFile::create(path, &self.header)?;
        let failed = RefCell::new(Ok(()));
        raw::follow(&self.setup, &self.choices, |at, event| {
            let mut failed = failed.borrow_mut();
            if failed.is_ok() {
                *failed = file.record(at, event);
            }
        });
        failed.into_inner()?;
        file.commit()?;
        Ok(())
    }

    /// Records the run in memory.
    ///
    /// # Panics
    /// Never: memory does not fail to be written.
    pub fn record(&self) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new(), &self.header).expect("memory can be written");
        raw::follow(&self.setup, &self.choices, |at, event| {
            writer.record(at, event).expect("memory can be written");
        });
        writer.finish().expect("memory can be written").0
    }
}

impl Reduce for Schedule {
    fn lists(&self) -> Vec<&'static str> {
        vec!["choices"]
    }

    fn len(&self, _: usize) -> usize {
        self.choices.len()
    }

    fn retain(&self, _: usize, keep: &dyn Fn(usize) -> bool) -> Option<Schedule> {
        let kept = self.choices.iter().enumerate().filter(|(at, _)| keep(*at));
        Some(Schedule { choices: kept.map(|(_, choice)| *choice).collect(), ..self.clone() })
    }

    fn simpler(&self) -> Vec<Schedule> {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::load;
    use crate::sim::plan::Plan;
    use redline_traces::Initiators;
    use redline_vocab::Quirks;

    #[test]
    fn the_choices_of_a_run_make_the_same_run() {
        let scenario = load("three-nodes").expect("it is embedded");
        for seed in 0..5 {
            let plan = Plan::draw(&scenario, seed);
            let case =
                Case { scenario: scenario.clone(), plan, initiators: Initiators::Raw, quirks: Quirks::NONE };
            let events = |bytes: &[u8]| {
                let reader = redline_traces::Reader::new(bytes, "the run").expect("it was just recorded");
                reader.map(|stamped| stamped.expect("it was just recorded").event).collect::<Vec<_>>()
            };
            assert_eq!(events(&Schedule::of(&case).record()), events(&case.run().record()), "seed {seed}");
        }
    }
}
