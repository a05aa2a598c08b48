//! What a check says of itself: limits, endings, verdicts, coverage.
//!
//! Ending and verdict are types without a passing default: a run that was cut can only become
//! [`Verdict::Inconclusive`], and one that asserted nothing or never met a premise only [`Verdict::Vacuous`].

use crate::{fingerprint::collision_odds, path::Path};
use std::{fmt, io, path::PathBuf, time::Duration};

/// When a violation ends the search.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Until {
    /// At the end of the level in which a property is first violated.
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
    /// Memory in bytes for fingerprints and waiting states.
    pub memory_max: Option<u64>,
    /// Whether to go on after a violation.
    pub until: Until,
}

impl Limits {
    /// No limit; ends at the first violation.
    pub const fn threads(threads: usize) -> Limits {
        Limits { threads, states_max: None, time_max: None, memory_max: None, until: Until::FirstViolation }
    }
}

/// Why a search ended before it was exhausted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cut {
    /// [`Limits::states_max`] was reached.
    States,
    /// [`Limits::time_max`] was reached.
    Time,
    /// [`Limits::memory_max`] was reached.
    Memory,
    /// The interrupt flag was raised.
    Interrupted,
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Cut::States => "the limit on states was reached",
            Cut::Time => "the time limit was reached",
            Cut::Memory => "the memory budget was reached",
            Cut::Interrupted => "interrupted",
        })
    }
}

/// How a search ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// Every state within the model's boundary was visited.
    Exhausted,
    /// A violation ended it, as asked for by [`Until::FirstViolation`].
    Violated,
    /// It was cut.
    Cut(Cut),
}

/// What a check says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Every state was visited, every property held, and every premise was met.
    Holds,
    /// At least one property is violated.
    Violated,
    /// The search was cut; what was not visited was not judged.
    Inconclusive(Cut),
    /// Exhausted and nothing violated, but these premises were never met, or nothing was asserted at all (none listed).
    Vacuous(Vec<&'static str>),
}

/// A premise: a state that must be reachable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Witness {
    /// The property's name.
    pub name: &'static str,
    /// Length of a shortest path to such a state. `None`: never reached.
    pub steps: Option<usize>,
}

/// A violated property.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Counterexample<S, A> {
    /// The property's name.
    pub property: &'static str,
    /// A shortest path to the violation; of a violated liveness property, to the loop and once through it.
    pub path: Path<S, A>,
    /// Of a violated liveness property: after so many steps begins the loop that the path's last step closes. `None`: the
    /// path just ends.
    pub loops_from: Option<usize>,
}

/// How often a kind of action was possible and taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fired {
    /// The kind.
    pub kind: &'static str,
    /// Transitions of that kind.
    pub count: u64,
}

/// What the search needed.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Memory {
    /// The table of fingerprints, in bytes.
    pub table: u64,
    /// Share of it that is taken, 0 to 1.
    pub load: f64,
    /// Most bytes of fingerprints and waiting states in memory at one time.
    pub peak: u64,
    /// Bytes of waiting states that were written to disk.
    pub spilled: u64,
}

/// All that a check gives.
#[derive(Clone, PartialEq, Debug)]
pub struct Report<C> {
    /// Distinct states; with symmetry, distinct orbits.
    pub unique: u64,
    /// States generated, repeats included.
    pub generated: u64,
    /// Deepest level reached; initial states are level 1.
    pub depth: u64,
    /// States that are new in each level, initial states first.
    pub levels: Vec<u64>,
    /// Wall-clock time, that of rebuilding paths included.
    pub elapsed: Duration,
    /// How it ended.
    pub ending: Ending,
    /// Width of fingerprints, in bits.
    pub bits: u32,
    /// What it needed.
    pub memory: Memory,
    /// Every kind of action, never enabled ones with count 0.
    pub fired: Vec<Fired>,
    /// Every premise.
    pub witnesses: Vec<Witness>,
    /// Properties that must hold.
    pub claims: Vec<&'static str>,
    /// Of these, those of whole paths, if the search ended before they could be judged.
    pub unjudged: Vec<&'static str>,
    /// What was violated, shortest path first.
    pub counterexamples: Vec<C>,
}

