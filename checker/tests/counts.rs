//! Exact counts, whatever the form of states, the number of threads, and the width of fingerprints.

#[path = "../models/twophase.rs"]
mod twophase;

use redline_checker::{Check, Counterexample, Limits, Report, Until, Verdict};
use std::sync::atomic::AtomicBool;
use twophase::{KINDS, State, Step, TwoPhase, canonical};

type Counts = (u64, u64, Vec<u64>, Vec<u64>, Verdict);

fn limits(threads: usize) -> Limits {
    Limits { until: Until::Exhausted, ..Limits::threads(threads) }
}

fn counts<const W: usize>(report: &Report<Counterexample<State<W>, Step>>) -> Counts {
    let fired = report.fired.iter().map(|one| one.count).collect();
    (report.unique, report.generated, report.levels.clone(), fired, report.verdict())
}

fn packed(count: u32, threads: usize, wide: bool) -> Counts {
    let model = TwoPhase::<1> { count };
    let check = Check::new(&model).kinds(KINDS.to_vec(), |step| step.0).wide(wide);
    counts(&check.run_packed(limits(threads), &AtomicBool::new(false), &mut |_| {}).expect("it runs"))
}

fn plain(count: u32, threads: usize) -> Counts {
    let model = TwoPhase::<2> { count };
    let check = Check::new(&model).kinds(KINDS.to_vec(), |step| step.0);
    counts(&check.run(limits(threads)).expect("it runs"))
}

#[test]
fn two_phase_commit_has_its_known_counts() {
    for (count, generated) in [
        (3, None),
        (4, None),
        (5, Some(58_146)),
        (6, None),
        (7, Some(2_744_706)),
        (8, Some(18_507_778)),
        (9, Some(123_558_402)),
    ] {
        let found = packed(count, 2, false);
        assert_eq!(found.0, TwoPhase::<1> { count }.states(), "N = {count}");
        assert_eq!(found.1, generated.unwrap_or(found.1), "N = {count}");
        // Each state is new once, each transition fires once.
        assert_eq!(found.2.iter().sum::<u64>(), found.0);
        assert_eq!(found.3.iter().sum::<u64>(), found.1 - 1);
        assert_eq!(found.4, Verdict::Holds);
    }
}

#[test]
fn counts_do_not_depend_on_threads_form_or_width() {
    let expected = packed(6, 1, false);
    for threads in [1, 2, 8] {
        assert_eq!(packed(6, threads, false), expected);
        assert_eq!(packed(6, threads, true), expected);
        assert_eq!(plain(6, threads), expected);
    }
}

#[test]
fn interchangeable_resource_managers_give_exact_orbits() {
    for count in 3..=9 {
        let model = TwoPhase::<1> { count };
        let check = Check::new(&model).kinds(KINDS.to_vec(), |step| step.0).symmetric(canonical);
        let one = counts(&check.run(limits(1)).expect("it runs"));
        let two =
            counts(&check.run_packed(limits(2), &AtomicBool::new(false), &mut |_| {}).expect("it runs"));
        assert_eq!(one.0, model.orbits(), "N = {count}");
        assert_eq!(one, two, "N = {count}");
    }
    assert_eq!(TwoPhase::<1> { count: 9 }.orbits(), 2_232);
}

/// The packed form must be the model: states one to one, the same successors.
#[test]
fn the_packed_form_agrees_with_the_model() {
    use redline_checker::Packed;
    use stateright::Model;
    let model = TwoPhase::<1> { count: 3 };
    let mut queue = model.init_states();
    let mut seen: std::collections::BTreeSet<[u64; 1]> =
        queue.iter().map(|state| model.pack(state)).collect();
    while let Some(state) = queue.pop() {
        let words = model.pack(&state);
        assert_eq!(model.unpack(&words), state);
        let mut direct = Vec::new();
        model.expand(&words, &mut |_, next| direct.push(next));
        let own: Vec<_> = model.next_states(&state).iter().map(|next| model.pack(next)).collect();
        assert_eq!(direct, own);
        assert_eq!(model.holds(0, &words), (model.properties()[0].condition)(&model, &state));
        queue.extend(direct.into_iter().filter(|next| seen.insert(*next)).map(|next| model.unpack(&next)));
    }
    assert_eq!(seen.len(), 288);
}
