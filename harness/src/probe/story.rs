//! What the probe does to a target, as a value: drawn or enumerated, kept on disk, reduced, carried out again.
//!
//! Steps speak of *seats* and of keys by what they mean ("the right key", "the key of B"), not by number: a story keeps its sense when
//! steps are left out of it. A seat is one initiator port of the probe; it gets another ISID, and so becomes another nexus, where a step says so.

use redline_vocab::{Command, Function, Key, Name, PortList, PrIn, PrOut, PrType, ServiceAction, Status};
use serde::{Deserialize, Serialize};
use std::fmt;

/// One initiator port of the probe, counted from 0; A, B, C in words.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Seat(pub u8);

impl fmt::Display for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", char::from(b'A'.saturating_add(self.0)))
    }
}

/// The RESERVATION KEY field by its meaning.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rk {
    /// The key under which the sender is registered; 0 if it is not.
    Right,
    /// A key under which nobody is registered.
    Wrong,
    /// 0.
    Zero,
}

/// The SERVICE ACTION RESERVATION KEY field by its meaning.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sark {
    /// 0.
    Zero,
    /// The seat's first key.
    First,
    /// The seat's second key.
    Second,
    /// A key that several seats use.
    Shared,
    /// The key under which the sender is registered; 0 if it is not.
    Own,
    /// The key under which that seat is registered; 0 if it is not.
    Of(Seat),
    /// A key under which nobody is registered.
    Nobody,
}

/// A PERSISTENT RESERVE OUT by its meaning.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// What to do.
    pub action: ServiceAction,
    /// RESERVATION KEY.
    pub key: Rk,
    /// SERVICE ACTION RESERVATION KEY.
    pub service_key: Sark,
    /// TYPE field.
    pub kind: u8,
    /// SCOPE field.
    pub scope: u8,
    /// APTPL.
    pub aptpl: bool,
    /// REGISTER AND MOVE: unregister the sender.
    pub unreg: bool,
    /// REGISTER AND MOVE: to whom.
    pub to: Option<Seat>,
    /// SPEC_I_PT: register this seat as well.
    pub with: Option<Seat>,
    /// ALL_TG_PT.
    pub all_ports: bool,
}

impl Order {
    /// With the right key and every other field zero.
    pub const fn new(action: ServiceAction) -> Order {
        Order {
            action,
            key: Rk::Right,
            service_key: Sark::Zero,
            kind: 0,
            scope: 0,
            aptpl: false,
            unreg: false,
            to: None,
            with: None,
            all_ports: false,
        }
    }

    /// With this type.
    #[must_use]
    pub const fn of(self, kind: PrType) -> Order {
        Order { kind: kind.code(), ..self }
    }

    /// With this service action key.
    #[must_use]
    pub const fn naming(self, service_key: Sark) -> Order {
        Order { service_key, ..self }
    }

    /// With this reservation key.
    #[must_use]
    pub const fn under(self, key: Rk) -> Order {
        Order { key, ..self }
    }
}

/// How a session ends, and what comes after it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// The TCP connection breaks; login with the same ISID.
    Drop,
    /// Logout; login with the same ISID.
    Logout,
    /// Login with the same ISID while the session is alive.
    Reinstate,
    /// The TCP connection breaks; login with another ISID.
    DropNewIsid,
    /// Logout; login with another ISID.
    LogoutNewIsid,
}

impl How {
    /// All of them.
    pub const ALL: [How; 5] = [How::Drop, How::Logout, How::Reinstate, How::DropNewIsid, How::LogoutNewIsid];

    /// Whether the seat becomes another nexus.
    pub const fn changes_nexus(self) -> bool {
        matches!(self, How::DropNewIsid | How::LogoutNewIsid)
    }

    /// In words.
    pub const fn words(self) -> &'static str {
        match self {
            How::Drop => "its TCP connection breaks; login with the same ISID",
            How::Logout => "logout; login with the same ISID",
            How::Reinstate => "session reinstatement (login with the same ISID while the session is alive)",
            How::DropNewIsid => "its TCP connection breaks; login with a new ISID",
            How::LogoutNewIsid => "logout; login with a new ISID",
        }
    }
}

/// A reset.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reset {
    /// LOGICAL UNIT RESET
    LogicalUnit,
    /// TARGET WARM RESET
    TargetWarm,
    /// TARGET COLD RESET: the connections go as well.
    TargetCold,
}

