//! The program of rules R1-R7: which question comes next, and what an answer means.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use redline_vocab::{
    Block, Command, Data, Epoch, Event, Extent, Held, Key, Lba, LossReason, PrIn, PrOut, PrType, Quirk,
    Reply, ServiceAction, Status,
};

use super::{Effect, Guest, Timer};

/// Where a node stands in the arbitration. Named after the answer it waits for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) enum Phase {
    /// It neither owns nor wants the disk.
    Idle,
    /// R1: who holds the reservation?
    Looking,
    /// R2, R3: its registration; `seen` is the key to preempt later, if somebody holds.
    Registering { seen: Option<Key> },
    /// R3: the challenge wait.
    Waiting { seen: Key },
    /// R4: does the same node still hold?
    LookingAgain { seen: Key },
    /// R4: is its own key still there?
    CheckingKeys { seen: Key },
    /// R2: RESERVE.
    Reserving,
    /// R4: PREEMPT AND ABORT.
    Preempting,
    /// R4: PREEMPT was refused; who holds now?
    LookingAfterConflict,
    /// R5: is it the holder?
    Confirming,
    /// R6: its first read of the disk.
    Mounting,
    /// R7: it owns the disk.
    Owner,
}

/// What the owner's arbitration command is for.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) enum Round {
    /// Nothing is under way.
    None,
    /// R7: READ KEYS of a defence; foreign keys will be scrubbed.
    Defence,
    /// R9, R11: READ KEYS before the queue may flow again.
    Verification,
    /// R7: PREEMPT AND ABORT of one foreign key after the other.
    Scrub {
        /// The keys still to be scrubbed.
        rest: VecDeque<Key>,
    },
}

const HEADER: Extent = Extent { lba: Lba(0), blocks: 1 };
const KIND: PrType = PrType::WriteExclusiveRegistrantsOnly;

impl Guest {
    /// R1.
    pub(super) fn challenge(&mut self, out: &mut Vec<Effect>) {
        if !self.may_challenge() {
            return;
        }
        out.push(Effect::Event(Event::Challenged { node: self.config.node }));
        self.phase = Phase::Looking;
        self.ask(Command::PrIn(PrIn::ReadReservation), out);
    }

    /// R4.
    pub(super) fn wait_over(&mut self, out: &mut Vec<Effect>) {
        let Phase::Waiting { seen } = self.phase else { return };
        if !self.connected {
            return;
        }
        out.push(Effect::Event(Event::WaitEnded { node: self.config.node }));
        self.phase = Phase::LookingAgain { seen };
        self.ask(Command::PrIn(PrIn::ReadReservation), out);
    }

    /// R7.
    pub(super) fn defend(&mut self, out: &mut Vec<Effect>) {
        if self.phase != Phase::Owner {
            return;
        }
        out.push(Effect::Arm { timer: Timer::Defend, after: self.config.defend });
        if !self.defends() {
            return;
        }
        out.push(Effect::Event(Event::Defended { node: self.config.node }));
        self.round = Round::Defence;
        self.ask(Command::PrIn(PrIn::ReadKeys), out);
    }

    /// R9, R11: the queue stays still until the target has said that this node is registered.
    pub(super) fn verify(&mut self, out: &mut Vec<Effect>) {
        if self.quirks.has(Quirk::ResumeUnverified) {
            return;
        }
        self.unverified = true;
        if self.asked.is_none() && self.connected {
            self.round = Round::Verification;
            self.ask(Command::PrIn(PrIn::ReadKeys), out);
        }
    }

    fn ask(&mut self, command: Command, out: &mut Vec<Effect>) {
        debug_assert!(self.asked.is_none(), "one arbitration command at a time");
        let tag = self.send(command, out);
        self.asked = Some((tag, command));
    }

