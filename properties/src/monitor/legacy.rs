//! `lun/conflict-needs-reservation` and `lun/legacy-excludes-persistent`: who has reserved the unit with RESERVE of SPC-2, as the
//! events tell it, and what the target makes of that.
//!
//! The idea: nothing in a trace shows this reservation itself. It begins with a GOOD to RESERVE while nobody is registered, and
//! ends with RELEASE, with its session, with a reset, with power. A conflict that no reservation accounts for then shows
//! that the target still has one that is over, or one that it should never have given.

use super::{
    Scene,
    findings::{Findings, Watched},
};
use alloc::format;
use redline_vocab::{Command, Disposition, Event, Function, Nexus, Status};

#[derive(Clone, Debug)]
pub(super) struct Legacy {
    holder: Option<Nexus>,
}

impl Legacy {
    pub const fn new() -> Legacy {
        Legacy { holder: None }
    }

    pub fn see(&mut self, scene: &Scene<'_>, out: &mut Findings) {
        match scene.event {
            Event::Dispatched { nexus, disposition, .. } => {
                let Some(entry) = scene.entry else { return };
                self.judge(scene, *nexus, &entry.command, *disposition, out);
                self.note(scene, *nexus, &entry.command, *disposition);
            }
            Event::NexusLost { nexus } | Event::LoggedOut { nexus } if self.holder == Some(*nexus) => {
                self.holder = None;
            }
            Event::PowerLost => self.holder = None,
            _ => {}
        }
    }

    fn judge(
        &self,
        scene: &Scene<'_>,
        nexus: Nexus,
        command: &Command,
        disposition: Disposition,
        out: &mut Findings,
    ) {
        let persistent = matches!(command, Command::PrIn(_) | Command::PrOut(_));
        if let (true, Some(holder)) = (persistent, self.holder) {
            out.fired(Watched::LegacyExcludesPersistent);
            if matches!(disposition, Disposition::Answered(Status::Good) | Disposition::Held) {
                out.broken(Watched::LegacyExcludesPersistent, scene.seq, scene.at, || {
                    format!(
                        "{} of {nexus} succeeds while {holder} has reserved the unit with RESERVE",
                        name(command)
                    )
                });
            }
        }
        if disposition != Disposition::Answered(Status::ReservationConflict) {
            return;
        }
        let table = &scene.ledger.table;
        let of_another = self.holder.is_some_and(|holder| holder != nexus);
        let accounted = match command {
            // A wrong key is a conflict too.
            Command::PrOut(_) => return,
            Command::PrIn(_) => self.holder.is_some(),
            Command::LegacyReserve | Command::LegacyRelease => of_another || !table.registrants.is_empty(),
            Command::Manage(_) => false,
            Command::Read(_) | Command::Write { .. } | Command::SynchronizeCache | Command::Other(_) => {
                of_another || table.reservation.is_some()
            }
        };
        out.fired(Watched::ConflictNeedsReservation);
        if !accounted {
            out.broken(Watched::ConflictNeedsReservation, scene.seq, scene.at, || {
                format!(
                    "{} of {nexus} meets RESERVATION CONFLICT, and nobody has a reservation",
                    name(command)
                )
            });
        }
    }

    fn note(&mut self, scene: &Scene<'_>, nexus: Nexus, command: &Command, disposition: Disposition) {
        let done = matches!(disposition, Disposition::Answered(Status::Good) | Disposition::Held);
        let alone = scene.ledger.table.registrants.is_empty();
        match command {
            _ if !done => {}
            Command::LegacyReserve if alone => self.holder = Some(nexus),
            Command::LegacyRelease if self.holder == Some(nexus) => self.holder = None,
            Command::Manage(
                Function::LogicalUnitReset | Function::TargetWarmReset | Function::TargetColdReset,
            ) => self.holder = None,
            _ => {}
        }
    }
}

fn name(command: &Command) -> &'static str {
    command.name().map_or("a task management function", redline_vocab::Name::text)
}
