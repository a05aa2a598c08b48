//! A check: a model, what is asked of it, and how.

use crate::{
    checkpoint::Checkpoints,
    claims::{self, Claim, Kinds, OfState, OfStep, Says},
    encoded::Encoding,
    fingerprint::Fingerprint,
    liveness,
    packed::{Packed, Packing},
    path,
    report::{Counterexample, Ending, Error, Fired, Limits, Progress, Report, Witness},
    search::{self, Outcome, Plan},
    simulate::{self, Walked, Walks},
    space::{Canonical, Plain, Space, Subject},
};
use serde::{Serialize, de::DeserializeOwned};
use stateright::Model;
use std::{hash::Hash, path::PathBuf, sync::atomic::AtomicBool, time::Instant};

/// A model with what is to be checked.
///
/// ```
/// use redline_checker::{Check, Limits, Verdict};
/// use stateright::{Model, Property};
///
/// /// A counter that wraps around at 10.
/// struct Clock;
/// impl Model for Clock {
///     type State = u8;
///     type Action = ();
///     fn init_states(&self) -> Vec<u8> { vec![0] }
///     fn actions(&self, _: &u8, actions: &mut Vec<()>) { actions.push(()) }
///     fn next_state(&self, state: &u8, _: ()) -> Option<u8> { Some((state + 1) % 10) }
///     fn properties(&self) -> Vec<Property<Self>> {
///         vec![Property::always("below ten", |_, state| *state < 10)]
///     }
/// }
///
/// let report = Check::new(&Clock).leads_to("returns", |_, s| *s == 5, |_, s| *s == 0).run(Limits::threads(2))?;
/// assert_eq!(report.verdict(), Verdict::Holds);
/// assert_eq!((report.unique, report.depth), (10, 10));
/// # Ok::<(), redline_checker::Error>(())
/// ```
pub struct Check<'m, M: Model> {
    model: &'m M,
    kinds: Kinds<M>,
    claims: Vec<Claim<M>>,
    fair: Vec<&'static str>,
    canonical: Option<Canonical<M>>,
    wide: bool,
    spill_dir: PathBuf,
    checkpoints: Option<Checkpoints>,
}

/// The report of a model's check.
pub type Explored<M> = Report<Counterexample<<M as Model>::State, <M as Model>::Action>>;

/// Called now and then with where the search is.
pub type Watch<'w> = &'w mut dyn FnMut(Progress);

