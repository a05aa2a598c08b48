//! From bytes to [`Cdb`].

use super::{Access, Cdb, Form, Unknown, Verb, WriteSame};

pub(super) fn decode(b: &[u8; 16]) -> Result<Cdb, Unknown> {
    let short = u16::from_be_bytes([b[7], b[8]]);
    let long = u32::from_be_bytes([b[6], b[7], b[8], b[9]]);
    let longest = u32::from_be_bytes([b[10], b[11], b[12], b[13]]);
    Ok(match b[0] {
        0x00 => Cdb::TestUnitReady,
        0x03 => Cdb::RequestSense { descriptors: b[1] & 1 != 0, allocation: b[4] },
        0x12 => {
            Cdb::Inquiry { vital: b[1] & 1 != 0, page: b[2], allocation: u16::from_be_bytes([b[3], b[4]]) }
        }
        0x15 => mode_select(b, Form::Six, u16::from(b[4])),
        0x55 => mode_select(b, Form::Ten, short),
        0x1a => mode_sense(b, Form::Six, u16::from(b[4])),
        0x5a => mode_sense(b, Form::Ten, short),
        // 3RDPTY is bit 4; bit 1 is LONGID in the ten-byte form; bit 0 EXTENT.
        0x16 => Cdb::Reserve { form: Form::Six, elaborate: b[1] & 0x11 != 0 },
        0x56 => Cdb::Reserve { form: Form::Ten, elaborate: b[1] & 0x13 != 0 },
        0x17 => Cdb::Release { form: Form::Six, elaborate: b[1] & 0x11 != 0 },
        0x57 => Cdb::Release { form: Form::Ten, elaborate: b[1] & 0x13 != 0 },
        0x1b => Cdb::StartStopUnit {
            power_condition: b[4] >> 4,
            no_flush: b[4] & 4 != 0,
            load_eject: b[4] & 2 != 0,
            start: b[4] & 1 != 0,
        },
        0x1e => Cdb::PreventAllow { prevent: b[4] & 3 },
        0x25 => Cdb::ReadCapacity10,
        0x41 => Cdb::WriteSame(WriteSame {
            form: Form::Ten,
            lba: u64::from(u32::from_be_bytes([b[2], b[3], b[4], b[5]])),
            blocks: u32::from(short),
            protect: b[1] >> 5,
            anchor: b[1] & 0x10 != 0,
            unmap: b[1] & 0x08 != 0,
            no_data: false,
        }),
        0x93 => Cdb::WriteSame(WriteSame {
            form: Form::Sixteen,
            lba: lba16(b),
            blocks: longest,
            protect: b[1] >> 5,
            anchor: b[1] & 0x10 != 0,
            unmap: b[1] & 0x08 != 0,
            no_data: b[1] & 0x01 != 0,
        }),
        0x42 => Cdb::Unmap { anchor: b[1] & 1 != 0, length: short },
        0x5e => Cdb::PersistentReserveIn { action: b[1] & 0x1f, allocation: short },
        0x5f => Cdb::PersistentReserveOut {
            action: b[1] & 0x1f,
            scope: b[2] >> 4,
            kind: b[2] & 0x0f,
            length: u32::from_be_bytes([b[5], b[6], b[7], b[8]]),
        },
        0x83 => match b[1] & 0x1f {
            0x00 => Cdb::ExtendedCopy { length: longest },
            0x10 => Cdb::PopulateToken { list: long, length: longest },
            0x11 => Cdb::WriteUsingToken { list: long, length: longest },
            _ => return Err(Unknown::ServiceAction),
        },
        0x84 => match b[1] & 0x1f {
            0x00 => Cdb::ReceiveCopyStatus { list: b[2], allocation: longest },
            0x03 => Cdb::ReceiveCopyParameters { allocation: longest },
            0x07 => Cdb::ReceiveRodTokenInformation {
                list: u32::from_be_bytes([b[2], b[3], b[4], b[5]]),
                allocation: longest,
            },
            _ => return Err(Unknown::ServiceAction),
        },
        0x9e => match b[1] & 0x1f {
            0x10 => Cdb::ReadCapacity16 { allocation: longest },
            0x12 => Cdb::GetLbaStatus { lba: lba16(b), allocation: longest },
            _ => return Err(Unknown::ServiceAction),
        },
        0xa0 => Cdb::ReportLuns { select: b[2], allocation: long },
        0xa3 => match b[1] & 0x1f {
            0x0a => Cdb::ReportTargetPortGroups { format: b[1] >> 5, allocation: long },
            0x0c => Cdb::ReportSupportedOperationCodes {
                timeouts: b[2] & 0x80 != 0,
                options: b[2] & 7,
                opcode: b[3],
                service_action: u16::from_be_bytes([b[4], b[5]]),
                allocation: long,
            },
            0x0d => {
                Cdb::ReportSupportedTaskManagementFunctions { extended: b[2] & 0x80 != 0, allocation: long }
            }
            _ => return Err(Unknown::ServiceAction),
        },
        opcode => return range(opcode, b).ok_or(Unknown::Opcode),
    })
}

