//! Two-phase commit (Gray and Lamport) with up to 14 resource managers, in one word.
//!
//! The word may be followed by constant words, to measure wider states: they are copied, hashed and kept like any others.

use redline_checker::{Packed, symmetry};
use stateright::{Model, Property};

// Two bits a resource manager; then one bit each for "its prepared message was seen by the transaction manager" and "was
// sent"; then the transaction manager's state and the two messages that it may have sent.
const SEEN: u32 = 28;
const SENT: u32 = 42;
const TM_SHIFT: u32 = 56;
const COMMIT: u64 = 1 << 58;
const ABORT: u64 = 1 << 59;

const PREPARED: u64 = 1;
const COMMITTED: u64 = 2;
const ABORTED: u64 = 3;

/// Names of the kinds of actions.
pub const KINDS: [&str; 7] = [
    "TmCommit",
    "TmAbort",
    "TmRcvPrepared",
    "RmPrepare",
    "RmChooseToAbort",
    "RmRcvCommitMsg",
    "RmRcvAbortMsg",
];

#[inline]
fn rm(state: u64, at: u32) -> u64 {
    state >> (2 * at) & 3
}

#[inline]
fn with_rm(state: u64, at: u32, value: u64) -> u64 {
    state & !(3 << (2 * at)) | value << (2 * at)
}

#[inline]
fn tm(state: u64) -> u64 {
    state >> TM_SHIFT & 3
}

/// Calls back with kind and next state of each enabled action.
#[inline]
pub fn successors(count: u32, state: u64, mut next: impl FnMut(usize, u64)) {
    let all_seen = ((1u64 << count) - 1) << SEEN;
    if tm(state) == 0 {
        if state & all_seen == all_seen {
            next(0, state | 1 << TM_SHIFT | COMMIT);
        }
        next(1, state | 2 << TM_SHIFT | ABORT);
    }
    for at in 0..count {
        if tm(state) == 0 && state >> (SENT + at) & 1 == 1 {
            next(2, state | 1 << (SEEN + at));
        }
        if rm(state, at) == 0 {
            next(3, with_rm(state, at, PREPARED) | 1 << (SENT + at));
            next(4, with_rm(state, at, ABORTED));
        }
        if state & COMMIT != 0 {
            next(5, with_rm(state, at, COMMITTED));
        }
        if state & ABORT != 0 {
            next(6, with_rm(state, at, ABORTED));
        }
    }
}

/// Nobody has committed while another one has aborted.
#[inline]
pub fn consistent(state: u64) -> bool {
    let (high, low) = (state & 0xAAA_AAAA, state & 0x555_5555);
    high >> 1 & low == 0 || high >> 1 & !low == 0
}

/// Two-phase commit with states of `W` words.
#[derive(Clone, Copy)]
pub struct TwoPhase<const W: usize> {
    /// Resource managers, 1..=14.
    pub count: u32,
}

/// The first word is the state; the others never change.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct State<const W: usize>(pub [u64; W]);

/// Kind and the state that it leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Step(pub usize, pub u64);

/// Padding words.
pub const PADDING: u64 = 0x9E37_79B9_7F4A_7C15;

impl<const W: usize> TwoPhase<W> {
    /// How many states there are.
    #[allow(dead_code)]
    pub fn states(self) -> u64 {
        4u64.pow(self.count) + 6u64.pow(self.count) + 2u64.pow(self.count)
    }

    /// How many orbits there are under renaming of the resource managers.
    #[allow(dead_code)]
    pub fn orbits(self) -> u64 {
        let n = u64::from(self.count);
        let choose = |n: u64, k: u64| (0..k).fold(1, |product, i| product * (n - i) / (i + 1));
        choose(n + 3, 3) + choose(n + 5, 5) + n + 1
    }
}

impl<const W: usize> Model for TwoPhase<W> {
    type State = State<W>;
    type Action = Step;

    fn init_states(&self) -> Vec<State<W>> {
        let mut words = [PADDING; W];
        words[0] = 0;
        vec![State(words)]
    }

    fn actions(&self, state: &State<W>, actions: &mut Vec<Step>) {
        successors(self.count, state.0[0], |kind, next| actions.push(Step(kind, next)));
    }

    fn next_state(&self, state: &State<W>, step: Step) -> Option<State<W>> {
        let mut next = *state;
        next.0[0] = step.1;
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![Property::always("consistent", |_, state: &State<W>| consistent(state.0[0]))]
    }
}

impl<const W: usize> Packed for TwoPhase<W> {
    type Words = [u64; W];
    const DIRECT: bool = true;

    fn pack(&self, state: &State<W>) -> [u64; W] {
        state.0
    }

    fn unpack(&self, words: &[u64; W]) -> State<W> {
        State(*words)
    }

    #[inline]
    fn expand(&self, words: &[u64; W], visit: &mut impl FnMut(usize, [u64; W])) {
        successors(self.count, words[0], |kind, next| {
            let mut words = *words;
            words[0] = next;
            visit(kind, words);
        });
    }

    #[inline]
    fn holds(&self, _: usize, words: &[u64; W]) -> bool {
        consistent(words[0])
    }
}

/// A state as interchangeable resource managers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Managers {
    count: u32,
    state: u64,
}

impl symmetry::Components for Managers {
    /// State, seen, sent.
    type Record = (u64, u64, u64);
    type Relation = ();

    fn count(&self) -> usize {
        self.count as usize
    }

    fn record(&self, component: usize) -> (u64, u64, u64) {
        let at = component as u32;
        (rm(self.state, at), self.state >> (SEEN + at) & 1, self.state >> (SENT + at) & 1)
    }

    fn relation(&self, _: usize, _: usize) {}

    fn reorder(&self, order: &[usize]) -> Managers {
        let mut state = self.state >> TM_SHIFT << TM_SHIFT;
        for (new, old) in (0u32..).zip(order) {
            let (rm, seen, sent) = self.record(*old);
            state |= rm << (2 * new) | seen << (SEEN + new) | sent << (SENT + new);
        }
        Managers { count: self.count, state }
    }
}

/// The representative of the state's orbit.
#[allow(dead_code)]
pub fn canonical<const W: usize>(model: &TwoPhase<W>, mut state: State<W>) -> State<W> {
    let managers = Managers { count: model.count, state: state.0[0] };
    state.0[0] = symmetry::representative(&managers).state;
    state
}
