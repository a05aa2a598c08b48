//! What belongs to sessions and resets: task management, RESERVE and RELEASE of SPC-2, logout; and registrations of several ports.

use super::*;
use redline_vocab::{Function, Managed, Nexuses, PortList};

const C: Nexus = Nexus(2);

impl Rig {
    fn manage(&mut self, nexus: Nexus, function: Function) -> Tag {
        self.send(nexus, Command::Manage(function))
    }

    fn managed(&self, nexus: Nexus, tag: Tag) -> Option<Managed> {
        self.answer(nexus, tag).map(|reply| match reply.data {
            Data::Managed(managed) => managed,
            other => panic!("{other:?}"),
        })
    }

    fn status(&mut self, nexus: Nexus, command: Command) -> Status {
        self.ask(nexus, command).expect("it is answered at once").status
    }

    fn running(&mut self, nexus: Nexus) -> Tag {
        let task = self.send(nexus, write(nexus));
        self.step(Input::Submit { nexus, tag: task });
        task
    }

    fn attentions(&mut self, nexus: Nexus) -> Vec<Sense> {
        let mut found = Vec::new();
        while let Status::CheckCondition(sense) = self.status(nexus, Command::Other(Name::TestUnitReady)) {
            found.push(sense);
        }
        found
    }
}

fn end(nexus: Nexus, tag: Tag) -> Input {
    Input::Done { nexus, tag, outcome: Outcome::Written }
}

#[test]
fn a_unit_reset_ends_every_task_and_leaves_the_registrations() {
    for (function, sense) in [
        (Function::LogicalUnitReset, Sense::BUS_DEVICE_RESET),
        (Function::TargetWarmReset, Sense::SCSI_BUS_RESET),
        (Function::TargetColdReset, Sense::SCSI_BUS_RESET),
    ] {
        let mut rig = contested(Quirks::NONE);
        let before = rig.target.view();
        let (waits, runs) = (rig.send(A, write(A)), rig.running(B));
        let reset = rig.manage(B, function);
        assert!(rig.events.contains(&Event::Aborted { nexus: A, tag: waits }), "{function:?}");
        assert_eq!(rig.managed(B, reset), None, "{function:?}: the back end still has a write");
        assert!(rig.target.is_barred(), "{function:?}: nothing may overtake it");
        assert_eq!(rig.dropped, 0);
        rig.step(end(B, runs));
        assert_eq!(rig.managed(B, reset), Some(Managed::Complete));
        assert_eq!(rig.dropped, u32::from(function == Function::TargetColdReset));
        assert_eq!(
            (rig.answer(A, waits), rig.answer(B, runs)),
            (None, None),
            "nobody hears of what was ended"
        );
        assert_eq!(rig.target.view(), before, "{function:?}");
        for nexus in [A, B] {
            assert_eq!(rig.attentions(nexus), vec![sense], "{function:?}: {nexus}, the requester too");
        }
    }
}

#[test]
fn abort_task_says_what_it_has_found() {
    let mut rig = Rig::new(Quirks::NONE);
    let (waits, other) = (rig.send(A, write(A)), rig.send(A, write(A)));
    let abort = rig.manage(A, Function::AbortTask(waits));
    assert_eq!(rig.managed(A, abort), Some(Managed::Complete));
    assert!(rig.events.contains(&Event::Aborted { nexus: A, tag: waits }));
    rig.step(Input::Submit { nexus: A, tag: other });
    let abort = rig.manage(A, Function::AbortTask(other));
    assert_eq!(rig.managed(A, abort), None, "it has no end at the back end yet");
    rig.step(end(A, other));
    assert_eq!(rig.managed(A, abort), Some(Managed::Complete));
    assert_eq!((rig.answer(A, waits), rig.answer(A, other)), (None, None), "never both an answer and an end");
    let done = rig.running(A);
    rig.step(end(A, done));
    let gone = rig.manage(A, Function::AbortTask(done));
    assert_eq!(rig.managed(A, gone), Some(Managed::NoSuchTask));
    let foreign = rig.send(B, write(B));
    let abort = rig.manage(A, Function::AbortTask(foreign));
    assert_eq!(rig.managed(A, abort), Some(Managed::NoSuchTask), "a tag names a command within its nexus");
    assert_eq!(rig.attentions(A), vec![], "who ends a command itself is not told of it");
}

