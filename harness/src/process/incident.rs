//! What happens to a run of processes, and when: the plan in the time of the machine, with what comes along with its faults.
//!
//! The faults of a plan know nothing of each other. Those of a real fabric do: a host and a shelf of disks hang on one power rail, a
//! network that is gone is gone for commands and for heartbeats. So half of the faults that take a node away become an *incident*:
//!
//! | the plan's fault | comes with |
//! |---|---|
//! | node pause, node crash | a back end that ends nothing |
//! | connection stall, partition | loss of all heartbeats of the node; every second time also a back end that ends nothing |
//!
//! ```text
//! back end hangs ------------------------------------------> goes on
//!         | lead |  node is away -------------------------------------------->
//!                |  silence  |  challenge wait  | PREEMPT AND ABORT ... its GOOD
//! ```
//!
//! The node has writes at the back end when it goes, and the others take over before they are done: there, and hardly ever elsewhere,
//! PREEMPT AND ABORT has something to wait for. A scenario that gives a kind of fault the weight 0 gets none of it here either.
//!
//! **Deliberately absent:** aiming. Whether the node owns the disk at that time is chance.

use super::fabric::HURRY;
use crate::scenario::Scenario;
use crate::sim::events::Stream;
use crate::sim::plan::{Injection, Plan};
use redline_vocab::{Fault, FaultKind, Micros, NodeId};
use std::time::Duration;

/// How likely it is that a fault is part of an incident, of a thousand.
const INCIDENT: u64 = 500;

/// How likely a slow disk is one that ends nothing, and how likely such a one comes with a network that is gone; of a thousand.
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
    let mut dice = Stream::new(plan.seed, "incidents");
    plan.injections.iter().flat_map(|injection| around(scenario, injection, &mut dice)).collect()
}

/// The fault with what comes along with it.
fn around(scenario: &Scenario, injection: &Injection, dice: &mut Stream) -> Vec<Happening> {
    let (hangs, silences) = match injection.fault {
        Fault::NodePause(_) | Fault::NodeCrash(_) => {
            (allows(scenario, FaultKind::DiskSlow) && dice.permille(INCIDENT), false)
        }
        Fault::ConnectionStall(_) | Fault::Partition(..) => {
            let silences = allows(scenario, FaultKind::HeartbeatLoss) && dice.permille(INCIDENT);
            (silences && allows(scenario, FaultKind::DiskSlow) && dice.permille(HANG), silences)
        }
        Fault::DiskSlow if dice.permille(HANG) => {
            return vec![Happening {
                at: hurried(injection.at),
                what: What::Hang,
                lasts: hurried(injection.lasts),
            }];
        }
        Fault::HeartbeatLoss(..)
        | Fault::ConnectionReset(_)
        | Fault::ClockSkew(..)
        | Fault::ClockJump(..)
        | Fault::PowerCycle
        | Fault::TornWrite
        | Fault::Corruption
        | Fault::DiskSlow
        | Fault::DiskError => (false, false),
    };
    let (begin, lasts) = (hurried(injection.at), hurried(injection.lasts));
    if !hangs && !silences {
        return vec![Happening { at: begin, what: What::Fault(injection.fault), lasts }];
    }
    let takeover = takeover(scenario);
    let lasts = lasts.max(takeover * 5 / 4);
    let lead = if hangs { between(dice, LEAD) } else { Duration::ZERO };
    let at = begin + lead;
    let mut all = vec![Happening { at, what: What::Fault(injection.fault), lasts }];
    if silences {
        all.extend(silence(scenario, injection.fault).map(|fault| Happening {
            at,
            what: What::Fault(fault),
            lasts,
        }));
    }
    if hangs {
        // Not so long that the one who takes over gives up waiting for its GOOD.
        let after = Duration::from_micros(dice.below(patience(scenario).as_micros() as u64));
        all.push(Happening { at: begin, what: What::Hang, lasts: lead + takeover + after });
    }
    all
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
    use crate::sim::plan::lasts;

    fn all(scenario: &Scenario, seeds: u64) -> Vec<(Plan, Vec<Happening>)> {
        (1..=seeds)
            .map(|seed| {
                let plan = Plan::draw(scenario, seed);
                let happenings = happenings(scenario, &plan);
                (plan, happenings)
            })
            .collect()
    }

    #[test]
    fn a_run_has_every_fault_of_its_plan_and_the_same_incidents_each_time() {
        let scenario = load("reference").expect("it is embedded");
        for (plan, found) in all(&scenario, 200) {
            for injection in &plan.injections {
                assert!(found.iter().any(|one| one.what.fault() == injection.fault), "{injection:?}");
            }
            assert_eq!(found, happenings(&scenario, &plan));
        }
    }

    #[test]
    fn a_hang_that_comes_with_a_lost_node_ends_while_another_takes_over() {
        let scenario = load("reference").expect("it is embedded");
        let mut seen = 0;
        for (plan, found) in all(&scenario, 200) {
            let goes = |one: &&Happening| matches!(one.what, What::Fault(fault) if lasts(&fault) && fault != Fault::DiskSlow);
            for hang in found.iter().filter(|one| one.what == What::Hang) {
                let with = |one: &&Happening| {
                    let lead = one.at.saturating_sub(hang.at);
                    !lead.is_zero() && lead < Duration::from_micros(LEAD.1)
                };
                let planned = plan
                    .injections
                    .iter()
                    .any(|one| one.fault == Fault::DiskSlow && hurried(one.at) == hang.at);
                let Some(node) = found.iter().filter(goes).find(with).filter(|_| !planned) else { continue };
                let after = (hang.at + hang.lasts).saturating_sub(node.at);
                assert!(after >= takeover(&scenario) && after <= takeover(&scenario) + patience(&scenario));
                assert!(node.lasts > takeover(&scenario));
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
        for (plan, found) in all(&scenario, 100) {
            assert_eq!(found.len(), plan.injections.len());
        }
    }
}
