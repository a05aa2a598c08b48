//! Known bytes of the standard, and the way there and back.

use crate::scsi::cdb::{Access, Cdb, Form, Unknown, Verb, WriteSame};
use crate::scsi::command::{Answer, PortPair, Ports, incoming, outgoing};
use crate::scsi::pr::{self, Destination, ParameterList};
use crate::scsi::record;
use crate::scsi::sense::{Field, Format, SenseData};
use crate::scsi::transport_id::TransportId;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;
use redline_vocab::*;

fn every_cdb() -> Vec<Cdb> {
    let mut all = vec![
        Cdb::TestUnitReady,
        Cdb::RequestSense { descriptors: true, allocation: 18 },
        Cdb::Inquiry { vital: true, page: 0x83, allocation: 0x1234 },
        Cdb::StartStopUnit { power_condition: 3, no_flush: true, load_eject: false, start: true },
        Cdb::PreventAllow { prevent: 3 },
        Cdb::ReadCapacity10,
        Cdb::ReadCapacity16 { allocation: 0x0102_0304 },
        Cdb::Unmap { anchor: true, length: 0x0203 },
        Cdb::GetLbaStatus { lba: u64::MAX - 1, allocation: 24 },
        Cdb::ReportLuns { select: 2, allocation: 16 },
        Cdb::ReportTargetPortGroups { format: 1, allocation: 77 },
        Cdb::ReportSupportedOperationCodes {
            timeouts: true,
            options: 2,
            opcode: 0x9e,
            service_action: 0x10,
            allocation: 99,
        },
        Cdb::ReportSupportedTaskManagementFunctions { extended: true, allocation: 16 },
        Cdb::ExtendedCopy { length: 5 },
        Cdb::PopulateToken { list: 7, length: 9 },
        Cdb::WriteUsingToken { list: 8, length: 10 },
        Cdb::ReceiveCopyStatus { list: 7, allocation: 8 },
        Cdb::ReceiveCopyParameters { allocation: 255 },
        Cdb::ReceiveRodTokenInformation { list: 9, allocation: 600 },
    ];
    for form in [Form::Six, Form::Ten] {
        all.push(Cdb::Reserve { form, elaborate: false });
        all.push(Cdb::Release { form, elaborate: true });
        all.push(Cdb::ModeSelect { form, page_format: true, save: true, length: 24 });
        all.push(Cdb::ModeSense {
            form,
            no_descriptors: true,
            control: 1,
            page: 0x3f,
            subpage: 0xff,
            allocation: 255,
        });
    }
    for action in 0..32 {
        all.push(Cdb::PersistentReserveIn { action, allocation: 0x0809 });
        all.push(Cdb::PersistentReserveOut { action, scope: 15, kind: 8, length: 0x0102_0304 });
    }
    let wide = [Form::Ten, Form::Twelve, Form::Sixteen];
    let forms: [(Verb, &[Form]); 8] = [
        (Verb::Read, &wide),
        (Verb::Write, &wide),
        (Verb::WriteAndVerify, &wide),
        (Verb::Verify, &wide),
        (Verb::PreFetch, &[Form::Ten, Form::Sixteen]),
        (Verb::SynchronizeCache, &[Form::Ten, Form::Sixteen]),
        (Verb::OrWrite, &[Form::Sixteen]),
        (Verb::CompareAndWrite, &[Form::Sixteen]),
    ];
    for (verb, forms) in forms {
        for &form in forms {
            let lba = if form == Form::Sixteen { u64::MAX } else { u64::from(u32::MAX) };
            all.push(Cdb::Range(verb, Access::new(form, lba, 0xfe)));
        }
    }
    for blocks in [1, 255, 256] {
        all.push(Cdb::Range(Verb::Read, Access::new(Form::Six, 0x1f_ffff, blocks)));
        all.push(Cdb::Range(Verb::Write, Access::new(Form::Six, 0, blocks)));
    }
    let flags = Access { protect: 5, dpo: true, ..Access::new(Form::Ten, 1, 2) };
    all.push(Cdb::Range(Verb::Read, Access { fua: true, ..flags }));
    all.push(Cdb::Range(Verb::Verify, Access { bytchk: 3, ..flags }));
    for (form, no_data) in [(Form::Ten, false), (Form::Sixteen, true)] {
        let fields = WriteSame { form, lba: 9, blocks: 8, protect: 1, anchor: true, unmap: true, no_data };
        all.push(Cdb::WriteSame(fields));
    }
    all
}

#[test]
fn cdbs_come_back() {
    for cdb in every_cdb() {
        assert_eq!(Cdb::decode(&cdb.encode()), Ok(cdb), "{cdb:?}");
    }
}

