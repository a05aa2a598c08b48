//! Writes under way when something ends them: the judge's part.
//!
//! ```text
//! victim: W W W W (W)      sent at once, the last one without its data
//! other:            PREEMPT AND ABORT -> GOOD, READ          READ
//! victim:                                      (data of W)
//! ```
//!
//! Connections are not ordered among each other: the target may have taken any number of the victim's writes before the preemption. The judge
//! tries each number, and for each write that was let in whether it had ended. What the replies leave is lawful.

use super::finding::{self, Aspect, Danger, Mismatch, Signature};
use super::judge::{Judge, World, attention_in, bit, heard, settled};
use super::situation;
use super::story::status_words;
use redline_model::Attention;
use redline_model::lun::{Answer, Due, Reaction, Stage};
use redline_vocab::{Command, Nexus, Reply, ServiceAction, Status, Tag};

/// A write of the victim.
#[derive(Clone, Copy, Debug)]
pub struct Write {
    /// The command.
    pub command: Command,
    /// Its data was kept back until after the preemption.
    pub withheld: bool,
    /// Its answer, if any came.
    pub status: Option<Status>,
}

/// What ends them: a preemption, or a reset.
#[derive(Clone, Copy, Debug)]
pub struct Preemption<'a> {
    /// Whose.
    pub by: Nexus,
    /// PERSISTENT RESERVE OUT, or a task management function.
    pub command: &'a Command,
    /// Its answer.
    pub reply: &'a Reply,
}

impl Preemption<'_> {
    fn action(&self) -> Option<ServiceAction> {
        match self.command {
            Command::PrOut(order) => Some(order.action),
            _ => None,
        }
    }

    /// Whether what it ends must have no effect later.
    pub fn is_final(&self) -> bool {
        match self.command {
            Command::PrOut(order) => order.action == ServiceAction::PreemptAndAbort,
            Command::Manage(_) => true,
            _ => false,
        }
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        match self.command {
            Command::PrOut(order) => order.action.name(),
            Command::Manage(function) => function.name(),
            _ => "",
        }
    }
}

impl Judge {
    /// Writes of the victim met a preemption.
    pub fn preempted(
        &mut self,
        victim: Nexus,
        writes: &[Write],
        preemption: Preemption<'_>,
    ) -> Option<Mismatch> {
        let mut worlds = Vec::new();
        for world in self.worlds() {
            for before in 0..=writes.len() {
                self.raced(world.clone(), victim, writes, preemption, before, &mut worlds);
            }
        }
        if !worlds.is_empty() {
            self.keep(worlds);
            return None;
        }
        // Without the writes: is it the preemption itself that is wrong?
        let wrong = self.step(preemption.by, preemption.command, preemption.reply);
        // Nobody can say what the victim has heard meanwhile.
        let mut loose = self.worlds().to_vec();
        for world in &mut loose {
            let pending = &mut world.lun.pending[usize::from(victim.0)];
            world.maybe[usize::from(victim.0)] |=
                *pending | bit(Attention::CommandsCleared) | bit(Attention::RegistrationsPreempted);
            *pending = 0;
        }
        self.keep(loose);
        if wrong.is_some() || self.open.is_some() {
            wrong
        } else {
            Some(self.wrong_answers(writes, preemption))
        }
    }

    fn wrong_answers(&self, writes: &[Write], preemption: Preemption<'_>) -> Mismatch {
        let aborts = preemption.is_final() && preemption.reply.status == Status::Good;
        let late = writes.iter().any(|write| write.withheld && write.status == Some(Status::Good));
        let answers: Vec<String> = writes
            .iter()
            .map(|write| write.status.map_or_else(|| "no answer".to_owned(), status_words))
            .collect();
        let (expected, got, danger) = if aborts && late {
            let expected = "the write ends without effect";
            (expected, "GOOD, for data that came after the end".to_owned(), Danger::FencedWrite)
        } else {
            let mut kinds = answers;
            kinds.sort();
            kinds.dedup();
            ("answers that some order of events explains", kinds.join(" and "), Danger::Misreports)
        };
        Mismatch {
            signature: Signature {
                situation: format!("writes under way at {}", preemption.name()),
                aspect: if aborts && late { Aspect::Medium } else { Aspect::Status },
                expected: expected.to_owned(),
                got,
            },
            danger,
            clause: if aborts { finding::ABORT } else { finding::CONFLICTS },
        }
    }

