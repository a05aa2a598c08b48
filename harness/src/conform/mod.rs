//! Conformance: does the model allow what a trace says happened?
//!
//! The idea: keep the *set* of model states in which the system may be. An event keeps the states
//! that allow it and moves them on; an unknown outcome forks; an answer filters; a set that becomes
//! empty means that no legal history explains the trace, and the event that emptied it is the
//! divergence. The set is kept per part (the logical unit, each node), which is exact as long as
//! parts meet only in logged events, and small.
//!
//! The same [`Judge`] works online, called for every event by the simulator, and offline ([`judge`]) on
//! a stored trace. It also runs the monitors and counts the situations met.
//!
//! Deliberately absent: any knowledge of quirks. A trace is judged against the design that its header names,
//! and the header's list of planted bugs is not looked at.

mod apart;
mod coverage;
mod linear;
mod lun;
mod node;
#[cfg(test)]
mod tests;
mod track;
pub mod words;
mod world;

pub use coverage::{Context, Coverage};
pub use linear::{Bounds, Linear, linearizable};

use crate::shrink::Fingerprint;
use redline_properties::monitor;
use redline_traces::{Header, Reader};
use redline_vocab::{Event, Micros, Nexus, NodeId, Tag};
use std::{fmt, io::Read};
use world::World;
pub(crate) use world::{Moved as WorldsMoved, World as Worlds};

/// How to judge.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// Candidate states of one part beyond which the verdict is inconclusive.
    pub states_max: usize,
    /// Once nothing disturbs the fabric any more, an owner must exist within this time. `None`: not judged.
    pub owner_within: Option<Micros>,
}

/// Whether the trace goes on after an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// The model allows it.
    Follows,
    /// No legal history contains it, or one of the events before it. Later events are not judged by the model:
    /// the verdict would be noise. The monitors go on.
    Diverged,
    /// Too many candidate states; the model has stopped judging.
    TooMany,
}

/// An event that the model does not allow, with what it would have allowed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Divergence {
    /// Number of the event in the trace; its line in a file is one more.
    pub seq: u64,
    /// Virtual time.
    pub at: Micros,
    /// Kind of the event, as in `dispatched`.
    pub kind: &'static str,
    /// Which part of the model refused it, as in `lun` or `node 1`.
    pub part: String,
    /// What was refused, in domain words.
    pub refused: String,
    /// What the model would have accepted there, nearest first; at most [`ALTERNATIVES_MAX`].
    pub alternatives: Vec<String>,
    /// The candidate states before it, in domain words; at most [`STATES_SHOWN_MAX`].
    pub before: Vec<String>,
    /// How many candidate states there were before it.
    pub states: usize,
}

/// Alternatives that a [`Divergence`] lists.
pub const ALTERNATIVES_MAX: usize = 12;
/// Candidate states that a [`Divergence`] shows.
pub const STATES_SHOWN_MAX: usize = 3;

impl Divergence {
    /// Line of the trace file, counted from 1; the header is line 1.
    pub const fn line(&self) -> u64 {
        self.seq + 1
    }

    /// The alternative nearest to what was seen.
    pub fn nearest(&self) -> Option<&str> {
        self.alternatives.first().map(String::as_str)
    }
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "event {} ({}): the model of {} does not allow that {}",
            self.seq, self.kind, self.part, self.refused
        )?;
        match self.nearest() {
            Some(nearest) => write!(f, "; nearest to it, it would have allowed that {nearest}"),
            None => write!(f, "; it would have allowed no event of this part"),
        }
    }
}

/// The judgement of the model on one trace.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Every event is allowed by the model, and the trace is complete.
    Conforms,
    /// An event is not allowed.
    Diverged(Box<Divergence>),
    /// No judgement, and why.
    Inconclusive(Inconclusive),
}

/// Why there is no judgement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Inconclusive {
    /// The trace has no footer: it was cut after this many events.
    NoFooter {
        /// Events that were judged; all of them are allowed.
        events: u64,
    },
    /// At this event the candidate states of one part exceeded the limit.
    TooManyStates {
        /// Number of the event.
        seq: u64,
        /// How many there were.
        states: usize,
        /// The limit.
        states_max: usize,
    },
    /// Of logs that stand apart: this event rests on a step that a killed process took and did not log.
    CutLog {
        /// Number of the event.
        seq: u64,
    },
}

impl fmt::Display for Inconclusive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Inconclusive::NoFooter { events } => write!(f, "the trace is cut after {events} events"),
            Inconclusive::TooManyStates { seq, states, states_max } => {
                write!(f, "{states} candidate states at event {seq}, the limit is {states_max}")
            }
            Inconclusive::CutLog { seq } => {
                write!(f, "event {seq} rests on a step that is missing from the log of a killed process")
            }
        }
    }
}

