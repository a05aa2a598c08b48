//! Model and fabric in lock-step: exhaustively, at small bounds, in both directions.
//!
//! [`mirror()`] takes every transition of a small instance of the model and makes the same choices in the fabric: what the
//! fabric then does must be, event for event, what the model says. [`product()`] takes every step that the fabric itself can
//! make at small bounds and shows its events to the set of model states that are still possible: the model must
//! allow each. The first finds what the fabric does not do, the second what the model does not allow.
//!
//! A state of either search is a pair. Tags, epochs and PRgeneration are renamed on both sides alike, so that pairs
//! which differ only in how long they have lasted become one.

mod mirror;
mod product;

pub use mirror::{MIRRORED, MIRRORED_CLUSTER, MIRRORED_LISTS, MIRRORED_MORE, mirror, mirror_cluster};
pub use product::{BOUNDS, Budget, product, product_of};

use crate::scenario::{self, Scenario};
use crate::sim::Notice;
use rayon::prelude::*;
use redline_vocab::Event;
use rustc_hash::{FxHashSet, FxHasher};
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};

/// Where model and fabric differ.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference {
    /// What leads there, in domain words.
    pub steps: Vec<String>,
    /// What the one says.
    pub wanted: String,
    /// What the other does instead.
    pub instead: String,
}

/// What a search found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// Distinct states.
    pub states: u64,
    /// Transitions that were compared.
    pub transitions: u64,
    /// The first difference.
    pub difference: Option<Difference>,
    /// It was interrupted.
    pub cut: bool,
}

impl Found {
    const NOTHING: Found = Found { states: 0, transitions: 0, difference: None, cut: false };
}

/// What a step from one pair leads to.
enum Step<P> {
    /// A pair, and the key by which it is known again.
    To(u64, P),
    /// The two differ.
    Different(Difference),
}

/// A search over pairs.
trait Pairs: Sync {
    /// A state of the model and one of the fabric.
    type Pair: Send + Sync;

    /// Every step from the pair.
    fn steps(&self, pair: &Self::Pair, step: &mut dyn FnMut(Step<Self::Pair>));

    /// The pair is new.
    fn enter(&mut self, pair: &mut Self::Pair);
}

/// What the steps from one pair came to, without those to pairs that were known before.
struct Steps<P> {
    taken: u64,
    new: Vec<(u64, P)>,
    difference: Option<Difference>,
}

/// Pairs whose successors are held at once: a level has too many of them for memory.
const AT_ONCE: usize = 4096;

/// Breadth first, each level in its order, so that the first difference is always the same one.
fn explore<S: Pairs>(
    search: &mut S,
    first: Vec<(u64, S::Pair)>,
    stop: &AtomicBool,
    told: &mut dyn FnMut(u64),
) -> Found {
    let mut known = FxHashSet::default();
    let mut frontier = Vec::new();
    for (key, mut pair) in first {
        if known.insert(key) {
            search.enter(&mut pair);
            frontier.push(pair);
        }
    }
    let mut found = Found { states: frontier.len() as u64, ..Found::NOTHING };
    while !frontier.is_empty() {
        let mut next_level = Vec::new();
        let mut waiting = frontier.into_iter();
        loop {
            let pairs: Vec<S::Pair> = waiting.by_ref().take(AT_ONCE).collect();
            if pairs.is_empty() {
                break;
            }
            if stop.load(Ordering::Relaxed) {
                found.cut = true;
                return found;
            }
            let all: Vec<Steps<S::Pair>> =
                pairs.into_par_iter().map(|pair| steps_to_new(search, &pair, &known)).collect();
            for steps in all {
                found.transitions += steps.taken;
                for (key, mut pair) in steps.new {
                    if known.insert(key) {
                        search.enter(&mut pair);
                        next_level.push(pair);
                        found.states += 1;
                    }
                }
                if steps.difference.is_some() {
                    found.difference = steps.difference;
                    return found;
                }
            }
            told(found.transitions);
        }
        frontier = next_level;
    }
    found
}

fn steps_to_new<S: Pairs>(search: &S, pair: &S::Pair, known: &FxHashSet<u64>) -> Steps<S::Pair> {
    let mut steps = Steps { taken: 0, new: Vec::new(), difference: None };
    search.steps(pair, &mut |step| {
        if steps.difference.is_some() {
            return;
        }
        steps.taken += 1;
        match step {
            Step::To(key, pair) if !known.contains(&key) => steps.new.push((key, pair)),
            Step::To(..) => {}
            Step::Different(difference) => steps.difference = Some(difference),
        }
    });
    steps
}

fn small_scenario() -> Scenario {
    scenario::load(scenario::EMBEDDED[0].name).expect("the embedded scenarios are tested")
}

fn events(notices: Vec<Notice>) -> Vec<Event> {
    notices
        .into_iter()
        .filter_map(|notice| match notice {
            Notice::Event(event) => Some(event),
            _ => None,
        })
        .collect()
}

fn hash_of(value: &impl Hash) -> u64 {
    let mut hasher = FxHasher::default();
    value.hash(&mut hasher);
    hasher.finish()
}
