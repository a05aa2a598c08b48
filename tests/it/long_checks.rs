//! Checks that are killed and go on, and checks on several processes: the same answer as undisturbed.

use crate::support::Bench;
use serde_json::Value;
use std::net::TcpListener;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// What a check must come to, however it was carried out: exit code, outcome, counts, coverage, properties, steps of each finding.
#[derive(Debug, PartialEq)]
struct Answer {
    code: Option<i32>,
    outcome: Value,
    counts: Vec<(String, String)>,
    tables: Value,
    properties: Value,
    findings: Vec<(Value, Value)>,
}

/// The answer in this run's folder.
fn answer(bench: &Bench, out: &str, code: Option<i32>) -> Answer {
    let record: Value = serde_json::from_str(&bench.read(&format!("{out}/run.json"))).expect("it is JSON");
    let section = &record["sections"][0];
    let text = |value: &Value| value.as_str().expect("it is text").to_owned();
    let figures = section["figures"].as_array().expect("it is a list").iter();
    let counts: Vec<(String, String)> = figures
        .map(|figure| (text(&figure["name"]), text(&figure["value"])))
        .filter(|(name, _)| {
            ["unique states", "states generated", "depth", "explored"].contains(&name.as_str())
        })
        .collect();
    assert_eq!(counts.len(), 4, "{counts:?}");
    let findings = section["findings"].as_array().expect("it is a list").iter();
    Answer {
        code,
        outcome: record["outcome"].clone(),
        counts,
        tables: section["tables"].clone(),
        properties: section["properties"].clone(),
        findings: findings.map(|one| (one["property"].clone(), one["steps"].clone())).collect(),
    }
}

/// Numbers without pattern (SplitMix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let word = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        (word ^ word >> 27) % limit
    }
}

/// How many levels the checkpoint in this folder has; 0 if there is none.
fn levels(bench: &Bench, kept: &str) -> usize {
    // The file is replaced atomically: it is never half there.
    let text = std::fs::read_to_string(bench.path(kept).join("manifest.json")).unwrap_or_default();
    serde_json::from_str::<Value>(&text)
        .map_or(0, |manifest| manifest["levels"].as_array().map_or(0, Vec::len))
}

/// Carries the check out; kills it some moments after its checkpoint has reached each of these levels, and goes on.
fn killed_and_resumed(
    bench: &Bench,
    round: u32,
    check: &[&str],
    kill_at: &[usize],
    dice: &mut Dice,
) -> Answer {
    let kept = format!("kept-{round}");
    let mut kills = 0;
    loop {
        let out = format!("round-{round}-{kills}");
        let how = if levels(bench, &kept) > 0 { "--resume" } else { "--checkpoint" };
        let keep = [how, &kept, "--checkpoint-every", "0s", "--out", &out, "-q"];
        let mut command = bench.command(&[check, &keep].concat());
        let mut child = command.stdout(Stdio::null()).spawn().expect("the program can be started");
        let Some(kill_at) = kill_at.get(kills) else {
            let status = child.wait().expect("it is our child");
            return answer(bench, &out, status.code());
        };
        while levels(bench, &kept) < *kill_at {
            let ended = child.try_wait().expect("it is our child");
            assert_eq!(ended, None, "round {round}: it ended before level {kill_at}");
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_micros(dice.below(20_000)));
        // SIGKILL: the child can do nothing about it.
        child.kill().expect("it is our child");
        child.wait().expect("it is our child");
        kills += 1;
    }
}

fn check_kill_and_resume(check: &[&str], rounds: u32, seed: u64) {
    let bench = Bench::new();
    let ran = bench.run(&[check, &["--out", "undisturbed", "-q"]].concat());
    let expected = answer(&bench, "undisturbed", ran.code);
    let depth: usize = expected
        .counts
        .iter()
        .find(|(name, _)| name == "depth")
        .expect("it is there")
        .1
        .parse()
        .expect("a number");
    let mut dice = Dice(seed);
    for round in 0..rounds {
        // The last levels are over too soon to be met.
        let mut kill_at: Vec<usize> =
            (0..1 + dice.below(3)).map(|_| 1 + dice.below(depth as u64 * 2 / 3) as usize).collect();
        kill_at.sort_unstable();
        let found = killed_and_resumed(&bench, round, check, &kill_at, &mut dice);
        assert_eq!(found, expected, "round {round}, killed after levels {kill_at:?}");
    }
}

