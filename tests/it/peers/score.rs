//! What `iscsi-test-cu` says, as a score.
//!
//! CUnit counts a skipped test as passed, so the printed summary is useless: what counts is the text between a test's name and its verdict. What comes
//! after the verdict is the noise of its teardown.

use std::collections::BTreeMap;

/// How a test of the suite ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    Passed,
    Skipped,
    Failed,
}

/// Verdicts by `Suite.Test`.
#[derive(Default, Debug)]
pub struct Score(BTreeMap<String, Verdict>);

impl Score {
    /// Adds what one run of the program printed; the transcript's tests without a verdict count as failed.
    pub fn add(&mut self, transcript: &str) {
        let (mut suite, mut test) = (String::new(), None);
        let mut skipped = false;
        for line in transcript.lines() {
            let mut rest = line.trim();
            if let Some(name) = rest.strip_prefix("Suite: ") {
                name.clone_into(&mut suite);
            } else if let Some(named) = rest.strip_prefix("Test: ") {
                let (name, after) = named.split_once(" ...").unwrap_or((named, ""));
                let name = format!("{suite}.{name}");
                // Until there is a verdict.
                self.0.insert(name.clone(), Verdict::Failed);
                (test, skipped, rest) = (Some(name), false, after.trim());
            }
            let Some(name) = &test else { continue };
            // Noise of the teardown may stand behind the verdict, on the same line.
            let verdict = if rest.starts_with("passed") {
                if skipped { Verdict::Skipped } else { Verdict::Passed }
            } else if rest.starts_with("FAILED") {
                Verdict::Failed
            } else {
                skipped |= rest.contains("[SKIPPED]");
                continue;
            };
            self.0.insert(name.clone(), verdict);
            test = None;
        }
    }

    /// How many tests ended so.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.0.values().filter(|one| **one == verdict).count()
    }

    /// How many tests of the suites whose name begins so passed, and how many there are.
    pub fn family(&self, prefix: &str) -> (usize, usize) {
        let of = self.0.iter().filter(|(name, _)| name.starts_with(prefix));
        let passed = of.clone().filter(|(_, verdict)| **verdict == Verdict::Passed).count();
        (passed, of.count())
    }

    /// The tests that ended so.
    pub fn named(&self, verdict: Verdict) -> Vec<&str> {
        self.0.iter().filter(|(_, one)| **one == verdict).map(|(name, _)| name.as_str()).collect()
    }
}

#[test]
fn a_skip_is_no_pass_and_silence_is_a_failure() {
    let mut score = Score::default();
    score.add(
        "Suite: Unmap\n  Test: Simple ...passed\n  Test: ZeroBlocks ...    [FAILED] UNMAP failed.\nFAILED\n    1. x.c:80\n\
         Suite: Sanitize\n  Test: Simple ...    [SKIPPED] SANITIZE is not implemented.\npassed\n\
         \x20 Test: Noise ...passed\n    [SKIPPED] in teardown\n  Test: Crash ...",
    );
    assert_eq!(score.named(Verdict::Passed), ["Sanitize.Noise", "Unmap.Simple"]);
    assert_eq!(score.named(Verdict::Skipped), ["Sanitize.Simple"]);
    assert_eq!(score.named(Verdict::Failed), ["Sanitize.Crash", "Unmap.ZeroBlocks"]);
    assert_eq!(score.family("Unmap."), (1, 2));
}
