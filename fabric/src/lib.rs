//! What is done: the storage fabric as pure state machines.
//!
//! Each machine takes one input and returns effects; it knows no clock, no dice, no socket and no
//! disk. Whoever drives it (the simulator, or a process) carries the effects out in their order.
//! The rules are implemented here without looking at `model`, which transcribes the same standards
//! as relations: the comparison of the two is worth something only because they share nothing but
//! the words of `vocab`.
//!
//! **Deliberately absent:** any judgement of whether what was done is right.
#![no_std]

extern crate alloc;

pub mod array;
pub mod guest;
pub mod iscsi;
pub mod scsi;
pub mod target;
