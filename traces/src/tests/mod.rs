//! Tests of the trace format, in reading order.

mod sample; // a short story that the other tests write, read, export and spoil
mod words; // any event at all, for generated tests

mod exports; // other people's formats
mod files; // files appear whole or not at all
mod mutants;
mod refusals; // what is wrong is said with line, field and expectation
mod robustness; // no bytes at all make the reader panic or err silently
mod round_trip; // what is written is what is read
mod schema; // the committed schema is the generated one, and tells good from bad // the bad corpus is well-formed and differs
