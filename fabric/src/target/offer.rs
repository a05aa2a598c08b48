//! Commands that came as bytes: as much of them as the target's decisions need.
//!
//! Who decodes a CDB knows what the command is and whether it is well formed, but not whether it may be carried out: an error of the CDB is
//! told after the reservation conflict and the unit attention. So both come here together, and the target says which of them counts.

use redline_vocab::{Command, Name, Sense};

/// A command whose details the target need not know.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Offer {
    /// The command's row in the reservation conflict tables.
    pub name: Name,
    /// Its task, if it has one: it enters the task set and ends at the back end. `None`: it is answered at once.
    pub medium: Option<Medium>,
    /// What is wrong with the command itself.
    pub fault: Option<Sense>,
}

/// What a task does at the back end.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Medium {
    /// It leaves medium and settings as they are.
    Looks,
    /// It may change them.
    Changes,
}

/// What a task was made of.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) enum Work {
    /// A command as data.
    Command(Command),
    /// A command that came as bytes.
    Offered(Medium),
}

impl Work {
    /// Whether the medium is another one afterwards.
    pub(super) fn changes(&self) -> bool {
        match self {
            Work::Command(command) => matches!(command, Command::Write { .. }),
            Work::Offered(medium) => *medium == Medium::Changes,
        }
    }
}
