//! A guest cluster node as a relation: rules R1-R12 of `docs/arbitration.md`.
//!
//! The idea: the surroundings choose when something reaches the node (a reply, a passed timer, a
//! broken connection, the workload); what the node then does is fixed by the rules. Each stimulus
//! changes the state and adds to a list what the node owes: events, and commands that it sends.
//! Which command an arbitrating node waits for is not stored: it follows from phase and round.
//!
//! Writes carry the tenure in which they were issued. The node never looks at it; `cluster` keeps it.
//!
//! **Deliberately absent:** time, queue sizes, and how many writes the node keeps outstanding.

use redline_vocab::{
    Block, Command, Data, Design, Epoch, Extent, Guard, Held, Key, Lba, LossReason, Nexus, NodeId, PrIn,
    PrOut, PrType, Record, Reply, Serial, ServiceAction, Status, Tag,
};
use serde::{Deserialize, Serialize};

/// Where the node stands in the arbitration; those with a key remember whom they saw holding.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Phase {
    /// R1: neither owns nor wants the disk.
    Idle,
    /// R1: asked who holds.
    Look,
    /// R2, R3: registers; with nobody to preempt it will reserve.
    Register(Option<Key>),
    /// R3: the challenge wait.
    Wait(Key),
    /// R4: asked again who holds.
    LookAgain(Key),
    /// R4: asked whether its own key is still listed.
    CheckKeys(Key),
    /// R4: preempts.
    Preempt(Key),
    /// R4: was refused; asked who holds now.
    LookAfterConflict,
    /// R2: reserves.
    Reserve,
    /// R5: asked whether it holds.
    Confirm,
    /// R6: reads the disk for the first time.
    Mount,
    /// R7: owns the disk.
    Own,
}

/// What the owner's READ KEYS or PREEMPT AND ABORT is for.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Round {
    /// Nothing is under way.
    Quiet,
    /// R7: defends.
    Defend,
    /// R9, R11: verifies before the queue flows.
    Verify,
    /// R7: scrubs the first of these keys; the others follow.
    Scrub(Vec<Key>),
}

/// A write of the workload, or another operation of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Operation {
    /// What is sent.
    pub command: Command,
    /// Rank of the tenure in which a write was issued (see `cluster`; 0 on traces).
    pub tenure: u8,
}

/// What the node owes after a stimulus, in this order.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Owed {
    /// It gives up waiting for this command.
    Forgotten(Tag),
    /// It begins to arbitrate.
    Challenged,
    /// It has lost.
    Lost(LossReason),
    /// Its fence opens or closes.
    Fence(bool),
    /// It drops so many queued writes.
    Drained(u32),
    /// It owns the disk in this epoch.
    Owned(Epoch),
    /// It sends this arbitration command.
    Sent(Command),
}

/// What the node is and knows of itself; does not change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Own {
    /// Its number.
    pub node: NodeId,
    /// The key that it registers with.
    pub key: Key,
    /// The guards that hold.
    pub design: Design,
}

/// One node.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Node {
    /// It runs: it has not crashed.
    pub up: bool,
    /// It is paused.
    pub stalled: bool,
    /// It has logged in and has not noticed a loss of the connection since.
    pub connected: bool,
    /// On which nexus it has logged in last.
    pub nexus: Nexus,
    /// Where it stands.
    pub phase: Phase,
    /// The arbitration command that has not been answered.
    pub asked: Option<Tag>,
    /// What the owner is doing.
    pub round: Round,
    /// R9, R11: the queue does not flow.
    pub unverified: bool,
    /// Whether its host fence is open.
    pub fence: bool,
    /// Number of its tenure.
    pub epoch: Epoch,
    /// The next write is the first of its tenure.
    pub header_due: bool,
    /// Number of its last write.
    pub serial: Serial,
    /// The initiator queue: writes only, oldest first.
    pub queue: Vec<Operation>,
    /// Operations of the workload that were sent and not answered.
    pub outstanding: Vec<(Tag, Operation)>,
    /// Rank of its latest tenure (see `cluster`).
    pub tenure: u8,
}

