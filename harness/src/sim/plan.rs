//! What happens to a run from outside, as a value: drawn from a seed, kept, reduced, run again.
//!
//! Swarm testing: each run draws its own mix of fault kinds and its own workload from the scenario's, so that runs differ in
//! kind and not only in order. The plan is all that is random about *which* faults come; delays inside the
//! run have streams of their own, so that dropping a fault leaves the rest as it was.

use super::events::Stream;
use crate::scenario::Scenario;
use redline_vocab::{Direction, Fault, FaultKind, Micros, Nexus, NodeId};

/// A fault that is to be injected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Injection {
    /// When.
    pub at: Micros,
    /// What.
    pub fault: Fault,
    /// How long it lasts, if it has to be healed.
    pub lasts: Micros,
}

/// One run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    /// Root seed of every stream of the run.
    pub seed: u64,
    /// The faults, in order of time.
    pub injections: Vec<Injection>,
    /// The run goes on until it has so many events.
    pub events_min: u32,
    /// Between two operations of a node's workload.
    pub pause: Micros,
    /// Time after which the workload stops issuing; the run still settles. For shrinking.
    pub issue_until: Option<Micros>,
}

impl Plan {
    /// The plan of this seed.
    pub fn draw(scenario: &Scenario, seed: u64) -> Plan {
        let chaos = &scenario.chaos;
        let mut dice = Stream::new(seed, "faults");
        // Swarm: about half of the kinds are left out of a run, but never all.
        let weighted: Vec<(FaultKind, u32)> = chaos
            .weights
            .iter()
            .filter(|(_, weight)| **weight > 0)
            .map(|(kind, weight)| (*kind, *weight))
            .collect();
        let mut chosen: Vec<(FaultKind, u32)> =
            weighted.iter().copied().filter(|_| dice.below(2) == 0).collect();
        if chosen.is_empty() && !weighted.is_empty() {
            chosen.push(weighted[dice.below(weighted.len() as u64) as usize]);
        }
        let total: u64 = chosen.iter().map(|(_, weight)| u64::from(*weight)).sum();
        let mut injections = Vec::new();
        let mut at = 0;
        if total > 0 {
            let count = u64::from(chaos.faults_min) + dice.below(4);
            for _ in 0..count {
                at += 1 + dice.below(2 * chaos.every.0);
                let mut ticket = dice.below(total);
                let mut picked = chosen[0].0;
                for (kind, weight) in &chosen {
                    if ticket < u64::from(*weight) {
                        picked = *kind;
                        break;
                    }
                    ticket -= u64::from(*weight);
                }
                let span = chaos.lasts.1.0 - chaos.lasts.0.0 + 1;
                let lasts = Micros(chaos.lasts.0.0 + dice.below(span));
                let fault = draw_fault(scenario, picked, &mut dice);
                injections.push(Injection { at: Micros(at), fault, lasts });
            }
        }
        let mut workload = Stream::new(seed, "plan/workload");
        let pause = Micros(
            (scenario.cluster.workload.pause.0 / 2).max(1)
                + workload.below(scenario.cluster.workload.pause.0),
        );
        Plan { seed, injections, events_min: chaos.events, pause, issue_until: None }
    }
}

/// Whether the fault goes on until it is healed.
pub const fn lasts(fault: &Fault) -> bool {
    match fault {
        Fault::ConnectionStall(_)
        | Fault::Partition(..)
        | Fault::HeartbeatLoss(..)
        | Fault::NodePause(_)
        | Fault::NodeCrash(_)
        | Fault::ClockSkew(..)
        | Fault::DiskSlow
        | Fault::DiskError => true,
        Fault::ConnectionReset(_)
        | Fault::ClockJump(..)
        | Fault::PowerCycle
        | Fault::TornWrite
        | Fault::Corruption => false,
    }
}

fn draw_fault(scenario: &Scenario, kind: FaultKind, dice: &mut Stream) -> Fault {
    let nodes = u64::from(scenario.cluster.nodes);
    let node = NodeId(dice.below(nodes) as u8);
    let nexus = Nexus(node.0);
    match kind {
        FaultKind::ConnectionReset => Fault::ConnectionReset(nexus),
        FaultKind::ConnectionStall => Fault::ConnectionStall(nexus),
        FaultKind::Partition => {
            let direction = match dice.below(3) {
                0 => Direction::ToTarget,
                1 => Direction::ToInitiator,
                _ => Direction::Both,
            };
            Fault::Partition(nexus, direction)
        }
        FaultKind::HeartbeatLoss => {
            let other = NodeId(((u64::from(node.0) + 1 + dice.below(nodes - 1)) % nodes) as u8);
            Fault::HeartbeatLoss(node, other)
        }
        FaultKind::NodePause => Fault::NodePause(node),
        FaultKind::NodeCrash => Fault::NodeCrash(node),
        // At most 20 % off: worse than any clock, and still short of W = 2 D.
        FaultKind::ClockSkew => Fault::ClockSkew(node, dice.below(401) as i16 - 200),
        FaultKind::ClockJump => Fault::ClockJump(node, Micros(dice.below(20_000_000))),
        FaultKind::PowerCycle => Fault::PowerCycle,
        FaultKind::TornWrite => Fault::TornWrite,
        FaultKind::Corruption => Fault::Corruption,
        FaultKind::DiskSlow => Fault::DiskSlow,
        FaultKind::DiskError => Fault::DiskError,
    }
}
