//! What a task does at the back end, one disk operation after the other.
//!
//! A job is started once and told how each of its operations ended. It never has more than one under way, so that it can be stopped
//! between any two of them when its task is aborted.

use super::span::Span;
use super::{DiskOperation, DiskOutcome};
use crate::scsi::provisioning::{LbaStatus, Provisioning, encode_lba_status};
use crate::scsi::sense::SenseData;
use alloc::vec;
use alloc::vec::Vec;
use bytes::Bytes;
use redline_vocab::Sense;

/// 0E/1D/00
const MISCOMPARE: Sense = Sense { key: 0x0e, asc: 0x1d, ascq: 0x00 };
/// Bytes that VERIFY reads at a time.
const VERIFY_CHUNK: u64 = 1 << 20;
/// Bytes that a copy reads at a time.
const COPY_CHUNK: u64 = 1 << 20;
/// Bytes of the pattern from which a WRITE SAME is put together.
const PATTERN: u64 = 64 << 10;

/// A job.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Job {
    /// There is nothing to do at the back end.
    Nothing,
    /// The data is not what the command needs.
    Refused(SenseData),
    /// Read the span.
    Read(Span),
    /// Write the data from the start of the span.
    Write { span: Span, data: Vec<Bytes>, durable: bool },
    /// Write, then read back; compare if asked to.
    WriteAndVerify { span: Span, data: Vec<Bytes>, compare: bool, written: bool },
    /// Read; compare if there is something to compare with.
    Verify { span: Span, data: Option<Vec<Bytes>>, done: u64 },
    /// Compare the first half of the data with the span, then write the second half there.
    CompareAndWrite { span: Span, data: Vec<Bytes>, durable: bool, compared: bool },
    /// Write the medium's data OR the data.
    OrWrite { span: Span, data: Vec<Bytes>, durable: bool, merged: bool },
    /// Write one block's data all over the span; zeros may be deallocated.
    WriteSame { span: Span, data: Vec<Bytes>, unmap: bool },
    /// Deallocate the spans.
    Unmap { spans: Vec<Span>, done: usize },
    /// Make what was written durable.
    Flush,
    /// Tell which blocks are allocated, from the start of the span on.
    Map { span: Span, runs: Vec<LbaStatus>, runs_max: usize },
    /// Copy blocks inside the unit, pair by pair.
    Copy(Copy),
}

/// A copy under way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Copy {
    /// From where to where; the two of a pair are equally long.
    pub(super) pairs: Vec<(Span, Span)>,
    /// Pairs that are done.
    pub(super) done: usize,
    /// Bytes of the current pair that are done.
    pub(super) at: u64,
    /// Bytes of the current piece, being written.
    pub(super) writing: u64,
    /// Bytes written so far.
    pub(super) moved: u64,
}

impl Copy {
    /// A copy that has not begun.
    pub(super) fn new(pairs: Vec<(Span, Span)>) -> Copy {
        Copy { pairs, done: 0, at: 0, writing: 0, moved: 0 }
    }
}

/// What comes next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Next {
    /// This operation.
    Disk(DiskOperation),
    /// The job is at its end.
    End(Ended),
}

/// How a job ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Ended {
    /// With this data for the initiator.
    Data(Bytes),
    /// Without data.
    Done,
    /// With an error.
    Failed(SenseData),
}

impl Job {
    /// Hands over the data that was collected.
    pub(super) fn supply(&mut self, pieces: Vec<Bytes>) {
        match self {
            Job::Write { data, .. }
            | Job::WriteAndVerify { data, .. }
            | Job::CompareAndWrite { data, .. }
            | Job::OrWrite { data, .. }
            | Job::WriteSame { data, .. } => *data = pieces,
            // Without comparison there is no place for it.
            Job::Verify { data: Some(data), .. } => *data = pieces,
            Job::Verify { data: None, .. } => {}
            Job::Nothing
            | Job::Refused(_)
            | Job::Read(_)
            | Job::Unmap { .. }
            | Job::Flush
            | Job::Map { .. }
            | Job::Copy(_) => {}
        }
    }

