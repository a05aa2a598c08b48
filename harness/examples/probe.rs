use redline_harness::{chaos, scenario, sim::plan::Plan};
use redline_vocab::*;
use std::sync::atomic::AtomicBool;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let s = scenario::load(&a[1]).unwrap_or_else(|e| { println!("{e}"); std::process::exit(2) });
    let runs: u64 = a[2].parse().unwrap();
    let quirks = a[3..].iter().fold(Quirks::NONE, |q, n| q.with(Quirk::from_name(n).unwrap()));
    let t = std::time::Instant::now();
    let sum = chaos::campaign(&s, chaos::Options { seed: 1, runs, quirks, keep: 3, initiators: if std::env::var("RAW").is_ok() { redline_traces::Initiators::Raw } else { redline_traces::Initiators::Guests } }, &AtomicBool::new(false), &|_| {});
    let e = t.elapsed();
    println!("runs {} events {} (min {}) faults min {} ops {} sim {}s failed {} inconcl {} worlds max {} in {:?}: {:.0} ev/s", sum.runs, sum.events, sum.events_min, sum.faults_min, sum.operations, sum.simulated.0/1_000_000, sum.failed, sum.inconclusive, sum.worlds_largest, e, sum.events as f64 / e.as_secs_f64());
    for w in &sum.witnesses { print!("{}={} ", w.property, w.fired); }
    println!("\n{:?}", sum.faults);
    for f in &sum.failures {
        println!("seed {}: {:?}", f.plan.seed, f.judgement.fingerprint());
        for v in f.judgement.violations.iter().take(2) { println!("   {} @{}: {}", v.property, v.seq, v.sentence); }
        if let redline_harness::conform::Verdict::Diverged(d) = &f.judgement.verdict { println!("  {d}"); println!("   alts {:?}", d.alternatives); println!("   before {:?}", d.before); }
    }
    let _ = Plan::draw(&s, 1);
}
