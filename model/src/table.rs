//! Registrations and reservation, and what each PERSISTENT RESERVE OUT may make of them.
//!
//! The rules are those of SPC-4 (clauses named by their r17 numbers), said with sets of nexuses:
//! who is registered, who holds, who is named by a key. Where the standard leaves a choice
//! (`docs/conformance.md`), every reading is listed.

use crate::set::{NEXUSES, Set};
use redline_vocab::{
    Design, Guard, Holder, Key, Nexus, Nexuses, PortList, PrOut, PrType, Reservation, Sense, ServiceAction,
    Status,
};
use serde::{Deserialize, Serialize};

/// A unit attention that reservations, losses and resets establish.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Attention {
    /// 29/01
    PowerOn,
    /// 29/02
    ScsiBusReset,
    /// 29/03
    BusDeviceReset,
    /// 29/07
    NexusLoss,
    /// 2F/00
    CommandsCleared,
    /// 2A/03
    ReservationsPreempted,
    /// 2A/04
    ReservationsReleased,
    /// 2A/05
    RegistrationsPreempted,
}

impl Attention {
    /// All of them; resets first, as SAM-5 orders them.
    pub const ALL: [Attention; 8] = [
        Attention::PowerOn,
        Attention::ScsiBusReset,
        Attention::BusDeviceReset,
        Attention::NexusLoss,
        Attention::CommandsCleared,
        Attention::ReservationsPreempted,
        Attention::ReservationsReleased,
        Attention::RegistrationsPreempted,
    ];

    /// Its sense data.
    pub const fn sense(self) -> Sense {
        match self {
            Attention::PowerOn => Sense::POWER_ON,
            Attention::ScsiBusReset => Sense::SCSI_BUS_RESET,
            Attention::BusDeviceReset => Sense::BUS_DEVICE_RESET,
            Attention::NexusLoss => Sense::NEXUS_LOSS,
            Attention::CommandsCleared => Sense::COMMANDS_CLEARED,
            Attention::ReservationsPreempted => Sense::RESERVATIONS_PREEMPTED,
            Attention::ReservationsReleased => Sense::RESERVATIONS_RELEASED,
            Attention::RegistrationsPreempted => Sense::REGISTRATIONS_PREEMPTED,
        }
    }

    /// Whether it reports a reset or loss (ASC 29h).
    pub const fn is_reset(self) -> bool {
        matches!(
            self,
            Attention::PowerOn | Attention::ScsiBusReset | Attention::BusDeviceReset | Attention::NexusLoss
        )
    }
}

/// Registrations, reservation and APTPL of the logical unit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Table {
    /// By nexus; key 0 is no registration.
    pub keys: [Key; NEXUSES],
    /// The reservation.
    pub reservation: Option<Reservation>,
    /// Activate persist through power loss.
    pub aptpl: bool,
}

/// What a service action may lead to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Result {
    /// This status, and nothing changes.
    Refused(Status),
    /// GOOD, with these consequences.
    Done(Change),
}

/// Consequences of a service action that ends with GOOD.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Change {
    /// The table after it.
    pub table: Table,
    /// Who is told, and what.
    pub told: [(Set, Attention); 2],
    /// Whose commands PREEMPT AND ABORT ends.
    pub aborts: Set,
    /// Whether PRgeneration steps.
    pub steps: bool,
}

impl Change {
    fn to(table: Table) -> Change {
        let nobody = (Set::EMPTY, Attention::PowerOn);
        Change { table, told: [nobody, nobody], aborts: Set::EMPTY, steps: true }
    }

    fn telling(mut self, whom: Set, what: Attention) -> Change {
        let free =
            self.told.iter_mut().find(|(set, _)| set.is_empty()).expect("no action tells two groups twice");
        *free = (whom, what);
        self
    }
}

const CONFLICT: Result = Result::Refused(Status::ReservationConflict);
const BAD_CDB: Result = Result::Refused(Status::CheckCondition(Sense::INVALID_FIELD_IN_CDB));
const BAD_PARAMETER: Result = Result::Refused(Status::CheckCondition(Sense::INVALID_FIELD_IN_PARAMETER_LIST));

impl Table {
    /// Nothing registered, nothing reserved.
    pub const EMPTY: Table = Table { keys: [Key(0); NEXUSES], reservation: None, aptpl: false };

    /// Everybody registered.
    pub fn registered(&self) -> Set {
        self.among(|key| key != Key(0))
    }

