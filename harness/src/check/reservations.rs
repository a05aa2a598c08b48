//! The reservation model, as something that can be checked and told.

use super::cluster::single;
use super::{Step, Subject};
use crate::conform::words;
use crate::scenario::Scenario;
use redline_model::cluster::State;
use redline_model::reservations::{KINDS, Move, Reservations};
use redline_traces::{Arm, Header, Initiators, Visibility};
use redline_vocab::{Action, Design, Event, Quirks, Status};

impl Subject for Reservations {
    fn kinds(&self) -> Vec<&'static str> {
        KINDS.to_vec()
    }

    fn kind(action: &Move) -> usize {
        action.kind()
    }

    fn tell(&self, before: &State, action: &Move) -> Step {
        let (choices, events) = self.events(before, *action);
        Step { text: tell(*action, &choices, &events), choices, events }
    }
}

/// The header of a trace that tells a counterexample of the reservation model.
pub fn raw_story_header(scenario: &Scenario, design: Design, nexuses: u8) -> Header {
    Header {
        redline: env!("CARGO_PKG_VERSION").to_owned(),
        arm: Arm::Exploration,
        visibility: Visibility::Internal,
        initiators: Initiators::Raw,
        scenario: scenario.name.clone(),
        seed: String::new(),
        nodes: nexuses,
        nexuses,
        blocks: 1,
        keys: Vec::new(),
        design,
        quirks: Quirks::NONE,
    }
}

fn tell(step: Move, choices: &[(Action, u8)], events: &[Event]) -> String {
    let answer = || {
        let status = events.iter().find_map(|event| match event {
            Event::Replied { reply, .. } => Some(reply.status),
            _ => None,
        });
        status.map_or_else(
            || "its answer waits for the back end".to_owned(),
            |status: Status| status.to_string(),
        )
    };
    let asked = choices.iter().find_map(|(action, _)| match action {
        Action::Command(_, command) => Some(words::command_words(command)),
        _ => None,
    });
    match step {
        Move::Order(nexus, ..)
        | Move::Probe(nexus, _)
        | Move::Reserve(nexus, _)
        | Move::Release(nexus, _)
        | Move::Manage(nexus, ..) => {
            format!("{nexus} sends {}: {}", asked.unwrap_or_default(), answer())
        }
        Move::Write(nexus) => format!("{nexus} sends a write"),
        Move::Dispatch(..) | Move::Submit(_) | Move::Commit(..) => {
            choices.first().map(|(action, _)| single(*action, events)).unwrap_or_default()
        }
        Move::LogOut(nexus, _) => format!("{nexus} logs out"),
        Move::Lose(nexus) => format!("the connection of {nexus} breaks, and the target gives it up"),
        Move::Return(nexus) => format!("{nexus} logs in again"),
        Move::PowerCycle => "the target loses power and comes up, and everybody logs in".to_owned(),
        Move::Persist => "the target writes its table to stable storage, late".to_owned(),
    }
}
