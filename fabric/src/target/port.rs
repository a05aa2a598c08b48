//! What the target knows of one I_T nexus: its session, its pending unit attentions, its tasks.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use redline_vocab::{Sense, Tag};

use super::offer::Work;

/// Where a task is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) enum Stage {
    /// In the task set, enabled: its reservation check is behind it.
    TaskSet,
    /// Handed to the back end, which has not finished it.
    BackEnd,
}

/// A medium access that was let in.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct Task {
    pub(super) tag: Tag,
    pub(super) work: Work,
    pub(super) stage: Stage,
    /// False once it was aborted or its nexus was lost: nobody hears of it any more, but what the
    /// back end already has may still change the medium.
    pub(super) wanted: bool,
    /// A write that PREEMPT AND ABORT ended while the back end had it.
    pub(super) condemned: bool,
}

/// One I_T nexus as the target sees it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct Port {
    /// A session is established.
    pub(super) session: bool,
    /// A session has been established since power on.
    pub(super) known: bool,
    attentions: VecDeque<Sense>,
    pub(super) tasks: Vec<Task>,
}

impl Port {
    /// A nexus after power on: the first thing it hears is that there was one.
    pub(super) fn new() -> Port {
        let attentions = VecDeque::from([Sense::POWER_ON]);
        Port { session: false, known: false, attentions, tasks: Vec::new() }
    }

    /// Establishes a unit attention; the same one is queued once.
    pub(super) fn attend(&mut self, sense: Sense) {
        if !self.attentions.contains(&sense) {
            self.attentions.push_back(sense);
        }
    }

    /// The unit attention that goes before everything else: a reset (ASC 29h).
    pub(super) fn reset_attention(&self) -> Option<Sense> {
        self.attentions.iter().copied().find(|sense| sense.asc == 0x29)
    }

    /// The next unit attention to report.
    pub(super) fn next_attention(&self) -> Option<Sense> {
        self.reset_attention().or_else(|| self.attentions.front().copied())
    }

    /// Whether it is about more than a reset.
    pub(super) fn has_news(&self) -> bool {
        self.attentions.iter().any(|sense| sense.asc != 0x29)
    }

    /// A unit attention is reported once.
    pub(super) fn reported(&mut self, sense: Sense) {
        self.attentions.retain(|pending| *pending != sense);
    }

    /// Tasks at this stage, oldest first.
    pub(super) fn at(&self, stage: Stage) -> impl Iterator<Item = Tag> + '_ {
        self.tasks.iter().filter(move |task| task.stage == stage).map(|task| task.tag)
    }

    pub(super) fn find(&self, tag: Tag) -> Option<usize> {
        self.tasks.iter().position(|task| task.tag == tag)
    }
}
