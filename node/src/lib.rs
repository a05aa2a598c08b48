//! The process around the fabric: sockets, disk, clock, and the recording of traces.
//!
//! It decides nothing: it carries the effects of the machines in `fabric` out, in their order, and hands back what came of them. Each process
//! has one thread that owns its machine, its sockets and its files, so that nothing here is shared, locked or reordered.
//!
//! A process belongs to the one that started it ([`control`]): it takes its orders on standard input and ends when that closes.

pub mod array;
pub mod clock;
pub mod control;
pub mod disk;
pub mod guest;
pub mod log;
