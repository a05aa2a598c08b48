//! For each monitor: the shortest story that it must object to, and the nearest one that it must accept.

use super::*;
use alloc::{vec, vec::Vec};
use redline_vocab::{
    Block, Command, Data, Disposition, Epoch, Extent, Fault, Generation, Holder, Key, Lba, LossReason,
    LunView, Nexus, NodeId, PrOut, PrType, Record, Reply, Reservation, Sense, Serial, ServiceAction, Status,
    Tag,
};

const A: Nexus = Nexus(0);
const B: Nexus = Nexus(1);
const WERO: PrType = PrType::WriteExclusiveRegistrantsOnly;

/// A run told by verbs; each is what the environment would log.
struct Story {
    events: Vec<Event>,
    view: LunView,
    tag: u32,
}

impl Story {
    fn new() -> Story {
        Story {
            events: Vec::new(),
            view: LunView { generation: Generation(0), registrants: vec![], reservation: None, aptpl: false },
            tag: 0,
        }
    }

    /// Nodes 0 and 1 are registered with keys 0xa and 0xb, and node 0 holds WERO with APTPL.
    fn held_by_a() -> Story {
        let mut story = Story::new();
        story.register(A, 0xa, |view| view.registrants = vec![(A, Key(0xa))]);
        story.pr_out(A, PrOut { key: Key(0xa), kind: 5, ..PrOut::new(ServiceAction::Reserve) }, 0, |view| {
            view.reservation = Some(Reservation { kind: WERO, holder: Holder::Nexus(A) });
        });
        story.register(B, 0xb, |view| view.registrants.push((B, Key(0xb))));
        story
    }

    fn push(&mut self, event: Event) -> &mut Story {
        self.events.push(event);
        self
    }

    fn sent(&mut self, nexus: Nexus, command: Command) -> Tag {
        self.tag += 1;
        let tag = Tag(self.tag);
        self.push(Event::Sent { nexus, tag, command });
        tag
    }

    fn dispatched(&mut self, nexus: Nexus, tag: Tag, disposition: Disposition) -> &mut Story {
        self.push(Event::Dispatched { nexus, tag, disposition })
    }

    fn replied(&mut self, nexus: Nexus, tag: Tag, status: Status, data: Data) -> &mut Story {
        self.push(Event::Replied { nexus, tag, reply: Reply { status, data: data.clone() } });
        self.push(Event::Received { nexus, tag, reply: Reply { status, data } })
    }

    fn changes(&mut self, step: u32, change: impl FnOnce(&mut LunView)) -> &mut Story {
        self.view.generation.0 += step;
        change(&mut self.view);
        let view = self.view.clone();
        self.push(Event::TableChanged { view })
    }

    fn pr_out(
        &mut self,
        nexus: Nexus,
        pr: PrOut,
        step: u32,
        change: impl FnOnce(&mut LunView),
    ) -> &mut Story {
        let tag = self.sent(nexus, Command::PrOut(pr));
        self.dispatched(nexus, tag, Disposition::Answered(Status::Good));
        self.changes(step, change);
        self.replied(nexus, tag, Status::Good, Data::Nothing)
    }

    fn register(&mut self, nexus: Nexus, key: u64, change: impl FnOnce(&mut LunView)) -> &mut Story {
        let pr = PrOut {
            service_key: Key(key),
            aptpl: true,
            ..PrOut::new(ServiceAction::RegisterAndIgnoreExistingKey)
        };
        self.pr_out(nexus, pr, 1, |view| {
            view.aptpl = true;
            change(view);
        })
    }

    /// B preempts A's key, with the abort of A's tasks left to the caller.
    fn preempt(&mut self, action: ServiceAction) -> &mut Story {
        let pr = PrOut { key: Key(0xb), service_key: Key(0xa), kind: 5, ..PrOut::new(action) };
        self.pr_out(B, pr, 1, |view| {
            view.registrants = vec![(B, Key(0xb))];
            view.reservation = Some(Reservation { kind: WERO, holder: Holder::Nexus(B) });
        })
    }

    fn write(&mut self, nexus: Nexus, epoch: u32, serial: u32) -> Tag {
        let record = Record { writer: NodeId(nexus.0), epoch: Epoch(epoch), serial: Serial(serial) };
        self.push(Event::Issued { node: NodeId(nexus.0), extent: BLOCK_0, record });
        self.sent(nexus, Command::Write { extent: BLOCK_0, record })
    }

