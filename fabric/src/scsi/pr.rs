//! Parameter data of PERSISTENT RESERVE IN and PERSISTENT RESERVE OUT (SPC-4 6.15, 6.16).
//!
//! The layouts speak of ports; who a nexus is knows the caller.

use super::field::{array_at, bit, length32, put, u8_at, u16_at, u32_at, u64_at};
use super::transport_id::TransportId;
use alloc::vec;
use alloc::vec::Vec;
use redline_vocab::{Capabilities, Generation, Held, Key, PrIn, PrType, Sense, ServiceAction};

/// Length of the parameter list of every service action but REGISTER AND MOVE, without TransportIDs.
pub const LIST_LENGTH: usize = 24;

/// SERVICE ACTION code of a PERSISTENT RESERVE OUT.
pub const fn out_code(action: ServiceAction) -> u8 {
    match action {
        ServiceAction::Register => 0,
        ServiceAction::Reserve => 1,
        ServiceAction::Release => 2,
        ServiceAction::Clear => 3,
        ServiceAction::Preempt => 4,
        ServiceAction::PreemptAndAbort => 5,
        ServiceAction::RegisterAndIgnoreExistingKey => 6,
        ServiceAction::RegisterAndMove => 7,
        ServiceAction::ReplaceLostReservation => 8,
    }
}

/// The PERSISTENT RESERVE OUT with this code.
pub fn out_action(code: u8) -> Option<ServiceAction> {
    ServiceAction::ALL.into_iter().find(|action| out_code(*action) == code)
}

/// SERVICE ACTION code of a PERSISTENT RESERVE IN.
pub const fn in_code(action: PrIn) -> u8 {
    match action {
        PrIn::ReadKeys => 0,
        PrIn::ReadReservation => 1,
        PrIn::ReportCapabilities => 2,
        PrIn::ReadFullStatus => 3,
    }
}

/// The PERSISTENT RESERVE IN with this code.
pub fn in_action(code: u8) -> Option<PrIn> {
    PrIn::ALL.into_iter().find(|action| in_code(*action) == code)
}

/// Where a REGISTER AND MOVE moves to.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Destination {
    /// RELATIVE TARGET PORT IDENTIFIER.
    pub relative_port: u16,
    /// Which initiator; `None` if its TransportID is malformed.
    pub initiator: Option<TransportId>,
}

/// The parameter list of a PERSISTENT RESERVE OUT.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ParameterList {
    /// RESERVATION KEY
    pub key: Key,
    /// SERVICE ACTION RESERVATION KEY
    pub service_key: Key,
    /// ACTIVATE PERSIST THROUGH POWER LOSS
    pub aptpl: bool,
    /// SPECIFY INITIATOR PORTS
    pub spec_i_pt: bool,
    /// ALL TARGET PORTS
    pub all_tg_pt: bool,
    /// UNREGISTER, of REGISTER AND MOVE.
    pub unreg: bool,
    /// The TransportIDs of SPEC_I_PT; `None` if one of them is malformed.
    pub initiators: Option<Vec<TransportId>>,
    /// Only in REGISTER AND MOVE.
    pub destination: Option<Destination>,
}

impl ParameterList {
    /// Reads the list of `action`, which the CDB announces to be `bytes.len()` long.
    ///
    /// # Errors
    /// 05/1A/00 if the length does not fit the list. A TransportID that is malformed is none: it is told later, once the keys are known
    /// to be right.
    pub fn decode(action: ServiceAction, bytes: &[u8]) -> Result<ParameterList, Sense> {
        decoded(action, bytes).ok_or(Sense::PARAMETER_LIST_LENGTH_ERROR)
    }

    /// The list's bytes, for `action`.
    pub fn encode(&self, action: ServiceAction) -> Vec<u8> {
        let mut out = vec![0; LIST_LENGTH];
        put(&mut out, 0, &self.key.0.to_be_bytes());
        put(&mut out, 8, &self.service_key.0.to_be_bytes());
        if action == ServiceAction::RegisterAndMove {
            out[17] = bit(self.unreg, 2) | bit(self.aptpl, 1);
            if let Some(destination) = &self.destination {
                put(&mut out, 18, &destination.relative_port.to_be_bytes());
                let id = destination.initiator.as_ref().map(TransportId::encode).unwrap_or_default();
                put(&mut out, 20, &length32(id.len()).to_be_bytes());
                out.extend_from_slice(&id);
            }
            return out;
        }
        out[20] = bit(self.spec_i_pt, 8) | bit(self.all_tg_pt, 4) | bit(self.aptpl, 1);
        if self.spec_i_pt {
            let ids: Vec<u8> = self.initiators.iter().flatten().flat_map(TransportId::encode).collect();
            out.extend_from_slice(&length32(ids.len()).to_be_bytes());
            out.extend_from_slice(&ids);
        }
        out
    }
}

