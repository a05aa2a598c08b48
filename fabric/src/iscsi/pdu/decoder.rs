//! A byte stream cut into PDUs.
//!
//! Chunks go in as they were read; whole PDUs come out, their data as slices of the chunks. The lengths that a header announces are
//! compared with the limits as soon as the header is there, before anything is kept for the rest: what is held at any time is less than
//! one PDU within the limits, and what the driver has pushed since the last call of [`Decoder::next`].
//!
//! What cannot be delimited ([`Malformed`]) ends the stream. A PDU that can be delimited but not understood is handed out, so that it can
//! be rejected.

use super::{Bhs, Digests, HEADER_LENGTH, Header, HeaderError, Payload};
use crate::iscsi::crc::Crc32c;
use alloc::collections::VecDeque;
use bytes::{Bytes, BytesMut};
use core::fmt;

/// Chunks shorter than this are copied, unless a PDU begins with them.
const COPIED_BELOW: usize = 512;

/// What a stream may announce.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Bounds {
    /// Data segment of one PDU, in bytes: what was declared as MaxRecvDataSegmentLength.
    pub data_max: u32,
    /// Additional header segments of one PDU, in bytes.
    pub ahs_max: u16,
}

/// Why a stream cannot be followed any further.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Malformed {
    /// The data segment is longer than was agreed.
    Data {
        /// Bytes announced.
        announced: u32,
        /// Bytes allowed.
        allowed: u32,
    },
    /// The additional header segments are longer than is allowed.
    AdditionalHeader {
        /// Bytes announced.
        announced: u16,
        /// Bytes allowed.
        allowed: u16,
    },
    /// The header digest does not fit the header: nothing that it says can be relied upon, its lengths included.
    HeaderDigest,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Malformed::Data { announced, allowed } => {
                write!(f, "a PDU announces {announced} bytes of data where {allowed} are allowed")
            }
            Malformed::AdditionalHeader { announced, allowed } => {
                write!(
                    f,
                    "a PDU announces {announced} bytes of additional header where {allowed} are allowed"
                )
            }
            Malformed::HeaderDigest => write!(f, "a header does not fit its digest"),
        }
    }
}

impl core::error::Error for Malformed {}

/// One PDU as it came.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    /// The basic header, as a Reject sends it back.
    pub bhs: Bhs,
    /// What it says.
    pub header: Result<Header, HeaderError>,
    /// Additional header segments.
    pub ahs: Bytes,
    /// Data, without padding.
    pub data: Payload,
    /// The data fit their digest, or there is none.
    pub intact: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Lengths {
    ahs: usize,
    data: usize,
}

/// The reader of one direction of a connection.
#[derive(Clone, Debug)]
pub struct Decoder {
    bounds: Bounds,
    digests: Digests,
    chunks: VecDeque<Bytes>,
    /// Small chunks behind [`Decoder::chunks`], copied together.
    tail: BytesMut,
    held: usize,
    /// A header that is waiting for what it announces.
    header: Option<(Bhs, Lengths)>,
}

impl Decoder {
    /// At the start of a stream: digests are off until they are agreed on.
    #[must_use]
    pub fn new(bounds: Bounds) -> Decoder {
        Decoder {
            bounds,
            digests: Digests::default(),
            chunks: VecDeque::new(),
            tail: BytesMut::new(),
            held: 0,
            header: None,
        }
    }

    /// What holds for the PDUs that follow.
    pub fn set(&mut self, bounds: Bounds, digests: Digests) {
        self.bounds = bounds;
        self.digests = digests;
    }

