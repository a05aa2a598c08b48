//! What the monitors have found: violations in full up to a limit, and how often premises fired.

use super::{Violation, Witness};
use alloc::{string::String, vec::Vec};
use redline_vocab::Micros;

/// Violations of one property that are kept in full; further ones are counted only, so that one broken
/// promise does not hide another.
pub const KEPT_PER_PROPERTY: usize = 4;

macro_rules! watched {
    ($($(#[$doc:meta])* $name:ident = $id:literal,)*) => {
        /// The properties that have a monitor, in the order of the catalogue.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub(super) enum Watched { $($(#[$doc])* $name,)* }
        impl Watched {
            pub const ALL: &[Watched] = &[$(Watched::$name,)*];
            pub const fn id(self) -> &'static str {
                match self { $(Watched::$name => $id,)* }
            }
        }
    };
}

watched! {
    HolderRegistered = "lun/holder-registered",
    ReservationNeedsRegistrant = "lun/reservation-needs-registrant",
    SingleHolder = "lun/single-holder",
    NoZeroKey = "lun/no-zero-key",
    GenerationSteps = "lun/generation-steps",
    ReservationEndsLawfully = "lun/reservation-ends-lawfully",
    DurableWithAptpl = "lun/durable-with-aptpl",
    AbortIsFinal = "lun/abort-is-final",
    ResetIsFinal = "lun/reset-is-final",
    ConflictNeedsReservation = "lun/conflict-needs-reservation",
    LegacyExcludesPersistent = "lun/legacy-excludes-persistent",
    OwnerUnique = "fabric/owner-unique",
    NoEvictedWrite = "fabric/no-evicted-write",
    Progress = "fabric/progress",
    FlushedSurvives = "disk/flushed-survives",
    ReadsLastWrite = "disk/reads-last-write",
}

const COUNT: usize = Watched::ALL.len();

/// Violations and premise counts of one run.
#[derive(Clone, Debug)]
pub(super) struct Findings {
    pub violations: Vec<Violation>,
    fired: [u64; COUNT],
    broken: [u64; COUNT],
}

impl Findings {
    pub const fn new() -> Findings {
        Findings { violations: Vec::new(), fired: [0; COUNT], broken: [0; COUNT] }
    }

    /// The premise of the property was met once more.
    pub fn fired(&mut self, which: Watched) {
        self.fired[which as usize] += 1;
    }

    /// The property is broken; the sentence is made only if it is kept.
    pub fn broken(&mut self, which: Watched, seq: u64, at: Micros, sentence: impl FnOnce() -> String) {
        let count = &mut self.broken[which as usize];
        if *count < KEPT_PER_PROPERTY as u64 {
            self.violations.push(Violation { property: which.id(), seq, at, sentence: sentence() });
        }
        *count += 1;
    }

    /// Violations that were counted but not kept.
    pub fn not_kept(&self) -> u64 {
        self.broken.iter().sum::<u64>() - self.violations.len() as u64
    }

    pub fn witnesses(&self) -> impl Iterator<Item = Witness> + '_ {
        Watched::ALL.iter().map(|which| Witness { property: which.id(), fired: self.fired[*which as usize] })
    }
}
