//! Processes of ours over real TCP, without a stranger's program: connections that misbehave, many sessions, power cycles.

mod arm;
mod crowds;
mod initiator;
mod power;
