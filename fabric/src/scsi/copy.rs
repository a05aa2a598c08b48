//! Third-party copies (SPC-4 6.4, 6.24 and SBC-3 5.7, 5.45): EXTENDED COPY with block to block segments, and token copies (ODX).

use super::field::{array_at, length16, length32, put, u16_at, u32_at, u64_at};
use super::provisioning::Run;
use alloc::vec;
use alloc::vec::Vec;
use redline_vocab::Sense;

/// Most copy source and destination descriptors in a list.
pub const CSCDS_MAX: usize = 8;
/// Most segments in a list.
pub const SEGMENTS_MAX: usize = 16;
/// Most bytes of both kinds of descriptors together.
pub const DESCRIPTORS_MAX: usize = CSCDS_MAX * CSCD_LENGTH + SEGMENTS_MAX * SEGMENT_LENGTH;
/// Most ranges of a token.
pub const RANGES_MAX: usize = 16;
/// Most blocks of a token.
pub const TOKEN_BLOCKS_MAX: u32 = 0x10_0000;
/// Length of a token, in bytes.
pub const TOKEN_LENGTH: usize = 512;
/// Index that names the logical unit to which the command was sent.
pub const THIS_UNIT: u16 = 0xffff;

const CSCD_LENGTH: usize = 32;
const SEGMENT_LENGTH: usize = 28;
const IDENTIFICATION: u8 = 0xe4;
const BLOCK_TO_BLOCK: u8 = 0x02;
const HEADER: usize = 16;

const TOO_MANY_TARGETS: Sense = Sense { key: 0x05, asc: 0x26, ascq: 0x06 };
const UNKNOWN_TARGET_TYPE: Sense = Sense { key: 0x05, asc: 0x26, ascq: 0x07 };
const TOO_MANY_SEGMENTS: Sense = Sense { key: 0x05, asc: 0x26, ascq: 0x08 };
const UNKNOWN_SEGMENT_TYPE: Sense = Sense { key: 0x05, asc: 0x26, ascq: 0x09 };

/// A logical unit as a copy names it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Cscd {
    /// DESIGNATOR TYPE and ASSOCIATION, as in page 83h.
    pub kind: u8,
    /// DESIGNATOR
    pub designator: Vec<u8>,
    /// DISK BLOCK LENGTH, in bytes.
    pub block_bytes: u32,
}

/// Copy blocks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Segment {
    /// Index of the source among the descriptors.
    pub source: u16,
    /// Index of the destination.
    pub destination: u16,
    /// How many blocks.
    pub blocks: u16,
    /// From where.
    pub from: u64,
    /// To where.
    pub to: u64,
}

/// The parameter list of EXTENDED COPY (LID1).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CopyList {
    /// LIST IDENTIFIER
    pub list: u8,
    /// LIST ID USAGE 11b: nobody will ask for the status.
    pub discards_status: bool,
    /// Sources and destinations.
    pub units: Vec<Cscd>,
    /// What to copy, in this order.
    pub segments: Vec<Segment>,
}

/// Reads an EXTENDED COPY list, which is not empty.
///
/// # Errors
/// 05/1A/00 if it is cut or too long, 05/26/06 to 05/26/09 for too many or unknown descriptors.
pub fn decode_list(bytes: &[u8]) -> Result<CopyList, Sense> {
    let cut = Sense::PARAMETER_LIST_LENGTH_ERROR;
    let head: [u8; HEADER] = array_at(bytes, 0).ok_or(cut)?;
    let units = usize::from(u16::from_be_bytes([head[2], head[3]]));
    let lengths = [u32_at(&head, 8), u32_at(&head, 12)].map(|n| n.and_then(|n| usize::try_from(n).ok()));
    let [Some(segments), Some(inline)] = lengths else { return Err(cut) };
    let end = HEADER.saturating_add(units).saturating_add(segments).saturating_add(inline);
    if end > bytes.len() || units + segments > DESCRIPTORS_MAX || units % CSCD_LENGTH != 0 {
        return Err(cut);
    }
    let (units, rest) = bytes[HEADER..].split_at(units);
    Ok(CopyList {
        list: head[0],
        discards_status: head[1] >> 3 & 3 == 3,
        units: decode_cscds(units)?,
        segments: decode_segments(&rest[..segments])?,
    })
}

