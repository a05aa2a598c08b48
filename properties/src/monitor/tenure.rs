//! `fabric/no-evicted-write` (V3): no write issued in an older tenure takes effect after another node, the new
//! owner, has first accessed the disk.
//!
//! The idea: a tenure is named by the number of the event at which its owner's first read of block 0 took
//! effect. That orders tenures by what happened at the disk, not by when the nodes came to know: a node that
//! was paused between its first read and its answer announces an old tenure late. A write gets the tenure that
//! its node was in when it was issued. The epoch in the record is not used for the order, since an owner that
//! writes nothing leaves no epoch behind, and the next owner counts from the same number.
//!
//! Writes of the node's own earlier tenure count only if another node owned the disk in between: with nobody
//! in between, nobody was promised anything.

use super::{
    Scene,
    findings::{Findings, Watched},
    ledger::{Entry, Ledger},
};
use alloc::{format, vec::Vec};
use redline_vocab::{Command, Event, Lba, NodeId, Record, Serial, Status, Tag};

/// Tenures of one node that are remembered for writes still queued, and over all nodes for late announcements.
/// A write or an announcement older than that is judged as if it were of the oldest one remembered.
const TENURES_MAX: usize = 16;

#[derive(Clone, Debug)]
pub(super) struct NoEvictedWrite {
    nodes: Vec<Node>,
    commits: Vec<Commit>,
}

#[derive(Clone, Debug)]
struct Node {
    /// Its latest tenure; 0: none yet.
    tenure: u64,
    /// Which serials were issued from which on in which tenure, oldest first.
    issued: Vec<(Serial, u64)>,
    /// Its latest reads of block 0 that took effect: tag and number of the commit.
    reads: [(Tag, u64); 4],
    /// When the last read of block 0 that it got an answer to took effect.
    first_access: u64,
}

/// The last write of a tenure that took effect.
#[derive(Clone, Copy, Debug)]
struct Commit {
    tenure: u64,
    seq: u64,
    record: Record,
}

impl NoEvictedWrite {
    pub const fn new() -> NoEvictedWrite {
        NoEvictedWrite { nodes: Vec::new(), commits: Vec::new() }
    }

    /// Gives a write that is sent the tenure in which it was issued.
    pub fn mark(&mut self, ledger: &mut Ledger, event: &Event, mut entry: Entry) -> Entry {
        if let (Event::Sent { .. }, Command::Write { record, .. }) = (event, entry.command) {
            entry.tenure = self.node(record.writer).tenure_of(record.serial);
            ledger.set_tenure(&entry, entry.tenure);
        }
        entry
    }

    pub fn see(&mut self, scene: &Scene<'_>, out: &mut Findings) {
        match scene.event {
            Event::Issued { node, record, .. } => self.node(*node).issue(record.serial),
            Event::Crashed { node } => self.node(*node).issued.clear(),
            Event::Replied { reply, .. } => self.replied(scene, reply.status, out),
            Event::Received { nexus, tag, reply } if reply.status == Status::Good => {
                let node = self.node(scene.ledger.node_of(*nexus));
                if let Some((_, seq)) = node.reads.iter().find(|(of, seq)| of == tag && *seq > 0) {
                    node.first_access = *seq;
                }
            }
            Event::Aborted { .. } => self.shut_out(scene, out),
            Event::Committed { .. } => self.committed(scene, out),
            Event::Owned { node, .. } => self.owned(scene, *node, out),
            _ => {}
        }
    }

    fn replied(&mut self, scene: &Scene<'_>, status: Status, out: &mut Findings) {
        let Some(entry) = scene.entry else { return };
        match (entry.command, status) {
            (Command::Read(extent), Status::Good) if extent.lba == Lba(0) => {
                let node = self.node(scene.ledger.node_of(entry.nexus));
                node.reads.rotate_right(1);
                node.reads[0] = (entry.tag, entry.committed.max(entry.dispatched));
            }
            (Command::Write { .. }, Status::ReservationConflict) => self.shut_out(scene, out),
            _ => {}
        }
    }

