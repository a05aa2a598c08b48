//! Bytes from strangers at the array's border: whatever comes, each command is answered exactly once and nothing panics.

use super::rig::*;
use crate::array::{Function, Input};
use crate::scsi::opcodes;
use alloc::vec::Vec;
use proptest::prelude::*;
use redline_vocab::{Nexus, Tag};

#[derive(Clone, Debug)]
enum Move {
    Command { nexus: u8, lun: u16, cdb: [u8; 16], expected: u16, data: Vec<u8>, reads: bool },
    Abort(u8, u16),
    Reset(u8),
    Lose(u8),
    Disk,
}

/// A CDB of a command that exists, with anything in its other bytes; small numbers are frequent.
fn cdb() -> impl Strategy<Value = [u8; 16]> {
    let known: Vec<(u8, Option<u16>)> = opcodes::commands().collect();
    let byte = prop_oneof![4 => Just(0_u8), 2 => 0..32_u8, 1 => any::<u8>()];
    (prop::sample::select(known), prop::array::uniform16(byte), any::<u8>()).prop_map(
        |((opcode, action), mut bytes, wild)| {
            bytes[0] = if wild == 0 { wild.wrapping_add(0xff) } else { opcode };
            if let Some(action) = action {
                bytes[1] = bytes[1] & 0xe0 | action as u8;
            }
            bytes
        },
    )
}

fn step() -> impl Strategy<Value = Move> {
    let byte = prop_oneof![3 => 0..40_u8, 1 => any::<u8>()];
    prop_oneof![
        8 => (0..3_u8, 0..3_u16, cdb(), 0..2048_u16, prop::collection::vec(byte, 0..1100), any::<bool>())
            .prop_map(|(nexus, lun, cdb, expected, data, reads)| {
                Move::Command { nexus, lun, cdb, expected, data, reads }
            }),
        1 => (0..3_u8, 0..64_u16).prop_map(|(nexus, tag)| Move::Abort(nexus, tag)),
        1 => (0..3_u8).prop_map(Move::Reset),
        1 => (0..3_u8).prop_map(Move::Lose),
        2 => Just(Move::Disk),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_commands_are_answered_once(moves in prop::collection::vec(step(), 1..60)) {
        let mut rig = Rig::new();
        let stranger = rig.login("s", 0, 2).expect("there is room");
        let nexuses = [A, B, stranger];
        let mut sent: Vec<(Nexus, Tag)> = Vec::new();
        let mut lost: Vec<(Nexus, Tag)> = Vec::new();
        for step in moves {
            match step {
                Move::Command { nexus, lun, cdb, expected, data, reads } => {
                    let nexus = nexuses[usize::from(nexus)];
                    let data = if reads { &[][..] } else { &data };
                    rig.holds_disk = expected % 3 == 0;
                    let tag = rig.begin(nexus, lun, cdb, u32::from(expected), data);
                    sent.push((nexus, tag));
                }
                Move::Abort(nexus, at) => {
                    let nexus = nexuses[usize::from(nexus)];
                    let tag = sent.get(usize::from(at)).map_or(Tag(0), |sent| sent.1);
                    rig.manage(nexus, 0, Function::AbortTask(tag));
                }
                Move::Reset(nexus) => {
                    rig.manage(nexuses[usize::from(nexus)], 0, Function::LogicalUnitReset);
                }
                Move::Lose(nexus) => {
                    let nexus = nexuses[usize::from(nexus)];
                    rig.step(Input::NexusLost(nexus));
                    lost.extend(sent.iter().filter(|key| key.0 == nexus && rig.answer(key.0, key.1) == Answered::Waits));
                    rig.release_disk();
                    let name = match nexus { A => ("a", 1), B => ("b", 1), _ => ("s", 2) };
                    prop_assert_eq!(rig.login_only(name.0, 0, name.1), Some(nexus));
                }
                Move::Disk => rig.release_disk(),
            }
        }
        rig.release_disk();
        for (nexus, tag) in &sent {
            let waits = rig.answer(*nexus, *tag) == Answered::Waits;
            prop_assert_eq!(waits, lost.contains(&(*nexus, *tag)), "{} of {}", tag, nexus);
        }
        prop_assert_eq!(rig.array.tasks(), 0);
    }
}
