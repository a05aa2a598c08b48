//! Target, nodes, wires and disk, moved by choices.
//!
//! The idea: an [`Action`] is one choice of a schedule; [`World::apply`] lets the machines concerned take their
//! step and carries their effects out. What else its driver must know (events to record, timers to
//! set) comes out as [`Notice`]s in order. A choice that is not possible is refused with the reason, and nothing
//! has changed then.
//!
//! **Deliberately absent:** time, chance, and any opinion about what the machines do.

use super::disk::{Disk, Loss};
use super::wire::Wire;
use redline_fabric::guest::{self, Guest, Timer};
use redline_fabric::target::{self, Outcome, StoredTable, Target};
use redline_vocab::{
    Action, Command, Event, Function, Lba, Micros, Nexus, NodeId, Quirk, Quirks, Reply, Sense, Tag,
};
use std::fmt;
use std::sync::Arc;

/// What the world is made of.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Setup {
    /// The target.
    pub target: target::Config,
    /// Guest cluster nodes; none in a world of raw initiators.
    pub guests: Vec<guest::Config>,
    /// How many nodes or raw initiators.
    pub nodes: u8,
    /// Planted bugs, of target and guests.
    pub quirks: Quirks,
    /// Whether the disk has a write-back cache.
    pub write_cache: bool,
}

/// Nexuses that a world has at most: nodes that come back with a new ISID use up several.
pub const NEXUSES_MAX: u8 = 8;

impl Setup {
    /// How many nexuses there may be.
    pub fn nexuses(&self) -> u8 {
        let lives = if self.quirks.has(Quirk::FreshIsid) { NEXUSES_MAX / self.nodes.max(1) } else { 1 };
        self.nodes * lives.max(1)
    }
}

/// What a step tells its driver, in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Notice {
    /// Something happened that a trace records.
    Event(Event),
    /// Fire this timer once after this time, instead of whenever it was to fire before.
    Arm {
        /// Whose.
        node: NodeId,
        /// Which.
        timer: Timer,
        /// After how long.
        after: Micros,
    },
    /// Do not fire this timer.
    Disarm {
        /// Whose.
        node: NodeId,
        /// Which.
        timer: Timer,
    },
    /// A heartbeat is on its way.
    Heartbeat {
        /// From whom.
        from: NodeId,
        /// To whom.
        to: NodeId,
        /// Whether the sender owns the disk.
        owner: bool,
    },
    /// A command has reached the target's end of the wire.
    Request(Nexus),
    /// A reply has been handed to the wire.
    Reply(Nexus),
    /// A medium access has entered the task set.
    Task(Nexus),
    /// A medium access has been given to the back end.
    Started(Nexus),
}

/// An action that the world does not allow now, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refused(pub String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
struct Host {
    /// `None`: crashed.
    guest: Option<Guest>,
    stalled: bool,
    /// Timers that passed while it was paused.
    passed: Vec<Timer>,
    /// The guest believes that it is connected.
    told_connected: bool,
    nexus: Nexus,
    /// Raw initiators count their tags here.
    next_tag: u32,
}

/// The world.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct World {
    setup: Arc<Setup>,
    target: Target,
    stored: Option<StoredTable>,
    hosts: Vec<Host>,
    wires: Vec<Wire>,
    /// What the back end has, by nexus and tag.
    running: Vec<(Nexus, Tag, Command)>,
    disk: Disk,
}

impl World {
    /// Target powered on, every node logged in, nobody has done anything.
    pub fn new(setup: Arc<Setup>, out: &mut Vec<Notice>) -> World {
        let mut effects = Vec::new();
        let target = Target::power_on(setup.target, setup.quirks, None, &mut effects);
        let hosts = (0..setup.nodes)
            .map(|node| Host {
                guest: setup.guests.get(usize::from(node)).map(|config| Guest::new(*config, setup.quirks)),
                stalled: false,
                passed: Vec::new(),
                told_connected: false,
                nexus: Nexus(node),
                next_tag: 1,
            })
            .collect();
        let wires = vec![Wire::default(); usize::from(setup.nexuses())];
        let disk = Disk::new(setup.write_cache);
        let mut world = World { setup, target, stored: None, hosts, wires, running: Vec::new(), disk };
        world.settle_target(effects, out);
        for node in (0..world.setup.nodes).map(NodeId) {
            world.guest_step(node, guest::Input::Boot, out);
            world.establish(node, Nexus(node.0), out);
        }
        world
    }