const HEADER: Extent = Extent { lba: Lba(0), blocks: 1 };
const KIND: PrType = PrType::WriteExclusiveRegistrantsOnly;

impl Node {
    /// A node that has come up with empty memory and is not connected.
    pub fn new(nexus: Nexus) -> Node {
        Node {
            up: true,
            stalled: false,
            connected: false,
            nexus,
            phase: Phase::Idle,
            asked: None,
            round: Round::Quiet,
            unverified: false,
            fence: false,
            epoch: Epoch(0),
            header_due: true,
            serial: Serial(0),
            queue: Vec::new(),
            outstanding: Vec::new(),
            tenure: 0,
        }
    }

    /// Whether it reacts to anything.
    pub fn runs(&self) -> bool {
        self.up && !self.stalled
    }

    /// Whether its workload may issue a write: the fence is open.
    pub fn may_issue(&self) -> bool {
        self.runs() && self.fence
    }

    /// Whether its queue flows.
    pub fn flows(&self) -> bool {
        self.runs() && self.fence && self.connected && !self.unverified
    }

    /// R1: who may challenge.
    pub fn may_challenge(&self, own: &Own) -> bool {
        let drained = self.queue.is_empty() || !own.design.has(Guard::DrainBeforeChallenge);
        self.runs() && self.connected && self.phase == Phase::Idle && drained
    }

    /// R4: whether it sits out a challenge wait.
    pub fn may_end_wait(&self) -> bool {
        self.runs() && self.connected && matches!(self.phase, Phase::Wait(_))
    }

    /// R7: whether a passing defend period begins a round.
    pub fn may_defend(&self) -> bool {
        let idle = self.round == Round::Quiet && self.asked.is_none();
        self.runs() && self.connected && self.phase == Phase::Own && idle
    }

    /// The arbitration command that it waits for, or is about to send.
    pub fn question(&self, own: &Own) -> Option<Command> {
        let of_round = match &self.round {
            Round::Quiet => None,
            Round::Defend | Round::Verify => Some(Command::PrIn(PrIn::ReadKeys)),
            Round::Scrub(keys) => keys.first().map(|victim| preemption(own, *victim)),
        };
        match self.phase {
            Phase::Idle | Phase::Wait(_) | Phase::Own => of_round,
            Phase::Look | Phase::LookAgain(_) | Phase::LookAfterConflict | Phase::Confirm => {
                Some(Command::PrIn(PrIn::ReadReservation))
            }
            Phase::CheckKeys(_) => Some(Command::PrIn(PrIn::ReadKeys)),
            Phase::Register(_) => {
                let mut order = PrOut::new(ServiceAction::RegisterAndIgnoreExistingKey);
                order.service_key = own.key;
                order.aptpl = own.design.has(Guard::Aptpl);
                Some(Command::PrOut(order))
            }
            Phase::Reserve => {
                let mut order = PrOut::new(ServiceAction::Reserve);
                order.key = own.key;
                order.kind = KIND.code();
                Some(Command::PrOut(order))
            }
            Phase::Preempt(victim) => Some(preemption(own, victim)),
            Phase::Mount => Some(Command::Read(HEADER)),
        }
    }

    fn ask(&self, own: &Own, owed: &mut Vec<Owed>) {
        let question = self.question(own).expect("a node that asks is in a phase with a question");
        owed.push(Owed::Sent(question));
    }

    /// R1; the Challenged event is the stimulus itself.
    pub fn challenge(&mut self, own: &Own, owed: &mut Vec<Owed>) {
        self.phase = Phase::Look;
        self.ask(own, owed);
    }

    /// R4.
    pub fn end_wait(&mut self, own: &Own, owed: &mut Vec<Owed>) {
        if let Phase::Wait(seen) = self.phase {
            self.phase = Phase::LookAgain(seen);
            self.ask(own, owed);
        }
    }

