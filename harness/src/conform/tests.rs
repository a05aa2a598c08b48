//! What only clients saw is judged too: hidden steps are taken where an event needs them.

use super::*;
use crate::chaos::Run;
use crate::scenario::load;
use crate::sim::plan::Plan;
use redline_traces::{Header, Initiators, Stamped, Visibility};
use redline_vocab::{Data, Quirk, Quirks, Status};

/// The events that clients saw of a raw run of two initiators.
fn client_trace(seed: u64, quirks: Quirks, events: u32) -> (Header, Vec<Stamped>) {
    let mut scenario = load("reference").expect("it is embedded");
    scenario.cluster.nodes = 2;
    let mut plan = Plan::draw(&scenario, seed);
    plan.events_min = events;
    let run = Run { scenario: &scenario, plan: &plan, initiators: Initiators::Raw, quirks };
    let header = Header { visibility: Visibility::Client, ..run.header() };
    let mut seen: Vec<Stamped> = Vec::new();
    run.make(&|| false, |at, event| {
        if event.client_visible() {
            seen.push(Stamped { seq: seen.len() as u64 + 1, at, event: event.clone() });
        }
    });
    (header, seen)
}

fn judged(header: &Header, events: &[Stamped]) -> Judgement {
    let mut judge =
        Judge::new(header, Options { states_max: 20_000, owner_within: None }).expect("a world of the model");
    for stamped in events {
        judge.see(stamped.seq, stamped.at, &stamped.event);
    }
    judge.finish(true).expect("there are events")
}

#[test]
fn what_clients_saw_of_the_sound_fabric_is_allowed_or_too_much_to_judge() {
    let (mut conforms, mut worlds) = (0, 0);
    for seed in 0..30 {
        let (header, events) = client_trace(seed, Quirks::NONE, 90);
        let judgement = judged(&header, &events);
        assert!(!matches!(judgement.verdict, Verdict::Diverged(_)), "seed {seed}: {:?}", judgement.verdict);
        conforms += u32::from(judgement.verdict == Verdict::Conforms);
        worlds = worlds.max(judgement.statistics.worlds_largest);
    }
    assert!(conforms >= 15, "only {conforms} of 30 could be judged");
    assert!(worlds > 1, "hidden steps must leave several worlds");
}

#[test]
fn a_bug_that_clients_can_see_is_refused() {
    let quirks = Quirks::NONE.with(Quirk::WrongKeyAccepted);
    let refused = (0..45)
        .filter(|seed| {
            let (header, events) = client_trace(*seed, quirks, 150);
            matches!(judged(&header, &events).verdict, Verdict::Diverged(_))
        })
        .count();
    assert!(refused >= 10, "{refused} of 45");
}

#[test]
fn an_answer_that_no_target_may_give_is_refused_where_it_stands() {
    let (header, mut events) = client_trace(1, Quirks::NONE, 120);
    let at = events
        .iter()
        .position(|stamped| matches!(&stamped.event, Event::Received { reply, .. } if matches!(reply.data, Data::Keys { .. })))
        .or_else(|| events.iter().position(|stamped| matches!(&stamped.event, Event::Received { .. })))
        .expect("something is answered");
    if let Event::Received { reply, .. } = &mut events[at].event {
        reply.status = Status::TaskAborted;
        reply.data = Data::Nothing;
    }
    let Verdict::Diverged(divergence) = judged(&header, &events).verdict else {
        panic!("TAS = 0: nobody hears of aborts")
    };
    assert_eq!(divergence.seq, at as u64 + 1);
    assert!(divergence.nearest().is_some() || divergence.alternatives.is_empty());
}

#[test]
fn an_empty_trace_is_an_error_and_a_cut_one_is_inconclusive() {
    let (header, events) = client_trace(2, Quirks::NONE, 60);
    let options = Options { states_max: 100, owner_within: None };
    assert!(matches!(Judge::new(&header, options).expect("a world").finish(true), Err(Error::Empty)));
    let mut cut = Judge::new(&header, options).expect("a world");
    cut.see(1, events[0].at, &events[0].event);
    let judgement = cut.finish(false).expect("there is an event");
    assert!(matches!(judgement.verdict, Verdict::Inconclusive(_)));
    let odd = Header { nodes: 0, ..header };
    assert!(matches!(Judge::new(&odd, options), Err(Error::World(_))));
}
