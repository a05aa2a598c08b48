//! One logical unit under raw initiators, as a `stateright::Model`: every service action, every type.
//!
//! The idea: the state is that of a [`Cluster`] without nodes. Initiators have no state of their own, so that a command
//! without medium access is sent, taken and answered in one move; a write waits in the transport, in the
//! task set and at the back end. Two keys are in play, so that keys collide, are swapped and are wrong.
//!
//! Bounds are in the list of moves only: one write of a nexus under way, and of the service actions those with the
//! two keys. The relation underneath is the one that judges traces.

use crate::cluster::{Bounds, Cluster, Left, Log, Marks, Readings, State};
use crate::lun::Stage;
use crate::table::Table;
use redline_vocab::{
    Action, Command, Design, Epoch, Event, Extent, Function, Guard, Key, Lba, Name, Nexus, Nexuses, NodeId,
    PortList, PrOut, PrType, Record, Serial, ServiceAction,
};
use serde::{Deserialize, Serialize};
use stateright::{Model, Property};

/// The two keys.
pub const KEYS: [Key; 2] = [Key(0x0a), Key(0x0b)];

/// A named instance.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Instance {
    /// Its name.
    pub name: &'static str,
    /// Raw initiators, 2..=4.
    pub nexuses: u8,
    /// Whether the target loses power, and nexuses are lost and come back.
    pub restart: bool,
    /// Reservation types in play.
    pub types: &'static [PrType],
    /// How many of the initiators write, beginning with the first.
    pub writers: u8,
    /// Whether service actions come with every type and APTPL bit, or with the usual ones only.
    pub rich: bool,
    /// Whether unit attentions stay until they are reported; otherwise they are taken as reported at once.
    pub attentions: bool,
    /// What else is in play.
    pub also: Also,
}

/// Parts of the standard that only some instances have in play, so that the others stay small.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Also {
    /// RESERVE and RELEASE of SPC-2, and logouts.
    pub legacy: bool,
    /// Task management functions and resets.
    pub functions: bool,
    /// REGISTER with SPEC_I_PT and ALL_TG_PT: each nexus may name the next one.
    pub lists: bool,
    /// Pending unit attentions are asked for before anything else, so that they do not pile up.
    pub probes_first: bool,
}

impl Also {
    /// Persistent reservations alone.
    pub const NOTHING: Also = Also { legacy: false, functions: false, lists: false, probes_first: false };
}

use PrType::{
    ExclusiveAccess, ExclusiveAccessAllRegistrants, ExclusiveAccessRegistrantsOnly, WriteExclusive,
    WriteExclusiveAllRegistrants, WriteExclusiveRegistrantsOnly,
};

/// The instances that `verify` exhausts.
pub const INSTANCES: [Instance; 6] = [
    Instance {
        name: "two-nexuses",
        nexuses: 2,
        restart: false,
        types: &[
            WriteExclusive,
            ExclusiveAccess,
            WriteExclusiveRegistrantsOnly,
            ExclusiveAccessRegistrantsOnly,
            WriteExclusiveAllRegistrants,
            ExclusiveAccessAllRegistrants,
        ],
        writers: 2,
        rich: true,
        attentions: true,
        also: Also::NOTHING,
    },
    Instance {
        name: "two-nexuses-restart",
        nexuses: 2,
        restart: true,
        types: &[ExclusiveAccess, WriteExclusiveRegistrantsOnly, WriteExclusiveAllRegistrants],
        writers: 2,
        rich: true,
        attentions: false,
        also: Also::NOTHING,
    },
    Instance {
        name: "three-nexuses",
        nexuses: 3,
        restart: false,
        types: &[WriteExclusiveAllRegistrants],
        writers: 3,
        rich: false,
        attentions: false,
        also: Also::NOTHING,
    },
    Instance {
        name: "three-nexuses-restart",
        nexuses: 3,
        restart: true,
        types: &[WriteExclusiveRegistrantsOnly],
        writers: 2,
        rich: false,
        attentions: false,
        also: Also::NOTHING,
    },
    Instance {
        name: "legacy-and-resets",
        nexuses: 2,
        restart: true,
        types: &[WriteExclusive, WriteExclusiveAllRegistrants],
        writers: 2,
        rich: false,
        attentions: false,
        also: Also { legacy: true, functions: true, ..Also::NOTHING },
    },
    Instance {
        name: "port-lists",
        nexuses: 3,
        restart: false,
        types: &[WriteExclusiveRegistrantsOnly],
        writers: 1,
        rich: false,
        attentions: false,
        also: Also { lists: true, ..Also::NOTHING },
    },
];

