//! The JSON Schema of one line of a trace, made from the same list of words as encoder and decoder.
//!
//! What a schema of single lines cannot say is left to the reader: the order of lines, sequence, time, count, digest.

use crate::wire::{Definitions, FooterLine, HeaderLine, Wire};
use crate::{Stamped, VERSION};
use serde_json::{Value, json};

/// The schema (draft 2020-12). `traces/schema/trace.schema.json` is a copy of it.
pub fn schema() -> Value {
    let mut definitions = Definitions::new();
    let header = HeaderLine::schema(&mut definitions);
    let event = Stamped::schema(&mut definitions);
    let footer = FooterLine::schema(&mut definitions);
    // The type allows any number; the format has one version.
    definitions["HeaderLine"]["properties"]["version"] = json!({ "const": VERSION });
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A line of a Redline trace",
        "description": "A trace is a text file of one JSON object a line: a header, events in order, a footer.",
        "oneOf": [header, event, footer],
        "$defs": definitions,
    })
}

/// The schema as text, as it is committed.
pub fn schema_text() -> String {
    format!("{:#}\n", schema())
}
