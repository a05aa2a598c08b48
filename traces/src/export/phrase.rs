//! Commands, replies and events in a few words of the field, for diagrams and messages.

use redline_vocab::{
    Block, Command, Data, Disposition, Event, Extent, Fault, Function, Holder, LossReason, LunView, Managed,
    PortList, PrIn, PrOut, PrType, Reply, ServiceAction,
};

/// A command, as in `PREEMPT AND ABORT key 0xb, service key 0xa, WERO`.
pub fn command_phrase(command: &Command) -> String {
    match command {
        Command::Read(extent) => format!("READ {}", blocks(extent)),
        Command::Write { extent, record } => {
            format!("WRITE {} epoch {} serial {}", blocks(extent), record.epoch.0, record.serial.0)
        }
        Command::SynchronizeCache => "SYNCHRONIZE CACHE".to_string(),
        Command::PrIn(action) => match action {
            PrIn::ReadKeys => "READ KEYS".to_string(),
            PrIn::ReadReservation => "READ RESERVATION".to_string(),
            PrIn::ReportCapabilities => "REPORT CAPABILITIES".to_string(),
            PrIn::ReadFullStatus => "READ FULL STATUS".to_string(),
        },
        Command::PrOut(pr_out) => pr_out_phrase(pr_out),
        Command::LegacyReserve => "RESERVE (SPC-2)".to_string(),
        Command::LegacyRelease => "RELEASE (SPC-2)".to_string(),
        Command::Manage(function) => function_phrase(*function),
        Command::Other(name) => name.text().to_string(),
    }
}

/// A task management function, as in `ABORT TASK of tag 7`.
pub fn function_phrase(function: Function) -> String {
    match function {
        Function::AbortTask(tag) => format!("{} of {tag}", function.name()),
        Function::AbortTaskSet
        | Function::ClearTaskSet
        | Function::LogicalUnitReset
        | Function::TargetWarmReset
        | Function::TargetColdReset => function.name().to_string(),
    }
}

/// The response to a task management function.
pub const fn managed_phrase(managed: Managed) -> &'static str {
    match managed {
        Managed::Complete => "function complete",
        Managed::NoSuchTask => "no such task",
    }
}

fn blocks(extent: &Extent) -> String {
    match extent.blocks {
        1 => format!("block {}", extent.lba.0),
        count => format!("{count} blocks from {}", extent.lba.0),
    }
}

fn pr_out_phrase(out: &PrOut) -> String {
    let mut phrase = format!("{} key {:#x}", out.action.name(), out.key.0);
    let kind = PrType::from_code(out.kind)
        .map_or_else(|| format!("type {:X}h", out.kind), |kind| kind.short().into());
    match out.action {
        ServiceAction::Register
        | ServiceAction::RegisterAndIgnoreExistingKey
        | ServiceAction::RegisterAndMove => {
            phrase.push_str(&format!(", service key {:#x}", out.service_key.0));
            if out.aptpl {
                phrase.push_str(", APTPL");
            }
            if let Some(destination) = out.destination {
                phrase.push_str(&format!(", to {destination}"));
            }
            phrase.push_str(&ports_phrase(out));
        }
        ServiceAction::Preempt | ServiceAction::PreemptAndAbort => {
            phrase.push_str(&format!(", service key {:#x}, {kind}", out.service_key.0));
        }
        ServiceAction::Reserve | ServiceAction::Release => phrase.push_str(&format!(", {kind}")),
        ServiceAction::Clear | ServiceAction::ReplaceLostReservation => {}
    }
    phrase
}

/// The ports beside the sender's that a registration is for, as in `, also nexus 1, nexus 3`.
pub fn ports_phrase(out: &PrOut) -> String {
    let mut phrase = String::new();
    for (name, list) in [("SPEC_I_PT", out.spec_i_pt), ("ALL_TG_PT", out.all_tg_pt)] {
        match list {
            PortList::Absent => {}
            PortList::Invalid => phrase.push_str(&format!(", {name} of no ports")),
            PortList::Of(nexuses) => {
                let named: Vec<String> = nexuses.iter().map(|nexus| nexus.to_string()).collect();
                let named = if named.is_empty() { "nobody".to_string() } else { named.join(" and ") };
                phrase.push_str(&format!(", {name} for {named} too"));
            }
        }
    }
    phrase
}

/// A reply, as in `GOOD, holder 0xa WERO`.
pub fn reply_phrase(reply: &Reply) -> String {
    let data = match &reply.data {
        Data::Nothing => return reply.status.to_string(),
        Data::Keys { keys, .. } if keys.is_empty() => "no keys".to_string(),
        Data::Keys { keys, .. } => {
            format!("keys {}", keys.iter().map(|key| format!("{:#x}", key.0)).collect::<Vec<_>>().join(" "))
        }
        Data::Reservation { held: None, .. } => "no reservation".to_string(),
        Data::Reservation { held: Some(held), .. } => {
            format!("holder {:#x} {}", held.key.0, held.kind.short())
        }
        Data::Capabilities(_) => "capabilities".to_string(),
        Data::FullStatus { entries, .. } => format!("{} registrants", entries.len()),
        Data::Managed(managed) => managed_phrase(*managed).to_string(),
        Data::Blocks(blocks) => blocks.iter().map(block_phrase).collect::<Vec<_>>().join(" "),
    };
    format!("{}, {data}", reply.status)
}

