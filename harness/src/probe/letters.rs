//! Which stories are tried: situations with every letter of an alphabet, all short words over a smaller one, and long random ones.
//!
//! A *situation* is a way to a table that is worth asking: who is registered, who holds what. Every letter is tried in each of them by each
//! seat, and afterwards everybody looks around, so that unit attentions and access show.

use super::player::Cast;
use super::story::{Ending, Flight, How, Order, Reset, Rk, Sark, Seat, Step};
use crate::sim::events::Stream;
use redline_vocab::{Name, PrIn, PrType, ServiceAction};

const A: Seat = Seat(0);
const B: Seat = Seat(1);
const C: Seat = Seat(2);

/// Steps of a random story, at least and at most.
const LENGTH: (u64, u64) = (8, 40);

/// Writes that are under way at once.
const FLIGHT_WRITES: u8 = 4;

fn register(seat: Seat) -> Step {
    Step::PrOut(seat, Order::new(ServiceAction::Register).naming(Sark::First))
}

fn reserve(seat: Seat, kind: PrType) -> Step {
    Step::PrOut(seat, Order::new(ServiceAction::Reserve).of(kind))
}

fn registers(seats: &[Seat]) -> Vec<Step> {
    seats.iter().map(|seat| register(*seat)).collect()
}

/// The ways to the situations.
pub fn situations(cast: Cast) -> Vec<Vec<Step>> {
    let mut all = vec![Vec::new(), registers(&[A]), registers(&[A, B])];
    for kind in PrType::ALL {
        let mut steps = registers(&[A, B]);
        steps.push(reserve(A, kind));
        all.push(steps);
    }
    let third = if cast.seats > 2 { vec![A, B, C] } else { vec![A, B] };
    for kind in [PrType::WriteExclusiveRegistrantsOnly, PrType::ExclusiveAccessAllRegistrants] {
        let mut steps = registers(&third);
        steps.push(reserve(B, kind));
        all.push(steps);
        all.push(vec![register(A), reserve(A, kind)]);
    }
    // Two that share a key, under a third one's or their own reservation.
    for holder in [A, *third.last().expect("there are two at least")] {
        let share = Order::new(ServiceAction::Register).naming(Sark::Shared);
        let mut steps = vec![Step::PrOut(A, share), Step::PrOut(B, share)];
        if holder != A && holder != B {
            steps.push(register(holder));
        }
        steps.push(reserve(holder, PrType::WriteExclusiveRegistrantsOnly));
        all.push(steps);
    }
    // B has news waiting, which its next command meets.
    let release = Order::new(ServiceAction::Release).of(PrType::WriteExclusiveRegistrantsOnly);
    let mut steps = registers(&[A, B]);
    steps.extend([reserve(A, PrType::WriteExclusiveRegistrantsOnly), Step::PrOut(A, release)]);
    all.push(steps);
    all.push(vec![Step::LegacyReserve(A)]);
    // Registrations that survive power loss, with and without a reservation.
    let lasting = |seat| {
        let order = Order { aptpl: true, ..Order::new(ServiceAction::Register).naming(Sark::First) };
        Step::PrOut(seat, order)
    };
    all.push(vec![lasting(A), lasting(B)]);
    all.push(vec![lasting(A), lasting(B), reserve(A, PrType::WriteExclusiveRegistrantsOnly)]);
    all
}

