//! Properties judged on a run while it happens: streaming monitors over events.
//!
//! The idea: each monitor remembers just enough of what it has seen to tell, at the very event,
//! that a promise is broken. A [`Panel`] runs all of them over one stream and shares between them a
//! ledger of the commands under way, because an event names a command by nexus and tag only.
//!
//! Of each property the first [`KEPT_PER_PROPERTY`] violations are kept in full and the rest are
//! counted. A monitor also counts how often its *premise fired*: the situation that the property is
//! about was not only reachable but met. A property whose count is zero has shown nothing.
//!
//! A monitor picks the few events that concern it; the exhaustive matches are in `ledger` and `progress`, so
//! that a new event lights up there.
//!
//! Deliberately absent: the model's rules, the fabric's code, clocks, and any allocation once the
//! buffers have grown to the size of the run's outstanding work. Monitors that need to see inside
//! the target stay silent on client traces, with a premise count of zero.

mod abort;
mod disk;
mod durable;
mod findings;
mod ledger;
mod legacy;
mod lun;
mod owner;
mod progress;
mod reset;
mod tenure;
#[cfg(test)]
mod tests;

use alloc::string::String;
use findings::Findings;
pub use findings::KEPT_PER_PROPERTY;
use ledger::{Entry, Ledger};
use redline_vocab::{Command, Event, LunView, Micros, Nexus, NodeId, Tag};

/// What the monitors need to know about a run before its first event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Setup {
    /// How many guest nodes, or initiators where there are none;
    /// nexus = node + nodes × (ISIDs used before).
    pub nodes: u8,
    /// Once nothing disturbs the fabric any more, an owner must exist within this time. `None`: not judged.
    pub owner_within: Option<Micros>,
}

/// One broken promise.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// The property's id in the catalogue, as in `fabric/no-evicted-write`.
    pub property: &'static str,
    /// Number of the event that broke it.
    pub seq: u64,
    /// Virtual time of the event at which it was noticed.
    pub at: Micros,
    /// What happened, in one sentence.
    pub sentence: String,
}

/// How often the situation was met that a property is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Witness {
    /// The property's id in the catalogue.
    pub property: &'static str,
    /// How often its premise fired.
    pub fired: u64,
}

/// One event as a monitor sees it.
struct Scene<'a> {
    seq: u64,
    at: Micros,
    event: &'a Event,
    /// The command that the event is about, moved on by the event.
    entry: Option<Entry>,
    /// Everything else, as it was before the event.
    ledger: &'a Ledger,
}

/// All monitors over one stream of events.
#[derive(Clone, Debug)]
pub struct Panel {
    ledger: Ledger,
    findings: Findings,
    well_formed: lun::WellFormed,
    generation: lun::GenerationSteps,
    ends: lun::EndsLawfully,
    durable: durable::Durable,
    abort: abort::AbortIsFinal,
    reset: reset::ResetIsFinal,
    legacy: legacy::Legacy,
    owner: owner::OwnerUnique,
    tenure: tenure::NoEvictedWrite,
    progress: progress::Progress,
    disk: disk::Disk,
    last: u64,
}

impl Panel {
    /// A panel that has seen nothing.
    pub fn new(setup: Setup) -> Panel {
        Panel {
            ledger: Ledger::new(setup.nodes),
            findings: Findings::new(),
            well_formed: lun::WellFormed,
            generation: lun::GenerationSteps::new(),
            ends: lun::EndsLawfully,
            durable: durable::Durable::new(),
            abort: abort::AbortIsFinal::new(),
            reset: reset::ResetIsFinal::new(),
            legacy: legacy::Legacy::new(),
            owner: owner::OwnerUnique::new(),
            tenure: tenure::NoEvictedWrite::new(),
            progress: progress::Progress::new(setup.owner_within),
            disk: disk::Disk::new(),
            last: 0,
        }
    }

    /// Shows the next event to every monitor. Numbers and times must not decrease.
    pub fn see(&mut self, seq: u64, at: Micros, event: &Event) {
        self.last = seq;
        let entry = self.ledger.advance(seq, event);
        let entry = entry.map(|entry| self.tenure.mark(&mut self.ledger, event, entry));
        self.abort.mark(&mut self.ledger, event, seq);
        let scene = Scene { seq, at, event, entry, ledger: &self.ledger };
        let findings = &mut self.findings;
        self.well_formed.see(&scene, findings);
        self.generation.see(&scene, findings);
        self.ends.see(&scene, findings);
        self.durable.see(&scene, findings);
        self.abort.see(&scene, findings);
        self.reset.see(&scene, findings);
        self.legacy.see(&scene, findings);
        self.owner.see(&scene, findings);
        self.tenure.see(&scene, findings);
        self.progress.see(&scene, findings);
        self.disk.see(&scene, findings);
        self.ledger.settle(event);
    }

    /// Ends the stream at this time: obligations that ran out by then are violations.
    pub fn finish(&mut self, at: Micros) {
        self.progress.finish(self.last, at, &mut self.findings);
    }

    /// The table as the events have shown it so far.
    pub fn table(&self) -> &LunView {
        &self.ledger.table
    }

    /// A command that was sent under this tag and has not ended, as the events have shown it so far.
    pub fn command(&self, nexus: Nexus, tag: Tag) -> Option<&Command> {
        self.ledger.command(nexus, tag)
    }

    /// Whether the node's host fence is open, as the events have shown it so far.
    pub fn fence_open(&self, node: NodeId) -> bool {
        self.ledger.nodes().any(|(of, state)| of == node && state.fence_open)
    }

    /// Violations so far, in the order in which they were noticed.
    pub fn violations(&self) -> &[Violation] {
        &self.findings.violations
    }

    /// Violations beyond [`KEPT_PER_PROPERTY`], which were counted but not kept.
    pub fn not_kept(&self) -> u64 {
        self.findings.not_kept()
    }

    /// One count for each property that has a monitor, in the order of the catalogue.
    pub fn witnesses(&self) -> impl Iterator<Item = Witness> + '_ {
        self.findings.witnesses()
    }
}
