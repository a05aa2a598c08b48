//! A SAN array as initiators see it: logical units behind one or more target ports, without a transport.
//!
//! [`Input`] and [`Effect`] are the border between the array and its transport (`iscsi`) on one side and its disk on the other: SCSI
//! commands as bytes in, SCSI responses as bytes out. The array decides about nexuses, reservations, tasks and media; the transport decides
//! about connections, sequence numbers and data transfer; whoever drives both carries the disk's operations out.
//!
//! **Deliberately absent:** sockets, files, time.

mod answers;
mod config;
mod copies;
mod job;
mod machine;
mod names;
mod plan;
mod span;
mod store;
mod task;
#[cfg(test)]
mod tests;

pub use config::{Config, KnownNexus, TargetPortConfig, UnitConfig};
pub use machine::Array;

use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;
use redline_vocab::{Event, Nexus, Tag};

/// An initiator port (RFC 7143): the initiator's iSCSI name, in lower case, and the ISID of its session.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct InitiatorPort {
    /// iSCSI name.
    pub name: String,
    /// The six bytes of the ISID.
    pub isid: [u8; 6],
}

/// A target port of the array: its relative target port identifier, from 1. It is its target portal group tag as well.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TargetPort(pub u16);

/// A SCSI command as the transport delivers it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Request {
    /// The LUN field, 8 bytes as sent.
    pub lun: [u8; 8],
    /// The CDB, shorter ones padded with zeros.
    pub cdb: [u8; 16],
    /// Expected data transfer length, in bytes.
    pub expected: u32,
    /// The initiator expects to receive data (R flag).
    pub reads: bool,
    /// The initiator expects to send data (W flag).
    pub writes: bool,
}

/// The answer to a command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Response {
    /// SCSI status code.
    pub status: u8,
    /// Sense data, 18 bytes in fixed format or 8 and more in descriptor format; empty unless the status is CHECK CONDITION.
    pub sense: Vec<u8>,
    /// Data for the initiator, already cut to the allocation length, not yet to the expected transfer length.
    pub data: Bytes,
    /// How many bytes the command transfers by its CDB, in either direction: the transport reports the residual against the expected length.
    /// 0 where a command fails.
    pub length: u64,
}

/// Task management functions (SAM-5; RFC 7143, FUNCTION field).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Function {
    /// ABORT TASK, with the tag of the task.
    AbortTask(Tag),
    /// ABORT TASK SET: the tasks of this nexus on the logical unit.
    AbortTaskSet,
    /// CLEAR ACA
    ClearAca,
    /// CLEAR TASK SET: the tasks of every nexus on the logical unit.
    ClearTaskSet,
    /// LOGICAL UNIT RESET
    LogicalUnitReset,
    /// TARGET WARM RESET
    TargetWarmReset,
    /// TARGET COLD RESET: connections are dropped as well.
    TargetColdReset,
}

/// How a task management function ended (RFC 7143, RESPONSE field of the Task Management Function Response).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Managed {
    /// 0
    Complete,
    /// 1
    NoSuchTask,
    /// 2
    NoSuchLun,
    /// 5
    Unsupported,
}

/// Names an operation of the disk while it runs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct DiskId(pub u64);

/// What the array wants its disk to do. Offsets and lengths in bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DiskOperation {
    /// Read; what was never written reads as zeros.
    Read {
        /// Which logical unit, an index.
        unit: u16,
        /// From where.
        offset: u64,
        /// How much.
        length: u32,
    },
    /// Write, in this order.
    Write {
        /// Which logical unit, an index.
        unit: u16,
        /// To where.
        offset: u64,
        /// What: the pieces stand one behind the other.
        data: Vec<Bytes>,
        /// Durable before [`Input::DiskDone`].
        durable: bool,
    },
    /// Deallocate; the range reads as zeros afterwards.
    Unmap {
        /// Which logical unit, an index.
        unit: u16,
        /// From where.
        offset: u64,
        /// How much.
        length: u64,
    },
    /// Where the range is allocated: answered by [`DiskOutcome::Allocated`].
    Map {
        /// Which logical unit, an index.
        unit: u16,
        /// From where.
        offset: u64,
        /// How much.
        length: u64,
    },
    /// Make everything that was written durable.
    Flush {
        /// Which logical unit, an index.
        unit: u16,
    },
}

