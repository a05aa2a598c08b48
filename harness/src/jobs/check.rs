//! Exhaustive checks of the model's instances.

use super::{Desk, Error, file_word, io_error, quirk_options, scenario_word, since};
use crate::catalogue::{RECOVERY, Relaxation, Shown, relaxation};
use crate::check::{
    self, Checkpoints, Ending, Engine, How, Limits, Recovery, Report, Subject, Until, Verdict,
    raw_story_header, recovery_terms, story_header,
};
use crate::record::{Finding, Section, Table};
use crate::replay;
use crate::scenario::Scenario;
use crate::verdict::Outcome;
use redline_model::cluster::{Bounds, Cluster, Readings, UNLIMITED};
use redline_model::reservations::{INSTANCES, Instance, Reservations};
use redline_traces::{Header, TraceFile};
use redline_vocab::{Action, Design, Event, Guard, Micros};
use std::path::Path;
use std::time::{Duration, Instant};

/// What is explored.
#[derive(Clone, Copy, Debug)]
pub enum Explored {
    /// One logical unit with raw initiators.
    Reservations(Instance),
    /// The scenario's guest cluster.
    Cluster(Bounds),
    /// Whether the guest cluster can always recover.
    Recovery(Bounds),
}

/// How a check is carried out.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The guards that hold.
    pub design: Design,
    /// Limits.
    pub limits: Limits,
    /// Which engine explores.
    pub engine: Engine,
    /// Width of fingerprints, 64 or 128 bits.
    pub bits: u32,
    /// Whether and where progress is kept.
    pub keep: Option<Keep<'a>>,
    /// This process's place among several, if several explore.
    pub place: Option<&'a check::Place>,
}

/// Where the progress of a check is kept.
#[derive(Clone, Copy, Debug)]
pub struct Keep<'a> {
    /// A folder for it.
    pub dir: &'a Path,
    /// Least time between two checkpoints.
    pub every: Duration,
    /// Continues what is there.
    pub resume: bool,
}

impl Ask<'_> {
    /// On the project's own engine, without checkpoints.
    pub const fn new(design: Design, limits: Limits) -> Ask<'static> {
        Ask { design, limits, engine: Engine::Redline, bits: 64, keep: None, place: None }
    }
}

/// The instance in which these guards show what they are for; the scenario's own without any.
///
/// # Errors
/// If these guards together are not in the catalogue, or show in no property.
pub fn explored_for(scenario: &Scenario, guards: &[Guard]) -> Result<Explored, Error> {
    if guards.is_empty() {
        return Ok(Explored::Cluster(scenario.bounds));
    }
    let Some(row) = relaxation(guards) else {
        return Ok(Explored::Cluster(scenario.bounds));
    };
    match row.shown {
        Shown::Cluster(bounds) => Ok(Explored::Cluster(bounds)),
        Shown::Stuck(bounds) => Ok(Explored::Recovery(bounds)),
        Shown::Reservations(name) => Ok(Explored::Reservations(instance(name)?)),
        Shown::ConformanceOnly => Err(Error::Asked(format!(
            "no stated property depends on {}: {}; `redline hazards` says which command shows it",
            row.name(),
            row.story
        ))),
    }
}

/// The instance of the reservation model with this name.
///
/// # Errors
/// With the nearest name, if there is none.
pub fn instance(name: &str) -> Result<Instance, Error> {
    INSTANCES.into_iter().find(|one| one.name == name).ok_or_else(|| {
        let known: Vec<&str> = INSTANCES.iter().map(|one| one.name).collect();
        Error::Asked(format!("no instance is called `{name}`; there are {}", known.join(", ")))
    })
}

/// The instance in which recovery is checked.
pub fn recovery_instance() -> Explored {
    Explored::Recovery(RECOVERY)
}

/// Explores an instance.
///
/// # Errors
/// If nothing can be explored, or an artefact cannot be written.
pub fn run(desk: &Desk<'_>, scenario: &Scenario, explored: Explored, ask: Ask<'_>) -> Result<Section, Error> {
    match explored {
        Explored::Reservations(instance) => reservations(desk, scenario, instance, ask),
        Explored::Cluster(bounds) => cluster(desk, scenario, bounds, ask),
        Explored::Recovery(bounds) => recovery(desk, scenario, bounds, ask),
    }
}

