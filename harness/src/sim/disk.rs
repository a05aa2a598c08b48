//! The medium behind the target, with the cache in front of it.

use redline_vocab::{Block, Extent, Lba, Record};
use std::collections::BTreeMap;

/// What a power loss leaves of a write that was not durable yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Loss {
    /// It reached the medium after all.
    Kept,
    /// It is gone.
    Dropped,
    /// Only its first blocks, so many, reached the medium.
    Torn(u16),
}

/// Blocks by address; a block that is not there is blank.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Disk {
    durable: BTreeMap<Lba, Block>,
    /// Writes that only the cache has, oldest first. Empty without a write-back cache.
    cached: Vec<(Extent, Record)>,
    cache: bool,
}

impl Disk {
    /// A blank disk. With `cache` a write is durable only after a flush.
    pub fn new(cache: bool) -> Disk {
        Disk { durable: BTreeMap::new(), cached: Vec::new(), cache }
    }

    /// What a reader sees.
    pub fn read(&self, extent: Extent) -> Vec<Block> {
        addresses(extent)
            .map(|lba| {
                let newest = self.cached.iter().rev().find(|(written, _)| covers(*written, lba));
                match newest {
                    Some((_, record)) => Block::Of(*record),
                    None => self.durable.get(&lba).copied().unwrap_or(Block::Blank),
                }
            })
            .collect()
    }

    /// A write takes effect.
    pub fn write(&mut self, extent: Extent, record: Record) {
        if self.cache {
            self.cached.push((extent, record));
        } else {
            self.put(extent, extent.blocks, record);
        }
    }

    /// Everything written so far becomes durable.
    pub fn flush(&mut self) {
        for (extent, record) in std::mem::take(&mut self.cached) {
            self.put(extent, extent.blocks, record);
        }
    }

    /// How many writes only the cache has.
    pub fn cached(&self) -> usize {
        self.cached.len()
    }

    /// Power is lost: the cache is empty afterwards, and `loss` says what became of each write in it.
    pub fn lose_power(&mut self, loss: &mut dyn FnMut(Extent) -> Loss) {
        for (extent, record) in std::mem::take(&mut self.cached) {
            self.survive(extent, record, loss(extent));
        }
    }

    /// A write that was under way when power was lost.
    pub fn survive(&mut self, extent: Extent, record: Record, loss: Loss) {
        match loss {
            Loss::Kept => self.put(extent, extent.blocks, record),
            Loss::Dropped => {}
            Loss::Torn(blocks) => self.put(extent, blocks.min(extent.blocks), record),
        }
    }

    /// The block reads as damaged until it is written again.
    pub fn corrupt(&mut self, lba: Lba) {
        self.durable.insert(lba, Block::Corrupt);
    }

    /// Replaces the records: for the canonical form in exploration.
    pub fn rename(&mut self, mut record: impl FnMut(Record) -> Record) {
        for block in self.durable.values_mut() {
            if let Block::Of(old) = block {
                *old = record(*old);
            }
        }
        for (_, old) in &mut self.cached {
            *old = record(*old);
        }
    }

    fn put(&mut self, extent: Extent, blocks: u16, record: Record) {
        for lba in addresses(Extent { blocks, ..extent }) {
            self.durable.insert(lba, Block::Of(record));
        }
    }
}

fn addresses(extent: Extent) -> impl Iterator<Item = Lba> {
    (extent.lba.0..extent.lba.0.saturating_add(u64::from(extent.blocks))).map(Lba)
}

fn covers(extent: Extent, lba: Lba) -> bool {
    lba >= extent.lba && lba.0 - extent.lba.0 < u64::from(extent.blocks)
}
