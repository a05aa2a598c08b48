//! What an array keeps through power loss: the reservation tables of its units, and who their nexuses are.
//!
//! One record, versioned and checksummed as a whole; whoever stores it replaces it atomically. A record that does not decode is never read
//! as "no registrations": every unit then stays not ready until an operator decides (fail closed).

use super::names::Pair;
use super::{InitiatorPort, TargetPort};
use crate::target::{Damaged, StoredTable, checksum};
use alloc::string::String;
use alloc::vec::Vec;
use redline_vocab::Nexus;

const MAGIC: &[u8; 4] = b"RLAR";
const VERSION: u8 = 1;

/// The record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Stored {
    /// Who is who.
    pub(super) names: Vec<(Nexus, Pair)>,
    /// By place of the unit.
    pub(super) tables: Vec<Option<StoredTable>>,
}

impl Stored {
    /// The bytes.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.push(VERSION);
        out.extend_from_slice(&short(self.names.len()));
        for (nexus, (initiator, port)) in &self.names {
            out.push(nexus.0);
            out.extend_from_slice(&port.0.to_be_bytes());
            out.extend_from_slice(&initiator.isid);
            out.extend_from_slice(&short(initiator.name.len()));
            out.extend_from_slice(initiator.name.as_bytes());
        }
        out.extend_from_slice(&short(self.tables.len()));
        for table in &self.tables {
            let bytes = table.as_ref().map(StoredTable::encode).unwrap_or_default();
            out.extend_from_slice(&short(bytes.len()));
            out.extend_from_slice(&bytes);
        }
        let sum = checksum(&out);
        out.extend_from_slice(&sum.to_be_bytes());
        out
    }

    /// Reads the bytes back, for an array of `units` logical units.
    pub(super) fn decode(bytes: &[u8], units: usize) -> Result<Stored, Damaged> {
        let (body, sum) = bytes.split_last_chunk::<8>().ok_or(Damaged)?;
        if checksum(body) != u64::from_be_bytes(*sum) {
            return Err(Damaged);
        }
        let mut rest = Reader(body);
        if rest.take::<4>()? != *MAGIC || rest.take()? != [VERSION] {
            return Err(Damaged);
        }
        let mut names = Vec::new();
        for _ in 0..rest.short()? {
            let [nexus] = rest.take()?;
            let port = TargetPort(rest.short()?);
            let isid = rest.take()?;
            let length = rest.short()?;
            let name = core::str::from_utf8(rest.bytes(length)?).map_err(|_| Damaged)?;
            names.push((Nexus(nexus), (InitiatorPort { name: String::from(name), isid }, port)));
        }
        let mut tables = Vec::new();
        for _ in 0..rest.short()? {
            let length = rest.short()?;
            let bytes = rest.bytes(length)?;
            tables.push(if length == 0 { None } else { Some(StoredTable::decode(bytes)?) });
        }
        let whole = rest.0.is_empty() && tables.len() == units;
        whole.then_some(Stored { names, tables }).ok_or(Damaged)
    }
}

fn short(length: usize) -> [u8; 2] {
    u16::try_from(length).expect("256 nexuses and their names are far below the limit").to_be_bytes()
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn bytes(&mut self, length: u16) -> Result<&'a [u8], Damaged> {
        let (first, rest) = self.0.split_at_checked(usize::from(length)).ok_or(Damaged)?;
        self.0 = rest;
        Ok(first)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], Damaged> {
        let (first, rest) = self.0.split_first_chunk().ok_or(Damaged)?;
        self.0 = rest;
        Ok(*first)
    }

    fn short(&mut self) -> Result<u16, Damaged> {
        self.take().map(u16::from_be_bytes)
    }
}