    /// Where the job reads and writes; the flag says which.
    pub(super) fn each_span(&self, mut visit: impl FnMut(Span, bool)) {
        match self {
            Job::Nothing | Job::Refused(_) | Job::Flush | Job::Map { .. } => {}
            Job::Read(span) | Job::Verify { span, .. } => visit(*span, false),
            Job::Write { span, .. }
            | Job::WriteAndVerify { span, .. }
            | Job::CompareAndWrite { span, .. }
            | Job::OrWrite { span, .. }
            | Job::WriteSame { span, .. } => visit(*span, true),
            Job::Unmap { spans, .. } => spans.iter().for_each(|span| visit(*span, true)),
            Job::Copy(copy) => copy.pairs.iter().for_each(|(from, to)| {
                visit(*from, false);
                visit(*to, true);
            }),
        }
    }

    /// The first operation.
    pub(super) fn start(&mut self, unit: u16) -> Next {
        match self {
            Job::Nothing => Next::End(Ended::Done),
            Job::Refused(sense) => Next::End(Ended::Failed(*sense)),
            Job::Read(span) if span.blocks == 0 => Next::End(Ended::Data(Bytes::new())),
            Job::Read(span) => read(unit, span.offset(), span.bytes()),
            Job::Verify { span, .. } if span.blocks == 0 => Next::End(Ended::Done),
            Job::Verify { span, data, .. } => {
                let chunk = if data.is_some() { span.bytes() } else { span.bytes().min(VERIFY_CHUNK) };
                read(unit, span.offset(), chunk)
            }
            Job::Write { data, .. } | Job::WriteAndVerify { data, .. } if length(data) == 0 => {
                Next::End(Ended::Done)
            }
            Job::Write { span, data, durable } => write(unit, span.offset(), core::mem::take(data), *durable),
            Job::WriteAndVerify { span, data, .. } => write(unit, span.offset(), data.clone(), true),
            Job::CompareAndWrite { span, .. } | Job::OrWrite { span, .. } if span.blocks == 0 => {
                Next::End(Ended::Done)
            }
            Job::CompareAndWrite { span, .. } | Job::OrWrite { span, .. } => {
                read(unit, span.offset(), span.bytes())
            }
            Job::WriteSame { span, data, unmap } => write_same(unit, *span, data, *unmap),
            Job::Unmap { .. } => self.next_unmap(unit),
            Job::Flush => Next::Disk(DiskOperation::Flush { unit }),
            Job::Map { span, runs, .. } => next_map(unit, *span, runs),
            Job::Copy(copy) => copy.next(unit),
        }
    }

    /// One operation ended; what comes next?
    pub(super) fn advance(&mut self, unit: u16, outcome: DiskOutcome) -> Next {
        if outcome == DiskOutcome::Failed {
            let read_only = matches!(self, Job::Read(_) | Job::Verify { .. } | Job::Map { .. });
            let sense = if read_only { Sense::UNRECOVERED_READ_ERROR } else { Sense::WRITE_ERROR };
            return Next::End(Ended::Failed(SenseData::of(sense)));
        }
        match self {
            Job::Read(_) => Next::End(Ended::Data(found(outcome))),
            Job::Verify { span, data, done } => {
                let found = found(outcome);
                if let Some(pieces) = data {
                    return Next::End(compared(pieces, &found));
                }
                *done += found.len() as u64;
                let left = span.bytes().saturating_sub(*done);
                if left == 0 || found.is_empty() {
                    return Next::End(Ended::Done);
                }
                read(unit, span.offset() + *done, left.min(VERIFY_CHUNK))
            }
            Job::WriteAndVerify { span, data, compare, written } => {
                if !core::mem::replace(written, true) {
                    return read(unit, span.offset(), length(data));
                }
                Next::End(if *compare { compared(data, &found(outcome)) } else { Ended::Done })
            }
            Job::CompareAndWrite { span, data, durable, compared } => {
                if core::mem::replace(compared, true) {
                    return Next::End(Ended::Done);
                }
                let new = split_off(data, span.bytes());
                match mismatch(data, &found(outcome)) {
                    Some(at) => Next::End(miscompare(at)),
                    None => write(unit, span.offset(), new, *durable),
                }
            }
            Job::OrWrite { span, data, durable, merged } => {
                if core::mem::replace(merged, true) {
                    return Next::End(Ended::Done);
                }
                write(unit, span.offset(), vec![or(data, &found(outcome))], *durable)
            }
            Job::Unmap { done, .. } => {
                *done += 1;
                self.next_unmap(unit)
            }
            Job::Map { span, runs, runs_max } => {
                let DiskOutcome::Allocated { allocated, length } = outcome else {
                    return Next::End(Ended::Done);
                };
                mapped(*span, runs, allocated, length);
                let full = runs.len() >= *runs_max;
                if full { told(runs) } else { next_map(unit, *span, runs) }
            }
            Job::Copy(copy) => copy.advance(unit, outcome),
            Job::Nothing | Job::Refused(_) | Job::Write { .. } | Job::WriteSame { .. } | Job::Flush => {
                Next::End(Ended::Done)
            }
        }
    }

