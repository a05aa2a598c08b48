//! Each guard that is dropped from the model: its shortest counterexample, which the matching bug follows to the same
//! violation and the sound fabric refuses.

use redline_harness::catalogue::{RECOVERY, RELAXATIONS, Shown};
use redline_harness::check::{Limits, recover, recovery_terms};
use redline_harness::jobs::{Desk, check};
use redline_harness::{replay, scenario};
use redline_vocab::Quirks;
use std::fmt::Write;
use std::path::Path;
use std::sync::atomic::AtomicBool;

const LIMITS: Limits = Limits::threads(1);

#[test]
fn every_dropped_guard_has_a_counterexample_that_replays_and_is_refused() {
    let reference = scenario::load("reference").expect("it is embedded");
    let stop = AtomicBool::new(false);
    let desk = Desk { stop: &stop, threads: 1, out: Path::new("."), progress: &|_| {} };
    let mut shown = 0;
    let mut table = String::new();
    for row in RELAXATIONS {
        let name = row.name();
        let Some(canary) = check::canary(&desk, &reference, row, LIMITS).expect("it can be explored") else {
            assert!(
                matches!(row.shown, Shown::Stuck(_) | Shown::ConformanceOnly),
                "{name} has no counterexample"
            );
            continue;
        };
        assert_eq!(canary.property, row.property, "{name}");
        let follow =
            |quirks| replay::replay(replay::setup(&reference, &canary.header, quirks), canary.story.clone());
        let planted = follow(replay::matching_quirks(&canary.header));
        assert_eq!(planted.refusal, None, "{name}: the bug does not follow the story of its own guard");
        let broken: Vec<_> = planted.violations.iter().map(|violation| violation.property).collect();
        assert!(broken.contains(&row.property), "{name}: the replay breaks {broken:?}");
        let sound = follow(Quirks::NONE);
        assert!(sound.violations.is_empty(), "{name}: the sound fabric breaks {:?}", sound.violations);
        let refusal = sound.refusal.unwrap_or_else(|| panic!("{name}: the sound fabric follows to the end"));
        let _ = writeln!(table, "{name}: {} steps to {}\n  refused {refusal}", canary.steps, row.property);
        shown += 1;
    }
    assert!(shown >= 10, "only {shown} relaxations have a counterexample");
    insta::assert_snapshot!(table);
}

#[test]
fn the_story_of_plain_preempt_is_short_and_readable() {
    let reference = scenario::load("reference").expect("it is embedded");
    let stop = AtomicBool::new(false);
    let folder = tempfile::TempDir::new().expect("a folder for temporary files");
    let desk = Desk { stop: &stop, threads: 1, out: folder.path(), progress: &|_| {} };
    let row = &RELAXATIONS[0];
    let explored = check::explored_for(&reference, row.guards).expect("it is in the catalogue");
    let ask = check::Ask::new(row.design(reference.design), LIMITS);
    let section = check::run(&desk, &reference, explored, ask).expect("it can be explored");
    let finding = &section.findings[0];
    assert!(finding.steps.len() + finding.steps_left_out as usize <= 20, "{} steps", finding.steps.len());
    insta::assert_snapshot!(finding.steps.join("\n"));
}

#[test]
fn with_one_key_for_both_nodes_the_cluster_can_get_stuck() {
    let reference = scenario::load("reference").expect("it is embedded");
    let row = RELAXATIONS.iter().find(|row| matches!(row.shown, Shown::Stuck(_))).expect("there is one");
    let model = check::model(&reference, RECOVERY, row.design(reference.design));
    let found =
        recover(&model, &recovery_terms(), LIMITS, &AtomicBool::new(false)).expect("it can be explored");
    assert!(found.stuck > 0 && found.cut.is_none(), "{found:?}");
}
