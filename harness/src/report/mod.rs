//! Renders a record: text for people, JUnit and SARIF for pipelines, Markdown for a step summary.
//!
//! The outcome of a record is the only thing that passes or fails; each format must show a run that was cut, empty or
//! vacuous as something else than a pass.

mod junit;
mod sarif;
#[cfg(test)]
mod tests;
mod text;

use crate::record::Record;
pub use text::of_table;

/// A format of reports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// For people.
    Text,
    /// The record itself.
    Json,
    /// XML that pipelines read test results from.
    Junit,
    /// JSON that code scanners read findings from (SARIF 2.1.0).
    Sarif,
    /// A summary for the page of a pipeline's step.
    Markdown,
}

impl Format {
    /// All formats.
    pub const ALL: [Format; 5] = [Format::Text, Format::Json, Format::Junit, Format::Sarif, Format::Markdown];

    /// Name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Format::Text => "text",
            Format::Json => "json",
            Format::Junit => "junit",
            Format::Sarif => "sarif",
            Format::Markdown => "markdown",
        }
    }

    /// Name of its file in a run's folder.
    pub const fn file(self) -> &'static str {
        match self {
            Format::Text => "report.txt",
            Format::Json => "run.json",
            Format::Junit => "junit.xml",
            Format::Sarif => "report.sarif",
            Format::Markdown => "summary.md",
        }
    }
}

/// How much of a record people want to see.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Detail {
    /// The verdict and the findings.
    Quiet,
    /// Figures and properties too.
    Normal,
    /// The tables too.
    Full,
}

/// The record in this format.
pub fn render(record: &Record, format: Format, detail: Detail) -> String {
    match format {
        Format::Text => text::render(record, detail),
        Format::Json => {
            let mut text = serde_json::to_string_pretty(record).expect("a record has no maps with odd keys");
            text.push('\n');
            text
        }
        Format::Junit => junit::render(record),
        Format::Sarif => sarif::render(record),
        Format::Markdown => text::markdown(record),
    }
}