    fn accepted(&mut self, nexus: Nexus, tag: Tag) -> &mut Story {
        self.dispatched(nexus, tag, Disposition::Enabled);
        self.push(Event::Submitted { nexus, tag })
    }

    fn committed(&mut self, nexus: Nexus, tag: Tag) -> &mut Story {
        self.push(Event::Committed { nexus, tag })
    }

    fn written(&mut self, nexus: Nexus, epoch: u32, serial: u32) -> &mut Story {
        let tag = self.write(nexus, epoch, serial);
        self.accepted(nexus, tag).committed(nexus, tag).replied(nexus, tag, Status::Good, Data::Nothing)
    }

    fn reads(&mut self, nexus: Nexus, block: Block) -> &mut Story {
        let tag = self.sent(nexus, Command::Read(BLOCK_0));
        self.accepted(nexus, tag).committed(nexus, tag).replied(
            nexus,
            tag,
            Status::Good,
            Data::Blocks(vec![block]),
        )
    }

    fn flushes(&mut self, nexus: Nexus) -> &mut Story {
        let tag = self.sent(nexus, Command::SynchronizeCache);
        self.accepted(nexus, tag).committed(nexus, tag).replied(nexus, tag, Status::Good, Data::Nothing)
    }

    fn owns(&mut self, node: u8, epoch: u32) -> &mut Story {
        self.push(Event::Owned { node: NodeId(node), epoch: Epoch(epoch) });
        self.fence(node, true)
    }

    fn fence(&mut self, node: u8, open: bool) -> &mut Story {
        self.push(Event::Fence { node: NodeId(node), open })
    }

    fn power_cycle(&mut self, found: impl FnOnce(&mut LunView)) -> &mut Story {
        self.push(Event::PowerLost);
        self.view.generation = Generation(0);
        found(&mut self.view);
        let view = self.view.clone();
        self.push(Event::PoweredOn { view })
    }

    fn panel(&self) -> Panel {
        let mut panel = Panel::new(Setup { nodes: 2, owner_within: Some(Micros(1_000)) });
        for (seq, event) in (1u64..).zip(&self.events) {
            panel.see(seq, Micros(seq), event);
        }
        panel
    }
}

const BLOCK_0: Extent = Extent { lba: Lba(0), blocks: 1 };

fn record(node: u8, epoch: u32, serial: u32) -> Block {
    Block::Of(Record { writer: NodeId(node), epoch: Epoch(epoch), serial: Serial(serial) })
}

/// The story breaks this property, and only this one, at its last event.
fn check_broken(property: &str, story: &Story) {
    check_broken_at(property, story, story.events.len() as u64);
}

fn check_broken_at(property: &str, story: &Story, seq: u64) {
    let panel = story.panel();
    let found: Vec<_> = panel.violations().iter().map(|one| (one.property, one.seq)).collect();
    assert_eq!(found, [(property, seq)], "{:#?}", panel.violations());
}

/// The story breaks nothing, and the property's premise was met.
fn check_holds(property: &str, story: &Story) {
    let panel = story.panel();
    assert_eq!(panel.violations(), []);
    let fired = panel.witnesses().find(|one| one.property == property).map(|one| one.fired);
    assert!(fired.is_some_and(|count| count > 0), "{property}: premise fired {fired:?}");
}

#[test]
fn a_reservation_by_an_unregistered_nexus_is_seen() {
    let mut story = Story::held_by_a();
    story.changes(0, |view| view.registrants.retain(|(nexus, _)| *nexus != A));
    check_broken("lun/holder-registered", &story);
    check_holds("lun/holder-registered", &Story::held_by_a());
}

#[test]
fn a_reservation_without_registrants_is_seen() {
    let mut story = Story::new();
    let all = Reservation { kind: PrType::WriteExclusiveAllRegistrants, holder: Holder::AllRegistrants };
    story.changes(0, |view| view.reservation = Some(all));
    check_broken("lun/reservation-needs-registrant", &story);
    check_holds("lun/reservation-needs-registrant", &Story::held_by_a());
}

#[test]
fn an_all_registrants_reservation_of_one_nexus_is_seen() {
    let mut story = Story::new();
    story.register(A, 0xa, |view| {
        view.registrants = vec![(A, Key(0xa))];
        view.reservation =
            Some(Reservation { kind: PrType::WriteExclusiveAllRegistrants, holder: Holder::Nexus(A) });
    });
    check_broken_at("lun/single-holder", &story, 3);
    check_holds("lun/single-holder", &Story::held_by_a());
}

