//! The search: breadth-first, one level after the other, with any number of threads.
//!
//! The idea: all threads take chunks of the level from one queue, expand them, and collect successors in a batch whose
//! places in the table are prefetched; then the batch is inserted, and what is new goes to the thread's own part of the next
//! level. A level is finished before the next one begins, and a violation ends the search only at the end of its level. Therefore
//! counts, levels and the set of violations are the same for any number of threads, and no path to a violation is shorter.
//!
//! No path is kept: see `path`.

use crate::{
    checkpoint::{self, Checkpoints, Recorder},
    fingerprint::Fingerprint,
    frontier::{self, Budget, Level, Slot, Spill},
    report::{Cut, Ending, Error, Limits, Memory, Progress, Until, guess_total},
    space::{Chunk, Space, Visit},
    table::{Alone, Table},
};
use std::{
    collections::VecDeque,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

/// How often limits are looked at and progress is reported.
const TICK: Duration = Duration::from_millis(20);
/// How many successors are generated before the first of them is inserted: enough to hide the way to memory, few enough for
/// the caches. One leaves when one comes, so that an allocator can give the memory of a duplicate to the next successor.
const PIPELINE: usize = 16;
/// Room in the table that a thread reserves at a time.
const ROOM: usize = 1024;
/// New states that a thread finds before it says so.
const SAY: u64 = 64;
/// A level of so few nodes is not worth waking threads for.
const SMALL: u64 = 256;

/// What a search has counted and found.
pub struct Tally {
    /// States generated.
    pub generated: u64,
    /// New states by level.
    pub levels: Vec<u64>,
    /// By kind of action.
    pub fired: Vec<u64>,
    /// By claim: the first level, from 1, with a state in which it was met (a premise) or violated (anything else).
    pub found: Vec<Option<u64>>,
}

/// What a search gives.
pub struct Outcome {
    /// Counts and finds.
    pub tally: Tally,
    /// Distinct states.
    pub unique: u64,
    /// How it ended.
    pub ending: Ending,
    /// What it needed.
    pub memory: Memory,
}

/// How a search is carried out.
pub struct Plan<'a> {
    /// Limits.
    pub limits: Limits,
    /// Raised to interrupt.
    pub stop: &'a AtomicBool,
    /// Where waiting states go when memory is short.
    pub spill_dir: PathBuf,
    /// Whether and where progress is kept.
    pub checkpoints: Option<&'a Checkpoints>,
    /// When the check began.
    pub started: Instant,
}

