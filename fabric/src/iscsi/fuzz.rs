//! Target and initiator under attack: bytes and PDUs of every kind from somebody who does not keep to the protocol.
//!
//! An attacker sends noise, damaged logins, or, after a sound login, PDUs of every kind whose fields are nearly right: numbers about the
//! window, a few tags over and over, transfer tags that the target has given out; the bytes are then flipped, cut, doubled and chunked.
//! Whatever comes, three things hold: nothing panics (the script of `support` is strict about what an array may be given, and the real array takes its place in half of
//! the rounds), nobody is made
//! to hold more than the limits say, and a sound session beside the attacker reads what it has written.
//!
//! `just fuzz-pdu MINUTES` runs it for as long as is wanted; every test run does some rounds.

extern crate std;

use super::NO_TAG;
use super::initiator::{self, Direction, Event, Initiator, Settings};
use super::negotiate::Offer;
use super::pdu::{self, Digests, Header, Numbers, Request, Residual, Stage, Writer};
use super::serial::Sn;
use super::support::{Real, World, accounts, config, credentials, read10, scsi, settings, write10};
use super::target::{Config, ConnectionId, Limits};
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use bytes::Bytes;
use redline_vocab::Tag;
use std::println;
use std::time::{Duration, Instant};

/// Splitmix64: the attacker's dice.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
    fn once_in(&mut self, turns: u64) -> bool {
        self.below(turns) == 0
    }
    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }
    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next() as u8).collect()
    }
}

/// What was done and what came of it.
#[derive(Default)]
struct Figures {
    rounds: u64,
    bytes: u64,
    /// By opcode: PDUs that were sent to the target.
    sent: BTreeMap<u8, u64>,
    /// By opcode: PDUs that the target has sent to attackers.
    answered: BTreeMap<u8, u64>,
    /// By text: why the target has closed attackers' connections.
    closed: BTreeMap<String, u64>,
    /// The most that was held for an attacker, in bytes.
    held_most: usize,
    /// By text: why initiators gave up.
    failed: BTreeMap<String, u64>,
}

const LIMITS: Limits = Limits {
    connections_max: 8,
    sessions_max: 4,
    window: 8,
    immediate_max: 4,
    buffered_max: 8192,
    solicited_max: 4096,
    text_max: 4096,
    ahs_max: 64,
};

const OFFER: Offer = Offer { receive_max: 2048, burst_max: 4096, first_burst_max: 2048, ..Offer::TARGET };

/// One whole PDU, with the default length of a login's, beside what may be buffered.
const HELD_MAX: usize = LIMITS.buffered_max + 48 + 64 + 8192 + 8;

/// Loses some of its bytes, doubles some, flips some.
fn damage(dice: &mut Dice, bytes: &mut Vec<u8>) {
    for _ in 0..dice.below(3) {
        if bytes.is_empty() {
            return;
        }
        let place = dice.below(bytes.len() as u64) as usize;
        match dice.below(4) {
            0 => bytes[place] ^= 1 << dice.below(8),
            1 => bytes[place] = dice.of(&[0, 1, 0x7F, 0x80, 0xFF]),
            2 => bytes.truncate(place),
            _ => {
                let end = (place + dice.below(64) as usize).min(bytes.len());
                let copy = bytes[place..end].to_vec();
                bytes.splice(place..place, copy);
            }
        }
    }
}

/// What the attacker knows of its session.
struct Attack {
    digests: Digests,
    cmd_sn: Sn,
    transfers: Vec<u32>,
}

impl Attack {
    fn request(&mut self, dice: &mut Dice) -> Request {
        let immediate = dice.once_in(4);
        let cmd_sn = match dice.below(8) {
            0 => self.cmd_sn.plus(dice.below(12) as u32),
            1 => self.cmd_sn.plus(u32::MAX),
            2 => Sn(dice.next() as u32),
            _ => {
                let cmd_sn = self.cmd_sn;
                if !immediate {
                    self.cmd_sn = cmd_sn.next();
                }
                cmd_sn
            }
        };
        Request { immediate, cmd_sn, exp_stat_sn: Sn(dice.next() as u32) }
    }

