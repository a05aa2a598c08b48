//! Identifiers and counters, one newtype each, so that two of them cannot be swapped by mistake.

use core::fmt;
use serde::{Deserialize, Serialize};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident($inner:ty) = $format:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
        pub struct $name(pub $inner);
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, $format, self.0)
            }
        }
    )*};
}

ids! {
    /// A guest cluster node (a virtual machine), counted from 0 in the order of the scenario file.
    NodeId(u8) = "node {}";
    /// An I_T nexus: one initiator port (name and ISID) with one target port (SAM-5; RFC 7143).
    /// The unit of registration. A node that logs in with another ISID is another nexus:
    /// nexus = node + nodes × (how many ISIDs the node has used before).
    Nexus(u8) = "nexus {}";
    /// Initiator task tag: names a command within its nexus while it is outstanding.
    Tag(u32) = "tag {}";
    /// A reservation key (SPC-4 5.7.11). 0 means "no key" on the wire and registers nothing.
    Key(u64) = "key {:#x}";
    /// PRgeneration: counts changes of the registrations since power on; wraps.
    Generation(u32) = "generation {}";
    /// Ownership epoch: numbers the tenures of a shared disk's owners; travels in each record written.
    Epoch(u32) = "epoch {}";
    /// Number of a record within its writer's life.
    Serial(u32) = "serial {}";
    /// Logical block address, in blocks.
    Lba(u64) = "lba {}";
    /// Virtual time since the start of the run, in microseconds.
    Micros(u64) = "{} us";
}
