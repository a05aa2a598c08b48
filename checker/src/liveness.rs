//! Properties of whole paths: *eventually* and *leads to*, under weak fairness of named kinds of actions.
//!
//! The idea: such a property is violated by a path that avoids the goal for ever. Either the path ends, in a state without a
//! next one; or it is infinite, and then from some step on it stays in one strongly connected component of the graph of avoiding
//! states. Weak fairness of a kind says: if it is enabled for ever, it is taken again and again. A component has a fair infinite
//! path exactly if for each fair kind it has a transition of that kind inside, or a state in which the kind is not enabled: a path through
//! all of its states and transitions then satisfies every kind. So components decide, and a lasso shows.
//!
//! A path that leaves the model's boundary is not judged, and an action whose next state is beyond it counts as enabled.
//! Symmetry is not used here. The graph is explored by one thread and needs about 30 bytes a state and 6 a transition.

use crate::{
    claims::Says,
    fingerprint::Fingerprint,
    path::Trail,
    report::{Cut, Error},
    search::Plan,
    space::Subject,
};
use rustc_hash::FxHashMap;
use stateright::Model;
use std::{collections::VecDeque, hash::Hash, sync::atomic::Ordering};

/// A way that avoids a goal for ever.
pub struct Lasso<F> {
    /// Prefix and loop.
    pub trail: Trail<F>,
    /// After so many steps the loop begins; `None`: the path ends.
    pub loops_from: Option<usize>,
}

/// The graph of reachable states with what properties and fairness need of them.
pub struct Graph<F> {
    fingerprints: Vec<F>,
    /// Level of each state, from 0; numbers are in order of levels.
    levels: Vec<u32>,
    /// How each state was first reached.
    parents: Vec<u32>,
    roots: u32,
    /// Where each state's transitions begin.
    offsets: Vec<usize>,
    targets: Vec<u32>,
    kinds: Vec<u16>,
    /// Fair kinds that are enabled, as bits.
    enabled: Vec<u64>,
    /// No next state at all.
    terminal: Vec<bool>,
    /// By property: whether the state is one where waiting begins, and whether it is a goal.
    marks: Vec<Vec<(bool, bool)>>,
    /// The fair kinds.
    fair: Vec<usize>,
}

const NOBODY: u32 = u32::MAX;

/// Explores the whole graph for the properties of `claims` (indices into the subject's claims).
///
/// # Errors
/// If there is no initial state. `Ok(Err(cut))` if a limit is met.
pub fn explore<M, F>(
    subject: &Subject<'_, M>,
    claims: &[usize],
    fair: &[usize],
    plan: &Plan<'_>,
) -> Result<Result<Graph<F>, Cut>, Error>
where
    M: Model<State: Hash>,
    F: Fingerprint,
{
    let model = subject.model;
    let mut graph = Graph {
        fingerprints: Vec::new(),
        levels: Vec::new(),
        parents: Vec::new(),
        roots: 0,
        offsets: vec![0],
        targets: Vec::new(),
        kinds: Vec::new(),
        enabled: Vec::new(),
        terminal: Vec::new(),
        marks: vec![Vec::new(); claims.len()],
        fair: fair.to_vec(),
    };
    let mut numbers: FxHashMap<F, u32> = FxHashMap::default();
    let mut queue: VecDeque<M::State> = VecDeque::new();
    let mut visit = |graph: &mut Graph<F>, queue: &mut VecDeque<_>, state: M::State, parent: u32| {
        let fingerprint = F::of(&state);
        let next = graph.fingerprints.len() as u32;
        let number = *numbers.entry(fingerprint).or_insert(next);
        if number == next {
            graph.fingerprints.push(fingerprint);
            graph.levels.push(if parent == NOBODY { 0 } else { graph.levels[parent as usize] + 1 });
            graph.parents.push(parent);
            queue.push_back(state);
        }
        number
    };
    for state in model.init_states() {
        if model.within_boundary(&state) {
            visit(&mut graph, &mut queue, state, NOBODY);
        }
    }
    graph.roots = graph.fingerprints.len() as u32;
    if graph.roots == 0 {
        return Err(Error::NoInitialState);
    }
    let mut actions = Vec::new();
    let mut number = 0u32;
    while let Some(state) = queue.pop_front() {
        if number.is_multiple_of(1024)
            && let Some(cut) = limit_met::<F>(&graph, plan)
        {
            return Ok(Err(cut));
        }
        for (mark, claim) in graph.marks.iter_mut().zip(claims) {
            mark.push(match subject.claims[*claim].says {
                Says::Eventually(goal) => (false, goal(model, &state)),
                Says::LeadsTo(from, goal) => (from(model, &state), goal(model, &state)),
                Says::Always(_) | Says::Sometimes(_) | Says::AlwaysStep(_) | Says::EndsOnlyIn(_) => {
                    (false, true)
                }
            });
        }
        let (mut enabled, mut terminal) = (0u64, true);
        model.actions(&state, &mut actions);
        for action in actions.drain(..) {
            let kind = (subject.kinds.of)(&action);
            let Some(next) = model.next_state(&state, action) else { continue };
            terminal = false;
            if let Some(bit) = fair.iter().position(|fair| *fair == kind) {
                enabled |= 1 << bit;
            }
            if model.within_boundary(&next) {
                let to = visit(&mut graph, &mut queue, next, number);
                graph.targets.push(to);
                graph.kinds.push(kind as u16);
            }
        }
        graph.offsets.push(graph.targets.len());
        graph.enabled.push(enabled);
        graph.terminal.push(terminal);
        number += 1;
    }
    Ok(Ok(graph))
}

