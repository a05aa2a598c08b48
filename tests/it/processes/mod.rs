//! Processes of ours over real TCP, without a stranger's program: connections that misbehave, many sessions, power cycles, a back end that hangs.

mod arm;
mod crowds;
mod hang;
pub mod initiator;
mod md5;
mod power;
