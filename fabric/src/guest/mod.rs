//! A guest cluster node: a virtual machine that shares a disk with others and fights for it fairly.
//!
//! The node follows the rules R1-R12 of `docs/arbitration.md`; comments name them. It takes one
//! input at a time and returns effects in order. It has no clock: it arms timers with a duration,
//! and whoever drives it fires them. Between a timer that fires late and one that fires never there
//! is no difference for safety.
//!
//! **Deliberately absent:** knowledge of what others believe. A node learns of its loss only from
//! the target, or from silence.

mod arbitration;
#[cfg(test)]
mod tests;
mod workload;

use alloc::vec::Vec;
use redline_vocab::{
    Command, Epoch, Event, Key, LossReason, Micros, Nexus, NodeId, Quirk, Quirks, Reply, Tag,
};

use arbitration::{Phase, Round};
pub use workload::Mix;
use workload::Workload;

/// Who the node is and how it behaves.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Config {
    /// Its number.
    pub node: NodeId,
    /// How many nodes the cluster has.
    pub nodes: u8,
    /// Its reservation key: nonzero, and no other node's. The low byte tells the nodes apart.
    pub key: Key,
    /// Capacity of the shared disk in blocks, at least 1.
    pub blocks: u64,
    /// Reads and writes it keeps outstanding, at least 1.
    pub depth: u8,
    /// Room in the initiator queue; a full queue makes the workload wait.
    pub queue_max: u16,
    /// Defend period D.
    pub defend: Micros,
    /// Challenge wait W.
    pub challenge_wait: Micros,
    /// Period of heartbeats.
    pub heartbeat: Micros,
    /// Silence of the owner after which an idle node challenges.
    pub silence: Micros,
    /// What the workload does.
    pub mix: Mix,
    /// Blocks of one write, at least 1.
    pub write_blocks: u16,
}

/// The node's timers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Timer {
    /// The defend period has passed.
    Defend,
    /// The challenge wait is over.
    ChallengeWait,
    /// The owner has been silent for too long.
    Silence,
    /// It is time for a heartbeat.
    Heartbeat,
}

/// What can happen to a node.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Input {
    /// The node comes up with empty memory.
    Boot,
    /// A session is established.
    Connected {
        /// On this nexus.
        nexus: Nexus,
    },
    /// The connection broke.
    Disconnected,
    /// The workload wants to do its next operation; only if [`Guest::may_issue`].
    Issue,
    /// The oldest queued operation may go to the transport; only if [`Guest::may_send`].
    SendOne,
    /// A reply arrives.
    Reply {
        /// Answers which command.
        tag: Tag,
        /// The reply.
        reply: Reply,
    },
    /// A timer fires. One that no longer matters is ignored.
    Timer(Timer),
    /// Another node says that it lives.
    Heartbeat {
        /// Who.
        from: NodeId,
        /// Whether it owns the disk.
        owner: bool,
    },
}

/// What a node wants done, in this order.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Effect {
    /// Hand this command to the transport.
    Send {
        /// Under this tag.
        tag: Tag,
        /// The command.
        command: Command,
    },
    /// Fire this timer once after this time, instead of whenever it was to fire before.
    Arm {
        /// Which.
        timer: Timer,
        /// After how long.
        after: Micros,
    },
    /// Do not fire this timer.
    Disarm(Timer),
    /// Tell another node that this one lives.
    Heartbeat {
        /// Whom.
        to: NodeId,
        /// Whether this node owns the disk.
        owner: bool,
    },
    /// Something happened that a trace records.
    Event(Event),
}

/// A guest cluster node.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Guest {
    config: Config,
    quirks: Quirks,
    key: Key,
    /// The session's nexus; the last one's after a disconnection.
    nexus: Option<Nexus>,
    connected: bool,
    phase: Phase,
    /// The arbitration command that has not been answered.
    asked: Option<(Tag, Command)>,
    /// What the owner's current round of key checks is doing.
    round: Round,
    /// The queue waits until READ KEYS has listed this node's key (R9, R11).
    unverified: bool,
    fence_open: bool,
    epoch: Epoch,
    workload: Workload,
    next_tag: u32,
}

