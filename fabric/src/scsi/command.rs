//! An initiator's side: the commands of `vocab` as CDB and Data-Out, and a target's answer as a reply.
//!
//! Numbers of nexuses mean something only beside a list of ports: [`Ports`] holds it, by nexus number.

use super::cdb::{Access, Cdb, Form, Verb};
use super::field::length32;
use super::pr::{self, Destination, ParameterList};
use super::record;
use super::sense::SenseData;
use super::status;
use super::transport_id::TransportId;
use alloc::vec::Vec;
use redline_vocab::{Command, Data, FullStatusEntry, Name, Nexus, PortList, PrIn, PrOut, Reply, Status};

/// One port of each side: what a nexus is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PortPair {
    /// The initiator port.
    pub initiator: TransportId,
    /// Relative target port identifier.
    pub target: u16,
}

/// Which nexus is which pair of ports: the place in the list is the number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ports<'a>(pub &'a [PortPair]);

impl Ports<'_> {
    fn pair(&self, nexus: Nexus) -> Option<&PortPair> {
        self.0.get(usize::from(nexus.0))
    }

    fn nexus(&self, initiator: &TransportId, target: u16) -> Option<Nexus> {
        let at = self.0.iter().position(|pair| pair.initiator == *initiator && pair.target == target)?;
        u8::try_from(at).ok().map(Nexus)
    }
}

/// A command as an initiator sends it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Outgoing {
    /// The CDB, padded with zeros.
    pub cdb: [u8; 16],
    /// Data-Out; empty if the command sends none.
    pub data: Vec<u8>,
    /// How many bytes of Data-In to expect at most.
    pub expected_in: u32,
}

impl Outgoing {
    fn receiving(cdb: Cdb, expected_in: u32) -> Outgoing {
        Outgoing { cdb: cdb.encode(), data: Vec::new(), expected_in }
    }

    fn sending(cdb: Cdb, data: Vec<u8>) -> Outgoing {
        Outgoing { cdb: cdb.encode(), data, expected_in: 0 }
    }
}

/// Bytes that answers other than READ's are given room for.
const ROOM: u16 = 0xfff0;

/// The command in bytes, for a medium with blocks of `block_bytes`. `None` if it names a nexus that `ports` does not know, or is a
/// command that has no harmless form here.
pub fn outgoing(command: &Command, block_bytes: u32, ports: Ports) -> Option<Outgoing> {
    Some(match command {
        Command::Read(extent) => {
            let access = Access::new(Form::Sixteen, extent.lba.0, u32::from(extent.blocks));
            Outgoing::receiving(Cdb::Range(Verb::Read, access), u32::from(extent.blocks) * block_bytes)
        }
        Command::Write { extent, record } => {
            let access = Access::new(Form::Sixteen, extent.lba.0, u32::from(extent.blocks));
            let data = record::encode_extent(*record, *extent, block_bytes);
            Outgoing::sending(Cdb::Range(Verb::Write, access), data)
        }
        Command::SynchronizeCache => {
            Outgoing::sending(Cdb::Range(Verb::SynchronizeCache, Access::new(Form::Ten, 0, 0)), Vec::new())
        }
        Command::PrIn(action) => {
            let cdb = Cdb::PersistentReserveIn { action: pr::in_code(*action), allocation: ROOM };
            Outgoing::receiving(cdb, u32::from(ROOM))
        }
        Command::PrOut(order) => {
            let data = parameter_list(order, ports)?.encode(order.action);
            let cdb = Cdb::PersistentReserveOut {
                action: pr::out_code(order.action),
                scope: order.scope,
                kind: order.kind,
                length: length32(data.len()),
            };
            Outgoing::sending(cdb, data)
        }
        Command::LegacyReserve => Outgoing::receiving(Cdb::Reserve { form: Form::Six, elaborate: false }, 0),
        Command::LegacyRelease => Outgoing::receiving(Cdb::Release { form: Form::Six, elaborate: false }, 0),
        // It goes to the task manager, not as a CDB.
        Command::Manage(_) => return None,
        Command::Other(name) => other(*name, block_bytes)?,
    })
}

fn parameter_list(order: &PrOut, ports: Ports) -> Option<ParameterList> {
    let destination = match order.destination {
        None => None,
        Some(nexus) => ports
            .pair(nexus)
            .map(|pair| Destination { relative_port: pair.target, initiator: Some(pair.initiator.clone()) })
            .map(Some)?,
    };
    let (spec_i_pt, initiators) = match order.spec_i_pt {
        PortList::Absent => (false, Vec::new()),
        // Which malformed list is meant is not said.
        PortList::Invalid => return None,
        PortList::Of(nexuses) => {
            let mut named = Vec::new();
            for nexus in nexuses.iter() {
                let initiator = &ports.pair(nexus)?.initiator;
                // With ALL_TG_PT one port makes several nexuses.
                if !named.contains(initiator) {
                    named.push(initiator.clone());
                }
            }
            (true, named)
        }
    };
    Some(ParameterList {
        key: order.key,
        service_key: order.service_key,
        aptpl: order.aptpl,
        spec_i_pt,
        all_tg_pt: order.all_tg_pt != PortList::Absent,
        unreg: order.unreg,
        initiators: Some(initiators),
        destination,
    })
}

