//! `lun/abort-is-final` (F1): after GOOD to PREEMPT AND ABORT nothing that a removed nexus had sent before
//! changes the medium.
//!
//! The idea: when the table changes under a PREEMPT AND ABORT, note who was removed; when its GOOD goes out,
//! mark every command of theirs that was under way. A marked write that commits breaks the promise. Commands that
//! the target had not yet taken are held off by the reservation alone, so that their marks are lifted when the
//! nexus registers again or no reservation is left: from then on it may write, and the target cannot tell when a
//! command was sent.

use super::{
    Scene,
    findings::{Findings, Watched},
    ledger::{Ledger, Stage},
    lun::key_of,
};
use alloc::{format, vec::Vec};
use redline_vocab::{Command, Event, Nexus, PrOut, ServiceAction, Status, Tag};

#[derive(Clone, Debug)]
pub(super) struct AbortIsFinal {
    pending: Vec<Pending>,
}

/// A PREEMPT AND ABORT that removed somebody and has not been answered.
#[derive(Clone, Copy, Debug)]
struct Pending {
    nexus: Nexus,
    tag: Tag,
    removed: Nexuses,
    /// Number of the event at which the table changed: what the target took later, it took lawfully.
    changed: u64,
    /// Writes of the removed that were under way when the table changed.
    writes: bool,
}

/// A set of nexuses.
#[derive(Clone, Copy, Debug)]
struct Nexuses([u64; 4]);

impl Nexuses {
    const NONE: Nexuses = Nexuses([0; 4]);

    fn add(&mut self, nexus: Nexus) {
        self.0[usize::from(nexus.0 >> 6)] |= 1 << (nexus.0 & 63);
    }

    fn keep(&mut self, wanted: impl Fn(Nexus) -> bool) {
        for nexus in (0..=u8::MAX).map(Nexus) {
            if self.has(nexus) && !wanted(nexus) {
                self.0[usize::from(nexus.0 >> 6)] &= !(1 << (nexus.0 & 63));
            }
        }
    }

    const fn has(&self, nexus: Nexus) -> bool {
        self.0[(nexus.0 >> 6) as usize] & (1 << (nexus.0 & 63)) != 0
    }
}

impl AbortIsFinal {
    pub const fn new() -> AbortIsFinal {
        AbortIsFinal { pending: Vec::new() }
    }

    /// Marks and unmarks commands in the ledger, which all monitors share.
    pub fn mark(&mut self, ledger: &mut Ledger, event: &Event, seq: u64) {
        match event {
            Event::Replied { nexus, tag, reply } if reply.status == Status::Good => {
                let Some(pending) = self.pending.iter().find(|one| one.nexus == *nexus && one.tag == *tag)
                else {
                    return;
                };
                let (removed, changed) = (pending.removed, pending.changed);
                let (table, under_way) = ledger.table_and_commands();
                let refuses = table.reservation.is_some();
                for entry in under_way.filter(|entry| removed.has(entry.nexus)) {
                    let dead = match entry.stage {
                        Stage::Transport => refuses,
                        _ => entry.dispatched < changed,
                    };
                    if dead {
                        entry.killed_by = Some(seq);
                    }
                }
            }
            Event::TableChanged { view } => {
                let (table, under_way) = ledger.table_and_commands();
                // Who registers again before GOOD is no longer one of the removed.
                for pending in &mut self.pending {
                    pending.removed.keep(|nexus| key_of(view, nexus).is_none());
                }
                for entry in
                    under_way.filter(|entry| entry.stage == Stage::Transport && entry.killed_by.is_some())
                {
                    let registers =
                        key_of(table, entry.nexus).is_none() && key_of(view, entry.nexus).is_some();
                    if registers || view.reservation.is_none() {
                        entry.killed_by = None;
                    }
                }
            }
            _ => {}
        }
    }

    pub fn see(&mut self, scene: &Scene<'_>, out: &mut Findings) {
        match scene.event {
            Event::TableChanged { view } => {
                let Some((entry, _)) = scene.ledger.cause() else { return };
                let Command::PrOut(PrOut { action: ServiceAction::PreemptAndAbort, .. }) = entry.command
                else {
                    return;
                };
                let mut removed = Nexuses::NONE;
                let gone =
                    scene.ledger.table.registrants.iter().filter(|(nexus, _)| key_of(view, *nexus).is_none());
                gone.for_each(|(nexus, _)| removed.add(*nexus));
                let writes = scene
                    .ledger
                    .under_way()
                    .any(|entry| removed.has(entry.nexus) && matches!(entry.command, Command::Write { .. }));
                self.pending.retain(|one| one.nexus != entry.nexus);
                self.pending.push(Pending {
                    nexus: entry.nexus,
                    tag: entry.tag,
                    removed,
                    changed: scene.seq,
                    writes,
                });
            }
            Event::Replied { nexus, tag, reply } => {
                let Some(at) = self.pending.iter().position(|one| one.nexus == *nexus && one.tag == *tag)
                else {
                    return;
                };
                if self.pending.swap_remove(at).writes && reply.status == Status::Good {
                    out.fired(Watched::AbortIsFinal);
                }
            }
            Event::Committed { nexus, .. } => {
                let Some(entry) = scene.entry else { return };
                let (Some(good), Command::Write { record, .. }) = (entry.killed_by, entry.command) else {
                    return;
                };
                out.broken(Watched::AbortIsFinal, scene.seq, scene.at, || {
                    format!(
                        "a write of {} on {nexus} ({}), sent at event {}, changed the medium after PREEMPT AND ABORT \
                         had answered GOOD at event {good}",
                        record.writer, record.serial, entry.sent,
                    )
                });
            }
            Event::PowerLost => self.pending.clear(),
            _ => {}
        }
    }
}
