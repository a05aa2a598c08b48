//! Drives the fabric along a recorded story: a counterexample of the model, or a trace.
//!
//! The idea: the events of a story say which choices were made (a command was taken, a connection broke) and what came
//! of them. The replay makes the same choices and compares what comes of them. It never improvises: the first
//! thing that the fabric does otherwise ends the replay, and the answer says at which event, what the story
//! has there, and what the fabric did instead.
//!
//! Compared are events without the numbers that only tell how long a run has lasted: tags, serial numbers,
//! epochs, PRgeneration. Neither is what blocks hold, since a story does not say what a power loss took, nor
//! which of several unit attentions comes first, which the standard leaves open.

#[cfg(test)]
mod tests;

use crate::conform::words;
use crate::scenario::{Scenario, quirk_of};
use crate::sim::{Notice, Setup, World, events, raw};
use redline_fabric::guest::Mix;
use redline_properties::monitor::{Panel, Setup as PanelSetup, Violation};
use redline_traces::{Arm, Header, Initiators};
use redline_vocab::{
    Action, Command, Data, Disposition, Epoch, Event, Function, Generation, LossReason, Micros, Nexus,
    NodeId, Quirks, Record, Reply, Sense, Serial, Status, Tag,
};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;

/// Why the fabric does not follow.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// Number of the story's event.
    pub seq: u64,
    /// What the story has there.
    pub wanted: String,
    /// What the fabric did instead, or why it could not.
    pub instead: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at event {} of the story {}; {}", self.seq, self.wanted, self.instead)
    }
}

/// What came of a replay.
#[derive(Clone, Debug)]
pub struct Replay {
    /// Events of the story that the fabric followed.
    pub followed: u64,
    /// Where it stopped following, if it did.
    pub refusal: Option<Refusal>,
    /// What the monitors found in what the fabric did.
    pub violations: Vec<Violation>,
    /// What the fabric did.
    pub events: Vec<Event>,
}

/// The world in which a story is told: that of the model's instances for a counterexample, the scenario's for a trace.
pub fn setup(scenario: &Scenario, header: &Header, quirks: Quirks) -> Arc<Setup> {
    let mut scenario = scenario.clone();
    scenario.cluster.nodes = header.nodes;
    if header.initiators == Initiators::Raw && header.arm != Arm::Exploration {
        return raw::setup(&scenario, quirks);
    }
    if header.arm == Arm::Exploration {
        scenario.array.blocks = header.blocks;
        scenario.array.write_cache = false;
        scenario.cluster.workload.write_blocks = 1;
        scenario.cluster.workload.depth = 8;
        scenario.cluster.workload.queue = 8;
    }
    let mut setup = (*events::setup(&scenario, quirks)).clone();
    if header.arm == Arm::Exploration {
        setup.guests.iter_mut().for_each(|guest| guest.mix = Mix::WRITES_ONLY);
    }
    if header.initiators == Initiators::Raw {
        setup.guests.clear();
    }
    Arc::new(setup)
}

/// Follows a story.
pub fn replay(setup: Arc<Setup>, story: impl IntoIterator<Item = Event>) -> Replay {
    let panel = Panel::new(PanelSetup { nodes: setup.nodes, owner_within: None });
    let mut notices = Vec::new();
    let world = World::new(setup, &mut notices);
    let mut run = Run { world, pending: VecDeque::new(), done: Vec::new(), panel, tags: BTreeMap::new() };
    run.take_note(notices);
    let mut followed = 0;
    let mut refusal = None;
    for event in story {
        if let Err((wanted, instead)) = run.follow(&event) {
            refusal = Some(Refusal { seq: followed + 1, wanted, instead });
            break;
        }
        followed += 1;
    }
    if let (None, Some(more)) = (&refusal, run.pending.front()) {
        let instead = format!("the fabric goes on: {}", clause(more));
        refusal = Some(Refusal { seq: followed + 1, wanted: "the step ends".to_owned(), instead });
    }
    Replay { followed, refusal, violations: run.panel.violations().to_vec(), events: run.done }
}

struct Run {
    world: World,
    /// What the fabric has done and the story has not told yet.
    pending: VecDeque<Event>,
    done: Vec<Event>,
    panel: Panel,
    /// The fabric's tag for the story's.
    tags: BTreeMap<(Nexus, Tag), Tag>,
}

/// What the story has, and what there is instead.
type Differs = (String, String);

impl Run {
    fn take_note(&mut self, notices: Vec<Notice>) {
        for notice in notices {
            if let Notice::Event(event) = notice {
                self.panel.see(self.done.len() as u64 + 1, Micros(0), &event);
                self.done.push(event.clone());
                self.pending.push_back(event);
            }
        }
    }

