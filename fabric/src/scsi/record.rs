//! What a block holds that a guest's workload has written: a [`Record`], with filling and a checksum.
//!
//! Every block of a write carries the same record, so that a write that was torn between blocks shows. A block that was torn inside, or
//! landed at another address than it was meant for, fails its checksum and reads as [`Block::Corrupt`], as does whatever others have written.
//! The target never looks at a block for any other purpose than to tell an event what was read.
//!
//! Layout: 0 magic, 8 writer, 9 reserved, 12 epoch, 16 serial, 20 reserved, 24 LBA, 32 checksum, 40 filling.

use super::field::{put, u32_at, u64_at};
use alloc::vec::Vec;
use redline_vocab::{Block, Epoch, Extent, Lba, NodeId, Record, Serial};

const MAGIC: &[u8; 8] = b"RLRECORD";
const CHECKSUM: usize = 32;
const FILLING: usize = 40;

/// Smallest block that a record fits into, in bytes; blocks are multiples of 8.
pub const BLOCK_MIN: usize = FILLING;

/// Writes the record into the block of the medium with address `lba`.
///
/// # Panics
/// If the block is smaller than [`BLOCK_MIN`].
pub fn encode(record: Record, lba: Lba, block: &mut [u8]) {
    block[..FILLING].fill(0);
    put(block, 0, MAGIC);
    block[8] = record.writer.0;
    put(block, 12, &record.epoch.0.to_be_bytes());
    put(block, 16, &record.serial.0.to_be_bytes());
    put(block, 24, &lba.0.to_be_bytes());
    let mut word = checksum(&block[..FILLING]);
    for chunk in block[FILLING..].chunks_mut(8) {
        word = mixed(word);
        let bytes = word.to_be_bytes();
        chunk.copy_from_slice(&bytes[..chunk.len()]);
    }
    let sum = checksum(block);
    put(block, CHECKSUM, &sum.to_be_bytes());
}

/// The blocks of a write: one buffer for the whole extent.
pub fn encode_extent(record: Record, extent: Extent, block_bytes: u32) -> Vec<u8> {
    let size = usize::try_from(block_bytes).expect("a block fits into memory");
    let mut out = alloc::vec![0; size * usize::from(extent.blocks)];
    for (block, lba) in out.chunks_exact_mut(size).zip(extent.lba.0..) {
        encode(record, Lba(lba), block);
    }
    out
}

/// What the block of the medium with address `lba` holds.
pub fn decode(block: &[u8], lba: Lba) -> Block {
    if block.iter().all(|&byte| byte == 0) {
        return Block::Blank;
    }
    decoded(block, lba).map_or(Block::Corrupt, Block::Of)
}

fn decoded(block: &[u8], lba: Lba) -> Option<Record> {
    if !block.starts_with(MAGIC) || u64_at(block, 24)? != lba.0 || u64_at(block, CHECKSUM)? != checksum(block)
    {
        return None;
    }
    let (epoch, serial) = (Epoch(u32_at(block, 12)?), Serial(u32_at(block, 16)?));
    Some(Record { writer: NodeId(block[8]), epoch, serial })
}

/// What the blocks that begin at `lba` hold; a piece at the end is left out.
pub fn decode_extent(bytes: &[u8], lba: Lba, block_bytes: u32) -> Vec<Block> {
    let size = usize::try_from(block_bytes).expect("a block fits into memory");
    bytes.chunks_exact(size).zip(lba.0..).map(|(block, lba)| decode(block, Lba(lba))).collect()
}

/// Over the whole block, its own field counting as zero. Meant against damage, not against an attacker.
fn checksum(block: &[u8]) -> u64 {
    let words = block.chunks(8).enumerate();
    words.fold(0xcbf2_9ce4_8422_2325, |sum, (at, chunk)| {
        let word = chunk.iter().fold(0, |word, &byte| word << 8 | u64::from(byte));
        mixed(sum ^ if at * 8 == CHECKSUM { 0 } else { word })
    })
}

/// A bijection on words that spreads every bit (xorshift-multiply).
fn mixed(word: u64) -> u64 {
    let word = (word ^ word >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93);
    word ^ word >> 29
}
