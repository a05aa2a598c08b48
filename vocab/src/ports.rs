//! Sets of nexuses, and the lists of ports that PERSISTENT RESERVE OUT names.
//!
//! On the wire a list names ports (TransportIDs, or "all target ports"); here it names the nexuses that these ports
//! make with the target. Which number a nexus has is for whoever speaks with the wire to say.

use crate::Nexus;
use serde::{Deserialize, Serialize};

/// A set of nexuses.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Nexuses([u64; 4]);

impl Nexuses {
    /// No nexus.
    pub const NONE: Nexuses = Nexuses([0; 4]);

    /// The set with this nexus added.
    #[must_use]
    pub const fn with(mut self, nexus: Nexus) -> Nexuses {
        self.0[(nexus.0 >> 6) as usize] |= 1 << (nexus.0 & 63);
        self
    }

    /// Whether the nexus is in it.
    pub const fn has(&self, nexus: Nexus) -> bool {
        self.0[(nexus.0 >> 6) as usize] & 1 << (nexus.0 & 63) != 0
    }

    /// Whether nobody is in it.
    pub const fn is_empty(&self) -> bool {
        matches!(self.0, [0, 0, 0, 0])
    }

    /// Its members in ascending order.
    pub fn iter(self) -> impl Iterator<Item = Nexus> {
        (0..=u8::MAX).map(Nexus).filter(move |nexus| self.has(*nexus))
    }
}

impl FromIterator<Nexus> for Nexuses {
    fn from_iter<I: IntoIterator<Item = Nexus>>(nexuses: I) -> Nexuses {
        nexuses.into_iter().fold(Nexuses::NONE, Nexuses::with)
    }
}

/// A bit of PERSISTENT RESERVE OUT that asks for more registrations than the sender's own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub enum PortList {
    /// The bit is 0.
    #[default]
    Absent,
    /// The bit is 1, and what it asks for names no ports: a TransportID that is malformed or listed twice, a length that does
    /// not fit, a port that nobody knows.
    Invalid,
    /// The bit is 1 and asks for these nexuses beside the sender's.
    Of(Nexuses),
}
