//! The judges: what a sound fabric promises, and how to see that a promise is broken.
//!
//! `monitor` watches the events of a run. Nothing here knows how the model or the fabric decide;
//! a judge that shared their rules could share their mistakes.
#![no_std]

extern crate alloc;

pub mod catalogue;
pub mod monitor;
