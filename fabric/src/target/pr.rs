//! The reservation table: registrations, the reservation, PRgeneration and APTPL.
//!
//! A PERSISTENT RESERVE OUT command is worked out on a copy of the table, whole or not at all. The
//! target then installs the copy, or throws it away when a unit attention goes first. Clause
//! numbers are those of SPC-4; one nexus is the unit of registration, a key is not an identity.

use alloc::vec::Vec;
use redline_vocab::{
    Capabilities, Data, FullStatusEntry, Generation, Held, Holder, Key, LunView, Nexus, Nexuses, PortList,
    PrIn, PrOut, PrType, Quirk, Quirks, Reservation, Sense, ServiceAction, Status,
};

use super::access::Standing;
use super::store::StoredTable;

/// Registrations and reservation of one logical unit.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct Table {
    registrants: Vec<(Nexus, Key)>,
    reservation: Option<Reservation>,
    pub(super) generation: Generation,
    aptpl: bool,
    registrants_max: u16,
    quirks: Quirks,
}

/// What a PERSISTENT RESERVE OUT command amounts to.
pub(super) struct Worked {
    /// The status it earns. For every other status than GOOD the table stays as it was.
    pub(super) status: Status,
    /// Who is to be told what.
    pub(super) attentions: Vec<(Nexus, Sense)>,
    /// PREEMPT AND ABORT: whose commands end.
    pub(super) abort: Vec<Nexus>,
}

impl Worked {
    fn refused(status: Status) -> Worked {
        Worked { status, attentions: Vec::new(), abort: Vec::new() }
    }

    fn done(attentions: Vec<(Nexus, Sense)>) -> Worked {
        Worked { status: Status::Good, attentions, abort: Vec::new() }
    }
}

const INVALID_CDB: Status = Status::CheckCondition(Sense::INVALID_FIELD_IN_CDB);
const INVALID_PARAMETER: Status = Status::CheckCondition(Sense::INVALID_FIELD_IN_PARAMETER_LIST);

impl Table {
    pub(super) fn new(registrants_max: u16, quirks: Quirks, stored: Option<StoredTable>) -> Table {
        let (registrants, reservation, aptpl) = match stored {
            Some(stored) => (stored.registrants, stored.reservation, true),
            None => (Vec::new(), None, false),
        };
        Table { registrants, reservation, generation: Generation(0), aptpl, registrants_max, quirks }
    }

    /// What power loss must not take away: nothing unless APTPL is active.
    pub(super) fn to_store(&self) -> Option<StoredTable> {
        self.aptpl
            .then(|| StoredTable { registrants: self.registrants.clone(), reservation: self.reservation })
    }

    pub(super) fn view(&self) -> LunView {
        LunView {
            generation: self.generation,
            registrants: self.registrants.clone(),
            reservation: self.reservation,
            aptpl: self.aptpl,
        }
    }

    pub(super) fn reservation(&self) -> Option<Reservation> {
        self.reservation
    }

    /// Whether anybody is registered.
    pub(super) fn is_in_use(&self) -> bool {
        !self.registrants.is_empty()
    }

    fn key_of(&self, nexus: Nexus) -> Option<Key> {
        self.registrants.binary_search_by_key(&nexus, |entry| entry.0).ok().map(|at| self.registrants[at].1)
    }

    fn holds(&self, nexus: Nexus) -> bool {
        match self.reservation {
            None => false,
            Some(Reservation { holder: Holder::Nexus(holder), .. }) => holder == nexus,
            Some(Reservation { holder: Holder::AllRegistrants, .. }) => self.key_of(nexus).is_some(),
        }
    }

    /// How the nexus stands to the reservation in force.
    pub(super) fn standing(&self, nexus: Nexus) -> Standing {
        if self.holds(nexus) {
            Standing::Holder
        } else if self.key_of(nexus).is_some() {
            Standing::Registrant
        } else {
            Standing::Stranger
        }
    }

    /// PERSISTENT RESERVE IN (SPC-4 6.15): works for every nexus, changes nothing.
    pub(super) fn answer(&self, action: PrIn) -> Data {
        let generation = self.generation;
        match action {
            PrIn::ReadKeys => {
                Data::Keys { generation, keys: self.registrants.iter().map(|entry| entry.1).collect() }
            }
            PrIn::ReadReservation => {
                Data::Reservation { generation, held: self.reservation.map(|r| self.shown(r)) }
            }
            PrIn::ReportCapabilities => Data::Capabilities(Capabilities {
                crh: true,
                sip_c: true,
                atp_c: true,
                ptpl_c: true,
                ptpl_a: self.aptpl,
            }),
            PrIn::ReadFullStatus => {
                let kind = self.reservation.map(|reservation| reservation.kind);
                let entry = |&(nexus, key): &(Nexus, Key)| FullStatusEntry {
                    nexus,
                    key,
                    holds: kind.filter(|_| self.holds(nexus)),
                };
                Data::FullStatus { generation, entries: self.registrants.iter().map(entry).collect() }
            }
        }
    }

