//! The command line: `args` is what can be asked, `run` does it, `desk` is where a run's files go, `ui` talks to people.
//!
//! `process` is one process of a fabric, `fabric` a whole one, made of `children`.

mod args;
mod children;
mod desk;
mod explain;
mod fabric;
mod probe;
mod process;
mod run;
mod ui;

use clap::Parser;
use redline_harness::verdict::Outcome;
use std::panic::catch_unwind;

/// Reads the arguments, runs, and gives the exit code.
pub fn main() -> u8 {
    // clap prints usage errors itself and ends with exit code 2.
    let args = args::Args::parse();
    match catch_unwind(|| run::run(&args)) {
        Ok(code) => code,
        Err(_) => {
            ui::say("this is a bug in Redline: please report the message above with the command line");
            Outcome::Internal.code()
        }
    }
}
