//! The laboratory: what joins model, fabric, traces and judges.

pub mod case;
pub mod catalogue;
pub mod chaos;
pub mod check;
pub mod conform;
pub mod jobs;
pub mod lockstep;
pub mod probe;
pub mod process;
pub mod record;
pub mod replay;
pub mod report;
pub mod scenario;
pub mod schedule;
pub mod shrink;
pub mod sim;
pub mod situations;
pub mod verdict;