fn decode_cscds(bytes: &[u8]) -> Result<Vec<Cscd>, Sense> {
    let (all, _) = bytes.as_chunks::<CSCD_LENGTH>();
    if all.len() > CSCDS_MAX {
        return Err(TOO_MANY_TARGETS);
    }
    let one = |bytes: &[u8; CSCD_LENGTH]| {
        if bytes[0] != IDENTIFICATION {
            return Err(UNKNOWN_TARGET_TYPE);
        }
        // At most 20 bytes are there for the designator.
        let length = usize::from(bytes[7]);
        let designator = bytes[8..28].get(..length).ok_or(Sense::INVALID_FIELD_IN_PARAMETER_LIST)?;
        let block_bytes = u32::from_be_bytes([0, bytes[29], bytes[30], bytes[31]]);
        Ok(Cscd { kind: bytes[5] & 0x3f, designator: designator.to_vec(), block_bytes })
    };
    all.iter().map(one).collect()
}

fn decode_segments(mut bytes: &[u8]) -> Result<Vec<Segment>, Sense> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        if bytes[0] != BLOCK_TO_BLOCK {
            return Err(UNKNOWN_SEGMENT_TYPE);
        }
        let one: [u8; SEGMENT_LENGTH] = array_at(bytes, 0).ok_or(Sense::PARAMETER_LIST_LENGTH_ERROR)?;
        if u16_at(&one, 2) != Some(length16(SEGMENT_LENGTH - 4)) {
            return Err(Sense::INVALID_FIELD_IN_PARAMETER_LIST);
        }
        if all.len() == SEGMENTS_MAX {
            return Err(TOO_MANY_SEGMENTS);
        }
        let short = |at| u16::from_be_bytes([one[at], one[at + 1]]);
        let long = |at| u64_at(&one, at).unwrap_or(0);
        all.push(Segment {
            source: short(4),
            destination: short(6),
            blocks: short(10),
            from: long(12),
            to: long(20),
        });
        bytes = &bytes[SEGMENT_LENGTH..];
    }
    Ok(all)
}

/// An EXTENDED COPY list.
pub fn encode_list(list: &CopyList) -> Vec<u8> {
    let mut out = vec![0; HEADER];
    (out[0], out[1]) = (list.list, if list.discards_status { 0x18 } else { 0 });
    for unit in &list.units {
        let mut one = [0; CSCD_LENGTH];
        (one[0], one[4], one[5]) = (IDENTIFICATION, 1, unit.kind);
        one[7] = u8::try_from(unit.designator.len()).expect("a designator is short");
        put(&mut one, 8, &unit.designator);
        put(&mut one, 28, &(unit.block_bytes & 0x00ff_ffff).to_be_bytes());
        out.extend_from_slice(&one);
    }
    let units = length16(out.len() - HEADER);
    for segment in &list.segments {
        let mut one = [0; SEGMENT_LENGTH];
        one[0] = BLOCK_TO_BLOCK;
        put(&mut one, 2, &length16(SEGMENT_LENGTH - 4).to_be_bytes());
        put(&mut one, 4, &segment.source.to_be_bytes());
        put(&mut one, 6, &segment.destination.to_be_bytes());
        put(&mut one, 10, &segment.blocks.to_be_bytes());
        put(&mut one, 12, &segment.from.to_be_bytes());
        put(&mut one, 20, &segment.to.to_be_bytes());
        out.extend_from_slice(&one);
    }
    put(&mut out, 2, &units.to_be_bytes());
    put(&mut out, 8, &length32(SEGMENT_LENGTH * list.segments.len()).to_be_bytes());
    out
}

/// RECEIVE COPY STATUS (LID1): how a copy ended.
pub fn encode_copy_status(good: bool, segments: u16, bytes_moved: u64) -> Vec<u8> {
    let mut out = vec![0; 12];
    put(&mut out, 0, &8_u32.to_be_bytes());
    // COPY MANAGER STATUS: 1 ended without, 2 with errors.
    out[4] = if good { 1 } else { 2 };
    put(&mut out, 5, &segments.to_be_bytes());
    // TRANSFER COUNT UNITS 0 are bytes; beyond four bytes' worth the count is in KiB.
    let (unit, count) = match u32::try_from(bytes_moved) {
        Ok(count) => (0, count),
        Err(_) => (1, u32::try_from(bytes_moved >> 10).unwrap_or(u32::MAX)),
    };
    out[7] = unit;
    put(&mut out, 8, &count.to_be_bytes());
    out
}

