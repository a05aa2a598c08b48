//! States that wait as compressed bytes, by way of serde.
//!
//! Slower than words and smaller than states on the heap: neighbours in a chunk differ in little.

use crate::{
    fingerprint::Fingerprint,
    space::{Chunk, Space, Subject, Visit},
};
use serde::{Serialize, de::DeserializeOwned};
use stateright::Model;
use std::{hash::Hash, marker::PhantomData};

/// Bytes of a chunk before it is compressed.
const BYTES: usize = 64 << 10;
/// The fastest level: higher ones save little on such data.
const LEVEL: i32 = 1;

/// A model whose states wait as bytes.
pub struct Encoding<'m, M: Model>(pub Subject<'m, M>);

/// Encoded nodes, plain while the chunk is filled and compressed when it is sealed.
#[derive(Default)]
pub struct Bytes {
    bytes: Vec<u8>,
    plain_len: usize,
}

impl<M> Space for Encoding<'_, M>
where
    M: Model<State: Hash + Clone + Send + Serialize + DeserializeOwned> + Sync,
{
    type Model = M;
    type Node = M::State;
    type Chunk = Bytes;
    type Nodes = Decoded<M::State>;
    const STORABLE: bool = true;

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
        let bytes = std::mem::take(&mut chunk.body.bytes);
        chunk.body.bytes = postcard::to_extend(&node, bytes).expect("a vector takes any number of bytes");
        chunk.len += 1;
        chunk.body.bytes.len() >= BYTES
    }

    fn seal(&self, chunk: &mut Chunk<Self>) {
        let body = &mut chunk.body;
        body.plain_len = body.bytes.len();
        body.bytes = zstd::bulk::compress(&body.bytes, LEVEL).expect("compression into memory cannot fail");
        body.bytes.shrink_to_fit();
    }

    fn bytes(&self, chunk: &Chunk<Self>) -> u64 {
        chunk.body.bytes.capacity() as u64
    }

    fn open(&self, chunk: Chunk<Self>) -> Self::Nodes {
        let Bytes { bytes, plain_len } = chunk.body;
        let bytes = zstd::bulk::decompress(&bytes, plain_len)
            .expect("a chunk was compressed by this process or checked");
        Decoded { bytes, at: 0, left: chunk.len, state: PhantomData }
    }

    #[inline]
    fn ahead(&self, _: &Self::Nodes) {}

    fn save(&self, chunk: &Chunk<Self>) -> Vec<u8> {
        let mut bytes = (chunk.body.plain_len as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(&chunk.body.bytes);
        bytes
    }

    fn load(&self, bytes: &[u8], len: u32) -> Option<Chunk<Self>> {
        let (plain_len, bytes) = bytes.split_first_chunk::<8>()?;
        let plain_len = usize::try_from(u64::from_le_bytes(*plain_len)).ok().filter(|len| *len <= 1 << 30)?;
        let plain = zstd::bulk::decompress(bytes, plain_len).ok()?;
        // Decoded once here, so that `open` cannot fail later.
        let mut rest = plain.as_slice();
        for _ in 0..len {
            rest = postcard::take_from_bytes::<M::State>(rest).ok()?.1;
        }
        let body = Bytes { bytes: bytes.to_vec(), plain_len };
        (rest.is_empty() && plain.len() == plain_len).then_some(Chunk { len, body })
    }
}

/// The nodes of a chunk, decoded one by one.
pub struct Decoded<T> {
    bytes: Vec<u8>,
    at: usize,
    left: u32,
    state: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Iterator for Decoded<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.left = self.left.checked_sub(1)?;
        let (state, rest) = postcard::take_from_bytes(&self.bytes[self.at..])
            .expect("a chunk was encoded by this process or checked");
        self.at = self.bytes.len() - rest.len();
        Some(state)
    }
}
