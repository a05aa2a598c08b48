//! The life of each command in a trace: where it was sent, dispatched, submitted, committed, replied and received.

use crate::Stamped;
use redline_vocab::{Command, Disposition, Event, Nexus, Tag};
use std::collections::BTreeMap;

/// One command from its sending on. Positions are indices into the events.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Life {
    pub(super) nexus: Nexus,
    pub(super) tag: Tag,
    pub(super) command: Command,
    pub(super) sent: usize,
    pub(super) dispatched: Option<(usize, Disposition)>,
    pub(super) submitted: Option<usize>,
    pub(super) committed: Option<usize>,
    pub(super) replied: Option<usize>,
    pub(super) received: Option<usize>,
}

/// The lives of all commands, in the order in which they were sent. A tag that is sent again begins a new life.
pub(super) fn lives(events: &[Stamped]) -> Vec<Life> {
    let mut all: Vec<Life> = Vec::new();
    let mut current: BTreeMap<(Nexus, Tag), usize> = BTreeMap::new();
    for (at, stamped) in events.iter().enumerate() {
        if let Event::Sent { nexus, tag, command } = &stamped.event {
            current.insert((*nexus, *tag), all.len());
            all.push(Life {
                nexus: *nexus,
                tag: *tag,
                command: *command,
                sent: at,
                dispatched: None,
                submitted: None,
                committed: None,
                replied: None,
                received: None,
            });
            continue;
        }
        let Some(subject) = subject(&stamped.event) else { continue };
        let Some(life) = current.get(&subject).and_then(|index| all.get_mut(*index)) else { continue };
        if let Event::Dispatched { disposition, .. } = &stamped.event {
            life.dispatched = Some((at, *disposition));
        } else if let Event::Submitted { .. } = &stamped.event {
            life.submitted = Some(at);
        } else if let Event::Committed { .. } = &stamped.event {
            life.committed = Some(at);
        } else if let Event::Replied { .. } = &stamped.event {
            life.replied = Some(at);
        } else if let Event::Received { .. } = &stamped.event {
            life.received = Some(at);
        }
    }
    all
}

/// The command that an event is about.
fn subject(event: &Event) -> Option<(Nexus, Tag)> {
    if let Event::Dispatched { nexus, tag, .. }
    | Event::Submitted { nexus, tag }
    | Event::Committed { nexus, tag }
    | Event::Aborted { nexus, tag }
    | Event::Replied { nexus, tag, .. }
    | Event::Received { nexus, tag, .. }
    | Event::Forgotten { nexus, tag } = event
    {
        Some((*nexus, *tag))
    } else {
        None
    }
}
