//! Integration tests, in reading order: first what the project is, then what it claims, then how a user meets it.

mod support;

// The shape: which crate may use which, and that documents name what exists.
mod shape;

// The rules: tables transcribed from the standards, cell by cell against model and fabric.
mod golden;

// The model: pinned counts of the exhausted instances, and a counterexample for each guard that is dropped.
mod counterexamples;
mod engines;
mod instances;

// Model against fabric: step by step, and at random.
mod lockstep;

// The kill matrix: each planted bug is caught.
mod kills;

// Traces: bad ones are refused at the right line, and the same seed gives the same bytes.
mod corpus;
mod determinism;

// Processes: sockets, disk files and power cycles; then strangers' programs on our array.
mod peers;
mod processes;
mod wire;

// The program: exit codes, errors, nothing overwritten, interruption, and the way from finding to replay.
mod command_line;
mod long_checks;
mod probe;
mod round_trip;
mod verify;
