//! The logical unit under a trace: which states of the model's unit an event leaves.

use super::track::Part;
use crate::sim::forget_numbers;
use redline_model::lun::{Answer, Due, Kind, Reaction, Rules, Stage, is_preempt_and_abort};
use redline_model::unit::Unit;
use redline_vocab::{
    Command, Data, Disposition, Epoch, Event, Fault, Function, Generation, Guard, Nexus, NodeId, Record,
    Reply, Sense, Serial, Status, Tag,
};
use std::collections::BTreeSet;

/// The part.
#[derive(Clone, Copy, Debug)]
pub(super) struct LunPart {
    pub rules: Rules,
    pub nodes: u8,
    pub nexuses: u8,
    /// The trace hides what happens inside the target.
    pub hides: bool,
    /// Candidate states that are kept at most.
    pub states_max: usize,
}

/// A candidate state.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct LunState {
    pub unit: Unit,
    /// What the target owes before anything else may happen to it.
    pub due: Vec<Due>,
    /// The target is off.
    pub dark: bool,
    /// The back end has been made to fail: a write may end without effect.
    pub failing: bool,
}

impl LunState {
    /// Calls `f` for every tag that it remembers.
    pub fn tags(&mut self, f: &mut dyn FnMut(Nexus, &mut Tag)) {
        for (nexus, wire) in (0u8..).map(Nexus).zip(&mut self.unit.wires) {
            for request in &mut wire.requests {
                f(nexus, &mut request.tag);
                if let Command::Manage(Function::AbortTask(task)) = &mut request.command {
                    f(nexus, task);
                }
            }
            wire.replies.iter_mut().for_each(|(tag, _)| f(nexus, tag));
        }
        self.unit.lun.tasks.iter_mut().for_each(|task| f(task.nexus, &mut task.tag));
        for waiting in &mut self.unit.lun.waiting {
            f(waiting.nexus, &mut waiting.tag);
            if let Some(Function::AbortTask(task)) = &mut waiting.function {
                f(waiting.nexus, task);
            }
            waiting.awaited.iter_mut().for_each(|(nexus, tag)| f(*nexus, tag));
        }
        for due in &mut self.due {
            match due {
                Due::Aborted(nexus, tag) | Due::Replied(nexus, tag, _) => f(*nexus, tag),
                Due::TableChanged | Due::TablePersisted => {}
            }
        }
    }

    /// Forgets what only tells how long the run has lasted; PRgeneration becomes relative to `generation`.
    pub fn forget_numbers(&mut self, generation: Generation) {
        let own = self.unit.lun.generation.0;
        self.unit.lun.generation = Generation(own.wrapping_sub(generation.0));
        for wire in &mut self.unit.wires {
            wire.requests.iter_mut().for_each(|request| plain_command(&mut request.command));
            wire.replies.iter_mut().for_each(|(_, reply)| forget_numbers(reply, plain_record));
        }
    }
}

/// A write without the numbers of its record.
pub(super) fn plain_command(command: &mut Command) {
    if let Command::Write { record, .. } = command {
        *record = plain_record(*record);
    }
}

fn plain_record(record: Record) -> Record {
    Record { epoch: Epoch(0), serial: Serial(0), ..record }
}

impl LunPart {
    pub fn initial(&self) -> LunState {
        LunState { unit: Unit::new(self.nexuses), due: Vec::new(), dark: true, failing: false }
    }

    fn in_range(&self, nexus: Nexus) -> bool {
        nexus.0 < self.nexuses
    }

    /// What is due and what is seen are the same; the state moves on.
    fn settle(state: &mut LunState, event: &Event) -> bool {
        // Aborts are owed in no particular order, and before everything else.
        let aborts = state.due.iter().take_while(|due| matches!(due, Due::Aborted(..))).count();
        let candidates = if aborts > 0 { 0..aborts } else { 0..1 };
        let Some(at) = candidates.into_iter().find(|at| Self::pays(&state.unit, &state.due[*at], event))
        else {
            return false;
        };
        state.due.remove(at);
        if let Event::Replied { nexus, tag, reply } = event {
            state.unit.reply(*nexus, *tag, reply.clone());
        }
        true
    }

