//! INQUIRY, mode pages, capacity and tables of commands (scsi-pr.md section 10), and copies.

use super::rig::*;
use crate::scsi::cdb::{Access, Cdb, Form, Verb};
use crate::scsi::copy::{self, CopyList, Cscd, Segment, UseToken};
use crate::scsi::provisioning::Run;
use crate::scsi::{opcodes, vpd};
use alloc::vec;
use alloc::vec::Vec;
use bytes::Bytes;
use redline_vocab::{Nexus, Sense, ServiceAction as Action};

fn data(rig: &mut Rig, nexus: Nexus, cdb: Cdb) -> Bytes {
    match rig.ask(nexus, cdb, 4096) {
        Answered::Good(data) => data,
        other => panic!("{cdb:?}: {other:?}"),
    }
}

fn page(rig: &mut Rig, nexus: Nexus, page: u8) -> Bytes {
    data(rig, nexus, Cdb::Inquiry { vital: true, page, allocation: 4096 })
}

fn mode(control: u8, page: u8) -> Cdb {
    Cdb::ModeSense { form: Form::Six, no_descriptors: true, control, page, subpage: 0, allocation: 255 }
}

#[test]
fn every_page_that_is_listed_can_be_read() {
    let mut rig = Rig::new();
    let listed = page(&mut rig, A, 0);
    assert_eq!(listed[4..], vpd::PAGES);
    for code in &listed[4..] {
        let found = page(&mut rig, A, *code);
        assert_eq!(found[1], *code);
        assert_eq!(usize::from(u16::from_be_bytes([found[2], found[3]])), found.len() - 4, "{code:02x}");
    }
    assert_eq!(page(&mut rig, A, 0xb0).len(), 0x40);
    assert_eq!(rig.ask(A, Cdb::Inquiry { vital: true, page: 0xff, allocation: 255 }, 255), check(5, 0x24, 0));
    assert_eq!(rig.ask(A, Cdb::Inquiry { vital: false, page: 1, allocation: 255 }, 255), check(5, 0x24, 0));
}

#[test]
fn a_unit_is_the_same_through_every_port_and_another_one_is_not() {
    let mut rig = Rig::new();
    let other_path = rig.login("a", 0, 2).expect("there is room");
    let here = page(&mut rig, A, 0x83);
    let there = page(&mut rig, other_path, 0x83);
    assert_eq!(vpd::decode_naa(&here), vpd::decode_naa(&there));
    assert_ne!(here, there, "the ports differ");
    let inquiry = Cdb::Inquiry { vital: true, page: 0x83, allocation: 4096 };
    let Answered::Good(second) = rig.on(A, 1, inquiry, 4096, &[]) else { panic!("it works") };
    assert_ne!(vpd::decode_naa(&here), vpd::decode_naa(&second));
    let named = |page: &[u8]| page.windows(7).any(|text| text == b",t,0x00");
    assert!(named(&here));
}

#[test]
fn standard_inquiry_is_cut_and_nothing_else() {
    let mut rig = Rig::new();
    let whole = data(&mut rig, A, Cdb::Inquiry { vital: false, page: 0, allocation: 512 });
    assert_eq!(usize::from(whole[4]), whole.len() - 5);
    assert_eq!((whole[0], whole[2], whole[3] & 0x0f), (0, 6, 2));
    for allocation in [0, 5, 36, 96, 511] {
        let cut = data(&mut rig, A, Cdb::Inquiry { vital: false, page: 0, allocation });
        assert_eq!(cut, whole[..usize::from(allocation).min(whole.len())]);
    }
}

#[test]
fn capacity_is_told_in_both_forms() {
    let mut rig = Rig::new();
    let short = data(&mut rig, A, Cdb::ReadCapacity10);
    assert_eq!(short[..], [0, 0, 0x0f, 0xff, 0, 0, 2, 0]);
    let long = data(&mut rig, A, Cdb::ReadCapacity16 { allocation: 32 });
    assert_eq!((long.len(), &long[4..12], long[14]), (32, &short[..], 0xc0));
    for allocation in 0..16 {
        let cut = data(&mut rig, A, Cdb::ReadCapacity16 { allocation });
        assert_eq!(cut, long[..allocation as usize]);
    }
}