/// One step of the exploration.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Move {
    /// A service action is sent, taken in this reading, and answered unless its GOOD has to wait.
    Order(Nexus, PrOut, u8),
    /// RESERVE of SPC-2 is sent, taken and answered.
    Reserve(Nexus, u8),
    /// RELEASE of SPC-2 is sent, taken and answered.
    Release(Nexus, u8),
    /// A task management function is sent, taken, and answered unless it has to wait.
    Manage(Nexus, Function, u8),
    /// The initiator logs out.
    LogOut(Nexus, u8),
    /// TEST UNIT READY is sent and taken: it brings a pending unit attention.
    Probe(Nexus, u8),
    /// A write goes into the transport.
    Write(Nexus),
    /// The target takes the write of the nexus, in this reading.
    Dispatch(Nexus, u8),
    /// The write goes from the task set to the back end.
    Submit(Nexus),
    /// The write takes effect.
    Commit(Nexus, u8),
    /// The connection breaks and the nexus is given up.
    Lose(Nexus),
    /// The nexus comes back.
    Return(Nexus),
    /// The target loses power and comes up, and everybody logs in.
    PowerCycle,
    /// The target writes its table late, where the design lets it.
    Persist,
}

/// Names of the kinds of moves, in the order of [`Move::kind`].
pub const KINDS: [&str; 22] = [
    "register",
    "reserve",
    "release",
    "clear",
    "preempt",
    "preempt-and-abort",
    "register-and-ignore",
    "register-and-move",
    "replace-lost",
    "probe",
    "write",
    "dispatch",
    "submit",
    "commit",
    "lose",
    "return",
    "power-cycle",
    "persist",
    "legacy-reserve",
    "legacy-release",
    "manage",
    "log-out",
];

impl Move {
    /// Which of [`KINDS`] it is.
    pub fn kind(&self) -> usize {
        match self {
            Move::Order(_, order, _) => match order.action {
                ServiceAction::Register => 0,
                ServiceAction::Reserve => 1,
                ServiceAction::Release => 2,
                ServiceAction::Clear => 3,
                ServiceAction::Preempt => 4,
                ServiceAction::PreemptAndAbort => 5,
                ServiceAction::RegisterAndIgnoreExistingKey => 6,
                ServiceAction::RegisterAndMove => 7,
                ServiceAction::ReplaceLostReservation => 8,
            },
            Move::Probe(..) => 9,
            Move::Write(_) => 10,
            Move::Dispatch(..) => 11,
            Move::Submit(_) => 12,
            Move::Commit(..) => 13,
            Move::Lose(_) => 14,
            Move::Return(_) => 15,
            Move::PowerCycle => 16,
            Move::Persist => 17,
            Move::Reserve(..) => 18,
            Move::Release(..) => 19,
            Move::Manage(..) => 20,
            Move::LogOut(..) => 21,
        }
    }
}

/// The model of an instance.
#[derive(Clone, Debug)]
pub struct Reservations {
    base: Cluster,
    instance: Instance,
}

impl Reservations {
    /// The instance under a design, in these readings of the standard.
    pub fn new(instance: Instance, design: Design, readings: Readings) -> Reservations {
        let bounds = Bounds { nodes: instance.nexuses, left: Left::default(), queue: 0, restarts: false };
        Reservations { base: Cluster::raw(design, bounds, readings), instance }
    }

