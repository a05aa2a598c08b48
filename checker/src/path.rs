//! Paths: rebuilt after the search, which keeps none.
//!
//! The idea: the search is repeated with one thread as far as the deepest state that was asked for, and for each new state eight
//! bytes go to a log: the number of the state that it came from, and by which of its successors. Reading the log backwards gives the way. With
//! one thread the order is that of the model's actions, so that of all shortest ways the first one in that order is shown, however
//! many threads have found that there is one.
//!
//! With symmetry the way is one of orbits; it is walked through the model again, and at each step the first action is
//! taken that leads to the right orbit.

use crate::{
    fingerprint::Fingerprint,
    frontier::{Budget, Level, Spill, keep},
    report::Error,
    search::Plan,
    space::{Chunk, Space, Visit},
    table::Table,
};
use stateright::Model;
use std::io::{self, Read, Seek, SeekFrom, Write};
use tempfile::SpooledTempFile;

/// States and the actions between them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Path<S, A> {
    /// Each state with the action that is taken in it.
    pub steps: Vec<(S, A)>,
    /// The last state.
    pub last: S,
}

/// A path as fingerprints; each step may say of which kind its action must be.
pub type Trail<F> = Vec<(F, Option<usize>)>;

/// Beyond so many bytes the log goes to disk.
const LOG_IN_MEMORY: usize = 256 << 20;
const NTH_BITS: u32 = 24;
const ROOT: u64 = u64::MAX;

/// For each claim (its index) that was first found on that level: the first shortest way to a state in which it is.
///
/// # Errors
/// If the model panics or differs from before, or the disk fails.
pub fn trails<S: Space, F: Fingerprint>(
    space: &S,
    found: &[(usize, u64)],
    plan: &Plan<'_>,
) -> Result<Vec<Trail<F>>, Error> {
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let mut retrace = Retrace::<S, F>::new(space, plan)?;
    let numbers = retrace.numbers(found)?;
    numbers.into_iter().map(|number| retrace.trail(number)).collect()
}

/// The repeated search.
struct Retrace<'s, S: Space, F> {
    space: &'s S,
    table: Table<F>,
    budget: Budget,
    spill_dir: std::path::PathBuf,
    roots: Vec<S::Node>,
    level: Level<S>,
    log: SpooledTempFile,
    logged: u64,
}

impl<'s, S: Space, F: Fingerprint> Retrace<'s, S, F> {
    fn new(space: &'s S, plan: &Plan<'_>) -> Result<Retrace<'s, S, F>, Error> {
        let mut retrace = Retrace {
            space,
            table: Table::new()?,
            budget: Budget::new(plan.limits.memory_max),
            spill_dir: plan.spill_dir.clone(),
            roots: Vec::new(),
            level: Level::new(Default::default(), Spill::new(plan.spill_dir.clone())),
            log: SpooledTempFile::new(LOG_IN_MEMORY),
            logged: 0,
        };
        let mut level = Filling::new(retrace.spill_dir.clone());
        for root in space.roots() {
            retrace.make_room()?;
            let fresh = retrace.table.insert(space.fingerprint(&root));
            retrace.table.unreserve(usize::from(!fresh));
            if fresh {
                retrace.log(ROOT)?;
                level.push(space, &retrace.budget, root)?;
            }
        }
        retrace.level = level.finish(space, &retrace.budget)?;
        let mut seen = Table::<F>::new()?;
        for root in space.roots() {
            if !seen.reserve(1) {
                seen.grow(1, u64::MAX, 1)?;
                seen.reserve(1);
            }
            if seen.insert(space.fingerprint(&root)) {
                retrace.roots.push(root);
            }
        }
        Ok(retrace)
    }

    fn make_room(&mut self) -> io::Result<()> {
        while !self.table.reserve(1) {
            // The first search had room for all of this.
            self.table.grow(1, u64::MAX, 1)?;
        }
        Ok(())
    }

    fn log(&mut self, entry: u64) -> io::Result<()> {
        self.logged += 1;
        self.log.write_all(&entry.to_le_bytes())
    }

    /// The number of the first state of the level in which the claim is found, in the order of the repeated search.
    fn numbers(&mut self, found: &[(usize, u64)]) -> Result<Vec<u64>, Error> {
        let mut numbers = vec![None; found.len()];
        let mut number = 0u64;
        let mut actions = Vec::new();
        let mut depth = 0;
        while numbers.contains(&None) {
            depth += 1;
            let mut open = vec![false; self.space.subject().claims.len()];
            found.iter().filter(|(_, level)| *level == depth).for_each(|(claim, _)| open[*claim] = true);
            let mut next = Filling::new(self.spill_dir.clone());
            if self.level.nodes == 0 {
                return Err(Error::NotAFunction("the set of reachable states"));
            }
            while let Some(chunk) = self.level.pop(self.space, &self.budget)? {
                for node in self.space.open(chunk) {
                    let mut met = Collect::default();
                    self.space.expand(&node, &open, &mut actions, &mut met);
                    for claim in met.found {
                        open[claim] = false;
                        let at = found.iter().position(|(one, _)| *one == claim);
                        numbers[at.expect("only such claims were open")] = Some(number);
                    }
                    for (nth, successor) in (0u64..).zip(met.nexts) {
                        self.make_room()?;
                        let fresh = self.table.insert(self.space.fingerprint(&successor));
                        self.table.unreserve(usize::from(!fresh));
                        if fresh {
                            self.log(number << NTH_BITS | nth)?;
                            next.push(self.space, &self.budget, successor)?;
                        }
                    }
                    number += 1;
                }
                if !numbers.contains(&None) {
                    break;
                }
            }
            self.level = next.finish(self.space, &self.budget)?;
        }
        Ok(numbers.into_iter().flatten().collect())
    }

    fn trail(&mut self, mut number: u64) -> Result<Trail<F>, Error> {
        let mut choices = Vec::new();
        loop {
            self.log.seek(SeekFrom::Start(number * 8))?;
            let mut entry = [0; 8];
            self.log.read_exact(&mut entry)?;
            match u64::from_le_bytes(entry) {
                ROOT => break,
                entry => {
                    choices.push(entry & ((1 << NTH_BITS) - 1));
                    number = entry >> NTH_BITS;
                }
            }
        }
        let root = &self.roots[number as usize];
        let mut trail = vec![(self.space.fingerprint(root), None)];
        let mut held: Option<S::Node> = None;
        let mut actions = Vec::new();
        let open = vec![false; self.space.subject().claims.len()];
        for nth in choices.into_iter().rev() {
            let mut met = Collect::default();
            self.space.expand(held.as_ref().unwrap_or(root), &open, &mut actions, &mut met);
            let next = met.nexts.into_iter().nth(nth as usize);
            let next = next.ok_or(Error::NotAFunction("the list of actions of a state"))?;
            trail.push((self.space.fingerprint(&next), None));
            held = Some(next);
        }
        Ok(trail)
    }
}

