//! The families of mutations: what is done, where it can be done, and why nothing allows it.

use super::Kind;
use super::lives::Life;
use crate::{Header, Stamped};
use redline_vocab::{
    Command, Data, Disposition, Epoch, Event, Generation, Guard, Key, LunView, Nexus, NodeId, PrType, Reply,
    Sense, ServiceAction, Status, Tag,
};

/// One change of a trace. Positions are indices into the good trace, except `illegal`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Edit {
    change: Change,
    /// Index, in the bad trace, of the first illegal event.
    pub(super) illegal: usize,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Change {
    Drop(usize),
    Swap(usize, usize),
    Replace(usize, Event),
    Insert(usize, Event),
}

impl Edit {
    /// Without the event at `at`; `illegal` stands after it.
    fn drop(at: usize, illegal: usize) -> Edit {
        Edit { change: Change::Drop(at), illegal: illegal - 1 }
    }
    /// With the events at these places exchanged; the one that comes too early is illegal.
    fn swap(earlier: usize, later: usize) -> Edit {
        Edit { change: Change::Swap(earlier, later), illegal: earlier }
    }
    /// With another event at `at`, illegal itself.
    fn replace(at: usize, event: Event) -> Edit {
        Edit { change: Change::Replace(at, event), illegal: at }
    }
    /// With an event added before the one at `at`, illegal itself.
    fn insert(at: usize, event: Event) -> Edit {
        Edit { change: Change::Insert(at, event), illegal: at }
    }
    /// With the event at `at` repeated; the second one is illegal.
    fn repeat(events: &[Stamped], at: usize) -> Edit {
        Edit::insert(at + 1, events[at].event.clone())
    }

    /// The bad trace. Times belong to places, so they stay in order.
    pub(super) fn apply(&self, good: &[Stamped]) -> Vec<Stamped> {
        let mut bad = good.to_vec();
        match &self.change {
            Change::Drop(at) => {
                bad.remove(*at);
            }
            Change::Swap(earlier, later) => {
                bad[*earlier].event = good[*later].event.clone();
                bad[*later].event = good[*earlier].event.clone();
            }
            Change::Replace(at, event) => bad[*at].event = event.clone(),
            Change::Insert(at, event) => {
                // An event that follows another shares its time.
                let time = bad[at.saturating_sub(1)].at;
                bad.insert(*at, Stamped { seq: 0, at: time, event: event.clone() });
            }
        }
        for (seq, stamped) in (1..).zip(&mut bad) {
            stamped.seq = seq;
        }
        bad
    }
}

/// Where a family looks for its sites.
enum Look {
    /// At the life of each command.
    Lives(fn(&Header, &[Stamped], &Life) -> Option<Edit>),
    /// At pairs of commands that one nexus sent one after the other.
    Pairs(fn(&Life, &Life) -> Option<Edit>),
    /// At each event.
    Events(fn(&Header, usize, &Event) -> Option<Edit>),
}

/// Mutations of one sort.
pub(super) struct Family {
    pub(super) kind: Kind,
    pub(super) name: &'static str,
    pub(super) note: &'static str,
    look: Look,
}

impl Family {
    /// Every place where this mutation can be made.
    pub(super) fn sites(&self, header: &Header, events: &[Stamped], lives: &[Life]) -> Vec<Edit> {
        match self.look {
            Look::Lives(edit) => lives.iter().filter_map(|life| edit(header, events, life)).collect(),
            Look::Events(edit) => events
                .iter()
                .enumerate()
                .filter_map(|(at, stamped)| edit(header, at, &stamped.event))
                .collect(),
            Look::Pairs(edit) => lives
                .iter()
                .enumerate()
                .filter_map(|(at, first)| {
                    let second = lives[at + 1..].iter().find(|other| other.nexus == first.nexus)?;
                    edit(first, second)
                })
                .collect(),
        }
    }
}

macro_rules! families {
    ($($kind:ident $name:literal, $note:literal, $look:ident($edit:expr);)*) => {
        /// All families, grouped by kind.
        pub(super) const FAMILIES: &[Family] = &[
            $(Family { kind: Kind::$kind, name: $name, note: $note, look: Look::$look($edit) },)*
        ];
    };
}

