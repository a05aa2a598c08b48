//! A trace of the simulated world, taken apart into the logs that its processes would have written. For tests.

use super::logs::{Life, Logs};
use redline_traces::Header;
use redline_vocab::{Event, LossReason, Nexus, Tag};
use std::collections::BTreeMap;

/// Tags of one life of a node; the next life goes on behind them.
const TAGS_OF_A_LIFE: u32 = 1 << 20;

struct Splitter {
    logs: Logs,
    /// By node: whether it runs, and whether it believes that it is connected.
    up: Vec<bool>,
    connected: Vec<bool>,
    /// By node: a break of its connection that it has not noticed.
    broken: Vec<Option<Nexus>>,
    /// By nexus and tag: the lives in which it was used and has not ended, oldest first.
    used: BTreeMap<(Nexus, Tag), Vec<(u32, bool)>>,
}

/// Takes a trace apart.
pub fn split<'a>(header: &Header, events: impl IntoIterator<Item = &'a Event>) -> Logs {
    let nodes = usize::from(header.nodes);
    let life = || Life { events: Vec::new(), whole: true };
    let mut splitter = Splitter {
        logs: Logs {
            header: header.clone(),
            faults: Vec::new(),
            array: vec![life()],
            guests: vec![vec![life()]; nodes],
        },
        up: vec![true; nodes],
        connected: vec![false; nodes],
        broken: vec![None; nodes],
        used: BTreeMap::new(),
    };
    for event in events {
        splitter.take(event.clone());
    }
    splitter.logs
}

impl Splitter {
    fn node_of(&self, nexus: Nexus) -> usize {
        usize::from(self.logs.header.node_of(nexus).0)
    }

    fn array(&mut self, event: Event) {
        self.logs.array.last_mut().expect("there is a first life").events.push(event);
    }

    fn guest(&mut self, node: usize, event: Event) {
        self.logs.guests[node].last_mut().expect("there is a first life").events.push(event);
    }

    /// The tag that is unique in the run. `taken`: the target has the command.
    fn unique(&self, nexus: Nexus, tag: Tag, taken: bool) -> Tag {
        let lives = self.used.get(&(nexus, tag)).map(Vec::as_slice).unwrap_or_default();
        let life = match taken {
            true => lives.iter().find(|(_, taken)| *taken).or(lives.last()),
            false => lives.last(),
        };
        Tag(life.map_or(0, |(life, _)| *life) * TAGS_OF_A_LIFE + tag.0)
    }

    fn of_this_life(&self, node: usize, tag: Tag) -> Tag {
        Tag((self.logs.guests[node].len() as u32 - 1) * TAGS_OF_A_LIFE + tag.0)
    }

    fn over(&mut self, nexus: Nexus, tag: Tag) {
        if let Some(lives) = self.used.get_mut(&(nexus, tag))
            && let Some(at) = lives.iter().position(|(_, taken)| *taken)
        {
            lives.remove(at);
        }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Sent { nexus, tag, command } => {
                let node = self.node_of(nexus);
                let life = self.logs.guests[node].len() as u32 - 1;
                self.used.entry((nexus, tag)).or_default().push((life, false));
                let tag = self.of_this_life(node, tag);
                self.guest(node, Event::Sent { nexus, tag, command });
            }
            Event::Dispatched { nexus, tag, disposition } => {
                let unique = self.unique(nexus, tag, false);
                if let Some((_, taken)) = self.used.get_mut(&(nexus, tag)).and_then(|lives| lives.last_mut()) {
                    *taken = true;
                }
                self.array(Event::Dispatched { nexus, tag: unique, disposition });
            }
            Event::Submitted { nexus, tag } => {
                let tag = self.unique(nexus, tag, true);
                self.array(Event::Submitted { nexus, tag });
            }
            Event::Committed { nexus, tag } => {
                let tag = self.unique(nexus, tag, true);
                self.array(Event::Committed { nexus, tag });
            }
            Event::Aborted { nexus, tag } => {
                let unique = self.unique(nexus, tag, true);
                self.array(Event::Aborted { nexus, tag: unique });
                self.over(nexus, tag);
            }
            Event::Replied { nexus, tag, reply } => {
                let unique = self.unique(nexus, tag, true);
                self.array(Event::Replied { nexus, tag: unique, reply });
                self.over(nexus, tag);
            }
            Event::Received { nexus, tag, reply } => {
                let node = self.node_of(nexus);
                let tag = self.of_this_life(node, tag);
                self.guest(node, Event::Received { nexus, tag, reply });
            }
            Event::Forgotten { nexus, tag } => {
                self.notice(self.node_of(nexus));
                let node = self.node_of(nexus);
                let tag = self.of_this_life(node, tag);
                self.guest(node, Event::Forgotten { nexus, tag });
            }
            Event::LoggedIn { node, .. } => {
                let at = usize::from(node.0);
                self.notice(at);
                self.connected[at] = true;
                self.array(event.clone());
                self.guest(at, event);
            }
            Event::ConnectionLost { nexus } => self.disconnect(self.node_of(nexus), nexus),
            Event::PowerLost => {
                self.used.clear();
                self.logs.array.last_mut().expect("there is a first life").whole = false;
                self.logs.array.push(Life { events: Vec::new(), whole: true });
                for node in 0..self.up.len() {
                    self.disconnect(node, Nexus(node as u8));
                }
            }
            Event::Crashed { node } => {
                let at = usize::from(node.0);
                self.up[at] = false;
                self.connected[at] = false;
                self.broken[at] = None;
                self.logs.guests[at].last_mut().expect("there is a first life").whole = false;
            }
            Event::Restarted { node } => {
                let at = usize::from(node.0);
                self.up[at] = true;
                self.logs.guests[at].push(Life { events: Vec::new(), whole: true });
            }
            Event::FaultInjected { fault } => self.logs.faults.push(fault),
            Event::FaultHealed { .. } | Event::Stalled { .. } | Event::Woke { .. } => {}
            Event::Lost { node, reason: LossReason::Disconnected } => {
                self.notice(usize::from(node.0));
                self.guest(usize::from(node.0), event);
            }
            Event::Issued { node, .. }
            | Event::Challenged { node }
            | Event::WaitEnded { node }
            | Event::Defended { node }
            | Event::Owned { node, .. }
            | Event::Lost { node, .. }
            | Event::Fence { node, .. }
            | Event::Drained { node, .. } => self.guest(usize::from(node.0), event),
            _ => self.array(event),
        }
    }

    fn disconnect(&mut self, node: usize, nexus: Nexus) {
        if self.up[node] && std::mem::replace(&mut self.connected[node], false) {
            self.broken[node] = Some(nexus);
        }
    }

    /// The node notices that its connection is gone.
    fn notice(&mut self, node: usize) {
        if let Some(nexus) = self.broken[node].take() {
            self.guest(node, Event::ConnectionLost { nexus });
        }
    }
}
