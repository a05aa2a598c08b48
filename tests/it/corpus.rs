//! The corpus: every good trace is accepted, every bad one refused at the line in its name.

use crate::support::root;
use rayon::prelude::*;
use redline_harness::chaos::STATES_MAX;
use redline_harness::conform::{Judgement, Options, Verdict, judge};
use redline_traces::{Reader, Stamped};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn traces(folder: &str) -> Vec<PathBuf> {
    let folder = root().join("traces/corpus").join(folder);
    let mut all: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("the corpus is there")
        .map(|entry| entry.expect("it is listed").path())
        .collect();
    all.sort();
    all
}

fn judged(path: &Path) -> Judgement {
    let reader = Reader::open(path).expect("the form of the corpus is good");
    judge(reader, Options { states_max: STATES_MAX, owner_within: None }).expect("it has events")
}

fn name(path: &Path) -> String {
    path.file_name().expect("it is a file").to_string_lossy().into_owned()
}

#[test]
fn good_traces_are_accepted() {
    let good = traces("good");
    assert!(good.len() >= 2);
    for path in good {
        let judgement = judged(&path);
        assert_eq!((judgement.verdict, judgement.violations), (Verdict::Conforms, vec![]), "{}", name(&path));
        assert!(judgement.statistics.events > 100);
    }
}

#[test]
fn bad_traces_are_refused_at_the_right_line() {
    let bad = traces("bad");
    assert!(bad.len() >= 30, "{} bad traces", bad.len());
    for kind in ["dropped", "swapped", "altered", "duplicated", "invented"] {
        assert!(bad.iter().any(|path| name(path).contains(kind)), "no trace with something {kind}");
    }
    let wrong: Vec<String> = bad
        .par_iter()
        .filter_map(|path| {
            let name = name(path);
            let expected = name.rsplit("-line-").next()?.split('.').next()?.parse::<u64>().ok();
            let found = match judged(path).verdict {
                Verdict::Diverged(divergence) => Some(divergence.line()),
                Verdict::Conforms | Verdict::Inconclusive(_) => None,
            };
            (found.is_none() || found != expected).then(|| format!("{name}: refused at {found:?}"))
        })
        .collect();
    assert_eq!(wrong, Vec::<String>::new());
}

/// A judge that refuses everything would refuse the bad ones too: up to the bad event they are accepted.
#[test]
fn bad_traces_are_accepted_up_to_the_bad_event() {
    let distinct: BTreeSet<u64> = traces("bad")
        .iter()
        .filter_map(|path| match judged(path).verdict {
            Verdict::Diverged(divergence) => Some(divergence.seq),
            Verdict::Conforms | Verdict::Inconclusive(_) => None,
        })
        .collect();
    assert!(distinct.len() > 30, "{distinct:?}");
    let stamped: Result<Vec<Stamped>, _> =
        Reader::open(&traces("good")[0]).expect("the form of the corpus is good").collect();
    assert!(stamped.expect("the form of the corpus is good").len() > 100);
}