    /// What the world is made of.
    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    /// The target.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The guest of the node, unless it has crashed or the world has none.
    pub fn guest(&self, node: NodeId) -> Option<&Guest> {
        self.hosts[usize::from(node.0)].guest.as_ref()
    }

    /// Whether the node is paused.
    pub fn stalled(&self, node: NodeId) -> bool {
        self.hosts[usize::from(node.0)].stalled
    }

    /// The nexus on which the node has logged in last.
    pub fn nexus_of(&self, node: NodeId) -> Nexus {
        self.hosts[usize::from(node.0)].nexus
    }

    /// The node that uses the nexus.
    pub fn node_of(&self, nexus: Nexus) -> NodeId {
        NodeId(nexus.0 % self.setup.nodes)
    }

    /// The wire of the nexus.
    pub fn wire(&self, nexus: Nexus) -> &Wire {
        &self.wires[usize::from(nexus.0)]
    }

    /// The disk.
    pub fn disk(&self) -> &Disk {
        &self.disk
    }

    /// Takes one action.
    ///
    /// # Errors
    /// [`Refused`] if it is not possible now; nothing has changed then.
    pub fn apply(&mut self, action: Action, out: &mut Vec<Notice>) -> Result<(), Refused> {
        match action {
            Action::Issue(node) => {
                self.guest_may(node, "issue a write", Guest::may_issue)?;
                self.guest_step(node, guest::Input::Issue, out);
            }
            Action::Send(node) => {
                self.guest_may(node, "send a queued write", Guest::may_send)?;
                self.guest_step(node, guest::Input::SendOne, out);
            }
            Action::Receive(node) => self.receive(node, out)?,
            Action::Challenge(node) => {
                self.guest_may(node, "challenge", Guest::may_challenge)?;
                self.guest_step(node, guest::Input::Timer(Timer::Silence), out);
            }
            Action::WaitOver(node) => {
                self.guest_may(node, "end a challenge wait", |guest| guest.waits() && guest.is_connected())?;
                self.guest_step(node, guest::Input::Timer(Timer::ChallengeWait), out);
            }
            Action::Defend(node) => {
                self.guest_may(node, "begin a round of defence", Guest::defends)?;
                self.guest_step(node, guest::Input::Timer(Timer::Defend), out);
            }
            Action::Command(nexus, command) => self.command(nexus, command, out)?,
            Action::Dispatch(nexus) => self.dispatch(nexus, out)?,
            Action::Submit { nexus, nth } => self.submit(nexus, nth, out)?,
            Action::Commit { nexus, nth } => self.commit(nexus, nth, None, out)?,
            Action::Stall(node) => {
                self.running_guest(node)?;
                self.hosts[usize::from(node.0)].stalled = true;
                out.push(Notice::Event(Event::Stalled { node }));
            }
            Action::Wake(node) => self.wake(node, out)?,
            Action::Crash(node) => self.crash(node, out)?,
            Action::Restart(node) => self.restart(node, out)?,
            Action::Break(nexus) => {
                if !self.known(nexus)?.up {
                    return Err(Refused(format!("the connection of {nexus} is not up")));
                }
                self.cut(nexus, out);
            }
            Action::Expire(nexus) => {
                let wire = self.known(nexus)?;
                if wire.up || !wire.session {
                    return Err(Refused(format!("{nexus} has no session on a broken connection")));
                }
                self.lose_nexus(nexus, out);
            }
            Action::Login(node) => self.login(node, out)?,
            Action::Logout(nexus) => {
                if !self.setup.guests.is_empty() {
                    return Err(Refused("guest cluster nodes do not log out".to_owned()));
                }
                if !self.known(nexus)?.up {
                    return Err(Refused(format!("the connection of {nexus} is not up")));
                }
                self.wires[usize::from(nexus.0)] = Wire::default();
                self.target_step(target::Input::Logout { nexus }, out);
            }
            Action::PowerCycle => self.power_cycle(&mut |_| Loss::Dropped, out),
            Action::Persist => {
                if !self.target.is_behind_on_storage() {
                    return Err(Refused("the stored table is not behind".to_owned()));
                }
                self.target_step(target::Input::Persist, out);
            }
        }
        Ok(())
    }