    /// READ RESERVATION shows the holder's key, and 0 where every registrant is a holder.
    fn shown(&self, reservation: Reservation) -> Held {
        let key = match reservation.holder {
            Holder::AllRegistrants => Key(0),
            Holder::Nexus(nexus) => self.key_of(nexus).unwrap_or(Key(0)),
        };
        Held { key, kind: reservation.kind }
    }

    /// PERSISTENT RESERVE OUT (SPC-4 5.7.11, 6.16) of `nexus`, carried out on this table. The
    /// caller keeps the table only if the status is GOOD.
    pub(super) fn work_out(&mut self, nexus: Nexus, order: &PrOut) -> Worked {
        let worked = match order.action {
            ServiceAction::Register => self.register(nexus, order, true),
            ServiceAction::RegisterAndIgnoreExistingKey => self.register(nexus, order, false),
            ServiceAction::ReplaceLostReservation => Worked::refused(INVALID_CDB),
            ServiceAction::Reserve
            | ServiceAction::Release
            | ServiceAction::Clear
            | ServiceAction::Preempt
            | ServiceAction::PreemptAndAbort
            | ServiceAction::RegisterAndMove => {
                let Some(key) = self.key_of(nexus) else {
                    return Worked::refused(Status::ReservationConflict);
                };
                // The sender must know the key it is registered with.
                if key != order.key && !self.quirks.has(Quirk::WrongKeyAccepted) {
                    return Worked::refused(Status::ReservationConflict);
                }
                match order.action {
                    ServiceAction::Reserve => self.reserve(nexus, order),
                    ServiceAction::Release => self.release(nexus, order),
                    ServiceAction::Clear => self.clear(nexus),
                    ServiceAction::RegisterAndMove => self.register_and_move(nexus, order),
                    _ => self.preempt(nexus, order),
                }
            }
        };
        if worked.status == Status::Good
            && steps_generation(order.action)
            && !self.quirks.has(Quirk::GenerationStuck)
        {
            self.generation = Generation(self.generation.0.wrapping_add(1));
        }
        worked
    }

    fn register(&mut self, nexus: Nexus, order: &PrOut, check_key: bool) -> Worked {
        let current = self.key_of(nexus);
        if check_key && order.key != current.unwrap_or(Key(0)) && !self.quirks.has(Quirk::WrongKeyAccepted) {
            return Worked::refused(Status::ReservationConflict);
        }
        // Listed ports may register only beside a sender that does so for the first time (SPC-4 5.7.7).
        let listed = match order.spec_i_pt {
            PortList::Absent => Nexuses::NONE,
            PortList::Of(listed) if check_key && current.is_none() => listed,
            PortList::Of(_) | PortList::Invalid => return Worked::refused(INVALID_PARAMETER),
        };
        let paths = match order.all_tg_pt {
            PortList::Absent => Nexuses::NONE,
            PortList::Of(_) if self.quirks.has(Quirk::AllTgPtIgnored) => Nexuses::NONE,
            PortList::Of(paths) => paths,
            PortList::Invalid => return Worked::refused(INVALID_PARAMETER),
        };
        let worked = if order.service_key == Key(0) {
            // As if the other target ports had received the same: those leave that the command would make leave.
            let leaves = |path: &Nexus| !check_key || self.key_of(*path) == Some(order.key);
            let leaving: Vec<Nexus> = [nexus].into_iter().chain(paths.iter().filter(leaves)).collect();
            Worked::done(self.unregister(&leaving))
        } else {
            // A path that is registered under another key than the sender's would refuse.
            let refuses = |path: Nexus| self.key_of(path).is_some_and(|key| key != order.key);
            if check_key && paths.iter().any(refuses) {
                return Worked::refused(Status::ReservationConflict);
            }
            self.register_all(nexus, order.service_key, paths, listed)
        };
        if worked.status == Status::Good {
            self.aptpl = order.aptpl;
        }
        worked
    }

    /// All of them or none. A listed port that is registered already, or listed twice, fails.
    fn register_all(&mut self, nexus: Nexus, key: Key, paths: Nexuses, listed: Nexuses) -> Worked {
        for entering in [nexus].into_iter().chain(paths.iter()) {
            if !self.enter(entering, key) {
                return Worked::refused(Status::CheckCondition(Sense::INSUFFICIENT_REGISTRATION_RESOURCES));
            }
        }
        for entering in listed.iter() {
            if self.key_of(entering).is_some() {
                return Worked::refused(INVALID_PARAMETER);
            }
            if !self.enter(entering, key) {
                return Worked::refused(Status::CheckCondition(Sense::INSUFFICIENT_REGISTRATION_RESOURCES));
            }
        }
        Worked::done(Vec::new())
    }

