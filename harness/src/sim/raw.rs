//! Raw initiators: any command may come at any time, in any order that the transport allows.
//!
//! A random walk over the world's actions. Guest cluster nodes use a small part of the persistent reservations;
//! this reaches the rest of it, and every wrong use, so that the target is judged as a whole.

use super::events::{Stream, Totals};
use super::world::{Notice, Setup, World};
use crate::scenario::Scenario;
use redline_vocab::{
    Action, Command, Epoch, Event, Extent, Function, Key, Lba, Micros, Name, Nexus, Nexuses, NodeId,
    PortList, PrIn, PrOut, PrType, Quirks, Record, Serial, ServiceAction, Tag,
};
use std::sync::Arc;

/// Blocks of the unit: few, so that accesses meet.
pub const BLOCKS: u64 = 8;
/// Commands of one nexus that may be under way.
const OUTSTANDING_MAX: usize = 6;
/// Between two steps of the walk, virtual time.
const STEP: u64 = 100;

/// The world of a raw run: the scenario's target, as many initiators as its cluster has nodes.
pub fn setup(scenario: &Scenario, quirks: Quirks) -> Arc<Setup> {
    let mut target = scenario.target();
    target.blocks = BLOCKS;
    // Few enough that they run out now and then.
    target.tasks_max = 4;
    Arc::new(Setup { target, guests: Vec::new(), nodes: scenario.cluster.nodes, quirks, write_cache: false })
}

/// Walks until there are so many events.
pub fn run<S: FnMut(Micros, &Event)>(
    setup: &Arc<Setup>,
    seed: u64,
    events_min: u32,
    stop: &dyn Fn() -> bool,
    sink: S,
) -> Totals {
    walk(setup, seed, events_min, stop, sink, |_| {})
}

/// The choices that the walk takes.
pub fn choices(setup: &Arc<Setup>, seed: u64, events_min: u32) -> Vec<Action> {
    let mut choices = Vec::new();
    walk(setup, seed, events_min, &|| false, |_, _| {}, |action| choices.push(action));
    choices
}

/// Makes these choices in their order; what is not possible is passed over.
pub fn follow<S: FnMut(Micros, &Event)>(setup: &Arc<Setup>, choices: &[Action], mut sink: S) {
    let mut notices = Vec::new();
    let mut world = World::new(Arc::clone(setup), &mut notices);
    for (now, choice) in (0..).map(|step| Micros(step * STEP)).zip(choices.iter().map(Some).chain([None])) {
        for notice in notices.drain(..) {
            if let Notice::Event(event) = notice {
                sink(now, &event);
            }
        }
        if let Some(choice) = choice {
            // Refused: something that it depends on was left out.
            let _ = world.apply(*choice, &mut notices);
        }
    }
}

fn walk<S: FnMut(Micros, &Event)>(
    setup: &Arc<Setup>,
    seed: u64,
    events_min: u32,
    stop: &dyn Fn() -> bool,
    mut sink: S,
    mut taken: impl FnMut(Action),
) -> Totals {
    let mut notices = Vec::new();
    let mut world = World::new(Arc::clone(setup), &mut notices);
    let mut dice = Stream::new(seed, "raw");
    let mut totals = Totals::default();
    let mut serial = 0;
    let mut actions = Vec::new();
    let mut now = 0;
    // Rare faults make long quiet times in which tables fill and reservations are fought for.
    let fault_rate = 1 + dice.below(30);
    loop {
        for notice in notices.drain(..) {
            if let Notice::Event(event) = notice {
                totals.events += 1;
                sink(Micros(now), &event);
            }
        }
        if totals.events >= u64::from(events_min) {
            break;
        }
        if stop() {
            totals.cut = true;
            break;
        }
        now += STEP;
        actions.clear();
        world.enabled(&mut actions);
        actions.retain(|action| !is_fault(action) || dice.permille(fault_rate));
        let nexus = Nexus(dice.below(u64::from(setup.nodes)) as u8);
        let room = world.wire(nexus).up && world.wire(nexus).requests.len() < OUTSTANDING_MAX;
        if room && (actions.is_empty() || dice.permille(350)) {
            serial += 1;
            let command = draw(&world, nexus, serial, &mut dice);
            taken(Action::Command(nexus, command));
            let sent = world.apply(Action::Command(nexus, command), &mut notices);
            debug_assert!(sent.is_ok(), "the connection is up");
            totals.operations += 1;
        } else if !actions.is_empty() {
            let action = actions[dice.below(actions.len() as u64) as usize];
            if let (true, Some(kind)) = (is_fault(&action), kind(&action)) {
                totals.faults[kind] += 1;
            }
            taken(action);
            let done = world.apply(action, &mut notices);
            debug_assert!(done.is_ok(), "{action:?} was offered: {done:?}");
        }
    }
    totals.until = Micros(now);
    totals
}

const fn is_fault(action: &Action) -> bool {
    matches!(action, Action::Break(_) | Action::Expire(_) | Action::Logout(_) | Action::PowerCycle)
}