    /// R7.
    pub fn defend(&mut self, own: &Own, owed: &mut Vec<Owed>) {
        self.round = Round::Defend;
        self.ask(own, owed);
    }

    /// The workload puts a write into the queue. R6: the first of a tenure goes to block 0.
    pub fn issue(&mut self, extent: Extent, record: Record) {
        self.header_due = false;
        self.serial = record.serial;
        self.queue.push(Operation { command: Command::Write { extent, record }, tenure: self.tenure });
    }

    /// The oldest queued write goes to the transport under this tag.
    pub fn send(&mut self, tag: Tag) -> Operation {
        let operation = self.queue.remove(0);
        self.outstanding.push((tag, operation));
        operation
    }

    /// The node is connected; R11: the owner verifies first.
    pub fn connect(&mut self, own: &Own, nexus: Nexus, owed: &mut Vec<Owed>) {
        self.nexus = nexus;
        self.connected = true;
        if self.phase == Phase::Own {
            self.verify(own, owed);
        }
    }

    /// R11: the node notices that its connection broke.
    pub fn disconnect(&mut self, own: &Own, owed: &mut Vec<Owed>) {
        self.connected = false;
        owed.extend(self.asked.take().map(Owed::Forgotten));
        owed.extend(self.outstanding.iter().map(|(tag, _)| Owed::Forgotten(*tag)));
        let again = self.outstanding.drain(..).map(|(_, operation)| operation).filter(is_write);
        self.queue.splice(0..0, again);
        self.round = Round::Quiet;
        match self.phase {
            Phase::Idle => {}
            Phase::Own => self.unverified = own.design.has(Guard::VerifyBeforeResume),
            _ => self.lose(own, LossReason::Disconnected, owed),
        }
    }

    /// R8.
    fn lose(&mut self, own: &Own, reason: LossReason, owed: &mut Vec<Owed>) {
        self.phase = Phase::Idle;
        self.round = Round::Quiet;
        self.unverified = false;
        self.asked = None;
        self.outstanding.clear();
        owed.push(Owed::Lost(reason));
        self.set_fence(false, owed);
        if own.design.has(Guard::DrainBeforeChallenge) && !self.queue.is_empty() {
            owed.push(Owed::Drained(u32::try_from(self.queue.len()).unwrap_or(u32::MAX)));
            self.queue.clear();
        }
    }

    fn set_fence(&mut self, open: bool, owed: &mut Vec<Owed>) {
        if self.fence != open {
            self.fence = open;
            owed.push(Owed::Fence(open));
        }
    }

    /// R9, R11.
    fn verify(&mut self, own: &Own, owed: &mut Vec<Owed>) {
        if !own.design.has(Guard::VerifyBeforeResume) {
            return;
        }
        self.unverified = true;
        if self.asked.is_none() && self.connected {
            self.round = Round::Verify;
            self.ask(own, owed);
        }
    }

    /// A reply reaches the node. One that it no longer waits for is ignored (R8).
    pub fn receive(&mut self, own: &Own, tag: Tag, reply: &Reply, owed: &mut Vec<Owed>) {
        if self.asked == Some(tag) {
            self.asked = None;
            self.arbitrate(own, reply, owed);
        } else if let Some(at) = self.outstanding.iter().position(|(sent, _)| *sent == tag) {
            let (_, operation) = self.outstanding.remove(at);
            self.answered(own, operation, reply.status, owed);
        }
    }

    /// R8-R10, for the workload's operations.
    fn answered(&mut self, own: &Own, operation: Operation, status: Status, owed: &mut Vec<Owed>) {
        match status {
            Status::Good => {}
            Status::ReservationConflict => self.lose(own, LossReason::Conflict, owed),
            Status::CheckCondition(_) | Status::TaskSetFull | Status::TaskAborted => {
                if is_write(&operation) {
                    self.queue.insert(0, operation);
                }
                if is_attention(status) {
                    self.verify(own, owed);
                }
            }
        }
    }

