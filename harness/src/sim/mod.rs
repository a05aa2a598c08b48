//! The simulated world: the fabric's pure machines, joined by wires and a disk, under somebody's choices.
//!
//! `world` holds the machines and what is between them; it knows neither time nor chance. Who chooses is
//! somebody else's business: `events` does it with virtual time and random streams from one seed,
//! `crate::replay` follows a given story, `crate::lockstep` tries everything.

mod disk;
pub mod events;
pub mod plan;
pub mod raw;
#[cfg(test)]
mod tests;
mod wire;
mod world;

pub use disk::{Disk, Loss};
pub use world::{Notice, Refused, Setup, World};
pub(crate) use world::{forget_numbers, rank};
