//! `just bench`: how fast the laboratory is, on one core. Medians of five rounds; the rounds of all measurements take
//! turns, so that a busy machine slows them alike, and the ratios between them mean something.

use redline_harness::chaos::{Run, STATES_MAX};
use redline_harness::conform::{self, Judge, Options};
use redline_harness::scenario::{self, Scenario};
use redline_harness::sim::plan::Plan;
use redline_traces::{Initiators, Reader, TraceFile};
use redline_vocab::Quirks;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const ROUNDS: usize = 5;
const SEEDS: std::ops::Range<u64> = 1..61;

fn main() {
    let scenario = scenario::load("reference").expect("it is embedded");
    let folder = tempfile::TempDir::new().expect("a folder for temporary files");
    let traces: Vec<PathBuf> = SEEDS.map(|seed| folder.path().join(format!("{seed}.ndjson"))).collect();
    let mut rounds: Vec<[Duration; 4]> = Vec::new();
    let (mut events, mut operations, mut simulated, mut worlds) = (0, 0, 0, (0, 0));
    for round in 0..ROUNDS {
        (events, operations, simulated) = (0, 0, 0);
        let whole = timed(|| {
            for (seed, path) in SEEDS.zip(&traces) {
                let totals = simulate(&scenario, seed, Some(path));
                events += totals.0;
                operations += totals.1;
                simulated += totals.2;
            }
        });
        let bare = timed(|| SEEDS.for_each(|seed| assert!(simulate(&scenario, seed, None).0 > 0)));
        let parse = timed(|| traces.iter().for_each(|path| assert!(parsed(path) > 0)));
        let judge = timed(|| {
            worlds = traces.iter().map(|path| judged(path)).fold((0, 0), |a, b| (a.0 + b.0, a.1.max(b.1)))
        });
        rounds.push([whole, bare, parse, judge]);
        eprintln!("round {} of {ROUNDS}", round + 1);
    }
    let median = |which: usize| {
        let mut times: Vec<Duration> = rounds.iter().map(|round| round[which]).collect();
        times.sort_unstable();
        times[ROUNDS / 2]
    };
    let rate = |which: usize| events as f64 / median(which).as_secs_f64();
    println!("reference scenario with faults, one core, medians of {ROUNDS} rounds of {events} events");
    println!("simulate, record and judge online   {:>12.0} events/s", rate(0));
    println!("  operations of the workload        {:>12.0} /s", operations as f64 / median(0).as_secs_f64());
    println!(
        "  simulated time / wall time        {:>12.0}",
        simulated as f64 / 1e6 / median(0).as_secs_f64()
    );
    println!(
        "simulate only                       {:>12.0} events/s ({:.2} of the first)",
        rate(1),
        rate(1) / rate(0)
    );
    println!("judge stored traces, with parsing   {:>12.0} events/s", rate(3));
    println!(
        "  candidate worlds                  {:>12.3} on average, at most {}",
        worlds.0 as f64 / events as f64,
        worlds.1
    );
    println!(
        "parse stored traces only            {:>12.0} events/s ({:.2} of judging)",
        rate(2),
        rate(2) / rate(3)
    );
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

/// Events, operations and simulated microseconds. With a file: recorded in it, and judged.
fn simulate(scenario: &Scenario, seed: u64, into: Option<&Path>) -> (u64, u64, u64) {
    let plan = &Plan::draw(scenario, seed);
    let run = Run { scenario, plan, initiators: Initiators::Guests, quirks: Quirks::NONE };
    let Some(path) = into else {
        let totals = run.make(&|| false, |_, _| {});
        return (totals.events, totals.operations, totals.until.0);
    };
    let mut file = TraceFile::create(path, &run.header()).expect("the folder can be written");
    let options = Options { states_max: STATES_MAX, owner_within: Some(scenario.chaos.recovery) };
    let mut judge =
        Judge::new(&run.header(), options).expect("a scenario describes a world that the model has");
    let mut seq = 0;
    let totals = run.make(&|| false, |at, event| {
        seq += 1;
        file.record(at, event).expect("the disk has room");
        judge.see(seq, at, event);
    });
    file.commit().expect("the disk has room");
    let judgement = judge.finish(true).expect("there are events");
    assert_eq!(
        (judgement.verdict, judgement.violations),
        (conform::Verdict::Conforms, vec![]),
        "seed {seed}"
    );
    (totals.events, totals.operations, totals.until.0)
}

fn parsed(path: &Path) -> usize {
    let reader = Reader::open(path).expect("it was just recorded");
    reader.filter(|stamped| stamped.as_ref().is_ok_and(|stamped| stamped.seq > 0)).count()
}

/// Sum and largest number of candidate worlds.
fn judged(path: &Path) -> (u64, u64) {
    let reader = Reader::open(path).expect("it was just recorded");
    let options = Options { states_max: STATES_MAX, owner_within: None };
    let judgement = conform::judge(reader, options).expect("it was just recorded");
    assert_eq!(judgement.verdict, conform::Verdict::Conforms);
    (judgement.statistics.worlds_sum, judgement.statistics.worlds_largest)
}
