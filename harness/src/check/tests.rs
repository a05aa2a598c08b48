//! The driver on toy models whose state counts, shortest paths and traps are known.

use super::*;
use redline_vocab::NodeId;
use stateright::{Model, Property};
use std::sync::atomic::AtomicBool;

/// Two counters below a bound; each step adds one to either. `hole` is a pair from which nothing goes on.
#[derive(Clone)]
struct Grid {
    side: u8,
    forbidden: (u8, u8),
    sought: (u8, u8),
    jump: bool,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Way {
    Right,
    Up,
    /// Never possible.
    Down,
    /// A fault: into a corner that nothing leaves.
    Fall,
}

impl Model for Grid {
    type State = (u8, u8);
    type Action = Way;

    fn init_states(&self) -> Vec<(u8, u8)> {
        if self.side == 0 { vec![] } else { vec![(0, 0)] }
    }

    fn actions(&self, _: &(u8, u8), actions: &mut Vec<Way>) {
        actions.extend([Way::Right, Way::Up, Way::Down]);
        if self.jump {
            actions.push(Way::Fall);
        }
    }

    fn next_state(&self, state: &(u8, u8), way: Way) -> Option<(u8, u8)> {
        let inside = |at: u8| at < self.side;
        match way {
            _ if *state == (99, 99) => None,
            Way::Right => Some((state.0 + 1, state.1)).filter(|next| inside(next.0)),
            Way::Up => Some((state.0, state.1 + 1)).filter(|next| inside(next.1)),
            Way::Down => None,
            Way::Fall => Some((99, 99)),
        }
    }

    fn properties(&self) -> Vec<Property<Grid>> {
        vec![
            Property::always("avoids", |grid: &Grid, state| *state != grid.forbidden),
            Property::sometimes("meets", |grid: &Grid, state| *state == grid.sought),
        ]
    }
}

impl Subject for Grid {
    fn kinds(&self) -> Vec<&'static str> {
        vec!["right", "up", "down", "fall"]
    }

    fn kind(action: &Way) -> usize {
        *action as usize
    }

    fn tell(&self, before: &(u8, u8), action: &Way) -> Step {
        Step {
            choices: vec![(Action::Issue(NodeId(0)), 0)],
            text: format!("{action:?} from {before:?}"),
            events: vec![],
        }
    }
}

const SIDE: u8 = 60;
const NOWHERE: (u8, u8) = (200, 200);

fn grid() -> Grid {
    Grid { side: SIDE, forbidden: NOWHERE, sought: (3, 4), jump: false }
}

fn limits(threads: usize) -> Limits {
    Limits::threads(threads)
}

fn check(grid: &Grid, limits: Limits) -> Report {
    run(grid, limits, &AtomicBool::new(false), &mut |_| {})
        .expect("the grid has an initial state and does not panic")
}

#[test]
fn an_exhausted_run_counts_states_actions_and_witnesses() {
    for threads in [1, 2] {
        let report = check(&grid(), limits(threads));
        let side = u64::from(SIDE);
        assert_eq!(report.verdict(), Verdict::Holds);
        assert_eq!((report.unique, report.generated), (side * side, 1 + 2 * side * (side - 1)));
        let counts: Vec<_> = report.fired.iter().map(|one| (one.kind, one.count)).collect();
        assert_eq!(
            counts,
            [("right", side * (side - 1)), ("up", side * (side - 1)), ("down", 0), ("fall", 0)]
        );
        assert_eq!(report.never_enabled().collect::<Vec<_>>(), ["down", "fall"]);
        let reached = report.witnesses.iter().map(|one| (one.name, one.steps)).collect::<Vec<_>>();
        assert!(matches!(reached[..], [("meets", Some(7..))]), "{reached:?}");
        if threads == 1 {
            assert_eq!(report.depth, 2 * side - 1);
            assert_eq!(reached, [("meets", Some(7))]);
        }
    }
}

#[test]
fn a_counterexample_is_a_shortest_one_with_any_number_of_threads() {
    for threads in [1, 2] {
        for forbidden in [(0, 0), (2, 0), (7, 9)] {
            let report = check(&Grid { forbidden, ..grid() }, limits(threads));
            assert_eq!(report.verdict(), Verdict::Violated);
            let [found] = &report.counterexamples[..] else { panic!("{:?}", report.counterexamples) };
            assert_eq!(
                (found.property, found.steps.len()),
                ("avoids", usize::from(forbidden.0 + forbidden.1))
            );
        }
    }
}

