//! What every monitor needs to look up: the commands under way, the table, and who is on which nexus.
//!
//! Events name a command by nexus and tag only, so that somebody has to remember what was sent under
//! it and how far it got. An entry lives from `Sent` until its reply, its abort, or until nothing can
//! come of it any more. A tag may repeat when a node has crashed while a task of its earlier life is
//! still at the back end; look-ups therefore ask for the oldest entry *at the stage* that fits.

use alloc::vec::Vec;
use redline_vocab::{Command, Disposition, Event, LunView, Nexus, NodeId, Tag};

/// How far a command has got.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    /// Sent, not yet taken by the target.
    Transport,
    /// Taken, its status is decided or its table change is made.
    Decided,
    /// A task that has not begun.
    TaskSet,
    /// At the back end.
    BackEnd,
    /// Took effect; its reply may follow.
    Done,
    /// Ended: aborted, or replied to.
    Over,
}

/// A command under way. Event numbers are 0 until the event has happened.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub nexus: Nexus,
    pub tag: Tag,
    pub command: Command,
    pub stage: Stage,
    pub sent: u64,
    pub dispatched: u64,
    pub committed: u64,
    /// Number of the table version that this command made; 0: none.
    pub version: u64,
    /// Set by [`super::abort`]: PREEMPT AND ABORT has answered GOOD over it.
    pub killed_by: Option<u64>,
    /// Ownership tenure under which a write was issued (see [`super::tenure`]).
    pub tenure: u64,
}

/// What is known of a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Node {
    /// The nexus of its latest session.
    pub nexus: Nexus,
    /// Its workload may write.
    pub fence_open: bool,
    /// Neither paused nor crashed.
    pub runs: bool,
}

impl Node {
    const fn new(nexus: Nexus) -> Node {
        Node { nexus, fence_open: false, runs: true }
    }
}

/// The commands under way, the table and the nodes.
#[derive(Clone, Debug)]
pub(super) struct Ledger {
    nodes: u8,
    commands: Vec<Vec<Entry>>,
    /// What the initiators wait for.
    outstanding: Vec<Vec<(Tag, Command)>>,
    nodes_seen: Vec<Node>,
    /// The table before the event at hand.
    pub table: LunView,
    /// How often the table has changed.
    pub version: u64,
    cause: Option<(Entry, Disposition)>,
}

impl Ledger {
    pub fn new(nodes: u8) -> Ledger {
        Ledger {
            nodes: nodes.max(1),
            commands: Vec::new(),
            outstanding: Vec::new(),
            nodes_seen: (0..nodes.max(1)).map(|node| Node::new(Nexus(node))).collect(),
            table: LunView {
                generation: redline_vocab::Generation(0),
                registrants: Vec::new(),
                reservation: None,
                aptpl: false,
            },
            version: 0,
            cause: None,
        }
    }

    pub fn node_of(&self, nexus: Nexus) -> NodeId {
        NodeId(nexus.0 % self.nodes)
    }

    /// The nodes, with the event at hand taken into account.
    pub fn nodes(&self) -> impl Iterator<Item = (NodeId, &Node)> {
        (0u8..).map(NodeId).zip(&self.nodes_seen)
    }

    /// The command with this tag that the initiator waits for, or else one that only the target still knows.
    pub fn command(&self, nexus: Nexus, tag: Tag) -> Option<&Command> {
        let at = usize::from(nexus.0);
        let waited_for = self.outstanding.get(at).into_iter().flatten().find(|(of, _)| *of == tag);
        let known = || self.commands.get(at).into_iter().flatten().find(|entry| entry.tag == tag);
        waited_for.map(|(_, command)| command).or_else(|| known().map(|entry| &entry.command))
    }

    /// The command whose dispatch the event at hand is a part of, with what was decided about it.
    pub fn cause(&self) -> Option<&(Entry, Disposition)> {
        self.cause.as_ref()
    }

    /// Every command that the target or the transport still has, in no stated order over nexuses.
    pub fn under_way(&self) -> impl Iterator<Item = &Entry> {
        self.commands.iter().flatten()
    }

    /// The table beside every command under way, for marks that depend on both.
    pub fn table_and_commands(&mut self) -> (&LunView, impl Iterator<Item = &mut Entry>) {
        (&self.table, self.commands.iter_mut().flatten())
    }

