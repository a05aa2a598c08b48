//! `disk/reads-last-write` and `disk/flushed-survives`: the medium as a reader may find it.
//!
//! The idea: for each block, keep the set of values that it may hold. A write that committed leaves one. A power
//! loss leaves any value since the last flush, because a write-back cache may have put any of them on the medium,
//! and also the old or the new value of a write that was under way: each block for itself, so that a torn write is
//! covered. A read narrows the set to what it saw. A value outside the set breaks a promise:
//! of the flush if the block's set came from a power loss, of the last write otherwise.
//!
//! Damaged blocks are allowed once a corruption fault has been declared in the trace; never before.
//! Not judged: blocks beyond [`BLOCKS_MAX`], and values older than the last [`CACHED_MAX`] writes of a block that
//! is never flushed (any value is then accepted after a power loss).

use super::{
    Scene,
    findings::{Findings, Watched},
    ledger::{Entry, Stage},
};
use alloc::{format, string::String, vec::Vec};
use redline_vocab::{Block, Command, Data, Event, Extent, Fault, Lba, Status};

/// Blocks that are judged, from 0.
const BLOCKS_MAX: u64 = 1 << 20;
/// Unflushed writes that are remembered for each block.
const CACHED_MAX: usize = 64;

#[derive(Clone, Debug)]
pub(super) struct Disk {
    cells: Vec<Cell>,
    /// Writes that committed before this event are on the medium.
    flushed: u64,
    corrupted: bool,
}

/// One block.
#[derive(Clone, Debug)]
struct Cell {
    /// What may be on the medium; never empty.
    medium: Vec<Block>,
    /// What was written since the last flush, oldest first.
    cached: Vec<Cached>,
    /// Older cached values were dropped: after a power loss any value is accepted.
    forgotten: bool,
    /// A power loss has happened since the value was last certain.
    power_lost: bool,
    /// What the medium holds was flushed there.
    flushed: bool,
    /// Any value is accepted until the next write or read.
    any: bool,
}

#[derive(Clone, Copy, Debug)]
struct Cached {
    seq: u64,
    block: Block,
    /// `false`: the write failed and may have had an effect or not.
    certain: bool,
}

impl Disk {
    pub const fn new() -> Disk {
        Disk { cells: Vec::new(), flushed: 0, corrupted: false }
    }

    pub fn see(&mut self, scene: &Scene<'_>, out: &mut Findings) {
        match scene.event {
            Event::Committed { .. } => match scene.entry {
                Some(Entry { command: Command::Write { extent, record }, .. }) => {
                    self.written(scene.seq, extent, Block::Of(record), true);
                }
                // It covers what had committed when the target took it; what commits beside it may slip through.
                Some(Entry { command: Command::SynchronizeCache, dispatched, .. }) => {
                    self.flushed = self.flushed.max(dispatched);
                }
                _ => {}
            },
            Event::Replied { reply, .. } => {
                let Some(entry) = scene.entry else { return };
                match (entry.command, entry.stage, &reply.data) {
                    (Command::Read(extent), Stage::Done, Data::Blocks(blocks))
                        if reply.status == Status::Good =>
                    {
                        self.read(scene, extent, blocks, out);
                    }
                    (Command::Write { extent, record }, Stage::BackEnd, _) => {
                        self.written(scene.seq, extent, Block::Of(record), false);
                    }
                    _ => {}
                }
            }
            Event::PowerLost => self.power_lost(scene),
            Event::FaultInjected { fault: Fault::Corruption } => self.corrupted = true,
            _ => {}
        }
    }

    fn written(&mut self, seq: u64, extent: Extent, block: Block, certain: bool) {
        let flushed = self.flushed;
        for lba in lbas(extent) {
            let Some(cell) = self.cell(lba) else { return };
            cell.settle(flushed);
            cell.write(Cached { seq, block, certain });
        }
    }

