//! The hazard matrix as tables, with the command that shows each row.

use crate::catalogue::{BUGS, RELAXATIONS, Shown, relaxation};
use crate::record::Table;
use crate::scenario::quirk_of;

/// Relaxations of the model.
pub fn relaxations() -> Table {
    Table {
        title: "Guards of the design, dropped from the model".to_owned(),
        columns: ["hazards", "guards", "breaks", "story", "command"].map(str::to_owned).to_vec(),
        rows: RELAXATIONS
            .iter()
            .map(|row| {
                let quirks: Vec<&str> = row.guards.iter().map(|guard| quirk_of(*guard).name()).collect();
                let command = match row.shown {
                    Shown::ConformanceOnly => format!("see quirk {}", quirks.join(", ")),
                    Shown::Cluster(_) | Shown::Reservations(_) | Shown::Stuck(_) => row.command(),
                };
                vec![
                    row.hazards.join(" "),
                    row.name(),
                    row.property.to_owned(),
                    row.story.to_owned(),
                    command,
                ]
            })
            .collect(),
    }
}

/// Bugs of the fabric.
pub fn bugs() -> Table {
    Table {
        title: "Bugs planted in the fabric".to_owned(),
        columns: ["hazards", "quirk", "seen by", "command"].map(str::to_owned).to_vec(),
        rows: BUGS
            .iter()
            .map(|row| {
                let seen = match (row.property, relaxation(row.race)) {
                    (Some(property), _) => format!("conformance, {property}"),
                    (None, Some(raced)) => {
                        format!("conformance; {} by `{}`", raced.property, raced.command())
                    }
                    (None, None) => "conformance".to_owned(),
                };
                vec![row.hazards.join(" "), row.quirk.name().to_owned(), seen, row.command()]
            })
            .collect(),
    }
}

/// Hazards of the domain that this version cannot express, and why.
pub fn not_yet() -> Table {
    let rows = [
        ("H02", "one controller only: the array has no second one that could lose the table"),
        ("H08", "one path for each node: there is no second path that could be left unregistered"),
        (
            "H12-H109",
            "systems above the LUN: front end, replication, Hyper-V Replica, recovery plans are not modelled yet",
        ),
    ];
    Table {
        title: "Not expressed yet".to_owned(),
        columns: ["hazards", "why"].map(str::to_owned).to_vec(),
        rows: rows.map(|(hazards, why)| vec![hazards.to_owned(), why.to_owned()]).to_vec(),
    }
}
