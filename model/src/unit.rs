//! A logical unit with its transport: what is on its way to it and from it.
//!
//! Within a nexus commands and replies keep their order; between nexuses there is none
//! (decisions: RFC 7143 CmdSN). A connection that breaks loses the replies on their way; commands
//! that are on their way have been received and will be taken, unless the nexus is given up first.

use crate::lun::{Due, Lun, Reaction, Rules, Task, is_preempt_and_abort};
use crate::set::Set;
use redline_vocab::{Command, Disposition, Nexus, Reply, Tag};
use serde::{Deserialize, Serialize};

/// A command on its way to the target.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Request {
    /// Its tag.
    pub tag: Tag,
    /// What is asked for.
    pub command: Command,
    /// Rank of the tenure in which a write was issued (see `cluster`; 0 on traces).
    pub tenure: u8,
    /// PREEMPT AND ABORT has answered GOOD since: F1 says that it must not take effect.
    pub doomed: bool,
}

/// Both directions of a nexus.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Wire {
    /// Whether the connection is up.
    pub linked: bool,
    /// On their way to the target, oldest first.
    pub requests: Vec<Request>,
    /// On their way to the initiator, oldest first.
    pub replies: Vec<(Tag, Reply)>,
}

/// The unit and its wires.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Unit {
    /// The unit.
    pub lun: Lun,
    /// By nexus.
    pub wires: Vec<Wire>,
}

impl Unit {
    /// A unit that was just switched on; nobody is connected.
    pub fn new(nexuses: u8) -> Unit {
        Unit { lun: Lun::new(), wires: vec![Wire::default(); usize::from(nexuses)] }
    }

    /// The wire of the nexus.
    pub fn wire(&self, nexus: Nexus) -> &Wire {
        &self.wires[usize::from(nexus.0)]
    }

    /// The wire of the nexus.
    pub fn wire_mut(&mut self, nexus: Nexus) -> &mut Wire {
        &mut self.wires[usize::from(nexus.0)]
    }

    /// An initiator hands a command to the transport. On a broken connection it is lost.
    pub fn send(&mut self, nexus: Nexus, tag: Tag, command: Command, tenure: u8) {
        let wire = self.wire_mut(nexus);
        if wire.linked {
            wire.requests.push(Request { tag, command, tenure, doomed: false });
        }
    }

    /// The oldest command on its way from the nexus, if the target may take it.
    pub fn head(&self, nexus: Nexus) -> Option<&Request> {
        self.wire(nexus).requests.first().filter(|_| self.lun.sessions.has(nexus))
    }

    /// Every way in which the target may take the oldest command of the nexus.
    pub fn reactions(&self, rules: Rules, nexus: Nexus, out: &mut Vec<Reaction>) {
        if let Some(head) = self.head(nexus) {
            self.lun.reactions(rules, nexus, &head.command, out);
        }
    }

    /// The target takes the oldest command of the nexus in this way; adds what it then owes.
    pub fn dispatch(
        &mut self,
        rules: Rules,
        nexus: Nexus,
        reaction: &Reaction,
        due: &mut Vec<Due>,
    ) -> Disposition {
        let request = self.wire_mut(nexus).requests.remove(0);
        let disposition = self.lun.disposition(rules, nexus, reaction);
        let before = self.lun.table;
        self.lun.react(rules, nexus, request.tag, reaction, due);
        if matches!(reaction, Reaction::Admitted(_)) {
            let task = self.lun.tasks.last_mut().expect("it was just let in");
            task.doomed = request.doomed;
            if let crate::lun::Kind::Write { tenure } = &mut task.kind {
                *tenure = request.tenure;
            }
        }
        let after = self.lun.table;
        if before != after {
            self.spare(after.registered().minus(before.registered()), after.reservation.is_none());
        }
        if let Reaction::Done(change) = reaction
            && is_preempt_and_abort(&request.command)
            && disposition != Disposition::Held
        {
            self.doom_transport(change.aborts);
        }
        disposition
    }

    /// F1 holds commands on their way off by the reservation alone: it says nothing about them once
    /// their nexus has registered again, or there is no reservation left.
    fn spare(&mut self, registered_again: Set, free: bool) {
        for (nexus, wire) in (0u8..).map(Nexus).zip(&mut self.wires) {
            if free || registered_again.has(nexus) {
                wire.requests.iter_mut().for_each(|request| request.doomed = false);
            }
        }
        for waiting in &mut self.lun.waiting {
            waiting.aborts = waiting.aborts.minus(registered_again);
        }
    }

    fn doom_transport(&mut self, victims: Set) {
        if self.lun.table.reservation.is_none() {
            return;
        }
        let victims = victims.minus(self.lun.table.registered());
        for (nexus, wire) in (0u8..).map(Nexus).zip(&mut self.wires) {
            if victims.has(nexus) {
                wire.requests.iter_mut().for_each(|request| request.doomed = true);
            }
        }
    }

    /// The back end is done with a task; adds what the target then owes.
    pub fn end(&mut self, task: usize, due: &mut Vec<Due>) -> Task {
        let aborts: Vec<_> = self.lun.waiting.iter().map(|waiting| (waiting.tag, waiting.aborts)).collect();
        let ended = self.lun.end(task, None, due);
        for (tag, victims) in aborts {
            if !self.lun.waiting.iter().any(|waiting| waiting.tag == tag) {
                self.doom_transport(victims);
            }
        }
        ended
    }

    /// A reply is on its way, if there is a way.
    pub fn reply(&mut self, nexus: Nexus, tag: Tag, reply: Reply) {
        let wire = self.wire_mut(nexus);
        if wire.linked {
            wire.replies.push((tag, reply));
        }
    }

    /// The connection of the nexus breaks.
    pub fn cut(&mut self, nexus: Nexus) {
        let wire = self.wire_mut(nexus);
        wire.linked = false;
        wire.replies.clear();
    }

    /// The target gives up the nexus; what was on its way from it is dropped.
    pub fn lose(&mut self, rules: Rules, nexus: Nexus, due: &mut Vec<Due>) {
        self.wire_mut(nexus).requests.clear();
        self.lun.lose(rules, nexus, due);
    }

    /// The initiator logs out; what was on its way either way is dropped.
    pub fn log_out(&mut self, rules: Rules, nexus: Nexus, told: bool, due: &mut Vec<Due>) {
        *self.wire_mut(nexus) = Wire::default();
        self.lun.log_out(rules, nexus, told, due);
    }

    /// A session is established on the nexus. One that was there before must have been lost.
    pub fn login(&mut self, nexus: Nexus) {
        *self.wire_mut(nexus) = Wire { linked: true, ..Wire::default() };
        self.lun.login(nexus);
    }

    /// The target loses power and comes up.
    pub fn power_cycle(&mut self) {
        self.wires.iter_mut().for_each(|wire| *wire = Wire::default());
        self.lun.power_cycle();
    }
}