    /// An arbitration command was answered.
    pub(super) fn arbitrate(&mut self, command: Command, reply: Reply, out: &mut Vec<Effect>) {
        let Reply { status, data } = reply;
        // R9: not executed, so it is asked again.
        if let Status::CheckCondition(sense) = status
            && sense.key == 6
        {
            // The attention may say that this node was preempted, and the reservation lets it read all the same.
            if self.phase == Phase::Mounting && !self.quirks.has(Quirk::ConfirmSkipped) {
                return self.confirm(out);
            }
            return self.ask(command, out);
        }
        match self.phase {
            Phase::Idle | Phase::Waiting { .. } => {}
            Phase::Looking => match reservation(status, &data) {
                None => self.lose(LossReason::NotConfirmed, out),
                Some(held) => {
                    let seen = held.map(|held| held.key).filter(|&key| key != self.key);
                    self.register(seen, out);
                }
            },
            Phase::Registering { seen } => self.registered(status, seen, out),
            Phase::LookingAgain { seen } => match reservation(status, &data) {
                None => self.lose(LossReason::NotConfirmed, out),
                Some(None) => self.reserve(out),
                Some(Some(held)) if held.key == seen => {
                    self.phase = Phase::CheckingKeys { seen };
                    self.ask(Command::PrIn(PrIn::ReadKeys), out);
                }
                Some(Some(_)) => self.lose(LossReason::HolderChanged, out),
            },
            Phase::CheckingKeys { seen } => match keys(status, &data) {
                None => self.lose(LossReason::NotConfirmed, out),
                Some(keys) if keys.contains(&self.key) => {
                    self.phase = Phase::Preempting;
                    let order = self.preemption_of(seen);
                    self.ask(Command::PrOut(order), out);
                }
                Some(_) => self.lose(LossReason::KeyMissing, out),
            },
            Phase::Reserving => self.taken_over(status, LossReason::Beaten, out),
            Phase::Preempting => {
                if status == Status::ReservationConflict && !self.quirks.has(Quirk::TakeoverStatusIgnored) {
                    self.phase = Phase::LookingAfterConflict;
                    return self.ask(Command::PrIn(PrIn::ReadReservation), out);
                }
                self.taken_over(status, LossReason::NotConfirmed, out);
            }
            Phase::LookingAfterConflict => match reservation(status, &data) {
                None => self.lose(LossReason::NotConfirmed, out),
                Some(None) => self.reserve(out),
                Some(Some(_)) => self.lose(LossReason::Beaten, out),
            },
            Phase::Confirming => match reservation(status, &data) {
                Some(Some(held)) if held.key == self.key => self.mount(out),
                _ => self.lose(LossReason::NotConfirmed, out),
            },
            Phase::Mounting => self.mounted(status, &data, out),
            Phase::Owner => self.round_answered(status, &data, out),
        }
    }

    /// R2, R3, R12.
    fn register(&mut self, seen: Option<Key>, out: &mut Vec<Effect>) {
        let mut order = PrOut::new(ServiceAction::RegisterAndIgnoreExistingKey);
        order.service_key = self.key;
        order.aptpl = !self.quirks.has(Quirk::AptplNotSet);
        self.phase = Phase::Registering { seen };
        self.ask(Command::PrOut(order), out);
    }

    fn registered(&mut self, status: Status, seen: Option<Key>, out: &mut Vec<Effect>) {
        if status != Status::Good {
            return self.lose(LossReason::NotConfirmed, out);
        }
        match seen {
            None => self.reserve(out),
            Some(seen) => {
                self.phase = Phase::Waiting { seen };
                out.push(Effect::Arm { timer: Timer::ChallengeWait, after: self.config.challenge_wait });
                // Quirk: being registered is mistaken for being allowed to write.
                if self.quirks.has(Quirk::FenceOpenWhileChallenging) {
                    self.set_fence(true, out);
                }
            }
        }
    }

    fn reserve(&mut self, out: &mut Vec<Effect>) {
        let mut order = PrOut::new(ServiceAction::Reserve);
        order.key = self.key;
        order.kind = KIND.code();
        self.phase = Phase::Reserving;
        self.ask(Command::PrOut(order), out);
    }

    fn preemption_of(&self, victim: Key) -> PrOut {
        // Quirk: commands of the victim that the target has let in go on.
        let plain = self.quirks.has(Quirk::PlainPreempt);
        let action = if plain { ServiceAction::Preempt } else { ServiceAction::PreemptAndAbort };
        PrOut { key: self.key, service_key: victim, kind: KIND.code(), ..PrOut::new(action) }
    }

