//! One action of the surroundings, and all that follows from it within the step.

use super::state::{Marks, State, spend};
use super::{Cluster, claims};
use crate::lun::{Due, Kind, Reaction, Stage, is_preempt_and_abort};
use crate::node::{Node, Owed, Phase};
use crate::set::Set;
use redline_vocab::{
    Action, Block, Command, Data, Disposition, Event, Extent, Guard, Lba, LossReason, Nexus, NodeId, Record,
    Serial, Status,
};

/// Where events of a step go, if anybody wants them: exploration does not.
pub struct Log<'a>(pub Option<&'a mut Vec<Event>>);

impl Log<'_> {
    fn add(&mut self, event: impl FnOnce() -> Event) {
        if let Some(events) = &mut self.0 {
            events.push(event());
        }
    }
}

const WHERE: Extent = Extent { lba: Lba(0), blocks: 1 };

impl Cluster {
    /// Takes one action in place, if it is possible. `reading` chooses among the reactions of the
    /// target, and is 0 for everything else. Budgets are not looked at, only spent.
    pub fn take(&self, state: &mut State, action: Action, reading: u8, log: &mut Log<'_>) -> bool {
        match action {
            Action::Dispatch(nexus) => self.dispatch(state, nexus, reading, log),
            Action::Submit { nexus, nth } => self.submit(state, nexus, nth, log),
            Action::Commit { nexus, nth } => self.commit(state, nexus, nth, log),
            Action::Break(nexus) => {
                let linked = state.unit.wire(nexus).linked;
                if linked {
                    spend(&mut state.left.breaks);
                    state.unit.cut(nexus);
                    log.add(|| Event::ConnectionLost { nexus });
                }
                linked
            }
            Action::Expire(nexus) => {
                let gone = !state.unit.wire(nexus).linked && state.unit.lun.sessions.has(nexus);
                if gone {
                    self.lose_nexus(state, nexus, log);
                }
                gone
            }
            Action::Logout(nexus) => self.log_out(state, nexus, reading, log),
            Action::PowerCycle => {
                self.power_cycle(state, log);
                true
            }
            Action::Persist => {
                let behind = state.unit.lun.is_behind() && !self.design.has(Guard::PersistBeforeGood);
                if behind {
                    state.unit.lun.persist();
                    log.add(|| Event::TablePersisted);
                }
                behind
            }
            Action::Command(nexus, command) => self.command(state, nexus, command, log),
            Action::Receive(node) if state.nodes.is_empty() => self.receive_raw(state, Nexus(node.0), log),
            Action::Login(node) if state.nodes.is_empty() => self.login_raw(state, node, log),
            Action::Issue(node)
            | Action::Send(node)
            | Action::Receive(node)
            | Action::Challenge(node)
            | Action::WaitOver(node)
            | Action::Defend(node)
            | Action::Stall(node)
            | Action::Wake(node)
            | Action::Crash(node)
            | Action::Restart(node)
            | Action::Login(node) => self.node_acts(state, node, action, log),
        }
    }

    /// An initiator without arbitration logic sends a command. Its writes are of no tenure that could be old.
    fn command(&self, state: &mut State, nexus: Nexus, command: Command, log: &mut Log<'_>) -> bool {
        let may = state.nodes.is_empty() && state.unit.wire(nexus).linked;
        if may {
            let tag = state.next_tag(nexus);
            state.unit.send(nexus, tag, command, super::state::CURRENT);
            log.add(|| Event::Sent { nexus, tag, command });
        }
        may
    }

    fn receive_raw(&self, state: &mut State, nexus: Nexus, log: &mut Log<'_>) -> bool {
        let replies = &mut state.unit.wire_mut(nexus).replies;
        if replies.is_empty() {
            return false;
        }
        let (tag, reply) = replies.remove(0);
        log.add(|| Event::Received { nexus, tag, reply });
        true
    }

    fn login_raw(&self, state: &mut State, node: NodeId, log: &mut Log<'_>) -> bool {
        let nexus = Nexus(node.0);
        let may = !state.unit.wire(nexus).linked && state.unit.lun.accepts_login(self.rules(), nexus);
        if may {
            if state.unit.lun.sessions.has(nexus) {
                self.lose_nexus(state, nexus, log);
            }
            state.unit.login(nexus);
            log.add(|| Event::LoggedIn { node, nexus });
        }
        may
    }

