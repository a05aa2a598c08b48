//! Events in words, and how near two events are to each other.
//!
//! Words are for people who know storage: what a divergence refused, and what would have been accepted. Nearness
//! picks the one alternative worth reading first; it decides nothing.

use redline_traces::export::{fault_phrase, function_phrase, managed_phrase, ports_phrase, reason_phrase};
use redline_vocab::{
    Block, Command, Data, Disposition, Event, Extent, Holder, LunView, PrIn, PrOut, PrType, Record, Reply,
    ServiceAction, Status,
};

/// Kind of the event, as it is called in traces.
pub const fn kind(event: &Event) -> &'static str {
    match event {
        Event::Issued { .. } => "issued",
        Event::Sent { .. } => "sent",
        Event::Dispatched { .. } => "dispatched",
        Event::Submitted { .. } => "submitted",
        Event::Committed { .. } => "committed",
        Event::Aborted { .. } => "aborted",
        Event::Replied { .. } => "replied",
        Event::Received { .. } => "received",
        Event::Forgotten { .. } => "forgotten",
        Event::TableChanged { .. } => "table-changed",
        Event::TablePersisted => "table-persisted",
        Event::LoggedIn { .. } => "logged-in",
        Event::ConnectionLost { .. } => "connection-lost",
        Event::LoggedOut { .. } => "logged-out",
        Event::NexusLost { .. } => "nexus-lost",
        Event::PowerLost => "power-lost",
        Event::PoweredOn { .. } => "powered-on",
        Event::Challenged { .. } => "challenged",
        Event::WaitEnded { .. } => "wait-ended",
        Event::Defended { .. } => "defended",
        Event::Owned { .. } => "owned",
        Event::Lost { .. } => "lost",
        Event::Fence { .. } => "fence",
        Event::Drained { .. } => "drained",
        Event::Stalled { .. } => "stalled",
        Event::Woke { .. } => "woke",
        Event::Crashed { .. } => "crashed",
        Event::Restarted { .. } => "restarted",
        Event::FaultInjected { .. } => "fault-injected",
        Event::FaultHealed { .. } => "fault-healed",
    }
}

/// The event in one clause, as in "the target answers nexus 1, tag 7: RESERVATION CONFLICT".
pub fn sentence(event: &Event) -> String {
    match event {
        Event::Issued { node, extent, record } => {
            format!("{node} issues {} to {}", record_words(*record), extent_words(*extent))
        }
        Event::Sent { nexus, tag, command } => format!("{nexus} sends {} ({tag})", command_words(command)),
        Event::Dispatched { nexus, tag, disposition } => {
            let what = match disposition {
                Disposition::Answered(status) => format!("decides {status}"),
                Disposition::Enabled => "puts it into the task set".to_owned(),
                Disposition::Held => "carries it out and holds the answer back".to_owned(),
            };
            format!("the target takes the command of {nexus} ({tag}) and {what}")
        }
        Event::Submitted { nexus, tag } => format!("the task of {nexus} ({tag}) goes to the back end"),
        Event::Committed { nexus, tag } => format!("the task of {nexus} ({tag}) takes effect"),
        Event::Aborted { nexus, tag } => format!("the task of {nexus} ({tag}) is aborted"),
        Event::Replied { nexus, tag, reply } => {
            format!("the target answers {nexus} ({tag}): {}", reply_words(reply))
        }
        Event::Received { nexus, tag, reply } => {
            format!("{nexus} receives the answer to {tag}: {}", reply_words(reply))
        }
        Event::Forgotten { nexus, tag } => {
            format!("{nexus} gives up waiting for {tag}; its outcome is unknown")
        }
        Event::TableChanged { view } => format!("the table becomes {}", view_words(view)),
        Event::TablePersisted => "the table is written to stable storage".to_owned(),
        Event::LoggedIn { node, nexus } => format!("{node} logs in on {nexus}"),
        Event::ConnectionLost { nexus } => format!("the connection of {nexus} breaks"),
        Event::LoggedOut { nexus } => format!("{nexus} logs out"),
        Event::NexusLost { nexus } => format!("the target gives {nexus} up"),
        Event::PowerLost => "the target loses power".to_owned(),
        Event::PoweredOn { view } => format!("the target comes up with {}", view_words(view)),
        Event::Challenged { node } => format!("{node} begins to arbitrate"),
        Event::WaitEnded { node } => format!("the challenge wait of {node} ends"),
        Event::Defended { node } => format!("{node} begins a round of defence"),
        Event::Owned { node, epoch } => format!("{node} owns the disk in {epoch}"),
        Event::Lost { node, reason } => format!("{node} has lost the disk ({})", reason_phrase(*reason)),
        Event::Fence { node, open } => {
            format!("the host fence of {node} {}", if *open { "opens" } else { "closes" })
        }
        Event::Drained { node, writes } => format!("{node} drops {writes} queued writes"),
        Event::Stalled { node } => format!("{node} is paused"),
        Event::Woke { node } => format!("{node} goes on"),
        Event::Crashed { node } => format!("{node} crashes"),
        Event::Restarted { node } => format!("{node} comes up again"),
        Event::FaultInjected { fault } => format!("the fault {} begins", fault_phrase(fault)),
        Event::FaultHealed { fault } => format!("the fault {} ends", fault_phrase(fault)),
    }
}