#[test]
fn what_is_reported_as_supported_is_and_nothing_else() {
    let mut rig = Rig::new();
    let all = |options, opcode, service_action| Cdb::ReportSupportedOperationCodes {
        timeouts: false,
        options,
        opcode,
        service_action,
        allocation: 4096,
    };
    let listed = data(&mut rig, A, all(0, 0, 0));
    let commands: Vec<(u8, Option<u16>)> = opcodes::commands().collect();
    assert_eq!(listed.len(), 4 + 8 * commands.len());
    // Every CDB either decodes and is in the table, or is not in it.
    for opcode in 0..=255_u8 {
        for action in 0..32_u8 {
            let mut bytes = [0; 16];
            (bytes[0], bytes[1]) = (opcode, action);
            let known = commands
                .iter()
                .any(|(code, own)| *code == opcode && own.is_none_or(|own| own == u16::from(action)));
            let runs = match Cdb::decode(&bytes) {
                Ok(Cdb::PersistentReserveIn { action, .. }) => action < 4,
                // REPLACE LOST RESERVATION decodes and is refused.
                Ok(Cdb::PersistentReserveOut { action, .. }) => action < 8,
                decoded => decoded.is_ok(),
            };
            assert_eq!(runs, known, "{opcode:02x}-{action:02x}");
        }
    }
    for (opcode, action) in commands {
        let (right, wrong) = if action.is_some() { (2, 1) } else { (1, 2) };
        let one = data(&mut rig, A, all(right, opcode, action.unwrap_or(0)));
        assert_eq!((one[1], one[4]), (3, opcode));
        assert_eq!(usize::from(one[3]), one.len() - 4);
        assert_eq!(rig.ask(A, all(wrong, opcode, action.unwrap_or(0)), 255), check(5, 0x24, 0));
    }
    assert_eq!(data(&mut rig, A, all(1, 0x48, 0))[1], 1, "SANITIZE is not supported");
}

/// The mode select list for the control page with these values in bytes 2 and 4.
fn select(rig: &mut Rig, nexus: Nexus, d_sense: u8, swp: u8) -> Answered {
    let list = [0, 0, 0, 0, 0x0a, 10, d_sense, 0x10, swp, 0, 0, 0, 0xff, 0xff, 0, 0];
    let cdb = Cdb::ModeSelect { form: Form::Six, page_format: true, save: false, length: 16 };
    rig.send(nexus, cdb, &list)
}

#[test]
fn write_protection_by_software_stops_writes_and_not_reads() {
    let mut rig = Rig::new();
    let write = Cdb::Range(Verb::Write, Access::new(Form::Ten, 0, 1));
    assert_eq!(data(&mut rig, A, mode(1, 0x0a))[4..][2..5], [4, 0, 8], "what can be changed");
    assert_eq!(select(&mut rig, A, 0, 8), good());
    assert_eq!(rig.hear(B, 0), [Sense { key: 6, asc: 0x2a, ascq: 1 }]);
    assert_eq!(rig.send(B, write, &[1; BLOCK]), check(7, 0x27, 2));
    assert_eq!(data(&mut rig, A, mode(0, 0x3f))[2], 0x90, "WP and DPOFUA");
    let read = Cdb::Range(Verb::Read, Access::new(Form::Ten, 0, 1));
    assert_eq!(data(&mut rig, B, read), [0; BLOCK][..]);
    assert_eq!(select(&mut rig, A, 0, 0), good());
    rig.hear(B, 0);
    assert_eq!(rig.send(B, write, &[1; BLOCK]), good());
}

#[test]
fn sense_data_has_the_format_that_was_chosen() {
    let mut rig = Rig::new();
    let beyond = Cdb::Range(Verb::Read, Access::new(Form::Sixteen, u64::MAX, 1));
    for (bit, code, length) in [(0, 0x70, 18), (4, 0x72, 20), (0, 0x70, 18)] {
        assert_eq!(select(&mut rig, A, bit, 0), good());
        let tag = rig.begin(A, 0, beyond.encode(), 512, &[]);
        let sense = &rig.responses[&(A, tag)].sense;
        assert_eq!((sense[0], sense.len()), (code, length));
        assert_eq!(rig.answer(A, tag), check(5, 0x21, 0));
    }
}

