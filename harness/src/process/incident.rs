//! What happens to a run of processes, and when: the plan in the time of the machine, with what comes along with its faults.
//!
//! The faults of a plan know nothing of each other. Those of a real fabric do: a host and a shelf of disks hang on one power rail, a
//! network that is gone is gone for commands and for heartbeats. So most of the faults that take a node away become an *incident*, which lasts longer
//! than a takeover:
//!
//! | the plan's fault | comes with |
//! |---|---|
//! | node pause | every second time, a back end that ends nothing |
//! | node crash | a back end that ends nothing |
//! | connection stall, partition | loss of all heartbeats of the node; every second time also a back end that ends nothing |
//!
//! ```text
//! back end hangs ------------------------------------------> goes on
//!         | lead |  node is away -------------------------------------------->
//!                |  silence  |  challenge wait  | PREEMPT AND ABORT ... its GOOD
//! ```
//!
//! The node has writes at the back end when it goes, and the others take over before they are done: there, and hardly ever elsewhere,
//! PREEMPT AND ABORT has something to wait for. Where the back end works, the node comes back with writes to send that others have shut out.
//! An incident does not begin before somebody can own the disk, and what the plan has for the time of the takeover comes afterwards: with a fault
//! every half second hardly any takeover would get that far.
//! A scenario that gives a kind of fault the weight 0 gets none of it here either.
//!
//! **Deliberately absent:** aiming. Whether the node owns the disk at that time is chance.

use super::fabric::HURRY;
use crate::scenario::Scenario;
use crate::sim::events::Stream;
use crate::sim::plan::{Injection, Plan};
use redline_vocab::{Fault, FaultKind, Micros, NodeId};
use std::time::Duration;

/// How likely it is that a fault is part of an incident, of a thousand.
const INCIDENT: u64 = 700;

/// How likely a slow disk is one that ends nothing, and how likely such a one comes with a node that is away; of a thousand.
const HANG: u64 = 500;

/// How long the back end hangs before the node goes, in microseconds: at first the node's depth is used up, later its queue is full too.
const LEAD: (u64, u64) = (20_000, 300_000);

/// Something that happens from outside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Happening {
    /// When, after the start of the run.
    pub at: Duration,
    /// What.
    pub what: What,
    /// How long it lasts, if it has to be healed.
    pub lasts: Duration,
}

/// What happens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum What {
    /// This fault.
    Fault(Fault),
    /// The back end takes what it is given and ends none of it before it goes on: the slowest of slow disks.
    Hang,
}

impl What {
    /// The fault that a trace tells of.
    pub const fn fault(self) -> Fault {
        match self {
            What::Fault(fault) => fault,
            What::Hang => Fault::DiskSlow,
        }
    }
}

/// All that happens in a run of this plan, in no particular order.
pub fn happenings(scenario: &Scenario, plan: &Plan) -> Vec<Happening> {
    groups(scenario, plan).concat()
}

/// By fault of the plan: what happens with it.
fn groups(scenario: &Scenario, plan: &Plan) -> Vec<Vec<Happening>> {
    let mut dice = Stream::new(plan.seed, "incidents");
    let mut later = Duration::ZERO;
    let mut groups = Vec::new();
    for injection in &plan.injections {
        let Group { mut all, alone } = around(scenario, injection, &mut dice);
        if alone.is_some() {
            later = later.max(first_owner(scenario).saturating_sub(hurried(injection.at)));
        }
        all.iter_mut().for_each(|one| one.at += later);
        later += alone.unwrap_or_default();
        groups.push(all);
    }
    groups
}

/// A fault of the plan, first, and what comes along with it.
struct Group {
    all: Vec<Happening>,
    /// How long it is left alone, if it is an incident.
    alone: Option<Duration>,
}

/// When a node owns the disk, if nothing disturbs it, about.
fn first_owner(scenario: &Scenario) -> Duration {
    hurried(Micros(scenario.cluster.silence.0 + 2 * scenario.cluster.heartbeat.0))
}

