//! The record as SARIF 2.1.0. A run that was not judged to its end says so by `executionSuccessful` and by a result.

use crate::record::Record;
use crate::verdict::Outcome;
use redline_properties::catalogue::{CATALOGUE, find};
use serde_json::{Value, json};

/// The whole record.
pub fn render(record: &Record) -> String {
    let rules: Vec<Value> = CATALOGUE
        .iter()
        .map(|property| {
            json!({
                "id": property.id,
                "shortDescription": { "text": property.claim },
                "help": { "text": format!("{} Source: {}.", property.why, property.source) },
            })
        })
        .collect();
    let mut results: Vec<Value> = Vec::new();
    for section in &record.sections {
        for finding in &section.findings {
            let level = if section.outcome == Outcome::Holds { "note" } else { "error" };
            results.push(result(
                &finding.property,
                level,
                &format!("{}. Again: {}", finding.sentence, finding.reproduce),
                finding.artefacts.first().unwrap_or(&record.scenario),
            ));
        }
        if section.findings.is_empty() && section.outcome != Outcome::Holds {
            let text = format!("{}: {}. {}", section.name, section.outcome, section.summary);
            results.push(result(section.outcome.name(), "error", &text, &record.scenario));
        }
    }
    if record.sections.is_empty() {
        results.push(result(
            "inconclusive",
            "error",
            "the run is empty: nothing was judged",
            &record.scenario,
        ));
    }
    let finished = !matches!(
        record.outcome,
        Outcome::Inconclusive
            | Outcome::Vacuous
            | Outcome::Interrupted
            | Outcome::InputOutput
            | Outcome::Internal
            | Outcome::Malformed
    );
    let sarif = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "redline", "version": record.redline, "rules": rules } },
            "invocations": [{
                "commandLine": record.command,
                "executionSuccessful": finished,
                "exitCode": record.outcome.code(),
            }],
            "results": results,
        }],
    });
    let mut text = serde_json::to_string_pretty(&sarif).expect("the value has only text keys");
    text.push('\n');
    text
}

fn result(rule: &str, level: &str, text: &str, place: &str) -> Value {
    let mut value = json!({
        "ruleId": rule,
        "level": level,
        "message": { "text": text },
        "locations": [{ "physicalLocation": { "artifactLocation": { "uri": place } } }],
    });
    if let Some(index) = find(rule).and_then(|property| CATALOGUE.iter().position(|one| one == property)) {
        value["ruleIndex"] = json!(index);
    }
    value
}