    fn follow(&mut self, told: &Event) -> Result<(), Differs> {
        if matches!(told, Event::FaultInjected { .. } | Event::FaultHealed { .. }) {
            return Ok(());
        }
        if self.pending.is_empty() {
            self.choose(told)?;
        }
        let Some(done) = self.pending.front() else {
            return Err((clause(told), "the fabric does nothing of the kind".to_owned()));
        };
        if plain(done) != plain(told) {
            return Err((clause(told), format!("instead, {}", clause(done))));
        }
        if let (Event::Sent { nexus, tag, .. }, Event::Sent { tag: told, .. }) = (done, told) {
            self.tags.insert((*nexus, *told), *tag);
        }
        self.pending.pop_front();
        Ok(())
    }

    /// Makes the choice that the event shows.
    fn choose(&mut self, told: &Event) -> Result<(), Differs> {
        match told {
            Event::Issued { node, .. } => self.issue(*node, told),
            Event::Sent { nexus, command, .. } => self.send(*nexus, *command, told),
            Event::Dispatched { nexus, .. } => self.act(Action::Dispatch(*nexus), told),
            Event::Submitted { nexus, tag } => {
                let mine = self.mine(*nexus, *tag);
                let nth = self.world.target().waiting(*nexus).position(|waiting| Some(waiting) == mine);
                self.act(Action::Submit { nexus: *nexus, nth: number(nth) }, told)
            }
            Event::Committed { nexus, tag } => {
                let nth = self.at_back_end(*nexus, *tag);
                self.act(Action::Commit { nexus: *nexus, nth: number(nth) }, told)
            }
            Event::Replied { nexus, tag, reply } => self.answer(*nexus, *tag, reply, told),
            Event::Received { nexus, .. } => self.act(Action::Receive(self.world.node_of(*nexus)), told),
            Event::Forgotten { nexus, .. } => self.act(Action::Login(self.world.node_of(*nexus)), told),
            Event::Lost { node, reason: LossReason::Disconnected } => self.act(Action::Login(*node), told),
            Event::TablePersisted => self.act(Action::Persist, told),
            Event::LoggedIn { node, .. } => self.act(Action::Login(*node), told),
            Event::ConnectionLost { nexus } => self.act(Action::Break(*nexus), told),
            Event::LoggedOut { nexus } => self.act(Action::Logout(*nexus), told),
            Event::NexusLost { nexus } => self.act(Action::Expire(*nexus), told),
            Event::PowerLost => self.act(Action::PowerCycle, told),
            Event::Challenged { node } => self.act(Action::Challenge(*node), told),
            Event::WaitEnded { node } => self.act(Action::WaitOver(*node), told),
            Event::Defended { node } => self.act(Action::Defend(*node), told),
            Event::Stalled { node } => self.act(Action::Stall(*node), told),
            Event::Woke { node } => self.act(Action::Wake(*node), told),
            Event::Crashed { node } => self.act(Action::Crash(*node), told),
            Event::Restarted { node } => self.act(Action::Restart(*node), told),
            Event::Aborted { nexus, tag } => self.end_in_vain(*nexus, *tag, told),
            Event::TableChanged { .. }
            | Event::PoweredOn { .. }
            | Event::Owned { .. }
            | Event::Lost { .. }
            | Event::Fence { .. }
            | Event::Drained { .. }
            | Event::FaultInjected { .. }
            | Event::FaultHealed { .. } => Ok(()),
        }
    }

    fn act(&mut self, action: Action, told: &Event) -> Result<(), Differs> {
        let mut notices = Vec::new();
        match self.world.apply(action, &mut notices) {
            Ok(()) => {
                self.take_note(notices);
                Ok(())
            }
            Err(refused) => Err((clause(told), format!("the fabric cannot: {refused}"))),
        }
    }

    /// The workload's reads and flushes are put into the queue without an event: they may come before the write.
    fn issue(&mut self, node: NodeId, told: &Event) -> Result<(), Differs> {
        for _ in 0..8 {
            self.act(Action::Issue(node), told)?;
            if !self.pending.is_empty() {
                break;
            }
        }
        Ok(())
    }

    fn send(&mut self, nexus: Nexus, command: Command, told: &Event) -> Result<(), Differs> {
        if self.world.setup().guests.is_empty() {
            let command = match command {
                Command::Manage(Function::AbortTask(task)) => {
                    Command::Manage(Function::AbortTask(self.mine(nexus, task).unwrap_or(task)))
                }
                other => other,
            };
            return self.act(Action::Command(nexus, command), told);
        }
        let node = self.world.node_of(nexus);
        let unannounced = matches!(command, Command::Read(_) | Command::SynchronizeCache);
        let mut queued = self.world.clone();
        let mut notices = Vec::new();
        let there = queued.apply(Action::Send(node), &mut notices).is_ok()
            && notices
                .iter()
                .any(|notice| matches!(notice, Notice::Event(event) if plain(event) == plain(told)));
        if unannounced && !there {
            self.act(Action::Issue(node), told)?;
        }
        self.act(Action::Send(node), told)
    }

