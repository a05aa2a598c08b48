//! Model and fabric in lock-step: exhaustively, at small bounds, in both directions.
//!
//! [`mirror`] takes every transition of a small instance of the model and makes the same choices in the fabric: what the
//! fabric then does must be, event for event, what the model says. [`product`] takes every step that the fabric itself can
//! make at small bounds and shows its events to the set of model states that are still possible: the model must
//! allow each. The first finds what the fabric does not do, the second what the model does not allow.
//!
//! A state of either search is a pair. Tags, epochs and PRgeneration are renamed on both sides alike, so that pairs
//! which differ only in how long they have lasted become one.

use crate::check::{raw_story_header, story_header};
use crate::conform::{Worlds, WorldsMoved, words};
use crate::replay::{self, plain};
use crate::scenario::{self, Scenario};
use crate::sim::{Notice, Setup, World, rank};
use rayon::prelude::*;
use redline_model::cluster::{Bounds, Cluster, Left, Log, Readings, State};
use redline_model::reservations::{Also, Instance, Reservations};
use redline_traces::{Arm, Header, Initiators};
use redline_vocab::{
    Action, Command, Design, Event, Extent, Function, Key, Lba, Micros, Name, Nexus, Nexuses, NodeId,
    PortList, PrIn, PrOut, PrType, Quirks, Record, Serial, ServiceAction, Tag,
};
use rustc_hash::{FxHashSet, FxHasher};
use stateright::Model;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The instance that [`mirror`] takes.
pub const MIRRORED: Instance = Instance {
    name: "two-nexuses-small",
    nexuses: 2,
    restart: true,
    types: &[PrType::ExclusiveAccess, PrType::WriteExclusiveAllRegistrants],
    writers: 1,
    rich: false,
    attentions: true,
    also: Also::NOTHING,
};

/// The instance that [`mirror`] takes for what is not in play there.
pub const MIRRORED_MORE: Instance = Instance {
    name: "two-nexuses-more",
    nexuses: 2,
    restart: false,
    types: &[PrType::WriteExclusiveRegistrantsOnly],
    writers: 1,
    rich: false,
    attentions: true,
    also: Also { legacy: true, functions: true, probes_first: true, ..Also::NOTHING },
};

/// The instance that [`mirror`] takes for SPEC_I_PT and ALL_TG_PT.
pub const MIRRORED_LISTS: Instance = Instance {
    name: "two-nexuses-lists",
    writers: 0,
    also: Also { lists: true, probes_first: true, ..Also::NOTHING },
    ..MIRRORED_MORE
};

/// The bounds that [`mirror_cluster`] takes.
pub const MIRRORED_CLUSTER: Bounds = Bounds {
    nodes: 2,
    left: Left { writes: 1, challenges: 2, defends: 1, stalls: 0, breaks: 1, crashes: 0, power_cycles: 1 },
    queue: 1,
    restarts: true,
};

/// Where model and fabric differ.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference {
    /// What leads there, in domain words.
    pub steps: Vec<String>,
    /// What the one says.
    pub wanted: String,
    /// What the other does instead.
    pub instead: String,
}

/// What a search found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// Distinct states.
    pub states: u64,
    /// Transitions that were compared.
    pub transitions: u64,
    /// The first difference.
    pub difference: Option<Difference>,
    /// It was interrupted.
    pub cut: bool,
}

impl Found {
    const NOTHING: Found = Found { states: 0, transitions: 0, difference: None, cut: false };
}

fn small_scenario() -> Scenario {
    scenario::load(scenario::EMBEDDED[0].name).expect("the embedded scenarios are tested")
}

fn events(notices: Vec<Notice>) -> Vec<Event> {
    notices
        .into_iter()
        .filter_map(|notice| match notice {
            Notice::Event(event) => Some(event),
            _ => None,
        })
        .collect()
}

/// The events as they are compared: aborted tasks among themselves come in no particular order. PRgeneration counts, since
/// both sides begin each step with zero.
fn compared(events: &[Event]) -> Vec<Event> {
    let with_generation = |event: &Event| match (event, plain(event)) {
        (Event::TableChanged { view }, _) => Event::TableChanged { view: view.clone() },
        (_, plain) => plain,
    };
    let mut plain: Vec<Event> = events.iter().map(with_generation).collect();
    let aborted = |event: &Event| matches!(event, Event::Aborted { .. });
    for run in plain.chunk_by_mut(|one, other| aborted(one) && aborted(other)) {
        run.sort_by_key(|event| match event {
            Event::Aborted { nexus, .. } => nexus.0,
            _ => 0,
        });
    }
    plain
}

