//! Random walks, for models that are too large to be exhausted.
//!
//! A walk begins at an initial state and takes actions, each with the same probability, until there is none, or it is long
//! enough. Walks prove nothing: what they give is counterexamples, not shortest ones, and a count of the distinct states
//! they met. How much of the whole that is can be said only where the whole is known: see the harness's use of it on a smaller instance.

use crate::{
    claims::{Claim, Kinds, Says},
    fingerprint::Fingerprint,
    path::Path,
    report::{Cut, Error, Fired},
    search::guard,
    table::Table,
};
use rand_xoshiro::{
    Xoshiro256PlusPlus,
    rand_core::{Rng, SeedableRng},
};
use stateright::Model;
use std::{
    hash::Hash,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

/// How walks are taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Walks {
    /// Of the random choices: the same seed takes the same walks.
    pub seed: u64,
    /// Steps of all walks together.
    pub steps_max: u64,
    /// Steps of one walk.
    pub depth_max: u32,
    /// Wall-clock time; `None`: no limit.
    pub time_max: Option<Duration>,
}

/// What walks met.
#[derive(Debug)]
pub struct Walked<S, A> {
    /// Walks that were begun.
    pub walks: u64,
    /// Steps taken.
    pub steps: u64,
    /// Distinct states.
    pub unique: u64,
    /// Length of the longest walk.
    pub longest: u32,
    /// Wall-clock time.
    pub elapsed: Duration,
    /// By kind of action.
    pub fired: Vec<Fired>,
    /// Premises that were met.
    pub met: Vec<&'static str>,
    /// Premises that were not.
    pub unmet: Vec<&'static str>,
    /// The walk that violated a property; walking ends there.
    pub violation: Option<(&'static str, Path<S, A>)>,
    /// What ended the walks before their steps were taken.
    pub cut: Option<Cut>,
}

/// Takes random walks through the model until a property is violated or the steps are used up.
///
/// # Errors
/// If the model has no initial state, panics, or differs when it is asked again.
pub fn walk<M>(
    model: &M,
    kinds: &Kinds<M>,
    claims: &[Claim<M>],
    walks: Walks,
    stop: &AtomicBool,
) -> Result<Walked<M::State, M::Action>, Error>
where
    M: Model<State: Hash>,
{
    guard(|| Walker::new(model, kinds, claims, walks)?.run(stop))?
}

struct Walker<'w, M: Model> {
    model: &'w M,
    kinds: &'w Kinds<M>,
    claims: &'w [Claim<M>],
    walks: Walks,
    random: Xoshiro256PlusPlus,
    table: Table<u64>,
    met: Vec<bool>,
    fired: Vec<u64>,
}

impl<'w, M: Model<State: Hash>> Walker<'w, M> {
    fn new(model: &'w M, kinds: &'w Kinds<M>, claims: &'w [Claim<M>], walks: Walks) -> Result<Self, Error> {
        Ok(Walker {
            model,
            kinds,
            claims,
            walks,
            random: Xoshiro256PlusPlus::seed_from_u64(walks.seed),
            table: Table::new()?,
            met: vec![false; claims.len()],
            fired: vec![0; kinds.names.len()],
        })
    }

    fn run(mut self, stop: &AtomicBool) -> Result<Walked<M::State, M::Action>, Error> {
        let started = Instant::now();
        let (mut count, mut steps, mut longest) = (0u64, 0u64, 0u32);
        let mut violation = None;
        let mut cut = None;
        while steps < self.walks.steps_max && violation.is_none() {
            cut = if stop.load(Ordering::Relaxed) {
                Some(Cut::Interrupted)
            } else if self.walks.time_max.is_some_and(|max| started.elapsed() >= max) {
                Some(Cut::Time)
            } else {
                None
            };
            if cut.is_some() {
                break;
            }
            count += 1;
            let most = u64::from(self.walks.depth_max).min(self.walks.steps_max - steps) as u32;
            let (choices, violated) = self.one(most)?;
            let taken = choices.len() as u32 - 1;
            steps += u64::from(taken.max(1));
            longest = longest.max(taken);
            if let Some(name) = violated {
                violation = Some((name, self.replay(&choices)?));
            }
        }
        let premises = |met: bool| {
            let chosen = self
                .claims
                .iter()
                .zip(&self.met)
                .filter(move |(claim, one)| claim.is_premise() && **one == met);
            chosen.map(|(claim, _)| claim.name).collect()
        };
        Ok(Walked {
            walks: count,
            steps,
            unique: self.table.len(),
            longest,
            elapsed: started.elapsed(),
            fired: self
                .kinds
                .names
                .iter()
                .zip(&self.fired)
                .map(|(kind, count)| Fired { kind, count: *count })
                .collect(),
            met: premises(true),
            unmet: premises(false),
            violation,
            cut,
        })
    }

