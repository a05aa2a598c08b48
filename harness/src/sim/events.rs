//! The discrete-event driver: virtual time, and a schedule drawn from one seed.
//!
//! Everything that takes time is an entry in a queue ordered by time and then by the order of entry. Delays come
//! from named random streams, one for each concern: a change in one (another fault, a longer write) does not move
//! the dice of the others. There is no other source of chance, so that the same plan gives the same
//! events.
//!
//! **Deliberately absent:** judging. Events go to a sink.

use super::Loss;
use super::plan::{Injection, Plan, lasts};
use super::world::{Notice, Setup, World};
use crate::scenario::Scenario;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use redline_fabric::guest::Timer;
use redline_vocab::{Action, Direction, Event, Fault, Lba, Micros, Nexus, NodeId, Quirks, Sense};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

/// A named stream of random numbers.
#[derive(Clone, Debug)]
pub struct Stream(Xoshiro256PlusPlus);

impl Stream {
    /// The stream of this name under a root seed.
    pub fn new(seed: u64, name: &str) -> Stream {
        // FNV-1a keeps names apart; the generator spreads the bits.
        let name = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        Stream(Xoshiro256PlusPlus::seed_from_u64(seed ^ name.rotate_left(17)))
    }

    /// A number below `bound`; 0 if that is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.0.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// Whether something with this chance in a thousand happens.
    pub fn permille(&mut self, chance: u64) -> bool {
        self.below(1000) < chance
    }
}

/// What is due at some time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Entry {
    Dispatch(Nexus),
    Submit(Nexus),
    Commit(Nexus),
    Receive(NodeId),
    Timer(NodeId, u8, u32),
    Heartbeat { to: NodeId, from: NodeId, owner: bool },
    Issue(NodeId),
    Login(NodeId),
    Expire(Nexus, u32),
    Timeout(Nexus, u32),
    Inject(u32),
    Heal(u32),
}

/// How long an access of a slow disk may hang, in microseconds: retries of the path and of the drive add up.
const HANGS: (u64, u64) = (1_000_000, 40_000_000);

/// Longest time after which a lost packet is sent again, in microseconds.
const RESENT_MAX: u64 = 3_000_000;

const TIMERS: [Timer; 4] = [Timer::Defend, Timer::ChallengeWait, Timer::Silence, Timer::Heartbeat];

/// What a run came to.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// Events.
    pub events: u64,
    /// Operations that the workload sent.
    pub operations: u64,
    /// Faults injected, by the order of [`redline_vocab::FaultKind::ALL`].
    pub faults: [u64; 13],
    /// Virtual time at the end.
    pub until: Micros,
    /// The run was interrupted: it did not come to its end.
    pub cut: bool,
}

/// Faults that are active, counted, since two of a kind may overlap.
#[derive(Debug, Default)]
struct Weather {
    slow: u32,
    failing: u32,
    /// By node: towards the target, towards the initiator.
    blocked: Vec<(u32, u32)>,
    /// Pairs whose heartbeats are lost.
    silenced: Vec<(NodeId, NodeId)>,
    /// By node: parts per thousand that its timers take longer.
    skew: Vec<i64>,
}

/// A run.
struct Run<'a, S: FnMut(Micros, &Event)> {
    scenario: &'a Scenario,
    plan: &'a Plan,
    world: World,
    now: u64,
    queue: BinaryHeap<Reverse<(u64, u64, Entry)>>,
    entered: u64,
    /// By node and timer: the number of its latest arming, and when it is due.
    armed: Vec<[(u32, u64); 4]>,
    /// By nexus: how often its connection has changed.
    links: Vec<u32>,
    /// By nexus: when the last entry in each direction is due; wires keep their order.
    last: Vec<(u64, u64)>,
    weather: Weather,
    /// Injections that are to come, and faults that are to be healed.
    ahead: usize,
    network: Stream,
    storage: Stream,
    process: Stream,
    notices: Vec<Notice>,
    totals: Totals,
    sink: S,
}

/// The world of a scenario with these planted bugs.
pub fn setup(scenario: &Scenario, quirks: Quirks) -> Arc<Setup> {
    Arc::new(Setup {
        target: scenario.target(),
        guests: (0..scenario.cluster.nodes).map(|node| scenario.guest(NodeId(node))).collect(),
        nodes: scenario.cluster.nodes,
        quirks,
        write_cache: scenario.array.write_cache,
    })
}

