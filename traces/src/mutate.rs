//! Bad traces made from a good one, so that the judge can be judged.
//!
//! A conformance check that accepts everything would pass every good trace. Each [`Mutant`] differs from the good trace
//! in one way that no design allows - an event dropped, swapped, altered, duplicated or invented - while its form stays
//! faultless: only a check that knows the rules can refuse it. The line from which it is illegal is known.

use crate::{Header, Stamped};

/// What was done to the good trace.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// An event was removed.
    Dropped,
    /// Two events changed places.
    Swapped,
    /// An event says something else.
    Altered,
    /// An event happens a second time.
    Duplicated,
    /// An event was added that never happened.
    Invented,
}

/// A bad trace.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mutant {
    /// Unique among the mutants of a trace and usable in a file name, as in `dropped-submitted-1`.
    pub name: String,
    /// What was done.
    pub kind: Kind,
    /// One sentence on what was done and why nothing allows it.
    pub note: String,
    /// First line of the file at which the trace is illegal, counted from 1; the header is line 1.
    pub line: u64,
    /// The events, with sequence numbers that count from 1.
    pub events: Vec<Stamped>,
}

/// Every mutant of this trace, in a fixed order.
pub fn mutants(header: &Header, events: &[Stamped]) -> Vec<Mutant> {
    let _ = (header, events);
    Vec::new()
}
