//! Headers and data as pieces for one vectored write.
//!
//! Headers, digests, padding and small data are written into one growing buffer, large data stay the slices that they are: a read of
//! 4 KiB leaves as two pieces, and several small answers as one.

use super::{Digests, HEADER_LENGTH, Header};
use crate::iscsi::crc::Crc32c;
use alloc::vec::Vec;
use bytes::{Bytes, BytesMut};

/// Data shorter than this are copied beside their header.
const COPIED_BELOW: usize = 512;
/// How much the buffer grows by.
const BUFFER: usize = 4096;

/// The sender's side of one connection.
#[derive(Clone, Debug, Default)]
pub struct Writer {
    digests: Digests,
    pieces: Vec<Bytes>,
    buffer: BytesMut,
}

impl Writer {
    /// What holds for the PDUs that follow.
    pub fn set(&mut self, digests: Digests) {
        self.digests = digests;
    }

    /// Nothing is waiting to be sent.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty() && self.buffer.is_empty()
    }

    /// Appends a PDU. There is no additional header: neither side of ours needs one.
    ///
    /// # Panics
    ///
    /// Data of 16 MiB and more, which no declared MaxRecvDataSegmentLength allows.
    pub fn put(&mut self, header: &Header, data: &[Bytes]) {
        let length: usize = data.iter().map(Bytes::len).sum();
        let mut bhs = header.write();
        assert!(length < 1 << 24, "a data segment of {length} bytes has no length field");
        bhs[5..8].copy_from_slice(&(length as u32).to_be_bytes()[1..]);
        if self.buffer.capacity() < self.buffer.len() + HEADER_LENGTH + COPIED_BELOW + 12 {
            self.buffer.reserve(BUFFER);
        }
        self.buffer.extend_from_slice(&bhs);
        if self.digests.header {
            self.buffer.extend_from_slice(&Crc32c::new().with(&bhs).digest());
        }
        if length == 0 {
            return;
        }
        for piece in data {
            if piece.len() < COPIED_BELOW {
                self.buffer.extend_from_slice(piece);
            } else {
                self.settle();
                self.pieces.push(piece.clone());
            }
        }
        let padding = &[0; 4][..length.next_multiple_of(4) - length];
        self.buffer.extend_from_slice(padding);
        if self.digests.data {
            let crc = data.iter().fold(Crc32c::new(), |crc, piece| crc.with(piece)).with(padding);
            self.buffer.extend_from_slice(&crc.digest());
        }
    }

    /// Everything that was appended since the last time, in order.
    pub fn take(&mut self) -> Vec<Bytes> {
        self.settle();
        core::mem::take(&mut self.pieces)
    }

    fn settle(&mut self) {
        if !self.buffer.is_empty() {
            self.pieces.push(self.buffer.split().freeze());
        }
    }
}
