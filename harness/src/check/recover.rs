//! Recoverability (V19 before there is a liveness check): from every reachable state, with faults stopped, a goal stays
//! reachable.
//!
//! The idea: explore everything, remember the transitions that are no faults backwards, and walk back from the goal
//! states. A reachable state that the walk does not meet is one from which no fault-free path leads to a goal.
//!
//! This is weaker than "eventually": it says that the fabric *can* recover, not that it will. It needs one word per
//! state and per fault-free transition, and one thread.

use super::{Cut, Error, Limits, Step, Subject, checker};
use rustc_hash::FxHashMap;
use std::{
    collections::VecDeque,
    hash::{DefaultHasher, Hasher},
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

/// What recoverability says of an instance.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recovery {
    /// Distinct states.
    pub states: u64,
    /// Of these, goal states.
    pub goals: u64,
    /// Transitions that are no faults.
    pub transitions: u64,
    /// States from which no goal can be reached without another fault.
    pub stuck: u64,
    /// A shortest path to such a state; empty if the initial state is one.
    pub path: Option<Vec<Step>>,
    /// Why the exploration is incomplete; nothing is said about recoverability then.
    pub cut: Option<Cut>,
}

/// Which transitions and states count.
pub struct Terms<M: Subject> {
    /// Whether the action is a fault, which stops when the question is asked.
    pub fault: fn(&M::Action) -> bool,
    /// Whether the state is a goal.
    pub goal: fn(&M, &M::State) -> bool,
}

/// Explores the whole instance and asks of every state whether a goal can be reached without faults.
pub fn recover<M: Subject>(
    model: &M,
    terms: &Terms<M>,
    limits: Limits,
    stop: &AtomicBool,
) -> Result<Recovery, Error> {
    let started = Instant::now();
    let mut graph = Graph::default();
    for state in model.init_states() {
        if model.within_boundary(&state) {
            graph.visit(state, None);
        }
    }
    if graph.queue.is_empty() {
        return Err(checker::Error::NoInitialState.into());
    }
    let mut actions = Vec::new();
    let mut cut = None;
    while let Some((from, state)) = graph.queue.pop_front() {
        // Looking at the clock for every state would cost more than the state.
        if from % 1024 == 0 {
            cut = limit_met(limits, started, graph.parents.len() as u64, stop);
            if cut.is_some() {
                break;
            }
        }
        graph.goals.push((terms.goal)(model, &state));
        actions.clear();
        model.actions(&state, &mut actions);
        for (nth, action) in (0u32..).zip(actions.drain(..)) {
            let fault = (terms.fault)(&action);
            let Some(next) = model.next_state(&state, action).filter(|next| model.within_boundary(next))
            else {
                continue;
            };
            let to = graph.visit(next, Some((from, nth)));
            if !fault {
                graph.edges.push((to, from));
            }
        }
    }
    if cut.is_some() {
        return Ok(graph.recovery(cut, Vec::new(), None));
    }
    let reaches = graph.walk_back();
    let path = reaches.iter().position(|reaches| !reaches).map(|stuck| path_to(model, &graph, stuck));
    Ok(graph.recovery(None, reaches, path))
}

fn limit_met(limits: Limits, started: Instant, states: u64, stop: &AtomicBool) -> Option<Cut> {
    if stop.load(Ordering::Relaxed) {
        Some(Cut::Interrupted)
    } else if limits.time_max.is_some_and(|max| started.elapsed() >= max) {
        Some(Cut::Time)
    } else if limits.states_max.is_some_and(|max| states >= max) {
        Some(Cut::States)
    } else {
        None
    }
}

/// The reachable states by number, in breadth-first order.
struct Graph<S> {
    /// Fingerprint to number. Only looked up, never iterated: its order can decide nothing.
    numbers: FxHashMap<u64, u32>,
    /// How each state was first reached: from which state, by which of its actions.
    parents: Vec<Option<(u32, u32)>>,
    goals: Vec<bool>,
    /// Fault-free transitions backwards: (to, from).
    edges: Vec<(u32, u32)>,
    queue: VecDeque<(u32, S)>,
}

impl<S> Default for Graph<S> {
    fn default() -> Graph<S> {
        Graph {
            numbers: FxHashMap::default(),
            parents: Vec::new(),
            goals: Vec::new(),
            edges: Vec::new(),
            queue: VecDeque::new(),
        }
    }
}

impl<S: std::hash::Hash> Graph<S> {
    /// The state's number; a new state is queued.
    fn visit(&mut self, state: S, parent: Option<(u32, u32)>) -> u32 {
        let mut hasher = DefaultHasher::new();
        state.hash(&mut hasher);
        let next = u32::try_from(self.parents.len()).expect("fewer than 2^32 states fit into memory");
        let number = *self.numbers.entry(hasher.finish()).or_insert(next);
        if number == next {
            self.parents.push(parent);
            self.queue.push_back((number, state));
        }
        number
    }

    /// For each state, whether a goal can be reached from it.
    fn walk_back(&mut self) -> Vec<bool> {
        self.edges.sort_unstable();
        let mut reaches = self.goals.clone();
        let mut open: Vec<u32> =
            (0u32..).zip(&reaches).filter(|(_, goal)| **goal).map(|(number, _)| number).collect();
        while let Some(to) = open.pop() {
            let first = self.edges.partition_point(|edge| edge.0 < to);
            for (_, from) in self.edges[first..].iter().take_while(|edge| edge.0 == to) {
                if !std::mem::replace(&mut reaches[*from as usize], true) {
                    open.push(*from);
                }
            }
        }
        reaches
    }

    fn recovery(&self, cut: Option<Cut>, reaches: Vec<bool>, path: Option<Vec<Step>>) -> Recovery {
        Recovery {
            states: self.parents.len() as u64,
            goals: self.goals.iter().filter(|goal| **goal).count() as u64,
            transitions: self.edges.len() as u64,
            stuck: reaches.iter().filter(|reaches| !**reaches).count() as u64,
            path,
            cut,
        }
    }
}

/// The steps by which the state was first reached.
fn path_to<M: Subject>(model: &M, graph: &Graph<M::State>, state: usize) -> Vec<Step> {
    let mut choices = Vec::new();
    let mut at = state;
    while let Some((from, nth)) = graph.parents[at] {
        choices.push(nth);
        at = from as usize;
    }
    let Some(mut state) =
        model.init_states().into_iter().filter(|state| model.within_boundary(state)).nth(at)
    else {
        return Vec::new();
    };
    let mut steps = Vec::new();
    for nth in choices.into_iter().rev() {
        let mut actions = Vec::new();
        model.actions(&state, &mut actions);
        let action = actions.swap_remove(nth as usize);
        steps.push(model.tell(&state, &action));
        state = model
            .next_state(&state, action)
            .expect("a model is a function of state and action: it was taken before");
    }
    steps
}
