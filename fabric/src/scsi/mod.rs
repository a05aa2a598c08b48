//! SCSI as bytes: CDBs, parameter lists, sense data and pages, encoded and decoded. Big-endian throughout.
//!
//! Each module knows one layout and nothing else: what a field means is decided by whoever asks (`array`, a guest's initiator, the probe).
//! Decoding takes bytes from strangers: it is total, never panics, and says what is wrong in a way that becomes sense data. `command` joins
//! the layouts to the words of `vocab`, for an initiator. Clauses are those of SPC-4, SBC-3 and SAM-5.
//!
//! **Deliberately absent:** any decision about a command, and any state.

pub mod capacity;
pub mod cdb;
pub mod command;
pub mod copy;
mod field;
pub mod inquiry;
pub mod mode;
pub mod opcodes;
pub mod pr;
pub mod provisioning;
pub mod record;
pub mod report;
pub mod sense;
pub mod status;
pub mod transport_id;
pub mod vpd;

#[cfg(test)]
mod tests;