#[test]
fn a_registration_with_key_zero_is_seen() {
    let mut story = Story::new();
    story.register(A, 0, |view| view.registrants = vec![(A, Key(0))]);
    check_broken_at("lun/no-zero-key", &story, 3);
    check_holds("lun/no-zero-key", &Story::held_by_a());
}

#[test]
fn a_generation_that_does_not_step_is_seen() {
    let mut stuck = Story::new();
    let pr = PrOut { service_key: Key(0xa), ..PrOut::new(ServiceAction::Register) };
    stuck.pr_out(A, pr, 0, |view| view.registrants = vec![(A, Key(0xa))]);
    check_broken_at("lun/generation-steps", &stuck, 3);
    check_holds("lun/generation-steps", &Story::held_by_a());
}

#[test]
fn a_generation_that_does_not_step_is_seen_although_the_table_stays() {
    let mut story = Story::new();
    let pr = PrOut { key: Key(0), service_key: Key(0), ..PrOut::new(ServiceAction::Register) };
    let tag = story.sent(A, Command::PrOut(pr));
    story.dispatched(A, tag, Disposition::Answered(Status::Good));
    story.push(Event::Replied { nexus: A, tag, reply: Reply::of(Status::Good) });
    check_broken("lun/generation-steps", &story);
}

#[test]
fn a_generation_that_steps_for_reserve_is_seen() {
    let mut story = Story::new();
    story.register(A, 0xa, |view| view.registrants = vec![(A, Key(0xa))]);
    story.pr_out(A, PrOut { key: Key(0xa), kind: 5, ..PrOut::new(ServiceAction::Reserve) }, 1, |view| {
        view.reservation = Some(Reservation { kind: WERO, holder: Holder::Nexus(A) });
    });
    check_broken_at("lun/generation-steps", &story, 8);
}

#[test]
fn a_generation_that_survives_power_on_is_seen() {
    let mut story = Story::held_by_a();
    story.power_cycle(|view| view.generation = Generation(2));
    check_broken("lun/generation-steps", &story);
}

#[test]
fn a_release_by_a_registrant_that_does_not_hold_is_seen() {
    let release = |issuer: Nexus, key: u64| {
        let mut story = Story::held_by_a();
        let pr = PrOut { key: Key(key), kind: 5, ..PrOut::new(ServiceAction::Release) };
        story.pr_out(issuer, pr, 0, |view| view.reservation = None);
        story
    };
    let by_b = release(B, 0xb);
    check_broken_at("lun/reservation-ends-lawfully", &by_b, by_b.events.len() as u64 - 2);
    let wrong_key = release(A, 0xb);
    check_broken_at("lun/reservation-ends-lawfully", &wrong_key, wrong_key.events.len() as u64 - 2);
    check_holds("lun/reservation-ends-lawfully", &release(A, 0xa));
}

#[test]
fn a_preempt_moves_the_reservation_lawfully() {
    let mut story = Story::held_by_a();
    story.preempt(ServiceAction::Preempt);
    check_holds("lun/reservation-ends-lawfully", &story);
}

#[test]
fn a_reservation_that_ends_with_the_nexus_is_seen() {
    let mut story = Story::held_by_a();
    story.push(Event::NexusLost { nexus: A });
    story.changes(0, |view| {
        view.registrants = vec![(B, Key(0xb))];
        view.reservation = None;
    });
    check_broken("lun/reservation-ends-lawfully", &story);
}

#[test]
fn an_acknowledged_table_that_is_gone_after_power_on_is_seen() {
    let mut lost = Story::held_by_a();
    lost.power_cycle(|view| {
        view.registrants.clear();
        view.reservation = None;
        view.aptpl = false;
    });
    check_broken("lun/durable-with-aptpl", &lost);
    let mut kept = Story::held_by_a();
    kept.power_cycle(|_| {});
    check_holds("lun/durable-with-aptpl", &kept);
}

#[test]
fn a_change_that_was_not_acknowledged_may_be_gone_or_not_after_power_on() {
    for stored in [true, false] {
        let mut story = Story::held_by_a();
        let before = story.view.clone();
        let pr = PrOut { key: Key(0xb), service_key: Key(0xa), ..PrOut::new(ServiceAction::Preempt) };
        let tag = story.sent(B, Command::PrOut(PrOut { kind: 5, ..pr }));
        story.dispatched(B, tag, Disposition::Held);
        story.changes(1, |view| {
            view.registrants = vec![(B, Key(0xb))];
            view.reservation = Some(Reservation { kind: WERO, holder: Holder::Nexus(B) });
        });
        story.power_cycle(|view| {
            if !stored {
                *view = LunView { generation: Generation(0), ..before };
            }
        });
        check_holds("lun/durable-with-aptpl", &story);
    }
}

