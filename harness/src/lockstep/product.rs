//! From fabric to model: each step that the fabric can make at small bounds, shown to the model.

use super::{Difference, Found, Pairs, Step, events, explore};
use crate::conform::{Worlds, WorldsMoved, words};
use crate::replay;
use crate::scenario::Scenario;
use crate::sim::{Setup, World, rank};
use redline_traces::{Arm, Header, Initiators};
use redline_vocab::{
    Action, Command, Design, Event, Extent, Function, Key, Lba, Micros, Nexus, Nexuses, NodeId, PortList,
    PrIn, PrOut, PrType, Quirks, Record, Serial, ServiceAction, Tag,
};
use rustc_hash::FxHasher;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// How often each thing may happen in one history of [`product`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Budget {
    /// Writes.
    pub writes: u8,
    /// Begins of arbitration.
    pub challenges: u8,
    /// Rounds of defence.
    pub defends: u8,
    /// Stalls, broken connections, crashes, power cycles.
    pub faults: u8,
    /// Commands of raw initiators.
    pub commands: u8,
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "2 guests: writes {}, challenges {}, defends {}, faults {}; 2 raw initiators: commands {}, writes {}, faults {}",
            self.writes, self.challenges, self.defends, self.faults, self.commands, self.writes, self.faults
        )
    }
}

/// Bounds at which `verify` explores.
pub const BOUNDS: Budget = Budget { writes: 1, challenges: 2, defends: 1, faults: 1, commands: 3 };

#[derive(Clone)]
struct Pair {
    world: World,
    worlds: Worlds,
    left: Budget,
    /// From which pair it was first reached, and by which action.
    from: (u32, Action),
    /// Its number, for the way back.
    number: u32,
}

/// Shows every step of the scenario's fabric, and of raw initiators on its array, to the model.
pub fn product(scenario: &Scenario, bounds: Budget, stop: &AtomicBool, told: &mut dyn FnMut(u64)) -> Found {
    let mut total = Found::NOTHING;
    for initiators in [Initiators::Guests, Initiators::Raw] {
        let found = product_of(scenario, initiators, Quirks::NONE, bounds, stop, told);
        total.states += found.states;
        total.transitions += found.transitions;
        total.cut |= found.cut;
        total.difference = total.difference.or(found.difference);
        if total.cut || total.difference.is_some() {
            break;
        }
    }
    total
}

/// The same for one kind of initiators and a fabric with these bugs.
///
/// # Panics
/// If the scenario describes a world that the model does not have; its checks rule that out.
pub fn product_of(
    scenario: &Scenario,
    initiators: Initiators,
    quirks: Quirks,
    bounds: Budget,
    stop: &AtomicBool,
    told: &mut dyn FnMut(u64),
) -> Found {
    let mut small = scenario.clone();
    small.cluster.nodes = 2;
    small.design = Design::SOUND;
    let header = Header {
        arm: Arm::Exploration,
        blocks: 1,
        nodes: 2,
        nexuses: 2,
        ..crate::chaos::header(&small, initiators, 0, quirks)
    };
    let setup = small_setup(&small, &header, quirks);
    let mut search = Search { parents: Vec::new(), setup: Arc::clone(&setup) };
    let mut notices = Vec::new();
    let world = World::new(setup, &mut notices);
    let mut worlds =
        Worlds::new(&header, STATES_MAX).expect("two nodes and two nexuses are a world of the model");
    for event in events(notices) {
        if let Some(difference) = search.shown(&mut worlds, &event, 0, None) {
            return Found { transitions: 1, difference: Some(difference), ..Found::NOTHING };
        }
    }
    let mut first = Pair { world, worlds, left: bounds, from: (0, Action::PowerCycle), number: 0 };
    explore(&mut search, vec![(canonical(&mut first), first)], stop, told)
}

/// Candidate states beyond which a search gives up; small bounds have very few.
const STATES_MAX: usize = 1000;

fn small_setup(scenario: &Scenario, header: &Header, quirks: Quirks) -> Arc<Setup> {
    let mut setup = (*replay::setup(scenario, header, quirks)).clone();
    for guest in &mut setup.guests {
        guest.depth = 1;
        guest.queue_max = 1;
    }
    Arc::new(setup)
}

