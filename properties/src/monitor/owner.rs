//! `fabric/owner-unique` (V2), by effect: never are there two nodes whose writes would both take effect now.
//!
//! A node's writes take effect when its host fence is open and the target would accept them. A stalled old
//! owner that merely believes is no violation: its fence is open, and the target refuses it.

use super::{
    Scene,
    findings::{Findings, Watched},
    ledger::Ledger,
    lun::key_of,
};
use alloc::format;
use redline_vocab::{Event, Holder, LunView, Nexus, NodeId, PrType};

#[derive(Clone, Debug)]
pub(super) struct OwnerUnique {
    /// The pair found last, so that one lasting situation is reported once.
    reported: Option<(NodeId, NodeId)>,
}

impl OwnerUnique {
    pub const fn new() -> OwnerUnique {
        OwnerUnique { reported: None }
    }

    pub fn see(&mut self, scene: &Scene<'_>, out: &mut Findings) {
        if !moves_ownership(scene.event) {
            return;
        }
        let table = table_after(scene);
        if let Event::Fence { node, open: true } = scene.event
            && scene.ledger.nodes().any(|(other, state)| other != *node && state.fence_open)
        {
            out.fired(Watched::OwnerUnique);
        }
        let mut owners = owners(scene.ledger, table);
        let pair = owners.next().and_then(|first| Some((first, owners.next()?)));
        if let Some((first, second)) = pair.filter(|pair| self.reported != Some(*pair)) {
            out.broken(Watched::OwnerUnique, scene.seq, scene.at, || {
                format!("{first} and {second} both have an open host fence, and the target would accept writes of both")
            });
        }
        self.reported = pair;
    }
}

/// The table with the event at hand taken into account.
pub(super) fn table_after<'a>(scene: &'a Scene<'_>) -> &'a LunView {
    match scene.event {
        Event::TableChanged { view } | Event::PoweredOn { view } => view,
        _ => &scene.ledger.table,
    }
}

/// The nodes whose writes would take effect now.
pub(super) fn owners(ledger: &Ledger, table: &LunView) -> impl Iterator<Item = NodeId> {
    ledger
        .nodes()
        .filter(|(_, state)| state.fence_open && write_accepted(table, state.nexus))
        .map(|(node, _)| node)
}

/// Whether the event can change who owns.
pub(super) const fn moves_ownership(event: &Event) -> bool {
    matches!(
        event,
        Event::Fence { .. }
            | Event::TableChanged { .. }
            | Event::PoweredOn { .. }
            | Event::LoggedIn { .. }
            | Event::Crashed { .. }
    )
}

/// Whether the table lets the nexus write (SPC-4, reservation conflict table, row of the writes).
fn write_accepted(table: &LunView, nexus: Nexus) -> bool {
    let Some(reservation) = &table.reservation else { return true };
    match reservation.kind {
        PrType::WriteExclusive | PrType::ExclusiveAccess => reservation.holder == Holder::Nexus(nexus),
        PrType::WriteExclusiveRegistrantsOnly
        | PrType::ExclusiveAccessRegistrantsOnly
        | PrType::WriteExclusiveAllRegistrants
        | PrType::ExclusiveAccessAllRegistrants => key_of(table, nexus).is_some(),
    }
}
