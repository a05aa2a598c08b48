//! Commands that go to the medium (scsi-pr.md section 10, SBC-3 5).

use super::rig::*;
use crate::scsi::cdb::{Access, Cdb, Form, Verb, WriteSame};
use crate::scsi::provisioning::{self, Provisioning, Run};
use alloc::vec;
use alloc::vec::Vec;
use bytes::Bytes;

fn range(verb: Verb, form: Form, lba: u64, blocks: u32) -> Cdb {
    Cdb::Range(verb, Access::new(form, lba, blocks))
}

fn fill(byte: u8, blocks: usize) -> Vec<u8> {
    vec![byte; blocks * BLOCK]
}

fn write(rig: &mut Rig, lba: u64, byte: u8, blocks: usize) {
    let cdb = range(Verb::Write, Form::Sixteen, lba, blocks as u32);
    assert_eq!(rig.send(A, cdb, &fill(byte, blocks)), good());
}

#[test]
fn what_is_written_is_read_in_every_form() {
    let mut rig = Rig::new();
    for (byte, form) in (1..).zip([Form::Six, Form::Ten, Form::Twelve, Form::Sixteen]) {
        assert_eq!(rig.send(A, range(Verb::Write, form, 8, 2), &fill(byte, 2)), good());
        let found = rig.ask(B, range(Verb::Read, form, 8, 2), 1024);
        assert_eq!(found, Answered::Good(Bytes::from(fill(byte, 2))), "{form:?}");
    }
    assert_eq!(rig.medium(0, 10, 1), fill(0, 1));
}

#[test]
fn the_end_of_the_medium_is_respected_by_every_command() {
    let mut rig = Rig::new();
    let verbs = [
        Verb::Read,
        Verb::Write,
        Verb::WriteAndVerify,
        Verb::Verify,
        Verb::PreFetch,
        Verb::SynchronizeCache,
        Verb::OrWrite,
        Verb::CompareAndWrite,
    ];
    for verb in verbs {
        for (lba, blocks) in [(BLOCKS, 1), (BLOCKS - 1, 2), (1 << 63, 1), (u64::MAX, 1), (BLOCKS + 1, 0)] {
            let answer = rig.send(A, range(verb, Form::Sixteen, lba, blocks), &[]);
            assert_eq!(answer, check(5, 0x21, 0), "{verb:?} at {lba}");
        }
        let empty = rig.send(A, range(verb, Form::Sixteen, BLOCKS - 1, 0), &[]);
        assert_eq!(empty, good(), "{verb:?} of nothing");
    }
}

#[test]
fn protection_information_is_refused() {
    let mut rig = Rig::new();
    for verb in [Verb::Read, Verb::Write, Verb::WriteAndVerify, Verb::Verify, Verb::OrWrite] {
        let access = Access { protect: 1, ..Access::new(Form::Sixteen, 0, 1) };
        assert_eq!(rig.send(A, Cdb::Range(verb, access), &fill(0, 1)), check(5, 0x24, 0), "{verb:?}");
    }
}

#[test]
fn verify_tells_where_the_data_differs() {
    let mut rig = Rig::new();
    write(&mut rig, 4, 7, 2);
    let compare = |rig: &mut Rig, data: &[u8]| {
        let access = Access { bytchk: 1, ..Access::new(Form::Ten, 4, 2) };
        let tag = rig.begin(A, 0, Cdb::Range(Verb::Verify, access).encode(), 0, data);
        (rig.answer(A, tag), rig.responses[&(A, tag)].sense.clone())
    };
    assert_eq!(compare(&mut rig, &fill(7, 2)).0, good());
    let mut other = fill(7, 2);
    other[700] = 8;
    let (answer, sense) = compare(&mut rig, &other);
    assert_eq!(answer, check(0x0e, 0x1d, 0));
    assert_eq!(sense[..7], [0xf0, 0, 0x0e, 0, 0, 700_u16.to_be_bytes()[0], 700_u16.to_be_bytes()[1]]);
    // BYTCHK = 0: what was sent is not looked at.
    let unchecked = Cdb::Range(Verb::Verify, Access::new(Form::Ten, 4, 2));
    assert_eq!(rig.send(A, unchecked, &other), good());
}

#[test]
fn compare_and_write_is_all_or_nothing() {
    let mut rig = Rig::new();
    write(&mut rig, 0, 1, 4);
    let swap = |rig: &mut Rig, old: &[u8], new: &[u8], blocks| {
        let cdb = range(Verb::CompareAndWrite, Form::Sixteen, 0, blocks);
        rig.send(A, cdb, &[old, new].concat())
    };
    assert_eq!(swap(&mut rig, &fill(1, 2), &fill(2, 2), 2), good());
    assert_eq!(rig.medium(0, 0, 4), [fill(2, 2), fill(1, 2)].concat());
    assert_eq!(swap(&mut rig, &fill(2, 4), &fill(3, 4), 4), check(0x0e, 0x1d, 0));
    assert_eq!(rig.medium(0, 0, 4), [fill(2, 2), fill(1, 2)].concat());
    // The data is two halves of what the CDB says, nothing else.
    assert_eq!(swap(&mut rig, &fill(2, 2), &fill(3, 2), 1), check(5, 0x24, 0));
    assert_eq!(swap(&mut rig, &fill(2, 2), &fill(3, 2), 3), check(5, 0x24, 0));
    assert_eq!(swap(&mut rig, &fill(2, 128), &fill(3, 128), 0), check(5, 0x24, 0));
}

