//! A Mermaid sequence diagram: initiators, target and back end, short enough to be looked at.
//!
//! Mermaid draws a message at one height, but a command is sent, dispatched and answered at three different times, and the
//! difference is what races are about. So sending is an open arrow, and taking from the transport is a note.

use crate::export::{command_phrase, event_phrase, reply_phrase};
use crate::{Header, Stamped};
use redline_vocab::{Event, NodeId};
use std::io::{self, Write};

/// Writes a diagram of at most `events_max` events; a last note says how many were left out.
///
/// # Errors
/// What the output says.
pub fn mermaid<'a>(
    header: &Header,
    events: impl IntoIterator<Item = &'a Stamped>,
    events_max: usize,
    out: &mut dyn Write,
) -> io::Result<()> {
    writeln!(out, "sequenceDiagram")?;
    for node in 0..header.nodes {
        writeln!(out, "    participant N{node} as node {node}")?;
    }
    writeln!(out, "    participant T as target")?;
    writeln!(out, "    participant B as backend")?;
    let mut events = events.into_iter();
    for stamped in events.by_ref().take(events_max) {
        let (arrow, text) = step(header, &stamped.event);
        writeln!(out, "    {arrow}: {}", escaped(&text))?;
    }
    match events.count() {
        0 => Ok(()),
        more => writeln!(out, "    Note over T: {more} more events"),
    }
}

/// Arrow or note of an event, and its text.
fn step(header: &Header, event: &Event) -> (String, String) {
    let note = |place: String| (format!("Note over {place}"), event_phrase(event));
    let of = |node: NodeId| format!("N{}", node.0);
    match event {
        Event::Sent { nexus, tag, command } => {
            (format!("{}-)T", of(header.node_of(*nexus))), format!("{tag}: {}", command_phrase(command)))
        }
        Event::Submitted { nexus, tag } => ("T->>B".to_string(), format!("{nexus} {tag}")),
        Event::Committed { nexus, tag } => ("B-->>T".to_string(), format!("{nexus} {tag} took effect")),
        Event::Replied { nexus, tag, reply } => {
            (format!("T--){}", of(header.node_of(*nexus))), format!("{tag}: {}", reply_phrase(reply)))
        }
        Event::Received { nexus, .. } | Event::Forgotten { nexus, .. } | Event::ConnectionLost { nexus } => {
            note(of(header.node_of(*nexus)))
        }
        Event::Issued { node, .. }
        | Event::Challenged { node }
        | Event::WaitEnded { node }
        | Event::Defended { node }
        | Event::Owned { node, .. }
        | Event::Lost { node, .. }
        | Event::Fence { node, .. }
        | Event::Drained { node, .. }
        | Event::Stalled { node }
        | Event::Woke { node }
        | Event::Crashed { node }
        | Event::Restarted { node } => note(of(*node)),
        Event::LoggedIn { node, .. } => note(format!("{},T", of(*node))),
        Event::LoggedOut { nexus } => note(format!("{},T", of(header.node_of(*nexus)))),
        Event::Dispatched { .. }
        | Event::Aborted { .. }
        | Event::TableChanged { .. }
        | Event::TablePersisted
        | Event::NexusLost { .. }
        | Event::PowerLost
        | Event::PoweredOn { .. } => note("T".to_string()),
        Event::FaultInjected { .. } | Event::FaultHealed { .. } => note("T,B".to_string()),
    }
}

/// Mermaid ends a statement at `;` and reads `#` as the start of an entity.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '#' => safe.push_str("#35;"),
            ';' => safe.push_str("#59;"),
            '\n' => safe.push(' '),
            plain => safe.push(plain),
        }
    }
    safe
}
