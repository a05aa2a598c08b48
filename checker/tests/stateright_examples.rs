//! Stateright's own example models, unchanged, on both engines.
//!
//! The examples without bounds (raft, timers, lww-register) are not here: stateright cuts them at a depth, and a search that
//! was cut has no counts to compare. `interaction` needs one more library for its actors.

#![allow(dead_code, unused_imports, unused_macros, missing_docs, clippy::all)]

use redline_checker::{Check, Limits, Until, Verdict};
use stateright::{Checker, Model};
use std::collections::BTreeSet;
use std::hash::Hash;

/// Explores with both, and compares what can be compared. `value_chosen` is how soon the property of that name can be met, which
/// the tests of stateright's registers give as a path.
fn both<M>(model: M, exact: Option<u64>, value_chosen: Option<usize>)
where
    M: Model<State: Hash + Clone + PartialEq + std::fmt::Debug + Send + Sync + 'static>
        + Clone
        + Send
        + Sync
        + 'static,
    M::Action: PartialEq + Clone + std::fmt::Debug + Send + Sync + 'static,
{
    let reference = model.clone().checker().spawn_bfs().join();
    let ours: Vec<_> = [1, 2, 8]
        .map(|threads| {
            let limits = Limits { until: Until::Exhausted, ..Limits::threads(threads) };
            Check::new(&model).run(limits).expect("it runs")
        })
        .into();
    for report in &ours {
        assert_eq!(
            (report.unique, report.generated, &report.levels),
            (ours[0].unique, ours[0].generated, &ours[0].levels)
        );
        for found in &report.counterexamples {
            let theirs = reference.discovery(found.property).expect("stateright finds it too");
            assert!(found.path.steps.len() <= theirs.into_states().len() - 1, "{}: as short", found.property);
            let first = ours[0].counterexamples.iter().find(|one| one.property == found.property).unwrap();
            assert!(
                first.path.steps.iter().map(|(_, action)| action).eq(found
                    .path
                    .steps
                    .iter()
                    .map(|(_, action)| action))
            );
        }
        for witness in &report.witnesses {
            // Stateright keeps the last path that it meets, not the shortest.
            let theirs = reference.discovery(witness.name).map(|path| path.into_states().len() - 1);
            assert_eq!(witness.steps.is_some(), theirs.is_some(), "{}", witness.name);
            assert!(witness.steps <= theirs, "{}: as short", witness.name);
        }
        let violated: BTreeSet<_> = report.counterexamples.iter().map(|one| one.property).collect();
        for claim in &report.claims {
            assert_eq!(violated.contains(claim), reference.discovery(claim).is_some(), "{claim}");
        }
    }
    // Stateright ends early when every property has been discovered.
    let ended_early = model.properties().iter().all(|property| reference.discovery(property.name).is_some());
    if !ended_early {
        assert_eq!(ours[0].unique, reference.unique_state_count() as u64);
        assert_eq!(ours[0].depth, reference.max_depth() as u64);
        assert_eq!(ours[0].generated, reference.state_count() as u64);
    }
    if let Some(exact) = exact {
        assert_eq!(ours[0].unique, exact);
    }
    let chosen = ours[0].witnesses.iter().find(|witness| witness.name == "value chosen");
    assert_eq!(chosen.and_then(|witness| witness.steps), value_chosen);
}

mod two_phase {
    include!("../third_party/stateright-0.31.0/2pc.rs");

    #[test]
    fn is_the_same() {
        for (rms, states) in [(3, 288), (5, 8_832), (6, 50_816)] {
            super::both(TwoPhaseSys { rms: 0..rms }, Some(states), None);
        }
    }

    /// Stateright's representative sorts by one field only and gives 665 for five; by whole records there are fewer orbits.
    #[test]
    fn has_exact_orbits() {
        use redline_checker::symmetry::{Components, representative};
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
        struct Managers(Vec<(RmState, bool, bool)>);
        impl Components for Managers {
            type Record = (RmState, bool, bool);
            type Relation = ();
            fn count(&self) -> usize {
                self.0.len()
            }
            fn record(&self, at: usize) -> Self::Record {
                self.0[at].clone()
            }
            fn relation(&self, _: usize, _: usize) {}
            fn reorder(&self, order: &[usize]) -> Managers {
                Managers(order.iter().map(|at| self.0[*at].clone()).collect())
            }
        }
        fn canonical(model: &TwoPhaseSys, mut state: TwoPhaseState) -> TwoPhaseState {
            let sent = |rm| state.msgs.contains(&Message::Prepared { rm });
            let records =
                model.rms.clone().map(|rm| (state.rm_state[rm].clone(), state.tm_prepared[rm], sent(rm)));
            let sorted = representative(&Managers(records.collect())).0;
            state.msgs.retain(|message| !matches!(message, Message::Prepared { .. }));
            for (rm, (own, seen, sent)) in sorted.into_iter().enumerate() {
                state.rm_state[rm] = own;
                state.tm_prepared[rm] = seen;
                if sent {
                    state.msgs.insert(Message::Prepared { rm });
                }
            }
            state
        }
        for (rms, orbits) in [(3usize, 20 + 56 + 4u64), (5, 56 + 252 + 6)] {
            let model = TwoPhaseSys { rms: 0..rms };
            let report = redline_checker::Check::new(&model)
                .symmetric(canonical)
                .run(redline_checker::Limits::threads(2))
                .unwrap();
            assert_eq!((report.unique, report.verdict()), (orbits, redline_checker::Verdict::Holds));
        }
    }
}

mod increment {
    include!("../third_party/stateright-0.31.0/increment.rs");

    #[test]
    fn is_the_same() {
        super::both(State::new(2), Some(13), None);
        super::both(State::new(3), None, None);
    }
}

mod increment_lock {
    include!("../third_party/stateright-0.31.0/increment_lock.rs");

    #[test]
    fn is_the_same() {
        super::both(State::new(2), None, None);
        super::both(State::new(4), None, None);
    }
}

mod single_copy_register {
    include!("../third_party/stateright-0.31.0/single_copy_register.rs");

    fn model(
        server_count: usize,
    ) -> ActorModel<
        RegisterActor<SingleCopyActor>,
        SingleCopyModelCfg,
        LinearizabilityTester<Id, Register<Value>>,
    > {
        let network = Network::new_unordered_nonduplicating([]);
        SingleCopyModelCfg { client_count: 2, server_count, network }.into_model()
    }

    #[test]
    fn is_the_same() {
        super::both(model(1), Some(93), Some(3));
        super::both(model(2), None, Some(4));
    }
}

mod linearizable_register {
    include!("../third_party/stateright-0.31.0/linearizable_register.rs");

    #[test]
    fn is_the_same() {
        let network = Network::new_unordered_nonduplicating([]);
        super::both(
            AbdModelCfg { client_count: 2, server_count: 2, network }.into_model(),
            Some(544),
            Some(11),
        );
    }
}

mod paxos {
    include!("../third_party/stateright-0.31.0/paxos.rs");

    #[test]
    fn is_the_same() {
        let network = Network::new_unordered_nonduplicating([]);
        super::both(
            PaxosModelCfg { client_count: 2, server_count: 3, network }.into_model(),
            Some(16_668),
            Some(8),
        );
    }
}
