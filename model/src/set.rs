//! Small sets of nexuses, as bits.

use redline_vocab::Nexus;
use serde::{Deserialize, Serialize};

/// Nexuses that the model can tell apart, numbered from 0. A trace with more is refused, not misjudged.
pub const NEXUSES: usize = 8;

/// A set of nexuses.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Set(u8);

impl Set {
    /// No nexus.
    pub const EMPTY: Set = Set(0);

    /// This nexus alone.
    pub const fn of(nexus: Nexus) -> Set {
        Set(1 << nexus.0)
    }

    /// Whether the nexus is in it.
    pub const fn has(self, nexus: Nexus) -> bool {
        self.0 & 1 << nexus.0 != 0
    }

    /// Those in either.
    #[must_use]
    pub const fn or(self, other: Set) -> Set {
        Set(self.0 | other.0)
    }

    /// Those in both.
    #[must_use]
    pub const fn and(self, other: Set) -> Set {
        Set(self.0 & other.0)
    }

    /// Those of this set that are not in the other.
    #[must_use]
    pub const fn minus(self, other: Set) -> Set {
        Set(self.0 & !other.0)
    }

    /// Whether nobody is in it.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Its members in ascending order.
    pub fn iter(self) -> impl Iterator<Item = Nexus> {
        (0..NEXUSES as u8).map(Nexus).filter(move |nexus| self.has(*nexus))
    }
}

impl FromIterator<Nexus> for Set {
    fn from_iter<I: IntoIterator<Item = Nexus>>(nexuses: I) -> Set {
        nexuses.into_iter().fold(Set::EMPTY, |set, nexus| set.or(Set::of(nexus)))
    }
}
