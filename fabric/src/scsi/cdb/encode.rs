//! From [`Cdb`] to bytes.

use super::super::field::{bit, put};
use super::{Access, Cdb, Form, Verb, WriteSame};

pub(super) fn encode(cdb: &Cdb) -> [u8; 16] {
    let mut b = [0; 16];
    match *cdb {
        Cdb::TestUnitReady => {}
        Cdb::RequestSense { descriptors, allocation } => {
            (b[0], b[1], b[4]) = (0x03, bit(descriptors, 1), allocation);
        }
        Cdb::Inquiry { vital, page, allocation } => {
            (b[0], b[1], b[2]) = (0x12, bit(vital, 1), page);
            put(&mut b, 3, &allocation.to_be_bytes());
        }
        Cdb::ModeSense { form, no_descriptors, control, page, subpage, allocation } => {
            b[0] = opcode(form, [Some(0x1a), Some(0x5a), None, None]);
            (b[1], b[2], b[3]) = (bit(no_descriptors, 8), control << 6 | page, subpage);
            mode_length(&mut b, form, allocation);
        }
        Cdb::ModeSelect { form, page_format, save, length } => {
            b[0] = opcode(form, [Some(0x15), Some(0x55), None, None]);
            b[1] = bit(page_format, 0x10) | bit(save, 1);
            mode_length(&mut b, form, length);
        }
        Cdb::Reserve { form, elaborate } => {
            b[0] = opcode(form, [Some(0x16), Some(0x56), None, None]);
            b[1] = bit(elaborate, 0x10);
        }
        Cdb::Release { form, elaborate } => {
            b[0] = opcode(form, [Some(0x17), Some(0x57), None, None]);
            b[1] = bit(elaborate, 0x10);
        }
        Cdb::StartStopUnit { power_condition, no_flush, load_eject, start } => {
            b[0] = 0x1b;
            b[4] = power_condition << 4 | bit(no_flush, 4) | bit(load_eject, 2) | bit(start, 1);
        }
        Cdb::PreventAllow { prevent } => (b[0], b[4]) = (0x1e, prevent),
        Cdb::ReadCapacity10 => b[0] = 0x25,
        Cdb::ReadCapacity16 { allocation } => long16(&mut b, [0x9e, 0x10], allocation),
        Cdb::Range(verb, access) => range(&mut b, verb, access),
        Cdb::WriteSame(fields) => write_same(&mut b, fields),
        Cdb::Unmap { anchor, length } => {
            (b[0], b[1]) = (0x42, bit(anchor, 1));
            put(&mut b, 7, &length.to_be_bytes());
        }
        Cdb::GetLbaStatus { lba, allocation } => {
            long16(&mut b, [0x9e, 0x12], allocation);
            put(&mut b, 2, &lba.to_be_bytes());
        }
        Cdb::ReportLuns { select, allocation } => {
            (b[0], b[2]) = (0xa0, select);
            put(&mut b, 6, &allocation.to_be_bytes());
        }
        Cdb::ReportTargetPortGroups { format, allocation } => {
            (b[0], b[1]) = (0xa3, format << 5 | 0x0a);
            put(&mut b, 6, &allocation.to_be_bytes());
        }
        Cdb::ReportSupportedOperationCodes { timeouts, options, opcode, service_action, allocation } => {
            (b[0], b[1], b[2], b[3]) = (0xa3, 0x0c, bit(timeouts, 0x80) | options, opcode);
            put(&mut b, 4, &service_action.to_be_bytes());
            put(&mut b, 6, &allocation.to_be_bytes());
        }
        Cdb::ReportSupportedTaskManagementFunctions { extended, allocation } => {
            (b[0], b[1], b[2]) = (0xa3, 0x0d, bit(extended, 0x80));
            put(&mut b, 6, &allocation.to_be_bytes());
        }
        Cdb::PersistentReserveIn { action, allocation } => {
            (b[0], b[1]) = (0x5e, action);
            put(&mut b, 7, &allocation.to_be_bytes());
        }
        Cdb::PersistentReserveOut { action, scope, kind, length } => {
            (b[0], b[1], b[2]) = (0x5f, action, scope << 4 | kind);
            put(&mut b, 5, &length.to_be_bytes());
        }
        Cdb::ExtendedCopy { length } => long16(&mut b, [0x83, 0x00], length),
        Cdb::PopulateToken { list, length } => {
            long16(&mut b, [0x83, 0x10], length);
            put(&mut b, 6, &list.to_be_bytes());
        }
        Cdb::WriteUsingToken { list, length } => {
            long16(&mut b, [0x83, 0x11], length);
            put(&mut b, 6, &list.to_be_bytes());
        }
        Cdb::ReceiveCopyStatus { list, allocation } => {
            long16(&mut b, [0x84, 0x00], allocation);
            b[2] = list;
        }
        Cdb::ReceiveCopyParameters { allocation } => long16(&mut b, [0x84, 0x03], allocation),
        Cdb::ReceiveRodTokenInformation { list, allocation } => {
            long16(&mut b, [0x84, 0x07], allocation);
            put(&mut b, 2, &list.to_be_bytes());
        }
    }
    b
}

