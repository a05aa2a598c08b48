//! SCSI commands as data: what an initiator asks for. Byte layouts live in `fabric`.

use crate::{Epoch, Function, Key, Lba, Nexus, NodeId, PortList, Serial};
use serde::{Deserialize, Serialize};

/// A run of logical blocks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Extent {
    /// First block.
    pub lba: Lba,
    /// How many blocks; 0 transfers nothing and is legal (SBC-3).
    pub blocks: u16,
}

/// What a write carries: who wrote it, in which tenure, and its number. Every block of the extent
/// carries the same record, so that a torn write can be seen. Judges read it; no target looks at it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Record {
    /// The node whose workload wrote it.
    pub writer: NodeId,
    /// The writer's ownership epoch when the write was issued.
    pub epoch: Epoch,
    /// Its number within the writer's life.
    pub serial: Serial,
}

/// The six persistent reservation types (SPC-4, PERSISTENT RESERVE OUT, TYPE field).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum PrType {
    /// 1h: others may read.
    WriteExclusive,
    /// 3h: others may not even read.
    ExclusiveAccess,
    /// 5h: like 1h, and every registrant may write. What failover clusters use (WERO).
    WriteExclusiveRegistrantsOnly,
    /// 6h: like 3h, and every registrant may read and write.
    ExclusiveAccessRegistrantsOnly,
    /// 7h: like 5h, and every registrant is a holder.
    WriteExclusiveAllRegistrants,
    /// 8h: like 6h, and every registrant is a holder.
    ExclusiveAccessAllRegistrants,
}

impl PrType {
    /// All six, in the order of their codes.
    pub const ALL: [PrType; 6] = [
        PrType::WriteExclusive,
        PrType::ExclusiveAccess,
        PrType::WriteExclusiveRegistrantsOnly,
        PrType::ExclusiveAccessRegistrantsOnly,
        PrType::WriteExclusiveAllRegistrants,
        PrType::ExclusiveAccessAllRegistrants,
    ];

    /// The code in the TYPE field.
    pub const fn code(self) -> u8 {
        match self {
            PrType::WriteExclusive => 1,
            PrType::ExclusiveAccess => 3,
            PrType::WriteExclusiveRegistrantsOnly => 5,
            PrType::ExclusiveAccessRegistrantsOnly => 6,
            PrType::WriteExclusiveAllRegistrants => 7,
            PrType::ExclusiveAccessAllRegistrants => 8,
        }
    }

    /// The type with this code; `None` for 0, 2, 4 and 9h..Fh, which SPC-4 reserves.
    pub fn from_code(code: u8) -> Option<PrType> {
        PrType::ALL.into_iter().find(|kind| kind.code() == code)
    }

    /// The field's abbreviation, as in `WERO`.
    pub const fn short(self) -> &'static str {
        match self {
            PrType::WriteExclusive => "WE",
            PrType::ExclusiveAccess => "EA",
            PrType::WriteExclusiveRegistrantsOnly => "WERO",
            PrType::ExclusiveAccessRegistrantsOnly => "EARO",
            PrType::WriteExclusiveAllRegistrants => "WEAR",
            PrType::ExclusiveAccessAllRegistrants => "EAAR",
        }
    }
}

/// PERSISTENT RESERVE IN service actions (5Eh).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum PrIn {
    /// 00h
    ReadKeys,
    /// 01h
    ReadReservation,
    /// 02h
    ReportCapabilities,
    /// 03h
    ReadFullStatus,
}

impl PrIn {
    /// All four, in the order of their codes.
    pub const ALL: [PrIn; 4] =
        [PrIn::ReadKeys, PrIn::ReadReservation, PrIn::ReportCapabilities, PrIn::ReadFullStatus];
}

/// PERSISTENT RESERVE OUT service actions (5Fh).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum ServiceAction {
    /// 00h
    Register,
    /// 01h
    Reserve,
    /// 02h
    Release,
    /// 03h
    Clear,
    /// 04h
    Preempt,
    /// 05h
    PreemptAndAbort,
    /// 06h
    RegisterAndIgnoreExistingKey,
    /// 07h
    RegisterAndMove,
    /// 08h
    ReplaceLostReservation,
}

