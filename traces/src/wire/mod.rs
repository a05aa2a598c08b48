//! The wire form of every shared word, written once.
//!
//! `words` lists each word with its name on the wire. Two macros turn such a list into the four things that
//! must never disagree: the encoder, the decoder, the JSON Schema and the ITF form. They match without a catch-all arm,
//! so a word added to `vocab` does not compile until it has a name here.
//!
//! Conventions: names are the field's terms in kebab-case; a variant without content is a string, any other an object
//! with the variant's name as its only key; every field of an object must be present (absent values are `null`); keys
//! are hexadecimal strings, sense codes are `"06/2A/05"`.
//!
//! Written by hand rather than with serde for two reasons: an event costs no allocation beyond its own lists, and an
//! error knows its column, its field and the nearest known name.

mod cursor;
mod encode;
mod forms;
mod scalars;
mod words;

pub(crate) use cursor::{Cursor, Refusal};
pub(crate) use forms::{Definitions, Wire, itf_variant};

use crate::{Footer, Stamped};
use redline_vocab::Event;
use serde_json::Value;

/// Appends the line of an event, line end included, to `out`.
pub fn put_event(out: &mut Vec<u8>, seq: u64, at: redline_vocab::Micros, event: &Event) {
    out.extend_from_slice(b"{\"seq\":");
    encode::integer(out, seq);
    out.extend_from_slice(b",\"at\":");
    encode::integer(out, at.0);
    out.extend_from_slice(b",\"event\":");
    event.put(out);
    out.extend_from_slice(b"}\n");
}

/// The line of an event as text, without its line end; for messages and reports.
pub fn event_line(stamped: &Stamped) -> String {
    let mut out = Vec::new();
    put_event(&mut out, stamped.seq, stamped.at, &stamped.event);
    out.pop();
    String::from_utf8(out).expect("the encoder writes UTF-8")
}

/// A word of the shared vocabulary as ITF value.
pub(crate) fn itf_of<T: Wire>(word: &T) -> Value {
    word.itf()
}

/// What one line of a trace holds.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Line {
    /// An event.
    Event(Stamped),
    /// The footer.
    Footer(Footer),
}

impl Line {
    /// Reads a line given without its line end.
    pub(crate) fn take(text: &[u8]) -> Result<Line, Box<Refusal>> {
        if Cursor::first_field(text) == Some("footer") {
            let line: words::FooterLine = Cursor::whole(text)?;
            Ok(Line::Footer(line.footer))
        } else {
            Cursor::whole(text).map(Line::Event)
        }
    }
}

pub(crate) use words::{FooterLine, Format, HeaderLine};