    fn tag(dice: &mut Dice) -> Tag {
        Tag(if dice.once_in(30) { NO_TAG } else { dice.below(12) as u32 })
    }

    fn transfer(&self, dice: &mut Dice) -> u32 {
        if self.transfers.is_empty() || dice.once_in(4) {
            return dice.of(&[NO_TAG, 0, 1, 2, 77]);
        }
        dice.of(&self.transfers)
    }

    fn stages(dice: &mut Dice) -> (Stage, Option<Stage>) {
        dice.of(&[
            (Stage::Security, None),
            (Stage::Security, Some(Stage::Operational)),
            (Stage::Security, Some(Stage::FullFeature)),
            (Stage::Operational, None),
            (Stage::Operational, Some(Stage::FullFeature)),
        ])
    }

    fn command(&mut self, dice: &mut Dice) -> pdu::Command {
        let mut cdb = [0; 16];
        cdb[0] = dice.of(&[0x00, 0x12, 0x1A, 0x28, 0x2A, 0x2A, 0x2A, 0xC0, 0xC1, 0x5F, 0x41, 0x42, 0x8A]);
        if dice.once_in(20) {
            cdb[0] = dice.next() as u8;
            cdb[1] = dice.next() as u8 & 0x1F;
        }
        (cdb[4], cdb[5], cdb[8]) = (dice.below(40) as u8, dice.below(70) as u8, dice.below(24) as u8);
        cdb[4] = if cdb[0] == 0x1A { cdb[4] } else { 0 };
        pdu::Command {
            request: self.request(dice),
            last: dice.once_in(2),
            reads: cdb[0] == 0x28 || dice.once_in(5),
            writes: cdb[0] == 0x2A || dice.once_in(5),
            attribute: dice.below(8) as u8,
            lun: [0, dice.below(2) as u8, 0, 0, 0, 0, 0, 0],
            tag: Attack::tag(dice),
            expected: dice.of(&[0, 1, 511, 512, 1024, 2048, 4096, 12_288, 100_000, u32::MAX]),
            cdb,
        }
    }

    /// A PDU of any kind, and how much data would fit it.
    fn pdu(&mut self, dice: &mut Dice) -> (Header, usize) {
        let numbers = Numbers {
            stat_sn: Sn(dice.next() as u32),
            exp_cmd_sn: self.cmd_sn,
            max_cmd_sn: self.cmd_sn.plus(dice.below(4) as u32),
        };
        let (lun, tag) = ([0; 8], Attack::tag(dice));
        let blocks = dice.of(&[0, 1, 512, 513, 1024, 2048]);
        match dice.below(40) {
            0..12 => (Header::Command(self.command(dice)), if dice.once_in(2) { blocks } else { 0 }),
            12..22 => {
                let header = pdu::DataOut {
                    last: dice.once_in(2),
                    lun,
                    tag,
                    transfer: self.transfer(dice),
                    exp_stat_sn: Sn(0),
                    data_sn: Sn(dice.of(&[0, 0, 0, 1, 2, 3, u32::MAX])),
                    offset: dice.of(&[0, 0, 512, 1024, 2048, 4096, u32::MAX]),
                };
                (Header::DataOut(header), blocks)
            }
            22..25 => {
                let header = pdu::TaskRequest {
                    request: self.request(dice),
                    function: dice.of(&[1, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0]),
                    lun,
                    tag,
                    reference: Attack::tag(dice),
                    reference_sn: self.cmd_sn.plus(dice.below(10) as u32).plus(u32::MAX - 4),
                    exp_data_sn: 0,
                };
                (Header::TaskRequest(header), 0)
            }
            25..27 => {
                let (transfer, request) = (dice.of(&[NO_TAG, 0, 1]), self.request(dice));
                (Header::NopOut(pdu::NopOut { request, lun, tag, transfer }), blocks)
            }
            27..30 => {
                let (last, more) = dice.of(&[(true, false), (true, false), (false, true), (false, false)]);
                let (request, transfer) = (self.request(dice), self.transfer(dice));
                (
                    Header::TextRequest(pdu::TextRequest { request, last, more, lun, tag, transfer }),
                    usize::MAX,
                )
            }
            30 => {
                let reason = dice.of(&[0, 1, 1, 2, 2, 2, 3]);
                let (request, cid) = (self.request(dice), dice.of(&[0, 1]));
                (Header::LogoutRequest(pdu::LogoutRequest { request, reason, tag, cid }), 0)
            }
            31 => {
                let (kind, transfer) = (dice.below(4) as u8, self.transfer(dice));
                let header = pdu::Snack { kind, lun, tag, transfer, exp_stat_sn: Sn(0), begin: 0, length: 0 };
                (Header::Snack(header), 0)
            }
            32 if dice.once_in(4) => (Header::LoginRequest(self.login(dice)), usize::MAX),
            _ => (self.answer(dice, numbers, tag), blocks),
        }
    }

