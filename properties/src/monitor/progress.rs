//! `fabric/progress` (V19) on a run: once nothing disturbs the fabric any more, an owner exists within a stated time.
//!
//! A disturbance lasts from its injection to its healing, or from a pause or crash to the end of it; a reset, a
//! power cycle or a lost connection is over at once and starts the clock anew. What never heals is never judged.

use super::{
    Scene,
    findings::{Findings, Watched},
    owner::{moves_ownership, owners, table_after},
};
use alloc::format;
use redline_vocab::{Event, Fault, Micros};

#[derive(Clone, Debug)]
pub(super) struct Progress {
    within: Option<Micros>,
    /// Faults that last and have not healed.
    active: u32,
    /// Since when there has been no owner and no disturbance; `None` while there is either.
    since: Option<Micros>,
    owned: bool,
    /// Something has disturbed the fabric since there was last an owner.
    disturbed: bool,
}

impl Progress {
    pub const fn new(within: Option<Micros>) -> Progress {
        Progress { within, active: 0, since: Some(Micros(0)), owned: false, disturbed: false }
    }

    pub fn see(&mut self, scene: &Scene<'_>, out: &mut Findings) {
        self.overdue(scene.seq, scene.at, out);
        let disturbed = self.disturbs(scene.event);
        if disturbed {
            self.disturbed = true;
            self.since = None;
        }
        if moves_ownership(scene.event) {
            self.owned = owners(scene.ledger, table_after(scene)).next().is_some();
        }
        let quiet = self.active == 0 && scene.ledger.nodes().all(|(_, node)| node.runs);
        if self.owned {
            if self.since.take().is_some() && self.disturbed {
                out.fired(Watched::Progress);
            }
            self.disturbed = false;
        } else if quiet {
            self.since.get_or_insert(scene.at);
        } else {
            self.since = None;
        }
    }

    pub fn finish(&mut self, seq: u64, at: Micros, out: &mut Findings) {
        self.overdue(seq, at, out);
    }

    fn overdue(&mut self, seq: u64, at: Micros, out: &mut Findings) {
        let (Some(since), Some(within)) = (self.since, self.within) else { return };
        if at.0.saturating_sub(since.0) > within.0 {
            out.broken(Watched::Progress, seq, at, || {
                format!("nobody owns the disk, though nothing has disturbed the fabric since {since}; stated are {within}")
            });
            // Reported once for each time that it lasts too long.
            self.since = None;
            self.within = None;
        }
    }

    /// Takes note of faults, and says whether the event disturbs the fabric.
    fn disturbs(&mut self, event: &Event) -> bool {
        match event {
            Event::FaultInjected { fault } => {
                self.active += u32::from(lasts(fault));
                true
            }
            Event::FaultHealed { fault } => {
                self.active -= u32::from(lasts(fault) && self.active > 0);
                true
            }
            Event::Stalled { .. }
            | Event::Woke { .. }
            | Event::Crashed { .. }
            | Event::Restarted { .. }
            | Event::ConnectionLost { .. }
            | Event::LoggedOut { .. }
            | Event::NexusLost { .. }
            | Event::PowerLost => true,
            Event::Issued { .. }
            | Event::Sent { .. }
            | Event::Dispatched { .. }
            | Event::Submitted { .. }
            | Event::Committed { .. }
            | Event::Aborted { .. }
            | Event::Replied { .. }
            | Event::Received { .. }
            | Event::Forgotten { .. }
            | Event::TableChanged { .. }
            | Event::TablePersisted
            | Event::LoggedIn { .. }
            | Event::PoweredOn { .. }
            | Event::Challenged { .. }
            | Event::WaitEnded { .. }
            | Event::Defended { .. }
            | Event::Owned { .. }
            | Event::Lost { .. }
            | Event::Fence { .. }
            | Event::Drained { .. } => false,
        }
    }
}

/// Whether the fault goes on until it is healed.
const fn lasts(fault: &Fault) -> bool {
    match fault {
        Fault::ConnectionStall(_)
        | Fault::Partition(..)
        | Fault::HeartbeatLoss(..)
        | Fault::NodePause(_)
        | Fault::NodeCrash(_)
        | Fault::ClockSkew(..)
        | Fault::DiskSlow
        | Fault::DiskError => true,
        Fault::ConnectionReset(_)
        | Fault::ClockJump(..)
        | Fault::PowerCycle
        | Fault::TornWrite
        | Fault::Corruption => false,
    }
}
