//! The `redline` program: reads the command line, lets the laboratory work, shows what came of it.
//!
//! Nothing is decided here: a verdict is the record's, an exit code the outcome's.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(cli::main())
}
