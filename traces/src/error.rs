//! What can be wrong with a trace file, told so that its owner can mend it.
//!
//! Three classes, because a caller acts differently on each: malformed input is the user's to correct, a cut trace
//! is evidence of nothing, and a failing medium is neither's fault.

use std::fmt;
use std::io;

/// How a caller should treat an [`Error`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Class {
    /// The file is not a good trace (exit code 2).
    Malformed,
    /// The file may have been good but is cut (exit code 3).
    Inconclusive,
    /// The file could not be read or written (exit code 74).
    InputOutput,
}

/// Where in a file a problem stands.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Place {
    /// Name of the file as the caller gave it.
    pub file: String,
    /// Line, counted from 1.
    pub line: u64,
    /// Column in bytes, counted from 1.
    pub column: usize,
    /// The field, as in `event.dispatched.tag`; empty for the line itself.
    pub field: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)?;
        if !self.field.is_empty() {
            write!(f, ": {}", self.field)?;
        }
        Ok(())
    }
}

/// What is wrong with a line.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Problem {
    /// Something else stands where this was expected.
    Expected {
        /// What was expected.
        what: &'static str,
        /// What stands there, shortened.
        found: String,
    },
    /// A number outside its range.
    OutOfRange {
        /// Least value allowed.
        min: i64,
        /// Largest value allowed.
        max: u64,
        /// The number found.
        found: String,
    },
    /// A name that is not one of those known here.
    Unknown {
        /// What the name names, as in `event` or `field`.
        what: &'static str,
        /// The name found.
        found: String,
        /// The nearest known name, if one is near.
        nearest: Option<&'static str>,
    },
    /// A field that must be there is not.
    Missing(&'static str),
    /// A field stands there twice.
    Twice(&'static str),
    /// The line is longer than [`crate::LINE_MAX`] bytes.
    TooLong,
    /// Sequence numbers must count from 1 without a gap.
    SequenceGap {
        /// The number that was due.
        due: u64,
        /// The number found.
        found: u64,
    },
    /// Time must not go back.
    TimeGoesBack {
        /// Time of the event before, in microseconds.
        before: u64,
        /// Time of this event.
        found: u64,
    },
    /// The header says `client`, but only an instrumented target could have seen this event.
    NotVisible,
    /// The footer counts another number of events.
    WrongCount {
        /// Events read.
        read: u64,
        /// Events that the footer counts.
        footer: u64,
    },
    /// The digest does not fit: the file was changed after it was recorded.
    WrongDigest {
        /// Digest of what was read.
        read: crate::Digest,
        /// Digest that the footer gives.
        footer: crate::Digest,
    },
    /// There is something after the footer.
    AfterFooter,
    /// A header or footer where an event belongs, or the reverse.
    Misplaced(&'static str),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Expected { what, found } => write!(f, "expected {what}, found {found}"),
            Problem::OutOfRange { min, max, found } => {
                write!(f, "expected a whole number from {min} to {max}, found {found}")
            }
            Problem::Unknown { what, found, nearest: Some(nearest) } => {
                write!(f, "no {what} is called \"{found}\"; did you mean \"{nearest}\"?")
            }
            Problem::Unknown { what, found, nearest: None } => write!(f, "no {what} is called \"{found}\""),
            Problem::Missing(field) => write!(f, "the field \"{field}\" is missing"),
            Problem::Twice(field) => write!(f, "the field \"{field}\" stands here twice"),
            Problem::TooLong => write!(f, "the line is longer than {} bytes", crate::LINE_MAX),
            Problem::SequenceGap { due, found } => {
                write!(f, "expected sequence number {due}, found {found}: events are missing or repeated")
            }
            Problem::TimeGoesBack { before, found } => {
                write!(f, "time goes back from {before} us to {found} us")
            }
            Problem::NotVisible => f.write_str(
                "the header says \"client\", but a client cannot see this event; expected \"internal\"",
            ),
            Problem::WrongCount { read, footer } => {
                write!(f, "the footer counts {footer} events, but the trace has {read}")
            }
            Problem::WrongDigest { read, footer } => write!(
                f,
                "the digest is {read}, but the footer says {footer}: the trace was changed after it was recorded"
            ),
            Problem::AfterFooter => f.write_str("nothing may follow the footer"),
            Problem::Misplaced(due) => write!(f, "expected {due} on this line"),
        }
    }
}

/// Why a trace cannot be read, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A line is wrong.
    #[error("{place}: {problem}")]
    Malformed {
        /// Where.
        place: Box<Place>,
        /// What.
        problem: Box<Problem>,
    },
    /// The file is no trace at all.
    #[error("{file}: not a trace: the first line must be a header with \"format\": \"{}\"", crate::FORMAT)]
    NotATrace {
        /// Name of the file.
        file: String,
    },
    /// The format is newer than this program.
    #[error(
        "{file}: format version {version}, written by redline {redline}; this redline reads up to version {}",
        crate::VERSION
    )]
    Newer {
        /// Name of the file.
        file: String,
        /// Its format version.
        version: u64,
        /// Version of the program that wrote it, `unknown` if the header does not say.
        redline: String,
    },
    /// The file ends before its footer.
    #[error(
        "{file}: cut after {events} events: line {line} should be the footer or a whole event, and the file ends"
    )]
    Truncated {
        /// Name of the file.
        file: String,
        /// The line that is missing or incomplete, counted from 1.
        line: u64,
        /// Events read before that.
        events: u64,
    },
    /// A folder was given where a file was expected.
    #[error("{file}: is a folder; give one trace file (*.ndjson or *.ndjson.zst)")]
    Directory {
        /// Name of the folder.
        file: String,
    },
    /// A file whose name says that it is compressed is not, or is damaged.
    #[error("{file}: not readable as zstd: {source}")]
    Compression {
        /// Name of the file.
        file: String,
        /// What the decompressor said.
        source: io::Error,
    },
    /// The operating system refused.
    #[error("{file}: {source}")]
    Io {
        /// Name of the file.
        file: String,
        /// What it said.
        source: io::Error,
    },
}

impl Error {
    /// How to treat it.
    pub const fn class(&self) -> Class {
        match self {
            Error::Malformed { .. }
            | Error::NotATrace { .. }
            | Error::Newer { .. }
            | Error::Compression { .. } => Class::Malformed,
            Error::Truncated { .. } => Class::Inconclusive,
            Error::Directory { .. } | Error::Io { .. } => Class::InputOutput,
        }
    }
}