    /// A raw initiator logs out. Reading 1: it will hear of a nexus loss.
    fn log_out(&self, state: &mut State, nexus: Nexus, reading: u8, log: &mut Log<'_>) -> bool {
        let may = state.nodes.is_empty() && state.unit.wire(nexus).linked && reading < 2;
        if may {
            let mut due = Vec::new();
            state.unit.log_out(self.rules(), nexus, reading == 1, &mut due);
            log.add(|| Event::LoggedOut { nexus });
            self.settle_unit(state, due, log);
        }
        may
    }

    fn node_acts(&self, state: &mut State, node: NodeId, action: Action, log: &mut Log<'_>) -> bool {
        let at = usize::from(node.0);
        let own = self.own(node);
        let mut owed = Vec::new();
        match action {
            Action::Issue(_) => {
                if !state.nodes[at].may_issue() {
                    return false;
                }
                let record = Record {
                    writer: node,
                    epoch: state.nodes[at].epoch,
                    serial: Serial(state.nodes[at].serial.0 + 1),
                };
                state.nodes[at].issue(WHERE, record);
                spend(&mut state.left.writes);
                log.add(|| Event::Issued { node, extent: WHERE, record });
            }
            Action::Send(_) => {
                if !state.nodes[at].flows() || state.nodes[at].queue.is_empty() {
                    return false;
                }
                let nexus = state.nodes[at].nexus;
                let tag = state.next_tag(nexus);
                let operation = state.nodes[at].send(tag);
                state.unit.send(nexus, tag, operation.command, operation.tenure);
                log.add(|| Event::Sent { nexus, tag, command: operation.command });
            }
            Action::Receive(_) => {
                let nexus = state.nodes[at].nexus;
                if !state.nodes[at].runs() || state.unit.wire(nexus).replies.is_empty() {
                    return false;
                }
                let (tag, reply) = state.unit.wire_mut(nexus).replies.remove(0);
                state.nodes[at].receive(&own, tag, &reply, &mut owed);
                log.add(|| Event::Received { nexus, tag, reply });
            }
            Action::Challenge(_) => {
                if !state.nodes[at].may_challenge(&own) {
                    return false;
                }
                spend(&mut state.left.challenges);
                log.add(|| Event::Challenged { node });
                state.nodes[at].challenge(&own, &mut owed);
            }
            Action::WaitOver(_) => {
                if !state.nodes[at].may_end_wait() {
                    return false;
                }
                log.add(|| Event::WaitEnded { node });
                state.nodes[at].end_wait(&own, &mut owed);
            }
            Action::Defend(_) => {
                if !state.nodes[at].may_defend() {
                    return false;
                }
                spend(&mut state.left.defends);
                log.add(|| Event::Defended { node });
                state.nodes[at].defend(&own, &mut owed);
            }
            Action::Stall(_) => {
                if !state.nodes[at].runs() {
                    return false;
                }
                state.nodes[at].stalled = true;
                spend(&mut state.left.stalls);
                log.add(|| Event::Stalled { node });
            }
            Action::Wake(_) => {
                if !state.nodes[at].stalled {
                    return false;
                }
                state.nodes[at].stalled = false;
                log.add(|| Event::Woke { node });
            }
            Action::Crash(_) => {
                if !state.nodes[at].up {
                    return false;
                }
                self.crash(state, node, log);
            }
            Action::Restart(_) => {
                if state.nodes[at].up {
                    return false;
                }
                state.nodes[at].up = true;
                log.add(|| Event::Restarted { node });
            }
            Action::Login(_) => return self.login(state, node, log),
            _ => return false,
        }
        self.settle_node(state, node, owed, log);
        true
    }

    fn crash(&self, state: &mut State, node: NodeId, log: &mut Log<'_>) {
        let at = usize::from(node.0);
        let nexus = state.nodes[at].nexus;
        // Its older writes may still be under way; what it issues next is in no announced tenure.
        let tenure = u8::from(state.access.current_by.is_none()) * super::state::CURRENT;
        state.nodes[at] = Node { up: false, tenure, ..Node::new(nexus) };
        state.forsaken(node);
        spend(&mut state.left.crashes);
        log.add(|| Event::Crashed { node });
        if state.unit.wire(nexus).linked {
            state.unit.cut(nexus);
            log.add(|| Event::ConnectionLost { nexus });
        }
    }

    /// Whether the node could log in now.
    pub(super) fn may_login(&self, state: &State, node: NodeId) -> bool {
        let one = &state.nodes[usize::from(node.0)];
        one.runs()
            && !state.unit.wire(one.nexus).linked
            && self
                .next_nexus(state, node)
                .is_some_and(|next| state.unit.lun.accepts_login(self.rules(), next))
    }

