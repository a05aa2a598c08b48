//! The record of a run: what was asked, what was done, what was found. Every report is rendered from it.
//!
//! It is written to `run.json` in the run's folder. Reading it back computes the outcome anew from its parts, so
//! that a record cannot claim more than it holds.

use crate::verdict::Outcome;
use redline_traces::write_atomically;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::Path;
use std::{fmt, io};

/// Name and version of the form.
pub const SCHEMA: &str = "redline-run/1";

/// Minimal steps shown in a report; the rest is in the artefact.
pub const STEPS_SHOWN_MAX: usize = 20;

/// All that a run gave.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// [`SCHEMA`].
    pub schema: String,
    /// Version of Redline.
    pub redline: String,
    /// The command line.
    pub command: String,
    /// The scenario, if there is one.
    pub scenario: String,
    /// Which part of the work this is, if it was divided.
    pub shard: Option<Shard>,
    /// The worst outcome of the sections.
    #[schemars(with = "String")]
    pub outcome: Outcome,
    /// Its parts, in the order in which they were made.
    pub sections: Vec<Section>,
}

/// One part of work that was divided.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Shard {
    /// Which, from 1.
    pub number: u32,
    /// Of how many.
    pub of: u32,
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

/// One part of a run.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Section {
    /// What was done, as in `model two-nexuses`.
    pub name: String,
    /// What it came to.
    #[schemars(with = "String")]
    pub outcome: Outcome,
    /// In one sentence.
    pub summary: String,
    /// Wall-clock time in milliseconds.
    pub elapsed_ms: u64,
    /// Bounds and counts, in order.
    pub figures: Vec<Figure>,
    /// Longer lists.
    pub tables: Vec<Table>,
    /// Each property that was judged.
    pub properties: Vec<Judged>,
    /// What went wrong.
    pub findings: Vec<Finding>,
}

/// A named value.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Figure {
    /// What it counts, with its unit.
    pub name: String,
    /// The value.
    pub value: String,
}

/// A table.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// What it shows.
    pub title: String,
    /// Heads of its columns.
    pub columns: Vec<String>,
    /// Its rows, each as long as the heads.
    pub rows: Vec<Vec<String>>,
}

/// A property with what was found of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Judged {
    /// Identifier or name.
    pub property: String,
    /// What was found.
    #[schemars(with = "String")]
    pub outcome: Outcome,
    /// How often, how deep, or why not.
    pub note: String,
}

/// Something that is wrong.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// The property's identifier; `conformance` for a divergence.
    pub property: String,
    /// What happened, in one sentence of domain words.
    pub sentence: String,
    /// The steps to it, at most [`STEPS_SHOWN_MAX`].
    pub steps: Vec<String>,
    /// Further steps, which only the artefact has.
    pub steps_left_out: u64,
    /// Files that show it.
    pub artefacts: Vec<String>,
    /// A line to paste that shows it again.
    pub reproduce: String,
}

/// Why there is no record.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read or written.
    #[error("{file}: {source}")]
    Io {
        /// Name of the file.
        file: String,
        /// What the operating system says.
        source: io::Error,
    },
    /// It is no record.
    #[error("{file}:{line}:{column}: not a run record ({SCHEMA}): {what}")]
    Malformed {
        /// Name of the file.
        file: String,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What is wrong.
        what: String,
    },
}

impl Section {
    /// A section that has come to nothing yet, which is inconclusive.
    pub fn new(name: impl Into<String>) -> Section {
        Section {
            name: name.into(),
            outcome: Outcome::Inconclusive,
            summary: String::new(),
            elapsed_ms: 0,
            figures: Vec::new(),
            tables: Vec::new(),
            properties: Vec::new(),
            findings: Vec::new(),
        }
    }

    /// Adds a figure.
    pub fn figure(&mut self, name: &str, value: impl fmt::Display) {
        self.figures.push(Figure { name: name.to_owned(), value: value.to_string() });
    }

    /// Adds a property.
    pub fn judged(&mut self, property: impl Into<String>, outcome: Outcome, note: impl Into<String>) {
        self.properties.push(Judged { property: property.into(), outcome, note: note.into() });
    }
}

impl Finding {
    /// A finding with its steps, of which only the last are shown when there are many.
    pub fn new(property: impl Into<String>, sentence: impl Into<String>, steps: Vec<String>) -> Finding {
        let left_out = steps.len().saturating_sub(STEPS_SHOWN_MAX);
        Finding {
            property: property.into(),
            sentence: sentence.into(),
            steps: steps.into_iter().skip(left_out).collect(),
            steps_left_out: left_out as u64,
            artefacts: Vec::new(),
            reproduce: String::new(),
        }
    }
}

impl Record {
    /// A record of these sections; without any it is inconclusive.
    pub fn new(command: &str, scenario: &str, shard: Option<Shard>, sections: Vec<Section>) -> Record {
        let outcome = Outcome::worst(sections.iter().map(|section| section.outcome));
        Record {
            schema: SCHEMA.to_owned(),
            redline: env!("CARGO_PKG_VERSION").to_owned(),
            command: command.to_owned(),
            scenario: scenario.to_owned(),
            shard,
            outcome,
            sections,
        }
    }