    /// Moves the entry that the event is about, and returns it as it is now; an entry that the event
    /// ends is returned as it was.
    pub fn advance(&mut self, seq: u64, event: &Event) -> Option<Entry> {
        self.note_node(event);
        match event {
            Event::Sent { nexus, tag, command } => {
                let of_nexus = self.of(*nexus);
                // A reply follows its commit within one step, so what is still here had none to come.
                of_nexus.retain(|entry| !matches!(entry.stage, Stage::Done | Stage::Over));
                let entry = Entry {
                    nexus: *nexus,
                    tag: *tag,
                    command: *command,
                    stage: Stage::Transport,
                    sent: seq,
                    dispatched: 0,
                    committed: 0,
                    version: 0,
                    killed_by: None,
                    tenure: 0,
                };
                of_nexus.push(entry);
                self.cause = None;
                Some(entry)
            }
            Event::Dispatched { nexus, tag, disposition } => {
                let stage = match disposition {
                    Disposition::Answered(_) | Disposition::Held => Stage::Decided,
                    Disposition::Enabled => Stage::TaskSet,
                };
                let entry = self.take(*nexus, *tag, &[Stage::Transport]).map(|entry| {
                    entry.stage = stage;
                    entry.dispatched = seq;
                    *entry
                });
                self.cause = entry.map(|entry| (entry, *disposition));
                entry
            }
            Event::Submitted { nexus, tag } => {
                self.cause = None;
                self.take(*nexus, *tag, &[Stage::TaskSet]).map(|entry| {
                    entry.stage = Stage::BackEnd;
                    *entry
                })
            }
            Event::Committed { nexus, tag } => {
                self.cause = None;
                self.take(*nexus, *tag, &[Stage::BackEnd, Stage::TaskSet]).map(|entry| {
                    entry.stage = Stage::Done;
                    entry.committed = seq;
                    *entry
                })
            }
            Event::Aborted { nexus, tag } => {
                // A PREEMPT AND ABORT whose GOOD is held back is ended by a reset.
                let stages = [Stage::TaskSet, Stage::BackEnd, Stage::Transport, Stage::Decided];
                self.take(*nexus, *tag, &stages).map(|entry| {
                    let was = *entry;
                    entry.stage = Stage::Over;
                    was
                })
            }
            Event::Replied { nexus, tag, .. } => self
                .take(*nexus, *tag, &[Stage::Decided, Stage::Done, Stage::BackEnd, Stage::TaskSet])
                .map(|entry| {
                    let was = *entry;
                    entry.stage = Stage::Over;
                    was
                }),
            Event::Received { nexus, tag, .. } => self.take(*nexus, *tag, &[Stage::Transport]).map(|entry| {
                // Only a trace that does not show the target comes here.
                entry.stage = Stage::Over;
                *entry
            }),
            Event::TableChanged { .. } => {
                self.version += 1;
                let version = self.version;
                let (nexus, tag) = self.cause.as_ref().map(|(entry, _)| (entry.nexus, entry.tag))?;
                self.take(nexus, tag, &[Stage::Decided]).map(|entry| {
                    entry.version = version;
                    *entry
                })
            }
            Event::TablePersisted => None,
            Event::LoggedIn { .. }
            | Event::ConnectionLost { .. }
            | Event::LoggedOut { .. }
            | Event::NexusLost { .. }
            | Event::PowerLost
            | Event::PoweredOn { .. }
            | Event::Forgotten { .. }
            | Event::Issued { .. }
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
            | Event::FaultHealed { .. } => {
                self.cause = None;
                None
            }
        }
    }

