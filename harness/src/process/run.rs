//! One run: start the fabric, let the plan happen to it, end it, judge its logs.
//!
//! The plan is the simulator's, and so is the case that keeps it; [`super::incident`] says what comes along with its faults. What each
//! fault is here:
//!
//! | fault | on processes |
//! |---|---|
//! | connection reset | the node's link to the array is reset |
//! | connection stall | that link is held both ways |
//! | partition | that link is held one way or both, and reset when it heals |
//! | heartbeat loss | the links between two nodes are held, and reset when it heals |
//! | node pause | SIGSTOP, later SIGCONT |
//! | node crash | SIGKILL, later a new process |
//! | clock skew, clock jump | the node's process is told |
//! | power cycle | SIGKILL of the array; what was not flushed was in its memory only |
//! | torn write | the array's process is told to kill itself in the middle of its next write of several blocks |
//! | corruption, failing disk | the array's process is told |
//! | slow disk | the array's process is told: the disk takes longer, or ends nothing until it goes on; one that is well takes the scenario's `service` |
//!
//! Whether an owner comes back in time is watched here, with the harness's clock: nodes are asked. The time that they have is
//! the scenario's, undivided: the machine is no faster than it is.

use super::fabric::{Fabric, HURRY, Setup};
use super::incident::{What, happenings};
use super::judge::judge;
use super::logs::{Logs, NEMESIS};
use super::member::Error;
use super::order::Placed;
use super::proxy::{Way, Weather};
use crate::chaos::STATES_MAX;
use crate::conform::{self, Judgement};
use crate::sim::events::{Stream, Totals};
use crate::sim::plan::{Plan, lasts};
use redline_traces::{Header, TraceFile};
use redline_vocab::{Direction, Event, Fault, Micros, NodeId};
use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// Between two looks at the flag that ends everything, and between two questions for an owner.
const LOOK: Duration = Duration::from_millis(50);

/// After this time it is looked again whether a fault can happen.
const POSTPONED: Duration = Duration::from_millis(100);

/// How long a write of several blocks may take to come that is to be torn.
const TORN_WITHIN: Duration = Duration::from_secs(2);

/// How long the workload goes on once somebody owns the disk again.
const AFTER: Duration = Duration::from_millis(300);

/// What a slow disk takes, in multiples of what it usually takes.
const SLOWER: u64 = 40;

/// A run that has come to its end, judged.
#[derive(Clone, Debug)]
pub struct Made {
    /// What it came to.
    pub totals: Totals,
    /// What the judges say.
    pub judgement: Judgement,
    /// The history that they have judged.
    pub history: Vec<Placed>,
}

/// Why there is no run.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The user has asked for the end.
    #[error("interrupted")]
    Stopped,
    /// A process is of no use.
    #[error(transparent)]
    Member(#[from] Error),
    /// Something could not be read or written.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The logs cannot be judged.
    #[error("{0}")]
    Logs(#[from] conform::Error),
}

/// Makes a run of this plan. Whatever comes of it, nothing of it runs afterwards.
///
/// # Errors
/// [`Failure`]
pub async fn run(setup: Setup<'_>, header: &Header, plan: &Plan, stop: &AtomicBool) -> Result<Made, Failure> {
    let fabric = Fabric::start(setup).await?;
    let mut nemesis = Nemesis {
        fabric,
        setup,
        plan,
        stop,
        start: Instant::now(),
        dice: Stream::new(plan.seed, "process"),
        log: TraceFile::create(&setup.dir.join(NEMESIS), header)?,
        faults: [0; 13],
        held: vec![(0, 0); usize::from(setup.scenario.cluster.nodes)],
        silenced: BTreeMap::new(),
        slow: 0,
        hangs: 0,
        failing: 0,
    };
    let owned = nemesis.go().await;
    let Nemesis { fabric, log, faults, start, .. } = nemesis;
    let owned = match owned {
        Ok(owned) => owned,
        Err(failure) => {
            fabric.kill().await;
            return Err(failure);
        }
    };
    let until = micros(start.elapsed());
    fabric.end().await?;
    log.commit()?;
    let logs = Logs::read(setup.dir)?;
    let judged = judge(&logs, STATES_MAX)?;
    let mut judgement = judged.judgement;
    judgement.owner_was_watched((!owned).then_some(setup.scenario.chaos.recovery));
    let operations = logs.guests.iter().flatten().flat_map(|life| &life.events).filter(is_operation).count();
    let totals = Totals { events: logs.events(), operations: operations as u64, faults, until, cut: false };
    Ok(Made { totals, judgement, history: judged.history })
}

fn is_operation(event: &&Event) -> bool {
    use redline_vocab::Command;
    matches!(event, Event::Sent { command, .. } if matches!(command, Command::Read(_) | Command::Write { .. } | Command::SynchronizeCache))
}

fn micros(time: Duration) -> Micros {
    Micros(u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
}

/// Makes the plan happen.
struct Nemesis<'a> {
    fabric: Fabric,
    setup: Setup<'a>,
    plan: &'a Plan,
    stop: &'a AtomicBool,
    start: Instant,
    dice: Stream,
    log: TraceFile,
    faults: [u64; 13],
    /// By node: faults that hold its link towards the array, and back.
    held: Vec<(u32, u32)>,
    /// By two nodes: faults that hold their heartbeats.
    silenced: BTreeMap<(NodeId, NodeId), u32>,
    slow: u32,
    hangs: u32,
    failing: u32,
}

/// What is due at some time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Due {
    Inject(usize),
    Heal(usize),
}

