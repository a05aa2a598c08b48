//! Writes the corpus of traces anew: `cargo run --release -p redline-harness --example corpus`.
//!
//! `traces/corpus/good` holds short recorded runs, which every version must accept. `traces/corpus/bad` holds what
//! `redline_traces::mutate` makes of them: dropped, swapped, altered, duplicated and invented events. A bad trace's name
//! ends in the line from which it is illegal.

use redline_harness::chaos::Run;
use redline_harness::scenario;
use redline_harness::sim::plan::Plan;
use redline_traces::mutate::mutants;
use redline_traces::{Header, Initiators, Reader, Stamped, TraceFile};
use redline_vocab::Quirks;
use std::path::Path;

/// Scenario, initiators, seed, events at least, and how many bad traces of each family are made.
const RUNS: [(&str, Initiators, u64, u32, usize); 2] =
    [("reference", Initiators::Guests, 5, 300, 1), ("three-nodes", Initiators::Raw, 3, 400, 3)];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../traces/corpus");
    for folder in ["good", "bad"] {
        let folder = root.join(folder);
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        std::fs::create_dir_all(&folder)?;
    }
    for (name, initiators, seed, events, each) in RUNS {
        let scenario = scenario::load(name)?;
        let mut plan = Plan::draw(&scenario, seed);
        plan.events_min = events;
        plan.injections.truncate(2);
        let run = Run { scenario: &scenario, plan: &plan, initiators, quirks: Quirks::NONE };
        let bytes = run.record();
        let reader = Reader::new(&bytes[..], "the run")?;
        let header = reader.header().clone();
        let events = reader.collect::<Result<Vec<_>, _>>()?;
        let who = if initiators == Initiators::Raw { "raw" } else { "guests" };
        let base = format!("{name}-{who}-{seed}");
        write(&root.join(format!("good/{base}.ndjson.zst")), &header, &events)?;
        // A mutant's name ends in its number within its family, from 1.
        let first =
            |name: &str| name.rsplit('-').next().and_then(|nth| nth.parse::<usize>().ok()).unwrap_or(1);
        for mutant in mutants(&header, &events).into_iter().filter(|mutant| first(&mutant.name) <= each) {
            let file = format!("bad/{base}-{}-line-{}.ndjson.zst", mutant.name, mutant.line);
            write(&root.join(file), &header, &mutant.events)?;
        }
    }
    Ok(())
}

fn write(path: &Path, header: &Header, events: &[Stamped]) -> std::io::Result<()> {
    let mut file = TraceFile::create(path, header)?;
    for stamped in events {
        file.record(stamped.at, &stamped.event)?;
    }
    file.commit()?;
    Ok(())
}
