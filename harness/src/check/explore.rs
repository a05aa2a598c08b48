//! The project's own engine on a model of the project.

use super::{
    Checkpoints, Counterexample, Engine, Error, Limits, Progress, Report, Step, Subject, Walked, Walks,
    checker, reference,
};
use redline_checker::Check;
use std::sync::atomic::AtomicBool;

/// Explores the model until it is exhausted or a limit is met. `stop` is raised by the caller to interrupt;
/// `progress` is called now and then.
///
/// # Errors
/// If there is nothing to explore, the model panics, or the disk fails.
pub fn run<M: Subject>(
    model: &M,
    limits: Limits,
    stop: &AtomicBool,
    progress: &mut dyn FnMut(Progress),
) -> Result<Report, Error> {
    own(
        How { engine: Engine::Redline, limits, wide: false, checkpoints: None, place: None },
        model,
        stop,
        progress,
    )
}

/// How an exploration is carried out.
#[derive(Clone, Debug)]
pub struct How {
    /// By which engine.
    pub engine: Engine,
    /// How far.
    pub limits: Limits,
    /// Fingerprints of 128 bits in place of 64.
    pub wide: bool,
    /// Whether and where progress is kept.
    pub checkpoints: Option<Checkpoints>,
    /// This process's place among several, if several explore.
    pub place: Option<Place>,
}

/// A process's place among those that explore together.
#[derive(Clone, Debug)]
pub struct Place {
    /// Which of the addresses is its own.
    pub process: usize,
    /// `HOST:PORT` of every process, in the same order everywhere.
    pub addresses: Vec<String>,
}

/// Explores the model in this way.
///
/// # Errors
/// If there is nothing to explore, the model panics, the disk fails, or the engine cannot do what is asked.
pub fn run_as<M: Subject>(
    how: How,
    model: &M,
    stop: &AtomicBool,
    progress: &mut dyn FnMut(Progress),
) -> Result<Report, Error> {
    match how.engine {
        Engine::Redline if how.place.is_some() => together(how, model, stop, progress),
        Engine::Redline => own(how, model, stop, progress),
        Engine::Stateright if how.checkpoints.is_some() => Err(Error::Lacks("checkpoints")),
        Engine::Stateright if how.wide => Err(Error::Lacks("fingerprints of 128 bits")),
        Engine::Stateright if how.place.is_some() => Err(Error::Lacks("search on several processes")),
        Engine::Stateright => reference::run(model, how.limits, stop, progress),
    }
}

fn own<M: Subject>(
    how: How,
    model: &M,
    stop: &AtomicBool,
    progress: &mut dyn FnMut(Progress),
) -> Result<Report, Error> {
    let How { limits, wide, checkpoints, .. } = how;
    let mut check = Check::new(model).kinds(model.kinds(), M::kind).wide(wide);
    // States on the heap are faster, and can neither be counted exactly nor go to disk.
    let compact = limits.memory_max.is_some() || checkpoints.is_some();
    if let Some(checkpoints) = checkpoints {
        check = check.checkpoints(checkpoints);
    }
    let report = if compact {
        check.run_encoded(limits, stop, progress)
    } else {
        check.run_watched(limits, stop, progress)
    }?;
    Ok(report.tell(|found| Counterexample { property: found.property, steps: steps(model, &found.path) }))
}

/// This process's part of a search on several.
#[cfg(feature = "distributed")]
fn together<M: Subject>(
    how: How,
    model: &M,
    stop: &AtomicBool,
    progress: &mut dyn FnMut(Progress),
) -> Result<Report, Error> {
    use redline_checker::distributed::{Cluster, Member, execute};
    use std::sync::{Arc, atomic::Ordering, mpsc};
    use std::time::{Duration, Instant};

    let How { limits, wide, place, .. } = how;
    let Some(Place { process, addresses }) = place else { return Err(Error::Lacks("a place among them")) };
    let cluster = Cluster { process, addresses, threads: limits.threads };
    // The workers outlive no borrow: they get a model and a flag of their own.
    let halt = Arc::new(AtomicBool::new(stop.load(Ordering::Relaxed)));
    let (shared, flag) = (model.clone(), Arc::clone(&halt));
    let work = move |member: &mut Member<'_>| {
        let check = Check::new(&shared).kinds(shared.kinds(), M::kind).wide(wide);
        let found = check.run_encoded_on(member, limits, &flag)?;
        let tell = |found: checker::Counterexample<M::State, M::Action>| Counterexample {
            property: found.property,
            steps: steps(&shared, &found.path),
        };
        Ok::<Option<Report>, checker::Error>(found.map(|report| report.tell(tell)))
    };
    let started = Instant::now();
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        // Whoever listens outlives this thread.
        let _ = tell.send(execute(&cluster, work));
    });
    let given = loop {
        match told.recv_timeout(Duration::from_millis(50)) {
            Ok(given) => break given?,
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                return Err(checker::Error::Panicked("a worker of the search ended".to_owned()).into());
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {
                halt.fetch_or(stop.load(Ordering::Relaxed), Ordering::Relaxed);
                progress(Progress::unknown(started.elapsed()));
            }
        }
    };
    let mut report = None;
    for one in given {
        report = one?.or(report);
    }
    report.ok_or_else(|| checker::Error::PeerFailed.into())
}

/// This process's part of a search on several.
#[cfg(not(feature = "distributed"))]
fn together<M: Subject>(_: How, _: &M, _: &AtomicBool, _: &mut dyn FnMut(Progress)) -> Result<Report, Error> {
    Err(Error::NotBuilt)
}

fn steps<M: Subject>(model: &M, path: &checker::Path<M::State, M::Action>) -> Vec<Step> {
    path.steps.iter().map(|(before, action)| model.tell(before, action)).collect()
}

/// Walks through the model at random; a violation is told.
///
/// # Errors
/// If there is nothing to explore, or the model panics.
pub fn simulate<M: Subject>(model: &M, walks: Walks, stop: &AtomicBool) -> Result<Simulated<M>, Error> {
    let walked = Check::new(model).kinds(model.kinds(), M::kind).walk(walks, stop)?;
    let told = walked.violation.as_ref();
    let violation = told.map(|(property, path)| Counterexample { property, steps: steps(model, path) });
    Ok(Simulated { walked, violation })
}

/// What random walks met.
pub struct Simulated<M: Subject> {
    /// What was covered.
    pub walked: Walked<M::State, M::Action>,
    /// The violation, told.
    pub violation: Option<Counterexample>,
}