    /// What is explored.
    pub fn instance(&self) -> Instance {
        self.instance
    }

    /// The guards that hold.
    pub fn design(&self) -> Design {
        self.base.design()
    }

    fn nexuses(&self) -> impl Iterator<Item = Nexus> {
        (0..self.instance.nexuses).map(Nexus)
    }

    /// Takes a move in place; adds the choices that it consists of.
    pub fn make(
        &self,
        state: &mut State,
        step: Move,
        choices: &mut Vec<(Action, u8)>,
        log: &mut Log<'_>,
    ) -> bool {
        state.marks = Marks::default();
        let mut take = |action, reading| self.take(state, action, reading, choices, log);
        let mut taken = |nexus: Nexus, command: Command, reading: u8| {
            take(Action::Command(nexus, command), 0) && take(Action::Dispatch(nexus), reading)
        };
        let possible = match step {
            Move::Order(nexus, order, reading) => taken(nexus, Command::PrOut(order), reading),
            Move::Reserve(nexus, reading) => taken(nexus, Command::LegacyReserve, reading),
            Move::Release(nexus, reading) => taken(nexus, Command::LegacyRelease, reading),
            Move::Manage(nexus, function, reading) => taken(nexus, Command::Manage(function), reading),
            Move::Probe(nexus, reading) => taken(nexus, Command::Other(Name::TestUnitReady), reading),
            Move::LogOut(nexus, reading) => take(Action::Logout(nexus), reading),
            Move::Write(nexus) => take(Action::Command(nexus, write(nexus)), 0),
            Move::Dispatch(nexus, reading) => take(Action::Dispatch(nexus), reading),
            Move::Submit(nexus) => take(Action::Submit { nexus, nth: 0 }, 0),
            Move::Commit(nexus, nth) => take(Action::Commit { nexus, nth }, 0),
            Move::Lose(nexus) => take(Action::Break(nexus), 0) && take(Action::Expire(nexus), 0),
            Move::Return(nexus) => take(Action::Login(NodeId(nexus.0)), 0),
            Move::PowerCycle => {
                take(Action::PowerCycle, 0)
                    && self.nexuses().all(|nexus| take(Action::Login(NodeId(nexus.0)), 0))
            }
            Move::Persist => take(Action::Persist, 0),
        };
        if !possible {
            return false;
        }
        // Initiators take their replies at once: none of them matters to what they do.
        for nexus in self.nexuses() {
            while self.base.take(state, Action::Receive(NodeId(nexus.0)), 0, log) {
                choices.push((Action::Receive(NodeId(nexus.0)), 0));
            }
        }
        if !self.instance.attentions {
            state.unit.lun.pending = [0; crate::NEXUSES];
        }
        state.canonical();
        true
    }

    fn take(
        &self,
        state: &mut State,
        action: Action,
        reading: u8,
        choices: &mut Vec<(Action, u8)>,
        log: &mut Log<'_>,
    ) -> bool {
        choices.push((action, reading));
        self.base.take(state, action, reading, log)
    }

    /// The choices and events of a move.
    pub fn events(&self, before: &State, step: Move) -> (Vec<(Action, u8)>, Vec<Event>) {
        let (mut choices, mut events) = (Vec::new(), Vec::new());
        self.make(&mut before.clone(), step, &mut choices, &mut Log(Some(&mut events)));
        (choices, events)
    }

    /// The events of a run along these choices, as [`Cluster::story`] tells them. It begins with what takes away the power
    /// on attention. `None` if a choice is not possible.
    pub fn story(&self, choices: &[(Action, u8)]) -> Option<Vec<Event>> {
        let probe = Command::Other(Name::TestUnitReady);
        let opening = self.nexuses().flat_map(|nexus| {
            [Action::Command(nexus, probe), Action::Dispatch(nexus), Action::Receive(NodeId(nexus.0))]
        });
        let all: Vec<(Action, u8)> =
            opening.map(|action| (action, 0)).chain(choices.iter().copied()).collect();
        self.base.story(&all)
    }

