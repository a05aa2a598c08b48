//! How a user meets the program: exit codes, errors that name the place, nothing overwritten, interruption.

use crate::support::{Bench, ran, root};
use redline_harness::record::Record;
use redline_harness::verdict::Outcome;
use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Runs, and compares the exit code and a part of what is said.
fn check(bench: &Bench, args: &[&str], code: i32, said: &str) {
    let ran = bench.run(args);
    assert_eq!(ran.code, Some(code), "redline {}\n{}\n{}", args.join(" "), ran.out, ran.err);
    assert!(
        ran.out.contains(said) || ran.err.contains(said),
        "redline {}: no `{said}` in\n{}\n{}",
        args.join(" "),
        ran.out,
        ran.err
    );
}

#[test]
fn a_bad_command_line_is_told_what_would_be_right() {
    let bench = Bench::new();
    check(&bench, &["chekc"], 2, "check");
    check(&bench, &["check", "--relax", "preempt-abrt"], 2, "preempt-abort");
    check(&bench, &["chaos", "--quirk", "abort-ignord"], 2, "abort-ignored");
    check(&bench, &["chaos", "--for", "5 minutes"], 2, "as in 90s, 10m or 8h");
    check(&bench, &["chaos", "--shard", "3/2"], 2, "K/N");
    check(&bench, &["check", "--instance", "two-nexus"], 2, "two-nexuses");
    check(&bench, &["check", "referense"], 2, "did you mean `reference`?");
    check(&bench, &["explain", "preempt-abrt"], 2, "did you mean `preempt-abort`?");
    assert!(
        !bench.path("redline-out").exists()
            || bench.path("redline-out").read_dir().expect("it is a folder").count() == 0
    );
}