#[test]
fn a_write_that_lands_after_preempt_and_abort_is_seen() {
    let mut story = Story::held_by_a();
    let tag = story.write(A, 1, 1);
    story.accepted(A, tag).preempt(ServiceAction::PreemptAndAbort).committed(A, tag);
    check_broken("lun/abort-is-final", &story);
}

#[test]
fn a_write_that_is_aborted_or_refused_after_preempt_and_abort_is_accepted() {
    let mut story = Story::held_by_a();
    let in_task_set = story.write(A, 1, 1);
    let in_transport = story.write(A, 1, 2);
    story.dispatched(A, in_task_set, Disposition::Enabled);
    story.push(Event::Aborted { nexus: A, tag: in_task_set });
    story.preempt(ServiceAction::PreemptAndAbort);
    story.dispatched(A, in_transport, Disposition::Answered(Status::ReservationConflict));
    story.replied(A, in_transport, Status::ReservationConflict, Data::Nothing);
    check_holds("lun/abort-is-final", &story);
}

#[test]
fn a_nexus_that_registers_again_may_write_what_was_still_in_the_transport() {
    let mut story = Story::held_by_a();
    let tag = story.write(A, 1, 1);
    story.preempt(ServiceAction::PreemptAndAbort);
    story.register(A, 0xa, |view| view.registrants.insert(0, (A, Key(0xa))));
    story.accepted(A, tag).committed(A, tag);
    check_holds("lun/abort-is-final", &story);
}

#[test]
fn two_nodes_whose_writes_take_effect_are_seen() {
    let mut story = Story::held_by_a();
    story.owns(0, 1).fence(1, true);
    check_broken("fabric/owner-unique", &story);
}

#[test]
fn an_old_owner_that_only_believes_is_no_second_owner() {
    let mut story = Story::held_by_a();
    story.owns(0, 1).preempt(ServiceAction::PreemptAndAbort).owns(1, 2);
    check_holds("fabric/owner-unique", &story);
}

#[test]
fn a_write_of_the_old_tenure_after_the_new_owners_first_access_is_seen() {
    let mut story = Story::held_by_a();
    story.reads(A, Block::Blank).owns(0, 1);
    let tag = story.write(A, 1, 1);
    story
        .accepted(A, tag)
        .preempt(ServiceAction::Preempt)
        .reads(B, Block::Blank)
        .owns(1, 1)
        .committed(A, tag);
    check_broken("fabric/no-evicted-write", &story);
}

#[test]
fn a_write_between_the_first_access_and_its_announcement_is_seen() {
    let mut story = Story::held_by_a();
    story.reads(A, Block::Blank).owns(0, 1);
    let tag = story.write(A, 1, 1);
    story.accepted(A, tag).preempt(ServiceAction::Preempt).reads(B, Block::Blank).committed(A, tag);
    let at = story.events.len() as u64;
    story.owns(1, 1);
    check_broken_at("fabric/no-evicted-write", &story, at);
}

#[test]
fn a_write_of_the_old_tenure_before_the_first_access_is_accepted() {
    let mut story = Story::held_by_a();
    story.reads(A, Block::Blank).owns(0, 1);
    let (early, late) = (story.write(A, 1, 1), story.write(A, 1, 2));
    story.accepted(A, early).dispatched(A, late, Disposition::Enabled);
    story.committed(A, early).push(Event::Aborted { nexus: A, tag: late });
    story.preempt(ServiceAction::PreemptAndAbort).reads(B, record(0, 1, 1)).owns(1, 2).written(B, 2, 1);
    let panel = story.panel();
    assert_eq!(panel.violations(), []);
    story.push(Event::Lost { node: NodeId(0), reason: LossReason::KeyMissing });
    let tag = story.write(A, 1, 3);
    story.dispatched(A, tag, Disposition::Answered(Status::ReservationConflict));
    story.replied(A, tag, Status::ReservationConflict, Data::Nothing);
    check_holds("fabric/no-evicted-write", &story);
}

