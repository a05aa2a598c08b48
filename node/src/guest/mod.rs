//! A guest cluster node as a process: its machine, its iSCSI session, its heartbeats, its workload.
//!
//! One loop owns everything. It waits for the first of: an order, a heartbeat, bytes from the array, a time that has come; lets the machine take
//! its steps; and then hands out what came of them, the trace first. Timers are kept in the node's own time ([`crate::clock`]); everything
//! else (reconnecting, giving up a command) in true time.
//!
//! **Deliberately absent:** any command of its own. What goes to the disk is what the machine sends, so that the trace has all of it.

mod beat;
mod link;

use crate::clock::Clock;
use crate::control::{self, Heard, Order};
use crate::log::Log;
use beat::{Beat, Peers};
use link::{Came, Link};
pub use redline_fabric::array::InitiatorPort;
use redline_fabric::guest::{self, Effect, Guest, Input, Timer};
use redline_fabric::scsi::command::{Ports, outgoing};
use redline_traces::Header;
use redline_vocab::{Command, Event, Micros, Nexus, NodeId, Quirk, Quirks, Tag};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// Bytes of a block.
pub const BLOCK_BYTES: u32 = 512;

/// What the process is.
#[derive(Clone, Debug)]
pub struct Config {
    /// The node.
    pub guest: guest::Config,
    /// Planted bugs.
    pub quirks: Quirks,
    /// Name of the target.
    pub target: String,
    /// By nexus, the initiator ports of all nodes: nexus `n` belongs to node `n` modulo the number of nodes.
    pub ports: Vec<InitiatorPort>,
    /// How many ISIDs earlier lives of this node have used.
    pub life: u8,
    /// The tag of its first command; the others count up.
    pub first_tag: Tag,
    /// Between two operations of the workload.
    pub pause: Micros,
    /// Where it listens to heartbeats.
    pub listen: SocketAddr,
    /// Where to record what happens, if anywhere.
    pub trace: Option<(PathBuf, Header)>,
}

/// Longest time that the loop sleeps: a stopped process must notice soon that time has passed.
const NAP_MAX: Duration = Duration::from_millis(250);

impl Config {
    /// Between the break of a connection and the next attempt to log in: a third of a heartbeat.
    fn reconnect(&self) -> Duration {
        Duration::from_micros(self.guest.heartbeat.0 * 3 / 10)
    }

    /// An initiator waits this long for the answer to a command (R13): longer than a challenge and a defence take.
    fn command_timeout(&self) -> Duration {
        Duration::from_micros(self.guest.challenge_wait.0 + self.guest.defend.0)
    }
}

const TIMERS: [Timer; 4] = [Timer::Defend, Timer::ChallengeWait, Timer::Silence, Timer::Heartbeat];

/// Runs the process until it is told to stop.
///
/// # Errors
/// What the operating system says: no socket, no trace.
pub fn run(config: Config) -> io::Result<()> {
    control::stay_with_parent()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve(config))
}

async fn serve(config: Config) -> io::Result<()> {
    let log = match &config.trace {
        Some((path, header)) => Log::create(path, header)?,
        None => Log::OFF,
    };
    let listener = TcpListener::bind(config.listen).await?;
    let address = listener.local_addr()?;
    let mut beats = beat::listen(listener, config.guest.nodes);
    let mut orders = control::listen();
    let mut node = Node::new(config, log);
    node.step(Input::Boot)?;
    control::answer(&format!("ready {address}"));
    node.serve(&mut orders, &mut beats).await?;
    node.log.finish()
}

struct Node {
    config: Config,
    guest: Guest,
    clock: Clock,
    /// By [`TIMERS`]: when they are due, in the node's time.
    due: [Option<i64>; 4],
    log: Log,
    peers: Peers,
    array: Option<SocketAddr>,
    link: Link,
    /// How many ISIDs have been used up.
    life: u8,
    /// Commands without an answer, and since when.
    asked: BTreeMap<Tag, (Command, Instant)>,
    /// When the next attempt to log in is made; none while there is a connection.
    reconnect: Option<Instant>,
    /// When the workload does its next operation.
    issue: Instant,
}

