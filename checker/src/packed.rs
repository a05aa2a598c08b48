//! States that wait as a few words of fixed size.

use crate::{
    claims::Says,
    fingerprint::{Fingerprint, Mixer},
    space::{CHUNK, Chunk, Space, Subject, Visit},
};
use stateright::Model;
use std::fmt::Debug;

/// A fixed number of words; implemented for `[u64; N]`.
pub trait Words: Copy + Eq + Debug + Send + Sync + 'static {
    /// How many.
    const LEN: usize;
    /// The words.
    fn words(&self) -> &[u64];
    /// From as many words.
    fn from_words(words: &[u64]) -> Option<Self>;
}

impl<const N: usize> Words for [u64; N] {
    const LEN: usize = N;

    #[inline]
    fn words(&self) -> &[u64] {
        self
    }

    fn from_words(words: &[u64]) -> Option<[u64; N]> {
        words.try_into().ok()
    }
}

/// A model whose states fit into a few words. Waiting states then need no heap, and can go to disk.
///
/// The encoding must be one to one: equal states have equal words, and different states different ones.
pub trait Packed: Model {
    /// A packed state.
    type Words: Words;

    /// Whether [`Packed::expand`] and [`Packed::holds`] work on words; otherwise states are unpacked for that.
    const DIRECT: bool = false;

    /// Packs a state.
    fn pack(&self, state: &Self::State) -> Self::Words;

    /// The state again.
    fn unpack(&self, words: &Self::Words) -> Self::State;

    /// Calls back with kind and words of each next state within the boundary, exactly those that the model's own
    /// `actions` and `next_state` give. Only called if [`Packed::DIRECT`], without symmetry and claims about transitions or ends.
    fn expand(&self, words: &Self::Words, next: &mut impl FnMut(usize, Self::Words)) {
        let _ = (words, next);
        unreachable!("DIRECT is set, but `expand` is not given");
    }

    /// Whether the predicate of the model's property of this index is met. Only called if [`Packed::DIRECT`].
    fn holds(&self, property: usize, words: &Self::Words) -> bool {
        (self.properties()[property].condition)(self, &self.unpack(words))
    }
}

/// A model in its packed form.
pub struct Packing<'m, M: Packed> {
    subject: Subject<'m, M>,
    direct: bool,
}

impl<'m, M: Packed> Packing<'m, M> {
    /// The model's packed form.
    pub fn new(subject: Subject<'m, M>) -> Packing<'m, M> {
        // By index: the model's own properties come first among the claims.
        let simple = subject
            .claims
            .iter()
            .all(|claim| !matches!(claim.says, Says::AlwaysStep(_) | Says::EndsOnlyIn(_)))
            && subject.claims.len() == subject.model.properties().len();
        let direct = M::DIRECT && simple && subject.canonical.is_none();
        Packing { subject, direct }
    }
}

impl<M> Space for Packing<'_, M>
where
    M: Packed<State: Clone> + Sync,
{
    type Model = M;
    type Node = M::Words;
    type Chunk = Vec<M::Words>;
    type Nodes = std::vec::IntoIter<M::Words>;
    const STORABLE: bool = true;

    fn subject(&self) -> &Subject<'_, M> {
        &self.subject
    }

    fn roots(&self) -> Vec<M::Words> {
        self.subject.roots().map(|state| self.subject.model.pack(&state)).collect()
    }

    #[inline]
    fn fingerprint<F: Fingerprint>(&self, node: &M::Words) -> F {
        let mut mixer = Mixer::new();
        mixer.words(node.words());
        F::from_mixer(mixer)
    }

    fn fingerprint_of_state<F: Fingerprint>(&self, state: &M::State) -> F {
        let words = match self.subject.canonical {
            Some(canonical) => self.subject.model.pack(&canonical(self.subject.model, state.clone())),
            None => self.subject.model.pack(state),
        };
        self.fingerprint(&words)
    }

    #[inline]
    fn expand(
        &self,
        node: &M::Words,
        open: &[bool],
        actions: &mut Vec<M::Action>,
        visit: &mut impl Visit<M::Words>,
    ) {
        let model = self.subject.model;
        if !self.direct {
            let state = model.unpack(node);
            return self.subject.expand(&state, open, actions, visit, |next| model.pack(&next));
        }
        for (at, claim) in self.subject.claims.iter().enumerate() {
            // A claim is found where an `always` does not hold, and where a `sometimes` does.
            if open[at] && model.holds(at, node) == claim.is_premise() {
                visit.found(at);
            }
        }
        model.expand(node, &mut |kind, next| visit.next(kind, next));
    }

    #[inline]
    fn push(&self, chunk: &mut Chunk<Self>, node: M::Words) -> bool {
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
        (chunk.body.capacity() * size_of::<M::Words>()) as u64
    }

    fn open(&self, chunk: Chunk<Self>) -> Self::Nodes {
        chunk.body.into_iter()
    }

    #[inline]
    fn ahead(&self, _: &Self::Nodes) {}

    fn save(&self, chunk: &Chunk<Self>) -> Vec<u8> {
        chunk.body.iter().flat_map(|node| node.words()).flat_map(|word| word.to_le_bytes()).collect()
    }

    fn load(&self, bytes: &[u8], len: u32) -> Option<Chunk<Self>> {
        let (words, []) = bytes.as_chunks::<8>() else { return None };
        let words: Vec<u64> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
        let body: Vec<M::Words> =
            words.chunks(M::Words::LEN).map(M::Words::from_words).collect::<Option<_>>()?;
        (body.len() == len as usize).then_some(Chunk { len, body })
    }
}