impl Guest {
    /// A node that is down until [`Input::Boot`].
    pub fn new(config: Config, quirks: Quirks) -> Guest {
        // Quirk: the key is not derived from the node's number, as on cloned machines.
        let key = if quirks.has(Quirk::SharedKey) { Key(config.key.0 | 0xff) } else { config.key };
        Guest {
            config,
            quirks,
            key,
            nexus: None,
            connected: false,
            phase: Phase::Idle,
            asked: None,
            round: Round::None,
            unverified: false,
            fence_open: false,
            epoch: Epoch(0),
            workload: Workload::new(),
            next_tag: 1,
        }
    }

    /// The same with another first tag, so that the commands of its lives can be told apart.
    #[must_use]
    pub fn with_first_tag(self, tag: Tag) -> Guest {
        Guest { next_tag: tag.0, ..self }
    }

    /// Takes one step.
    pub fn step(&mut self, input: Input, out: &mut Vec<Effect>) {
        match input {
            Input::Boot => {
                out.push(Effect::Arm { timer: Timer::Heartbeat, after: self.config.heartbeat });
            }
            Input::Connected { nexus } => self.connected(nexus, out),
            Input::Disconnected => self.disconnected(out),
            Input::Issue => self.issue(out),
            Input::SendOne => self.send_one(out),
            Input::Reply { tag, reply } => self.reply(tag, reply, out),
            Input::Timer(Timer::Defend) => self.defend(out),
            Input::Timer(Timer::ChallengeWait) => self.wait_over(out),
            Input::Timer(Timer::Silence) => self.challenge(out),
            Input::Timer(Timer::Heartbeat) => self.beat(out),
            Input::Heartbeat { from: _, owner } => {
                // An owner that speaks keeps the others from challenging it.
                if owner && self.phase == Phase::Idle {
                    self.watch_for_silence(out);
                }
            }
        }
    }

    /// Its number.
    pub fn node(&self) -> NodeId {
        self.config.node
    }

    /// Its nexus, once it has logged in.
    pub fn nexus(&self) -> Option<Nexus> {
        self.nexus
    }

    /// Whether its host fence is open.
    pub fn fence_open(&self) -> bool {
        self.fence_open
    }

    /// Whether it owns the disk, as far as it knows.
    pub fn is_owner(&self) -> bool {
        self.phase == Phase::Owner
    }

    /// The number of its tenure, or of its last one.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Whether its workload may issue an operation.
    pub fn may_issue(&self) -> bool {
        self.fence_open && self.workload.queued() < usize::from(self.config.queue_max)
    }

    /// Whether a queued operation may go to the transport.
    pub fn may_send(&self) -> bool {
        self.fence_open
            && self.connected
            && !self.unverified
            && self.workload.queued() > 0
            && self.workload.outstanding() < usize::from(self.config.depth)
    }

    /// Whether it would challenge if the owner were silent (R1).
    pub fn may_challenge(&self) -> bool {
        let drained = self.workload.queued() == 0 || self.quirks.has(Quirk::QueueKeptOnLoss);
        self.connected && self.phase == Phase::Idle && drained
    }

    /// Whether it sits out a challenge wait.
    pub fn waits(&self) -> bool {
        matches!(self.phase, Phase::Waiting { .. })
    }

    /// Whether a passing defend period would begin a round of defence.
    pub fn defends(&self) -> bool {
        self.connected && self.phase == Phase::Owner && self.round == Round::None && self.asked.is_none()
    }

    /// Whether it has a session, as far as it knows.
    pub fn is_connected(&self) -> bool {
        self.connected
    }

