//! What a sound fabric promises: every property with its claim and the source of the claim.
//!
//! One table for the monitors, the model's properties and the documentation. The identifiers are those that monitors and models
//! report; a test of each holds them to this list.

/// One promise.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Property {
    /// Identifier: area, slash, claim.
    pub id: &'static str,
    /// The invariant of the fabric that it belongs to, as in `V3`; `PR` for the standard's own rules.
    pub invariant: &'static str,
    /// What is promised.
    pub claim: &'static str,
    /// Clause or document that it comes from.
    pub source: &'static str,
    /// Why it matters.
    pub why: &'static str,
    /// What breaks it.
    pub breaks_when: &'static str,
}

/// The properties, in the order of reports.
pub const CATALOGUE: [Property; 16] = [
    Property {
        id: "lun/holder-registered",
        invariant: "PR",
        claim: "The holder of a reservation is registered.",
        source: "SPC-4 5.7.10, 5.7.11",
        why: "A reservation of a stranger shuts everybody out, and nobody can release it.",
        breaks_when: "the reservation stays when its holder unregisters or is preempted",
    },
    Property {
        id: "lun/reservation-needs-registrant",
        invariant: "PR",
        claim: "There is no reservation without a registrant.",
        source: "SPC-4 5.7.11",
        why: "The last registrant takes an all-registrants reservation with it.",
        breaks_when: "an all-registrants reservation outlives the last registrant",
    },
    Property {
        id: "lun/single-holder",
        invariant: "PR",
        claim: "All-registrants types are held by every registrant, the other types by exactly one nexus.",
        source: "SPC-4 5.7.9",
        why: "Who may release and whom PREEMPT names depends on who holds.",
        breaks_when: "an all-registrants reservation is given to the nexus that asked for it",
    },
    Property {
        id: "lun/no-zero-key",
        invariant: "PR",
        claim: "No registration has the key zero.",
        source: "SPC-4 5.7.7",
        why: "Zero means unregister: a nexus with key zero could not be told from a stranger.",
        breaks_when: "REGISTER with SERVICE ACTION RESERVATION KEY zero registers",
    },
    Property {
        id: "lun/generation-steps",
        invariant: "PR",
        claim: "PRgeneration steps by one when registrations change, never by more, and starts at zero.",
        source: "SPC-4 5.7.8, 6.15.2",
        why: "Initiators compare generations to learn that the keys they read are stale.",
        breaks_when: "a change of the registrations leaves PRgeneration as it was",
    },
    Property {
        id: "lun/reservation-ends-lawfully",
        invariant: "PR",
        claim: "A reservation ends by its holder, by CLEAR, by a PREEMPT that names its holder, or by power loss without APTPL.",
        source: "SPC-4 5.7.11",
        why: "A node may rely on its reservation only if nobody else can end it in another way.",
        breaks_when: "RELEASE by a registrant that is not the holder ends it",
    },
    Property {
        id: "lun/durable-with-aptpl",
        invariant: "V4",
        claim: "Registrations and reservation that were acknowledged with APTPL are there after a power cycle.",
        source: "SPC-4 5.7.5",
        why: "Otherwise every initiator may write until somebody reserves again.",
        breaks_when: "GOOD comes before the table is on stable storage",
    },
    Property {
        id: "lun/abort-is-final",
        invariant: "F1",
        claim: "After GOOD to PREEMPT AND ABORT nothing that the removed nexus sent before changes the medium.",
        source: "SPC-4 5.7.11.4, SAM-5 7.12",
        why: "A new owner reads the disk and relies on what it has read.",
        breaks_when: "GOOD comes while a write of the victim is at the back end",
    },
    Property {
        id: "lun/reset-is-final",
        invariant: "PR",
        claim: "After the response to a task management function no write that it ends changes the medium.",
        source: "SAM-5 7.1 to 7.7",
        why: "An initiator sends again what it has ended, and others what they were told was cleared.",
        breaks_when: "LOGICAL UNIT RESET is answered while the back end has a write",
    },
    Property {
        id: "lun/conflict-needs-reservation",
        invariant: "PR",
        claim: "RESERVATION CONFLICT is met only while somebody has a reservation, RESERVE's or a persistent one.",
        source: "SPC-2 5.5.1, SPC-4 5.7.1",
        why: "RESERVE belongs to a session: a unit that stays reserved after it is lost to everybody.",
        breaks_when: "RESERVE outlives the nexus, or takes the unit although there are registrations",
    },
    Property {
        id: "lun/legacy-excludes-persistent",
        invariant: "PR",
        claim: "While a unit is reserved by RESERVE, the persistent reservation commands meet RESERVATION CONFLICT.",
        source: "SPC-2 5.5.1",
        why: "Two kinds of reservation at once would leave open who may write.",
        breaks_when: "REGISTER is carried out under RESERVE of another nexus",
    },
    Property {
        id: "fabric/owner-unique",
        invariant: "V2",
        claim: "There are never two nodes whose writes would both take effect now.",
        source: "shared-nothing disk ownership of failover clusters",
        why: "Two writers that do not know of each other corrupt the file system.",
        breaks_when: "a node writes before its ownership is confirmed, or the table is lost in a restart",
    },
    Property {
        id: "fabric/no-evicted-write",
        invariant: "V3",
        claim: "No write that was issued under an older ownership takes effect after the new owner's first access.",
        source: "shared-nothing disk ownership of failover clusters",
        why: "The new owner has recovered its file system from what it has read; a late write corrupts it.",
        breaks_when: "writes of the old owner wait in a queue that the takeover does not empty",
    },
    Property {
        id: "fabric/progress",
        invariant: "V19",
        claim: "Once nothing disturbs the fabric any more, some node owns the disk within a stated time.",
        source: "availability target of the scenario (`chaos.recovery`)",
        why: "A fabric that is safe because it stands still is of no use.",
        breaks_when: "a registration that nobody can use keeps everybody out",
    },
    Property {
        id: "disk/flushed-survives",
        invariant: "D1",
        claim: "A write that was acknowledged and flushed is not lost by a power cycle.",
        source: "SBC-4 4.15 (volatile cache), SYNCHRONIZE CACHE",
        why: "Databases and file systems order their writes by flushes.",
        breaks_when: "the flush is answered before the cache is on the medium",
    },
    Property {
        id: "disk/reads-last-write",
        invariant: "D1",
        claim: "A read returns what was last written, or a write that may still be under way.",
        source: "SBC-4 4.15",
        why: "Everything above the disk assumes it.",
        breaks_when: "an access is served from the wrong place, or a write takes effect twice",
    },
];

/// The property with this identifier.
pub fn find(id: &str) -> Option<&'static Property> {
    CATALOGUE.iter().find(|property| property.id == id)
}
