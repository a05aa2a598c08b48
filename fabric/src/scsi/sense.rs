//! Sense data (SPC-4 4.5): why a command ended with CHECK CONDITION, in fixed or in descriptor format.

use super::field::{bit, put, u16_at, u32_at, u64_at};
use alloc::vec;
use alloc::vec::Vec;
use redline_vocab::Sense;

/// Bytes of sense data in fixed format as we send it.
pub const FIXED_LENGTH: usize = 18;

const FIXED: u8 = 0x70;
const DESCRIPTOR: u8 = 0x72;
const VALID: u8 = 0x80;

/// Which of the two formats; D_SENSE of the control mode page chooses.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Format {
    /// 70h, 18 bytes.
    Fixed,
    /// 72h, 8 bytes and descriptors.
    Descriptors,
}

/// Which field is invalid: the sense key specific data of ILLEGAL REQUEST (SPC-4 4.5.2.4.2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Field {
    /// In the CDB; otherwise in the parameter list.
    pub in_cdb: bool,
    /// Which byte.
    pub byte: u16,
    /// Its most significant bit, where the field is not whole bytes.
    pub bit: Option<u8>,
}

/// Sense data.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SenseData {
    /// Sense key, additional sense code and qualifier.
    pub sense: Sense,
    /// INFORMATION: what it is depends on the command, for a miscompare the byte offset.
    pub information: Option<u64>,
    /// The field that is invalid.
    pub field: Option<Field>,
}

impl SenseData {
    /// Only the codes.
    pub const fn of(sense: Sense) -> SenseData {
        SenseData { sense, information: None, field: None }
    }

    /// 05/24/00 with the CDB's byte that is invalid.
    pub const fn in_cdb(byte: u16) -> SenseData {
        let field = Field { in_cdb: true, byte, bit: None };
        SenseData { sense: Sense::INVALID_FIELD_IN_CDB, information: None, field: Some(field) }
    }

    /// 05/26/00 with the parameter list's byte that is invalid.
    pub const fn in_parameters(byte: u16) -> SenseData {
        let field = Field { in_cdb: false, byte, bit: None };
        SenseData { sense: Sense::INVALID_FIELD_IN_PARAMETER_LIST, information: None, field: Some(field) }
    }

    /// The bytes.
    pub fn encode(&self, format: Format) -> Vec<u8> {
        match format {
            Format::Fixed => self.fixed(),
            Format::Descriptors => self.descriptors(),
        }
    }

    fn fixed(&self) -> Vec<u8> {
        let mut out = vec![0; FIXED_LENGTH];
        out[0] = FIXED;
        out[2] = self.sense.key;
        // INFORMATION has four bytes here; what does not fit is not valid.
        if let Some(information) = self.information.and_then(|value| u32::try_from(value).ok()) {
            out[0] |= VALID;
            put(&mut out, 3, &information.to_be_bytes());
        }
        out[7] = 10;
        out[12] = self.sense.asc;
        out[13] = self.sense.ascq;
        if let Some(field) = self.field {
            put(&mut out, 15, &field.encode());
        }
        out
    }

    fn descriptors(&self) -> Vec<u8> {
        let mut out = vec![DESCRIPTOR, self.sense.key, self.sense.asc, self.sense.ascq, 0, 0, 0, 0];
        if let Some(information) = self.information {
            out.extend_from_slice(&[0x00, 0x0a, VALID, 0]);
            out.extend_from_slice(&information.to_be_bytes());
        }
        if let Some(field) = self.field {
            out.extend_from_slice(&[0x02, 0x06, 0, 0]);
            out.extend_from_slice(&field.encode());
            out.push(0);
        }
        out[7] = u8::try_from(out.len() - 8).expect("two short descriptors");
        out
    }

    /// Reads either format. `None` for anything else, deferred errors included: they are not about the command.
    pub fn decode(bytes: &[u8]) -> Option<SenseData> {
        match bytes.first()? & 0x7f {
            FIXED => {
                let sense = Sense { key: bytes.get(2)? & 0x0f, asc: at(bytes, 12), ascq: at(bytes, 13) };
                let information = u32_at(bytes, 3).filter(|_| bytes[0] & VALID != 0).map(u64::from);
                Some(SenseData { sense, information, field: Field::decode(bytes.get(15..).unwrap_or(&[])) })
            }
            DESCRIPTOR => {
                let sense = Sense { key: bytes.get(1)? & 0x0f, asc: *bytes.get(2)?, ascq: *bytes.get(3)? };
                let mut data = SenseData::of(sense);
                let end = bytes.len().min(8 + usize::from(at(bytes, 7)));
                let mut rest = bytes.get(8..end).unwrap_or(&[]);
                while let [kind, length, ..] = *rest {
                    let (one, others) = rest.split_at(rest.len().min(2 + usize::from(length)));
                    match kind {
                        0x00 => data.information = u64_at(one, 4),
                        0x02 => data.field = Field::decode(one.get(4..).unwrap_or(&[])),
                        _ => {}
                    }
                    rest = others;
                }
                Some(data)
            }
            _ => None,
        }
    }
}

fn at(bytes: &[u8], at: usize) -> u8 {
    bytes.get(at).copied().unwrap_or(0)
}

impl Field {
    fn encode(self) -> [u8; 3] {
        let [high, low] = self.byte.to_be_bytes();
        let flags = 0x80 | bit(self.in_cdb, 0x40);
        [self.bit.map_or(flags, |bit| flags | 0x08 | (bit & 7)), high, low]
    }

    fn decode(bytes: &[u8]) -> Option<Field> {
        let flags = *bytes.first()?;
        let byte = u16_at(bytes, 1)?;
        let bit = (flags & 0x08 != 0).then_some(flags & 7);
        (flags & 0x80 != 0).then_some(Field { in_cdb: flags & 0x40 != 0, byte, bit })
    }
}
