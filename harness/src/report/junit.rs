//! The record as JUnit XML: a section is a suite, a property a case. What is no pass is a failure or an error, never a
//! skipped test, because pipelines count those as passed.

use crate::record::{Record, Section};
use crate::verdict::Outcome;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use std::time::Duration;

/// The whole record.
pub fn render(record: &Record) -> String {
    let mut report = Report::new("redline");
    for section in &record.sections {
        report.add_test_suite(suite(section));
    }
    if record.sections.is_empty() {
        let mut suite = TestSuite::new("redline");
        suite.add_test_case(case("nothing was judged", Outcome::Inconclusive, "the run is empty"));
        report.add_test_suite(suite);
    }
    report.to_string().expect("the text of a record is valid XML once it is escaped")
}

fn suite(section: &Section) -> TestSuite {
    let mut suite = TestSuite::new(section.name.as_str());
    suite.set_time(Duration::from_millis(section.elapsed_ms));
    suite.add_test_case(case("the whole section", section.outcome, &section.summary));
    for judged in &section.properties {
        suite.add_test_case(case(&judged.property, judged.outcome, &judged.note));
    }
    for finding in &section.findings {
        let text = format!("{}\n{}\n{}", finding.sentence, finding.steps.join("\n"), finding.reproduce);
        suite.add_test_case(case(&format!("finding: {}", finding.property), section.outcome, &text));
    }
    suite
}

fn case(name: &str, outcome: Outcome, text: &str) -> TestCase {
    let status = match outcome {
        Outcome::Holds => TestCaseStatus::success(),
        Outcome::Violated | Outcome::Refused | Outcome::Nondeterministic => {
            failed(NonSuccessKind::Failure, outcome, text)
        }
        Outcome::Malformed
        | Outcome::Inconclusive
        | Outcome::Vacuous
        | Outcome::Interrupted
        | Outcome::InputOutput
        | Outcome::Internal => failed(NonSuccessKind::Error, outcome, text),
    };
    TestCase::new(name, status)
}

fn failed(kind: NonSuccessKind, outcome: Outcome, text: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    status.set_type(outcome.name()).set_message(text);
    status
}
