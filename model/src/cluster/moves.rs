//! Which moves are offered in a state, and the model's interface to search engines.

use super::state::{Marks, State};
use super::{Cluster, Log, claims};
use crate::lun::Stage;
use redline_vocab::{Action, Event, Nexus, NodeId};
use serde::{Deserialize, Serialize};
use stateright::{Model, Property};

/// One step of the exploration.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Move {
    /// One choice; where the standard leaves the target several reactions, by this number of them.
    Single(Action, u8),
    /// The node's arbitration command goes through and its answer reaches the node; one that meets
    /// a unit attention is asked again.
    Exchange(NodeId),
    /// A write is issued and sent at once.
    Write(NodeId),
    /// A command of the node can have no answer any more (it was aborted): its timeout drops the connection.
    Timeout(NodeId),
    /// The only task of the nexus in the task set goes to the back end and takes effect.
    Land(Nexus),
}

/// Names of the kinds of moves, in the order of [`Move::kind`].
pub const KINDS: [&str; 23] = [
    "issue",
    "send",
    "dispatch",
    "submit",
    "commit",
    "receive",
    "challenge",
    "wait-over",
    "defend",
    "stall",
    "wake",
    "crash",
    "restart",
    "break",
    "expire",
    "login",
    "power-cycle",
    "persist",
    "command",
    "exchange",
    "write",
    "land",
    "timeout",
];

impl Move {
    /// Which of [`KINDS`] it is.
    pub fn kind(&self) -> usize {
        match self {
            Move::Single(action, _) => match action {
                Action::Issue(_) => 0,
                Action::Send(_) => 1,
                Action::Dispatch(_) => 2,
                Action::Submit { .. } => 3,
                Action::Commit { .. } => 4,
                Action::Receive(_) => 5,
                Action::Challenge(_) => 6,
                Action::WaitOver(_) => 7,
                Action::Defend(_) => 8,
                Action::Stall(_) => 9,
                Action::Wake(_) => 10,
                Action::Crash(_) => 11,
                Action::Restart(_) => 12,
                Action::Break(_) => 13,
                Action::Expire(_) => 14,
                Action::Login(_) => 15,
                Action::PowerCycle => 16,
                Action::Persist => 17,
                Action::Command(..) | Action::Logout(_) => 18,
            },
            Move::Exchange(_) => 19,
            Move::Write(_) => 20,
            Move::Land(_) => 21,
            Move::Timeout(_) => 22,
        }
    }

    /// Whether it is a fault: what stops when recovery is asked for.
    pub fn is_fault(&self) -> bool {
        matches!(
            self,
            Move::Single(
                Action::Stall(_)
                    | Action::Crash(_)
                    | Action::Break(_)
                    | Action::PowerCycle
                    | Action::Restart(_),
                _
            )
        )
    }
}

