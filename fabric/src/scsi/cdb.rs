//! Command descriptor blocks (SPC-4 4.2, SBC-3 5): which command, with which fields.
//!
//! Decoding keeps fields as they are, legal or not, because errors of a CDB are told after the reservation conflict. Group numbers and
//! obsolete bits are not looked at.

mod decode;
mod encode;

use redline_vocab::Name;

/// The length of a CDB by its family.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Form {
    /// 6 bytes
    Six,
    /// 10 bytes
    Ten,
    /// 12 bytes
    Twelve,
    /// 16 bytes
    Sixteen,
}

/// Fields of a command that goes to a range of the medium.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Access {
    /// Length of the CDB.
    pub form: Form,
    /// LOGICAL BLOCK ADDRESS
    pub lba: u64,
    /// Blocks; the 0 of READ (6) and WRITE (6) is 256 here.
    pub blocks: u32,
    /// RDPROTECT, WRPROTECT, VRPROTECT or ORPROTECT, 0..7.
    pub protect: u8,
    /// DISABLE PAGE OUT
    pub dpo: bool,
    /// FORCE UNIT ACCESS
    pub fua: bool,
    /// BYTCHK of VERIFY and WRITE AND VERIFY, 0..3.
    pub bytchk: u8,
}

impl Access {
    /// A range with every flag clear.
    pub const fn new(form: Form, lba: u64, blocks: u32) -> Access {
        Access { form, lba, blocks, protect: 0, dpo: false, fua: false, bytchk: 0 }
    }
}

/// Which of the commands that go to a range.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Verb {
    /// READ
    Read,
    /// WRITE
    Write,
    /// WRITE AND VERIFY
    WriteAndVerify,
    /// VERIFY
    Verify,
    /// PRE-FETCH
    PreFetch,
    /// SYNCHRONIZE CACHE
    SynchronizeCache,
    /// ORWRITE
    OrWrite,
    /// COMPARE AND WRITE
    CompareAndWrite,
}

/// Fields of WRITE SAME.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct WriteSame {
    /// 10 or 16 bytes.
    pub form: Form,
    /// LOGICAL BLOCK ADDRESS
    pub lba: u64,
    /// NUMBER OF LOGICAL BLOCKS; 0 means up to the end of the medium, where that is allowed.
    pub blocks: u32,
    /// WRPROTECT, 0..7.
    pub protect: u8,
    /// ANCHOR
    pub anchor: bool,
    /// UNMAP
    pub unmap: bool,
    /// NO DATA-OUT BUFFER, of WRITE SAME (16).
    pub no_data: bool,
}