/// Explores the space.
///
/// # Errors
/// If there is nothing to explore, the model panics, or the disk fails.
pub fn search<S: Space, F: Fingerprint>(
    space: &S,
    plan: &Plan<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Outcome, Error> {
    let claims = &space.subject().claims;
    let shared = Shared::new(plan.limits);
    let threads = plan.limits.threads.max(1);
    let mut workers: Vec<Worker<S, F>> = (0..threads).map(|_| Worker::new(space)).collect();
    let resumed = match plan.checkpoints {
        Some(checkpoints) => checkpoint::resume(space, checkpoints, plan, &shared.budget)?,
        None => None,
    };
    let (mut table, mut level, mut tally, recorder) = match resumed {
        Some(resumed) => (resumed.table, resumed.level, resumed.tally, Some(resumed.recorder)),
        None => {
            let recorder = plan.checkpoints.map(|one| Recorder::create(one, F::WORDS)).transpose()?;
            let (table, level, tally) = begin(space, plan, &shared, &mut workers, recorder.as_ref())?;
            (table, level, tally, recorder)
        }
    };
    shared.unique.0.store(table.len(), Ordering::Relaxed);
    shared.generated.0.store(tally.generated, Ordering::Relaxed);
    shared.budget.set_table(table.bytes());

    let ending = loop {
        if level.nodes == 0 {
            break Ending::Exhausted;
        }
        if let Some(cut) = limit_met(plan, &shared) {
            break Ending::Cut(cut);
        }
        let open = open_claims(space, &tally);
        let spill = Spill::new(plan.spill_dir.clone());
        let depth = tally.levels.len() as u64;
        let mut round = Round {
            space,
            shared: &shared,
            level: &level,
            spill: &spill,
            open: &open,
            recorder: recorder.as_ref(),
        };
        let cut = loop {
            let ask = |queue: u64| Progress {
                unique: shared.unique.0.load(Ordering::Relaxed),
                generated: shared.generated.0.load(Ordering::Relaxed),
                depth,
                queue,
                load: table.load(),
                spilled: shared.budget.spilled.load(Ordering::Relaxed),
                total: guess_total(&tally.levels),
                elapsed: plan.started.elapsed(),
            };
            let room = expand(&round, &table, &mut workers, plan, &ask, progress)?;
            if let Some(cut) = shared.cut() {
                break Some(cut);
            }
            let Some(room) = room else { break None };
            if !make_room(&round, &mut table, &mut workers, room * threads, threads)? {
                break Some(Cut::Memory);
            }
            round.recorder = recorder.as_ref();
        };
        for (at, found) in tally.found.iter_mut().enumerate() {
            if workers.iter_mut().any(|worker| std::mem::take(&mut worker.found[at])) {
                found.get_or_insert(depth);
            }
        }
        let mut slots = VecDeque::new();
        for worker in &mut workers {
            worker.finish_level(&round, &table)?;
            slots.extend(worker.slots.drain(..));
            tally.generated += std::mem::take(&mut worker.generated);
            let fired = worker.fired.iter_mut().map(|one| std::mem::take(&mut one.0));
            tally.fired.iter_mut().zip(fired).for_each(|(sum, one)| *sum += one);
        }
        let violated =
            claims.iter().zip(&tally.found).any(|(claim, found)| found.is_some() && !claim.is_premise());
        let at_violation = violated && plan.limits.until == Until::FirstViolation;
        if let Some(cut) = cut {
            break Ending::Cut(cut);
        }
        level = Level::new(slots, spill);
        if at_violation {
            break Ending::Violated;
        }
        if level.nodes > 0 {
            tally.levels.push(level.nodes);
        }
        if let Some(recorder) = &recorder {
            for worker in &mut workers {
                recorder.log(&mut worker.log)?;
            }
            recorder.level_done(space, &table, &level, &tally, plan.started.elapsed())?;
        }
    };
    let budget = &shared.budget;
    Ok(Outcome {
        unique: table.len(),
        tally,
        ending,
        memory: Memory {
            table: table.bytes(),
            load: table.load(),
            peak: budget.peak.load(Ordering::Relaxed),
            spilled: budget.spilled.load(Ordering::Relaxed),
        },
    })
}

/// The first level: the initial states.
#[allow(clippy::type_complexity)]
fn begin<S: Space, F: Fingerprint>(
    space: &S,
    plan: &Plan<'_>,
    shared: &Shared,
    workers: &mut [Worker<S, F>],
    recorder: Option<&Recorder>,
) -> Result<(Table<F>, Level<S>, Tally), Error> {
    let roots = guard(|| space.roots())?;
    if roots.is_empty() {
        return Err(Error::NoInitialState);
    }
    let mut table = Table::new()?;
    let generated = roots.len() as u64;
    if !table.reserve(roots.len()) {
        table.grow(roots.len(), u64::MAX, 1)?;
        table.reserve(roots.len());
    }
    let (spill, nothing) =
        (Spill::new(plan.spill_dir.clone()), Level::new(VecDeque::new(), Spill::new(plan.spill_dir.clone())));
    let round = Round { space, shared, level: &nothing, spill: &spill, open: &[], recorder };
    let worker = &mut workers[0];
    worker.pending.extend(roots.into_iter().map(|node| (space.fingerprint(&node), node)));
    worker.room = generated as usize;
    while !worker.pending.is_empty() {
        worker.insert_oldest(&round, &table);
    }
    worker.finish_level(&round, &table)?;
    if let Some(recorder) = recorder {
        recorder.log(&mut worker.log)?;
    }
    let level = Level::new(worker.slots.drain(..).collect(), spill);
    let tally = Tally {
        generated,
        levels: vec![level.nodes],
        fired: vec![0; space.subject().kinds.names.len()],
        found: vec![None; space.subject().claims.len()],
    };
    Ok((table, level, tally))
}

/// Which claims still have to be looked at: what was found on an earlier level cannot be found on a shorter path.
pub fn open_claims<S: Space>(space: &S, tally: &Tally) -> Vec<bool> {
    let claims = space.subject().claims.iter();
    claims.zip(&tally.found).map(|(claim, found)| found.is_none() && !claim.is_liveness()).collect()
}

/// What the threads share.
struct Shared {
    budget: Budget,
    /// Distinct states that were reported.
    unique: Alone<AtomicU64>,
    generated: Alone<AtomicU64>,
    states_max: u64,
    /// 0: go on; otherwise why not.
    halt: AtomicU8,
    /// What the process had in use before the search.
    resident_before: u64,
}

impl Shared {
    fn new(limits: Limits) -> Shared {
        Shared {
            budget: Budget::new(limits.memory_max),
            unique: Alone(AtomicU64::new(0)),
            generated: Alone(AtomicU64::new(0)),
            states_max: limits.states_max.unwrap_or(u64::MAX),
            halt: AtomicU8::new(0),
            resident_before: resident_bytes().unwrap_or(0),
        }
    }

    /// The first reason stands.
    fn halt(&self, cut: Cut) {
        let code = match cut {
            Cut::States => 1,
            Cut::Time => 2,
            Cut::Memory => 3,
            Cut::Interrupted => 4,
        };
        let _ = self.halt.compare_exchange(0, code, Ordering::Relaxed, Ordering::Relaxed);
    }

    fn cut(&self) -> Option<Cut> {
        match self.halt.load(Ordering::Relaxed) {
            0 => None,
            1 => Some(Cut::States),
            2 => Some(Cut::Time),
            3 => Some(Cut::Memory),
            _ => Some(Cut::Interrupted),
        }
    }
}

fn limit_met(plan: &Plan<'_>, shared: &Shared) -> Option<Cut> {
    if plan.stop.load(Ordering::Relaxed) {
        Some(Cut::Interrupted)
    } else if plan.limits.time_max.is_some_and(|max| plan.started.elapsed() >= max) {
        Some(Cut::Time)
    } else if shared.unique.0.load(Ordering::Relaxed) >= shared.states_max {
        Some(Cut::States)
    } else {
        None
    }
}

/// One pass over what is left of a level.
struct Round<'r, S: Space> {
    space: &'r S,
    shared: &'r Shared,
    level: &'r Level<S>,
    spill: &'r Spill,
    open: &'r [bool],
    recorder: Option<&'r Recorder>,
}