families! {
    Dropped "sent", "what was never sent cannot be dispatched or answered",
        Lives(|_, _, life| Some(Edit::drop(life.sent, life.dispatched.map(|(at, _)| at).or(life.received)?)));
    Dropped "dispatched", "a task that never entered the task set cannot go to the back end",
        Lives(|_, events, life| {
            let at = life.dispatched?.0;
            // Within a session commands are taken in order: the next one cannot be taken either.
            let next = events[at + 1..].iter().position(
                |later| matches!(later.event, Event::Dispatched { nexus, .. } if nexus == life.nexus),
            );
            let missed = life.submitted?;
            Some(Edit::drop(at, next.map_or(missed, |next| missed.min(at + 1 + next))))
        });
    Dropped "submitted", "a task that never went to the back end cannot take effect",
        Lives(|_, _, life| Some(Edit::drop(life.submitted?, life.committed?)));
    Dropped "committed", "a write that never took effect cannot be answered GOOD",
        Lives(|_, events, life| {
            let replied = life.replied.filter(|at| status_of(&events[*at].event) == Some(Status::Good))?;
            Some(Edit::drop(life.committed?, replied))
        });
    Dropped "replied", "a reply that was never given cannot arrive",
        Lives(|_, events, life| {
            let at = life.replied?;
            // The step that ends a command answers it: nothing happens at the target or on the wires before.
            let next = events[at + 1..].iter().position(|later| !is_of_nodes(&later.event))?;
            life.received?;
            Some(Edit::drop(at, at + 1 + next))
        });

    Swapped "sent-dispatched", "a command is dispatched before it is sent",
        Lives(|_, _, life| Some(Edit::swap(life.sent, life.dispatched?.0)));
    Swapped "sent-received", "a reply arrives before its command is sent",
        Lives(|_, _, life| Some(Edit::swap(life.sent, life.received?)));
    Swapped "dispatched-submitted", "a task goes to the back end before it enters the task set",
        Lives(|_, _, life| Some(Edit::swap(life.dispatched?.0, life.submitted?)));
    Swapped "submitted-committed", "a task takes effect before it goes to the back end",
        Lives(|_, _, life| Some(Edit::swap(life.submitted?, life.committed?)));
    Swapped "replied-received", "a reply arrives before it is given",
        Lives(|_, _, life| Some(Edit::swap(life.replied?, life.received?)));
    Swapped "dispatch-order", "within a session commands are taken in the order in which they were sent",
        Pairs(|first, second| {
            let (earlier, later) = (first.dispatched?.0, second.dispatched?.0);
            (second.sent < earlier && earlier < later).then(|| Edit::swap(earlier, later))
        });
    Swapped "receive-order", "within a session replies arrive in the order in which they were given",
        Pairs(|first, second| {
            let (earlier, later) = (first.received?, second.received?);
            (second.replied? < earlier && first.replied? < second.replied? && earlier < later)
                .then(|| Edit::swap(earlier, later))
        });
    Swapped "abort-answered-early", "PREEMPT AND ABORT answers before a write of its victims is over",
        Lives(|header, events, life| {
            let held = matches!(life.dispatched?.1, Disposition::Held) && header.design.has(Guard::AbortQuiesces);
            let replied = life.replied?;
            // The reply follows within the step of the last write that it waited for.
            let before = replied.checked_sub(1)?;
            (held && matches!(events[before].event, Event::Committed { .. })).then(|| Edit::swap(before, replied))
        });

    Altered "enabled-to-conflict", "a write that the reservation allows is refused",
        Lives(|_, _, life| disposed(life, is_write, is_enabled, conflict()));
    Altered "enabled-to-good", "a write is answered GOOD without being done",
        Lives(|_, _, life| disposed(life, is_write, is_enabled, Disposition::Answered(Status::Good)));
    Altered "conflict-to-enabled", "a write that the reservation forbids is admitted",
        Lives(|header, _, life| {
            let checked = header.design.has(Guard::ConflictCheck);
            disposed(life, is_write, |was| was == conflict(), Disposition::Enabled).filter(|_| checked)
        });
    Altered "register-to-conflict", "REGISTER AND IGNORE EXISTING KEY never meets a reservation conflict",
        Lives(|_, _, life| disposed(life, is_register_and_ignore, is_good, conflict()));
    Altered "held-to-good", "PREEMPT AND ABORT answers while writes of its victims are at the back end",
        Lives(|header, _, life| {
            let quiesces = header.design.has(Guard::AbortQuiesces);
            let good = Disposition::Answered(Status::Good);
            disposed(life, |_| true, |was| was == Disposition::Held, good).filter(|_| quiesces)
        });
    Altered "reply-status", "a write that took effect is answered RESERVATION CONFLICT",
        Lives(|_, events, life| {
            let replied = life.replied.filter(|at| status_of(&events[*at].event) == Some(Status::Good))?;
            life.committed?;
            let reply = Reply::of(Status::ReservationConflict);
            Some(Edit::replace(replied, Event::Replied { nexus: life.nexus, tag: life.tag, reply }))
        });
    Altered "received-status", "what arrives is not what was replied",
        Lives(|_, events, life| {
            life.replied?;
            let received = life.received?;
            let other = match status_of(&events[received].event)? {
                Status::Good => Status::CheckCondition(Sense::POWER_ON),
                Status::CheckCondition(_) | Status::ReservationConflict | Status::TaskSetFull | Status::TaskAborted => {
                    Status::Good
                }
            };
            let reply = Reply::of(other);
            Some(Edit::replace(received, Event::Received { nexus: life.nexus, tag: life.tag, reply }))
        });
    Altered "replied-data", "the reply shows keys or a reservation that the table does not have",
        Events(|_, at, event| if let Event::Replied { nexus, tag, reply } = event {
                let reply = Reply { status: reply.status, data: other_data(&reply.data)? };
                Some(Edit::replace(at, Event::Replied { nexus: *nexus, tag: *tag, reply }))
        } else { None });
    Altered "generation", "PRgeneration steps by two",
        Events(|_, at, event| table(event, |view| view.generation = Generation(view.generation.0.wrapping_add(1)))
            .map(|event| Edit::replace(at, event)));
    Altered "registrant-lost", "a registration vanishes without a command",
        Events(|_, at, event| {
            // Without registrants there is no reservation either, so that the view stays well-formed.
            let event = table(event, |view| {
                view.registrants.pop();
                view.reservation = view.reservation.filter(|_| !view.registrants.is_empty());
            });
            event.map(|event| Edit::replace(at, event))
        });
    Altered "reservation-type", "the reservation has another type than the command asked for",
        Events(|_, at, event| {
            let event = table(event, |view| {
                if let Some(reservation) = &mut view.reservation {
                    reservation.kind = other_kind(reservation.kind);
                }
            });
            event.map(|event| Edit::replace(at, event))
        });
    Altered "epoch", "the epoch of an owner is one more than that of the record it read (R6)",
        Events(|_, at, event| if let Event::Owned { node, epoch } = event {
                Some(Edit::replace(at, Event::Owned { node: *node, epoch: Epoch(epoch.0 + 5) }))
        } else { None });
    Altered "commit-tag", "a task takes effect that was never sent",
        Lives(|_, _, life| Some(Edit::replace(life.committed?, Event::Committed { nexus: life.nexus, tag: STRANGER })));

    Altered "function-to-conflict", "no reservation refuses a task management function",
        Lives(|_, _, life| disposed(life, is_function, is_good, conflict()));
    Altered "function-held-to-good", "a task management function answers while the back end has a command that it ends",
        Lives(|_, _, life| {
            let good = Disposition::Answered(Status::Good);
            disposed(life, is_function, |was| was == Disposition::Held, good)
        });

    Duplicated "dispatched", "a command is taken from the transport twice",
        Lives(|_, events, life| Some(Edit::repeat(events, life.dispatched?.0)));
    Duplicated "submitted", "a task goes to the back end twice",
        Lives(|_, events, life| Some(Edit::repeat(events, life.submitted?)));
    Duplicated "committed", "a task takes effect twice",
        Lives(|_, events, life| Some(Edit::repeat(events, life.committed?)));
    Duplicated "replied", "a command is answered twice",
        Lives(|_, events, life| Some(Edit::repeat(events, life.replied?)));
    Duplicated "received", "a reply arrives twice",
        Lives(|_, events, life| Some(Edit::repeat(events, life.received?)));

    Invented "received", "a reply arrives to a command that was never sent",
        Lives(|_, _, life| {
            let reply = Reply::of(Status::Good);
            Some(Edit::insert(life.sent, Event::Received { nexus: life.nexus, tag: STRANGER, reply }))
        });
    Invented "dispatched", "a command is dispatched that was never sent",
        Lives(|_, _, life| {
            let disposition = Disposition::Answered(Status::Good);
            let event = Event::Dispatched { nexus: life.nexus, tag: STRANGER, disposition };
            Some(Edit::insert(life.dispatched?.0, event))
        });
    Invented "committed", "a task takes effect that was never submitted",
        Lives(|_, _, life| {
            Some(Edit::insert(life.submitted?, Event::Committed { nexus: life.nexus, tag: STRANGER }))
        });
    Invented "replied", "a command is answered that was never sent",
        Lives(|_, _, life| {
            let reply = Reply::of(Status::Good);
            Some(Edit::insert(life.replied?, Event::Replied { nexus: life.nexus, tag: STRANGER, reply }))
        });
    Invented "registrant", "a registration appears without a command",
        Events(|_, at, event| if let Event::TableChanged { view } = event {
                let mut view = view.clone();
                view.generation = Generation(view.generation.0.wrapping_add(1));
                view.registrants.push((Nexus(u8::MAX), Key(0xbad)));
                Some(Edit::insert(at + 1, Event::TableChanged { view }))
        } else { None });
    Invented "owner", "a node owns the disk without having arbitrated",
        Events(|header, at, event| if let (Event::Owned { node, epoch }, true) = (event, header.nodes > 1) {
                let node = NodeId((node.0 + 1) % header.nodes);
                Some(Edit::insert(at + 1, Event::Owned { node, epoch: Epoch(epoch.0 + 1) }))
        } else { None });
}

