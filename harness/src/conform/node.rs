//! A guest cluster node under a trace: which states of the model's node an event leaves.

use super::lun::plain_command;
use super::track::Part;
use redline_model::node::{Node, Operation, Owed, Own};
use redline_vocab::{Command, Epoch, Event, Guard, LossReason, Nexus, NodeId, Serial, Tag};

/// The part.
#[derive(Clone, Copy, Debug)]
pub(super) struct NodePart {
    pub own: Own,
    pub nodes: u8,
}

/// A candidate state.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct NodeState {
    pub node: Node,
    /// What the node owes before anything else may happen to it.
    pub owed: Vec<Owed>,
    /// Its connection is down, whether or not it has noticed.
    pub wire_down: bool,
}

impl NodeState {
    /// Calls `f` for every tag that it remembers.
    pub fn tags(&mut self, f: &mut dyn FnMut(Nexus, &mut Tag)) {
        let nexus = self.node.nexus;
        self.node.asked.iter_mut().for_each(|tag| f(nexus, tag));
        self.node.outstanding.iter_mut().for_each(|(tag, _)| f(nexus, tag));
        for owed in &mut self.owed {
            if let Owed::Forgotten(tag) = owed {
                f(nexus, tag);
            }
        }
    }

    /// Forgets what only tells how long the run has lasted.
    pub fn forget_numbers(&mut self) {
        self.node.epoch = Epoch(0);
        self.node.serial = Serial(0);
        self.node.queue.iter_mut().for_each(|operation| plain_command(&mut operation.command));
        self.node.outstanding.iter_mut().for_each(|(_, operation)| plain_command(&mut operation.command));
    }
}

impl NodePart {
    pub fn initial(&self) -> NodeState {
        NodeState { node: Node::new(Nexus(self.own.node.0)), owed: Vec::new(), wire_down: true }
    }

    /// Whether the event is about this node.
    pub fn concerns(&self, event: &Event) -> bool {
        let of_nexus = |nexus: &Nexus| NodeId(nexus.0 % self.nodes) == self.own.node;
        match event {
            Event::Sent { nexus, .. }
            | Event::Received { nexus, .. }
            | Event::Forgotten { nexus, .. }
            | Event::LoggedOut { nexus }
            | Event::ConnectionLost { nexus } => of_nexus(nexus),
            Event::Issued { node, .. }
            | Event::LoggedIn { node, .. }
            | Event::Challenged { node }
            | Event::WaitEnded { node }
            | Event::Defended { node }
            | Event::Owned { node, .. }
            | Event::Lost { node, .. }
            | Event::Fence { node, .. }
            | Event::Drained { node, .. }
            | Event::Stalled { node }
            | Event::Woke { node }
            | Event::Crashed { node }
            | Event::Restarted { node } => *node == self.own.node,
            Event::PowerLost => true,
            Event::Dispatched { .. }
            | Event::Submitted { .. }
            | Event::Committed { .. }
            | Event::Aborted { .. }
            | Event::Replied { .. }
            | Event::TableChanged { .. }
            | Event::TablePersisted
            | Event::NexusLost { .. }
            | Event::PoweredOn { .. }
            | Event::FaultInjected { .. }
            | Event::FaultHealed { .. } => false,
        }
    }

    fn settle(&self, state: &mut NodeState, event: &Event) -> bool {
        let nexus = state.node.nexus;
        let paid = match (&state.owed[0], event) {
            (Owed::Forgotten(tag), Event::Forgotten { nexus: of, tag: seen }) => (nexus, tag) == (*of, seen),
            (Owed::Challenged, Event::Challenged { .. }) => true,
            (Owed::Lost(reason), Event::Lost { reason: seen, .. }) => reason == seen,
            (Owed::Fence(open), Event::Fence { open: seen, .. }) => open == seen,
            (Owed::Drained(writes), Event::Drained { writes: seen, .. }) => writes == seen,
            (Owed::Owned(epoch), Event::Owned { epoch: seen, .. }) => epoch == seen,
            (Owed::Sent(command), Event::Sent { nexus: of, tag, command: seen }) => {
                let same = nexus == *of && command == seen;
                if same {
                    state.node.asked = Some(*tag);
                }
                same
            }
            _ => false,
        };
        if paid {
            state.owed.remove(0);
        }
        paid
    }

    /// The node notices that its connection is gone.
    fn disconnect(&self, state: &mut NodeState) -> bool {
        let notices = state.wire_down && state.node.runs() && state.node.connected;
        if notices {
            state.node.disconnect(&self.own, &mut state.owed);
        }
        notices
    }

    fn sent(&self, state: &mut NodeState, nexus: Nexus, tag: redline_vocab::Tag, command: &Command) -> bool {
        if nexus != state.node.nexus || !state.node.flows() {
            return false;
        }
        match command {
            Command::Write { .. } => {
                let next = state.node.queue.first().is_some_and(|operation| operation.command == *command);
                if next {
                    state.node.send(tag);
                }
                next
            }
            // The workload reads and flushes when it likes.
            Command::Read(_) | Command::SynchronizeCache => {
                state.node.outstanding.push((tag, Operation { command: *command, tenure: 0 }));
                true
            }
            Command::PrIn(_)
            | Command::PrOut(_)
            | Command::LegacyReserve
            | Command::LegacyRelease
            | Command::Manage(_)
            | Command::Other(_) => false,
        }
    }