    /// The nexus of the node's next session: the same, or with a new ISID the next one that the node
    /// has not used since power on.
    fn next_nexus(&self, state: &State, node: NodeId) -> Option<Nexus> {
        let nexus = state.nodes[usize::from(node.0)].nexus;
        if self.design.has(Guard::StableIsid) {
            return Some(nexus);
        }
        nexus.0.checked_add(self.bounds.nodes).filter(|next| *next < self.nexuses).map(Nexus)
    }

    fn login(&self, state: &mut State, node: NodeId, log: &mut Log<'_>) -> bool {
        if !self.may_login(state, node) {
            return false;
        }
        let at = usize::from(node.0);
        let own = self.own(node);
        if state.nodes[at].connected {
            let mut owed = Vec::new();
            state.nodes[at].disconnect(&own, &mut owed);
            self.settle_node(state, node, owed, log);
        }
        let Some(nexus) = self.next_nexus(state, node) else { return false };
        if state.unit.lun.sessions.has(nexus) {
            self.lose_nexus(state, nexus, log);
        }
        state.unit.login(nexus);
        log.add(|| Event::LoggedIn { node, nexus });
        let mut owed = Vec::new();
        state.nodes[at].connect(&own, nexus, &mut owed);
        self.settle_node(state, node, owed, log);
        true
    }

    /// What a node owes happens within the step.
    fn settle_node(&self, state: &mut State, node: NodeId, owed: Vec<Owed>, log: &mut Log<'_>) {
        let at = usize::from(node.0);
        let nexus = state.nodes[at].nexus;
        for one in owed {
            match one {
                Owed::Forgotten(tag) => log.add(|| Event::Forgotten { nexus, tag }),
                Owed::Challenged => log.add(|| Event::Challenged { node }),
                Owed::Lost(reason) => {
                    state.forsaken(node);
                    log.add(|| Event::Lost { node, reason });
                    debug_assert!(reason != LossReason::Disconnected || !state.nodes[at].connected);
                }
                Owed::Fence(open) => log.add(|| Event::Fence { node, open }),
                Owed::Drained(writes) => log.add(|| Event::Drained { node, writes }),
                Owed::Owned(epoch) => {
                    if state.owned(node) {
                        state.marks.set(Marks::EVICTED_WRITE);
                    }
                    if state.left != self.bounds.left && self.disturbed(state) {
                        state.marks.set(Marks::RECOVERED);
                    }
                    log.add(|| Event::Owned { node, epoch });
                }
                Owed::Sent(command) => {
                    let tag = state.next_tag(nexus);
                    state.nodes[at].asked = Some(tag);
                    state.unit.send(nexus, tag, command, 0);
                    log.add(|| Event::Sent { nexus, tag, command });
                }
            }
        }
    }

    /// Whether any fault has happened.
    fn disturbed(&self, state: &State) -> bool {
        let (left, all) = (state.left, self.bounds.left);
        (left.stalls, left.breaks, left.crashes, left.power_cycles)
            != (all.stalls, all.breaks, all.crashes, all.power_cycles)
    }

    fn dispatch(&self, state: &mut State, nexus: Nexus, reading: u8, log: &mut Log<'_>) -> bool {
        let mut reactions = Vec::new();
        state.unit.reactions(self.rules(), nexus, &mut reactions);
        self.chosen(&mut reactions);
        let Some(reaction) = reactions.get(usize::from(reading)) else { return false };
        let Some(&request) = state.unit.head(nexus) else { return false };
        let before = state.unit.lun.clone();
        let mut due = Vec::new();
        let disposition = state.unit.dispatch(self.rules(), nexus, reaction, &mut due);
        log.add(|| Event::Dispatched { nexus, tag: request.tag, disposition });
        let old_write =
            matches!(request.command, Command::Write { .. }) && request.tenure < super::state::CURRENT;
        if old_write && disposition == Disposition::Answered(Status::ReservationConflict) {
            state.marks.set(Marks::OLD_WRITE_STOPPED);
        }
        let writes = |one: &Due| match one {
            Due::Aborted(nexus, tag) => before
                .task(*nexus, *tag, Stage::TaskSet)
                .is_some_and(|at| matches!(before.tasks[at].kind, Kind::Write { .. })),
            Due::TableChanged | Due::TablePersisted | Due::Replied(..) => false,
        };
        if due.iter().any(writes) {
            state.marks.set(Marks::OLD_WRITE_STOPPED);
        }
        if let (Reaction::Done(change), true) = (reaction, is_preempt_and_abort(&request.command)) {
            let writes = |nexus: Nexus| {
                change.aborts.has(nexus) && before.tasks.iter().any(|task| task.nexus == nexus)
            };
            if change.aborts.iter().any(writes) {
                state.marks.set(Marks::ABORT_MATTERED);
            }
        }
        claims::judge_change(&before, nexus, &request.command, &state.unit.lun, &mut state.marks);
        self.settle_unit(state, due, log);
        true
    }

