//! What a target answers: SCSI status, sense and data.

use crate::{Generation, Key, Managed, Nexus, PrType, Record};
use alloc::vec::Vec;
use core::fmt;
use serde::{Deserialize, Serialize};

/// Sense data of a CHECK CONDITION: sense key, additional sense code and qualifier.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Sense {
    /// Sense key, 0..15.
    pub key: u8,
    /// Additional sense code.
    pub asc: u8,
    /// Additional sense code qualifier.
    pub ascq: u8,
}

macro_rules! senses {
    ($($(#[$doc:meta])* $name:ident = $key:literal, $asc:literal, $ascq:literal, $text:literal;)*) => {
        impl Sense {
            $($(#[$doc])* pub const $name: Sense = Sense { key: $key, asc: $asc, ascq: $ascq };)*
            /// The standard's text for the codes that Redline uses.
            pub const fn text(self) -> Option<&'static str> {
                match (self.key, self.asc, self.ascq) {
                    $(($key, $asc, $ascq) => Some($text),)*
                    _ => None,
                }
            }
        }
    };
}

senses! {
    /// 02/04/03
    MANUAL_INTERVENTION_REQUIRED = 0x02, 0x04, 0x03, "logical unit not ready, manual intervention required";
    /// 03/0C/00
    WRITE_ERROR = 0x03, 0x0c, 0x00, "write error";
    /// 03/11/00
    UNRECOVERED_READ_ERROR = 0x03, 0x11, 0x00, "unrecovered read error";
    /// 05/1A/00
    PARAMETER_LIST_LENGTH_ERROR = 0x05, 0x1a, 0x00, "parameter list length error";
    /// 05/20/00
    INVALID_OPCODE = 0x05, 0x20, 0x00, "invalid command operation code";
    /// 05/21/00
    LBA_OUT_OF_RANGE = 0x05, 0x21, 0x00, "logical block address out of range";
    /// 05/24/00
    INVALID_FIELD_IN_CDB = 0x05, 0x24, 0x00, "invalid field in CDB";
    /// 05/26/00
    INVALID_FIELD_IN_PARAMETER_LIST = 0x05, 0x26, 0x00, "invalid field in parameter list";
    /// 05/26/04
    INVALID_RELEASE = 0x05, 0x26, 0x04, "invalid release of persistent reservation";
    /// 05/55/04
    INSUFFICIENT_REGISTRATION_RESOURCES = 0x05, 0x55, 0x04, "insufficient registration resources";
    /// 06/29/01
    POWER_ON = 0x06, 0x29, 0x01, "power on occurred";
    /// 06/29/02
    SCSI_BUS_RESET = 0x06, 0x29, 0x02, "SCSI bus reset occurred";
    /// 06/29/03
    BUS_DEVICE_RESET = 0x06, 0x29, 0x03, "bus device reset function occurred";
    /// 06/29/07
    NEXUS_LOSS = 0x06, 0x29, 0x07, "I_T nexus loss occurred";
    /// 06/2A/03
    RESERVATIONS_PREEMPTED = 0x06, 0x2a, 0x03, "reservations preempted";
    /// 06/2A/04
    RESERVATIONS_RELEASED = 0x06, 0x2a, 0x04, "reservations released";
    /// 06/2A/05
    REGISTRATIONS_PREEMPTED = 0x06, 0x2a, 0x05, "registrations preempted";
    /// 06/2F/00
    COMMANDS_CLEARED = 0x06, 0x2f, 0x00, "commands cleared by another initiator";
}

impl fmt::Display for Sense {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02X}/{:02X}/{:02X}", self.key, self.asc, self.ascq)?;
        match self.text() {
            Some(text) => write!(f, " ({text})"),
            None => Ok(()),
        }
    }
}

/// SCSI status (SAM-5).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Status {
    /// 00h
    Good,
    /// 02h, with sense data.
    CheckCondition(Sense),
    /// 18h: refused because of a reservation or a wrong key; no state changed.
    ReservationConflict,
    /// 28h
    TaskSetFull,
    /// 40h
    TaskAborted,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Status::Good => f.write_str("GOOD"),
            Status::CheckCondition(sense) => write!(f, "CHECK CONDITION {sense}"),
            Status::ReservationConflict => f.write_str("RESERVATION CONFLICT"),
            Status::TaskSetFull => f.write_str("TASK SET FULL"),
            Status::TaskAborted => f.write_str("TASK ABORTED"),
        }
    }
}

/// What the target did with a command when it took it from the transport.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Disposition {
    /// The status is decided, and what the command does is done.
    Answered(Status),
    /// A medium access entered the task set; its status follows when the back end is done with it.
    Enabled,
    /// PREEMPT AND ABORT changed the table, or a task management function was carried out; the answer waits until
    /// what it aborts can have no effect.
    Held,
}

/// The reservation as READ RESERVATION shows it: key 0 for the all-registrants types.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Held {
    /// The holder's key.
    pub key: Key,
    /// The reservation's type.
    pub kind: PrType,
}

/// REPORT CAPABILITIES, the bits Redline speaks of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Capabilities {
    /// Compatible reservation handling.
    pub crh: bool,
    /// Specify initiator ports capable.
    pub sip_c: bool,
    /// All target ports capable.
    pub atp_c: bool,
    /// Persist through power loss capable.
    pub ptpl_c: bool,
    /// Persist through power loss activated.
    pub ptpl_a: bool,
}

/// One registrant in READ FULL STATUS.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct FullStatusEntry {
    /// The registered nexus.
    pub nexus: Nexus,
    /// Its key.
    pub key: Key,
    /// The reservation's type, if this registrant is a holder (R_HOLDER).
    pub holds: Option<PrType>,
}

/// What one logical block holds, as a reader sees it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Block {
    /// Never written.
    Blank,
    /// Part of this record.
    Of(Record),
    /// Damaged: its checksum does not fit.
    Corrupt,
}

/// Data-In of a reply.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Data {
    /// None.
    Nothing,
    /// Answer to READ KEYS: one key for each registered nexus, so equal keys repeat.
    Keys {
        /// PRgeneration.
        generation: Generation,
        /// In the order of registration slots.
        keys: Vec<Key>,
    },
    /// Answer to READ RESERVATION.
    Reservation {
        /// PRgeneration.
        generation: Generation,
        /// The reservation, if there is one.
        held: Option<Held>,
    },
    /// Answer to REPORT CAPABILITIES.
    Capabilities(Capabilities),
    /// Answer to READ FULL STATUS.
    FullStatus {
        /// PRgeneration.
        generation: Generation,
        /// One entry for each registrant.
        entries: Vec<FullStatusEntry>,
    },
    /// Answer to READ: one entry for each block.
    Blocks(Vec<Block>),
    /// Service response to a task management function; the status beside it is GOOD.
    Managed(Managed),
}

/// A target's answer to one command.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Reply {
    /// The status.
    pub status: Status,
    /// The data; [`Data::Nothing`] unless the status is GOOD.
    pub data: Data,
}

impl Reply {
    /// A reply without data.
    pub const fn of(status: Status) -> Reply {
        Reply { status, data: Data::Nothing }
    }
}
