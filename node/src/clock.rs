//! The monotonic clock of a guest, and what can be wrong with it.
//!
//! A node's time runs at a rate of its own and can jump. Both are faults that are planted at run time; timers are kept in the node's time, so
//! that a jump makes them fire early or late.

use std::time::{Duration, Instant};

/// A clock in microseconds.
#[derive(Debug)]
pub struct Clock {
    /// When the rate was set last, and what the clock showed then.
    since: Instant,
    base: i64,
    /// Parts per thousand by which it is slow; negative: fast.
    skew: i64,
}

/// Limits of the skew in parts per thousand: beyond them a timer could take no time, or ten times as long.
const SKEW_MAX: i64 = 900;

impl Clock {
    /// A clock that shows 0 and runs true.
    pub fn new() -> Clock {
        Clock { since: Instant::now(), base: 0, skew: 0 }
    }

    /// What it shows, in microseconds.
    pub fn now(&self) -> i64 {
        let true_time = i64::try_from(self.since.elapsed().as_micros()).unwrap_or(i64::MAX / 4000);
        self.base + true_time * 1000 / (1000 + self.skew)
    }

    /// How long it takes until the clock shows `at`; zero if it does already.
    pub fn until(&self, at: i64) -> Duration {
        let ahead = at.saturating_sub(self.now()).max(0);
        Duration::from_micros(u64::try_from(ahead.saturating_mul(1000 + self.skew) / 1000).unwrap_or(0))
    }

    /// Lets it jump by so many microseconds.
    pub fn jump(&mut self, by: i64) {
        self.base = self.base.saturating_add(by);
    }

    /// Sets by how many parts per thousand it is slow.
    pub fn set_skew(&mut self, permille: i64) {
        *self =
            Clock { base: self.now(), since: Instant::now(), skew: permille.clamp(-SKEW_MAX, 10 * SKEW_MAX) };
    }
}

impl Default for Clock {
    fn default() -> Clock {
        Clock::new()
    }
}

#[cfg(test)]
mod tests {
    use super::Clock;
    use std::time::Duration;

    #[test]
    fn a_jump_moves_what_is_due_and_skew_stretches_the_wait() {
        let mut clock = Clock::new();
        let due = clock.now() + 10_000_000;
        clock.jump(20_000_000);
        assert_eq!(clock.until(due), Duration::ZERO);
        clock.jump(-40_000_000);
        assert!(clock.until(due) > Duration::from_secs(29));
        clock.set_skew(1000);
        assert!(clock.until(due) > Duration::from_secs(58), "half as fast");
        clock.set_skew(-500);
        assert!(clock.until(due) < Duration::from_secs(16), "twice as fast");
    }
}
