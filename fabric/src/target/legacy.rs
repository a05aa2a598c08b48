//! The reservation of SPC-2: RESERVE and RELEASE, and how they get on with persistent reservations.
//!
//! It belongs to a session more than to a nexus: it ends with the session, with every reset and with power. While there are
//! registrations nobody can take it (SPC-2 5.5.1), and while somebody has it nobody can register. The exceptions
//! for compatible reservation handling (CRH = 1; SPC-4 5.7.3) make RESERVE and RELEASE succeed without any effect for those
//! whom a persistent reservation serves already.

use redline_vocab::{Name, Nexus, PrType};

/// What a RESERVE or RELEASE of a nexus amounts to under the registrations that there are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) enum Compatible {
    /// Nobody is registered: SPC-2 alone decides.
    Alone,
    /// GOOD, and nothing happens.
    Served,
    /// RESERVATION CONFLICT.
    Conflict,
}

/// The exceptions of CRH = 1. `held`: type of the persistent reservation.
pub(super) fn compatible(
    anybody_registered: bool,
    registered: bool,
    holds: bool,
    held: Option<PrType>,
) -> Compatible {
    let shared = match held {
        Some(
            PrType::WriteExclusiveRegistrantsOnly
            | PrType::ExclusiveAccessRegistrantsOnly
            | PrType::WriteExclusiveAllRegistrants
            | PrType::ExclusiveAccessAllRegistrants,
        ) => true,
        Some(PrType::WriteExclusive | PrType::ExclusiveAccess) | None => false,
    };
    if !anybody_registered {
        Compatible::Alone
    } else if holds || registered && shared {
        Compatible::Served
    } else {
        Compatible::Conflict
    }
}

/// Whether the legacy reservation of `holder` refuses this command of `nexus`. The persistent reservation commands are
/// refused to the holder too.
pub(super) fn conflicts(holder: Nexus, nexus: Nexus, name: Name) -> bool {
    let reserves_persistently = matches!(name, Name::PersistentReserveIn | Name::PersistentReserveOut);
    let passes = matches!(
        name,
        Name::Inquiry
            | Name::ReportLuns
            | Name::RequestSense
            | Name::LogSense
            | Name::ReadCapacity
            | Name::LegacyRelease
    );
    reserves_persistently || holder != nexus && !passes
}
