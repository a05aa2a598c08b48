//! The target's end of iSCSI: every connection and session of an array node.
//!
//! [`Endpoint::step`] takes what happened (a connection was accepted, bytes came, the array answered, time passed) and says what is to be
//! done: bytes to send, connections to close, inputs for the array. Bytes come as the slices that the socket was read into and leave as
//! the slices that the disk was read into; a driver that writes the pieces of one [`Effect::Send`] with one vectored write makes one
//! system call for all PDUs of a step.
//!
//! A session has one connection. When that breaks, the session is retained for Time2Retain, in which nobody but the same initiator port
//! can have it; its tasks end with the connection as far as the initiator is concerned, since error recovery level 0 has no way to take
//! them up again. Then the nexus is lost.
//!
//! **Deliberately absent:** SCSI (the array's), sockets and clocks (the driver's), more than one target name.

mod config;
mod login;
mod reason;
mod session;
#[cfg(test)]
mod tests;
mod transfer;

pub use config::{Accounts, Config, ConfigError, Limits, Portal, Timing};
pub use reason::{CloseReason, LoginStatus};

use crate::array::{self, InitiatorPort, TargetPort};
use crate::iscsi::chap::Challenge;
use crate::iscsi::negotiate::{Purpose, RECEIVE_DEFAULT};
use crate::iscsi::pdu::{Bounds, Decoder, Frame, Header, Writer};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;
use login::{Agreed, Login, Progress};
use redline_vocab::{Micros, Nexus};
use session::{Around, Begin, Flow, Session};

/// Names a connection; the driver chooses and never uses one twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ConnectionId(pub u64);

/// What can happen to an endpoint.
#[derive(Clone, Debug)]
pub enum Input {
    /// A connection was accepted.
    Accepted {
        /// Its name from now on.
        connection: ConnectionId,
        /// The target port that the portal belongs to.
        port: TargetPort,
        /// Where it comes from, for the log.
        peer: String,
        /// A fresh challenge for its login.
        challenge: Challenge,
    },
    /// Bytes came. How large a chunk is, is for the driver to say; it is held as long as a command needs part of it.
    Received {
        /// Where.
        connection: ConnectionId,
        /// What.
        bytes: Bytes,
    },
    /// The connection was closed by the peer, or failed. Not for one that [`Effect::Close`] has ended.
    Closed {
        /// Which.
        connection: ConnectionId,
    },
    /// An effect of the array. Those that are not the transport's (disk, store, events) change nothing.
    Array(array::Effect),
    /// Ask the initiators of a target port, or of all, to log out: a planned failover. Who has not after this many seconds is dropped.
    AskLogout {
        /// Which port; all if none.
        port: Option<TargetPort>,
        /// Seconds.
        seconds: u16,
    },
    /// Time has passed. Deadlines are looked at here only: a driver calls this a few times a second.
    Tick,
}

/// What an endpoint wants done, in this order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Send these pieces, one behind the other.
    Send {
        /// Where.
        connection: ConnectionId,
        /// What; never empty.
        pieces: Vec<Bytes>,
    },
    /// Close the connection, after what was sent before.
    Close {
        /// Which.
        connection: ConnectionId,
        /// Why.
        reason: CloseReason,
    },
    /// Give this to the array.
    Array(array::Input),
    /// Something that a log tells.
    Notice(Notice),
}

/// News for a log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Notice {
    /// A login succeeded.
    LoggedIn {
        /// Where.
        connection: ConnectionId,
        /// From where.
        peer: String,
        /// Who.
        initiator: InitiatorPort,
        /// Where to.
        port: TargetPort,
        /// The array's number for them; none for discovery.
        nexus: Option<Nexus>,
    },
    /// A session's connection is gone; it is kept for this many seconds.
    Retained {
        /// Which.
        nexus: Nexus,
        /// Seconds.
        seconds: u32,
    },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Notice::LoggedIn { peer, initiator, port, nexus: Some(nexus), .. } => {
                write!(f, "{} at {peer} logged in to target port {} as {nexus}", initiator.name, port.0)
            }
            Notice::LoggedIn { peer, initiator, .. } => {
                write!(f, "{} at {peer} logged in for discovery", initiator.name)
            }
            Notice::Retained { nexus, seconds } => {
                write!(f, "{nexus} has no connection and is kept for {seconds} s")
            }
        }
    }
}

