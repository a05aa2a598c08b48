//! What an array is made of, and its limits.

use super::{InitiatorPort, TargetPort};
use crate::scsi::report::AccessState;
use crate::scsi::vpd::Limits;
use alloc::string::String;
use alloc::vec::Vec;
use redline_vocab::NodeId;

/// An array.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// iSCSI name of the target device.
    pub name: String,
    /// Tells this array from others: part of the identity of its logical units.
    pub serial: u32,
    /// Logical units, in ascending order of their LUNs.
    pub units: Vec<UnitConfig>,
    /// Target ports, at least one; each is its own target port group.
    pub target_ports: Vec<TargetPortConfig>,
    /// Nexuses with fixed numbers: the place in the list is the number. Others get numbers behind them.
    pub known: Vec<KnownNexus>,
    /// Registrations that a logical unit has room for.
    pub registrants_max: u16,
    /// Tasks of one nexus that a logical unit has room for.
    pub tasks_max: u16,
    /// Makes tokens that nobody can guess. Whoever drives the array draws it.
    pub secret: [u8; 32],
    /// Whether what happens on the first logical unit comes out as events.
    pub events: bool,
}

/// A logical unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UnitConfig {
    /// Its LUN, below 16384.
    pub lun: u16,
    /// Capacity in blocks, at least 1.
    pub blocks: u64,
    /// Bytes in a block: a power of two, at least 512.
    pub block_bytes: u32,
    /// LBPPBE: blocks in a physical block, as a power of two, 0 to 15.
    pub physical_exponent: u8,
    /// Blocks that are unmapped give their room back.
    pub thin: bool,
    /// It promises that unmapped blocks read as zeros (LBPRZ), which they do in any case.
    pub reads_zeros: bool,
    /// A write may be answered before it is durable (WCE).
    pub write_back: bool,
}

/// A target port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TargetPortConfig {
    /// Its relative target port identifier and its group.
    pub port: TargetPort,
    /// How the logical units can be accessed through it.
    pub state: AccessState,
}

/// A nexus whose number is fixed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KnownNexus {
    /// The guest whose nexus it is.
    pub node: NodeId,
    /// Its initiator port.
    pub initiator: InitiatorPort,
    /// The target port.
    pub port: TargetPort,
}

impl UnitConfig {
    /// Limits of commands (VPD page B0h). Transfers are bounded because their data is held in memory.
    pub fn limits(&self) -> Limits {
        let blocks_of = |bytes: u32| (bytes / self.block_bytes).max(1);
        Limits {
            compare_max: u8::MAX,
            transfer_max: blocks_of(16 << 20),
            transfer_best: blocks_of(1 << 20),
            unmap_max: 1 << 20,
            unmap_runs_max: 256,
            unmap_best: blocks_of(4096),
            same_max: u64::from(blocks_of(16 << 20)),
        }
    }

    /// Capacity in bytes.
    pub fn bytes(&self) -> u64 {
        self.blocks * u64::from(self.block_bytes)
    }
}