    /// How many bytes it holds.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held + self.header.map_or(0, |_| HEADER_LENGTH)
    }

    /// How many bytes more the PDU needs that is under way; 0 if none is.
    #[must_use]
    pub fn missing(&self) -> usize {
        self.header.map_or(0, |(_, lengths)| self.body(lengths).saturating_sub(self.held))
    }

    /// Appends what was read. Small chunks in the middle of a PDU are copied together: a peer that sends a byte at a time cannot make each
    /// byte cost a slice.
    pub fn push(&mut self, chunk: Bytes) {
        if chunk.is_empty() {
            return;
        }
        let small = chunk.len() < COPIED_BELOW && self.held > 0;
        self.held += chunk.len();
        if small {
            self.tail.extend_from_slice(&chunk);
        } else {
            self.settle();
            self.chunks.push_back(chunk);
        }
    }

    fn settle(&mut self) {
        if !self.tail.is_empty() {
            self.chunks.push_back(self.tail.split().freeze());
        }
    }

    /// The next PDU, if all of it is there.
    ///
    /// # Errors
    ///
    /// The stream cannot be followed any further; the decoder is of no use afterwards.
    #[allow(clippy::should_implement_trait, reason = "it fails, and more may come after None")]
    pub fn next(&mut self) -> Result<Option<Frame>, Malformed> {
        let (bhs, lengths) = match self.header {
            Some(header) => header,
            None => {
                if self.held < HEADER_LENGTH {
                    return Ok(None);
                }
                let bhs = self.copy::<HEADER_LENGTH>();
                let lengths = self.lengths(&bhs)?;
                self.header = Some((bhs, lengths));
                (bhs, lengths)
            }
        };
        if self.held < self.body(lengths) {
            return Ok(None);
        }
        self.header = None;
        self.frame(bhs, lengths).map(Some)
    }

    fn lengths(&self, bhs: &Bhs) -> Result<Lengths, Malformed> {
        let ahs = u16::from(bhs[4]) * 4;
        let data = u32::from_be_bytes([0, bhs[5], bhs[6], bhs[7]]);
        let Bounds { data_max, ahs_max } = self.bounds;
        // A header that is announced wrongly may be a header that was damaged. Its digest cannot be asked: where it stands depends on the
        // length in question. Either way the stream ends here.
        if ahs > ahs_max {
            return Err(Malformed::AdditionalHeader { announced: ahs, allowed: ahs_max });
        }
        if data > data_max {
            return Err(Malformed::Data { announced: data, allowed: data_max });
        }
        Ok(Lengths { ahs: usize::from(ahs), data: data as usize })
    }

    fn body(&self, lengths: Lengths) -> usize {
        let header_digest = if self.digests.header { 4 } else { 0 };
        let data_digest = if self.digests.data && lengths.data > 0 { 4 } else { 0 };
        lengths.ahs + header_digest + lengths.data.next_multiple_of(4) + data_digest
    }

    fn frame(&mut self, bhs: Bhs, lengths: Lengths) -> Result<Frame, Malformed> {
        let ahs = self.take(lengths.ahs).joined();
        if self.digests.header && Crc32c::new().with(&bhs).with(&ahs).digest() != self.copy::<4>() {
            return Err(Malformed::HeaderDigest);
        }
        let data = self.take(lengths.data);
        let padding = self.take(lengths.data.next_multiple_of(4) - lengths.data);
        let intact = if self.digests.data && lengths.data > 0 {
            let crc = data.pieces().chain(padding.pieces()).fold(Crc32c::new(), |crc, piece| crc.with(piece));
            crc.digest() == self.copy::<4>()
        } else {
            true
        };
        Ok(Frame { bhs, header: Header::read(&bhs), ahs, data, intact })
    }

    /// The next `bytes`, which are there.
    fn take(&mut self, bytes: usize) -> Payload {
        let mut taken = Payload::default();
        while taken.len() < bytes {
            let wanted = bytes - taken.len();
            if self.chunks.is_empty() {
                self.settle();
            }
            let front = self.chunks.front_mut().expect("the caller has counted what is held");
            if front.len() > wanted {
                taken.push(front.split_to(wanted));
            } else {
                taken.push(self.chunks.pop_front().expect("it was just looked at"));
            }
        }
        self.held -= bytes;
        taken
    }

    fn copy<const N: usize>(&mut self) -> [u8; N] {
        let mut out = [0; N];
        let mut at = 0;
        self.take(N).pieces().for_each(|piece| {
            out[at..at + piece.len()].copy_from_slice(piece);
            at += piece.len();
        });
        out
    }
}
