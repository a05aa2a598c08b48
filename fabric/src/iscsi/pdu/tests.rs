//! Headers come back as they were written, streams are cut the same way however they are chunked, and no bytes make the decoder panic or
//! hold more than its limits allow.

use super::*;
use crate::iscsi::crc::Crc32c;
use alloc::vec;
use alloc::vec::Vec;
use bytes::Bytes;
use proptest::prelude::*;

const BOUNDS: Bounds = Bounds { data_max: 4096, ahs_max: 64 };

fn sn() -> impl Strategy<Value = Sn> {
    any::<u32>().prop_map(Sn)
}

fn tag() -> impl Strategy<Value = Tag> {
    any::<u32>().prop_map(Tag)
}

fn request() -> impl Strategy<Value = Request> {
    (any::<bool>(), sn(), sn()).prop_map(|(immediate, cmd_sn, exp_stat_sn)| Request {
        immediate,
        cmd_sn,
        exp_stat_sn,
    })
}

fn numbers() -> impl Strategy<Value = Numbers> {
    (sn(), sn(), sn()).prop_map(|(stat_sn, exp_cmd_sn, max_cmd_sn)| Numbers {
        stat_sn,
        exp_cmd_sn,
        max_cmd_sn,
    })
}

fn residual() -> impl Strategy<Value = Residual> {
    prop_oneof![
        Just(Residual::None),
        any::<u32>().prop_map(Residual::Overflow),
        any::<u32>().prop_map(Residual::Underflow)
    ]
}

fn stages() -> impl Strategy<Value = (Stage, Option<Stage>, bool)> {
    prop_oneof![
        Just((Stage::Security, None, false)),
        Just((Stage::Security, None, true)),
        Just((Stage::Security, Some(Stage::Operational), false)),
        Just((Stage::Security, Some(Stage::FullFeature), false)),
        Just((Stage::Operational, None, true)),
        Just((Stage::Operational, Some(Stage::FullFeature), false)),
    ]
}

fn ends() -> impl Strategy<Value = (bool, bool)> {
    prop_oneof![Just((true, false)), Just((false, true)), Just((false, false))]
}

type Lun = [u8; 8];