fn limit_met<F>(graph: &Graph<F>, plan: &Plan<'_>) -> Option<Cut> {
    let states = graph.fingerprints.len();
    let bytes = states * (2 * size_of::<F>() + 40 + 2 * graph.marks.len()) + graph.targets.capacity() * 6;
    if plan.stop.load(Ordering::Relaxed) {
        Some(Cut::Interrupted)
    } else if plan.limits.time_max.is_some_and(|max| plan.started.elapsed() >= max) {
        Some(Cut::Time)
    } else if plan.limits.memory_max.is_some_and(|max| bytes as u64 > max) || states >= NOBODY as usize - 1024
    {
        Some(Cut::Memory)
    } else {
        None
    }
}

impl<F: Fingerprint> Graph<F> {
    fn edges(&self, state: u32) -> std::ops::Range<usize> {
        self.offsets[state as usize]..self.offsets[state as usize + 1]
    }

    /// A way with a shortest prefix that violates the property with this position among those of [`explore`].
    pub fn violation(&self, nth: usize, eventually: bool) -> Option<Lasso<F>> {
        let avoids: Vec<bool> = self.marks[nth].iter().map(|(_, goal)| !goal).collect();
        let starts = |state: u32| {
            let waits = if eventually { state < self.roots } else { self.marks[nth][state as usize].0 };
            waits && avoids[state as usize]
        };
        let reach = self.reach(&avoids, starts);
        let component = self.components(&avoids, &reach);
        let fair = self.fair_components(&component, &avoids);
        let ends = |state: u32| self.terminal[state as usize];
        let loops = |state: u32| component[state as usize].is_some_and(|one| fair[one as usize]);
        // The order of reaching is the order of distance.
        let first = reach.order.iter().copied().find(|state| ends(*state) || loops(*state))?;
        let mut trail = self.prefix(&reach, first);
        if ends(first) {
            return Some(Lasso { trail, loops_from: None });
        }
        let loops_from = Some(trail.len() - 1);
        let inside = |state: u32| component[state as usize] == component[first as usize];
        self.append_loop(&mut trail, first, &inside);
        Some(Lasso { trail, loops_from })
    }

    /// States that are reached from the starts through avoiding states only, nearest to an initial state first.
    fn reach(&self, avoids: &[bool], starts: impl Fn(u32) -> bool) -> Reach {
        let mut reach = Reach { order: Vec::new(), from: vec![None; avoids.len()] };
        let mut starting = (0..avoids.len() as u32).filter(|state| starts(*state)).peekable();
        let (mut level, mut depth): (Vec<u32>, u32) = (Vec::new(), 0);
        loop {
            while let Some(state) = starting.next_if(|state| self.levels[*state as usize] <= depth) {
                if reach.from[state as usize].is_none() {
                    reach.from[state as usize] = Some(NOBODY);
                    level.push(state);
                }
            }
            if level.is_empty() {
                match starting.peek() {
                    Some(state) => depth = self.levels[*state as usize],
                    None => return reach,
                }
                continue;
            }
            let mut next = Vec::new();
            for state in level {
                reach.order.push(state);
                for to in &self.targets[self.edges(state)] {
                    if avoids[*to as usize] && reach.from[*to as usize].is_none() {
                        reach.from[*to as usize] = Some(state);
                        next.push(*to);
                    }
                }
            }
            level = next;
            depth += 1;
        }
    }

    /// Number of the strongly connected component of each reached state (Tarjan, without recursion).
    fn components(&self, avoids: &[bool], reach: &Reach) -> Vec<Option<u32>> {
        let count = avoids.len();
        let mut component = vec![None; count];
        let (mut index, mut low) = (vec![NOBODY; count], vec![0u32; count]);
        let mut stack = Vec::new();
        let mut calls: Vec<(u32, usize)> = Vec::new();
        let (mut next_index, mut next_component) = (0, 0);
        for root in &reach.order {
            if index[*root as usize] != NOBODY {
                continue;
            }
            calls.push((*root, self.edges(*root).start));
            while let Some((state, edge)) = calls.pop() {
                let at = state as usize;
                if index[at] == NOBODY {
                    (index[at], low[at]) = (next_index, next_index);
                    next_index += 1;
                    stack.push(state);
                }
                let mut edges = edge..self.edges(state).end;
                let descend = edges.by_ref().find_map(|edge| {
                    let to = self.targets[edge];
                    if !avoids[to as usize] {
                        return None;
                    }
                    if index[to as usize] == NOBODY {
                        return Some((to, edge));
                    }
                    if component[to as usize].is_none() {
                        low[at] = low[at].min(low[to as usize]);
                    }
                    None
                });
                if let Some((to, edge)) = descend {
                    // The same edge again after the return: it then finds the target's low.
                    calls.push((state, edge));
                    calls.push((to, self.edges(to).start));
                } else if low[at] == index[at] {
                    while let Some(member) = stack.pop() {
                        component[member as usize] = Some(next_component);
                        if member == state {
                            break;
                        }
                    }
                    next_component += 1;
                }
            }
        }
        component
    }

