//! The data of a PDU as slices of what the socket was read into.
//!
//! [`Payload`] is one PDU's data. [`Gather`] collects the data of many PDUs in order; it copies small pieces together, so that a peer that
//! sends a byte at a time cannot make each byte hold a whole read buffer.

use alloc::vec::Vec;
use bytes::{Bytes, BytesMut};

/// Pieces shorter than this are copied when they are kept.
const COPIED_BELOW: usize = 1024;

/// The data of one PDU.
#[derive(Clone, Debug, Default)]
pub struct Payload {
    first: Bytes,
    rest: Vec<Bytes>,
    length: usize,
}

impl Payload {
    /// Bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.length
    }

    /// No data.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The slices, in order; none of them is empty.
    pub fn pieces(&self) -> impl Iterator<Item = &Bytes> {
        core::iter::once(&self.first).filter(|piece| !piece.is_empty()).chain(&self.rest)
    }

    /// The slices, in order.
    pub fn into_pieces(self) -> impl Iterator<Item = Bytes> {
        core::iter::once(self.first).filter(|piece| !piece.is_empty()).chain(self.rest)
    }

    /// Everything in one slice; copies only if there are several.
    #[must_use]
    pub fn joined(&self) -> Bytes {
        if self.rest.is_empty() {
            return self.first.clone();
        }
        let mut all = BytesMut::with_capacity(self.length);
        self.pieces().for_each(|piece| all.extend_from_slice(piece));
        all.freeze()
    }

    /// Appends a slice.
    pub fn push(&mut self, piece: Bytes) {
        self.length += piece.len();
        if self.first.is_empty() {
            self.first = piece;
        } else if !piece.is_empty() {
            self.rest.push(piece);
        }
    }
}

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Payload {
        Payload { length: bytes.len(), first: bytes, rest: Vec::new() }
    }
}

impl FromIterator<Bytes> for Payload {
    fn from_iter<I: IntoIterator<Item = Bytes>>(pieces: I) -> Payload {
        let mut payload = Payload::default();
        pieces.into_iter().for_each(|piece| payload.push(piece));
        payload
    }
}

impl PartialEq for Payload {
    fn eq(&self, other: &Payload) -> bool {
        self.length == other.length && self.joined() == other.joined()
    }
}

impl Eq for Payload {}

/// Data of several PDUs, in order.
#[derive(Clone, Debug, Default)]
pub struct Gather {
    pieces: Vec<Bytes>,
    tail: BytesMut,
    length: usize,
}

impl Gather {
    /// Bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.length
    }

    /// Nothing yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Appends one PDU's data.
    pub fn push(&mut self, payload: Payload) {
        self.length += payload.len();
        for piece in payload.into_pieces() {
            if piece.len() < COPIED_BELOW {
                self.tail.extend_from_slice(&piece);
            } else {
                self.settle();
                self.pieces.push(piece);
            }
        }
    }

    /// The first `bytes` of it, and nothing is left.
    pub fn take(&mut self, bytes: usize) -> Vec<Bytes> {
        self.settle();
        self.length = 0;
        let mut pieces = core::mem::take(&mut self.pieces);
        let mut left = bytes;
        for piece in &mut pieces {
            piece.truncate(left);
            left -= piece.len();
        }
        pieces.retain(|piece| !piece.is_empty());
        pieces
    }

    fn settle(&mut self) {
        if !self.tail.is_empty() {
            self.pieces.push(core::mem::take(&mut self.tail).freeze());
        }
    }
}