/// What is tried in each situation, what matters most first: a test that is cut short has seen it.
pub fn letters(cast: Cast, power: bool) -> Vec<Step> {
    let mut all = Vec::new();
    // They are few, and nothing else looks at the other target ports of one command: they come right after the first flights.
    let mut paths = Vec::new();
    if cast.ports > 1 {
        for seat in cast.seats() {
            paths.extend(path_orders(cast, seat).map(|order| Step::PrOut(seat, order)));
        }
    }
    for by in cast.seats() {
        for victim in cast.seats().filter(|victim| *victim != by) {
            all.extend(flights(victim, by).map(Step::Flight));
            all.append(&mut paths);
        }
    }
    if power {
        all.push(Step::PowerCycle);
    }
    let hows = || How::ALL.into_iter().filter(|how| cast.has_second() || !how.changes_nexus());
    for seat in cast.seats() {
        all.extend(hows().map(|how| Step::Reconnect(seat, how)));
        all.extend(Reset::ALL.map(|reset| Step::Reset(seat, reset)));
        all.extend([Step::Read(seat), Step::Write(seat), Step::Flush(seat)]);
        all.extend([Step::LegacyReserve(seat), Step::LegacyRelease(seat)]);
        all.extend(PrIn::ALL.map(|what| Step::PrIn(seat, what)));
        all.extend(OTHERS.map(|name| Step::Other(seat, name)));
    }
    for seat in cast.seats() {
        orders(cast, seat, &mut |order| all.push(Step::PrOut(seat, order)));
    }
    all
}

/// Commands that only look.
const OTHERS: [Name; 6] = [
    Name::TestUnitReady,
    Name::Inquiry,
    Name::ReadCapacity,
    Name::ReportLuns,
    Name::ModeSense,
    Name::ReportSupportedOperationCodes,
];

fn flights(victim: Seat, by: Seat) -> [Flight; 6] {
    let kind = PrType::WriteExclusiveRegistrantsOnly.code();
    let flight = |ending| Flight { victim, by, ending, writes: FLIGHT_WRITES, withheld: true, kind };
    [
        flight(Ending::PreemptAndAbort),
        flight(Ending::Preempt),
        flight(Ending::Session(How::Drop)),
        flight(Ending::Session(How::Reinstate)),
        flight(Ending::Session(How::Logout)),
        flight(Ending::LogicalUnitReset),
    ]
}

/// Every PERSISTENT RESERVE OUT that is worth asking of a seat.
fn orders(cast: Cast, seat: Seat, give: &mut dyn FnMut(Order)) {
    use ServiceAction::*;
    for (key, service) in [
        (Rk::Right, Sark::First),
        (Rk::Right, Sark::Second),
        (Rk::Right, Sark::Zero),
        (Rk::Wrong, Sark::Second),
        (Rk::Zero, Sark::Second),
    ] {
        give(Order::new(Register).naming(service).under(key));
    }
    for service in [Sark::Second, Sark::Zero] {
        give(Order::new(RegisterAndIgnoreExistingKey).naming(service).under(Rk::Wrong));
        give(Order { aptpl: true, ..Order::new(RegisterAndIgnoreExistingKey).naming(service) });
    }
    // SPEC_I_PT names initiator ports, at the target port of the sender.
    let beside = |other: &Seat| *other != seat && cast.port(*other) == cast.port(seat);
    for other in cast.seats().filter(beside) {
        give(Order { with: Some(other), ..Order::new(Register).naming(Sark::First) });
    }
    if cast.ports == 1 && cast.sees_all_ports {
        give(Order { all_ports: true, ..Order::new(Register).naming(Sark::First) });
    }
    for action in [Reserve, Release] {
        PrType::ALL.into_iter().for_each(|kind| give(Order::new(action).of(kind)));
        let order = Order::new(action).of(PrType::WriteExclusiveRegistrantsOnly);
        give(order.under(Rk::Wrong));
        give(order.under(Rk::Zero));
        give(Order { scope: 1, ..order });
        give(Order { kind: 2, ..order });
    }
    [Rk::Right, Rk::Wrong].into_iter().for_each(|key| give(Order::new(Clear).under(key)));
    let others = || cast.seats().filter(move |other| *other != seat);
    for action in [Preempt, PreemptAndAbort] {
        let order = Order::new(action).of(PrType::WriteExclusiveRegistrantsOnly);
        let keys = [Sark::Zero, Sark::Own, Sark::Nobody].into_iter().chain(others().map(Sark::Of));
        for service in keys {
            give(order.naming(service));
            give(order.naming(service).of(PrType::ExclusiveAccess));
        }
        let first = others().next().expect("there are two seats at least");
        give(order.naming(Sark::Of(first)).under(Rk::Wrong));
        give(Order { kind: 2, ..order.naming(Sark::Of(first)) });
    }
    for to in others() {
        let order = Order { to: Some(to), ..Order::new(RegisterAndMove).naming(Sark::Second) };
        give(order);
        give(Order { unreg: true, ..order });
        give(order.naming(Sark::Zero));
        give(order.under(Rk::Wrong));
    }
    give(Order { to: Some(seat), ..Order::new(RegisterAndMove).naming(Sark::Second) });
}

