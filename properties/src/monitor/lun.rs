//! Monitors over the reservation table: its form, its generation, and how reservations end.

use super::{
    Scene,
    findings::{Findings, Watched},
    ledger::Entry,
};
use alloc::{format, string::String};
use redline_vocab::{
    Command, Disposition, Event, Generation, Holder, Key, LunView, Nexus, PortList, PrOut, PrType,
    Reservation, ServiceAction, Status, Tag,
};

/// Every table that the target shows is well formed.
#[derive(Clone, Debug)]
pub(super) struct WellFormed;

impl WellFormed {
    pub fn see(&mut self, scene: &Scene<'_>, out: &mut Findings) {
        let (Event::TableChanged { view } | Event::PoweredOn { view }) = scene.event else { return };
        if !view.registrants.is_empty() {
            out.fired(Watched::NoZeroKey);
        }
        if let Some((nexus, _)) = view.registrants.iter().find(|(_, key)| *key == Key(0)) {
            out.broken(Watched::NoZeroKey, scene.seq, scene.at, || {
                format!("{nexus} is registered with key 0")
            });
        }
        let Some(reservation) = &view.reservation else { return };
        out.fired(Watched::ReservationNeedsRegistrant);
        out.fired(Watched::SingleHolder);
        if view.registrants.is_empty() {
            out.broken(Watched::ReservationNeedsRegistrant, scene.seq, scene.at, || {
                format!("{} is held and nobody is registered", name(reservation))
            });
        }
        if holders_in_common(reservation.kind) != (reservation.holder == Holder::AllRegistrants) {
            out.broken(Watched::SingleHolder, scene.seq, scene.at, || {
                format!("{} does not fit its type", name(reservation))
            });
        }
        if let Holder::Nexus(holder) = reservation.holder {
            out.fired(Watched::HolderRegistered);
            if key_of(view, holder).is_none() {
                out.broken(Watched::HolderRegistered, scene.seq, scene.at, || {
                    format!("{} is held by a nexus that is not registered", name(reservation))
                });
            }
        }
    }
}

/// PRgeneration steps by one with each service action that says so, stays otherwise, and is 0 after power on.
#[derive(Clone, Debug)]
pub(super) struct GenerationSteps {
    /// A command that must step the generation, until the table has shown it.
    owed: Option<(Nexus, Tag, &'static str)>,
}

impl GenerationSteps {
    pub const fn new() -> GenerationSteps {
        GenerationSteps { owed: None }
    }

    pub fn see(&mut self, scene: &Scene<'_>, out: &mut Findings) {
        match scene.event {
            Event::TableChanged { view } => self.table_changed(scene, view, out),
            Event::PoweredOn { view } if view.generation != Generation(0) => {
                out.broken(Watched::GenerationSteps, scene.seq, scene.at, || {
                    format!("{} after power on, where the standard says 0", view.generation)
                });
            }
            Event::Aborted { .. } => {}
            Event::Dispatched { nexus, tag, disposition } => {
                self.missed(scene, out);
                self.owed = scene.entry.and_then(|entry| {
                    let pr = executed(&entry, *disposition)?;
                    steps(pr.action).then(|| (*nexus, *tag, pr.action.name()))
                });
            }
            _ if self.owed.is_some() => self.missed(scene, out),
            _ => {}
        }
    }

    fn table_changed(&mut self, scene: &Scene<'_>, view: &LunView, out: &mut Findings) {
        let before = scene.ledger.table.generation;
        let by = u32::from(self.owed.is_some());
        if self.owed.take().is_some() {
            out.fired(Watched::GenerationSteps);
        }
        let failed = scene.ledger.cause().is_some_and(|(entry, disposition)| {
            matches!(entry.command, Command::PrOut(_)) && executed(entry, *disposition).is_none()
        });
        if failed && view.registrants != scene.ledger.table.registrants {
            out.broken(Watched::GenerationSteps, scene.seq, scene.at, || {
                format!("registrations changed by a command that failed, and {before} does not tell")
            });
        }
        if view.generation != Generation(before.0.wrapping_add(by)) {
            out.broken(Watched::GenerationSteps, scene.seq, scene.at, || {
                format!("{} became {}, expected a step by {by}", before, view.generation)
            });
        }
    }