/// A form of the command that reads little and changes nothing: what is asked is only whether it meets a reservation.
fn other(name: Name, block_bytes: u32) -> Option<Outgoing> {
    let nothing = |form| Access::new(form, 0, 0);
    let room = u32::from(ROOM);
    Some(match name {
        Name::Inquiry => Outgoing::receiving(Cdb::Inquiry { vital: false, page: 0, allocation: ROOM }, room),
        Name::ReportLuns => Outgoing::receiving(Cdb::ReportLuns { select: 0, allocation: room }, room),
        Name::RequestSense => {
            Outgoing::receiving(Cdb::RequestSense { descriptors: false, allocation: 252 }, 252)
        }
        Name::TestUnitReady => Outgoing::receiving(Cdb::TestUnitReady, 0),
        Name::PersistentReserveIn => {
            let action = pr::in_code(PrIn::ReadKeys);
            Outgoing::receiving(Cdb::PersistentReserveIn { action, allocation: ROOM }, room)
        }
        Name::ReadCapacity => Outgoing::receiving(Cdb::ReadCapacity10, 8),
        Name::ReportTargetPortGroups => {
            Outgoing::receiving(Cdb::ReportTargetPortGroups { format: 0, allocation: room }, room)
        }
        Name::StartUnit | Name::StopUnit => {
            // A power condition of 7 hands control back to the unit: not START = 1 alone, and no stop.
            let power_condition = if name == Name::StartUnit { 0 } else { 7 };
            let start = name == Name::StartUnit;
            let cdb = Cdb::StartStopUnit { power_condition, no_flush: false, load_eject: false, start };
            Outgoing::receiving(cdb, 0)
        }
        Name::AllowMediumRemoval => Outgoing::receiving(Cdb::PreventAllow { prevent: 0 }, 0),
        Name::PreventMediumRemoval => Outgoing::receiving(Cdb::PreventAllow { prevent: 1 }, 0),
        Name::Read => {
            let access = Access::new(Form::Ten, 0, 1);
            Outgoing::receiving(Cdb::Range(Verb::Read, access), block_bytes)
        }
        Name::Verify => Outgoing::receiving(Cdb::Range(Verb::Verify, nothing(Form::Ten)), 0),
        Name::PreFetch => Outgoing::receiving(Cdb::Range(Verb::PreFetch, nothing(Form::Ten)), 0),
        Name::GetLbaStatus => Outgoing::receiving(Cdb::GetLbaStatus { lba: 0, allocation: 24 }, 24),
        Name::ModeSense => {
            let cdb = Cdb::ModeSense {
                form: Form::Six,
                no_descriptors: true,
                control: 0,
                page: 0x3f,
                subpage: 0,
                allocation: 252,
            };
            Outgoing::receiving(cdb, 252)
        }
        Name::ReportSupportedOperationCodes => {
            let cdb = Cdb::ReportSupportedOperationCodes {
                timeouts: false,
                options: 0,
                opcode: 0,
                service_action: 0,
                allocation: room,
            };
            Outgoing::receiving(cdb, room)
        }
        Name::ReportSupportedTaskManagementFunctions => {
            let cdb = Cdb::ReportSupportedTaskManagementFunctions { extended: false, allocation: 4 };
            Outgoing::receiving(cdb, 4)
        }
        Name::Write => Outgoing::sending(Cdb::Range(Verb::Write, nothing(Form::Ten)), Vec::new()),
        Name::WriteAndVerify => {
            Outgoing::sending(Cdb::Range(Verb::WriteAndVerify, nothing(Form::Ten)), Vec::new())
        }
        Name::OrWrite => Outgoing::sending(Cdb::Range(Verb::OrWrite, nothing(Form::Sixteen)), Vec::new()),
        Name::CompareAndWrite => {
            Outgoing::sending(Cdb::Range(Verb::CompareAndWrite, nothing(Form::Sixteen)), Vec::new())
        }
        Name::Unmap => {
            let list = super::provisioning::encode_unmap(&[]);
            Outgoing::sending(Cdb::Unmap { anchor: false, length: 8 }, list)
        }
        Name::SynchronizeCache => {
            Outgoing::sending(Cdb::Range(Verb::SynchronizeCache, nothing(Form::Ten)), Vec::new())
        }
        Name::ExtendedCopy => Outgoing::sending(Cdb::ExtendedCopy { length: 0 }, Vec::new()),
        Name::PopulateToken => Outgoing::sending(Cdb::PopulateToken { list: 0, length: 0 }, Vec::new()),
        Name::WriteUsingToken => Outgoing::sending(Cdb::WriteUsingToken { list: 0, length: 0 }, Vec::new()),
        Name::ReceiveCopyResults => {
            Outgoing::receiving(Cdb::ReceiveCopyParameters { allocation: room }, room)
        }
        Name::ModeSelect => {
            let cdb = Cdb::ModeSelect { form: Form::Six, page_format: true, save: false, length: 0 };
            Outgoing::sending(cdb, Vec::new())
        }
        // WRITE SAME of 0 blocks may mean the whole medium.
        Name::WriteSame
        | Name::PersistentReserveOut
        | Name::LogSense
        | Name::ReportAliases
        | Name::ReportIdentifyingInformation
        | Name::ReportPriority
        | Name::ReportTimestamp
        | Name::ReadMediaSerialNumber
        | Name::AccessControlIn
        | Name::AccessControlOut
        | Name::ReportReferrals
        | Name::ReadDefectData
        | Name::ReadBuffer
        | Name::ReadAttribute
        | Name::ReceiveDiagnosticResults
        | Name::SecurityProtocolIn
        | Name::ManagementProtocolIn
        | Name::WriteAtomic
        | Name::FormatUnit
        | Name::Sanitize
        | Name::WriteLong
        | Name::ReadLong
        | Name::ReassignBlocks
        | Name::LogSelect
        | Name::SendDiagnostic
        | Name::WriteBuffer
        | Name::SetTargetPortGroups
        | Name::SetTimestamp
        | Name::SecurityProtocolOut
        | Name::LegacyReserve
        | Name::LegacyRelease => return None,
    })
}