#[test]
fn mode_pages_are_the_same_alone_and_together() {
    let mut rig = Rig::new();
    for form in [Form::Six, Form::Ten] {
        let ask = |page| Cdb::ModeSense {
            form,
            no_descriptors: false,
            control: 0,
            page,
            subpage: 0,
            allocation: 255,
        };
        let header = if form == Form::Six { 4 + 8 } else { 8 + 8 };
        let together = data(&mut rig, A, ask(0x3f))[header..].to_vec();
        let alone = [
            data(&mut rig, A, ask(0x08))[header..].to_vec(),
            data(&mut rig, A, ask(0x0a))[header..].to_vec(),
        ];
        assert_eq!(together, alone.concat());
    }
    assert_eq!(rig.ask(A, mode(0, 0x02), 255), check(5, 0x24, 0));
    assert_eq!(rig.ask(A, mode(3, 0x3f), 255), check(5, 0x39, 0));
    let wrong = [0, 0, 0, 0, 0x08, 18, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let cdb = Cdb::ModeSelect { form: Form::Six, page_format: true, save: false, length: 24 };
    assert_eq!(rig.send(A, cdb, &wrong), check(5, 0x26, 0), "WCE cannot be changed");
}

fn own_unit(rig: &mut Rig) -> Cscd {
    let found = page(rig, A, 0x83);
    Cscd { kind: 3, designator: vpd::decode_naa(&found).expect("there is one").to_vec(), block_bytes: 512 }
}

#[test]
fn extended_copy_copies_inside_a_unit_and_refuses_what_it_should() {
    let mut rig = Rig::new();
    let write = Cdb::Range(Verb::Write, Access::new(Form::Sixteen, 0, 16));
    assert_eq!(rig.send(A, write, &[3; 16 * BLOCK]), good());
    let unit = own_unit(&mut rig);
    let segment = Segment { source: 0, destination: 0, blocks: 16, from: 0, to: BLOCKS - 16 };
    let list =
        CopyList { list: 1, discards_status: false, units: vec![unit.clone()], segments: vec![segment] };
    let send =
        |rig: &mut Rig, bytes: &[u8]| rig.send(A, Cdb::ExtendedCopy { length: bytes.len() as u32 }, bytes);
    let status = Cdb::ReceiveCopyStatus { list: 1, allocation: 64 };
    assert_eq!(rig.ask(A, status, 64), check(5, 0x24, 0), "nothing was copied yet");
    let bytes = copy::encode_list(&list);
    assert_eq!(send(&mut rig, &bytes), good());
    assert_eq!(rig.medium(0, BLOCKS - 16, 16), [3; 16 * BLOCK]);
    assert_eq!(data(&mut rig, A, status)[4..], [1, 0, 1, 0, 0, 0, 0x20, 0]);
    assert_eq!(send(&mut rig, &[]), good());
    for cut in 1..bytes.len() {
        assert_eq!(send(&mut rig, &bytes[..cut]), check(5, 0x1a, 0), "cut to {cut}");
    }
    let changed = |change: &dyn Fn(&mut CopyList)| {
        let mut other = list.clone();
        change(&mut other);
        copy::encode_list(&other)
    };
    let many_units = changed(&|list| list.units = vec![unit.clone(); 9]);
    assert_eq!(send(&mut rig, &many_units), check(5, 0x26, 6));
    let many_segments = changed(&|list| list.segments = vec![segment; 17]);
    assert_eq!(send(&mut rig, &many_segments), check(5, 0x26, 8));
    let too_long = changed(&|list| {
        list.units = vec![unit.clone(); 9];
        list.segments = vec![segment; 17];
    });
    assert_eq!(send(&mut rig, &too_long), check(5, 0x1a, 0));
    let unknown = changed(&|list| list.segments[0].destination = 1);
    assert_eq!(send(&mut rig, &unknown), check(0x0a, 8, 4));
    let beyond = changed(&|list| list.segments[0].to = BLOCKS - 1);
    assert_eq!(send(&mut rig, &beyond), check(0x0a, 0, 0));
    let mut type_unknown = bytes.clone();
    type_unknown[16] = 0xe0;
    assert_eq!(send(&mut rig, &type_unknown), check(5, 0x26, 7));
    let mut type_unknown = bytes;
    type_unknown[48] = 0x03;
    assert_eq!(send(&mut rig, &type_unknown), check(5, 0x26, 9));
}

/// A token with the blocks 0 to 3.
fn token(rig: &mut Rig, nexus: Nexus) -> Vec<u8> {
    let list = copy::encode_populate(&[Run { lba: 0, blocks: 4 }]);
    let cdb = Cdb::PopulateToken { list: 1, length: list.len() as u32 };
    assert_eq!(rig.send(nexus, cdb, &list), good());
    let answer = data(rig, nexus, Cdb::ReceiveRodTokenInformation { list: 1, allocation: 4096 });
    copy::decode_token(&answer).expect("there is a token").to_vec()
}

fn write_using(rig: &mut Rig, nexus: Nexus, token: &[u8], offset: u64) -> Answered {
    let runs = vec![Run { lba: 100, blocks: 1 }, Run { lba: 200, blocks: 2 }];
    let list = copy::encode_use(&UseToken { deletes: false, offset, token: token.to_vec(), runs });
    rig.send(nexus, Cdb::WriteUsingToken { list: 2, length: list.len() as u32 }, &list)
}

#[test]
fn a_token_stands_for_its_blocks_until_they_change() {
    let mut rig = Rig::new();
    let write = |lba, blocks| Cdb::Range(Verb::Write, Access::new(Form::Sixteen, lba, blocks));
    let pattern: Vec<u8> = (1..5).flat_map(|byte| [byte; BLOCK]).collect();
    assert_eq!(rig.send(A, write(0, 4), &pattern), good());
    let token = token(&mut rig, A);
    assert_eq!(write_using(&mut rig, B, &token, 1), good());
    assert_eq!((rig.medium(0, 100, 1), rig.medium(0, 200, 2)), (&[2; BLOCK][..], &pattern[2 * BLOCK..]));
    assert_eq!(write_using(&mut rig, B, &token, 2), check(5, 0x26, 0), "there is not that much in it");
    let mut forged = token.clone();
    forged[140] ^= 1;
    assert_eq!(write_using(&mut rig, B, &forged, 0), check(5, 0x23, 4));
    assert_eq!(rig.send(A, write(4, 1), &[7; BLOCK]), good());
    assert_eq!(write_using(&mut rig, B, &token, 0), good(), "its blocks are as they were");
    assert_eq!(rig.send(A, write(3, 1), &[7; BLOCK]), good());
    assert_eq!(write_using(&mut rig, B, &token, 0), check(5, 0x23, 4));
}

/// A token is a right, and ends with the others of its issuer.
#[test]
fn a_token_ends_when_its_issuer_is_preempted() {
    let mut rig = Rig::new();
    rig.register(A, 1);
    rig.register(B, 2);
    let token = token(&mut rig, A);
    assert_eq!(write_using(&mut rig, B, &token, 0), good());
    assert_eq!(rig.order(B, Order::new(Action::PreemptAndAbort, 2, 1)), good());
    assert_eq!(write_using(&mut rig, B, &token, 0), check(5, 0x23, 4));
}

/// A unit that is not thin has no UNMAP and does not claim it.
#[test]
fn a_thick_unit_claims_no_provisioning() {
    let mut config = config();
    config.units[0].thin = false;
    let mut rig = Rig::with(config);
    assert_eq!(rig.send(A, Cdb::Unmap { anchor: false, length: 8 }, &[0; 8]), check(5, 0x20, 0));
    assert_eq!(data(&mut rig, A, Cdb::ReadCapacity16 { allocation: 32 })[14], 0);
    assert_eq!(page(&mut rig, A, 0xb2)[5..7], [0, 0]);
    assert_eq!(page(&mut rig, A, 0xb0)[20..28], [0; 8]);
}
