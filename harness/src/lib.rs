//! The laboratory: what joins model, fabric, traces and judges.

pub mod check;
pub mod conform;
pub mod shrink;