    /// An answer that nothing announces: a failed I/O.
    fn answer(&mut self, nexus: Nexus, tag: Tag, reply: &Reply, told: &Event) -> Result<(), Differs> {
        match (self.at_back_end(nexus, tag), reply.status) {
            (Some(nth), Status::CheckCondition(sense)) => self.fail(nexus, number(Some(nth)), sense, told),
            _ => Ok(()),
        }
    }

    /// The back end is done with a task in vain: it was no write, or it failed.
    fn end_in_vain(&mut self, nexus: Nexus, tag: Tag, told: &Event) -> Result<(), Differs> {
        let Some(nth) = self.at_back_end(nexus, tag) else { return Ok(()) };
        let commit = Action::Commit { nexus, nth: number(Some(nth)) };
        let mut notices = Vec::new();
        let finished = self.world.clone().apply(commit, &mut notices).is_ok();
        let told_so = |notice: &Notice| matches!(notice, Notice::Event(event) if plain(event) == plain(told));
        if finished && notices.first().is_some_and(told_so) {
            return self.act(commit, told);
        }
        self.fail(nexus, number(Some(nth)), WRITE_ERROR, told)
    }

    fn fail(&mut self, nexus: Nexus, nth: u8, sense: Sense, told: &Event) -> Result<(), Differs> {
        let mut notices = Vec::new();
        match self.world.commit_failing(nexus, nth, sense, &mut notices) {
            Ok(()) => {
                self.take_note(notices);
                Ok(())
            }
            Err(refused) => Err((clause(told), format!("the fabric cannot: {refused}"))),
        }
    }

    fn mine(&self, nexus: Nexus, told: Tag) -> Option<Tag> {
        self.tags.get(&(nexus, told)).copied()
    }

    fn at_back_end(&self, nexus: Nexus, told: Tag) -> Option<usize> {
        let mine = self.mine(nexus, told);
        self.world.target().at_back_end(nexus).position(|running| Some(running) == mine)
    }
}

/// The event in words, without its tag: story and fabric count tags in their own ways.
fn clause(event: &Event) -> String {
    let mut text = words::sentence(event);
    while let Some((start, length)) = text.find(" (tag ").and_then(|at| Some((at, text[at..].find(')')? + 1)))
    {
        text.replace_range(start..start + length, "");
    }
    text
}

/// Nobody hears which error it was.
const WRITE_ERROR: Sense = Sense::WRITE_ERROR;

/// No task of a nexus has this number: the world refuses it.
fn number(nth: Option<usize>) -> u8 {
    nth.and_then(|nth| u8::try_from(nth).ok()).unwrap_or(u8::MAX)
}

/// The event without what is not compared.
pub fn plain(event: &Event) -> Event {
    let mut event = event.clone();
    match &mut event {
        Event::Issued { record, .. } => *record = plain_record(*record),
        Event::Sent { tag, command, .. } => {
            *tag = Tag(0);
            if let Command::Write { record, .. } = command {
                *record = plain_record(*record);
            } else if let Command::Manage(Function::AbortTask(task)) = command {
                *task = Tag(0);
            }
        }
        Event::Dispatched { tag, disposition, .. } => {
            *tag = Tag(0);
            if let Disposition::Answered(status) = disposition {
                *status = plain_status(*status);
            }
        }
        Event::Submitted { tag, .. }
        | Event::Committed { tag, .. }
        | Event::Aborted { tag, .. }
        | Event::Forgotten { tag, .. } => *tag = Tag(0),
        Event::Replied { tag, reply, .. } | Event::Received { tag, reply, .. } => {
            *tag = Tag(0);
            reply.status = plain_status(reply.status);
            match &mut reply.data {
                Data::Keys { generation, .. }
                | Data::Reservation { generation, .. }
                | Data::FullStatus { generation, .. } => *generation = Generation(0),
                Data::Blocks(blocks) => blocks.clear(),
                Data::Nothing | Data::Capabilities(_) | Data::Managed(_) => {}
            }
        }
        Event::TableChanged { view } | Event::PoweredOn { view } => view.generation = Generation(0),
        Event::Owned { epoch, .. } => *epoch = Epoch(0),
        Event::TablePersisted
        | Event::LoggedIn { .. }
        | Event::ConnectionLost { .. }
        | Event::LoggedOut { .. }
        | Event::NexusLost { .. }
        | Event::PowerLost
        | Event::Challenged { .. }
        | Event::WaitEnded { .. }
        | Event::Defended { .. }
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
    event
}

fn plain_record(record: Record) -> Record {
    Record { epoch: Epoch(0), serial: Serial(0), ..record }
}

fn plain_status(status: Status) -> Status {
    match status {
        Status::CheckCondition(sense) if sense.key == 6 => {
            Status::CheckCondition(Sense { key: 6, asc: 0, ascq: 0 })
        }
        other => other,
    }
}

/// The bugs that stand for the guards which the story's design lacks.
pub fn matching_quirks(header: &Header) -> Quirks {
    header.design.relaxed().fold(Quirks::NONE, |quirks, guard| quirks.with(quirk_of(guard)))
}
