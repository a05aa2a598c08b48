//! Debian's `iscsi-test-cu` 1.19: 230 tests of a SCSI target over iSCSI.
//!
//! One process for each suite and a fresh unit for each: one of its tests leaves its hook on the CDBs of the process installed, and its
//! teardown does not remove registrations of dead nexuses.

use super::INSTALL;
use super::array::Array;
use super::score::{Score, Verdict};
use std::process::{Command, Stdio};
use tempfile::TempDir;

fn suite(args: &[&str]) -> String {
    let output = Command::new("iscsi-test-cu").args(args).stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|_| panic!("missing: iscsi-test-cu; install it with: {INSTALL}"));
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

fn names() -> Vec<String> {
    let listed = suite(&["--list"]);
    let names = listed.lines().filter_map(|line| line.trim().strip_prefix("ALL."));
    names.filter(|name| !name.contains('.')).map(str::to_owned).collect()
}

/// Two tests take something of the unit for granted.
fn unit_for(suite: &str) -> &'static [&'static str] {
    match suite {
        // UnmapSingle asks for the status of block i + 1 and wants that of block i + (blocks in a physical block): the same only where there
        // is one. Many other tests skip there.
        "GetLBAStatus" => &["--physical-block", "512"],
        // UnmapUntilEnd sends a block of FFh with UNMAP and wants zeros, but only of units that promise that unmapped blocks read as
        // zeros. Such a unit has to write what was sent (SBC-3, WRITE SAME).
        "WriteSame10" => &["--no-lbprz"],
        _ => &[],
    }
}

#[test]
#[ignore = "peer: needs libiscsi-bin"]
fn the_suite_of_libiscsi_finds_nothing_wrong() {
    let mut score = Score::default();
    for name in names() {
        let folder = TempDir::new().expect("a folder for temporary files");
        let array = Array::start(&folder, unit_for(&name));
        score.add(&suite(&["-d", "-S", "-t", &format!("ALL.{name}"), &array.url(0), &array.url(1)]));
        array.stop();
    }
    let (passed, skipped) = (score.count(Verdict::Passed), score.named(Verdict::Skipped));
    println!("iscsi-test-cu: {passed} passed, {} skipped: {skipped:?}", skipped.len());
    assert_eq!(score.named(Verdict::Failed), Vec::<&str>::new());
    assert_eq!(score.family(""), (230 - skipped.len(), 230));
    assert!(passed >= 190, "only {passed} passed; skipped: {skipped:?}");
    for (family, tests) in [
        ("Prin", 4),
        ("Prout", 16),
        ("CompareAndWrite.", 5),
        ("MultipathIO.", 4),
        ("Reserve6.", 7),
        ("ReportSupportedOpcodes.", 4),
        ("Unmap.", 3),
        ("WriteSame", 20),
        ("GetLBAStatus.", 3),
    ] {
        assert_eq!(score.family(family), (tests, tests), "{family}");
    }
}
