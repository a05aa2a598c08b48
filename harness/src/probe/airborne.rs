//! Writes under way when something ends them: the player's part. `flight` judges what comes of it.

use super::finding::Mismatch;
use super::flight::{Preemption, Write};
use super::judge::attention_in;
use super::medium::{Fate, Medium, landed_late};
use super::player::{ATTENTIONS_MAX, Player, Wrong};
use super::story::{Ending, Flight, How, Order, Reset, Sark, command_words, status_words};
use super::way::{DataOut, Patience, Trouble};
use redline_vocab::{Block, Command, Data, Nexus, Reply, Sense, ServiceAction, Status, Tag};

impl Player<'_> {
    /// Reads the scratch range until something else than a unit attention comes.
    fn read(&mut self, nexus: Nexus, wrong: &mut Wrong) -> Result<Option<Vec<Block>>, Trouble> {
        for _ in 0..ATTENTIONS_MAX {
            let command = Command::Read(self.extent());
            let reply = self.exchange(nexus, &command)?;
            self.tell(nexus, &command, &reply);
            wrong.extend(self.judge.step(nexus, &command, &reply));
            match reply.data {
                Data::Blocks(blocks) => return Ok(Some(blocks)),
                _ if attention_in(reply.status).is_some() => {}
                _ => break,
            }
        }
        Ok(None)
    }

    pub(super) fn fly(&mut self, flight: Flight) -> Result<Wrong, Trouble> {
        let (victim, by) = (self.nexus(flight.victim), self.nexus(flight.by));
        if victim == by {
            return Ok(Vec::new());
        }
        let mut sent = Vec::new();
        for block in 0..u64::from(flight.writes + u8::from(flight.withheld)) {
            let command = self.write(flight.victim, block);
            let withheld = block == u64::from(flight.writes);
            let data = if withheld { DataOut::KeptBack } else { DataOut::AtOnce };
            self.commands += 1;
            let tag = self.way.send(victim, &command, data)?;
            sent.push((tag, Write { command, withheld, status: None }));
            let how = if withheld { ", its data kept back" } else { "" };
            self.log.push(format!("{}: {}{how}", flight.victim, command_words(&command)));
        }
        let preempting = |action| {
            let order = Order { kind: flight.kind, ..Order::new(action) }.naming(Sark::Of(flight.victim));
            Command::PrOut(self.resolved(flight.by, &order))
        };
        let command = match flight.ending {
            Ending::Session(how) => return self.session_ends(flight, how, &sent),
            Ending::Preempt => preempting(ServiceAction::Preempt),
            Ending::PreemptAndAbort => preempting(ServiceAction::PreemptAndAbort),
            Ending::LogicalUnitReset => Command::Manage(Reset::LogicalUnit.function()),
        };
        self.command_ends(flight, command, (victim, by), sent)
    }

    /// Writes meet the end of their session: once the seat is logged in again they have landed or never will.
    fn session_ends(&mut self, flight: Flight, how: How, sent: &[(Tag, Write)]) -> Result<Wrong, Trouble> {
        let by = self.nexus(flight.by);
        let victim = self.nexus(flight.victim);
        for (_, write) in sent {
            let conflicts = self.judge.refuses(victim, &write.command);
            self.wrote(write, if conflicts { Fate::Refused } else { Fate::Unknown });
        }
        let nexus = self.relogin(flight.victim, how)?;
        let mut wrong = self.observe()?;
        let first = self.read(by, &mut wrong)?;
        if let Some(first) = &first {
            wrong.extend(self.medium.read(self.extent(), first));
        }
        self.way.settle()?;
        let second = self.read(by, &mut wrong)?;
        if let (Some(first), Some(second)) = (first, second)
            && first != second
        {
            self.medium.read(self.extent(), &second);
            wrong.push(landed_late(format!("a write under way when its session ends ({})", how.words())));
        }
        wrong.extend(self.drain(nexus)?);
        Ok(wrong)
    }

    fn wrote(&mut self, write: &Write, fate: Fate) {
        if let Command::Write { extent, record } = write.command {
            self.medium.wrote(extent, record, fate);
        }
    }

    /// Writes meet a preemption or a reset.
    fn command_ends(
        &mut self,
        flight: Flight,
        command: Command,
        (victim, by): (Nexus, Nexus),
        sent: Vec<(Tag, Write)>,
    ) -> Result<Wrong, Trouble> {
        let before = self.judge.lun().clone();
        let reply = self.exchange(by, &command)?;
        self.tell(by, &command, &reply);
        let done = reply.status == Status::Good;
        for (_, write) in &sent {
            self.wrote(write, Fate::Unknown);
        }
        // The judge hears of the reads once it has judged the preemption, which needs the answers to the writes.
        let mut reads = Vec::new();
        let first = self.read_unjudged(by, &mut reads)?;
        let mut writes = Vec::new();
        for (tag, write) in &sent {
            if write.withheld {
                self.way.hand_over(victim, *tag)?;
            }
        }
        self.way.settle()?;
        for (tag, write) in sent {
            let answer = self.way.receive(victim, tag, Patience::Short)?;
            let status = answer.map(|reply| reply.status);
            let told = status.map_or_else(|| "no answer".to_owned(), status_words);
            self.log.push(format!("{}: {} -> {told}", flight.victim, command_words(&write.command)));
            writes.push(Write { status, ..write });
        }
        let second = self.read_unjudged(by, &mut reads)?;
        let preemption = Preemption { by, command: &command, reply: &reply };
        let mut wrong: Wrong = self.judge.preempted(victim, &writes, preemption).into_iter().collect();
        self.judge.preempted_cause(preemption, before);
        for reply in &reads {
            let command = Command::Read(self.extent());
            self.tell(by, &command, reply);
            wrong.extend(self.judge.step(by, &command, reply));
        }
        let ended = (done && preemption.is_final()).then(|| preemption.name());
        wrong.extend(self.landed(ended, &writes, first, second));
        wrong.extend(self.observe()?);
        wrong.extend(self.drain(victim)?);
        Ok(wrong)
    }

    /// Reads the scratch range until something else than a unit attention comes. Keeps the replies, to be judged later.
    fn read_unjudged(
        &mut self,
        nexus: Nexus,
        replies: &mut Vec<Reply>,
    ) -> Result<Option<Vec<Block>>, Trouble> {
        for _ in 0..ATTENTIONS_MAX {
            let reply = self.exchange(nexus, &Command::Read(self.extent()))?;
            replies.push(reply.clone());
            match reply.data {
                Data::Blocks(blocks) => return Ok(Some(blocks)),
                _ if attention_in(reply.status).is_some() => {}
                _ => break,
            }
        }
        Ok(None)
    }

    /// What the medium showed right after the preemption, and at the very end.
    fn landed(
        &mut self,
        ended: Option<&'static str>,
        writes: &[Write],
        first: Option<Vec<Block>>,
        second: Option<Vec<Block>>,
    ) -> Option<Mismatch> {
        let (first, second) = (first?, second?);
        let mut wrong = None;
        if let Some(name) = ended.filter(|_| first != second) {
            self.log.push(format!("the medium has changed after GOOD to {name}"));
            wrong = Some(landed_late(format!("a write under way at {name}")));
        }
        for write in writes {
            let Command::Write { extent, record } = write.command else { continue };
            let at = usize::try_from(extent.lba.0 - self.scratch.0).expect("it is in the scratch range");
            let there = second.get(at) == Some(&Block::Of(record));
            let lost = write.status == Some(Status::Good) && !there;
            let refused = write.status.is_some_and(is_refusal) && there;
            if (lost || refused) && wrong.is_none() {
                self.wrote(write, if lost { Fate::Written } else { Fate::Refused });
                wrong = self.medium.read(self.extent(), &second);
            }
        }
        let mut fresh = Medium::default();
        fresh.read(self.extent(), &second);
        self.medium = fresh;
        wrong
    }
}

/// Whether the status says that a write changed nothing.
fn is_refusal(status: Status) -> bool {
    match status {
        Status::ReservationConflict | Status::TaskSetFull => true,
        Status::CheckCondition(Sense { key, .. }) => key == 5 || key == 6,
        Status::Good | Status::TaskAborted => false,
    }
}
