//! First and last line of a trace: who recorded what under which assumptions, and how it ended.
//!
//! The header holds what a judge needs and cannot learn from the events: the size of the world, the keys, the
//! design and the planted bugs. It holds no time of day, no host name and no path, so that the same seed gives the
//! same bytes everywhere.

use redline_vocab::{Design, Key, Nexus, NodeId, Quirks};
use std::fmt;

/// The format's name, in every header.
pub const FORMAT: &str = "redline-trace";

/// The format's version that this crate writes and reads.
pub const VERSION: u32 = 1;

/// What recorded the trace.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Arm {
    /// The discrete-event simulator, from a seed.
    Simulation,
    /// The fabric driven along a counterexample or a stored trace.
    Replay,
    /// The exhaustive exploration of small cases.
    Exploration,
    /// Real processes on loopback.
    Process,
    /// Somebody else's implementation.
    Foreign,
}

/// How much of the world the source could see.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Visibility {
    /// Every event, those inside target and nodes included.
    Internal,
    /// Only what [`redline_vocab::Event::client_visible`] says an observer at the initiators sees.
    Client,
}

/// Who issues the commands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Initiators {
    /// Guest cluster nodes that follow `docs/arbitration.md`.
    Guests,
    /// Initiators without arbitration logic: any command may come at any time.
    Raw,
}

/// First line of a trace.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Header {
    /// Version of Redline (or of the foreign source) that wrote the trace.
    pub redline: String,
    /// What recorded it.
    pub arm: Arm,
    /// How much it could see.
    pub visibility: Visibility,
    /// Who issued the commands.
    pub initiators: Initiators,
    /// Name of the scenario.
    pub scenario: String,
    /// Root seed of the run, as text because JSON numbers lose digits above 2^53; empty if nothing was drawn.
    pub seed: String,
    /// How many nodes; nexus `n` belongs to node `n` modulo this.
    pub nodes: u8,
    /// How many nexuses: more than nodes when nodes come back with a new ISID.
    pub nexuses: u8,
    /// Size of the logical unit in blocks.
    pub blocks: u64,
    /// Reservation key of each node, in the order of nodes; empty for [`Initiators::Raw`].
    pub keys: Vec<Key>,
    /// The guards of the design that the run was meant to follow.
    pub design: Design,
    /// The bugs that were planted in what ran.
    pub quirks: Quirks,
}

impl Header {
    /// The node that uses this nexus.
    pub fn node_of(&self, nexus: Nexus) -> NodeId {
        NodeId(nexus.0 % self.nodes.max(1))
    }
}

/// Last line of a trace.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Footer {
    /// How many events the trace has.
    pub events: u64,
    /// Over all lines before the footer, line ends included.
    pub digest: Digest,
}

/// XXH3 of the bytes of a trace (64 bits, seed 0). It shows accidents and careless edits, not forgery.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Digest(pub u64);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}