/// RECEIVE COPY OPERATING PARAMETERS.
pub fn encode_operating_parameters(segment_max: u32) -> Vec<u8> {
    let supported = [IDENTIFICATION, BLOCK_TO_BLOCK];
    let mut out = vec![0; 44];
    // SNLID: a list identifier need not be given.
    out[4] = 1;
    put(&mut out, 8, &length16(CSCDS_MAX).to_be_bytes());
    put(&mut out, 10, &length16(SEGMENTS_MAX).to_be_bytes());
    put(&mut out, 12, &length32(DESCRIPTORS_MAX).to_be_bytes());
    put(&mut out, 16, &segment_max.to_be_bytes());
    // Inline data, held data and the stream and device granularities are 0; one copy at a time.
    out[36] = 1;
    out[43] = u8::try_from(supported.len()).expect("two");
    // IMPLEMENTED DESCRIPTOR LIST, in ascending order.
    out.extend([BLOCK_TO_BLOCK, IDENTIFICATION]);
    let length = length32(out.len() - 4);
    put(&mut out, 0, &length.to_be_bytes());
    out
}

/// POPULATE TOKEN's parameter list: the blocks that the token will stand for.
///
/// # Errors
/// 05/1A/00 if it is cut, 05/26/00 for another type of token, 05/26/08 for too many ranges.
pub fn decode_populate(bytes: &[u8]) -> Result<Vec<Run>, Sense> {
    let kind = u32_at(bytes, 8).ok_or(Sense::PARAMETER_LIST_LENGTH_ERROR)?;
    // RTV: the type field counts.
    if bytes[2] & 2 != 0 && kind != POINT_IN_TIME_VULNERABLE && kind != 0 {
        return Err(Sense::INVALID_FIELD_IN_PARAMETER_LIST);
    }
    decode_ranges(bytes, 14)
}

/// POPULATE TOKEN's parameter list.
pub fn encode_populate(runs: &[Run]) -> Vec<u8> {
    let mut out = vec![0; 14];
    encode_ranges(&mut out, runs);
    out
}

/// WRITE USING TOKEN's parameter list.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct UseToken {
    /// DEL_TKN: the token is used up.
    pub deletes: bool,
    /// OFFSET INTO ROD, in blocks.
    pub offset: u64,
    /// ROD TOKEN, 512 bytes.
    pub token: Vec<u8>,
    /// Where to write, in this order.
    pub runs: Vec<Run>,
}

/// Reads WRITE USING TOKEN's parameter list.
///
/// # Errors
/// 05/1A/00 if it is cut, 05/26/08 for too many ranges.
pub fn decode_use(bytes: &[u8]) -> Result<UseToken, Sense> {
    let cut = Sense::PARAMETER_LIST_LENGTH_ERROR;
    let runs = decode_ranges(bytes, 534)?;
    let token = bytes.get(16..16 + TOKEN_LENGTH).ok_or(cut)?.to_vec();
    Ok(UseToken { deletes: bytes[2] & 2 != 0, offset: u64_at(bytes, 8).ok_or(cut)?, token, runs })
}

/// WRITE USING TOKEN's parameter list.
pub fn encode_use(list: &UseToken) -> Vec<u8> {
    let mut out = vec![0; 534];
    out[2] = if list.deletes { 2 } else { 0 };
    put(&mut out, 8, &list.offset.to_be_bytes());
    put(&mut out, 16, &list.token);
    encode_ranges(&mut out, &list.runs);
    out
}

