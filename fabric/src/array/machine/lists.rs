//! Data that has come from an initiator: blocks for the medium, or a list that says what to do.

use super::super::copies::{Source, pairs};
use super::super::job::{Copy, Job};
use super::super::plan::{List, is_beyond};
use super::super::span::Span;
use super::super::task::{Claims, Key, Order, Stage, Work};
use super::super::{Effect, InitiatorPort, TargetPort, answers};
use super::Array;
use crate::scsi::pr::{self, ParameterList};
use crate::scsi::sense::SenseData;
use crate::scsi::transport_id::TransportId;
use crate::scsi::{copy, mode, provisioning};
use crate::target;
use alloc::vec::Vec;
use bytes::Bytes;
use redline_vocab::{
    Command, Data, FullStatusEntry, Name, Nexus, Nexuses, PortList, PrOut, Sense, ServiceAction,
};

/// 0B/4B/00: the data came broken.
const DATA_PHASE_ERROR: Sense = Sense { key: 0x0b, asc: 0x4b, ascq: 0x00 };
/// 06/2A/01
const MODE_PARAMETERS_CHANGED: Sense = Sense { key: 0x06, asc: 0x2a, ascq: 0x01 };

type Supplied = Result<Vec<Bytes>, SenseData>;

impl Array {
    /// The data that was asked for; `None` if it came broken.
    pub(super) fn collected(&mut self, key: Key, data: Option<Vec<Bytes>>, out: &mut Vec<Effect>) {
        self.supplied(key, data.ok_or(SenseData::of(DATA_PHASE_ERROR)), out);
        self.release_held(out);
        self.settle(out);
    }

    /// The task has what it needs, or will not get it.
    pub(super) fn supplied(&mut self, key: Key, data: Supplied, out: &mut Vec<Effect>) {
        let Some(task) = self.tasks.get_mut(&key) else { return };
        let unit = task.unit;
        let job = match core::mem::replace(&mut task.stage, Stage::Asked) {
            Stage::Listing(order) => return self.reserve_out_with(key, unit, order, data, out),
            Stage::Collecting(mut job) => match data {
                Ok(pieces) => {
                    job.supply(pieces);
                    job
                }
                Err(sense) => Job::Refused(sense),
            },
            Stage::CollectingList(list) => data
                .and_then(|pieces| self.work_out(key, unit, list, &joined(&pieces)))
                .unwrap_or_else(Job::Refused),
            // Not asked for: the transport mixes its tasks up.
            other @ (Stage::Held(_) | Stage::Ready(_) | Stage::Running(_) | Stage::Asked) => {
                task.stage = other;
                return;
            }
        };
        let claims = Claims::of(&job, unit);
        if let Some(task) = self.tasks.get_mut(&key) {
            task.stage = Stage::Ready(Work { job, claims });
            self.ready.push(key);
        }
    }

    /// What a parameter list asks for.
    fn work_out(&mut self, key: Key, unit: usize, list: List, bytes: &[u8]) -> Result<Job, SenseData> {
        match list {
            List::Unmap => self.unmap(unit, bytes),
            List::ModeSelect(form) => {
                let unit = &mut self.units[unit];
                let before = unit.settings;
                unit.settings = mode::select(form, bytes, before, answers::medium(&unit.config))?;
                if unit.settings != before {
                    unit.target.announce(key.0, MODE_PARAMETERS_CHANGED);
                }
                Ok(Job::Nothing)
            }
            List::Copy if bytes.is_empty() => Ok(Job::Nothing),
            List::Copy => self.copy(key, unit, bytes),
            List::PopulateToken(_) | List::WriteUsingToken(_) if bytes.is_empty() => Ok(Job::Nothing),
            List::PopulateToken(list) => {
                let runs = copy::decode_populate(bytes).map_err(SenseData::of)?;
                let spans = self.spans(unit, &runs)?;
                let view = self.units[unit].target.view();
                let registered = view.registrants.iter().any(|entry| entry.0 == key.0);
                let source = Source { config: &self.config, registered, spans };
                self.copies.populate(key, list, unit, source)
            }
            List::WriteUsingToken(list) => {
                let wanted = copy::decode_use(bytes).map_err(SenseData::of)?;
                let spans = self.spans(unit, &wanted.runs)?;
                self.copies.use_token(key, list, unit, &wanted, &spans)
            }
        }
    }

    /// The runs as spans of the unit's medium.
    fn spans(&self, unit: usize, runs: &[provisioning::Run]) -> Result<Vec<Span>, SenseData> {
        let config = &self.units[unit].config;
        let span = |run: &provisioning::Run| {
            let blocks = u64::from(run.blocks);
            if is_beyond(run.lba, blocks, config) {
                return Err(SenseData::of(Sense::LBA_OUT_OF_RANGE));
            }
            Ok(Span { lba: run.lba, blocks, block_bytes: config.block_bytes })
        };
        runs.iter().map(span).collect()
    }

    fn unmap(&self, unit: usize, bytes: &[u8]) -> Result<Job, SenseData> {
        let runs = provisioning::decode_unmap(bytes).map_err(SenseData::of)?;
        let limits = self.units[unit].config.limits();
        let total: u64 = runs.iter().map(|run| u64::from(run.blocks)).sum();
        if runs.len() as u64 > u64::from(limits.unmap_runs_max) || total > u64::from(limits.unmap_max) {
            return Err(SenseData::of(Sense::INVALID_FIELD_IN_PARAMETER_LIST));
        }
        let mut spans = self.spans(unit, &runs)?;
        spans.retain(|span| span.blocks > 0);
        Ok(Job::Unmap { spans, done: 0 })
    }

