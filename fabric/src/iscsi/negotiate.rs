//! Negotiation of operational parameters (RFC 7143, 6.2 and 13).
//!
//! A key is either declared (the answerer has nothing to say) or negotiated (the answerer says what holds). [`Keys`] says which is
//! which; [`answer`] is the target's side, [`propose`] and [`conclude`] the initiator's. What was not offered keeps its default.
//!
//! Fixed: error recovery level 0, one connection, data in order. Markers are refused.

use super::pdu::Digests;
use super::text::Text;
use alloc::string::ToString;
use core::fmt;

/// The length that a data segment may have before anything was declared, in bytes.
pub const RECEIVE_DEFAULT: u32 = 8192;

/// What a session is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Purpose {
    /// SCSI commands.
    Normal,
    /// SendTargets only.
    Discovery,
}

/// What one side is ready for, and what it declares of itself.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Offer {
    /// HeaderDigest: a target takes CRC32C if it is asked to, an initiator insists on it.
    pub header_digest: bool,
    /// DataDigest, likewise.
    pub data_digest: bool,
    /// InitialR2T: unsolicited data only after an R2T.
    pub initial_r2t: bool,
    /// ImmediateData: data in the command PDU.
    pub immediate_data: bool,
    /// MaxRecvDataSegmentLength of this side, in bytes, 512 to 16777215.
    pub receive_max: u32,
    /// MaxBurstLength, in bytes.
    pub burst_max: u32,
    /// FirstBurstLength, in bytes.
    pub first_burst_max: u32,
    /// MaxOutstandingR2T, 1 to 65535.
    pub r2t_max: u32,
    /// DefaultTime2Wait, in seconds.
    pub time_to_wait: u32,
    /// DefaultTime2Retain, in seconds.
    pub time_to_retain: u32,
}

/// What holds between two sides.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Parameters {
    /// HeaderDigest and DataDigest.
    pub digests: Digests,
    /// InitialR2T.
    pub initial_r2t: bool,
    /// ImmediateData.
    pub immediate_data: bool,
    /// The other side's MaxRecvDataSegmentLength: what it may be sent, in bytes.
    pub send_max: u32,
    /// MaxBurstLength, in bytes.
    pub burst_max: u32,
    /// FirstBurstLength, in bytes.
    pub first_burst_max: u32,
    /// MaxOutstandingR2T.
    pub r2t_max: u32,
    /// DefaultTime2Wait, in seconds.
    pub time_to_wait: u32,
    /// DefaultTime2Retain, in seconds.
    pub time_to_retain: u32,
}

impl Parameters {
    /// What holds before anything was negotiated (RFC 7143, 13).
    pub const INITIAL: Parameters = Parameters {
        digests: Digests { header: false, data: false },
        initial_r2t: true,
        immediate_data: true,
        send_max: RECEIVE_DEFAULT,
        burst_max: 262_144,
        first_burst_max: 65_536,
        r2t_max: 1,
        time_to_wait: 2,
        time_to_retain: 20,
    };
}

/// The keys of the operational stage, by how they are settled.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Key {
    /// List: the first that both know.
    HeaderDigest,
    /// List.
    DataDigest,
    /// Number, always 1 here.
    MaxConnections,
    /// Yes if either says Yes.
    InitialR2T,
    /// Yes if both say Yes.
    ImmediateData,
    /// Declared by each side.
    MaxRecvDataSegmentLength,
    /// The smaller number.
    MaxBurstLength,
    /// The smaller number.
    FirstBurstLength,
    /// The larger number.
    DefaultTime2Wait,
    /// The smaller number.
    DefaultTime2Retain,
    /// The smaller number.
    MaxOutstandingR2T,
    /// Yes if either says Yes: always Yes here.
    DataPDUInOrder,
    /// Yes if either says Yes: always Yes here.
    DataSequenceInOrder,
    /// The smaller number, always 0 here.
    ErrorRecoveryLevel,
    /// Markers of RFC 3720: No.
    OFMarker,
    /// Markers of RFC 3720: No.
    IFMarker,
    /// Irrelevant without markers.
    OFMarkInt,
    /// Irrelevant without markers.
    IFMarkInt,
    /// List (RFC 7143, 13.23): RFC3720 here.
    TaskReporting,
    /// The smaller number (RFC 7144): 1, which is RFC 7143.
    IScsiProtocolLevel,
    /// iSER: No.
    RdmaExtensions,
}

