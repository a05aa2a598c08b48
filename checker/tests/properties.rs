//! Properties of states, transitions, ends and paths; several violations in one run; fairness.

use redline_checker::{Check, Ending, Error, Limits, Says, Until, Verdict};
use stateright::{Model, Property};

/// A client asks, a server may answer, and somebody may do nothing for ever.
#[derive(Clone)]
struct Service {
    /// The server can break down, and then never answers.
    breaks: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct State {
    asked: bool,
    broken: bool,
    beat: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Move {
    Ask,
    Answer,
    Beat,
    Break,
}

const KINDS: [&str; 4] = ["ask", "answer", "beat", "break"];

impl Model for Service {
    type State = State;
    type Action = Move;

    fn init_states(&self) -> Vec<State> {
        vec![State { asked: false, broken: false, beat: false }]
    }

    fn actions(&self, _: &State, actions: &mut Vec<Move>) {
        actions.extend([Move::Ask, Move::Answer, Move::Beat, Move::Break]);
    }

    fn next_state(&self, state: &State, step: Move) -> Option<State> {
        match step {
            Move::Ask => (!state.asked).then_some(State { asked: true, ..*state }),
            Move::Answer => (state.asked && !state.broken).then_some(State { asked: false, ..*state }),
            Move::Beat => Some(State { beat: !state.beat, ..*state }),
            Move::Break => (self.breaks && !state.broken).then_some(State { broken: true, ..*state }),
        }
    }
}

fn service(model: &Service) -> Check<'_, Service> {
    Check::new(model).kinds(KINDS.to_vec(), |step| *step as usize).leads_to(
        "answered",
        |_, state| state.asked,
        |_, state| !state.asked,
    )
}

fn exhaust() -> Limits {
    Limits { until: Until::Exhausted, ..Limits::threads(2) }
}

#[test]
fn an_answer_is_owed_only_under_fairness_of_the_server() {
    let sound = Service { breaks: false };
    let unfair = service(&sound).run(exhaust()).expect("it runs");
    assert_eq!(unfair.verdict(), Verdict::Violated);
    let lasso = &unfair.counterexamples[0];
    let steps: Vec<Move> = lasso.path.steps.iter().map(|(_, step)| *step).collect();
    assert_eq!((lasso.loops_from, steps), (Some(1), vec![Move::Ask, Move::Beat, Move::Beat]));
    assert_eq!(lasso.path.last, lasso.path.steps[1].0, "the loop is closed");
    // Fairness of the heart beat does not help; that of the server does.
    let beating = service(&sound).fair(&["beat"]).run(exhaust()).expect("it runs");
    assert_eq!(beating.verdict(), Verdict::Violated);
    let fair = service(&sound).fair(&["answer", "beat"]).run(exhaust()).expect("it runs");
    assert_eq!(fair.verdict(), Verdict::Holds);
}

#[test]
fn a_broken_server_owes_nothing_and_the_loop_satisfies_every_fairness() {
    let model = Service { breaks: true };
    let report = service(&model).fair(&["answer", "beat", "ask"]).run(exhaust()).expect("it runs");
    assert_eq!(report.verdict(), Verdict::Violated);
    let lasso = &report.counterexamples[0];
    let from = lasso.loops_from.expect("it never ends");
    let looped = &lasso.path.steps[from..];
    assert!(looped.iter().any(|(_, step)| *step == Move::Beat), "the fair beat is taken: {looped:?}");
    assert!(looped.iter().any(|(state, _)| state.broken), "no answer is possible: {looped:?}");
    assert_eq!(lasso.path.last, looped[0].0);
    // A step that is always possible and never taken inside: fairness of breaking down forbids staying whole.
    let breaking = Service { breaks: true };
    let whole = Check::new(&breaking)
        .kinds(KINDS.to_vec(), |step| *step as usize)
        .eventually("breaks", |_, state| state.broken);
    assert_eq!(whole.run(exhaust()).expect("it runs").verdict(), Verdict::Violated);
    let whole = whole.fair(&["break"]);
    assert_eq!(whole.run(exhaust()).expect("it runs").verdict(), Verdict::Holds);
}

#[test]
fn a_cut_run_does_not_judge_paths() {
    let limits = Limits { states_max: Some(2), ..exhaust() };
    let report = service(&Service { breaks: false }).fair(&["answer"]).run(limits).expect("it runs");
    assert!(matches!(report.verdict(), Verdict::Inconclusive(_)));
    assert_eq!(report.unjudged, ["answered"]);
}

#[test]
fn unknown_kinds_and_equal_names_are_refused() {
    let model = Service { breaks: false };
    assert!(matches!(service(&model).fair(&["hart"]).run(exhaust()), Err(Error::NoSuchKind("hart"))));
    let twice = service(&model).always_step("answered", |_, _, _, _| true);
    assert!(matches!(twice.run(exhaust()), Err(Error::SameName("answered"))));
}

/// A counter that can be raised by one or by three, up to a bound.
#[derive(Clone)]
struct Counter(u32);

impl Model for Counter {
    type State = u32;
    type Action = u32;