    /// Everybody registered with this key.
    pub fn with_key(&self, key: Key) -> Set {
        self.among(|registered| registered != Key(0) && registered == key)
    }

    fn among(&self, wanted: impl Fn(Key) -> bool) -> Set {
        (0..NEXUSES as u8).map(Nexus).filter(|nexus| wanted(self.keys[usize::from(nexus.0)])).collect()
    }

    /// The key of the nexus, 0 if it has none.
    pub fn key(&self, nexus: Nexus) -> Key {
        self.keys[usize::from(nexus.0)]
    }

    /// All reservation holders.
    pub fn holders(&self) -> Set {
        match self.reservation {
            None => Set::EMPTY,
            Some(Reservation { holder: Holder::Nexus(nexus), .. }) => Set::of(nexus),
            Some(Reservation { holder: Holder::AllRegistrants, .. }) => self.registered(),
        }
    }

    /// The key that READ RESERVATION shows: 0 where all registrants hold.
    pub fn shown_key(&self) -> Key {
        match self.reservation {
            Some(Reservation { holder: Holder::Nexus(nexus), .. }) => self.key(nexus),
            None | Some(Reservation { holder: Holder::AllRegistrants, .. }) => Key(0),
        }
    }

    /// Whether a command of this nexus would meet RESERVATION CONFLICT.
    pub fn conflicts(&self, nexus: Nexus, name: redline_vocab::Name) -> bool {
        self.reservation.is_some_and(|reservation| {
            !self.holders().has(nexus)
                && crate::access::conflicts(name, reservation.kind, self.registered().has(nexus))
        })
    }

    fn without(mut self, gone: Set) -> Table {
        for nexus in gone.iter() {
            self.keys[usize::from(nexus.0)] = Key(0);
        }
        self
    }

    fn with(mut self, nexus: Nexus, key: Key) -> Table {
        self.keys[usize::from(nexus.0)] = key;
        self
    }

    fn reserved(mut self, reservation: Option<Reservation>) -> Table {
        self.reservation = reservation;
        self
    }

    /// What the service action of `nexus` may lead to: one result, or several where the standard
    /// leaves the choice.
    pub fn results(&self, design: Design, nexus: Nexus, order: &PrOut, out: &mut Vec<Result>) {
        use ServiceAction::*;
        let registered = self.registered().has(nexus);
        let key_fits = order.key == self.key(nexus);
        match order.action {
            Register if !key_fits => out.push(CONFLICT),
            Register | RegisterAndIgnoreExistingKey => self.register(design, nexus, order, out),
            Reserve | Release | Clear | Preempt | PreemptAndAbort | RegisterAndMove
                if !registered || !key_fits =>
            {
                out.push(CONFLICT);
            }
            Reserve => out.push(self.reserve(nexus, order)),
            Release => out.push(self.release(nexus, order)),
            Clear => out.push(Result::Done(
                Change::to(Table { aptpl: self.aptpl, ..Table::EMPTY })
                    .telling(self.registered().minus(Set::of(nexus)), Attention::ReservationsPreempted),
            )),
            Preempt | PreemptAndAbort => self.preempt(nexus, order, out),
            RegisterAndMove => out.push(self.register_and_move(nexus, order)),
            ReplaceLostReservation => out.push(BAD_CDB),
        }
    }

    /// 5.7.7: register, change the key, or (key 0) unregister; the sender, and the ports that the two bits name.
    fn register(&self, design: Design, nexus: Nexus, order: &PrOut, out: &mut Vec<Result>) {
        let first = order.action == ServiceAction::Register && self.key(nexus) == Key(0);
        let (listed, paths) = match (order.spec_i_pt, order.all_tg_pt) {
            (PortList::Invalid, _) | (_, PortList::Invalid) => return out.push(BAD_PARAMETER),
            (PortList::Of(_), _) if !first => return out.push(BAD_PARAMETER),
            (listed, paths) => (named(listed), named(paths)),
        };
        let from = out.len();
        if order.service_key == Key(0) {
            self.leave(design, nexus, order, paths, out);
        } else {
            self.enter(nexus, order, listed, paths, out);
        }
        for result in &mut out[from..] {
            if let Result::Done(change) = result {
                change.table.aptpl = order.aptpl;
            }
        }
        // SIP_C and ATP_C are the target's choice: without them the bits are errors.
        let asked = order.spec_i_pt != PortList::Absent || order.all_tg_pt != PortList::Absent;
        if asked && !out[from..].contains(&BAD_PARAMETER) {
            out.push(BAD_PARAMETER);
        }
    }