/// A session that waits for a connection.
#[derive(Clone, Debug)]
struct Retained {
    initiator: InitiatorPort,
    port: TargetPort,
    tsih: u16,
    nexus: Nexus,
    until: Micros,
}

/// A connection.
#[derive(Clone, Debug)]
struct Connection {
    port: TargetPort,
    peer: String,
    decoder: Decoder,
    out: Writer,
    /// When bytes came last.
    heard: Micros,
    phase: Phase,
}

#[derive(Clone, Debug)]
enum Phase {
    Login(Box<Login>),
    /// All is agreed; the array has not said yes.
    Settling(Box<Settling>),
    Full(Box<Session>),
}

#[derive(Clone, Debug)]
struct Settling {
    login: u64,
    agreed: Agreed,
    tsih: u16,
}

/// The machine.
#[derive(Clone, Debug)]
pub struct Endpoint {
    config: Config,
    now: Micros,
    connections: BTreeMap<ConnectionId, Connection>,
    retained: Vec<Retained>,
    /// Which connection carries a nexus, by its number.
    carriers: Vec<Option<ConnectionId>>,
    /// Logins that the array has not answered and that nobody waits for any more.
    orphans: BTreeMap<u64, (InitiatorPort, TargetPort)>,
    logins: u64,
    tsih: u16,
    touched: Vec<ConnectionId>,
}

impl Endpoint {
    /// Without connections.
    ///
    /// # Errors
    ///
    /// The configuration cannot work.
    pub fn new(config: Config) -> Result<Endpoint, ConfigError> {
        config.check()?;
        Ok(Endpoint {
            config,
            now: Micros(0),
            connections: BTreeMap::new(),
            retained: Vec::new(),
            carriers: vec![None; 1 + usize::from(u8::MAX)],
            orphans: BTreeMap::new(),
            logins: 0,
            tsih: 0,
            touched: Vec::new(),
        })
    }