    /// Takes note of what the event ended or replaced, after the monitors have seen it.
    pub fn settle(&mut self, event: &Event) {
        match event {
            Event::TableChanged { view } | Event::PoweredOn { view } => self.table.clone_from(view),
            Event::Sent { nexus, tag, command } => self.waits(*nexus).push((*tag, *command)),
            Event::Forgotten { nexus, tag } => self.answered(*nexus, *tag),
            Event::LoggedIn { nexus, .. } => {
                self.waits(*nexus).clear();
                self.drop_transport(*nexus);
            }
            Event::NexusLost { nexus } => self.drop_transport(*nexus),
            Event::LoggedOut { nexus } => {
                self.waits(*nexus).clear();
                self.drop_transport(*nexus);
            }
            Event::PowerLost => self.commands.iter_mut().for_each(Vec::clear),
            Event::Aborted { nexus, .. } | Event::Replied { nexus, .. } => {
                self.of(*nexus).retain(|entry| entry.stage != Stage::Over);
            }
            Event::Received { nexus, tag, .. } => {
                self.answered(*nexus, *tag);
                self.of(*nexus).retain(|entry| entry.stage != Stage::Over);
            }
            Event::Issued { .. }
            | Event::Dispatched { .. }
            | Event::Submitted { .. }
            | Event::Committed { .. }
            | Event::TablePersisted
            | Event::ConnectionLost { .. }
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
            | Event::FaultHealed { .. } => {}
        }
    }

    /// What the event says of a node.
    fn note_node(&mut self, event: &Event) {
        match event {
            Event::LoggedIn { node, nexus } => self.node(*node).nexus = *nexus,
            Event::Fence { node, open } => self.node(*node).fence_open = *open,
            Event::Stalled { node } => self.node(*node).runs = false,
            Event::Woke { node } | Event::Restarted { node } => self.node(*node).runs = true,
            Event::Crashed { node } => {
                let node = self.node(*node);
                node.runs = false;
                node.fence_open = false;
            }
            Event::Issued { .. }
            | Event::Sent { .. }
            | Event::Dispatched { .. }
            | Event::Submitted { .. }
            | Event::Committed { .. }
            | Event::Aborted { .. }
            | Event::Replied { .. }
            | Event::Received { .. }
            | Event::Forgotten { .. }
            | Event::TableChanged { .. }
            | Event::TablePersisted
            | Event::ConnectionLost { .. }
            | Event::LoggedOut { .. }
            | Event::NexusLost { .. }
            | Event::PowerLost
            | Event::PoweredOn { .. }
            | Event::Challenged { .. }
            | Event::WaitEnded { .. }
            | Event::Defended { .. }
            | Event::Owned { .. }
            | Event::Lost { .. }
            | Event::Drained { .. }
            | Event::FaultInjected { .. }
            | Event::FaultHealed { .. } => {}
        }
    }

    fn node(&mut self, node: NodeId) -> &mut Node {
        let at = usize::from(node.0);
        while self.nodes_seen.len() <= at {
            let next = self.nodes_seen.len();
            self.nodes_seen.push(Node::new(Nexus(u8::try_from(next).unwrap_or(u8::MAX))));
        }
        &mut self.nodes_seen[at]
    }

    /// Stores the tenure under which the write was issued.
    pub fn set_tenure(&mut self, entry: &Entry, tenure: u64) {
        if let Some(found) = self.of(entry.nexus).iter_mut().rev().find(|found| found.sent == entry.sent) {
            found.tenure = tenure;
        }
    }

    fn waits(&mut self, nexus: Nexus) -> &mut Vec<(Tag, Command)> {
        let at = usize::from(nexus.0);
        if self.outstanding.len() <= at {
            self.outstanding.resize_with(at + 1, Vec::new);
        }
        &mut self.outstanding[at]
    }

    fn answered(&mut self, nexus: Nexus, tag: Tag) {
        self.waits(nexus).retain(|(of, _)| *of != tag);
    }

    fn of(&mut self, nexus: Nexus) -> &mut Vec<Entry> {
        let at = usize::from(nexus.0);
        if self.commands.len() <= at {
            self.commands.resize_with(at + 1, Vec::new);
        }
        &mut self.commands[at]
    }

    /// The oldest entry of the tag at the first of these stages that has one.
    fn take(&mut self, nexus: Nexus, tag: Tag, stages: &[Stage]) -> Option<&mut Entry> {
        let of_nexus = self.commands.get_mut(usize::from(nexus.0))?;
        let at = stages
            .iter()
            .find_map(|stage| of_nexus.iter().position(|entry| entry.tag == tag && entry.stage == *stage))?;
        of_nexus.get_mut(at)
    }

    /// Commands that the target has not taken die with the session; its tasks end by events of their own.
    fn drop_transport(&mut self, nexus: Nexus) {
        self.of(nexus).retain(|entry| matches!(entry.stage, Stage::TaskSet | Stage::BackEnd));
    }
}
