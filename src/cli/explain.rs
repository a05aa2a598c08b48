//! `explain`: what a name means, where it comes from, and the command that shows it.

use redline_harness::catalogue::{BUGS, RELAXATIONS, Shown};
use redline_harness::scenario::{nearest, quirk_of};
use redline_properties::catalogue::CATALOGUE;
use redline_vocab::{Guard, Quirk};
use std::fmt::Write;

/// The explanation, or the nearest known name.
pub fn explain(name: &str) -> Result<String, Option<String>> {
    let mut out = String::new();
    let wanted = name.to_ascii_uppercase();
    for property in CATALOGUE.iter().filter(|one| one.id == name || one.invariant == wanted) {
        let _ = writeln!(out, "{} ({}): {}", property.id, property.invariant, property.claim);
        let _ = writeln!(
            out,
            "  source: {}\n  why: {}\n  breaks when {}\n",
            property.source, property.why, property.breaks_when
        );
    }
    for row in RELAXATIONS {
        let guard = row.guards.iter().any(|guard| guard.name() == name);
        if guard || row.hazards.contains(&wanted.as_str()) {
            let _ = writeln!(out, "without the guard {}: {} breaks; {}", row.name(), row.property, row.story);
            if row.shown != Shown::ConformanceOnly {
                let _ = writeln!(out, "  see it: {}", row.command());
            }
            let quirks: Vec<&str> = row.guards.iter().map(|guard| quirk_of(*guard).name()).collect();
            let _ = writeln!(out, "  in the fabric: quirk {}\n", quirks.join(", "));
        }
    }
    for row in BUGS {
        if row.quirk.name() == name || row.hazards.contains(&wanted.as_str()) {
            let seen =
                row.property.map_or_else(|| "conformance".to_owned(), |id| format!("conformance and {id}"));
            let _ = writeln!(out, "bug {}: seen by {seen}\n  see it: {}\n", row.quirk.name(), row.command());
        }
    }
    if out.is_empty() { Err(near(name)) } else { Ok(out) }
}

fn near(name: &str) -> Option<String> {
    let guards = Guard::ALL.iter().map(|guard| guard.name());
    let quirks = Quirk::ALL.iter().map(|quirk| quirk.name());
    let properties = CATALOGUE.iter().flat_map(|one| [one.id, one.invariant]);
    let hazards = RELAXATIONS.iter().flat_map(|row| row.hazards.iter().copied());
    nearest(name, guards.chain(quirks).chain(properties).chain(hazards)).map(str::to_owned)
}
