//! Nothing but a run that holds reads as a pass, in any format.

use super::*;
use crate::record::{Error, Finding, Record, Section, Shard, merge, schema_text};
use crate::verdict::Outcome;

fn section(name: &str, outcome: Outcome) -> Section {
    let mut section = Section::new(name);
    section.outcome = outcome;
    section.summary = "12 states | all of them".to_owned();
    section.elapsed_ms = 1500;
    section.figure("states", 12);
    section.judged("lun/single-holder", outcome, "12 states");
    if outcome == Outcome::Violated {
        let steps = (1..=25).map(|step| format!("step <{step}>")).collect();
        let mut finding = Finding::new("lun/single-holder", "two nexuses hold \"EA\"", steps);
        finding.artefacts.push("out/story.ndjson".to_owned());
        finding.reproduce = "redline replay out/story.ndjson".to_owned();
        section.findings.push(finding);
    }
    section
}

fn record(outcomes: &[Outcome]) -> Record {
    let sections = outcomes.iter().map(|outcome| section("model", *outcome)).collect();
    Record::new("redline check", "reference", None, sections)
}

/// Whether a reader of the format would take the run for a pass.
fn passes(record: &Record, format: Format) -> bool {
    let text = render(record, format, Detail::Normal);
    match format {
        Format::Text => text.lines().last().is_some_and(|line| line.starts_with("HOLDS")),
        Format::Json => {
            Record::parse(&text, "run.json").expect("it was just written").outcome == Outcome::Holds
        }
        Format::Junit => {
            let totals = text.lines().find(|line| line.starts_with("<testsuites")).expect("it has totals");
            totals.contains("failures=\"0\"") && totals.contains("errors=\"0\"")
        }
        Format::Sarif => {
            !text.contains("\"level\": \"error\"") && text.contains("\"executionSuccessful\": true")
        }
        Format::Markdown => text.starts_with("## Redline: holds"),
    }
}

#[test]
fn only_what_holds_passes_in_every_format() {
    for format in Format::ALL {
        assert!(passes(&record(&[Outcome::Holds, Outcome::Holds]), format), "{format:?}");
        assert!(!passes(&record(&[]), format), "an empty run, {format:?}");
        for outcome in Outcome::ALL.into_iter().filter(|outcome| *outcome != Outcome::Holds) {
            assert!(!passes(&record(&[Outcome::Holds, outcome]), format), "{outcome} as {format:?}");
        }
    }
}

#[test]
fn the_worst_outcome_counts_in_the_order_of_the_exit_codes() {
    let order = [70, 74, 130, 5, 1, 6, 4, 3, 2, 0];
    let codes: Vec<u8> = Outcome::ALL.iter().rev().map(|outcome| outcome.code()).collect();
    assert_eq!(codes, order);
    assert_eq!(Outcome::worst([]), Outcome::Inconclusive);
    for outcome in Outcome::ALL {
        assert_eq!(Outcome::from_name(outcome.name()), Some(outcome));
        assert_eq!(Outcome::worst([Outcome::Holds, outcome]), outcome);
    }
}

#[test]
fn a_record_cannot_claim_more_than_its_sections() {
    let mut lying = record(&[Outcome::Violated]);
    lying.outcome = Outcome::Holds;
    let text = render(&lying, Format::Json, Detail::Normal);
    assert_eq!(Record::parse(&text, "run.json").expect("its form is good").outcome, Outcome::Violated);
    let mut empty = record(&[]);
    empty.outcome = Outcome::Holds;
    let text = render(&empty, Format::Json, Detail::Normal);
    assert_eq!(Record::parse(&text, "run.json").expect("its form is good").outcome, Outcome::Inconclusive);
}