/// A CDB.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Cdb {
    /// TEST UNIT READY
    TestUnitReady,
    /// REQUEST SENSE
    RequestSense {
        /// DESC: descriptor format.
        descriptors: bool,
        /// ALLOCATION LENGTH
        allocation: u8,
    },
    /// INQUIRY
    Inquiry {
        /// EVPD: a page of vital product data instead of the standard data.
        vital: bool,
        /// PAGE CODE
        page: u8,
        /// ALLOCATION LENGTH
        allocation: u16,
    },
    /// MODE SENSE
    ModeSense {
        /// 6 or 10 bytes.
        form: Form,
        /// DISABLE BLOCK DESCRIPTORS
        no_descriptors: bool,
        /// PAGE CONTROL, 0..3.
        control: u8,
        /// PAGE CODE
        page: u8,
        /// SUBPAGE CODE
        subpage: u8,
        /// ALLOCATION LENGTH
        allocation: u16,
    },
    /// MODE SELECT
    ModeSelect {
        /// 6 or 10 bytes.
        form: Form,
        /// PAGE FORMAT
        page_format: bool,
        /// SAVE PAGES
        save: bool,
        /// PARAMETER LIST LENGTH
        length: u16,
    },
    /// RESERVE, the one of SPC-2
    Reserve {
        /// 6 or 10 bytes.
        form: Form,
        /// LONGID, 3RDPTY or EXTENT is set: what nobody supports.
        elaborate: bool,
    },
    /// RELEASE, the one of SPC-2
    Release {
        /// 6 or 10 bytes.
        form: Form,
        /// LONGID, 3RDPTY or EXTENT is set.
        elaborate: bool,
    },
    /// START STOP UNIT
    StartStopUnit {
        /// POWER CONDITION, 0..15.
        power_condition: u8,
        /// NO_FLUSH
        no_flush: bool,
        /// LOEJ
        load_eject: bool,
        /// START
        start: bool,
    },
    /// PREVENT ALLOW MEDIUM REMOVAL
    PreventAllow {
        /// PREVENT, 0..3.
        prevent: u8,
    },
    /// READ CAPACITY (10)
    ReadCapacity10,
    /// READ CAPACITY (16)
    ReadCapacity16 {
        /// ALLOCATION LENGTH
        allocation: u32,
    },
    /// A command that goes to one range of the medium.
    Range(Verb, Access),
    /// WRITE SAME
    WriteSame(WriteSame),
    /// UNMAP
    Unmap {
        /// ANCHOR
        anchor: bool,
        /// PARAMETER LIST LENGTH
        length: u16,
    },
    /// GET LBA STATUS
    GetLbaStatus {
        /// STARTING LOGICAL BLOCK ADDRESS
        lba: u64,
        /// ALLOCATION LENGTH
        allocation: u32,
    },
    /// REPORT LUNS
    ReportLuns {
        /// SELECT REPORT
        select: u8,
        /// ALLOCATION LENGTH
        allocation: u32,
    },
    /// REPORT TARGET PORT GROUPS
    ReportTargetPortGroups {
        /// PARAMETER DATA FORMAT, 0 or 1.
        format: u8,
        /// ALLOCATION LENGTH
        allocation: u32,
    },
    /// REPORT SUPPORTED OPERATION CODES
    ReportSupportedOperationCodes {
        /// RCTD: with command timeouts descriptors.
        timeouts: bool,
        /// REPORTING OPTIONS, 0..7.
        options: u8,
        /// REQUESTED OPERATION CODE
        opcode: u8,
        /// REQUESTED SERVICE ACTION
        service_action: u16,
        /// ALLOCATION LENGTH
        allocation: u32,
    },
    /// REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS
    ReportSupportedTaskManagementFunctions {
        /// REPD: extended parameter data.
        extended: bool,
        /// ALLOCATION LENGTH
        allocation: u32,
    },
    /// PERSISTENT RESERVE IN
    PersistentReserveIn {
        /// SERVICE ACTION, 0..31.
        action: u8,
        /// ALLOCATION LENGTH
        allocation: u16,
    },
    /// PERSISTENT RESERVE OUT
    PersistentReserveOut {
        /// SERVICE ACTION, 0..31.
        action: u8,
        /// SCOPE, 0..15.
        scope: u8,
        /// TYPE, 0..15.
        kind: u8,
        /// PARAMETER LIST LENGTH
        length: u32,
    },
    /// EXTENDED COPY (LID1)
    ExtendedCopy {
        /// PARAMETER LIST LENGTH
        length: u32,
    },
    /// POPULATE TOKEN
    PopulateToken {
        /// LIST IDENTIFIER
        list: u32,
        /// PARAMETER LIST LENGTH
        length: u32,
    },
    /// WRITE USING TOKEN
    WriteUsingToken {
        /// LIST IDENTIFIER
        list: u32,
        /// PARAMETER LIST LENGTH
        length: u32,
    },
    /// RECEIVE COPY STATUS (LID1)
    ReceiveCopyStatus {
        /// LIST IDENTIFIER
        list: u8,
        /// ALLOCATION LENGTH
        allocation: u32,
    },
    /// RECEIVE COPY OPERATING PARAMETERS
    ReceiveCopyParameters {
        /// ALLOCATION LENGTH
        allocation: u32,
    },
    /// RECEIVE ROD TOKEN INFORMATION
    ReceiveRodTokenInformation {
        /// LIST IDENTIFIER
        list: u32,
        /// ALLOCATION LENGTH
        allocation: u32,
    },
}

