//! Orbits of states under renaming of interchangeable components.
//!
//! The idea: components are ordered by what is known of each without naming another one, their *record*. Components with equal
//! records are told apart by how they relate to components that are told apart already, again and again. Only what is still tied then is
//! tried: one of the tied components is put first, which may untie others. Of tied components that can be exchanged without
//! changing the state one is enough, so that any number of equal components cost nothing.
//!
//! The result is exact: two states get the same representative exactly if a renaming turns one into the other.

/// A state with interchangeable components, numbered from 0.
pub trait Components: Clone + Ord {
    /// What is known of a component without naming another one.
    type Record: Ord;
    /// How two different components relate.
    type Relation: Ord;

    /// How many components there are.
    fn count(&self) -> usize;
    /// The component's record.
    fn record(&self, component: usize) -> Self::Record;
    /// How the first component relates to the second one.
    fn relation(&self, first: usize, second: usize) -> Self::Relation;
    /// The state in which component number `order[n]` is called `n`.
    fn reorder(&self, order: &[usize]) -> Self;
}

/// The representative of the state's orbit.
pub fn representative<T: Components>(state: &T) -> T {
    let mut order: Vec<usize> = (0..state.count()).collect();
    order.sort_by_cached_key(|component| state.record(*component));
    let mut classes = vec![0; order.len()];
    for at in 1..order.len() {
        let tied = state.record(order[at]) == state.record(order[at - 1]);
        classes[order[at]] = if tied { classes[order[at - 1]] } else { at };
    }
    let mut best = None;
    split(state, classes, &mut best);
    best.expect("at least one order was tried")
}

/// Unties by relations, then by trying. `classes` gives each component the first place of those that it is tied with.
fn split<T: Components>(state: &T, mut classes: Vec<usize>, best: &mut Option<T>) {
    refine(state, &mut classes);
    let mut sizes = vec![0; classes.len()];
    classes.iter().for_each(|class| sizes[*class] += 1);
    let Some(tied) = (0..classes.len()).find(|class| sizes[*class] > 1) else {
        let candidate = state.reorder(&order(&classes));
        if best.as_ref().is_none_or(|best| candidate < *best) {
            *best = Some(candidate);
        }
        return;
    };
    let members: Vec<usize> = (0..classes.len()).filter(|component| classes[*component] == tied).collect();
    let mut tried: Vec<usize> = Vec::new();
    for first in members.iter().copied() {
        if tried.iter().any(|other| exchangeable(state, first, *other)) {
            continue;
        }
        tried.push(first);
        let mut classes = classes.clone();
        for component in members.iter().filter(|component| **component != first) {
            classes[*component] = tied + 1;
        }
        split(state, classes, best);
    }
}

/// Components that relate differently to the classes are no longer tied.
fn refine<T: Components>(state: &T, classes: &mut Vec<usize>) {
    loop {
        let count = classes.len();
        let view = |one: usize| {
            let mut view: Vec<_> = (0..count)
                .filter(|other| *other != one)
                .map(|other| (classes[other], state.relation(one, other), state.relation(other, one)))
                .collect();
            view.sort_unstable();
            (classes[one], view)
        };
        let views: Vec<_> = (0..count).map(view).collect();
        let mut order: Vec<usize> = (0..count).collect();
        order.sort_unstable_by(|a, b| views[*a].cmp(&views[*b]));
        let mut finer = vec![0; count];
        for at in 1..count {
            let tied = views[order[at]] == views[order[at - 1]];
            finer[order[at]] = if tied { finer[order[at - 1]] } else { at };
        }
        if finer == *classes {
            return;
        }
        *classes = finer;
    }
}

fn order(classes: &[usize]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..classes.len()).collect();
    order.sort_unstable_by_key(|component| classes[*component]);
    order
}

fn exchangeable<T: Components>(state: &T, a: usize, b: usize) -> bool {
    let mut order: Vec<usize> = (0..state.count()).collect();
    order.swap(a, b);
    state.reorder(&order) == *state
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Components with a colour, each of which may wait for another one.
    #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
    struct Waiting {
        colours: Vec<u8>,
        waits_for: Vec<Option<usize>>,
    }

    impl Components for Waiting {
        type Record = (u8, bool, bool);
        type Relation = bool;

        fn count(&self) -> usize {
            self.colours.len()
        }

        fn record(&self, component: usize) -> (u8, bool, bool) {
            let waits = self.waits_for[component];
            (self.colours[component], waits.is_some(), waits == Some(component))
        }

        fn relation(&self, first: usize, second: usize) -> bool {
            self.waits_for[first] == Some(second)
        }

        fn reorder(&self, order: &[usize]) -> Waiting {
            let place = |old: usize| order.iter().position(|one| *one == old).expect("a permutation");
            Waiting {
                colours: order.iter().map(|old| self.colours[*old]).collect(),
                waits_for: order.iter().map(|old| self.waits_for[*old].map(place)).collect(),
            }
        }
    }

    fn permutations(count: usize) -> Vec<Vec<usize>> {
        let Some(last) = count.checked_sub(1) else { return vec![Vec::new()] };
        let insert =
            |rest: Vec<usize>| (0..count).map(move |at| [&rest[..at], &[last], &rest[at..]].concat());
        permutations(last).into_iter().flat_map(insert).collect()
    }

    fn least_by_brute_force(state: &Waiting) -> Waiting {
        let all = permutations(state.count());
        all.iter().map(|order| state.reorder(order)).min().expect("there is the identity")
    }

    fn waiting() -> impl Strategy<Value = Waiting> {
        (1usize..=5).prop_flat_map(|count| {
            let colours = prop::collection::vec(0u8..2, count);
            let waits_for = prop::collection::vec(prop::option::of(0..count), count);
            (colours, waits_for).prop_map(|(colours, waits_for)| Waiting { colours, waits_for })
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn representatives_are_those_of_brute_force(state in waiting(), other in waiting(), seed: usize) {
            let own = representative(&state);
            let all = permutations(state.count());
            prop_assert!(all.iter().any(|order| state.reorder(order) == own), "not in the orbit");
            let renamed = state.reorder(&all[seed % all.len()]);
            prop_assert_eq!(&representative(&renamed), &own);
            prop_assert_eq!(
                representative(&other) == own,
                least_by_brute_force(&other) == least_by_brute_force(&state)
            );
        }
    }

    #[test]
    fn orbits_of_all_small_states_are_counted_right() {
        let mut orbits = std::collections::BTreeSet::new();
        let mut brute = std::collections::BTreeSet::new();
        let targets = [None, Some(0), Some(1), Some(2), Some(3)];
        for number in 0..5usize.pow(4) {
            let waits_for = (0..4).map(|at| targets[number / 5usize.pow(at) % 5]).collect();
            let state = Waiting { colours: vec![0; 4], waits_for };
            orbits.insert(representative(&state));
            brute.insert(least_by_brute_force(&state));
        }
        assert_eq!(orbits.len(), brute.len());
        assert!(orbits.len() < 100, "{}", orbits.len());
    }

    #[test]
    fn many_equal_components_cost_nothing() {
        let state = Waiting { colours: vec![0; 40], waits_for: vec![None; 40] };
        assert_eq!(representative(&state), state);
    }
}
