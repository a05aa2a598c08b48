//! A budget is kept: first states wait on disk, then the run is inconclusive. Checkpoints go on as if nothing had happened.
//!
//! One test after the other: what the process has in use is looked at.

#[path = "../models/twophase.rs"]
mod twophase;

use redline_checker::{Check, Checkpoints, Cut, Ending, Error, Explored, Limits, Until, Verdict};
use serde::{Deserialize, Serialize};
use stateright::{Model, Property};
use std::{fs, path::Path, sync::atomic::AtomicBool, time::Duration};
use twophase::{KINDS, TwoPhase, canonical};

const MIB: u64 = 1 << 20;

fn limits(memory: u64) -> Limits {
    Limits { memory_max: Some(memory), until: Until::Exhausted, ..Limits::threads(2) }
}

fn packed<const W: usize>(count: u32, limits: Limits) -> Explored<TwoPhase<W>> {
    let model = TwoPhase::<W> { count };
    let check = Check::new(&model).kinds(KINDS.to_vec(), |step| step.0);
    check.run_packed(limits, &AtomicBool::new(false), &mut |_| {}).expect("it runs")
}

/// A walk on a grid whose states carry a text, so that they live on the heap.
#[derive(Clone)]
struct Grid {
    side: u32,
    forbidden: u32,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
struct Place {
    at: (u32, u32),
    label: String,
}

impl Grid {
    fn place(at: (u32, u32)) -> Place {
        Place { at, label: format!("the place at {} and {}, told at some length to be long", at.0, at.1) }
    }
}

impl Model for Grid {
    type State = Place;
    type Action = bool;

    fn init_states(&self) -> Vec<Place> {
        vec![Grid::place((0, 0))]
    }

    fn actions(&self, _: &Place, actions: &mut Vec<bool>) {
        actions.extend([false, true]);
    }