impl Cluster {
    /// Takes a move in place. Adds the choices that it consists of: actions, and readings of the standard.
    pub fn make(
        &self,
        state: &mut State,
        step: Move,
        choices: &mut Vec<(Action, u8)>,
        log: &mut Log<'_>,
    ) -> bool {
        let mut take = |state: &mut State, action: Action, reading: u8, log: &mut Log<'_>| {
            choices.push((action, reading));
            self.take(state, action, reading, log)
        };
        state.marks = Marks::default();
        let possible = match step {
            Move::Single(action, reading) => take(state, action, reading, log),
            Move::Timeout(node) => {
                // Not one of the faults that are counted.
                let breaks = state.left.breaks;
                let nexus = state.nodes[usize::from(node.0)].nexus;
                let taken = take(state, Action::Break(nexus), 0, log);
                state.left.breaks = breaks;
                taken
            }
            Move::Write(node) => {
                take(state, Action::Issue(node), 0, log) && take(state, Action::Send(node), 0, log)
            }
            Move::Land(nexus) => {
                let nth = state.count(nexus, Stage::BackEnd);
                take(state, Action::Submit { nexus, nth: 0 }, 0, log)
                    && take(state, Action::Commit { nexus, nth }, 0, log)
            }
            Move::Exchange(node) => self.exchange(state, node, &mut take, log),
        };
        state.canonical();
        possible
    }

    fn exchange(
        &self,
        state: &mut State,
        node: NodeId,
        take: &mut dyn FnMut(&mut State, Action, u8, &mut Log<'_>) -> bool,
        log: &mut Log<'_>,
    ) -> bool {
        let nexus = state.nodes[usize::from(node.0)].nexus;
        loop {
            if !self.exchanges(state, node) {
                return false;
            }
            let phase = state.nodes[usize::from(node.0)].phase;
            let answered = state.unit.lun.pending[usize::from(nexus.0)] == 0;
            if !take(state, Action::Dispatch(nexus), 0, log) {
                return false;
            }
            if state.count(nexus, Stage::TaskSet) > 0 {
                let nth = state.count(nexus, Stage::BackEnd);
                let done = take(state, Action::Submit { nexus, nth: 0 }, 0, log)
                    && take(state, Action::Commit { nexus, nth }, 0, log);
                if !done {
                    return false;
                }
            }
            if !take(state, Action::Receive(node), 0, log) {
                return false;
            }
            if answered || state.nodes[usize::from(node.0)].phase != phase {
                return true;
            }
            state.canonical();
        }
    }

    /// Whether the node's question is the only thing under way on its nexus.
    fn exchanges(&self, state: &State, node: NodeId) -> bool {
        let one = &state.nodes[usize::from(node.0)];
        let wire = state.unit.wire(one.nexus);
        one.runs()
            && wire.linked
            && wire.replies.is_empty()
            && state.unit.lun.sessions.has(one.nexus)
            && state.count(one.nexus, Stage::TaskSet) == 0
            && wire.requests.first().is_some_and(|head| one.asked == Some(head.tag))
    }

    fn singles(&self, state: &State, out: &mut Vec<Move>) {
        let mut single = |action: Action| out.push(Move::Single(action, 0));
        let left = state.left;
        for (id, node) in (0u8..).map(NodeId).zip(&state.nodes) {
            let own = self.own(id);
            if node.may_issue() && left.writes > 0 && node.queue.len() < usize::from(self.bounds.queue) {
                single(Action::Issue(id));
            }
            if node.flows() && !node.queue.is_empty() {
                single(Action::Send(id));
            }
            if node.runs() && !state.unit.wire(node.nexus).replies.is_empty() {
                single(Action::Receive(id));
            }
            if left.challenges > 0 && node.may_challenge(&own) {
                single(Action::Challenge(id));
            }
            if node.may_end_wait() {
                single(Action::WaitOver(id));
            }
            if left.defends > 0 && node.may_defend() {
                single(Action::Defend(id));
            }
            if left.stalls > 0 && node.runs() {
                single(Action::Stall(id));
            }
            if node.stalled {
                single(Action::Wake(id));
            }
            if left.crashes > 0 && node.up {
                single(Action::Crash(id));
            }
            if self.bounds.restarts && !node.up {
                single(Action::Restart(id));
            }
            if left.breaks > 0 && state.unit.wire(node.nexus).linked {
                single(Action::Break(node.nexus));
            }
            if self.may_login(state, id) {
                single(Action::Login(id));
            }
        }
        for nexus in (0..self.nexuses).map(Nexus) {
            if !state.unit.wire(nexus).linked && state.unit.lun.sessions.has(nexus) {
                single(Action::Expire(nexus));
            }
            let open = if state.unit.lun.is_barred() { 0 } else { state.count(nexus, Stage::TaskSet) };
            for nth in 0..open {
                single(Action::Submit { nexus, nth });
            }
            for nth in 0..state.count(nexus, Stage::BackEnd) {
                single(Action::Commit { nexus, nth });
            }
        }
        if left.power_cycles > 0 {
            single(Action::PowerCycle);
        }
        if state.unit.lun.is_behind() && !self.design.has(redline_vocab::Guard::PersistBeforeGood) {
            single(Action::Persist);
        }
    }

    fn dispatches(&self, state: &State, out: &mut Vec<Move>) {
        let mut reactions = Vec::new();
        for nexus in (0..self.nexuses).map(Nexus) {
            reactions.clear();
            state.unit.reactions(self.rules(), nexus, &mut reactions);
            self.chosen(&mut reactions);
            for reading in 0..reactions.len() {
                out.push(Move::Single(Action::Dispatch(nexus), reading as u8));
            }
        }
    }

    fn chains(&self, state: &State, out: &mut Vec<Move>) {
        for (id, node) in (0u8..).map(NodeId).zip(&state.nodes) {
            if self.exchanges(state, id) {
                out.push(Move::Exchange(id));
            }
            if node.runs() && state.waits_in_vain(node) {
                out.push(Move::Timeout(id));
            }
            let empty = node.queue.is_empty() && self.bounds.queue > 0;
            if node.flows() && empty && state.left.writes > 0 {
                out.push(Move::Write(id));
            }
        }
        for nexus in (0..self.nexuses).map(Nexus) {
            if state.count(nexus, Stage::TaskSet) == 1 && !state.unit.lun.is_barred() {
                out.push(Move::Land(nexus));
            }
        }
    }

    /// The choices and events of a move.
    pub fn events(&self, before: &State, step: Move) -> (Vec<(Action, u8)>, Vec<Event>) {
        let (mut choices, mut events) = (Vec::new(), Vec::new());
        self.make(&mut before.clone(), step, &mut choices, &mut Log(Some(&mut events)));
        (choices, events)
    }

    /// The events of a run from the initial state along these choices, with tags, epochs and serial
    /// numbers that go on from step to step. `None` if a choice is not possible.
    pub fn story(&self, choices: &[(Action, u8)]) -> Option<Vec<Event>> {
        let mut state = self.initial();
        let mut events = vec![Event::PoweredOn { view: state.unit.lun.view() }];
        let nodes = (0..self.bounds.nodes).map(|node| (NodeId(node), Nexus(node)));
        events.extend(nodes.map(|(node, nexus)| Event::LoggedIn { node, nexus }));
        for (action, reading) in choices {
            if !self.take(&mut state, *action, *reading, &mut Log(Some(&mut events))) {
                return None;
            }
        }
        Some(events)
    }

    /// Whether some node owns the disk by effect.
    pub fn has_owner(&self, state: &State) -> bool {
        state.nodes.iter().any(|node| node.runs() && state.would_write(node))
    }

    /// Whether nothing could be expected of the cluster: no node is up.
    pub fn is_dead(&self, state: &State) -> bool {
        state.nodes.iter().all(|node| !node.up)
    }
}