/// A transition of the model with what the fabric made of it.
enum Mirrored {
    Same(Box<(State, World)>),
    Different(Difference),
}

/// A small model whose transitions consist of choices that the fabric can make too.
trait Mirrorable: Model<State = State, Action: Copy + fmt::Debug> + Sync {
    /// Choices that bring a fabric that was just powered on into the initial state.
    fn opening(&self) -> Vec<Action>;
    /// Takes the move in place, with its choices and events. Whether it is possible.
    fn take(
        &self,
        state: &mut State,
        step: Self::Action,
        choices: &mut Vec<(Action, u8)>,
        said: &mut Vec<Event>,
    ) -> bool;
}

impl Mirrorable for Reservations {
    fn opening(&self) -> Vec<Action> {
        let probe = Command::Other(Name::TestUnitReady);
        let nexuses = (0..self.instance().nexuses).map(Nexus);
        nexuses
            .flat_map(|nexus| {
                [Action::Command(nexus, probe), Action::Dispatch(nexus), Action::Receive(NodeId(nexus.0))]
            })
            .collect()
    }

    fn take(
        &self,
        state: &mut State,
        step: redline_model::reservations::Move,
        choices: &mut Vec<(Action, u8)>,
        said: &mut Vec<Event>,
    ) -> bool {
        self.make(state, step, choices, &mut Log(Some(said)))
    }
}

impl Mirrorable for Cluster {
    fn opening(&self) -> Vec<Action> {
        Vec::new()
    }

    fn take(
        &self,
        state: &mut State,
        step: redline_model::cluster::Move,
        choices: &mut Vec<(Action, u8)>,
        said: &mut Vec<Event>,
    ) -> bool {
        self.make(state, step, choices, &mut Log(Some(said)))
    }
}

/// Replays every transition of such an instance on a fabric with these bugs.
pub fn mirror(instance: Instance, quirks: Quirks, stop: &AtomicBool, told: &mut dyn FnMut(u64)) -> Found {
    let model = Reservations::new(instance, Design::SOUND, Readings::OurTarget);
    let scenario = small_scenario();
    let header = raw_story_header(&scenario, Design::SOUND, instance.nexuses);
    mirror_model(&model, replay::setup(&scenario, &header, quirks), stop, told)
}

/// Replays every transition of the guest cluster model within [`MIRRORED_CLUSTER`] on a fabric with these bugs.
pub fn mirror_cluster(quirks: Quirks, stop: &AtomicBool, told: &mut dyn FnMut(u64)) -> Found {
    let scenario = small_scenario();
    let model = Cluster::new(Design::SOUND, MIRRORED_CLUSTER, Readings::OurTarget, &scenario.keys());
    let header = story_header(&scenario, Design::SOUND, MIRRORED_CLUSTER.nodes, model.nexuses());
    mirror_model(&model, replay::setup(&scenario, &header, quirks), stop, told)
}

fn mirror_model<M: Mirrorable>(
    model: &M,
    setup: Arc<Setup>,
    stop: &AtomicBool,
    told: &mut dyn FnMut(u64),
) -> Found {
    let mut world = World::new(setup, &mut Vec::new());
    for action in model.opening() {
        world.apply(action, &mut Vec::new()).expect("the opening is possible in any fabric");
    }
    let mut known: FxHashSet<u64> = FxHashSet::default();
    let mut frontier = Vec::new();
    for initial in model.init_states() {
        known.insert(hash_of(&initial));
        frontier.push((initial, world.clone()));
    }
    let mut found = Found { states: frontier.len() as u64, ..Found::NOTHING };
    while !frontier.is_empty() {
        if stop.load(Ordering::Relaxed) {
            found.cut = true;
            return found;
        }
        let level: Vec<Vec<Mirrored>> =
            frontier.par_iter().map(|(state, world)| successors(model, state, world)).collect();
        let mut next_level = Vec::new();
        for one in level.into_iter().flatten() {
            found.transitions += 1;
            match one {
                Mirrored::Same(pair) => {
                    if known.insert(hash_of(&pair.0)) {
                        next_level.push(*pair);
                    }
                }
                Mirrored::Different(difference) => {
                    found.difference = Some(difference);
                    return found;
                }
            }
        }
        found.states += next_level.len() as u64;
        frontier = next_level;
        told(found.transitions);
    }
    found
}

fn successors<M: Mirrorable>(model: &M, state: &State, world: &World) -> Vec<Mirrored> {
    let mut moves = Vec::new();
    model.actions(state, &mut moves);
    moves.into_iter().filter_map(|step| one_step(model, state, world, step)).collect()
}