    /// RESERVE or PREEMPT was answered.
    fn taken_over(&mut self, status: Status, otherwise: LossReason, out: &mut Vec<Effect>) {
        if status != Status::Good && !self.quirks.has(Quirk::TakeoverStatusIgnored) {
            let beaten = status == Status::ReservationConflict;
            return self.lose(if beaten { otherwise } else { LossReason::NotConfirmed }, out);
        }
        // Quirk: GOOD is taken for ownership.
        if self.quirks.has(Quirk::ConfirmSkipped) {
            return self.mount(out);
        }
        self.confirm(out);
    }

    /// R5.
    fn confirm(&mut self, out: &mut Vec<Effect>) {
        self.phase = Phase::Confirming;
        self.ask(Command::PrIn(PrIn::ReadReservation), out);
    }

    /// R6.
    fn mount(&mut self, out: &mut Vec<Effect>) {
        self.phase = Phase::Mounting;
        self.ask(Command::Read(HEADER), out);
    }

    fn mounted(&mut self, status: Status, data: &Data, out: &mut Vec<Effect>) {
        let found = match (status, data) {
            (Status::Good, Data::Blocks(blocks)) => match blocks.first() {
                Some(Block::Of(record)) => record.epoch,
                Some(Block::Blank | Block::Corrupt) | None => Epoch(0),
            },
            (Status::ReservationConflict, _) => return self.lose(LossReason::Conflict, out),
            (Status::CheckCondition(_), _) => return self.lose(LossReason::Unreadable, out),
            _ => return self.lose(LossReason::NotConfirmed, out),
        };
        self.phase = Phase::Owner;
        self.epoch = Epoch(found.0.saturating_add(1));
        self.workload.new_tenure();
        out.push(Effect::Event(Event::Owned { node: self.config.node, epoch: self.epoch }));
        self.set_fence(true, out);
        out.push(Effect::Disarm(Timer::Silence));
        out.push(Effect::Arm { timer: Timer::Defend, after: self.config.defend });
    }

    /// R7, R9, R11: an arbitration command of the owner was answered.
    fn round_answered(&mut self, status: Status, data: &Data, out: &mut Vec<Effect>) {
        match core::mem::replace(&mut self.round, Round::None) {
            Round::None => {}
            Round::Defence => self.keys_read(status, data, true, out),
            Round::Verification => self.keys_read(status, data, false, out),
            Round::Scrub { rest } => match status {
                Status::Good => self.scrub(rest, out),
                Status::ReservationConflict => self.round_over(out),
                Status::CheckCondition(_) | Status::TaskAborted | Status::TaskSetFull => {
                    self.lose(LossReason::NotConfirmed, out);
                }
            },
        }
    }

    fn keys_read(&mut self, status: Status, data: &Data, scrub: bool, out: &mut Vec<Effect>) {
        let Some(listed) = keys(status, data) else { return self.lose(LossReason::NotConfirmed, out) };
        if listed.is_empty() {
            self.lose(LossReason::TableEmpty, out);
            if self.may_challenge() {
                out.push(Effect::Event(Event::Challenged { node: self.config.node }));
                self.register(None, out);
            }
            return;
        }
        if !listed.contains(&self.key) {
            return self.lose(LossReason::KeyMissing, out);
        }
        self.unverified = false;
        let mut foreign = VecDeque::new();
        for &key in listed.iter().filter(|&&key| scrub && key != self.key) {
            if !foreign.contains(&key) {
                foreign.push_back(key);
            }
        }
        self.scrub(foreign, out);
    }

    fn scrub(&mut self, mut rest: VecDeque<Key>, out: &mut Vec<Effect>) {
        let Some(victim) = rest.pop_front() else { return self.round_over(out) };
        let order = self.preemption_of(victim);
        self.round = Round::Scrub { rest };
        self.ask(Command::PrOut(order), out);
    }

    /// A unit attention during the round may have asked for a verification.
    fn round_over(&mut self, out: &mut Vec<Effect>) {
        if self.unverified {
            self.verify(out);
        }
    }
}

/// The answer to READ RESERVATION; `None` if it was not answered.
fn reservation(status: Status, data: &Data) -> Option<Option<Held>> {
    match (status, data) {
        (Status::Good, Data::Reservation { held, .. }) => Some(*held),
        _ => None,
    }
}

/// The answer to READ KEYS; `None` if it was not answered.
fn keys(status: Status, data: &Data) -> Option<&[Key]> {
    match (status, data) {
        (Status::Good, Data::Keys { keys, .. }) => Some(keys),
        _ => None,
    }
}