impl ServiceAction {
    /// All nine, in the order of their codes.
    pub const ALL: [ServiceAction; 9] = [
        ServiceAction::Register,
        ServiceAction::Reserve,
        ServiceAction::Release,
        ServiceAction::Clear,
        ServiceAction::Preempt,
        ServiceAction::PreemptAndAbort,
        ServiceAction::RegisterAndIgnoreExistingKey,
        ServiceAction::RegisterAndMove,
        ServiceAction::ReplaceLostReservation,
    ];

    /// The standard's name.
    pub const fn name(self) -> &'static str {
        match self {
            ServiceAction::Register => "REGISTER",
            ServiceAction::Reserve => "RESERVE",
            ServiceAction::Release => "RELEASE",
            ServiceAction::Clear => "CLEAR",
            ServiceAction::Preempt => "PREEMPT",
            ServiceAction::PreemptAndAbort => "PREEMPT AND ABORT",
            ServiceAction::RegisterAndIgnoreExistingKey => "REGISTER AND IGNORE EXISTING KEY",
            ServiceAction::RegisterAndMove => "REGISTER AND MOVE",
            ServiceAction::ReplaceLostReservation => "REPLACE LOST RESERVATION",
        }
    }
}

/// A PERSISTENT RESERVE OUT command with its parameter list. Raw where a field can be invalid.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct PrOut {
    /// What to do.
    pub action: ServiceAction,
    /// RESERVATION KEY: the key under which the sender says it is registered.
    pub key: Key,
    /// SERVICE ACTION RESERVATION KEY: the new key, or the key to preempt.
    pub service_key: Key,
    /// SCOPE field, 0..15; only 0 (logical unit) is legal.
    pub scope: u8,
    /// TYPE field, 0..15; see [`PrType::from_code`].
    pub kind: u8,
    /// Activate persist through power loss.
    pub aptpl: bool,
    /// Specify initiator ports: also register the ports listed, on all target ports if `all_tg_pt` asks for it.
    pub spec_i_pt: PortList,
    /// Register on all target ports: the sender's nexuses with the other target ports of the device.
    pub all_tg_pt: PortList,
    /// REGISTER AND MOVE only: unregister the sender.
    pub unreg: bool,
    /// REGISTER AND MOVE only: the nexus that becomes registered and holder.
    pub destination: Option<Nexus>,
}

impl PrOut {
    /// The service action with every other field zero.
    pub const fn new(action: ServiceAction) -> PrOut {
        PrOut {
            action,
            key: Key(0),
            service_key: Key(0),
            scope: 0,
            kind: 0,
            aptpl: false,
            spec_i_pt: PortList::Absent,
            all_tg_pt: PortList::Absent,
            unreg: false,
            destination: None,
        }
    }
}

/// A command sent to the logical unit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Command {
    /// READ: returns the blocks of the extent.
    Read(Extent),
    /// WRITE: every block of the extent receives the record.
    Write {
        /// Where.
        extent: Extent,
        /// What.
        record: Record,
    },
    /// SYNCHRONIZE CACHE over the whole medium: GOOD means what was written before is durable.
    SynchronizeCache,
    /// PERSISTENT RESERVE IN.
    PrIn(PrIn),
    /// PERSISTENT RESERVE OUT.
    PrOut(PrOut),
    /// RESERVE(6) or RESERVE(10) of SPC-2: the sender takes the logical unit for itself.
    LegacyReserve,
    /// RELEASE(6) or RELEASE(10) of SPC-2: the sender gives it back.
    LegacyRelease,
    /// A task management function, which is no command but comes on the same way.
    Manage(Function),
    /// Any other command, of which only its reservation conflict matters here.
    Other(Name),
}

macro_rules! names {
    ($($name:ident = $text:literal,)*) => {
        /// The commands that SPC-4 and SBC-3 list in their reservation conflict tables.
        /// A name says nothing about whether the command conflicts.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        pub enum Name {
            $(#[doc = $text] $name,)*
        }
        impl Name {
            /// All of them.
            pub const ALL: &[Name] = &[$(Name::$name,)*];
            /// The standard's name.
            pub const fn text(self) -> &'static str {
                match self { $(Name::$name => $text,)* }
            }
        }
    };
}

