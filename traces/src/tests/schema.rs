//! The committed schema is the generated one, accepts what the reader accepts, and refuses what it refuses.

use super::{sample, words};
use crate::schema::{schema, schema_text};
use crate::wire::event_line;
use proptest::prelude::*;
use redline_vocab::Micros;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

static VALIDATOR: LazyLock<jsonschema::Validator> =
    LazyLock::new(|| jsonschema::validator_for(&schema()).expect("the generated schema is a schema"));

fn valid(line: &str) -> bool {
    VALIDATOR.is_valid(&serde_json::from_str::<Value>(line).unwrap())
}

/// Run with `REDLINE_BLESS=1` to write the committed copy.
#[test]
fn the_committed_schema_is_the_generated_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/trace.schema.json");
    if std::env::var_os("REDLINE_BLESS").is_some() {
        fs::write(&path, schema_text()).unwrap();
    }
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        schema_text(),
        "REDLINE_BLESS=1 writes the committed copy anew"
    );
}

#[test]
fn the_sample_is_valid() {
    for line in sample::lines() {
        assert!(valid(&line), "{line}");
    }
}

#[test]
fn bad_lines_are_not_valid() {
    let good = sample::lines()[5].clone();
    assert!(valid(&good));
    let bad = [
        good.replace("sent", "snet"),
        good.replace("\"tag\":1", "\"tag\":-1"),
        good.replace("\"tag\":1", "\"tag\":1.5"),
        good.replace("\"tag\":1,", ""),
        good.replace("\"tag\":1", "\"tag\":1,\"more\":1"),
        good.replace("\"nexus\":0", "\"nexus\":256"),
        good.replace("read-reservation", "read-reservations"),
        good.replace(
            "{\"pr-in\":\"read-reservation\"}",
            "{\"pr-in\":\"read-keys\",\"read\":{\"lba\":0,\"blocks\":1}}",
        ),
        sample::lines()[0].replace("\"version\":1", "\"version\":2"),
        sample::lines()[0].replace("\"0xa\"", "\"10\""),
        sample::lines()[0].replace("preempt-abort", "preempt-abrot"),
        sample::lines().last().unwrap().replace("\"digest\":\"", "\"digest\":\"A"),
        "{}".to_string(),
        "[]".to_string(),
    ];
    for line in bad {
        assert!(!valid(&line), "{line}");
    }
}

proptest! {
    #[test]
    fn any_event_is_valid(event in words::event()) {
        let line = event_line(&crate::Stamped { seq: 1, at: Micros(0), event });
        prop_assert!(valid(&line), "{}", line);
    }
}
