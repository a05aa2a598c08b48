//! SCSI status codes (SAM-5 5.3.1).

use redline_vocab::{Sense, Status};

/// 00h
pub const GOOD: u8 = 0x00;
/// 02h
pub const CHECK_CONDITION: u8 = 0x02;
/// 04h: PRE-FETCH, everything fits into the cache.
pub const CONDITION_MET: u8 = 0x04;
/// 08h
pub const BUSY: u8 = 0x08;
/// 18h
pub const RESERVATION_CONFLICT: u8 = 0x18;
/// 28h
pub const TASK_SET_FULL: u8 = 0x28;
/// 40h
pub const TASK_ABORTED: u8 = 0x40;

/// The code of a status.
pub const fn code(status: Status) -> u8 {
    match status {
        Status::Good => GOOD,
        Status::CheckCondition(_) => CHECK_CONDITION,
        Status::ReservationConflict => RESERVATION_CONFLICT,
        Status::TaskSetFull => TASK_SET_FULL,
        Status::TaskAborted => TASK_ABORTED,
    }
}

/// The status with this code, `sense` being the sense data that came with it. CONDITION MET is GOOD's twin of PRE-FETCH, BUSY is told as
/// TASK SET FULL: both ask for the same of an initiator. `None` for codes that SAM-5 does not know, and for CHECK CONDITION without sense.
pub const fn decode(code: u8, sense: Option<Sense>) -> Option<Status> {
    match (code, sense) {
        (GOOD | CONDITION_MET, _) => Some(Status::Good),
        (CHECK_CONDITION, Some(sense)) => Some(Status::CheckCondition(sense)),
        (RESERVATION_CONFLICT, _) => Some(Status::ReservationConflict),
        (TASK_SET_FULL | BUSY, _) => Some(Status::TaskSetFull),
        (TASK_ABORTED, _) => Some(Status::TaskAborted),
        _ => None,
    }
}