impl<'m, M: Model> Check<'m, M> {
    /// Checks the model's own properties.
    pub fn new(model: &'m M) -> Check<'m, M> {
        Check {
            model,
            kinds: Kinds::default(),
            claims: claims::of_model(model),
            fair: Vec::new(),
            canonical: None,
            wide: false,
            spill_dir: std::env::temp_dir(),
            checkpoints: None,
        }
    }

    /// Counts firings by kind: names, and which of them an action is.
    pub fn kinds(mut self, names: Vec<&'static str>, of: fn(&M::Action) -> usize) -> Self {
        self.kinds = Kinds { names, of };
        self
    }

    /// Weak fairness for these kinds of actions (at most 64): if such an action is enabled for ever, it is taken again and again.
    pub fn fair(mut self, kinds: &[&'static str]) -> Self {
        self.fair.extend(kinds);
        self
    }

    /// On every fair path from an initial state some state meets `goal`.
    pub fn eventually(self, name: &'static str, goal: OfState<M>) -> Self {
        self.claim(name, Says::Eventually(goal))
    }

    /// On every fair path each state that meets `from` is followed by one that meets `goal`, at once or later.
    pub fn leads_to(self, name: &'static str, from: OfState<M>, goal: OfState<M>) -> Self {
        self.claim(name, Says::LeadsTo(from, goal))
    }

    /// Every transition within the boundary meets the predicate.
    pub fn always_step(self, name: &'static str, holds: OfStep<M>) -> Self {
        self.claim(name, Says::AlwaysStep(holds))
    }

    /// No deadlock: a state without a next one must meet `may_end`.
    pub fn ends_only_in(self, name: &'static str, may_end: OfState<M>) -> Self {
        self.claim(name, Says::EndsOnlyIn(may_end))
    }

    /// One more property.
    pub fn claim(mut self, name: &'static str, says: Says<M>) -> Self {
        self.claims.push(Claim { name, says });
        self
    }

    /// Takes all states of an orbit for one. The function must give the same state for all states of an orbit, model and
    /// properties must not tell them apart, and the kind of an action must not name a component. See `symmetry`.
    pub fn symmetric(mut self, canonical: Canonical<M>) -> Self {
        self.canonical = Some(canonical);
        self
    }

    /// Fingerprints of 128 bits in place of 64: twice the table, and no collision that anybody will see.
    pub fn wide(mut self, wide: bool) -> Self {
        self.wide = wide;
        self
    }

    /// Where waiting states go when memory is short; the system's folder for temporary files otherwise.
    pub fn spill_dir(mut self, dir: PathBuf) -> Self {
        self.spill_dir = dir;
        self
    }

    /// Keeps checkpoints. Needs a form of states that can be stored: [`Check::run_packed`] or [`Check::run_encoded`].
    pub fn checkpoints(mut self, checkpoints: Checkpoints) -> Self {
        self.checkpoints = Some(checkpoints);
        self
    }

    /// Random walks in place of an exhaustive search.
    ///
    /// # Errors
    /// If the model has no initial state, or panics.
    pub fn walk(&self, walks: Walks, stop: &AtomicBool) -> Result<Walked<M::State, M::Action>, Error>
    where
        M::State: Hash,
    {
        simulate::walk(self.model, &self.kinds, &self.claims, walks, stop)
    }

    pub(crate) fn names_differ(&self) -> Result<(), Error> {
        let repeats = |(at, claim): &(usize, &Claim<M>)| {
            self.claims[..*at].iter().any(|other| other.name == claim.name)
        };
        match self.claims.iter().enumerate().find(repeats) {
            Some((_, claim)) => Err(Error::SameName(claim.name)),
            None => Ok(()),
        }
    }

    /// Puts together what a search gave.
    pub(crate) fn report<F: Fingerprint>(
        &self,
        outcome: Outcome,
        mut counterexamples: Vec<Counterexample<M::State, M::Action>>,
        unjudged: Vec<&'static str>,
        started: Instant,
    ) -> Explored<M> {
        let Outcome { tally, unique, ending, memory } = outcome;
        counterexamples.sort_by_key(|one| one.path.steps.len());
        let witness = |(claim, found): (&Claim<M>, &Option<u64>)| {
            let steps = found.map(|level| level as usize - 1);
            claim.is_premise().then_some(Witness { name: claim.name, steps })
        };
        let fired = self.kinds.names.iter().zip(tally.fired);
        Report {
            unique,
            generated: tally.generated,
            elapsed: started.elapsed(),
            ending,
            bits: 64 * F::WORDS as u32,
            memory,
            fired: fired.map(|(kind, count)| Fired { kind, count }).collect(),
            witnesses: self.claims.iter().zip(&tally.found).filter_map(witness).collect(),
            claims: self.claims.iter().filter(|claim| !claim.is_premise()).map(|claim| claim.name).collect(),
            depth: tally.levels.len() as u64,
            levels: tally.levels,
            unjudged,
            counterexamples,
        }
    }

    #[cfg(feature = "distributed")]
    pub(crate) fn is_wide(&self) -> bool {
        self.wide
    }

    #[cfg(feature = "distributed")]
    pub(crate) fn spill_folder(&self) -> &std::path::Path {
        &self.spill_dir
    }

    pub(crate) fn subject(&self) -> Subject<'m, M> {
        Subject {
            model: self.model,
            kinds: self.kinds.clone(),
            claims: self.claims.clone(),
            canonical: self.canonical,
        }
    }
}

impl<M> Check<'_, M>
where
    M: Model<State: Hash + Clone + Send> + Sync,
{
    /// Explores the model without being watched or interrupted. States wait as they are.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn run(&self, limits: Limits) -> Result<Explored<M>, Error> {
        self.run_watched(limits, &AtomicBool::new(false), &mut |_| {})
    }

