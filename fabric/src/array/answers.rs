//! Commands that are answered at once, with data that is made here.

use super::config::Config;
use super::{TargetPort, UnitConfig};
use crate::scsi::capacity::Capacity;
use crate::scsi::cdb::Cdb;
use crate::scsi::mode::{self, Asked, Settings};
use crate::scsi::report::{self, AccessState, Group};
use crate::scsi::sense::SenseData;
use crate::scsi::{inquiry, opcodes, vpd};
use alloc::vec::Vec;

/// What a command of these answers.
pub(super) type Answer = Result<Vec<u8>, SenseData>;

/// Who asks about what.
pub(super) struct Question<'a> {
    pub(super) config: &'a Config,
    pub(super) unit: &'a UnitConfig,
    pub(super) settings: Settings,
    pub(super) port: TargetPort,
}

/// The answer to a command without task, cut to its allocation length. `None` for commands that are answered elsewhere.
pub(super) fn answer(cdb: &Cdb, question: &Question) -> Option<Answer> {
    let Question { config, unit, settings, port } = *question;
    let (answer, allocation) = match *cdb {
        Cdb::TestUnitReady | Cdb::StartStopUnit { .. } | Cdb::PreventAllow { .. } => (Ok(Vec::new()), 0),
        Cdb::Inquiry { vital, page, allocation } => {
            let found = match (vital, page) {
                (true, page) => vpd::page(page, &identity(config, unit), &port_of(config, port)),
                (false, 0) => Some(inquiry::encode(true)),
                (false, _) => None,
            };
            (found.ok_or(SenseData::in_cdb(2)), u32::from(allocation))
        }
        Cdb::ModeSense { form, no_descriptors, control, page, subpage, allocation } => {
            let asked = Asked { form, no_descriptors, control, page, subpage };
            (mode::sense(asked, settings, medium(unit)), u32::from(allocation))
        }
        Cdb::ReadCapacity10 => (Ok(capacity(unit).encode10()), 8),
        Cdb::ReadCapacity16 { allocation } => (Ok(capacity(unit).encode16()), allocation),
        Cdb::ReportLuns { select, allocation } => (luns(config, select), allocation),
        Cdb::ReportTargetPortGroups { format, allocation } => {
            let groups: Vec<Group> = config.target_ports.iter().map(group).collect();
            let found = match format {
                0 | 1 => Ok(report::encode_groups(&groups, format == 1)),
                _ => Err(SenseData::in_cdb(2)),
            };
            (found, allocation)
        }
        Cdb::ReportSupportedOperationCodes { timeouts, options, opcode, service_action, allocation } => {
            let found = match options {
                0 => Ok(opcodes::encode_all(timeouts, unit.thin)),
                _ => opcodes::encode_one(options, opcode, service_action, timeouts, unit.thin),
            };
            (found, allocation)
        }
        Cdb::ReportSupportedTaskManagementFunctions { extended, allocation } => {
            (Ok(report::encode_task_management(extended)), allocation)
        }
        _ => return None,
    };
    Some(answer.map(|mut data| {
        data.truncate(usize::try_from(allocation).unwrap_or(usize::MAX));
        data
    }))
}

/// REPORT LUNS: all of them, or the well-known ones, of which there are none.
pub(super) fn luns(config: &Config, select: u8) -> Answer {
    match select {
        0 | 2 => Ok(report::encode_luns(&config.units.iter().map(|unit| unit.lun).collect::<Vec<_>>())),
        1 => Ok(report::encode_luns(&[])),
        _ => Err(SenseData::in_cdb(2)),
    }
}

fn group(port: &super::TargetPortConfig) -> Group {
    Group { id: port.port.0, state: port.state, ports: alloc::vec![port.port.0] }
}

/// What the pages of vital product data say of a unit.
pub(super) fn identity(config: &Config, unit: &UnitConfig) -> vpd::Unit {
    let identity = u64::from(config.serial) << 16 | u64::from(unit.lun);
    vpd::Unit { identity, thin: unit.thin, reads_zeros: unit.reads_zeros, limits: unit.limits() }
}

fn port_of(config: &Config, port: TargetPort) -> vpd::Port {
    vpd::Port { relative: port.0, group: port.0, target_name: config.name.clone() }
}

fn capacity(unit: &UnitConfig) -> Capacity {
    Capacity {
        blocks: unit.blocks,
        block_bytes: unit.block_bytes,
        physical_exponent: unit.physical_exponent,
        thin: unit.thin,
        zeros: unit.thin && unit.reads_zeros,
    }
}

/// What MODE SENSE says of a unit.
pub(super) fn medium(unit: &UnitConfig) -> mode::Medium {
    mode::Medium { blocks: unit.blocks, block_bytes: unit.block_bytes, write_back: unit.write_back }
}

/// Whether a port in this state takes the command (SPC-4 5.15.2.4). Commands that tell about paths and reservations work where the medium
/// cannot be reached: the state of reservations is the same on all ports.
pub(super) fn passes(cdb: &Cdb, state: AccessState) -> bool {
    let everywhere = matches!(
        cdb,
        Cdb::Inquiry { .. }
            | Cdb::ReportLuns { .. }
            | Cdb::RequestSense { .. }
            | Cdb::ReportTargetPortGroups { .. }
    );
    let standby = matches!(
        cdb,
        Cdb::PersistentReserveIn { .. }
            | Cdb::PersistentReserveOut { .. }
            | Cdb::ModeSense { .. }
            | Cdb::ModeSelect { .. }
            | Cdb::ReportSupportedOperationCodes { .. }
            | Cdb::ReportSupportedTaskManagementFunctions { .. }
    );
    match state {
        AccessState::ActiveOptimized | AccessState::ActiveNonOptimized => true,
        AccessState::Standby => everywhere || standby,
        AccessState::Unavailable => everywhere,
    }
}
