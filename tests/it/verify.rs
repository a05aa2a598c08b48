//! The main job as a user runs it.

use crate::support::Bench;
use redline_harness::record::Record;
use redline_harness::verdict::Outcome;

fn figure(record: &Record, section: &str, name: &str) -> u64 {
    let section = record
        .sections
        .iter()
        .find(|one| one.name == section)
        .unwrap_or_else(|| panic!("no section {section}"));
    let figure = section
        .figures
        .iter()
        .find(|figure| figure.name == name)
        .unwrap_or_else(|| panic!("no figure {name}"));
    figure.value.parse().unwrap_or_else(|_| panic!("{name} is {}", figure.value))
}

#[test]
#[ignore = "slow: everything that `verify` does takes a minute without full optimisation"]
fn verify_holds_and_shows_what_it_explored() {
    let bench = Bench::new();
    let ran = bench.run(&["verify", "--out", "out"]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    let record = Record::load(&bench.path("out/run.json")).expect("it was just written");
    assert_eq!(record.outcome, Outcome::Holds);
    let instances = ["two-nexuses", "two-nexuses-restart", "three-nexuses", "three-nexuses-restart"];
    let states: u64 =
        instances.iter().map(|name| figure(&record, &format!("model {name}"), "unique states")).sum();
    assert!(states >= 1_000_000, "{states}");
    assert_eq!(figure(&record, "chaos guests", "runs judged to their end"), 2000);
    assert!(figure(&record, "chaos guests", "fewest events of a run") >= 1000);
    assert!(figure(&record, "chaos guests", "fewest faults of a run") >= 5);
    for format in ["report.txt", "junit.xml", "report.sarif", "summary.md"] {
        assert!(!bench.read(&format!("out/{format}")).is_empty());
    }
}

#[test]
#[ignore = "slow: everything that `verify` does takes a minute without full optimisation"]
fn verify_of_a_scenario_that_must_fail_holds_and_of_one_that_must_not_does_not() {
    let bench = Bench::new();
    assert_eq!(bench.run(&["verify", "no-aptpl", "-q"]).code, Some(0));
    let text = bench.run(&["scenarios", "--show", "no-aptpl"]).out;
    let text = text.replace("name = \"no-aptpl\"", "name = \"hopeful\"");
    let expect = text.find("[expect]").expect("it says what it expects");
    bench.write("hopeful.toml", &text[..expect]);
    let ran = bench.run(&["verify", "hopeful.toml", "-q"]);
    assert_eq!(ran.code, Some(1), "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("VIOLATED: fabric/owner-unique"), "{}", ran.out);
}
