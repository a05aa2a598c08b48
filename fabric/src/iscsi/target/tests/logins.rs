//! Logins made by hand.

use super::command;
use crate::iscsi::pdu::{self, Header, LoginRequest, Request, Stage};
use crate::iscsi::serial::Sn;
use crate::iscsi::support::{World, config};
use crate::iscsi::target::{CloseReason, ConnectionId, LoginStatus};
use crate::iscsi::text::Text;
use alloc::string::ToString;
use alloc::vec::Vec;
use redline_vocab::Tag;

fn login_request(stage: Stage, next: Option<Stage>, more: bool) -> LoginRequest {
    LoginRequest {
        request: Request { immediate: true, cmd_sn: Sn(5), exp_stat_sn: Sn(7) },
        next,
        more,
        stage,
        version_max: 0,
        version_min: 0,
        isid: [0x80, 0, 0, 0, 0, 9],
        tsih: 0,
        tag: Tag(0),
        cid: 0,
    }
}

fn answers(world: &mut World, connection: ConnectionId) -> Vec<(pdu::LoginResponse, Text)> {
    let frames = world.frames(connection);
    let answer = |frame: &pdu::Frame| match frame.header {
        Ok(Header::LoginResponse(pdu)) => (pdu, Text::read(&frame.data.joined()).unwrap()),
        _ => panic!("{frame:?}"),
    };
    frames.iter().map(answer).collect()
}

/// The one Login PDU of libiscsi, scsi-pr.md 9.2.
#[test]
fn one_login_pdu_is_answered_by_one_with_a_value_for_each_key() {
    let mut world = World::new(config());
    let one = world.dial(1);
    let keys: &[u8] = b"InitiatorName=iqn.2007-10.com.github:sahlberg:libiscsi:x\0TargetName=iqn.2026-11.example.redline:array\0\
SessionType=Normal\0HeaderDigest=None,CRC32C\0DataDigest=None\0InitialR2T=No\0ImmediateData=Yes\0MaxBurstLength=262144\0\
FirstBurstLength=262144\0DefaultTime2Wait=2\0DefaultTime2Retain=0\0MaxOutstandingR2T=1\0ErrorRecoveryLevel=0\0IFMarker=No\0\
OFMarker=No\0MaxConnections=1\0MaxRecvDataSegmentLength=262144\0DataPDUInOrder=Yes\0DataSequenceInOrder=Yes\0X-com.example=1\0";
    let request = login_request(Stage::Operational, Some(Stage::FullFeature), false);
    world.inject(one, Header::LoginRequest(request), keys);
    let answers = answers(&mut world, one);
    let [(response, text)] = &answers[..] else { panic!("{answers:?}") };
    assert_eq!(
        (response.status, response.stage, response.next),
        (0, Stage::Operational, Some(Stage::FullFeature))
    );
    assert_ne!(response.tsih, 0);
    assert_eq!(
        (response.numbers.stat_sn, response.numbers.exp_cmd_sn),
        (Sn(7), Sn(5)),
        "a login uses no CmdSN"
    );
    let due = [
        ("TargetPortalGroupTag", "1"),
        ("HeaderDigest", "None"),
        ("DataDigest", "None"),
        ("InitialR2T", "No"),
        ("ImmediateData", "Yes"),
        ("MaxBurstLength", "262144"),
        ("FirstBurstLength", "262144"),
        ("DefaultTime2Wait", "2"),
        ("DefaultTime2Retain", "0"),
        ("MaxOutstandingR2T", "1"),
        ("ErrorRecoveryLevel", "0"),
        ("IFMarker", "No"),
        ("OFMarker", "No"),
        ("MaxConnections", "1"),
        ("DataPDUInOrder", "Yes"),
        ("DataSequenceInOrder", "Yes"),
        ("X-com.example", "NotUnderstood"),
        ("MaxRecvDataSegmentLength", "262144"),
    ];
    assert_eq!(text.iter().collect::<Vec<_>>(), due);
    world.inject(one, Header::Command(command(5, 1, 0)), &[]);
    let headers = world.headers(one);
    assert!(matches!(&headers[..], [Header::Response(pdu)] if pdu.numbers.stat_sn == Sn(8)), "{headers:?}");
}

