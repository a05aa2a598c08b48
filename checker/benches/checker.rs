//! How fast the checker is, beside its peers on the same model, in the same run.
//!
//! Each measurement is a process of its own, so that none inherits another one's memory; the measurements of a table take turns,
//! and the medians of five are shown. `just bench-checker` makes the tables of two-phase commit up to N = 9, which takes half an hour; tables can be
//! asked for by name: `unmodified`, `packed`, `strangers`, and `large`: N = 10 and 11, once each, for which the machine needs 8 GiB
//! of free memory.

#[path = "../peers/bare.rs"]
mod bare;
#[path = "../models/stateright_twophase.rs"]
mod stateright_twophase;
#[path = "../models/twophase.rs"]
mod twophase;

use redline_checker::{Check, Counterexample, Fingerprint, Limits, Report, Until, collision_odds};
use stateright::{Checker, Model};
use std::{
    fs, hash::Hash, hint::black_box, path::Path, process::Command, sync::atomic::AtomicBool, time::Instant,
};
use twophase::{KINDS, State, Step, TwoPhase};

const REPEATS: usize = 5;
/// Two processes with one thread each, side by side: the slower one counts.
const TWICE: &str = "twice";

/// What one process measured.
#[derive(Clone, Copy)]
struct Sample {
    seconds: f64,
    unique: u64,
    generated: u64,
    peak_mib: u64,
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    if let [case, count, threads] = args.as_slice()
        && case.starts_with("case-")
    {
        measure(case, count.parse().expect("a number"), threads.parse().expect("a number"));
        return;
    }
    const TABLES: [&str; 4] = ["unmodified", "packed", "strangers", "large"];
    if let Some(unknown) = args.iter().find(|arg| !TABLES.contains(&arg.as_str())) {
        eprintln!("there is no table {unknown}; there are: {}", TABLES.join(", "));
        std::process::exit(2);
    }
    let wanted = |table: &str| {
        if args.is_empty() { table != "large" } else { args.iter().any(|arg| arg == table) }
    };
    if wanted("unmodified") {
        unmodified();
    }
    if wanted("packed") {
        packed();
    }
    if wanted("strangers") {
        strangers();
    }
    if wanted("large") {
        largest(10);
        largest(11);
    }
}

/// The model code of stateright's own example.
fn unmodified() {
    let cases = [("case-ceiling", 1), ("case-plain", 1), ("case-stateright", 1), ("case-plain", 2)];
    let medians = turns(9, &cases);
    println!(
        "\nTwo-phase commit as stateright's example has it, N = 9, 10,340,352 states, 123,558,402 generated\n"
    );
    println!(
        "| what | threads | seconds | unique/s | against the ceiling | against stateright BFS, 1 thread |"
    );
    println!("|---|---|---|---|---|---|");
    let names = ["model code and hash, no table (ceiling)", "redline", "stateright BFS", "redline"];
    for ((name, (_, threads)), sample) in names.into_iter().zip(cases).zip(&medians) {
        println!(
            "| {name} | {threads} | {:.2} | {:.0} k | {:.0} % | {:.1} |",
            sample.seconds,
            10_340.352 / sample.seconds,
            100.0 * medians[0].seconds / sample.seconds,
            medians[2].seconds / sample.seconds,
        );
    }
}

/// States of 64 bytes.
fn packed() {
    let cases = [
        ("case-bare-64", 1),
        ("case-packed-64", 1),
        ("case-bare-64", 2),
        ("case-packed-64", 2),
        (TWICE, 1),
        ("case-plain-64", 1),
        ("case-wide-64", 1),
        ("case-stateright-64", 1),
    ];
    let medians = turns(9, &cases);
    println!("\nTwo-phase commit packed into 64 bytes, N = 9, 10,340,352 states, 123,558,402 generated\n");
    println!(
        "| what | threads | seconds | unique/s | against bare, same threads | against itself, 1 thread | peak memory |"
    );
    println!("|---|---|---|---|---|---|---|");
    let names = [
        "bare loop",
        "redline, packed",
        "bare loop",
        "redline, packed",
        "redline, packed, twice at once: what the machine allows",
        "redline, plain",
        "redline, packed, 128-bit fingerprints",
        "stateright BFS",
    ];
    for (at, ((name, (_, threads)), sample)) in names.into_iter().zip(cases).zip(&medians).enumerate() {
        let bare = if threads == 1 { 0 } else { 2 };
        let one_thread = match cases[at] {
            // Two searches were made in this time.
            (TWICE, _) => 2.0 * medians[1].seconds,
            (_, 2) => medians[at - 2].seconds,
            _ => sample.seconds,
        };
        println!(
            "| {name} | {threads} | {:.2} | {:.2} M | {:.0} % | {:.2} | {} MiB |",
            sample.seconds,
            10.340_352 / sample.seconds,
            100.0 * medians[bare].seconds / sample.seconds,
            one_thread / sample.seconds,
            sample.peak_mib,
        );
    }
}