    /// Every action that [`World::apply`] would accept, raw commands excepted, in a fixed order.
    pub fn enabled(&self, out: &mut Vec<Action>) {
        for (node, host) in (0u8..).map(NodeId).zip(&self.hosts) {
            let wire = self.wire(host.nexus);
            let running = host.guest.as_ref().filter(|_| !host.stalled);
            if let Some(guest) = running {
                let offers = [
                    (guest.may_issue(), Action::Issue(node)),
                    (guest.may_send(), Action::Send(node)),
                    (guest.may_challenge(), Action::Challenge(node)),
                    (guest.waits() && guest.is_connected(), Action::WaitOver(node)),
                    (guest.defends(), Action::Defend(node)),
                    (true, Action::Stall(node)),
                ];
                out.extend(offers.into_iter().filter(|(may, _)| *may).map(|(_, action)| action));
            }
            let raw = self.setup.guests.is_empty();
            if (running.is_some() || raw) && wire.up && !wire.replies.is_empty() {
                out.push(Action::Receive(node));
            }
            if host.stalled {
                out.push(Action::Wake(node));
            }
            if !raw {
                out.push(if host.guest.is_some() { Action::Crash(node) } else { Action::Restart(node) });
            }
            if self.may_login(node).is_ok() {
                out.push(Action::Login(node));
            }
        }
        for (nexus, wire) in (0u8..).map(Nexus).zip(&self.wires) {
            if wire.session && !wire.requests.is_empty() {
                out.push(Action::Dispatch(nexus));
            }
            if wire.up {
                out.push(Action::Break(nexus));
                if self.setup.guests.is_empty() {
                    out.push(Action::Logout(nexus));
                }
            } else if wire.session {
                out.push(Action::Expire(nexus));
            }
            let count = |tags: usize| u8::try_from(tags).unwrap_or(u8::MAX);
            let waiting = count(self.target.waiting(nexus).count());
            out.extend((0..waiting).map(|nth| Action::Submit { nexus, nth }));
            let at_back_end = count(self.target.at_back_end(nexus).count());
            out.extend((0..at_back_end).map(|nth| Action::Commit { nexus, nth }));
        }
        out.push(Action::PowerCycle);
        if self.target.is_behind_on_storage() {
            out.push(Action::Persist);
        }
    }

    /// A timer has passed. A paused node takes it when it wakes; a crashed one never.
    pub fn timer(&mut self, node: NodeId, timer: Timer, out: &mut Vec<Notice>) {
        let host = &mut self.hosts[usize::from(node.0)];
        if host.stalled {
            host.passed.push(timer);
        } else if host.guest.is_some() {
            self.guest_step(node, guest::Input::Timer(timer), out);
        }
    }

    /// A heartbeat arrives; a node that does not run misses it.
    pub fn heartbeat(&mut self, to: NodeId, from: NodeId, owner: bool, out: &mut Vec<Notice>) {
        let host = &self.hosts[usize::from(to.0)];
        if host.guest.is_some() && !host.stalled {
            self.guest_step(to, guest::Input::Heartbeat { from, owner }, out);
        }
    }

    /// The back end fails a task instead of carrying it out.
    ///
    /// # Errors
    /// [`Refused`] if there is no such task.
    pub fn commit_failing(
        &mut self,
        nexus: Nexus,
        nth: u8,
        sense: Sense,
        out: &mut Vec<Notice>,
    ) -> Result<(), Refused> {
        self.commit(nexus, nth, Some(sense), out)
    }