    fn login(&mut self, dice: &mut Dice) -> pdu::LoginRequest {
        let (stage, next) = Attack::stages(dice);
        pdu::LoginRequest {
            request: self.request(dice),
            next,
            more: next.is_none() && dice.once_in(3),
            stage,
            version_max: 0,
            version_min: u8::from(dice.once_in(30)),
            isid: [0x80, 0, 0, 0, 0, 7],
            tsih: if dice.once_in(10) { dice.below(4) as u16 } else { 0 },
            tag: Tag(0),
            cid: 0,
        }
    }

    /// What only a target sends.
    fn answer(&mut self, dice: &mut Dice, numbers: Numbers, tag: Tag) -> Header {
        let (lun, transfer) = ([0; 8], self.transfer(dice));
        let status = dice.of(&[0, 2, 0x18]);
        let residual = dice.of(&[Residual::None, Residual::Overflow(1), Residual::Underflow(512)]);
        let (data_sn, offset) = (Sn(dice.below(3) as u32), dice.of(&[0, 512, 1024]));
        match dice.below(9) {
            0 => Header::NopIn(pdu::NopIn { lun, tag, transfer, numbers }),
            1 => Header::Response(pdu::Response {
                tag,
                numbers,
                response: 0,
                status,
                residual,
                exp_data_sn: 0,
            }),
            2 => Header::TaskResponse(pdu::TaskResponse { tag, numbers, response: dice.below(6) as u8 }),
            3 => {
                let (last, more) = dice.of(&[(true, false), (false, true)]);
                Header::TextResponse(pdu::TextResponse { last, more, lun, tag, transfer, numbers })
            }
            4 => Header::DataIn(pdu::DataIn {
                last: dice.once_in(2),
                acknowledge: false,
                status: dice.once_in(2).then_some(status),
                residual: Residual::None,
                lun,
                tag,
                transfer,
                numbers,
                data_sn,
                offset,
            }),
            5 => {
                let (response, time_to_wait, time_to_retain) = (dice.below(3) as u8, 2, 0);
                Header::LogoutResponse(pdu::LogoutResponse {
                    tag,
                    numbers,
                    response,
                    time_to_wait,
                    time_to_retain,
                })
            }
            6 => {
                let length = dice.of(&[0, 512, 1024, u32::MAX]);
                let r2t_sn = data_sn;
                Header::ReadyToTransfer(pdu::ReadyToTransfer {
                    lun,
                    tag,
                    transfer,
                    numbers,
                    r2t_sn,
                    offset,
                    length,
                })
            }
            7 => Header::Async(pdu::Async { lun, numbers, event: 1, vendor: 0, parameters: [0; 3] }),
            _ => Header::Reject(pdu::Reject { reason: dice.below(12) as u8, numbers }),
        }
    }
}

/// Keys that stand in the text of logins, right and wrong.
const KEYS: [&str; 24] = [
    "InitiatorName=iqn.x",
    "TargetName=iqn.2026-11.example.redline:array",
    "TargetName=iqn.other",
    "SessionType=Normal",
    "SessionType=Discovery",
    "AuthMethod=CHAP,None",
    "AuthMethod=None",
    "CHAP_A=5,6,7",
    "CHAP_N=alice",
    "CHAP_R=0x00112233445566778899aabbccddeeff",
    "CHAP_I=1",
    "CHAP_C=0bAAECAwQFBgcICQoLDA0ODw==",
    "HeaderDigest=CRC32C,None",
    "DataDigest=None",
    "MaxRecvDataSegmentLength=512",
    "MaxBurstLength=512",
    "FirstBurstLength=0x10000",
    "InitialR2T=Yes",
    "ImmediateData=No",
    "MaxOutstandingR2T=65535",
    "DefaultTime2Retain=0",
    "ErrorRecoveryLevel=2",
    "SendTargets=All",
    "X-com.example.key=",
];