    /// Explores the model; states wait as they are. `stop` interrupts.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn run_watched(
        &self,
        limits: Limits,
        stop: &AtomicBool,
        watch: Watch<'_>,
    ) -> Result<Explored<M>, Error> {
        self.explore(&Plain(self.subject()), limits, stop, watch)
    }

    /// Explores the model; states wait as a few words.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn run_packed(
        &self,
        limits: Limits,
        stop: &AtomicBool,
        watch: Watch<'_>,
    ) -> Result<Explored<M>, Error>
    where
        M: Packed,
    {
        self.explore(&Packing::new(self.subject()), limits, stop, watch)
    }

    /// Explores the model; states wait as compressed bytes.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn run_encoded(
        &self,
        limits: Limits,
        stop: &AtomicBool,
        watch: Watch<'_>,
    ) -> Result<Explored<M>, Error>
    where
        M::State: Serialize + DeserializeOwned,
    {
        self.explore(&Encoding(self.subject()), limits, stop, watch)
    }

    fn explore<S: Space<Model = M>>(
        &self,
        space: &S,
        limits: Limits,
        stop: &AtomicBool,
        watch: Watch<'_>,
    ) -> Result<Explored<M>, Error> {
        let plan = Plan {
            limits,
            stop,
            spill_dir: self.spill_dir.clone(),
            checkpoints: self.checkpoints.as_ref(),
            started: Instant::now(),
        };
        self.names_differ()?;
        if self.wide {
            self.explore_with::<S, u128>(space, &plan, watch)
        } else {
            self.explore_with::<S, u64>(space, &plan, watch)
        }
    }

    fn explore_with<S: Space<Model = M>, F: Fingerprint>(
        &self,
        space: &S,
        plan: &Plan<'_>,
        watch: Watch<'_>,
    ) -> Result<Explored<M>, Error> {
        let fair = self.fair_kinds()?;
        let Outcome { tally, unique, mut ending, memory } = search::search::<S, F>(space, plan, watch)?;
        let mut counterexamples = search::guard(|| self.of_states::<S, F>(space, &tally.found, plan))??;
        let mut unjudged = Vec::new();
        let liveness: Vec<usize> =
            (0..self.claims.len()).filter(|at| self.claims[*at].is_liveness()).collect();
        if ending != Ending::Exhausted {
            unjudged = liveness.iter().map(|at| self.claims[*at].name).collect();
        } else if !liveness.is_empty() {
            match search::guard(|| self.of_paths::<F>(&liveness, &fair, plan))?? {
                Ok(found) => counterexamples.extend(found),
                Err(cut) => {
                    ending = Ending::Cut(cut);
                    unjudged = liveness.iter().map(|at| self.claims[*at].name).collect();
                }
            }
        }
        let outcome = Outcome { tally, unique, ending, memory };
        Ok(self.report::<F>(outcome, counterexamples, unjudged, plan.started))
    }

    fn fair_kinds(&self) -> Result<Vec<usize>, Error> {
        let number = |name: &&'static str| {
            self.kinds.names.iter().position(|kind| kind == name).ok_or(Error::NoSuchKind(name))
        };
        self.fair.iter().take(64).map(number).collect()
    }

    /// Counterexamples of what was found at single states and steps.
    #[allow(clippy::type_complexity)]
    fn of_states<S: Space<Model = M>, F: Fingerprint>(
        &self,
        space: &S,
        found: &[Option<u64>],
        plan: &Plan<'_>,
    ) -> Result<Vec<Counterexample<M::State, M::Action>>, Error> {
        let violated: Vec<(usize, u64)> = found
            .iter()
            .enumerate()
            .filter(|(at, _)| !self.claims[*at].is_premise())
            .filter_map(|(at, level)| Some((at, (*level)?)))
            .collect();
        let trails = path::trails::<S, F>(space, &violated, plan)?;
        let shown = violated.iter().zip(trails).map(|((at, _), trail)| {
            let claim = &self.claims[*at];
            let mut path = path::walk(space, &trail)?;
            if let Says::AlwaysStep(holds) = claim.says {
                path = path::extend(self.model, path, holds)?;
            }
            Ok(Counterexample { property: claim.name, path, loops_from: None })
        });
        shown.collect()
    }

    /// Counterexamples of properties of paths.
    #[allow(clippy::type_complexity)]
    fn of_paths<F: Fingerprint>(
        &self,
        liveness: &[usize],
        fair: &[usize],
        plan: &Plan<'_>,
    ) -> Result<Result<Vec<Counterexample<M::State, M::Action>>, crate::report::Cut>, Error> {
        // Without symmetry: see `liveness`.
        let space = Plain(Subject { canonical: None, ..self.subject() });
        let graph = match liveness::explore::<M, F>(space.subject(), liveness, fair, plan)? {
            Ok(graph) => graph,
            Err(cut) => return Ok(Err(cut)),
        };
        let mut found = Vec::new();
        for (nth, claim) in liveness.iter().map(|at| &self.claims[*at]).enumerate() {
            if let Some(lasso) = graph.violation(nth, matches!(claim.says, Says::Eventually(_))) {
                let path = path::walk(&space, &lasso.trail)?;
                found.push(Counterexample { property: claim.name, path, loops_from: lasso.loops_from });
            }
        }
        Ok(Ok(found))
    }
}