#[test]
fn task_sets_are_ended_of_the_sender_or_of_everybody() {
    let mut rig = Rig::new(Quirks::NONE);
    let (of_a, of_b) = (rig.send(A, write(A)), rig.send(B, write(B)));
    let abort = rig.manage(A, Function::AbortTaskSet);
    assert_eq!(rig.managed(A, abort), Some(Managed::Complete));
    assert!(rig.events.contains(&Event::Aborted { nexus: A, tag: of_a }));
    assert!(!rig.events.contains(&Event::Aborted { nexus: B, tag: of_b }));
    assert_eq!(rig.attentions(B), vec![]);
    let clear = rig.manage(A, Function::ClearTaskSet);
    assert_eq!(rig.managed(A, clear), Some(Managed::Complete));
    assert!(rig.events.contains(&Event::Aborted { nexus: B, tag: of_b }));
    assert_eq!((rig.attentions(A), rig.attentions(B)), (vec![], vec![Sense::COMMANDS_CLEARED]));
}

#[test]
fn a_reset_ends_a_held_takeover_whose_table_stays_changed() {
    let mut rig = contested(Quirks::NONE);
    let task = rig.running(A);
    let held = rig.send(B, takeover(ServiceAction::PreemptAndAbort));
    let after = rig.target.view();
    let reset = rig.manage(A, Function::LogicalUnitReset);
    assert!(rig.events.contains(&Event::Aborted { nexus: B, tag: held }));
    rig.step(end(A, task));
    assert_eq!((rig.answer(B, held), rig.managed(A, reset)), (None, Some(Managed::Complete)));
    assert_eq!(rig.target.view(), after);
}

#[test]
fn functions_ignore_reservations_and_attentions() {
    let mut rig = contested(Quirks::NONE);
    rig.good(A, PrOut { key: Key(1), ..PrOut::new(ServiceAction::Clear) });
    assert_eq!(rig.status(A, Command::LegacyReserve), Status::Good);
    let abort = rig.manage(B, Function::AbortTaskSet);
    assert_eq!(rig.managed(B, abort), Some(Managed::Complete));
    assert_eq!(rig.attentions(B).len(), 0, "the unit is reserved: a conflict goes first");
    assert_eq!(rig.status(B, Command::Read(Extent { lba: Lba(0), blocks: 1 })), Status::ReservationConflict);
}

#[test]
fn the_legacy_reservation_ends_with_session_reset_and_power() {
    type Step = fn(&mut Rig);
    let ends: [(&str, Step); 7] = [
        ("RELEASE", |rig| assert_eq!(rig.status(A, Command::LegacyRelease), Status::Good)),
        ("logout", |rig| rig.step(Input::Logout { nexus: A })),
        ("nexus loss", |rig| rig.step(Input::LoseNexus { nexus: A })),
        ("reinstatement", |rig| rig.step(Input::Login { node: NodeId(0), nexus: A })),
        ("unit reset", |rig| assert_ne!(rig.manage(B, Function::LogicalUnitReset), Tag(0))),
        ("warm reset", |rig| assert_ne!(rig.manage(B, Function::TargetWarmReset), Tag(0))),
        ("cold reset", |rig| assert_ne!(rig.manage(B, Function::TargetColdReset), Tag(0))),
    ];
    for (what, step) in ends {
        let mut rig = Rig::new(Quirks::NONE);
        assert_eq!(rig.status(A, Command::LegacyReserve), Status::Good);
        assert_eq!(rig.status(A, Command::LegacyReserve), Status::Good, "it is its own");
        assert_eq!(rig.status(B, Command::LegacyReserve), Status::ReservationConflict);
        assert_eq!(rig.status(B, Command::LegacyRelease), Status::Good, "not its own: no effect");
        assert_eq!(rig.status(B, Command::Other(Name::ModeSense)), Status::ReservationConflict);
        step(&mut rig);
        rig.attentions(B);
        assert_eq!(rig.target.legacy_holder(), None, "{what}");
        assert_eq!(rig.status(B, Command::LegacyReserve), Status::Good, "{what}");
    }
    let mut rig = Rig::new(Quirks::NONE);
    assert_eq!(rig.status(A, Command::LegacyReserve), Status::Good);
    assert_eq!(Rig::powered_on(Quirks::NONE, rig.stored).target.legacy_holder(), None);
}