fn lba16(b: &[u8; 16]) -> u64 {
    u64::from_be_bytes([b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9]])
}

fn mode_select(b: &[u8; 16], form: Form, length: u16) -> Cdb {
    Cdb::ModeSelect { form, page_format: b[1] & 0x10 != 0, save: b[1] & 1 != 0, length }
}

fn mode_sense(b: &[u8; 16], form: Form, allocation: u16) -> Cdb {
    Cdb::ModeSense {
        form,
        no_descriptors: b[1] & 8 != 0,
        control: b[2] >> 6,
        page: b[2] & 0x3f,
        subpage: b[3],
        allocation,
    }
}

/// Commands that go to one range.
fn range(opcode: u8, b: &[u8; 16]) -> Option<Cdb> {
    let verb = match opcode {
        0x08 | 0x28 | 0xa8 | 0x88 => Verb::Read,
        0x0a | 0x2a | 0xaa | 0x8a => Verb::Write,
        0x2e | 0xae | 0x8e => Verb::WriteAndVerify,
        0x2f | 0xaf | 0x8f => Verb::Verify,
        0x34 | 0x90 => Verb::PreFetch,
        0x35 | 0x91 => Verb::SynchronizeCache,
        0x8b => Verb::OrWrite,
        0x89 => Verb::CompareAndWrite,
        _ => return None,
    };
    // The group code, the opcode's upper three bits, says how long a CDB is.
    let mut access = match opcode >> 5 {
        0 => {
            let lba = u32::from_be_bytes([0, b[1] & 0x1f, b[2], b[3]]);
            let blocks = if b[4] == 0 { 256 } else { u32::from(b[4]) };
            return Some(Cdb::Range(verb, Access::new(Form::Six, u64::from(lba), blocks)));
        }
        1 => {
            let lba = u32::from_be_bytes([b[2], b[3], b[4], b[5]]);
            Access::new(Form::Ten, u64::from(lba), u32::from(u16::from_be_bytes([b[7], b[8]])))
        }
        5 => {
            let lba = u32::from_be_bytes([b[2], b[3], b[4], b[5]]);
            Access::new(Form::Twelve, u64::from(lba), u32::from_be_bytes([b[6], b[7], b[8], b[9]]))
        }
        _ => {
            let blocks = match verb {
                Verb::CompareAndWrite => u32::from(b[13]),
                _ => u32::from_be_bytes([b[10], b[11], b[12], b[13]]),
            };
            Access::new(Form::Sixteen, lba16(b), blocks)
        }
    };
    let flag = |mask: u8| b[1] & mask != 0;
    match verb {
        Verb::Read | Verb::Write | Verb::OrWrite | Verb::CompareAndWrite => {
            (access.protect, access.dpo, access.fua) = (b[1] >> 5, flag(0x10), flag(0x08));
        }
        Verb::WriteAndVerify | Verb::Verify => {
            (access.protect, access.dpo, access.bytchk) = (b[1] >> 5, flag(0x10), b[1] >> 1 & 3);
        }
        // What they have there, IMMED, makes no difference to a target that answers when it is done.
        Verb::PreFetch | Verb::SynchronizeCache => {}
    }
    Some(Cdb::Range(verb, access))
}
