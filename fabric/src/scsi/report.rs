//! REPORT LUNS, REPORT TARGET PORT GROUPS, REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS (SPC-4 6.33, 6.37, 6.36).

use super::field::{length32, put, u16_at, u32_at};
use alloc::vec;
use alloc::vec::Vec;

/// The 8 bytes of a LUN below 16384: peripheral addressing below 256, flat addressing above (SAM-5 4.7).
pub const fn lun_bytes(lun: u16) -> [u8; 8] {
    let [high, low] = lun.to_be_bytes();
    [if high == 0 { 0 } else { 0x40 | high & 0x3f }, low, 0, 0, 0, 0, 0, 0]
}

/// The LUN that 8 bytes name, in peripheral or flat addressing; `None` for another method or a deeper level.
pub fn lun_of(bytes: [u8; 8]) -> Option<u16> {
    let [method, low, rest @ ..] = bytes;
    let simple = rest == [0; 6];
    // libiscsi writes a LUN above 255 as a plain number, which reads as peripheral addressing on a bus other than 0.
    let known = method < 0x80;
    (simple && known).then_some(u16::from_be_bytes([method & 0x3f, low]))
}

/// REPORT LUNS.
pub fn encode_luns(luns: &[u16]) -> Vec<u8> {
    let mut out = vec![0; 8];
    put(&mut out, 0, &length32(8 * luns.len()).to_be_bytes());
    out.extend(luns.iter().flat_map(|&lun| lun_bytes(lun)));
    out
}

/// REPORT LUNS; those that were cut off, or are addressed in a way that we do not know, are left out. `None` if the header is cut.
pub fn decode_luns(bytes: &[u8]) -> Option<Vec<u16>> {
    let announced = usize::try_from(u32_at(bytes, 0)?).ok()?;
    let body = bytes.get(8..)?;
    let (luns, _) = body[..body.len().min(announced)].as_chunks();
    Some(luns.iter().filter_map(|lun| lun_of(*lun)).collect())
}

/// Asymmetric access state of a target port group (SPC-4 5.15.2.4).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum AccessState {
    /// 0h
    ActiveOptimized,
    /// 1h
    ActiveNonOptimized,
    /// 2h
    Standby,
    /// 3h
    Unavailable,
}

/// A target port group.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Group {
    /// TARGET PORT GROUP
    pub id: u16,
    /// ASYMMETRIC ACCESS STATE
    pub state: AccessState,
    /// Relative target port identifiers of its ports, at most 255.
    pub ports: Vec<u16>,
}

/// REPORT TARGET PORT GROUPS, with the extended header if that was asked for.
pub fn encode_groups(groups: &[Group], extended: bool) -> Vec<u8> {
    let mut out = if extended { vec![0, 0, 0, 0, 0x10, 0, 0, 0] } else { vec![0; 4] };
    for group in groups {
        let state = match group.state {
            AccessState::ActiveOptimized => 0,
            AccessState::ActiveNonOptimized => 1,
            AccessState::Standby => 2,
            AccessState::Unavailable => 3,
        };
        let [high, low] = group.id.to_be_bytes();
        let ports = u8::try_from(group.ports.len()).expect("a group has at most 255 ports");
        // T_SUP, U_SUP, S_SUP, AN_SUP, AO_SUP without T_SUP: the states above are possible.
        out.extend_from_slice(&[state, 0x0f, high, low, 0, 0, 0, ports]);
        out.extend(group.ports.iter().flat_map(|port| [0, 0].into_iter().chain(port.to_be_bytes())));
    }
    let length = length32(out.len() - 4);
    put(&mut out, 0, &length.to_be_bytes());
    out
}

/// REPORT TARGET PORT GROUPS without extended header; `None` if it is cut or shows a state that we do not know.
pub fn decode_groups(bytes: &[u8]) -> Option<Vec<Group>> {
    let end = usize::try_from(u32_at(bytes, 0)?).ok()?.checked_add(4)?;
    let mut rest = bytes.get(4..end)?;
    let mut groups = Vec::new();
    while !rest.is_empty() {
        let (head, tail) = rest.split_at_checked(8)?;
        let state = match head[0] & 0x0f {
            0 => AccessState::ActiveOptimized,
            1 => AccessState::ActiveNonOptimized,
            2 => AccessState::Standby,
            3 => AccessState::Unavailable,
            _ => return None,
        };
        let (ports, tail) = tail.split_at_checked(4 * usize::from(head[7]))?;
        let ports = ports.chunks_exact(4).filter_map(|port| u16_at(port, 2)).collect();
        groups.push(Group { id: u16_at(head, 2)?, state, ports });
        rest = tail;
    }
    Some(groups)
}

/// REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS: ABORT TASK, ABORT TASK SET, CLEAR TASK SET, LOGICAL UNIT RESET, TARGET RESET.
pub fn encode_task_management(extended: bool) -> Vec<u8> {
    // ATS, ATSS, CTSS, LURS, TRS; CLEAR ACA, I_T NEXUS RESET and the queries are not among them.
    let first = 0x80 | 0x40 | 0x10 | 0x08 | 0x02;
    if extended { [&[first, 0, 0, 0x0c][..], &[0; 12]].concat() } else { vec![first, 0, 0, 0] }
}