#[test]
fn two_compare_and_writes_at_once_cannot_both_win() {
    let mut rig = Rig::new();
    rig.holds_disk = true;
    let cdb = range(Verb::CompareAndWrite, Form::Sixteen, 9, 1).encode();
    let [first, second] = [1, 2].map(|byte| rig.begin(A, 0, cdb, 0, &[fill(0, 1), fill(byte, 1)].concat()));
    let elsewhere = rig.begin(B, 0, range(Verb::Read, Form::Ten, 10, 1).encode(), 512, &[]);
    assert_eq!(rig.waiting.len(), 2, "the second waits for the first; what is elsewhere does not");
    rig.release_disk();
    assert_eq!(rig.answer(A, first), good());
    assert_eq!(rig.answer(A, second), check(0x0e, 0x1d, 0));
    assert_eq!(rig.answer(B, elsewhere), Answered::Good(Bytes::from(fill(0, 1))));
    assert_eq!(rig.medium(0, 9, 1), fill(1, 1));
}

#[test]
fn orwrite_merges() {
    let mut rig = Rig::new();
    write(&mut rig, 3, 0x0f, 1);
    assert_eq!(rig.send(A, range(Verb::OrWrite, Form::Sixteen, 3, 1), &fill(0xa0, 1)), good());
    assert_eq!(rig.medium(0, 3, 1), fill(0xaf, 1));
}

#[test]
fn write_same_repeats_one_block() {
    let mut rig = Rig::new();
    let fields = WriteSame {
        form: Form::Sixteen,
        lba: 5,
        blocks: 300,
        protect: 0,
        anchor: false,
        unmap: false,
        no_data: false,
    };
    let send = |rig: &mut Rig, fields, data: &[u8]| rig.send(A, Cdb::WriteSame(fields), data);
    assert_eq!(send(&mut rig, fields, &fill(6, 1)), good());
    assert_eq!(rig.medium(0, 4, 302), [fill(0, 1), fill(6, 300), fill(0, 1)].concat());
    for (name, wrong, data) in [
        ("half a block", fields, fill(6, 1)[..256].to_vec()),
        ("two blocks", fields, fill(6, 2)),
        ("nothing", fields, Vec::new()),
        ("anchor", WriteSame { anchor: true, ..fields }, fill(6, 1)),
        ("protection", WriteSame { protect: 1, ..fields }, fill(6, 1)),
    ] {
        assert_eq!(send(&mut rig, wrong, &data), check(5, 0x24, 0), "{name}");
    }
    assert_eq!(send(&mut rig, WriteSame { unmap: true, ..fields }, &fill(0, 1)), good());
    assert_eq!(rig.medium(0, 4, 302), fill(0, 302));
    // Only zeros can be unmapped: what is read must be what was sent.
    assert_eq!(send(&mut rig, WriteSame { unmap: true, ..fields }, &fill(3, 1)), good());
    assert_eq!(rig.medium(0, 5, 300), fill(3, 300));
    assert_eq!(send(&mut rig, WriteSame { no_data: true, ..fields }, &[]), good());
    assert_eq!(rig.medium(0, 5, 300), fill(0, 300));
    // 0 blocks are all up to the end.
    let to_the_end = WriteSame { lba: BLOCKS - 9, blocks: 0, ..fields };
    assert_eq!(send(&mut rig, to_the_end, &fill(8, 1)), good());
    assert_eq!(rig.medium(0, BLOCKS - 10, 10), [fill(0, 1), fill(8, 9)].concat());
    let mut large = config();
    large.units[0].blocks = 1 << 20;
    let mut rig = Rig::with(large);
    assert_eq!(send(&mut rig, WriteSame { lba: 0, blocks: 0, ..fields }, &fill(8, 1)), check(5, 0x24, 0));
}

fn lba_status(rig: &mut Rig, lba: u64) -> Vec<(u64, u32, Provisioning)> {
    let Answered::Good(data) = rig.ask(A, Cdb::GetLbaStatus { lba, allocation: 8 + 16 * 3 }, 56) else {
        panic!("it is answered")
    };
    let runs = provisioning::decode_lba_status(&data).expect("it reads");
    runs.into_iter().map(|run| (run.lba, run.blocks, run.provisioning)).collect()
}

