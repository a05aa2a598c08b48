//! A log for ShiViz, which draws a space-time diagram from vector clocks.
//!
//! Hosts are the nodes, the target and, for faults, the laboratory itself. A host's clock counts its own events; a message
//! carries the clock of its sending to the event that takes it: `sent` to `dispatched`, `replied` to `received`. No
//! other edge is drawn, so that two events are ordered in the diagram only if a message chain in the trace orders them.

use crate::{Header, Stamped, export::event_phrase};
use redline_vocab::{Event, Nexus, NodeId, Tag};
use std::collections::BTreeMap;
use std::io::{self, Write};

/// The regular expression with which ShiViz reads the log; the first line of the file.
pub const SHIVIZ_PATTERN: &str = r"(?<event>.*)\n(?<host>\S*) (?<clock>{.*})";

/// Who an event belongs to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Host {
    Node(NodeId),
    Target,
    Laboratory,
}

impl Host {
    fn name(self) -> String {
        match self {
            Host::Node(node) => format!("node{}", node.0),
            Host::Target => "target".to_string(),
            Host::Laboratory => "laboratory".to_string(),
        }
    }
}

/// How many events of each host are known to have happened.
type Clock = BTreeMap<Host, u64>;

/// Writes the trace as ShiViz log: pattern, an empty line (there is one execution), then two lines for each event.
///
/// # Errors
/// What the output says.
pub fn shiviz<'a>(
    header: &Header,
    events: impl IntoIterator<Item = &'a Stamped>,
    out: &mut dyn Write,
) -> io::Result<()> {
    writeln!(out, "{SHIVIZ_PATTERN}\n")?;
    let mut clocks = Clocks::default();
    for stamped in events {
        let host = host_of(header, &stamped.event);
        let clock = clocks.step(host, &stamped.event);
        writeln!(out, "{} us: {}", stamped.at.0, event_phrase(&stamped.event))?;
        let entries: Vec<String> =
            clock.iter().map(|(host, count)| format!("\"{}\":{count}", host.name())).collect();
        writeln!(out, "{} {{{}}}", host.name(), entries.join(","))?;
    }
    Ok(())
}

/// The clocks of all hosts and of the messages on their way.
#[derive(Default)]
struct Clocks {
    hosts: BTreeMap<Host, Clock>,
    requests: BTreeMap<(Nexus, Tag), Clock>,
    replies: BTreeMap<(Nexus, Tag), Clock>,
}

impl Clocks {
    /// The clock of this event.
    fn step(&mut self, host: Host, event: &Event) -> &Clock {
        let carried = if let Event::Dispatched { nexus, tag, .. } = event {
            self.requests.remove(&(*nexus, *tag))
        } else if let Event::Received { nexus, tag, .. } = event {
            self.replies.remove(&(*nexus, *tag))
        } else {
            None
        };
        let clock = self.hosts.entry(host).or_default();
        for (other, count) in carried.into_iter().flatten() {
            let known = clock.entry(other).or_default();
            *known = (*known).max(count);
        }
        *clock.entry(host).or_default() += 1;
        if let Event::Sent { nexus, tag, .. } = event {
            self.requests.insert((*nexus, *tag), clock.clone());
        } else if let Event::Replied { nexus, tag, .. } = event {
            self.replies.insert((*nexus, *tag), clock.clone());
        }
        clock
    }
}

fn host_of(header: &Header, event: &Event) -> Host {
    match event {
        Event::Issued { node, .. }
        | Event::LoggedIn { node, .. }
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
        | Event::Restarted { node } => Host::Node(*node),
        Event::Sent { nexus, .. }
        | Event::Received { nexus, .. }
        | Event::Forgotten { nexus, .. }
        | Event::LoggedOut { nexus }
        | Event::ConnectionLost { nexus } => Host::Node(header.node_of(*nexus)),
        Event::Dispatched { .. }
        | Event::Submitted { .. }
        | Event::Committed { .. }
        | Event::Aborted { .. }
        | Event::Replied { .. }
        | Event::TableChanged { .. }
        | Event::TablePersisted
        | Event::NexusLost { .. }
        | Event::PowerLost
        | Event::PoweredOn { .. } => Host::Target,
        Event::FaultInjected { .. } | Event::FaultHealed { .. } => Host::Laboratory,
    }
}
