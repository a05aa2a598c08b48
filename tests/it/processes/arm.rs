//! Chaos on processes: a sound fabric conforms, a planted bug is found and its logs show it again, and no way of ending leaves a process.

use crate::support::{Bench, ran};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// How long anything here may take.
const SOON: Duration = Duration::from_secs(60);

/// Processes whose command line names this folder: those of a run that works in it.
fn processes_of(dir: &Path) -> Vec<u32> {
    let names = |pid: u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let text = String::from_utf8_lossy(&line).replace('\0', " ");
        (text.contains("node --role") && text.contains(&*dir.to_string_lossy())).then_some(pid)
    };
    std::fs::read_dir("/proc")
        .expect("there is one")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(names)
        .collect()
}

fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < SOON, "{what}: not in time");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A campaign under way, with a whole fabric up.
fn campaign(bench: &Bench, out: &Path) -> Child {
    let out_word = out.to_string_lossy().into_owned();
    let arguments = ["chaos", "--arm", "process", "--for", "10m", "--threads", "1", "--out", &out_word];
    let mut command = bench.command(&arguments);
    // A group of its own, so that a signal to it is no signal to the tests.
    let child = command
        .process_group(0)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program can be started");
    wait_until("two fabrics of three processes", || processes_of(out).len() >= 6);
    child
}

#[test]
fn the_sound_fabric_conforms_on_processes_and_leaves_nothing() {
    let bench = Bench::new();
    let ran = bench.run(&["chaos", "--arm", "process", "--runs", "2", "--out", "out", "--verbose"]);
    // Two runs need not meet every premise.
    assert!(matches!(ran.code, Some(0 | 4)), "{ran:?}");
    let conformance = ran.out.lines().find(|line| line.trim_start().starts_with("conformance"));
    assert!(conformance.is_some_and(|line| line.contains("holds")), "{}", ran.out);
    let left: Vec<_> = std::fs::read_dir(bench.path("out"))
        .expect("it was made")
        .map(|entry| entry.expect("it is listed").file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with("run-"))
        .collect();
    assert_eq!(left, Vec::<String>::new(), "folders of runs that passed are removed");
    assert_eq!(processes_of(&bench.path("out")), Vec::<u32>::new());
}

#[test]
fn a_planted_bug_is_found_on_processes_and_its_logs_show_it_again() {
    let bench = Bench::new();
    let arguments = ["chaos", "--arm", "process", "--runs", "1", "--quirk", "aptpl-not-set", "--out", "out"];
    let found = bench.run(&arguments);
    assert_eq!(found.code, Some(1), "{found:?}");
    let again = bench.run(&["conform", "out/run-1", "--out", "again"]);
    assert_eq!(again.code, Some(1), "{again:?}");
    assert!(again.out.contains("REGISTER AND IGNORE EXISTING KEY"), "{}", again.out);
    assert!(bench.path("out/run-1/case.toml").is_file());
}

/// Bugs that guests run into; what has to be planted together stands together.
const CAUGHT: [&[&str]; 18] = [
    &["plain-preempt"],
    &["resume-unverified"],
    &["fresh-isid"],
    &["abort-ignored"],
    &["abort-before-quiet"],
    &["persist-late"],
    &["login-before-quiet"],
    &["preempt-keeps-victim"],
    &["table-lost-at-restart"],
    &["unit-attention-lost"],
    &["aptpl-not-set"],
    &["fence-open-while-challenging"],
    &["confirm-skipped", "takeover-status-ignored"],
    &["shared-key"],
    &["queue-kept-on-loss"],
    &["tasks-outlive-nexus"],
    &["conflict-unchecked"],
    &["conflict-ignored"],
];
/// So many of them, the first ones, are caught in every run of CI.
const ALWAYS: usize = 10;

/// Whether a run fails within five minutes. The campaign is interrupted then: a violation goes before that.
fn is_caught(quirks: &[&str]) -> bool {
    let bench = Bench::new();
    let mut arguments = vec!["chaos", "--arm", "process", "--for", "5m", "--seed", "1", "--out", "out"];
    arguments.extend(quirks.iter().flat_map(|quirk| ["--quirk", *quirk]));
    let mut command = bench.command(&arguments);
    let mut child = command
        .process_group(0)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program can be started");
    let failed = || {
        let runs = std::fs::read_dir(bench.path("out")).into_iter().flatten().flatten();
        runs.into_iter().any(|run| run.path().join("case.toml").is_file())
    };
    while child.try_wait().expect("it is ours").is_none() && !failed() {
        std::thread::sleep(Duration::from_millis(100));
    }
    let pid = child.id().to_string();
    // One that has ended by itself is not there to be told.
    let _ = std::process::Command::new("kill").args(["-INT", &pid]).stderr(Stdio::null()).status();
    let ran = ran(child.wait_with_output().expect("it can be waited for"));
    assert!(matches!(ran.code, Some(0 | 1 | 4)), "{quirks:?}: {ran:?}");
    assert_eq!(processes_of(&bench.path("out")), Vec::<u32>::new());
    ran.code == Some(1)
}

#[test]
#[ignore = "slow: a campaign for each of 10 bugs, a minute in all; five for all 18, with PLANTED=all"]
fn planted_bugs_are_caught_on_processes_within_five_minutes_each() {
    let all = std::env::var("PLANTED").is_ok_and(|which| which == "all");
    let bugs = if all { &CAUGHT[..] } else { &CAUGHT[..ALWAYS] };
    let missed: Vec<_> = bugs.iter().copied().filter(|quirks| !is_caught(quirks)).collect();
    assert!(missed.is_empty(), "not caught: {missed:?}");
}

#[test]
fn raw_initiators_are_refused_on_processes() {
    let bench = Bench::new();
    let ran = bench.run(&["chaos", "--arm", "process", "--initiators", "raw"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("--arm sim"), "{}", ran.err);
}

#[test]
fn an_interrupted_campaign_on_processes_leaves_a_report_and_no_process() {
    let bench = Bench::new();
    let out = bench.path("out");
    let child = campaign(&bench, &out);
    let pid = child.id().to_string();
    let sent = std::process::Command::new("kill").args(["-INT", &pid]).status().expect("kill can be run");
    assert!(sent.success());
    let ran = ran(child.wait_with_output().expect("it can be waited for"));
    assert_eq!(ran.code, Some(130), "{ran:?}");
    assert!(out.join("run.json").is_file(), "a partial report");
    assert_eq!(processes_of(&out), Vec::<u32>::new());
}

#[test]
fn a_killed_harness_takes_its_processes_with_it() {
    let bench = Bench::new();
    let out = bench.path("out");
    let mut child = campaign(&bench, &out);
    child.kill().expect("it is ours");
    child.wait().expect("it can be waited for");
    wait_until("processes whose harness is gone end", || processes_of(&out).is_empty());
}
