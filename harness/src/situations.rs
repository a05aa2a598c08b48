//! Which situations the model can be in, by random walks through it: what the coverage of a chaos campaign is measured
//! against.
//!
//! A walk takes moves of an instance without budgets, at random from a fixed seed. Its choices are told as a trace, and the
//! judge that counts the situations of a campaign counts those of the trace. So both sides are counted alike, and the walk
//! is judged on the way: the model must allow what it does itself.
//!
//! Deliberately absent: completeness. A situation that no walk meets is not in the measure.

use crate::check::{raw_story_header, story_header};
use crate::conform::{Coverage, Judge, Options};
use crate::scenario::Scenario;
use crate::sim::events::Stream;
use rayon::prelude::*;
use redline_model::cluster::{Bounds, Cluster, Left, Log, Readings, State, UNLIMITED};
use redline_model::reservations::{INSTANCES, Instance, Reservations};
use redline_traces::{Header, Initiators};
use redline_vocab::{Action, Design, Event, Micros};
use stateright::Model;

/// Walks of each kind.
const WALKS: u64 = 1500;
/// Moves of a walk.
const MOVES: usize = 120;
/// Candidate states; a walk has very few.
const STATES_MAX: usize = 1000;

/// What walks through the model met.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Walked {
    /// The situations.
    pub coverage: Coverage,
    /// Walks that the judge did not accept, which would be a contradiction within the model.
    pub refused: u64,
    /// Moves that were taken.
    pub moves: u64,
}

/// Walks through the model of guest clusters or of raw initiators.
pub fn walked(scenario: &Scenario, initiators: Initiators) -> Walked {
    match initiators {
        Initiators::Guests => {
            let left = Left {
                writes: UNLIMITED,
                challenges: UNLIMITED,
                defends: UNLIMITED,
                stalls: 3,
                breaks: 3,
                crashes: 2,
                power_cycles: 2,
            };
            let bounds = Bounds { nodes: 2, left, queue: 1, restarts: true };
            let mut two = scenario.clone();
            two.cluster.nodes = 2;
            let model = Cluster::new(Design::SOUND, bounds, Readings::OurTarget, &two.keys());
            let header = story_header(&two, Design::SOUND, 2, model.nexuses());
            walks(&header, |seed| {
                let mut walk = Walk::new(model.initial(), seed);
                walk.go(&model, |state, step, choices| model.make(state, *step, choices, &mut Log(None)));
                (walk.moves, model.story(&walk.choices))
            })
        }
        Initiators::Raw => {
            let instance = Instance { restart: true, attentions: true, rich: true, ..INSTANCES[0] };
            let model = Reservations::new(instance, Design::SOUND, Readings::Every);
            let header = raw_story_header(scenario, Design::SOUND, instance.nexuses);
            walks(&header, |seed| {
                let mut walk = Walk::new(model.initial(), seed);
                walk.go(&model, |state, step, choices| model.make(state, *step, choices, &mut Log(None)));
                (walk.moves, model.story(&walk.choices))
            })
        }
    }
}

/// A walk in progress.
struct Walk {
    state: State,
    choices: Vec<(Action, u8)>,
    moves: u64,
    dice: Stream,
}

impl Walk {
    fn new(state: State, seed: u64) -> Walk {
        Walk { state, choices: Vec::new(), moves: 0, dice: Stream::new(seed, "walk") }
    }

    fn go<M: Model<State = State>>(
        &mut self,
        model: &M,
        make: impl Fn(&mut State, &M::Action, &mut Vec<(Action, u8)>) -> bool,
    ) {
        let mut offered = Vec::new();
        while self.moves < MOVES as u64 {
            offered.clear();
            model.actions(&self.state, &mut offered);
            if offered.is_empty() {
                return;
            }
            let step = &offered[self.dice.below(offered.len() as u64) as usize];
            let (mut next, mut choices) = (self.state.clone(), Vec::new());
            if make(&mut next, step, &mut choices) {
                self.state = next;
                self.choices.append(&mut choices);
            }
            self.moves += 1;
        }
    }
}

fn walks(header: &Header, walk: impl Fn(u64) -> (u64, Option<Vec<Event>>) + Sync) -> Walked {
    let nothing = || Walked { coverage: Coverage::NONE, refused: 0, moves: 0 };
    let met = |seed: u64| {
        let (moves, story) = walk(seed);
        let options = Options { states_max: STATES_MAX, owner_within: None };
        let mut judge = Judge::new(header, options).expect("an instance is a world of the model");
        for (seq, event) in (1..).zip(story.iter().flatten()) {
            judge.see(seq, Micros(seq), event);
        }
        let refused = u64::from(story.is_none() || judge.divergence().is_some());
        let coverage = judge.finish(true).map_or(Coverage::NONE, |judgement| judgement.coverage);
        Walked { coverage, refused, moves }
    };
    (0..WALKS).into_par_iter().map(met).reduce(nothing, |mut one, other| {
        one.coverage.merge(&other.coverage);
        one.refused += other.refused;
        one.moves += other.moves;
        one
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::load;

    #[test]
    fn the_model_allows_its_own_walks_and_they_meet_much() {
        let reference = load("reference").expect("it is embedded");
        for (initiators, least) in [(Initiators::Guests, 80), (Initiators::Raw, 250)] {
            let found = walked(&reference, initiators);
            assert_eq!(found.refused, 0, "{initiators:?}");
            assert!(found.coverage.count() >= least, "{initiators:?}: {}", found.coverage.count());
            assert_eq!(walked(&reference, initiators), found, "the walks are the same each time");
        }
    }
}