/// Time between the break of a connection and the next attempt to log in.
const RECONNECT: u64 = 300_000;
/// An initiator waits this long for the answer to a command (R13).
const COMMAND_TIMEOUT: u64 = 10_000_000;
/// After this time it is looked again whether a fault can happen.
const POSTPONED: u64 = 1_000_000;
/// A run that makes no progress any more ends here, virtual time.
const TOO_LONG: u64 = 3_600_000_000;

/// Runs a plan and shows every event to the sink. `stop` is asked now and then, and ends the run early.
pub fn run<S: FnMut(Micros, &Event)>(
    scenario: &Scenario,
    plan: &Plan,
    setup: &Arc<Setup>,
    stop: &dyn Fn() -> bool,
    sink: S,
) -> Totals {
    let nodes = usize::from(scenario.cluster.nodes);
    let nexuses = usize::from(setup.nexuses());
    let mut notices = Vec::new();
    let world = World::new(Arc::clone(setup), &mut notices);
    let mut run = Run {
        scenario,
        plan,
        world,
        now: 0,
        queue: BinaryHeap::new(),
        entered: 0,
        armed: vec![[(0, 0); 4]; nodes],
        links: vec![0; nexuses],
        last: vec![(0, 0); nexuses],
        weather: Weather { blocked: vec![(0, 0); nodes], skew: vec![0; nodes], ..Weather::default() },
        ahead: plan.injections.len(),
        network: Stream::new(plan.seed, "network"),
        storage: Stream::new(plan.seed, "storage"),
        process: Stream::new(plan.seed, "process"),
        notices,
        totals: Totals::default(),
        sink,
    };
    run.settle();
    for node in (0..scenario.cluster.nodes).map(NodeId) {
        let first = run.process.below(plan.pause.0);
        run.enter(first, Entry::Issue(node));
    }
    for (at, injection) in (0u32..).zip(&plan.injections) {
        run.enter(injection.at.0, Entry::Inject(at));
    }
    run.go(stop);
    run.totals
}

