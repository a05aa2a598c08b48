//! Serial numbers that wrap (RFC 1982 arithmetic, as RFC 7143 asks for CmdSN, StatSN and DataSN).
//!
//! They have no total order, so there is no `Ord`: what can be asked is how far one is ahead of another.

/// A 32-bit serial number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Sn(pub u32);

impl Sn {
    /// The number `steps` further on.
    #[must_use]
    pub const fn plus(self, steps: u32) -> Sn {
        Sn(self.0.wrapping_add(steps))
    }

    /// The next number.
    #[must_use]
    pub const fn next(self) -> Sn {
        self.plus(1)
    }

    /// How far this number is ahead of `earlier`, in steps; a number behind is very far ahead.
    #[must_use]
    pub const fn ahead_of(self, earlier: Sn) -> u32 {
        self.0.wrapping_sub(earlier.0)
    }

    /// Whether this number comes before `other`, within half of the number space.
    #[must_use]
    pub const fn before(self, other: Sn) -> bool {
        let distance = other.ahead_of(self);
        distance != 0 && distance < 1 << 31
    }
}
