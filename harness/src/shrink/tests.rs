//! Shrinking of toy cases whose failures are known, so that minimality can be checked by trying every removal.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

/// Operations and faults are numbers; the case fails if it contains certain ones, and time is long enough.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Toy {
    operations: Vec<u32>,
    faults: Vec<u32>,
    time: u32,
}

/// What a toy case needs in order to fail.
#[derive(Clone, Debug)]
struct Trap {
    /// Every one of these operations.
    operations: BTreeSet<u32>,
    /// One of these faults, if there are any here.
    one_of: BTreeSet<u32>,
    time_min: u32,
}

impl Trap {
    fn springs(&self, toy: &Toy) -> bool {
        self.operations.iter().all(|one| toy.operations.contains(one))
            && (self.one_of.is_empty() || toy.faults.iter().any(|one| self.one_of.contains(one)))
            && toy.time >= self.time_min
    }

    fn try_toy(&self, toy: &Toy) -> Tried {
        if self.springs(toy) { Tried::Failed(fingerprint("a")) } else { Tried::Passed }
    }
}

impl Reduce for Toy {
    fn lists(&self) -> Vec<&'static str> {
        vec!["operations", "faults"]
    }

    fn len(&self, list: usize) -> usize {
        if list == 0 { self.operations.len() } else { self.faults.len() }
    }

    fn retain(&self, list: usize, keep: &dyn Fn(usize) -> bool) -> Option<Toy> {
        let mut toy = self.clone();
        let of = if list == 0 { &mut toy.operations } else { &mut toy.faults };
        let mut at = 0;
        of.retain(|_| {
            at += 1;
            keep(at - 1)
        });
        Some(toy)
    }

    fn simpler(&self) -> Vec<Toy> {
        [self.time / 2, self.time.saturating_sub(1)]
            .into_iter()
            .filter(|time| *time < self.time)
            .map(|time| Toy { time, ..self.clone() })
            .collect()
    }
}

fn fingerprint(property: &str) -> Fingerprint {
    Fingerprint { property: property.to_owned(), divergence: String::new(), event: String::new() }
}

const PLENTY: Limit = Limit { tries_max: 1_000_000 };

proptest! {
    #[test]
    fn the_result_still_fails_and_nothing_more_can_be_removed(
        operations in prop::collection::vec(0u32..40, 0..60),
        faults in prop::collection::vec(0u32..40, 0..20),
        spare in 0u32..1000,
        needed in prop::collection::btree_set(0u32..40, 0..5),
        one_of in prop::collection::btree_set(0u32..40, 0..5),
        time_min in 0u32..1000,
    ) {
        // Put what springs the trap in the middle of what does not matter.
        let at = operations.len() / 2;
        let mut toy = Toy { operations, faults, time: time_min + spare };
        toy.operations.splice(at..at, needed.iter().copied());
        toy.faults.extend(&one_of);
        let trap = Trap { operations: needed, one_of, time_min };
        prop_assert!(trap.springs(&toy));
        let shrunk = shrink(toy, &fingerprint("a"), PLENTY, |toy| trap.try_toy(toy));
        prop_assert_eq!(shrunk.end, End::Minimal);
        prop_assert!(trap.springs(&shrunk.case));
        for list in 0..2 {
            for removed in 0..shrunk.case.len(list) {
                let smaller = shrunk.case.retain(list, &|at| at != removed).expect("any subset is well formed");
                prop_assert!(!trap.springs(&smaller), "{:?} can do without {removed} of list {list}", shrunk.case);
            }
        }
        prop_assert_eq!(shrunk.case.time, trap.time_min);
        prop_assert_eq!(shrunk.case.operations.len(), trap.operations.len());
        prop_assert_eq!(shrunk.case.faults.len(), usize::from(!trap.one_of.is_empty()));
    }

    #[test]
    fn tries_stay_within_the_limit(tries_max in 0u64..50) {
        let toy = Toy { operations: (0..64).collect(), faults: vec![], time: 0 };
        let trap = Trap { operations: BTreeSet::from([3, 60]), one_of: BTreeSet::new(), time_min: 0 };
        let shrunk = shrink(toy, &fingerprint("a"), Limit { tries_max }, |toy| trap.try_toy(toy));
        prop_assert!(shrunk.tries <= tries_max);
        prop_assert!(trap.springs(&shrunk.case));
    }
}

#[test]
fn another_failure_is_not_followed() {
    let toy = Toy { operations: vec![1, 2, 3], faults: vec![], time: 0 };
    let shrunk = shrink(toy, &fingerprint("a"), PLENTY, |toy| {
        if toy.operations.contains(&2) {
            Tried::Failed(fingerprint("a"))
        } else {
            Tried::Failed(fingerprint("b"))
        }
    });
    assert_eq!(shrunk.case.operations, [2]);
}

#[test]
fn a_stop_keeps_the_best_case_so_far() {
    let toy = Toy { operations: (0..16).collect(), faults: vec![], time: 0 };
    let mut left = 3;
    let shrunk = shrink(toy, &fingerprint("a"), PLENTY, |toy| {
        left -= 1;
        if left == 0 {
            Tried::Stop
        } else if toy.operations.contains(&0) {
            Tried::Failed(fingerprint("a"))
        } else {
            Tried::Passed
        }
    });
    assert_eq!(shrunk.end, End::Stopped);
    assert_eq!(shrunk.case.operations, (0..8).collect::<Vec<_>>());
}
