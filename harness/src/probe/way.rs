//! The way from the probe to a target, whatever it is made of.
//!
//! Two of them exist: a target of the fabric in memory, and TCP to anybody's iSCSI target. The way knows nothing of reservations.

use redline_vocab::{Command, Nexus, Reply, Tag};

/// The two ports that make a nexus.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// Number of the initiator port; places with the same one are paths of one port.
    pub initiator: u8,
    /// Number of the target port, from 0.
    pub port: u8,
}

/// When the data of a write goes out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DataOut {
    /// With the command, or when the target asks for it.
    AtOnce,
    /// Only at [`Way::hand_over`].
    KeptBack,
}

/// How long an answer is awaited.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Patience {
    /// As long as a healthy target can need.
    Long,
    /// Until everything that was under way has come to its end.
    Short,
}

/// Why something could not be done.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Trouble {
    /// The connection ended, or cannot be made.
    #[error("{0}")]
    Lost(String),
    /// The target refused the login.
    #[error("login refused: {0}")]
    LoginRefused(String),
    /// What came is no legal answer.
    #[error("{0}")]
    Odd(String),
    /// No answer came in time.
    #[error("no answer")]
    Silent,
    /// This way cannot do that.
    #[error("{0}")]
    Unable(&'static str),
}

/// What the probe needs of a way to a target. A nexus is a number that the way maps to an initiator port and a target port.
pub trait Way {
    /// Logs in. A session that the nexus has is reinstated.
    ///
    /// # Errors
    /// [`Trouble`]
    fn login(&mut self, nexus: Nexus) -> Result<(), Trouble>;
    /// Ends the session by logout.
    ///
    /// # Errors
    /// [`Trouble`]
    fn logout(&mut self, nexus: Nexus) -> Result<(), Trouble>;
    /// Breaks the connection.
    fn cut(&mut self, nexus: Nexus);
    /// Sends a command.
    ///
    /// # Errors
    /// [`Trouble`]
    fn send(&mut self, nexus: Nexus, command: &Command, data: DataOut) -> Result<Tag, Trouble>;
    /// Sends the data that was kept back, if the target still asks for it.
    ///
    /// # Errors
    /// [`Trouble`]
    fn hand_over(&mut self, nexus: Nexus, tag: Tag) -> Result<(), Trouble>;
    /// The answer to a command; `None` if none came in time.
    ///
    /// # Errors
    /// [`Trouble`]
    fn receive(&mut self, nexus: Nexus, tag: Tag, patience: Patience) -> Result<Option<Reply>, Trouble>;
    /// Lets everything that is under way at the target come to its end.
    ///
    /// # Errors
    /// [`Trouble`]
    fn settle(&mut self) -> Result<(), Trouble>;
    /// Whether [`Way::power_cycle`] works.
    fn can_power_cycle(&self) -> bool;
    /// The target loses its power and comes up; all sessions are gone.
    ///
    /// # Errors
    /// [`Trouble`]
    fn power_cycle(&mut self) -> Result<(), Trouble>;
}
