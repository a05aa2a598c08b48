//! Which commands a reservation lets through: SPC-4 "Commands that are allowed in the presence of
//! various reservations", with the SBC-3 rows for block devices.

use redline_vocab::{Name, PrType};

/// How the sender stands to the reservation that is in force.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) enum Standing {
    /// It is a reservation holder.
    Holder,
    /// It is registered, but holds nothing.
    Registrant,
    /// It is not registered.
    Stranger,
}

/// What a command wants of the medium, as far as reservations care.
enum Need {
    /// Allowed in the presence of every reservation.
    Nothing,
    /// Reads the medium or the unit's settings.
    Look,
    /// Changes the medium or the unit's settings.
    Change,
}

/// Whether a reservation of type `kind` refuses the command `name` of a sender that stands so.
/// PERSISTENT RESERVE OUT is not decided here: each service action has its own rule.
pub(super) fn conflicts(name: Name, kind: PrType, standing: Standing) -> bool {
    let outside = match standing {
        Standing::Holder => return false,
        Standing::Registrant => matches!(kind, PrType::WriteExclusive | PrType::ExclusiveAccess),
        Standing::Stranger => true,
    };
    match need(name) {
        Need::Nothing => false,
        Need::Look => outside && excludes_readers(kind),
        Need::Change => outside,
    }
}

fn excludes_readers(kind: PrType) -> bool {
    match kind {
        PrType::ExclusiveAccess
        | PrType::ExclusiveAccessRegistrantsOnly
        | PrType::ExclusiveAccessAllRegistrants => true,
        PrType::WriteExclusive
        | PrType::WriteExclusiveRegistrantsOnly
        | PrType::WriteExclusiveAllRegistrants => false,
    }
}

fn need(name: Name) -> Need {
    match name {
        Name::Inquiry
        | Name::ReportLuns
        | Name::RequestSense
        | Name::TestUnitReady
        | Name::LogSense
        | Name::PersistentReserveIn
        | Name::PersistentReserveOut
        | Name::ReadCapacity
        | Name::ReportTargetPortGroups
        | Name::ReportAliases
        | Name::ReportIdentifyingInformation
        | Name::ReportPriority
        | Name::ReportTimestamp
        | Name::ReadMediaSerialNumber
        | Name::AccessControlIn
        | Name::AccessControlOut
        | Name::ReportReferrals
        | Name::StartUnit
        | Name::AllowMediumRemoval
        // RESERVE and RELEASE of SPC-2 have a rule of their own, in `legacy`.
        | Name::LegacyReserve
        | Name::LegacyRelease => Need::Nothing,
        Name::Read
        | Name::Verify
        | Name::PreFetch
        | Name::GetLbaStatus
        | Name::ReadDefectData
        | Name::PopulateToken
        | Name::ModeSense
        | Name::ReadBuffer
        | Name::ReadAttribute
        | Name::ReceiveDiagnosticResults
        | Name::ReportSupportedOperationCodes
        | Name::ReportSupportedTaskManagementFunctions
        | Name::SecurityProtocolIn
        | Name::ManagementProtocolIn => Need::Look,
        Name::Write
        | Name::WriteAndVerify
        | Name::WriteSame
        | Name::WriteAtomic
        | Name::OrWrite
        | Name::CompareAndWrite
        | Name::Unmap
        | Name::SynchronizeCache
        | Name::FormatUnit
        | Name::Sanitize
        | Name::WriteLong
        | Name::ReadLong
        | Name::ReassignBlocks
        | Name::WriteUsingToken
        | Name::ExtendedCopy
        | Name::ReceiveCopyResults
        | Name::ModeSelect
        | Name::LogSelect
        | Name::SendDiagnostic
        | Name::WriteBuffer
        | Name::SetTargetPortGroups
        | Name::SetTimestamp
        | Name::SecurityProtocolOut
        | Name::StopUnit
        | Name::PreventMediumRemoval => Need::Change,
    }
}
