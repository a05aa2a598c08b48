//! The judge of separate logs agrees with the judge of whole traces, whatever history it is given, and guesses nothing.

use super::judge::{judge, judge_history};
use super::logs::Logs;
use super::order::{End, Lines, arrange};
use super::split::split;
use crate::chaos::{Run, STATES_MAX};
use crate::conform::{Judgement, Verdict};
use crate::scenario::load;
use crate::sim::events::Stream;
use crate::sim::plan::Plan;
use redline_traces::{Header, Initiators};
use redline_vocab::{Event, FaultKind, Quirk, Quirks};

fn simulated(scenario: &str, seed: u64, quirks: Quirks) -> (Header, Vec<Event>) {
    let mut scenario = load(scenario).expect("it is embedded");
    scenario.chaos.weights.insert(FaultKind::NodeCrash, 20);
    let plan = Plan::draw(&scenario, seed);
    let run = Run { scenario: &scenario, plan: &plan, initiators: Initiators::Guests, quirks };
    let mut events = Vec::new();
    run.make(&|| false, |_, event| events.push(event.clone()));
    (run.header(), events)
}

fn logs(scenario: &str, seed: u64, quirks: Quirks) -> Logs {
    let (header, events) = simulated(scenario, seed, quirks);
    split(&header, &events)
}

fn sound(judgement: &Judgement) -> bool {
    judgement.verdict == Verdict::Conforms && judgement.violations.is_empty()
}

#[test]
fn the_logs_of_a_sound_fabric_conform() {
    for scenario in ["reference", "three-nodes", "slow-array"] {
        for seed in 1..=25 {
            let judged = judge(&logs(scenario, seed, Quirks::NONE), STATES_MAX).expect("there are events");
            assert!(
                sound(&judged.judgement),
                "{scenario} {seed}: {:?} {:?}",
                judged.judgement.verdict,
                judged.judgement.violations
            );
        }
    }
}

#[test]
fn every_history_of_the_same_logs_gives_the_same_verdict() {
    let quirks = [None, Some(Quirk::PlainPreempt), Some(Quirk::AbortIgnored), Some(Quirk::UnitAttentionLost)];
    for (nth, quirk) in quirks.into_iter().enumerate() {
        let planted = quirk.map_or(Quirks::NONE, |quirk| Quirks::NONE.with(quirk));
        for seed in 1..=4 {
            let logs = logs("reference", seed, planted);
            let lines = Lines::of(&logs);
            let expected = judge(&logs, STATES_MAX).expect("there are events").judgement.verdict;
            for shuffle in 0..6 {
                let mut dice = Stream::new(shuffle, &format!("history {nth} {seed}"));
                let (history, end) = arrange(&lines, &mut |ready| dice.below(ready as u64) as usize);
                let judgement = judge_history(&logs, &history, &end, STATES_MAX).expect("there are events");
                assert_eq!(
                    std::mem::discriminant(&judgement.verdict),
                    std::mem::discriminant(&expected),
                    "{quirk:?} {seed} {shuffle}: {:?} against {expected:?}",
                    judgement.verdict
                );
            }
        }
    }
}

#[test]
fn a_planted_bug_that_whole_traces_show_is_seen_in_separate_logs() {
    let (mut whole, mut apart) = (0, 0);
    for quirk in [
        Quirk::PlainPreempt,
        Quirk::ConfirmSkipped,
        Quirk::PersistLate,
        Quirk::TableLostAtRestart,
        Quirk::ConflictIgnored,
    ] {
        let planted = Quirks::NONE.with(quirk);
        for seed in 1..=10 {
            let (header, events) = simulated("reference", seed, planted);
            let options = crate::conform::Options { states_max: STATES_MAX, owner_within: None };
            let mut online = crate::conform::Judge::new(&header, options).expect("a world of the model");
            for (seq, event) in (1..).zip(&events) {
                online.see(seq, redline_vocab::Micros(seq), event);
            }
            let online = online.finish(true).expect("there are events");
            let judged = judge(&split(&header, &events), STATES_MAX).expect("there are events").judgement;
            whole += u32::from(matches!(online.verdict, Verdict::Diverged(_)));
            apart += u32::from(matches!(judged.verdict, Verdict::Diverged(_)));
            assert!(
                matches!(online.verdict, Verdict::Diverged(_)) || matches!(judged.verdict, Verdict::Conforms),
                "{quirk:?} {seed}: separate logs cannot show more: {:?}",
                judged.verdict
            );
        }
    }
    assert!(whole >= 10, "only {whole} runs show a bug at all");
    assert!(apart * 10 >= whole * 9, "{apart} of {whole} are seen in separate logs");
}

#[test]
fn a_cut_log_is_inconclusive_or_judged_as_the_whole() {
    let (mut open, mut same) = (0, 0);
    for seed in 1..=12 {
        let whole = logs("reference", seed, Quirks::NONE);
        let mut dice = Stream::new(seed, "cut");
        for _ in 0..8 {
            let mut cut = whole.clone();
            let process = dice.below(cut.guests.len() as u64 + 1) as usize;
            let lives = match process {
                0 => &mut cut.array,
                node => &mut cut.guests[node - 1],
            };
            let life = dice.below(lives.len() as u64) as usize;
            let kept = dice.below(lives[life].events.len() as u64 + 1) as usize;
            lives[life].events.truncate(kept);
            lives[life].whole = false;
            let judgement = judge(&cut, STATES_MAX).expect("there are events").judgement;
            assert!(
                judgement.violations.is_empty(),
                "{seed} {process}.{life} at {kept}: {:?}",
                judgement.violations
            );
            match judgement.verdict {
                Verdict::Inconclusive(_) => open += 1,
                Verdict::Conforms => same += 1,
                Verdict::Diverged(divergence) => {
                    panic!("{seed}: {process}.{life} cut at {kept}: {divergence}")
                }
            }
        }
    }
    assert!(open > 20, "{open} inconclusive, {same} judged");
}

#[test]
fn a_reply_that_the_array_never_gave_is_impossible() {
    let mut logs = logs("reference", 3, Quirks::NONE);
    logs.array.iter_mut().for_each(|life| life.whole = true);
    let life = logs.array.last_mut().expect("there is one");
    let at =
        life.events.iter().rposition(|event| matches!(event, Event::Replied { .. })).expect("one is given");
    life.events.remove(at);
    let (_, end) = arrange(&Lines::of(&logs), &mut |_| 0);
    assert!(matches!(end, End::Impossible(_)), "{end:?}");
    let verdict = judge(&logs, STATES_MAX).expect("there are events").judgement.verdict;
    assert!(matches!(verdict, Verdict::Diverged(_)), "{verdict:?}");
}