    /// Open: whether ALL_TG_PT makes those paths leave too that would leave by the same command of their own.
    fn leave(&self, design: Design, nexus: Nexus, order: &PrOut, paths: Set, out: &mut Vec<Result>) {
        let me = Set::of(nexus);
        let by_key = order.action == ServiceAction::Register;
        let alike = if by_key { self.with_key(order.key) } else { self.registered() };
        let all = self.unregistered(design, me.or(paths.and(alike)));
        let alone = self.unregistered(design, me);
        out.push(Result::Done(all));
        if alone != all {
            out.push(Result::Done(alone));
        }
    }

    /// Everybody named registers, or nobody. Open: what a listed port means that is registered already or named twice, and
    /// a path that is registered under another key than the sender's.
    fn enter(&self, nexus: Nexus, order: &PrOut, listed: Set, paths: Set, out: &mut Vec<Result>) {
        let me = Set::of(nexus);
        let known = listed.and(self.registered().or(me).or(paths));
        let by_key = order.action == ServiceAction::Register;
        let others = self.registered().minus(self.with_key(order.key));
        let estranged = if by_key { paths.and(others) } else { Set::EMPTY };
        let entered = |whom: Set| {
            let table = whom.iter().fold(*self, |table, one| table.with(one, order.service_key));
            Result::Done(Change::to(table))
        };
        if !estranged.is_empty() {
            out.push(CONFLICT);
        }
        if !known.is_empty() {
            out.push(BAD_PARAMETER);
            out.push(CONFLICT);
        }
        let everybody = me.or(listed).or(paths);
        for kept in [Set::EMPTY, estranged, known.minus(me).minus(paths), estranged.or(known)] {
            let result = entered(everybody.minus(kept).or(me));
            if !out.contains(&result) {
                out.push(result);
            }
        }
    }

    /// 5.7.11.3: the reservation goes with its only holder; an all-registrants one with the last. Those who leave hear nothing.
    fn unregistered(&self, design: Design, leaving: Set) -> Change {
        let left = self.without(leaving);
        let others = left.registered();
        let Some(reservation) = self.reservation.filter(|_| !self.registered().and(leaving).is_empty())
        else {
            return Change::to(left);
        };
        match reservation.holder {
            Holder::Nexus(holder) if leaving.has(holder) && design.has(Guard::UnregisterReleases) => {
                let freed = Change::to(left.reserved(None));
                if registrants_only(reservation.kind) {
                    freed.telling(others, Attention::ReservationsReleased)
                } else {
                    freed
                }
            }
            Holder::AllRegistrants if others.is_empty() => Change::to(left.reserved(None)),
            Holder::Nexus(_) | Holder::AllRegistrants => Change::to(left),
        }
    }

    /// 5.7.9.
    fn reserve(&self, nexus: Nexus, order: &PrOut) -> Result {
        let Some(kind) = kind_of(order) else { return BAD_CDB };
        let unchanged = |table| Result::Done(Change { steps: false, ..Change::to(table) });
        match self.reservation {
            None => unchanged(self.reserved(Some(reservation_by(nexus, kind)))),
            Some(held) if held.kind == kind && self.holders().has(nexus) => unchanged(*self),
            Some(_) => CONFLICT,
        }
    }

    /// 5.7.11.2.
    fn release(&self, nexus: Nexus, order: &PrOut) -> Result {
        let quiet = |table| Change { steps: false, ..Change::to(table) };
        match self.reservation {
            Some(held) if self.holders().has(nexus) => {
                if kind_of(order) != Some(held.kind) {
                    return Result::Refused(Status::CheckCondition(Sense::INVALID_RELEASE));
                }
                let freed = quiet(self.reserved(None));
                let others = self.registered().minus(Set::of(nexus));
                Result::Done(match held.kind {
                    PrType::WriteExclusive | PrType::ExclusiveAccess => freed,
                    PrType::WriteExclusiveRegistrantsOnly
                    | PrType::ExclusiveAccessRegistrantsOnly
                    | PrType::WriteExclusiveAllRegistrants
                    | PrType::ExclusiveAccessAllRegistrants => {
                        freed.telling(others, Attention::ReservationsReleased)
                    }
                })
            }
            None | Some(_) => Result::Done(quiet(*self)),
        }
    }

