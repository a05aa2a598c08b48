//! Sessions: who is logged in, on which nexus, and who has to wait for that.

use super::super::names::Assigned;
use super::super::task::Stage;
use super::super::{Effect, InitiatorPort, TargetPort};
use super::Array;
use crate::target;
use alloc::vec::Vec;
use redline_vocab::Nexus;

/// A login that waits until the back end is done with what earlier sessions of its nexus gave it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Waiting {
    login: u64,
    nexus: Nexus,
}

impl Array {
    pub(super) fn login(
        &mut self,
        login: u64,
        initiator: InitiatorPort,
        port: TargetPort,
        out: &mut Vec<Effect>,
    ) {
        let exists = self.config.target_ports.iter().any(|known| known.port == port);
        let Some(nexus) = Some((initiator, port)).filter(|_| exists).and_then(|pair| self.number(pair))
        else {
            return out.push(Effect::LoginRefused { login });
        };
        self.logins.push(Waiting { login, nexus });
        self.settle(out);
    }

    pub(super) fn logout(&mut self, nexus: Nexus, out: &mut Vec<Effect>) {
        if self.has_session(nexus) {
            self.end_session(nexus, &target::Input::Logout { nexus }, out);
            self.settle(out);
        }
    }

    pub(super) fn nexus_lost(&mut self, nexus: Nexus, out: &mut Vec<Effect>) {
        if self.has_session(nexus) {
            self.end_session(nexus, &target::Input::LoseNexus { nexus }, out);
            self.settle(out);
        }
    }

    /// The number of a pair of ports. A number that was somebody else's means nothing of what it meant before.
    pub(super) fn number(&mut self, pair: (InitiatorPort, TargetPort)) -> Option<Nexus> {
        let Array { names, units, sessions, logins, .. } = self;
        let forgotten = |nexus: Nexus| {
            let session = sessions.get(usize::from(nexus.0)).copied().unwrap_or(false);
            let expected = logins.iter().any(|login| login.nexus == nexus);
            !session && !expected && !units.iter().any(|unit| unit.target.remembers(nexus))
        };
        match names.assign(pair, forgotten)? {
            Assigned::Old(nexus) => Some(nexus),
            Assigned::New(nexus) => {
                units.iter_mut().for_each(|unit| unit.target.forget(nexus));
                self.copies.forget(nexus);
                Some(nexus)
            }
        }
    }

    /// Logs in whoever can. A session that is there already ends first: the new one takes its place.
    pub(super) fn admit_logins(&mut self, out: &mut Vec<Effect>) {
        let mut at = 0;
        while at < self.logins.len() {
            let Waiting { login, nexus } = self.logins[at];
            let earlier = self.logins[..at].iter().any(|other| other.nexus == nexus);
            if !earlier && self.has_session(nexus) {
                self.end_session(nexus, &target::Input::LoseNexus { nexus }, out);
            }
            if earlier || !self.units.iter().all(|unit| unit.target.accepts_login(nexus)) {
                at += 1;
                continue;
            }
            self.logins.remove(at);
            let node = self.names.node(nexus);
            for unit in 0..self.units.len() {
                self.ask(unit, target::Input::Login { node, nexus }, out);
            }
            let place = usize::from(nexus.0);
            if place >= self.sessions.len() {
                self.sessions.resize(place + 1, false);
            }
            self.sessions[place] = true;
            out.push(Effect::LoggedIn { login, nexus });
            at = 0;
        }
    }

    /// The session is over: of its commands only those go on that a target keeps.
    fn end_session(&mut self, nexus: Nexus, how: &target::Input, out: &mut Vec<Effect>) {
        self.sessions[usize::from(nexus.0)] = false;
        self.managing.retain(|managing| managing.key.0 != nexus);
        self.held.retain(|key| key.0 != nexus);
        for unit in 0..self.units.len() {
            self.ask(unit, how.clone(), out);
        }
        let Array { units, tasks, ready, .. } = self;
        tasks.retain(|key, task| {
            let collected = matches!(task.stage, Stage::Ready(_) | Stage::Running(_));
            key.0 != nexus || collected && units[task.unit].target.tags(nexus).any(|tag| tag == key.1)
        });
        ready.retain(|key| tasks.contains_key(key));
    }
}