/// Lets all workers go on until the level is expanded (`None`) or the table must have room for so many more.
fn expand<S: Space, F: Fingerprint>(
    round: &Round<'_, S>,
    table: &Table<F>,
    workers: &mut [Worker<S, F>],
    plan: &Plan<'_>,
    ask: &dyn Fn(u64) -> Progress,
    progress: &mut dyn FnMut(Progress),
) -> Result<Option<usize>, Error> {
    if round.level.nodes <= SMALL {
        let mut room = None;
        for worker in workers {
            room = room.max(guard(|| worker.work(round, table))??);
        }
        return Ok(room);
    }
    let left = || {
        let slots = round.level.slots.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        slots.iter().map(|slot| u64::from(slot.nodes())).sum()
    };
    std::thread::scope(|scope| {
        let (tell, told) = mpsc::channel();
        for worker in workers.iter_mut() {
            let tell = tell.clone();
            scope.spawn(move || {
                // Whoever listens outlives this thread.
                let _ = tell.send(guard(|| worker.work(round, table)));
            });
        }
        drop(tell);
        let mut room = None;
        let mut failed = None;
        let mut next_tick = Instant::now() + TICK;
        loop {
            match told.recv_timeout(next_tick.saturating_duration_since(Instant::now())) {
                Ok(Ok(Ok(needed))) => room = room.max(needed),
                Ok(Ok(Err(error))) => failed = Some(Error::from(error)),
                Ok(Err(error)) => failed = Some(error),
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    next_tick = Instant::now() + TICK;
                    if let Some(cut) = limit_met(plan, round.shared) {
                        round.shared.halt(cut);
                    }
                    watch_memory::<S>(round.shared);
                    progress(ask(left()));
                }
            }
            if failed.is_some() {
                round.shared.halt(Cut::Interrupted);
            }
        }
        failed.map_or(Ok(room), Err)
    })
}

