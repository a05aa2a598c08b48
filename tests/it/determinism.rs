//! The same seed gives the same bytes, whatever the number of threads.

use crate::support::Bench;
use std::collections::BTreeMap;

/// The traces that a recorded campaign writes, by name.
fn recorded(bench: &Bench, threads: &str, initiators: &str) -> BTreeMap<String, Vec<u8>> {
    let out = format!("out-{threads}-{initiators}");
    let args = [
        "chaos",
        "--runs",
        "12",
        "--seed",
        "40",
        "--record",
        "--initiators",
        initiators,
        "--threads",
        threads,
        "--out",
        &out,
    ];
    let ran = bench.run(&args);
    // A dozen runs need not meet every premise: vacuous is an honest answer here.
    assert!(matches!(ran.code, Some(0 | 4)), "{ran:?}");
    let listed = std::fs::read_dir(bench.path(&out)).expect("the run has a folder");
    listed
        .map(|entry| entry.expect("it is listed").path())
        .filter(|path| path.extension().is_some_and(|end| end == "ndjson"))
        .map(|path| {
            let name = path.file_name().expect("it is a file").to_string_lossy().into_owned();
            (name, std::fs::read(path).expect("it can be read"))
        })
        .collect()
}

#[test]
fn one_thread_and_two_record_the_same_bytes() {
    let bench = Bench::new();
    for initiators in ["guests", "raw"] {
        let (one, two) = (recorded(&bench, "1", initiators), recorded(&bench, "2", initiators));
        assert_eq!(one.len(), 12);
        assert!(one == two, "the traces of {initiators} differ");
        assert!(one.values().all(|bytes| bytes.len() > 10_000));
    }
}

#[test]
fn another_seed_gives_other_bytes() {
    let bench = Bench::new();
    let traces = recorded(&bench, "2", "guests");
    let distinct: std::collections::BTreeSet<_> = traces.values().collect();
    assert_eq!(distinct.len(), traces.len());
}
