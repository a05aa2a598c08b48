//! The process arm: the fabric as real processes on loopback, under real faults, judged by what each process has logged.
//!
//! | module | does |
//! |---|---|
//! | `proxy` | a link that can be cut, held, slowed and reset |
//! | `member` | one process: started, steered, signalled, ended on every path |
//! | `fabric` | the processes of a scenario and the links between them |
//! | `incident` | what happens in a run: the plan, and what comes along with its faults |
//! | `run` | makes a plan happen to them, and has it judged |
//! | `logs` | reads what the processes of a run have written |
//! | `order` | finds the causal order of the lines, and histories that respect it |
//! | `judge` | model and monitors over that order |
//!
//! **Deliberately absent:** any knowledge of crate `node`. Processes are started from the program's own executable, steered by
//! lines on their standard input, and judged by their logs alone.

pub mod fabric;
pub mod incident;
pub mod judge;
pub mod logs;
pub mod member;
pub mod order;
pub mod proxy;
pub mod run;
#[cfg(test)]
mod split;
#[cfg(test)]
mod tests;
