//! The reservation conflict table of SPC-4 and SBC-3, transcribed as a table.
//!
//! Columns, as in the standard: (a) Write Exclusive and (b) Exclusive Access held by somebody else,
//! whoever asks; (c) a registered nexus under a registrants-only or all-registrants type; (d) an
//! unregistered nexus under such a Write Exclusive type, (e) under such an Exclusive Access type.

use redline_vocab::{Name, PrType};

/// `true`: RESERVATION CONFLICT. In the order a, b, c, d, e.
type Row = [bool; 5];

const NEVER: Row = [false, false, false, false, false];
const READS: Row = [false, true, false, false, true];
const WRITES: Row = [true, true, false, true, true];

/// Whether a nexus that holds nothing meets RESERVATION CONFLICT with this command.
pub fn conflicts(name: Name, kind: PrType, registered: bool) -> bool {
    let column = match (kind, registered) {
        (PrType::WriteExclusive, _) => 0,
        (PrType::ExclusiveAccess, _) => 1,
        (
            PrType::WriteExclusiveRegistrantsOnly
            | PrType::ExclusiveAccessRegistrantsOnly
            | PrType::WriteExclusiveAllRegistrants
            | PrType::ExclusiveAccessAllRegistrants,
            true,
        ) => 2,
        (PrType::WriteExclusiveRegistrantsOnly | PrType::WriteExclusiveAllRegistrants, false) => 3,
        (PrType::ExclusiveAccessRegistrantsOnly | PrType::ExclusiveAccessAllRegistrants, false) => 4,
    };
    row(name)[column]
}

const fn row(name: Name) -> Row {
    use Name::*;
    match name {
        Inquiry | ReportLuns | RequestSense | TestUnitReady | LogSense => NEVER,
        PersistentReserveIn | ReadCapacity | ReportTargetPortGroups | ReportAliases => NEVER,
        ReportIdentifyingInformation | ReportPriority | ReportTimestamp | ReadMediaSerialNumber => NEVER,
        AccessControlIn | AccessControlOut | ReportReferrals | StartUnit | AllowMediumRemoval => NEVER,
        // Have rules of their own: each service action, and RESERVE and RELEASE (`legacy`).
        PersistentReserveOut | LegacyReserve | LegacyRelease => NEVER,
        Read | Verify | PreFetch | GetLbaStatus | ReadDefectData | PopulateToken => READS,
        ModeSense | ReadBuffer | ReadAttribute | ReceiveDiagnosticResults => READS,
        ReportSupportedOperationCodes | ReportSupportedTaskManagementFunctions => READS,
        SecurityProtocolIn | ManagementProtocolIn => READS,
        Write | WriteAndVerify | WriteSame | WriteAtomic | OrWrite | CompareAndWrite | Unmap => WRITES,
        SynchronizeCache | FormatUnit | Sanitize | WriteLong | ReadLong | ReassignBlocks => WRITES,
        WriteUsingToken | ExtendedCopy | ReceiveCopyResults | ModeSelect | LogSelect => WRITES,
        SendDiagnostic | WriteBuffer | SetTargetPortGroups | SetTimestamp => WRITES,
        SecurityProtocolOut | StopUnit | PreventMediumRemoval => WRITES,
    }
}
