//! READ CAPACITY (SBC-3 5.15, 5.16): size of the medium, size of a block, thin or not.

use super::field::{array_at, bit, put, u32_at, u64_at};
use alloc::vec;
use alloc::vec::Vec;

/// Size of a medium.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Capacity {
    /// Blocks, at least 1.
    pub blocks: u64,
    /// Bytes in a block.
    pub block_bytes: u32,
    /// Logical blocks in a physical one, as a power of two: 0 to 15.
    pub physical_exponent: u8,
    /// LBPME: blocks need not be backed by storage.
    pub thin: bool,
    /// LBPRZ: a block that is not backed reads as zeros.
    pub zeros: bool,
}

impl Capacity {
    /// READ CAPACITY (10): 8 bytes; a last address that does not fit reads FFFFFFFF.
    pub fn encode10(&self) -> Vec<u8> {
        let last = u32::try_from(self.blocks.saturating_sub(1)).unwrap_or(u32::MAX);
        [last.to_be_bytes(), self.block_bytes.to_be_bytes()].concat()
    }

    /// READ CAPACITY (16): 32 bytes. No protection information.
    pub fn encode16(&self) -> Vec<u8> {
        let mut out = vec![0; 32];
        put(&mut out, 0, &self.blocks.saturating_sub(1).to_be_bytes());
        put(&mut out, 8, &self.block_bytes.to_be_bytes());
        out[13] = self.physical_exponent & 0x0f;
        out[14] = bit(self.thin, 0x80) | bit(self.zeros, 0x40);
        out
    }

    /// READ CAPACITY (10); `None` if it is cut, or the medium is too large for it.
    pub fn decode10(bytes: &[u8]) -> Option<Capacity> {
        let last = u32_at(bytes, 0).filter(|&last| last != u32::MAX)?;
        let block_bytes = u32_at(bytes, 4)?;
        let blocks = u64::from(last) + 1;
        Some(Capacity { blocks, block_bytes, physical_exponent: 0, thin: false, zeros: false })
    }

    /// READ CAPACITY (16); `None` if it is cut before its flags.
    pub fn decode16(bytes: &[u8]) -> Option<Capacity> {
        let [exponent, flags] = array_at::<2>(bytes, 13)?;
        Some(Capacity {
            blocks: u64_at(bytes, 0)?.checked_add(1)?,
            block_bytes: u32_at(bytes, 8)?,
            physical_exponent: exponent & 0x0f,
            thin: flags & 0x80 != 0,
            zeros: flags & 0x40 != 0,
        })
    }
}