    /// Powered on, everybody logged in; the power on attention has been reported.
    pub fn initial(&self) -> State {
        let mut state = self.base.initial();
        state.unit.lun.pending = [0; crate::NEXUSES];
        state
    }

    fn orders(&self, table: &Table, nexus: Nexus, mut offer: impl FnMut(PrOut)) {
        let own = table.key(nexus);
        let aptpl = [false, true];
        let aptpl = if self.instance.restart { &aptpl[..] } else { &aptpl[..1] };
        for service_key in [Key(0), KEYS[0], KEYS[1]] {
            for &aptpl in aptpl {
                if self.instance.rich {
                    offer(PrOut { key: own, service_key, aptpl, ..PrOut::new(ServiceAction::Register) });
                }
                let ignore = PrOut::new(ServiceAction::RegisterAndIgnoreExistingKey);
                offer(PrOut { service_key, aptpl, ..ignore });
            }
        }
        if self.instance.also.lists {
            self.lists(nexus, own, &mut offer);
        }
        // A wrong key, and whatever a stranger asks for, is refused.
        let wrong = if own == KEYS[0] { KEYS[1] } else { KEYS[0] };
        offer(PrOut { key: wrong, service_key: KEYS[0], ..PrOut::new(ServiceAction::Register) });
        offer(PrOut {
            key: wrong,
            kind: self.instance.types[0].code(),
            ..PrOut::new(ServiceAction::Reserve)
        });
        offer(PrOut { key: own, ..PrOut::new(ServiceAction::ReplaceLostReservation) });
        if own == Key(0) {
            return;
        }
        let with = |action| PrOut { key: own, ..PrOut::new(action) };
        offer(with(ServiceAction::Clear));
        for (nth, kind) in self.instance.types.iter().map(|kind| kind.code()).enumerate() {
            offer(PrOut { kind, ..with(ServiceAction::Reserve) });
            offer(PrOut { kind, ..with(ServiceAction::Release) });
            if nth > 0 && !self.instance.rich {
                continue;
            }
            for service_key in [Key(0), KEYS[0], KEYS[1]] {
                offer(PrOut { kind, service_key, ..with(ServiceAction::Preempt) });
                offer(PrOut { kind, service_key, ..with(ServiceAction::PreemptAndAbort) });
            }
        }
        for destination in self.nexuses().filter(|to| *to != nexus) {
            for (service_key, unreg) in [(KEYS[0], false), (KEYS[1], true)] {
                if unreg && !self.instance.rich {
                    continue;
                }
                for &aptpl in &aptpl[aptpl.len() - 1..] {
                    let to = Some(destination);
                    let order = with(ServiceAction::RegisterAndMove);
                    offer(PrOut { destination: to, service_key, unreg, aptpl, ..order });
                }
            }
        }
    }
}

impl Reservations {
    /// REGISTER with the next nexus in one list, in the other, and with everybody in both.
    fn lists(&self, nexus: Nexus, own: Key, offer: &mut impl FnMut(PrOut)) {
        let next = PortList::Of(Nexuses::NONE.with(Nexus((nexus.0 + 1) % self.instance.nexuses)));
        let all = PortList::Of(self.nexuses().collect());
        for (spec_i_pt, all_tg_pt) in
            [(next, PortList::Absent), (PortList::Absent, next), (all, PortList::Absent), (next, next)]
        {
            for action in [ServiceAction::Register, ServiceAction::RegisterAndIgnoreExistingKey] {
                for service_key in [Key(0), KEYS[0]] {
                    offer(PrOut { key: own, service_key, spec_i_pt, all_tg_pt, ..PrOut::new(action) });
                }
            }
        }
        let spec_i_pt = PortList::Invalid;
        offer(PrOut { key: own, service_key: KEYS[0], spec_i_pt, ..PrOut::new(ServiceAction::Register) });
    }

