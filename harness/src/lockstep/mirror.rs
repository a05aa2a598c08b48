//! From model to fabric: each transition of a small instance of the model, with the same choices, on the fabric.

use super::{Difference, Found, Pairs, Step, events, explore, hash_of, small_scenario};
use crate::check::{raw_story_header, story_header};
use crate::conform::words;
use crate::replay::{self, plain};
use crate::sim::{Setup, World};
use redline_model::cluster::{Bounds, Cluster, Left, Log, Readings, State};
use redline_model::reservations::{Also, Instance, Reservations};
use redline_vocab::{Action, Command, Design, Event, Name, Nexus, NodeId, PrType, Quirks};
use stateright::Model;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

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
    let first = model.init_states().into_iter().map(|state| (hash_of(&state), (state, world.clone())));
    explore(&mut Mirror(model), first.collect(), stop, told)
}

struct Mirror<'a, M>(&'a M);

impl<M: Mirrorable> Pairs for Mirror<'_, M> {
    type Pair = (State, World);

    fn steps(&self, (state, world): &Self::Pair, step: &mut dyn FnMut(Step<Self::Pair>)) {
        let mut moves = Vec::new();
        self.0.actions(state, &mut moves);
        for taken in moves {
            if let Some(to) = one_step(self.0, state, world, taken) {
                step(to);
            }
        }
    }

    fn enter(&mut self, _: &mut Self::Pair) {}
}

/// One transition of the model with what the fabric makes of it; nothing if the model cannot take it.
fn one_step<M: Mirrorable>(
    model: &M,
    state: &State,
    world: &World,
    step: M::Action,
) -> Option<Step<(State, World)>> {
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
        return Some(Step::To(hash_of(&next), (next, world)));
    }
    let at = wanted.iter().zip(&instead).take_while(|(one, other)| one == other).count();
    let tell = |events: &[Event]| events.get(at).map_or_else(|| "nothing more".to_owned(), words::sentence);
    let instead = refused.map_or_else(
        || format!("the fabric: {}", tell(&done)),
        |refused| format!("the fabric cannot: {refused}"),
    );
    let table = words::view_words(&state.unit.lun.view());
    Some(Step::Different(Difference {
        steps: vec![format!("from {table}"), format!("{step:?}")],
        wanted: format!("the model: {}", tell(&said)),
        instead,
    }))
}
