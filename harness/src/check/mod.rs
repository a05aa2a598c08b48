//! Drives an exhaustive check of a model instance and says what came of it.
//!
//! The idea: an engine explores; this module counts what fired, keeps the first counterexample of each property, and
//! turns the outcome into a [`Verdict`] that has no passing default. An exploration that was cut ends in another type
//! of outcome than one that was exhausted, and can never become [`Verdict::Holds`].
//!
//! States are told apart by 64-bit fingerprints. Two states with the same fingerprint would be taken for one; for n
//! states the probability of that is about n² / 2⁶⁵, and [`Report::omission`] states its order of magnitude.
//!
//! Deliberately absent: search algorithms (they are the engine's) and the meaning of a model.

mod cluster;
mod engine;
mod recover;
mod reservations;
#[cfg(test)]
mod tests;

pub use cluster::{recovery_terms, story_header};
pub use engine::run;
pub use recover::{Recovery, Terms, recover};
use redline_vocab::{Action, Event};
pub use reservations::raw_story_header;
use std::{fmt, hash::Hash, time::Duration};

/// What a check needs to know of a model beside its transitions.
pub trait Subject:
    stateright::Model<State: Clone + PartialEq + Hash + Send + Sync + 'static, Action: Clone + PartialEq>
    + Send
    + Sync
    + Clone
    + 'static
{
    /// Names of the kinds of actions, in the order of the report.
    fn kinds(&self) -> Vec<&'static str>;
    /// Which of [`Subject::kinds`] the action is.
    fn kind(action: &Self::Action) -> usize;
    /// The step from this state by this action, in domain words.
    fn tell(&self, before: &Self::State, action: &Self::Action) -> Step;
}

/// One step of a counterexample.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    /// The schedule's choices, each with the reading of the standard that was taken.
    pub choices: Vec<(Action, u8)>,
    /// What happened, in domain words.
    pub text: String,
    /// The events that the step emits.
    pub events: Vec<Event>,
}

/// Which engine explores.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Engine {
    /// Breadth-first search of the `stateright` crate.
    Stateright,
}

/// When a violation ends the exploration.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Until {
    /// At the first violation of any property: the fastest way to a shortest counterexample.
    FirstViolation,
    /// When everything is explored: a counterexample of each violated property.
    Exhausted,
}

/// How far a check may go. `None` means no limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Worker threads, at least 1.
    pub threads: usize,
    /// Unique states.
    pub states_max: Option<u64>,
    /// Wall-clock time.
    pub time_max: Option<Duration>,
    /// Whether to go on after a violation.
    pub until: Until,
}

/// Why an exploration ended before it was exhausted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cut {
    /// [`Limits::states_max`] was reached.
    States,
    /// [`Limits::time_max`] was reached.
    Time,
    /// The interrupt flag was raised.
    Interrupted,
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Cut::States => "the limit on states was reached",
            Cut::Time => "the time limit was reached",
            Cut::Interrupted => "interrupted",
        })
    }
}

/// How an exploration ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// Every state within the instance's bounds was visited.
    Exhausted,
    /// A violation ended it, as asked for by [`Until::FirstViolation`].
    AtViolation,
    /// It was cut.
    Cut(Cut),
}

/// What a check says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Every state within the instance's bounds was visited, every property held, and every premise was met.
    Holds,
    /// At least one property is violated.
    Violated,
    /// The exploration was cut; what was not visited was not judged.
    Inconclusive(Cut),
    /// Exhausted and nothing violated, but these premises were never met.
    Vacuous(Vec<&'static str>),
}

/// A property whose premise must be reachable, as a `sometimes` of the model.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Witness {
    /// The property's name.
    pub name: &'static str,
    /// Length of the path that reached it first; with one thread there is no shorter one. `None`: never reached.
    pub steps: Option<usize>,
}

/// A violated property with a path to the violation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Counterexample {
    /// The property's name.
    pub property: &'static str,
    /// From an initial state to the violation. Breadth-first with one thread: no shorter path exists.
    pub steps: Vec<Step>,
}

/// How often a kind of action was possible and taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fired {
    /// The kind.
    pub kind: &'static str,
    /// Transitions of that kind.
    pub count: u64,
}

/// All that a check gives.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// Distinct states.
    pub unique: u64,
    /// States generated, repeats included.
    pub generated: u64,
    /// Deepest level reached; initial states are level 1.
    pub depth: u64,
    /// Wall-clock time.
    pub elapsed: Duration,
    /// How it ended.
    pub ending: Ending,
    /// Every kind of action, never enabled ones with count 0.
    pub fired: Vec<Fired>,
    /// Every premise.
    pub witnesses: Vec<Witness>,
    /// Properties that must hold in every state.
    pub claims: Vec<&'static str>,
    /// What was violated.
    pub counterexamples: Vec<Counterexample>,
}

impl Report {
    /// What the check says. A violation counts even in a cut run; nothing else does.
    pub fn verdict(&self) -> Verdict {
        if !self.counterexamples.is_empty() {
            return Verdict::Violated;
        }
        match self.ending {
            Ending::Cut(cut) => Verdict::Inconclusive(cut),
            Ending::Exhausted | Ending::AtViolation => {
                let missing: Vec<_> =
                    self.witnesses.iter().filter(|one| one.steps.is_none()).map(|one| one.name).collect();
                if missing.is_empty() && !self.claims.is_empty() {
                    Verdict::Holds
                } else {
                    Verdict::Vacuous(missing)
                }
            }
        }
    }

    /// Kinds of actions that were never enabled.
    pub fn never_enabled(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.fired.iter().filter(|one| one.count == 0).map(|one| one.kind)
    }

    /// The probability that some state was taken for another one is below ten to the power of minus this.
    pub fn omission(&self) -> u32 {
        // n² / 2⁶⁵, in decimal digits: 65 × log₁₀ 2 is 19.56, and n has at most ilog10 + 1 digits.
        19_u32.saturating_sub(2 * (self.unique.max(1).ilog10() + 1))
    }
}

/// Why a check gave no report.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Error {
    /// The model has no initial state within its bounds: nothing would be explored.
    NoInitialState,
    /// The model has more properties than the engine's adapter can tell apart.
    TooManyProperties {
        /// How many it can.
        properties_max: usize,
    },
    /// The model panicked: a bug in the model, not a verdict.
    Panicked,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NoInitialState => f.write_str("the instance has no initial state within its bounds"),
            Error::TooManyProperties { properties_max } => {
                write!(f, "the instance has more than {properties_max} properties")
            }
            Error::Panicked => f.write_str("the model panicked while it was explored"),
        }
    }
}

impl std::error::Error for Error {}

/// A moment of a running check.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Progress {
    /// Distinct states found.
    pub unique: u64,
    /// States generated, repeats included.
    pub generated: u64,
    /// Deepest level reached.
    pub depth: u64,
    /// Since the start.
    pub elapsed: Duration,
}