    /// What a nexus that waits for no function may ask the task manager.
    fn functions(&self, state: &State, nexus: Nexus, mut offer: impl FnMut(Function)) {
        let tasks = state.unit.lun.tasks.iter().filter(|task| task.nexus == nexus);
        tasks.for_each(|task| offer(Function::AbortTask(task.tag)));
        offer(Function::AbortTaskSet);
        offer(Function::ClearTaskSet);
        offer(Function::LogicalUnitReset);
        offer(Function::TargetWarmReset);
    }
}

fn write(nexus: Nexus) -> Command {
    let extent = Extent { lba: Lba(0), blocks: 1 };
    Command::Write { extent, record: Record { writer: NodeId(nexus.0), epoch: Epoch(0), serial: Serial(0) } }
}

impl Model for Reservations {
    type State = State;
    type Action = Move;

    fn init_states(&self) -> Vec<State> {
        vec![self.initial()]
    }

    fn actions(&self, state: &State, out: &mut Vec<Move>) {
        let lun = &state.unit.lun;
        let mut reactions = Vec::new();
        let mut readings = |nexus: Nexus, command: &Command| {
            reactions.clear();
            lun.reactions(self.base.rules(), nexus, command, &mut reactions);
            self.base.chosen(&mut reactions);
            reactions.len() as u8
        };
        // One that waits for a function sends nothing, and to one that RESERVE keeps off a probe says nothing.
        let asks = |nexus: Nexus| {
            let waits = lun.waiting.iter().any(|waiting| waiting.nexus == nexus);
            let kept_off = lun.legacy.is_some_and(|holder| holder != nexus);
            state.unit.wire(nexus).linked && lun.pending[usize::from(nexus.0)] != 0 && !waits && !kept_off
        };
        if self.instance.also.probes_first && self.nexuses().any(asks) {
            for nexus in self.nexuses().filter(|nexus| asks(*nexus)) {
                let probe = Command::Other(Name::TestUnitReady);
                if let Some(head) = state.unit.head(nexus) {
                    let count = readings(nexus, &head.command);
                    out.extend((0..count).map(|reading| Move::Dispatch(nexus, reading)));
                } else {
                    out.extend((0..readings(nexus, &probe)).map(|reading| Move::Probe(nexus, reading)));
                }
            }
            return;
        }
        for nexus in self.nexuses() {
            let wire = state.unit.wire(nexus);
            if let Some(head) = state.unit.head(nexus) {
                out.extend((0..readings(nexus, &head.command)).map(|reading| Move::Dispatch(nexus, reading)));
            }
            let count = |stage| {
                lun.tasks.iter().filter(|task| task.nexus == nexus && task.stage == stage).count() as u8
            };
            let (waiting, running) = (count(Stage::TaskSet), count(Stage::BackEnd));
            if waiting > 0 && !lun.is_barred() {
                out.push(Move::Submit(nexus));
            }
            out.extend((0..running).map(|nth| Move::Commit(nexus, nth)));
            if !wire.linked {
                if lun.accepts_login(self.base.rules(), nexus) {
                    out.push(Move::Return(nexus));
                }
                continue;
            }
            if self.instance.restart {
                out.push(Move::Lose(nexus));
            }
            if !wire.requests.is_empty() || lun.waiting.iter().any(|waiting| waiting.nexus == nexus) {
                continue;
            }
            if nexus.0 < self.instance.writers && waiting + running == 0 {
                out.push(Move::Write(nexus));
            }
            if lun.pending[usize::from(nexus.0)] != 0 {
                let probe = Command::Other(Name::TestUnitReady);
                out.extend((0..readings(nexus, &probe)).map(|reading| Move::Probe(nexus, reading)));
            }
            if self.instance.also.legacy {
                let counts =
                    (readings(nexus, &Command::LegacyReserve), readings(nexus, &Command::LegacyRelease));
                out.extend((0..counts.0).map(|reading| Move::Reserve(nexus, reading)));
                out.extend((0..counts.1).map(|reading| Move::Release(nexus, reading)));
                let told =
                    if self.instance.attentions && self.base.readings() == Readings::Every { 2 } else { 1 };
                out.extend((0..told).map(|reading| Move::LogOut(nexus, reading)));
            }
            if self.instance.also.functions {
                self.functions(state, nexus, |function| {
                    let count = readings(nexus, &Command::Manage(function));
                    out.extend((0..count).map(|reading| Move::Manage(nexus, function, reading)));
                });
            }
            self.orders(&lun.table, nexus, |order| {
                let count = readings(nexus, &Command::PrOut(order));
                out.extend((0..count).map(|reading| Move::Order(nexus, order, reading)));
            });
        }
        if self.instance.restart {
            out.push(Move::PowerCycle);
        }
        if lun.is_behind() && !self.design().has(Guard::PersistBeforeGood) {
            out.push(Move::Persist);
        }
    }