    fn missed(&mut self, scene: &Scene<'_>, out: &mut Findings) {
        if let Some((nexus, _, action)) = self.owed.take() {
            out.broken(Watched::GenerationSteps, scene.seq, scene.at, || {
                format!(
                    "{action} of {nexus} succeeded and the generation stayed at {}",
                    scene.ledger.table.generation
                )
            });
        }
    }
}

/// A reservation ends or changes hands only by the service actions that may do it, sent by those who may.
#[derive(Clone, Debug)]
pub(super) struct EndsLawfully;

impl EndsLawfully {
    pub fn see(&mut self, scene: &Scene<'_>, out: &mut Findings) {
        let Event::TableChanged { view } = scene.event else { return };
        let before = &scene.ledger.table;
        let Some(old) = &before.reservation else { return };
        if view.reservation.as_ref() == Some(old) {
            return;
        }
        out.fired(Watched::ReservationEndsLawfully);
        let lawful = scene
            .ledger
            .cause()
            .and_then(|(entry, disposition)| Some((entry.nexus, executed(entry, *disposition)?)))
            .is_some_and(|(issuer, pr)| may_end(before, view, issuer, &pr));
        if !lawful {
            out.broken(Watched::ReservationEndsLawfully, scene.seq, scene.at, || {
                format!("{} ended {}", name(old), cause_words(scene))
            });
        }
    }
}

/// Whether the service action of this issuer may turn the old table's reservation into the new one's
/// (SPC-4 5.7.11, "releasing", "unregistering", "preempting", "clearing").
fn may_end(old: &LunView, new: &LunView, issuer: Nexus, pr: &PrOut) -> bool {
    if leaves_with_path(old, new, pr) {
        return true;
    }
    let (Some(reservation), Some(key)) = (&old.reservation, key_of(old, issuer)) else { return false };
    let holder = holds(old, issuer);
    let key_fits = pr.key == key;
    let taken = Some(Reservation {
        kind: PrType::from_code(pr.kind).unwrap_or(reservation.kind),
        holder: if holders_in_common(PrType::from_code(pr.kind).unwrap_or(reservation.kind)) {
            Holder::AllRegistrants
        } else {
            Holder::Nexus(issuer)
        },
    });
    let gone = new.reservation.is_none();
    match pr.action {
        ServiceAction::Register => key_fits && holder && pr.service_key == Key(0) && gone,
        ServiceAction::RegisterAndIgnoreExistingKey => holder && pr.service_key == Key(0) && gone,
        ServiceAction::Release => key_fits && holder && pr.kind == reservation.kind.code() && gone,
        ServiceAction::Clear => key_fits && gone,
        ServiceAction::Preempt | ServiceAction::PreemptAndAbort => {
            let names_holder = match reservation.holder {
                Holder::Nexus(of) => key_of(old, of) == Some(pr.service_key),
                Holder::AllRegistrants => pr.service_key == Key(0),
            };
            key_fits && ((names_holder && new.reservation == taken) || (gone && new.registrants.is_empty()))
        }
        ServiceAction::RegisterAndMove => {
            let moved =
                pr.destination.map(|to| Reservation { kind: reservation.kind, holder: Holder::Nexus(to) });
            key_fits && holder && !holders_in_common(reservation.kind) && new.reservation == moved
        }
        ServiceAction::Reserve | ServiceAction::ReplaceLostReservation => false,
    }
}

/// Whether the holder leaves because a command on another path of the same initiator port says so (ALL_TG_PT).
fn leaves_with_path(old: &LunView, new: &LunView, pr: &PrOut) -> bool {
    let PortList::Of(paths) = pr.all_tg_pt else { return false };
    let by_key = match pr.action {
        ServiceAction::Register => true,
        ServiceAction::RegisterAndIgnoreExistingKey => false,
        ServiceAction::Reserve
        | ServiceAction::Release
        | ServiceAction::Clear
        | ServiceAction::Preempt
        | ServiceAction::PreemptAndAbort
        | ServiceAction::RegisterAndMove
        | ServiceAction::ReplaceLostReservation => return false,
    };
    let leaves = |nexus: &Nexus| {
        let fits = !by_key || key_of(old, *nexus) == Some(pr.key);
        paths.has(*nexus) && fits && key_of(new, *nexus).is_none()
    };
    let ends = match old.reservation.map(|reservation| reservation.holder) {
        Some(Holder::Nexus(holder)) => leaves(&holder),
        Some(Holder::AllRegistrants) => new.registrants.is_empty(),
        None => false,
    };
    ends && pr.service_key == Key(0) && new.reservation.is_none()
}

/// The PERSISTENT RESERVE OUT of the entry, if the target says that it executed it.
fn executed(entry: &Entry, disposition: Disposition) -> Option<PrOut> {
    let Command::PrOut(pr) = entry.command else { return None };
    match disposition {
        Disposition::Answered(Status::Good) | Disposition::Held => Some(pr),
        Disposition::Answered(
            Status::CheckCondition(_)
            | Status::ReservationConflict
            | Status::TaskSetFull
            | Status::TaskAborted,
        )
        | Disposition::Enabled => None,
    }
}

/// Which service actions step PRgeneration when they succeed (SPC-4, PRGENERATION field).
const fn steps(action: ServiceAction) -> bool {
    match action {
        ServiceAction::Register
        | ServiceAction::RegisterAndIgnoreExistingKey
        | ServiceAction::Clear
        | ServiceAction::Preempt
        | ServiceAction::PreemptAndAbort
        | ServiceAction::RegisterAndMove
        | ServiceAction::ReplaceLostReservation => true,
        ServiceAction::Reserve | ServiceAction::Release => false,
    }
}

/// Whether every registrant holds a reservation of this type.
pub(super) const fn holders_in_common(kind: PrType) -> bool {
    match kind {
        PrType::WriteExclusiveAllRegistrants | PrType::ExclusiveAccessAllRegistrants => true,
        PrType::WriteExclusive
        | PrType::ExclusiveAccess
        | PrType::WriteExclusiveRegistrantsOnly
        | PrType::ExclusiveAccessRegistrantsOnly => false,
    }
}

/// The key under which the nexus is registered.
pub(super) fn key_of(view: &LunView, nexus: Nexus) -> Option<Key> {
    view.registrants.iter().find(|(registrant, _)| *registrant == nexus).map(|(_, key)| *key)
}

fn holds(view: &LunView, nexus: Nexus) -> bool {
    match view.reservation {
        None => false,
        Some(Reservation { holder: Holder::Nexus(holder), .. }) => holder == nexus,
        Some(Reservation { holder: Holder::AllRegistrants, .. }) => key_of(view, nexus).is_some(),
    }
}

fn name(reservation: &Reservation) -> String {
    match reservation.holder {
        Holder::Nexus(nexus) => format!("the {} reservation of {nexus}", reservation.kind.short()),
        Holder::AllRegistrants => format!("the {} reservation of all registrants", reservation.kind.short()),
    }
}

fn cause_words(scene: &Scene<'_>) -> String {
    match scene.ledger.cause() {
        Some((Entry { nexus, command: Command::PrOut(pr), .. }, _)) => {
            format!("by {} of {nexus}, which may not end it", pr.action.name())
        }
        Some((Entry { nexus, .. }, _)) => format!("with a command of {nexus} that reserves nothing"),
        None => String::from("without any command"),
    }
}