/// The operation code of this form; forms in the order 6, 10, 12, 16.
fn opcode(form: Form, codes: [Option<u8>; 4]) -> u8 {
    let code = match form {
        Form::Six => codes[0],
        Form::Ten => codes[1],
        Form::Twelve => codes[2],
        Form::Sixteen => codes[3],
    };
    code.unwrap_or_else(|| panic!("the command has no CDB of form {form:?}"))
}

fn mode_length(b: &mut [u8; 16], form: Form, length: u16) {
    match form {
        Form::Six => b[4] = u8::try_from(length).expect("the six-byte form has one byte for the length"),
        Form::Ten | Form::Twelve | Form::Sixteen => put(b, 7, &length.to_be_bytes()),
    }
}

fn long16(b: &mut [u8; 16], [code, action]: [u8; 2], length: u32) {
    (b[0], b[1]) = (code, action);
    put(b, 10, &length.to_be_bytes());
}

fn write_same(b: &mut [u8; 16], fields: WriteSame) {
    let WriteSame { form, lba, blocks, protect, anchor, unmap, no_data } = fields;
    b[0] = opcode(form, [None, Some(0x41), None, Some(0x93)]);
    b[1] = protect << 5 | bit(anchor, 0x10) | bit(unmap, 0x08);
    if form == Form::Ten {
        put(b, 2, &lba32(lba).to_be_bytes());
        put(b, 7, &blocks16(blocks).to_be_bytes());
    } else {
        b[1] |= bit(no_data, 1);
        put(b, 2, &lba.to_be_bytes());
        put(b, 10, &blocks.to_be_bytes());
    }
}

fn range(b: &mut [u8; 16], verb: Verb, access: Access) {
    let Access { form, lba, blocks, protect, dpo, fua, bytchk } = access;
    b[0] = opcode(
        form,
        match verb {
            Verb::Read => [Some(0x08), Some(0x28), Some(0xa8), Some(0x88)],
            Verb::Write => [Some(0x0a), Some(0x2a), Some(0xaa), Some(0x8a)],
            Verb::WriteAndVerify => [None, Some(0x2e), Some(0xae), Some(0x8e)],
            Verb::Verify => [None, Some(0x2f), Some(0xaf), Some(0x8f)],
            Verb::PreFetch => [None, Some(0x34), None, Some(0x90)],
            Verb::SynchronizeCache => [None, Some(0x35), None, Some(0x91)],
            Verb::OrWrite => [None, None, None, Some(0x8b)],
            Verb::CompareAndWrite => [None, None, None, Some(0x89)],
        },
    );
    if form != Form::Six {
        b[1] = protect << 5 | bit(dpo, 0x10);
        b[1] |= match verb {
            Verb::WriteAndVerify | Verb::Verify => bytchk << 1,
            _ => bit(fua, 0x08),
        };
    }
    match form {
        Form::Six => {
            assert!(lba < 1 << 21, "the six-byte form has 21 bits for the address");
            put(b, 1, &lba32(lba).to_be_bytes()[1..]);
            b[4] = match blocks {
                256 => 0,
                _ => u8::try_from(blocks).ok().filter(|&n| n > 0).expect("1 to 256 blocks in six bytes"),
            };
        }
        Form::Ten => {
            put(b, 2, &lba32(lba).to_be_bytes());
            put(b, 7, &blocks16(blocks).to_be_bytes());
        }
        Form::Twelve => {
            put(b, 2, &lba32(lba).to_be_bytes());
            put(b, 6, &blocks.to_be_bytes());
        }
        Form::Sixteen => {
            put(b, 2, &lba.to_be_bytes());
            match verb {
                Verb::CompareAndWrite => {
                    b[13] = u8::try_from(blocks).expect("COMPARE AND WRITE counts blocks in one byte");
                }
                _ => put(b, 10, &blocks.to_be_bytes()),
            }
        }
    }
}

fn lba32(lba: u64) -> u32 {
    u32::try_from(lba).expect("addresses beyond 32 bits need the sixteen-byte form")
}

fn blocks16(blocks: u32) -> u16 {
    u16::try_from(blocks).expect("the ten-byte form counts up to 65535 blocks")
}
