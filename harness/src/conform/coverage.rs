//! Which situations a run has been in: so that a report can say "n of m covered" instead of "many events".
//!
//! A key is the kind of event, the command that it is about, what was answered, and the situation of the nexus or
//! node it concerns - coarse enough to be enumerated by exhausting a small model, fine enough that a
//! chaos run which never met, say, a refused PREEMPT AND ABORT of a registrant shows the gap. Keys are computed
//! from events alone, by the same function for traces of the fabric and for transitions of the model: neither can
//! tune it to look well.

use redline_vocab::{
    Command, Disposition, Event, Holder, LunView, Nexus, PrIn, PrOut, PrType, Sense, ServiceAction, Status,
};

const COMMANDS: [&str; 20] = [
    "READ",
    "WRITE",
    "SYNCHRONIZE CACHE",
    "READ KEYS",
    "READ RESERVATION",
    "REPORT CAPABILITIES",
    "READ FULL STATUS",
    "REGISTER",
    "RESERVE",
    "RELEASE",
    "CLEAR",
    "PREEMPT",
    "PREEMPT AND ABORT",
    "REGISTER AND IGNORE EXISTING KEY",
    "REGISTER AND MOVE",
    "REPLACE LOST RESERVATION",
    "another command",
    "RESERVE (SPC-2)",
    "RELEASE (SPC-2)",
    "a task management function",
];
const ANSWERS: [&str; 8] = [
    "GOOD",
    "a unit attention",
    "another CHECK CONDITION",
    "RESERVATION CONFLICT",
    "TASK SET FULL",
    "TASK ABORTED",
    "into the task set",
    "GOOD held back",
];
const SITUATIONS: [&str; 9] = [
    "no reservation",
    "holder of WE or EA",
    "registrant beside the holder of WE or EA",
    "stranger beside the holder of WE or EA",
    "holder of a registrants-only type",
    "registrant under a registrants-only type",
    "stranger under a registrants-only type",
    "holder of an all-registrants type",
    "stranger under an all-registrants type",
];
const TASK_EVENTS: [&str; 4] = ["submitted", "committed", "aborted", "forgotten"];
const NODE_EVENTS: [&str; 11] = [
    "issued",
    "challenged",
    "wait-ended",
    "defended",
    "owned",
    "lost",
    "drained",
    "stalled",
    "woke",
    "crashed",
    "restarted",
];
const FENCE: [&str; 2] = ["fence closed", "fence open"];
const OTHERS: [&str; 8] = [
    "table-changed",
    "table-persisted",
    "logged-in",
    "connection-lost",
    "nexus-lost",
    "power-lost",
    "powered-on",
    "logged-out",
];

const DISPATCHED: usize = 0;
const RECEIVED: usize = DISPATCHED + COMMANDS.len() * ANSWERS.len() * SITUATIONS.len();
const TASKS: usize = RECEIVED + COMMANDS.len() * ANSWERS.len() * FENCE.len();
const NODES: usize = TASKS + TASK_EVENTS.len() * COMMANDS.len() * SITUATIONS.len();
const REST: usize = NODES + NODE_EVENTS.len() * FENCE.len();
const KEYS: usize = REST + OTHERS.len();
const WORDS: usize = KEYS.div_ceil(64);

/// What has to be known to place an event.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The table before the event.
    pub table: &'a LunView,
    /// The command that the event is about.
    pub command: Option<&'a Command>,
    /// Whether the host fence of the node concerned was open before the event.
    pub fence_open: bool,
}

/// A set of keys.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Coverage([u64; WORDS]);

impl Coverage {
    /// Nothing covered.
    pub const NONE: Coverage = Coverage([0; WORDS]);

    /// Adds the key of the event, if it has one (faults, sends and replies on their way have none).
    pub fn see(&mut self, event: &Event, context: Context<'_>) {
        if let Some(key) = key(event, context) {
            self.0[key / 64] |= 1 << (key % 64);
        }
    }

    /// Adds what the other has.
    pub fn merge(&mut self, other: &Coverage) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine |= theirs;
        }
    }

    /// How many keys it has.
    pub fn count(&self) -> u64 {
        self.0.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    /// How many of the other's keys it has.
    pub fn count_of(&self, all: &Coverage) -> u64 {
        self.0.iter().zip(all.0).map(|(mine, theirs)| u64::from((mine & theirs).count_ones())).sum()
    }

    /// The other's keys that it lacks, in words.
    pub fn missing(&self, all: &Coverage) -> impl Iterator<Item = String> {
        (0..KEYS).filter(|key| all.has(*key) && !self.has(*key)).map(name)
    }

    /// Its keys in words.
    pub fn names(&self) -> impl Iterator<Item = String> {
        (0..KEYS).filter(|key| self.has(*key)).map(name)
    }

    const fn has(&self, key: usize) -> bool {
        self.0[key / 64] & (1 << (key % 64)) != 0
    }
}

