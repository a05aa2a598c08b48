//! The breadth-first engine of `stateright`, wrapped so that its outcome cannot be misread.
//!
//! Three of its habits need care (read in version 0.31.0):
//!
//! - It reports *done* after a time-out as it does after exhaustion. So its time-out is not used: a raised flag makes
//!   the model offer no more actions, and a run in which that happened is [`Ending::Cut`].
//! - It replaces the path of a violated property by that of a later, deeper violation, until it looks up at the end
//!   of a block of states. So a property is shown to it as violated once only: at the first state in its order, which
//!   with one thread is a nearest one.
//! - It ends as soon as every property has been discovered, which cuts the counts short. A claim that is never
//!   violated keeps it going; what ends a run early is decided here.
//!
//! With several threads the order is not breadth-first. After a violation the search is therefore repeated with one
//! thread, which costs little: it ends at the first violation.

use super::{
    Counterexample, Cut, Ending, Error, Fired, Limits, Memory, Progress, Report, Subject, Until, Witness,
    checker,
};
use stateright::{Checker, Expectation, Model, Property};
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
};
use std::time::{Duration, Instant};

/// How often the flag is looked at and progress is reported.
const TICK: Duration = Duration::from_millis(20);
/// Conditions have no captures, so that each property index needs a function of its own.
const PROPERTIES_MAX: usize = 64;
/// Keeps the engine going when every property of the model has been discovered.
const NEVER_VIOLATED: &str = "explored";

/// Explores the model until it is exhausted or a limit is met. `stop` is raised by the caller to interrupt;
/// `progress` is called now and then.
pub fn run<M: Subject>(
    model: &M,
    limits: Limits,
    stop: &AtomicBool,
    progress: &mut dyn FnMut(Progress),
) -> Result<Report, Error> {
    let started = Instant::now();
    let mut report = explore(model, limits, limits.threads.max(1), started, stop, progress)?;
    let order_unsure = limits.threads > 1 && !report.counterexamples.is_empty();
    if order_unsure && limits.until == Until::FirstViolation {
        let again = explore(model, limits, 1, started, stop, progress)?;
        // Cut while it was repeated: the longer path still is a counterexample.
        if !again.counterexamples.is_empty() {
            report.counterexamples = again.counterexamples;
        }
    }
    report.elapsed = started.elapsed();
    Ok(report)
}

fn explore<M: Subject>(
    model: &M,
    limits: Limits,
    threads: usize,
    started: Instant,
    stop: &AtomicBool,
    progress: &mut dyn FnMut(Progress),
) -> Result<Report, Error> {
    if model.properties().len() > PROPERTIES_MAX {
        return Err(Error::TooManyProperties { properties_max: PROPERTIES_MAX });
    }
    if !model.init_states().iter().any(|state| model.within_boundary(state)) {
        return Err(checker::Error::NoInitialState.into());
    }
    let counts = Arc::new(Counts::new(model));
    let watched = Watched {
        properties: model.properties(),
        model: model.clone(),
        counts: Arc::clone(&counts),
        until: limits.until,
    };
    // A limit that is met before the start cuts the run whatever the scheduler does.
    let nothing = moment(0, 0, 0, started);
    if let Some(cut) = limit_met(limits, nothing, stop) {
        counts.cut(cut);
    }
    let mut checker = watched.checker().threads(threads).spawn_bfs();
    let mut handles = checker.handles();
    let mut panicked = false;
    while !handles.is_empty() {
        std::thread::park_timeout(TICK);
        let now = moment(checker.unique_state_count(), checker.state_count(), checker.max_depth(), started);
        if let Some(cut) = limit_met(limits, now, stop) {
            counts.cut(cut);
        }
        progress(now);
        let (done, running): (Vec<_>, Vec<_>) = handles.into_iter().partition(|handle| handle.is_finished());
        handles = running;
        for handle in done {
            panicked |= handle.join().is_err();
        }
        if panicked {
            counts.cut(Cut::Interrupted);
        }
    }
    if panicked {
        return Err(checker::Error::Panicked("see standard error".to_owned()).into());
    }
    let fired = counts
        .fired
        .iter()
        .zip(model.kinds())
        .map(|(count, kind)| Fired { kind, count: count.load(Ordering::Relaxed) })
        .collect();
    let (unique, generated, depth) =
        (checker.unique_state_count() as u64, checker.state_count() as u64, checker.max_depth() as u64);
    let ending = counts.ending();
    // The engine replays paths through the model, which must offer its actions again for that.
    counts.halt.store(0, Ordering::Relaxed);
    let mut found = checker.discoveries();
    let mut report = Report {
        unique,
        generated,
        depth,
        levels: Vec::new(),
        elapsed: started.elapsed(),
        ending,
        bits: 64,
        memory: Memory::default(),
        unjudged: Vec::new(),
        fired,
        witnesses: Vec::new(),
        claims: Vec::new(),
        counterexamples: Vec::new(),
    };
    for property in model.properties() {
        let path = found.remove(property.name).map(|path| path.into_vec());
        match property.expectation {
            Expectation::Sometimes => {
                report
                    .witnesses
                    .push(Witness { name: property.name, steps: path.map(|path| path.len() - 1) });
            }
            Expectation::Always | Expectation::Eventually => {
                report.claims.push(property.name);
                // A state whose actions were withheld looks terminal: what `eventually` finds there is no finding.
                let real = property.expectation == Expectation::Always || ending == Ending::Exhausted;
                if let Some(path) = path.filter(|_| real) {
                    let steps =
                        path.iter().filter_map(|(before, action)| Some(model.tell(before, action.as_ref()?)));
                    report
                        .counterexamples
                        .push(Counterexample { property: property.name, steps: steps.collect() });
                }
            }
        }
    }
    report.counterexamples.sort_by_key(|one| one.steps.len());
    Ok(report)
}

