//! The set of states in which one part of the system may be.
//!
//! An event keeps the states that allow it and moves them on; a state may go on in several ways, and two
//! states may become the same one. Steps that the trace does not show are taken only when an event needs them: a state
//! that allows the event as it is stays where it is, since whatever it could do silently before the event it can
//! still do after it. That keeps the sets small, and loses no history.
//!
//! The common case is one state that moves on in one way, in place.

use std::collections::BTreeSet;

/// One part of the model, as the tracker sees it. The model decides everything; this is how it is asked.
pub(super) trait Part {
    /// A state of the part.
    type State: Clone + Ord;
    /// What is observed.
    type Event;

    /// Moves the state on by the event; `false`, and the state is as it was, if the state does not allow it. Where
    /// it may go on in several ways, it takes one and adds the others to `forks`.
    fn follow(&self, state: &mut Self::State, event: &Self::Event, forks: &mut Vec<Self::State>) -> bool;

    /// Adds the states to which one step that the trace does not show leads, if that may help towards the event.
    fn silent(&self, state: &Self::State, event: &Self::Event, out: &mut Vec<Self::State>);
}

/// What became of the set at an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Moved {
    /// It has moved on.
    Follows,
    /// No state allows the event; the set is as it was before it.
    Refused,
    /// The set, or the search for silent steps, has grown beyond the limit. The set is not meaningful any more.
    TooMany(usize),
}

/// The set.
#[derive(Clone, Debug)]
pub(super) struct Track<S> {
    states: Vec<S>,
    next: Vec<S>,
    open: Vec<S>,
    known: BTreeSet<S>,
    states_max: usize,
}

impl<S: Clone + Ord> Track<S> {
    /// A set of one state.
    pub fn new(initial: S, states_max: usize) -> Track<S> {
        Track {
            states: vec![initial],
            next: Vec::new(),
            open: Vec::new(),
            known: BTreeSet::new(),
            states_max,
        }
    }

    /// The states, each once.
    pub fn states(&self) -> &[S] {
        &self.states
    }

    /// The states, for renaming; [`Track::settle_again`] must follow.
    pub fn states_mut(&mut self) -> &mut [S] {
        &mut self.states
    }

    /// Brings the set into order after its states were renamed.
    pub fn settle_again(&mut self) {
        self.states.sort_unstable();
        self.states.dedup();
    }

    /// Replaces the set.
    pub fn replace(&mut self, states: Vec<S>) {
        self.states = states;
        self.settle_again();
    }

    /// Moves the set on by an event. `silent_steps` says whether the trace hides some.
    pub fn see<P: Part<State = S>>(&mut self, part: &P, event: &P::Event, silent_steps: bool) -> Moved {
        if let [state] = &mut self.states[..] {
            self.next.clear();
            if part.follow(state, event, &mut self.next) {
                if self.next.is_empty() {
                    return Moved::Follows;
                }
                self.states.append(&mut self.next);
                return self.settle();
            }
        }
        self.next.clear();
        self.known.clear();
        self.open.clear();
        self.open.extend_from_slice(&self.states);
        while let Some(state) = self.open.pop() {
            let mut moved = state.clone();
            if part.follow(&mut moved, event, &mut self.next) {
                self.next.push(moved);
            } else if silent_steps {
                let from = self.open.len();
                part.silent(&state, event, &mut self.open);
                self.forget_known(from);
                if self.known.len() > self.states_max {
                    return Moved::TooMany(self.known.len());
                }
            }
        }
        if self.next.is_empty() {
            return Moved::Refused;
        }
        std::mem::swap(&mut self.states, &mut self.next);
        self.settle()
    }

    /// Drops from the open states those, from this position on, that have been looked at before.
    fn forget_known(&mut self, from: usize) {
        let mut at = from;
        while let Some(state) = self.open.get(at) {
            if self.known.insert(state.clone()) {
                at += 1;
            } else {
                self.open.swap_remove(at);
            }
        }
    }

    fn settle(&mut self) -> Moved {
        self.states.sort_unstable();
        self.states.dedup();
        if self.states.len() > self.states_max { Moved::TooMany(self.states.len()) } else { Moved::Follows }
    }
}

#[cfg(test)]
mod tests {
    //! A part whose sets can be written down: a counter that may skip silently and forget at will.

    use super::*;

    struct Counter;

    /// What is seen of the counter.
    enum Seen {
        /// It grows by one.
        Up,
        /// It grows by one or two: nobody knows.
        UpSomehow,
        /// It shows this value.
        Shows(u32),
        /// Never possible.
        Impossible,
    }

    impl Part for Counter {
        type State = u32;
        type Event = Seen;

        fn follow(&self, state: &mut u32, event: &Seen, forks: &mut Vec<u32>) -> bool {
            match event {
                Seen::Up => *state += 1,
                Seen::UpSomehow => {
                    forks.push(*state + 2);
                    *state += 1;
                }
                Seen::Shows(value) => return value == state,
                Seen::Impossible => return false,
            }
            true
        }

        fn silent(&self, state: &u32, _: &Seen, out: &mut Vec<u32>) {
            out.extend([state + 10, state + 20].into_iter().filter(|next| *next < 100));
        }
    }

    fn track() -> Track<u32> {
        Track::new(0, 50)
    }

    #[test]
    fn an_unknown_outcome_forks_and_an_answer_filters() {
        let mut set = track();
        assert_eq!(set.see(&Counter, &Seen::UpSomehow, false), Moved::Follows);
        assert_eq!(set.states(), [1, 2]);
        assert_eq!(set.see(&Counter, &Seen::UpSomehow, false), Moved::Follows);
        assert_eq!(set.states(), [2, 3, 4], "two ways to the same state leave it once");
        assert_eq!(set.see(&Counter, &Seen::Shows(3), false), Moved::Follows);
        assert_eq!(set.states(), [3]);
    }

    #[test]
    fn a_refused_event_leaves_the_set_as_it_was() {
        let mut set = track();
        set.see(&Counter, &Seen::UpSomehow, false);
        for silent_steps in [false, true] {
            assert_eq!(set.see(&Counter, &Seen::Impossible, silent_steps), Moved::Refused);
            assert_eq!(set.states(), [1, 2]);
        }
        assert_eq!(set.see(&Counter, &Seen::Shows(7), false), Moved::Refused);
    }

    #[test]
    fn hidden_steps_are_taken_only_where_the_trace_hides_steps_and_an_event_needs_them() {
        let mut set = track();
        assert_eq!(set.see(&Counter, &Seen::Shows(50), false), Moved::Refused);
        assert_eq!(set.see(&Counter, &Seen::Shows(50), true), Moved::Follows);
        assert_eq!(set.states(), [50]);
        assert_eq!(set.see(&Counter, &Seen::Up, true), Moved::Follows);
        assert_eq!(set.states(), [51], "nothing had to be hidden for this");
    }

    #[test]
    fn too_many_states_are_said_to_be_so() {
        let mut set = Track::new(0, 4);
        let moved: Vec<_> = (0..5).map(|_| set.see(&Counter, &Seen::UpSomehow, false)).collect();
        assert_eq!(moved[..4], [Moved::Follows, Moved::Follows, Moved::Follows, Moved::TooMany(5)]);
        let mut set = Track::new(0, 4);
        assert!(matches!(set.see(&Counter, &Seen::Impossible, true), Moved::TooMany(_)));
    }
}
