//! What the search sees of a model: nodes that have a fingerprint and successors, and wait in chunks.
//!
//! Three forms of a waiting state implement [`Space`]:
//!
//! | form | waits as | asks of the model | can go to disk |
//! |---|---|---|---|
//! | [`Plain`] | the state itself | `Hash` | no |
//! | [`crate::packed::Words`] in [`Packing`] | fixed-size words | [`Packed`] | yes |
//! | bytes in [`crate::encoded::Encoding`] | compressed bytes | serde of the state | yes |
//!
//! [`Packing`]: crate::packed::Packing
//! [`Packed`]: crate::packed::Packed

use crate::{
    ahead,
    claims::{Claim, Kinds, Says},
    fingerprint::Fingerprint,
};
use stateright::Model;
use std::hash::Hash;

/// Renames interchangeable components so that all states of an orbit become one of them.
pub type Canonical<M> = fn(&M, <M as Model>::State) -> <M as Model>::State;

/// The model with what a search wants of it.
pub struct Subject<'m, M: Model> {
    /// The model.
    pub model: &'m M,
    /// How its actions are counted.
    pub kinds: Kinds<M>,
    /// What is checked while states are expanded, by index.
    pub claims: Vec<Claim<M>>,
    /// Symmetry.
    pub canonical: Option<Canonical<M>>,
}

/// Who is told what an expansion meets.
pub trait Visit<N> {
    /// Claim number `claim` is met (a premise) or violated (anything else) by the node or one of its actions.
    fn found(&mut self, claim: usize);
    /// A next state within the boundary, by an action of this kind.
    fn next(&mut self, kind: usize, node: N);
}

/// What can be searched.
pub trait Space: Sync {
    /// The model underneath.
    type Model: Model;
    /// A state as it is expanded.
    type Node: Send;
    /// States as they wait.
    type Chunk: Send + Default;
    /// Waiting states on their way back.
    type Nodes: Iterator<Item = Self::Node> + Send;
    /// Whether chunks can be written to disk.
    const STORABLE: bool;

    /// The model with what is asked of it.
    fn subject(&self) -> &Subject<'_, Self::Model>;
    /// The initial states within the boundary, in canonical form.
    fn roots(&self) -> Vec<Self::Node>;
    /// The node's fingerprint.
    fn fingerprint<F: Fingerprint>(&self, node: &Self::Node) -> F;
    /// The fingerprint that a state of the model has as a node.
    fn fingerprint_of_state<F: Fingerprint>(&self, state: &<Self::Model as Model>::State) -> F;
    /// Judges the node by those claims that are `open` and calls back for each successor. `actions` is scratch.
    fn expand(
        &self,
        node: &Self::Node,
        open: &[bool],
        actions: &mut Vec<<Self::Model as Model>::Action>,
        visit: &mut impl Visit<Self::Node>,
    );

    /// Adds a node to a chunk; `true` if the chunk is full.
    fn push(&self, chunk: &mut Chunk<Self>, node: Self::Node) -> bool;
    /// Called once when the last node has been added.
    fn seal(&self, chunk: &mut Chunk<Self>);
    /// Memory of a sealed chunk, in bytes.
    fn bytes(&self, chunk: &Chunk<Self>) -> u64;
    /// The nodes again, in their order.
    fn open(&self, chunk: Chunk<Self>) -> Self::Nodes;
    /// The first of these nodes will be wanted soon.
    fn ahead(&self, nodes: &Self::Nodes);
    /// A sealed chunk as bytes. Only called if [`Space::STORABLE`].
    fn save(&self, chunk: &Chunk<Self>) -> Vec<u8>;
    /// A chunk of `len` nodes from its bytes; `None` if they are not such. Only called if [`Space::STORABLE`].
    fn load(&self, bytes: &[u8], len: u32) -> Option<Chunk<Self>>;
}

/// Some waiting nodes.
pub struct Chunk<S: Space + ?Sized> {
    /// How many.
    pub len: u32,
    /// In the space's form.
    pub body: S::Chunk,
}

impl<S: Space + ?Sized> Default for Chunk<S> {
    fn default() -> Chunk<S> {
        Chunk { len: 0, body: S::Chunk::default() }
    }
}

