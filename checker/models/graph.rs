//! Small models whose right answers are known by hand.

use stateright::{Model, Property};

/// A graph given by its edges; the state is the node, the first node is 0.
#[derive(Clone)]
pub struct Graph(pub Vec<(u8, u8)>);

impl Model for Graph {
    type State = u8;
    type Action = u8;

    fn init_states(&self) -> Vec<u8> {
        vec![0]
    }

    fn actions(&self, state: &u8, actions: &mut Vec<u8>) {
        actions.extend(self.0.iter().filter(|edge| edge.0 == *state).map(|edge| edge.1));
    }

    fn next_state(&self, _: &u8, to: u8) -> Option<u8> {
        Some(to)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![Property::eventually("reaches 9", |_, state| *state == 9)]
    }
}

/// Two counters up to 9: 100 states, and 55 if the counters are interchangeable.
#[derive(Clone)]
pub struct Swap;

impl Model for Swap {
    type State = (u8, u8);
    type Action = bool;

    fn init_states(&self) -> Vec<(u8, u8)> {
        vec![(0, 0)]
    }

    fn actions(&self, _: &(u8, u8), actions: &mut Vec<bool>) {
        actions.extend([false, true]);
    }

    fn next_state(&self, state: &(u8, u8), first: bool) -> Option<(u8, u8)> {
        let (a, b) = *state;
        if first { (a < 9).then_some((a + 1, b)) } else { (b < 9).then_some((a, b + 1)) }
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![Property::always("small", |_, state: &(u8, u8)| state.0 < 20)]
    }
}

/// All subsets of `bits` elements, grown one by one; the whole set is bad, and found last.
#[derive(Clone)]
pub struct Subsets {
    pub bits: u32,
}

impl Model for Subsets {
    type State = u32;
    type Action = u32;

    fn init_states(&self) -> Vec<u32> {
        vec![0]
    }

    fn actions(&self, state: &u32, actions: &mut Vec<u32>) {
        actions.extend((0..self.bits).filter(|bit| state >> bit & 1 == 0));
    }

    fn next_state(&self, state: &u32, bit: u32) -> Option<u32> {
        Some(state | 1 << bit)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![Property::always("not all", |model: &Subsets, state| *state != (1 << model.bits) - 1)]
    }
}
