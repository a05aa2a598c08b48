//! Written sectors that exist only in the memory of the process, until they are written back.
//!
//! It stands in for the volatile cache of a disk: a SIGKILL loses it, whole.

use bytes::Bytes;
use std::collections::BTreeMap;
use std::ops::Range;

/// The grain, in bytes: the smallest logical block.
pub(super) const SECTOR: u64 = 512;

/// Sectors that it holds at most; beyond that the cache has to be written back, as a full one would be.
pub(super) const SECTORS_MAX: usize = 64 * 1024;

/// Sectors by number.
#[derive(Default, Debug)]
pub(super) struct Sectors(BTreeMap<u64, Bytes>);

impl Sectors {
    /// Takes a write; offset and length are whole sectors.
    pub(super) fn write(&mut self, offset: u64, data: &Bytes) {
        for (number, at) in (offset / SECTOR..).zip((0..data.len()).step_by(SECTOR as usize)) {
            let end = data.len().min(at + SECTOR as usize);
            self.0.insert(number, Bytes::copy_from_slice(&data[at..end]));
        }
    }

    /// Lays what is newer over what was read from the file.
    pub(super) fn lay_over(&self, offset: u64, read: &mut [u8]) {
        let range = sectors(offset, read.len() as u64);
        for (number, sector) in self.0.range(range) {
            let at = (number * SECTOR - offset) as usize;
            read[at..at + sector.len()].copy_from_slice(sector);
        }
    }

    pub(super) fn forget(&mut self, offset: u64, length: u64) {
        let gone: Vec<u64> = self.0.range(sectors(offset, length)).map(|(number, _)| *number).collect();
        for number in gone {
            self.0.remove(&number);
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.0.len() >= SECTORS_MAX
    }

    /// Takes everything out, as offset and bytes, by offset.
    pub(super) fn take(&mut self) -> impl Iterator<Item = (u64, Bytes)> + use<> {
        std::mem::take(&mut self.0).into_iter().map(|(number, sector)| (number * SECTOR, sector))
    }
}

/// The sectors that these bytes touch.
pub(super) fn sectors(offset: u64, length: u64) -> Range<u64> {
    offset / SECTOR..(offset + length).div_ceil(SECTOR)
}
