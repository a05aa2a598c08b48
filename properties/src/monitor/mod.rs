//! Properties judged on a run while it happens: streaming monitors over events.
//!
//! The idea: each monitor remembers just enough of what it has seen to tell, at the very event,
//! that a promise is broken. A [`Panel`] runs all of them over one stream and shares between them a
//! ledger of the commands under way, because an event names a command by nexus and tag only.
//!
//! A monitor reports at most [`VIOLATIONS_MAX`] violations in full and counts the rest. It also
//! counts how often its *premise fired*: the situation that the property is about was not only
//! reachable but met. A property whose count is zero has shown nothing.
//!
//! Deliberately absent: the model's rules, the fabric's code, clocks, and any allocation once the
//! buffers have grown to the size of the run's outstanding work. Monitors that need to see inside
//! the target stay silent on client traces, with a premise count of zero.

use alloc::{string::String, vec::Vec};
use redline_vocab::{Event, Micros};

/// Violations kept in full; further ones are counted only.
pub const VIOLATIONS_MAX: usize = 32;

/// What the monitors need to know about a run before its first event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Setup {
    /// How many guest nodes; nexus = node + nodes × (ISIDs used before).
    pub nodes: u8,
    /// Once nothing disturbs the fabric any more, an owner must exist within this time. `None`: not judged.
    pub owner_within: Option<Micros>,
}

/// One broken promise.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// The property's id in the catalogue, as in `fabric/no-evicted-write`.
    pub property: &'static str,
    /// Number of the event that broke it.
    pub seq: u64,
    /// Virtual time of the event at which it was noticed.
    pub at: Micros,
    /// What happened, in one sentence.
    pub sentence: String,
}

/// How often the situation was met that a property is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Witness {
    /// The property's id in the catalogue.
    pub property: &'static str,
    /// How often its premise fired.
    pub fired: u64,
}

/// All monitors over one stream of events.
#[derive(Clone, Debug)]
pub struct Panel {
    found: Vec<Violation>,
}

impl Panel {
    /// A panel that has seen nothing.
    pub fn new(_setup: Setup) -> Panel {
        Panel { found: Vec::new() }
    }

    /// Shows the next event to every monitor; `seq` numbers must not decrease.
    pub fn see(&mut self, _seq: u64, _at: Micros, _event: &Event) {}

    /// Ends the stream at this time: obligations that ran out by then are violations.
    pub fn finish(&mut self, _at: Micros) {}

    /// Violations so far, in the order in which they were noticed.
    pub fn violations(&self) -> &[Violation] {
        &self.found
    }

    /// Violations beyond [`VIOLATIONS_MAX`], which were not kept.
    pub fn uncounted(&self) -> u64 {
        0
    }

    /// One count for each property that has a monitor, in the order of the catalogue.
    pub fn witnesses(&self) -> impl Iterator<Item = Witness> + '_ {
        core::iter::empty()
    }
}