impl<S: FnMut(Micros, &Event)> Run<'_, S> {
    fn go(&mut self, stop: &dyn Fn() -> bool) {
        let mut settled_at = None;
        while let Some(Reverse((at, _, entry))) = self.queue.pop() {
            self.now = at;
            self.entry(entry);
            if self.entered.is_multiple_of(1024) && stop() {
                self.totals.cut = true;
                break;
            }
            let enough = self.totals.events >= u64::from(self.plan.events_min) && self.ahead == 0;
            if enough {
                // Once it has been disturbed enough, the fabric gets the time that it may take to recover.
                let end = *settled_at.get_or_insert(self.now + self.scenario.chaos.recovery.0 / 4);
                let owned = (0..self.scenario.cluster.nodes)
                    .any(|node| self.world.guest(NodeId(node)).is_some_and(|guest| guest.is_owner()));
                if owned || self.now > end + self.scenario.chaos.recovery.0 {
                    break;
                }
            }
            if self.now > TOO_LONG {
                break;
            }
        }
        self.totals.until = Micros(self.now);
    }

    fn enter(&mut self, at: u64, entry: Entry) {
        self.entered += 1;
        self.queue.push(Reverse((at.max(self.now), self.entered, entry)));
    }

    fn event(&mut self, event: &Event) {
        self.totals.events += 1;
        (self.sink)(Micros(self.now), event);
    }

    /// An action that the schedule has come to; it may have become impossible meanwhile.
    fn act(&mut self, action: Action) -> bool {
        let taken = self.world.apply(action, &mut self.notices).is_ok();
        if taken {
            self.settle();
        }
        taken
    }

    /// Carries out what the world tells.
    fn settle(&mut self) {
        let mut notices = std::mem::take(&mut self.notices);
        for notice in notices.drain(..) {
            match notice {
                Notice::Event(event) => {
                    self.event(&event);
                    self.follow_up(&event);
                }
                Notice::Arm { node, timer, after } => self.arm(node, timer, after),
                Notice::Disarm { node, timer } => self.armed[usize::from(node.0)][slot(timer)].0 += 1,
                Notice::Heartbeat { from, to, owner } => {
                    let delay = self.delay();
                    self.enter(self.now + delay, Entry::Heartbeat { to, from, owner });
                }
                Notice::Request(nexus) => self.carry_request(nexus),
                Notice::Reply(nexus) => self.carry_reply(nexus),
                Notice::Task(nexus) => {
                    let delay = 1 + self.storage.below(1 + self.scenario.array.service.0 / 4);
                    self.enter(self.now + delay, Entry::Submit(nexus));
                }
                Notice::Started(nexus) => {
                    let service = self.scenario.array.service.0;
                    let usual = service / 2 + self.storage.below(1 + service);
                    // Slow is mostly slow, and now and then an access that seems never to come back: longer than a takeover.
                    let delay = match self.weather.slow {
                        0 => usual,
                        _ if self.storage.permille(50) => HANGS.0 + self.storage.below(HANGS.1 - HANGS.0),
                        _ => usual * 40,
                    };
                    self.enter(self.now + delay.max(1), Entry::Commit(nexus));
                }
            }
        }
        self.notices = notices;
    }

    fn delay(&mut self) -> u64 {
        let usual = self.scenario.array.latency.0 + self.network.below(1 + self.scenario.array.jitter.0);
        // Now and then a packet is lost, and sent again after a while.
        if self.network.permille(2) { usual + self.network.below(RESENT_MAX) } else { usual }
    }

    fn carry_request(&mut self, nexus: Nexus) {
        let delay = self.delay();
        let last = &mut self.last[usize::from(nexus.0)].0;
        *last = (*last).max(self.now + delay);
        let at = *last;
        self.enter(at, Entry::Dispatch(nexus));
    }

    fn carry_reply(&mut self, nexus: Nexus) {
        let delay = self.delay();
        let last = &mut self.last[usize::from(nexus.0)].1;
        *last = (*last).max(self.now + delay);
        let at = *last;
        let node = self.world.node_of(nexus);
        self.enter(at, Entry::Receive(node));
    }

    fn arm(&mut self, node: NodeId, timer: Timer, after: Micros) {
        let skew = self.weather.skew[usize::from(node.0)];
        let after = (after.0 as i64 * (1000 + skew) / 1000).max(1) as u64;
        let at = self.now + after;
        let armed = &mut self.armed[usize::from(node.0)][slot(timer)];
        *armed = (armed.0 + 1, at);
        let number = armed.0;
        self.enter(at, Entry::Timer(node, slot(timer) as u8, number));
    }

    /// What the surroundings do about an event.
    fn follow_up(&mut self, event: &Event) {
        match event {
            Event::ConnectionLost { nexus } => self.reconnect(*nexus),
            Event::LoggedIn { nexus, .. } => self.links[usize::from(nexus.0)] += 1,
            Event::Restarted { node } => self.log_in_soon(*node),
            // R13: with TAS = 0 nobody answers an aborted command; the initiator's timeout drops the connection.
            Event::Aborted { nexus, .. } if self.world.wire(*nexus).up => {
                let link = self.links[usize::from(nexus.0)];
                self.enter(self.now + COMMAND_TIMEOUT, Entry::Timeout(*nexus, link));
            }
            Event::PoweredOn { .. } => {
                for node in (0..self.scenario.cluster.nodes).map(NodeId) {
                    let nexus = self.world.nexus_of(node);
                    if !self.world.wire(nexus).up && self.now > 0 {
                        self.log_in_soon(node);
                    }
                }
            }
            Event::Sent { command, .. } => {
                let operation =
                    !matches!(command, redline_vocab::Command::PrIn(_) | redline_vocab::Command::PrOut(_));
                self.totals.operations += u64::from(operation);
            }
            _ => {}
        }
    }

    fn reconnect(&mut self, nexus: Nexus) {
        self.links[usize::from(nexus.0)] += 1;
        let link = self.links[usize::from(nexus.0)];
        self.enter(self.now + self.scenario.array.time2retain.0, Entry::Expire(nexus, link));
        let node = self.world.node_of(nexus);
        self.log_in_soon(node);
    }

    fn log_in_soon(&mut self, node: NodeId) {
        let after = RECONNECT / 2 + self.network.below(RECONNECT);
        self.enter(self.now + after, Entry::Login(node));
    }

    fn entry(&mut self, entry: Entry) {
        match entry {
            Entry::Dispatch(nexus) => {
                if !self.held_up(nexus, true, entry) {
                    self.act(Action::Dispatch(nexus));
                }
            }
            Entry::Submit(nexus) => self.submit(nexus),
            Entry::Commit(nexus) => self.commit(nexus),
            Entry::Receive(node) => {
                let nexus = self.world.nexus_of(node);
                // A paused node finds its replies when it wakes.
                if !self.world.stalled(node)
                    && !self.held_up(nexus, false, entry)
                    && self.act(Action::Receive(node))
                {
                    self.pump(node);
                }
            }
            Entry::Timer(node, timer, number) => {
                if self.armed[usize::from(node.0)][usize::from(timer)].0 == number {
                    self.world.timer(node, TIMERS[usize::from(timer)], &mut self.notices);
                    self.settle();
                }
            }
            Entry::Heartbeat { to, from, owner } => {
                let lost =
                    self.weather.silenced.iter().any(|pair| *pair == (from, to) || *pair == (to, from));
                if !lost {
                    self.world.heartbeat(to, from, owner, &mut self.notices);
                    self.settle();
                }
            }
            Entry::Issue(node) => {
                let stopped = self.plan.issue_until.is_some_and(|until| self.now > until.0);
                if !stopped {
                    if self.act(Action::Issue(node)) {
                        self.pump(node);
                    }
                    let pause = self.plan.pause.0;
                    let next = self.now + pause / 2 + self.process.below(1 + pause);
                    self.enter(next.max(self.now + 1), Entry::Issue(node));
                }
            }
            Entry::Login(node) => {
                let nexus = self.world.nexus_of(node);
                let up = self.world.guest(node).is_some() && !self.world.stalled(node);
                let partitioned = self.weather.blocked[usize::from(node.0)] != (0, 0);
                if up && !self.world.wire(nexus).up && (partitioned || !self.act(Action::Login(node))) {
                    self.log_in_soon(node);
                } else if up {
                    self.pump(node);
                }
            }
            Entry::Expire(nexus, link) => {
                if self.links[usize::from(nexus.0)] == link {
                    self.act(Action::Expire(nexus));
                }
            }
            Entry::Timeout(nexus, link) => {
                if self.links[usize::from(nexus.0)] == link {
                    self.act(Action::Break(nexus));
                }
            }
            Entry::Inject(at) => self.inject(at),
            Entry::Heal(at) => self.heal(at),
        }
    }

    /// The initiator hands to the transport what may go.
    fn pump(&mut self, node: NodeId) {
        while self.act(Action::Send(node)) {}
    }

    /// Whether a stall or a partition keeps it on the wire for now.
    fn held_up(&mut self, nexus: Nexus, to_target: bool, entry: Entry) -> bool {
        let blocked = self.weather.blocked[usize::from(self.world.node_of(nexus).0)];
        let held = if to_target { blocked.0 > 0 } else { blocked.1 > 0 };
        if held {
            // Looked at again often enough; order is kept, since a wire is taken from its front.
            self.enter(self.now + 10_000, entry);
        }
        held
    }

    fn submit(&mut self, nexus: Nexus) {
        if self.world.target().is_barred() {
            return self.enter(self.now + 1_000, Entry::Submit(nexus));
        }
        let waiting = self.world.target().waiting(nexus).count() as u64;
        if waiting > 0 {
            let nth = self.storage.below(waiting) as u8;
            self.act(Action::Submit { nexus, nth });
        }
    }

    fn commit(&mut self, nexus: Nexus) {
        let running = self.world.target().at_back_end(nexus).count() as u64;
        if running == 0 {
            return;
        }
        let nth = self.storage.below(running) as u8;
        if self.weather.failing > 0 && self.storage.permille(300) {
            let sense =
                if self.storage.permille(500) { Sense::WRITE_ERROR } else { Sense::UNRECOVERED_READ_ERROR };
            if self.world.commit_failing(nexus, nth, sense, &mut self.notices).is_ok() {
                self.settle();
            }
        } else {
            self.act(Action::Commit { nexus, nth });
        }
    }

    fn inject(&mut self, at: u32) {
        let Injection { fault, lasts: how_long, .. } = self.plan.injections[at as usize];
        if !self.possible(&fault) {
            // A paused node cannot be paused: the fault waits until it can happen.
            return self.enter(self.now + POSTPONED, Entry::Inject(at));
        }
        self.totals.faults[fault.kind() as usize] += 1;
        self.event(&Event::FaultInjected { fault });
        if lasts(&fault) {
            self.enter(self.now + how_long.0, Entry::Heal(at));
        } else {
            self.ahead -= 1;
        }
        match fault {
            Fault::ConnectionReset(nexus) => {
                let nexus = self.current(nexus);
                self.act(Action::Break(nexus));
            }
            Fault::ConnectionStall(nexus) => self.block(nexus, Direction::Both, true),
            Fault::Partition(nexus, direction) => self.block(nexus, direction, true),
            Fault::HeartbeatLoss(one, other) => self.weather.silenced.push((one, other)),
            Fault::NodePause(node) => {
                self.act(Action::Stall(node));
            }
            Fault::NodeCrash(node) => {
                self.act(Action::Crash(node));
                self.armed[usize::from(node.0)].iter_mut().for_each(|armed| armed.0 += 1);
            }
            Fault::ClockSkew(node, skew) => self.weather.skew[usize::from(node.0)] = i64::from(skew),
            Fault::ClockJump(node, by) => self.jump(node, by),
            Fault::PowerCycle => self.power_cycle(false),
            Fault::TornWrite => self.power_cycle(true),
            Fault::Corruption => {
                let blocks = self.scenario.array.blocks;
                if blocks > 1 {
                    let lba = Lba(1 + self.storage.below(blocks - 1));
                    self.world.corrupt(lba);
                }
            }
            Fault::DiskSlow => self.weather.slow += 1,
            Fault::DiskError => self.weather.failing += 1,
        }
    }

    /// A paused node is not paused again, a crashed one not crashed.
    fn possible(&self, fault: &Fault) -> bool {
        match fault {
            Fault::NodePause(node) | Fault::NodeCrash(node) => {
                self.world.guest(*node).is_some() && !self.world.stalled(*node)
            }
            Fault::ConnectionReset(nexus) => self.world.wire(self.current(*nexus)).up,
            _ => true,
        }
    }

    /// The nexus that the node of this one uses now.
    fn current(&self, nexus: Nexus) -> Nexus {
        self.world.nexus_of(self.world.node_of(nexus))
    }

    fn heal(&mut self, at: u32) {
        let fault = self.plan.injections[at as usize].fault;
        self.ahead -= 1;
        self.event(&Event::FaultHealed { fault });
        match fault {
            Fault::ConnectionStall(nexus) => self.block(nexus, Direction::Both, false),
            Fault::Partition(nexus, direction) => {
                self.block(nexus, direction, false);
                // The connection did not survive it.
                let nexus = self.current(nexus);
                self.act(Action::Break(nexus));
            }
            Fault::HeartbeatLoss(one, other) => {
                if let Some(at) = self.weather.silenced.iter().position(|pair| *pair == (one, other)) {
                    self.weather.silenced.swap_remove(at);
                }
            }
            Fault::NodePause(node) => self.wake(node),
            Fault::NodeCrash(node) => {
                self.act(Action::Restart(node));
            }
            Fault::ClockSkew(node, _) => self.weather.skew[usize::from(node.0)] = 0,
            Fault::DiskSlow => self.weather.slow -= 1,
            Fault::DiskError => self.weather.failing -= 1,
            Fault::ConnectionReset(_)
            | Fault::ClockJump(..)
            | Fault::PowerCycle
            | Fault::TornWrite
            | Fault::Corruption => {}
        }
    }

    fn wake(&mut self, node: NodeId) {
        if !self.act(Action::Wake(node)) {
            return;
        }
        self.pump(node);
        let nexus = self.world.nexus_of(node);
        for _ in 0..self.world.wire(nexus).replies.len() {
            self.carry_reply(nexus);
        }
        if !self.world.wire(nexus).up {
            self.log_in_soon(node);
        }
    }

    fn block(&mut self, nexus: Nexus, direction: Direction, begins: bool) {
        let blocked = &mut self.weather.blocked[usize::from(self.world.node_of(nexus).0)];
        let change = |count: &mut u32| *count = if begins { *count + 1 } else { count.saturating_sub(1) };
        match direction {
            Direction::ToTarget => change(&mut blocked.0),
            Direction::ToInitiator => change(&mut blocked.1),
            Direction::Both => {
                change(&mut blocked.0);
                change(&mut blocked.1);
            }
        }
    }

    /// The node's timers are due this much earlier.
    fn jump(&mut self, node: NodeId, by: Micros) {
        for timer in 0..TIMERS.len() {
            let (number, at) = self.armed[usize::from(node.0)][timer];
            if at > self.now {
                let at = at.saturating_sub(by.0).max(self.now);
                self.armed[usize::from(node.0)][timer] = (number + 1, at);
                self.enter(at, Entry::Timer(node, timer as u8, number + 1));
            }
        }
    }

    fn power_cycle(&mut self, torn: bool) {
        let Run { world, storage, notices, .. } = self;
        world.power_cycle(
            &mut |extent| match storage.below(3) {
                0 if torn => Loss::Torn(storage.below(u64::from(extent.blocks) + 1) as u16),
                0 | 1 => Loss::Dropped,
                _ => Loss::Kept,
            },
            notices,
        );
        self.settle();
    }
}

const fn slot(timer: Timer) -> usize {
    match timer {
        Timer::Defend => 0,
        Timer::ChallengeWait => 1,
        Timer::Silence => 2,
        Timer::Heartbeat => 3,
    }
}