impl Reset {
    /// All of them.
    pub const ALL: [Reset; 3] = [Reset::LogicalUnit, Reset::TargetWarm, Reset::TargetCold];

    /// The task management function.
    pub const fn function(self) -> Function {
        match self {
            Reset::LogicalUnit => Function::LogicalUnitReset,
            Reset::TargetWarm => Function::TargetWarmReset,
            Reset::TargetCold => Function::TargetColdReset,
        }
    }
}

/// What ends the writes of a [`Flight`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// The other seat preempts the victim's key.
    Preempt,
    /// The other seat preempts the victim's key and aborts.
    PreemptAndAbort,
    /// The victim's session ends in this way.
    Session(How),
    /// The other seat resets the logical unit.
    LogicalUnitReset,
}

/// Writes that are under way when something ends them. Afterwards the medium is read twice: at once, and after everything that
/// was withheld has been sent and had time to land.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flight {
    /// Whose writes.
    pub victim: Seat,
    /// Who ends them, and reads the medium.
    pub by: Seat,
    /// How.
    pub ending: Ending,
    /// Whole writes, one block each, all sent before the first answer is awaited.
    pub writes: u8,
    /// One more, whose Data-Out is kept back until after the end.
    pub withheld: bool,
    /// TYPE field of the preemption.
    pub kind: u8,
}

/// One step of a story.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// PERSISTENT RESERVE OUT.
    PrOut(Seat, Order),
    /// PERSISTENT RESERVE IN.
    PrIn(Seat, PrIn),
    /// READ of the scratch range.
    Read(Seat),
    /// WRITE of the seat's block of the scratch range.
    Write(Seat),
    /// SYNCHRONIZE CACHE.
    Flush(Seat),
    /// RESERVE(6) of SPC-2.
    LegacyReserve(Seat),
    /// RELEASE(6) of SPC-2.
    LegacyRelease(Seat),
    /// A reset.
    Reset(Seat, Reset),
    /// Another command.
    Other(Seat, Name),
    /// The seat's session ends, and it logs in again.
    Reconnect(Seat, How),
    /// Writes under way.
    Flight(Flight),
    /// The target loses its power and comes up again.
    PowerCycle,
}

impl Step {
    /// Whether so many seats are enough for it.
    pub fn is_within(&self, seats: u8) -> bool {
        let named: Vec<Seat> = match self {
            Step::PrOut(seat, order) => {
                let key = match order.service_key {
                    Sark::Of(other) => Some(other),
                    Sark::Zero | Sark::First | Sark::Second | Sark::Shared | Sark::Own | Sark::Nobody => None,
                };
                [Some(*seat), key, order.to, order.with].into_iter().flatten().collect()
            }
            Step::PrIn(seat, _)
            | Step::Read(seat)
            | Step::Write(seat)
            | Step::Flush(seat)
            | Step::LegacyReserve(seat)
            | Step::LegacyRelease(seat)
            | Step::Reset(seat, _)
            | Step::Other(seat, _)
            | Step::Reconnect(seat, _) => vec![*seat],
            Step::Flight(flight) => vec![flight.victim, flight.by],
            Step::PowerCycle => Vec::new(),
        };
        named.iter().all(|seat| seat.0 < seats)
    }

    /// In words, keys by their meaning.
    pub fn words(&self) -> String {
        match self {
            Step::PrOut(seat, order) => format!("{seat}: {}", order.words()),
            Step::PrIn(seat, what) => format!("{seat}: {}", pr_in_words(*what)),
            Step::Read(seat) => format!("{seat}: READ"),
            Step::Write(seat) => format!("{seat}: WRITE"),
            Step::Flush(seat) => format!("{seat}: SYNCHRONIZE CACHE"),
            Step::LegacyReserve(seat) => format!("{seat}: RESERVE (SPC-2)"),
            Step::LegacyRelease(seat) => format!("{seat}: RELEASE (SPC-2)"),
            Step::Reset(seat, reset) => format!("{seat}: {}", reset.function().name()),
            Step::Other(seat, name) => format!("{seat}: {}", name.text()),
            Step::Reconnect(seat, how) => format!("{seat}: {}", how.words()),
            Step::Flight(flight) => flight.words(),
            Step::PowerCycle => "power cycle of the target".to_owned(),
        }
    }
}

