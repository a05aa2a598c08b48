//! Generators for any event, whether or not it makes sense.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use redline_vocab::*;

fn node() -> impl Strategy<Value = NodeId> {
    any::<u8>().prop_map(NodeId)
}
fn nexus() -> impl Strategy<Value = Nexus> {
    any::<u8>().prop_map(Nexus)
}
fn tag() -> impl Strategy<Value = Tag> {
    any::<u32>().prop_map(Tag)
}
fn key() -> impl Strategy<Value = Key> {
    // Keys of every length in digits.
    (any::<u64>(), 0_u32..64).prop_map(|(value, shift)| Key(value >> shift))
}
fn generation() -> impl Strategy<Value = Generation> {
    any::<u32>().prop_map(Generation)
}
fn extent() -> impl Strategy<Value = Extent> {
    (any::<u64>(), 0_u32..64, any::<u16>())
        .prop_map(|(lba, shift, blocks)| Extent { lba: Lba(lba >> shift), blocks })
}
fn record() -> impl Strategy<Value = Record> {
    (node(), any::<u32>(), any::<u32>()).prop_map(|(writer, epoch, serial)| Record {
        writer,
        epoch: Epoch(epoch),
        serial: Serial(serial),
    })
}
fn kind() -> impl Strategy<Value = PrType> {
    select(PrType::ALL.to_vec())
}
fn sense() -> impl Strategy<Value = Sense> {
    (0_u8..16, any::<u8>(), any::<u8>()).prop_map(|(key, asc, ascq)| Sense { key, asc, ascq })
}
fn status() -> impl Strategy<Value = Status> {
    prop_oneof![
        Just(Status::Good),
        sense().prop_map(Status::CheckCondition),
        Just(Status::ReservationConflict),
        Just(Status::TaskSetFull),
        Just(Status::TaskAborted),
    ]
}
fn block() -> impl Strategy<Value = Block> {
    prop_oneof![Just(Block::Blank), record().prop_map(Block::Of), Just(Block::Corrupt)]
}
fn data() -> impl Strategy<Value = Data> {
    let entry = (nexus(), key(), option::of(kind())).prop_map(|(nexus, key, holds)| FullStatusEntry {
        nexus,
        key,
        holds,
    });
    let capabilities = any::<[bool; 5]>().prop_map(|[crh, sip_c, atp_c, ptpl_c, ptpl_a]| Capabilities {
        crh,
        sip_c,
        atp_c,
        ptpl_c,
        ptpl_a,
    });
    let held = option::of((key(), kind()).prop_map(|(key, kind)| Held { key, kind }));
    prop_oneof![
        Just(Data::Nothing),
        (generation(), vec(key(), 0..4)).prop_map(|(generation, keys)| Data::Keys { generation, keys }),
        (generation(), held).prop_map(|(generation, held)| Data::Reservation { generation, held }),
        capabilities.prop_map(Data::Capabilities),
        (generation(), vec(entry, 0..4))
            .prop_map(|(generation, entries)| Data::FullStatus { generation, entries }),
        vec(block(), 0..4).prop_map(Data::Blocks),
        select(vec![Managed::Complete, Managed::NoSuchTask]).prop_map(Data::Managed),
    ]
}
fn reply() -> impl Strategy<Value = Reply> {
    (status(), data()).prop_map(|(status, data)| Reply { status, data })
}
fn ports() -> impl Strategy<Value = PortList> {
    prop_oneof![
        Just(PortList::Absent),
        Just(PortList::Invalid),
        vec(nexus(), 0..4).prop_map(|listed| PortList::Of(listed.into_iter().collect())),
    ]
}
fn function() -> impl Strategy<Value = Function> {
    prop_oneof![
        tag().prop_map(Function::AbortTask),
        select(vec![
            Function::AbortTaskSet,
            Function::ClearTaskSet,
            Function::LogicalUnitReset,
            Function::TargetWarmReset,
            Function::TargetColdReset,
        ]),
    ]
}
fn command() -> impl Strategy<Value = Command> {
    let out = (
        select(ServiceAction::ALL.to_vec()),
        key(),
        key(),
        any::<(u8, u8)>(),
        any::<[bool; 2]>(),
        (ports(), ports()),
        option::of(nexus()),
    );
    let out = out.prop_map(|(action, key, service_key, (scope, kind), flags, lists, destination)| {
        let ([aptpl, unreg], (spec_i_pt, all_tg_pt)) = (flags, lists);
        PrOut { action, key, service_key, scope, kind, aptpl, spec_i_pt, all_tg_pt, unreg, destination }
    });
    prop_oneof![
        extent().prop_map(Command::Read),
        (extent(), record()).prop_map(|(extent, record)| Command::Write { extent, record }),
        Just(Command::SynchronizeCache),
        select(PrIn::ALL.to_vec()).prop_map(Command::PrIn),
        out.prop_map(Command::PrOut),
        select(vec![Command::LegacyReserve, Command::LegacyRelease]),
        function().prop_map(Command::Manage),
        select(Name::ALL.to_vec()).prop_map(Command::Other),
    ]
}
fn view() -> impl Strategy<Value = LunView> {
    let holder = prop_oneof![nexus().prop_map(Holder::Nexus), Just(Holder::AllRegistrants)];
    let reservation = option::of((kind(), holder).prop_map(|(kind, holder)| Reservation { kind, holder }));
    (generation(), vec((nexus(), key()), 0..4), reservation, any::<bool>()).prop_map(
        |(generation, registrants, reservation, aptpl)| LunView {
            generation,
            registrants,
            reservation,
            aptpl,
        },
    )
}
fn fault() -> impl Strategy<Value = Fault> {
    let direction = select(vec![Direction::ToTarget, Direction::ToInitiator, Direction::Both]);
    prop_oneof![
        nexus().prop_map(Fault::ConnectionReset),
        nexus().prop_map(Fault::ConnectionStall),
        (nexus(), direction).prop_map(|(nexus, direction)| Fault::Partition(nexus, direction)),
        (node(), node()).prop_map(|(one, other)| Fault::HeartbeatLoss(one, other)),
        node().prop_map(Fault::NodePause),
        node().prop_map(Fault::NodeCrash),
        (node(), any::<i16>()).prop_map(|(node, permille)| Fault::ClockSkew(node, permille)),
        (node(), any::<u64>()).prop_map(|(node, forward)| Fault::ClockJump(node, Micros(forward))),
        select(vec![
            Fault::PowerCycle,
            Fault::TornWrite,
            Fault::Corruption,
            Fault::DiskSlow,
            Fault::DiskError
        ]),
    ]
}

