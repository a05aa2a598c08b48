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
    own(How { engine: Engine::Redline, limits, wide: false, checkpoints: None }, model, stop, progress)
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
    match (how.engine, &how.checkpoints, how.wide) {
        (Engine::Redline, ..) => own(how, model, stop, progress),
        (Engine::Stateright, None, false) => reference::run(model, how.limits, stop, progress),
        (Engine::Stateright, Some(_), _) => Err(Error::Lacks("checkpoints")),
        (Engine::Stateright, _, true) => Err(Error::Lacks("fingerprints of 128 bits")),
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