/// A trace that cannot be judged at all.
#[derive(Debug)]
pub enum Error {
    /// It has no events. An empty trace is never a pass.
    Empty,
    /// The header describes a world that the model does not have.
    World(&'static str),
    /// It cannot be read.
    Trace(redline_traces::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Empty => f.write_str("the trace has no events: nothing was judged"),
            Error::World(what) => write!(f, "the trace's header cannot be judged: {what}"),
            Error::Trace(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {}

/// What judging did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Statistics {
    /// Events that the model judged.
    pub events: u64,
    /// Sum over these events of the candidate worlds (mean = this / events).
    pub worlds_sum: u64,
    /// Largest number of candidate worlds after any event.
    pub worlds_largest: u64,
}

/// All that judging a trace gives.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Judgement {
    /// Model against trace.
    pub verdict: Verdict,
    /// What the monitors found.
    pub violations: Vec<monitor::Violation>,
    /// Further violations of the same properties, which were counted only.
    pub violations_not_kept: u64,
    /// How often each property's premise fired.
    pub witnesses: Vec<monitor::Witness>,
    /// Which situations were met.
    pub coverage: Coverage,
    /// Counts.
    pub statistics: Statistics,
    /// Kind of the event at which each of the violations was noticed.
    kinds: Vec<&'static str>,
}

impl Judgement {
    /// Somebody with a clock has watched whether an owner comes back once nothing disturbs the fabric any more. `missed`: none
    /// did within this time.
    pub(crate) fn owner_was_watched(&mut self, missed: Option<Micros>) {
        const PROGRESS: &str = "fabric/progress";
        if let Some(witness) = self.witnesses.iter_mut().find(|one| one.property == PROGRESS) {
            witness.fired += 1;
        }
        if let Some(within) = missed {
            let at = Micros(self.statistics.events);
            let sentence = format!("no node owned the disk {} s after the last fault", within.0 / 1_000_000);
            self.violations.push(monitor::Violation { property: PROGRESS, seq: at.0, at, sentence });
            self.kinds.push("end of the trace");
        }
    }

    /// What makes this failure the same as another; `None` if nothing failed. A broken property says more than a
    /// divergence, which often comes before it and has many forms.
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        if let (Some(violation), Some(kind)) = (self.violations.first(), self.kinds.first()) {
            return Some(Fingerprint {
                property: violation.property.to_owned(),
                divergence: String::new(),
                event: (*kind).to_owned(),
            });
        }
        match &self.verdict {
            Verdict::Diverged(divergence) => Some(Fingerprint {
                property: "conformance".to_owned(),
                divergence: divergence.part.split(' ').next().unwrap_or_default().to_owned(),
                event: divergence.kind.to_owned(),
            }),
            Verdict::Conforms | Verdict::Inconclusive(_) => None,
        }
    }
}

/// Judges a stream of events against the model and the monitors.
pub struct Judge {
    panel: monitor::Panel,
    kinds: Vec<&'static str>,
    world: World,
    nodes: u8,
    coverage: Coverage,
    statistics: Statistics,
    ended: Option<Ended>,
    last: Micros,
    seen: u64,
}

/// Why the model judges no further events.
enum Ended {
    Diverged(Box<Divergence>),
    Without(Inconclusive),
}

impl Judge {
    /// A judge that has seen nothing.
    ///
    /// # Errors
    /// [`Error::World`] if the header describes a world that the model does not have.
    pub fn new(header: &Header, options: Options) -> Result<Judge, Error> {
        let setup = monitor::Setup { nodes: header.nodes, owner_within: options.owner_within };
        Ok(Judge {
            panel: monitor::Panel::new(setup),
            kinds: Vec::new(),
            world: World::new(header, options.states_max)?,
            nodes: header.nodes.max(1),
            coverage: Coverage::NONE,
            statistics: Statistics { events: 0, worlds_sum: 0, worlds_largest: 0 },
            ended: None,
            last: Micros(0),
            seen: 0,
        })
    }

    /// Judges the next event. Numbers and times must not decrease.
    pub fn see(&mut self, seq: u64, at: Micros, event: &Event) -> Step {
        self.watch(seq, at, event);
        self.follow_by(seq, at, event, |world| world.see(event))
    }

    /// Shows the event to the monitors only.
    pub(crate) fn watch(&mut self, seq: u64, at: Micros, event: &Event) {
        self.seen += 1;
        self.last = at;
        self.cover(event);
        self.panel.see(seq, at, event);
        while self.kinds.len() < self.panel.violations().len() {
            self.kinds.push(words::kind(event));
        }
    }

    /// What the monitors have found so far.
    pub fn violations(&self) -> &[monitor::Violation] {
        self.panel.violations()
    }

    /// The divergence, if the model has refused an event.
    pub fn divergence(&self) -> Option<&Divergence> {
        match &self.ended {
            Some(Ended::Diverged(divergence)) => Some(divergence),
            Some(Ended::Without(_)) | None => None,
        }
    }