/// Any event.
pub(super) fn event() -> impl Strategy<Value = Event> {
    let disposition = prop_oneof![
        status().prop_map(Disposition::Answered),
        Just(Disposition::Enabled),
        Just(Disposition::Held)
    ];
    let reason = select(vec![
        LossReason::KeyMissing,
        LossReason::TableEmpty,
        LossReason::Conflict,
        LossReason::HolderChanged,
        LossReason::Beaten,
        LossReason::NotConfirmed,
        LossReason::Disconnected,
        LossReason::Unreadable,
    ]);
    let task = || (nexus(), tag());
    let at_target = prop_oneof![
        (task(), disposition).prop_map(|((nexus, tag), disposition)| Event::Dispatched {
            nexus,
            tag,
            disposition
        }),
        task().prop_map(|(nexus, tag)| Event::Submitted { nexus, tag }),
        task().prop_map(|(nexus, tag)| Event::Committed { nexus, tag }),
        task().prop_map(|(nexus, tag)| Event::Aborted { nexus, tag }),
        (task(), reply()).prop_map(|((nexus, tag), reply)| Event::Replied { nexus, tag, reply }),
        view().prop_map(|view| Event::TableChanged { view }),
        Just(Event::TablePersisted),
        nexus().prop_map(|nexus| Event::NexusLost { nexus }),
        Just(Event::PowerLost),
        view().prop_map(|view| Event::PoweredOn { view }),
    ];
    let at_clients = prop_oneof![
        (task(), command()).prop_map(|((nexus, tag), command)| Event::Sent { nexus, tag, command }),
        (task(), reply()).prop_map(|((nexus, tag), reply)| Event::Received { nexus, tag, reply }),
        task().prop_map(|(nexus, tag)| Event::Forgotten { nexus, tag }),
        (node(), nexus()).prop_map(|(node, nexus)| Event::LoggedIn { node, nexus }),
        nexus().prop_map(|nexus| Event::ConnectionLost { nexus }),
    ];
    let in_nodes = prop_oneof![
        (node(), extent(), record()).prop_map(|(node, extent, record)| Event::Issued {
            node,
            extent,
            record
        }),
        (node(), 0..7_u8).prop_map(|(node, which)| match which {
            0 => Event::Challenged { node },
            1 => Event::WaitEnded { node },
            2 => Event::Defended { node },
            3 => Event::Stalled { node },
            4 => Event::Woke { node },
            5 => Event::Crashed { node },
            _ => Event::Restarted { node },
        }),
        (node(), any::<u32>()).prop_map(|(node, epoch)| Event::Owned { node, epoch: Epoch(epoch) }),
        (node(), reason).prop_map(|(node, reason)| Event::Lost { node, reason }),
        (node(), any::<bool>()).prop_map(|(node, open)| Event::Fence { node, open }),
        (node(), any::<u32>()).prop_map(|(node, writes)| Event::Drained { node, writes }),
        fault().prop_map(|fault| Event::FaultInjected { fault }),
        fault().prop_map(|fault| Event::FaultHealed { fault }),
    ];
    prop_oneof![at_target, at_clients, in_nodes]
}
