//! Bad traces made from a good one, so that the judge can be judged.
//!
//! A conformance check that accepts everything would pass every good trace. Each [`Mutant`] differs from the good trace
//! in one way that no design allows - an event dropped, swapped, altered, duplicated or invented - while its form stays
//! faultless: only a check that knows the rules can refuse it. The line from which it is illegal is known.
//!
//! Nothing here knows reservation rules either. A mutation is chosen where the good trace itself shows that the opposite
//! cannot be right: what was never sent cannot be dispatched, what the target replied is what arrives, a table that was
//! shown is not another one. Mutations that some design might allow (a lost `received`, a later `table-changed`)
//! are not made, because then a check that accepts them would be blamed wrongly.

mod edits;
mod lives;

use crate::{Header, Stamped};

/// How many mutants of one family are made at most: at its first, middle and last site.
pub const SITES_MAX: usize = 3;

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

impl Kind {
    /// Name in file names and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Dropped => "dropped",
            Kind::Swapped => "swapped",
            Kind::Altered => "altered",
            Kind::Duplicated => "duplicated",
            Kind::Invented => "invented",
        }
    }
}

/// A bad trace.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mutant {
    /// Unique among the mutants of a trace and usable in a file name, as in `dropped-submitted-1`.
    pub name: String,
    /// What was done.
    pub kind: Kind,
    /// Why nothing allows it.
    pub note: String,
    /// First line of the file at which the trace is illegal, counted from 1; the header is line 1.
    pub line: u64,
    /// The events, with sequence numbers that count from 1 and times that do not go back.
    pub events: Vec<Stamped>,
}

/// Every mutant of this trace, in a fixed order. A trace that shows little has few.
pub fn mutants(header: &Header, events: &[Stamped]) -> Vec<Mutant> {
    let lives = lives::lives(events);
    let mut all = Vec::new();
    for family in edits::FAMILIES {
        let sites = family.sites(header, events, &lives);
        for (number, edit) in spread(sites).into_iter().enumerate() {
            all.push(Mutant {
                name: format!("{}-{}-{}", family.kind.name(), family.name, number + 1),
                kind: family.kind,
                note: family.note.to_string(),
                line: edit.illegal as u64 + 2,
                events: edit.apply(events),
            });
        }
    }
    all
}

/// First, middle and last.
fn spread<T>(mut sites: Vec<T>) -> Vec<T> {
    if sites.len() > SITES_MAX {
        let last = sites.swap_remove(sites.len() - 1);
        let middle = sites.swap_remove(sites.len() / 2);
        let first = sites.swap_remove(0);
        return vec![first, middle, last];
    }
    sites
}
