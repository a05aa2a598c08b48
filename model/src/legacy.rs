//! RESERVE and RELEASE of SPC-2, said as a table and as sets.
//!
//! The table is that of SPC-2 5.5.1 with the rows of SBC-2 for block devices: what a command meets that comes from another
//! nexus than the one that has reserved the unit. Where SPC-2 says nothing of a command, because the command is younger or its row
//! differs between revisions, both answers are open.

use crate::set::Set;
use redline_vocab::{Holder, Name, Nexus, PrType, Reservation};

/// What a command meets under a legacy reservation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Meets {
    /// It is carried out.
    Nothing,
    /// RESERVATION CONFLICT.
    Conflict,
    /// Either.
    Open,
}

/// The table: the command of a nexus while `holder` has reserved the unit.
pub fn meets(holder: Nexus, nexus: Nexus, name: Name) -> Meets {
    use Name::*;
    match name {
        Inquiry | ReportLuns | RequestSense | LogSense | ReadCapacity | LegacyRelease => Meets::Nothing,
        // To the one who has reserved the unit as well.
        PersistentReserveIn | PersistentReserveOut => Meets::Conflict,
        TestUnitReady
        | ReportTargetPortGroups
        | ReportAliases
        | ReportIdentifyingInformation
        | ReportPriority
        | ReportTimestamp
        | ReadMediaSerialNumber
        | AccessControlIn
        | AccessControlOut
        | ReportReferrals
        | StartUnit
        | AllowMediumRemoval => {
            if holder == nexus {
                Meets::Nothing
            } else {
                Meets::Open
            }
        }
        LegacyReserve
        | Read
        | Verify
        | PreFetch
        | GetLbaStatus
        | ReadDefectData
        | PopulateToken
        | ModeSense
        | ReadBuffer
        | ReadAttribute
        | ReceiveDiagnosticResults
        | ReportSupportedOperationCodes
        | ReportSupportedTaskManagementFunctions
        | SecurityProtocolIn
        | ManagementProtocolIn
        | Write
        | WriteAndVerify
        | WriteSame
        | WriteAtomic
        | OrWrite
        | CompareAndWrite
        | Unmap
        | SynchronizeCache
        | FormatUnit
        | Sanitize
        | WriteLong
        | ReadLong
        | ReassignBlocks
        | WriteUsingToken
        | ExtendedCopy
        | ReceiveCopyResults
        | ModeSelect
        | LogSelect
        | SendDiagnostic
        | WriteBuffer
        | SetTargetPortGroups
        | SetTimestamp
        | SecurityProtocolOut
        | StopUnit
        | PreventMediumRemoval => {
            if holder == nexus {
                Meets::Nothing
            } else {
                Meets::Conflict
            }
        }
    }
}

/// SPC-4 5.7.3, exceptions to SPC-2 RESERVE and RELEASE behaviour (CRH): for these nexuses the two commands succeed and
/// do nothing.
pub fn served(registered: Set, reservation: Option<Reservation>) -> Set {
    match reservation {
        None => Set::EMPTY,
        Some(Reservation { kind: PrType::WriteExclusive | PrType::ExclusiveAccess, holder }) => {
            match holder {
                Holder::Nexus(nexus) => Set::of(nexus),
                Holder::AllRegistrants => registered,
            }
        }
        Some(Reservation {
            kind:
                PrType::WriteExclusiveRegistrantsOnly
                | PrType::ExclusiveAccessRegistrantsOnly
                | PrType::WriteExclusiveAllRegistrants
                | PrType::ExclusiveAccessAllRegistrants,
            ..
        }) => registered,
    }
}
