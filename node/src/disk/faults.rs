//! What can be wrong with a disk, planted at run time.
//!
//! A fault changes what happens to operations that begin while it is there. The file with what APTPL keeps is spared: an array sets room for
//! it aside, and a table that cannot be stored ends the process ([`super::Disk::store`]), which is another fault.

use super::unsynced::sectors;
use std::collections::BTreeSet;
use std::time::Duration;

/// A fault begins or ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Whether every operation fails.
    Fail(bool),
    /// Whether there is no room for blocks that were never written.
    Fill(bool),
    /// How much longer each operation takes.
    Slow(Option<Duration>),
    /// Whether every operation waits until this is over; then all go on, in order.
    Hold(bool),
    /// This sector of the first unit is damaged: reads of it fail until it is written or deallocated.
    Corrupt(u64),
    /// The next write of at least two sectors is cut in its middle, and the process dies: a power loss.
    Tear,
}

/// The faults that are there.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Faults {
    pub(super) fails: bool,
    pub(super) full: bool,
    pub(super) tears: bool,
    pub(super) holds: bool,
    pub(super) slow: Option<Duration>,
    /// Damaged sectors of the first unit.
    damaged: BTreeSet<u64>,
}

impl Faults {
    pub(super) fn set(&mut self, fault: Fault) {
        match fault {
            Fault::Fail(on) => self.fails = on,
            Fault::Fill(on) => self.full = on,
            Fault::Slow(by) => self.slow = by,
            Fault::Hold(on) => self.holds = on,
            Fault::Corrupt(sector) => {
                self.damaged.insert(sector);
            }
            Fault::Tear => self.tears = true,
        }
    }
}

impl Faults {
    /// Whether a read of these bytes meets damage.
    pub(super) fn damages(&self, unit: u16, offset: u64, bytes: u64) -> bool {
        unit == 0 && self.damaged.range(sectors(offset, bytes)).next().is_some()
    }

    /// What is overwritten is whole again.
    pub(super) fn mend(&mut self, unit: u16, offset: u64, bytes: u64) {
        if unit == 0 && !self.damaged.is_empty() {
            let range = sectors(offset, bytes);
            self.damaged.retain(|sector| !range.contains(sector));
        }
    }
}

/// Ends the process as a power loss would: nothing is written any more, nobody is told.
pub(super) fn lose_power() -> ! {
    let own = rustix::process::getpid();
    let _ = rustix::process::kill_process(own, rustix::process::Signal::KILL);
    // The signal is delivered before the call returns; this is for the compiler, and for a kernel that thinks otherwise.
    std::process::abort()
}