prop_compose! {
    fn nop_out()(request in request(), lun: Lun, tag in tag(), transfer: u32) -> Header {
        Header::NopOut(NopOut { request, lun, tag, transfer })
    }
}
prop_compose! {
    fn command()(
        request in request(), last: bool, reads: bool, writes: bool, attribute in 0..8_u8, lun: Lun, tag in tag(), expected: u32, cdb: [u8; 16],
    ) -> Header {
        Header::Command(Command { request, last, reads, writes, attribute, lun, tag, expected, cdb })
    }
}
prop_compose! {
    fn task_request()(
        request in request(), function in 0..128_u8, lun: Lun, tag in tag(), reference in tag(), reference_sn in sn(), exp_data_sn: u32,
    ) -> Header {
        Header::TaskRequest(TaskRequest { request, function, lun, tag, reference, reference_sn, exp_data_sn })
    }
}
prop_compose! {
    fn login_request()(
        request in request(), (stage, next, more) in stages(), version_max: u8, version_min: u8, isid: [u8; 6], tsih: u16, tag in tag(), cid: u16,
    ) -> Header {
        Header::LoginRequest(LoginRequest { request, next, more, stage, version_max, version_min, isid, tsih, tag, cid })
    }
}
prop_compose! {
    fn text_request()(request in request(), (last, more) in ends(), lun: Lun, tag in tag(), transfer: u32) -> Header {
        Header::TextRequest(TextRequest { request, last, more, lun, tag, transfer })
    }
}
prop_compose! {
    fn data_out()(last: bool, lun: Lun, tag in tag(), transfer: u32, exp_stat_sn in sn(), data_sn in sn(), offset: u32) -> Header {
        Header::DataOut(DataOut { last, lun, tag, transfer, exp_stat_sn, data_sn, offset })
    }
}
prop_compose! {
    fn logout_request()(request in request(), reason in 0..128_u8, tag in tag(), cid: u16) -> Header {
        Header::LogoutRequest(LogoutRequest { request, reason, tag, cid })
    }
}
prop_compose! {
    fn snack()(kind in 0..16_u8, lun: Lun, tag in tag(), transfer: u32, exp_stat_sn in sn(), begin: u32, length: u32) -> Header {
        Header::Snack(Snack { kind, lun, tag, transfer, exp_stat_sn, begin, length })
    }
}
prop_compose! {
    fn nop_in()(lun: Lun, tag in tag(), transfer: u32, numbers in numbers()) -> Header {
        Header::NopIn(NopIn { lun, tag, transfer, numbers })
    }
}
prop_compose! {
    fn response()(tag in tag(), numbers in numbers(), response: u8, status: u8, residual in residual(), exp_data_sn: u32) -> Header {
        Header::Response(Response { tag, numbers, response, status, residual, exp_data_sn })
    }
}
prop_compose! {
    fn task_response()(tag in tag(), numbers in numbers(), response: u8) -> Header {
        Header::TaskResponse(TaskResponse { tag, numbers, response })
    }
}
prop_compose! {
    fn login_response()(
        (stage, next, more) in stages(), version_max: u8, version_active: u8, isid: [u8; 6], tsih: u16, tag in tag(), numbers in numbers(), status: u16,
    ) -> Header {
        Header::LoginResponse(LoginResponse { next, more, stage, version_max, version_active, isid, tsih, tag, numbers, status })
    }
}
prop_compose! {
    fn text_response()((last, more) in ends(), lun: Lun, tag in tag(), transfer: u32, numbers in numbers()) -> Header {
        Header::TextResponse(TextResponse { last, more, lun, tag, transfer, numbers })
    }
}
prop_compose! {
    fn data_in()(
        last: bool, acknowledge: bool, with_status: Option<(u8, u32)>, lun: Lun, tag in tag(), transfer: u32, numbers in numbers(), data_sn in sn(),
        offset: u32,
    ) -> Header {
        let status = with_status.map(|(status, _)| status);
        let residual = with_status.map_or(Residual::None, |(_, bytes)| Residual::Underflow(bytes));
        Header::DataIn(DataIn { last, acknowledge, status, residual, lun, tag, transfer, numbers, data_sn, offset })
    }
}
prop_compose! {
    fn logout_response()(tag in tag(), numbers in numbers(), response: u8, time_to_wait: u16, time_to_retain: u16) -> Header {
        Header::LogoutResponse(LogoutResponse { tag, numbers, response, time_to_wait, time_to_retain })
    }
}
prop_compose! {
    fn ready()(lun: Lun, tag in tag(), transfer: u32, numbers in numbers(), r2t_sn in sn(), offset: u32, length: u32) -> Header {
        Header::ReadyToTransfer(ReadyToTransfer { lun, tag, transfer, numbers, r2t_sn, offset, length })
    }
}
prop_compose! {
    fn message()(lun: Lun, numbers in numbers(), event: u8, vendor: u8, parameters: [u16; 3]) -> Header {
        Header::Async(Async { lun, numbers, event, vendor, parameters })
    }
}
prop_compose! {
    fn rejection()(reason: u8, numbers in numbers()) -> Header {
        Header::Reject(Reject { reason, numbers })
    }
}

/// Any header that can be written.
pub(in crate::iscsi) fn header() -> impl Strategy<Value = Header> {
    prop_oneof![
        nop_out(),
        command(),
        task_request(),
        login_request(),
        text_request(),
        data_out(),
        logout_request(),
        snack(),
        nop_in(),
        prop_oneof![
            response(),
            task_response(),
            login_response(),
            text_response(),
            data_in(),
            logout_response(),
            ready(),
            message(),
            rejection()
        ],
    ]
}

fn digests() -> impl Strategy<Value = Digests> {
    any::<(bool, bool)>().prop_map(|(header, data)| Digests { header, data })
}

/// PDUs as one stream.
fn stream(pdus: &[(Header, Vec<u8>)], digests: Digests) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.set(digests);
    for (header, data) in pdus {
        writer.put(header, &[Bytes::copy_from_slice(data)]);
    }
    writer.take().concat()
}

fn decoder(digests: Digests) -> Decoder {
    let mut decoder = Decoder::new(BOUNDS);
    decoder.set(BOUNDS, digests);
    decoder
}