/// Brings the pair into canonical form; its key.
fn canonical(pair: &mut Pair) -> u64 {
    let mut tags = pair.world.live_tags();
    pair.worlds.tags(&mut |nexus, tag| tags[usize::from(nexus.0)].push(*tag));
    for of_nexus in &mut tags {
        of_nexus.sort_unstable();
        of_nexus.dedup();
    }
    let generation = pair.world.target().view().generation;
    pair.worlds.canonical(&|nexus: Nexus, tag: Tag| rank(&tags, nexus, tag), generation);
    pair.world.canonical(&tags);
    let mut hasher = FxHasher::default();
    pair.world.hash(&mut hasher);
    pair.worlds.hash(&mut hasher);
    pair.left.hash(&mut hasher);
    hasher.finish()
}

struct Search {
    /// By number of the pair: from which it was reached, by which action.
    parents: Vec<(u32, Action)>,
    setup: Arc<Setup>,
}

impl Pairs for Search {
    type Pair = Pair;

    fn steps(&self, pair: &Pair, step: &mut dyn FnMut(Step<Pair>)) {
        for (action, left) in offers(&pair.world, pair.left) {
            if let Some(to) = self.step(pair, action, left) {
                step(to);
            }
        }
    }

    fn enter(&mut self, pair: &mut Pair) {
        pair.number = u32::try_from(self.parents.len()).expect("small bounds have fewer states than that");
        self.parents.push(pair.from);
    }
}

impl Search {
    fn step(&self, pair: &Pair, action: Action, left: Budget) -> Option<Step<Pair>> {
        let mut next = Pair { left, from: (pair.number, action), ..pair.clone() };
        let mut notices = Vec::new();
        next.world.apply(action, &mut notices).ok()?;
        for event in events(notices) {
            if let Some(difference) = self.shown(&mut next.worlds, &event, pair.number, Some(action)) {
                return Some(Step::Different(difference));
            }
        }
        Some(Step::To(canonical(&mut next), next))
    }

    /// Shows an event to the model. The difference, if the model does not allow it.
    fn shown(&self, worlds: &mut Worlds, event: &Event, from: u32, by: Option<Action>) -> Option<Difference> {
        match worlds.see(event) {
            WorldsMoved::Follows { .. } => None,
            WorldsMoved::Refused(place) => {
                let told = worlds.explain(place, 0, Micros(0), event);
                let nearest = told.nearest().unwrap_or("nothing").to_owned();
                Some(Difference {
                    steps: self.story(from, by),
                    wanted: format!("the fabric does {}", told.refused),
                    instead: format!("the model of {} would allow {nearest}", told.part),
                })
            }
            WorldsMoved::TooMany { states } => Some(Difference {
                steps: self.story(from, by),
                wanted: "the model's candidate states stay few".to_owned(),
                instead: format!("there are {states}"),
            }),
            WorldsMoved::Unlogged => unreachable!("the log of a simulated world is whole"),
        }
    }

    /// What the fabric does on the way to this pair and by one more action, in words.
    fn story(&self, to: u32, by: Option<Action>) -> Vec<String> {
        let mut actions: Vec<Action> = by.into_iter().collect();
        let mut at = to;
        while at != 0 {
            let (from, action) = self.parents[at as usize];
            actions.push(action);
            at = from;
        }
        let mut world = World::new(Arc::clone(&self.setup), &mut Vec::new());
        let mut notices = Vec::new();
        for action in actions.into_iter().rev() {
            // The way was taken before, in canonical form, whose choices are the same.
            if world.apply(action, &mut notices).is_err() {
                break;
            }
            let tags = world.live_tags();
            world.canonical(&tags);
        }
        events(notices).iter().map(words::sentence).collect()
    }
}

/// What may happen next, and what is left of the budget then.
fn offers(world: &World, left: Budget) -> Vec<(Action, Budget)> {
    let mut enabled = Vec::new();
    world.enabled(&mut enabled);
    let spend = |count: u8| count.checked_sub(1);
    let mut offers: Vec<(Action, Budget)> = enabled
        .into_iter()
        .filter_map(|action| {
            let left = match action {
                Action::Issue(_) => Budget { writes: spend(left.writes)?, ..left },
                Action::Challenge(_) => Budget { challenges: spend(left.challenges)?, ..left },
                Action::Defend(_) => Budget { defends: spend(left.defends)?, ..left },
                Action::Stall(_)
                | Action::Crash(_)
                | Action::Break(_)
                | Action::Logout(_)
                | Action::PowerCycle => Budget { faults: spend(left.faults)?, ..left },
                Action::Command(..)
                | Action::Send(_)
                | Action::Dispatch(_)
                | Action::Submit { .. }
                | Action::Commit { .. }
                | Action::Receive(_)
                | Action::WaitOver(_)
                | Action::Wake(_)
                | Action::Restart(_)
                | Action::Expire(_)
                | Action::Login(_)
                | Action::Persist => left,
            };
            Some((action, left))
        })
        .collect();
    if world.setup().guests.is_empty() {
        for nexus in (0..world.setup().nexuses()).map(Nexus) {
            offers.extend(commands(world, nexus, left));
        }
    }
    offers
}