#[test]
fn a_malformed_record_is_refused_with_its_place() {
    for (text, place) in [("{\n \"schema\": 3}", "run.json:2:"), ("", "run.json:1:0"), ("[]", "run.json:1:")]
    {
        let error = Record::parse(text, "run.json").expect_err(text);
        assert!(matches!(error, Error::Malformed { .. }));
        assert!(error.to_string().starts_with(place), "{error}");
    }
    let newer = render(&record(&[Outcome::Holds]), Format::Json, Detail::Normal)
        .replace("redline-run/1", "redline-run/9");
    assert!(Record::parse(&newer, "f").expect_err("newer").to_string().contains("redline-run/9"));
}

#[test]
fn shards_are_joined_only_when_all_are_there() {
    let of = |number| {
        let shard = Some(Shard { number, of: 3 });
        Record::new("redline chaos", "reference", shard, vec![section("chaos", Outcome::Holds)])
    };
    let whole = merge(vec![of(3), of(1), of(2)]);
    assert_eq!(whole.outcome, Outcome::Holds);
    let names: Vec<_> = whole.sections.iter().map(|section| section.name.as_str()).collect();
    assert_eq!(names, ["shards", "chaos (shard 1/3)", "chaos (shard 2/3)", "chaos (shard 3/3)"]);
    for wrong in [vec![of(1), of(3)], vec![of(1), of(2), of(2)], vec![of(1)], vec![]] {
        assert_eq!(merge(wrong).outcome, Outcome::Inconclusive);
    }
}

#[test]
fn a_premise_is_met_if_any_shard_has_met_it() {
    let of = |number, premises: [Outcome; 2]| {
        let mut section = section("chaos", Outcome::worst(premises));
        section.properties.clear();
        for (property, outcome) in
            ["disk/reads-last-write", "fabric/no-evicted-write"].into_iter().zip(premises)
        {
            section.judged(property, outcome, "");
        }
        Record::new("redline chaos", "reference", Some(Shard { number, of: 2 }), vec![section])
    };
    let (met, never) = (Outcome::Holds, Outcome::Vacuous);
    assert_eq!(merge(vec![of(1, [met, never]), of(2, [never, met])]).outcome, Outcome::Holds);
    assert_eq!(merge(vec![of(1, [met, never]), of(2, [met, never])]).outcome, Outcome::Vacuous);
    assert_eq!(merge(vec![of(1, [met, never]), of(2, [Outcome::Violated, met])]).outcome, Outcome::Violated);
    // Half of a campaign does not lend to itself.
    assert_eq!(merge(vec![of(1, [met, never])]).outcome, Outcome::Vacuous);
}

#[test]
fn a_report_for_people_shows_the_last_steps_and_the_line_to_paste() {
    insta::assert_snapshot!(render(&record(&[Outcome::Violated]), Format::Text, Detail::Normal));
    insta::assert_snapshot!(render(&record(&[Outcome::Violated]), Format::Markdown, Detail::Normal));
}

/// Run with `REDLINE_BLESS=1` to write the committed copy.
#[test]
fn the_committed_schema_is_the_generated_one_and_fits_records() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/run.schema.json");
    if std::env::var_os("REDLINE_BLESS").is_some() {
        std::fs::write(&path, schema_text()).expect("the folder can be written");
    }
    let committed = std::fs::read_to_string(&path).expect("it is committed");
    assert_eq!(committed, schema_text(), "REDLINE_BLESS=1 writes the committed copy anew");
    let schema = serde_json::from_str(&committed).expect("a schema is JSON");
    let validator = jsonschema::validator_for(&schema).expect("it is a schema");
    for outcomes in [&[][..], &[Outcome::Holds], &[Outcome::Violated, Outcome::Interrupted]] {
        let text = render(&record(outcomes), Format::Json, Detail::Full);
        let value: serde_json::Value = serde_json::from_str(&text).expect("it was just written");
        assert!(validator.is_valid(&value), "{text}");
    }
    assert!(!validator.is_valid(&serde_json::json!({ "schema": "redline-run/1" })));
}