#[test]
fn cdbs_have_the_standards_bytes() {
    let order = Cdb::PersistentReserveOut { action: 4, scope: 0, kind: 5, length: 24 };
    assert_eq!(order.encode(), [0x5f, 4, 5, 0, 0, 0, 0, 0, 24, 0, 0, 0, 0, 0, 0, 0]);
    let read = Cdb::Range(Verb::Read, Access::new(Form::Ten, 0x0102_0304, 0x0506));
    assert_eq!(read.encode(), [0x28, 0, 1, 2, 3, 4, 0, 5, 6, 0, 0, 0, 0, 0, 0, 0]);
    let swap = Cdb::Range(Verb::CompareAndWrite, Access::new(Form::Sixteen, 1, 3));
    assert_eq!(swap.encode(), [0x89, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0]);
}

#[test]
fn unknown_commands_are_told_apart_from_unknown_service_actions() {
    let unknown = |opcode, action| {
        let mut bytes = [0; 16];
        (bytes[0], bytes[1]) = (opcode, action);
        Cdb::decode(&bytes)
    };
    assert_eq!(unknown(0xff, 0), Err(Unknown::Opcode));
    assert_eq!(unknown(0x48, 1), Err(Unknown::Opcode));
    assert_eq!(unknown(0x9e, 0x11), Err(Unknown::ServiceAction));
    assert_eq!(unknown(0xa3, 0x05), Err(Unknown::ServiceAction));
    assert_eq!(unknown(0x83, 0x01), Err(Unknown::ServiceAction));
}

#[test]
fn sense_data_comes_back_in_both_formats() {
    let field = Field { in_cdb: true, byte: 0x0102, bit: Some(3) };
    let miscompare = Sense { key: 0x0e, asc: 0x1d, ascq: 0 };
    for data in [
        SenseData::of(Sense::POWER_ON),
        SenseData { sense: Sense::INVALID_FIELD_IN_CDB, information: None, field: Some(field) },
        SenseData { sense: miscompare, information: Some(512), field: None },
        SenseData::in_parameters(17),
    ] {
        for format in [Format::Fixed, Format::Descriptors] {
            assert_eq!(SenseData::decode(&data.encode(format)), Some(data), "{format:?}");
        }
    }
    let bytes = SenseData::in_cdb(1).encode(Format::Fixed);
    assert_eq!(bytes, [0x70, 0, 5, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x24, 0, 0, 0xc0, 0, 1]);
}

fn ids() -> [TransportId; 3] {
    let id = |name: &str, isid| TransportId { name: name.to_string(), isid };
    [
        id("iqn.2026-11.example:a", Some([0x80, 0, 0, 0xab, 0xcd, 0xef])),
        id("iqn.2026-11.example:abc", None),
        id("x", Some([0; 6])),
    ]
}

#[test]
fn transport_ids_come_back_padded() {
    for id in ids() {
        let bytes = id.encode();
        assert!(bytes.len() >= 24 && bytes.len() % 4 == 0, "{bytes:?}");
        assert_eq!(TransportId::decode(&bytes), Ok((id, bytes.len())));
        for cut in 0..bytes.len() {
            assert!(TransportId::decode(&bytes[..cut]).is_err(), "cut to {cut}");
        }
    }
    let text = ids()[0].encode();
    assert!(text[4..].starts_with(b"iqn.2026-11.example:a,i,0x800000abcdef\0"));
}

#[test]
fn parameter_lists_come_back() {
    let list = ParameterList {
        key: Key(1),
        service_key: Key(u64::MAX),
        aptpl: true,
        spec_i_pt: false,
        all_tg_pt: true,
        unreg: false,
        initiators: Some(Vec::new()),
        destination: None,
    };
    for action in ServiceAction::ALL.into_iter().filter(|action| *action != ServiceAction::RegisterAndMove) {
        let bytes = list.encode(action);
        assert_eq!(bytes.len(), pr::LIST_LENGTH);
        assert_eq!(ParameterList::decode(action, &bytes), Ok(list.clone()));
        for cut in 0..bytes.len() {
            let refused = ParameterList::decode(action, &bytes[..cut]);
            assert_eq!(refused, Err(Sense::PARAMETER_LIST_LENGTH_ERROR), "cut to {cut}");
        }
    }
    let listed = ParameterList { spec_i_pt: true, initiators: Some(ids().to_vec()), ..list.clone() };
    let bytes = listed.encode(ServiceAction::Register);
    assert_eq!(ParameterList::decode(ServiceAction::Register, &bytes), Ok(listed));
    let destination = Some(Destination { relative_port: 0x0102, initiator: Some(ids()[0].clone()) });
    let moved = ParameterList { all_tg_pt: false, unreg: true, destination, ..list };
    let bytes = moved.encode(ServiceAction::RegisterAndMove);
    assert_eq!(ParameterList::decode(ServiceAction::RegisterAndMove, &bytes), Ok(moved));
}

