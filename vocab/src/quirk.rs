//! Bugs that can be planted in the fabric, by name. What each does is the fabric's matter; which
//! hazard it stands for and what must catch it is in the harness's catalogue.

use crate::design::named_set;

named_set! {
    /// A planted bug.
    Quirk,
    /// A set of planted bugs.
    Quirks:
    /// The node takes over and scrubs with PREEMPT instead of PREEMPT AND ABORT.
    PlainPreempt = "plain-preempt",
    /// The node registers with APTPL = 0.
    AptplNotSet = "aptpl-not-set",
    /// The node opens its host fence as soon as it has registered as a challenger.
    FenceOpenWhileChallenging = "fence-open-while-challenging",
    /// The node takes GOOD to RESERVE or PREEMPT as ownership and does not read the reservation again.
    ConfirmSkipped = "confirm-skipped",
    /// The node does not look at the status of RESERVE or PREEMPT.
    TakeoverStatusIgnored = "takeover-status-ignored",
    /// The node sends its queued writes after a unit attention or a new login without reading the keys.
    ResumeUnverified = "resume-unverified",
    /// The node keeps its queued writes when it loses the disk, and sends them when it owns it again.
    QueueKeptOnLoss = "queue-kept-on-loss",
    /// All nodes use the same reservation key.
    SharedKey = "shared-key",
    /// The node logs in with a new ISID each time.
    FreshIsid = "fresh-isid",
    /// The owner goes on after RESERVATION CONFLICT on its disk.
    ConflictIgnored = "conflict-ignored",
    /// PREEMPT AND ABORT answers GOOD at once and aborts nothing.
    AbortIgnored = "abort-ignored",
    /// PREEMPT AND ABORT answers GOOD before the back end is done with its victims' writes.
    AbortBeforeQuiet = "abort-before-quiet",
    /// GOOD is sent before the table is on stable storage.
    PersistLate = "persist-late",
    /// Medium accesses are not checked against the reservation.
    ConflictUnchecked = "conflict-unchecked",
    /// The reservation stays when its holder unregisters or is preempted by key.
    OrphanReservation = "orphan-reservation",
    /// Tasks in the task set outlive the loss of their nexus.
    TasksOutliveNexus = "tasks-outlive-nexus",
    /// Login is answered while writes of the earlier session are still at the back end.
    LoginBeforeQuiet = "login-before-quiet",
    /// The table is lost at a restart although APTPL was set.
    TableLostAtRestart = "table-lost-at-restart",
    /// RELEASE by a registrant that is not the holder releases the reservation.
    ReleaseByAnyone = "release-by-anyone",
    /// The RESERVATION KEY field is not compared with the registration.
    WrongKeyAccepted = "wrong-key-accepted",
    /// An all-registrants reservation has one holder.
    AllRegistrantsAsSingle = "all-registrants-as-single",
    /// PRgeneration does not step.
    GenerationStuck = "generation-stuck",
    /// PREEMPT leaves no unit attention to those that it removed.
    UnitAttentionLost = "unit-attention-lost",
    /// PREEMPT takes the reservation but leaves the victim registered.
    PreemptKeepsVictim = "preempt-keeps-victim",
    /// PERSISTENT RESERVE OUT is executed although a unit attention is reported for it.
    ExecutedDespiteAttention = "executed-despite-attention",
    /// Loss of the nexus removes its registration.
    NexusLossUnregisters = "nexus-loss-unregisters",
    /// A legacy reservation stays when its holder's nexus is lost or logs out.
    LegacyOutlivesNexus = "legacy-outlives-nexus",
    /// RESERVE takes the logical unit although there are registrations.
    CrhIgnored = "crh-ignored",
    /// LOGICAL UNIT RESET and the target resets clear registrations and reservation.
    ResetClearsRegistrations = "reset-clears-registrations",
    /// Task management functions and resets answer before the back end is done with the writes that they end.
    ResetBeforeQuiet = "reset-before-quiet",
    /// REGISTER with SPEC_I_PT registers those that it can where one of them fails.
    SpecIPtPartial = "spec-i-pt-partial",
    /// ALL_TG_PT registers only the nexus on which the command came.
    AllTgPtIgnored = "all-tg-pt-ignored",
}