impl State {
    /// R13: whether the node, on a connection that is up, waits for an answer that nobody will give.
    fn waits_in_vain(&self, node: &crate::node::Node) -> bool {
        let wire = self.unit.wire(node.nexus);
        let lun = &self.unit.lun;
        let alive = |tag: &redline_vocab::Tag| {
            wire.requests.iter().any(|request| request.tag == *tag)
                || wire.replies.iter().any(|(answered, _)| answered == tag)
                || lun.tasks.iter().any(|task| task.wanted && (task.nexus, task.tag) == (node.nexus, *tag))
                || lun.waiting.iter().any(|waiting| (waiting.nexus, waiting.tag) == (node.nexus, *tag))
        };
        let mut waits = node.asked.iter().chain(node.outstanding.iter().map(|(tag, _)| tag));
        wire.linked && !waits.all(alive)
    }

    /// The nexus's tasks at this stage.
    pub(super) fn count(&self, nexus: Nexus, stage: Stage) -> u8 {
        let tasks = self.unit.lun.tasks.iter();
        tasks.filter(|task| task.nexus == nexus && task.stage == stage).count() as u8
    }
}

impl Model for Cluster {
    type State = State;
    type Action = Move;

    fn init_states(&self) -> Vec<State> {
        vec![self.initial()]
    }

    fn actions(&self, state: &State, out: &mut Vec<Move>) {
        self.chains(state, out);
        self.dispatches(state, out);
        self.singles(state, out);
    }

    fn next_state(&self, state: &State, step: Move) -> Option<State> {
        let mut next = state.clone();
        // Chains are followed here only; the list of their choices is for those who replay.
        let mut choices = Vec::new();
        self.make(&mut next, step, &mut choices, &mut Log(None)).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Cluster>> {
        let mut properties = vec![
            Property::always("fabric/owner-unique", |_, state: &State| {
                state.nodes.iter().filter(|node| state.would_write(node)).count() < 2
            }),
            Property::always("fabric/no-evicted-write", |_, state: &State| {
                !state.marks.has(Marks::EVICTED_WRITE)
            }),
            Property::always("lun/abort-is-final", |_, state: &State| !state.marks.has(Marks::AFTER_ABORT)),
            Property::always("lun/durable-with-aptpl", |_, state: &State| {
                !state.marks.has(Marks::TABLE_LOST)
            }),
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
            Property::sometimes("two host fences are open", |_, state: &State| {
                state.nodes.iter().filter(|node| node.up && node.fence).count() > 1
            }),
            Property::sometimes("a write of an older tenure is stopped", |_, state: &State| {
                state.marks.has(Marks::OLD_WRITE_STOPPED)
            }),
            Property::sometimes("PREEMPT AND ABORT ends a command", |_, state: &State| {
                state.marks.has(Marks::ABORT_MATTERED)
            }),
            Property::sometimes("a reservation ends", |_, state: &State| {
                state.marks.has(Marks::RESERVATION_ENDED)
            }),
            Property::sometimes("PRgeneration steps", |_, state: &State| {
                state.marks.has(Marks::GENERATION_STEPPED)
            }),
        ];
        // What a budget of zero rules out is no premise of the instance.
        let left = self.bounds.left;
        if left.power_cycles > 0 {
            properties
                .push(Property::sometimes("the target comes up with a kept table", |_, state: &State| {
                    state.marks.has(Marks::TABLE_KEPT)
                }));
        }
        if left.stalls + left.breaks + left.crashes + left.power_cycles > 0 {
            properties.push(Property::sometimes("a node owns the disk after a fault", |_, state: &State| {
                state.marks.has(Marks::RECOVERED)
            }));
        }
        properties
    }
}
