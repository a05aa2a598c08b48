//! Task management (SAM-5 clause 7): what an initiator asks the task manager, and what it hears.
//!
//! A function travels like a command, under a tag of its own: within a nexus it is taken in its turn. It is none, though: no
//! reservation and no unit attention keeps it off.

use crate::Tag;
use serde::{Deserialize, Serialize};

/// A task management function.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Function {
    /// ABORT TASK: the command of this nexus with this tag.
    AbortTask(Tag),
    /// ABORT TASK SET: every command of this nexus.
    AbortTaskSet,
    /// CLEAR TASK SET: every command of every nexus.
    ClearTaskSet,
    /// LOGICAL UNIT RESET
    LogicalUnitReset,
    /// TARGET WARM RESET
    TargetWarmReset,
    /// TARGET COLD RESET: the connections go as well.
    TargetColdReset,
}

impl Function {
    /// The standard's name.
    pub const fn name(&self) -> &'static str {
        match self {
            Function::AbortTask(_) => "ABORT TASK",
            Function::AbortTaskSet => "ABORT TASK SET",
            Function::ClearTaskSet => "CLEAR TASK SET",
            Function::LogicalUnitReset => "LOGICAL UNIT RESET",
            Function::TargetWarmReset => "TARGET WARM RESET",
            Function::TargetColdReset => "TARGET COLD RESET",
        }
    }
}

/// The service response to a function (RFC 7143, Task Management Function Response).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Managed {
    /// 0: what the function names is over, and has no effect from here on.
    Complete,
    /// 1: no command with this tag is in the task set. It may have been answered already.
    NoSuchTask,
}