fn pairs() -> Vec<PortPair> {
    ids().into_iter().zip([1, 1, 2]).map(|(initiator, target)| PortPair { initiator, target }).collect()
}

#[test]
fn answers_to_persistent_reserve_in_come_back() {
    let pairs = pairs();
    let generation = Generation(7);
    let held = Held { key: Key(3), kind: PrType::WriteExclusiveRegistrantsOnly };
    let keys = vec![Key(1), Key(1), Key(u64::MAX)];
    let capabilities = Capabilities { crh: true, sip_c: true, atp_c: false, ptpl_c: true, ptpl_a: true };
    let entries: Vec<FullStatusEntry> = [None, Some(PrType::ExclusiveAccess), None]
        .into_iter()
        .zip(0..)
        .map(|(holds, nexus)| FullStatusEntry { nexus: Nexus(nexus), key: Key(9), holds })
        .collect();
    let entry = |one: &FullStatusEntry| {
        let pair = &pairs[usize::from(one.nexus.0)];
        pr::FullStatus {
            key: one.key,
            all_tg_pt: false,
            holds: one.holds,
            relative_port: pair.target,
            initiator: pair.initiator.clone(),
        }
    };
    let full: Vec<pr::FullStatus> = entries.iter().map(entry).collect();
    let rows = [
        (PrIn::ReadKeys, pr::encode_keys(generation, &keys), Data::Keys { generation, keys }),
        (
            PrIn::ReadReservation,
            pr::encode_reservation(generation, Some(held)),
            Data::Reservation { generation, held: Some(held) },
        ),
        (
            PrIn::ReadReservation,
            pr::encode_reservation(generation, None),
            Data::Reservation { generation, held: None },
        ),
        (PrIn::ReportCapabilities, pr::encode_capabilities(capabilities), Data::Capabilities(capabilities)),
        (
            PrIn::ReadFullStatus,
            pr::encode_full_status(generation, &full),
            Data::FullStatus { generation, entries },
        ),
    ];
    for (action, bytes, data) in rows {
        let answer = |data| Answer { status: 0, sense: &[], data };
        let read = |bytes| incoming(&Command::PrIn(action), answer(bytes), 512, Ports(&pairs));
        assert_eq!(read(&bytes), Ok(Reply { status: Status::Good, data }), "{action:?}");
        for cut in 0..bytes.len() {
            assert!(read(&bytes[..cut]).is_err(), "{action:?} cut to {cut}");
        }
    }
}

#[test]
fn a_write_carries_its_record_to_where_a_read_finds_it() {
    let record = Record { writer: NodeId(2), epoch: Epoch(5), serial: Serial(77) };
    let extent = Extent { lba: Lba(40), blocks: 3 };
    let sent = outgoing(&Command::Write { extent, record }, 512, Ports(&[])).expect("it names no nexus");
    assert_eq!(sent.data.len(), 3 * 512);
    let answer = Answer { status: 0, sense: &[], data: &sent.data };
    let reply = incoming(&Command::Read(extent), answer, 512, Ports(&[]));
    assert_eq!(reply.map(|reply| reply.data), Ok(Data::Blocks(vec![Block::Of(record); 3])));
    // At another address it is not what was written there.
    assert_eq!(record::decode(&sent.data[..512], Lba(41)), Block::Corrupt);
    assert_eq!(record::decode(&[0; 512], Lba(40)), Block::Blank);
}

#[test]
fn a_torn_or_damaged_block_is_seen() {
    let records = [1, 2].map(|serial| Record { writer: NodeId(0), epoch: Epoch(1), serial: Serial(serial) });
    let mut blocks = [[0; 512]; 2];
    for (record, block) in records.into_iter().zip(&mut blocks) {
        record::encode(record, Lba(3), block);
        assert_eq!(record::decode(block, Lba(3)), Block::Of(record));
    }
    for cut in 20..512 {
        let torn = [&blocks[0][..cut], &blocks[1][cut..]].concat();
        assert_eq!(record::decode(&torn, Lba(3)), Block::Corrupt, "torn at {cut}");
    }
    for at in 0..512 {
        let mut damaged = blocks[0];
        damaged[at] ^= 1;
        assert_eq!(record::decode(&damaged, Lba(3)), Block::Corrupt, "byte {at}");
    }
}

#[test]
fn every_harmless_command_is_what_its_name_says() {
    for &name in Name::ALL {
        let Some(sent) = outgoing(&Command::Other(name), 512, Ports(&[])) else { continue };
        let cdb = Cdb::decode(&sent.cdb).expect("what we encode we know");
        assert_eq!(cdb.name(), name, "{cdb:?}");
    }
}