fn block_phrase(block: &Block) -> String {
    match block {
        Block::Blank => "blank".to_string(),
        Block::Of(record) => format!("n{}e{}s{}", record.writer.0, record.epoch.0, record.serial.0),
        Block::Corrupt => "corrupt".to_string(),
    }
}

fn view_phrase(view: &LunView) -> String {
    let keys: Vec<String> =
        view.registrants.iter().map(|(nexus, key)| format!("nexus {} {:#x}", nexus.0, key.0)).collect();
    let keys = if keys.is_empty() { "no registrants".to_string() } else { keys.join(", ") };
    let held = match &view.reservation {
        None => "no reservation".to_string(),
        Some(reservation) => match reservation.holder {
            Holder::Nexus(nexus) => format!("{} held by {nexus}", reservation.kind.short()),
            Holder::AllRegistrants => format!("{} held by all registrants", reservation.kind.short()),
        },
    };
    format!("generation {}: {keys}; {held}", view.generation.0)
}

/// A fault with its subject, as in `partition nexus 1`.
pub fn fault_phrase(fault: &Fault) -> String {
    let kind = fault.kind().name();
    match fault {
        Fault::ConnectionReset(nexus) | Fault::ConnectionStall(nexus) | Fault::Partition(nexus, _) => {
            format!("{kind} {nexus}")
        }
        Fault::HeartbeatLoss(node, other) => format!("{kind} {node} and {other}"),
        Fault::NodePause(node) | Fault::NodeCrash(node) => format!("{kind} {node}"),
        Fault::ClockSkew(node, permille) => format!("{kind} {node} by {permille} permille"),
        Fault::ClockJump(node, forward) => format!("{kind} {node} by {forward}"),
        Fault::PowerCycle | Fault::TornWrite | Fault::Corruption | Fault::DiskSlow | Fault::DiskError => {
            kind.to_string()
        }
    }
}

/// Why a node gave up.
pub fn reason_phrase(reason: LossReason) -> &'static str {
    match reason {
        LossReason::KeyMissing => "key missing",
        LossReason::TableEmpty => "table empty",
        LossReason::Conflict => "conflict",
        LossReason::HolderChanged => "holder changed",
        LossReason::Beaten => "beaten",
        LossReason::NotConfirmed => "not confirmed",
        LossReason::Disconnected => "disconnected",
        LossReason::Unreadable => "unreadable",
    }
}

/// An event, without the node or nexus it belongs to where a diagram shows that by place.
pub fn event_phrase(event: &Event) -> String {
    match event {
        Event::Issued { extent, record, .. } => {
            format!("issued WRITE {} epoch {} serial {}", blocks(extent), record.epoch.0, record.serial.0)
        }
        Event::Sent { tag, command, .. } => format!("{tag} sent: {}", command_phrase(command)),
        Event::Dispatched { nexus, tag, disposition } => {
            let became = match disposition {
                Disposition::Answered(status) => status.to_string(),
                Disposition::Enabled => "enabled".to_string(),
                Disposition::Held => "held until the aborts are done".to_string(),
            };
            format!("{nexus} {tag} dispatched: {became}")
        }
        Event::Submitted { nexus, tag } => format!("{nexus} {tag} to the back end"),
        Event::Committed { nexus, tag } => format!("{nexus} {tag} took effect"),
        Event::Aborted { nexus, tag } => format!("{nexus} {tag} aborted"),
        Event::Replied { nexus, tag, reply } => format!("{nexus} {tag} replied: {}", reply_phrase(reply)),
        Event::Received { tag, reply, .. } => format!("{tag} received: {}", reply_phrase(reply)),
        Event::Forgotten { tag, .. } => format!("{tag} forgotten: outcome unknown"),
        Event::TableChanged { view } => format!("table: {}", view_phrase(view)),
        Event::TablePersisted => "table persisted".to_string(),
        Event::LoggedIn { nexus, .. } => format!("logged in on {nexus}"),
        Event::ConnectionLost { nexus } => format!("connection of {nexus} lost"),
        Event::LoggedOut { nexus } => format!("{nexus} logged out"),
        Event::NexusLost { nexus } => format!("{nexus} lost"),
        Event::PowerLost => "power lost".to_string(),
        Event::PoweredOn { view } => format!("powered on: {}", view_phrase(view)),
        Event::Challenged { .. } => "challenges".to_string(),
        Event::WaitEnded { .. } => "challenge wait ended".to_string(),
        Event::Defended { .. } => "defends".to_string(),
        Event::Owned { epoch, .. } => format!("owns the disk in epoch {}", epoch.0),
        Event::Lost { reason, .. } => format!("lost the disk: {}", reason_phrase(*reason)),
        Event::Fence { open: true, .. } => "fence open".to_string(),
        Event::Fence { open: false, .. } => "fence closed".to_string(),
        Event::Drained { writes, .. } => format!("drained {writes} writes"),
        Event::Stalled { .. } => "stalled".to_string(),
        Event::Woke { .. } => "woke".to_string(),
        Event::Crashed { .. } => "crashed".to_string(),
        Event::Restarted { .. } => "restarted".to_string(),
        Event::FaultInjected { fault } => format!("fault: {}", fault_phrase(fault)),
        Event::FaultHealed { fault } => format!("healed: {}", fault_phrase(fault)),
    }
}