#[test]
fn a_bad_scenario_is_refused_with_file_line_and_nearest_name() {
    let bench = Bench::new();
    let text = std::fs::read_to_string(root().join("scenarios/reference.toml")).expect("it is there");
    bench.write("typo.toml", &text.replace("challenge_wait = ", "chalenge_wait = "));
    let line = text.lines().position(|line| line.starts_with("challenge_wait")).expect("it is there") + 1;
    let ran = bench.run(&["check", "typo.toml"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains(&format!("typo.toml:{line}:")), "{}", ran.err);
    assert!(ran.err.contains("did you mean `challenge_wait`?"), "{}", ran.err);
    bench.write("guard.toml", &text.replace("aptpl = true", "aptlp = true"));
    check(&bench, &["verify", "guard.toml"], 2, "aptpl");
    bench.write("broken.toml", "format = 1\nname = \"x");
    check(&bench, &["verify", "broken.toml"], 2, "broken.toml:2:");
    check(&bench, &["verify", "."], 74, "directory");
}

#[test]
fn a_trace_that_cannot_be_judged_says_why() {
    let bench = Bench::new();
    assert_eq!(
        bench
            .run(&["chaos", "--runs", "1", "--record", "--out", "out"])
            .code
            .map(|code| code == 0 || code == 4),
        Some(true)
    );
    let trace = bench.read("out/run-1.ndjson");
    let lines: Vec<&str> = trace.lines().collect();
    let upto = |count: usize| lines[..count].iter().map(|line| format!("{line}\n")).collect::<String>();

    check(&bench, &["conform", "out/run-1.ndjson"], 0, "the model allows every event");
    check(
        &bench,
        &["export", "out/run-1.ndjson", "--to", "mermaid", "--events-max", "30"],
        0,
        "sequenceDiagram",
    );
    check(&bench, &["export", "out/run-1.ndjson", "--to", "shiviz"], 0, "\"node0\":1");
    check(&bench, &["export", "out/run-1.ndjson", "--to", "itf"], 0, "\"#bigint\"");
    bench.write("cut.ndjson", &upto(200));
    check(&bench, &["conform", "cut.ndjson"], 3, "cut after 199 events");
    check(&bench, &["replay", "cut.ndjson"], 3, "cut after 199 events");
    bench.write("half.ndjson", &trace[..trace.len() / 2]);
    check(&bench, &["conform", "half.ndjson"], 3, "cut");
    bench.write("newer.ndjson", &trace.replacen("\"version\":1", "\"version\":2", 1));
    check(&bench, &["conform", "newer.ndjson"], 2, "format version 2");
    bench.write("edited.ndjson", &trace.replacen("\"nexus\":0", "\"nexus\":1", 1));
    assert_ne!(bench.run(&["conform", "edited.ndjson"]).code, Some(0));
    let garbage = format!("{}{{\"seq\":\n{}", upto(10), &trace[trace.len() / 2..]);
    bench.write("garbage.ndjson", &garbage);
    check(&bench, &["conform", "garbage.ndjson"], 2, "garbage.ndjson:11:");
    check(&bench, &["conform", "out"], 74, "is a folder");
    check(&bench, &["conform", "nowhere.ndjson"], 74, "nowhere.ndjson");
    bench.write("empty.ndjson", "");
    assert_ne!(bench.run(&["conform", "empty.ndjson"]).code, Some(0));
    bench.write("header.ndjson", &upto(1));
    assert_ne!(bench.run(&["conform", "header.ndjson"]).code, Some(0));
}

#[test]
fn nothing_is_overwritten_and_a_full_disk_is_an_error() {
    let bench = Bench::new();
    let args = ["check", "--relax", "host-fence", "--out", "out"];
    assert_eq!(bench.run(&args).code, Some(1));
    let before = bench.read("out/run.json");
    check(&bench, &args, 2, "nothing is overwritten");
    assert_eq!(bench.read("out/run.json"), before);
    bench.write("file", "mine");
    check(&bench, &["check", "--relax", "host-fence", "--out", "file"], 74, "not a folder");
    assert_eq!(bench.read("file"), "mine");
    check(&bench, &["check", "--relax", "host-fence", "--out", "/proc/redline"], 74, "/proc/redline");
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("Linux has it");
    let mut command = bench.command(&["check", "--relax", "host-fence"]);
    let ran = ran(command.stdout(full).output().expect("the program can be started"));
    assert_eq!(ran.code, Some(74), "{}", ran.err);
    assert!(ran.err.contains("standard output"), "{}", ran.err);
}

#[test]
fn a_full_disk_leaves_no_half_written_file() {
    let bench = Bench::new();
    // The limit on the size of files stands for a full disk: writing a trace meets it, reports it, and leaves nothing.
    let program = env!("CARGO_BIN_EXE_redline");
    let line = format!("trap '' XFSZ; ulimit -f 16; exec {program} chaos --runs 4 --record --out out");
    let output =
        Command::new("bash").args(["-c", &line]).current_dir(bench.path("")).output().expect("bash is there");
    let ran = ran(output);
    assert_eq!(ran.code, Some(74), "{}\n{}", ran.out, ran.err);
    let left: Vec<_> = bench
        .path("out")
        .read_dir()
        .into_iter()
        .flatten()
        .map(|entry| entry.expect("it is listed").file_name().to_string_lossy().into_owned())
        .filter(|name| name.ends_with(".ndjson"))
        .collect();
    assert_eq!(left, Vec::<String>::new(), "a trace that was not finished is not there");
}

#[test]
fn a_cut_check_is_inconclusive() {
    let bench = Bench::new();
    check(&bench, &["check", "--instance", "three-nexuses", "--states-max", "2000"], 3, "INCONCLUSIVE");
    check(&bench, &["check", "--instance", "three-nexuses", "--time-max", "1s"], 3, "INCONCLUSIVE");
    check(&bench, &["chaos", "--runs", "0"], 3, "no run was made");
}

#[test]
fn exit_codes_can_be_selected_but_errors_always_fail() {
    let bench = Bench::new();
    let relaxed = ["check", "--relax", "host-fence", "-q"];
    assert_eq!(bench.run(&relaxed).code, Some(1));
    assert_eq!(bench.run(&[&relaxed[..], &["--fail-on", "inconclusive"]].concat()).code, Some(0));
    assert_eq!(bench.run(&[&relaxed[..], &["--fail-on", "inconclusive,violated"]].concat()).code, Some(1));
    assert_eq!(bench.run(&["conform", "nowhere.ndjson", "--fail-on", "violated"]).code, Some(74));
}

#[test]
fn data_goes_to_standard_output_and_messages_do_not() {
    let bench = Bench::new();
    for format in ["json", "junit", "sarif", "markdown"] {
        let ran = bench.run(&["check", "--relax", "host-fence", "--format", format]);
        assert_eq!(ran.code, Some(1));
        assert!(!ran.out.contains('\r') && !ran.err.contains('\r'), "nothing animates off a terminal");
        match format {
            "json" => {
                let record = Record::parse(&ran.out, "stdout").expect("it is a record");
                assert_eq!(record.outcome, Outcome::Violated);
            }
            "junit" => assert!(ran.out.starts_with("<?xml") && ran.out.contains("<failure")),
            "sarif" => assert!(ran.out.contains("\"fabric/owner-unique\"")),
            _ => assert!(ran.out.starts_with("## Redline: violated")),
        }
    }
}

#[test]
fn lists_are_printed() {
    let bench = Bench::new();
    check(&bench, &["hazards"], 0, "redline check --relax preempt-abort");
    check(&bench, &["hazards"], 0, "--quirk orphan-reservation");
    check(&bench, &["scenarios"], 0, "zombie-owner");
    check(&bench, &["scenarios", "--show", "no-aptpl"], 0, "aptpl = false");
    check(&bench, &["explain", "V3"], 0, "fabric/no-evicted-write");
    check(&bench, &["explain", "H05"], 0, "redline check --relax preempt-abort");
    check(&bench, &["validate", "three-nodes"], 0, "3 nodes");
    check(&bench, &["completions", "bash"], 0, "_redline");
    check(&bench, &["--help"], 0, "Examples:");
    check(&bench, &["--version"], 0, "trace format 1");
    assert!(!bench.path("redline-out").exists(), "lists leave no folder behind");
}

#[test]
fn shards_are_joined_to_the_same_runs() {
    let bench = Bench::new();
    for shard in ["1/2", "2/2"] {
        let out = format!("shard-{}", &shard[..1]);
        let ran = bench.run(&["chaos", "--runs", "300", "--shard", shard, "--out", &out]);
        assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    }
    let merged = bench.run(&["report", "--merge", "shard-2/run.json", "shard-1/run.json"]);
    assert_eq!(merged.code, Some(0), "{}", merged.err);
    assert!(merged.out.contains("seeds") && merged.out.contains("1 and the 149 after it"), "{}", merged.out);
    assert!(merged.out.contains("151 and the 149 after it"), "{}", merged.out);
    check(&bench, &["report", "--merge", "shard-1/run.json"], 3, "shards are missing");
    bench.write("no-record.json", "{}");
    check(&bench, &["report", "no-record.json"], 2, "not a run record");
    check(&bench, &["report", "shard-1"], 74, "shard-1");
}

#[test]
fn an_interrupted_campaign_leaves_a_partial_report() {
    let bench = Bench::new();
    let mut child = bench
        .command(&["chaos", "--for", "1h", "--out", "out"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program can be started");
    // It listens for the signal once its folder is there, and a little longer; a signal that comes too early would end it
    // without a report, so the signal is sent until it says that it was heard.
    let pid = child.id().to_string();
    let started = Instant::now();
    while !bench.path("out").exists() {
        assert!(started.elapsed() < Duration::from_secs(30), "it never began");
        std::thread::yield_now();
    }
    let listening =
        || std::fs::read_to_string(format!("/proc/{pid}/status")).is_ok_and(|text| catches_interrupt(&text));
    while !listening() {
        assert!(started.elapsed() < Duration::from_secs(30), "it never listened for Ctrl-C");
        std::thread::yield_now();
    }
    let sent = Command::new("kill").args(["-INT", &pid]).status().expect("kill is there");
    assert!(sent.success());
    let mut out = String::new();
    child.stdout.take().expect("it is piped").read_to_string(&mut out).expect("it is text");
    let code = child.wait().expect("it ends").code();
    assert_eq!(code, Some(130), "{out}");
    assert!(out.contains("INTERRUPTED"), "{out}");
    let record = Record::load(&bench.path("out/run.json")).expect("a partial report is a report");
    assert_eq!(record.outcome, Outcome::Interrupted);
    assert!(!record.sections.is_empty());
}

/// Whether a process status says that SIGINT (bit 1) is caught.
fn catches_interrupt(status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 0b10 != 0)
}