    /// `false` if there is no room for one more.
    fn enter(&mut self, nexus: Nexus, key: Key) -> bool {
        let room = self.key_of(nexus).is_some() || self.registrants.len() < usize::from(self.registrants_max);
        if room {
            self.insert(nexus, key);
        }
        room
    }

    fn insert(&mut self, nexus: Nexus, key: Key) {
        match self.registrants.binary_search_by_key(&nexus, |entry| entry.0) {
            Ok(at) => self.registrants[at].1 = key,
            Err(at) => self.registrants.insert(at, (nexus, key)),
        }
    }

    /// SPC-4 5.7.11.3: whoever leaves as the holder of a single-holder reservation releases it; an
    /// all-registrants reservation ends with its last registrant. Those who leave are told nothing.
    fn unregister(&mut self, leaving: &[Nexus]) -> Vec<(Nexus, Sense)> {
        let registered: Vec<Nexus> =
            leaving.iter().copied().filter(|nexus| self.key_of(*nexus).is_some()).collect();
        registered.iter().for_each(|nexus| self.remove(*nexus));
        let Some(Reservation { kind, holder }) = self.reservation else { return Vec::new() };
        match holder {
            Holder::AllRegistrants => {
                if self.registrants.is_empty() {
                    self.reservation = None;
                }
                Vec::new()
            }
            Holder::Nexus(holder)
                if registered.contains(&holder) && !self.quirks.has(Quirk::OrphanReservation) =>
            {
                self.reservation = None;
                if is_registrants_only(kind) {
                    self.tell_others(holder, Sense::RESERVATIONS_RELEASED)
                } else {
                    Vec::new()
                }
            }
            Holder::Nexus(_) => Vec::new(),
        }
    }

    fn remove(&mut self, nexus: Nexus) {
        self.registrants.retain(|entry| entry.0 != nexus);
    }

    fn tell_others(&self, nexus: Nexus, sense: Sense) -> Vec<(Nexus, Sense)> {
        self.registrants.iter().filter(|entry| entry.0 != nexus).map(|entry| (entry.0, sense)).collect()
    }

    fn reserve(&mut self, nexus: Nexus, order: &PrOut) -> Worked {
        let Some(kind) = valid_type(order) else { return Worked::refused(INVALID_CDB) };
        match self.reservation {
            None => {
                self.reservation = Some(self.reservation_of(nexus, kind));
                Worked::done(Vec::new())
            }
            Some(held) if held.kind == kind && self.holds(nexus) => Worked::done(Vec::new()),
            Some(_) => Worked::refused(Status::ReservationConflict),
        }
    }

    fn reservation_of(&self, nexus: Nexus, kind: PrType) -> Reservation {
        let shared = is_all_registrants(kind) && !self.quirks.has(Quirk::AllRegistrantsAsSingle);
        let holder = if shared { Holder::AllRegistrants } else { Holder::Nexus(nexus) };
        Reservation { kind, holder }
    }

    fn release(&mut self, nexus: Nexus, order: &PrOut) -> Worked {
        let Some(held) = self.reservation else { return Worked::done(Vec::new()) };
        // Releasing what one does not hold is not an error and does nothing (SPC-4 5.7.11.2.2).
        if !self.holds(nexus) && !self.quirks.has(Quirk::ReleaseByAnyone) {
            return Worked::done(Vec::new());
        }
        if valid_type(order) != Some(held.kind) {
            return Worked::refused(Status::CheckCondition(Sense::INVALID_RELEASE));
        }
        self.reservation = None;
        let shared = is_registrants_only(held.kind) || is_all_registrants(held.kind);
        Worked::done(if shared { self.tell_others(nexus, Sense::RESERVATIONS_RELEASED) } else { Vec::new() })
    }

    fn clear(&mut self, nexus: Nexus) -> Worked {
        let attentions = self.tell_others(nexus, Sense::RESERVATIONS_PREEMPTED);
        self.registrants.clear();
        self.reservation = None;
        Worked::done(attentions)
    }

