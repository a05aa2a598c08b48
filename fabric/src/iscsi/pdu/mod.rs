//! Protocol data units: what each says, and how it is written and read.
//!
//! A PDU on the wire is a basic header of 48 bytes, additional header segments, an optional header digest, data, padding to four bytes and
//! an optional data digest (RFC 7143, 11.1 and 11.2). [`Header`] is the meaning of a basic header, one variant for each opcode;
//! [`Decoder`] turns chunks of a byte stream into [`Frame`]s, [`Writer`] turns headers and payload into pieces for one vectored write.
//! Reserved fields are written as zeros and not looked at.
//!
//! Units: lengths and offsets in bytes, times in seconds, as on the wire.

mod codec;
mod decoder;
mod payload;
#[cfg(test)]
pub(in crate::iscsi) mod tests;
mod writer;

pub use codec::HeaderError;
pub use decoder::{Bounds, Decoder, Frame, Malformed};
pub use payload::{Gather, Payload};
pub use writer::Writer;

use crate::iscsi::serial::Sn;
use redline_vocab::Tag;

/// Length of a basic header segment.
pub const HEADER_LENGTH: usize = 48;

/// A basic header as bytes.
pub type Bhs = [u8; HEADER_LENGTH];

/// Which digests a connection uses.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Digests {
    /// CRC32C over the headers.
    pub header: bool,
    /// CRC32C over data and padding.
    pub data: bool,
}

/// The numbers that every request carries.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Request {
    /// I bit: not part of the command order.
    pub immediate: bool,
    /// CmdSN.
    pub cmd_sn: Sn,
    /// ExpStatSN.
    pub exp_stat_sn: Sn,
}

/// The numbers that every answer carries.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Numbers {
    /// StatSN.
    pub stat_sn: Sn,
    /// ExpCmdSN.
    pub exp_cmd_sn: Sn,
    /// MaxCmdSN.
    pub max_cmd_sn: Sn,
}

/// How the length that a command transfers differs from the expected one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Residual {
    /// Not at all.
    None,
    /// The command had this much more to transfer (O).
    Overflow(u32),
    /// The command transferred this much less (U).
    Underflow(u32),
}

/// Login stages (CSG and NSG).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Stage {
    /// 0: SecurityNegotiation.
    Security,
    /// 1: LoginOperationalNegotiation.
    Operational,
    /// 3: FullFeaturePhase.
    FullFeature,
}

/// SCSI Command.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Command {
    /// Its numbers.
    pub request: Request,
    /// F: no unsolicited Data-Out follows.
    pub last: bool,
    /// R.
    pub reads: bool,
    /// W.
    pub writes: bool,
    /// Task attribute (0 untagged, 1 simple, 2 ordered, 3 head of queue, 4 ACA).
    pub attribute: u8,
    /// LUN.
    pub lun: [u8; 8],
    /// Initiator task tag.
    pub tag: Tag,
    /// Expected data transfer length.
    pub expected: u32,
    /// CDB.
    pub cdb: [u8; 16],
}

/// SCSI Response.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Response {
    /// Initiator task tag.
    pub tag: Tag,
    /// Its numbers.
    pub numbers: Numbers,
    /// 0: completed at target; 1: target failure.
    pub response: u8,
    /// SCSI status.
    pub status: u8,
    /// Residual.
    pub residual: Residual,
    /// ExpDataSN: how many Data-In and R2T PDUs were sent for the command.
    pub exp_data_sn: u32,
}

/// SCSI Data-In.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct DataIn {
    /// F: end of a sequence.
    pub last: bool,
    /// A: wants an acknowledgement.
    pub acknowledge: bool,
    /// S and the SCSI status: no SCSI Response follows.
    pub status: Option<u8>,
    /// Residual; only with a status.
    pub residual: Residual,
    /// LUN, with A only.
    pub lun: [u8; 8],
    /// Initiator task tag.
    pub tag: Tag,
    /// Target transfer tag, with A only.
    pub transfer: u32,
    /// Its numbers; the StatSN counts with a status only.
    pub numbers: Numbers,
    /// DataSN.
    pub data_sn: Sn,
    /// Buffer offset.
    pub offset: u32,
}

