//! What may happen: the reference model of reservations and arbitration.

pub mod access;
pub mod cluster;
pub mod legacy;
pub mod lun;
pub mod node;
pub mod reservations;
mod set;
mod table;

pub mod unit;

pub use set::{NEXUSES, Set};
pub use table::{Attention, Change, Result, Table, is_within};
