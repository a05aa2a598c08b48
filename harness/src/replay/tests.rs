//! A replay follows what the fabric has done, and stops at the first thing that it has not.

use super::*;
use crate::chaos::Run as ChaosRun;
use crate::scenario::load;
use crate::sim::plan::Plan;
use redline_traces::Reader;

fn recorded(name: &str, initiators: Initiators, seed: u64) -> (Scenario, Header, Vec<Event>) {
    let scenario = load(name).expect("it is embedded");
    let plan = Plan::draw(&scenario, seed);
    let bytes = ChaosRun { scenario: &scenario, plan: &plan, initiators, quirks: Quirks::NONE }.record();
    let reader = Reader::new(&bytes[..], "the run").expect("it was just recorded");
    let header = reader.header().clone();
    let events = reader.map(|stamped| stamped.expect("it was just recorded").event).collect();
    (scenario, header, events)
}

#[test]
fn recorded_runs_are_followed_to_their_end() {
    for (name, initiators) in [
        ("reference", Initiators::Guests),
        ("three-nodes", Initiators::Guests),
        ("three-nodes", Initiators::Raw),
    ] {
        for seed in 0..12 {
            let (scenario, header, events) = recorded(name, initiators, seed);
            let of = events.len() as u64;
            let replayed = replay(setup(&scenario, &header, Quirks::NONE), events);
            assert_eq!(
                replayed.refusal.map(|refusal| refusal.to_string()),
                None,
                "{name} {initiators:?} seed {seed}"
            );
            assert_eq!(replayed.followed, of);
            assert_eq!(replayed.violations, vec![]);
        }
    }
}

#[test]
fn a_changed_story_is_refused_where_it_was_changed() {
    let (scenario, header, events) = recorded("three-nodes", Initiators::Raw, 1);
    let mut refused = 0;
    for at in (20..events.len()).step_by(37) {
        let mut changed = events.clone();
        let Event::Dispatched { disposition, .. } = &mut changed[at] else { continue };
        *disposition = match disposition {
            Disposition::Answered(Status::ReservationConflict) => Disposition::Answered(Status::Good),
            _ => Disposition::Answered(Status::ReservationConflict),
        };
        let replayed = replay(setup(&scenario, &header, Quirks::NONE), changed);
        let refusal = replayed.refusal.expect("nothing of the kind happens");
        assert_eq!(refusal.seq, at as u64 + 1, "{refusal}");
        refused += 1;
    }
    assert!(refused > 0);
}

#[test]
fn a_story_that_ends_in_the_middle_of_a_step_is_refused() {
    let (scenario, header, events) = recorded("three-nodes", Initiators::Raw, 2);
    let at =
        events.iter().position(|event| matches!(event, Event::TableChanged { .. })).expect("tables change");
    let cut: Vec<Event> = events[..at].to_vec();
    let refusal = replay(setup(&scenario, &header, Quirks::NONE), cut).refusal.expect("the table changes");
    assert!(refusal.instead.contains("the fabric goes on"), "{refusal}");
}