    /// The target loses power and comes up; `loss` says what became of each write that was not durable.
    pub fn power_cycle(
        &mut self,
        loss: &mut dyn FnMut(redline_vocab::Extent) -> Loss,
        out: &mut Vec<Notice>,
    ) {
        out.push(Notice::Event(Event::PowerLost));
        self.disk.lose_power(loss);
        for (_, _, command) in std::mem::take(&mut self.running) {
            if let Command::Write { extent, record } = command {
                self.disk.survive(extent, record, loss(extent));
            }
        }
        self.wires.iter_mut().for_each(|wire| *wire = Wire::default());
        let mut effects = Vec::new();
        self.target =
            Target::power_on(self.setup.target, self.setup.quirks, self.stored.clone(), &mut effects);
        self.settle_target(effects, out);
    }

    /// The block reads as damaged until it is written again.
    pub fn corrupt(&mut self, lba: Lba) {
        self.disk.corrupt(lba);
    }

    /// The canonical form for exploration; see [`Target::rename`] and [`Guest::rename`]. `tags` are those in use, by nexus and
    /// ascending: at least [`World::live_tags`], and more if somebody beside the world remembers some.
    pub fn canonical(&mut self, tags: &[Vec<Tag>]) {
        let renamed = |nexus: Nexus, tag: Tag| rank(tags, nexus, tag);
        let plain = |record: redline_vocab::Record| redline_vocab::Record {
            epoch: redline_vocab::Epoch(0),
            serial: redline_vocab::Serial(0),
            ..record
        };
        self.target.rename(renamed);
        for (nexus, wire) in (0u8..).map(Nexus).zip(&mut self.wires) {
            for (tag, command) in &mut wire.requests {
                *tag = renamed(nexus, *tag);
                if let Command::Write { record, .. } = command {
                    *record = plain(*record);
                } else if let Command::Manage(Function::AbortTask(task)) = command {
                    *task = renamed(nexus, *task);
                }
            }
            for (tag, reply) in &mut wire.replies {
                *tag = renamed(nexus, *tag);
                forget_numbers(reply, plain);
            }
        }
        for (nexus, tag, command) in &mut self.running {
            *tag = renamed(*nexus, *tag);
            if let Command::Write { record, .. } = command {
                *record = plain(*record);
            }
        }
        for host in &mut self.hosts {
            let nexus = host.nexus;
            let next = tags[usize::from(nexus.0)].len() as u32 + 1;
            host.next_tag = next;
            host.passed.clear();
            if let Some(guest) = &mut host.guest {
                guest.rename(|tag| renamed(nexus, tag), plain, |_| redline_vocab::Epoch(0), next);
            }
        }
        self.disk.rename(plain);
    }

    /// By nexus, the tags in use anywhere, ascending.
    pub fn live_tags(&self) -> Vec<Vec<Tag>> {
        (0u8..)
            .map(Nexus)
            .zip(&self.wires)
            .map(|(nexus, wire)| {
                let mut tags: Vec<Tag> = wire.requests.iter().map(|(tag, _)| *tag).collect();
                // A tag that somebody speaks of must keep its meaning, whether or not it still names a command.
                tags.extend(wire.requests.iter().filter_map(|(_, command)| match command {
                    Command::Manage(Function::AbortTask(task)) => Some(*task),
                    _ => None,
                }));
                tags.extend(wire.replies.iter().map(|(tag, _)| *tag));
                tags.extend(self.target.tags(nexus));
                let host = &self.hosts[usize::from(self.node_of(nexus).0)];
                if host.nexus == nexus {
                    tags.extend(host.guest.iter().flat_map(Guest::tags));
                }
                tags.sort_unstable();
                tags.dedup();
                tags
            })
            .collect()
    }

    fn known(&self, nexus: Nexus) -> Result<&Wire, Refused> {
        self.wires.get(usize::from(nexus.0)).ok_or_else(|| Refused(format!("there is no {nexus}")))
    }

    fn host(&self, node: NodeId) -> Result<&Host, Refused> {
        self.hosts.get(usize::from(node.0)).ok_or_else(|| Refused(format!("there is no {node}")))
    }