impl<M: Model> Subject<'_, M> {
    /// The state in canonical form, if there is symmetry.
    #[inline]
    pub fn canonical(&self, state: M::State) -> M::State {
        match self.canonical {
            Some(canonical) => canonical(self.model, state),
            None => state,
        }
    }

    /// Judges and expands a state of the model.
    #[inline]
    pub fn expand<N>(
        &self,
        state: &M::State,
        open: &[bool],
        actions: &mut Vec<M::Action>,
        visit: &mut impl Visit<N>,
        node: impl Fn(M::State) -> N,
    ) {
        let mut steps = false;
        let mut ends = false;
        for (at, claim) in self.claims.iter().enumerate() {
            if !open[at] {
                continue;
            }
            match claim.says {
                Says::Always(holds) if !holds(self.model, state) => visit.found(at),
                Says::Sometimes(met) if met(self.model, state) => visit.found(at),
                Says::AlwaysStep(_) => steps = true,
                Says::EndsOnlyIn(_) => ends = true,
                Says::Always(_) | Says::Sometimes(_) | Says::Eventually(_) | Says::LeadsTo(..) => {}
            }
        }
        actions.clear();
        self.model.actions(state, actions);
        let mut terminal = true;
        if steps {
            self.judge_steps(state, open, visit);
        }
        for action in actions.drain(..) {
            let kind = (self.kinds.of)(&action);
            let Some(next) = self.model.next_state(state, action) else { continue };
            terminal = false;
            if self.model.within_boundary(&next) {
                visit.next(kind, node(self.canonical(next)));
            }
        }
        if terminal && ends {
            for (at, claim) in self.claims.iter().enumerate() {
                if let (true, Says::EndsOnlyIn(may)) = (open[at], claim.says)
                    && !may(self.model, state)
                {
                    visit.found(at);
                }
            }
        }
    }

    /// Claims about transitions see the action after it was taken, and actions cannot be cloned: they are listed again.
    fn judge_steps<N>(&self, state: &M::State, open: &[bool], visit: &mut impl Visit<N>) {
        let (mut taken, mut shown) = (Vec::new(), Vec::new());
        self.model.actions(state, &mut taken);
        self.model.actions(state, &mut shown);
        for (action, shown) in taken.into_iter().zip(&shown) {
            let Some(next) = self.model.next_state(state, action) else { continue };
            if !self.model.within_boundary(&next) {
                continue;
            }
            for (at, claim) in self.claims.iter().enumerate() {
                if let (true, Says::AlwaysStep(holds)) = (open[at], claim.says)
                    && !holds(self.model, state, shown, &next)
                {
                    visit.found(at);
                }
            }
        }
    }

    /// Initial states within the boundary, in canonical form.
    pub fn roots(&self) -> impl Iterator<Item = M::State> + '_ {
        let within = |state: &M::State| self.model.within_boundary(state);
        self.model.init_states().into_iter().filter(within).map(|state| self.canonical(state))
    }
}

/// Any model, its states waiting as they are.
pub struct Plain<'m, M: Model>(pub Subject<'m, M>);

/// Nodes of a chunk: enough to make handing it out cheap, few enough to share small levels fairly.
pub const CHUNK: usize = 512;

impl<M> Space for Plain<'_, M>
where
    M: Model<State: Hash + Clone + Send> + Sync,
{
    type Model = M;
    type Node = M::State;
    type Chunk = Vec<M::State>;
    type Nodes = std::vec::IntoIter<M::State>;
    const STORABLE: bool = false;

    fn subject(&self) -> &Subject<'_, M> {
        &self.0
    }

    fn roots(&self) -> Vec<M::State> {
        self.0.roots().collect()
    }

    #[inline]
    fn fingerprint<F: Fingerprint>(&self, node: &M::State) -> F {
        F::of(node)
    }

    fn fingerprint_of_state<F: Fingerprint>(&self, state: &M::State) -> F {
        match self.0.canonical {
            Some(canonical) => F::of(&canonical(self.0.model, state.clone())),
            None => F::of(state),
        }
    }

    #[inline]
    fn expand(
        &self,
        node: &M::State,
        open: &[bool],
        actions: &mut Vec<M::Action>,
        visit: &mut impl Visit<M::State>,
    ) {
        self.0.expand(node, open, actions, visit, |state| state);
    }

    #[inline]
    fn push(&self, chunk: &mut Chunk<Self>, node: M::State) -> bool {
        if chunk.body.capacity() == 0 {
            chunk.body.reserve_exact(CHUNK);
        }
        chunk.body.push(node);
        chunk.len += 1;
        chunk.body.len() >= CHUNK
    }

    fn seal(&self, chunk: &mut Chunk<Self>) {
        if chunk.body.len() < CHUNK {
            chunk.body.shrink_to_fit();
        }
    }

    fn bytes(&self, chunk: &Chunk<Self>) -> u64 {
        // What the states hold on the heap is not known here; the search looks at the whole process for that.
        (chunk.body.capacity() * size_of::<M::State>()) as u64
    }

    fn open(&self, chunk: Chunk<Self>) -> Self::Nodes {
        chunk.body.into_iter()
    }

    #[inline]
    fn ahead(&self, nodes: &Self::Nodes) {
        if let Some(next) = nodes.as_slice().first() {
            ahead::fetch(next);
        }
    }

    fn save(&self, _: &Chunk<Self>) -> Vec<u8> {
        unreachable!("plain states cannot be stored: STORABLE is false")
    }

    fn load(&self, _: &[u8], _: u32) -> Option<Chunk<Self>> {
        None
    }
}
