//! What an array with several logical units asks of a target beside its steps: about numbers of nexuses, and about news.

use redline_vocab::{Nexus, Sense};

use super::Target;
use super::port::Port;

impl Target {
    /// The next unit attention, which counts as reported from here on. REQUEST SENSE tells it.
    pub fn take_attention(&mut self, nexus: Nexus) -> Option<Sense> {
        let sense = self.port(nexus).next_attention()?;
        self.port(nexus).reported(sense);
        Some(sense)
    }

    /// Every nexus but this one hears of something that it has done to the logical unit.
    pub fn announce(&mut self, from: Nexus, sense: Sense) {
        let others =
            self.ports.iter_mut().enumerate().filter(|(at, port)| *at != usize::from(from.0) && port.known);
        others.for_each(|(_, port)| port.attend(sense));
    }

    /// Whether the target remembers something of this nexus that somebody will want to know: a registration, a task, or news other than
    /// that of a reset, which every new nexus gets anyway.
    pub fn remembers(&self, nexus: Nexus) -> bool {
        let registered = self.view().registrants.iter().any(|entry| entry.0 == nexus);
        let port = self.ports.get(usize::from(nexus.0));
        registered || self.tags(nexus).next().is_some() || port.is_some_and(Port::has_news)
    }

    /// The number stands for another nexus from here on.
    ///
    /// # Panics
    /// If the nexus has a session.
    pub fn forget(&mut self, nexus: Nexus) {
        let port = self.port(nexus);
        assert!(!port.session, "{nexus} has a session");
        *port = Port::new();
    }
}
