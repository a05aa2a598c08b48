//! Which crate may use which, and that documents name files that exist.

use crate::support::root;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// The crates of the project that each crate may use.
const ALLOWED: [(&str, &[&str]); 9] = [
    ("vocab", &[]),
    ("properties", &["vocab"]),
    ("model", &["vocab", "properties"]),
    ("fabric", &["vocab"]),
    ("traces", &["vocab"]),
    ("checker", &[]),
    ("harness", &["vocab", "properties", "model", "fabric", "traces", "checker"]),
    ("node", &["vocab", "fabric", "traces"]),
    (".", &["vocab", "properties", "model", "fabric", "traces", "checker", "harness", "node"]),
];

fn used(folder: &str) -> BTreeSet<String> {
    let text =
        fs::read_to_string(root().join(folder).join("Cargo.toml")).expect("every crate has a manifest");
    let manifest: BTreeMap<String, toml::Value> = toml::from_str(&text).expect("cargo has read it before");
    let names = |section: &str| {
        let table = manifest.get(section).and_then(|value| value.as_table());
        table.into_iter().flat_map(|table| table.keys().cloned()).collect::<Vec<_>>()
    };
    ["dependencies", "dev-dependencies", "build-dependencies"].into_iter().flat_map(names).collect()
}

#[test]
fn crates_use_each_other_only_where_it_is_allowed() {
    for (folder, allowed) in ALLOWED {
        for name in used(folder) {
            if let Some(own) = name.strip_prefix("redline-") {
                assert!(allowed.contains(&own), "{folder} must not use {own}");
            }
        }
    }
    let text = fs::read_to_string(root().join("Cargo.toml")).expect("it is there");
    for (folder, _) in &ALLOWED[..8] {
        assert!(text.contains(&format!("\"{folder}\"")), "{folder} is a member");
    }
}

#[test]
fn what_decides_has_no_clock_no_dice_and_no_standard_library() {
    for folder in ["vocab", "properties", "fabric"] {
        let text = fs::read_to_string(root().join(folder).join("src/lib.rs")).expect("every crate has one");
        assert!(text.contains("#![no_std]"), "{folder}");
    }
    assert!(!used("model").iter().any(|name| name.contains("rand") || name == "tokio"));
}

fn documents() -> Vec<std::path::PathBuf> {
    let mut open = vec![root().to_owned()];
    let mut found = Vec::new();
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).expect("it can be listed") {
            let path = entry.expect("it can be listed").path();
            let name = path.file_name().expect("it has a name").to_string_lossy().into_owned();
            if path.is_dir() && name != "target" && !name.starts_with('.') && name != "redline-out" {
                open.push(path);
            } else if name.ends_with(".md") {
                found.push(path);
            }
        }
    }
    found
}

#[test]
fn documents_name_files_that_exist() {
    let documents = documents();
    assert!(documents.len() >= 5, "README, ARCHITECTURE, CHANGELOG and docs are there");
    let mut checked = 0;
    for document in documents {
        let text = fs::read_to_string(&document).expect("it can be read");
        let quoted = text.split('`').skip(1).step_by(2);
        for path in quoted.filter(|word| {
            let known = [".rs", ".toml", ".md", ".tsv", ".sh", ".json"].iter().any(|end| word.ends_with(end));
            known && word.contains('/') && !word.contains(['*', ' ', '<']) && !word.starts_with("redline-out")
        }) {
            let beside = document.parent().expect("it is in a folder").join(path);
            assert!(
                root().join(path).exists() || beside.exists(),
                "{}: `{path}` does not exist",
                document.display()
            );
            checked += 1;
        }
    }
    assert!(checked > 10, "only {checked} paths were found in the documents");
}

#[test]
fn documents_show_commands_that_the_program_has() {
    let bench = crate::support::Bench::new();
    let mut subcommands = BTreeSet::new();
    for document in documents() {
        let text = fs::read_to_string(&document).expect("it can be read");
        for line in text.lines().filter_map(|line| line.trim().strip_prefix("redline ")) {
            subcommands.extend(line.split_whitespace().next().map(str::to_owned));
        }
    }
    assert!(subcommands.len() > 3, "{subcommands:?}");
    for name in subcommands {
        let ran = bench.run(&[&name, "--help"]);
        assert_eq!(ran.code, Some(0), "redline {name}: {}", ran.err);
    }
}
