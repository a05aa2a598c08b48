//! The guards of a design: each is a rule that safety or progress rests on, and that a scenario's
//! `[design]` section or `--relax` can drop from the model. What dropping one does is the model's matter.

macro_rules! named_set {
    ($(#[$edoc:meta])* $one:ident, $(#[$sdoc:meta])* $set:ident: $($(#[$doc:meta])* $variant:ident = $text:literal,)*) => {
        $(#[$edoc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize, serde::Deserialize)]
        pub enum $one { $($(#[$doc])* $variant,)* }

        impl $one {
            /// All of them, in the order of the documentation.
            pub const ALL: &[$one] = &[$($one::$variant,)*];
            /// Name on the command line, in scenario files and reports.
            pub const fn name(self) -> &'static str {
                match self { $($one::$variant => $text,)* }
            }
            /// The one with this name.
            pub fn from_name(name: &str) -> Option<$one> {
                Self::ALL.iter().copied().find(|one| one.name() == name)
            }
        }

        $(#[$sdoc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize, serde::Deserialize)]
        pub struct $set(u64);

        impl $set {
            /// None of them.
            pub const NONE: $set = $set(0);
            /// Whether this one is in the set.
            pub const fn has(self, one: $one) -> bool {
                self.0 & (1 << one as u64) != 0
            }
            /// The set with this one added.
            #[must_use]
            pub const fn with(self, one: $one) -> $set {
                $set(self.0 | 1 << one as u64)
            }
            /// The set with this one removed.
            #[must_use]
            pub const fn without(self, one: $one) -> $set {
                $set(self.0 & !(1 << one as u64))
            }
            /// Its members, in the order of the documentation.
            pub fn iter(self) -> impl Iterator<Item = $one> {
                $one::ALL.iter().copied().filter(move |one| self.has(*one))
            }
        }
    };
}
pub(crate) use named_set;

named_set! {
    /// A rule that the design rests on.
    Guard,
    /// The guards that a design has.
    Design:
    /// Takeover and scrub use PREEMPT AND ABORT, not PREEMPT.
    PreemptAbort = "preempt-abort",
    /// Every registration sets APTPL.
    Aptpl = "aptpl",
    /// The host fence stays closed until ownership is confirmed.
    HostFence = "host-fence",
    /// Ownership counts only after READ RESERVATION has named this node's key.
    Confirm = "confirm",
    /// RESERVE or PREEMPT answered by RESERVATION CONFLICT is not a win.
    PreemptStatus = "preempt-status",
    /// After a unit attention or a new session the owner reads the keys before its queue flows again.
    VerifyBeforeResume = "verify-before-resume",
    /// A node that lost the disk drops its queued writes before it challenges anew.
    DrainBeforeChallenge = "drain-before-challenge",
    /// No two nodes register the same key.
    UniqueKeys = "unique-keys",
    /// A node logs in with the ISID it had before.
    StableIsid = "stable-isid",
    /// PREEMPT AND ABORT aborts what its victims have in the task set.
    AbortTasks = "abort-tasks",
    /// PREEMPT AND ABORT answers only after its victims' back-end writes are over.
    AbortQuiesces = "abort-quiesces",
    /// With APTPL the table is on stable storage before GOOD is sent.
    PersistBeforeGood = "persist-before-good",
    /// The target checks a medium access against the reservation when it dispatches it.
    ConflictCheck = "conflict-check",
    /// A reservation of a single-holder type ends when its holder is no longer registered.
    UnregisterReleases = "unregister-releases",
    /// Tasks die with their nexus.
    NexusLossAborts = "nexus-loss-aborts",
    /// A login completes only after the back end is done with the nexus's earlier writes.
    LoginWaits = "login-waits",
}

impl Design {
    /// The sound design: every guard.
    pub const SOUND: Design = {
        let mut design = Design::NONE;
        let mut i = 0;
        while i < Guard::ALL.len() {
            design = design.with(Guard::ALL[i]);
            i += 1;
        }
        design
    };

    /// The guards that this design lacks.
    pub fn relaxed(self) -> impl Iterator<Item = Guard> {
        Guard::ALL.iter().copied().filter(move |guard| !self.has(*guard))
    }
}