fn key(event: &Event, context: Context<'_>) -> Option<usize> {
    let fence = usize::from(context.fence_open);
    let node = |at: usize| Some(NODES + at * FENCE.len() + fence);
    match event {
        Event::Dispatched { nexus, disposition, .. } => {
            let command = command_class(context.command?);
            let situation = situation(context.table, *nexus);
            Some(DISPATCHED + (command * ANSWERS.len() + answer(*disposition)) * SITUATIONS.len() + situation)
        }
        Event::Received { reply, .. } => {
            let command = command_class(context.command?);
            Some(RECEIVED + (command * ANSWERS.len() + status_class(reply.status)) * FENCE.len() + fence)
        }
        Event::Submitted { nexus, .. } => task(0, *nexus, context),
        Event::Committed { nexus, .. } => task(1, *nexus, context),
        Event::Aborted { nexus, .. } => task(2, *nexus, context),
        Event::Forgotten { nexus, .. } => task(3, *nexus, context),
        Event::Issued { .. } => node(0),
        Event::Challenged { .. } => node(1),
        Event::WaitEnded { .. } => node(2),
        Event::Defended { .. } => node(3),
        Event::Owned { .. } => node(4),
        Event::Lost { .. } => node(5),
        Event::Drained { .. } => node(6),
        Event::Stalled { .. } => node(7),
        Event::Woke { .. } => node(8),
        Event::Crashed { .. } => node(9),
        Event::Restarted { .. } => node(10),
        Event::TableChanged { .. } => Some(REST),
        Event::TablePersisted => Some(REST + 1),
        Event::LoggedIn { .. } => Some(REST + 2),
        Event::ConnectionLost { .. } => Some(REST + 3),
        Event::NexusLost { .. } => Some(REST + 4),
        Event::PowerLost => Some(REST + 5),
        Event::PoweredOn { .. } => Some(REST + 6),
        Event::LoggedOut { .. } => Some(REST + 7),
        Event::Sent { .. }
        | Event::Replied { .. }
        | Event::Fence { .. }
        | Event::FaultInjected { .. }
        | Event::FaultHealed { .. } => None,
    }
}

fn task(event: usize, nexus: Nexus, context: Context<'_>) -> Option<usize> {
    let command = command_class(context.command?);
    Some(TASKS + (event * COMMANDS.len() + command) * SITUATIONS.len() + situation(context.table, nexus))
}

/// The key in words.
fn name(key: usize) -> String {
    if key >= REST {
        OTHERS[key - REST].to_owned()
    } else if key >= NODES {
        let at = key - NODES;
        format!("{}, {}", NODE_EVENTS[at / FENCE.len()], FENCE[at % FENCE.len()])
    } else if key >= TASKS {
        let at = key - TASKS;
        let (event, rest) =
            (at / (COMMANDS.len() * SITUATIONS.len()), at % (COMMANDS.len() * SITUATIONS.len()));
        format!(
            "{} {}, {}",
            COMMANDS[rest / SITUATIONS.len()],
            TASK_EVENTS[event],
            SITUATIONS[rest % SITUATIONS.len()]
        )
    } else if key >= RECEIVED {
        let at = key - RECEIVED;
        let pair = at / FENCE.len();
        format!(
            "{} received for {}, {}",
            ANSWERS[pair % ANSWERS.len()],
            COMMANDS[pair / ANSWERS.len()],
            FENCE[at % FENCE.len()]
        )
    } else {
        let pair = key / SITUATIONS.len();
        format!(
            "{} dispatched: {}, {}",
            COMMANDS[pair / ANSWERS.len()],
            ANSWERS[pair % ANSWERS.len()],
            SITUATIONS[key % SITUATIONS.len()]
        )
    }
}

