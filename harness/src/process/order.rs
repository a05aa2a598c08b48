//! The causal order of the lines of several logs, and histories that respect it.
//!
//! There is no clock that all processes share. Two lines are ordered if one process wrote both, or if a message went from
//! one to the other:
//!
//! | from | to | matched by |
//! |---|---|---|
//! | `sent` of a node | `dispatched` of the array | nexus and tag; a nexus never uses a tag twice in a run |
//! | `replied` of the array | `received` of the node | nexus and tag |
//! | `logged-in` of the array | `logged-in` of the node | the session's commands; order, where it had none |
//! | end of a session at the node | later `logged-in` of the array on the node's nexuses | a node dials when the old connection is gone |
//! | end of a session at the node | end of that session at the array | a connection that the array has given up is down, whether or not the node has noticed |
//!
//! Everything else happened side by side. [`arrange`] gives one history: a list of all lines in which each comes after
//! those that it depends on. *Which* of the many it gives is the caller's choice. The usual choice is to let the array
//! go on until it needs something of a node, so that what nodes do comes as late as possible: then a line of a node
//! stands before a line of the array only if it must.

use super::logs::Logs;
use redline_vocab::{Event, Fault, Nexus, NodeId, Tag};
use std::collections::{BTreeMap, BTreeSet};

/// A line of a history, with who tells it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Placed {
    /// What happened.
    pub event: Event,
    /// Who tells it.
    pub by: Teller,
}

/// Who tells a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Teller {
    /// The nemesis.
    Nemesis,
    /// The array's log.
    Array,
    /// The end of the array's log: it has lost power. `cut`: it was killed.
    ArrayEnds {
        /// Its log has no footer.
        cut: bool,
    },
    /// A node's log.
    Node(NodeId),
    /// The end of a life of a node, or the beginning of its next.
    NodeLife(NodeId),
}

/// Whether a history holds all lines.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum End {
    /// It does.
    Complete,
    /// This line can never come: what it depends on did not happen, or would have to come after it.
    Impossible(Placed),
    /// This line depends on something that a killed process may have done without logging it.
    Unlogged(Placed),
}

/// A line with what it depends on.
struct Line {
    placed: Placed,
    /// So many lines of these others must have come: the array is 0, node `n` is `n + 1`.
    after: Vec<(usize, usize)>,
    /// A line of this other process is missing.
    lacks: Option<usize>,
}

/// The lines of all processes: the array's, then each node's.
pub struct Lines {
    faults: Vec<Fault>,
    of: Vec<Vec<Line>>,
    /// Which processes have a life without a footer.
    cut: Vec<bool>,
}

const ARRAY: usize = 0;

fn process_of(node: NodeId) -> usize {
    usize::from(node.0) + 1
}

/// A session as one end has seen it: lines from its login on, up to and with its end.
#[derive(Clone, Copy, Debug)]
struct Session {
    nexus: Nexus,
    from: usize,
    to: Option<usize>,
}

impl Session {
    fn covers(&self, at: usize) -> bool {
        self.from <= at && self.to.is_none_or(|to| at <= to)
    }
}

impl Lines {
    /// Finds what each line depends on.
    pub fn of(logs: &Logs) -> Lines {
        let nodes = logs.header.nodes.max(1);
        let mut of = vec![array_lines(logs)];
        of.extend(logs.guests.iter().zip(0u8..).map(|(lives, node)| node_lines(lives, NodeId(node))));
        let cut = std::iter::once(&logs.array)
            .chain(&logs.guests)
            .map(|lives| lives.iter().any(|life| !life.whole))
            .collect();
        let mut lines = Lines { faults: logs.faults.clone(), of, cut };
        let sent = lines.sent();
        lines.messages(&sent);
        lines.sessions(nodes, &sent);
        lines
    }

    /// Where each command was sent.
    fn sent(&self) -> BTreeMap<(Nexus, Tag), (usize, usize)> {
        let mut sent = BTreeMap::new();
        for (process, lines) in self.of.iter().enumerate().skip(1) {
            for (at, line) in lines.iter().enumerate() {
                if let Event::Sent { nexus, tag, .. } = line.placed.event {
                    // A second one under the tag is nobody's message; the model will not find it in its place.
                    sent.entry((nexus, tag)).or_insert((process, at));
                }
            }
        }
        sent
    }