#[test]
fn a_region_of_violations_gives_its_nearest_state() {
    #[derive(Clone)]
    struct Region(Grid);
    impl Model for Region {
        type State = (u8, u8);
        type Action = Way;
        fn init_states(&self) -> Vec<(u8, u8)> {
            self.0.init_states()
        }
        fn actions(&self, state: &(u8, u8), actions: &mut Vec<Way>) {
            self.0.actions(state, actions);
        }
        fn next_state(&self, state: &(u8, u8), way: Way) -> Option<(u8, u8)> {
            self.0.next_state(state, way)
        }
        fn properties(&self) -> Vec<Property<Region>> {
            vec![Property::always("small", |_, state: &(u8, u8)| state.0 + state.1 < 12)]
        }
    }
    impl Subject for Region {
        fn kinds(&self) -> Vec<&'static str> {
            self.0.kinds()
        }
        fn kind(action: &Way) -> usize {
            Grid::kind(action)
        }
        fn tell(&self, before: &(u8, u8), action: &Way) -> Step {
            self.0.tell(before, action)
        }
    }
    for until in [Until::FirstViolation, Until::Exhausted] {
        let report =
            run(&Region(grid()), Limits { until, ..limits(1) }, &AtomicBool::new(false), &mut |_| {});
        let report = report.expect("the grid has an initial state and does not panic");
        assert_eq!(report.counterexamples[0].steps.len(), 12, "{until:?}");
        assert_eq!(
            report.ending,
            if until == Until::Exhausted { Ending::Exhausted } else { Ending::Violated }
        );
    }
}

#[test]
fn a_premise_that_is_never_met_is_vacuous() {
    let report = check(&Grid { sought: NOWHERE, ..grid() }, limits(1));
    assert_eq!(report.verdict(), Verdict::Vacuous(vec!["meets"]));
}

#[test]
fn a_cut_run_never_holds() {
    let few = check(&grid(), Limits { states_max: Some(1), ..limits(1) });
    // The limit is looked at now and then: a run that was faster than that is exhausted, has every state, and says so.
    let complete = few.unique == u64::from(SIDE) * u64::from(SIDE);
    assert!(complete || matches!(few.verdict(), Verdict::Inconclusive(Cut::States)), "{:?}", few.ending);
    let raised = AtomicBool::new(true);
    let huge = Grid { side: 255, ..grid() };
    for threads in [1, 2] {
        let interrupted =
            run(&huge, limits(threads), &raised, &mut |_| {}).expect("the grid has an initial state");
        assert_eq!(interrupted.verdict(), Verdict::Inconclusive(Cut::Interrupted));
        let in_time = check(&huge, Limits { time_max: Some(std::time::Duration::ZERO), ..limits(threads) });
        assert_eq!(in_time.verdict(), Verdict::Inconclusive(Cut::Time));
        assert!(interrupted.unique <= 1 && in_time.unique <= 1);
    }
}

#[test]
fn every_cut_is_inconclusive_and_no_claims_are_vacuous() {
    let mut report = check(&grid(), limits(1));
    for cut in [Cut::States, Cut::Time, Cut::Interrupted] {
        report.ending = Ending::Cut(cut);
        assert_eq!(report.verdict(), Verdict::Inconclusive(cut));
    }
    report.ending = Ending::Exhausted;
    assert_eq!(report.verdict(), Verdict::Holds);
    report.claims.clear();
    assert_eq!(report.verdict(), Verdict::Vacuous(vec![]));
}

#[test]
fn nothing_to_explore_is_an_error() {
    let found = run(&Grid { side: 0, ..grid() }, limits(1), &AtomicBool::new(false), &mut |_| {});
    assert!(matches!(found, Err(Error::Search(checker::Error::NoInitialState))));
}

fn recovery(grid: &Grid, limits: Limits) -> Recovery {
    let terms =
        Terms { fault: |way: &Way| *way == Way::Fall, goal: |grid: &Grid, state| *state == grid.sought };
    recover(grid, &terms, limits, &AtomicBool::new(false)).expect("the grid has an initial state")
}

#[test]
fn a_goal_that_every_state_can_reach_is_recoverable() {
    let corner = Grid { sought: (SIDE - 1, SIDE - 1), ..grid() };
    let found = recovery(&corner, limits(1));
    assert_eq!((found.states, found.goals, found.stuck), (3600, 1, 0));
    assert_eq!(found.path, None);
}

#[test]
fn a_state_that_cannot_reach_the_goal_without_a_fault_is_shown() {
    let falls = Grid { sought: (SIDE - 1, SIDE - 1), jump: true, ..grid() };
    let found = recovery(&falls, limits(1));
    assert_eq!(found.stuck, 1);
    let texts: Vec<_> = found.path.iter().flatten().map(|step| step.text.as_str()).collect();
    assert_eq!(texts, ["Fall from (0, 0)"]);
    let passed = recovery(&Grid { sought: (3, 4), ..grid() }, limits(1));
    assert_eq!(passed.path.map(|path| path.len()), Some(4), "four steps right overshoot the goal");
    assert_eq!(passed.stuck, 3600 - 4 * 5);
}

#[test]
fn a_cut_exploration_says_nothing_about_recovery() {
    let found = recovery(&grid(), Limits { states_max: Some(1), ..limits(1) });
    assert_eq!((found.cut, found.stuck, found.path), (Some(Cut::States), 0, None));
}