fn text(dice: &mut Dice) -> Vec<u8> {
    let mut text = Vec::new();
    if !dice.once_in(5) {
        text.extend_from_slice(b"InitiatorName=iqn.attacker\0TargetName=iqn.2026-11.example.redline:array\0");
    }
    for _ in 0..dice.below(8) {
        text.extend_from_slice(dice.of(&KEYS).as_bytes());
        text.push(0);
    }
    text
}

fn write(header: &Header, data: &[u8], digests: Digests) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.set(digests);
    writer.put(header, &[Bytes::copy_from_slice(data)]);
    writer.take().concat()
}

/// The opcodes of what has come back, and the transfer tags of R2Ts and texts in it. The target speaks well, but cut off it may be.
fn listen(world: &mut World, attacker: ConnectionId, attack: &mut Attack, figures: &mut Figures) {
    let received = core::mem::take(&mut world.peer(attacker).received);
    let bounds = pdu::Bounds { data_max: 0xFF_FFFF, ahs_max: 0 };
    let mut decoder = pdu::Decoder::new(bounds);
    decoder.set(bounds, attack.digests);
    decoder.push(Bytes::from(received));
    while let Some(frame) = decoder.next().expect("the target speaks well") {
        assert!(frame.intact);
        let header = frame.header.expect("the target speaks well");
        *figures.answered.entry(header.opcode()).or_default() += 1;
        match header {
            Header::ReadyToTransfer(pdu) => attack.transfers.push(pdu.transfer),
            Header::TextResponse(pdu) if !pdu.last => attack.transfers.push(pdu.transfer),
            _ => {}
        }
    }
    assert_eq!(decoder.held(), 0, "the target sends whole PDUs");
}

/// Sends the attacker's bytes, and looks at what they do.
fn send(world: &mut World, attacker: ConnectionId, bytes: &[u8], dice: &mut Dice, figures: &mut Figures) {
    world.chunk = dice.of(&[1, 7, 48, 500, usize::MAX]);
    figures.bytes += bytes.len() as u64;
    for part in bytes.chunks(3000) {
        world.carry(attacker, part);
        let held = world.endpoint.held(attacker);
        figures.held_most = figures.held_most.max(held);
        assert!(held <= HELD_MAX, "{held} bytes are held for an attacker");
    }
    world.chunk = usize::MAX;
}

/// The sound session reads what it has written. With the real array it may be refused, for the attacker may have reserved the unit: then it
/// is answered all the same, and once.
fn stay_sound(world: &mut World, sound: ConnectionId, tag: u32) {
    // News of resets, one by one.
    for step in 0..8 {
        let ready = world.command(sound, scsi(tag + 2 + step, &[0], Direction::None));
        if ready.iter().all(|done| done.status == 0) {
            break;
        }
    }
    let fill = tag as u8 | 0x80;
    let written = world.command(sound, write10(tag, 60, 2, 1024, fill));
    let read = world.command(sound, read10(tag + 1, 60, 2, 1024));
    let ([written], [read]) = (&written[..], &read[..]) else { panic!("{written:?} and {read:?}") };
    if world.real.is_none() {
        assert_eq!((written.status, read.status), (0, 0));
    }
    if (written.status, read.status) == (0, 0) {
        assert!(read.data.len() == 1024 && read.data.joined().iter().all(|byte| *byte == fill));
    }
}