impl Key {
    const NAMES: [(&'static str, Key); 21] = [
        ("HeaderDigest", Key::HeaderDigest),
        ("DataDigest", Key::DataDigest),
        ("MaxConnections", Key::MaxConnections),
        ("InitialR2T", Key::InitialR2T),
        ("ImmediateData", Key::ImmediateData),
        ("MaxRecvDataSegmentLength", Key::MaxRecvDataSegmentLength),
        ("MaxBurstLength", Key::MaxBurstLength),
        ("FirstBurstLength", Key::FirstBurstLength),
        ("DefaultTime2Wait", Key::DefaultTime2Wait),
        ("DefaultTime2Retain", Key::DefaultTime2Retain),
        ("MaxOutstandingR2T", Key::MaxOutstandingR2T),
        ("DataPDUInOrder", Key::DataPDUInOrder),
        ("DataSequenceInOrder", Key::DataSequenceInOrder),
        ("ErrorRecoveryLevel", Key::ErrorRecoveryLevel),
        ("OFMarker", Key::OFMarker),
        ("IFMarker", Key::IFMarker),
        ("OFMarkInt", Key::OFMarkInt),
        ("IFMarkInt", Key::IFMarkInt),
        ("TaskReporting", Key::TaskReporting),
        ("iSCSIProtocolLevel", Key::IScsiProtocolLevel),
        ("RDMAExtensions", Key::RdmaExtensions),
    ];

    /// By name; keys are case-sensitive.
    #[must_use]
    pub fn named(name: &str) -> Option<Key> {
        Key::NAMES.into_iter().find(|(known, _)| *known == name).map(|(_, key)| key)
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        Key::NAMES
            .into_iter()
            .find(|(_, key)| *key == self)
            .map(|(name, _)| name)
            .expect("every key is listed")
    }

    /// It says nothing in a discovery session (RFC 7143, 13: "Irrelevant when SessionType=Discovery").
    const fn normal_only(self) -> bool {
        matches!(
            self,
            Key::MaxConnections
                | Key::InitialR2T
                | Key::ImmediateData
                | Key::MaxBurstLength
                | Key::FirstBurstLength
                | Key::MaxOutstandingR2T
                | Key::DataPDUInOrder
                | Key::DataSequenceInOrder
        )
    }
}

const NOT_UNDERSTOOD: &str = "NotUnderstood";
const IRRELEVANT: &str = "Irrelevant";
const REJECT: &str = "Reject";

/// A number as text: decimal, or hexadecimal after `0x`; none outside of the limits.
fn number(text: &str, limits: core::ops::RangeInclusive<u32>) -> Option<u32> {
    let value = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) if digits.bytes().all(|digit| digit.is_ascii_hexdigit()) => {
            u32::from_str_radix(digits, 16).ok()
        }
        None if text.bytes().all(|digit| digit.is_ascii_digit()) => text.parse().ok(),
        _ => None,
    };
    value.filter(|value| limits.contains(value))
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "Yes" => Some(true),
        "No" => Some(false),
        _ => None,
    }
}

const fn yes_no(value: bool) -> &'static str {
    if value { "Yes" } else { "No" }
}

const LENGTHS: core::ops::RangeInclusive<u32> = 512..=0xFF_FFFF;
const SECONDS: core::ops::RangeInclusive<u32> = 0..=3600;
const COUNTS: core::ops::RangeInclusive<u32> = 1..=65_535;