    /// SPC-4 5.7.11.4, table 52. A service action key of 0 names nobody, except that it names
    /// everybody where every registrant is a holder.
    fn preempt(&mut self, nexus: Nexus, order: &PrOut) -> Worked {
        let victim_key = order.service_key;
        let takes_reservation = match self.reservation {
            None if victim_key == Key(0) => return Worked::refused(INVALID_PARAMETER),
            None => false,
            Some(Reservation { holder: Holder::AllRegistrants, .. }) => victim_key == Key(0),
            Some(_) if victim_key == Key(0) => return Worked::refused(INVALID_PARAMETER),
            Some(Reservation { holder: Holder::Nexus(holder), .. }) => {
                self.key_of(holder) == Some(victim_key)
            }
        };
        let named: Vec<Nexus> = self
            .registrants
            .iter()
            .filter(|entry| victim_key == Key(0) || entry.1 == victim_key)
            .map(|entry| entry.0)
            .collect();
        if named.is_empty() {
            return Worked::refused(Status::ReservationConflict);
        }
        let mut worked = if takes_reservation {
            let Some(kind) = valid_type(order) else { return Worked::refused(INVALID_CDB) };
            self.take_reservation(nexus, kind, &named)
        } else {
            self.remove_registrations(nexus, &named)
        };
        if order.action == ServiceAction::PreemptAndAbort {
            worked.abort = named;
        }
        worked
    }

    /// The reservation becomes the sender's; the sender stays registered, also under a shared key.
    fn take_reservation(&mut self, nexus: Nexus, kind: PrType, named: &[Nexus]) -> Worked {
        let old = self.reservation.map(|held| held.kind);
        let mut attentions = Vec::new();
        for &victim in named.iter().filter(|&&victim| victim != nexus) {
            if !self.quirks.has(Quirk::PreemptKeepsVictim) {
                self.remove(victim);
            }
            attentions.push((victim, Sense::REGISTRATIONS_PREEMPTED));
        }
        self.reservation = Some(self.reservation_of(nexus, kind));
        if old != Some(kind) {
            let told = self.tell_others(nexus, Sense::RESERVATIONS_RELEASED);
            attentions.extend(told.into_iter().filter(|(who, _)| !named.contains(who)));
        }
        Worked::done(self.heard(attentions))
    }

    /// The reservation stays; the sender may name its own key and then leaves as well.
    fn remove_registrations(&mut self, nexus: Nexus, named: &[Nexus]) -> Worked {
        for &victim in named {
            if !self.quirks.has(Quirk::PreemptKeepsVictim) {
                self.remove(victim);
            }
        }
        if self.registrants.is_empty() {
            self.reservation = None;
        }
        let others = named.iter().filter(|&&victim| victim != nexus);
        Worked::done(self.heard(others.map(|&victim| (victim, Sense::REGISTRATIONS_PREEMPTED)).collect()))
    }

    fn heard(&self, attentions: Vec<(Nexus, Sense)>) -> Vec<(Nexus, Sense)> {
        if self.quirks.has(Quirk::UnitAttentionLost) { Vec::new() } else { attentions }
    }

    fn register_and_move(&mut self, nexus: Nexus, order: &PrOut) -> Worked {
        let Some(held) = self.reservation else { return Worked::refused(INVALID_CDB) };
        if !self.holds(nexus) || is_all_registrants(held.kind) {
            return Worked::refused(Status::ReservationConflict);
        }
        let Some(destination) = order.destination.filter(|&to| to != nexus && order.service_key != Key(0))
        else {
            return Worked::refused(INVALID_PARAMETER);
        };
        if !self.enter(destination, order.service_key) {
            return Worked::refused(Status::CheckCondition(Sense::INSUFFICIENT_REGISTRATION_RESOURCES));
        }
        self.reservation = Some(Reservation { kind: held.kind, holder: Holder::Nexus(destination) });
        if order.unreg {
            self.remove(nexus);
        }
        self.aptpl = order.aptpl;
        Worked::done(Vec::new())
    }

    /// Quirk `nexus-loss-unregisters`: what a target does that mistakes the session for the registrant.
    pub(super) fn forget(&mut self, nexus: Nexus) {
        self.unregister(&[nexus]);
    }

    /// Quirk `reset-clears-registrations`: what a target does that mistakes a reset for a power cycle.
    pub(super) fn forget_everybody(&mut self) {
        self.registrants.clear();
        self.reservation = None;
    }
}

/// SPC-4 5.7.8: these step PRgeneration when they end with GOOD.
fn steps_generation(action: ServiceAction) -> bool {
    match action {
        ServiceAction::Register
        | ServiceAction::RegisterAndIgnoreExistingKey
        | ServiceAction::Clear
        | ServiceAction::Preempt
        | ServiceAction::PreemptAndAbort
        | ServiceAction::RegisterAndMove
        | ServiceAction::ReplaceLostReservation => true,
        ServiceAction::Reserve | ServiceAction::Release => false,
    }
}

fn valid_type(order: &PrOut) -> Option<PrType> {
    PrType::from_code(order.kind).filter(|_| order.scope == 0)
}

fn is_registrants_only(kind: PrType) -> bool {
    matches!(kind, PrType::WriteExclusiveRegistrantsOnly | PrType::ExclusiveAccessRegistrantsOnly)
}

fn is_all_registrants(kind: PrType) -> bool {
    matches!(kind, PrType::WriteExclusiveAllRegistrants | PrType::ExclusiveAccessAllRegistrants)
}