    /// Ends the trace. `complete` says that its footer was seen, or that the run that is judged online ended by itself.
    ///
    /// # Errors
    /// [`Error::Empty`] if there was no event.
    pub fn finish(mut self, complete: bool) -> Result<Judgement, Error> {
        if self.seen == 0 {
            return Err(Error::Empty);
        }
        if complete {
            self.panel.finish(self.last);
        }
        let verdict = match self.ended {
            Some(Ended::Diverged(divergence)) => Verdict::Diverged(divergence),
            Some(Ended::Without(why)) => Verdict::Inconclusive(why),
            None if complete => Verdict::Conforms,
            None => Verdict::Inconclusive(Inconclusive::NoFooter { events: self.seen }),
        };
        self.kinds.resize(self.panel.violations().len(), "end of the trace");
        Ok(Judgement {
            verdict,
            violations: self.panel.violations().to_vec(),
            violations_not_kept: self.panel.not_kept(),
            witnesses: self.panel.witnesses().collect(),
            coverage: self.coverage,
            statistics: self.statistics,
            kinds: self.kinds,
        })
    }

    /// Moves the model on by an event in this way.
    pub(crate) fn follow_by(
        &mut self,
        seq: u64,
        at: Micros,
        event: &Event,
        step: impl FnOnce(&mut World) -> world::Moved,
    ) -> Step {
        match self.ended {
            None => {}
            Some(Ended::Diverged(_)) => return Step::Diverged,
            Some(Ended::Without(_)) => return Step::TooMany,
        }
        match step(&mut self.world) {
            world::Moved::Follows { worlds } => {
                self.statistics.events += 1;
                self.statistics.worlds_sum += worlds;
                self.statistics.worlds_largest = self.statistics.worlds_largest.max(worlds);
                Step::Follows
            }
            world::Moved::Refused(part) => {
                self.ended = Some(Ended::Diverged(Box::new(self.world.explain(part, seq, at, event))));
                Step::Diverged
            }
            world::Moved::TooMany { states } => {
                let states_max = self.world.states_max();
                self.give_up(Inconclusive::TooManyStates { seq, states, states_max });
                Step::TooMany
            }
            world::Moved::Unlogged => {
                self.give_up(Inconclusive::CutLog { seq });
                Step::TooMany
            }
        }
    }

    /// The model stops judging without a verdict, unless it has one.
    pub(crate) fn give_up(&mut self, why: Inconclusive) {
        self.ended.get_or_insert(Ended::Without(why));
    }

    /// The event cannot have happened here for another reason than a rule of the model.
    pub(crate) fn refuse(&mut self, seq: u64, at: Micros, event: &Event, part: &str) {
        let divergence = Divergence {
            seq,
            at,
            kind: words::kind(event),
            part: part.to_owned(),
            refused: words::sentence(event),
            alternatives: Vec::new(),
            before: Vec::new(),
            states: 0,
        };
        self.ended.get_or_insert(Ended::Diverged(Box::new(divergence)));
    }

    fn cover(&mut self, event: &Event) {
        let of_nexus =
            |nexus: Nexus, tag: Tag| (self.panel.command(nexus, tag), NodeId(nexus.0 % self.nodes));
        let (command, node) = match event {
            Event::Dispatched { nexus, tag, .. }
            | Event::Received { nexus, tag, .. }
            | Event::Submitted { nexus, tag }
            | Event::Committed { nexus, tag }
            | Event::Aborted { nexus, tag }
            | Event::Forgotten { nexus, tag } => of_nexus(*nexus, *tag),
            Event::Issued { node, .. }
            | Event::Challenged { node }
            | Event::WaitEnded { node }
            | Event::Defended { node }
            | Event::Owned { node, .. }
            | Event::Lost { node, .. }
            | Event::Fence { node, .. }
            | Event::Drained { node, .. }
            | Event::Stalled { node }
            | Event::Woke { node }
            | Event::Crashed { node }
            | Event::Restarted { node } => (None, *node),
            // These are placed by their kind alone, or not at all.
            Event::Sent { .. } | Event::Replied { .. } => return,
            Event::TableChanged { .. }
            | Event::TablePersisted
            | Event::LoggedIn { .. }
            | Event::ConnectionLost { .. }
            | Event::LoggedOut { .. }
            | Event::NexusLost { .. }
            | Event::PowerLost
            | Event::PoweredOn { .. }
            | Event::FaultInjected { .. }
            | Event::FaultHealed { .. } => (None, NodeId(0)),
        };
        let context = Context { table: self.panel.table(), command, fence_open: self.panel.fence_open(node) };
        self.coverage.see(event, context);
    }
}

/// Judges a stored trace. A cut trace is judged as far as it goes, and is inconclusive unless something failed before.
///
/// # Errors
/// [`Error::Empty`], [`Error::World`], or why the trace cannot be read.
pub fn judge<R: Read>(mut reader: Reader<R>, options: Options) -> Result<Judgement, Error> {
    let mut judge = Judge::new(reader.header(), options)?;
    for stamped in reader.by_ref() {
        match stamped {
            Ok(stamped) => {
                judge.see(stamped.seq, stamped.at, &stamped.event);
            }
            Err(redline_traces::Error::Truncated { .. }) => return judge.finish(false),
            Err(error) => return Err(Error::Trace(error)),
        }
    }
    judge.finish(true)
}