    fn next_state(&self, state: &Place, right: bool) -> Option<Place> {
        let (x, y) = state.at;
        let next = if right { (x + 1, y) } else { (x, y + 1) };
        (next.0 < self.side && next.1 < self.side).then(|| Grid::place(next))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![Property::always("avoids", |grid: &Grid, state: &Place| {
            state.at != (grid.forbidden, grid.forbidden)
        })]
    }
}

fn spilled_runs_count_the_same() {
    let roomy = packed::<8>(8, limits(1 << 40));
    assert_eq!((roomy.unique, roomy.memory.spilled), (TwoPhase::<8> { count: 8 }.states(), 0));
    let tight = packed::<8>(8, limits(40 * MIB));
    assert!(tight.memory.spilled > 0, "{:?}", tight.memory);
    assert!(tight.memory.peak <= 40 * MIB, "{:?}", tight.memory);
    assert_eq!(
        (tight.unique, tight.generated, &tight.levels),
        (roomy.unique, roomy.generated, &roomy.levels)
    );
    assert_eq!(tight.verdict(), Verdict::Holds);
}

fn too_small_a_budget_is_inconclusive() {
    let cut = packed::<1>(9, limits(32 * MIB));
    assert_eq!((cut.ending, cut.verdict()), (Ending::Cut(Cut::Memory), Verdict::Inconclusive(Cut::Memory)));
    // All that fits: a slot takes eight bytes.
    assert!(cut.unique > 2 * MIB && cut.unique <= 4 * MIB, "{} states in 32 MiB", cut.unique);
    assert!(cut.memory.table <= 32 * MIB);
    let model = Grid { side: 2000, forbidden: 9999 };
    let plain = Check::new(&model).run(limits(16 * MIB)).expect("it runs");
    assert_eq!(plain.verdict(), Verdict::Inconclusive(Cut::Memory), "{:?}", plain.memory);
}

fn a_violation_is_shown_although_states_waited_on_disk() {
    let model = Grid { side: 600, forbidden: 500 };
    let run = |memory: u64| {
        let limits = Limits { until: Until::FirstViolation, ..limits(memory) };
        Check::new(&model).run_encoded(limits, &AtomicBool::new(false), &mut |_| {}).expect("it runs")
    };
    let (roomy, tight) = (run(1 << 40), run(17 * MIB));
    assert_eq!(roomy.counterexamples[0].path.steps.len(), 1000);
    assert_eq!(roomy.counterexamples, tight.counterexamples);
    assert!(roomy.memory.peak - roomy.memory.table < 600 * 40, "compressed: {:?}", roomy.memory);
}

fn checkpoints(dir: &Path, resume: bool) -> Checkpoints {
    Checkpoints {
        dir: dir.to_owned(),
        every: Duration::ZERO,
        identity: "two-phase commit".to_owned(),
        resume,
    }
}

fn resumed_runs_count_the_same() {
    let whole = packed::<2>(6, limits(1 << 40));
    let model = TwoPhase::<2> { count: 6 };
    for wide in [false, true] {
        let dir = tempfile::tempdir().expect("a folder");
        let check = |resume: bool, states_max: Option<u64>| {
            Check::new(&model)
                .kinds(KINDS.to_vec(), |step| step.0)
                .wide(wide)
                .checkpoints(checkpoints(dir.path(), resume))
                .run_packed(Limits { states_max, ..limits(1 << 40) }, &AtomicBool::new(false), &mut |_| {})
        };
        let cut = check(false, Some(1_000)).expect("it runs");
        assert_eq!(cut.verdict(), Verdict::Inconclusive(Cut::States));
        for states_max in [Some(20_000), None, None] {
            let report = check(true, states_max).expect("it goes on");
            if states_max.is_none() {
                assert_eq!(
                    (report.unique, report.generated, &report.levels),
                    (whole.unique, whole.generated, &whole.levels)
                );
                assert_eq!((&report.fired, report.verdict()), (&whole.fired, Verdict::Holds));
            }
        }
    }
}

fn why(error: Result<Explored<TwoPhase<2>>, Error>) -> String {
    error.map(|report| report.unique).expect_err("it must be refused").to_string()
}

fn damaged_or_strange_checkpoints_are_refused() {
    let model = TwoPhase::<2> { count: 4 };
    let dir = tempfile::tempdir().expect("a folder");
    let run = |identity: &str, wide: bool, canonical: bool, resume: bool| {
        let mut check = Check::new(&model)
            .kinds(KINDS.to_vec(), |step| step.0)
            .wide(wide)
            .checkpoints(Checkpoints { identity: identity.to_owned(), ..checkpoints(dir.path(), resume) });
        if canonical {
            check = check.symmetric(self::canonical).always_step("one more", |_, _, _, _| true);
        }
        let limits = Limits { states_max: Some(1_000), ..limits(1 << 40) };
        check.run_packed(limits, &AtomicBool::new(false), &mut |_| {})
    };
    assert!(why(run("it", false, false, true)).contains("nothing to resume"));
    run("it", false, false, false).expect("it runs");
    assert!(why(run("something else", false, false, true)).contains("it is of `it`"));
    assert!(why(run("it", true, false, true)).contains("64 bits"));
    assert!(why(run("it", false, true, true)).contains("does not fit"));
    let plain = Check::new(&model).checkpoints(checkpoints(dir.path(), true)).run(limits(1 << 40));
    assert!(why(plain).contains("cannot be stored"));
    let files: Vec<_> =
        fs::read_dir(dir.path()).expect("it is there").map(|entry| entry.expect("a file").path()).collect();
    assert_eq!(files.len(), 3, "{files:?}");
    for file in &files {
        let whole = fs::read(file).expect("it can be read");
        // The log may be longer than its manifest says: what is written after a checkpoint does not count.
        for at in [0, whole.len() / 3, whole.len() / 2] {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            fs::write(file, &bytes).expect("it can be written");
            assert!(run("it", false, false, true).is_err(), "{} with byte {at} changed", file.display());
            fs::write(file, &whole[..at]).expect("it can be written");
            assert!(run("it", false, false, true).is_err(), "{} cut at {at}", file.display());
        }
        fs::write(file, &whole).expect("it can be written");
    }
    run("it", false, false, true).expect("unharmed again");
}

#[test]
fn memory_and_checkpoints() {
    spilled_runs_count_the_same();
    too_small_a_budget_is_inconclusive();
    a_violation_is_shown_although_states_waited_on_disk();
    resumed_runs_count_the_same();
    damaged_or_strange_checkpoints_are_refused();
}
