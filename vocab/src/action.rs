//! What may happen next: the choices of a schedule.
//!
//! Model and fabric are driven by the same choices, and decide each for itself what follows. An
//! action names its subject by meaning ("the oldest write of nexus 0 in the task set"), so that a
//! schedule found on one side can be read by people and replayed on the other.

use crate::{Command, Nexus, NodeId};
use serde::{Deserialize, Serialize};

/// One choice of a schedule.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Action {
    /// The node's workload puts a write into its initiator queue.
    Issue(NodeId),
    /// The oldest write in the node's initiator queue goes to the transport.
    Send(NodeId),
    /// An initiator without arbitration logic sends this command (reservation models and tests).
    Command(Nexus, Command),
    /// The target takes the oldest command of the nexus from the transport.
    Dispatch(Nexus),
    /// A task of the nexus goes from the task set to the back end; `nth` counts its tasks that
    /// wait in the task set, oldest first, from 0.
    Submit {
        /// Whose task.
        nexus: Nexus,
        /// Which of those waiting.
        nth: u8,
    },
    /// The back end finishes a task of the nexus: the medium changes, or the data is read.
    /// `nth` counts its tasks at the back end, oldest first, from 0.
    Commit {
        /// Whose task.
        nexus: Nexus,
        /// Which of those at the back end.
        nth: u8,
    },
    /// The node takes the oldest reply from the transport and reacts to it.
    Receive(NodeId),
    /// The node begins to arbitrate: its cluster says that the owner is gone, or it has just started.
    Challenge(NodeId),
    /// The challenge wait of the node is over.
    WaitOver(NodeId),
    /// The defend period of the owning node has passed.
    Defend(NodeId),
    /// The node's virtual machine is paused: it neither sends nor receives.
    Stall(NodeId),
    /// A paused node goes on.
    Wake(NodeId),
    /// The node loses all that it has in memory.
    Crash(NodeId),
    /// A crashed node comes up; it is not connected yet.
    Restart(NodeId),
    /// The connection of the nexus breaks; replies on their way are lost.
    Break(Nexus),
    /// The initiator of the nexus logs out.
    Logout(Nexus),
    /// The target declares the nexus lost (Time2Retain has passed).
    Expire(Nexus),
    /// The node logs in: a new session on the same nexus (reinstatement), or with a new ISID.
    Login(NodeId),
    /// The target loses power and comes up again.
    PowerCycle,
    /// The target writes its reservation table to stable storage later than it should.
    /// Possible only where the design lacks the guard `persist-before-good`.
    Persist,
}