    fn pays(unit: &Unit, due: &Due, event: &Event) -> bool {
        match (due, event) {
            (Due::Aborted(nexus, tag), Event::Aborted { nexus: of, tag: seen }) => (nexus, tag) == (of, seen),
            (Due::TableChanged, Event::TableChanged { view }) => unit.lun.shows(view),
            (Due::TablePersisted, Event::TablePersisted) => true,
            (Due::Replied(nexus, tag, answer), Event::Replied { nexus: of, tag: seen, reply }) => {
                (nexus, tag) == (of, seen) && unit.lun.answers(*answer, reply)
            }
            _ => false,
        }
    }

    fn dispatched(
        &self,
        state: &mut LunState,
        nexus: Nexus,
        tag: Tag,
        disposition: Disposition,
        forks: &mut Vec<LunState>,
    ) -> bool {
        if state.unit.head(nexus).is_none_or(|head| head.tag != tag) {
            return false;
        }
        let mut reactions = Vec::new();
        state.unit.reactions(self.rules, nexus, &mut reactions);
        let lun = &state.unit.lun;
        reactions.retain(|reaction| lun.disposition(self.rules, nexus, reaction) == disposition);
        let Some((first, others)) = reactions.split_first() else { return false };
        for other in others {
            let mut fork = state.clone();
            self.take(&mut fork, nexus, other);
            forks.push(fork);
        }
        self.take(state, nexus, first);
        true
    }

    pub(super) fn take(&self, state: &mut LunState, nexus: Nexus, reaction: &Reaction) {
        state.unit.dispatch(self.rules, nexus, reaction, &mut state.due);
    }

    /// An answer that no other event announces: a failed I/O.
    fn replied(&self, state: &mut LunState, event: &Event) -> bool {
        let Event::Replied { nexus, tag, reply } = event else { return false };
        let Some(task) = state.unit.lun.task(*nexus, *tag, Stage::BackEnd) else { return false };
        let Status::CheckCondition(sense) = reply.status else { return false };
        if !state.unit.lun.tasks[task].wanted || !is_medium_error(sense) || reply.data != Data::Nothing {
            return false;
        }
        state.unit.lun.end(task, Some(sense), &mut state.due);
        Self::settle(state, event)
    }

    /// The back end is done with a task that nobody waits for, and it had no effect: it was no write, or it failed.
    fn ended_in_vain(&self, state: &mut LunState, nexus: Nexus, tag: Tag) -> bool {
        let Some(at) = state.unit.lun.task(nexus, tag, Stage::BackEnd) else { return false };
        let task = &state.unit.lun.tasks[at];
        let in_vain = !task.wanted && (state.failing || matches!(task.kind, Kind::Read | Kind::Flush));
        if in_vain {
            state.unit.end(at, &mut state.due);
        }
        in_vain
    }

    fn logged_in(&self, state: &mut LunState, node: NodeId, nexus: Nexus) -> bool {
        let wire_taken = state.unit.wire(nexus).linked || state.unit.lun.sessions.has(nexus);
        if node.0 != nexus.0 % self.nodes || wire_taken || state.dark {
            return false;
        }
        let accepted = state.unit.lun.accepts_login(self.rules, nexus);
        if accepted {
            state.unit.login(nexus);
        }
        accepted
    }

