//! A scenario: the fabric under test, its design, how far to explore it, what to do to it.
//!
//! One value drives the model, the simulator and the judges. `file` is its form on disk, where every
//! field but the names has a default; `embedded` are those that come with the program.

mod duration;
mod embedded;
mod file;
#[cfg(test)]
mod tests;

pub use embedded::{EMBEDDED, Embedded, Error, load};
pub use file::{Problem, nearest, parse, position, to_toml};

use redline_fabric::{guest, target};
use redline_model::cluster::{Bounds, Left};
use redline_vocab::{Design, FaultKind, Guard, Key, Micros, NodeId, Quirk, Quirks};
use std::collections::{BTreeMap, BTreeSet};

/// A scenario.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scenario {
    /// Name: letters, digits and dashes.
    pub name: String,
    /// What it is, in one line.
    pub title: String,
    /// Where it stands.
    pub site: String,
    /// The SAN array with the shared LUN.
    pub array: Array,
    /// The guest cluster.
    pub cluster: GuestCluster,
    /// The guards that hold.
    pub design: Design,
    /// Bounds of the model instance.
    pub bounds: Bounds,
    /// What the chaos runs do.
    pub chaos: Chaos,
    /// What `verify` compares with.
    pub expect: Expect,
}

/// A SAN array with one LUN.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Array {
    /// Its name.
    pub name: String,
    /// Size of the LUN in blocks, 1..=65536.
    pub blocks: u64,
    /// Whether writes are durable only after a flush.
    pub write_cache: bool,
    /// Registrations it has room for, 1..=1024.
    pub registrants: u16,
    /// Tasks of one nexus it has room for, 1..=1024.
    pub tasks: u16,
    /// How long it keeps the nexus of a broken connection (RFC 7143 DefaultTime2Retain).
    pub time2retain: Micros,
    /// One way through the network.
    pub latency: Micros,
    /// Largest addition to it.
    pub jitter: Micros,
    /// What the back end takes for one access.
    pub service: Micros,
}

/// A guest cluster on the LUN.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GuestCluster {
    /// Its name.
    pub name: String,
    /// How many nodes, 2..=8.
    pub nodes: u8,
    /// Upper part of the nodes' reservation keys; the low byte is the node's number + 1.
    pub key_prefix: u64,
    /// Defend period D (R7).
    pub defend: Micros,
    /// Challenge wait W (R3); more than D, or a live owner would lose to any challenger.
    pub challenge_wait: Micros,
    /// Period of heartbeats.
    pub heartbeat: Micros,
    /// Silence of the owner after which an idle node challenges.
    pub silence: Micros,
    /// What runs on it.
    pub workload: Workload,
}

/// What the nodes' application does with the disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Workload {
    /// Operations outstanding, 1..=64.
    pub depth: u8,
    /// Room in the initiator queue, 1..=1024.
    pub queue: u16,
    /// Blocks of one write, 1..=64.
    pub write_blocks: u16,
    /// Every so many operations one is a read; 0: none.
    pub read_every: u16,
    /// Every so many operations one is a flush; 0: none.
    pub flush_every: u16,
    /// Between two operations.
    pub pause: Micros,
}

/// What the chaos runs do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Chaos {
    /// How many runs `verify` makes.
    pub runs: u32,
    /// Events of a run, at least.
    pub events: u32,
    /// Faults of a run, at least.
    pub faults_min: u32,
    /// Mean time between two faults.
    pub every: Micros,
    /// Shortest and longest time that a fault lasts which has to be healed.
    pub lasts: (Micros, Micros),
    /// Once nothing disturbs the fabric, an owner exists within this time (V19).
    pub recovery: Micros,
    /// How likely each kind is, relative to the others; 0: never.
    pub weights: BTreeMap<FaultKind, u32>,
}

/// What a scenario should show.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Expect {
    /// Whether everything holds.
    pub holds: bool,
    /// Properties of which at least one is violated, if not.
    pub properties: BTreeSet<String>,
}

/// The bug in the fabric that stands for a design without this guard.
pub const fn quirk_of(guard: Guard) -> Quirk {
    match guard {
        Guard::PreemptAbort => Quirk::PlainPreempt,
        Guard::Aptpl => Quirk::AptplNotSet,
        Guard::HostFence => Quirk::FenceOpenWhileChallenging,
        Guard::Confirm => Quirk::ConfirmSkipped,
        Guard::PreemptStatus => Quirk::TakeoverStatusIgnored,
        Guard::VerifyBeforeResume => Quirk::ResumeUnverified,
        Guard::DrainBeforeChallenge => Quirk::QueueKeptOnLoss,
        Guard::UniqueKeys => Quirk::SharedKey,
        Guard::StableIsid => Quirk::FreshIsid,
        Guard::AbortTasks => Quirk::AbortIgnored,
        Guard::AbortQuiesces => Quirk::AbortBeforeQuiet,
        Guard::PersistBeforeGood => Quirk::PersistLate,
        Guard::ConflictCheck => Quirk::ConflictUnchecked,
        Guard::UnregisterReleases => Quirk::OrphanReservation,
        Guard::NexusLossAborts => Quirk::TasksOutliveNexus,
        Guard::LoginWaits => Quirk::LoginBeforeQuiet,
    }
}

impl Scenario {
    /// Reservation keys of the nodes, in their order.
    pub fn keys(&self) -> Vec<Key> {
        (0..self.cluster.nodes).map(|node| self.key(NodeId(node))).collect()
    }

    fn key(&self, node: NodeId) -> Key {
        Key(self.cluster.key_prefix << 8 | (u64::from(node.0) + 1))
    }

    /// The fabric that implements this design: guards that it lacks are bugs of the fabric.
    pub fn quirks(&self) -> Quirks {
        self.design.relaxed().fold(Quirks::NONE, |quirks, guard| quirks.with(quirk_of(guard)))
    }

    /// The target's configuration.
    pub fn target(&self) -> target::Config {
        target::Config {
            blocks: self.array.blocks,
            registrants_max: self.array.registrants,
            tasks_max: self.array.tasks,
        }
    }

    /// The node's configuration.
    pub fn guest(&self, node: NodeId) -> guest::Config {
        let cluster = &self.cluster;
        let workload = &cluster.workload;
        guest::Config {
            node,
            nodes: cluster.nodes,
            key: self.key(node),
            blocks: self.array.blocks,
            depth: workload.depth,
            queue_max: workload.queue,
            defend: cluster.defend,
            challenge_wait: cluster.challenge_wait,
            heartbeat: cluster.heartbeat,
            silence: cluster.silence,
            mix: guest::Mix { read_every: workload.read_every, flush_every: workload.flush_every },
            write_blocks: workload.write_blocks,
        }
    }

    /// Bounds that are meant for people: small enough to be exhausted in seconds.
    pub const DEFAULT_BOUNDS: Bounds = Bounds {
        nodes: 2,
        left: Left {
            writes: 1,
            challenges: 3,
            defends: 1,
            stalls: 1,
            breaks: 1,
            crashes: 0,
            power_cycles: 1,
        },
        queue: 1,
        restarts: true,
    };
}