/// How a disk operation ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DiskOutcome {
    /// What was read.
    Read(Bytes),
    /// Done.
    Done,
    /// Whether the range's first byte is allocated, and for how many bytes that holds.
    Allocated {
        /// Backed by storage.
        allocated: bool,
        /// From the first byte on; at least 1 if the range is not empty.
        length: u64,
    },
    /// It failed, and nothing is known of what it has done.
    Failed,
}

/// What can happen to an array.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Input {
    /// A session is established, or reinstated: an earlier session of the same initiator port with the same target port ends here. Answered by
    /// [`Effect::LoggedIn`] or [`Effect::LoginRefused`], possibly later: not before the back end is done with the earlier session's writes.
    Login {
        /// Names this login until it is answered.
        login: u64,
        /// Who.
        initiator: InitiatorPort,
        /// Where.
        port: TargetPort,
    },
    /// The session ended by logout.
    Logout(Nexus),
    /// The session ended in another way: its connection broke and Time2Retain has passed.
    NexusLost(Nexus),
    /// A command, in the session's order. The tag is in no use on the nexus.
    Command {
        /// Whose.
        nexus: Nexus,
        /// Initiator task tag.
        tag: Tag,
        /// What.
        request: Request,
    },
    /// The data that [`Effect::Ask`] has asked for. The command may have ended meanwhile, by a task management function for instance: then
    /// they change nothing.
    Data {
        /// Whose.
        nexus: Nexus,
        /// Which.
        tag: Tag,
        /// All of it.
        data: Vec<Bytes>,
    },
    /// The data that was asked for came broken: the command ends with 0B/4B/00 and changes nothing. It may have ended meanwhile, too.
    DataBroken {
        /// Whose.
        nexus: Nexus,
        /// Which.
        tag: Tag,
    },
    /// A task management function.
    Manage {
        /// Whose.
        nexus: Nexus,
        /// Initiator task tag of the function itself.
        tag: Tag,
        /// The LUN field; ignored for target resets.
        lun: [u8; 8],
        /// Which.
        function: Function,
    },
    /// A disk operation ended.
    DiskDone {
        /// Which.
        id: DiskId,
        /// How.
        outcome: DiskOutcome,
    },
    /// Writes what is stored to stable storage if quirk `persist-late` has put that off.
    Persist,
}

/// What an array wants done, in this order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Effect {
    /// The login succeeded.
    LoggedIn {
        /// Which.
        login: u64,
        /// The session's nexus.
        nexus: Nexus,
    },
    /// There is no room for another nexus.
    LoginRefused {
        /// Which.
        login: u64,
    },
    /// Collect this much data from the initiator, never more than it expects to send, then [`Input::Data`]. What it sends without having been
    /// asked is the transport's to discard.
    Ask {
        /// Whose.
        nexus: Nexus,
        /// Which.
        tag: Tag,
        /// Bytes, at least 1.
        bytes: u32,
    },
    /// Answer the command.
    Respond {
        /// Whose.
        nexus: Nexus,
        /// Which.
        tag: Tag,
        /// The answer.
        response: Response,
    },
    /// The command ended without an answer: discard what is still transferred for it.
    Dropped {
        /// Whose.
        nexus: Nexus,
        /// Which.
        tag: Tag,
    },
    /// Answer a task management function.
    Managed {
        /// Whose.
        nexus: Nexus,
        /// Which.
        tag: Tag,
        /// The answer.
        outcome: Managed,
    },
    /// Drop every connection (TARGET COLD RESET).
    DropConnections,
    /// Begin a disk operation.
    Disk {
        /// Its name.
        id: DiskId,
        /// What to do.
        operation: DiskOperation,
    },
    /// Replace the stored state of the array, or erase it, durably, before any later effect is carried out.
    Store(Option<Vec<u8>>),
    /// Something happened that a trace records.
    Event(Event),
}
