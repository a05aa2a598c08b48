//! From a finding to the line that shows it again: every command that a report prints is carried out.

use crate::support::{Bench, Ran};

/// The line after `again:`, as arguments.
fn again(ran: &Ran) -> Vec<String> {
    let line = ran.out.lines().find_map(|line| line.trim().strip_prefix("again: redline "));
    let line = line.unwrap_or_else(|| panic!("no line to paste in\n{}", ran.out));
    line.split(' ').map(str::to_owned).collect()
}

fn run(bench: &Bench, args: &[String]) -> Ran {
    bench.run(&args.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn a_relaxed_check_gives_a_story_that_the_bug_follows_and_the_sound_fabric_refuses() {
    let bench = Bench::new();
    let checked = bench.run(&["check", "--relax", "preempt-abort"]);
    assert_eq!(checked.code, Some(1), "{}", checked.err);
    assert!(checked.out.contains("   18. ") && !checked.out.contains("   21. "), "{}", checked.out);
    let pasted = again(&checked);
    assert_eq!(pasted.last().map(String::as_str), Some("plain-preempt"));
    let replayed = run(&bench, &pasted);
    assert_eq!(replayed.code, Some(1), "{}", replayed.out);
    assert!(replayed.out.ends_with("VIOLATED: fabric/no-evicted-write\n"), "{}", replayed.out);
    let refused = run(&bench, &pasted[..2]);
    assert_eq!(refused.code, Some(6), "{}", refused.out);
    assert!(
        refused.out.contains("at event") && refused.out.contains("instead, nexus 1 sends PREEMPT AND ABORT"),
        "{}",
        refused.out
    );
}

#[test]
fn a_failing_run_is_found_recorded_reduced_and_made_again() {
    let bench = Bench::new();
    let found = bench.run(&[
        "chaos",
        "three-nodes",
        "--initiators",
        "raw",
        "--runs",
        "200",
        "--quirk",
        "orphan-reservation",
    ]);
    assert_eq!(found.code, Some(1), "{}", found.err);
    let repeated = run(&bench, &again(&found));
    assert_eq!(repeated.code, Some(1), "{}", repeated.out);
    let case = again(&found).last().cloned().expect("it ends in the case");
    let shrunk = bench.run(&["shrink", &case, "--out", "shrunk"]);
    assert_eq!(shrunk.code, Some(1), "{}{}", shrunk.out, shrunk.err);
    assert_eq!(run(&bench, &again(&shrunk)).code, Some(1));
    let story = again(&shrunk).last().cloned().expect("it ends in the story");
    assert!(bench.read(&story).lines().count() < 60, "hundreds of commands are reduced to a few");
    let followed = bench.run(&["replay", &story, "--quirk", "orphan-reservation"]);
    assert_eq!(followed.code, Some(1), "{}{}", followed.out, followed.err);
    assert_eq!(bench.run(&["replay", &story]).code, Some(6));
    let trace = case.replace(".case.toml", ".ndjson");
    let judged = bench.run(&["conform", &trace]);
    assert_eq!(judged.code, Some(1), "{}", judged.out);
    let followed =
        bench.run(&["replay", &trace, "--scenario", "three-nodes", "--quirk", "orphan-reservation"]);
    assert_eq!(followed.code, Some(1), "{}{}", followed.out, followed.err);
    let refused = bench.run(&["replay", &trace, "--scenario", "three-nodes"]);
    assert_eq!(refused.code, Some(6), "{}{}", refused.out, refused.err);
}

#[test]
fn a_case_of_guests_is_reduced_to_few_faults() {
    let bench = Bench::new();
    let found = bench.run(&["chaos", "--runs", "60", "--quirk", "fence-open-while-challenging"]);
    assert_eq!(found.code, Some(1), "{}", found.err);
    let case = again(&found).last().cloned().expect("it ends in the case");
    let shrunk = bench.run(&["shrink", &case, "--format", "json"]);
    assert_eq!(shrunk.code, Some(1), "{}{}", shrunk.out, shrunk.err);
    assert!(shrunk.out.contains("\"faults\"") && shrunk.out.contains("-> "), "{}", shrunk.out);
}

#[test]
fn a_sound_trace_is_followed_to_its_end() {
    let bench = Bench::new();
    for (initiators, scenario) in [("guests", "reference"), ("raw", "three-nodes")] {
        let args =
            ["chaos", scenario, "--initiators", initiators, "--runs", "2", "--record", "--out", initiators];
        assert!(matches!(bench.run(&args).code, Some(0 | 4)));
        let trace = format!("{initiators}/run-2.ndjson");
        let replayed = bench.run(&["replay", &trace]);
        assert_eq!(replayed.code, Some(0), "{}{}", replayed.out, replayed.err);
    }
}

#[test]
fn scenarios_that_must_fail_do_and_verify_says_that_this_is_expected() {
    let bench = Bench::new();
    let checked = bench.run(&["check", "zombie-owner"]);
    assert_eq!(checked.code, Some(1), "{}", checked.err);
    let pasted = again(&checked);
    assert_eq!(run(&bench, &pasted).code, Some(1));
    assert_eq!(bench.run(&["check", "no-aptpl"]).code, Some(1));
}
