//! The guest cluster model, as something that can be checked and told.

use super::{Step, Subject, Terms};
use crate::conform::words;
use crate::scenario::Scenario;
use redline_model::cluster::{Cluster, KINDS, Move, State};
use redline_traces::export::managed_phrase;
use redline_traces::export::reason_phrase;
use redline_traces::{Arm, Header, Initiators, Visibility};
use redline_vocab::{Action, Command, Data, Design, Disposition, Event, Quirks, Reply};

impl Subject for Cluster {
    fn kinds(&self) -> Vec<&'static str> {
        KINDS.to_vec()
    }

    fn kind(action: &Move) -> usize {
        action.kind()
    }

    fn tell(&self, before: &State, action: &Move) -> Step {
        let (choices, events) = self.events(before, *action);
        let question = match action {
            Move::Exchange(node) => self.question(before, *node),
            Move::Single(..) | Move::Write(_) | Move::Land(_) | Move::Timeout(_) => None,
        };
        Step { text: tell(*action, question.as_ref(), &events), choices, events }
    }
}

/// When the cluster counts as recovered: a node owns the disk by effect, or all nodes are down.
pub fn recovery_terms() -> Terms<Cluster> {
    Terms { fault: Move::is_fault, goal: |cluster, state| cluster.has_owner(state) || cluster.is_dead(state) }
}

/// The header of a trace that tells a counterexample of the scenario without some guards.
pub fn story_header(scenario: &Scenario, design: Design, nodes: u8, nexuses: u8) -> Header {
    Header {
        redline: env!("CARGO_PKG_VERSION").to_owned(),
        arm: Arm::Exploration,
        visibility: Visibility::Internal,
        initiators: Initiators::Guests,
        scenario: scenario.name.clone(),
        seed: String::new(),
        nodes,
        nexuses,
        blocks: 1,
        keys: scenario.keys().into_iter().take(usize::from(nodes)).collect(),
        design,
        quirks: Quirks::NONE,
    }
}

/// One line for people: what was chosen, what came of it.
fn tell(action: Move, question: Option<&Command>, events: &[Event]) -> String {
    let mut text = match action {
        Move::Exchange(node) => format!("{node} {}", exchange(question, events)),
        Move::Write(node) => format!("{node} issues a write, which goes into the transport"),
        Move::Timeout(node) => {
            format!("{node} gets no answer to an aborted command and drops its connection")
        }
        Move::Land(nexus) => format!("the task of {nexus} goes to the back end and takes effect"),
        Move::Single(action, _) => single(action, events),
    };
    for event in events {
        text += &match event {
            Event::Owned { node, .. } => format!("; {node} owns the disk"),
            Event::Lost { node, reason } => {
                format!("; {node} has lost the disk ({})", reason_phrase(*reason))
            }
            Event::Fence { node, open: true } => format!("; the host fence of {node} opens"),
            Event::Aborted { nexus, .. } => format!("; the command of {nexus} is aborted"),
            _ => continue,
        };
    }
    text
}

/// The question that was answered last, and its answer.
fn exchange(question: Option<&Command>, events: &[Event]) -> String {
    let answer = events.iter().rev().find_map(|event| match event {
        Event::Received { reply, .. } => Some(answer(reply)),
        _ => None,
    });
    let taken = events.iter().filter(|event| matches!(event, Event::Received { .. })).count();
    let again = if taken > 1 { ", again after a unit attention" } else { "" };
    let question = question.map(words::command_words).unwrap_or_default();
    format!("sends {question}{again}: {}", answer.unwrap_or_default())
}

/// A reply without numbers that only tell how long the run has lasted.
fn answer(reply: &Reply) -> String {
    match &reply.data {
        Data::Keys { keys, .. } => {
            let keys: Vec<String> = keys.iter().map(|key| format!("{:#x}", key.0)).collect();
            format!("lists [{}]", keys.join(", "))
        }
        Data::Reservation { held: None, .. } => "nobody holds".to_owned(),
        Data::Reservation { held: Some(held), .. } => {
            format!("{} held with {}", held.kind.short(), held.key)
        }
        Data::Blocks(_) => "GOOD".to_owned(),
        Data::Nothing | Data::Capabilities(_) | Data::FullStatus { .. } => reply.status.to_string(),
        Data::Managed(managed) => managed_phrase(*managed).to_owned(),
    }
}

pub(super) fn single(action: Action, events: &[Event]) -> String {
    let first = |found: &dyn Fn(&Event) -> Option<String>| events.iter().find_map(found).unwrap_or_default();
    match action {
        Action::Issue(node) => format!("{node} issues a write"),
        Action::Send(node) => format!("the oldest queued write of {node} goes into the transport"),
        Action::Command(nexus, command) => format!("{nexus} sends {}", words::command_words(&command)),
        Action::Dispatch(nexus) => {
            let what = first(&|event| match event {
                Event::Dispatched { disposition: Disposition::Answered(status), .. } => {
                    Some(format!("answers {status}"))
                }
                Event::Dispatched { disposition: Disposition::Enabled, .. } => {
                    Some("puts it into the task set".to_owned())
                }
                Event::Dispatched { disposition: Disposition::Held, .. } => {
                    Some("changes the table, and holds GOOD back until the back end is quiet".to_owned())
                }
                _ => None,
            });
            format!("the target takes the oldest command of {nexus} and {what}")
        }
        Action::Submit { nexus, .. } => format!("a task of {nexus} goes to the back end"),
        Action::Commit { nexus, .. } => format!("a task of {nexus} takes effect"),
        Action::Receive(node) => {
            let what = first(&|event| match event {
                Event::Received { reply, .. } => Some(answer(reply)),
                _ => None,
            });
            format!("{node} receives a reply: {what}")
        }
        Action::Challenge(node) => format!("{node} begins to arbitrate"),
        Action::WaitOver(node) => format!("the challenge wait of {node} is over"),
        Action::Defend(node) => format!("the defend period of {node} has passed"),
        Action::Stall(node) => format!("{node} is paused"),
        Action::Wake(node) => format!("{node} goes on"),
        Action::Crash(node) => format!("{node} crashes"),
        Action::Restart(node) => format!("{node} comes up again"),
        Action::Break(nexus) => format!("the connection of {nexus} breaks"),
        Action::Expire(nexus) => format!("the target gives {nexus} up"),
        Action::Login(node) => format!("{node} logs in"),
        Action::Logout(nexus) => format!("{nexus} logs out"),
        Action::PowerCycle => "the target loses power and comes up again".to_owned(),
        Action::Persist => "the target writes its table to stable storage, late".to_owned(),
    }
}