#[test]
fn unmapped_blocks_read_as_zeros_and_are_told() {
    let mut rig = Rig::new();
    write(&mut rig, 0, 1, 16);
    let unmap = |rig: &mut Rig, runs: &[Run]| {
        let list = provisioning::encode_unmap(runs);
        rig.send(A, Cdb::Unmap { anchor: false, length: list.len() as u16 }, &list)
    };
    assert_eq!(unmap(&mut rig, &[Run { lba: 4, blocks: 2 }, Run { lba: 8, blocks: 8 }]), good());
    assert_eq!(rig.medium(0, 4, 2), fill(0, 2));
    let (mapped, free) = (Provisioning::Mapped, Provisioning::Deallocated);
    assert_eq!(lba_status(&mut rig, 1), [(1, 3, mapped), (4, 2, free), (6, 2, mapped)]);
    assert_eq!(lba_status(&mut rig, 8), [(8, BLOCKS as u32 - 8, free)]);
    assert_eq!(rig.ask(A, Cdb::GetLbaStatus { lba: BLOCKS, allocation: 24 }, 24), check(5, 0x21, 0));
    // Nothing at the end is nothing.
    assert_eq!(unmap(&mut rig, &[]), good());
    assert_eq!(unmap(&mut rig, &[Run { lba: BLOCKS, blocks: 0 }]), good());
    assert_eq!(unmap(&mut rig, &[Run { lba: BLOCKS, blocks: 1 }]), check(5, 0x21, 0));
    assert_eq!(unmap(&mut rig, &[Run { lba: 0, blocks: u32::MAX }]), check(5, 0x26, 0));
    let many = vec![Run { lba: 0, blocks: 1 }; 257];
    assert_eq!(unmap(&mut rig, &many), check(5, 0x26, 0));
    assert_eq!(rig.send(A, Cdb::Unmap { anchor: true, length: 8 }, &[0; 8]), check(5, 0x24, 0));
}

#[test]
fn residuals_are_told_by_what_the_cdb_transfers() {
    let mut rig = Rig::new();
    write(&mut rig, 0, 9, 2);
    for expected in [0, 200, 512, 1024, 4096] {
        let tag = rig.begin(A, 0, range(Verb::Read, Form::Ten, 0, 2).encode(), expected, &[]);
        let response = rig.responses[&(A, tag)].clone();
        assert_eq!((response.status, response.length), (0, 1024), "{expected}");
        assert!(response.data.len() as u64 >= u64::from(expected.min(1024)));
    }
    // More than the CDB says is not written.
    let tag = rig.begin(A, 0, range(Verb::Write, Form::Ten, 0, 1).encode(), 0, &fill(5, 2));
    assert_eq!((rig.answer(A, tag), rig.responses[&(A, tag)].length), (good(), 512));
    assert_eq!(rig.medium(0, 0, 2), [fill(5, 1), fill(9, 1)].concat());
    // Less is written as far as it goes, in whole blocks.
    let tag = rig.begin(A, 0, range(Verb::Write, Form::Ten, 0, 2).encode(), 0, &fill(6, 1));
    assert_eq!((rig.answer(A, tag), rig.responses[&(A, tag)].length), (good(), 1024));
    assert_eq!(rig.medium(0, 0, 2), [fill(6, 1), fill(9, 1)].concat());
    let tag = rig.begin(A, 0, range(Verb::Write, Form::Ten, 0, 1).encode(), 0, &[1; 200]);
    assert_eq!((rig.answer(A, tag), rig.responses[&(A, tag)].length), (check(5, 0x0e, 3), 512));
    assert_eq!(rig.medium(0, 0, 1), fill(6, 1));
}

#[test]
fn force_unit_access_and_write_through_are_durable_before_good() {
    use crate::array::{DiskOperation, Effect};
    for (write_back, fua, durable) in [(true, false, false), (true, true, true), (false, false, true)] {
        let mut config = config();
        config.units[0].write_back = write_back;
        let mut rig = Rig::with(config);
        let access = Access { fua, ..Access::new(Form::Ten, 0, 1) };
        assert_eq!(rig.send(A, Cdb::Range(Verb::Write, access), &fill(1, 1)), good());
        let written = rig.effects.iter().find_map(|effect| match effect {
            Effect::Disk { operation: DiskOperation::Write { durable, .. }, .. } => Some(*durable),
            _ => None,
        });
        assert_eq!(written, Some(durable), "write back {write_back}, FUA {fua}");
    }
}

#[test]
fn a_block_that_a_failing_disk_holds_is_an_error() {
    use crate::array::{DiskOutcome, Input};
    let mut rig = Rig::new();
    rig.holds_disk = true;
    for (verb, data, sense) in
        [(Verb::Read, Vec::new(), check(3, 0x11, 0)), (Verb::Write, fill(1, 1), check(3, 0x0c, 0))]
    {
        let tag = rig.begin(A, 0, range(verb, Form::Ten, 0, 1).encode(), 512, &data);
        let (id, _) = rig.waiting.pop().expect("it is at the disk");
        rig.step(Input::DiskDone { id, outcome: DiskOutcome::Failed });
        assert_eq!(rig.answer(A, tag), sense, "{verb:?}");
    }
}
