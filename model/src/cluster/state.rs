//! A state of a guest cluster on one logical unit, and its canonical form.
//!
//! What grows for ever is renamed: tags by age, tenures by their order relative to the newest one,
//! PRgeneration and epochs to zero. Two states that differ only in how long the run has lasted are
//! then the same state.

use crate::lun::Kind;
use crate::node::Node;
use crate::set::Set;
use crate::unit::Unit;
use redline_vocab::{Command, Epoch, Function, Generation, Nexus, NodeId, Record, Serial, Tag};
use serde::{Deserialize, Serialize};

/// A state.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct State {
    /// The logical unit and its transport.
    pub unit: Unit,
    /// The nodes.
    pub nodes: Vec<Node>,
    /// Who has accessed the disk as its new owner, and when.
    pub access: Access,
    /// How many more of each kind of action may be taken.
    pub left: Left,
    /// What the last step did that a property speaks of.
    pub marks: Marks,
    /// The last write that took effect. Only in stories: exploration forgets it with the epochs.
    pub block: Option<Record>,
}

/// Budgets of the actions that the surroundings choose.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Left {
    /// Writes that the workloads issue.
    pub writes: u8,
    /// Times that a node begins to arbitrate.
    pub challenges: u8,
    /// Rounds of defence.
    pub defends: u8,
    /// Pauses of nodes.
    pub stalls: u8,
    /// Broken connections.
    pub breaks: u8,
    /// Crashes of nodes.
    pub crashes: u8,
    /// Power cycles of the target.
    pub power_cycles: u8,
}

/// A budget that is never used up.
pub const UNLIMITED: u8 = u8::MAX;

/// One less in a budget.
pub fn spend(budget: &mut u8) {
    if *budget != UNLIMITED {
        *budget = budget.saturating_sub(1);
    }
}

/// Ghost state for V3: tenures by their order.
///
/// A tenure is a number relative to the newest tenure that an owner has announced: 0 stands for any
/// older one, `CURRENT` for that one, greater numbers for first accesses whose node does not
/// know yet that it is the owner.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Access {
    /// By node: the tenure that its first read, which took effect, will begin; 0: none.
    pub pending: [u8; 4],
    /// The nodes whose pending tenure has seen a write of an older one take effect.
    pub late: Set,
    /// Whose the newest announced tenure is.
    pub current_by: Option<NodeId>,
}

/// The newest tenure that was announced.
pub const CURRENT: u8 = 1;

/// Facts about the last step.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Marks(pub u16);

impl Marks {
    /// V3 broken.
    pub const EVICTED_WRITE: Marks = Marks(1);
    /// F1 broken.
    pub const AFTER_ABORT: Marks = Marks(1 << 1);
    /// V4 broken.
    pub const TABLE_LOST: Marks = Marks(1 << 2);
    /// PRgeneration stepped wrongly.
    pub const GENERATION: Marks = Marks(1 << 3);
    /// A reservation ended for no lawful reason.
    pub const UNLAWFUL_END: Marks = Marks(1 << 4);
    /// A write of an older tenure was refused or aborted after a new owner's first access.
    pub const OLD_WRITE_STOPPED: Marks = Marks(1 << 5);
    /// PREEMPT AND ABORT answered GOOD while its victim had a write under way.
    pub const ABORT_MATTERED: Marks = Marks(1 << 6);
    /// The target came up with a table that APTPL kept.
    pub const TABLE_KEPT: Marks = Marks(1 << 7);
    /// A node became the owner after a fault.
    pub const RECOVERED: Marks = Marks(1 << 8);
    /// A reservation ended.
    pub const RESERVATION_ENDED: Marks = Marks(1 << 9);
    /// PRgeneration stepped.
    pub const GENERATION_STEPPED: Marks = Marks(1 << 10);

    /// Whether the step did this.
    pub const fn has(self, mark: Marks) -> bool {
        self.0 & mark.0 != 0
    }

    /// Takes note of a fact.
    pub fn set(&mut self, mark: Marks) {
        self.0 |= mark.0;
    }
}

impl State {
    /// Renames what grows for ever.
    pub fn canonical(&mut self) {
        self.unit.lun.generation = Generation(0);
        self.block = None;
        for node in &mut self.nodes {
            node.epoch = Epoch(0);
            node.serial = Serial(0);
            node.queue.iter_mut().for_each(|operation| forget_numbers(&mut operation.command));
            node.outstanding.iter_mut().for_each(|(_, operation)| forget_numbers(&mut operation.command));
        }
        for wire in &mut self.unit.wires {
            wire.requests.iter_mut().for_each(|request| forget_numbers(&mut request.command));
        }
        self.close_gaps();
        for nexus in (0u8..).map(Nexus).take(self.unit.wires.len()) {
            self.rename_tags(nexus);
        }
    }