fn round(seed: u64, figures: &mut Figures) {
    let mut dice = Dice(seed);
    let guarded = dice.once_in(4);
    let chap = guarded.then(|| accounts(true));
    let mut world = World::new(Config { limits: LIMITS, offer: OFFER, chap, ..config() });
    world.real = dice.once_in(2).then(Real::new);
    let who = |node: u8, offer: Offer| Settings {
        credentials: guarded.then(|| credentials(&super::chap::Algorithm::ALL, true)),
        offer,
        ..settings(node)
    };
    let mut sound = world.login(who(1, Offer::INITIATOR), 1);
    let kind = dice.below(8);
    let mut attack =
        Attack { digests: Digests::default(), cmd_sn: settings(2).cmd_sn, transfers: Vec::new() };
    let attacker = if kind < 2 {
        world.dial(1)
    } else {
        let digests = Digests { header: dice.once_in(4), data: dice.once_in(4) };
        let offer = Offer {
            header_digest: digests.header,
            data_digest: digests.data,
            initial_r2t: dice.once_in(3),
            immediate_data: !dice.once_in(3),
            r2t_max: dice.of(&[1, 4]),
            ..Offer::INITIATOR
        };
        let attacker = world.login(who(2, offer), 1);
        world.detach(attacker);
        attack.digests = digests;
        attacker
    };
    for _ in 0..dice.below(40) {
        let mut bytes = match kind {
            0 => {
                let length = dice.below(300) as usize;
                dice.bytes(length)
            }
            1 => {
                let request = attack.login(&mut dice);
                *figures.sent.entry(0x03).or_default() += 1;
                write(&Header::LoginRequest(request), &text(&mut dice), Digests::default())
            }
            _ => {
                let (header, fits) = attack.pdu(&mut dice);
                *figures.sent.entry(header.opcode()).or_default() += 1;
                let data = if fits == usize::MAX { text(&mut dice) } else { vec![dice.next() as u8; fits] };
                write(&header, &data, attack.digests)
            }
        };
        if kind < 2 || dice.once_in(30) {
            damage(&mut dice, &mut bytes);
        }
        send(&mut world, attacker, &bytes, &mut dice, figures);
        if kind >= 2 {
            listen(&mut world, attacker, &mut attack, figures);
        }
        if dice.once_in(20) {
            world.wait(dice.of(&[1, 20]));
        }
        if let Some(reason) = world.peer(attacker).closed {
            *figures.closed.entry(name(&alloc::format!("{reason:?}"))).or_default() += 1;
            break;
        }
    }
    if world.peer(sound).closed.is_some() {
        // An attacker's cold reset has dropped it.
        sound = world.login(who(1, Offer::INITIATOR), 1);
    }
    stay_sound(&mut world, sound, 1000);
    if world.peer(attacker).closed.is_none() {
        world.target(super::target::Input::Closed { connection: attacker });
    }
    assert_eq!(world.endpoint.held(attacker), 0);
    assert_eq!((world.endpoint.sessions(), world.endpoint.outstanding()), (1, 0));
    figures.rounds += 1;
}

/// A variant's name, without what it carries.
fn name(debug: &str) -> String {
    debug.split([' ', '{']).next().unwrap_or_default().to_string()
}

/// An initiator that gets PDUs of every kind from a target that does not keep to the protocol.
fn initiator_round(seed: u64, figures: &mut Figures) {
    let mut dice = Dice(seed);
    let mut world = World::new(config());
    let one = world.login(settings(1), 1);
    let mut machine: Initiator = world.detach(one);
    let mut attack =
        Attack { digests: Digests::default(), cmd_sn: settings(1).cmd_sn, transfers: Vec::new() };
    let mut effects = Vec::new();
    for tag in 0..8 {
        let direction = match tag % 3 {
            0 => Direction::None,
            1 => Direction::In(1024),
            _ => Direction::Out {
                expected: 2048,
                data: vec![Bytes::from(vec![1; 2048])],
                withheld: dice.once_in(2),
            },
        };
        machine.step(initiator::Input::Command(scsi(tag, &[0xC0], direction)), &mut effects);
    }
    for _ in 0..dice.below(30) {
        let numbers =
            Numbers { stat_sn: Sn(dice.next() as u32), exp_cmd_sn: attack.cmd_sn, max_cmd_sn: attack.cmd_sn };
        let tag = Attack::tag(&mut dice);
        let (header, fits) = if dice.once_in(8) {
            attack.pdu(&mut dice)
        } else {
            (attack.answer(&mut dice, numbers, tag), dice.of(&[0, 1, 20, 512, 1024]))
        };
        let data = if fits == usize::MAX { text(&mut dice) } else { vec![dice.next() as u8; fits] };
        let mut bytes = write(&header, &data, Digests::default());
        if dice.once_in(20) {
            damage(&mut dice, &mut bytes);
        }
        for chunk in bytes.chunks(dice.of(&[1, 100, 10_000])) {
            machine.step(initiator::Input::Received(Bytes::copy_from_slice(chunk)), &mut effects);
        }
        machine.step(initiator::Input::Release(Tag(dice.below(8) as u32)), &mut effects);
    }
    for effect in effects {
        if let initiator::Effect::Event(Event::Failed(failure)) = effect {
            *figures.failed.entry(name(&alloc::format!("{failure:?}"))).or_default() += 1;
        }
    }
    figures.rounds += 1;
}

