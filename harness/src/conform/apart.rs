//! The parts of the model under logs that stand apart: each process has logged what it did, and no clock orders the logs.
//!
//! The parts meet in messages only. So the unit is shown the array's own log and what was sent to it and received from
//! it, and each node its own log; a break of a connection, which a trace of the whole world shows once, is here what each
//! end makes of it.
//!
//! A process that was killed has logged every step before anybody else could see a consequence of it, but for the last
//! one. What that step may have done to the stored table is kept open until the unit comes up and shows it. A
//! table that only *further* unlogged steps explain is no contradiction and no proof: it is [`Moved::Unlogged`].

use super::lun::LunState;
use super::track::{Moved as Tracked, Part};
use super::world::{Moved, Place, World};
use redline_model::lun::Due;
use redline_vocab::{Event, Guard, LunView, Nexus, NodeId};
use std::collections::BTreeSet;

impl World {
    /// Shows the unit what its own log says, or what an initiator's log says of its commands and replies.
    pub fn see_unit(&mut self, event: &Event) -> Moved {
        if matches!(event, Event::Dispatched { .. }) {
            self.before.clear();
            self.before.extend(self.lun.states().iter().map(|state| state.unit.lun.clone()));
        }
        match self.lun.see(&self.part, event, false) {
            Tracked::Follows => self.follows(),
            Tracked::Refused => Moved::Refused(Place::Lun),
            Tracked::TooMany(states) => Moved::TooMany { states },
        }
    }

    /// Shows the unit's end of a wire what an initiator did at the other end. What the unit owes has nothing to do with that.
    fn see_wire(&mut self, event: &Event) -> Moved {
        let mut states = Vec::new();
        for state in self.lun.states() {
            let mut moved = state.clone();
            let due = std::mem::take(&mut moved.due);
            if self.part.follow(&mut moved, event, &mut states) {
                moved.due = due;
                states.push(moved);
            }
        }
        if states.is_empty() {
            return Moved::Refused(Place::Lun);
        }
        self.lun.replace(states);
        self.follows()
    }

    /// Shows a node what its own log says.
    pub fn see_node(&mut self, node: NodeId, event: &Event) -> Moved {
        let Some((part, track)) = self.nodes.get_mut(usize::from(node.0)) else {
            return self.follows();
        };
        match track.see(part, event, false) {
            Tracked::Follows => self.follows(),
            Tracked::Refused => Moved::Refused(Place::Node(node.0)),
            Tracked::TooMany(states) => Moved::TooMany { states },
        }
    }

    /// Shows both ends of a wire what the initiator did: it has sent a command or received a reply.
    pub fn see_both(&mut self, node: NodeId, event: &Event) -> Moved {
        match self.see_wire(event) {
            Moved::Follows { .. } => self.see_node(node, event),
            refused => refused,
        }
    }

    /// The array gives up a nexus: by then the connection is down, whatever its initiator has noticed.
    pub fn give_up_nexus(&mut self, nexus: Nexus, event: &Event) -> Moved {
        if nexus.0 < self.part.nexuses {
            self.lun.states_mut().iter_mut().for_each(|state| state.unit.cut(nexus));
            self.lun.settle_again();
        }
        self.see_unit(event)
    }

    /// The array's process has ended. `cut`: it was killed, and its last step may be half done.
    pub fn unit_ends(&mut self, cut: bool, event: &Event) -> Moved {
        if cut {
            let mut states = Vec::new();
            self.unlogged.clear();
            for state in self.lun.states() {
                let owes = |due: &Due| state.due.contains(due);
                let mut ended = state.clone();
                ended.due.clear();
                self.unlogged.push(ended.clone());
                if ended.unit.lun.is_behind() && !self.part.rules.design.has(Guard::PersistBeforeGood) {
                    let mut stored = ended.clone();
                    stored.unit.lun.persist();
                    states.push(stored);
                }
                // The line that tells of the new table comes before the table is stored, the one that tells that it is stored after.
                if owes(&Due::TablePersisted) {
                    states.extend(self.before.iter().map(|before| {
                        let mut old = ended.clone();
                        old.unit.lun.stored = before.stored;
                        old
                    }));
                }
                if !owes(&Due::TablePersisted) || !owes(&Due::TableChanged) {
                    states.push(ended);
                }
            }
            self.lun.replace(states);
        }
        self.see_unit(event)
    }

    /// The array's next process has come up and shows what it found.
    pub fn unit_comes_up(&mut self, view: &LunView, event: &Event) -> Moved {
        match self.see_unit(event) {
            Moved::Refused(place) => match self.unlogged_steps_explain(view) {
                Some(true) => Moved::Unlogged,
                Some(false) => Moved::Refused(place),
                None => Moved::TooMany { states: self.states_max() },
            },
            moved => moved,
        }
    }

    /// A node's process was killed: what it owed nobody will see.
    pub fn node_ends(&mut self, node: NodeId, event: &Event) -> Moved {
        if let Some((_, track)) = self.nodes.get_mut(usize::from(node.0)) {
            for state in track.states_mut() {
                state.owed.clear();
                state.wire_down = true;
            }
            track.settle_again();
        }
        self.see_node(node, event)
    }

    /// Whether commands that were on their way, taken in any order, lead to this table on stable storage; `None`: too many states.
    fn unlogged_steps_explain(&self, view: &LunView) -> Option<bool> {
        let mut known: BTreeSet<LunState> = BTreeSet::new();
        let mut open: Vec<LunState> = self.unlogged.clone();
        while let Some(state) = open.pop() {
            let mut found = state.unit.clone();
            found.power_cycle();
            if found.lun.shows(view) {
                return Some(true);
            }
            if !known.insert(state.clone()) {
                continue;
            }
            if known.len() > self.states_max() {
                return None;
            }
            for nexus in (0..self.part.nexuses).map(Nexus) {
                let mut reactions = Vec::new();
                state.unit.reactions(self.part.rules, nexus, &mut reactions);
                for reaction in &reactions {
                    let mut next = state.clone();
                    self.part.take(&mut next, nexus, reaction);
                    next.due.clear();
                    open.push(next);
                }
            }
        }
        Some(false)
    }

    fn follows(&self) -> Moved {
        let nodes = self.nodes.iter().map(|(_, track)| track.states().len() as u64);
        Moved::Follows { worlds: nodes.fold(self.lun.states().len() as u64, u64::saturating_mul) }
    }
}