names! {
    Inquiry = "INQUIRY",
    ReportLuns = "REPORT LUNS",
    RequestSense = "REQUEST SENSE",
    TestUnitReady = "TEST UNIT READY",
    LogSense = "LOG SENSE",
    PersistentReserveIn = "PERSISTENT RESERVE IN",
    PersistentReserveOut = "PERSISTENT RESERVE OUT",
    ReadCapacity = "READ CAPACITY",
    ReportTargetPortGroups = "REPORT TARGET PORT GROUPS",
    ReportAliases = "REPORT ALIASES",
    ReportIdentifyingInformation = "REPORT IDENTIFYING INFORMATION",
    ReportPriority = "REPORT PRIORITY",
    ReportTimestamp = "REPORT TIMESTAMP",
    ReadMediaSerialNumber = "READ MEDIA SERIAL NUMBER",
    AccessControlIn = "ACCESS CONTROL IN",
    AccessControlOut = "ACCESS CONTROL OUT",
    ReportReferrals = "REPORT REFERRALS",
    StartUnit = "START STOP UNIT (START=1, POWER CONDITION=0)",
    AllowMediumRemoval = "PREVENT ALLOW MEDIUM REMOVAL (PREVENT=0)",
    Read = "READ",
    Verify = "VERIFY",
    PreFetch = "PRE-FETCH",
    GetLbaStatus = "GET LBA STATUS",
    ReadDefectData = "READ DEFECT DATA",
    PopulateToken = "POPULATE TOKEN",
    ModeSense = "MODE SENSE",
    ReadBuffer = "READ BUFFER",
    ReadAttribute = "READ ATTRIBUTE",
    ReceiveDiagnosticResults = "RECEIVE DIAGNOSTIC RESULTS",
    ReportSupportedOperationCodes = "REPORT SUPPORTED OPERATION CODES",
    ReportSupportedTaskManagementFunctions = "REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS",
    SecurityProtocolIn = "SECURITY PROTOCOL IN",
    ManagementProtocolIn = "MANAGEMENT PROTOCOL IN",
    Write = "WRITE",
    WriteAndVerify = "WRITE AND VERIFY",
    WriteSame = "WRITE SAME",
    WriteAtomic = "WRITE ATOMIC",
    OrWrite = "ORWRITE",
    CompareAndWrite = "COMPARE AND WRITE",
    Unmap = "UNMAP",
    SynchronizeCache = "SYNCHRONIZE CACHE",
    FormatUnit = "FORMAT UNIT",
    Sanitize = "SANITIZE",
    WriteLong = "WRITE LONG",
    ReadLong = "READ LONG",
    ReassignBlocks = "REASSIGN BLOCKS",
    WriteUsingToken = "WRITE USING TOKEN",
    ExtendedCopy = "EXTENDED COPY",
    ReceiveCopyResults = "RECEIVE COPY RESULTS",
    ModeSelect = "MODE SELECT",
    LogSelect = "LOG SELECT",
    SendDiagnostic = "SEND DIAGNOSTIC",
    WriteBuffer = "WRITE BUFFER",
    SetTargetPortGroups = "SET TARGET PORT GROUPS",
    SetTimestamp = "SET TIMESTAMP",
    SecurityProtocolOut = "SECURITY PROTOCOL OUT",
    StopUnit = "START STOP UNIT (otherwise)",
    PreventMediumRemoval = "PREVENT ALLOW MEDIUM REMOVAL (PREVENT≠0)",
    LegacyReserve = "RESERVE (SPC-2)",
    LegacyRelease = "RELEASE (SPC-2)",
}

impl Command {
    /// The command's row in the standard's reservation conflict tables; a task management function has none.
    pub const fn name(&self) -> Option<Name> {
        Some(match self {
            Command::Read(_) => Name::Read,
            Command::Write { .. } => Name::Write,
            Command::SynchronizeCache => Name::SynchronizeCache,
            Command::PrIn(_) => Name::PersistentReserveIn,
            Command::PrOut(_) => Name::PersistentReserveOut,
            Command::LegacyReserve => Name::LegacyReserve,
            Command::LegacyRelease => Name::LegacyRelease,
            Command::Manage(_) => return None,
            Command::Other(name) => *name,
        })
    }
}