    /// A write was refused or aborted. It is what the property relies on if another node had taken over.
    fn shut_out(&mut self, scene: &Scene<'_>, out: &mut Findings) {
        let Some(Entry { nexus, command: Command::Write { .. }, .. }) = scene.entry else { return };
        let table = &scene.ledger.table;
        if table.reservation.is_some() && super::lun::key_of(table, nexus).is_none() {
            out.fired(Watched::NoEvictedWrite);
        } else if let Some((entry, _)) = scene.ledger.cause() {
            // The abort comes before the table shows the removal, in the dispatch of the PREEMPT AND ABORT.
            if entry.nexus != nexus && matches!(entry.command, Command::PrOut(_)) {
                out.fired(Watched::NoEvictedWrite);
            }
        }
    }

    fn committed(&mut self, scene: &Scene<'_>, out: &mut Findings) {
        let Some(Entry { tenure, command: Command::Write { record, .. }, .. }) = scene.entry else { return };
        let newer = (0u8..)
            .map(NodeId)
            .zip(&self.nodes)
            .find(|(node, state)| *node != record.writer && state.tenure > tenure);
        match newer {
            Some((node, state)) => broken(scene, out, scene.seq, record, node, state.tenure),
            None => self.note(Commit { tenure, seq: scene.seq, record }),
        }
    }

    fn owned(&mut self, scene: &Scene<'_>, node: NodeId, out: &mut Findings) {
        let state = self.node(node);
        let access = if state.first_access > state.tenure { state.first_access } else { scene.seq };
        state.tenure = access;
        let late = self
            .commits
            .iter()
            .find(|commit| commit.tenure < access && commit.seq > access && commit.record.writer != node);
        if let Some(commit) = late {
            broken(scene, out, commit.seq, commit.record, node, access);
        }
    }

    /// Remembers the last commit of each tenure, the newest tenures only.
    fn note(&mut self, commit: Commit) {
        if let Some(known) = self.commits.iter_mut().find(|known| known.tenure == commit.tenure) {
            *known = commit;
            return;
        }
        if self.commits.len() == TENURES_MAX {
            let oldest = (0..self.commits.len()).min_by_key(|at| self.commits[*at].tenure);
            oldest.map(|at| self.commits.swap_remove(at));
        }
        self.commits.push(commit);
    }

    fn node(&mut self, node: NodeId) -> &mut Node {
        let at = usize::from(node.0);
        if self.nodes.len() <= at {
            self.nodes.resize_with(at + 1, Node::new);
        }
        &mut self.nodes[at]
    }
}

impl Node {
    const fn new() -> Node {
        Node { tenure: 0, issued: Vec::new(), reads: [(Tag(0), 0); 4], first_access: 0 }
    }

    fn issue(&mut self, serial: Serial) {
        if self.issued.last().is_some_and(|(_, tenure)| *tenure == self.tenure) {
            return;
        }
        if self.issued.len() == TENURES_MAX {
            self.issued.remove(0);
        }
        self.issued.push((serial, self.tenure));
    }

    /// The tenure of a write by its number; writes that were never announced belong to the latest one.
    fn tenure_of(&self, serial: Serial) -> u64 {
        let by_serial = self.issued.iter().rev().find(|(from, _)| *from <= serial);
        by_serial.or(self.issued.first()).map_or(self.tenure, |(_, tenure)| *tenure)
    }
}

fn broken(scene: &Scene<'_>, out: &mut Findings, seq: u64, record: Record, owner: NodeId, access: u64) {
    out.broken(Watched::NoEvictedWrite, seq, scene.at, || {
        format!(
            "a write of {} issued in {} ({}) took effect at event {seq}, after {owner} had taken the disk over with \
             its first access at event {access}",
            record.writer, record.epoch, record.serial,
        )
    });
}