#[test]
fn a_node_that_learns_late_of_its_tenure_does_not_evict_its_successor() {
    let mut story = Story::held_by_a();
    let tag = story.sent(A, Command::Read(BLOCK_0));
    story.accepted(A, tag).committed(A, tag);
    let reply = Reply { status: Status::Good, data: Data::Blocks(vec![Block::Blank]) };
    story.push(Event::Replied { nexus: A, tag, reply: reply.clone() });
    story.preempt(ServiceAction::PreemptAndAbort).reads(B, Block::Blank).owns(1, 1);
    story.push(Event::Received { nexus: A, tag, reply }).owns(0, 1).written(B, 1, 1);
    assert_eq!(story.panel().violations(), []);
}

#[test]
fn a_healed_fabric_without_an_owner_is_seen() {
    let fault = Fault::NodePause(NodeId(0));
    let mut panel = Story::held_by_a().panel();
    let mut see = |at, event| panel.see(at, Micros(at), &event);
    see(50, Event::Fence { node: NodeId(0), open: true });
    see(100, Event::FaultInjected { fault });
    see(100, Event::Fence { node: NodeId(0), open: false });
    see(5_000, Event::FaultHealed { fault });
    see(5_900, Event::Defended { node: NodeId(0) });
    let mut slow = panel.clone();
    slow.finish(Micros(6_001));
    let found: Vec<_> = slow.violations().iter().map(|one| (one.property, one.seq)).collect();
    assert_eq!(found, [("fabric/progress", 5_900)]);
    panel.see(5_901, Micros(5_901), &Event::Fence { node: NodeId(0), open: true });
    panel.finish(Micros(9_000));
    assert_eq!(panel.violations(), []);
    assert!(panel.witnesses().any(|one| one.property == "fabric/progress" && one.fired == 1));
}

#[test]
fn a_read_of_an_older_value_is_seen() {
    let mut story = Story::new();
    story.written(A, 1, 1).written(A, 1, 2).reads(A, record(0, 1, 1));
    check_broken_at("disk/reads-last-write", &story, story.events.len() as u64 - 1);
    let mut story = Story::new();
    story.written(A, 1, 1).written(A, 1, 2).reads(A, record(0, 1, 2));
    check_holds("disk/reads-last-write", &story);
}

#[test]
fn a_flushed_value_that_a_power_loss_takes_is_seen() {
    let after_power_loss = |seen: Block| {
        let mut story = Story::new();
        story.written(A, 1, 1).written(A, 1, 2).flushes(A).written(A, 1, 3);
        let under_way = story.write(A, 1, 4);
        story.accepted(A, under_way).power_cycle(|_| {}).reads(A, seen);
        story
    };
    for lost in [Block::Blank, record(0, 1, 1), Block::Corrupt] {
        let story = after_power_loss(lost);
        check_broken_at("disk/flushed-survives", &story, story.events.len() as u64 - 1);
    }
    for possible in [2, 3, 4] {
        check_holds("disk/flushed-survives", &after_power_loss(record(0, 1, possible)));
    }
}

#[test]
fn a_read_after_a_power_loss_settles_what_the_block_holds() {
    let mut story = Story::new();
    story.written(A, 1, 1).flushes(A).written(A, 1, 2).power_cycle(|_| {});
    story.reads(A, record(0, 1, 1)).reads(A, record(0, 1, 2));
    check_broken_at("disk/reads-last-write", &story, story.events.len() as u64 - 1);
}

#[test]
fn a_damaged_block_is_accepted_only_after_a_declared_corruption() {
    let mut story = Story::new();
    story.written(A, 1, 1).reads(A, Block::Corrupt);
    check_broken_at("disk/reads-last-write", &story, story.events.len() as u64 - 1);
    let mut story = Story::new();
    story.written(A, 1, 1).push(Event::FaultInjected { fault: Fault::Corruption });
    story.reads(A, Block::Corrupt);
    check_holds("disk/reads-last-write", &story);
}

#[test]
fn a_write_that_failed_may_have_had_an_effect_or_not() {
    for seen in [1, 2] {
        let mut story = Story::new();
        story.written(A, 1, 1);
        let tag = story.write(A, 1, 2);
        let failed = Status::CheckCondition(Sense::WRITE_ERROR);
        story.accepted(A, tag).replied(A, tag, failed, Data::Nothing).reads(A, record(0, 1, seen));
        check_holds("disk/reads-last-write", &story);
    }
}

#[test]
fn repeated_violations_are_counted_and_not_all_kept() {
    let mut story = Story::new();
    story.written(A, 1, 1);
    for _ in 0..KEPT_PER_PROPERTY + 3 {
        story.reads(A, Block::Blank).written(A, 1, 1);
    }
    let panel = story.panel();
    assert_eq!((panel.violations().len(), panel.not_kept()), (KEPT_PER_PROPERTY, 3));
}