/// SCSI Data-Out.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct DataOut {
    /// F: end of a sequence.
    pub last: bool,
    /// LUN.
    pub lun: [u8; 8],
    /// Initiator task tag.
    pub tag: Tag,
    /// Target transfer tag of the R2T, or [`super::NO_TAG`] if unsolicited.
    pub transfer: u32,
    /// ExpStatSN.
    pub exp_stat_sn: Sn,
    /// DataSN.
    pub data_sn: Sn,
    /// Buffer offset.
    pub offset: u32,
}

/// Ready To Transfer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ReadyToTransfer {
    /// LUN.
    pub lun: [u8; 8],
    /// Initiator task tag.
    pub tag: Tag,
    /// Target transfer tag.
    pub transfer: u32,
    /// Its numbers; the StatSN is the next one and does not count.
    pub numbers: Numbers,
    /// R2TSN.
    pub r2t_sn: Sn,
    /// Buffer offset.
    pub offset: u32,
    /// Desired data transfer length.
    pub length: u32,
}

/// Task Management Function Request.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TaskRequest {
    /// Its numbers.
    pub request: Request,
    /// 1 ABORT TASK, 2 ABORT TASK SET, 3 CLEAR ACA, 4 CLEAR TASK SET, 5 LOGICAL UNIT RESET, 6 TARGET WARM RESET, 7 TARGET COLD RESET,
    /// 8 TASK REASSIGN.
    pub function: u8,
    /// LUN.
    pub lun: [u8; 8],
    /// Initiator task tag of the function itself.
    pub tag: Tag,
    /// Referenced task tag.
    pub reference: Tag,
    /// RefCmdSN.
    pub reference_sn: Sn,
    /// ExpDataSN, for TASK REASSIGN.
    pub exp_data_sn: u32,
}

/// Task Management Function Response.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TaskResponse {
    /// Initiator task tag of the function.
    pub tag: Tag,
    /// Its numbers.
    pub numbers: Numbers,
    /// 0 complete, 1 no such task, 2 no such LUN, 3 still allegiant, 4 reassignment unsupported, 5 function unsupported, 6 not authorized,
    /// 255 rejected.
    pub response: u8,
}

/// Login Request.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct LoginRequest {
    /// Its numbers; always immediate.
    pub request: Request,
    /// T and NSG: the initiator is ready to go on to this stage.
    pub next: Option<Stage>,
    /// C: the text goes on in the next request.
    pub more: bool,
    /// CSG.
    pub stage: Stage,
    /// Version-max.
    pub version_max: u8,
    /// Version-min.
    pub version_min: u8,
    /// ISID.
    pub isid: [u8; 6],
    /// TSIH: 0 for a new session.
    pub tsih: u16,
    /// Initiator task tag.
    pub tag: Tag,
    /// CID.
    pub cid: u16,
}

/// Login Response.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct LoginResponse {
    /// T and NSG.
    pub next: Option<Stage>,
    /// C.
    pub more: bool,
    /// CSG.
    pub stage: Stage,
    /// Version-max.
    pub version_max: u8,
    /// Version-active.
    pub version_active: u8,
    /// ISID.
    pub isid: [u8; 6],
    /// TSIH: given in the last response.
    pub tsih: u16,
    /// Initiator task tag.
    pub tag: Tag,
    /// Its numbers.
    pub numbers: Numbers,
    /// Status-Class and Status-Detail, as in 0203h.
    pub status: u16,
}

/// Text Request.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TextRequest {
    /// Its numbers.
    pub request: Request,
    /// F: the initiator has said all.
    pub last: bool,
    /// C: the text goes on in the next request.
    pub more: bool,
    /// LUN.
    pub lun: [u8; 8],
    /// Initiator task tag.
    pub tag: Tag,
    /// Target transfer tag of the response that is continued, or [`super::NO_TAG`].
    pub transfer: u32,
}

/// Text Response.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TextResponse {
    /// F.
    pub last: bool,
    /// C.
    pub more: bool,
    /// LUN.
    pub lun: [u8; 8],
    /// Initiator task tag.
    pub tag: Tag,
    /// Target transfer tag, [`super::NO_TAG`] with F.
    pub transfer: u32,
    /// Its numbers.
    pub numbers: Numbers,
}