    fn running_guest(&self, node: NodeId) -> Result<&Guest, Refused> {
        let host = self.host(node)?;
        match &host.guest {
            Some(_) if host.stalled => Err(Refused(format!("{node} is paused"))),
            Some(guest) => Ok(guest),
            None => Err(Refused(format!("{node} is down"))),
        }
    }

    fn guest_may(&self, node: NodeId, what: &str, may: impl Fn(&Guest) -> bool) -> Result<(), Refused> {
        if may(self.running_guest(node)?) {
            Ok(())
        } else {
            Err(Refused(format!("{node} may not {what} now")))
        }
    }

    fn receive(&mut self, node: NodeId, out: &mut Vec<Notice>) -> Result<(), Refused> {
        let raw = self.setup.guests.is_empty();
        if !raw {
            self.running_guest(node)?;
        }
        let nexus = self.host(node)?.nexus;
        let wire = &mut self.wires[usize::from(nexus.0)];
        let Some((tag, reply)) = wire.replies.pop_front() else {
            return Err(Refused(format!("no reply is on its way to {node}")));
        };
        if raw {
            out.push(Notice::Event(Event::Received { nexus, tag, reply }));
        } else {
            self.guest_step(node, guest::Input::Reply { tag, reply }, out);
        }
        Ok(())
    }

    fn command(&mut self, nexus: Nexus, command: Command, out: &mut Vec<Notice>) -> Result<(), Refused> {
        if !self.setup.guests.is_empty() {
            return Err(Refused("guest cluster nodes choose their commands themselves".to_owned()));
        }
        if !self.known(nexus)?.up {
            return Err(Refused(format!("the connection of {nexus} is down")));
        }
        let node = self.node_of(nexus);
        let host = &mut self.hosts[usize::from(node.0)];
        let tag = Tag(host.next_tag);
        host.next_tag += 1;
        out.push(Notice::Event(Event::Sent { nexus, tag, command }));
        self.wires[usize::from(nexus.0)].requests.push_back((tag, command));
        out.push(Notice::Request(nexus));
        Ok(())
    }

    fn dispatch(&mut self, nexus: Nexus, out: &mut Vec<Notice>) -> Result<(), Refused> {
        if !self.known(nexus)?.session {
            return Err(Refused(format!("the target has no session on {nexus}")));
        }
        let Some((tag, command)) = self.wires[usize::from(nexus.0)].requests.pop_front() else {
            return Err(Refused(format!("no command of {nexus} is in the transport")));
        };
        self.target_step(target::Input::Dispatch { nexus, tag, command }, out);
        Ok(())
    }

    fn submit(&mut self, nexus: Nexus, nth: u8, out: &mut Vec<Notice>) -> Result<(), Refused> {
        let Some(tag) = self.target.waiting(nexus).nth(usize::from(nth)) else {
            return Err(Refused(format!("the task set has no command number {nth} of {nexus}")));
        };
        self.target_step(target::Input::Submit { nexus, tag }, out);
        Ok(())
    }

    fn commit(
        &mut self,
        nexus: Nexus,
        nth: u8,
        failing: Option<Sense>,
        out: &mut Vec<Notice>,
    ) -> Result<(), Refused> {
        let Some(tag) = self.target.at_back_end(nexus).nth(usize::from(nth)) else {
            return Err(Refused(format!("the back end has no command number {nth} of {nexus}")));
        };
        let at = self.running.iter().position(|(of, running, _)| (*of, *running) == (nexus, tag));
        let (_, _, command) = self.running.remove(at.expect("what the target has submitted was started"));
        let outcome = match (failing, command) {
            (Some(sense), _) => Outcome::Failed(sense),
            (None, Command::Read(extent)) => {
                let blocks = self.disk.read(extent);
                if blocks.contains(&redline_vocab::Block::Corrupt) && extent.lba != Lba(0) {
                    Outcome::Failed(Sense::UNRECOVERED_READ_ERROR)
                } else {
                    Outcome::Read(blocks)
                }
            }
            (None, Command::Write { extent, record }) => {
                self.disk.write(extent, record);
                Outcome::Written
            }
            (
                None,
                Command::SynchronizeCache
                | Command::PrIn(_)
                | Command::PrOut(_)
                | Command::LegacyReserve
                | Command::LegacyRelease
                | Command::Manage(_)
                | Command::Other(_),
            ) => {
                self.disk.flush();
                Outcome::Flushed
            }
        };
        self.target_step(target::Input::Done { nexus, tag, outcome }, out);
        Ok(())
    }