    fn read(&mut self, scene: &Scene<'_>, extent: Extent, blocks: &[Block], out: &mut Findings) {
        let (flushed, corrupted) = (self.flushed, self.corrupted);
        for (lba, seen) in lbas(extent).zip(blocks) {
            let Some(cell) = self.cell(lba) else { return };
            cell.settle(flushed);
            if !cell.cached.is_empty() || cell.medium != [Block::Blank] {
                out.fired(Watched::ReadsLastWrite);
            }
            if cell.power_lost && cell.flushed {
                out.fired(Watched::FlushedSurvives);
            }
            if cell.any || cell.may_hold(*seen) {
                cell.observe(*seen);
            } else if !(corrupted && *seen == Block::Corrupt) {
                let which = if cell.power_lost { Watched::FlushedSurvives } else { Watched::ReadsLastWrite };
                out.broken(which, scene.seq, scene.at, || {
                    format!("block {} read as {}, may only hold {}", lba.0, words(*seen), cell.words())
                });
                cell.observe(*seen);
            }
        }
    }

    fn power_lost(&mut self, scene: &Scene<'_>) {
        let flushed = self.flushed;
        for entry in scene.ledger.under_way().filter(|entry| entry.stage == Stage::BackEnd) {
            if let Command::Write { extent, record } = entry.command {
                self.written(scene.seq, extent, Block::Of(record), false);
            }
        }
        for cell in &mut self.cells {
            cell.settle(flushed);
            cell.lose_power();
        }
    }

    fn cell(&mut self, lba: Lba) -> Option<&mut Cell> {
        let at = usize::try_from(lba.0).ok().filter(|_| lba.0 < BLOCKS_MAX)?;
        if self.cells.len() <= at {
            self.cells.resize_with(at + 1, Cell::blank);
        }
        self.cells.get_mut(at)
    }
}

impl Cell {
    fn blank() -> Cell {
        Cell {
            medium: alloc::vec![Block::Blank],
            cached: Vec::new(),
            forgotten: false,
            power_lost: false,
            flushed: false,
            any: false,
        }
    }

    fn write(&mut self, write: Cached) {
        if self.cached.len() == CACHED_MAX {
            self.cached.drain(..CACHED_MAX / 2);
            self.forgotten = true;
        }
        self.cached.push(write);
        if write.certain {
            self.any = false;
            self.power_lost = false;
        }
    }

    /// Moves what a flush has put on the medium there.
    fn settle(&mut self, flushed: u64) {
        let through = self.cached.iter().take_while(|write| write.seq < flushed).count();
        if through == 0 {
            return;
        }
        if let Some(certain) = self.cached[..through].iter().rposition(|write| write.certain) {
            self.medium.clear();
            self.forgotten = false;
            self.flushed = true;
            self.medium.extend(self.cached[certain..through].iter().map(|write| write.block));
        } else {
            self.medium.extend(self.cached[..through].iter().map(|write| write.block));
        }
        self.cached.drain(..through);
    }

    fn lose_power(&mut self) {
        self.power_lost = true;
        self.any |= self.forgotten;
        self.forgotten = false;
        for write in self.cached.drain(..) {
            if !self.medium.contains(&write.block) {
                self.medium.push(write.block);
            }
        }
    }

    fn may_hold(&self, block: Block) -> bool {
        for write in self.cached.iter().rev() {
            if write.block == block {
                return true;
            }
            if write.certain {
                return false;
            }
        }
        self.medium.contains(&block)
    }

    /// A read has shown what the block holds.
    fn observe(&mut self, block: Block) {
        self.any = false;
        self.power_lost = false;
        if self.cached.is_empty() {
            self.medium.clear();
            self.medium.push(block);
        } else if let Some(last) = self.cached.last().copied()
            && (last.block != block || !last.certain)
        {
            self.write(Cached { block, certain: true, ..last });
        }
    }

    fn words(&self) -> String {
        let mut all = String::new();
        let certain = self.cached.iter().rposition(|write| write.certain);
        let cached = self.cached[certain.unwrap_or(0)..].iter().map(|write| write.block);
        let medium = self.medium.iter().copied().filter(|_| certain.is_none());
        for block in cached.chain(medium) {
            if !all.is_empty() {
                all.push_str(" or ");
            }
            all.push_str(&words(block));
        }
        all
    }
}

fn lbas(extent: Extent) -> impl Iterator<Item = Lba> {
    (0..u64::from(extent.blocks)).map(move |offset| Lba(extent.lba.0.saturating_add(offset)))
}

fn words(block: Block) -> String {
    match block {
        Block::Blank => String::from("blank"),
        Block::Of(record) => format!("{}'s {} of {}", record.writer, record.serial, record.epoch),
        Block::Corrupt => String::from("damaged"),
    }
}