    /// The session ends in order, and with it what is on its way. What the target may have done of that before is over
    /// then, so that in a trace which hides it, all of it has to be considered now.
    fn logged_out(&self, state: &mut LunState, event: &Event, nexus: Nexus, forks: &mut Vec<LunState>) {
        let mut known = BTreeSet::from([state.clone()]);
        let mut open: Vec<LunState> = if self.hides { vec![state.clone()] } else { Vec::new() };
        let mut found = Vec::new();
        while let Some(one) = open.pop() {
            found.clear();
            self.hidden(&one, event, &mut found);
            for next in found.drain(..) {
                // More than may be kept are refused by whoever keeps them.
                if known.len() <= self.states_max && known.insert(next.clone()) {
                    open.push(next);
                }
            }
        }
        let mut ends = BTreeSet::new();
        for before in known {
            if !before.unit.wire(nexus).linked || !before.unit.lun.sessions.has(nexus) {
                continue;
            }
            for told in [false, true] {
                let mut after = before.clone();
                after.unit.log_out(self.rules, nexus, told, &mut after.due);
                ends.insert(if self.hides { Self::answered(after) } else { after });
            }
        }
        if let Some(first) = ends.pop_first() {
            *state = first;
        }
        forks.extend(ends);
    }

    fn submitted(&self, state: &mut LunState, nexus: Nexus, tag: Tag) -> bool {
        let at = state.unit.lun.task(nexus, tag, Stage::TaskSet).filter(|_| !state.unit.lun.is_barred());
        at.map(|at| state.unit.lun.submit(at)).is_some()
    }

    fn committed(&self, state: &mut LunState, nexus: Nexus, tag: Tag) -> bool {
        let Some(at) = state.unit.lun.task(nexus, tag, Stage::BackEnd) else { return false };
        let task = state.unit.lun.tasks[at];
        let shows = task.wanted || matches!(task.kind, Kind::Write { .. });
        if shows {
            state.unit.end(at, &mut state.due);
        }
        shows
    }

    /// Events that the unit has no part in.
    fn is_foreign(event: &Event) -> bool {
        matches!(
            event,
            Event::Issued { .. }
                | Event::Forgotten { .. }
                | Event::Challenged { .. }
                | Event::WaitEnded { .. }
                | Event::Defended { .. }
                | Event::Owned { .. }
                | Event::Lost { .. }
                | Event::Fence { .. }
                | Event::Drained { .. }
                | Event::Stalled { .. }
                | Event::Woke { .. }
                | Event::Crashed { .. }
                | Event::Restarted { .. }
                | Event::FaultHealed { .. }
        )
    }

    /// What the model would have accepted instead of the event.
    pub fn alternatives(&self, state: &LunState, event: &Event) -> Vec<Event> {
        if !state.due.is_empty() {
            return state.due.iter().map(|due| shown(&state.unit, due)).collect();
        }
        let lun = &state.unit.lun;
        let mut out = Vec::new();
        for nexus in (0..self.nexuses).map(Nexus) {
            let Some(tag) = state.unit.head(nexus).map(|head| head.tag) else { continue };
            let mut reactions = Vec::new();
            state.unit.reactions(self.rules, nexus, &mut reactions);
            out.extend(reactions.iter().map(|reaction| {
                let disposition = lun.disposition(self.rules, nexus, reaction);
                Event::Dispatched { nexus, tag, disposition }
            }));
        }
        for task in &lun.tasks {
            let (nexus, tag) = (task.nexus, task.tag);
            out.push(match task.stage {
                Stage::TaskSet => Event::Submitted { nexus, tag },
                Stage::BackEnd => Event::Committed { nexus, tag },
            });
        }
        for (nexus, wire) in (0u8..).map(Nexus).zip(&state.unit.wires) {
            if let Some((tag, reply)) = wire.replies.first() {
                out.push(Event::Received { nexus, tag: *tag, reply: reply.clone() });
            }
        }
        if let (Event::PoweredOn { .. }, true) = (event, state.dark) {
            let mut found = state.unit.clone();
            found.power_cycle();
            out.push(Event::PoweredOn { view: found.lun.view() });
        }
        out
    }

