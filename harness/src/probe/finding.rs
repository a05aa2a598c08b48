//! What a divergence is: where the target left the standard, what was allowed there, what came, and how dangerous that is.

use redline_vocab::ServiceAction;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How dangerous a divergence is for a cluster that fences by reservations; the worst last.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Danger {
    /// Another code for the same thing.
    Cosmetic,
    /// An initiator is told something wrong, or is not told, or is refused what it may do.
    Misreports,
    /// A reservation, a registration or a write that was acknowledged is lost, or somebody takes it who must not.
    Loses,
    /// A node that was fenced can still write.
    FencedWrite,
}

impl Danger {
    /// All of them, the worst first.
    pub const ALL: [Danger; 4] = [Danger::FencedWrite, Danger::Loses, Danger::Misreports, Danger::Cosmetic];

    /// In words.
    pub const fn words(self) -> &'static str {
        match self {
            Danger::FencedWrite => "lets a fenced node write",
            Danger::Loses => "loses a reservation, a registration or a write",
            Danger::Misreports => "misreports",
            Danger::Cosmetic => "cosmetic",
        }
    }

    /// Whether a cluster must not rely on a target that does this.
    pub const fn forbids_fencing(self) -> bool {
        match self {
            Danger::FencedWrite | Danger::Loses => true,
            Danger::Misreports | Danger::Cosmetic => false,
        }
    }
}

impl fmt::Display for Danger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

/// In what it shows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Aspect {
    /// The status of the command itself.
    Status,
    /// A unit attention that comes, stays away, or says something else.
    Attention,
    /// The list of registered keys afterwards.
    Keys,
    /// The reservation afterwards.
    Reservation,
    /// PRgeneration afterwards.
    Generation,
    /// READ FULL STATUS afterwards, where READ KEYS and READ RESERVATION are right.
    FullStatus,
    /// A registration that does not outlive its session.
    Persistence,
    /// What the medium holds.
    Medium,
    /// No answer, or no target any more.
    Silence,
}

impl Aspect {
    /// In words.
    pub const fn words(self) -> &'static str {
        match self {
            Aspect::Status => "answer",
            Aspect::Attention => "unit attention",
            Aspect::Keys => "registered keys",
            Aspect::Reservation => "reservation",
            Aspect::Generation => "PRgeneration",
            Aspect::FullStatus => "full status",
            Aspect::Persistence => "registration",
            Aspect::Medium => "medium",
            Aspect::Silence => "no answer",
        }
    }
}

/// What makes two divergences the same one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Signature {
    /// What was asked, of whom, in which state.
    pub situation: String,
    /// Where it shows.
    pub aspect: Aspect,
    /// What the standard allows.
    pub expected: String,
    /// What came.
    pub got: String,
}

impl Signature {
    /// One line that names it, for fingerprints and file names.
    pub fn line(&self) -> String {
        format!("{} | {} | {} | {}", self.situation, self.aspect.words(), self.expected, self.got)
    }
}

/// One place at which the target left the standard.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Mismatch {
    /// What it is.
    pub signature: Signature,
    /// How bad it is.
    pub danger: Danger,
    /// The clause that says otherwise.
    pub clause: &'static str,
}

/// What many divergences have in common: one row of the report.
pub type Family = (Aspect, String, String, String);

impl Mismatch {
    /// The row of the report that it belongs to: what shows alike in many situations is one thing to mend.
    pub fn family(&self) -> Family {
        let Signature { situation, aspect, expected, got } = &self.signature;
        let rough = |text: &str| {
            let digits = |c: char| c.is_ascii_digit();
            if text.ends_with("fewer") || text.ends_with("more") {
                text.trim_start_matches(digits).trim_start().to_owned()
            } else {
                text.to_owned()
            }
        };
        let whom = situation.rsplit(": ").next().unwrap_or_default();
        let about = match aspect {
            Aspect::Generation => String::new(),
            Aspect::Attention => format!("{} {whom}", topic(situation)),
            Aspect::Keys | Aspect::Reservation | Aspect::FullStatus | Aspect::Persistence => {
                topic(situation).to_owned()
            }
            Aspect::Status if topic(situation) == MEDIUM_ACCESS => {
                situation.split(" by ").next().unwrap_or_default().to_owned()
            }
            // A target that lacks it says so in every situation.
            Aspect::Status if situation.starts_with(ABORTING) && got.ends_with("05/24/00") => {
                return (*aspect, ABORTING.to_owned(), "another answer".to_owned(), got.clone());
            }
            Aspect::Status if situation.contains(WRONG_KEY) => {
                situation.split(WRONG_KEY).next().unwrap_or_default().to_owned() + WRONG_KEY
            }
            Aspect::Status => situation.trim_end_matches(", another type").to_owned(),
            Aspect::Medium | Aspect::Silence => situation.clone(),
        };
        (*aspect, about, rough(expected), rough(got))
    }