fn decoded(action: ServiceAction, bytes: &[u8]) -> Option<ParameterList> {
    let mut list = ParameterList {
        key: Key(u64_at(bytes, 0)?),
        service_key: Key(u64_at(bytes, 8)?),
        aptpl: false,
        spec_i_pt: false,
        all_tg_pt: false,
        unreg: false,
        initiators: Some(Vec::new()),
        destination: None,
    };
    if action == ServiceAction::RegisterAndMove {
        let flags = u8_at(bytes, 17)?;
        (list.unreg, list.aptpl) = (flags & 2 != 0, flags & 1 != 0);
        let length = usize::try_from(u32_at(bytes, 20)?).ok()?;
        let id = bytes.get(24..).filter(|id| id.len() == length && length >= 24 && length % 4 == 0)?;
        let initiator = TransportId::decode(id).ok().filter(|(_, used)| *used == length).map(|(id, _)| id);
        list.destination = Some(Destination { relative_port: u16_at(bytes, 18)?, initiator });
        return Some(list);
    }
    let flags = u8_at(bytes, 20)?;
    (list.all_tg_pt, list.aptpl) = (flags & 4 != 0, flags & 1 != 0);
    list.spec_i_pt = flags & 8 != 0 && may_list_ports(action);
    // It goes with REGISTER only (SPC-4 6.16.3): with REGISTER AND IGNORE EXISTING KEY it is wrong, whatever list follows.
    if list.spec_i_pt && action != ServiceAction::Register {
        list.initiators = None;
        return Some(list);
    }
    if !list.spec_i_pt {
        return (bytes.len() == LIST_LENGTH).then_some(list);
    }
    let ids = bytes.get(28..).filter(|ids| u32_at(bytes, 24) == u32::try_from(ids.len()).ok())?;
    list.initiators = transport_ids(ids);
    Some(list)
}

/// Whether SPEC_I_PT is looked at; where nothing is registered it means nothing.
fn may_list_ports(action: ServiceAction) -> bool {
    matches!(action, ServiceAction::Register | ServiceAction::RegisterAndIgnoreExistingKey)
}

fn transport_ids(mut bytes: &[u8]) -> Option<Vec<TransportId>> {
    let mut ids = Vec::new();
    while !bytes.is_empty() {
        let (id, used) = TransportId::decode(bytes).ok()?;
        ids.push(id);
        bytes = &bytes[used..];
    }
    Some(ids)
}

fn with_header(generation: Generation, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(8 + body.len());
    out.extend_from_slice(&generation.0.to_be_bytes());
    out.extend_from_slice(&length32(body.len()).to_be_bytes());
    out.extend_from_slice(body);
    out
}

/// The header's PRGENERATION and what follows it, as far as it was sent.
fn header(bytes: &[u8]) -> Option<(Generation, &[u8])> {
    let generation = Generation(u32_at(bytes, 0)?);
    let length = usize::try_from(u32_at(bytes, 4)?).ok()?;
    let body = &bytes[8..];
    Some((generation, &body[..body.len().min(length)]))
}

/// READ KEYS.
pub fn encode_keys(generation: Generation, keys: &[Key]) -> Vec<u8> {
    let body: Vec<u8> = keys.iter().flat_map(|key| key.0.to_be_bytes()).collect();
    with_header(generation, &body)
}

/// READ KEYS; `None` if the answer is cut.
pub fn decode_keys(bytes: &[u8]) -> Option<(Generation, Vec<Key>)> {
    let (generation, body) = header(bytes).filter(|(_, body)| is_whole(bytes, body))?;
    let (keys, []) = body.as_chunks() else { return None };
    Some((generation, keys.iter().map(|key| Key(u64::from_be_bytes(*key))).collect()))
}

fn is_whole(bytes: &[u8], body: &[u8]) -> bool {
    u32_at(bytes, 4) == u32::try_from(body.len()).ok()
}

