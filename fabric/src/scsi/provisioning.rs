//! Thin provisioning (SBC-3 4.7): UNMAP's parameter list, GET LBA STATUS's answer.

use super::field::{length16, length32, put, u16_at, u32_at, u64_at};
use alloc::vec;
use alloc::vec::Vec;
use redline_vocab::Sense;

/// A run of blocks that UNMAP names.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Run {
    /// UNMAP LOGICAL BLOCK ADDRESS
    pub lba: u64,
    /// NUMBER OF LOGICAL BLOCKS
    pub blocks: u32,
}

/// UNMAP's parameter list.
pub fn encode_unmap(runs: &[Run]) -> Vec<u8> {
    let mut out = vec![0; 8 + 16 * runs.len()];
    let length = length16(out.len() - 2);
    put(&mut out, 0, &length.to_be_bytes());
    put(&mut out, 2, &(length - 6).to_be_bytes());
    for (at, run) in (8..).step_by(16).zip(runs) {
        put(&mut out, at, &run.lba.to_be_bytes());
        put(&mut out, at + 8, &run.blocks.to_be_bytes());
    }
    out
}

/// UNMAP's parameter list, as long as the CDB says. A descriptor that is cut at the end is left out (SBC-3 5.28.2); an empty list is legal.
///
/// # Errors
/// 05/1A/00 if the header is cut.
pub fn decode_unmap(bytes: &[u8]) -> Result<Vec<Run>, Sense> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let announced = u16_at(bytes, 2).map(usize::from);
    let (Some(announced), Some(body)) = (announced, bytes.get(8..)) else {
        return Err(Sense::PARAMETER_LIST_LENGTH_ERROR);
    };
    let body = &body[..body.len().min(announced)];
    let run = |one: &[u8]| Some(Run { lba: u64_at(one, 0)?, blocks: u32_at(one, 8)? });
    Ok(body.chunks_exact(16).filter_map(run).collect())
}

/// PROVISIONING STATUS of GET LBA STATUS.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Provisioning {
    /// 0h: mapped, or nobody knows.
    Mapped,
    /// 1h: reads as zeros, takes no room.
    Deallocated,
}

/// One descriptor of GET LBA STATUS.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LbaStatus {
    /// From where.
    pub lba: u64,
    /// How many blocks.
    pub blocks: u32,
    /// What holds for them.
    pub provisioning: Provisioning,
}

/// GET LBA STATUS.
pub fn encode_lba_status(runs: &[LbaStatus]) -> Vec<u8> {
    let mut out = vec![0; 8 + 16 * runs.len()];
    let length = length32(out.len() - 4);
    put(&mut out, 0, &length.to_be_bytes());
    for (at, run) in (8..).step_by(16).zip(runs) {
        put(&mut out, at, &run.lba.to_be_bytes());
        put(&mut out, at + 8, &run.blocks.to_be_bytes());
        out[at + 12] = match run.provisioning {
            Provisioning::Mapped => 0,
            Provisioning::Deallocated => 1,
        };
    }
    out
}

/// GET LBA STATUS; `None` if it is cut inside its header or shows a state that we do not know.
pub fn decode_lba_status(bytes: &[u8]) -> Option<Vec<LbaStatus>> {
    let announced = usize::try_from(u32_at(bytes, 0)?).ok()?.checked_sub(4)?;
    let body = bytes.get(8..)?;
    let run = |one: &[u8]| {
        let provisioning = match one[12] & 0x0f {
            0 => Provisioning::Mapped,
            1 => Provisioning::Deallocated,
            _ => return None,
        };
        Some(LbaStatus { lba: u64_at(one, 0)?, blocks: u32_at(one, 8)?, provisioning })
    };
    body[..body.len().min(announced)].chunks_exact(16).map(run).collect()
}