impl Node {
    fn new(config: Config, log: Log) -> Node {
        Node {
            guest: Guest::new(config.guest, config.quirks).with_first_tag(config.first_tag),
            clock: Clock::new(),
            due: [None; 4],
            log,
            peers: Peers::default(),
            array: None,
            link: Link::default(),
            life: config.life,
            asked: BTreeMap::new(),
            reconnect: None,
            issue: Instant::now(),
            config,
        }
    }

    /// Ends when it is told to, or when whoever has started it is gone.
    async fn serve(
        &mut self,
        orders: &mut mpsc::Receiver<Heard>,
        beats: &mut mpsc::Receiver<Beat>,
    ) -> io::Result<()> {
        let mut interrupted = std::pin::pin!(control::interrupted());
        loop {
            let nap = self.nap();
            tokio::select! {
                heard = orders.recv() => match heard {
                    Some(Heard::Order(Order::Stop)) | None => return self.end(),
                    Some(Heard::Order(order)) => control::answer(&self.obey(order)),
                    Some(Heard::Nonsense(expected)) => control::answer(&format!("error {expected}")),
                },
                () = &mut interrupted => return self.end(),
                Some(Beat { from, owner }) = beats.recv() => self.step(Input::Heartbeat { from, owner })?,
                came = self.link.next() => self.came(came)?,
                () = tokio::time::sleep(nap) => {}
            }
            self.on_time()?;
            while self.guest.may_send() {
                self.step(Input::SendOne)?;
            }
            self.log.flush()?;
            self.link.write();
        }
    }

    fn end(&mut self) -> io::Result<()> {
        self.log.flush()?;
        self.link.write();
        Ok(())
    }

    fn obey(&mut self, order: Order) -> String {
        match order {
            Order::Array(at) => {
                self.array = Some(at);
                if self.link.is_idle() {
                    self.reconnect = Some(Instant::now());
                }
            }
            Order::Peer(node, at) if node.0 < self.config.guest.nodes => self.peers.set(node, at),
            Order::Peer(node, _) => return format!("error there is no {node}"),
            Order::Jump(by) => self.clock.jump(by),
            Order::Skew(permille) => self.clock.set_skew(permille),
            Order::Status => return self.status(),
            Order::Disk(_) => return "error a guest has no disk of its own".to_owned(),
            Order::Stop => {}
        }
        "ok".to_owned()
    }

    fn status(&self) -> String {
        let word = |yes: bool| if yes { "yes" } else { "no" };
        format!(
            "status connected={} owner={} fence={} epoch={} outstanding={}",
            word(self.guest.is_connected()),
            word(self.guest.is_owner()),
            if self.guest.fence_open() { "open" } else { "closed" },
            self.guest.epoch().0,
            self.guest.outstanding()
        )
    }

    /// How long nothing is due.
    fn nap(&self) -> Duration {
        let timers = self.due.iter().flatten().map(|&at| self.clock.until(at));
        let now = Instant::now();
        let until = |at: Instant| at.saturating_duration_since(now);
        let issue = self.guest.may_issue().then(|| until(self.issue));
        timers.chain(issue).chain(self.reconnect.map(until)).min().unwrap_or(NAP_MAX).min(NAP_MAX)
    }

    /// What has come due.
    fn on_time(&mut self) -> io::Result<()> {
        for (slot, timer) in TIMERS.into_iter().enumerate() {
            if self.due[slot].is_some_and(|at| self.clock.now() >= at) {
                self.due[slot] = None;
                self.step(Input::Timer(timer))?;
            }
        }
        let now = Instant::now();
        if self.issue <= now {
            self.issue = now + Duration::from_micros(self.config.pause.0.max(1));
            if self.guest.may_issue() {
                self.step(Input::Issue)?;
            }
        }
        if self.asked.values().any(|(_, since)| now - *since >= self.config.command_timeout()) {
            // R13
            eprintln!("redline node: {} drops its connection: a command was not answered", self.guest.node());
            self.link.drop_connection();
            self.disconnected()?;
        }
        if let (Some(at), Some(array)) = (self.reconnect.filter(|at| *at <= now), self.array) {
            debug_assert!(at <= now);
            self.reconnect = None;
            let port = self.config.ports[usize::from(self.nexus().0)].clone();
            self.link.connect(array, port, &self.config.target);
        }
        Ok(())
    }

