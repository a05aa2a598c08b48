//! A trace of the simulated world, taken apart into the logs that its processes would have written. For tests.

use super::logs::{Life, Logs};
use redline_traces::Header;
use redline_vocab::{Event, LossReason, Nexus, Tag};
use std::collections::BTreeMap;

/// Tags of one life of a node; the next life goes on behind them.
const TAGS_OF_A_LIFE: u32 = 1 << 20;

/// How far a command has got at the target.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Sent,
    Taken,
    BackEnd,
    Done,
}

struct Splitter {
    logs: Logs,
    /// By node: whether it runs, and whether it believes that it is connected.
    up: Vec<bool>,
    connected: Vec<bool>,
    /// By node: a break of its connection that it has not noticed.
    broken: Vec<Option<Nexus>>,
    /// By nexus and tag: the lives in which it was used, oldest first, and how far the command has got.
    used: BTreeMap<(Nexus, Tag), Vec<(u32, Stage)>>,
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

    /// The tag that is unique in the run, of the oldest command at the first of these stages; it moves on, or is over.
    fn moved(&mut self, nexus: Nexus, tag: Tag, from: &[Stage], to: Option<Stage>) -> Tag {
        let Some(lives) = self.used.get_mut(&(nexus, tag)) else { return tag };
        let at = from.iter().find_map(|stage| lives.iter().position(|(_, own)| own == stage));
        let Some(at) = at else { return tag };
        let life = lives[at].0;
        match to {
            Some(stage) => lives[at].1 = stage,
            None => {
                lives.remove(at);
            }
        }
        Tag(life * TAGS_OF_A_LIFE + tag.0)
    }

    fn of_this_life(&self, node: usize, tag: Tag) -> Tag {
        Tag((self.logs.guests[node].len() as u32 - 1) * TAGS_OF_A_LIFE + tag.0)
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Sent { nexus, tag, command } => {
                let node = self.node_of(nexus);
                let life = self.logs.guests[node].len() as u32 - 1;
                let lives = self.used.entry((nexus, tag)).or_default();
                lives.retain(|(_, stage)| matches!(stage, Stage::Taken | Stage::BackEnd));
                lives.push((life, Stage::Sent));
                let tag = self.of_this_life(node, tag);
                self.guest(node, Event::Sent { nexus, tag, command });
            }
            Event::Dispatched { nexus, tag, disposition } => {
                let tag = self.moved(nexus, tag, &[Stage::Sent], Some(Stage::Taken));
                self.array(Event::Dispatched { nexus, tag, disposition });
            }
            Event::Submitted { nexus, tag } => {
                let tag = self.moved(nexus, tag, &[Stage::Taken], Some(Stage::BackEnd));
                self.array(Event::Submitted { nexus, tag });
            }
            Event::Committed { nexus, tag } => {
                let tag = self.moved(nexus, tag, &[Stage::BackEnd], Some(Stage::Done));
                self.array(Event::Committed { nexus, tag });
            }
            Event::Aborted { nexus, tag } => {
                let tag = self.moved(nexus, tag, &[Stage::Taken, Stage::BackEnd], None);
                self.array(Event::Aborted { nexus, tag });
            }
            Event::Replied { nexus, tag, reply } => {
                let tag = self.moved(nexus, tag, &[Stage::Done, Stage::Taken, Stage::BackEnd], None);
                self.array(Event::Replied { nexus, tag, reply });
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
