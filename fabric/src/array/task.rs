//! A command that has not been answered yet, as the array sees it.

use super::job::Job;
use super::plan::List;
use super::span::Claim;
use super::{DiskId, Request};
use crate::scsi::sense::SenseData;
use alloc::vec::Vec;
use bytes::Bytes;
use redline_vocab::{Lba, Nexus, ServiceAction, Tag};

/// Names a task.
pub(super) type Key = (Nexus, Tag);

/// A task's disk operation: it has one at a time, so its name will do.
pub(super) fn disk_id((nexus, tag): Key) -> DiskId {
    DiskId(u64::from(nexus.0) << 32 | u64::from(tag.0))
}

/// The task with this disk operation.
pub(super) fn key_of(id: DiskId) -> Option<Key> {
    let [_, _, _, nexus, t0, t1, t2, t3] = id.0.to_be_bytes();
    let key = (Nexus(nexus), Tag(u32::from_be_bytes([t0, t1, t2, t3])));
    (disk_id(key) == id).then_some(key)
}

/// A command on its way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Task {
    /// Which logical unit, an index.
    pub(super) unit: usize,
    /// Where it is.
    pub(super) stage: Stage,
    /// Bytes that it transfers by its CDB.
    pub(super) length: u64,
    /// What it answers if it ends with GOOD.
    pub(super) answer: Answer,
    /// More about what is wrong with it.
    pub(super) detail: Option<SenseData>,
}

/// Where a task is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    /// Behind a PERSISTENT RESERVE OUT of its nexus that waits for its parameter list: it is not looked at yet.
    Held(Request),
    /// A PERSISTENT RESERVE OUT that waits for its parameter list.
    Listing(Order),
    /// In the task set, waiting for its data.
    Collecting(Job),
    /// In the task set, waiting for the parameter list that says what to do.
    CollectingList(List),
    /// In the task set, ready for the back end.
    Ready(Work),
    /// At the back end.
    Running(Work),
    /// With the target, which answers it.
    Asked,
}

/// What goes to the back end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Work {
    pub(super) job: Job,
    pub(super) claims: Claims,
}

/// The fields of a PERSISTENT RESERVE OUT that stand in its CDB.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Order {
    pub(super) action: ServiceAction,
    pub(super) scope: u8,
    pub(super) kind: u8,
}

/// What a command answers if it ends with GOOD.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Answer {
    /// This data.
    Data(Bytes),
    /// The blocks read from here on: an event tells of them.
    Blocks(Lba, Bytes),
    /// What the target answers, in bytes, cut to this allocation length.
    Reservations { allocation: u16 },
}

/// What a task claims. Nearly always it is one range, which takes no allocation.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Claims {
    first: Option<Claim>,
    more: Vec<Claim>,
}

impl Claims {
    /// What the job claims of the unit; empty ranges claim nothing.
    pub(super) fn of(job: &Job, unit: usize) -> Claims {
        let mut claims = Claims::default();
        job.each_span(|span, writes| {
            let claim = Claim { unit, span, writes };
            if span.blocks == 0 {
            } else if claims.first.is_none() {
                claims.first = Some(claim);
            } else {
                claims.more.push(claim);
            }
        });
        claims
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Claim> {
        self.first.iter().chain(&self.more)
    }

    /// Whether the two exclude each other.
    pub(super) fn exclude(&self, other: &Claims) -> bool {
        self.iter().any(|own| other.iter().any(|claim| own.excludes(claim)))
    }
}