    fn arbitrate(&mut self, own: &Own, reply: &Reply, owed: &mut Vec<Owed>) {
        let status = reply.status;
        if is_attention(status) {
            // R9: not executed, sent again; the first read only after another confirmation.
            if self.phase == Phase::Mount && own.design.has(Guard::Confirm) {
                self.phase = Phase::Confirm;
            }
            return self.ask(own, owed);
        }
        match self.phase {
            Phase::Idle | Phase::Wait(_) => {}
            Phase::Own => self.round_answered(own, reply, owed),
            Phase::Register(seen) => self.registered(own, status, seen, owed),
            Phase::Reserve => match status {
                Status::ReservationConflict if own.design.has(Guard::PreemptStatus) => {
                    self.lose(own, LossReason::Beaten, owed);
                }
                _ => self.taken(own, status, owed),
            },
            Phase::Preempt(_) => match status {
                Status::ReservationConflict if own.design.has(Guard::PreemptStatus) => {
                    self.go(own, Phase::LookAfterConflict, owed);
                }
                _ => self.taken(own, status, owed),
            },
            Phase::Mount => self.mounted(own, reply, owed),
            Phase::CheckKeys(seen) => match keys(reply) {
                Some(listed) if listed.contains(&own.key) => self.go(own, Phase::Preempt(seen), owed),
                Some(_) => self.lose(own, LossReason::KeyMissing, owed),
                None => self.lose(own, LossReason::NotConfirmed, owed),
            },
            Phase::Look | Phase::LookAgain(_) | Phase::LookAfterConflict | Phase::Confirm => {
                match held(reply) {
                    Some(held) => self.saw(own, held.map(|held| held.key), owed),
                    // R10.
                    None => self.lose(own, LossReason::NotConfirmed, owed),
                }
            }
        }
    }

    /// READ RESERVATION shows this key, or nobody's.
    fn saw(&mut self, own: &Own, holder: Option<Key>, owed: &mut Vec<Owed>) {
        let mine = holder == Some(own.key);
        match (self.phase, holder) {
            (Phase::Look, _) => self.go(own, Phase::Register(holder.filter(|_| !mine)), owed),
            (Phase::LookAgain(seen), Some(key)) if key == seen => self.go(own, Phase::CheckKeys(seen), owed),
            (Phase::LookAgain(_), Some(_)) => self.lose(own, LossReason::HolderChanged, owed),
            (Phase::LookAgain(_) | Phase::LookAfterConflict, None) => self.go(own, Phase::Reserve, owed),
            (Phase::LookAfterConflict, Some(_)) => self.lose(own, LossReason::Beaten, owed),
            (Phase::Confirm, _) if mine => self.go(own, Phase::Mount, owed),
            _ => self.lose(own, LossReason::NotConfirmed, owed),
        }
    }

    fn go(&mut self, own: &Own, phase: Phase, owed: &mut Vec<Owed>) {
        self.phase = phase;
        self.ask(own, owed);
    }

    /// R2, R3.
    fn registered(&mut self, own: &Own, status: Status, seen: Option<Key>, owed: &mut Vec<Owed>) {
        match (status, seen) {
            (Status::Good, None) => self.go(own, Phase::Reserve, owed),
            (Status::Good, Some(seen)) => {
                self.phase = Phase::Wait(seen);
                if !own.design.has(Guard::HostFence) {
                    self.set_fence(true, owed);
                }
            }
            _ => self.lose(own, LossReason::NotConfirmed, owed),
        }
    }

    /// RESERVE or PREEMPT AND ABORT was answered, and not by a conflict that counts.
    fn taken(&mut self, own: &Own, status: Status, owed: &mut Vec<Owed>) {
        if status != Status::Good && own.design.has(Guard::PreemptStatus) {
            return self.lose(own, LossReason::NotConfirmed, owed);
        }
        let next = if own.design.has(Guard::Confirm) { Phase::Confirm } else { Phase::Mount };
        self.go(own, next, owed);
    }