/// What is accounted for is not all that is used: states on the heap, the allocator's rest, the model itself.
fn watch_memory<S: Space>(shared: &Shared) {
    let budget = &shared.budget;
    let Some(resident) = (budget.max < u64::MAX).then(resident_bytes).flatten() else {
        return;
    };
    let used = resident.saturating_sub(shared.resident_before);
    if used <= budget.max && !budget.exceeded() {
        budget.tight.store(false, Ordering::Relaxed);
    } else if !S::STORABLE || used > budget.max + budget.max / 4 {
        shared.halt(Cut::Memory);
    } else if used > budget.max {
        budget.tight.store(true, Ordering::Relaxed);
    }
}

/// Memory that the process has in use, where the system says so.
pub fn resident_bytes() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * 4096)
}

/// Memory that the system could give now, where it says so.
pub fn available_bytes() -> Option<u64> {
    let meminfo = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

/// Grows the table within the budget; what waits goes to disk first if both do not fit.
fn make_room<S: Space, F: Fingerprint>(
    round: &Round<'_, S>,
    table: &mut Table<F>,
    workers: &mut [Worker<S, F>],
    room: usize,
    threads: usize,
) -> Result<bool, Error> {
    let budget = &round.shared.budget;
    // A share of the budget stays for what waits, so that not every single state has to go to disk.
    let most = budget.max - budget.max / 16;
    let most = if S::STORABLE { most } else { most.saturating_sub(budget.frontier.load(Ordering::Relaxed)) };
    budget.set_table(table.grown_bytes(room, most));
    if S::STORABLE && budget.exceeded() {
        for slot in workers.iter_mut().flat_map(|worker| &mut worker.slots) {
            frontier::evict(round.space, slot, budget, round.spill)?;
        }
        let mut slots = round.level.slots.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for slot in slots.iter_mut().rev() {
            if !budget.exceeded() {
                break;
            }
            frontier::evict(round.space, slot, budget, &round.level.spill)?;
        }
    }
    let possible = table.grow(room, most, threads)?;
    budget.set_table(table.bytes());
    Ok(possible)
}

/// A panic of the model as an error.
pub fn guard<T>(work: impl FnOnce() -> T) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let what = panic.downcast_ref::<String>().cloned();
        let what = what.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Error::Panicked(what.unwrap_or_else(|| "without a message".to_owned()))
    })
}

/// What a thread owns from the start to the end of a search. No cache line has something of two threads that changes with every state: where
/// that happened, by the chance of addresses, two threads took as long as one.
#[repr(align(128))]
struct Worker<S: Space, F> {
    /// Successors that are not inserted yet, oldest first.
    pending: VecDeque<(F, S::Node)>,
    /// Reserved room in the table.
    room: usize,
    /// The rest of the chunk that is being expanded.
    nodes: Option<S::Nodes>,
    /// The chunk that is being filled.
    chunk: Chunk<S>,
    /// Its part of the next level.
    slots: Vec<Slot<S>>,
    generated: u64,
    /// New and generated states that the others do not know of.
    unsaid: (u64, u64),
    fired: Vec<Alone<u64>>,
    /// By claim, on this level.
    found: Vec<bool>,
    /// New fingerprints for the checkpoint.
    log: Vec<u8>,
    /// What went wrong on the disk.
    error: Option<io::Error>,
}

impl<S: Space, F: Fingerprint> Worker<S, F> {
    fn new(space: &S) -> Worker<S, F> {
        Worker {
            pending: VecDeque::with_capacity(2 * PIPELINE),
            room: 0,
            nodes: None,
            chunk: Chunk::default(),
            slots: Vec::new(),
            generated: 0,
            unsaid: (0, 0),
            fired: space.subject().kinds.names.iter().map(|_| Alone(0)).collect(),
            found: vec![false; space.subject().claims.len()],
            log: Vec::new(),
            error: None,
        }
    }

