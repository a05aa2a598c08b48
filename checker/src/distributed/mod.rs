//! The same search on several processes, on timely dataflow.
//!
//! The idea: each fingerprint has an owner among the workers, who alone keeps it. All workers expand their part of a level and send
//! each successor to its owner; then they tell each other what everybody has to know: counts, what was found, reasons to stop. Both are
//! epochs of a dataflow, which says when an epoch is complete everywhere. Counts, levels and verdicts are therefore those of the
//! search in one process.
//!
//! With each new state its owner logs where it came from: the least of the fingerprints that lead to it from the level before. A
//! counterexample is rebuilt by asking the owners backwards. It is as short as the one that a single process shows, and the same for
//! any number of workers, but of several shortest ones it need not be the same.
//!
//! **Deliberately absent:** properties of paths (they need the whole graph in one place), checkpoints, waiting states on disk.

mod network;
mod parents;
mod sockets;

use crate::{
    check::{Check, Explored},
    claims::Says,
    encoded::Encoding,
    fingerprint::Fingerprint,
    packed::{Packed, Packing},
    path::{self, Trail},
    report::{Counterexample, Cut, Ending, Error, Limits, Memory, Until},
    search::{Outcome, Tally, guard, open_claims, resident_bytes},
    space::{Chunk, Space, Visit},
    table::Table,
};
use network::{Body, Found, Halt, Network, Word, words};
pub use network::{Cluster, Member, execute};
use parents::Parents;
use rustc_hash::FxHashMap;
use serde::{Serialize, de::DeserializeOwned};
use stateright::Model;
use std::{
    collections::BTreeMap,
    hash::Hash,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

/// Nodes that are expanded between two looks at the network.
const SLICE: usize = 1024;
/// Nodes that are sent to an owner together.
const PARCEL: u32 = 256;
/// The predecessor of an initial state.
const NOTHING: [u64; 2] = [0, 0];

impl<M> Check<'_, M>
where
    M: Model<State: Hash + Clone + Send> + Sync,
{
    /// This worker's part of a search; states travel and wait as a few words. The first worker of each process gets the report, the same
    /// in all of them, the others get `None`. `stop` interrupts all.
    ///
    /// # Errors
    /// See [`Error`]; [`Error::NotDistributed`] for properties of paths.
    pub fn run_packed_on(
        &self,
        member: &mut Member<'_>,
        limits: Limits,
        stop: &AtomicBool,
    ) -> Result<Option<Explored<M>>, Error>
    where
        M: Packed,
    {
        self.explore_on(&Packing::new(self.subject()), member, limits, stop)
    }

    /// This worker's part of a search; states travel and wait as bytes. The first worker of each process gets the report, the same
    /// in all of them, the others get `None`. `stop` interrupts all.
    ///
    /// # Errors
    /// As [`Check::run_packed_on`].
    pub fn run_encoded_on(
        &self,
        member: &mut Member<'_>,
        limits: Limits,
        stop: &AtomicBool,
    ) -> Result<Option<Explored<M>>, Error>
    where
        M::State: Serialize + DeserializeOwned,
    {
        self.explore_on(&Encoding(self.subject()), member, limits, stop)
    }

    fn explore_on<S: Space<Model = M>>(
        &self,
        space: &S,
        member: &mut Member<'_>,
        limits: Limits,
        stop: &AtomicBool,
    ) -> Result<Option<Explored<M>>, Error> {
        self.names_differ()?;
        if let Some(claim) = space.subject().claims.iter().find(|claim| claim.is_liveness()) {
            return Err(Error::NotDistributed(claim.name));
        }
        let plan = Plan { limits, stop, spill_dir: self.spill_folder(), started: Instant::now() };
        if self.is_wide() {
            self.explore_wide_on::<S, u128>(space, member, &plan)
        } else {
            self.explore_wide_on::<S, u64>(space, member, &plan)
        }
    }

    fn explore_wide_on<S: Space<Model = M>, F: Fingerprint>(
        &self,
        space: &S,
        member: &mut Member<'_>,
        plan: &Plan<'_>,
    ) -> Result<Option<Explored<M>>, Error> {
        let mut worker = Worker::<S, F>::new(space, member, plan)?;
        let (outcome, violations) = worker.search()?;
        let trails = worker.trails(&violations)?;
        if !worker.network.reports() {
            return Ok(None);
        }
        let shown = violations.iter().zip(&trails).map(|((found, _), trail)| {
            let claim = &space.subject().claims[found.claim as usize];
            let mut path = path::walk(space, trail)?;
            if let Says::AlwaysStep(holds) = claim.says {
                path = path::extend(space.subject().model, path, holds)?;
            }
            Ok(Counterexample { property: claim.name, path, loops_from: None })
        });
        let counterexamples = shown.collect::<Result<Vec<_>, Error>>()?;
        Ok(Some(self.report::<F>(outcome, counterexamples, Vec::new(), plan.started)))
    }
}

/// How the search is carried out.
struct Plan<'a> {
    limits: Limits,
    stop: &'a AtomicBool,
    spill_dir: &'a Path,
    started: Instant,
}

