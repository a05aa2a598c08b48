//! From a CDB to what would be done about it: the checks of the command itself, before anybody asks about reservations.
//!
//! What is found wrong here is only told if nothing goes before it (see `target::Offer`).

use super::Request;
use super::config::UnitConfig;
use super::job::Job;
use super::span::Span;
use crate::scsi::cdb::{Access, Cdb, Form, Verb, WriteSame};
use crate::scsi::mode::Settings;
use crate::scsi::sense::SenseData;
use crate::target::Medium;
use alloc::vec::Vec;
use redline_vocab::{Name, Sense};

/// 05/0E/03: the data does not fit the command.
pub(super) const INFORMATION_UNIT_INVALID: Sense = Sense { key: 0x05, asc: 0x0e, ascq: 0x03 };
/// 07/27/02
const SOFTWARE_WRITE_PROTECTED: Sense = Sense { key: 0x07, asc: 0x27, ascq: 0x02 };
/// Longest parameter list that is collected, in bytes. A longer one is 05/1A/00.
const LIST_MAX: u32 = 128 << 10;

/// A command that would have a task.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Plan {
    /// The command's row in the reservation conflict tables.
    pub(super) name: Name,
    /// What its task does to the medium.
    pub(super) medium: Medium,
    /// What is wrong with it.
    pub(super) fault: Option<SenseData>,
    /// Bytes that it transfers, in either direction.
    pub(super) length: u64,
    /// The transfer is from the initiator.
    pub(super) sends: bool,
    /// What to do.
    pub(super) work: Work,
}

/// What to do once the data is there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Work {
    /// This, with the data.
    Job(Job),
    /// The data is a list that says what.
    List(List),
}

/// Parameter lists of commands that have a task.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum List {
    /// UNMAP
    Unmap,
    /// MODE SELECT
    ModeSelect(Form),
    /// EXTENDED COPY
    Copy,
    /// POPULATE TOKEN with its list identifier.
    PopulateToken(u32),
    /// WRITE USING TOKEN with its list identifier.
    WriteUsingToken(u32),
}

impl Plan {
    fn new(name: Name, medium: Medium, work: Work) -> Plan {
        Plan { name, medium, fault: None, length: 0, sends: false, work }
    }

    fn list(name: Name, medium: Medium, list: List, length: u32) -> Plan {
        let fault = (length > LIST_MAX).then_some(SenseData::of(Sense::PARAMETER_LIST_LENGTH_ERROR));
        let work = Work::List(list);
        Plan { fault, length: u64::from(length), sends: true, ..Plan::new(name, medium, work) }
    }
}

/// The plan of a command that has a task; `None` for the others.
pub(super) fn plan(cdb: &Cdb, request: &Request, unit: &UnitConfig, settings: Settings) -> Option<Plan> {
    let mut plan = match *cdb {
        Cdb::Range(verb, access) => range(verb, access, request, unit),
        Cdb::WriteSame(fields) => write_same(fields, request, unit),
        Cdb::Unmap { anchor, length } => {
            let plan = Plan::list(Name::Unmap, Medium::Changes, List::Unmap, u32::from(length));
            Plan { fault: anchor.then_some(SenseData::in_cdb(1)).or(plan.fault), ..plan }
        }
        Cdb::GetLbaStatus { lba, allocation } => lba_status(lba, allocation, unit),
        Cdb::ModeSelect { form, page_format, save, length } => {
            let list = List::ModeSelect(form);
            let plan = Plan::list(Name::ModeSelect, Medium::Looks, list, u32::from(length));
            // Nothing is saved, and pages have the standard's format.
            let fault = (save || !(page_format || length == 0)).then_some(SenseData::in_cdb(1));
            Plan { fault, ..plan }
        }
        Cdb::ExtendedCopy { length } => Plan::list(Name::ExtendedCopy, Medium::Changes, List::Copy, length),
        Cdb::PopulateToken { list, length } => {
            Plan::list(Name::PopulateToken, Medium::Looks, List::PopulateToken(list), length)
        }
        Cdb::WriteUsingToken { list, length } => {
            Plan::list(Name::WriteUsingToken, Medium::Changes, List::WriteUsingToken(list), length)
        }
        _ => return None,
    };
    if plan.medium == Medium::Changes && settings.protected {
        plan.fault = plan.fault.or(Some(SenseData::of(SOFTWARE_WRITE_PROTECTED)));
    }
    Some(plan)
}

/// Whether the range ends beyond the medium; an empty one may begin at its end.
pub(super) fn is_beyond(lba: u64, blocks: u64, unit: &UnitConfig) -> bool {
    lba.checked_add(blocks).is_none_or(|end| end > unit.blocks)
}