/// Whether the event happens inside a node, or is told by the simulator: the target has no part in it.
fn is_of_nodes(event: &Event) -> bool {
    matches!(
        event,
        Event::Issued { .. }
            | Event::Forgotten { .. }
            | Event::Challenged { .. }
            | Event::WaitEnded { .. }
            | Event::Defended { .. }
            | Event::Owned { .. }
            | Event::Lost { .. }
            | Event::Fence { .. }
            | Event::Drained { .. }
            | Event::Stalled { .. }
            | Event::Woke { .. }
            | Event::Crashed { .. }
            | Event::Restarted { .. }
            | Event::FaultInjected { .. }
            | Event::FaultHealed { .. }
    )
}

/// A tag that no initiator uses: they count from 1.
const STRANGER: Tag = Tag(u32::MAX);

fn conflict() -> Disposition {
    Disposition::Answered(Status::ReservationConflict)
}

fn is_enabled(disposition: Disposition) -> bool {
    disposition == Disposition::Enabled
}

fn is_good(disposition: Disposition) -> bool {
    disposition == Disposition::Answered(Status::Good)
}

fn is_write(command: &Command) -> bool {
    matches!(command, Command::Write { extent, .. } if extent.blocks > 0)
}

fn is_function(command: &Command) -> bool {
    matches!(command, Command::Manage(_))
}

