//! Hazards, relaxations and quirks: what is dropped from the design or planted in the fabric, and what must see it.
//!
//! One table. A relaxation drops guards of the design from the *model*: its row says in which small instance the
//! counterexample shows, and which property breaks. A bug is planted in the *fabric*: its row says under which runs it
//! is caught, and by what. `redline hazards` prints the rows with the command that shows each; the kill matrix of
//! the tests carries each of them out.
//!
//! A guard may need to be dropped together with another one, because defences overlap. A guard or bug that no stated
//! property depends on says so: conformance alone sees it.

use redline_model::cluster::{Bounds, Left, UNLIMITED};
use redline_traces::Initiators;
use redline_vocab::{Design, Guard, Quirk, Quirks};

/// Where the counterexample of a relaxation shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shown {
    /// In the guest cluster model within these bounds.
    Cluster(Bounds),
    /// In this instance of the reservation model.
    Reservations(&'static str),
    /// As a state of the guest cluster model from which no owner can be reached (V19).
    Stuck(Bounds),
    /// In no property: only conformance sees a fabric without the guard.
    ConformanceOnly,
}

/// Guards that are dropped together.
#[derive(Clone, Copy, Debug)]
pub struct Relaxation {
    /// Which.
    pub guards: &'static [Guard],
    /// The hazards of the domain that they prevent.
    pub hazards: &'static [&'static str],
    /// Where it shows.
    pub shown: Shown,
    /// The property that breaks first.
    pub property: &'static str,
    /// What happens, in one line.
    pub story: &'static str,
}

/// A bug that is planted.
#[derive(Clone, Copy, Debug)]
pub struct Bug {
    /// Which.
    pub quirk: Quirk,
    /// Bugs that must be there too for it to matter, because defences overlap.
    pub with: &'static [Quirk],
    /// The hazards of the domain that it stands for; `PR` for a rule of the standard.
    pub hazards: &'static [&'static str],
    /// Who issues the commands of the runs that show it.
    pub initiators: Initiators,
    /// The scenario of these runs.
    pub scenario: &'static str,
    /// Seeds that are tried, from 1 on.
    pub runs: u64,
    /// The property that breaks in one of these runs; `None`: conformance alone sees it there.
    pub property: Option<&'static str>,
    /// Chance does not meet the race that breaks a property: the relaxation that drops these guards does, and its
    /// counterexample replays to the violation.
    pub race: &'static [Guard],
}

const fn bounds(nodes: u8, left: [u8; 7]) -> Bounds {
    let [writes, challenges, defends, stalls, breaks, crashes, power_cycles] = left;
    let left = Left { writes, challenges, defends, stalls, breaks, crashes, power_cycles };
    Bounds { nodes, left, queue: 1, restarts: true }
}

const fn cluster(left: [u8; 7]) -> Shown {
    Shown::Cluster(bounds(2, left))
}

/// Instance in which recovery (V19) is checked: every state can reach an owner again without another fault.
pub const RECOVERY: Bounds = bounds(2, [0, UNLIMITED, UNLIMITED, 0, 1, 1, 0]);

