//! Vital product data (SPC-4 7.8, SBC-3 6.6).

use super::field::{bit, length16, put, u16_at};
use super::inquiry::VENDOR;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

/// Supported pages, in ascending order.
pub const PAGES: [u8; 8] = [0x00, 0x80, 0x83, 0x86, 0x8f, 0xb0, 0xb1, 0xb2];

/// What the pages say of a logical unit.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Unit {
    /// Identifies the unit among all of the world: the last 60 bits of its NAA designator.
    pub identity: u64,
    /// UNMAP and WRITE SAME with UNMAP work.
    pub thin: bool,
    /// LBPRZ: blocks that are unmapped read as zeros.
    pub reads_zeros: bool,
    /// Limits.
    pub limits: Limits,
}

/// Through which port the pages are read.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Port {
    /// Relative target port identifier.
    pub relative: u16,
    /// Target port group.
    pub group: u16,
    /// iSCSI name of the target device.
    pub target_name: String,
}

/// Block limits (SBC-3 6.6.4), in blocks unless said.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Limits {
    /// MAXIMUM COMPARE AND WRITE LENGTH
    pub compare_max: u8,
    /// MAXIMUM TRANSFER LENGTH
    pub transfer_max: u32,
    /// OPTIMAL TRANSFER LENGTH
    pub transfer_best: u32,
    /// MAXIMUM UNMAP LBA COUNT
    pub unmap_max: u32,
    /// MAXIMUM UNMAP BLOCK DESCRIPTOR COUNT, in descriptors.
    pub unmap_runs_max: u32,
    /// OPTIMAL UNMAP GRANULARITY
    pub unmap_best: u32,
    /// MAXIMUM WRITE SAME LENGTH
    pub same_max: u64,
}

/// The page with this code; `None` if there is none.
pub fn page(code: u8, unit: &Unit, port: &Port) -> Option<Vec<u8>> {
    let body = match code {
        0x00 => PAGES.to_vec(),
        0x80 => serial(unit),
        0x83 => designators(unit, port),
        0x86 => extended_inquiry(),
        0x8f => third_party_copy(unit),
        0xb0 => block_limits(unit),
        // Medium rotation rate 1: it does not rotate.
        0xb1 => [&[0, 1][..], &[0; 58]].concat(),
        0xb2 => provisioning(unit),
        _ => return None,
    };
    let mut out = vec![0, code, 0, 0];
    put(&mut out, 2, &length16(body.len()).to_be_bytes());
    out.extend_from_slice(&body);
    Some(out)
}

/// The identity as sixteen hexadecimal digits.
fn serial(unit: &Unit) -> Vec<u8> {
    (0..16)
        .rev()
        .map(|at| b"0123456789abcdef"[usize::from((unit.identity >> (4 * at)) as u8 & 0x0f)])
        .collect()
}

/// The NAA designator of the unit: locally assigned, the same through every port.
pub fn naa(unit: &Unit) -> [u8; 8] {
    (0x3 << 60 | unit.identity & (u64::MAX >> 4)).to_be_bytes()
}

/// Code set and designator type, association: SPC-4 7.8.6.
fn designator(code_set: u8, kind: u8, of_port: bool, text: &[u8]) -> Vec<u8> {
    // PIV and the protocol identifier of iSCSI where the port is named.
    let (protocol, association) = if of_port { (0x50, 0x90) } else { (0x00, 0x00) };
    let length = u8::try_from(text.len()).expect("designators are short");
    let mut out = vec![protocol | code_set, association | kind, 0, length];
    out.extend_from_slice(text);
    out
}

fn designators(unit: &Unit, port: &Port) -> Vec<u8> {
    const BINARY: u8 = 1;
    const ASCII: u8 = 2;
    const UTF8: u8 = 3;
    let [r0, r1] = port.relative.to_be_bytes();
    let [g0, g1] = port.group.to_be_bytes();
    let name = alloc::format!("{},t,0x{:04x}", port.target_name, port.group);
    [
        designator(BINARY, 3, false, &naa(unit)),
        designator(ASCII, 1, false, &[&VENDOR[..], &serial(unit)].concat()),
        designator(BINARY, 4, true, &[0, 0, r0, r1]),
        designator(BINARY, 5, true, &[0, 0, g0, g1]),
        designator(UTF8, 8, true, &padded(name.as_bytes())),
    ]
    .concat()
}

