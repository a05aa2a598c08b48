//! What a change of the table must and must not be, judged from before and after alone.
//!
//! The rules of `table` say what each service action does. These claims are said without them, so
//! that they can be wrong about each other.

use super::state::Marks;
use crate::lun::Lun;
use crate::table::Table;
use redline_vocab::{Command, Holder, Key, Nexus, PortList, PrType, ServiceAction};

/// PRgeneration and the end of reservations (SPC-4 5.7.8, 5.7.11).
pub fn judge_change(before: &Lun, nexus: Nexus, command: &Command, after: &Lun, marks: &mut Marks) {
    let steps = after.generation.0.wrapping_sub(before.generation.0);
    let registrations_changed = before.table.keys != after.table.keys;
    if steps > 1 || registrations_changed && steps != 1 {
        marks.set(Marks::GENERATION);
    }
    if steps == 1 {
        marks.set(Marks::GENERATION_STEPPED);
    }
    let (Some(old), new) = (before.table.reservation, after.table.reservation) else { return };
    if new == Some(old) {
        return;
    }
    marks.set(Marks::RESERVATION_ENDED);
    if !ends_lawfully(&before.table, nexus, command) {
        marks.set(Marks::UNLAWFUL_END);
    }
}

/// A reservation ends by its holder (RELEASE, unregistering, REGISTER AND MOVE), by CLEAR, or by a
/// PREEMPT that names its holder.
fn ends_lawfully(before: &Table, nexus: Nexus, command: &Command) -> bool {
    let Command::PrOut(order) = command else { return false };
    let holds = before.holders().has(nexus);
    match order.action {
        ServiceAction::Release | ServiceAction::RegisterAndMove => holds,
        // With ALL_TG_PT other paths of the sender leave as well, the holder among them.
        ServiceAction::Register | ServiceAction::RegisterAndIgnoreExistingKey => {
            let path = matches!(order.all_tg_pt, PortList::Of(paths) if before.holders().iter().any(|one| paths.has(one)));
            (holds || path) && order.service_key == Key(0)
        }
        ServiceAction::Clear => before.key(nexus) != Key(0),
        ServiceAction::Preempt | ServiceAction::PreemptAndAbort => {
            let named = before.with_key(order.service_key);
            let everybody = matches!(before.reservation, Some(held) if held.holder == Holder::AllRegistrants);
            !named.and(before.holders()).is_empty() || everybody && order.service_key == Key(0)
        }
        ServiceAction::Reserve | ServiceAction::ReplaceLostReservation => false,
    }
}

/// The holder of a reservation is registered.
pub fn holder_registered(table: &Table) -> bool {
    !crate::lun::holder_is_stranger(table)
}

/// A reservation without any registrant does not exist.
pub fn reservation_needs_registrant(table: &Table) -> bool {
    table.reservation.is_none() || !table.registered().is_empty()
}

/// All-registrants types have everybody as holder, the others exactly one nexus.
pub fn single_holder(table: &Table) -> bool {
    table.reservation.is_none_or(|held| {
        let shared =
            matches!(held.kind, PrType::WriteExclusiveAllRegistrants | PrType::ExclusiveAccessAllRegistrants);
        shared == (held.holder == Holder::AllRegistrants)
    })
}