    fn init_states(&self) -> Vec<u32> {
        vec![0]
    }

    fn actions(&self, _: &u32, actions: &mut Vec<u32>) {
        actions.extend([1, 3]);
    }

    fn next_state(&self, state: &u32, by: u32) -> Option<u32> {
        (state + by <= self.0).then_some(state + by)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("not 7", |_, state| *state != 7),
            Property::always("not 20", |_, state| *state != 20),
            Property::always("not 99", |_, state| *state != 99),
            Property::sometimes("ten", |_, state| *state == 10),
        ]
    }
}

#[test]
fn keep_going_gives_each_violation_its_shortest_path() {
    let check = Check::new(&Counter(30))
        .always_step("no jump over 12", |_, before, _, after| !(*before < 12 && *after > 12))
        .ends_only_in("does not end below 30", |_, state| *state == 30)
        .ends_only_in("does not end", |_, _| false);
    for threads in [1, 2, 8] {
        let report =
            check.run(Limits { until: Until::Exhausted, ..Limits::threads(threads) }).expect("it runs");
        assert_eq!(report.ending, Ending::Exhausted);
        let found: Vec<_> = report
            .counterexamples
            .iter()
            .map(|one| (one.property, one.path.steps.len(), one.path.last))
            .collect();
        assert_eq!(
            found,
            [("not 7", 3, 7), ("no jump over 12", 5, 13), ("not 20", 8, 20), ("does not end", 10, 30)]
        );
        assert_eq!(report.witnesses[0].steps, Some(4));
        let jump = &report.counterexamples[1].path.steps;
        assert_eq!(jump.last(), Some(&(10, 3)));
    }
    let first = check.run(Limits::threads(2)).expect("it runs");
    assert_eq!(first.ending, Ending::Violated);
    assert_eq!(first.counterexamples.len(), 1);
}

/// Every state has a way beyond the boundary.
#[derive(Clone)]
struct Bounded;

impl Model for Bounded {
    type State = u32;
    type Action = ();

    fn init_states(&self) -> Vec<u32> {
        vec![0, 100]
    }

    fn actions(&self, _: &u32, actions: &mut Vec<()>) {
        actions.push(());
    }

    fn next_state(&self, state: &u32, (): ()) -> Option<u32> {
        Some(state + 1)
    }

    fn within_boundary(&self, state: &u32) -> bool {
        *state < 5
    }
}

#[test]
fn the_boundary_is_no_deadlock_and_ends_no_path() {
    let check = Check::new(&Bounded)
        .ends_only_in("goes on", |_, _| false)
        .eventually("gets to 9", |_, state| *state == 9)
        .claim("small", Says::Always(|_, state| *state < 5));
    let report = check.run(exhaust()).expect("it runs");
    assert_eq!((report.unique, report.verdict()), (5, Verdict::Holds), "{:?}", report.counterexamples);
}

#[test]
fn a_panic_of_the_model_is_an_error_with_its_message() {
    struct Panics;
    impl Model for Panics {
        type State = u32;
        type Action = u32;
        fn init_states(&self) -> Vec<u32> {
            vec![0]
        }
        fn actions(&self, state: &u32, actions: &mut Vec<u32>) {
            assert!(*state < 2000, "state {state} is impossible");
            actions.extend([1, 2, 3].map(|by| state + by));
        }
        fn next_state(&self, _: &u32, to: u32) -> Option<u32> {
            Some(to)
        }
        fn properties(&self) -> Vec<Property<Self>> {
            vec![Property::always("counts", |_, _| true)]
        }
    }
    for threads in [1, 2] {
        let failed = Check::new(&Panics).run(Limits::threads(threads));
        assert!(
            matches!(&failed, Err(Error::Panicked(what)) if what.contains("is impossible")),
            "{failed:?}"
        );
    }
}