/// A level's states that this worker owns, and where they came from.
struct Filling<S: Space, F> {
    chunk: Chunk<S>,
    full: Vec<Chunk<S>>,
    parents: FxHashMap<F, [u64; 2]>,
}

impl<S: Space, F> Default for Filling<S, F> {
    fn default() -> Filling<S, F> {
        Filling { chunk: Chunk::default(), full: Vec::new(), parents: FxHashMap::default() }
    }
}

/// States that are about to be sent to their owner.
struct Parcel<S: Space, F> {
    chunk: Chunk<S>,
    fingerprints: Vec<F>,
    parents: Vec<F>,
}

impl<S: Space, F> Default for Parcel<S, F> {
    fn default() -> Parcel<S, F> {
        Parcel { chunk: Chunk::default(), fingerprints: Vec::new(), parents: Vec::new() }
    }
}

/// One worker's part.
struct Worker<'w, S: Space, F: Fingerprint> {
    space: &'w S,
    plan: &'w Plan<'w>,
    network: Network<'w, F>,
    table: Table<F>,
    /// By level.
    filling: BTreeMap<u64, Filling<S, F>>,
    /// By level: what the workers say at its end.
    words: BTreeMap<u64, Vec<Word>>,
    parents: Parents,
    /// By owner.
    parcels: Vec<Parcel<S, F>>,
    /// Questions about where a state comes from, and answers to them: which, level, fingerprint.
    asked: Vec<(u32, u64, [u64; 2])>,
    answered: Vec<(u32, u64, [u64; 2])>,
    epoch: u64,
    resident_before: u64,
    failed: Option<Error>,
}