    /// Which components have a fair infinite path.
    fn fair_components(&self, component: &[Option<u32>], avoids: &[bool]) -> Vec<bool> {
        let count = component.iter().flatten().max().map_or(0, |most| *most as usize + 1);
        let (mut always_enabled, mut taken, mut has_edge) =
            (vec![u64::MAX; count], vec![0u64; count], vec![false; count]);
        for (state, one) in (0u32..).zip(component) {
            let Some(one) = one.map(|one| one as usize).filter(|_| avoids[state as usize]) else { continue };
            always_enabled[one] &= self.enabled[state as usize];
            for edge in self.edges(state) {
                if component[self.targets[edge] as usize] == Some(one as u32) {
                    has_edge[one] = true;
                    taken[one] |= self.fair_bit(edge);
                }
            }
        }
        (0..count).map(|one| has_edge[one] && always_enabled[one] & !taken[one] == 0).collect()
    }

    fn fair_bit(&self, edge: usize) -> u64 {
        self.fair.iter().position(|kind| *kind == usize::from(self.kinds[edge])).map_or(0, |bit| 1 << bit)
    }

    /// From an initial state to this one.
    fn prefix(&self, reach: &Reach, state: u32) -> Trail<F> {
        let mut states = vec![state];
        let mut at = state;
        while let Some(from) = reach.from[at as usize].filter(|from| *from != NOBODY) {
            states.push(from);
            at = from;
        }
        while self.parents[at as usize] != NOBODY {
            at = self.parents[at as usize];
            states.push(at);
        }
        states.into_iter().rev().map(|state| (self.fingerprints[state as usize], None)).collect()
    }

    /// From `start` through what each fair kind asks for, and back to `start`.
    fn append_loop(&self, trail: &mut Trail<F>, start: u32, inside: &dyn Fn(u32) -> bool) {
        let all = if self.fair.is_empty() { 0 } else { u64::MAX >> (64 - self.fair.len()) };
        let mut satisfied = all & !self.enabled[start as usize];
        let mut at = start;
        let append = |trail: &mut Trail<F>, way: Vec<usize>, at: &mut u32, satisfied: &mut u64| {
            for edge in way {
                *at = self.targets[edge];
                *satisfied |= self.fair_bit(edge) | all & !self.enabled[*at as usize];
                trail.push((self.fingerprints[*at as usize], Some(usize::from(self.kinds[edge]))));
            }
        };
        while satisfied != all {
            let wanted = 1u64 << (all & !satisfied).trailing_zeros();
            let good = |edge: usize| {
                self.fair_bit(edge) & wanted != 0 || self.enabled[self.targets[edge] as usize] & wanted == 0
            };
            let way = self.way(at, inside, &good);
            append(trail, way, &mut at, &mut satisfied);
        }
        if at != start || trail.last().is_some_and(|(_, kind)| kind.is_none()) {
            let way = self.way(at, inside, &|edge| self.targets[edge] == start);
            append(trail, way, &mut at, &mut satisfied);
        }
    }

    /// A shortest non-empty way from a state within its component whose last transition is good.
    fn way(&self, from: u32, inside: &dyn Fn(u32) -> bool, good: &dyn Fn(usize) -> bool) -> Vec<usize> {
        let mut came: FxHashMap<u32, usize> = FxHashMap::default();
        let mut queue = VecDeque::from([from]);
        while let Some(state) = queue.pop_front() {
            for edge in self.edges(state) {
                let to = self.targets[edge];
                if !inside(to) {
                    continue;
                }
                if good(edge) {
                    let mut way = vec![edge];
                    let mut at = state;
                    while at != from {
                        let edge = came[&at];
                        way.push(edge);
                        at = self.source(edge);
                    }
                    way.reverse();
                    return way;
                }
                if to != from && !came.contains_key(&to) {
                    came.insert(to, edge);
                    queue.push_back(to);
                }
            }
        }
        unreachable!("a fair component has what each fair kind asks for, and is strongly connected")
    }

    fn source(&self, edge: usize) -> u32 {
        (self.offsets.partition_point(|offset| *offset <= edge) - 1) as u32
    }
}

/// What is reached, and from where.
struct Reach {
    order: Vec<u32>,
    /// `None`: not reached; `NOBODY`: waiting begins there.
    from: Vec<Option<u32>>,
}
