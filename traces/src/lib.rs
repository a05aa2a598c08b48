//! What was seen: the versioned trace format, its reader and its writer.
//!
//! A trace is evidence. It is a text file of one JSON object a line (NDJSON): a [`Header`] that says who
//! recorded what, then the events in the order in which they happened, then a [`Footer`] with their count and a
//! digest over everything before it. A file without a footer was cut; a file whose digest does not fit was
//! changed after it was recorded. A name that ends in `.zst` is compressed.
//!
//! The wire words live in one table ([`wire`]), from which the encoder, the decoder, the JSON Schema and the
//! ITF export are derived, so that they cannot disagree about a name.
//!
//! This crate judges the *form* of a trace only. Whether the events could have happened is for the conformance
//! check; nothing here knows a reservation rule. It has no clock and draws nothing.

mod error;
pub mod export;
mod file;
mod header;
pub mod mutate;
mod reader;
pub mod schema;
pub mod wire;
mod writer;

pub use error::{Class, Error, Place, Problem};
pub use file::{TraceFile, write_atomically};
pub use header::{Arm, Digest, FORMAT, Footer, Header, Initiators, VERSION, Visibility};
pub use reader::{LINE_MAX, Reader, Source};
pub use writer::Writer;

use redline_vocab::{Event, Micros};

/// An event of a trace with its number and its time.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Stamped {
    /// Sequence number: 1 for the first event, then one more for each.
    pub seq: u64,
    /// Virtual time since the start of the run; never less than that of the event before.
    pub at: Micros,
    /// What happened.
    pub event: Event,
}

impl Stamped {
    /// The line of the trace file on which this event stands, counted from 1: the header is line 1.
    pub const fn line(&self) -> u64 {
        self.seq + 1
    }
}

#[cfg(test)]
mod tests;