impl<'w, S: Space, F: Fingerprint> Worker<'w, S, F> {
    fn new(space: &'w S, member: &'w mut Member<'_>, plan: &'w Plan<'w>) -> Result<Worker<'w, S, F>, Error> {
        let network = Network::new(member);
        let parcels = (0..network.peers()).map(|_| Parcel::default()).collect();
        Ok(Worker {
            space,
            plan,
            network,
            table: Table::new()?,
            filling: BTreeMap::new(),
            words: BTreeMap::new(),
            parents: Parents::new(plan.spill_dir.to_owned()),
            parcels,
            asked: Vec::new(),
            answered: Vec::new(),
            epoch: 0,
            resident_before: resident_bytes().unwrap_or(0),
            failed: None,
        })
    }

    /// Level by level. All workers come to the same end, and to the same list of what was violated, each with its level.
    fn search(&mut self) -> Result<(Outcome, Vec<(Found, u64)>), Error> {
        let claims = &self.space.subject().claims;
        let mut tally = Tally {
            generated: 0,
            levels: Vec::new(),
            fired: vec![0; self.space.subject().kinds.names.len()],
            found: vec![None; claims.len()],
        };
        let mut violations = Vec::new();
        let (mut unique, mut depth) = (0, 0);
        let mut word = self.begin();
        let ending = loop {
            let all = self.exchange(depth, word)?;
            let mut found: Vec<Found> = all.iter().flat_map(|word| word.found.iter().copied()).collect();
            found.sort_unstable();
            found.dedup_by_key(|found| found.claim);
            for found in found {
                tally.found[found.claim as usize] = Some(depth);
                if !claims[found.claim as usize].is_premise() {
                    violations.push((found, depth));
                }
            }
            for word in &all {
                tally.generated += word.generated;
                tally.fired.iter_mut().zip(&word.fired).for_each(|(sum, one)| *sum += one);
            }
            let fresh: u64 = all.iter().map(|word| word.fresh).sum();
            unique += fresh;
            if depth == 0 && fresh == 0 {
                return Err(Error::NoInitialState);
            }
            match all.iter().filter_map(|word| word.halt).min().map(Halt::cut) {
                None => {}
                Some(None) => return Err(self.failed.take().unwrap_or(Error::PeerFailed)),
                Some(Some(cut)) => break Ending::Cut(cut),
            }
            if !violations.is_empty() && self.plan.limits.until == Until::FirstViolation {
                break Ending::Violated;
            }
            if fresh == 0 {
                break Ending::Exhausted;
            }
            tally.levels.push(fresh);
            if self.plan.limits.states_max.is_some_and(|max| unique >= max) {
                break Ending::Cut(Cut::States);
            }
            depth += 1;
            word = self.expand_level(depth, &open_claims(self.space, &tally));
        };
        let table = self.table.bytes();
        let memory = Memory { table, load: self.table.load(), peak: table, spilled: 0 };
        Ok((Outcome { tally, unique, ending, memory }, violations))
    }

    /// The first worker sends the initial states to their owners.
    fn begin(&mut self) -> Word {
        let mut word = Word::default();
        if self.network.index() == 0 {
            match guard(|| self.space.roots()) {
                Err(error) => self.fail(error),
                Ok(roots) => {
                    for root in roots {
                        word.generated += 1;
                        self.post(1, root, None);
                    }
                }
            }
        }
        self.send_parcels(1);
        word
    }

    /// Waits until all states of the next level have come; says what there is to say, and hears what the others say.
    fn exchange(&mut self, depth: u64, mut word: Word) -> Result<Vec<Word>, Error> {
        self.close_epoch();
        let filling = self.filling.entry(depth + 1).or_default();
        word.fresh = filling.parents.len() as u64;
        let parents = std::mem::take(&mut filling.parents);
        if let Err(error) = self.parents.push(parents) {
            self.fail(error.into());
        }
        word.halt =
            if self.failed.is_some() { Some(Halt::Failed) } else { word.halt.or_else(|| self.halt()) };
        self.network.tell_all(&Body::Word(depth, word));
        self.close_epoch();
        Ok(self.words.remove(&depth).unwrap_or_default())
    }

    /// Why the search should be cut here, if so.
    fn halt(&self) -> Option<Halt> {
        let Limits { time_max, memory_max, .. } = self.plan.limits;
        let used = || resident_bytes().map(|bytes| bytes.saturating_sub(self.resident_before));
        if self.plan.stop.load(Ordering::Relaxed) {
            Some(Halt::Interrupted)
        } else if time_max.is_some_and(|max| self.plan.started.elapsed() >= max) {
            Some(Halt::Time)
        } else if memory_max.is_some_and(|max| used().is_some_and(|used| used > max)) {
            Some(Halt::Memory)
        } else {
            None
        }
    }

    /// The first error stands; the others hear of it at the end of the level.
    fn fail(&mut self, error: Error) {
        self.failed.get_or_insert(error);
    }

    /// Expands this worker's states of the level.
    fn expand_level(&mut self, depth: u64, open: &[bool]) -> Word {
        let mut level = self.filling.remove(&depth).unwrap_or_default();
        if level.chunk.len > 0 {
            self.space.seal(&mut level.chunk);
            level.full.push(level.chunk);
        }
        let kinds = self.space.subject().kinds.names.len();
        let mut word = Word { fired: vec![0; kinds], ..Word::default() };
        let mut least: BTreeMap<u32, [u64; 2]> = BTreeMap::new();
        let mut actions = Vec::new();
        let mut since = 0;
        'level: for chunk in level.full {
            for node in self.space.open(chunk) {
                let from = self.space.fingerprint::<F>(&node);
                let mut met = Met { found: Vec::new(), next: Vec::new() };
                if let Err(error) = guard(|| self.space.expand(&node, open, &mut actions, &mut met)) {
                    self.fail(error);
                    break 'level;
                }
                for claim in met.found {
                    let least = least.entry(claim as u32).or_insert([u64::MAX; 2]);
                    *least = (*least).min(words(from));
                }
                for (kind, node) in met.next {
                    word.fired[kind] += 1;
                    word.generated += 1;
                    self.post(depth + 1, node, Some(from));
                }
                since += 1;
                if since >= SLICE {
                    since = 0;
                    let arrived = self.network.receive();
                    self.take_in(arrived);
                    word.halt = self.halt();
                    if word.halt.is_some() {
                        break 'level;
                    }
                }
            }
        }
        self.send_parcels(depth + 1);
        word.found = least.into_iter().map(|(claim, fingerprint)| Found { claim, fingerprint }).collect();
        word
    }

    /// Puts a state into its owner's parcel.
    fn post(&mut self, level: u64, node: S::Node, from: Option<F>) {
        let fingerprint = self.space.fingerprint::<F>(&node);
        let owner = self.network.owner(fingerprint);
        let parcel = &mut self.parcels[owner];
        parcel.fingerprints.push(fingerprint);
        parcel.parents.push(from.unwrap_or(F::from_words(0, 0)));
        if self.space.push(&mut parcel.chunk, node) || parcel.chunk.len >= PARCEL {
            self.send_parcel(level, owner);
        }
    }

    fn send_parcels(&mut self, level: u64) {
        for owner in 0..self.parcels.len() {
            if self.parcels[owner].chunk.len > 0 {
                self.send_parcel(level, owner);
            }
        }
    }