const KEYS: [Key; 2] = [Key(1), Key(2)];
const TYPES: [PrType; 2] = [PrType::ExclusiveAccess, PrType::WriteExclusiveAllRegistrants];

/// What a raw initiator may send: it waits for the answer to its last command.
fn commands(world: &World, nexus: Nexus, left: Budget) -> Vec<(Action, Budget)> {
    let wire = world.wire(nexus);
    let live = &world.live_tags()[usize::from(nexus.0)];
    let busy = !wire.requests.is_empty() || !wire.replies.is_empty() || live.len() > 1;
    if !wire.up || busy {
        return Vec::new();
    }
    let mut offers = Vec::new();
    if let (Some(task), Some(commands)) = (live.first(), left.commands.checked_sub(1)) {
        let command = Command::Manage(Function::AbortTask(*task));
        offers.push((Action::Command(nexus, command), Budget { commands, ..left }));
    }
    if let Some(writes) = left.writes.checked_sub(1) {
        let record = Record { writer: NodeId(nexus.0), epoch: redline_vocab::Epoch(0), serial: Serial(0) };
        let extent = Extent { lba: Lba(0), blocks: 1 };
        offers.push((Action::Command(nexus, Command::Write { extent, record }), Budget { writes, ..left }));
    }
    let Some(rest) = left.commands.checked_sub(1) else { return offers };
    let spent = Budget { commands: rest, ..left };
    let view = world.target().view();
    let own = view.registrants.iter().find(|(of, _)| *of == nexus).map_or(Key(0), |(_, key)| *key);
    let mut order = |order: PrOut| offers.push((Action::Command(nexus, Command::PrOut(order)), spent));
    let (mine, theirs) = (KEYS[usize::from(nexus.0)], KEYS[usize::from(1 - nexus.0)]);
    let destination = Some(Nexus(1 - nexus.0));
    for service_key in [Key(0), mine] {
        order(PrOut { service_key, aptpl: true, ..PrOut::new(ServiceAction::RegisterAndIgnoreExistingKey) });
    }
    order(PrOut { key: own, service_key: mine, ..PrOut::new(ServiceAction::Register) });
    order(PrOut { key: own, service_key: theirs, destination, ..PrOut::new(ServiceAction::RegisterAndMove) });
    order(PrOut { key: own, ..PrOut::new(ServiceAction::Clear) });
    order(PrOut { key: theirs, ..PrOut::new(ServiceAction::Clear) });
    for kind in TYPES.map(PrType::code) {
        order(PrOut { key: own, kind, ..PrOut::new(ServiceAction::Reserve) });
        order(PrOut { key: own, kind, ..PrOut::new(ServiceAction::Release) });
        order(PrOut { key: own, kind, service_key: theirs, ..PrOut::new(ServiceAction::PreemptAndAbort) });
    }
    order(PrOut {
        key: own,
        kind: TYPES[0].code(),
        service_key: theirs,
        ..PrOut::new(ServiceAction::Preempt)
    });
    // For the first time, and for all paths: the other's nexus is one of the sender's.
    let both = PortList::Of(Nexuses::NONE.with(Nexus(1 - nexus.0)));
    order(PrOut { service_key: mine, spec_i_pt: both, ..PrOut::new(ServiceAction::Register) });
    order(PrOut { key: own, service_key: mine, all_tg_pt: both, ..PrOut::new(ServiceAction::Register) });
    offers.push((Action::Command(nexus, Command::PrIn(PrIn::ReadFullStatus)), spent));
    let functions = [Function::AbortTaskSet, Function::ClearTaskSet, Function::LogicalUnitReset];
    let others = [Command::LegacyReserve, Command::LegacyRelease]
        .into_iter()
        .chain(functions.into_iter().chain([Function::TargetColdReset]).map(Command::Manage));
    offers.extend(others.map(|command| (Action::Command(nexus, command), spent)));
    offers
}
