//! A trace in the formats of other people's tools.

use crate::{Header, Stamped};
use std::io::{self, Write};

/// Apalache's Informal Trace Format (`.itf.json`): one state for each event.
///
/// # Errors
/// What the output says.
pub fn itf(header: &Header, events: &[Stamped], out: &mut dyn Write) -> io::Result<()> {
    let _ = (header, events, out);
    Ok(())
}

/// A ShiViz log: its two lines of set-up, then each event with its vector clock.
///
/// # Errors
/// What the output says.
pub fn shiviz(header: &Header, events: &[Stamped], out: &mut dyn Write) -> io::Result<()> {
    let _ = (header, events, out);
    Ok(())
}

/// A Mermaid sequence diagram of at most `events_max` events.
///
/// # Errors
/// What the output says.
pub fn mermaid(
    header: &Header,
    events: &[Stamped],
    events_max: usize,
    out: &mut dyn Write,
) -> io::Result<()> {
    let _ = (header, events, events_max, out);
    Ok(())
}
