//! What the node's application does with the disk, and the initiator queue it goes through.
//!
//! Each write carries a record: writer, ownership epoch, serial number. The first write of a tenure
//! goes to block 0, where the next owner will look for the epoch.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use redline_vocab::{Command, Event, Extent, Lba, LossReason, Quirk, Record, Serial, Status, Tag};

use super::{Effect, Guest};

/// How often the workload does something else than write.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Mix {
    /// Every n-th operation reads back what was written before; 0: never.
    pub read_every: u16,
    /// Every n-th operation flushes the target's cache; 0: never.
    pub flush_every: u16,
}

impl Mix {
    /// Writes and nothing else.
    pub const WRITES_ONLY: Mix = Mix { read_every: 0, flush_every: 0 };
}

/// The application's operations: those queued, and those outstanding.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct Workload {
    queue: VecDeque<Command>,
    outstanding: Vec<(Tag, Command)>,
    operations: u32,
    serial: u32,
    last_written: Option<Extent>,
    header_due: bool,
}

impl Workload {
    pub(super) fn new() -> Workload {
        Workload {
            queue: VecDeque::new(),
            outstanding: Vec::new(),
            operations: 0,
            serial: 0,
            last_written: None,
            header_due: true,
        }
    }

    pub(super) fn queued(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn outstanding(&self) -> usize {
        self.outstanding.len()
    }

    pub(super) fn tags(&self) -> impl Iterator<Item = Tag> + '_ {
        self.outstanding.iter().map(|(tag, _)| *tag)
    }

    pub(super) fn new_tenure(&mut self) {
        self.header_due = true;
    }

    /// Drops what is queued; returns how many writes that were.
    pub(super) fn drain(&mut self) -> u32 {
        let writes = self.queue.iter().filter(|command| is_write(command)).count();
        self.queue.clear();
        u32::try_from(writes).expect("a queue is bounded by a u16")
    }

    /// Replies to what is outstanding no longer matter (R8).
    pub(super) fn disown(&mut self) {
        self.outstanding.clear();
    }

    /// R11: outstanding writes return to the head of the queue in their order; the rest is dropped.
    pub(super) fn forget(&mut self, mut forgotten: impl FnMut(Tag)) {
        for (tag, _) in &self.outstanding {
            forgotten(*tag);
        }
        for (_, command) in self.outstanding.drain(..).rev().filter(|(_, command)| is_write(command)) {
            self.queue.push_front(command);
        }
    }

    pub(super) fn rename(
        &mut self,
        tag: &mut impl FnMut(Tag) -> Tag,
        record: &mut impl FnMut(Record) -> Record,
    ) {
        self.operations = 0;
        self.serial = 0;
        for command in self.queue.iter_mut().chain(self.outstanding.iter_mut().map(|(_, command)| command)) {
            if let Command::Write { record: carried, .. } = command {
                *carried = record(*carried);
            }
        }
        for (outstanding, _) in &mut self.outstanding {
            *outstanding = tag(*outstanding);
        }
    }
}

fn is_write(command: &Command) -> bool {
    matches!(command, Command::Write { .. })
}

impl Guest {
    /// The workload puts its next operation into the initiator queue.
    pub(super) fn issue(&mut self, out: &mut Vec<Effect>) {
        if !self.may_issue() {
            return;
        }
        let mix = self.config.mix;
        self.workload.operations = self.workload.operations.wrapping_add(1);
        let turn = |every: u16| every != 0 && self.workload.operations.is_multiple_of(u32::from(every));
        let command = match self.workload.last_written {
            Some(extent) if turn(mix.read_every) && !self.workload.header_due => Command::Read(extent),
            Some(_) if turn(mix.flush_every) && !self.workload.header_due => Command::SynchronizeCache,
            _ => self.next_write(out),
        };
        self.workload.queue.push_back(command);
    }

    fn next_write(&mut self, out: &mut Vec<Effect>) -> Command {
        let node = self.config.node;
        self.workload.serial = self.workload.serial.wrapping_add(1);
        let record = Record { writer: node, epoch: self.epoch, serial: Serial(self.workload.serial) };
        let extent = self.next_extent();
        self.workload.header_due = false;
        self.workload.last_written = Some(extent);
        out.push(Effect::Event(Event::Issued { node, extent, record }));
        Command::Write { extent, record }
    }

    /// Block 0 first, then round and round over the rest.
    fn next_extent(&self) -> Extent {
        let blocks = self.config.write_blocks;
        let room = self.config.blocks.saturating_sub(1) / u64::from(blocks.max(1));
        if self.workload.header_due || room == 0 {
            return Extent { lba: Lba(0), blocks: 1 };
        }
        let slot = u64::from(self.workload.serial) % room;
        Extent { lba: Lba(1 + slot * u64::from(blocks)), blocks }
    }

    /// The oldest queued operation goes to the transport.
    pub(super) fn send_one(&mut self, out: &mut Vec<Effect>) {
        if !self.may_send() {
            return;
        }
        let Some(command) = self.workload.queue.pop_front() else { return };
        let tag = self.send(command, out);
        self.workload.outstanding.push((tag, command));
    }

    /// R8-R10: an operation of the workload was answered. Replies to what the node has forgotten
    /// about are ignored.
    pub(super) fn operation_answered(&mut self, tag: Tag, status: Status, out: &mut Vec<Effect>) {
        let Some(at) = self.workload.outstanding.iter().position(|(outstanding, _)| *outstanding == tag)
        else {
            return;
        };
        let (_, command) = self.workload.outstanding.remove(at);
        match status {
            Status::Good => {}
            Status::ReservationConflict => {
                // Quirk: the owner does not believe it, and tries for ever.
                if self.quirks.has(Quirk::ConflictIgnored) {
                    self.retry(command);
                } else {
                    self.lose(LossReason::Conflict, out);
                }
            }
            Status::CheckCondition(sense) if sense.key == 6 => {
                self.retry(command);
                self.verify(out);
            }
            Status::CheckCondition(_) | Status::TaskSetFull | Status::TaskAborted => self.retry(command),
        }
    }

    /// R9, R10: a write is not lost; a read or flush is not worth repeating.
    fn retry(&mut self, command: Command) {
        if is_write(&command) {
            self.workload.queue.push_front(command);
        }
    }
}