    /// What it was made with.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// How many sessions there are, discovery and logins that the array has not answered included.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.connections.values().filter(|connection| !matches!(connection.phase, Phase::Login(_))).count()
    }

    /// How many commands and task management functions are not answered.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        let of = |connection: &Connection| match &connection.phase {
            Phase::Full(session) => session.outstanding(),
            Phase::Login(_) | Phase::Settling(_) => 0,
        };
        self.connections.values().map(of).sum()
    }

    /// How many bytes more the PDU needs that a connection is in the middle of: how much is worth reading at once.
    #[must_use]
    pub fn missing(&self, connection: ConnectionId) -> usize {
        self.connections.get(&connection).map_or(0, |connection| connection.decoder.missing())
    }

    /// How many bytes are held for a connection: of the PDU that it is in the middle of, of commands that wait, of data that are not complete.
    #[must_use]
    pub fn held(&self, connection: ConnectionId) -> usize {
        let Some(it) = self.connections.get(&connection) else { return 0 };
        let buffered = match &it.phase {
            Phase::Full(session) => session.buffered,
            Phase::Login(login) => login.held(),
            Phase::Settling(_) => 0,
        };
        it.decoder.held() + buffered
    }

    /// One step. `now` is the time since some fixed moment and never goes back.
    pub fn step(&mut self, now: Micros, input: Input, effects: &mut Vec<Effect>) {
        self.now = now;
        match input {
            Input::Accepted { connection, port, peer, challenge } => {
                self.accept(connection, port, peer, challenge, effects);
            }
            Input::Received { connection, bytes } => {
                if let Some(it) = self.connections.get_mut(&connection) {
                    it.heard = now;
                    if let Phase::Full(session) = &mut it.phase {
                        // Whatever is heard is a sign of life.
                        session.pinged = None;
                    }
                    it.decoder.push(bytes);
                    self.pump(connection, effects);
                }
            }
            Input::Closed { connection } => {
                if let Some(it) = self.connections.remove(&connection) {
                    self.gone(it, effects);
                }
            }
            Input::Array(effect) => self.array(effect, effects),
            Input::AskLogout { port, seconds } => self.ask_logout(port, seconds),
            Input::Tick => self.tick(effects),
        }
        self.flush(effects);
    }

    fn flush(&mut self, effects: &mut Vec<Effect>) {
        while let Some(connection) = self.touched.pop() {
            if let Some(it) = self.connections.get_mut(&connection)
                && !it.out.is_empty()
            {
                effects.push(Effect::Send { connection, pieces: it.out.take() });
            }
        }
    }

    fn accept(
        &mut self,
        connection: ConnectionId,
        port: TargetPort,
        peer: String,
        challenge: Challenge,
        effects: &mut Vec<Effect>,
    ) {
        let limits = &self.config.limits;
        if self.connections.len() >= limits.connections_max {
            effects.push(Effect::Close { connection, reason: CloseReason::Connections });
            return;
        }
        let bounds = Bounds { data_max: RECEIVE_DEFAULT, ahs_max: limits.ahs_max };
        let deadline = Micros(self.now.0 + self.config.timing.login.0);
        let before = self.connections.insert(
            connection,
            Connection {
                port,
                peer,
                decoder: Decoder::new(bounds),
                out: Writer::default(),
                heard: self.now,
                phase: Phase::Login(Box::new(Login::new(port, challenge, deadline))),
            },
        );
        assert!(before.is_none(), "{connection:?} was used twice");
    }

    /// Handles every PDU that is complete.
    fn pump(&mut self, connection: ConnectionId, effects: &mut Vec<Effect>) {
        self.touched.push(connection);
        loop {
            let Some(it) = self.connections.get_mut(&connection) else { return };
            if let Phase::Settling(_) = it.phase {
                // The initiator has nothing to say until its login is answered.
                let (held, allowed) = (it.decoder.held(), self.config.limits.text_max as usize);
                if held > allowed {
                    self.close(connection, CloseReason::Buffered { held, allowed }, effects);
                }
                return;
            }
            let frame = match it.decoder.next() {
                Ok(Some(frame)) => frame,
                Ok(None) => return,
                Err(malformed) => {
                    self.close(connection, CloseReason::Malformed(malformed), effects);
                    return;
                }
            };
            if let Err(reason) = self.handle(connection, frame, effects) {
                self.close(connection, reason, effects);
                return;
            }
        }
    }

    fn handle(
        &mut self,
        connection: ConnectionId,
        frame: Frame,
        effects: &mut Vec<Effect>,
    ) -> Result<(), CloseReason> {
        let Some(it) = self.connections.get_mut(&connection) else { return Ok(()) };
        match &mut it.phase {
            Phase::Full(session) => {
                let mut around = Around { config: &self.config, out: &mut it.out, effects };
                match session.receive(frame, &mut around)? {
                    Flow::On => Ok(()),
                    Flow::LoggedOut => Err(CloseReason::LoggedOut),
                }
            }
            Phase::Login(login) => match login.step(&frame, &self.config, &mut it.out)? {
                Progress::More => Ok(()),
                Progress::Ready(agreed) => self.establish(connection, agreed, effects),
            },
            Phase::Settling(_) => Ok(()),
        }
    }

    /// All is agreed: what becomes of the session that the initiator port had before, and whether there is room for this one.
    fn establish(
        &mut self,
        connection: ConnectionId,
        agreed: Agreed,
        effects: &mut Vec<Effect>,
    ) -> Result<(), CloseReason> {
        let Some(it) = self.connections.get(&connection) else { return Ok(()) };
        let port = it.port;
        if agreed.purpose == Purpose::Discovery {
            return match self.sessions() < self.config.limits.sessions_max {
                true => {
                    let tsih = self.next_tsih();
                    self.begin(connection, agreed, tsih, None, effects);
                    Ok(())
                }
                false => self.refuse(connection, &agreed, LoginStatus::OutOfResources),
            };
        }
        let earlier = self.carrier_of(&agreed.initiator, port, connection);
        let kept =
            self.retained.iter().position(|kept| kept.initiator == agreed.initiator && kept.port == port);
        let known = earlier.map(|(_, tsih, _)| tsih).or(kept.map(|place| self.retained[place].tsih));
        if agreed.tsih != 0 {
            if known != Some(agreed.tsih) {
                return self.refuse(connection, &agreed, LoginStatus::SessionDoesNotExist);
            }
            if earlier.is_some_and(|(_, _, cid)| cid != agreed.cid) {
                return self.refuse(connection, &agreed, LoginStatus::TooManyConnections);
            }
        } else if known.is_none() && self.sessions() >= self.config.limits.sessions_max {
            return self.refuse(connection, &agreed, LoginStatus::OutOfResources);
        }
        if let Some((old, _, _)) = earlier {
            self.supersede(old, effects);
        }
        if let Some(place) = kept {
            self.retained.remove(place);
        }
        let tsih = if agreed.tsih == 0 { self.next_tsih() } else { agreed.tsih };
        let login = self.logins;
        self.logins += 1;
        let initiator = agreed.initiator.clone();
        if let Some(it) = self.connections.get_mut(&connection) {
            it.phase = Phase::Settling(Box::new(Settling { login, agreed, tsih }));
        }
        effects.push(Effect::Array(array::Input::Login { login, initiator, port }));
        Ok(())
    }

    /// The connection, other than this one, that has or will have a session of the initiator port: with its TSIH and CID.
    fn carrier_of(
        &self,
        initiator: &InitiatorPort,
        port: TargetPort,
        but: ConnectionId,
    ) -> Option<(ConnectionId, u16, u16)> {
        self.connections.iter().filter(|(id, it)| **id != but && it.port == port).find_map(|(id, it)| {
            match &it.phase {
                Phase::Full(session) if session.nexus.is_some() && session.initiator == *initiator => {
                    Some((*id, session.tsih, session.cid))
                }
                Phase::Settling(settling) if settling.agreed.initiator == *initiator => {
                    Some((*id, settling.tsih, settling.agreed.cid))
                }
                Phase::Full(_) | Phase::Settling(_) | Phase::Login(_) => None,
            }
        })
    }

    /// Ends a connection whose initiator port has logged in again. The array hears of it by the new login.
    fn supersede(&mut self, old: ConnectionId, effects: &mut Vec<Effect>) {
        let Some(mut it) = self.connections.remove(&old) else { return };
        send(old, &mut it, effects);
        effects.push(Effect::Close { connection: old, reason: CloseReason::Reinstated });
        match it.phase {
            Phase::Full(session) => {
                if let Some(nexus) = session.nexus {
                    self.carriers[usize::from(nexus.0)] = None;
                }
            }
            Phase::Settling(settling) => {
                self.orphans.insert(settling.login, (settling.agreed.initiator, it.port));
            }
            Phase::Login(_) => {}
        }
    }

    fn refuse(
        &mut self,
        connection: ConnectionId,
        agreed: &Agreed,
        status: LoginStatus,
    ) -> Result<(), CloseReason> {
        if let Some(it) = self.connections.get_mut(&connection) {
            let mut response = agreed.response;
            response.next = None;
            response.status = status.code();
            it.out.put(&Header::LoginResponse(response), &[]);
        }
        Err(CloseReason::LoginRefused(status))
    }

    fn next_tsih(&mut self) -> u16 {
        loop {
            self.tsih = self.tsih.checked_add(1).unwrap_or(1);
            let used = |it: &Connection| match &it.phase {
                Phase::Full(session) => session.tsih == self.tsih,
                Phase::Settling(settling) => settling.tsih == self.tsih,
                Phase::Login(_) => false,
            };
            let kept = self.retained.iter().any(|kept| kept.tsih == self.tsih);
            if !kept && !self.connections.values().any(used) {
                return self.tsih;
            }
        }
    }

    /// The last Login Response, and the session.
    fn begin(
        &mut self,
        connection: ConnectionId,
        agreed: Agreed,
        tsih: u16,
        nexus: Option<Nexus>,
        effects: &mut Vec<Effect>,
    ) {
        let Some(it) = self.connections.get_mut(&connection) else { return };
        let mut response = agreed.response;
        response.tsih = tsih;
        it.out.put(&Header::LoginResponse(response), &[agreed.text.write()]);
        it.out.set(agreed.parameters.digests);
        let bounds = Bounds {
            data_max: self.config.offer.receive_max.max(RECEIVE_DEFAULT),
            ahs_max: self.config.limits.ahs_max,
        };
        it.decoder.set(bounds, agreed.parameters.digests);
        if let Some(nexus) = nexus {
            self.carriers[usize::from(nexus.0)] = Some(connection);
        }
        let initiator = agreed.initiator.clone();
        effects.push(Effect::Notice(Notice::LoggedIn {
            connection,
            peer: it.peer.clone(),
            initiator,
            port: it.port,
            nexus,
        }));
        it.phase = Phase::Full(Box::new(Session::new(Begin {
            initiator: agreed.initiator,
            port: it.port,
            purpose: agreed.purpose,
            nexus,
            tsih,
            cid: agreed.cid,
            holds: agreed.parameters,
            stat_sn: agreed.stat_sn.next(),
            cmd_sn: agreed.cmd_sn,
            window: self.config.limits.window,
        })));
    }

    /// An effect of the array.
    fn array(&mut self, effect: array::Effect, effects: &mut Vec<Effect>) {
        match effect {
            array::Effect::LoggedIn { login, nexus } => self.logged_in(login, nexus, effects),
            array::Effect::LoginRefused { login } => {
                if self.orphans.remove(&login).is_none()
                    && let Some((connection, settling)) = self.settling(login)
                    && let Err(reason) =
                        self.refuse(connection, &settling.agreed, LoginStatus::OutOfResources)
                {
                    self.close(connection, reason, effects);
                }
            }
            array::Effect::Ask { nexus, tag, bytes } => {
                self.with(nexus, effects, |session, around| session.ask(tag, bytes, around));
            }
            array::Effect::Respond { nexus, tag, response } => {
                self.with(nexus, effects, |session, around| session.respond(tag, response, around));
            }
            array::Effect::Dropped { nexus, tag } => {
                self.with(nexus, effects, |session, around| session.dropped(tag, around));
            }
            array::Effect::Managed { nexus, tag, outcome } => {
                self.with(nexus, effects, |session, around| session.managed(tag, outcome, around.out));
            }
            array::Effect::DropConnections => {
                let all: Vec<ConnectionId> = self.carriers.iter().flatten().copied().collect();
                all.into_iter()
                    .for_each(|connection| self.close(connection, CloseReason::ColdReset, effects));
            }
            array::Effect::Disk { .. } | array::Effect::Store(_) | array::Effect::Event(_) => {}
        }
    }

    fn with(
        &mut self,
        nexus: Nexus,
        effects: &mut Vec<Effect>,
        act: impl FnOnce(&mut Session, &mut Around<'_>),
    ) {
        let Some(connection) = self.carriers[usize::from(nexus.0)] else { return };
        let Some(it) = self.connections.get_mut(&connection) else { return };
        if let Phase::Full(session) = &mut it.phase {
            act(session, &mut Around { config: &self.config, out: &mut it.out, effects });
            self.touched.push(connection);
        }
    }

    fn settling(&self, login: u64) -> Option<(ConnectionId, Settling)> {
        self.connections.iter().find_map(|(id, it)| match &it.phase {
            Phase::Settling(settling) if settling.login == login => Some((*id, (**settling).clone())),
            Phase::Settling(_) | Phase::Login(_) | Phase::Full(_) => None,
        })
    }

    fn logged_in(&mut self, login: u64, nexus: Nexus, effects: &mut Vec<Effect>) {
        if let Some((initiator, port)) = self.orphans.remove(&login) {
            // The connection was lost meanwhile. If the same port has logged in again, the array knows already; else the nexus is lost.
            let again = self.carrier_of(&initiator, port, ConnectionId(u64::MAX)).is_some()
                || self.orphans.values().any(|other| *other == (initiator.clone(), port));
            if !again {
                effects.push(Effect::Array(array::Input::NexusLost(nexus)));
            }
        } else if let Some((connection, settling)) = self.settling(login) {
            self.begin(connection, settling.agreed, settling.tsih, Some(nexus), effects);
            self.pump(connection, effects);
        }
    }

    /// Ends a connection from this side.
    fn close(&mut self, connection: ConnectionId, reason: CloseReason, effects: &mut Vec<Effect>) {
        let Some(mut it) = self.connections.remove(&connection) else { return };
        send(connection, &mut it, effects);
        effects.push(Effect::Close { connection, reason });
        match (reason, &it.phase) {
            (CloseReason::LoggedOut, Phase::Full(session)) => {
                if let Some(nexus) = session.nexus {
                    self.carriers[usize::from(nexus.0)] = None;
                    effects.push(Effect::Array(array::Input::Logout(nexus)));
                }
            }
            (_, Phase::Settling(_)) if matches!(reason, CloseReason::LoginRefused(_)) => {}
            _ => self.gone(it, effects),
        }
    }

    /// What becomes of the session of a connection that is gone without a logout.
    fn gone(&mut self, it: Connection, effects: &mut Vec<Effect>) {
        match it.phase {
            Phase::Login(_) => {}
            Phase::Settling(settling) => {
                self.orphans.insert(settling.login, (settling.agreed.initiator, it.port));
            }
            Phase::Full(session) => {
                let Some(nexus) = session.nexus else { return };
                self.carriers[usize::from(nexus.0)] = None;
                let seconds = session.holds.time_to_retain.min(self.config.offer.time_to_retain);
                if seconds == 0 {
                    effects.push(Effect::Array(array::Input::NexusLost(nexus)));
                    return;
                }
                effects.push(Effect::Notice(Notice::Retained { nexus, seconds }));
                let until = Micros(self.now.0 + u64::from(seconds) * 1_000_000);
                let Session { initiator, port, tsih, .. } = *session;
                self.retained.push(Retained { initiator, port, tsih, nexus, until });
            }
        }
    }

    fn ask_logout(&mut self, port: Option<TargetPort>, seconds: u16) {
        let by = Micros(self.now.0 + u64::from(seconds) * 1_000_000);
        for (id, it) in &mut self.connections {
            if let Phase::Full(session) = &mut it.phase
                && port.is_none_or(|port| port == it.port)
            {
                session.ask_logout(seconds, by, &mut it.out);
                self.touched.push(*id);
            }
        }
    }

    fn tick(&mut self, effects: &mut Vec<Effect>) {
        let now = self.now;
        let timing = self.config.timing;
        let since = |moment: Micros| now.0.saturating_sub(moment.0);
        let mut late = Vec::new();
        for (id, it) in &mut self.connections {
            match &mut it.phase {
                Phase::Login(login) => {
                    if now >= login.deadline {
                        late.push((*id, CloseReason::LoginTimeout));
                    }
                }
                Phase::Settling(_) => {}
                Phase::Full(session) => {
                    if session.logout_by.is_some_and(|by| now >= by) {
                        late.push((*id, CloseReason::LogoutOverdue));
                        continue;
                    }
                    match session.pinged {
                        Some(pinged) if since(pinged) >= timing.ping_timeout.0 => {
                            late.push((*id, CloseReason::Silent))
                        }
                        None if since(it.heard) >= timing.ping_after.0 => {
                            session.ping(now, &mut it.out);
                            self.touched.push(*id);
                        }
                        Some(_) | None => {}
                    }
                }
            }
        }
        late.into_iter().for_each(|(connection, reason)| self.close(connection, reason, effects));
        let (over, kept): (Vec<_>, Vec<_>) =
            core::mem::take(&mut self.retained).into_iter().partition(|kept| now >= kept.until);
        self.retained = kept;
        effects.extend(over.into_iter().map(|kept| Effect::Array(array::Input::NexusLost(kept.nexus))));
    }
}

fn send(connection: ConnectionId, it: &mut Connection, effects: &mut Vec<Effect>) {
    if !it.out.is_empty() {
        effects.push(Effect::Send { connection, pieces: it.out.take() });
    }
}
