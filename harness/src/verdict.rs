//! What a command came to, and its exit code.
//!
//! No outcome has a passing default: several outcomes together are the worst of them, and none at all is inconclusive.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What a command, or a part of it, came to; the worst last.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Everything asked held within the stated bounds, and every premise was met.
    Holds,
    /// The command line, a scenario or another input is wrong.
    Malformed,
    /// A bound, a time limit or a cut trace: no judgement.
    Inconclusive,
    /// Nothing was violated, but a premise was never met, or a canary that must fail did not.
    Vacuous,
    /// The fabric would not follow a replay: the good answer of a sound fabric.
    Refused,
    /// A property is violated, or the model does not allow a trace.
    Violated,
    /// The same seed gave two traces.
    Nondeterministic,
    /// Interrupted by the user; what there is was written.
    Interrupted,
    /// A file could not be read or written.
    InputOutput,
    /// A bug in Redline itself.
    Internal,
}

impl Outcome {
    /// All of them, the worst last.
    pub const ALL: [Outcome; 10] = [
        Outcome::Holds,
        Outcome::Malformed,
        Outcome::Inconclusive,
        Outcome::Vacuous,
        Outcome::Refused,
        Outcome::Violated,
        Outcome::Nondeterministic,
        Outcome::Interrupted,
        Outcome::InputOutput,
        Outcome::Internal,
    ];

    /// The worst of several; with none, nothing was judged.
    pub fn worst(outcomes: impl IntoIterator<Item = Outcome>) -> Outcome {
        outcomes.into_iter().max().unwrap_or(Outcome::Inconclusive)
    }

    /// The exit code of the process.
    pub const fn code(self) -> u8 {
        match self {
            Outcome::Holds => 0,
            Outcome::Violated => 1,
            Outcome::Malformed => 2,
            Outcome::Inconclusive => 3,
            Outcome::Vacuous => 4,
            Outcome::Nondeterministic => 5,
            Outcome::Refused => 6,
            Outcome::Internal => 70,
            Outcome::InputOutput => 74,
            Outcome::Interrupted => 130,
        }
    }

    /// Name in reports and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Outcome::Holds => "holds",
            Outcome::Malformed => "malformed",
            Outcome::Inconclusive => "inconclusive",
            Outcome::Vacuous => "vacuous",
            Outcome::Refused => "refused",
            Outcome::Violated => "violated",
            Outcome::Nondeterministic => "nondeterministic",
            Outcome::Interrupted => "interrupted",
            Outcome::InputOutput => "input-output",
            Outcome::Internal => "internal",
        }
    }

    /// The outcome with this name.
    pub fn from_name(name: &str) -> Option<Outcome> {
        Outcome::ALL.into_iter().find(|one| one.name() == name)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
