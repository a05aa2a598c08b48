//! Drives an exhaustive check of a model instance and says what came of it in domain words.
//!
//! The idea: an engine explores; this module hands it the model's kinds of actions and turns the paths that it finds into
//! steps that can be read and replayed. What a search may conclude is the engine's: see `redline_checker`.
//!
//! Deliberately absent: search algorithms and the meaning of a model.

mod cluster;
mod explore;
mod recover;
mod reference;
mod reservations;
#[cfg(test)]
mod tests;

pub use cluster::{recovery_terms, story_header};
pub use explore::{How, Place, Simulated, run, run_as, simulate};
pub use recover::{Recovery, Terms, recover};
use redline_checker as checker;
pub use redline_checker::{
    Checkpoints, Cut, Ending, Fired, Limits, Memory, Progress, Until, Verdict, Walked, Walks, Witness,
    available_bytes,
};
use redline_vocab::{Action, Event};
pub use reservations::raw_story_header;
use serde::{Serialize, de::DeserializeOwned};
use std::hash::Hash;

/// What a check needs to know of a model beside its transitions.
pub trait Subject:
    stateright::Model<
        State: Clone + PartialEq + Hash + Serialize + DeserializeOwned + Send + Sync + 'static,
        Action: Clone + PartialEq,
    > + Send
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
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Engine {
    /// The project's own checker.
    #[default]
    Redline,
    /// Breadth-first search of the `stateright` crate: slower, keeps everything in memory, and is there for comparison.
    Stateright,
}

/// A violated property with a shortest path to the violation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Counterexample {
    /// The property's name.
    pub property: &'static str,
    /// From an initial state to the violation.
    pub steps: Vec<Step>,
}

/// All that a check gives.
pub type Report = checker::Report<Counterexample>;

/// Why a check gave no report.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The search failed.
    #[error(transparent)]
    Search(#[from] checker::Error),
    /// The model has more properties than the adapter of the reference engine can tell apart.
    #[error(
        "the instance has more than {properties_max} properties, which is too many for the engine `stateright`"
    )]
    TooManyProperties {
        /// How many it can.
        properties_max: usize,
    },
    /// Something was asked that the reference engine does not have.
    #[error("the engine `stateright` has no {0}")]
    Lacks(&'static str),
    /// The program was built without what this needs.
    #[error(
        "this program was built without the feature `distributed`: it cannot explore on several processes"
    )]
    NotBuilt,
}
