//! What is checked: a model's own properties, and those that stateright's `Property` cannot say.

use stateright::{Expectation, Model};

/// A predicate of states.
pub type OfState<M> = fn(&M, &<M as Model>::State) -> bool;
/// A predicate of transitions: before, action, after.
pub type OfStep<M> = fn(&M, &<M as Model>::State, &<M as Model>::Action, &<M as Model>::State) -> bool;

/// What a property says.
pub enum Says<M: Model> {
    /// Every reachable state meets the predicate.
    Always(OfState<M>),
    /// Some reachable state meets the predicate.
    Sometimes(OfState<M>),
    /// Every transition from a reachable state to one within the boundary meets the predicate.
    AlwaysStep(OfStep<M>),
    /// Every reachable state without a next state, even beyond the boundary, meets the predicate: it may end there.
    EndsOnlyIn(OfState<M>),
    /// On every fair path from an initial state some state meets the predicate.
    Eventually(OfState<M>),
    /// On every fair path a state that meets the first predicate is followed by one that meets the second, at once or later.
    LeadsTo(OfState<M>, OfState<M>),
}

impl<M: Model> Clone for Says<M> {
    fn clone(&self) -> Says<M> {
        *self
    }
}

impl<M: Model> Copy for Says<M> {}

/// A named property.
pub struct Claim<M: Model> {
    /// Its name, unique in a check.
    pub name: &'static str,
    /// What it says.
    pub says: Says<M>,
}

impl<M: Model> Clone for Claim<M> {
    fn clone(&self) -> Claim<M> {
        *self
    }
}

impl<M: Model> Copy for Claim<M> {}

impl<M: Model> Claim<M> {
    /// Whether finding it is good news: a premise that must be reachable.
    pub fn is_premise(&self) -> bool {
        matches!(self.says, Says::Sometimes(_))
    }

    /// Whether it speaks of whole paths, and needs the graph of states.
    pub fn is_liveness(&self) -> bool {
        matches!(self.says, Says::Eventually(_) | Says::LeadsTo(..))
    }
}

/// A model's own properties.
pub(crate) fn of_model<M: Model>(model: &M) -> Vec<Claim<M>> {
    let says = |property: &stateright::Property<M>| match property.expectation {
        Expectation::Always => Says::Always(property.condition),
        Expectation::Sometimes => Says::Sometimes(property.condition),
        Expectation::Eventually => Says::Eventually(property.condition),
    };
    model.properties().iter().map(|property| Claim { name: property.name, says: says(property) }).collect()
}

/// Names of the kinds of actions, and which kind an action is.
pub struct Kinds<M: Model> {
    /// In the order of the report.
    pub names: Vec<&'static str>,
    /// Index into `names`.
    pub of: fn(&M::Action) -> usize,
}

impl<M: Model> Clone for Kinds<M> {
    fn clone(&self) -> Kinds<M> {
        Kinds { names: self.names.clone(), of: self.of }
    }
}

impl<M: Model> Default for Kinds<M> {
    fn default() -> Kinds<M> {
        Kinds { names: vec!["action"], of: |_| 0 }
    }
}