#[test]
fn impossible_values_are_rejected_and_change_nothing() {
    let mut world = World::new(config());
    let one = world.dial(1);
    let request = login_request(Stage::Operational, None, false);
    let keys = b"InitiatorName=iqn.x\0TargetName=IQN.2026-11.example.REDLINE:array\0MaxBurstLength=17\0InitialR2T=maybe\0\
HeaderDigest=SHA1\0MaxOutstandingR2T=0\0MaxRecvDataSegmentLength=99999999999\0ErrorRecoveryLevel=2\0OFMarkInt=1~2\0FirstBurstLength=0x1000\0";
    world.inject(one, Header::LoginRequest(request), keys);
    let answers = answers(&mut world, one);
    let [(response, text)] = &answers[..] else { panic!("{answers:?}") };
    assert_eq!((response.status, response.next), (0, None));
    for (key, value) in [
        ("MaxBurstLength", "Reject"),
        ("InitialR2T", "Reject"),
        ("HeaderDigest", "Reject"),
        ("MaxOutstandingR2T", "Reject"),
        ("ErrorRecoveryLevel", "0"),
        ("OFMarkInt", "Irrelevant"),
        ("FirstBurstLength", "4096"),
    ] {
        assert_eq!(text.get(key), Some(value), "{key}");
    }
}

#[test]
fn a_login_may_come_in_pieces() {
    let mut world = World::new(config());
    let one = world.dial(1);
    world.inject(
        one,
        Header::LoginRequest(login_request(Stage::Security, None, true)),
        b"InitiatorName=iqn.exam",
    );
    world.inject(one, Header::LoginRequest(login_request(Stage::Security, None, true)), b"ple:x\0Target");
    let last = login_request(Stage::Security, Some(Stage::Operational), false);
    world.inject(
        one,
        Header::LoginRequest(last),
        b"Name=iqn.2026-11.example.redline:array\0AuthMethod=CHAP,None\0",
    );
    let partial = answers(&mut world, one);
    assert_eq!(
        partial.iter().map(|(response, _)| response.next).collect::<Vec<_>>(),
        [None, None, Some(Stage::Operational)]
    );
    assert_eq!(partial[2].1.get("AuthMethod"), Some("None"));
    world.inject(one, Header::LoginRequest(login_request(Stage::Operational, None, false)), b"");
    let last = login_request(Stage::Operational, Some(Stage::FullFeature), false);
    world.inject(one, Header::LoginRequest(last), b"MaxRecvDataSegmentLength=65536\0");
    let whole = answers(&mut world, one);
    assert_eq!(whole[0].1.get("MaxRecvDataSegmentLength"), Some("262144"), "declared once");
    assert_eq!((whole[1].0.next, whole[1].1.is_empty()), (Some(Stage::FullFeature), true));
    assert_eq!(world.endpoint.sessions(), 1);
}

#[test]
fn senseless_logins_are_refused_with_their_status() {
    let names = "InitiatorName=iqn.x\0TargetName=iqn.2026-11.example.redline:array\0";
    let plain = login_request(Stage::Operational, Some(Stage::FullFeature), false);
    let check = |request: LoginRequest, text: &str, status: LoginStatus| {
        let mut world = World::new(config());
        let one = world.dial(1);
        world.inject(one, Header::LoginRequest(request), text.as_bytes());
        let answers = answers(&mut world, one);
        assert_eq!(
            answers.iter().map(|(response, _)| response.status).collect::<Vec<_>>(),
            [status.code()],
            "{text}"
        );
        assert_eq!(world.peer(one).closed, Some(CloseReason::LoginRefused(status)));
    };
    check(LoginRequest { version_min: 1, version_max: 1, ..plain }, names, LoginStatus::UnsupportedVersion);
    check(plain, "TargetName=iqn.2026-11.example.redline:array\0", LoginStatus::MissingParameter);
    check(plain, "InitiatorName=iqn.x\0", LoginStatus::MissingParameter);
    check(plain, "InitiatorName=iqn.x\0SessionType=Other\0", LoginStatus::UnsupportedSessionType);
    check(plain, "InitiatorName=iqn.x\0no equals sign\0", LoginStatus::InitiatorError);
    check(plain, &(names.to_string() + "InitialR2T=No\0InitialR2T=No\0"), LoginStatus::InitiatorError);
    check(
        LoginRequest { stage: Stage::FullFeature, next: None, ..plain },
        names,
        LoginStatus::InitiatorError,
    );
    // The text of a login has an end.
    let mut world = World::new(config());
    let one = world.dial(1);
    for _ in 0..3 {
        let request = login_request(Stage::Operational, None, true);
        world.inject(one, Header::LoginRequest(request), &[b'x'; 8000]);
    }
    assert_eq!(world.peer(one).closed, Some(CloseReason::LoginRefused(LoginStatus::InitiatorError)));
}
