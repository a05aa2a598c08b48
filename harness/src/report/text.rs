//! The record for people: sections with their figures, then what went wrong, then the verdict.

use super::Detail;
use crate::record::{Finding, Record, Section, Table};
use crate::verdict::Outcome;
use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table as Grid};
use std::fmt::Write;

const WIDTH: u16 = 118;

/// The whole record.
pub fn render(record: &Record, detail: Detail) -> String {
    let mut out = String::new();
    for section in &record.sections {
        if detail > Detail::Quiet || section.outcome != Outcome::Holds {
            add_section(&mut out, section, detail);
        }
    }
    for section in &record.sections {
        for finding in &section.findings {
            add_finding(&mut out, finding);
        }
    }
    let _ = writeln!(out, "{}", verdict(record));
    out
}

/// The last line of a report.
fn verdict(record: &Record) -> String {
    let explored = "within the bounds stated above";
    match record.outcome {
        Outcome::Holds if record.sections.iter().any(|section| !section.findings.is_empty()) => {
            format!(
                "HOLDS {explored}: what the scenario expects to be violated is violated, and nothing else"
            )
        }
        Outcome::Holds => format!("HOLDS {explored}"),
        Outcome::Violated => {
            let mut names: Vec<&str> = Vec::new();
            for finding in record.sections.iter().flat_map(|section| &section.findings) {
                if !names.contains(&finding.property.as_str()) {
                    names.push(&finding.property);
                }
            }
            format!("VIOLATED: {}", names.join(", "))
        }
        Outcome::Refused => "REFUSED: the fabric does not follow this story".to_owned(),
        Outcome::Vacuous => "VACUOUS: something that had to be met was not; this is not a pass".to_owned(),
        Outcome::Inconclusive => "INCONCLUSIVE: not everything was judged; this is not a pass".to_owned(),
        Outcome::Interrupted => "INTERRUPTED: this is what there was; it is not a pass".to_owned(),
        other => other.name().to_uppercase(),
    }
}

fn add_section(out: &mut String, section: &Section, detail: Detail) {
    let seconds = section.elapsed_ms as f64 / 1000.0;
    let _ = writeln!(out, "{}: {} ({seconds:.1} s)", section.name, section.outcome);
    if !section.summary.is_empty() {
        let _ = writeln!(out, "  {}", section.summary);
    }
    if detail == Detail::Quiet {
        return;
    }
    if !section.figures.is_empty() {
        let mut grid = grid();
        for figure in &section.figures {
            grid.add_row([&figure.name, &figure.value]);
        }
        indent(out, &grid);
    }
    if !section.properties.is_empty() {
        let mut grid = grid();
        for judged in &section.properties {
            grid.add_row([judged.property.as_str(), judged.outcome.name(), &judged.note]);
        }
        indent(out, &grid);
    }
    if detail == Detail::Full {
        for table in &section.tables {
            let _ = writeln!(out, "  {}:", table.title);
            indent(out, &of_table(table));
        }
    }
    out.push('\n');
}

fn add_finding(out: &mut String, finding: &Finding) {
    let _ = writeln!(out, "{}: {}", finding.property, finding.sentence);
    if finding.steps_left_out > 0 {
        let _ = writeln!(out, "  ... {} earlier steps are in the file", finding.steps_left_out);
    }
    for (number, step) in (finding.steps_left_out + 1..).zip(&finding.steps) {
        let _ = writeln!(out, "  {number:>3}. {step}");
    }
    for artefact in &finding.artefacts {
        let _ = writeln!(out, "  file: {artefact}");
    }
    if !finding.reproduce.is_empty() {
        let _ = writeln!(out, "  again: {}", finding.reproduce);
    }
    out.push('\n');
}

fn grid() -> Grid {
    let mut grid = Grid::new();
    grid.load_style(NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH);
    grid
}

/// A table with its heads, without lines.
pub fn of_table(table: &Table) -> Grid {
    let mut grid = grid();
    grid.set_header(&table.columns);
    for row in &table.rows {
        grid.add_row(row);
    }
    grid
}

fn indent(out: &mut String, grid: &Grid) {
    for line in grid.lines() {
        let _ = writeln!(out, "   {}", line.trim_end());
    }
}

/// A summary in Markdown.
pub fn markdown(record: &Record) -> String {
    let mut out = format!("## Redline: {}\n\n`{}`\n\n", record.outcome, record.command);
    out.push_str("| part | outcome | what |\n|---|---|---|\n");
    for section in &record.sections {
        let summary = section.summary.replace('|', "\\|");
        let _ = writeln!(out, "| {} | {} | {summary} |", section.name, section.outcome);
    }
    for finding in record.sections.iter().flat_map(|section| &section.findings) {
        let _ = write!(out, "\n### {}\n\n{}\n\n", finding.property, finding.sentence);
        for (number, step) in (finding.steps_left_out + 1..).zip(&finding.steps) {
            let _ = writeln!(out, "{number}. {step}");
        }
        if !finding.reproduce.is_empty() {
            let _ = write!(out, "\n```\n{}\n```\n", finding.reproduce);
        }
    }
    out
}