/// The target's answer to one key of the initiator, which may change what holds. Unknown keys are answered NotUnderstood, impossible
/// values Reject, and then what held before holds. None: a declaration, to which nothing is answered.
pub fn answer(
    offer: &Offer,
    purpose: Purpose,
    name: &str,
    value: &str,
    holds: &mut Parameters,
) -> Option<alloc::string::String> {
    let Some(key) = Key::named(name) else {
        return Some(NOT_UNDERSTOOD.to_string());
    };
    if purpose == Purpose::Discovery && key.normal_only() {
        return Some(IRRELEVANT.to_string());
    }
    let settled = match key {
        Key::HeaderDigest => digest(value, offer.header_digest, &mut holds.digests.header),
        Key::DataDigest => digest(value, offer.data_digest, &mut holds.digests.data),
        Key::MaxConnections => number(value, COUNTS).map(|_| "1".to_string()),
        Key::InitialR2T => boolean(value).map(|theirs| {
            holds.initial_r2t = theirs || offer.initial_r2t;
            yes_no(holds.initial_r2t).to_string()
        }),
        Key::ImmediateData => boolean(value).map(|theirs| {
            holds.immediate_data = theirs && offer.immediate_data;
            yes_no(holds.immediate_data).to_string()
        }),
        Key::MaxRecvDataSegmentLength => {
            // A declaration has no answer; an impossible one declares nothing.
            holds.send_max = number(value, LENGTHS).unwrap_or(holds.send_max);
            return None;
        }
        Key::MaxBurstLength => {
            number(value, LENGTHS).map(|theirs| settle(&mut holds.burst_max, theirs.min(offer.burst_max)))
        }
        Key::FirstBurstLength => number(value, LENGTHS)
            .map(|theirs| settle(&mut holds.first_burst_max, theirs.min(offer.first_burst_max))),
        Key::DefaultTime2Wait => number(value, SECONDS)
            .map(|theirs| settle(&mut holds.time_to_wait, theirs.max(offer.time_to_wait))),
        Key::DefaultTime2Retain => number(value, SECONDS)
            .map(|theirs| settle(&mut holds.time_to_retain, theirs.min(offer.time_to_retain))),
        Key::MaxOutstandingR2T => {
            number(value, COUNTS).map(|theirs| settle(&mut holds.r2t_max, theirs.min(offer.r2t_max)))
        }
        Key::DataPDUInOrder | Key::DataSequenceInOrder => boolean(value).map(|_| yes_no(true).to_string()),
        Key::ErrorRecoveryLevel => number(value, 0..=2).map(|_| "0".to_string()),
        Key::OFMarker | Key::IFMarker | Key::RdmaExtensions => {
            boolean(value).map(|_| yes_no(false).to_string())
        }
        Key::OFMarkInt | Key::IFMarkInt => Some(IRRELEVANT.to_string()),
        Key::TaskReporting => value.split(',').find(|one| *one == "RFC3720").map(ToString::to_string),
        Key::IScsiProtocolLevel => number(value, 0..=31).map(|theirs| theirs.min(1).to_string()),
    };
    Some(settled.unwrap_or_else(|| REJECT.to_string()))
}

fn settle(holds: &mut u32, value: u32) -> alloc::string::String {
    *holds = value;
    value.to_string()
}

fn digest(value: &str, ready: bool, holds: &mut bool) -> Option<alloc::string::String> {
    let chosen = value.split(',').find(|one| *one == "None" || ready && *one == "CRC32C")?;
    *holds = chosen == "CRC32C";
    Some(chosen.to_string())
}