    fn logged_in(&self, state: &mut NodeState, nexus: Nexus) -> bool {
        let stable = self.own.design.has(Guard::StableIsid);
        let same = nexus == state.node.nexus;
        if !state.wire_down || !state.node.runs() || stable && !same {
            return false;
        }
        let mut next = state.clone();
        self.disconnect(&mut next);
        // What it notices at that moment would have been seen before.
        if !next.owed.is_empty() {
            return false;
        }
        next.wire_down = false;
        next.node.connect(&self.own, nexus, &mut next.owed);
        *state = next;
        true
    }

    /// What the model would have accepted instead.
    pub fn alternatives(&self, state: &NodeState) -> Vec<Event> {
        let node = self.own.node;
        let nexus = state.node.nexus;
        if let Some(first) = state.owed.first() {
            return vec![match first {
                Owed::Forgotten(tag) => Event::Forgotten { nexus, tag: *tag },
                Owed::Challenged => Event::Challenged { node },
                Owed::Lost(reason) => Event::Lost { node, reason: *reason },
                Owed::Fence(open) => Event::Fence { node, open: *open },
                Owed::Drained(writes) => Event::Drained { node, writes: *writes },
                Owed::Owned(epoch) => Event::Owned { node, epoch: *epoch },
                Owed::Sent(command) => Event::Sent { nexus, tag: redline_vocab::Tag(0), command: *command },
            }];
        }
        let one = &state.node;
        let mut out = Vec::new();
        if one.may_challenge(&self.own) {
            out.push(Event::Challenged { node });
        }
        if one.may_end_wait() {
            out.push(Event::WaitEnded { node });
        }
        if one.may_defend() {
            out.push(Event::Defended { node });
        }
        if let (true, Some(head)) = (one.flows(), one.queue.first()) {
            out.push(Event::Sent { nexus, tag: redline_vocab::Tag(0), command: head.command });
        }
        out
    }
}

impl Part for NodePart {
    type State = NodeState;
    type Event = Event;

    fn follow(&self, state: &mut NodeState, event: &Event, _forks: &mut Vec<NodeState>) -> bool {
        if !state.owed.is_empty() {
            return self.settle(state, event);
        }
        let NodeState { node, owed, .. } = state;
        match event {
            Event::Issued { extent, record, .. } => {
                let first = !node.header_due || extent.lba == redline_vocab::Lba(0);
                let mine = record.writer == self.own.node && record.epoch == node.epoch;
                let may = node.may_issue() && first && mine && record.serial > node.serial;
                if may {
                    node.issue(*extent, *record);
                }
                may
            }
            Event::Sent { nexus, tag, command } => self.sent(state, *nexus, *tag, command),
            Event::Received { nexus, tag, reply } => {
                let may = node.runs() && !state.wire_down && *nexus == node.nexus;
                if may {
                    node.receive(&self.own, *tag, reply, owed);
                }
                may
            }
            Event::Challenged { .. } => {
                let may = node.may_challenge(&self.own);
                if may {
                    node.challenge(&self.own, owed);
                }
                may
            }
            Event::WaitEnded { .. } => {
                let may = node.may_end_wait();
                if may {
                    node.end_wait(&self.own, owed);
                }
                may
            }
            Event::Defended { .. } => {
                let may = node.may_defend();
                if may {
                    node.defend(&self.own, owed);
                }
                may
            }
            Event::Forgotten { .. } | Event::Lost { reason: LossReason::Disconnected, .. } => {
                let mut next = state.clone();
                let follows =
                    self.disconnect(&mut next) && !next.owed.is_empty() && self.settle(&mut next, event);
                if follows {
                    *state = next;
                }
                follows
            }
            Event::LoggedIn { nexus, .. } => self.logged_in(state, *nexus),
            // A node has no rule by which it would.
            Event::LoggedOut { .. } => false,
            Event::ConnectionLost { nexus } => {
                // A nexus that a new ISID has replaced is no longer this node's connection.
                if *nexus == node.nexus {
                    state.wire_down = true;
                }
                true
            }
            Event::PowerLost => {
                state.wire_down = true;
                true
            }
            Event::Stalled { .. } => {
                let may = node.runs();
                node.stalled |= may;
                may
            }
            Event::Woke { .. } => std::mem::replace(&mut node.stalled, false),
            Event::Crashed { .. } => {
                let was_up = node.up;
                if was_up {
                    *node = Node { up: false, ..Node::new(node.nexus) };
                }
                was_up
            }
            Event::Restarted { .. } => !std::mem::replace(&mut node.up, true),
            Event::Owned { .. } | Event::Lost { .. } | Event::Fence { .. } | Event::Drained { .. } => false,
            Event::Dispatched { .. }
            | Event::Submitted { .. }
            | Event::Committed { .. }
            | Event::Aborted { .. }
            | Event::Replied { .. }
            | Event::TableChanged { .. }
            | Event::TablePersisted
            | Event::NexusLost { .. }
            | Event::PoweredOn { .. }
            | Event::FaultInjected { .. }
            | Event::FaultHealed { .. } => true,
        }
    }

    /// Nodes are followed only where the trace shows everything.
    fn silent(&self, _state: &NodeState, _event: &Event, _out: &mut Vec<NodeState>) {}
}

/// A candidate state in words.
pub(super) fn words(state: &NodeState) -> String {
    let node = &state.node;
    let run = match (node.up, node.stalled) {
        (false, _) => "down",
        (true, true) => "paused",
        (true, false) => "running",
    };
    format!(
        "{run}, {:?}, fence {}, {} writes queued, {} operations outstanding{}",
        node.phase,
        if node.fence { "open" } else { "closed" },
        node.queue.len(),
        node.outstanding.len(),
        if node.unverified { ", not verified" } else { "" },
    )
}
