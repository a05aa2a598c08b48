//! Drives an exhaustive check of a model instance and says what came of it.
//!
//! The idea: an engine explores; this module counts what it fired and saw, and turns the outcome into
//! a [`Verdict`] that has no passing default. A run that was cut is a different type of outcome from
//! one that was exhausted, and can never become [`Verdict::Holds`].
//!
//! Deliberately absent: search algorithms (they are the engine's) and the meaning of a model.

use std::time::Duration;

/// Which engine explores.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Engine {
    /// Breadth-first search of the `stateright` crate.
    Stateright,
}

/// How far a check may go. `None` means no limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Worker threads, at least 1. Shortest counterexamples are exact with one thread only.
    pub threads: usize,
    /// Unique states.
    pub states_max: Option<u64>,
    /// Wall-clock time.
    pub time_max: Option<Duration>,
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

/// What a check says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Every state within the instance's bounds was visited, and every property held.
    Holds,
    /// At least one property is violated.
    Violated,
    /// The exploration was cut; what was not visited was not judged.
    Inconclusive(Cut),
    /// Exhausted and nothing violated, but these premises were never met.
    Vacuous(Vec<String>),
}

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