    /// The target took the first `before` writes ahead of the preemption.
    fn raced(
        &self,
        world: World,
        victim: Nexus,
        writes: &[Write],
        preemption: Preemption<'_>,
        before: usize,
        out: &mut Vec<World>,
    ) {
        let mut worlds = vec![world];
        for (tag, write) in (1..).map(Tag).zip(&writes[..before]) {
            worlds = worlds.iter().flat_map(|world| self.taken(world, victim, tag, write, true)).collect();
        }
        let mut next = Vec::new();
        for world in &worlds {
            self.preempting(world, preemption, &mut next);
        }
        next = next.into_iter().filter_map(|world| Self::ended(world, victim, &writes[..before])).collect();
        for (tag, write) in (1..).map(Tag).zip(writes).skip(before) {
            next = next.iter().flat_map(|world| self.taken(world, victim, tag, write, false)).collect();
        }
        out.extend(next);
    }

    /// What was let in before the preemption and was not aborted ends now, with GOOD.
    fn ended(mut world: World, victim: Nexus, writes: &[Write]) -> Option<World> {
        for (tag, write) in (1..).map(Tag).zip(writes) {
            if let Some(task) = world.lun.task(victim, tag, Stage::TaskSet) {
                world.lun.submit(task);
                world.lun.end(task, None, &mut Vec::new());
                if write.status != Some(Status::Good) {
                    return None;
                }
            }
        }
        Some(world)
    }

    /// The target takes a write; its answer is as it was. Ahead of the preemption one that was let in may stay under way.
    fn taken(&self, world: &World, victim: Nexus, tag: Tag, write: &Write, ahead: bool) -> Vec<World> {
        let mut out = Vec::new();
        out.extend(write.status.and_then(|status| heard(world, victim, status)));
        // No answer says nothing about what is pending.
        let settled = settled(world, victim, write.status.unwrap_or(Status::ReservationConflict));
        {
            let mut reactions = Vec::new();
            settled.lun.reactions(self.rules(), victim, &write.command, &mut reactions);
            for reaction in &reactions {
                let mut next = settled.clone();
                let mut due = Vec::new();
                next.lun.react(self.rules(), victim, tag, reaction, &mut due);
                if matches!(reaction, Reaction::Admitted(_)) {
                    // GOOD to a write whose data came only after the preemption: it is still under way then.
                    if ahead && (write.withheld || write.status != Some(Status::Good)) {
                        out.push(next);
                        continue;
                    }
                    let task = next.lun.tasks.len() - 1;
                    next.lun.submit(task);
                    next.lun.end(task, None, &mut due);
                }
                let owed = due.iter().find_map(|due| match due {
                    Due::Replied(_, _, Answer::Status(status)) => Some(*status),
                    _ => None,
                });
                // Which news exactly a write has met is judged where nothing else is under way.
                let news =
                    |status: Option<Status>| status.is_some_and(|status| attention_in(status).is_some());
                if owed.is_some() && (owed == write.status || news(owed) && news(write.status)) {
                    out.push(next);
                }
            }
        }
        out
    }

    fn preempting(&self, world: &World, preemption: Preemption<'_>, out: &mut Vec<World>) {
        out.extend(heard(world, preemption.by, preemption.reply.status));
        let settled = settled(world, preemption.by, preemption.reply.status);
        {
            let mut reactions = Vec::new();
            settled.lun.reactions(self.rules(), preemption.by, preemption.command, &mut reactions);
            for reaction in &reactions {
                let mut next = settled.clone();
                let mut due = Vec::new();
                next.lun.react(self.rules(), preemption.by, Tag(0), reaction, &mut due);
                let fits = due.iter().any(|due| {
                    matches!(due, Due::Replied(_, Tag(0), answer) if next.lun.answers(*answer, preemption.reply))
                });
                if fits {
                    out.push(next);
                }
            }
        }
    }

    /// The preemption's place among the causes of what comes later.
    pub fn preempted_cause(&mut self, preemption: Preemption<'_>, before: redline_model::lun::Lun) {
        let situation = situation::of(&before, preemption.by, preemption.command);
        self.caused(situation, preemption.by, before);
        if let Some(cause) = self.causes.last_mut() {
            cause.action = preemption.action();
            cause.status = preemption.reply.status;
        }
    }
}