    /// Writes it as JSON; the file is whole or not there.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        write_atomically(path, |out| {
            serde_json::to_writer_pretty(&mut *out, self)?;
            writeln!(out)
        })
        .map_err(|source| Error::Io { file: path.display().to_string(), source })
    }

    /// Reads one. Its outcome is at least as bad as that of its sections.
    ///
    /// # Errors
    /// [`Error`]
    pub fn load(path: &Path) -> Result<Record, Error> {
        let file = path.display().to_string();
        let text =
            std::fs::read_to_string(path).map_err(|source| Error::Io { file: file.clone(), source })?;
        Record::parse(&text, &file)
    }

    /// Reads one from text. `file` is its name in messages.
    ///
    /// # Errors
    /// [`Error::Malformed`]
    pub fn parse(text: &str, file: &str) -> Result<Record, Error> {
        let wrong =
            |line, column, what: String| Error::Malformed { file: file.to_owned(), line, column, what };
        let mut record: Record = serde_json::from_str(text)
            .map_err(|error| wrong(error.line(), error.column(), error.to_string()))?;
        if record.schema != SCHEMA {
            return Err(wrong(
                1,
                1,
                format!("its schema is `{}`, written by redline {}", record.schema, record.redline),
            ));
        }
        if record.shard.is_some_and(|shard| shard.number == 0 || shard.number > shard.of) {
            return Err(wrong(1, 1, "a shard is numbered from 1 to the number of shards".to_owned()));
        }
        record.outcome =
            record.outcome.max(Outcome::worst(record.sections.iter().map(|section| section.outcome)));
        Ok(record)
    }
}

/// The JSON Schema of the form; `harness/schema/run.schema.json` is its committed copy.
pub fn schema_text() -> String {
    let schema = schemars::schema_for!(Record);
    let mut text = serde_json::to_string_pretty(&schema).expect("a schema is JSON");
    text.push('\n');
    text
}

/// Joins the records of the shards of one run, in the order of their numbers. Shards that are missing or come twice make
/// the whole inconclusive. A premise counts as met if any shard has met it.
pub fn merge(mut records: Vec<Record>) -> Record {
    records.sort_by_key(|record| record.shard);
    let command = records.first().map(|record| record.command.clone()).unwrap_or_default();
    let scenario = records.first().map(|record| record.scenario.clone()).unwrap_or_default();
    let mut sections = Vec::new();
    let mut missing = Section::new("shards");
    let shards: Vec<Shard> = records.iter().filter_map(|record| record.shard).collect();
    let complete = shards.first().is_some_and(|first| {
        shards.len() == records.len()
            && shards.len() == first.of as usize
            && (1..).zip(&shards).all(|(number, shard)| *shard == Shard { number, of: first.of })
    });
    let alike =
        records.iter().all(|record| record.scenario == scenario && record.redline == records[0].redline);
    missing.figure("records", records.len());
    (missing.outcome, missing.summary) = match (complete || shards.is_empty() && !records.is_empty(), alike) {
        (true, true) => (Outcome::Holds, format!("{} records, none missing", records.len())),
        (true, false) => {
            (Outcome::Inconclusive, "the records are of several scenarios or versions".to_owned())
        }
        (false, _) => (
            Outcome::Inconclusive,
            format!(
                "shards are missing or come twice: {}",
                shards.iter().map(Shard::to_string).collect::<Vec<_>>().join(", ")
            ),
        ),
    };
    if missing.outcome == Outcome::Holds && complete {
        pool_premises(&mut records);
    }
    sections.push(missing);
    for record in records {
        for mut section in record.sections {
            if let Some(shard) = record.shard {
                section.name = format!("{} (shard {shard})", section.name);
            }
            sections.push(section);
        }
    }
    Record::new(&command, &scenario, None, sections)
}

/// The shards are one campaign: what is vacuous in one of them holds if another one has met the premise.
fn pool_premises(records: &mut [Record]) {
    let judged = records.iter().flat_map(|record| &record.sections).flat_map(|section| {
        let holds = section.properties.iter().filter(|judged| judged.outcome == Outcome::Holds);
        holds.map(|judged| (section.name.clone(), judged.property.clone()))
    });
    let met: BTreeSet<(String, String)> = judged.collect();
    let sections = records.iter_mut().flat_map(|record| &mut record.sections);
    for section in sections.filter(|section| section.outcome == Outcome::Vacuous) {
        for judged in &mut section.properties {
            let elsewhere = met.contains(&(section.name.clone(), judged.property.clone()));
            if judged.outcome == Outcome::Vacuous && elsewhere {
                judged.outcome = Outcome::Holds;
                "its premise was met in other shards only".clone_into(&mut judged.note);
            }
        }
        if Outcome::worst(section.properties.iter().map(|judged| judged.outcome)) == Outcome::Holds {
            section.outcome = Outcome::Holds;
            "none fails; some premises were met in other shards only".clone_into(&mut section.summary);
        }
    }
}