    /// Calls `f` for every tag of the nexus.
    fn tags(&mut self, nexus: Nexus, f: &mut dyn FnMut(&mut Tag)) {
        let wire = self.unit.wire_mut(nexus);
        for request in &mut wire.requests {
            f(&mut request.tag);
            if let Command::Manage(Function::AbortTask(task)) = &mut request.command {
                f(task);
            }
        }
        wire.replies.iter_mut().for_each(|(tag, _)| f(tag));
        let lun = &mut self.unit.lun;
        lun.tasks.iter_mut().filter(|task| task.nexus == nexus).for_each(|task| f(&mut task.tag));
        for waiting in &mut lun.waiting {
            if waiting.nexus == nexus {
                f(&mut waiting.tag);
                if let Some(Function::AbortTask(task)) = &mut waiting.function {
                    f(task);
                }
            }
            waiting.awaited.iter_mut().filter(|(of, _)| *of == nexus).for_each(|(_, tag)| f(tag));
        }
        if let Some(node) = self.nodes.iter_mut().find(|node| node.nexus == nexus) {
            node.asked.iter_mut().for_each(&mut *f);
            node.outstanding.iter_mut().for_each(|(tag, _)| f(tag));
        }
    }

    fn rename_tags(&mut self, nexus: Nexus) {
        let mut live = 0u64;
        self.tags(nexus, &mut |tag| live |= 1 << tag.0);
        if live & (live + 2) != 0 {
            self.tags(nexus, &mut |tag| tag.0 = (live & ((1 << tag.0) - 1)).count_ones() + 1);
        }
    }

    /// A tag that is younger than all of the nexus's tags.
    pub fn next_tag(&mut self, nexus: Nexus) -> Tag {
        let mut youngest = 0;
        self.tags(nexus, &mut |tag| youngest = youngest.max(tag.0));
        Tag(youngest + 1)
    }

    /// Calls `f` for every tenure in the state.
    fn tenures(&mut self, f: &mut dyn FnMut(&mut u8)) {
        for node in &mut self.nodes {
            f(&mut node.tenure);
            node.queue.iter_mut().for_each(|operation| f(&mut operation.tenure));
            node.outstanding.iter_mut().for_each(|(_, operation)| f(&mut operation.tenure));
        }
        for wire in &mut self.unit.wires {
            wire.requests.iter_mut().for_each(|request| f(&mut request.tenure));
        }
        for task in &mut self.unit.lun.tasks {
            if let Kind::Write { tenure } = &mut task.kind {
                f(tenure);
            }
        }
    }

    /// The node's first read has taken effect. With nobody else in between its tenure goes on.
    pub fn accessed(&mut self, node: NodeId) {
        let access = &mut self.access;
        let latest =
            (0u8..).zip(access.pending).filter(|(_, rank)| *rank > CURRENT).max_by_key(|(_, rank)| *rank);
        let (latest_by, latest) = match latest {
            Some((of, rank)) => (Some(NodeId(of)), rank),
            None => (access.current_by, CURRENT),
        };
        let goes_on = latest_by == Some(node);
        access.pending[usize::from(node.0)] = if goes_on { latest } else { latest + 1 };
    }

    /// A write takes effect. Returns whether that breaks V3.
    pub fn took_effect(&mut self, tenure: u8) -> bool {
        for at in 0..self.nodes.len() {
            if self.access.pending[at] > tenure {
                self.access.late = self.access.late.or(Set::of(Nexus(at as u8)));
            }
        }
        tenure < CURRENT
    }

    /// The node is the owner from now on. Returns whether V3 is broken by a write since its first access.
    pub fn owned(&mut self, node: NodeId) -> bool {
        let at = usize::from(node.0);
        let tenure = std::mem::take(&mut self.access.pending[at]);
        let me = Set::of(Nexus(node.0));
        let broken = self.access.late.has(Nexus(node.0));
        self.access.late = self.access.late.minus(me);
        self.nodes[at].tenure = tenure;
        if tenure > CURRENT {
            // It is the newest now: count from it.
            let shift = tenure - CURRENT;
            self.tenures(&mut |rank| *rank = rank.saturating_sub(shift));
            self.access.pending.iter_mut().for_each(|rank| *rank = rank.saturating_sub(shift));
            self.access.current_by = Some(node);
        }
        broken
    }

    /// The node has lost, or its memory is gone: its first access began no tenure.
    pub fn forsaken(&mut self, node: NodeId) {
        self.access.pending[usize::from(node.0)] = 0;
        self.access.late = self.access.late.minus(Set::of(Nexus(node.0)));
    }

    /// The first accesses that have not been announced are numbered without gaps.
    fn close_gaps(&mut self) {
        let pending = self.access.pending;
        for rank in self.access.pending.iter_mut().filter(|rank| **rank > CURRENT) {
            let below = |at: usize| {
                pending[at] > CURRENT && pending[at] < *rank && !pending[..at].contains(&pending[at])
            };
            let below = (0..pending.len()).filter(|at| below(*at)).count();
            *rank = CURRENT + 1 + below as u8;
        }
    }

    /// Whether the target would accept a write of the node now, and its host fence is open (V2).
    pub fn would_write(&self, node: &Node) -> bool {
        node.up && node.fence && !self.unit.lun.table.conflicts(node.nexus, redline_vocab::Name::Write)
    }
}

fn forget_numbers(command: &mut Command) {
    if let Command::Write { record, .. } = command {
        record.epoch = Epoch(0);
        record.serial = Serial(0);
    }
}
