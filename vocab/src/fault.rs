//! Faults that a chaos run can inject. A fault has a subject; what it does is the simulator's matter.

use crate::{Micros, Nexus, NodeId};
use serde::{Deserialize, Serialize};

/// Which way of a link a partition cuts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Direction {
    /// From the initiator to the target.
    ToTarget,
    /// From the target to the initiator.
    ToInitiator,
    /// Both.
    Both,
}

/// One fault with its subject and size.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Fault {
    /// The connection of the nexus is reset.
    ConnectionReset(Nexus),
    /// The connection stays up, but nothing passes for a while.
    ConnectionStall(Nexus),
    /// Nothing passes in one direction (or both), then the connection times out.
    Partition(Nexus, Direction),
    /// No heartbeats pass between the two nodes.
    HeartbeatLoss(NodeId, NodeId),
    /// The node is paused (live migration blackout, save, debugger).
    NodePause(NodeId),
    /// The node crashes and restarts.
    NodeCrash(NodeId),
    /// The node's clock runs at the wrong rate: parts per thousand added to it.
    ClockSkew(NodeId, i16),
    /// The node's clock jumps forward by this much.
    ClockJump(NodeId, Micros),
    /// The target loses power and restarts; unflushed writes may be lost.
    PowerCycle,
    /// The target loses power in the middle of a multi-block write: it may be torn.
    TornWrite,
    /// A block on the medium is damaged.
    Corruption,
    /// The back end answers slowly for a while.
    DiskSlow,
    /// The back end fails some I/O for a while.
    DiskError,
}

/// The kinds of [`Fault`], for lists and counts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum FaultKind {
    /// [`Fault::ConnectionReset`]
    ConnectionReset,
    /// [`Fault::ConnectionStall`]
    ConnectionStall,
    /// [`Fault::Partition`]
    Partition,
    /// [`Fault::HeartbeatLoss`]
    HeartbeatLoss,
    /// [`Fault::NodePause`]
    NodePause,
    /// [`Fault::NodeCrash`]
    NodeCrash,
    /// [`Fault::ClockSkew`]
    ClockSkew,
    /// [`Fault::ClockJump`]
    ClockJump,
    /// [`Fault::PowerCycle`]
    PowerCycle,
    /// [`Fault::TornWrite`]
    TornWrite,
    /// [`Fault::Corruption`]
    Corruption,
    /// [`Fault::DiskSlow`]
    DiskSlow,
    /// [`Fault::DiskError`]
    DiskError,
}

impl FaultKind {
    /// All kinds.
    pub const ALL: [FaultKind; 13] = [
        FaultKind::ConnectionReset,
        FaultKind::ConnectionStall,
        FaultKind::Partition,
        FaultKind::HeartbeatLoss,
        FaultKind::NodePause,
        FaultKind::NodeCrash,
        FaultKind::ClockSkew,
        FaultKind::ClockJump,
        FaultKind::PowerCycle,
        FaultKind::TornWrite,
        FaultKind::Corruption,
        FaultKind::DiskSlow,
        FaultKind::DiskError,
    ];

    /// Name in scenario files and reports.
    pub const fn name(self) -> &'static str {
        match self {
            FaultKind::ConnectionReset => "connection-reset",
            FaultKind::ConnectionStall => "connection-stall",
            FaultKind::Partition => "partition",
            FaultKind::HeartbeatLoss => "heartbeat-loss",
            FaultKind::NodePause => "node-pause",
            FaultKind::NodeCrash => "node-crash",
            FaultKind::ClockSkew => "clock-skew",
            FaultKind::ClockJump => "clock-jump",
            FaultKind::PowerCycle => "power-cycle",
            FaultKind::TornWrite => "torn-write",
            FaultKind::Corruption => "corruption",
            FaultKind::DiskSlow => "disk-slow",
            FaultKind::DiskError => "disk-error",
        }
    }
}

impl Fault {
    /// What kind of fault it is.
    pub const fn kind(&self) -> FaultKind {
        match self {
            Fault::ConnectionReset(_) => FaultKind::ConnectionReset,
            Fault::ConnectionStall(_) => FaultKind::ConnectionStall,
            Fault::Partition(..) => FaultKind::Partition,
            Fault::HeartbeatLoss(..) => FaultKind::HeartbeatLoss,
            Fault::NodePause(_) => FaultKind::NodePause,
            Fault::NodeCrash(_) => FaultKind::NodeCrash,
            Fault::ClockSkew(..) => FaultKind::ClockSkew,
            Fault::ClockJump(..) => FaultKind::ClockJump,
            Fault::PowerCycle => FaultKind::PowerCycle,
            Fault::TornWrite => FaultKind::TornWrite,
            Fault::Corruption => FaultKind::Corruption,
            Fault::DiskSlow => FaultKind::DiskSlow,
            Fault::DiskError => FaultKind::DiskError,
        }
    }
}