fn reservations(
    desk: &Desk<'_>,
    scenario: &Scenario,
    instance: Instance,
    ask: Ask<'_>,
) -> Result<Section, Error> {
    let sound = ask.design == Design::SOUND;
    // A story that is to be replayed needs the readings of the fabric.
    let readings = if sound { Readings::Every } else { Readings::OurTarget };
    let model = Reservations::new(instance, ask.design, readings);
    let name = format!("model {}", instance.name);
    let (mut section, report) = explore(desk, &name, &model, instance.name, ask)?;
    let types: Vec<&str> = instance.types.iter().map(|kind| kind.short()).collect();
    section.figure(
        "bounds",
        format!(
            "{} nexuses, 2 keys, {} writers with one write each, types {}, restart {}",
            instance.nexuses,
            instance.writers,
            types.join(" "),
            if instance.restart { "with and without APTPL" } else { "none" }
        ),
    );
    for one in &report.counterexamples {
        let header = raw_story_header(scenario, ask.design, instance.nexuses);
        let story = model.story(&choices(&one.steps));
        section.findings.push(finding(desk, scenario, &header, one.property, &one.steps, story)?);
    }
    Ok(section)
}

fn cluster(desk: &Desk<'_>, scenario: &Scenario, bounds: Bounds, ask: Ask<'_>) -> Result<Section, Error> {
    let model = model(scenario, bounds, ask.design);
    let (mut section, report) = explore(desk, "model guest-cluster", &model, &bounds_words(bounds), ask)?;
    section.figure("bounds", bounds_words(bounds));
    for one in &report.counterexamples {
        let header = story_header(scenario, ask.design, bounds.nodes, model.nexuses());
        let story = model.story(&choices(&one.steps));
        section.findings.push(finding(desk, scenario, &header, one.property, &one.steps, story)?);
    }
    Ok(section)
}

/// The guest cluster model of the scenario within other bounds.
pub fn model(scenario: &Scenario, bounds: Bounds, design: Design) -> Cluster {
    let mut scenario = scenario.clone();
    scenario.cluster.nodes = bounds.nodes;
    Cluster::new(design, bounds, Readings::OurTarget, &scenario.keys())
}

fn recovery(desk: &Desk<'_>, scenario: &Scenario, bounds: Bounds, ask: Ask<'_>) -> Result<Section, Error> {
    let start = Instant::now();
    let model = model(scenario, bounds, ask.design);
    desk.tell("model recovery", 0, None);
    let found = check::recover(&model, &recovery_terms(), ask.limits, desk.stop)?;
    let mut section = Section::new("model recovery");
    section.figure("states", found.states);
    section.figure("states with an owner", found.goals);
    section.figure("transitions without a fault", found.transitions);
    section.figure("states from which no owner can be reached", found.stuck);
    section.figure("bounds", bounds_words(bounds));
    let outcome = recovery_outcome(&found);
    section.outcome = outcome;
    section.summary = match outcome {
        Outcome::Holds => "from every state an owner can be reached without another fault (V19)".to_owned(),
        Outcome::Violated => {
            format!("from {} of {} states no owner can be reached any more", found.stuck, found.states)
        }
        _ => found.cut.map_or_else(|| "no state has an owner".to_owned(), |cut| cut.to_string()),
    };
    section.judged("fabric/progress", outcome, format!("{} states", found.states));
    if let (Outcome::Violated, Some(path)) = (outcome, &found.path) {
        let header = story_header(scenario, ask.design, bounds.nodes, model.nexuses());
        let mut one = finding(desk, scenario, &header, "fabric/progress", path, model.story(&choices(path)))?;
        one.sentence = "after these steps no node can own the disk again without another fault".to_owned();
        section.findings.push(one);
    }
    section.elapsed_ms = since(start);
    Ok(section)
}

fn recovery_outcome(found: &Recovery) -> Outcome {
    match found.cut {
        Some(check::Cut::Interrupted) => Outcome::Interrupted,
        Some(check::Cut::States | check::Cut::Time | check::Cut::Memory) => Outcome::Inconclusive,
        None if found.stuck > 0 => Outcome::Violated,
        None if found.goals == 0 => Outcome::Vacuous,
        None => Outcome::Holds,
    }
}

/// The choices of all steps, in their order.
pub(super) fn choices(steps: &[check::Step]) -> Vec<(Action, u8)> {
    steps.iter().flat_map(|step| step.choices.clone()).collect()
}

pub(super) fn finding(
    desk: &Desk<'_>,
    scenario: &Scenario,
    header: &Header,
    property: &str,
    steps: &[check::Step],
    story: Option<Vec<Event>>,
) -> Result<Finding, Error> {
    let claim = redline_properties::catalogue::find(property)
        .map_or("an assumption of the model", |known| known.claim);
    let texts = steps.iter().map(|step| step.text.clone()).collect();
    let sentence = format!("after these {} steps this does not hold any more: {claim}", steps.len());
    let mut finding = Finding::new(property, sentence, texts);
    let Some(story) = story else {
        return Err(Error::Asked(format!(
            "the counterexample of {property} cannot be told: a bug in the model"
        )));
    };
    let path = desk.file(&format!("counterexample-{}.ndjson", file_word(property)));
    write_story(&path, header, &story)?;
    finding.artefacts.push(path.display().to_string());
    let word = scenario_word(desk, scenario)?;
    let given = if word == header.scenario { String::new() } else { format!(" --scenario {word}") };
    let quirks = quirk_options(replay::matching_quirks(header));
    finding.reproduce = format!("redline replay {}{given}{quirks}", path.display());
    Ok(finding)
}