    fn wake(&mut self, node: NodeId, out: &mut Vec<Notice>) -> Result<(), Refused> {
        self.host(node)?;
        let host = &mut self.hosts[usize::from(node.0)];
        if !host.stalled {
            return Err(Refused(format!("{node} is not paused")));
        }
        host.stalled = false;
        let passed = std::mem::take(&mut host.passed);
        out.push(Notice::Event(Event::Woke { node }));
        for timer in passed {
            self.guest_step(node, guest::Input::Timer(timer), out);
        }
        Ok(())
    }

    fn crash(&mut self, node: NodeId, out: &mut Vec<Notice>) -> Result<(), Refused> {
        let nexus = self.host(node)?.nexus;
        let host = &mut self.hosts[usize::from(node.0)];
        if host.guest.take().is_none() {
            return Err(Refused(format!("{node} is down already")));
        }
        host.stalled = false;
        host.passed.clear();
        host.told_connected = false;
        out.push(Notice::Event(Event::Crashed { node }));
        if self.wire(nexus).up {
            self.cut(nexus, out);
        }
        Ok(())
    }

    fn restart(&mut self, node: NodeId, out: &mut Vec<Notice>) -> Result<(), Refused> {
        if self.host(node)?.guest.is_some() {
            return Err(Refused(format!("{node} is up")));
        }
        let Some(config) = self.setup.guests.get(usize::from(node.0)) else {
            return Err(Refused(format!("{node} is no guest cluster node")));
        };
        self.hosts[usize::from(node.0)].guest = Some(Guest::new(*config, self.setup.quirks));
        out.push(Notice::Event(Event::Restarted { node }));
        self.guest_step(node, guest::Input::Boot, out);
        Ok(())
    }

    /// Replies are lost; what the target has received it has received.
    fn cut(&mut self, nexus: Nexus, out: &mut Vec<Notice>) {
        let wire = &mut self.wires[usize::from(nexus.0)];
        wire.up = false;
        wire.replies.clear();
        out.push(Notice::Event(Event::ConnectionLost { nexus }));
    }

    fn lose_nexus(&mut self, nexus: Nexus, out: &mut Vec<Notice>) {
        let wire = &mut self.wires[usize::from(nexus.0)];
        wire.session = false;
        wire.requests.clear();
        self.target_step(target::Input::LoseNexus { nexus }, out);
    }

    /// The nexus of the node's next session.
    fn next_nexus(&self, node: NodeId) -> Nexus {
        let nexus = self.hosts[usize::from(node.0)].nexus;
        if self.setup.quirks.has(Quirk::FreshIsid) {
            // Round and round, when the numbers are used up.
            let next = nexus.0 + self.setup.nodes;
            if next < self.setup.nexuses() { Nexus(next) } else { Nexus(node.0) }
        } else {
            nexus
        }
    }

    fn may_login(&self, node: NodeId) -> Result<Nexus, Refused> {
        if !self.setup.guests.is_empty() {
            self.running_guest(node)?;
        }
        if self.wire(self.host(node)?.nexus).up {
            return Err(Refused(format!("{node} is connected")));
        }
        let nexus = self.next_nexus(node);
        if !self.target.accepts_login(nexus) {
            return Err(Refused(format!("the back end still has writes of an earlier session of {nexus}")));
        }
        Ok(nexus)
    }

    fn login(&mut self, node: NodeId, out: &mut Vec<Notice>) -> Result<(), Refused> {
        let nexus = self.may_login(node)?;
        let host = &mut self.hosts[usize::from(node.0)];
        if std::mem::take(&mut host.told_connected) && host.guest.is_some() {
            self.guest_step(node, guest::Input::Disconnected, out);
        }
        self.establish(node, nexus, out);
        Ok(())
    }

