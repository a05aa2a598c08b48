//! The process arm: the fabric as real processes on loopback, under real faults, judged by what each process has logged.
//!
//! | module | does |
//! |---|---|
//! | `logs` | reads what the processes of a run have written |
//! | `order` | finds the causal order of the lines, and histories that respect it |
//! | `judge` | model and monitors over that order |
//!
//! **Deliberately absent:** any knowledge of crate `node`. Processes are started from the program's own executable, steered by
//! lines on their standard input, and judged by their logs alone.

pub mod judge;
pub mod logs;
pub mod order;
#[cfg(test)]
mod split;
#[cfg(test)]
mod tests;