/// Feeds a stream in chunks of these lengths, over and over, and returns what comes out; and the most that was ever held between chunks.
fn decode(decoder: &mut Decoder, stream: &[u8], chunks: &[usize]) -> (Vec<Frame>, usize, Option<Malformed>) {
    let (mut frames, mut most, mut at) = (Vec::new(), 0, 0);
    for length in chunks.iter().cycle() {
        let end = (at + length).min(stream.len());
        decoder.push(Bytes::copy_from_slice(&stream[at..end]));
        loop {
            match decoder.next() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(malformed) => return (frames, most, Some(malformed)),
            }
        }
        most = most.max(decoder.held());
        at = end;
        if at == stream.len() {
            break;
        }
    }
    (frames, most, None)
}

/// The most that a decoder may hold when it has nothing to hand out: one PDU of the limits, with digests.
const HELD_MAX: usize = HEADER_LENGTH + 64 + 4096 + 8;

proptest! {
    #[test]
    fn headers_come_back(header in header()) {
        prop_assert_eq!(Header::read(&header.write()), Ok(header));
    }

    #[test]
    fn what_is_read_is_written_the_same_way_again(bytes: [u8; 48]) {
        if let Ok(header) = Header::read(&bytes) {
            prop_assert_eq!(Header::read(&header.write()), Ok(header));
        }
    }

    #[test]
    fn streams_are_cut_the_same_way_however_they_are_chunked(
        pdus in prop::collection::vec((header(), prop::collection::vec(any::<u8>(), 0..2000)), 1..6),
        digests in digests(),
        chunks in prop::collection::vec(1..700_usize, 1..5),
    ) {
        let bytes = stream(&pdus, digests);
        let (frames, most, malformed) = decode(&mut decoder(digests), &bytes, &chunks);
        prop_assert_eq!(malformed, None);
        prop_assert!(most <= HELD_MAX);
        prop_assert_eq!(frames.len(), pdus.len());
        for (frame, (header, data)) in frames.iter().zip(&pdus) {
            prop_assert_eq!(frame.header, Ok(*header));
            prop_assert_eq!(&frame.data.joined()[..], &data[..]);
            prop_assert!(frame.intact);
        }
    }

    #[test]
    fn no_bytes_make_the_decoder_panic_or_hold_more_than_one_pdu(
        bytes in prop::collection::vec(any::<u8>(), 0..20_000),
        digests in digests(),
        chunks in prop::collection::vec(1..5000_usize, 1..5),
    ) {
        let (_, most, _) = decode(&mut decoder(digests), &bytes, &chunks);
        prop_assert!(most <= HELD_MAX);
    }

    #[test]
    fn a_changed_byte_does_not_pass_the_digests(
        header in header(), data in prop::collection::vec(any::<u8>(), 1..600), place: prop::sample::Index, change in 1..=255_u8,
    ) {
        let digests = Digests { header: true, data: true };
        let mut bytes = stream(&[(header, data)], digests);
        let place = place.index(bytes.len());
        bytes[place] ^= change;
        let (frames, _, malformed) = decode(&mut decoder(digests), &bytes, &[bytes.len()]);
        // Changed lengths may announce more than there is: then nothing comes out.
        prop_assert!(malformed.is_some() || frames.iter().all(|frame| !frame.intact));
    }

    #[test]
    fn gathered_data_come_out_in_order_and_cut(
        pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..3000), 0..10), wanted in 0..12_000_usize,
    ) {
        let mut gather = Gather::default();
        pieces.iter().for_each(|piece| gather.push(Bytes::copy_from_slice(piece).into()));
        let all = pieces.concat();
        prop_assert_eq!(gather.len(), all.len());
        prop_assert_eq!(gather.take(wanted).concat(), &all[..wanted.min(all.len())]);
        prop_assert!(gather.is_empty());
    }

    #[test]
    fn crc_agrees_with_the_crate_that_uses_the_instruction(
        bytes in prop::collection::vec(any::<u8>(), 0..500), place: prop::sample::Index,
    ) {
        let (left, right) = bytes.split_at(place.index(bytes.len() + 1));
        prop_assert_eq!(Crc32c::new().with(left).with(right).digest(), crc32c::crc32c(&bytes).to_le_bytes());
    }
}