/// Model checkers of other people, where they are installed.
fn strangers() {
    println!("\nOther checkers, N = 8, 1,745,408 states, one thread\n");
    println!("| what | seconds | unique/s | against redline, packed |");
    println!("|---|---|---|---|");
    let ours = turns(8, &[("case-packed-8", 1), ("case-plain", 1)]);
    let row = |name: &str, seconds: f64| {
        println!(
            "| {name} | {seconds:.2} | {:.0} k | {:.1} x |",
            1_745.408 / seconds,
            seconds / ours[0].seconds
        );
    };
    row("redline, packed", ours[0].seconds);
    row("redline, stateright's model code", ours[1].seconds);
    let dir = tempdir();
    for (name, build) in [("Spin", build_spin as fn(&Path) -> Option<Command>), ("Rumur", build_rumur)] {
        let Some(mut command) = build(&dir) else {
            println!("| {name} | not installed: `apt-get install spin rumur gcc` | | |");
            continue;
        };
        let mut seconds: Vec<f64> = (0..REPEATS)
            .map(|_| {
                let started = Instant::now();
                let output = command.output().expect("it was built");
                let seconds = started.elapsed().as_secs_f64();
                let text = String::from_utf8_lossy(&output.stdout).into_owned();
                let digits: String =
                    text.chars().filter(|c| c.is_ascii_digit() || c.is_whitespace()).collect();
                // Spin prints large numbers in exponential form, so that its count is matched by its first digits.
                assert!(
                    digits.contains("1745408") || text.contains("1.7454"),
                    "{name} found other states: {text}"
                );
                seconds
            })
            .collect();
        seconds.sort_by(f64::total_cmp);
        row(name, seconds[REPEATS / 2]);
    }
    let _ = fs::remove_dir_all(dir);
}

fn largest(count: u32) {
    let states = TwoPhase::<1> { count }.states();
    println!("\nTwo-phase commit in 8 bytes, N = {count}, {states} states, 2 threads, once\n");
    println!("| what | seconds | unique/s | against bare | peak memory | odds of a collision |");
    println!("|---|---|---|---|---|---|");
    let samples: Vec<Sample> =
        ["case-bare-8", "case-packed-8"].iter().map(|case| child(case, count, 2)).collect();
    for (name, sample) in ["bare loop", "redline, packed"].iter().zip(&samples) {
        assert_eq!(sample.unique, states, "{name}");
        println!(
            "| {name} | {:.1} | {:.2} M | {:.2} x | {} MiB | {:.2} % |",
            sample.seconds,
            states as f64 / 1e6 / sample.seconds,
            sample.seconds / samples[0].seconds,
            sample.peak_mib,
            100.0 * collision_odds(states, 64),
        );
    }
}

/// Medians by time of measurements that take turns.
fn turns(count: u32, cases: &[(&str, usize)]) -> Vec<Sample> {
    let mut samples: Vec<Vec<Sample>> = vec![Vec::new(); cases.len()];
    for round in 1..=REPEATS {
        eprintln!("round {round} of {REPEATS}, N = {count}");
        for ((case, threads), taken) in cases.iter().zip(&mut samples) {
            taken.push(child(case, count, *threads));
        }
    }
    let states = TwoPhase::<1> { count }.states();
    let median = |mut taken: Vec<Sample>| {
        assert!(taken.iter().all(|sample| sample.unique == states && sample.generated == taken[0].generated));
        taken.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
        taken[REPEATS / 2]
    };
    samples.into_iter().map(median).collect()
}

