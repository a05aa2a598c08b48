//! Campaigns: counted the same whatever the threads, cut when told to.

use super::*;
use crate::scenario;
use rayon::ThreadPoolBuilder;

fn options(runs: u64) -> Options {
    Options { seed: 9, runs, quirks: Quirks::NONE, initiators: Initiators::Guests, keep: 3 }
}

fn with_threads(threads: usize, options: Options) -> Summary {
    let scenario = scenario::load("reference").expect("it is embedded");
    let pool = ThreadPoolBuilder::new().num_threads(threads).build().expect("threads can be made");
    pool.install(|| campaign(&scenario, options, &AtomicBool::new(false), &|_| {}))
}

#[test]
fn a_campaign_does_not_depend_on_the_number_of_threads() {
    let [one, four] = [1, 4].map(|threads| with_threads(threads, options(60)));
    assert_eq!((one.runs, one.events, one.operations), (four.runs, four.events, four.operations));
    assert_eq!((one.faults, one.witnesses, one.coverage), (four.faults, four.witnesses, four.coverage));
    assert_eq!((one.failed, one.inconclusive, one.cut), (0, 0, false));
}

#[test]
fn failures_are_kept_in_the_order_of_seeds() {
    let quirks = Quirks::NONE.with(redline_vocab::Quirk::AptplNotSet);
    let [one, four] = [1, 4].map(|threads| with_threads(threads, Options { quirks, ..options(40) }));
    let seeds = |summary: &Summary| summary.failures.iter().map(|run| run.plan.seed).collect::<Vec<_>>();
    assert_eq!(seeds(&one), [9, 10, 11]);
    assert_eq!(seeds(&one), seeds(&four));
    assert_eq!(one.failed, 40);
}

#[test]
fn a_campaign_that_was_stopped_says_so() {
    let scenario = scenario::load("reference").expect("it is embedded");
    let stopped = campaign(&scenario, options(50), &AtomicBool::new(true), &|_| {});
    assert!(stopped.cut);
    assert_eq!(stopped.runs, 0);
}

#[test]
fn a_recorded_run_is_the_run_that_was_judged() {
    let scenario = scenario::load("three-nodes").expect("it is embedded");
    for initiators in [Initiators::Guests, Initiators::Raw] {
        let plan = &Plan::draw(&scenario, 4);
        let run = Run { scenario: &scenario, plan, initiators, quirks: Quirks::NONE };
        let judged = run.judge(&AtomicBool::new(false));
        let bytes = run.record();
        let reader = redline_traces::Reader::new(&bytes[..], "the run").expect("it was just recorded");
        assert_eq!(reader.count() as u64, judged.totals.events);
    }
}