/// SCSI name strings end with a zero and are a multiple of four long (SPC-4 7.8.6.10).
fn padded(text: &[u8]) -> Vec<u8> {
    let mut out = text.to_vec();
    out.resize((text.len() + 1).next_multiple_of(4), 0);
    out
}

fn extended_inquiry() -> Vec<u8> {
    let mut out = vec![0; 0x3c];
    // HEADSUP, ORDSUP, SIMPSUP
    out[1] = 0x07;
    // LUICLR: a unit attention of one nexus is cleared for that nexus only.
    out[3] = 0x01;
    out
}

fn block_limits(unit: &Unit) -> Vec<u8> {
    let limits = unit.limits;
    let mut page = vec![0; 0x40];
    // WSNZ = 0: WRITE SAME of 0 blocks means those up to the end of the medium.
    page[4] = 0x00;
    page[5] = limits.compare_max;
    put(&mut page, 8, &limits.transfer_max.to_be_bytes());
    put(&mut page, 12, &limits.transfer_best.to_be_bytes());
    if unit.thin {
        put(&mut page, 20, &limits.unmap_max.to_be_bytes());
        put(&mut page, 24, &limits.unmap_runs_max.to_be_bytes());
        put(&mut page, 28, &limits.unmap_best.to_be_bytes());
        // UGAVALID: the alignment is 0.
        page[32] = 0x80;
    }
    put(&mut page, 36, &limits.same_max.to_be_bytes());
    page.split_off(4)
}

fn provisioning(unit: &Unit) -> Vec<u8> {
    // LBPU, LBPWS, LBPWS10, LBPRZ; type 2 is thin.
    let flags = bit(unit.thin, 0xe0) | bit(unit.thin && unit.reads_zeros, 0x04);
    vec![0, flags, if unit.thin { 2 } else { 0 }, 0]
}

/// Third-party copy page (SPC-4 7.8.17): block device ROD token limits, the supported commands.
fn third_party_copy(unit: &Unit) -> Vec<u8> {
    let mut tokens = vec![0; 0x24];
    // Descriptor type 0, length 20h; then ranges, inactivity timeouts, token and transfer sizes.
    tokens[3] = 0x20;
    put(&mut tokens, 10, &length16(super::copy::RANGES_MAX).to_be_bytes());
    put(&mut tokens, 20, &u64::from(super::copy::TOKEN_BLOCKS_MAX).to_be_bytes());
    put(&mut tokens, 28, &u64::from(unit.limits.transfer_best).to_be_bytes());
    // Descriptor type 1: opcodes 83h and 84h with their service actions.
    let supported = [0x83, 3, 0x00, 0x10, 0x11, 0x84, 3, 0x00, 0x03, 0x07];
    let mut commands = vec![0, 1, 0, 0, u8::try_from(supported.len()).expect("a short list")];
    commands.extend_from_slice(&supported);
    commands.resize(commands.len().next_multiple_of(4), 0);
    let length = length16(commands.len() - 4);
    put(&mut commands, 2, &length.to_be_bytes());
    [tokens, commands].concat()
}

/// The logical unit's NAA designator in a device identification page (83h): the same on every path to one unit.
pub fn decode_naa(page: &[u8]) -> Option<&[u8]> {
    let end = 4 + usize::from(u16_at(page, 2)?);
    let mut rest = page.get(4..page.len().min(end))?;
    while let [_, kind, _, length, ..] = *rest {
        let text = rest.get(4..4 + usize::from(length))?;
        if kind & 0x3f == 3 {
            return Some(text);
        }
        rest = &rest[4 + usize::from(length)..];
    }
    None
}