impl<C> Report<C> {
    /// What the check says. A violation counts even in a cut run; nothing else does.
    pub fn verdict(&self) -> Verdict {
        if !self.counterexamples.is_empty() {
            return Verdict::Violated;
        }
        match self.ending {
            Ending::Cut(cut) => Verdict::Inconclusive(cut),
            Ending::Exhausted | Ending::Violated => {
                let missing: Vec<_> =
                    self.witnesses.iter().filter(|one| one.steps.is_none()).map(|one| one.name).collect();
                if missing.is_empty() && !self.claims.is_empty() && self.unjudged.is_empty() {
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

    /// Probability that some state was taken for another one and left out.
    pub fn collision_odds(&self) -> f64 {
        collision_odds(self.unique, self.bits)
    }

    /// The same report with counterexamples told in other words.
    pub fn tell<D>(self, words: impl FnMut(C) -> D) -> Report<D> {
        Report {
            counterexamples: self.counterexamples.into_iter().map(words).collect(),
            unique: self.unique,
            generated: self.generated,
            depth: self.depth,
            levels: self.levels,
            elapsed: self.elapsed,
            ending: self.ending,
            bits: self.bits,
            memory: self.memory,
            fired: self.fired,
            witnesses: self.witnesses,
            claims: self.claims,
            unjudged: self.unjudged,
        }
    }
}

/// A moment of a running search.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Progress {
    /// Distinct states found.
    pub unique: u64,
    /// States generated, repeats included.
    pub generated: u64,
    /// Level that is being expanded.
    pub depth: u64,
    /// States found and not expanded.
    pub queue: u64,
    /// Share of the table that is taken, 0 to 1.
    pub load: f64,
    /// Bytes of waiting states on disk.
    pub spilled: u64,
    /// A guess at the distinct states there are, from how the levels have grown. `None`: they still grow too regularly.
    pub total: Option<u64>,
    /// Since the start.
    pub elapsed: Duration,
}

impl Progress {
    /// Nothing is known but the time.
    pub const fn unknown(elapsed: Duration) -> Progress {
        Progress { unique: 0, generated: 0, depth: 0, queue: 0, load: 0.0, spilled: 0, total: None, elapsed }
    }
}

/// A guess at the sum of all levels: their growth rates, as logarithms, are carried on along a straight line.
pub fn guess_total(levels: &[u64]) -> Option<u64> {
    const LOOK: usize = 6;
    if levels.len() <= LOOK {
        return None;
    }
    let recent = &levels[levels.len() - LOOK - 1..];
    let rates: Vec<f64> = recent.windows(2).map(|pair| (pair[1] as f64 / pair[0] as f64).ln()).collect();
    let slope = (rates[LOOK - 1] - rates[0]) / (LOOK - 1) as f64;
    if slope >= -1e-3 {
        return None;
    }
    let mut rate = rates.iter().sum::<f64>() / LOOK as f64 + slope * (LOOK as f64 + 1.0) / 2.0;
    let mut level = *levels.last()? as f64;
    let mut total = levels.iter().sum::<u64>() as f64;
    for _ in 0..10_000 {
        level *= rate.exp();
        rate += slope;
        total += level;
        if level < 1.0 {
            return Some(total as u64);
        }
    }
    None
}

/// Why a check gave no report.
#[derive(Debug)]
pub enum Error {
    /// The model has no initial state within its boundary: nothing would be explored.
    NoInitialState,
    /// Two properties have the same name.
    SameName(&'static str),
    /// A property of paths cannot be judged by several processes.
    NotDistributed(&'static str),
    /// Several processes cannot work together.
    Network(String),
    /// Another process could not go on; it says why.
    PeerFailed,
    /// A fair kind of action does not exist.
    NoSuchKind(&'static str),
    /// The model panicked: a bug in the model, not a verdict.
    Panicked(String),
    /// The model does not give the same successors twice, so that a path cannot be retraced.
    NotAFunction(&'static str),
    /// Waiting states could not be written, or read again.
    Disk(io::Error),
    /// A checkpoint cannot be continued.
    Checkpoint {
        /// Where it is.
        dir: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NoInitialState => f.write_str("the instance has no initial state within its bounds"),
            Error::SameName(name) => write!(f, "two properties are called `{name}`"),
            Error::NotDistributed(name) => {
                write!(
                    f,
                    "`{name}` is a property of whole paths; several processes judge states and steps only"
                )
            }
            Error::Network(why) => write!(f, "the processes of the search: {why}"),
            Error::PeerFailed => {
                f.write_str("another process of the search could not go on; its message says why")
            }
            Error::NoSuchKind(name) => write!(f, "no kind of action is called `{name}`"),
            Error::Panicked(what) => write!(f, "the model panicked while it was explored: {what}"),
            Error::NotAFunction(where_) => {
                write!(
                    f,
                    "the model is not a function of its state: {where_} differed when it was asked again"
                )
            }
            Error::Disk(error) => write!(f, "memory or disk for the search: {error}"),
            Error::Checkpoint { dir, why } => write!(f, "checkpoint {}: {why}", dir.display()),
        }
    }
}

impl std::error::Error for Error {}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Error {
        Error::Disk(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guess_meets_levels_that_rise_and_fall() {
        // Binomial coefficients: the levels of a hypercube of 30 dimensions.
        let mut levels = vec![1u64];
        for k in 1..=30u64 {
            levels.push(levels[k as usize - 1] * (31 - k) / k);
        }
        let total = guess_total(&levels[..14]).expect("growth slows down");
        let truth = 1u64 << 30;
        assert!(total > truth / 2 && total < truth * 2, "{total} for {truth}");
        assert_eq!(guess_total(&[1, 2, 4, 8, 16, 32, 64, 128]), None);
    }
}