/// A level that is being filled.
struct Filling<S: Space> {
    chunk: Chunk<S>,
    slots: std::collections::VecDeque<crate::frontier::Slot<S>>,
    spill: Spill,
}

impl<S: Space> Filling<S> {
    fn new(dir: std::path::PathBuf) -> Filling<S> {
        Filling { chunk: Chunk::default(), slots: Default::default(), spill: Spill::new(dir) }
    }

    fn push(&mut self, space: &S, budget: &Budget, node: S::Node) -> io::Result<()> {
        if space.push(&mut self.chunk, node) {
            self.slots.push_back(keep(space, std::mem::take(&mut self.chunk), budget, &self.spill)?);
        }
        Ok(())
    }

    fn finish(mut self, space: &S, budget: &Budget) -> io::Result<Level<S>> {
        if self.chunk.len > 0 {
            self.slots.push_back(keep(space, self.chunk, budget, &self.spill)?);
        }
        Ok(Level::new(self.slots, self.spill))
    }
}

/// All that an expansion meets.
struct Collect<N> {
    found: Vec<usize>,
    nexts: Vec<N>,
}

impl<N> Default for Collect<N> {
    fn default() -> Collect<N> {
        Collect { found: Vec::new(), nexts: Vec::new() }
    }
}

impl<N> Visit<N> for Collect<N> {
    fn found(&mut self, claim: usize) {
        if !self.found.contains(&claim) {
            self.found.push(claim);
        }
    }

    fn next(&mut self, _: usize, node: N) {
        self.nexts.push(node);
    }
}

/// Walks the model along the trail, taking the first action that leads on.
///
/// # Errors
/// If none does.
pub fn walk<S, M, F>(space: &S, trail: &[(F, Option<usize>)]) -> Result<Path<M::State, M::Action>, Error>
where
    M: Model,
    S: Space<Model = M>,
    F: Fingerprint,
{
    let subject = space.subject();
    let within = |state: &M::State| subject.model.within_boundary(state);
    let leads = |state: &M::State, to: F| space.fingerprint_of_state::<F>(state) == to;
    let mut states = subject.model.init_states().into_iter();
    let mut state = states
        .find(|state| within(state) && trail.first().is_some_and(|(first, _)| leads(state, *first)))
        .ok_or(Error::NotAFunction("the list of initial states"))?;
    let mut steps = Vec::new();
    for (to, kind) in trail.iter().skip(1) {
        let (mut taken, mut kept) = (Vec::new(), Vec::new());
        // Actions cannot be cloned: one list is used up, the other keeps the one that led on.
        subject.model.actions(&state, &mut taken);
        subject.model.actions(&state, &mut kept);
        let found = taken.into_iter().enumerate().find_map(|(nth, action)| {
            let right = kind.is_none_or(|kind| (subject.kinds.of)(&action) == kind);
            let next = subject.model.next_state(&state, action)?;
            (right && within(&next) && leads(&next, *to)).then_some((nth, next))
        });
        let (nth, next) = found.ok_or(Error::NotAFunction("a step on the way to a violation"))?;
        steps.push((std::mem::replace(&mut state, next), kept.swap_remove(nth)));
    }
    Ok(Path { steps, last: state })
}

/// Takes one more step: the first action that violates the claim about transitions.
///
/// # Errors
/// If none does.
pub fn extend<M: Model>(
    model: &M,
    path: Path<M::State, M::Action>,
    holds: crate::claims::OfStep<M>,
) -> Result<Path<M::State, M::Action>, Error> {
    let Path { mut steps, last } = path;
    let (mut taken, mut kept) = (Vec::new(), Vec::new());
    model.actions(&last, &mut taken);
    model.actions(&last, &mut kept);
    let found = taken.into_iter().enumerate().find_map(|(nth, action)| {
        let next = model.next_state(&last, action)?;
        (model.within_boundary(&next) && !holds(model, &last, &kept[nth], &next)).then_some((nth, next))
    });
    let (nth, next) = found.ok_or(Error::NotAFunction("a violating step"))?;
    steps.push((last, kept.swap_remove(nth)));
    Ok(Path { steps, last: next })
}