/// A CDB of no command that we know.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Unknown {
    /// The operation code: 05/20/00.
    Opcode,
    /// The operation code has service actions, but not this one: 05/24/00, byte 1.
    ServiceAction,
}

impl Cdb {
    /// Reads a CDB.
    ///
    /// # Errors
    /// [`Unknown`] if it is of no command that we know.
    pub fn decode(bytes: &[u8; 16]) -> Result<Cdb, Unknown> {
        decode::decode(bytes)
    }

    /// The CDB, padded with zeros.
    ///
    /// # Panics
    /// If the command has no CDB of this [`Form`]: a mistake of the program.
    pub fn encode(&self) -> [u8; 16] {
        encode::encode(self)
    }

    /// The command's row in the reservation conflict tables.
    pub const fn name(&self) -> Name {
        match self {
            Cdb::TestUnitReady => Name::TestUnitReady,
            Cdb::RequestSense { .. } => Name::RequestSense,
            Cdb::Inquiry { .. } => Name::Inquiry,
            Cdb::ModeSense { .. } => Name::ModeSense,
            Cdb::ModeSelect { .. } => Name::ModeSelect,
            Cdb::Reserve { .. } => Name::LegacyReserve,
            Cdb::Release { .. } => Name::LegacyRelease,
            Cdb::StartStopUnit { power_condition: 0, start: true, .. } => Name::StartUnit,
            Cdb::StartStopUnit { .. } => Name::StopUnit,
            Cdb::PreventAllow { prevent: 0 } => Name::AllowMediumRemoval,
            Cdb::PreventAllow { .. } => Name::PreventMediumRemoval,
            Cdb::ReadCapacity10 | Cdb::ReadCapacity16 { .. } => Name::ReadCapacity,
            Cdb::Range(verb, _) => verb.name(),
            Cdb::WriteSame(_) => Name::WriteSame,
            Cdb::Unmap { .. } => Name::Unmap,
            Cdb::GetLbaStatus { .. } => Name::GetLbaStatus,
            Cdb::ReportLuns { .. } => Name::ReportLuns,
            Cdb::ReportTargetPortGroups { .. } => Name::ReportTargetPortGroups,
            Cdb::ReportSupportedOperationCodes { .. } => Name::ReportSupportedOperationCodes,
            Cdb::ReportSupportedTaskManagementFunctions { .. } => {
                Name::ReportSupportedTaskManagementFunctions
            }
            Cdb::PersistentReserveIn { .. } => Name::PersistentReserveIn,
            Cdb::PersistentReserveOut { .. } => Name::PersistentReserveOut,
            Cdb::ExtendedCopy { .. } => Name::ExtendedCopy,
            Cdb::PopulateToken { .. } => Name::PopulateToken,
            Cdb::WriteUsingToken { .. } => Name::WriteUsingToken,
            Cdb::ReceiveCopyStatus { .. }
            | Cdb::ReceiveCopyParameters { .. }
            | Cdb::ReceiveRodTokenInformation { .. } => Name::ReceiveCopyResults,
        }
    }
}

impl Verb {
    /// The command's row in the reservation conflict tables.
    pub const fn name(self) -> Name {
        match self {
            Verb::Read => Name::Read,
            Verb::Write => Name::Write,
            Verb::WriteAndVerify => Name::WriteAndVerify,
            Verb::Verify => Name::Verify,
            Verb::PreFetch => Name::PreFetch,
            Verb::SynchronizeCache => Name::SynchronizeCache,
            Verb::OrWrite => Name::OrWrite,
            Verb::CompareAndWrite => Name::CompareAndWrite,
        }
    }
}