    fn next_state(&self, state: &State, step: Move) -> Option<State> {
        let mut next = state.clone();
        let mut choices = Vec::new();
        self.make(&mut next, step, &mut choices, &mut Log(None)).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Reservations>> {
        use crate::cluster::claims;
        let mut properties = vec![
            Property::always("lun/abort-is-final", |_, state: &State| !state.marks.has(Marks::AFTER_ABORT)),
            Property::always("lun/generation-steps", |_, state: &State| !state.marks.has(Marks::GENERATION)),
            Property::always("lun/reservation-ends-lawfully", |_, state: &State| {
                !state.marks.has(Marks::UNLAWFUL_END)
            }),
            Property::always("lun/holder-registered", |_, state: &State| {
                claims::holder_registered(&state.unit.lun.table)
            }),
            Property::always("lun/reservation-needs-registrant", |_, state: &State| {
                claims::reservation_needs_registrant(&state.unit.lun.table)
            }),
            Property::always("lun/single-holder", |_, state: &State| {
                claims::single_holder(&state.unit.lun.table)
            }),
            Property::sometimes("PREEMPT AND ABORT ends a command", |_, state: &State| {
                state.marks.has(Marks::ABORT_MATTERED)
            }),
            Property::sometimes("GOOD to PREEMPT AND ABORT waits", |_, state: &State| {
                !state.unit.lun.waiting.is_empty()
            }),
            Property::sometimes("a reservation ends", |_, state: &State| {
                state.marks.has(Marks::RESERVATION_ENDED)
            }),
            Property::sometimes("PRgeneration steps", |_, state: &State| {
                state.marks.has(Marks::GENERATION_STEPPED)
            }),
            Property::sometimes(
                "everybody is registered and somebody holds",
                |model: &Reservations, state: &State| {
                    let table = &state.unit.lun.table;
                    model.nexuses().all(|nexus| table.key(nexus) != Key(0)) && table.reservation.is_some()
                },
            ),
        ];
        if self.instance.also.legacy {
            properties.push(Property::always("lun/legacy-excludes-persistent", |_, state: &State| {
                state.unit.lun.legacy.is_none() || state.unit.lun.table.registered().is_empty()
            }));
            properties.push(Property::sometimes("the unit is reserved by RESERVE", |_, state: &State| {
                state.unit.lun.legacy.is_some()
            }));
        }
        if self.instance.also.functions {
            properties.push(Property::sometimes("a function waits for the back end", |_, state: &State| {
                state.unit.lun.waiting.iter().any(|waiting| waiting.function.is_some())
            }));
        }
        if self.instance.restart {
            properties.push(Property::always("lun/durable-with-aptpl", |_, state: &State| {
                !state.marks.has(Marks::TABLE_LOST)
            }));
            properties
                .push(Property::sometimes("the target comes up with a kept table", |_, state: &State| {
                    state.marks.has(Marks::TABLE_KEPT)
                }));
        }
        properties
    }
}