/// The command by its standard name, with what tells it apart.
pub fn command_words(command: &Command) -> String {
    match command {
        Command::Read(extent) => format!("READ of {}", extent_words(*extent)),
        Command::Write { extent, record } => {
            format!("WRITE of {} to {}", record_words(*record), extent_words(*extent))
        }
        Command::SynchronizeCache => "SYNCHRONIZE CACHE".to_owned(),
        Command::PrIn(what) => match what {
            PrIn::ReadKeys => "READ KEYS".to_owned(),
            PrIn::ReadReservation => "READ RESERVATION".to_owned(),
            PrIn::ReportCapabilities => "REPORT CAPABILITIES".to_owned(),
            PrIn::ReadFullStatus => "READ FULL STATUS".to_owned(),
        },
        Command::PrOut(pr) => pr_words(pr),
        Command::LegacyReserve => "RESERVE (SPC-2)".to_owned(),
        Command::LegacyRelease => "RELEASE (SPC-2)".to_owned(),
        Command::Manage(function) => function_phrase(*function),
        Command::Other(name) => name.text().to_owned(),
    }
}

fn pr_words(pr: &PrOut) -> String {
    let kind = PrType::from_code(pr.kind).map_or("an invalid type", PrType::short);
    let details = match pr.action {
        ServiceAction::Register | ServiceAction::RegisterAndIgnoreExistingKey => {
            let aptpl = if pr.aptpl { ", APTPL" } else { "" };
            format!(" from {} to {}{aptpl}{}", pr.key, pr.service_key, ports_phrase(pr))
        }
        ServiceAction::Reserve | ServiceAction::Release => format!(" {kind} with {}", pr.key),
        ServiceAction::Clear => format!(" with {}", pr.key),
        ServiceAction::Preempt | ServiceAction::PreemptAndAbort => {
            format!(" of {} with {}, {kind}", pr.service_key, pr.key)
        }
        ServiceAction::RegisterAndMove => match pr.destination {
            Some(to) => format!(" to {to} as {}", pr.service_key),
            None => " to nobody".to_owned(),
        },
        ServiceAction::ReplaceLostReservation => String::new(),
    };
    format!("{}{details}", pr.action.name())
}

/// Status and data of a reply.
pub fn reply_words(reply: &Reply) -> String {
    let data = match &reply.data {
        Data::Nothing => String::new(),
        Data::Keys { generation, keys } => {
            let keys: Vec<_> = keys.iter().map(|key| format!("{:#x}", key.0)).collect();
            format!(", keys [{}] in {generation}", keys.join(", "))
        }
        Data::Reservation { generation, held: None } => format!(", no reservation in {generation}"),
        Data::Reservation { generation, held: Some(held) } => {
            format!(", {} held with {} in {generation}", held.kind.short(), held.key)
        }
        Data::Capabilities(capabilities) => format!(", {capabilities:?}"),
        Data::FullStatus { generation, entries } => {
            format!(", {} registrants in {generation}", entries.len())
        }
        Data::Managed(managed) => return managed_phrase(*managed).to_owned(),
        Data::Blocks(blocks) => {
            let blocks: Vec<_> = blocks.iter().map(|block| block_words(*block)).collect();
            format!(", blocks [{}]", blocks.join(", "))
        }
    };
    match reply.status {
        Status::Good => format!("GOOD{data}"),
        status => format!("{status}{data}"),
    }
}