    /// Whether the operation that has just ended, or one before it, may have changed the medium.
    pub(super) fn has_changed(&self) -> bool {
        match self {
            Job::Nothing
            | Job::Refused(_)
            | Job::Read(_)
            | Job::Verify { .. }
            | Job::Flush
            | Job::Map { .. } => false,
            Job::Write { .. } | Job::WriteSame { .. } | Job::WriteAndVerify { .. } | Job::Unmap { .. } => {
                true
            }
            Job::CompareAndWrite { compared, .. } => *compared,
            Job::OrWrite { merged, .. } => *merged,
            Job::Copy(copy) => copy.moved > 0 || copy.writing > 0,
        }
    }

    fn next_unmap(&self, unit: u16) -> Next {
        let Job::Unmap { spans, done } = self else { return Next::End(Ended::Done) };
        match spans.get(*done) {
            None => Next::End(Ended::Done),
            Some(span) => {
                let (offset, length) = (span.offset(), span.bytes());
                Next::Disk(DiskOperation::Unmap { unit, offset, length })
            }
        }
    }
}

impl Copy {
    fn next(&mut self, unit: u16) -> Next {
        while let Some((from, _)) = self.pairs.get(self.done) {
            let left = from.bytes() - self.at;
            if left > 0 {
                return read(unit, from.offset() + self.at, left.min(COPY_CHUNK));
            }
            self.done += 1;
            self.at = 0;
        }
        Next::End(Ended::Done)
    }

    fn advance(&mut self, unit: u16, outcome: DiskOutcome) -> Next {
        let Some((_, to)) = self.pairs.get(self.done) else { return Next::End(Ended::Done) };
        match outcome {
            DiskOutcome::Read(data) if !data.is_empty() => {
                self.writing = data.len() as u64;
                write(unit, to.offset() + self.at, vec![data], true)
            }
            _ => {
                let written = core::mem::take(&mut self.writing);
                self.at += written;
                self.moved += written;
                self.next(unit)
            }
        }
    }
}

/// What a read has found; nothing if the driver mixes its answers up.
fn found(outcome: DiskOutcome) -> Bytes {
    match outcome {
        DiskOutcome::Read(data) => data,
        DiskOutcome::Done | DiskOutcome::Allocated { .. } | DiskOutcome::Failed => Bytes::new(),
    }
}

fn read(unit: u16, offset: u64, length: u64) -> Next {
    let length = u32::try_from(length).expect("transfers are limited to far less than 4 GiB");
    Next::Disk(DiskOperation::Read { unit, offset, length })
}

fn write(unit: u16, offset: u64, data: Vec<Bytes>, durable: bool) -> Next {
    Next::Disk(DiskOperation::Write { unit, offset, data, durable })
}

fn length(pieces: &[Bytes]) -> u64 {
    pieces.iter().map(|piece| piece.len() as u64).sum()
}

/// Takes what is behind the first `at` bytes off, without copying.
fn split_off(pieces: &mut Vec<Bytes>, at: u64) -> Vec<Bytes> {
    let mut left = usize::try_from(at).unwrap_or(usize::MAX);
    for index in 0..pieces.len() {
        if left < pieces[index].len() {
            let first = pieces[index].split_off(left);
            let mut rest = pieces.split_off(index + 1);
            rest.insert(0, first);
            return rest;
        }
        left -= pieces[index].len();
    }
    Vec::new()
}

