//! The parts of the model under one trace, and how an event is shown to them.

use super::lun::{self, LunPart, LunState};
use super::node::{self, NodePart, NodeState};
use super::track::{Moved as Tracked, Track};
use super::{ALTERNATIVES_MAX, Divergence, Error, STATES_SHOWN_MAX, words};
use redline_model::NEXUSES;
use redline_model::lun::{Lun, Rules};
use redline_model::node::Own;
use redline_traces::{Header, Initiators, Visibility};
use redline_vocab::{Event, Generation, Guard, Key, Micros, Nexus, NodeId, Tag};
use std::hash::Hash;

/// What became of the worlds at an event.
pub(crate) enum Moved {
    /// They have moved on; so many are left.
    Follows {
        /// Product of the candidate states of the parts.
        worlds: u64,
    },
    /// This part refuses the event.
    Refused(Place),
    /// Too many candidate states in one part.
    TooMany {
        /// How many.
        states: usize,
    },
    /// Of logs that stand apart: only steps that a killed process did not log explain it.
    Unlogged,
}

/// Which part.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// The logical unit.
    Lun,
    /// A node.
    Node(u8),
}

/// All parts.
#[derive(Clone)]
pub(crate) struct World {
    states_max: usize,
    /// The trace hides what happens inside the target.
    hides: bool,
    pub(super) part: LunPart,
    pub(super) lun: Track<LunState>,
    pub(super) nodes: Vec<(NodePart, Track<NodeState>)>,
    /// Only for logs that stand apart: the unit before the command that it took last.
    pub(super) before: Vec<Lun>,
    /// Only for logs that stand apart: where a killed array may have been.
    pub(super) unlogged: Vec<LunState>,
}

impl World {
    pub fn new(header: &Header, states_max: usize) -> Result<World, Error> {
        if header.nodes == 0 || usize::from(header.nexuses) > NEXUSES || header.nexuses < header.nodes {
            return Err(Error::World("the model has 1 to 8 nexuses, and at least one for each node"));
        }
        let hides = header.visibility == Visibility::Client;
        let part = LunPart {
            rules: Rules { design: header.design, blocks: header.blocks, limits: true },
            nodes: header.nodes,
            nexuses: header.nexuses,
            hides,
            states_max,
        };
        let mut initial = part.initial();
        if hides {
            initial.dark = false;
        }
        let guests = header.initiators == Initiators::Guests && !hides;
        if guests && header.keys.len() != usize::from(header.nodes) {
            return Err(Error::World("guest cluster nodes have one key each"));
        }
        let shared = !header.design.has(Guard::UniqueKeys);
        let nodes = if guests { &header.keys[..] } else { &[] };
        let nodes = nodes
            .iter()
            .zip(0u8..)
            .map(|(key, node)| {
                let key = if shared { Key(key.0 | 0xff) } else { *key };
                let own = Own { node: NodeId(node), key, design: header.design };
                let part = NodePart { own, nodes: header.nodes };
                let initial = part.initial();
                (part, Track::new(initial, states_max))
            })
            .collect();
        Ok(World {
            states_max,
            hides,
            lun: Track::new(initial, states_max),
            part,
            nodes,
            before: Vec::new(),
            unlogged: Vec::new(),
        })
    }

    /// Calls `f` for every tag that some candidate state remembers.
    pub fn tags(&mut self, f: &mut dyn FnMut(Nexus, &mut Tag)) {
        for state in self.lun.states_mut() {
            state.tags(f);
        }
        for (_, track) in &mut self.nodes {
            for state in track.states_mut() {
                state.tags(f);
            }
        }
    }

    /// The canonical form beside a fabric that is renamed in the same way: tags by `rename`, PRgeneration relative to the
    /// fabric's, epochs and serial numbers gone.
    pub fn canonical(&mut self, rename: &dyn Fn(Nexus, Tag) -> Tag, generation: Generation) {
        self.tags(&mut |nexus, tag| *tag = rename(nexus, *tag));
        for state in self.lun.states_mut() {
            state.forget_numbers(generation);
        }
        self.lun.settle_again();
        for (_, track) in &mut self.nodes {
            track.states_mut().iter_mut().for_each(NodeState::forget_numbers);
            track.settle_again();
        }
    }

    /// Shows the candidate states to a hasher.
    pub fn hash(&self, hasher: &mut impl std::hash::Hasher) {
        self.lun.states().hash(hasher);
        for (_, track) in &self.nodes {
            track.states().hash(hasher);
        }
    }

    pub fn states_max(&self) -> usize {
        self.states_max
    }

    pub fn see(&mut self, event: &Event) -> Moved {
        match self.lun.see(&self.part, event, self.hides) {
            Tracked::Follows => {}
            Tracked::Refused => return Moved::Refused(Place::Lun),
            Tracked::TooMany(states) => return Moved::TooMany { states },
        }
        let mut worlds = self.lun.states().len() as u64;
        for (at, (part, track)) in (0u8..).zip(&mut self.nodes) {
            if part.concerns(event) {
                match track.see(part, event, false) {
                    Tracked::Follows => {}
                    Tracked::Refused => return Moved::Refused(Place::Node(at)),
                    Tracked::TooMany(states) => return Moved::TooMany { states },
                }
            }
            worlds = worlds.saturating_mul(track.states().len() as u64);
        }
        Moved::Follows { worlds }
    }

    pub fn explain(&self, place: Place, seq: u64, at: Micros, event: &Event) -> Divergence {
        let mut alternatives: Vec<Event> = Vec::new();
        let (part, before, states): (String, Vec<String>, usize) = match place {
            Place::Lun => {
                for state in self.lun.states() {
                    alternatives.extend(self.part.alternatives(state, event));
                }
                let shown = self.lun.states().iter().take(STATES_SHOWN_MAX).map(lun::words);
                ("lun".to_owned(), shown.collect(), self.lun.states().len())
            }
            Place::Node(node) => {
                let (part, track) = &self.nodes[usize::from(node)];
                for state in track.states() {
                    alternatives.extend(part.alternatives(state));
                }
                let shown = track.states().iter().take(STATES_SHOWN_MAX).map(node::words);
                (format!("node {node}"), shown.collect(), track.states().len())
            }
        };
        alternatives.sort_by_key(|one| words::distance(event, one));
        let mut texts: Vec<String> = Vec::new();
        for text in alternatives.iter().map(words::sentence) {
            if !texts.contains(&text) && texts.len() < ALTERNATIVES_MAX {
                texts.push(text);
            }
        }
        Divergence {
            seq,
            at,
            kind: words::kind(event),
            part,
            refused: words::sentence(event),
            alternatives: texts,
            before,
            states,
        }
    }
}