/// Block device range descriptors behind their length field at `at`.
fn decode_ranges(bytes: &[u8], at: usize) -> Result<Vec<Run>, Sense> {
    let cut = Sense::PARAMETER_LIST_LENGTH_ERROR;
    let announced = usize::from(u16_at(bytes, 0).ok_or(cut)?) + 2;
    let length = usize::from(u16_at(bytes, at).ok_or(cut)?);
    let ranges = bytes.get(at + 2..at + 2 + length).ok_or(cut)?;
    if announced < at + 2 + length {
        return Err(cut);
    }
    if length / 16 > RANGES_MAX {
        return Err(TOO_MANY_SEGMENTS);
    }
    let run = |one: &[u8]| Some(Run { lba: u64_at(one, 0)?, blocks: u32_at(one, 8)? });
    Ok(ranges.chunks_exact(16).filter_map(run).collect())
}

fn encode_ranges(out: &mut Vec<u8>, runs: &[Run]) {
    out.extend_from_slice(&length16(16 * runs.len()).to_be_bytes());
    for run in runs {
        out.extend_from_slice(&run.lba.to_be_bytes());
        out.extend_from_slice(&run.blocks.to_be_bytes());
        out.extend_from_slice(&[0; 4]);
    }
    let length = length16(out.len() - 2);
    put(out, 0, &length.to_be_bytes());
}

/// ROD type "point in time copy, change vulnerable": the token ends when its blocks change.
const POINT_IN_TIME_VULNERABLE: u32 = 0x0080_0001;

/// A token's bytes: what it stands for, and 32 bytes that nobody can guess.
pub fn encode_token(id: u64, unit: &[u8; 8], bytes: u64, proof: [u8; 32]) -> Vec<u8> {
    let mut out = vec![0; TOKEN_LENGTH];
    put(&mut out, 0, &POINT_IN_TIME_VULNERABLE.to_be_bytes());
    put(&mut out, 6, &length16(TOKEN_LENGTH - 8).to_be_bytes());
    put(&mut out, 8, &id.to_be_bytes());
    (out[16], out[20], out[21], out[23]) = (IDENTIFICATION, 1, 3, 8);
    put(&mut out, 24, unit);
    put(&mut out, 56, &bytes.to_be_bytes());
    put(&mut out, 128, &proof);
    out
}

/// The number of a token; whether the rest of it is right has to be compared.
pub fn token_id(token: &[u8]) -> Option<u64> {
    u64_at(token, 8)
}

/// How a token copy ended, for RECEIVE ROD TOKEN INFORMATION.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TokenStatus {
    /// Service action of the copy: 10h or 11h.
    pub action: u8,
    /// It ended without errors.
    pub good: bool,
    /// Blocks processed.
    pub blocks: u64,
    /// Sense data of an error.
    pub sense: Vec<u8>,
    /// The token that POPULATE TOKEN has made.
    pub token: Option<Vec<u8>>,
}

/// RECEIVE ROD TOKEN INFORMATION.
pub fn encode_token_status(status: &TokenStatus) -> Vec<u8> {
    let mut out = vec![0; 32];
    out[4] = status.action;
    // COPY OPERATION STATUS: 1 ended without, 2 with errors.
    out[5] = if status.good { 1 } else { 2 };
    put(&mut out, 6, &1_u16.to_be_bytes());
    out[12] = if status.good { 0 } else { 2 };
    let sense = u8::try_from(status.sense.len()).expect("sense data is short");
    (out[13], out[14]) = (sense, sense);
    // TRANSFER COUNT UNITS F1h: blocks.
    out[15] = 0xf1;
    put(&mut out, 16, &status.blocks.to_be_bytes());
    out.extend_from_slice(&status.sense);
    let tokens = status.token.as_ref().map_or(0, |token| 2 + token.len());
    out.extend_from_slice(&length32(tokens).to_be_bytes());
    if let Some(token) = &status.token {
        out.extend_from_slice(&[0, 0]);
        out.extend_from_slice(token);
    }
    let length = length32(out.len() - 4);
    put(&mut out, 0, &length.to_be_bytes());
    out
}

/// The token in an answer to RECEIVE ROD TOKEN INFORMATION.
pub fn decode_token(bytes: &[u8]) -> Option<&[u8]> {
    let at = 32 + usize::from(*bytes.get(13)?);
    let length = usize::try_from(u32_at(bytes, at)?).ok()?;
    bytes.get(at + 6..(at + 4).checked_add(length)?)
}