    /// The nexus of this life.
    fn nexus(&self) -> Nexus {
        let lives = self.config.ports.len() / usize::from(self.config.guest.nodes);
        let life = u8::try_from(usize::from(self.life) % lives.max(1)).expect("ports are numbered by a u8");
        Nexus(self.config.guest.node.0 + self.config.guest.nodes * life)
    }

    fn came(&mut self, came: Came) -> io::Result<()> {
        match came {
            Came::LoggedIn => {
                let (node, nexus) = (self.config.guest.node, self.nexus());
                self.record(&Event::LoggedIn { node, nexus })?;
                self.step(Input::Connected { nexus })
            }
            Came::Answer { tag, answer } => {
                let Some((command, _)) = self.asked.remove(&tag) else {
                    return self.refuse("an answer to a command that was not sent");
                };
                match answer.read(&command, BLOCK_BYTES) {
                    Some(reply) => self.step(Input::Reply { tag, reply }),
                    None => self.refuse("an answer that does not read as one"),
                }
            }
            Came::Nothing => Ok(()),
            Came::Broken { why, was_in } => {
                if was_in {
                    eprintln!("redline node: {} lost its connection: {why}", self.guest.node());
                    self.disconnected()
                } else {
                    self.reconnect = Some(Instant::now() + self.config.reconnect());
                    Ok(())
                }
            }
        }
    }

    /// The target does not keep to the protocol.
    fn refuse(&mut self, what: &str) -> io::Result<()> {
        eprintln!("redline node: {} drops its connection: {what}", self.guest.node());
        self.link.drop_connection();
        self.disconnected()
    }

    fn disconnected(&mut self) -> io::Result<()> {
        let nexus = self.nexus();
        self.asked.clear();
        self.reconnect = Some(Instant::now() + self.config.reconnect());
        self.record(&Event::ConnectionLost { nexus })?;
        self.step(Input::Disconnected)?;
        // Quirk: the next session has another ISID.
        if self.config.quirks.has(Quirk::FreshIsid) {
            self.life = self.life.wrapping_add(1);
        }
        Ok(())
    }

    fn record(&mut self, event: &Event) -> io::Result<()> {
        self.log.record(event)
    }

    fn step(&mut self, input: Input) -> io::Result<()> {
        let mut effects = Vec::new();
        self.guest.step(input, &mut effects);
        for effect in effects {
            match effect {
                Effect::Send { tag, command } => self.send(tag, command),
                Effect::Arm { timer, after } => {
                    let after = i64::try_from(after.0).unwrap_or(i64::MAX / 2);
                    self.due[slot(timer)] = Some(self.clock.now().saturating_add(after));
                }
                Effect::Disarm(timer) => self.due[slot(timer)] = None,
                Effect::Heartbeat { to, owner } => self.peers.send(to, self.config.guest.node, owner),
                Effect::Event(event) => self.record(&event)?,
            }
        }
        Ok(())
    }

    fn send(&mut self, tag: Tag, command: Command) {
        let bytes = outgoing(&command, BLOCK_BYTES, Ports(&[])).expect("guests name no other nexus");
        self.asked.insert(tag, (command, Instant::now()));
        self.link.send(tag, bytes);
    }
}

fn slot(timer: Timer) -> usize {
    match timer {
        Timer::Defend => 0,
        Timer::ChallengeWait => 1,
        Timer::Silence => 2,
        Timer::Heartbeat => 3,
    }
}

/// The initiator port of a node's nexus: its name says the node, its ISID the life.
pub fn port(node: NodeId, life: u8) -> InitiatorPort {
    InitiatorPort {
        name: format!("iqn.2026-11.example.redline:node-{}", node.0),
        isid: [0x80, 0, 0, 0, 0, life],
    }
}