    fn copy(&mut self, key: Key, unit: usize, bytes: &[u8]) -> Result<Job, SenseData> {
        let list = copy::decode_list(bytes).map_err(SenseData::of)?;
        let config = self.units[unit].config;
        let own = crate::scsi::vpd::naa(&answers::identity(&self.config, &config));
        let pairs = pairs(&list, &config, own)?;
        self.copies.begin(key, unit, &list);
        Ok(Job::Copy(Copy::new(pairs)))
    }

    /// A PERSISTENT RESERVE OUT with its parameter list.
    fn reserve_out_with(
        &mut self,
        key: Key,
        unit: usize,
        order: Order,
        data: Supplied,
        out: &mut Vec<Effect>,
    ) {
        let list = data
            .and_then(|pieces| ParameterList::decode(order.action, &joined(&pieces)).map_err(SenseData::of));
        match list {
            Ok(list) => {
                let command = Command::PrOut(self.order(key.0, order, list));
                let (nexus, tag) = key;
                self.ask(unit, target::Input::Dispatch { nexus, tag, command }, out);
            }
            Err(sense) => self.offer(key, unit, Name::PersistentReserveOut, Err(sense), out),
        }
    }

    /// The order with numbers of nexuses in the place of names.
    fn order(&mut self, sender: Nexus, order: Order, list: ParameterList) -> PrOut {
        let (own, port) = self.names.pair(sender).cloned().expect("a session has a name");
        let registers =
            matches!(order.action, ServiceAction::Register | ServiceAction::RegisterAndIgnoreExistingKey);
        let others: Vec<TargetPort> =
            self.config.target_ports.iter().map(|known| known.port).filter(|other| *other != port).collect();
        let all = registers && list.all_tg_pt;
        let all_tg_pt = if all { self.at_ports(&own, &others) } else { PortList::Absent };
        let spec_i_pt = match (registers && list.spec_i_pt, list.initiators) {
            (false, _) => PortList::Absent,
            (true, None) => PortList::Invalid,
            (true, Some(ids)) => {
                let ports = if all { [&[port][..], &others].concat() } else { alloc::vec![port] };
                self.listed(&ids, &ports)
            }
        };
        let destination = list.destination.and_then(|to| {
            let port = TargetPort(to.relative_port);
            self.nexuses(&to.initiator?, port).filter(|found| found.len() == 1).map(|found| found[0])
        });
        PrOut {
            action: order.action,
            key: list.key,
            service_key: list.service_key,
            scope: order.scope,
            kind: order.kind,
            aptpl: list.aptpl,
            spec_i_pt,
            all_tg_pt,
            unreg: list.unreg,
            destination,
        }
    }

    fn at_ports(&mut self, initiator: &InitiatorPort, ports: &[TargetPort]) -> PortList {
        let mut found = Nexuses::NONE;
        for port in ports {
            match self.number((initiator.clone(), *port)) {
                Some(nexus) => found = found.with(nexus),
                None => return PortList::Invalid,
            }
        }
        PortList::Of(found)
    }

    /// The initiator ports of a list at these target ports; a port that is listed twice makes the list invalid.
    fn listed(&mut self, ids: &[TransportId], ports: &[TargetPort]) -> PortList {
        let mut found = Nexuses::NONE;
        for id in ids {
            for port in ports {
                let Some(nexuses) = self.nexuses(id, *port) else { return PortList::Invalid };
                for nexus in nexuses {
                    if found.has(nexus) {
                        return PortList::Invalid;
                    }
                    found = found.with(nexus);
                }
            }
        }
        PortList::Of(found)
    }

    /// The nexuses that a TransportID names at a target port: one, or for a device's name every one that we know. `None` if it is none.
    fn nexuses(&mut self, id: &TransportId, port: TargetPort) -> Option<Vec<Nexus>> {
        self.config.target_ports.iter().find(|known| known.port == port)?;
        match id.isid {
            Some(isid) => {
                let initiator = InitiatorPort { name: id.name.clone(), isid };
                self.number((initiator, port)).map(|nexus| alloc::vec![nexus])
            }
            None => {
                let all: Vec<Nexus> = self.names.of_device(&id.name, port).collect();
                (!all.is_empty()).then_some(all)
            }
        }
    }

    /// The answer to a PERSISTENT RESERVE IN in bytes.
    pub(super) fn reservations(&self, data: &Data, allocation: u16) -> Bytes {
        let mut bytes = match data {
            Data::Keys { generation, keys } => pr::encode_keys(*generation, keys),
            Data::Reservation { generation, held } => pr::encode_reservation(*generation, *held),
            Data::Capabilities(capabilities) => pr::encode_capabilities(*capabilities),
            Data::FullStatus { generation, entries } => {
                let shown: Vec<pr::FullStatus> =
                    entries.iter().filter_map(|entry| self.shown(entry)).collect();
                pr::encode_full_status(*generation, &shown)
            }
            Data::Nothing | Data::Blocks(_) | Data::Managed(_) => Vec::new(),
        };
        bytes.truncate(usize::from(allocation));
        Bytes::from(bytes)
    }

    fn shown(&self, entry: &FullStatusEntry) -> Option<pr::FullStatus> {
        let (initiator, port) = self.names.pair(entry.nexus)?;
        Some(pr::FullStatus {
            key: entry.key,
            all_tg_pt: false,
            holds: entry.holds,
            relative_port: port.0,
            initiator: TransportId { name: initiator.name.clone(), isid: Some(initiator.isid) },
        })
    }
}

/// A parameter list in one piece.
fn joined(pieces: &[Bytes]) -> Bytes {
    match pieces {
        [one] => one.clone(),
        _ => Bytes::from(pieces.concat()),
    }
}