/// What an initiator proposes.
#[must_use]
pub fn propose(offer: &Offer, purpose: Purpose) -> Text {
    let mut text = Text::default();
    let digest = |on: bool| if on { "CRC32C" } else { "None" };
    text.put("HeaderDigest", digest(offer.header_digest));
    text.put("DataDigest", digest(offer.data_digest));
    text.put("MaxRecvDataSegmentLength", offer.receive_max);
    text.put("DefaultTime2Wait", offer.time_to_wait);
    text.put("DefaultTime2Retain", offer.time_to_retain);
    text.put("ErrorRecoveryLevel", 0);
    if purpose == Purpose::Normal {
        text.put("InitialR2T", yes_no(offer.initial_r2t));
        text.put("ImmediateData", yes_no(offer.immediate_data));
        text.put("MaxBurstLength", offer.burst_max);
        text.put("FirstBurstLength", offer.first_burst_max.min(offer.burst_max));
        text.put("MaxOutstandingR2T", offer.r2t_max);
        text.put("MaxConnections", 1);
        text.put("DataPDUInOrder", "Yes");
        text.put("DataSequenceInOrder", "Yes");
    }
    text
}

/// An answer that does not fit the question.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unfit {
    /// Which key.
    pub key: alloc::string::String,
    /// What was answered.
    pub value: alloc::string::String,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={} is no answer to what was proposed", self.key, self.value)
    }
}

impl core::error::Error for Unfit {}

/// What the target's answer to a proposal makes hold. Keys that are not negotiated here are left to the caller.
///
/// # Errors
///
/// The answer goes beyond the proposal.
pub fn conclude(offer: &Offer, name: &str, value: &str, holds: &mut Parameters) -> Result<(), Unfit> {
    let unfit = || Unfit { key: name.to_string(), value: value.to_string() };
    let Some(key) = Key::named(name) else { return Ok(()) };
    if matches!(value, NOT_UNDERSTOOD | IRRELEVANT) {
        return Ok(());
    }
    let at_most = |limit: u32, from: u32| number(value, from..=limit).ok_or_else(unfit);
    match key {
        Key::HeaderDigest => {
            holds.digests.header = concluded_digest(value, offer.header_digest).ok_or_else(unfit)?
        }
        Key::DataDigest => {
            holds.digests.data = concluded_digest(value, offer.data_digest).ok_or_else(unfit)?
        }
        Key::InitialR2T => {
            holds.initial_r2t = boolean(value).filter(|yes| *yes || !offer.initial_r2t).ok_or_else(unfit)?;
        }
        Key::ImmediateData => {
            holds.immediate_data =
                boolean(value).filter(|yes| !*yes || offer.immediate_data).ok_or_else(unfit)?;
        }
        Key::MaxRecvDataSegmentLength => holds.send_max = number(value, LENGTHS).ok_or_else(unfit)?,
        Key::MaxBurstLength => holds.burst_max = at_most(offer.burst_max, 512)?,
        Key::FirstBurstLength => holds.first_burst_max = at_most(offer.first_burst_max, 512)?,
        Key::DefaultTime2Wait => holds.time_to_wait = number(value, SECONDS).ok_or_else(unfit)?,
        Key::DefaultTime2Retain => holds.time_to_retain = at_most(offer.time_to_retain, 0)?,
        Key::MaxOutstandingR2T => holds.r2t_max = at_most(offer.r2t_max, 1)?,
        Key::MaxConnections => {
            at_most(1, 1)?;
        }
        Key::ErrorRecoveryLevel => {
            at_most(0, 0)?;
        }
        Key::DataPDUInOrder | Key::DataSequenceInOrder => {
            let _ = boolean(value).filter(|yes| *yes).ok_or_else(unfit)?;
        }
        Key::OFMarker
        | Key::IFMarker
        | Key::OFMarkInt
        | Key::IFMarkInt
        | Key::TaskReporting
        | Key::IScsiProtocolLevel
        | Key::RdmaExtensions => {}
    }
    Ok(())
}

fn concluded_digest(value: &str, proposed: bool) -> Option<bool> {
    match value {
        "None" if !proposed => Some(false),
        "CRC32C" if proposed => Some(true),
        _ => None,
    }
}
