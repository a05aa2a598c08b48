//! Both directions of a connection between an initiator and the target.

use redline_vocab::{Command, Reply, Tag};
use std::collections::VecDeque;

/// One nexus's wire. Within it everything keeps its order and arrives at most once.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Wire {
    /// The connection is up.
    pub up: bool,
    /// The target has a session on it.
    pub session: bool,
    /// Commands that the target has received and not taken, oldest first.
    pub requests: VecDeque<(Tag, Command)>,
    /// Replies on their way to the initiator, oldest first.
    pub replies: VecDeque<(Tag, Reply)>,
}