    /// Hidden: the target takes commands and finishes tasks, gives up broken connections.
    fn hidden(&self, state: &LunState, event: &Event, out: &mut Vec<LunState>) {
        let concerned = match event {
            Event::Received { nexus, .. } | Event::LoggedIn { nexus, .. } | Event::LoggedOut { nexus } => {
                *nexus
            }
            _ => return,
        };
        // What ends other commands makes it matter which of them were over before.
        let ends_others =
            |command: &Command| matches!(command, Command::Manage(_)) || is_preempt_and_abort(command);
        let all_count = matches!(event, Event::LoggedOut { .. })
            || state.unit.wires.iter().flat_map(|wire| &wire.requests).any(|one| ends_others(&one.command));
        let mut reactions = Vec::new();
        for nexus in (0..self.nexuses).map(Nexus) {
            reactions.clear();
            state.unit.reactions(self.rules, nexus, &mut reactions);
            for reaction in &reactions {
                let mut next = state.clone();
                self.take(&mut next, nexus, reaction);
                out.push(Self::answered(next));
            }
            if !state.unit.wire(nexus).linked && state.unit.lun.sessions.has(nexus) {
                let mut next = state.clone();
                next.unit.lose(self.rules, nexus, &mut next.due);
                out.push(Self::answered(next));
            }
        }
        for at in 0..state.unit.lun.tasks.len() {
            let task = state.unit.lun.tasks[at];
            if task.nexus == concerned || !task.wanted || all_count {
                let mut next = state.clone();
                next.unit.end(at, &mut next.due);
                out.push(Self::answered(next));
            }
        }
    }

    /// Pays what is due out of sight.
    fn answered(mut state: LunState) -> LunState {
        for due in std::mem::take(&mut state.due) {
            if let Due::Replied(nexus, tag, answer) = due {
                let reply = state.unit.lun.reply(answer);
                state.unit.reply(nexus, tag, reply);
            }
        }
        state
    }
}

impl Part for LunPart {
    type State = LunState;
    type Event = Event;

    fn follow(&self, state: &mut LunState, event: &Event, forks: &mut Vec<LunState>) -> bool {
        if Self::is_foreign(event) {
            return true;
        }
        if let Event::FaultInjected { fault } = event {
            state.failing |= matches!(fault, Fault::DiskError);
            return true;
        }
        if !state.due.is_empty() {
            return Self::settle(state, event);
        }
        match event {
            Event::Sent { nexus, tag, command } => {
                // Ports may be registered that nobody ever logs in on.
                let within = !matches!(command, Command::PrOut(order) if !redline_model::is_within(order));
                let known = self.in_range(*nexus) && within;
                if known {
                    state.unit.send(*nexus, *tag, *command, 0);
                }
                known
            }
            Event::Dispatched { nexus, tag, disposition } => {
                self.in_range(*nexus) && self.dispatched(state, *nexus, *tag, *disposition, forks)
            }
            Event::Submitted { nexus, tag } => self.submitted(state, *nexus, *tag),
            Event::Committed { nexus, tag } => self.committed(state, *nexus, *tag),
            Event::Replied { .. } => self.replied(state, event),
            Event::TablePersisted => {
                let late = state.unit.lun.is_behind() && !self.rules.design.has(Guard::PersistBeforeGood);
                if late {
                    state.unit.lun.persist();
                }
                late
            }
            Event::Received { nexus, tag, reply } => {
                if !self.in_range(*nexus) {
                    return false;
                }
                let wire = state.unit.wire_mut(*nexus);
                let next =
                    wire.replies.first().is_some_and(|(of, sent)| of == tag && same_reply(sent, reply));
                if next {
                    wire.replies.remove(0);
                }
                next
            }
            Event::LoggedIn { node, nexus } if self.in_range(*nexus) => {
                // A power cycle shows to clients only as logins, and those that follow it must not be undone by it: it has to
                // be considered before each.
                if self.hides {
                    let mut cycled = state.clone();
                    cycled.unit.power_cycle();
                    if self.logged_in(&mut cycled, *node, *nexus) {
                        forks.push(cycled);
                    }
                }
                self.logged_in(state, *node, *nexus)
            }
            Event::LoggedIn { .. } => false,
            Event::ConnectionLost { nexus } => {
                let up = self.in_range(*nexus) && state.unit.wire(*nexus).linked;
                if up {
                    state.unit.cut(*nexus);
                }
                up
            }
            Event::LoggedOut { nexus } => {
                let up = self.in_range(*nexus)
                    && state.unit.wire(*nexus).linked
                    && state.unit.lun.sessions.has(*nexus);
                if up {
                    self.logged_out(state, event, *nexus, forks);
                }
                up
            }
            Event::NexusLost { nexus } => {
                let lost = self.in_range(*nexus)
                    && !state.unit.wire(*nexus).linked
                    && state.unit.lun.sessions.has(*nexus);
                if lost {
                    state.unit.lose(self.rules, *nexus, &mut state.due);
                }
                lost
            }
            Event::PowerLost => !std::mem::replace(&mut state.dark, true),
            Event::PoweredOn { view } => {
                let mut found = state.unit.clone();
                found.power_cycle();
                let comes_up = state.dark && found.lun.shows(view);
                if comes_up {
                    state.unit = found;
                    state.dark = false;
                }
                comes_up
            }
            Event::Aborted { nexus, tag } => self.ended_in_vain(state, *nexus, *tag),
            Event::TableChanged { .. } => false,
            Event::Issued { .. }
            | Event::Forgotten { .. }
            | Event::Challenged { .. }
            | Event::WaitEnded { .. }
            | Event::Defended { .. }
            | Event::Owned { .. }
            | Event::Lost { .. }
            | Event::Fence { .. }
            | Event::Drained { .. }
            | Event::Stalled { .. }
            | Event::Woke { .. }
            | Event::Crashed { .. }
            | Event::Restarted { .. }
            | Event::FaultInjected { .. }
            | Event::FaultHealed { .. } => true,
        }
    }