/// The first byte in which the two differ; what is missing on either side differs.
fn mismatch(pieces: &[Bytes], found: &[u8]) -> Option<u64> {
    let mut at = 0;
    for piece in pieces {
        let there = found.get(at..found.len().min(at + piece.len())).unwrap_or(&[]);
        if there != &piece[..] {
            let same = piece.iter().zip(there).take_while(|(left, right)| left == right).count();
            return Some((at + same) as u64);
        }
        at += piece.len();
    }
    (at < found.len()).then_some(at as u64)
}

fn compared(pieces: &[Bytes], found: &[u8]) -> Ended {
    mismatch(pieces, found).map_or(Ended::Done, miscompare)
}

/// INFORMATION is the offset of the first byte that differs (SBC-3 5.2).
fn miscompare(at: u64) -> Ended {
    Ended::Failed(SenseData { sense: MISCOMPARE, information: Some(at), field: None })
}

fn or(pieces: &[Bytes], found: &[u8]) -> Bytes {
    let mut merged = found.to_vec();
    for (byte, more) in merged.iter_mut().zip(pieces.iter().flat_map(|piece| piece.iter())) {
        *byte |= more;
    }
    Bytes::from(merged)
}

fn write_same(unit: u16, span: Span, data: &[Bytes], unmap: bool) -> Next {
    let zeros = data.iter().all(|piece| piece.iter().all(|&byte| byte == 0));
    if span.blocks == 0 {
        return Next::End(Ended::Done);
    }
    // What is deallocated reads as zeros, so only zeros can be written in this way (LBPRZ = 1).
    if unmap && zeros {
        let (offset, length) = (span.offset(), span.bytes());
        return Next::Disk(DiskOperation::Unmap { unit, offset, length });
    }
    let block: Vec<u8> = if data.is_empty() {
        vec![0; span.block_bytes as usize]
    } else {
        data.iter().flat_map(|piece| piece.iter().copied()).collect()
    };
    let repeats = (PATTERN / block.len() as u64).clamp(1, span.blocks);
    let pattern = Bytes::from(block.repeat(usize::try_from(repeats).expect("a small number")));
    let mut pieces = Vec::new();
    let mut left = span.bytes();
    while left > 0 {
        let one = left.min(pattern.len() as u64);
        pieces.push(pattern.slice(..usize::try_from(one).expect("no longer than the pattern")));
        left -= one;
    }
    write(unit, span.offset(), pieces, true)
}

/// Where the next run of GET LBA STATUS begins.
fn after(span: Span, runs: &[LbaStatus]) -> u64 {
    runs.last().map_or(span.lba, |run| run.lba + u64::from(run.blocks))
}

fn next_map(unit: u16, span: Span, runs: &[LbaStatus]) -> Next {
    let lba = after(span, runs);
    let left = Span { lba, blocks: (span.lba + span.blocks).saturating_sub(lba), ..span };
    if left.blocks == 0 {
        return told(runs);
    }
    Next::Disk(DiskOperation::Map { unit, offset: left.offset(), length: left.bytes() })
}

fn told(runs: &[LbaStatus]) -> Next {
    Next::End(Ended::Data(Bytes::from(encode_lba_status(runs))))
}

/// One more run. A block that is allocated in part is mapped.
fn mapped(span: Span, runs: &mut Vec<LbaStatus>, allocated: bool, length: u64) {
    let lba = after(span, runs);
    let left = (span.lba + span.blocks).saturating_sub(lba);
    let size = u64::from(span.block_bytes);
    let whole = length / size;
    let (provisioning, blocks) = match (allocated, whole) {
        (true, _) => (Provisioning::Mapped, length.div_ceil(size).max(1)),
        (false, 0) => (Provisioning::Mapped, 1),
        (false, whole) => (Provisioning::Deallocated, whole),
    };
    let blocks = u32::try_from(blocks.min(left)).unwrap_or(u32::MAX);
    match runs.last_mut().filter(|run| run.provisioning == provisioning) {
        Some(run) if run.blocks.checked_add(blocks).is_some() => run.blocks += blocks,
        _ => runs.push(LbaStatus { lba, blocks, provisioning }),
    }
}