    /// One walk: which initial state, which actions; and what it violated, if anything.
    fn one(&mut self, most: u32) -> Result<(Vec<usize>, Option<&'static str>), Error> {
        let mut roots: Vec<M::State> =
            self.model.init_states().into_iter().filter(|state| self.model.within_boundary(state)).collect();
        if roots.is_empty() {
            return Err(Error::NoInitialState);
        }
        let root = self.below(roots.len());
        let mut choices = vec![root];
        let mut state = roots.swap_remove(root);
        loop {
            if !self.table.reserve(1) {
                self.table.grow(1, u64::MAX, 1)?;
                self.table.reserve(1);
            }
            if !self.table.insert(u64::of(&state)) {
                self.table.unreserve(1);
            }
            if let Some(violated) = self.judge(&state) {
                return Ok((choices, Some(violated)));
            }
            if choices.len() > most as usize {
                return Ok((choices, None));
            }
            let mut nexts = self.nexts(&state);
            let all_nowhere = nexts.is_empty();
            nexts.retain(|(.., next)| self.model.within_boundary(next));
            if nexts.is_empty() {
                let bad_end = self.claims.iter().find(|claim| {
                    matches!(claim.says, Says::EndsOnlyIn(may) if all_nowhere && !may(self.model, &state))
                });
                return Ok((choices, bad_end.map(|claim| claim.name)));
            }
            let chosen = self.below(nexts.len());
            let (nth, kind, next) = nexts.swap_remove(chosen);
            self.fired[kind] += 1;
            choices.push(nth);
            let bad_step = self.claims.iter().find(|claim| match claim.says {
                Says::AlwaysStep(holds) => {
                    let mut actions = Vec::new();
                    self.model.actions(&state, &mut actions);
                    !holds(self.model, &state, &actions[nth], &next)
                }
                _ => false,
            });
            if let Some(claim) = bad_step {
                return Ok((choices, Some(claim.name)));
            }
            state = next;
        }
    }

    fn judge(&mut self, state: &M::State) -> Option<&'static str> {
        for (claim, met) in self.claims.iter().zip(&mut self.met) {
            match claim.says {
                Says::Always(holds) if !holds(self.model, state) => return Some(claim.name),
                Says::Sometimes(meets) if !*met => *met = meets(self.model, state),
                _ => {}
            }
        }
        None
    }

    /// Number of the action, its kind and its next state.
    fn nexts(&self, state: &M::State) -> Vec<(usize, usize, M::State)> {
        let mut actions = Vec::new();
        self.model.actions(state, &mut actions);
        let next = |(nth, action): (usize, M::Action)| {
            let kind = (self.kinds.of)(&action);
            Some((nth, kind, self.model.next_state(state, action)?))
        };
        actions.into_iter().enumerate().filter_map(next).collect()
    }

    fn below(&mut self, count: usize) -> usize {
        // The bias of a product is below 2^-50 for any list of actions.
        ((u128::from(self.random.next_u64()) * count as u128) >> 64) as usize
    }

    fn replay(&self, choices: &[usize]) -> Result<Path<M::State, M::Action>, Error> {
        let differs = || Error::NotAFunction("a walk");
        let mut roots =
            self.model.init_states().into_iter().filter(|state| self.model.within_boundary(state));
        let mut state = roots.nth(choices[0]).ok_or_else(differs)?;
        let mut steps = Vec::new();
        for nth in &choices[1..] {
            let (mut taken, mut kept) = (Vec::new(), Vec::new());
            self.model.actions(&state, &mut taken);
            self.model.actions(&state, &mut kept);
            if *nth >= taken.len() {
                return Err(differs());
            }
            let next = self.model.next_state(&state, taken.swap_remove(*nth)).ok_or_else(differs)?;
            steps.push((std::mem::replace(&mut state, next), kept.swap_remove(*nth)));
        }
        Ok(Path { steps, last: state })
    }
}