const fn command_class(command: &Command) -> usize {
    match command {
        Command::Read(_) => 0,
        Command::Write { .. } => 1,
        Command::SynchronizeCache => 2,
        Command::PrIn(what) => match what {
            PrIn::ReadKeys => 3,
            PrIn::ReadReservation => 4,
            PrIn::ReportCapabilities => 5,
            PrIn::ReadFullStatus => 6,
        },
        Command::PrOut(PrOut { action, .. }) => match action {
            ServiceAction::Register => 7,
            ServiceAction::Reserve => 8,
            ServiceAction::Release => 9,
            ServiceAction::Clear => 10,
            ServiceAction::Preempt => 11,
            ServiceAction::PreemptAndAbort => 12,
            ServiceAction::RegisterAndIgnoreExistingKey => 13,
            ServiceAction::RegisterAndMove => 14,
            ServiceAction::ReplaceLostReservation => 15,
        },
        Command::Other(_) => 16,
        Command::LegacyReserve => 17,
        Command::LegacyRelease => 18,
        Command::Manage(_) => 19,
    }
}

const fn status_class(status: Status) -> usize {
    match status {
        Status::Good => 0,
        Status::CheckCondition(Sense { key: 0x06, .. }) => 1,
        Status::CheckCondition(_) => 2,
        Status::ReservationConflict => 3,
        Status::TaskSetFull => 4,
        Status::TaskAborted => 5,
    }
}

const fn answer(disposition: Disposition) -> usize {
    match disposition {
        Disposition::Answered(status) => status_class(status),
        Disposition::Enabled => 6,
        Disposition::Held => 7,
    }
}

fn situation(table: &LunView, nexus: Nexus) -> usize {
    let Some(reservation) = table.reservation else { return 0 };
    let registered = table.registrants.iter().any(|(registrant, _)| *registrant == nexus);
    let holder = reservation.holder == Holder::Nexus(nexus);
    match reservation.kind {
        PrType::WriteExclusive | PrType::ExclusiveAccess => 1 + rank(holder, registered),
        PrType::WriteExclusiveRegistrantsOnly | PrType::ExclusiveAccessRegistrantsOnly => {
            4 + rank(holder, registered)
        }
        PrType::WriteExclusiveAllRegistrants | PrType::ExclusiveAccessAllRegistrants => {
            7 + usize::from(!registered)
        }
    }
}

const fn rank(holder: bool, registered: bool) -> usize {
    match (holder, registered) {
        (true, _) => 0,
        (false, true) => 1,
        (false, false) => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use redline_vocab::{Generation, Key, NodeId, Reservation, Tag};
    use std::collections::BTreeSet;

    fn table() -> LunView {
        LunView {
            generation: Generation(1),
            registrants: vec![(Nexus(0), Key(1)), (Nexus(1), Key(2))],
            reservation: Some(Reservation {
                kind: PrType::WriteExclusiveRegistrantsOnly,
                holder: Holder::Nexus(Nexus(0)),
            }),
            aptpl: true,
        }
    }

    #[test]
    fn every_key_has_a_name_of_its_own() {
        let names: BTreeSet<_> = (0..KEYS).map(name).collect();
        assert_eq!(names.len(), KEYS);
    }

    #[test]
    fn an_event_is_placed_by_command_answer_and_situation() {
        let table = table();
        let command = Command::PrOut(PrOut::new(ServiceAction::PreemptAndAbort));
        let context = Context { table: &table, command: Some(&command), fence_open: false };
        let mut coverage = Coverage::NONE;
        for (nexus, disposition) in [
            (0, Disposition::Held),
            (1, Disposition::Held),
            (2, Disposition::Answered(Status::ReservationConflict)),
        ] {
            coverage.see(&Event::Dispatched { nexus: Nexus(nexus), tag: Tag(1), disposition }, context);
        }
        let owned = Event::Owned { node: NodeId(0), epoch: redline_vocab::Epoch(1) };
        coverage.see(&owned, context);
        assert_eq!(
            coverage.names().collect::<Vec<_>>(),
            [
                "PREEMPT AND ABORT dispatched: RESERVATION CONFLICT, stranger under a registrants-only type",
                "PREEMPT AND ABORT dispatched: GOOD held back, holder of a registrants-only type",
                "PREEMPT AND ABORT dispatched: GOOD held back, registrant under a registrants-only type",
                "owned, fence closed",
            ]
        );
        let mut part = Coverage::NONE;
        part.see(&owned, context);
        assert_eq!((part.count_of(&coverage), coverage.count()), (1, 4));
        assert_eq!(part.missing(&coverage).count(), 3);
        part.merge(&coverage);
        assert_eq!(part, coverage);
    }
}
