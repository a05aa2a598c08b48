//! A guest cluster on one logical unit, as a `stateright::Model`.
//!
//! The idea: `unit` and `node` say what may follow from what; this module lets the surroundings
//! choose, within budgets, and keeps the ghost state by which the properties are judged. Every
//! choice is a [`redline_vocab::Action`], so that a path can be replayed on the fabric.
//!
//! A [`Move`] is one choice, or a chain of choices that have nothing to wait for: a question of an
//! arbitrating node with its answer, a write that is issued and sent at once. Chains add no state
//! that single choices do not reach. They make stories short.

pub mod claims;
mod moves;
mod state;
mod step;
#[cfg(test)]
mod tests;

pub use moves::{KINDS, Move};
pub use state::{Access, Left, Marks, State, UNLIMITED};
pub use step::Log;

use crate::lun::{Reaction, Rules};
use crate::node::{Node, Own};
use crate::unit::Unit;
use redline_vocab::{Design, Guard, Key, Nexus, NodeId};

/// Which readings of the standard are explored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Readings {
    /// Every one that it leaves open.
    Every,
    /// The one of the target that Redline brings along: for stories that are to be replayed on it.
    OurTarget,
}

/// The bounds of an instance.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// Nodes, 1..=4.
    pub nodes: u8,
    /// Budgets over the whole run.
    pub left: Left,
    /// Writes that a node's initiator queue holds.
    pub queue: u8,
    /// Whether a node that crashed may come up again.
    pub restarts: bool,
}

/// A guest cluster.
#[derive(Clone, Debug)]
pub struct Cluster {
    design: Design,
    bounds: Bounds,
    readings: Readings,
    keys: Vec<Key>,
    nexuses: u8,
}

impl Cluster {
    /// An instance. `keys` are those of the nodes, in their order.
    ///
    /// # Panics
    /// If there are not as many keys as nodes, or more than four nodes.
    pub fn new(design: Design, bounds: Bounds, readings: Readings, keys: &[Key]) -> Cluster {
        assert!(
            keys.len() == usize::from(bounds.nodes) && bounds.nodes <= 4,
            "one key for each of 1 to 4 nodes"
        );
        // Without stable ISIDs each login is a nexus of its own.
        let lives = if design.has(Guard::StableIsid) {
            1
        } else {
            let again = bounds.left.breaks + bounds.left.crashes + bounds.left.power_cycles;
            (8 / bounds.nodes).min(1 + again)
        };
        let keys = if design.has(Guard::UniqueKeys) {
            keys.to_vec()
        } else {
            keys.iter().map(|key| Key(key.0 | 0xff)).collect()
        };
        Cluster { design, bounds, readings, keys, nexuses: bounds.nodes * lives }
    }

    /// No nodes: as many raw initiators, which send what they are told to.
    pub(crate) fn raw(design: Design, bounds: Bounds, readings: Readings) -> Cluster {
        Cluster { design, bounds, readings, keys: Vec::new(), nexuses: bounds.nodes }
    }

    /// The guards that hold.
    pub fn design(&self) -> Design {
        self.design
    }

    /// The bounds.
    pub fn bounds(&self) -> Bounds {
        self.bounds
    }

    pub(crate) fn readings(&self) -> Readings {
        self.readings
    }

    pub(crate) fn rules(&self) -> Rules {
        Rules { design: self.design, blocks: 1, limits: false }
    }

    fn own(&self, node: NodeId) -> Own {
        Own { node, key: self.keys[usize::from(node.0)], design: self.design }
    }

    /// Nexuses that the instance has.
    pub fn nexuses(&self) -> u8 {
        self.nexuses
    }

    /// The arbitration command that the node waits for.
    pub fn question(&self, state: &State, node: NodeId) -> Option<redline_vocab::Command> {
        state.nodes[usize::from(node.0)].question(&self.own(node))
    }

    fn node_of(&self, nexus: Nexus) -> NodeId {
        NodeId(nexus.0 % self.bounds.nodes)
    }

    /// Powered on, everybody logged in, nobody has done anything.
    pub fn initial(&self) -> State {
        let mut unit = Unit::new(self.nexuses);
        let mut nodes = Vec::new();
        for at in 0..self.bounds.nodes {
            unit.login(Nexus(at));
            if self.keys.is_empty() {
                continue;
            }
            let mut node = Node::new(Nexus(at));
            node.connected = true;
            node.tenure = state::CURRENT;
            nodes.push(node);
        }
        let access = Access { pending: [0; 4], late: crate::Set::EMPTY, current_by: None };
        State { unit, nodes, access, left: self.bounds.left, marks: Marks::default(), block: None }
    }

    /// The reactions that are explored, from all that the relation allows.
    pub(crate) fn chosen(&self, reactions: &mut Vec<Reaction>) {
        if self.readings == Readings::Every || reactions.len() < 2 {
            return;
        }
        let reset = |one: &Reaction| matches!(one, Reaction::Attention(what) if what.is_reset());
        let first = reactions.iter().position(reset).unwrap_or(0);
        reactions.swap(0, first);
        reactions.truncate(1);
    }
}
