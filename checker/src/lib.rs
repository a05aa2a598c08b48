//! An exhaustive checker for any [`stateright::Model`] whose state is `Hash`, `Eq` and `Clone`.
//!
//! A [`Check`] says what is asked of a model; running it gives a [`Report`], whose [`Verdict`] cannot mistake a run that was cut
//! for one that was exhausted. The search is breadth-first by levels, so that every counterexample is a shortest one and
//! nothing depends on the number of threads. States are remembered by fingerprints; the odds of a collision are part of the report.
//!
//! | file | idea |
//! |---|---|
//! | `check` | what is asked, and the steps of an answer |
//! | `claims` | properties of states, transitions and paths |
//! | `report` | limits, endings, verdicts, coverage |
//! | `search` | levels, threads, batches, limits |
//! | `fingerprint`, `table` | states as a few bits, and the set of them |
//! | `space`, `packed`, `encoded` | the three forms in which states wait |
//! | `frontier` | levels in memory and on disk |
//! | `path` | rebuilding a shortest path |
//! | `liveness` | the graph, its components, lassos |
//! | `symmetry` | representatives of orbits |
//! | `checkpoint` | going on after a kill |
//! | `simulate` | random walks |
//! | `distributed` (feature) | the same search on several processes |
//!
//! **Deliberately absent:** any model, and any word of storage.

mod ahead;
mod check;
mod checkpoint;
mod claims;
#[cfg(feature = "distributed")]
pub mod distributed;
mod encoded;
mod fingerprint;
mod frontier;
mod liveness;
mod packed;
mod path;
pub mod report;
mod search;
mod simulate;
mod space;
pub mod symmetry;
mod table;

pub use check::{Check, Explored, Watch};
pub use checkpoint::Checkpoints;
pub use claims::{Claim, Kinds, OfState, OfStep, Says};
pub use fingerprint::{Fingerprint, Mixer, collision_odds};
pub use packed::{Packed, Words};
pub use path::Path;
pub use report::{
    Counterexample, Cut, Ending, Error, Fired, Limits, Memory, Progress, Report, Until, Verdict, Witness,
};
pub use search::{available_bytes, resident_bytes};
pub use simulate::{Walked, Walks};
pub use space::Canonical;