/// READ RESERVATION.
pub fn encode_reservation(generation: Generation, held: Option<Held>) -> Vec<u8> {
    let Some(held) = held else { return with_header(generation, &[]) };
    let mut body = [0; 16];
    put(&mut body, 0, &held.key.0.to_be_bytes());
    body[13] = held.kind.code();
    with_header(generation, &body)
}

/// READ RESERVATION; `None` if the answer is cut or shows a scope or type that the standard does not know.
pub fn decode_reservation(bytes: &[u8]) -> Option<(Generation, Option<Held>)> {
    let (generation, body) = header(bytes).filter(|(_, body)| is_whole(bytes, body))?;
    if body.is_empty() {
        return Some((generation, None));
    }
    // The whole byte is scope and type: scope 0 is the only one.
    let kind = PrType::from_code(u8_at(body, 13)?)?;
    Some((generation, Some(Held { key: Key(u64_at(body, 0)?), kind })))
}

/// ALLOW COMMANDS of REPORT CAPABILITIES: 3, the table of commands that SPC-4 describes.
const ALLOW_COMMANDS: u8 = 3;

/// REPORT CAPABILITIES: every type of reservation is supported, REPLACE LOST RESERVATION is not.
pub fn encode_capabilities(capabilities: Capabilities) -> Vec<u8> {
    let Capabilities { crh, sip_c, atp_c, ptpl_c, ptpl_a } = capabilities;
    let first = bit(crh, 0x10) | bit(sip_c, 0x08) | bit(atp_c, 0x04) | bit(ptpl_c, 0x01);
    vec![0, 8, first, 0x80 | ALLOW_COMMANDS << 4 | bit(ptpl_a, 1), 0xea, 0x01, 0, 0]
}

/// REPORT CAPABILITIES; `None` if the answer is cut.
pub fn decode_capabilities(bytes: &[u8]) -> Option<Capabilities> {
    let [_, _, first, second, ..] = array_at::<8>(bytes, 0)?;
    let has = |mask: u8| first & mask != 0;
    Some(Capabilities {
        crh: has(0x10),
        sip_c: has(0x08),
        atp_c: has(0x04),
        ptpl_c: has(0x01),
        ptpl_a: second & 1 != 0,
    })
}

/// One registrant in READ FULL STATUS.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FullStatus {
    /// RESERVATION KEY
    pub key: Key,
    /// ALL_TG_PT
    pub all_tg_pt: bool,
    /// SCOPE and TYPE, if R_HOLDER is set.
    pub holds: Option<PrType>,
    /// RELATIVE TARGET PORT IDENTIFIER
    pub relative_port: u16,
    /// The initiator port.
    pub initiator: TransportId,
}

/// READ FULL STATUS.
pub fn encode_full_status(generation: Generation, entries: &[FullStatus]) -> Vec<u8> {
    let mut body = Vec::with_capacity(96 * entries.len());
    for entry in entries {
        let mut fixed = [0; 24];
        put(&mut fixed, 0, &entry.key.0.to_be_bytes());
        fixed[12] = bit(entry.all_tg_pt, 2) | bit(entry.holds.is_some(), 1);
        fixed[13] = entry.holds.map_or(0, PrType::code);
        put(&mut fixed, 18, &entry.relative_port.to_be_bytes());
        let id = entry.initiator.encode();
        put(&mut fixed, 20, &length32(id.len()).to_be_bytes());
        body.extend_from_slice(&fixed);
        body.extend_from_slice(&id);
    }
    with_header(generation, &body)
}

/// READ FULL STATUS; `None` if the answer is cut, or an entry is not that of an iSCSI initiator.
pub fn decode_full_status(bytes: &[u8]) -> Option<(Generation, Vec<FullStatus>)> {
    let (generation, mut body) = header(bytes).filter(|(_, body)| is_whole(bytes, body))?;
    let mut entries = Vec::new();
    while !body.is_empty() {
        let flags = u8_at(body, 12)?;
        let holds = match flags & 1 {
            0 => None,
            _ => Some(PrType::from_code(u8_at(body, 13)?)?),
        };
        let end = 24_usize.checked_add(usize::try_from(u32_at(body, 20)?).ok()?)?;
        let (initiator, _) = TransportId::decode(body.get(24..end)?).ok()?;
        entries.push(FullStatus {
            key: Key(u64_at(body, 0)?),
            all_tg_pt: flags & 2 != 0,
            holds,
            relative_port: u16_at(body, 18)?,
            initiator,
        });
        body = &body[end..];
    }
    Some((generation, entries))
}
