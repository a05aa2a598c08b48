//! The guest cluster model at bounds that can be thought through.

use super::*;
use redline_vocab::Action;
use stateright::Model;
use std::collections::{BTreeSet, VecDeque};

const NOTHING: Left =
    Left { writes: 0, challenges: 0, defends: 0, stalls: 0, breaks: 0, crashes: 0, power_cycles: 0 };

fn cluster(left: Left, design: Design) -> Cluster {
    let bounds = Bounds { nodes: 2, left, queue: 1, restarts: true };
    Cluster::new(design, bounds, Readings::OurTarget, &[Key(1), Key(2)])
}

/// All states, by breadth-first search.
fn states(cluster: &Cluster) -> Vec<State> {
    let mut known: BTreeSet<State> = cluster.init_states().into_iter().collect();
    let mut open: VecDeque<State> = known.iter().cloned().collect();
    let mut moves = Vec::new();
    while let Some(state) = open.pop_front() {
        moves.clear();
        cluster.actions(&state, &mut moves);
        for step in moves.drain(..) {
            if let Some(next) = cluster.next_state(&state, step)
                && known.insert(next.clone())
            {
                open.push_back(next);
            }
        }
    }
    known.into_iter().collect()
}

#[test]
fn without_any_budget_nothing_happens() {
    assert_eq!(states(&cluster(NOTHING, Design::SOUND)).len(), 1);
}

#[test]
fn one_challenge_makes_one_owner() {
    let cluster = cluster(Left { challenges: 1, ..NOTHING }, Design::SOUND);
    let states = states(&cluster);
    assert!(states.iter().any(|state| cluster.has_owner(state)));
    for state in &states {
        let owners = state.nodes.iter().filter(|node| node.fence).count();
        assert!(owners <= 1);
    }
}

#[test]
fn every_state_is_in_canonical_form() {
    let cluster = cluster(Left { writes: 1, challenges: 2, ..NOTHING }, Design::SOUND);
    let states = states(&cluster);
    assert!(states.len() > 100);
    for state in states {
        let mut again = state.clone();
        again.canonical();
        assert_eq!(again, state);
    }
}

#[test]
fn chains_reach_nothing_that_single_choices_do_not() {
    let cluster = cluster(Left { writes: 1, challenges: 2, ..NOTHING }, Design::SOUND);
    let mut moves = Vec::new();
    let mut chains = 0;
    for state in states(&cluster) {
        moves.clear();
        cluster.actions(&state, &mut moves);
        for step in moves.iter().filter(|step| !matches!(step, Move::Single(..))) {
            let (mut choices, mut by_chain) = (Vec::new(), state.clone());
            if !cluster.make(&mut by_chain, *step, &mut choices, &mut Log(None)) {
                continue;
            }
            // A timeout is a broken connection that costs no budget.
            if matches!(step, Move::Timeout(_)) {
                continue;
            }
            let mut singly = state.clone();
            for (action, reading) in choices {
                let taken =
                    cluster.make(&mut singly, Move::Single(action, reading), &mut Vec::new(), &mut Log(None));
                assert!(taken, "{step:?}: {action:?}");
            }
            singly.marks = by_chain.marks;
            assert_eq!(singly, by_chain, "{step:?}");
            chains += 1;
        }
    }
    assert!(chains > 50, "{chains} chains");
}

#[test]
fn a_story_goes_on_where_a_choice_is_possible_and_ends_where_it_is_not() {
    let cluster = cluster(Left { challenges: 1, ..NOTHING }, Design::SOUND);
    let begin = (Action::Challenge(NodeId(0)), 0);
    let story = cluster.story(&[begin]).expect("an idle node may challenge");
    assert!(matches!(story.last(), Some(redline_vocab::Event::Sent { .. })), "{story:?}");
    assert_eq!(cluster.story(&[begin, begin]), None, "a node does not challenge twice at once");
}