/// Registering and unregistering on every target port.
fn path_orders(cast: Cast, seat: Seat) -> impl Iterator<Item = Order> {
    use ServiceAction::{Register, RegisterAndIgnoreExistingKey};
    let orders = [
        Order::new(Register).naming(Sark::First),
        Order::new(Register).naming(Sark::Second),
        Order::new(Register),
        Order::new(RegisterAndIgnoreExistingKey).naming(Sark::Second),
    ];
    let reaches = cast.reaches_all_ports(seat);
    orders.into_iter().filter(move |_| reaches).map(|order| Order { all_ports: true, ..order })
}

/// After a letter everybody looks around: what they are told, whether they may read and write.
pub fn look_around(cast: Cast) -> Vec<Step> {
    let look = |seat| [Step::Other(seat, Name::TestUnitReady), Step::Read(seat), Step::Write(seat)];
    cast.seats().flat_map(look).collect()
}

/// The alphabet whose short words are all tried.
pub fn small_alphabet() -> Vec<Step> {
    use ServiceAction::*;
    let mut all = Vec::new();
    for (seat, other) in [(A, B), (B, A)] {
        let wero = |action| Order::new(action).of(PrType::WriteExclusiveRegistrantsOnly);
        all.extend([
            register(seat),
            Step::PrOut(seat, Order::new(Register)),
            reserve(seat, PrType::WriteExclusive),
            Step::PrOut(seat, wero(Reserve)),
            reserve(seat, PrType::ExclusiveAccessAllRegistrants),
            Step::PrOut(seat, wero(Release)),
            Step::PrOut(seat, Order::new(Clear)),
            Step::PrOut(seat, wero(Preempt).naming(Sark::Of(other))),
            Step::PrOut(seat, wero(Preempt)),
            Step::Write(seat),
        ]);
    }
    all
}

/// All words of this length over the small alphabet, by number; `None` past the last.
pub fn word(alphabet: &[Step], length: u32, number: u64) -> Option<Vec<Step>> {
    let base = alphabet.len() as u64;
    if number >= base.checked_pow(length)? {
        return None;
    }
    let digit = |at: u32| usize::try_from(number / base.pow(at) % base).expect("smaller than the alphabet");
    Some((0..length).rev().map(|at| alphabet[digit(at)]).collect())
}

/// A long random story. Most of its steps make sense: registrations come before reservations, keys are mostly right.
pub fn random(cast: Cast, letters: &[Step], seed: u64) -> Vec<Step> {
    let mut dice = Stream::new(seed, "probe");
    let length = LENGTH.0 + dice.below(LENGTH.1 - LENGTH.0 + 1);
    let mut steps = Vec::new();
    for _ in 0..length {
        let seat = Seat(u8::try_from(dice.below(cast.seats.into())).expect("few seats"));
        let kind = PrType::ALL[dice.below(6) as usize];
        steps.push(match dice.below(10) {
            0 | 1 => register(seat),
            2 => reserve(seat, kind),
            3 => Step::Write(seat),
            4 => Step::Other(seat, Name::TestUnitReady),
            _ => letters[dice.below(letters.len() as u64) as usize],
        });
    }
    steps
}