impl Order {
    /// In words, keys by their meaning.
    pub fn words(&self) -> String {
        let key = match self.key {
            Rk::Right => "",
            Rk::Wrong => ", wrong key",
            Rk::Zero => ", key 0",
        };
        let service = match self.service_key {
            Sark::Zero => ", service action key 0".to_owned(),
            Sark::First => ", service action key: its first".to_owned(),
            Sark::Second => ", service action key: its second".to_owned(),
            Sark::Shared => ", service action key: the shared one".to_owned(),
            Sark::Own => ", service action key: its own".to_owned(),
            Sark::Of(seat) => format!(", service action key: {seat}'s"),
            Sark::Nobody => ", service action key: nobody's".to_owned(),
        };
        let kind = match PrType::from_code(self.kind) {
            Some(kind) => format!(", type {}", kind.short()),
            None if self.kind == 0 => String::new(),
            None => format!(", type {:X}h", self.kind),
        };
        let to = self.to.map(|seat| format!(", to {seat}")).unwrap_or_default();
        let with = self.with.map(|seat| format!(", SPEC_I_PT with {seat}")).unwrap_or_default();
        let aptpl = if self.aptpl { ", APTPL" } else { "" };
        let unreg = if self.unreg { ", UNREG" } else { "" };
        let all = if self.all_ports { ", ALL_TG_PT" } else { "" };
        format!("{}{key}{service}{kind}{to}{with}{aptpl}{unreg}{all}", self.action.name())
    }
}

impl Flight {
    fn words(&self) -> String {
        let Flight { victim, by, writes, .. } = self;
        let more = if self.withheld { ", and one more whose Data-Out is kept back" } else { "" };
        let end = match self.ending {
            Ending::Preempt => format!("{by}: PREEMPT of {victim}'s key"),
            Ending::PreemptAndAbort => format!("{by}: PREEMPT AND ABORT of {victim}'s key"),
            Ending::Session(how) => format!("{victim}: {}", how.words()),
            Ending::LogicalUnitReset => format!("{by}: LOGICAL UNIT RESET"),
        };
        format!("{victim}: {writes} writes at once{more}; then {end}; then {by} reads, twice")
    }
}

/// A command as it goes out, keys as numbers.
pub fn command_words(command: &Command) -> String {
    match command {
        Command::PrOut(order) => pr_out_words(order),
        Command::PrIn(what) => pr_in_words(*what).to_owned(),
        Command::Read(extent) => format!("READ {} block(s) at {}", extent.blocks, extent.lba.0),
        Command::Write { extent, .. } => format!("WRITE {} block(s) at {}", extent.blocks, extent.lba.0),
        Command::Manage(function) => function.name().to_owned(),
        other => other.name().map_or("", Name::text).to_owned(),
    }
}

fn pr_out_words(order: &PrOut) -> String {
    let Key(key) = order.key;
    let Key(service) = order.service_key;
    let kind = match PrType::from_code(order.kind) {
        Some(kind) => format!(" type {}", kind.short()),
        None if order.kind == 0 => String::new(),
        None => format!(" type {:X}h", order.kind),
    };
    let scope = if order.scope == 0 { String::new() } else { format!(" scope {:X}h", order.scope) };
    let aptpl = if order.aptpl { " APTPL=1" } else { "" };
    let unreg = if order.unreg { " UNREG=1" } else { "" };
    let spec = if order.spec_i_pt == PortList::Absent { "" } else { " SPEC_I_PT=1" };
    let all = if order.all_tg_pt == PortList::Absent { "" } else { " ALL_TG_PT=1" };
    format!(
        "{} key {key:#x} service action key {service:#x}{kind}{scope}{aptpl}{unreg}{spec}{all}",
        order.action.name()
    )
}

/// The standard's name of a PERSISTENT RESERVE IN service action.
pub const fn pr_in_words(what: PrIn) -> &'static str {
    match what {
        PrIn::ReadKeys => "READ KEYS",
        PrIn::ReadReservation => "READ RESERVATION",
        PrIn::ReportCapabilities => "REPORT CAPABILITIES",
        PrIn::ReadFullStatus => "READ FULL STATUS",
    }
}

/// A status, short: sense codes without their text.
pub fn status_words(status: Status) -> String {
    match status {
        Status::CheckCondition(sense) => {
            format!("CHECK CONDITION {:02X}/{:02X}/{:02X}", sense.key, sense.asc, sense.ascq)
        }
        other => other.to_string(),
    }
}