/// The relaxations, in the order of the guards.
pub const RELAXATIONS: &[Relaxation] = &[
    Relaxation {
        guards: &[Guard::PreemptAbort],
        hazards: &["H05"],
        shown: cluster([1, 2, 0, 0, 0, 0, 0]),
        property: "fabric/no-evicted-write",
        story: "a write of the old owner is in the task set when plain PREEMPT takes the disk away, and lands later",
    },
    Relaxation {
        guards: &[Guard::Aptpl],
        hazards: &["H01", "H04"],
        shown: cluster([0, 3, 1, 0, 0, 0, 1]),
        property: "fabric/owner-unique",
        story: "power loss empties the table: the old owner can write while another node owns the disk",
    },
    Relaxation {
        guards: &[Guard::HostFence],
        hazards: &["H10"],
        shown: cluster([1, 2, 0, 0, 0, 0, 0]),
        property: "fabric/owner-unique",
        story: "a challenger is a registrant while it waits, and nothing on its host keeps it from writing",
    },
    Relaxation {
        guards: &[Guard::Confirm, Guard::PreemptStatus],
        hazards: &["H11"],
        shown: cluster([0, 2, 0, 0, 0, 0, 0]),
        property: "fabric/owner-unique",
        story: "RESERVE is refused, the node does not notice and does not ask who holds the reservation",
    },
    Relaxation {
        guards: &[Guard::Aptpl, Guard::VerifyBeforeResume],
        hazards: &["H03", "H04"],
        shown: cluster([1, 2, 0, 0, 0, 0, 1]),
        property: "fabric/owner-unique",
        story: "the owner sends its queue after a power cycle without reading the keys, after another node took over",
    },
    Relaxation {
        guards: &[Guard::DrainBeforeChallenge],
        hazards: &["H03"],
        shown: cluster([1, 3, 1, 0, 0, 0, 0]),
        property: "fabric/no-evicted-write",
        story: "a node keeps its queue when it loses the disk, and sends it when it owns the disk again",
    },
    Relaxation {
        guards: &[Guard::UniqueKeys],
        hazards: &["H09"],
        shown: Shown::Stuck(RECOVERY),
        property: "fabric/progress",
        story: "both nodes use one key: each takes the other's reservation for its own",
    },
    Relaxation {
        guards: &[Guard::StableIsid],
        hazards: &["H07"],
        shown: Shown::ConformanceOnly,
        property: "conformance",
        story: "each login uses up one of the model's eight nexuses: what a lingering registration does to progress shows only beyond them",
    },
    Relaxation {
        guards: &[Guard::AbortTasks],
        hazards: &["H05"],
        shown: cluster([1, 2, 0, 0, 0, 0, 0]),
        property: "lun/abort-is-final",
        story: "PREEMPT AND ABORT answers GOOD and aborts nothing",
    },
    Relaxation {
        guards: &[Guard::AbortQuiesces],
        hazards: &["H06"],
        shown: cluster([1, 2, 0, 0, 0, 0, 0]),
        property: "lun/abort-is-final",
        story: "PREEMPT AND ABORT answers GOOD while the back end still has a write of the victim",
    },
    Relaxation {
        guards: &[Guard::PersistBeforeGood],
        hazards: &["H01"],
        shown: cluster([1, 2, 0, 0, 0, 0, 1]),
        property: "lun/durable-with-aptpl",
        story: "power is lost between GOOD and the table's way to stable storage",
    },
    Relaxation {
        guards: &[Guard::ConflictCheck],
        hazards: &["PR"],
        shown: cluster([2, 2, 0, 0, 0, 0, 0]),
        property: "lun/abort-is-final",
        story: "a write of an evicted node is let in, because nobody looks at the reservation",
    },
    Relaxation {
        guards: &[Guard::UnregisterReleases],
        hazards: &["PR"],
        shown: Shown::Reservations("two-nexuses"),
        property: "lun/holder-registered",
        story: "the holder unregisters and the reservation stays: nobody is left who can release it",
    },
    Relaxation {
        guards: &[Guard::NexusLossAborts],
        hazards: &["H07"],
        shown: Shown::ConformanceOnly,
        property: "conformance",
        story: "tasks outlive their nexus; PREEMPT AND ABORT still ends them, so that no property depends on it",
    },
    Relaxation {
        guards: &[Guard::LoginWaits],
        hazards: &["H07"],
        shown: Shown::ConformanceOnly,
        property: "conformance",
        story: "login is answered while old writes are at the back end; the barrier of PREEMPT AND ABORT covers it",
    },
];

const fn guests(quirk: Quirk, hazards: &'static [&'static str], property: &'static str) -> Bug {
    Bug {
        quirk,
        with: &[],
        hazards,
        initiators: Initiators::Guests,
        scenario: "reference",
        runs: 500,
        property: Some(property),
        race: &[],
    }
}

const fn unseen(quirk: Quirk, hazards: &'static [&'static str]) -> Bug {
    Bug { property: None, ..guests(quirk, hazards, "") }
}

const UNCONFIRMED: &[Guard] = &[Guard::Confirm, Guard::PreemptStatus];

const fn raced(quirk: Quirk, hazards: &'static [&'static str], race: &'static [Guard]) -> Bug {
    Bug { race, ..unseen(quirk, hazards) }
}

const fn raw(quirk: Quirk, hazards: &'static [&'static str], property: Option<&'static str>) -> Bug {
    Bug {
        quirk,
        with: &[],
        hazards,
        initiators: Initiators::Raw,
        scenario: "three-nodes",
        runs: 500,
        property,
        race: &[],
    }
}