fn one_step<M: Mirrorable>(model: &M, state: &State, world: &World, step: M::Action) -> Option<Mirrored> {
    let (mut choices, mut said) = (Vec::new(), Vec::new());
    let mut next = state.clone();
    if !model.take(&mut next, step, &mut choices, &mut said) {
        return None;
    }
    let mut world = world.clone();
    let mut notices = Vec::new();
    let refused = choices.iter().find_map(|(action, _)| world.apply(*action, &mut notices).err());
    let done = events(notices);
    let (wanted, instead) = (compared(&said), compared(&done));
    if refused.is_none() && wanted == instead {
        let tags = world.live_tags();
        world.canonical(&tags);
        return Some(Mirrored::Same(Box::new((next, world))));
    }
    let at = wanted.iter().zip(&instead).take_while(|(one, other)| one == other).count();
    let tell = |events: &[Event]| events.get(at).map_or_else(|| "nothing more".to_owned(), words::sentence);
    let instead = refused.map_or_else(
        || format!("the fabric: {}", tell(&done)),
        |refused| format!("the fabric cannot: {refused}"),
    );
    let table = words::view_words(&state.unit.lun.view());
    Some(Mirrored::Different(Difference {
        steps: vec![format!("from {table}"), format!("{step:?}")],
        wanted: format!("the model: {}", tell(&said)),
        instead,
    }))
}

fn hash_of(value: &impl Hash) -> u64 {
    let mut hasher = FxHasher::default();
    value.hash(&mut hasher);
    hasher.finish()
}

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
pub const BOUNDS: Budget = Budget { writes: 1, challenges: 2, defends: 1, faults: 1, commands: 4 };

#[derive(Clone)]
struct Pair {
    world: World,
    worlds: Worlds,
    left: Budget,
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
    let mut search = Search { parents: Vec::new(), known: FxHashSet::default(), setup: Arc::clone(&setup) };
    let mut notices = Vec::new();
    let world = World::new(setup, &mut notices);
    let mut worlds =
        Worlds::new(&header, STATES_MAX).expect("two nodes and two nexuses are a world of the model");
    for event in events(notices) {
        if let Some(difference) = search.shown(&mut worlds, &event, 0, None) {
            return Found { transitions: 1, difference: Some(difference), ..Found::NOTHING };
        }
    }
    let mut first = Pair { world, worlds, left: bounds, number: 0 };
    search.known.insert(canonical(&mut first));
    search.parents.push((0, Action::PowerCycle));
    let mut frontier = vec![first];
    let mut found = Found { states: 1, ..Found::NOTHING };
    while !frontier.is_empty() {
        if stop.load(Ordering::Relaxed) {
            found.cut = true;
            return found;
        }
        let level: Vec<Vec<Stepped>> = frontier.par_iter().map(|pair| search.steps(pair)).collect();
        let mut next_level = Vec::new();
        for stepped in level.into_iter().flatten() {
            found.transitions += 1;
            if let Some(difference) = stepped.difference {
                found.difference = Some(difference);
                return found;
            }
            if search.known.insert(stepped.key) {
                let number =
                    u32::try_from(search.parents.len()).expect("small bounds have fewer states than that");
                search.parents.push((stepped.from, stepped.action));
                next_level.push(Pair { number, ..stepped.pair });
            }
        }
        found.states += next_level.len() as u64;
        frontier = next_level;
        told(found.transitions);
    }
    found
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

/// A step of the product.
struct Stepped {
    from: u32,
    action: Action,
    pair: Pair,
    key: u64,
    difference: Option<Difference>,
}

struct Search {
    /// By number of the pair: from which it was reached, by which action.
    parents: Vec<(u32, Action)>,
    known: FxHashSet<u64>,
    setup: Arc<Setup>,
}

impl Search {
    fn steps(&self, pair: &Pair) -> Vec<Stepped> {
        offers(&pair.world, pair.left)
            .into_iter()
            .filter_map(|(action, left)| self.step(pair, action, left))
            .collect()
    }

    fn step(&self, pair: &Pair, action: Action, left: Budget) -> Option<Stepped> {
        let mut next = pair.clone();
        next.left = left;
        let mut notices = Vec::new();
        next.world.apply(action, &mut notices).ok()?;
        let mut difference = None;
        for event in events(notices) {
            difference = self.shown(&mut next.worlds, &event, pair.number, Some(action));
            if difference.is_some() {
                break;
            }
        }
        let key = if difference.is_none() { canonical(&mut next) } else { 0 };
        Some(Stepped { from: pair.number, action, pair: next, key, difference })
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