#[test]
fn a_check_that_is_killed_ten_times_comes_to_the_same_answer() {
    check_kill_and_resume(&["check", "--instance", "two-nexuses"], 10, 1);
}

#[test]
fn a_counterexample_is_the_same_after_kills() {
    check_kill_and_resume(&["check", "--relax", "preempt-abort", "--keep-going"], 3, 2);
}

/// Free ports of this machine, one for each process.
fn addresses(processes: usize) -> String {
    let held: Vec<TcpListener> =
        (0..processes).map(|_| TcpListener::bind("127.0.0.1:0").expect("loopback")).collect();
    let all: Vec<String> =
        held.iter().map(|one| one.local_addr().expect("it is bound").to_string()).collect();
    all.join(",")
}

/// The check on several processes over loopback: an answer from each.
fn on_processes(bench: &Bench, check: &[&str], processes: usize, threads: &str) -> Vec<Answer> {
    let addresses = addresses(processes);
    let running: Vec<_> = (0..processes)
        .map(|process| {
            let (number, out) = (process.to_string(), format!("process-{threads}-{process}"));
            let more =
                ["--processes", &addresses, "--process", &number, "--threads", threads, "--out", &out, "-q"];
            let mut command = bench.command(&[check, &more].concat());
            let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
            (child.expect("the program can be started"), out)
        })
        .collect();
    let ended = running.into_iter().map(|(child, out)| {
        let output = child.wait_with_output().expect("it is our child");
        assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        answer(bench, &out, output.status.code())
    });
    ended.collect()
}

#[test]
fn several_processes_come_to_the_answer_of_one() {
    let bench = Bench::new();
    let check = ["check", "--instance", "two-nexuses-restart"];
    let alone = bench.run(&[&check[..], &["--out", "alone", "-q"]].concat());
    let expected = answer(&bench, "alone", alone.code);
    for (processes, threads) in [(2, "1"), (3, "2")] {
        for found in on_processes(&bench, &check, processes, threads) {
            assert_eq!(found, expected, "{processes} processes with {threads} threads");
        }
    }
}

#[test]
fn several_processes_find_a_counterexample_as_short_as_that_of_one() {
    let bench = Bench::new();
    let check = ["check", "--relax", "preempt-abort"];
    let alone = bench.run(&[&check[..], &["--out", "alone", "-q"]].concat());
    let expected = answer(&bench, "alone", alone.code);
    let found = on_processes(&bench, &check, 2, "1");
    assert_eq!(found[0], found[1]);
    for one in found {
        assert_eq!((one.code, &one.outcome, &one.counts), (Some(1), &expected.outcome, &expected.counts));
        let length = |answer: &Answer| -> Vec<(Value, usize)> {
            let steps = answer.findings.iter();
            steps.map(|(name, steps)| (name.clone(), steps.as_array().expect("it is a list").len())).collect()
        };
        assert_eq!(length(&one), length(&expected));
    }
}

#[test]
fn a_process_that_dies_leaves_no_verdict_of_the_others() {
    let bench = Bench::new();
    let addresses = addresses(2);
    let start = |process: &str| {
        let more =
            ["--processes", &addresses, "--process", process, "--threads", "1", "--out", process, "-q"];
        let mut command = bench.command(&[&["check", "--instance", "three-nexuses"][..], &more].concat());
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program can be started")
    };
    let (mut first, mut second) = (start("0"), start("1"));
    std::thread::sleep(Duration::from_millis(700));
    second.kill().expect("it is our child");
    second.wait().expect("it is our child");
    let deadline = Instant::now() + Duration::from_secs(60);
    let status = loop {
        if let Some(status) = first.try_wait().expect("it is our child") {
            break status;
        }
        assert!(Instant::now() < deadline, "the other process went on for ever");
        std::thread::sleep(Duration::from_millis(20));
    };
    assert!(!matches!(status.code(), Some(0 | 1)), "{status}");
}