#[test]
fn a_legacy_reservation_keeps_persistent_ones_off_and_the_other_way_round() {
    let mut rig = Rig::new(Quirks::NONE);
    assert_eq!(rig.status(A, Command::LegacyReserve), Status::Good);
    let register = PrOut { service_key: Key(1), ..PrOut::new(ServiceAction::Register) };
    for nexus in [A, B] {
        assert_eq!(rig.status(nexus, Command::PrOut(register)), Status::ReservationConflict);
        assert_eq!(rig.status(nexus, Command::PrIn(PrIn::ReadKeys)), Status::ReservationConflict);
    }
    assert_eq!(rig.status(A, Command::LegacyRelease), Status::Good);
    rig.register(A, 1, false);
    for nexus in [A, B] {
        assert_eq!(rig.status(nexus, Command::LegacyReserve), Status::ReservationConflict, "no exception");
    }
    rig.reserve(A, 1, PrType::WriteExclusive);
    assert_eq!(rig.status(A, Command::LegacyReserve), Status::Good, "CRH: the holder");
    assert_eq!(rig.status(B, Command::LegacyReserve), Status::ReservationConflict);
    assert_eq!(rig.target.legacy_holder(), None, "CRH: GOOD and no effect");
}

#[test]
fn a_logout_leaves_nothing_to_tell() {
    let mut rig = Rig::new(Quirks::NONE);
    let task = rig.send(A, write(A));
    rig.step(Input::Logout { nexus: A });
    assert!(rig.events.ends_with(&[Event::LoggedOut { nexus: A }, Event::Aborted { nexus: A, tag: task }]));
    rig.step(Input::Login { node: NodeId(0), nexus: A });
    assert_eq!(rig.attentions(A), vec![]);
}

fn list(nexuses: &[Nexus]) -> PortList {
    PortList::Of(nexuses.iter().copied().collect::<Nexuses>())
}

#[test]
fn listed_ports_register_all_or_none() {
    let register = PrOut { service_key: Key(7), ..PrOut::new(ServiceAction::Register) };
    let mut rig = Rig::new(Quirks::NONE);
    rig.good(A, PrOut { spec_i_pt: list(&[B, C]), ..register });
    let view = rig.target.view();
    assert_eq!(view.registrants, vec![(A, Key(7)), (B, Key(7)), (C, Key(7))], "C has never logged in");
    assert_eq!(view.generation, Generation(1));
    let invalid = Status::CheckCondition(Sense::INVALID_FIELD_IN_PARAMETER_LIST);
    let full = Status::CheckCondition(Sense::INSUFFICIENT_REGISTRATION_RESOURCES);
    let ignore = PrOut { action: ServiceAction::RegisterAndIgnoreExistingKey, ..register };
    for (registered, order, status) in [
        (None, PrOut { spec_i_pt: PortList::Invalid, ..register }, invalid),
        (None, PrOut { spec_i_pt: list(&[A]), ..register }, invalid),
        (None, PrOut { spec_i_pt: list(&[C]), all_tg_pt: list(&[C]), ..register }, invalid),
        (Some(B), PrOut { spec_i_pt: list(&[B]), ..register }, invalid),
        (Some(A), PrOut { key: Key(9), spec_i_pt: list(&[B]), ..register }, invalid),
        (None, PrOut { spec_i_pt: list(&[B]), ..ignore }, invalid),
        (None, PrOut { spec_i_pt: list(&[B, C, Nexus(3)]), ..register }, full),
        (None, PrOut { all_tg_pt: list(&[B, C, Nexus(3)]), ..register }, full),
        (Some(B), PrOut { key: Key(9), spec_i_pt: list(&[C]), ..register }, Status::ReservationConflict),
        (Some(B), PrOut { all_tg_pt: list(&[B]), ..register }, Status::ReservationConflict),
    ] {
        let mut rig = Rig::new(Quirks::NONE);
        if let Some(nexus) = registered {
            rig.register(nexus, 9, false);
        }
        let before = rig.target.view();
        assert_eq!(rig.status(A, Command::PrOut(order)), status, "{order:?}");
        assert_eq!(rig.target.view(), before, "{order:?}");
    }
}

#[test]
fn all_target_ports_register_and_leave_together() {
    let register = PrOut { service_key: Key(7), ..PrOut::new(ServiceAction::Register) };
    let mut rig = Rig::new(Quirks::NONE);
    rig.good(A, PrOut { all_tg_pt: list(&[C]), ..register });
    rig.register(B, 9, false);
    rig.reserve(A, 7, PrType::WriteExclusiveRegistrantsOnly);
    let leave = PrOut { key: Key(7), all_tg_pt: list(&[B, C]), ..PrOut::new(ServiceAction::Register) };
    rig.good(A, leave);
    let view = rig.target.view();
    assert_eq!((view.registrants, view.reservation), (vec![(B, Key(9))], None), "B's key is another one");
    assert_eq!(rig.attentions(B), vec![Sense::RESERVATIONS_RELEASED]);
}
