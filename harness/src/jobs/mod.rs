//! What the commands do: each job takes values and gives sections of a record, with its artefacts in the run's folder.
//!
//! A job does not print, does not know the command line's syntax beyond the lines it suggests, and stops soon after
//! the flag is raised, with what it has.

pub mod chaos;
pub mod check;
pub mod conform;
pub mod hazards;
pub mod probe;
pub mod processes;
pub mod replay;
pub mod shrink;
pub mod simulate;
#[cfg(test)]
mod tests;
pub mod verify;

use crate::verdict::Outcome;
use crate::{check as checking, scenario};
use redline_checker as checker;
use redline_traces::Class;
use redline_vocab::Quirks;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Instant;

/// Where a job works.
pub struct Desk<'a> {
    /// Raised by whoever wants the job to end.
    pub stop: &'a AtomicBool,
    /// Worker threads, at least 1.
    pub threads: usize,
    /// Folder for artefacts; it exists.
    pub out: &'a Path,
    /// Told now and then how far the job is.
    pub progress: &'a (dyn Fn(&Progress) + Sync),
}

/// How far a job is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Progress {
    /// What is being done.
    pub what: String,
    /// How much is done.
    pub done: u64,
    /// Of how much, if that is known or can be guessed.
    pub of: Option<u64>,
    /// More about it, in words; may be empty.
    pub more: String,
}

/// Why a job gave no section.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read or written.
    #[error("{file}: {source}")]
    Io {
        /// Its name.
        file: String,
        /// What the operating system says.
        source: io::Error,
    },
    /// The scenario cannot be used.
    #[error(transparent)]
    Scenario(#[from] scenario::Error),
    /// The trace cannot be used.
    #[error(transparent)]
    Trace(#[from] redline_traces::Error),
    /// The trace cannot be judged.
    #[error("{file}: {what}")]
    Unfit {
        /// The trace's name.
        file: String,
        /// Why.
        what: String,
    },
    /// The model cannot be explored.
    #[error(transparent)]
    Check(#[from] checking::Error),
    /// A stored run cannot be used.
    #[error(transparent)]
    Record(#[from] crate::record::Error),
    /// What was asked for does not exist or does not fit together.
    #[error("{0}")]
    Asked(String),
}

impl Error {
    /// What the command came to.
    pub fn outcome(&self) -> Outcome {
        match self {
            Error::Io { .. }
            | Error::Scenario(scenario::Error::Unreadable(..))
            | Error::Record(crate::record::Error::Io { .. }) => Outcome::InputOutput,
            Error::Trace(error) => match error.class() {
                Class::Malformed => Outcome::Malformed,
                Class::Inconclusive => Outcome::Inconclusive,
                Class::InputOutput => Outcome::InputOutput,
            },
            Error::Scenario(_) | Error::Unfit { .. } | Error::Record(_) | Error::Asked(_) => {
                Outcome::Malformed
            }
            Error::Check(error) => match error {
                checking::Error::Lacks(_) | checking::Error::NotBuilt => Outcome::Malformed,
                checking::Error::TooManyProperties { .. } => Outcome::Internal,
                checking::Error::Search(error) => match error {
                    checker::Error::NoInitialState
                    | checker::Error::NotDistributed(_)
                    | checker::Error::Checkpoint { .. } => Outcome::Malformed,
                    checker::Error::Disk(_) | checker::Error::Network(_) | checker::Error::PeerFailed => {
                        Outcome::InputOutput
                    }
                    checker::Error::SameName(_)
                    | checker::Error::NoSuchKind(_)
                    | checker::Error::Panicked(_)
                    | checker::Error::NotAFunction(_) => Outcome::Internal,
                },
            },
        }
    }
}

impl Desk<'_> {
    /// Path of an artefact.
    fn file(&self, name: &str) -> PathBuf {
        self.out.join(name)
    }

    fn tell(&self, what: &str, done: u64, of: Option<u64>) {
        (self.progress)(&Progress { what: what.to_owned(), done, of, more: String::new() });
    }
}

fn io_error(path: &Path) -> impl Fn(io::Error) -> Error + '_ {
    move |source| Error::Io { file: path.display().to_string(), source }
}

/// The options that plant these bugs.
fn quirk_options(quirks: Quirks) -> String {
    quirks.iter().map(|quirk| format!(" --quirk {}", quirk.name())).collect()
}

/// How many candidate worlds the judged events left: on average, and at most.
fn worlds_words(sum: u64, judged: u64, largest: u64) -> String {
    let judged = judged.max(1);
    format!("{}.{:03} on average, at most {largest}", sum / judged, sum * 1000 / judged % 1000)
}

/// Milliseconds since then.
fn since(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// A property's identifier as part of a file name.
fn file_word(property: &str) -> String {
    property.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect()
}

/// The scenario, as it stands in a command line. One that is not embedded is put into the run's folder.
fn scenario_word(desk: &Desk<'_>, scenario: &scenario::Scenario) -> Result<String, Error> {
    if scenario::load(&scenario.name).is_ok_and(|embedded| embedded == *scenario) {
        return Ok(scenario.name.clone());
    }
    let path = desk.file("scenario.toml");
    redline_traces::write_atomically(&path, |out| out.write_all(scenario::to_toml(scenario).as_bytes()))
        .map_err(io_error(&path))?;
    Ok(path.display().to_string())
}