    fn messages(&mut self, sent: &BTreeMap<(Nexus, Tag), (usize, usize)>) {
        let mut replied = BTreeMap::new();
        for (at, line) in self.of[ARRAY].iter_mut().enumerate() {
            match line.placed.event {
                Event::Dispatched { nexus, tag, .. } => match sent.get(&(nexus, tag)) {
                    Some((process, at)) => line.after.push((*process, at + 1)),
                    None => line.lacks = Some(usize::MAX),
                },
                Event::Replied { nexus, tag, .. } => {
                    replied.entry((nexus, tag)).or_insert(at);
                }
                _ => {}
            }
        }
        for line in self.of.iter_mut().skip(1).flatten() {
            if let Event::Received { nexus, tag, .. } = line.placed.event {
                match replied.get(&(nexus, tag)) {
                    Some(at) => line.after.push((ARRAY, at + 1)),
                    None => line.lacks = Some(ARRAY),
                }
            }
        }
    }

    fn sessions(&mut self, nodes: u8, sent: &BTreeMap<(Nexus, Tag), (usize, usize)>) {
        let targets = array_sessions(&self.of[ARRAY]);
        for process in 1..self.of.len() {
            let own: Vec<usize> = (0..targets.len())
                .filter(|at| process_of(NodeId(targets[*at].nexus.0 % nodes)) == process)
                .collect();
            let initiators = node_sessions(&self.of[process]);
            let matched = self.matched(process, &targets, &own, &initiators, sent);
            let length = self.of[process].len();
            for (session, target) in initiators.iter().zip(&matched) {
                match target {
                    Some(target) => {
                        let from = targets[*target].from + 1;
                        self.of[process][session.from].after.push((ARRAY, from));
                        let to = session.to.map_or(length, |to| to + 1);
                        if let Some(end) = targets[*target].to {
                            self.of[ARRAY][end].after.push((process, to));
                        }
                    }
                    None => self.of[process][session.from].lacks = Some(ARRAY),
                }
            }
            for at in own {
                let before = matched
                    .iter()
                    .zip(&initiators)
                    .filter(|(target, _)| {
                        target.is_some_and(|target| targets[target].from < targets[at].from)
                    })
                    .map(|(_, session)| session.to.map_or(length, |to| to + 1))
                    .max();
                if let Some(before) = before {
                    self.of[ARRAY][targets[at].from].after.push((process, before));
                }
            }
        }
    }

    /// For each session of a node, the session of the array that it is.
    fn matched(
        &self,
        process: usize,
        targets: &[Session],
        own: &[usize],
        initiators: &[Session],
        sent: &BTreeMap<(Nexus, Tag), (usize, usize)>,
    ) -> Vec<Option<usize>> {
        let mut matched: Vec<Option<usize>> = vec![None; initiators.len()];
        let mut taken = BTreeSet::new();
        for (at, line) in self.of[ARRAY].iter().enumerate() {
            let Event::Dispatched { nexus, tag, .. } = line.placed.event else { continue };
            let Some((_, from)) = sent.get(&(nexus, tag)).filter(|(of, _)| *of == process) else { continue };
            let target =
                own.iter().find(|target| targets[**target].nexus == nexus && targets[**target].covers(at));
            let initiator = initiators.iter().position(|one| one.nexus == nexus && one.covers(*from));
            if let (Some(target), Some(initiator)) = (target, initiator) {
                taken.insert(*target);
                matched[initiator].get_or_insert(*target);
            }
        }
        // A session without a command is any one that lies between its neighbours: nothing depends on which.
        let mut above = targets.len();
        for at in (0..initiators.len()).rev() {
            if matched[at].is_none() {
                let below = matched[..at].iter().flatten().copied().max();
                matched[at] = own.iter().copied().rev().find(|target| {
                    *target < above
                        && below.is_none_or(|below| *target > below)
                        && targets[*target].nexus == initiators[at].nexus
                        && !taken.contains(target)
                });
            }
            above = matched[at].unwrap_or(above);
        }
        matched
    }

    fn is_ready(&self, process: usize, come: &[usize]) -> bool {
        let line = self.of[process].get(come[process]);
        line.is_some_and(|line| {
            line.lacks.is_none() && line.after.iter().all(|(of, count)| come[*of] >= *count)
        })
    }

