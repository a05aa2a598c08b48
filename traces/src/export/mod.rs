//! A trace in the formats of other people's tools.
//!
//! Each export is a view: it may leave things out, and nothing is read back from it. The evidence is the trace.

mod itf;
mod mermaid;
mod phrase;
mod shiviz;

pub use itf::itf;
pub use mermaid::mermaid;
pub use phrase::{
    command_phrase, event_phrase, fault_phrase, function_phrase, managed_phrase, ports_phrase, reason_phrase,
    reply_phrase,
};
pub use shiviz::{SHIVIZ_PATTERN, shiviz};