fn attack_some(seeds: core::ops::Range<u64>, figures: &mut Figures) {
    for seed in seeds {
        let outcome = std::panic::catch_unwind(core::panic::AssertUnwindSafe(|| {
            let mut own = Figures::default();
            if seed % 8 == 7 {
                initiator_round(seed, &mut own)
            } else {
                round(seed, &mut own)
            }
            own
        }));
        match outcome {
            Ok(own) => figures.add(own),
            Err(_) => {
                panic!("seed {seed} breaks something: attack_some({seed}..{seed} + 1, ..) shows it again")
            }
        }
    }
}

impl Figures {
    fn add(&mut self, other: Figures) {
        self.rounds += other.rounds;
        self.bytes += other.bytes;
        self.held_most = self.held_most.max(other.held_most);
        other.sent.into_iter().for_each(|(key, value)| *self.sent.entry(key).or_default() += value);
        other.answered.into_iter().for_each(|(key, value)| *self.answered.entry(key).or_default() += value);
        other.closed.into_iter().for_each(|(key, value)| *self.closed.entry(key).or_default() += value);
        other.failed.into_iter().for_each(|(key, value)| *self.failed.entry(key).or_default() += value);
    }
}

/// Every kind of PDU was sent, every answer that a target has was drawn from it, and connections were dropped for many reasons.
#[test]
fn attackers_break_nothing() {
    let mut figures = Figures::default();
    attack_some(0..2000, &mut figures);
    let all = [
        0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x10, 0x20, 0x21, 0x22, 0x24, 0x25, 0x26, 0x31, 0x32, 0x3F,
    ];
    assert_eq!(figures.sent.keys().copied().collect::<Vec<_>>(), all);
    let answers = [0x20, 0x21, 0x22, 0x24, 0x25, 0x26, 0x31, 0x3F];
    assert_eq!(figures.answered.keys().copied().collect::<Vec<_>>(), answers);
    for reason in [
        "Malformed(Data",
        "Malformed(HeaderDigest)",
        "NotLogin",
        "LoginRefused(InitiatorError)",
        "LoginTimeout",
        "LoginAgain",
        "LoggedOut",
        "ColdReset",
    ] {
        assert!(figures.closed.contains_key(reason), "{reason} of {:?}", figures.closed);
    }
    assert!(figures.failed.len() >= 4, "{:?}", figures.failed);
}

/// The same for as many minutes as `FUZZ_MINUTES` says (one if it says nothing), with other seeds each time.
#[test]
#[ignore = "slow: runs for minutes, by `just fuzz-pdu`"]
fn attackers_break_nothing_for_minutes() {
    let minutes = std::env::var("FUZZ_MINUTES").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let start = Instant::now();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    let first = now.as_secs() << 24;
    let (mut figures, mut seed) = (Figures::default(), first);
    while start.elapsed() < Duration::from_secs(60 * minutes) {
        attack_some(seed..seed + 1000, &mut figures);
        seed += 1000;
    }
    println!(
        "{} rounds in {} s from seed {first}, {} bytes",
        figures.rounds,
        start.elapsed().as_secs(),
        figures.bytes
    );
    println!("at most {} bytes held for an attacker, of {HELD_MAX} allowed", figures.held_most);
    println!("sent, by opcode: {:x?}", figures.sent);
    println!("answered, by opcode: {:x?}", figures.answered);
    println!("closed: {:?}", figures.closed);
    println!("initiators that gave up: {:?}", figures.failed);
}