/// NOP-Out.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct NopOut {
    /// Its numbers.
    pub request: Request,
    /// LUN.
    pub lun: [u8; 8],
    /// Initiator task tag; [`super::NO_TAG`]: no answer is wanted.
    pub tag: Tag,
    /// Target transfer tag of the ping that is answered, or [`super::NO_TAG`].
    pub transfer: u32,
}

/// NOP-In.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct NopIn {
    /// LUN.
    pub lun: [u8; 8],
    /// Initiator task tag of the ping that is answered, or [`super::NO_TAG`].
    pub tag: Tag,
    /// Target transfer tag; other than [`super::NO_TAG`]: an answer is wanted.
    pub transfer: u32,
    /// Its numbers; the StatSN counts in an answer only.
    pub numbers: Numbers,
}

/// Logout Request.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct LogoutRequest {
    /// Its numbers.
    pub request: Request,
    /// 0 close the session, 1 close the connection, 2 remove the connection for recovery.
    pub reason: u8,
    /// Initiator task tag.
    pub tag: Tag,
    /// CID.
    pub cid: u16,
}

/// Logout Response.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct LogoutResponse {
    /// Initiator task tag.
    pub tag: Tag,
    /// Its numbers.
    pub numbers: Numbers,
    /// 0 closed, 1 no such CID, 2 recovery unsupported, 3 cleanup failed.
    pub response: u8,
    /// Time2Wait.
    pub time_to_wait: u16,
    /// Time2Retain.
    pub time_to_retain: u16,
}

/// SNACK Request: asks for lost PDUs again, which error recovery level 0 does not know.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Snack {
    /// 0 data or R2T, 1 status, 2 DataACK, 3 R-data.
    pub kind: u8,
    /// LUN.
    pub lun: [u8; 8],
    /// Initiator task tag.
    pub tag: Tag,
    /// Target transfer tag.
    pub transfer: u32,
    /// ExpStatSN.
    pub exp_stat_sn: Sn,
    /// BegRun.
    pub begin: u32,
    /// RunLength.
    pub length: u32,
}

/// Asynchronous Message.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Async {
    /// LUN, with event 0.
    pub lun: [u8; 8],
    /// Its numbers.
    pub numbers: Numbers,
    /// 0 SCSI, 1 logout wanted, 2 connection will be dropped, 3 all connections will be dropped, 4 negotiation wanted.
    pub event: u8,
    /// AsyncVCode.
    pub vendor: u8,
    /// Parameter1 to Parameter3.
    pub parameters: [u16; 3],
}

/// Reject; its data is the header of the PDU that was rejected.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Reject {
    /// Why.
    pub reason: u8,
    /// Its numbers.
    pub numbers: Numbers,
}

/// Reasons of [`Reject`].
pub mod reject {
    /// Data digest error.
    pub const DATA_DIGEST: u8 = 0x02;
    /// SNACK rejected.
    pub const SNACK: u8 = 0x03;
    /// Protocol error.
    pub const PROTOCOL: u8 = 0x04;
    /// Command not supported.
    pub const UNSUPPORTED: u8 = 0x05;
    /// Too many immediate commands.
    pub const IMMEDIATE: u8 = 0x06;
    /// Task in progress.
    pub const IN_PROGRESS: u8 = 0x07;
    /// Invalid PDU field.
    pub const FIELD: u8 = 0x09;
}

/// What a basic header says.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Header {
    /// 00h
    NopOut(NopOut),
    /// 01h
    Command(Command),
    /// 02h
    TaskRequest(TaskRequest),
    /// 03h
    LoginRequest(LoginRequest),
    /// 04h
    TextRequest(TextRequest),
    /// 05h
    DataOut(DataOut),
    /// 06h
    LogoutRequest(LogoutRequest),
    /// 10h
    Snack(Snack),
    /// 20h
    NopIn(NopIn),
    /// 21h
    Response(Response),
    /// 22h
    TaskResponse(TaskResponse),
    /// 23h
    LoginResponse(LoginResponse),
    /// 24h
    TextResponse(TextResponse),
    /// 25h
    DataIn(DataIn),
    /// 26h
    LogoutResponse(LogoutResponse),
    /// 31h
    ReadyToTransfer(ReadyToTransfer),
    /// 32h
    Async(Async),
    /// 3Fh
    Reject(Reject),
}