    /// Why the processes that have lines left cannot go on.
    fn stuck(&self, come: &[usize]) -> End {
        let next = |process: usize| self.of[process].get(come[process]);
        let Some(line) = (0..self.of.len())
            .filter_map(next)
            .find(|line| line.lacks.is_some())
            .or_else(|| (0..self.of.len()).find_map(next))
        else {
            return End::Complete;
        };
        let may_be_unlogged = match line.lacks {
            None => false,
            Some(ARRAY) => self.cut[ARRAY],
            // Whoever has sent it.
            Some(_) => self.cut[1..].iter().any(|cut| *cut),
        };
        let placed = line.placed.clone();
        if may_be_unlogged { End::Unlogged(placed) } else { End::Impossible(placed) }
    }
}

/// A history. `choose` is asked which of several processes goes on, the array first if it can; it is given how many there are.
pub fn arrange(lines: &Lines, choose: &mut dyn FnMut(usize) -> usize) -> (Vec<Placed>, End) {
    let mut history: Vec<Placed> = lines
        .faults
        .iter()
        .map(|fault| Placed { event: Event::FaultInjected { fault: *fault }, by: Teller::Nemesis })
        .collect();
    let mut come = vec![0; lines.of.len()];
    loop {
        let mut ready: Vec<usize> =
            (0..lines.of.len()).filter(|process| lines.is_ready(*process, &come)).collect();
        if ready.is_empty() {
            let end = lines.stuck(&come);
            return (history, end);
        }
        // The array if it can go on, else whom it waits for.
        if let Some(next) = lines.of[ARRAY].get(come[ARRAY]) {
            let waits_for = |process: usize| {
                next.after.iter().any(|(of, count)| *of == process && come[process] < *count)
            };
            ready.sort_by_key(|process| (*process != ARRAY, !waits_for(*process)));
        }
        let process = ready[choose(ready.len()) % ready.len()];
        history.push(lines.of[process][come[process]].placed.clone());
        come[process] += 1;
    }
}

/// The history in which nodes come as late as they may.
pub fn latest(lines: &Lines) -> (Vec<Placed>, End) {
    arrange(lines, &mut |_| 0)
}

fn line(event: Event, by: Teller) -> Line {
    Line { placed: Placed { event, by }, after: Vec::new(), lacks: None }
}

fn array_lines(logs: &Logs) -> Vec<Line> {
    let mut lines = Vec::new();
    for (nth, life) in logs.array.iter().enumerate() {
        if life.events.is_empty() {
            // It was killed before it came up.
            continue;
        }
        lines.extend(life.events.iter().map(|event| line(event.clone(), Teller::Array)));
        if nth + 1 < logs.array.len() || !life.whole {
            lines.push(line(Event::PowerLost, Teller::ArrayEnds { cut: !life.whole }));
        }
    }
    lines
}

fn node_lines(lives: &[super::logs::Life], node: NodeId) -> Vec<Line> {
    let mut lines = Vec::new();
    for (nth, life) in lives.iter().enumerate() {
        if nth > 0 {
            lines.push(line(Event::Restarted { node }, Teller::NodeLife(node)));
        }
        lines.extend(life.events.iter().map(|event| line(event.clone(), Teller::Node(node))));
        if nth + 1 < lives.len() || !life.whole {
            lines.push(line(Event::Crashed { node }, Teller::NodeLife(node)));
        }
    }
    lines
}

fn array_sessions(lines: &[Line]) -> Vec<Session> {
    let mut sessions: Vec<Session> = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let ends = |session: &Session| match line.placed.event {
            Event::NexusLost { nexus } | Event::LoggedIn { nexus, .. } => session.nexus == nexus,
            Event::PowerLost => true,
            _ => false,
        };
        for session in sessions.iter_mut().filter(|session| session.to.is_none() && ends(session)) {
            session.to = Some(at);
        }
        if let Event::LoggedIn { nexus, .. } = line.placed.event {
            sessions.push(Session { nexus, from: at, to: None });
        }
    }
    sessions
}

fn node_sessions(lines: &[Line]) -> Vec<Session> {
    let mut sessions: Vec<Session> = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let over = match line.placed.event {
            Event::ConnectionLost { .. } | Event::Crashed { .. } => Some(at),
            // A node that logs in anew without a word has lost the old session before.
            Event::LoggedIn { .. } => Some(at.saturating_sub(1)),
            _ => None,
        };
        if let (Some(last), Some(over)) = (sessions.last_mut().filter(|last| last.to.is_none()), over) {
            last.to = Some(over);
        }
        if let Event::LoggedIn { nexus, .. } = line.placed.event {
            sessions.push(Session { nexus, from: at, to: None });
        }
    }
    sessions
}