    /// 5.7.11.4, table 52.
    fn preempt(&self, nexus: Nexus, order: &PrOut, out: &mut Vec<Result>) {
        let me = Set::of(nexus);
        let aborting = order.action == ServiceAction::PreemptAndAbort;
        let and_abort =
            |change: Change, whom| Change { aborts: if aborting { whom } else { Set::EMPTY }, ..change };
        let named = self.with_key(order.service_key);
        let shared = matches!(self.reservation, Some(Reservation { holder: Holder::AllRegistrants, .. }));
        let holder_named = !shared && !named.and(self.holders()).is_empty();

        if order.service_key == Key(0) && !shared {
            out.push(BAD_PARAMETER);
            if self.reservation.is_none() {
                // Open: no registration can match key 0, which some targets answer like any unknown key.
                out.push(CONFLICT);
            }
        } else if holder_named || shared && order.service_key == Key(0) {
            let victims = if shared { self.registered() } else { named };
            let Some(kind) = kind_of(order) else { return out.push(BAD_CDB) };
            let table = self.without(victims.minus(me)).reserved(Some(reservation_by(nexus, kind)));
            let change = Change::to(table).telling(victims.minus(me), Attention::RegistrationsPreempted);
            let retyped = self.reservation.is_some_and(|held| held.kind != kind);
            let stay = table.registered().minus(me).minus(victims);
            let change = if retyped { change.telling(stay, Attention::ReservationsReleased) } else { change };
            out.push(Result::Done(and_abort(change, victims)));
        } else if named.is_empty() {
            out.push(CONFLICT);
        } else {
            out.push(self.removal(named, named.minus(me), &and_abort));
            if named.has(nexus) {
                // Open: targets differ in whether the sender's own key removes the sender too.
                out.push(self.removal(named.minus(me), named.minus(me), &and_abort));
            }
        }
    }

    fn removal(&self, gone: Set, told: Set, and_abort: &dyn Fn(Change, Set) -> Change) -> Result {
        let left = self.without(gone);
        let left = if left.registered().is_empty() { left.reserved(None) } else { left };
        Result::Done(and_abort(Change::to(left).telling(told, Attention::RegistrationsPreempted), gone))
    }

    /// 5.7.8.
    fn register_and_move(&self, nexus: Nexus, order: &PrOut) -> Result {
        match self.reservation {
            None => BAD_CDB,
            Some(Reservation { holder: Holder::Nexus(holder), kind }) if holder == nexus => {
                match order.destination {
                    Some(to) if to != nexus && order.service_key != Key(0) => {
                        let moved = Reservation { kind, holder: Holder::Nexus(to) };
                        let table = self.with(to, order.service_key).reserved(Some(moved));
                        let table = if order.unreg { table.without(Set::of(nexus)) } else { table };
                        Result::Done(Change::to(Table { aptpl: order.aptpl, ..table }))
                    }
                    Some(_) | None => BAD_PARAMETER,
                }
            }
            Some(_) => CONFLICT,
        }
    }
}

/// The nexuses of a list, as far as the model has them.
fn named(list: PortList) -> Set {
    match list {
        PortList::Absent | PortList::Invalid => Set::EMPTY,
        PortList::Of(nexuses) => nexuses.iter().filter(|nexus| usize::from(nexus.0) < NEXUSES).collect(),
    }
}

/// Whether the model has every nexus that the service action names.
pub fn is_within(order: &PrOut) -> bool {
    let has = |nexus: Nexus| usize::from(nexus.0) < NEXUSES;
    let all = |list: PortList| match list {
        PortList::Absent | PortList::Invalid => true,
        PortList::Of(nexuses) => Nexuses::iter(nexuses).all(has),
    };
    order.destination.is_none_or(has) && all(order.spec_i_pt) && all(order.all_tg_pt)
}

fn kind_of(order: &PrOut) -> Option<PrType> {
    if order.scope == 0 { PrType::from_code(order.kind) } else { None }
}

fn reservation_by(nexus: Nexus, kind: PrType) -> Reservation {
    let holder = match kind {
        PrType::WriteExclusiveAllRegistrants | PrType::ExclusiveAccessAllRegistrants => {
            Holder::AllRegistrants
        }
        PrType::WriteExclusive
        | PrType::ExclusiveAccess
        | PrType::WriteExclusiveRegistrantsOnly
        | PrType::ExclusiveAccessRegistrantsOnly => Holder::Nexus(nexus),
    };
    Reservation { kind, holder }
}

fn registrants_only(kind: PrType) -> bool {
    kind == PrType::WriteExclusiveRegistrantsOnly || kind == PrType::ExclusiveAccessRegistrantsOnly
}
