//! iSCSI (RFC 7143) without sockets: protocol data units, negotiation, a target and an initiator.
//!
//! Both ends are state machines over bytes. [`target::Endpoint`] holds every connection and session of an array node and speaks
//! [`crate::array::Input`] and [`crate::array::Effect`] to the array behind it; [`initiator::Initiator`] is one session. Whoever drives
//! them reads and writes the sockets. Payload is never copied on its way: it is handed on as slices of what the socket was read into, and
//! sent as the slices that the disk was read into.
//!
//! Error recovery level 0, one connection for each session, markers and iSER never.
//!
//! **Deliberately absent:** SCSI. What a CDB means is for the array to know.

pub mod chap;
pub mod crc;
pub mod initiator;
pub mod negotiate;
pub mod pdu;
pub mod serial;
pub mod target;
pub mod text;

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod support;
#[cfg(test)]
mod tests;

/// The tag that stands for none (RFC 7143: the reserved value of initiator and target transfer tags).
pub const NO_TAG: u32 = 0xFFFF_FFFF;
