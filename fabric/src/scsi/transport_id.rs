//! TransportIDs of iSCSI initiator ports (SPC-4 7.6.4.6; RFC 7143).
//!
//! Format 01b names an initiator port: name and ISID. Format 00b names the whole device; we understand it and never send it.

use super::field::{length16, u16_at};
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

/// Longest iSCSI name, in bytes (RFC 7143).
pub const NAME_MAX: usize = 223;

const ISCSI: u8 = 0x05;
const WITH_ISID: u8 = 0x40;
const SEPARATOR: &str = ",i,0x";

/// Whom a TransportID names.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TransportId {
    /// iSCSI name, in lower case.
    pub name: String,
    /// The ISID of format 01b; `None` in format 00b, which names every port of that name.
    pub isid: Option<[u8; 6]>,
}

/// The bytes are no TransportID of an iSCSI initiator.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Malformed;

impl TransportId {
    /// The bytes, a multiple of 4 and at least 24 of them.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![ISCSI, 0, 0, 0];
        out.extend_from_slice(self.name.as_bytes());
        if let Some(isid) = self.isid {
            out[0] |= WITH_ISID;
            out.extend_from_slice(SEPARATOR.as_bytes());
            for byte in isid {
                out.extend_from_slice(&[hex(byte >> 4), hex(byte & 0x0f)]);
            }
        }
        out.push(0);
        out.resize(out.len().next_multiple_of(4).max(24), 0);
        let [high, low] = length16(out.len() - 4).to_be_bytes();
        (out[2], out[3]) = (high, low);
        out
    }

    /// Reads the TransportID at the start of `bytes`; also says how long it is.
    ///
    /// # Errors
    /// [`Malformed`] if it is cut, of another protocol, or its text is not a name.
    pub fn decode(bytes: &[u8]) -> Result<(TransportId, usize), Malformed> {
        let format = *bytes.first().ok_or(Malformed)?;
        let length = 4 + usize::from(u16_at(bytes, 2).ok_or(Malformed)?);
        let text = bytes.get(4..length).ok_or(Malformed)?;
        if length < 24 || length % 4 != 0 {
            return Err(Malformed);
        }
        let end = text.iter().position(|&byte| byte == 0).ok_or(Malformed)?;
        let text = core::str::from_utf8(&text[..end]).map_err(|_| Malformed)?;
        let (name, isid) = match format {
            ISCSI => (text, None),
            0x45 => {
                let (name, isid) = text.split_once(SEPARATOR).ok_or(Malformed)?;
                (name, Some(isid_of(isid).ok_or(Malformed)?))
            }
            _ => return Err(Malformed),
        };
        if name.is_empty() || name.len() > NAME_MAX {
            return Err(Malformed);
        }
        Ok((TransportId { name: name.to_lowercase(), isid }, length))
    }
}

fn hex(digit: u8) -> u8 {
    if digit < 10 { b'0' + digit } else { b'a' + digit - 10 }
}

fn isid_of(text: &str) -> Option<[u8; 6]> {
    let digits: Vec<u8> = text
        .chars()
        .map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()?;
    let pairs: [[u8; 2]; 6] = digits.as_chunks::<2>().0.try_into().ok().filter(|_| digits.len() == 12)?;
    Some(pairs.map(|[high, low]| high << 4 | low))
}