    fn silent(&self, state: &LunState, event: &Event, out: &mut Vec<LunState>) {
        self.hidden(state, event, out);
    }
}

/// The event that would pay what is due.
fn shown(unit: &Unit, due: &Due) -> Event {
    match due {
        Due::Aborted(nexus, tag) => Event::Aborted { nexus: *nexus, tag: *tag },
        Due::TableChanged => Event::TableChanged { view: unit.lun.view() },
        Due::TablePersisted => Event::TablePersisted,
        Due::Replied(nexus, tag, answer) => {
            Event::Replied { nexus: *nexus, tag: *tag, reply: unit.lun.reply(*answer) }
        }
    }
}

/// Medium and hardware errors: what a back end may answer to any access.
const fn is_medium_error(sense: Sense) -> bool {
    sense.key == 3 || sense.key == 4
}

/// Whether the reply seen is the one sent. Where the trace hides the sending, the model does not
/// know what the medium holds and in which order keys are listed.
fn same_reply(sent: &Reply, seen: &Reply) -> bool {
    if sent == seen {
        return true;
    }
    let same = match (&sent.data, &seen.data) {
        (Data::Blocks(unknown), Data::Blocks(_)) => unknown.is_empty(),
        // What a target is capable of is its own matter.
        (Data::Capabilities(sent), Data::Capabilities(seen)) => {
            (sent.ptpl_c, sent.ptpl_a) == (seen.ptpl_c, seen.ptpl_a)
        }
        (Data::Keys { generation, keys }, Data::Keys { generation: of, keys: listed }) => {
            let sorted = |keys: &Vec<_>| {
                let mut keys = keys.clone();
                keys.sort_unstable();
                keys
            };
            generation == of && sorted(keys) == sorted(listed)
        }
        _ => false,
    };
    same && sent.status == seen.status
}

/// A candidate state in words.
pub(super) fn words(state: &LunState) -> String {
    let lun = &state.unit.lun;
    let mut text = super::words::view_words(&lun.view());
    for task in &lun.tasks {
        let stage = match task.stage {
            Stage::TaskSet => "in the task set",
            Stage::BackEnd => "at the back end",
        };
        text += &format!("; {} of {} {stage}", task.tag, task.nexus);
    }
    for due in &state.due {
        text += &match due {
            Due::Replied(nexus, tag, Answer::Status(status)) => format!("; owes {nexus} ({tag}) {status}"),
            other => format!("; owes: {}", super::words::sentence(&shown(&state.unit, other))),
        };
    }
    text
}