/// Writes a story as a trace; its time is its order.
fn write_story(path: &std::path::Path, header: &Header, story: &[Event]) -> Result<(), Error> {
    let mut file = TraceFile::create(path, header).map_err(io_error(path))?;
    for (at, event) in (0..).map(Micros).zip(story) {
        file.record(at, event).map_err(io_error(path))?;
    }
    file.commit().map_err(io_error(path))?;
    Ok(())
}

fn explore<M: Subject>(
    desk: &Desk<'_>,
    name: &str,
    model: &M,
    bounds: &str,
    ask: Ask<'_>,
) -> Result<(Section, Report), Error> {
    let mut rate = Rate::new();
    let mut told = |progress: check::Progress| {
        (desk.progress)(&super::Progress {
            what: name.to_owned(),
            done: progress.unique,
            of: progress.total,
            more: rate.words(&progress),
        });
    };
    let checkpoints = ask.keep.map(|keep| Checkpoints {
        dir: keep.dir.to_owned(),
        every: keep.every,
        resume: keep.resume,
        identity: identity(name, bounds, ask.design),
    });
    let how = How {
        engine: ask.engine,
        limits: ask.limits,
        wide: ask.bits == 128,
        checkpoints,
        place: ask.place.cloned(),
    };
    let report = check::run_as(how, model, desk.stop, &mut told)?;
    let mut section = Section::new(name);
    section.elapsed_ms = u64::try_from(report.elapsed.as_millis()).unwrap_or(u64::MAX);
    section.figure("unique states", report.unique);
    section.figure("states generated", report.generated);
    section.figure("depth", report.depth);
    section.figure("explored", ending_words(report.ending));
    section.figure(
        "odds that a state was left out",
        format!("{:.0e} ({}-bit fingerprints)", report.collision_odds(), report.bits),
    );
    if let Some(place) = ask.place {
        section.figure("explored by", format!("{} processes", place.addresses.len()));
    }
    if ask.engine == Engine::Redline {
        section.figure("memory", memory_words(&report.memory));
    }
    let never: Vec<&str> = report.never_enabled().collect();
    section
        .figure("actions never enabled", if never.is_empty() { "none".to_owned() } else { never.join(", ") });
    section.tables.push(Table {
        title: "transitions by kind of move".to_owned(),
        columns: vec!["move".to_owned(), "transitions".to_owned()],
        rows: report.fired.iter().map(|one| vec![one.kind.to_owned(), one.count.to_string()]).collect(),
    });
    judge(&mut section, &report);
    Ok((section, report))
}

/// What a checkpoint must be of, to be continued.
fn identity(name: &str, bounds: &str, design: Design) -> String {
    let dropped: Vec<&str> = design.relaxed().map(Guard::name).collect();
    format!("{name} ({bounds}), without [{}], redline {}", dropped.join(" "), env!("CARGO_PKG_VERSION"))
}

fn memory_words(memory: &check::Memory) -> String {
    let mib = |bytes: u64| bytes.div_ceil(1 << 20);
    let spilled =
        if memory.spilled > 0 { format!(", {} MiB on disk", mib(memory.spilled)) } else { String::new() };
    format!(
        "at most {} MiB; table of {} MiB, {:.0} % full{spilled}",
        mib(memory.peak),
        mib(memory.table),
        100.0 * memory.load
    )
}

/// How fast a check is, from one moment to a later one.
struct Rate {
    last: (Duration, u64),
    per_second: u64,
}

impl Rate {
    const fn new() -> Rate {
        Rate { last: (Duration::ZERO, 0), per_second: 0 }
    }

    fn words(&mut self, now: &check::Progress) -> String {
        let (then, unique) = self.last;
        let passed = now.elapsed.saturating_sub(then);
        if passed >= Duration::from_secs(1) {
            self.per_second = ((now.unique.saturating_sub(unique)) as f64 / passed.as_secs_f64()) as u64;
            self.last = (now.elapsed, now.unique);
        }
        let left = match now.total {
            Some(total) if self.per_second > 0 => {
                let seconds = total.saturating_sub(now.unique) / self.per_second;
                format!(", about {} min {} s left", seconds / 60, seconds % 60)
            }
            _ => String::new(),
        };
        format!(
            "level {}, {} waiting, {} states/s, table {:.0} % full{left}",
            now.depth,
            now.queue,
            self.per_second,
            100.0 * now.load
        )
    }
}

