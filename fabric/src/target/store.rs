//! What APTPL keeps through power loss, and its form on stable storage.
//!
//! The form is small, versioned and checksummed as a whole; whoever stores it replaces it
//! atomically. A form that does not decode is never read as "no registrations": the unit then
//! stays not ready until an operator decides (fail closed).

use alloc::vec::Vec;
use redline_vocab::{Holder, Key, Nexus, PrType, Reservation};

/// Registrations and reservation as of the last command that was answered.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct StoredTable {
    pub(super) registrants: Vec<(Nexus, Key)>,
    pub(super) reservation: Option<Reservation>,
}

/// The stored form is not one that this program wrote.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Damaged;

const MAGIC: [u8; 4] = *b"RLPR";
const VERSION: u8 = 1;
const NO_HOLDER: u8 = 0;
const ONE_HOLDER: u8 = 1;
const ALL_HOLD: u8 = 2;

impl StoredTable {
    /// Who is registered.
    pub fn nexuses(&self) -> impl Iterator<Item = Nexus> {
        self.registrants.iter().map(|entry| entry.0)
    }

    /// The stored form.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(16 + 9 * self.registrants.len());
        out.extend_from_slice(&MAGIC);
        out.push(VERSION);
        let (tag, kind, nexus) = match self.reservation {
            None => (NO_HOLDER, 0, 0),
            Some(Reservation { kind, holder: Holder::Nexus(nexus) }) => (ONE_HOLDER, kind.code(), nexus.0),
            Some(Reservation { kind, holder: Holder::AllRegistrants }) => (ALL_HOLD, kind.code(), 0),
        };
        out.extend_from_slice(&[tag, kind, nexus]);
        let count = u16::try_from(self.registrants.len()).expect("a nexus is a u8, so there are at most 256");
        out.extend_from_slice(&count.to_be_bytes());
        for (nexus, key) in &self.registrants {
            out.push(nexus.0);
            out.extend_from_slice(&key.0.to_be_bytes());
        }
        let sum = checksum(&out);
        out.extend_from_slice(&sum.to_be_bytes());
        out
    }

    /// Reads a stored form back.
    ///
    /// # Errors
    /// [`Damaged`] for anything but the exact bytes that [`StoredTable::encode`] gives.
    pub fn decode(bytes: &[u8]) -> Result<StoredTable, Damaged> {
        let (body, sum) = bytes.split_last_chunk::<8>().ok_or(Damaged)?;
        if checksum(body) != u64::from_be_bytes(*sum) {
            return Err(Damaged);
        }
        let (head, entries) = body.split_first_chunk::<10>().ok_or(Damaged)?;
        let [m0, m1, m2, m3, version, tag, kind, nexus, c0, c1] = *head;
        if [m0, m1, m2, m3] != MAGIC
            || version != VERSION
            || entries.len() != 9 * usize::from(u16::from_be_bytes([c0, c1]))
        {
            return Err(Damaged);
        }
        let registrants: Vec<(Nexus, Key)> = entries
            .chunks_exact(9)
            .map(|entry| {
                let key = entry[1..].iter().fold(0, |key, &byte| key << 8 | u64::from(byte));
                (Nexus(entry[0]), Key(key))
            })
            .collect();
        let kind = PrType::from_code(kind);
        let reservation = match (tag, kind) {
            (NO_HOLDER, None) => None,
            (ONE_HOLDER, Some(kind)) => Some(Reservation { kind, holder: Holder::Nexus(Nexus(nexus)) }),
            (ALL_HOLD, Some(kind)) => Some(Reservation { kind, holder: Holder::AllRegistrants }),
            _ => return Err(Damaged),
        };
        Ok(StoredTable { registrants, reservation })
    }
}

/// FNV-1a, 64 bits: enough to see a torn or damaged record; not meant against an attacker.
pub(crate) fn checksum(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |sum, &byte| (sum ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}