    fn send_parcel(&mut self, level: u64, owner: usize) {
        let mut parcel = std::mem::take(&mut self.parcels[owner]);
        self.space.seal(&mut parcel.chunk);
        if owner == self.network.index() {
            return self.insert(level, parcel.chunk, parcel.fingerprints, parcel.parents);
        }
        let flat = |all: Vec<F>| all.into_iter().flat_map(words).collect();
        let (fingerprints, parents) = (flat(parcel.fingerprints), flat(parcel.parents));
        let chunk = self.space.save(&parcel.chunk);
        self.network.send(owner, Body::States { level, fingerprints, parents, chunk });
    }

    /// Takes in what has come.
    fn take_in(&mut self, arrived: Vec<Body>) {
        for body in arrived {
            match body {
                Body::Word(level, word) => self.words.entry(level).or_default().push(word),
                Body::Question { asked, level, fingerprint } => self.asked.push((asked, level, fingerprint)),
                Body::Answer { asked, level, parent } => self.answered.push((asked, level, parent)),
                Body::States { level, fingerprints, parents, chunk } => {
                    let unflat = |all: Vec<u64>| -> Vec<F> {
                        all.as_chunks().0.iter().map(|[lead, tail]| F::from_words(*lead, *tail)).collect()
                    };
                    let (fingerprints, parents) = (unflat(fingerprints), unflat(parents));
                    let len = u32::try_from(fingerprints.len()).expect("a parcel has few nodes");
                    match self.space.load(&chunk, len) {
                        Some(chunk) => self.insert(level, chunk, fingerprints, parents),
                        None => self.fail(Error::Network("states arrived damaged".to_owned())),
                    }
                }
            }
        }
    }

    /// States of which this worker is the owner.
    fn insert(&mut self, level: u64, chunk: Chunk<S>, fingerprints: Vec<F>, parents: Vec<F>) {
        let filling = self.filling.entry(level).or_default();
        for ((node, fingerprint), parent) in self.space.open(chunk).zip(fingerprints).zip(parents) {
            while !self.table.reserve(1) {
                if let Err(error) = self.table.grow(1, u64::MAX, 1) {
                    self.failed.get_or_insert(error.into());
                    return;
                }
            }
            let parent = words(parent);
            if self.table.insert(fingerprint) {
                filling.parents.insert(fingerprint, parent);
                if self.space.push(&mut filling.chunk, node) {
                    let mut full = std::mem::take(&mut filling.chunk);
                    self.space.seal(&mut full);
                    filling.full.push(full);
                }
            } else {
                self.table.unreserve(1);
                // Not in this level's list: it was met on an earlier level.
                if let Some(least) = filling.parents.get_mut(&fingerprint) {
                    *least = (*least).min(parent);
                }
            }
        }
    }

    fn close_epoch(&mut self) {
        while !self.network.close_epoch(self.epoch) {
            let arrived = self.network.arrived();
            self.take_in(arrived);
        }
        let arrived = self.network.arrived();
        self.take_in(arrived);
        self.epoch += 1;
    }

    /// The ways to the violations, asked for backwards; only workers that report get them.
    fn trails(&mut self, violations: &[(Found, u64)]) -> Result<Vec<Trail<F>>, Error> {
        let mut trails: Vec<Vec<[u64; 2]>> =
            violations.iter().map(|(found, _)| vec![found.fingerprint]).collect();
        let first = self.network.index() == 0;
        let deepest = violations.iter().map(|(_, level)| *level).max().unwrap_or(0);
        if first {
            for (asked, (found, level)) in (0..).zip(violations) {
                self.ask(asked, *level, found.fingerprint);
            }
        }
        for _ in 0..deepest {
            self.close_epoch();
            for (asked, level, fingerprint) in std::mem::take(&mut self.asked) {
                let parent = self.parents.of(level, fingerprint)?.unwrap_or(NOTHING);
                self.network.tell_reporters(&Body::Answer { asked, level, parent });
            }
            self.close_epoch();
            for (asked, level, parent) in std::mem::take(&mut self.answered) {
                if level > 1 {
                    trails[asked as usize].push(parent);
                    if first {
                        self.ask(asked, level - 1, parent);
                    }
                }
            }
        }
        let step = |words: [u64; 2]| (F::from_words(words[0], words[1]), None);
        Ok(trails.into_iter().map(|trail| trail.into_iter().rev().map(step).collect()).collect())
    }

    fn ask(&mut self, asked: u32, level: u64, fingerprint: [u64; 2]) {
        let owner = self.network.owner(F::from_words(fingerprint[0], fingerprint[1]));
        self.network.send(owner, Body::Question { asked, level, fingerprint });
    }
}

/// What the expansion of one node meets.
struct Met<N> {
    found: Vec<usize>,
    next: Vec<(usize, N)>,
}

impl<N> Visit<N> for Met<N> {
    fn found(&mut self, claim: usize) {
        self.found.push(claim);
    }

    fn next(&mut self, kind: usize, node: N) {
        self.next.push((kind, node));
    }
}
