//! Task management: ending commands, and resets (SAM-5 clause 7).
//!
//! A function is carried out when it is taken from the transport. What waits in the task set is dropped; what the back
//! end has goes on without anybody who would hear of it, and the function is answered when that is over: the
//! answer says that nothing of what was ended can have an effect any more. Registrations and reservation are no
//! business of a reset (SPC-4 5.7.1); the legacy reservation ends with it.

use super::port::Stage;
use super::{Effect, HeldAnswer, Target, drop_tasks};
use alloc::vec::Vec;
use redline_vocab::{Data, Disposition, Event, Function, Managed, Nexus, Quirk, Reply, Sense, Status, Tag};

/// Whose commands a function ends, and who is told what.
enum Reach {
    /// One command.
    One(Tag),
    /// All of the sender.
    Own,
    /// All of everybody; other nexuses that lose commands hear of it.
    Everybody,
    /// All of everybody, and every nexus hears of the reset.
    Reset(Sense),
}

const fn reach(function: Function) -> Reach {
    match function {
        Function::AbortTask(task) => Reach::One(task),
        Function::AbortTaskSet => Reach::Own,
        Function::ClearTaskSet => Reach::Everybody,
        Function::LogicalUnitReset => Reach::Reset(Sense::BUS_DEVICE_RESET),
        Function::TargetWarmReset | Function::TargetColdReset => Reach::Reset(Sense::SCSI_BUS_RESET),
    }
}

const fn answer(managed: Managed) -> Reply {
    Reply { status: Status::Good, data: Data::Managed(managed) }
}

/// After all answers of a step: the others are owed as well.
pub(super) fn drop_connections(given: &[HeldAnswer], out: &mut Vec<Effect>) {
    if given.iter().any(|held| held.function == Some(Function::TargetColdReset)) {
        out.push(Effect::DropConnections);
    }
}

impl Target {
    /// Carries a task management function out.
    pub(super) fn manage(&mut self, nexus: Nexus, tag: Tag, function: Function, out: &mut Vec<Effect>) {
        let mut ended = Vec::new();
        let mut waits_for = Vec::new();
        match reach(function) {
            Reach::One(task) => {
                if !self.end_one(nexus, task, &mut waits_for, &mut ended) {
                    return self.respond(nexus, tag, answer(Managed::NoSuchTask), out);
                }
            }
            Reach::Own => self.end_all(nexus, &mut waits_for, &mut ended),
            Reach::Everybody => {
                for victim in self.nexuses() {
                    if victim != nexus && self.has_commands(victim) {
                        self.port(victim).attend(Sense::COMMANDS_CLEARED);
                    }
                    self.end_all(victim, &mut waits_for, &mut ended);
                }
            }
            Reach::Reset(sense) => {
                for victim in self.nexuses() {
                    if self.port(victim).known {
                        self.port(victim).attend(sense);
                    }
                    self.end_all(victim, &mut waits_for, &mut ended);
                }
                self.legacy = None;
            }
        }
        let held = !waits_for.is_empty() && !self.quirks.has(Quirk::ResetBeforeQuiet);
        let disposition = if held { Disposition::Held } else { Disposition::Answered(Status::Good) };
        out.push(Effect::Event(Event::Dispatched { nexus, tag, disposition }));
        out.append(&mut ended);
        if matches!(reach(function), Reach::Reset(_)) && self.quirks.has(Quirk::ResetClearsRegistrations) {
            let before = self.view();
            self.table.forget_everybody();
            self.publish(&before, out);
        }
        let held_answer = HeldAnswer { nexus, tag, function: Some(function), waits_for };
        if held {
            self.held.push(held_answer);
        } else {
            self.give(&held_answer, out);
            drop_connections(&[held_answer], out);
        }
    }

    /// Gives an answer that nothing stands in the way of any more.
    pub(super) fn give(&mut self, held: &HeldAnswer, out: &mut Vec<Effect>) {
        let reply = match held.function {
            None => Reply::of(Status::Good),
            Some(_) => answer(Managed::Complete),
        };
        self.reply(held.nexus, held.tag, reply, out);
    }

    fn nexuses(&self) -> impl Iterator<Item = Nexus> + use<> {
        let count = u16::try_from(self.ports.len()).expect("ports are indexed by a u8");
        (0..count).map(|nexus| Nexus(u8::try_from(nexus).expect("ports are indexed by a u8")))
    }

    /// Whether somebody on this nexus still waits for the answer to a command.
    fn has_commands(&mut self, nexus: Nexus) -> bool {
        let holds = self.held.iter().any(|held| held.nexus == nexus && held.function.is_none());
        holds || self.port(nexus).tasks.iter().any(|task| task.wanted)
    }

    /// Ends one command of the nexus. `false` if there is none with this tag.
    fn end_one(
        &mut self,
        nexus: Nexus,
        task: Tag,
        waits_for: &mut Vec<(Nexus, Tag)>,
        ended: &mut Vec<Effect>,
    ) -> bool {
        if self.end_held(nexus, |held| held.tag == task, ended) {
            return true;
        }
        let barrier = !self.quirks.has(Quirk::ResetBeforeQuiet);
        let port = self.port(nexus);
        let Some(at) = port.find(task) else { return false };
        if port.tasks[at].stage == Stage::TaskSet {
            port.tasks.remove(at);
            ended.push(Effect::Event(Event::Aborted { nexus, tag: task }));
        } else {
            let running = &mut port.tasks[at];
            running.wanted = false;
            running.condemned |= barrier && running.work.changes();
            waits_for.push((nexus, task));
        }
        true
    }

    /// Ends every command of the nexus.
    fn end_all(&mut self, nexus: Nexus, waits_for: &mut Vec<(Nexus, Tag)>, ended: &mut Vec<Effect>) {
        self.end_held(nexus, |_| true, ended);
        let barrier = !self.quirks.has(Quirk::ResetBeforeQuiet);
        let port = self.port(nexus);
        drop_tasks(port, nexus, ended);
        waits_for.extend(port.tasks.iter().map(|task| (nexus, task.tag)));
        for task in &mut port.tasks {
            task.condemned |= barrier && task.work.changes();
        }
    }

    /// Ends PREEMPT AND ABORT commands of the nexus that wait for the back end: what they have changed stays changed.
    /// Functions are no commands and are answered all the same.
    fn end_held(
        &mut self,
        nexus: Nexus,
        which: impl Fn(&HeldAnswer) -> bool,
        ended: &mut Vec<Effect>,
    ) -> bool {
        let before = self.held.len();
        self.held.retain(|held| {
            let goes = held.nexus == nexus && held.function.is_none() && which(held);
            if goes {
                ended.push(Effect::Event(Event::Aborted { nexus, tag: held.tag }));
            }
            !goes
        });
        self.held.len() < before
    }
}