    fn submit(&self, state: &mut State, nexus: Nexus, nth: u8, log: &mut Log<'_>) -> bool {
        let Some(task) = state.nth(nexus, Stage::TaskSet, nth).filter(|_| !state.unit.lun.is_barred()) else {
            return false;
        };
        state.unit.lun.submit(task);
        let tag = state.unit.lun.tasks[task].tag;
        log.add(|| Event::Submitted { nexus, tag });
        true
    }

    fn commit(&self, state: &mut State, nexus: Nexus, nth: u8, log: &mut Log<'_>) -> bool {
        let Some(task) = state.nth(nexus, Stage::BackEnd, nth) else { return false };
        let mut due = Vec::new();
        let written = state.written(task);
        let ended = state.unit.end(task, &mut due);
        match ended.kind {
            Kind::Write { tenure } => {
                state.block = written.or(state.block);
                if ended.doomed {
                    state.marks.set(Marks::AFTER_ABORT);
                }
                if state.took_effect(tenure) {
                    state.marks.set(Marks::EVICTED_WRITE);
                }
            }
            Kind::Read if ended.wanted => {
                let node = self.node_of(nexus);
                if state.nodes.get(usize::from(node.0)).is_some_and(|node| node.phase == Phase::Mount) {
                    state.accessed(node);
                }
            }
            Kind::Read | Kind::Flush => {}
        }
        if ended.wanted || matches!(ended.kind, Kind::Write { .. }) {
            log.add(|| Event::Committed { nexus, tag: ended.tag });
        } else {
            log.add(|| Event::Aborted { nexus, tag: ended.tag });
        }
        self.settle_unit(state, due, log);
        true
    }

    fn lose_nexus(&self, state: &mut State, nexus: Nexus, log: &mut Log<'_>) {
        let mut due = Vec::new();
        state.unit.lose(self.rules(), nexus, &mut due);
        log.add(|| Event::NexusLost { nexus });
        self.settle_unit(state, due, log);
    }

    fn power_cycle(&self, state: &mut State, log: &mut Log<'_>) {
        let before = state.unit.lun.table;
        let acknowledged = state.unit.lun.waiting.is_empty();
        state.unit.power_cycle();
        spend(&mut state.left.power_cycles);
        if before.aptpl && acknowledged {
            let kept = before == state.unit.lun.table;
            if !kept {
                state.marks.set(Marks::TABLE_LOST);
            } else if before.registered() != Set::EMPTY {
                state.marks.set(Marks::TABLE_KEPT);
            }
        }
        log.add(|| Event::PowerLost);
        log.add(|| Event::PoweredOn { view: state.unit.lun.view() });
    }

    /// What the target owes happens within the step.
    fn settle_unit(&self, state: &mut State, due: Vec<Due>, log: &mut Log<'_>) {
        for one in due {
            match one {
                Due::Aborted(nexus, tag) => log.add(|| Event::Aborted { nexus, tag }),
                Due::TableChanged => log.add(|| Event::TableChanged { view: state.unit.lun.view() }),
                Due::TablePersisted => log.add(|| Event::TablePersisted),
                Due::Replied(nexus, tag, answer) => {
                    let mut reply = state.unit.lun.reply(answer);
                    if let Data::Blocks(blocks) = &mut reply.data {
                        blocks.push(state.block.map_or(Block::Blank, Block::Of));
                    }
                    log.add(|| Event::Replied { nexus, tag, reply: reply.clone() });
                    state.unit.reply(nexus, tag, reply);
                }
            }
        }
    }
}

impl State {
    /// What the task writes, as its node remembers it; a node that has given it up remembers nothing.
    fn written(&self, task: usize) -> Option<Record> {
        let task = &self.unit.lun.tasks[task];
        let mut sent =
            self.nodes.iter().filter(|node| node.nexus == task.nexus).flat_map(|node| &node.outstanding);
        match sent.find(|(tag, _)| *tag == task.tag)?.1.command {
            Command::Write { record, .. } => Some(record),
            _ => None,
        }
    }

    /// The nexus's nth task at this stage, oldest first.
    pub(super) fn nth(&self, nexus: Nexus, stage: Stage, nth: u8) -> Option<usize> {
        let tasks = self.unit.lun.tasks.iter().enumerate();
        let mut at = tasks.filter(|(_, task)| task.nexus == nexus && task.stage == stage).map(|(at, _)| at);
        at.nth(usize::from(nth))
    }
}