/// Where it is counted, in the order of [`redline_vocab::FaultKind::ALL`].
fn kind(action: &Action) -> Option<usize> {
    match action {
        Action::Break(_) => Some(redline_vocab::FaultKind::ConnectionReset as usize),
        Action::PowerCycle => Some(redline_vocab::FaultKind::PowerCycle as usize),
        _ => None,
    }
}

const KEYS: [Key; 3] = [Key(0x0a), Key(0x0b), Key(0x0c)];

fn draw(world: &World, nexus: Nexus, serial: u32, dice: &mut Stream) -> Command {
    match dice.below(22) {
        20 => legacy(world, nexus, dice),
        21 => Command::Manage(function(world, nexus, dice)),
        0..=2 => Command::Write { extent: extent(dice), record: record(nexus, serial) },
        3 => Command::Read(extent(dice)),
        4 => Command::SynchronizeCache,
        5..=6 => Command::PrIn(PrIn::ALL[dice.below(PrIn::ALL.len() as u64) as usize]),
        7 => Command::Other(other(dice)),
        _ => Command::PrOut(order(world, nexus, dice)),
    }
}

fn record(nexus: Nexus, serial: u32) -> Record {
    Record { writer: NodeId(nexus.0), epoch: Epoch(0), serial: Serial(serial) }
}

fn extent(dice: &mut Stream) -> Extent {
    // Now and then beyond the end.
    let lba = if dice.permille(20) { BLOCKS } else { dice.below(BLOCKS) };
    let blocks = 1 + dice.below(2) as u16;
    Extent { lba: Lba(lba), blocks: if lba < BLOCKS { blocks.min((BLOCKS - lba) as u16) } else { blocks } }
}

fn other(dice: &mut Stream) -> Name {
    loop {
        let name = Name::ALL[dice.below(Name::ALL.len() as u64) as usize];
        // These have a command of their own.
        let own = matches!(
            name,
            Name::Read
                | Name::Write
                | Name::SynchronizeCache
                | Name::PersistentReserveIn
                | Name::PersistentReserveOut
                | Name::LegacyReserve
                | Name::LegacyRelease
        );
        if !own {
            return name;
        }
    }
}

/// Mostly nobody; else whom chance picks, and now and then a nexus that never logs in.
fn ports(world: &World, dice: &mut Stream) -> PortList {
    match dice.below(20) {
        0 => PortList::Invalid,
        1..=2 => {
            let nexuses = (0..=world.setup().nodes).map(Nexus).filter(|_| dice.permille(350));
            PortList::Of(nexuses.collect::<Nexuses>())
        }
        _ => PortList::Absent,
    }
}

/// A task management function; those that concern everybody are rare, as they end everything that is under way.
fn function(world: &World, nexus: Nexus, dice: &mut Stream) -> Function {
    let own: Vec<Tag> = world.target().tags(nexus).collect();
    match dice.below(40) {
        0..=19 if !own.is_empty() => Function::AbortTask(own[dice.below(own.len() as u64) as usize]),
        0..=22 => Function::AbortTask(Tag(1 + dice.below(1000) as u32)),
        23..=29 => Function::AbortTaskSet,
        30..=33 => Function::ClearTaskSet,
        34..=37 => Function::LogicalUnitReset,
        38 => Function::TargetWarmReset,
        _ => Function::TargetColdReset,
    }
}

/// RESERVE and RELEASE: who has the unit gives it back soon, or everything else would only be refused.
fn legacy(world: &World, nexus: Nexus, dice: &mut Stream) -> Command {
    let holds = world.target().legacy_holder() == Some(nexus);
    if dice.permille(if holds { 800 } else { 300 }) { Command::LegacyRelease } else { Command::LegacyReserve }
}

fn order(world: &World, nexus: Nexus, dice: &mut Stream) -> PrOut {
    let view = world.target().view();
    let registered = view.registrants.iter().find(|(of, _)| *of == nexus).map(|(_, key)| *key);
    let any = |dice: &mut Stream| KEYS[dice.below(KEYS.len() as u64) as usize];
    let action = ServiceAction::ALL[dice.below(ServiceAction::ALL.len() as u64) as usize];
    let mut order = PrOut::new(action);
    // Mostly the right key, or most commands would only be refused.
    order.key = if dice.permille(900) { registered.unwrap_or(Key(0)) } else { any(dice) };
    order.service_key = if dice.permille(150) { Key(0) } else { any(dice) };
    order.kind = match (dice.below(10), view.reservation) {
        (0, _) => dice.below(16) as u8,
        (1..=4, Some(held)) => held.kind.code(),
        _ => PrType::ALL[dice.below(PrType::ALL.len() as u64) as usize].code(),
    };
    order.scope = u8::from(dice.permille(20));
    order.aptpl = dice.permille(500);
    order.spec_i_pt = ports(world, dice);
    order.all_tg_pt = ports(world, dice);
    order.unreg = dice.permille(400);
    if action == ServiceAction::RegisterAndMove && !dice.permille(50) {
        order.destination = Some(Nexus(dice.below(u64::from(world.setup().nodes)) as u8));
    }
    order
}
