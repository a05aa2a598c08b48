//! What can be wrong with a disk, planted at run time.
//!
//! A fault changes what happens to operations that begin while it is there. The file with what APTPL keeps is spared: an array sets room for
//! it aside, and a table that cannot be stored ends the process ([`super::Disk::store`]), which is another fault.

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
    /// The next write of at least two sectors is cut in its middle, and the process dies: a power loss.
    Tear,
}

/// The faults that are there.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Faults {
    pub(super) fails: bool,
    pub(super) full: bool,
    pub(super) tears: bool,
    pub(super) slow: Option<Duration>,
}

impl Faults {
    pub(super) fn set(&mut self, fault: Fault) {
        match fault {
            Fault::Fail(on) => self.fails = on,
            Fault::Fill(on) => self.full = on,
            Fault::Slow(by) => self.slow = by,
            Fault::Tear => self.tears = true,
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