    /// Expands until the level is done (`None`), the search is halted (`None`), or the table is too full for so many.
    fn work(&mut self, round: &Round<'_, S>, table: &Table<F>) -> io::Result<Option<usize>> {
        let Round { space, shared, level, open, .. } = *round;
        let mut actions = Vec::new();
        loop {
            while self.pending.len() > PIPELINE || self.nodes.is_none() && !self.pending.is_empty() {
                // Only after an expansion that ran out of room, or when there is nothing left to expand.
                if self.room == 0 && !self.reserve(table) {
                    return Ok(Some(self.pending.len() + ROOM));
                }
                self.insert_oldest(round, table);
            }
            if let Some(error) = self.error.take() {
                return Err(error);
            }
            if self.unsaid.0 >= SAY || self.nodes.is_none() {
                self.say(shared);
                if shared.halt.load(Ordering::Relaxed) != 0 {
                    return Ok(None);
                }
            }
            let Some(node) = self.nodes.as_mut().and_then(Iterator::next) else {
                self.nodes = level.pop(space, &shared.budget)?.map(|chunk| space.open(chunk));
                if self.nodes.is_none() && self.pending.is_empty() {
                    self.say(shared);
                    return Ok(None);
                }
                continue;
            };
            if self.room == 0 {
                // Without room the expansion goes on all the same: its successors wait.
                self.reserve(table);
            }
            if let Some(nodes) = &self.nodes {
                space.ahead(nodes);
            }
            space.expand(&node, open, &mut actions, &mut Visitor { round, table, worker: self });
        }
    }

    fn reserve(&mut self, table: &Table<F>) -> bool {
        let fits = table.reserve(ROOM);
        if fits {
            self.room += ROOM;
        }
        fits
    }

    /// Inserts the successor that has waited longest, for which there must be room.
    #[inline(always)]
    fn insert_oldest(&mut self, round: &Round<'_, S>, table: &Table<F>) {
        let Some((fingerprint, _)) = self.pending.front() else { return };
        let fingerprint = *fingerprint;
        if table.insert(fingerprint) {
            self.keep_oldest(round, fingerprint);
        } else {
            self.pending.pop_front();
        }
    }

    /// It is new: it waits in the next level.
    fn keep_oldest(&mut self, round: &Round<'_, S>, fingerprint: F) {
        self.room -= 1;
        self.unsaid.0 += 1;
        let Some((_, node)) = self.pending.pop_front() else { return };
        if let Some(recorder) = round.recorder {
            checkpoint::put(&mut self.log, fingerprint);
            if self.log.len() >= 1 << 20
                && let Err(error) = recorder.log(&mut self.log)
            {
                self.error = Some(error);
            }
        }
        if round.space.push(&mut self.chunk, node) {
            self.finish_chunk(round);
        }
    }

    fn finish_chunk(&mut self, round: &Round<'_, S>) {
        let chunk = std::mem::take(&mut self.chunk);
        match frontier::keep(round.space, chunk, &round.shared.budget, round.spill) {
            Ok(slot) => self.slots.push(slot),
            Err(error) => self.error = Some(error),
        }
    }

    fn say(&mut self, shared: &Shared) {
        let (new, generated) = std::mem::take(&mut self.unsaid);
        self.generated += generated;
        shared.generated.0.fetch_add(generated, Ordering::Relaxed);
        if shared.unique.0.fetch_add(new, Ordering::Relaxed) + new >= shared.states_max {
            shared.halt(Cut::States);
        }
    }

    fn finish_level(&mut self, round: &Round<'_, S>, table: &Table<F>) -> io::Result<()> {
        self.say(round.shared);
        table.unreserve(std::mem::take(&mut self.room));
        if self.chunk.len > 0 {
            self.finish_chunk(round);
        }
        self.error.take().map_or(Ok(()), Err)
    }
}

/// Takes in what an expansion meets.
struct Visitor<'v, S: Space, F> {
    round: &'v Round<'v, S>,
    table: &'v Table<F>,
    worker: &'v mut Worker<S, F>,
}

impl<S: Space, F: Fingerprint> Visit<S::Node> for Visitor<'_, S, F> {
    #[inline(always)]
    fn next(&mut self, kind: usize, node: S::Node) {
        let fingerprint = self.round.space.fingerprint(&node);
        self.table.prefetch(fingerprint);
        let worker = &mut *self.worker;
        worker.fired[kind].0 += 1;
        worker.unsaid.1 += 1;
        worker.pending.push_back((fingerprint, node));
        if worker.pending.len() > PIPELINE && worker.room > 0 {
            worker.insert_oldest(self.round, self.table);
        }
    }

    fn found(&mut self, claim: usize) {
        self.worker.found[claim] = true;
    }
}
