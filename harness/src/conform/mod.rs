//! Conformance: does the model allow what a trace says happened?
//!
//! The idea: keep the *set* of model states in which the system may be. An event keeps the states
//! that allow it and moves them on; an unknown outcome forks; an answer filters; a set that becomes
//! empty means that no legal history explains the trace, and the event that emptied it is the
//! divergence. The set is kept per part (the logical unit, each node), which is exact as long as
//! parts meet only in logged events, and small.
//!
//! Deliberately absent: any knowledge of quirks. A trace is judged against the scenario's design.

use redline_properties::monitor;
use redline_vocab::{Design, Event, Micros};

/// What the events of the trace show.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sight {
    /// Every event: commits, state changes, the nodes' inner life.
    Internal,
    /// Commands and replies at the initiators only.
    Client,
}

/// What has to be known before the first event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Setup {
    /// The guards of the scenario's design.
    pub design: Design,
    /// Guest nodes.
    pub nodes: u8,
    /// What the source could see.
    pub sight: Sight,
    /// Candidate states of one part beyond which the verdict is inconclusive.
    pub states_max: usize,
    /// Passed to the monitors.
    pub owner_within: Option<Micros>,
}

/// Whether the trace goes on after an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// The model allows it.
    Follows,
    /// No legal history contains it. Later events are not judged: the verdict would be noise.
    Diverged,
    /// Too many candidate states; judging has stopped.
    TooMany,
}

/// An event that the model does not allow, with what it would have allowed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Divergence {
    /// Number of the event in the trace.
    pub seq: u64,
    /// Virtual time.
    pub at: Micros,
    /// Line of the file, counted from 1, where there is one.
    pub line: Option<u64>,
    /// Kind of the event, as in `dispatched`.
    pub kind: &'static str,
    /// Which part of the model refused it, as in `lun` or `node 1`.
    pub part: String,
    /// What was refused, in domain words.
    pub refused: String,
    /// What the model would have accepted there; at most a dozen.
    pub alternatives: Vec<String>,
    /// The alternative nearest to what was seen.
    pub nearest: Option<String>,
    /// The candidate states before it, in domain words; at most a few.
    pub before: Vec<String>,
}

/// The judgement of one trace.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Every event is allowed by the model, and the trace is complete.
    Conforms,
    /// An event is not allowed.
    Diverged(Divergence),
    /// No judgement, and why.
    Inconclusive(Inconclusive),
}

/// Why there is no judgement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Inconclusive {
    /// The trace has no footer: it was cut.
    NoFooter,
    /// At this event the candidate states of one part exceeded the limit.
    TooManyStates {
        /// Number of the event.
        seq: u64,
        /// How many there were.
        states: usize,
        /// The limit.
        states_max: usize,
    },
}

/// A trace that cannot be judged at all.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Error {
    /// It has no events. An empty trace is never a pass.
    Empty,
}

/// What judging did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Statistics {
    /// Events judged.
    pub events: u64,
    /// Sum over the events of the candidate states (mean = this / events).
    pub states_sum: u64,
    /// Largest number of candidate states at any event.
    pub states_largest: u64,
}

/// Judges a stream of events against the model and the monitors.
pub struct Judge {
    panel: monitor::Panel,
}

/// All that judging a trace gives.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Judgement {
    /// Model against trace.
    pub verdict: Verdict,
    /// What the monitors found.
    pub violations: Vec<monitor::Violation>,
    /// How often each property's premise fired.
    pub witnesses: Vec<monitor::Witness>,
    /// Counts.
    pub statistics: Statistics,
}

impl Judge {
    /// A judge that has seen nothing.
    pub fn new(setup: Setup) -> Judge {
        Judge {
            panel: monitor::Panel::new(monitor::Setup {
                nodes: setup.nodes,
                owner_within: setup.owner_within,
            }),
        }
    }

    /// Judges the next event.
    pub fn see(&mut self, seq: u64, at: Micros, event: &Event) -> Step {
        self.panel.see(seq, at, event);
        Step::Follows
    }

    /// Ends the trace; `complete` says that its footer was seen.
    pub fn finish(self, _at: Micros, _complete: bool) -> Result<Judgement, Error> {
        Err(Error::Empty)
    }
}