fn around(scenario: &Scenario, injection: &Injection, dice: &mut Stream) -> Group {
    let (begin, lasts) = (hurried(injection.at), hurried(injection.lasts));
    let alone = |what| Group { all: vec![Happening { at: begin, what, lasts }], alone: None };
    let mut hangs = || allows(scenario, FaultKind::DiskSlow) && dice.permille(HANG);
    let (hangs, silences) = match injection.fault {
        Fault::NodePause(_) => (hangs(), false),
        // Without one nothing of the node's is left.
        Fault::NodeCrash(_) if allows(scenario, FaultKind::DiskSlow) => (true, false),
        Fault::ConnectionStall(_) | Fault::Partition(..) if allows(scenario, FaultKind::HeartbeatLoss) => {
            (hangs(), true)
        }
        Fault::DiskSlow if hangs() => return alone(What::Hang),
        Fault::NodeCrash(_)
        | Fault::ConnectionStall(_)
        | Fault::Partition(..)
        | Fault::HeartbeatLoss(..)
        | Fault::ConnectionReset(_)
        | Fault::ClockSkew(..)
        | Fault::ClockJump(..)
        | Fault::PowerCycle
        | Fault::TornWrite
        | Fault::Corruption
        | Fault::DiskSlow
        | Fault::DiskError => return alone(What::Fault(injection.fault)),
    };
    if !dice.permille(INCIDENT) {
        return alone(What::Fault(injection.fault));
    }
    let takeover = takeover(scenario);
    let lasts = lasts.max(takeover * 5 / 4);
    let lead = if hangs { between(dice, LEAD) } else { Duration::ZERO };
    let at = begin + lead;
    let happens = |fault| Happening { at, what: What::Fault(fault), lasts };
    let mut all = vec![happens(injection.fault)];
    if silences {
        all.extend(silence(scenario, injection.fault).map(happens));
    }
    if !hangs {
        return Group { all, alone: Some(takeover * 5 / 4) };
    }
    // Not so long that the one who takes over gives up waiting for its GOOD.
    let after = Duration::from_micros(dice.below(patience(scenario).as_micros() as u64));
    let lasts = lead + takeover + after;
    all.push(Happening { at: begin, what: What::Hang, lasts });
    Group { all, alone: Some(lasts) }
}

fn allows(scenario: &Scenario, kind: FaultKind) -> bool {
    scenario.chaos.weights.get(&kind).is_some_and(|weight| *weight > 0)
}

/// The node hears nobody and is not heard.
fn silence(scenario: &Scenario, fault: Fault) -> impl Iterator<Item = Fault> {
    let nodes = scenario.cluster.nodes.max(1);
    let away = match fault {
        Fault::ConnectionStall(nexus) | Fault::Partition(nexus, _) => Some(NodeId(nexus.0 % nodes)),
        _ => None,
    };
    away.into_iter().flat_map(move |away| {
        (0..nodes)
            .map(NodeId)
            .filter(move |other| *other != away)
            .map(move |other| Fault::HeartbeatLoss(away, other))
    })
}

/// From the going of an owner to the PREEMPT AND ABORT of another node, about.
fn takeover(scenario: &Scenario) -> Duration {
    let cluster = &scenario.cluster;
    hurried(Micros(cluster.silence.0 + cluster.challenge_wait.0))
}

/// How long a node waits for an answer.
fn patience(scenario: &Scenario) -> Duration {
    let cluster = &scenario.cluster;
    hurried(Micros(cluster.challenge_wait.0 + cluster.defend.0))
}

fn hurried(time: Micros) -> Duration {
    Duration::from_micros(time.0 / HURRY)
}

fn between(dice: &mut Stream, (least, most): (u64, u64)) -> Duration {
    Duration::from_micros(least + dice.below(most - least))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::load;

    fn plans(scenario: &Scenario) -> impl Iterator<Item = Plan> + '_ {
        (1..=200).map(|seed| Plan::draw(scenario, seed))
    }

    #[test]
    fn a_run_has_every_fault_of_its_plan_and_the_same_incidents_each_time() {
        let scenario = load("reference").expect("it is embedded");
        for plan in plans(&scenario) {
            for (injection, group) in plan.injections.iter().zip(groups(&scenario, &plan)) {
                assert_eq!(group[0].what.fault(), injection.fault);
                assert!(group[0].at >= hurried(injection.at) && group[0].lasts >= hurried(injection.lasts));
            }
            assert_eq!(happenings(&scenario, &plan), happenings(&scenario, &plan));
        }
    }

    #[test]
    fn a_hang_that_comes_with_a_lost_node_ends_while_another_takes_over_and_is_left_alone() {
        let scenario = load("reference").expect("it is embedded");
        let mut seen = 0;
        for plan in plans(&scenario) {
            let all = happenings(&scenario, &plan);
            for group in groups(&scenario, &plan).iter().filter(|group| group.len() > 1) {
                let node = group[0];
                assert!(node.at >= first_owner(&scenario) && node.lasts > takeover(&scenario));
                let Some(hang) = group.iter().find(|one| one.what == What::Hang) else { continue };
                let end = hang.at + hang.lasts;
                assert!(hang.at < node.at);
                let after = end - node.at;
                assert!(after >= takeover(&scenario), "nobody has taken over by then");
                assert!(after <= takeover(&scenario) + patience(&scenario), "its GOOD comes too late");
                assert!(!all.iter().any(|one| one.at > node.at && one.at < end), "{all:?}");
                seen += 1;
            }
        }
        assert!(seen > 100, "{seen} incidents in 200 runs");
    }

    #[test]
    fn what_the_scenario_excludes_does_not_come_along() {
        let mut scenario = load("reference").expect("it is embedded");
        scenario.chaos.weights.insert(FaultKind::DiskSlow, 0);
        scenario.chaos.weights.insert(FaultKind::HeartbeatLoss, 0);
        for plan in plans(&scenario) {
            assert_eq!(happenings(&scenario, &plan).len(), plan.injections.len());
        }
    }
}