    /// Tags of the commands that have not been answered.
    pub fn tags(&self) -> impl Iterator<Item = Tag> + '_ {
        self.asked.iter().map(|(tag, _)| *tag).chain(self.workload.tags())
    }

    /// Commands that have not been answered.
    pub fn outstanding(&self) -> usize {
        self.workload.outstanding() + usize::from(self.asked.is_some())
    }

    /// The canonical form for exploration: tags, epochs and serials renamed, so that states that
    /// differ only in how long the run has lasted become equal. `next_tag` must be greater than every tag in use.
    pub fn rename(
        &mut self,
        mut tag: impl FnMut(Tag) -> Tag,
        mut record: impl FnMut(redline_vocab::Record) -> redline_vocab::Record,
        mut epoch: impl FnMut(Epoch) -> Epoch,
        next_tag: u32,
    ) {
        self.next_tag = next_tag;
        self.epoch = epoch(self.epoch);
        if let Some((asked, _)) = &mut self.asked {
            *asked = tag(*asked);
        }
        self.workload.rename(&mut tag, &mut record);
    }

    fn connected(&mut self, nexus: Nexus, out: &mut Vec<Effect>) {
        self.nexus = Some(nexus);
        self.connected = true;
        match self.phase {
            Phase::Owner => self.verify(out),
            _ => self.watch_for_silence(out),
        }
    }

    /// R11: the outcome of everything outstanding is unknown.
    fn disconnected(&mut self, out: &mut Vec<Effect>) {
        self.connected = false;
        let nexus = self.nexus.expect("a connection that breaks was there");
        if let Some((tag, _)) = self.asked.take() {
            out.push(Effect::Event(Event::Forgotten { nexus, tag }));
        }
        self.workload.forget(|tag| out.push(Effect::Event(Event::Forgotten { nexus, tag })));
        self.round = Round::None;
        match self.phase {
            Phase::Idle => {}
            Phase::Owner => self.unverified = !self.quirks.has(Quirk::ResumeUnverified),
            _ => self.lose(LossReason::Disconnected, out),
        }
    }

    fn reply(&mut self, tag: Tag, reply: Reply, out: &mut Vec<Effect>) {
        let nexus = self.nexus.expect("a reply comes over a session");
        out.push(Effect::Event(Event::Received { nexus, tag, reply: reply.clone() }));
        match self.asked {
            Some((asked, command)) if asked == tag => {
                self.asked = None;
                self.arbitrate(command, reply, out);
            }
            _ => self.operation_answered(tag, reply.status, out),
        }
    }

    /// R8: the fence closes, the queue is dropped, the node is idle.
    fn lose(&mut self, reason: LossReason, out: &mut Vec<Effect>) {
        let node = self.config.node;
        self.phase = Phase::Idle;
        self.round = Round::None;
        self.unverified = false;
        self.asked = None;
        out.push(Effect::Event(Event::Lost { node, reason }));
        self.set_fence(false, out);
        self.workload.disown();
        // Quirk: what was issued in the old tenure waits for the next one.
        if !self.quirks.has(Quirk::QueueKeptOnLoss) {
            let writes = self.workload.drain();
            if writes > 0 {
                out.push(Effect::Event(Event::Drained { node, writes }));
            }
        }
        out.push(Effect::Disarm(Timer::Defend));
        out.push(Effect::Disarm(Timer::ChallengeWait));
        self.watch_for_silence(out);
    }

    fn set_fence(&mut self, open: bool, out: &mut Vec<Effect>) {
        if self.fence_open != open {
            self.fence_open = open;
            out.push(Effect::Event(Event::Fence { node: self.config.node, open }));
        }
    }

    /// Nodes wait a little longer the higher their number, so that they seldom challenge together.
    fn watch_for_silence(&self, out: &mut Vec<Effect>) {
        let stagger = self.config.heartbeat.0 * u64::from(self.config.node.0);
        out.push(Effect::Arm { timer: Timer::Silence, after: Micros(self.config.silence.0 + stagger) });
    }

    fn beat(&self, out: &mut Vec<Effect>) {
        for other in (0..self.config.nodes).map(NodeId).filter(|&other| other != self.config.node) {
            out.push(Effect::Heartbeat { to: other, owner: self.phase == Phase::Owner });
        }
        out.push(Effect::Arm { timer: Timer::Heartbeat, after: self.config.heartbeat });
    }

    fn send(&mut self, command: Command, out: &mut Vec<Effect>) -> Tag {
        let nexus = self.nexus.expect("only a connected node sends");
        let tag = Tag(self.next_tag);
        self.next_tag = self.next_tag.wrapping_add(1);
        out.push(Effect::Event(Event::Sent { nexus, tag, command }));
        out.push(Effect::Send { tag, command });
        tag
    }
}
