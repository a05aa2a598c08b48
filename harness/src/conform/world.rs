//! The parts of the model under one trace, and how an event is shown to them.

use super::{Divergence, Error};
use redline_traces::Header;
use redline_vocab::{Event, Micros};

/// What became of the worlds at an event.
pub(super) enum Moved {
    /// They have moved on; so many are left.
    Follows {
        /// Product of the candidate states of the parts.
        worlds: u64,
    },
    /// This part refuses the event.
    Refused(Place),
    /// Too many candidate states in one part.
    TooMany {
        /// How many.
        states: usize,
    },
}

/// Which part.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// The logical unit.
    Lun,
    /// A node.
    Node(u8),
}

/// All parts.
pub(super) struct World {
    states_max: usize,
}

impl World {
    pub fn new(_header: &Header, states_max: usize) -> Result<World, Error> {
        Ok(World { states_max })
    }

    pub fn states_max(&self) -> usize {
        self.states_max
    }

    pub fn see(&mut self, _event: &Event) -> Moved {
        Moved::TooMany { states: 0 }
    }

    pub fn explain(&self, _place: Place, _seq: u64, _at: Micros, _event: &Event) -> Divergence {
        unreachable!("no part refuses yet")
    }
}