fn child(case: &str, count: u32, threads: usize) -> Sample {
    if case == TWICE {
        return std::thread::scope(|scope| {
            let other = scope.spawn(|| child("case-packed-64", count, threads));
            let one = child("case-packed-64", count, threads);
            let other = other.join().expect("it is a measurement like the other");
            if other.seconds > one.seconds { other } else { one }
        });
    }
    let exe = std::env::current_exe().expect("this program has a path");
    let output = Command::new(exe)
        .args([case, &count.to_string(), &threads.to_string()])
        .output()
        .expect("this program runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut numbers = text.split_whitespace();
    let mut next = || numbers.next().unwrap_or_else(|| panic!("{case}: {output:?}"));
    Sample {
        seconds: next().parse().expect("seconds"),
        unique: next().parse().expect("unique"),
        generated: next().parse().expect("generated"),
        peak_mib: next().parse().expect("memory"),
    }
}

fn measure(case: &str, count: u32, threads: usize) {
    let limits = Limits { until: Until::Exhausted, ..Limits::threads(threads) };
    let unique_and_generated =
        |report: &Report<Counterexample<State<8>, Step>>| (report.unique, report.generated);
    let never = AtomicBool::new(false);
    // Large enough, and as small as that: what the loop's author would choose.
    let log2 = (TwoPhase::<1> { count }.states() as f64 * 1.4).log2().ceil() as u32;
    let wide = TwoPhase::<8> { count };
    let example = stateright_twophase::model(count as usize);
    let prepared = (case == "case-ceiling").then(|| collect(&example));
    let started = Instant::now();
    let (unique, generated) = match case {
        "case-ceiling" => ceiling(&example, &prepared.expect("it was collected")),
        "case-plain" => {
            let report = Check::new(&example).run(limits).expect("it runs");
            (report.unique, report.generated)
        }
        "case-stateright" => {
            let checker = example.checker().threads(threads).spawn_bfs().join();
            (checker.unique_state_count() as u64, checker.state_count() as u64)
        }
        "case-bare-64" => bare::explore::<8>(count, threads, log2),
        "case-bare-8" => bare::explore::<1>(count, threads, log2),
        "case-packed-64" | "case-wide-64" => {
            let check = Check::new(&wide).kinds(KINDS.to_vec(), |step| step.0).wide(case == "case-wide-64");
            unique_and_generated(&check.run_packed(limits, &never, &mut |_| {}).expect("it runs"))
        }
        "case-plain-64" => {
            let check = Check::new(&wide).kinds(KINDS.to_vec(), |step| step.0);
            unique_and_generated(&check.run(limits).expect("it runs"))
        }
        "case-packed-8" => {
            let model = TwoPhase::<1> { count };
            let check = Check::new(&model).kinds(KINDS.to_vec(), |step| step.0);
            let report = check.run_packed(limits, &never, &mut |_| {}).expect("it runs");
            (report.unique, report.generated)
        }
        "case-stateright-64" => {
            let checker = wide.checker().threads(threads).spawn_bfs().join();
            (checker.unique_state_count() as u64, checker.state_count() as u64)
        }
        other => panic!("no such measurement: {other}"),
    };
    println!("{} {unique} {generated} {}", started.elapsed().as_secs_f64(), peak_mib());
}

fn collect<M: Model<State: Clone + Hash>>(model: &M) -> Vec<M::State> {
    let mut seen = std::collections::HashSet::new();
    let mut all = model.init_states();
    seen.extend(all.iter().map(u128::of));
    let mut at = 0;
    while at < all.len() {
        for next in model.next_states(&all[at]) {
            if seen.insert(u128::of(&next)) {
                all.push(next);
            }
        }
        at += 1;
    }
    all
}

/// What cannot be avoided: the model's code for every state, and a cheap hash of what it gives.
fn ceiling<M: Model<State: Hash>>(model: &M, states: &[M::State]) -> (u64, u64) {
    let mut actions = Vec::new();
    let mut generated = 1;
    let mut sum = 0u64;
    for state in states {
        model.actions(state, &mut actions);
        for action in actions.drain(..) {
            if let Some(next) = model.next_state(state, action) {
                sum ^= u64::of(&next);
                generated += 1;
            }
        }
    }
    black_box(sum);
    (states.len() as u64, generated)
}

fn peak_mib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0 kB");
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap_or(0) / 1024
}

fn tempdir() -> std::path::PathBuf {
    let dir = std::env::temp_dir().join(format!("bench-checker-{}", std::process::id()));
    fs::create_dir_all(&dir).expect("a folder for the peers");
    dir
}

fn peer(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn runs(dir: &Path, command: &str, args: &[&str]) -> bool {
    Command::new(command).args(args).current_dir(dir).output().is_ok_and(|output| output.status.success())
}

fn build_spin(dir: &Path) -> Option<Command> {
    fs::write(dir.join("twophase.pml"), peer("twophase.pml")).ok()?;
    let compile = ["-O3", "-DSAFETY", "-DNOREDUCE", "-DMEMLIM=8000", "pan.c", "-o", "pan"];
    (runs(dir, "spin", &["-DN=8", "-a", "twophase.pml"]) && runs(dir, "gcc", &compile)).then(|| {
        let mut command = Command::new(dir.join("pan"));
        command.args(["-m100000", "-w24"]).current_dir(dir);
        command
    })
}

fn build_rumur(dir: &Path) -> Option<Command> {
    fs::write(dir.join("twophase.m"), peer("twophase.m").replace("const N: 5;", "const N: 8;")).ok()?;
    let translate = [
        "--deadlock-detection",
        "off",
        "--symmetry-reduction",
        "off",
        "--threads",
        "1",
        "--counterexample-trace",
        "off",
        "-o",
        "m.c",
        "twophase.m",
    ];
    let compile = ["-O3", "-march=native", "-mcx16", "m.c", "-o", "m", "-lpthread"];
    (runs(dir, "rumur", &translate) && runs(dir, "gcc", &compile)).then(|| {
        let mut command = Command::new(dir.join("m"));
        command.current_dir(dir);
        command
    })
}
