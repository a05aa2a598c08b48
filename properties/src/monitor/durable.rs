//! `lun/durable-with-aptpl` (V4): what was acknowledged under APTPL is there after a power loss.
//!
//! The idea: keep every table since the last acknowledged one. After power on the target must show one of
//! them: the acknowledged one, or a later one that was stored and whose GOOD did not get out in time.
//! A table with APTPL = 0 among them promises nothing, and an empty table is then allowed too.

use super::{
    Scene,
    findings::{Findings, Watched},
};
use alloc::{format, vec::Vec};
use redline_vocab::{Event, LunView, Status};

#[derive(Clone, Debug)]
pub(super) struct Durable {
    /// Tables with their version, oldest first; the first is the newest acknowledged one. Only the first
    /// `used` count: the rest are kept for their buffers.
    tables: Vec<(u64, LunView)>,
    used: usize,
}

impl Durable {
    pub const fn new() -> Durable {
        Durable { tables: Vec::new(), used: 0 }
    }

    pub fn see(&mut self, scene: &Scene<'_>, out: &mut Findings) {
        match scene.event {
            Event::TableChanged { view } => self.push(scene.ledger.version, view),
            Event::Replied { reply, .. } if reply.status == Status::Good => {
                if let Some(entry) = scene.entry.filter(|entry| entry.version > 0) {
                    self.acknowledged(entry.version);
                }
            }
            Event::PoweredOn { view } => {
                self.judge(scene, view, out);
                self.used = 0;
                self.push(scene.ledger.version, view);
            }
            _ => {}
        }
    }

    fn judge(&self, scene: &Scene<'_>, found: &LunView, out: &mut Findings) {
        let tables = &self.tables[..self.used];
        if tables.is_empty() {
            return;
        }
        let promised = tables.iter().all(|(_, table)| table.aptpl);
        if promised && !tables[0].1.registrants.is_empty() {
            out.fired(Watched::DurableWithAptpl);
        }
        let known = tables.iter().any(|(_, table)| same(table, found));
        let empty = found.registrants.is_empty() && found.reservation.is_none();
        if !known && (promised || !empty) {
            let expected = &tables[0].1;
            out.broken(Watched::DurableWithAptpl, scene.seq, scene.at, || {
                format!(
                    "the target came up with {} registrants and {} reservation; acknowledged with APTPL were {} and {}",
                    found.registrants.len(),
                    if found.reservation.is_some() { "a" } else { "no" },
                    expected.registrants.len(),
                    if expected.reservation.is_some() { "one" } else { "none" },
                )
            });
        }
    }

    /// Tables older than this version can no longer be what a power loss leaves.
    fn acknowledged(&mut self, version: u64) {
        let older = self.tables[..self.used].iter().take_while(|(of, _)| *of < version).count();
        if older < self.used {
            self.tables[..self.used].rotate_left(older);
            self.used -= older;
        }
    }

    fn push(&mut self, version: u64, view: &LunView) {
        match self.tables.get_mut(self.used) {
            Some((of, table)) => {
                *of = version;
                table.clone_from(view);
            }
            None => self.tables.push((version, view.clone())),
        }
        self.used += 1;
    }
}

/// Equal in what APTPL keeps; the generation is not part of it.
fn same(one: &LunView, other: &LunView) -> bool {
    one.registrants == other.registrants && one.reservation == other.reservation && one.aptpl == other.aptpl
}