    /// Whether it leaves the target in another state than the model, so that what follows may be its consequence.
    pub fn moves(&self) -> bool {
        let Signature { situation, aspect, got, .. } = &self.signature;
        match aspect {
            Aspect::Keys | Aspect::Reservation | Aspect::Persistence | Aspect::Medium | Aspect::Silence => {
                true
            }
            Aspect::Status => got.ends_with("carried out") || situation.contains("(SPC-2) while there are"),
            Aspect::Attention | Aspect::Generation | Aspect::FullStatus => false,
        }
    }

    /// In one sentence.
    pub fn sentence(&self) -> String {
        let Signature { situation, aspect, expected, got } = &self.signature;
        format!("{situation}: {}: expected {expected}, got {got}", aspect.words())
    }
}

const MEDIUM_ACCESS: &str = "access";

const ABORTING: &str = "PREEMPT AND ABORT";

const WRONG_KEY: &str = "with a wrong key";

/// What the situation is about, roughly.
fn topic(situation: &str) -> &'static str {
    let starts = |words: &[&str]| words.iter().any(|word| situation.starts_with(word));
    if starts(&["PREEMPT"]) {
        "preempting"
    } else if starts(&["unregistration"]) {
        "unregistering"
    } else if starts(&["REGISTER AND MOVE"]) {
        "moving the reservation"
    } else if starts(&["REGISTER"]) {
        "registering"
    } else if starts(&["RESERVE of", "RESERVE while", "RESERVE with", "RESERVE by"]) {
        "reserving"
    } else if starts(&["RELEASE of", "RELEASE while", "RELEASE with", "RELEASE by"]) {
        "releasing"
    } else if starts(&["CLEAR"]) {
        "clearing"
    } else if starts(&["power cycle with"]) {
        "power loss"
    } else if situation.ends_with("RESET") {
        "a reset"
    } else if situation.contains("login with") {
        "loss of a session"
    } else {
        MEDIUM_ACCESS
    }
}

/// The clause about a service action; by its title, and its number in SPC-4 r17 where that is sure.
pub const fn clause_of(action: ServiceAction) -> &'static str {
    match action {
        ServiceAction::Register | ServiceAction::RegisterAndIgnoreExistingKey => {
            "SPC-4 5.7.7 Registering; 5.7.11.3 Unregistering"
        }
        ServiceAction::Reserve => "SPC-4 5.7.9 Reserving",
        ServiceAction::Release => "SPC-4 5.7.11.2 Releasing",
        ServiceAction::Clear => "SPC-4 Clearing",
        ServiceAction::Preempt => "SPC-4 5.7.11.4 Preempting, table 52",
        ServiceAction::PreemptAndAbort => "SPC-4 Preempting and aborting",
        ServiceAction::RegisterAndMove => "SPC-4 5.7.8 Registering and moving the reservation",
        ServiceAction::ReplaceLostReservation => "SPC-4 Replacing lost reservations",
    }
}

/// Commands against a reservation.
pub const CONFLICTS: &str = "SPC-4 5.7.1, tables 45 and 46; SBC-3 Reservations";

/// Unit attentions.
pub const ATTENTIONS: &str = "SPC-4 5.7.11 (who is told); SAM-5 5.14 Unit attention conditions";

/// What outlives sessions and power.
pub const PERSISTENCE: &str =
    "SPC-4 5.7.1 (registrations survive I_T nexus loss); RFC 7143 (nexus = name and ISID)";

/// What outlives power.
pub const POWER: &str =
    "SPC-4 Preserving persistent reservations and registrations through power loss (APTPL)";

/// RESERVE and RELEASE of SPC-2.
pub const LEGACY: &str =
    "SPC-2 5.5.1 Reservations overview; SPC-4 5.7.3 Exceptions to SPC-2 RESERVE and RELEASE behavior";

/// PRgeneration.
pub const GENERATION: &str = "SPC-4 6.15 READ KEYS, PRGENERATION field";

/// Writes under way.
pub const ABORT: &str =
    "SPC-4 Preempting and aborting: GOOD only when the aborted commands can have no later effect";

/// What is written is there.
pub const MEDIUM: &str = "SBC-3: a write that ended with GOOD is what a later read returns";