/// Registrations and reservation of a view.
pub fn view_words(view: &LunView) -> String {
    let registrants: Vec<_> =
        view.registrants.iter().map(|(nexus, key)| format!("{nexus} with {key}")).collect();
    let registered =
        if registrants.is_empty() { "nobody registered".to_owned() } else { registrants.join(", ") };
    let held = match view.reservation {
        None => "no reservation".to_owned(),
        Some(reservation) => match reservation.holder {
            Holder::Nexus(nexus) => format!("{} held by {nexus}", reservation.kind.short()),
            Holder::AllRegistrants => format!("{} held by all registrants", reservation.kind.short()),
        },
    };
    format!("{registered}; {held}; {}; APTPL {}", view.generation, u8::from(view.aptpl))
}

fn record_words(record: Record) -> String {
    format!("{} of {} from {}", record.serial, record.epoch, record.writer)
}

fn extent_words(extent: Extent) -> String {
    match extent.blocks {
        1 => format!("block {}", extent.lba.0),
        blocks => format!("{blocks} blocks from {}", extent.lba.0),
    }
}

fn block_words(block: Block) -> String {
    match block {
        Block::Blank => "blank".to_owned(),
        Block::Of(record) => record_words(record),
        Block::Corrupt => "damaged".to_owned(),
    }
}

/// How far two events are apart: 0 if equal, least for another status or content of the same answer, most for
/// another kind of event about somebody else.
pub fn distance(one: &Event, other: &Event) -> u32 {
    if one == other {
        return 0;
    }
    let kind_differs = u32::from(kind(one) != kind(other)) * 8;
    let subject_differs = u32::from(subject(one) != subject(other)) * 4;
    let tag_differs = u32::from(tag(one) != tag(other)) * 2;
    1 + kind_differs + subject_differs + tag_differs
}

/// The nexus or node that the event is about.
const fn subject(event: &Event) -> Option<u8> {
    match event {
        Event::Sent { nexus, .. }
        | Event::Dispatched { nexus, .. }
        | Event::Submitted { nexus, .. }
        | Event::Committed { nexus, .. }
        | Event::Aborted { nexus, .. }
        | Event::Replied { nexus, .. }
        | Event::Received { nexus, .. }
        | Event::Forgotten { nexus, .. }
        | Event::ConnectionLost { nexus }
        | Event::LoggedOut { nexus }
        | Event::NexusLost { nexus }
        | Event::LoggedIn { nexus, .. } => Some(nexus.0),
        Event::Issued { node, .. }
        | Event::Challenged { node }
        | Event::WaitEnded { node }
        | Event::Defended { node }
        | Event::Owned { node, .. }
        | Event::Lost { node, .. }
        | Event::Fence { node, .. }
        | Event::Drained { node, .. }
        | Event::Stalled { node }
        | Event::Woke { node }
        | Event::Crashed { node }
        | Event::Restarted { node } => Some(node.0),
        Event::TableChanged { .. }
        | Event::TablePersisted
        | Event::PowerLost
        | Event::PoweredOn { .. }
        | Event::FaultInjected { .. }
        | Event::FaultHealed { .. } => None,
    }
}

/// The tag that the event names.
const fn tag(event: &Event) -> Option<u32> {
    match event {
        Event::Sent { tag, .. }
        | Event::Dispatched { tag, .. }
        | Event::Submitted { tag, .. }
        | Event::Committed { tag, .. }
        | Event::Aborted { tag, .. }
        | Event::Replied { tag, .. }
        | Event::Received { tag, .. }
        | Event::Forgotten { tag, .. } => Some(tag.0),
        Event::Issued { .. }
        | Event::TableChanged { .. }
        | Event::TablePersisted
        | Event::LoggedIn { .. }
        | Event::ConnectionLost { .. }
        | Event::LoggedOut { .. }
        | Event::NexusLost { .. }
        | Event::PowerLost
        | Event::PoweredOn { .. }
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
        | Event::FaultHealed { .. } => None,
    }
}