/// The engine says nothing of its queue and memory.
fn moment(unique: usize, generated: usize, depth: usize, started: Instant) -> Progress {
    Progress {
        unique: unique as u64,
        generated: generated as u64,
        depth: depth as u64,
        queue: 0,
        load: 0.0,
        spilled: 0,
        total: None,
        elapsed: started.elapsed(),
    }
}

fn limit_met(limits: Limits, now: Progress, stop: &AtomicBool) -> Option<Cut> {
    if stop.load(Ordering::Relaxed) {
        Some(Cut::Interrupted)
    } else if limits.time_max.is_some_and(|max| now.elapsed >= max) {
        Some(Cut::Time)
    } else if limits.states_max.is_some_and(|max| now.unique >= max) {
        Some(Cut::States)
    } else if limits.memory_max.is_some_and(|max| checker::resident_bytes().is_some_and(|used| used > max)) {
        Some(Cut::Memory)
    } else {
        None
    }
}

/// What is counted while threads explore, and the flag that ends it.
struct Counts {
    fired: Vec<AtomicU64>,
    discovered: Vec<AtomicBool>,
    /// 0: go on; otherwise why the model has stopped offering actions.
    halt: AtomicU8,
    /// Actions were withheld because of `halt`: the exploration is not exhaustive.
    withheld: AtomicBool,
}

/// [`Counts::halt`] at a violation.
const AT_VIOLATION: u8 = 1;

impl Counts {
    fn new<M: Subject>(model: &M) -> Counts {
        Counts {
            fired: model.kinds().iter().map(|_| AtomicU64::new(0)).collect(),
            discovered: (0..PROPERTIES_MAX).map(|_| AtomicBool::new(false)).collect(),
            halt: AtomicU8::new(0),
            withheld: AtomicBool::new(false),
        }
    }

    fn cut(&self, cut: Cut) {
        let code = match cut {
            Cut::States => 2,
            Cut::Time => 3,
            Cut::Interrupted => 4,
            Cut::Memory => 5,
        };
        // The first reason stands.
        let _ = self.halt.compare_exchange(0, code, Ordering::Relaxed, Ordering::Relaxed);
    }

    fn ending(&self) -> Ending {
        if !self.withheld.load(Ordering::Relaxed) {
            return Ending::Exhausted;
        }
        match self.halt.load(Ordering::Relaxed) {
            AT_VIOLATION => Ending::Violated,
            2 => Ending::Cut(Cut::States),
            3 => Ending::Cut(Cut::Time),
            5 => Ending::Cut(Cut::Memory),
            _ => Ending::Cut(Cut::Interrupted),
        }
    }
}

/// The model as the engine sees it.
struct Watched<M: Subject> {
    model: M,
    properties: Vec<Property<M>>,
    counts: Arc<Counts>,
    until: Until,
}

impl<M: Subject> Watched<M> {
    /// What the engine is told about the property at this state.
    fn judge(&self, at: usize, state: &M::State) -> bool {
        let (Some(property), Some(discovered)) = (self.properties.get(at), self.counts.discovered.get(at))
        else {
            return true;
        };
        let holds = (property.condition)(&self.model, state);
        match property.expectation {
            Expectation::Eventually => holds,
            Expectation::Sometimes => holds && !discovered.swap(true, Ordering::Relaxed),
            Expectation::Always if holds => true,
            Expectation::Always => {
                let first = !discovered.swap(true, Ordering::Relaxed);
                if self.until == Until::FirstViolation {
                    let _ = self.counts.halt.compare_exchange(
                        0,
                        AT_VIOLATION,
                        Ordering::Relaxed,
                        Ordering::Relaxed,
                    );
                }
                !first
            }
        }
    }
}

impl<M: Subject> Model for Watched<M> {
    type State = M::State;
    type Action = M::Action;

    fn init_states(&self) -> Vec<M::State> {
        self.model.init_states()
    }

    fn actions(&self, state: &M::State, actions: &mut Vec<M::Action>) {
        if self.counts.halt.load(Ordering::Relaxed) != 0 {
            self.counts.withheld.store(true, Ordering::Relaxed);
            return;
        }
        self.model.actions(state, actions);
    }

    fn next_state(&self, state: &M::State, action: M::Action) -> Option<M::State> {
        let kind = M::kind(&action);
        let next = self.model.next_state(state, action)?;
        if let Some(count) = self.counts.fired.get(kind) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        Some(next)
    }

    fn within_boundary(&self, state: &M::State) -> bool {
        self.model.within_boundary(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let table = conditions::<M>();
        let mut shown: Vec<_> = self
            .properties
            .iter()
            .zip(table)
            .map(|(property, condition)| Property {
                expectation: property.expectation.clone(),
                name: property.name,
                condition,
            })
            .collect();
        shown.push(Property::always(NEVER_VIOLATED, |_, _| true));
        shown
    }
}

type Condition<M> = fn(&Watched<M>, &<M as Model>::State) -> bool;

/// One function for each property index.
fn conditions<M: Subject>() -> [Condition<M>; PROPERTIES_MAX] {
    const fn at<M: Subject, const AT: usize>() -> Condition<M> {
        |watched, state| watched.judge(AT, state)
    }
    macro_rules! table {
        ($($at:literal)*) => { [$(at::<M, $at>(),)*] };
    }
    table!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31
        32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63)
}