/// RFC 7143 appendix A.4 and the check value of the polynomial.
#[test]
fn crc_has_the_check_values_of_the_standard() {
    let crc = |bytes: &[u8]| u32::from_le_bytes(Crc32c::new().with(bytes).digest());
    assert_eq!(crc(b"123456789"), 0xE306_9283);
    assert_eq!(crc(&[0; 32]), 0x8A91_36AA);
    assert_eq!(crc(&[0xFF; 32]), 0x62A8_AB43);
    let rising: Vec<u8> = (0..32).collect();
    assert_eq!(crc(&rising), 0x46DD_794E);
    let falling: Vec<u8> = (0..32).rev().collect();
    assert_eq!(crc(&falling), 0x113F_DB5C);
}

fn announced(ahs: u8, data: u32) -> Result<Option<Frame>, Malformed> {
    let mut bhs = vec![0; HEADER_LENGTH];
    bhs[4] = ahs;
    bhs[5..8].copy_from_slice(&data.to_be_bytes()[1..]);
    let mut decoder = decoder(Digests::default());
    decoder.push(Bytes::from(bhs));
    decoder.next()
}

/// 16 MiB less one is the most that the length field can say.
#[test]
fn a_pdu_that_announces_too_much_is_refused_at_its_header() {
    assert_eq!(announced(0, 4096), Ok(None));
    assert_eq!(announced(0, 4097), Err(Malformed::Data { announced: 4097, allowed: 4096 }));
    assert_eq!(announced(0, 0xFF_FFFF), Err(Malformed::Data { announced: 0xFF_FFFF, allowed: 4096 }));
    assert_eq!(announced(16, 0), Ok(None));
    assert_eq!(announced(17, 0), Err(Malformed::AdditionalHeader { announced: 68, allowed: 64 }));
    assert_eq!(announced(255, 0), Err(Malformed::AdditionalHeader { announced: 1020, allowed: 64 }));
}

#[test]
fn large_data_are_neither_copied_when_read_nor_when_written() {
    let data = Bytes::from(vec![7; 4096]);
    let header = Header::DataIn(DataIn {
        last: true,
        acknowledge: false,
        status: Some(0),
        residual: Residual::None,
        lun: [0; 8],
        tag: Tag(1),
        transfer: crate::iscsi::NO_TAG,
        numbers: Numbers { stat_sn: Sn(1), exp_cmd_sn: Sn(1), max_cmd_sn: Sn(1) },
        data_sn: Sn(0),
        offset: 0,
    });
    let mut writer = Writer::default();
    writer.put(&header, core::slice::from_ref(&data));
    let pieces = writer.take();
    assert_eq!(pieces.len(), 2);
    assert_eq!(pieces[1].as_ptr(), data.as_ptr());

    let mut decoder = decoder(Digests::default());
    let chunk = Bytes::from(pieces.concat());
    decoder.push(chunk.clone());
    let frame = decoder.next().unwrap().unwrap();
    assert_eq!(frame.data.joined().as_ptr(), chunk[HEADER_LENGTH..].as_ptr());
    assert_eq!(decoder.held(), 0);
}

#[test]
fn flags_that_contradict_each_other_mean_nothing() {
    let with = |opcode: u8, flags: u8| {
        let mut bhs = [0; HEADER_LENGTH];
        bhs[0] = opcode;
        bhs[1] = flags;
        Header::read(&bhs).map(drop)
    };
    assert_eq!(with(0x43, 0x08), Err(HeaderError::Stage(0x08)), "CSG 2");
    assert_eq!(with(0x43, 0x82), Err(HeaderError::Stage(0x82)), "NSG 2");
    assert_eq!(with(0x43, 0x85), Err(HeaderError::Transition(0x85)), "NSG is CSG");
    assert_eq!(with(0x43, 0xC7), Err(HeaderError::Transition(0xC7)), "T and C");
    assert_eq!(with(0x43, 0x87), Ok(()));
    assert_eq!(with(0x04, 0xC0), Err(HeaderError::Continuation(0xC0)));
    assert_eq!(with(0x25, 0x87), Err(HeaderError::Residual(0x87)), "O and U");
    assert_eq!(with(0x25, 0x82), Err(HeaderError::Residual(0x82)), "U without S");
    assert_eq!(with(0x1C, 0x80), Err(HeaderError::Opcode(0x1C)));
}