fn range(verb: Verb, access: Access, request: &Request, unit: &UnitConfig) -> Plan {
    let Access { lba, blocks, .. } = access;
    let span = Span { lba, blocks: u64::from(blocks), block_bytes: unit.block_bytes };
    let durable = access.fua || !unit.write_back;
    let none = Vec::new;
    let (medium, sends, length, job) = match verb {
        Verb::Read => (Medium::Looks, false, span.bytes(), Job::Read(wanted(span, request))),
        Verb::Write => (Medium::Changes, true, span.bytes(), Job::Write { span, data: none(), durable }),
        Verb::WriteAndVerify => {
            let job = Job::WriteAndVerify { span, data: none(), compare: access.bytchk == 1, written: false };
            (Medium::Changes, true, span.bytes(), job)
        }
        Verb::Verify => {
            let compares = access.bytchk == 1;
            let length = if compares { span.bytes() } else { 0 };
            let job = Job::Verify { span, data: compares.then(none), done: 0 };
            (Medium::Looks, compares, length, job)
        }
        Verb::PreFetch => (Medium::Looks, false, 0, Job::Nothing),
        Verb::SynchronizeCache => (Medium::Looks, false, 0, Job::Flush),
        Verb::OrWrite => {
            let job = Job::OrWrite { span, data: none(), durable, merged: false };
            (Medium::Changes, true, span.bytes(), job)
        }
        Verb::CompareAndWrite => {
            let job = Job::CompareAndWrite { span, data: none(), durable, compared: false };
            (Medium::Changes, true, 2 * span.bytes(), job)
        }
    };
    let fault = range_fault(verb, access, length, request, unit);
    Plan { name: verb.name(), medium, fault, length, sends, work: Work::Job(job) }
}

/// As much of a read as the initiator takes, in whole blocks.
fn wanted(span: Span, request: &Request) -> Span {
    let takes = u64::from(request.expected).div_ceil(u64::from(span.block_bytes));
    Span { blocks: span.blocks.min(takes), ..span }
}

fn range_fault(
    verb: Verb,
    access: Access,
    length: u64,
    request: &Request,
    unit: &UnitConfig,
) -> Option<SenseData> {
    if is_beyond(access.lba, u64::from(access.blocks), unit) {
        return Some(out_of_range(access.lba));
    }
    // There is no protection information.
    if access.protect != 0 {
        return Some(SenseData::in_cdb(1));
    }
    if matches!(access.bytchk, 2 | 3) {
        return Some(SenseData::in_cdb(1));
    }
    let expected = u64::from(request.expected);
    match verb {
        Verb::CompareAndWrite => {
            // The data is two halves: with another length there is no telling which.
            return (expected != length).then_some(SenseData::in_cdb(13));
        }
        Verb::Read | Verb::Write | Verb::WriteAndVerify | Verb::OrWrite | Verb::Verify => {
            if length > 0 && access.blocks > unit.limits().transfer_max {
                return Some(SenseData::in_cdb(if access.form == Form::Ten { 7 } else { 10 }));
            }
        }
        Verb::PreFetch | Verb::SynchronizeCache => {}
    }
    // Part of a block cannot be written.
    let writes = matches!(verb, Verb::Write | Verb::WriteAndVerify);
    let torn = writes && expected < length && expected % u64::from(unit.block_bytes) != 0;
    if torn {
        return Some(SenseData::of(INFORMATION_UNIT_INVALID));
    }
    // What is compared or merged has to be there.
    let whole = matches!(verb, Verb::Verify | Verb::OrWrite) && expected < length;
    whole.then_some(SenseData::of(INFORMATION_UNIT_INVALID))
}

fn out_of_range(lba: u64) -> SenseData {
    SenseData { sense: Sense::LBA_OUT_OF_RANGE, information: Some(lba), field: None }
}

fn write_same(fields: WriteSame, request: &Request, unit: &UnitConfig) -> Plan {
    let WriteSame { lba, blocks, protect, anchor, unmap, no_data, .. } = fields;
    // WSNZ = 0: no number of blocks means those up to the end of the medium (SBC-3 5.44).
    let blocks = if blocks == 0 { unit.blocks.saturating_sub(lba) } else { u64::from(blocks) };
    let span = Span { lba, blocks, block_bytes: unit.block_bytes };
    let length = if no_data { 0 } else { u64::from(unit.block_bytes) };
    let field_of_blocks = if fields.form == Form::Ten { 7 } else { 10 };
    let fault = if is_beyond(lba, blocks, unit) {
        Some(out_of_range(lba))
    } else if protect != 0 || anchor || (unmap && !unit.thin) {
        Some(SenseData::in_cdb(1))
    } else if blocks > unit.limits().same_max {
        Some(SenseData::in_cdb(field_of_blocks))
    } else if !no_data && u64::from(request.expected) != length {
        Some(SenseData::in_cdb(0))
    } else {
        None
    };
    let job = Job::WriteSame { span, data: Vec::new(), unmap };
    Plan { fault, length, sends: !no_data, ..Plan::new(Name::WriteSame, Medium::Changes, Work::Job(job)) }
}

/// Most descriptors of GET LBA STATUS: each of them may cost an operation of the disk.
const RUNS_MAX: u64 = 32;

fn lba_status(lba: u64, allocation: u32, unit: &UnitConfig) -> Plan {
    let beyond = lba >= unit.blocks;
    let span = Span {
        lba: lba.min(unit.blocks),
        blocks: unit.blocks.saturating_sub(lba),
        block_bytes: unit.block_bytes,
    };
    let runs_max = (u64::from(allocation).saturating_sub(8) / 16).clamp(1, RUNS_MAX);
    let runs_max = usize::try_from(runs_max).expect("a small number");
    let job = Job::Map { span, runs: Vec::new(), runs_max };
    Plan {
        fault: beyond.then_some(out_of_range(lba)),
        length: u64::from(allocation),
        ..Plan::new(Name::GetLbaStatus, Medium::Looks, Work::Job(job))
    }
}
