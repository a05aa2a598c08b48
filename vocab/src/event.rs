//! What can be observed: the events of a trace, without their number and time.
//!
//! Events are emitted by the step that changes the state. [`Event::client_visible`] tells those
//! that an outside observer at the initiators sees from those only an instrumented target shows.

use crate::{Command, Disposition, Epoch, Extent, Fault, LunView, Nexus, NodeId, Record, Reply, Tag};
use serde::{Deserialize, Serialize};

/// Why a node gave up a disk, or the attempt to own it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum LossReason {
    /// Its key is missing from a table that lists others.
    KeyMissing,
    /// The table is empty: the target lost it.
    TableEmpty,
    /// A command on the owned disk met RESERVATION CONFLICT.
    Conflict,
    /// The holder changed during the challenge wait.
    HolderChanged,
    /// RESERVE or PREEMPT was answered by RESERVATION CONFLICT and another node holds the disk.
    Beaten,
    /// The confirming READ RESERVATION named somebody else.
    NotConfirmed,
    /// The connection was lost during arbitration.
    Disconnected,
    /// The first read of the disk failed.
    Unreadable,
}

/// Something that happened.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Event {
    /// The node's workload put a write into its initiator queue.
    Issued {
        /// By whom.
        node: NodeId,
        /// Where it will be written.
        extent: Extent,
        /// What will be written.
        record: Record,
    },
    /// An initiator handed a command to the transport.
    Sent {
        /// On which nexus.
        nexus: Nexus,
        /// Under which tag.
        tag: Tag,
        /// The command.
        command: Command,
    },
    /// The target took a command from the transport.
    Dispatched {
        /// Whose.
        nexus: Nexus,
        /// Which.
        tag: Tag,
        /// What became of it.
        disposition: Disposition,
    },
    /// A task went to the back end.
    Submitted {
        /// Whose.
        nexus: Nexus,
        /// Which.
        tag: Tag,
    },
    /// A task took effect: the medium changed, its data was read, or its cache flush is complete.
    Committed {
        /// Whose.
        nexus: Nexus,
        /// Which.
        tag: Tag,
    },
    /// A task ended without effect: aborted by PREEMPT AND ABORT, a reset or the loss of its nexus.
    Aborted {
        /// Whose.
        nexus: Nexus,
        /// Which.
        tag: Tag,
    },
    /// The target handed a reply to the transport.
    Replied {
        /// To whom.
        nexus: Nexus,
        /// Answers which command.
        tag: Tag,
        /// The reply.
        reply: Reply,
    },
    /// An initiator took a reply from the transport.
    Received {
        /// On which nexus.
        nexus: Nexus,
        /// Answers which command.
        tag: Tag,
        /// The reply.
        reply: Reply,
    },
    /// An initiator gave up waiting for a reply: its connection broke, the outcome is unknown.
    Forgotten {
        /// On which nexus.
        nexus: Nexus,
        /// Which command.
        tag: Tag,
    },
    /// Registrations, reservation, PRgeneration or APTPL changed.
    TableChanged {
        /// The new state.
        view: LunView,
    },
    /// The table was written to stable storage.
    TablePersisted,
    /// A session was established on the nexus.
    LoggedIn {
        /// Which node.
        node: NodeId,
        /// Its nexus.
        nexus: Nexus,
    },
    /// The connection of the nexus broke.
    ConnectionLost {
        /// Which.
        nexus: Nexus,
    },
    /// The initiator logged out: the session and its connection ended in order; its tasks are gone.
    LoggedOut {
        /// Which.
        nexus: Nexus,
    },
    /// The target gave up the nexus; its tasks are gone.
    NexusLost {
        /// Which.
        nexus: Nexus,
    },
    /// The target lost power: sessions, tasks and unit attentions are gone.
    PowerLost,
    /// The target came up.
    PoweredOn {
        /// What it found of its table.
        view: LunView,
    },
    /// The node began to arbitrate.
    Challenged {
        /// Who.
        node: NodeId,
    },
    /// The node's challenge wait ended.
    WaitEnded {
        /// Who.
        node: NodeId,
    },
    /// The owner began a round of defence.
    Defended {
        /// Who.
        node: NodeId,
    },
    /// The node owns the disk from here on, in this epoch; its host fence opens.
    Owned {
        /// Who.
        node: NodeId,
        /// Number of this tenure.
        epoch: Epoch,
    },
    /// The node gave up the disk or the attempt to own it; its host fence is closed and its queue drained.
    Lost {
        /// Who.
        node: NodeId,
        /// Why.
        reason: LossReason,
    },
    /// The node's host fence opened or closed.
    Fence {
        /// Whose.
        node: NodeId,
        /// `true`: the workload may write.
        open: bool,
    },
    /// Writes that waited in the initiator queue were dropped.
    Drained {
        /// Whose.
        node: NodeId,
        /// How many.
        writes: u32,
    },
    /// The node was paused.
    Stalled {
        /// Who.
        node: NodeId,
    },
    /// The node went on.
    Woke {
        /// Who.
        node: NodeId,
    },
    /// The node lost its memory.
    Crashed {
        /// Who.
        node: NodeId,
    },
    /// The node came up again.
    Restarted {
        /// Who.
        node: NodeId,
    },
    /// A fault began.
    FaultInjected {
        /// Which.
        fault: Fault,
    },
    /// A fault ended.
    FaultHealed {
        /// Which.
        fault: Fault,
    },
}

impl Event {
    /// Whether an observer at the initiators alone would see it.
    pub const fn client_visible(&self) -> bool {
        match self {
            Event::Sent { .. }
            | Event::Received { .. }
            | Event::Forgotten { .. }
            | Event::LoggedIn { .. }
            | Event::LoggedOut { .. }
            | Event::ConnectionLost { .. } => true,
            Event::Issued { .. }
            | Event::Dispatched { .. }
            | Event::Submitted { .. }
            | Event::Committed { .. }
            | Event::Aborted { .. }
            | Event::Replied { .. }
            | Event::TableChanged { .. }
            | Event::TablePersisted
            | Event::NexusLost { .. }
            | Event::PowerLost
            | Event::PoweredOn { .. }
            | Event::Challenged { .. }
            | Event::WaitEnded { .. }
            | Event::Defended { .. }
            | Event::Owned { .. }
            | Event::Lost { .. }
            | Event::Fence { .. }
            | Event::Drained { .. }
            | Event::Stalled { .. }
            | Event::Woke { .. }
            | Event::Crashed { .. }
            | Event::Restarted { .. }
            | Event::FaultInjected { .. }
            | Event::FaultHealed { .. } => false,
        }
    }
}