fn judge(section: &mut Section, report: &Report) {
    let verdict = report.verdict();
    let unbroken = match report.ending {
        Ending::Exhausted => Outcome::Holds,
        Ending::Violated | Ending::Cut(_) => Outcome::Inconclusive,
    };
    for claim in &report.claims {
        match report.counterexamples.iter().find(|one| one.property == *claim) {
            Some(found) => {
                section.judged(
                    *claim,
                    Outcome::Violated,
                    format!("by a path of {} steps", found.steps.len()),
                );
            }
            None => section.judged(*claim, unbroken, format!("in {} states", report.unique)),
        }
    }
    for witness in &report.witnesses {
        let name = format!("met: {}", witness.name);
        match (witness.steps, report.ending) {
            (Some(steps), _) => section.judged(name, Outcome::Holds, format!("after {steps} steps")),
            (None, Ending::Exhausted) => section.judged(name, Outcome::Vacuous, "never"),
            (None, _) => section.judged(name, Outcome::Inconclusive, "not yet"),
        }
    }
    (section.outcome, section.summary) = match verdict {
        Verdict::Holds => (
            Outcome::Holds,
            format!(
                "{} properties hold in all {} states within the bounds",
                report.claims.len(),
                report.unique
            ),
        ),
        Verdict::Violated => {
            let first = &report.counterexamples[0];
            (
                Outcome::Violated,
                format!("{} is violated by a path of {} steps", first.property, first.steps.len()),
            )
        }
        Verdict::Inconclusive(check::Cut::Interrupted) => {
            (Outcome::Interrupted, format!("interrupted after {} states", report.unique))
        }
        Verdict::Inconclusive(cut) => {
            (Outcome::Inconclusive, format!("{cut} after {} states", report.unique))
        }
        Verdict::Vacuous(missing) => (Outcome::Vacuous, format!("never met: {}", missing.join(", "))),
    };
}

fn ending_words(ending: Ending) -> String {
    match ending {
        Ending::Exhausted => "exhaustively".to_owned(),
        Ending::Violated => "up to the first violation".to_owned(),
        Ending::Cut(cut) => format!("not to the end: {cut}"),
    }
}

/// Bounds in words.
pub fn bounds_words(bounds: Bounds) -> String {
    let left = bounds.left;
    let times = [
        ("writes", left.writes),
        ("challenges", left.challenges),
        ("defends", left.defends),
        ("stalls", left.stalls),
        ("breaks", left.breaks),
        ("crashes", left.crashes),
        ("power cycles", left.power_cycles),
    ];
    let mut words = format!("{} nodes, queue {}", bounds.nodes, bounds.queue);
    for (what, count) in times {
        words +=
            &if count == UNLIMITED { format!(", {what} without limit") } else { format!(", {what} {count}") };
    }
    words
}

/// A check that must find a violation, and what the fabric makes of its counterexample.
pub struct Canary {
    /// What the check came to.
    pub checked: Section,
    /// Steps of the counterexample.
    pub steps: usize,
    /// The story.
    pub story: Vec<Event>,
    /// Its header.
    pub header: Header,
    /// The property that breaks.
    pub property: &'static str,
}

/// Explores the instance of a relaxation and tells its counterexample. `None`: it shows in no counterexample.
///
/// # Errors
/// If nothing can be explored.
pub fn canary(
    desk: &Desk<'_>,
    scenario: &Scenario,
    row: &Relaxation,
    limits: Limits,
) -> Result<Option<Canary>, Error> {
    let design = row.design(scenario.design);
    let ask = Ask::new(design, Limits { until: Until::FirstViolation, ..limits });
    let (checked, report, header, story) = match row.shown {
        Shown::Cluster(bounds) => {
            let model = model(scenario, bounds, design);
            let (section, report) = explore(desk, &format!("canary {}", row.name()), &model, "", ask)?;
            let story = report.counterexamples.first().and_then(|one| model.story(&choices(&one.steps)));
            (section, report, story_header(scenario, design, bounds.nodes, model.nexuses()), story)
        }
        Shown::Reservations(name) => {
            let instance = instance(name)?;
            let model = Reservations::new(instance, design, Readings::OurTarget);
            let (section, report) = explore(desk, &format!("canary {}", row.name()), &model, "", ask)?;
            let story = report.counterexamples.first().and_then(|one| model.story(&choices(&one.steps)));
            (section, report, raw_story_header(scenario, design, instance.nexuses), story)
        }
        Shown::Stuck(_) | Shown::ConformanceOnly => return Ok(None),
    };
    Ok(report.counterexamples.first().zip(story).map(|(one, story)| Canary {
        checked,
        steps: one.steps.len(),
        story,
        header,
        property: one.property,
    }))
}