fn is_register_and_ignore(command: &Command) -> bool {
    matches!(command, Command::PrOut(out) if out.action == ServiceAction::RegisterAndIgnoreExistingKey)
}

/// The command's dispatch with another disposition, if command and disposition are of the kind looked for.
fn disposed(
    life: &Life,
    command: impl Fn(&Command) -> bool,
    was: impl Fn(Disposition) -> bool,
    now: Disposition,
) -> Option<Edit> {
    let (at, disposition) = life.dispatched?;
    let fits = command(&life.command) && was(disposition);
    fits.then(|| Edit::replace(at, Event::Dispatched { nexus: life.nexus, tag: life.tag, disposition: now }))
}

fn status_of(event: &Event) -> Option<Status> {
    if let Event::Replied { reply, .. } | Event::Received { reply, .. } = event {
        Some(reply.status)
    } else {
        None
    }
}

/// The same table event with another view, if the change makes a difference.
fn table(event: &Event, change: impl FnOnce(&mut LunView)) -> Option<Event> {
    let altered = |view: &LunView| {
        let mut other = view.clone();
        change(&mut other);
        (other != *view).then_some(other)
    };
    if let Event::TableChanged { view } = event {
        altered(view).map(|view| Event::TableChanged { view })
    } else {
        None
    }
}

fn other_kind(kind: PrType) -> PrType {
    match kind {
        PrType::WriteExclusive => PrType::ExclusiveAccess,
        PrType::ExclusiveAccess => PrType::WriteExclusive,
        PrType::WriteExclusiveRegistrantsOnly => PrType::ExclusiveAccessRegistrantsOnly,
        PrType::ExclusiveAccessRegistrantsOnly => PrType::WriteExclusiveRegistrantsOnly,
        PrType::WriteExclusiveAllRegistrants => PrType::ExclusiveAccessAllRegistrants,
        PrType::ExclusiveAccessAllRegistrants => PrType::WriteExclusiveAllRegistrants,
    }
}

/// Data that another table would give; `None` where the table alone does not decide the data.
fn other_data(data: &Data) -> Option<Data> {
    match data {
        Data::Keys { generation, keys } => {
            let keys = keys.iter().copied().chain([Key(0xbad)]).collect();
            Some(Data::Keys { generation: *generation, keys })
        }
        Data::Reservation { generation, held: Some(_) } => {
            Some(Data::Reservation { generation: *generation, held: None })
        }
        Data::Reservation { generation, held: None } => {
            let held = redline_vocab::Held { key: Key(0xbad), kind: PrType::ExclusiveAccess };
            Some(Data::Reservation { generation: *generation, held: Some(held) })
        }
        Data::Nothing
        | Data::Capabilities(_)
        | Data::FullStatus { .. }
        | Data::Blocks(_)
        | Data::Managed(_) => None,
    }
}