    fn establish(&mut self, node: NodeId, nexus: Nexus, out: &mut Vec<Notice>) {
        self.wires[usize::from(nexus.0)].requests.clear();
        self.target_step(target::Input::Login { node, nexus }, out);
        self.wires[usize::from(nexus.0)] = Wire { up: true, session: true, ..Wire::default() };
        let host = &mut self.hosts[usize::from(node.0)];
        host.nexus = nexus;
        host.told_connected = host.guest.is_some();
        if host.guest.is_some() {
            self.guest_step(node, guest::Input::Connected { nexus }, out);
        }
    }

    fn guest_step(&mut self, node: NodeId, input: guest::Input, out: &mut Vec<Notice>) {
        let host = &mut self.hosts[usize::from(node.0)];
        let Some(guest) = &mut host.guest else { return };
        let mut effects = Vec::new();
        guest.step(input, &mut effects);
        for effect in effects {
            match effect {
                guest::Effect::Send { tag, command } => {
                    let wire = &mut self.wires[usize::from(host.nexus.0)];
                    // On a broken connection it is lost.
                    if wire.up {
                        wire.requests.push_back((tag, command));
                        out.push(Notice::Request(host.nexus));
                    }
                }
                guest::Effect::Arm { timer, after } => out.push(Notice::Arm { node, timer, after }),
                guest::Effect::Disarm(timer) => out.push(Notice::Disarm { node, timer }),
                guest::Effect::Heartbeat { to, owner } => {
                    out.push(Notice::Heartbeat { from: node, to, owner });
                }
                guest::Effect::Event(event) => out.push(Notice::Event(event)),
            }
        }
    }

    fn target_step(&mut self, input: target::Input, out: &mut Vec<Notice>) {
        let mut effects = Vec::new();
        self.target.step(input, &mut effects);
        self.settle_target(effects, out);
    }

    fn settle_target(&mut self, effects: Vec<target::Effect>, out: &mut Vec<Notice>) {
        for effect in effects {
            match effect {
                target::Effect::Store(stored) => self.stored = stored,
                target::Effect::Start { nexus, tag, command } => {
                    self.running.push((nexus, tag, command));
                    out.push(Notice::Started(nexus));
                }
                target::Effect::Reply { nexus, tag, reply } => {
                    let wire = &mut self.wires[usize::from(nexus.0)];
                    if wire.up {
                        wire.replies.push_back((tag, reply));
                        out.push(Notice::Reply(nexus));
                    }
                }
                target::Effect::DropConnections => {
                    for nexus in (0u8..).map(Nexus).take(self.wires.len()) {
                        if self.wire(nexus).up {
                            self.cut(nexus, out);
                        }
                    }
                }
                target::Effect::Event(event) => {
                    if let Event::Dispatched { nexus, disposition, .. } = &event
                        && *disposition == redline_vocab::Disposition::Enabled
                    {
                        out.push(Notice::Task(*nexus));
                    }
                    out.push(Notice::Event(event));
                }
            }
        }
    }
}

/// PRgeneration and the numbers in records tell only how long the run has lasted.
/// The tag's number among those in use, from 1.
pub(crate) fn rank(tags: &[Vec<Tag>], nexus: Nexus, tag: Tag) -> Tag {
    let at = tags[usize::from(nexus.0)].binary_search(&tag).unwrap_or(0);
    Tag(u32::try_from(at).unwrap_or(u32::MAX) + 1)
}

/// Takes from a reply what only tells how long the run has lasted.
pub(crate) fn forget_numbers(
    reply: &mut Reply,
    plain: impl Fn(redline_vocab::Record) -> redline_vocab::Record,
) {
    use redline_vocab::{Block, Data, Generation};
    match &mut reply.data {
        Data::Keys { generation, .. }
        | Data::Reservation { generation, .. }
        | Data::FullStatus { generation, .. } => *generation = Generation(0),
        Data::Blocks(blocks) => {
            for block in blocks {
                if let Block::Of(record) = block {
                    *record = plain(*record);
                }
            }
        }
        Data::Nothing | Data::Capabilities(_) | Data::Managed(_) => {}
    }
}