/// The bugs, in the order of the quirks.
pub const BUGS: &[Bug] = &[
    raced(Quirk::PlainPreempt, &["H05"], &[Guard::PreemptAbort]),
    guests(Quirk::AptplNotSet, &["H01", "H04"], "fabric/owner-unique"),
    guests(Quirk::FenceOpenWhileChallenging, &["H10"], "fabric/owner-unique"),
    Bug { with: &[Quirk::TakeoverStatusIgnored], ..raced(Quirk::ConfirmSkipped, &["H11"], UNCONFIRMED) },
    Bug { with: &[Quirk::ConfirmSkipped], ..raced(Quirk::TakeoverStatusIgnored, &["H11"], UNCONFIRMED) },
    unseen(Quirk::ResumeUnverified, &["H03"]),
    guests(Quirk::QueueKeptOnLoss, &["H03"], "fabric/no-evicted-write"),
    unseen(Quirk::SharedKey, &["H09"]),
    unseen(Quirk::FreshIsid, &["H07"]),
    unseen(Quirk::ConflictIgnored, &["H03"]),
    raw(Quirk::AbortIgnored, &["H05"], Some("lun/abort-is-final")),
    raw(Quirk::AbortBeforeQuiet, &["H06"], Some("lun/abort-is-final")),
    guests(Quirk::PersistLate, &["H01"], "lun/durable-with-aptpl"),
    guests(Quirk::ConflictUnchecked, &["PR"], "lun/abort-is-final"),
    raw(Quirk::OrphanReservation, &["PR"], Some("lun/holder-registered")),
    raw(Quirk::TasksOutliveNexus, &["H07"], None),
    unseen(Quirk::LoginBeforeQuiet, &["H07"]),
    guests(Quirk::TableLostAtRestart, &["H01"], "lun/durable-with-aptpl"),
    raw(Quirk::ReleaseByAnyone, &["PR"], Some("lun/reservation-ends-lawfully")),
    raw(Quirk::WrongKeyAccepted, &["PR"], Some("lun/reservation-ends-lawfully")),
    raw(Quirk::AllRegistrantsAsSingle, &["PR"], Some("lun/single-holder")),
    raw(Quirk::GenerationStuck, &["PR"], Some("lun/generation-steps")),
    raw(Quirk::UnitAttentionLost, &["PR"], None),
    Bug { scenario: "slow-array", ..guests(Quirk::PreemptKeepsVictim, &["PR"], "fabric/owner-unique") },
    raw(Quirk::ExecutedDespiteAttention, &["PR"], Some("lun/generation-steps")),
    raw(Quirk::NexusLossUnregisters, &["H07"], Some("lun/reservation-ends-lawfully")),
    raw(Quirk::LegacyOutlivesNexus, &["PR"], Some("lun/conflict-needs-reservation")),
    raw(Quirk::CrhIgnored, &["PR"], Some("lun/conflict-needs-reservation")),
    raw(Quirk::ResetClearsRegistrations, &["PR"], Some("lun/reservation-ends-lawfully")),
    raw(Quirk::ResetBeforeQuiet, &["H06"], Some("lun/reset-is-final")),
    raw(Quirk::SpecIPtPartial, &["PR"], Some("lun/generation-steps")),
    raw(Quirk::AllTgPtIgnored, &["PR"], None),
];

impl Relaxation {
    /// The design without these guards.
    pub fn design(&self, from: Design) -> Design {
        self.guards.iter().fold(from, |design, guard| design.without(*guard))
    }

    /// The line that shows it in the model.
    pub fn command(&self) -> String {
        let guards: String = self.guards.iter().map(|guard| format!(" --relax {}", guard.name())).collect();
        format!("redline check{guards}")
    }

    /// Names of its guards.
    pub fn name(&self) -> String {
        self.guards.iter().map(|guard| guard.name()).collect::<Vec<_>>().join(" + ")
    }
}

impl Bug {
    /// All that is planted.
    pub fn quirks(&self) -> Quirks {
        self.with.iter().fold(Quirks::NONE.with(self.quirk), |quirks, more| quirks.with(*more))
    }

    /// The line that shows it in the simulator.
    pub fn command(&self) -> String {
        let quirks: String = self.quirks().iter().map(|quirk| format!(" --quirk {}", quirk.name())).collect();
        let raw = if self.initiators == Initiators::Raw { " --initiators raw" } else { "" };
        format!("redline chaos {}{raw} --runs {}{quirks}", self.scenario, self.runs)
    }
}

/// The relaxation that drops exactly these guards.
pub fn relaxation(guards: &[Guard]) -> Option<&'static Relaxation> {
    let mut asked = guards.to_vec();
    asked.sort_unstable();
    asked.dedup();
    RELAXATIONS.iter().find(|one| {
        let mut own = one.guards.to_vec();
        own.sort_unstable();
        own == asked
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use redline_properties::catalogue;

    #[test]
    fn every_guard_and_every_quirk_has_a_row() {
        for guard in Guard::ALL {
            assert!(RELAXATIONS.iter().any(|row| row.guards.contains(guard)), "{guard:?}");
        }
        for quirk in Quirk::ALL {
            assert_eq!(BUGS.iter().filter(|row| row.quirk == *quirk).count(), 1, "{quirk:?}");
        }
    }

    #[test]
    fn rows_name_properties_and_scenarios_that_exist() {
        for row in RELAXATIONS {
            assert!(
                catalogue::find(row.property).is_some() || row.shown == Shown::ConformanceOnly,
                "{}",
                row.property
            );
            assert_eq!(relaxation(row.guards).expect("it is in the table").name(), row.name());
        }
        for row in BUGS {
            assert!(row.property.is_none_or(|id| catalogue::find(id).is_some()), "{row:?}");
            assert!(crate::scenario::load(row.scenario).is_ok(), "{row:?}");
        }
    }
}