/// An answer that does not read as one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Unreadable {
    /// A status code that SAM-5 does not know.
    Status(u8),
    /// CHECK CONDITION without sense data.
    Sense,
    /// The data is not the answer to the command: cut, or with values that the standard does not know.
    Data,
    /// READ FULL STATUS shows a registrant that is no port of ours.
    UnknownPort,
}

/// A target's answer to `command`, in bytes: SCSI status, sense data and Data-In.
///
/// # Errors
/// [`Unreadable`] if the bytes are no such answer.
pub fn incoming(
    command: &Command,
    answer: Answer,
    block_bytes: u32,
    ports: Ports,
) -> Result<Reply, Unreadable> {
    let sense = SenseData::decode(answer.sense).map(|data| data.sense);
    let status = match status::decode(answer.status, sense) {
        Some(status) => status,
        None if answer.status == status::CHECK_CONDITION => return Err(Unreadable::Sense),
        None => return Err(Unreadable::Status(answer.status)),
    };
    if status != Status::Good {
        return Ok(Reply::of(status));
    }
    let bytes = answer.data;
    let data = match command {
        Command::Read(extent) => {
            let whole = bytes.len() == usize::from(extent.blocks) * block_bytes as usize;
            whole.then(|| Data::Blocks(record::decode_extent(bytes, extent.lba, block_bytes)))
        }
        Command::Write { .. }
        | Command::SynchronizeCache
        | Command::PrOut(_)
        | Command::LegacyReserve
        | Command::LegacyRelease
        | Command::Other(_) => Some(Data::Nothing),
        Command::Manage(_) => None,
        Command::PrIn(PrIn::ReadKeys) => {
            pr::decode_keys(bytes).map(|(generation, keys)| Data::Keys { generation, keys })
        }
        Command::PrIn(PrIn::ReadReservation) => {
            pr::decode_reservation(bytes).map(|(generation, held)| Data::Reservation { generation, held })
        }
        Command::PrIn(PrIn::ReportCapabilities) => pr::decode_capabilities(bytes).map(Data::Capabilities),
        Command::PrIn(PrIn::ReadFullStatus) => {
            let (generation, found) = pr::decode_full_status(bytes).ok_or(Unreadable::Data)?;
            let entry = |one: pr::FullStatus| {
                let nexus = ports.nexus(&one.initiator, one.relative_port).ok_or(Unreadable::UnknownPort)?;
                Ok(FullStatusEntry { nexus, key: one.key, holds: one.holds })
            };
            let mut entries = found.into_iter().map(entry).collect::<Result<Vec<_>, _>>()?;
            entries.sort_unstable();
            Some(Data::FullStatus { generation, entries })
        }
    };
    Ok(Reply { status, data: data.ok_or(Unreadable::Data)? })
}

/// A target's answer in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Answer<'a> {
    /// SCSI status code.
    pub status: u8,
    /// Sense data; empty unless the status is CHECK CONDITION.
    pub sense: &'a [u8],
    /// Data-In.
    pub data: &'a [u8],
}