    /// R6.
    fn mounted(&mut self, own: &Own, reply: &Reply, owed: &mut Vec<Owed>) {
        match (reply.status, &reply.data) {
            (Status::Good, Data::Blocks(blocks)) => {
                let found = match blocks.first() {
                    Some(Block::Of(record)) => record.epoch.0,
                    Some(Block::Blank | Block::Corrupt) | None => 0,
                };
                self.phase = Phase::Own;
                self.epoch = Epoch(found.saturating_add(1));
                self.header_due = true;
                owed.push(Owed::Owned(self.epoch));
                self.set_fence(true, owed);
            }
            (Status::ReservationConflict, _) => self.lose(own, LossReason::Conflict, owed),
            (Status::CheckCondition(_), _) => self.lose(own, LossReason::Unreadable, owed),
            _ => self.lose(own, LossReason::NotConfirmed, owed),
        }
    }

    /// R7, R9, R11.
    fn round_answered(&mut self, own: &Own, reply: &Reply, owed: &mut Vec<Owed>) {
        match std::mem::replace(&mut self.round, Round::Quiet) {
            Round::Quiet => {}
            Round::Scrub(keys) => match reply.status {
                Status::Good => self.scrub(own, keys[1..].to_vec(), owed),
                Status::ReservationConflict => self.scrub(own, Vec::new(), owed),
                _ => self.lose(own, LossReason::NotConfirmed, owed),
            },
            round @ (Round::Defend | Round::Verify) => match keys(reply) {
                None => self.lose(own, LossReason::NotConfirmed, owed),
                Some([]) => {
                    self.lose(own, LossReason::TableEmpty, owed);
                    if self.may_challenge(own) {
                        owed.push(Owed::Challenged);
                        self.go(own, Phase::Register(None), owed);
                    }
                }
                Some(listed) if listed.contains(&own.key) => {
                    self.unverified = false;
                    let mut foreign = Vec::new();
                    for key in listed.iter().filter(|key| round == Round::Defend && **key != own.key) {
                        if !foreign.contains(key) {
                            foreign.push(*key);
                        }
                    }
                    self.scrub(own, foreign, owed);
                }
                Some(_) => self.lose(own, LossReason::KeyMissing, owed),
            },
        }
    }

    fn scrub(&mut self, own: &Own, keys: Vec<Key>, owed: &mut Vec<Owed>) {
        if keys.is_empty() {
            // A unit attention during the round may have stopped the queue.
            if self.unverified {
                self.verify(own, owed);
            }
        } else {
            self.round = Round::Scrub(keys);
            self.ask(own, owed);
        }
    }
}

/// R4, R7: how the node takes or keeps the disk from another key.
fn preemption(own: &Own, victim: Key) -> Command {
    let action = if own.design.has(Guard::PreemptAbort) {
        ServiceAction::PreemptAndAbort
    } else {
        ServiceAction::Preempt
    };
    Command::PrOut(PrOut { key: own.key, service_key: victim, kind: KIND.code(), ..PrOut::new(action) })
}

fn is_write(operation: &Operation) -> bool {
    matches!(operation.command, Command::Write { .. })
}

fn is_attention(status: Status) -> bool {
    matches!(status, Status::CheckCondition(sense) if sense.key == 6)
}

fn keys(reply: &Reply) -> Option<&[Key]> {
    match (reply.status, &reply.data) {
        (Status::Good, Data::Keys { keys, .. }) => Some(keys),
        _ => None,
    }
}

fn held(reply: &Reply) -> Option<Option<Held>> {
    match (reply.status, &reply.data) {
        (Status::Good, Data::Reservation { held, .. }) => Some(*held),
        _ => None,
    }
}
