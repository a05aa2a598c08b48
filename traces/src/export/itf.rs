//! Informal Trace Format of Apalache (ADR 015), for its viewers and for model-based tools.
//!
//! One state for each event. The variable `event` is the event as a variant, `table` the last reservation table
//! that the trace showed, so that a viewer sees what changed. All numbers are written as `#bigint`, which the format allows
//! for numbers of any size; absent values are the variants `Some` and `None`, because ITF has no null.

use crate::wire::{itf_of, itf_variant};
use crate::{Header, Stamped};
use redline_vocab::{Event, LunView};
use serde_json::{Value, json};
use std::io::{self, Write};

/// The variables of every state.
const VARIABLES: [&str; 4] = ["seq", "at", "event", "table"];

/// Writes the trace as `.itf.json`, one state a line.
///
/// # Errors
/// What the output says.
pub fn itf<'a>(
    header: &Header,
    events: impl IntoIterator<Item = &'a Stamped>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let meta = json!({
        "format": "ITF",
        "format-description": "https://apalache-mc.org/docs/adr/015adr-trace.html",
        "source": header.scenario,
        "description": format!("redline {} trace, seed {}", header.redline, header.seed),
    });
    write!(out, "{{\"#meta\":{meta},\n\"vars\":{},\n\"states\":[", json!(VARIABLES))?;
    let mut table: Option<&LunView> = None;
    for (index, stamped) in events.into_iter().enumerate() {
        if let Event::TableChanged { view } | Event::PoweredOn { view } = &stamped.event {
            table = Some(view);
        }
        let separator = if index == 0 { "\n" } else { ",\n" };
        write!(out, "{separator}{}", state(index, stamped, table))?;
    }
    out.write_all(b"\n]}\n")
}

fn state(index: usize, stamped: &Stamped, table: Option<&LunView>) -> Value {
    json!({
        "#meta": { "index": index },
        "seq": itf_of(&stamped.seq),
        "at": itf_of(&stamped.at),
        "event": itf_of(&stamped.event),
        "table": match table {
            Some(view) => itf_variant("Some", Some(itf_of(view))),
            None => itf_variant("None", None),
        },
    })
}