impl Nemesis<'_> {
    /// The whole plan, and the time in which the fabric recovers. Whether it did.
    async fn go(&mut self) -> Result<bool, Failure> {
        self.disk_weather().await?;
        self.follow_plan().await?;
        let owned = self.owner_comes_back().await?;
        self.wait(AFTER).await?;
        Ok(owned)
    }

    async fn follow_plan(&mut self) -> Result<(), Failure> {
        let all = happenings(self.setup.scenario, self.plan);
        let mut due: Vec<(Instant, Due)> =
            all.iter().enumerate().map(|(at, one)| (self.start + one.at, Due::Inject(at))).collect();
        while let Some(at) = (0..due.len()).min_by_key(|at| due[*at]) {
            let (when, what) = due.swap_remove(at);
            self.wait_until(when).await?;
            match what {
                Due::Inject(at) => {
                    let fault = all[at].what.fault();
                    if !self.possible(&fault) {
                        due.push((Instant::now() + POSTPONED, what));
                        continue;
                    }
                    self.tell(&Event::FaultInjected { fault })?;
                    self.faults[fault.kind() as usize] += 1;
                    match all[at].what {
                        What::Fault(fault) => self.inject(fault).await?,
                        What::Hang => self.hang(true).await?,
                    }
                    if lasts(&fault) {
                        due.push((Instant::now() + all[at].lasts, Due::Heal(at)));
                    }
                }
                Due::Heal(at) => {
                    match all[at].what {
                        What::Fault(fault) => self.heal(fault).await?,
                        What::Hang => self.hang(false).await?,
                    }
                    self.tell(&Event::FaultHealed { fault: all[at].what.fault() })?;
                }
            }
        }
        Ok(())
    }

    fn tell(&mut self, event: &Event) -> io::Result<()> {
        self.log.record(micros(self.start.elapsed()), event)
    }

    async fn wait(&self, time: Duration) -> Result<(), Failure> {
        self.wait_until(Instant::now() + time).await
    }

    async fn wait_until(&self, when: Instant) -> Result<(), Failure> {
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return Err(Failure::Stopped);
            }
            if Instant::now() >= when {
                return Ok(());
            }
            sleep_until(when.min(Instant::now() + LOOK)).await;
        }
    }

    /// A paused node is not paused again, a crashed one not crashed; one that does not run is told nothing.
    fn possible(&mut self, fault: &Fault) -> bool {
        match fault {
            Fault::NodePause(node)
            | Fault::NodeCrash(node)
            | Fault::ClockSkew(node, _)
            | Fault::ClockJump(node, _) => self.fabric.guest(*node).is_some_and(|guest| !guest.is_stopped()),
            Fault::ConnectionReset(_)
            | Fault::ConnectionStall(_)
            | Fault::Partition(..)
            | Fault::HeartbeatLoss(..)
            | Fault::PowerCycle
            | Fault::TornWrite
            | Fault::Corruption
            | Fault::DiskSlow
            | Fault::DiskError => true,
        }
    }

    async fn inject(&mut self, fault: Fault) -> Result<(), Failure> {
        match fault {
            Fault::ConnectionReset(nexus) => self.fabric.link(self.node_of(nexus.0)).reset(),
            Fault::ConnectionStall(nexus) => self.hold(nexus.0, Direction::Both, true),
            Fault::Partition(nexus, direction) => self.hold(nexus.0, direction, true),
            Fault::HeartbeatLoss(one, other) => self.silence(one, other, true),
            Fault::NodePause(node) => {
                if let Some(guest) = self.fabric.guest(node) {
                    guest.pause()?;
                }
            }
            Fault::NodeCrash(node) => self.fabric.kill_guest(node).await?,
            Fault::ClockSkew(node, permille) => {
                self.guest_does(node, &format!("clock skew {permille}")).await?;
            }
            Fault::ClockJump(node, by) => {
                self.guest_does(node, &format!("clock jump {}", by.0 / HURRY)).await?;
            }
            Fault::PowerCycle => {
                self.fabric.kill_array().await?;
                self.power_on().await?;
            }
            Fault::TornWrite => {
                self.array_does("disk tear").await?;
                self.fabric.array_dies_within(TORN_WITHIN).await?;
                self.power_on().await?;
            }
            Fault::Corruption => {
                let blocks = self.setup.scenario.array.blocks;
                if blocks > 1 {
                    let lba = 1 + self.dice.below(blocks - 1);
                    self.array_does(&format!("disk corrupt {lba}")).await?;
                }
            }
            Fault::DiskSlow => {
                self.slow += 1;
                self.disk_weather().await?;
            }
            Fault::DiskError => {
                self.failing += 1;
                self.disk_weather().await?;
            }
        }
        Ok(())
    }

    async fn heal(&mut self, fault: Fault) -> Result<(), Failure> {
        match fault {
            Fault::ConnectionStall(nexus) => self.hold(nexus.0, Direction::Both, false),
            Fault::Partition(nexus, direction) => {
                self.hold(nexus.0, direction, false);
                // The connection did not survive it.
                self.fabric.link(self.node_of(nexus.0)).reset();
            }
            Fault::HeartbeatLoss(one, other) => self.silence(one, other, false),
            Fault::NodePause(node) => {
                if let Some(guest) = self.fabric.guest(node) {
                    guest.resume()?;
                }
            }
            Fault::NodeCrash(node) => self.fabric.start_guest(node).await?,
            Fault::ClockSkew(node, _) => self.guest_does(node, "clock skew 0").await?,
            Fault::DiskSlow => {
                self.slow -= 1;
                self.disk_weather().await?;
            }
            Fault::DiskError => {
                self.failing -= 1;
                self.disk_weather().await?;
            }
            Fault::ConnectionReset(_)
            | Fault::ClockJump(..)
            | Fault::PowerCycle
            | Fault::TornWrite
            | Fault::Corruption => {}
        }
        Ok(())
    }

    fn node_of(&self, nexus: u8) -> NodeId {
        NodeId(nexus % self.setup.scenario.cluster.nodes.max(1))
    }

    /// A node that does not run has nothing that could be skewed; a new life begins with a good clock.
    async fn guest_does(&mut self, node: NodeId, command: &str) -> Result<(), Failure> {
        if let Some(guest) = self.fabric.guest(node).filter(|guest| !guest.is_stopped()) {
            guest.tell(command).await?;
        }
        Ok(())
    }

    async fn array_does(&mut self, command: &str) -> Result<(), Failure> {
        if let Some(array) = self.fabric.array() {
            array.tell(command).await?;
        }
        Ok(())
    }

    async fn power_on(&mut self) -> Result<(), Failure> {
        self.fabric.start_array().await?;
        self.disk_weather().await
    }

    async fn hang(&mut self, begins: bool) -> Result<(), Failure> {
        self.hangs = if begins { self.hangs + 1 } else { self.hangs - 1 };
        self.disk_weather().await
    }

    async fn disk_weather(&mut self) -> Result<(), Failure> {
        let usual = self.setup.scenario.array.service.0;
        let takes = if self.slow > 0 { usual * SLOWER } else { usual };
        let switch = |faults: u32| if faults > 0 { "on" } else { "off" };
        let (fail, hold) = (switch(self.failing), switch(self.hangs));
        for order in [format!("disk slow {takes}"), format!("disk fail {fail}"), format!("disk hold {hold}")]
        {
            self.array_does(&order).await?;
        }
        Ok(())
    }

    fn hold(&mut self, nexus: u8, direction: Direction, begins: bool) {
        let node = self.node_of(nexus);
        let held = &mut self.held[usize::from(node.0)];
        let change = |count: &mut u32| *count = if begins { *count + 1 } else { count.saturating_sub(1) };
        if matches!(direction, Direction::ToTarget | Direction::Both) {
            change(&mut held.0);
        }
        if matches!(direction, Direction::ToInitiator | Direction::Both) {
            change(&mut held.1);
        }
        let way = |holders: u32| Way { open: holders == 0, ..Way::CLEAR };
        let weather = Weather { to: way(held.0), from: way(held.1) };
        self.fabric.link(node).set(weather);
    }

    fn silence(&mut self, one: NodeId, other: NodeId, begins: bool) {
        let faults = self.silenced.entry((one.min(other), one.max(other))).or_default();
        let before = std::mem::replace(faults, if begins { *faults + 1 } else { *faults - 1 });
        if before.min(*faults) > 0 {
            return;
        }
        let way = Way { open: !begins, ..Way::CLEAR };
        for (from, to) in [(one, other), (other, one)] {
            if let Some(link) = self.fabric.heartbeat_link(from, to) {
                link.set(Weather { to: way, from: way });
                if !begins {
                    // Heartbeats that were lost do not come late.
                    link.reset();
                }
            }
        }
    }

    /// Waits until some node owns the disk; `false`: none did in time.
    async fn owner_comes_back(&mut self) -> Result<bool, Failure> {
        let within = Duration::from_micros(self.setup.scenario.chaos.recovery.0);
        let end = Instant::now() + within;
        loop {
            if self.fabric.has_owner().await? {
                return Ok(true);
            }
            if Instant::now() >= end {
                return Ok(false);
            }
            self.wait(LOOK).await?;
        }
    }
}
