//! Memory for what large reads find, used again as soon as the initiator's socket has taken it.
//!
//! An allocator gives a large buffer back to the operating system when it is dropped, and the next one comes as pages that have to be mapped
//! and cleared first: a quarter of the time of the process when reads of 256 KiB were outstanding eight at a time. What is lent here stays
//! known, and is free when nobody else holds a part of it. The one that came back last is lent first, because the processor's cache still has it.

use bytes::{Bytes, BytesMut};
use std::io;

/// Reads shorter than this take memory from the allocator, which keeps such pieces to itself.
const LARGE: usize = 32 << 10;
/// Bytes that are kept at most, lent or free.
const KEPT_MAX: usize = 16 << 20;

/// The buffers.
#[derive(Default, Debug)]
pub(super) struct Buffers {
    /// All of them, the one that was lent last at the end.
    whole: Vec<Bytes>,
    bytes: usize,
}

impl Buffers {
    /// So many bytes, filled by `read`.
    ///
    /// # Errors
    /// What `read` says.
    pub(super) fn fill(
        &mut self,
        length: usize,
        read: impl FnOnce(&mut [u8]) -> io::Result<()>,
    ) -> io::Result<Bytes> {
        if length < LARGE {
            let mut buffer = BytesMut::zeroed(length);
            read(&mut buffer)?;
            return Ok(buffer.freeze());
        }
        let mut buffer = self.take(length);
        let result = read(&mut buffer[..length]);
        let filled = self.lend(buffer, length);
        result.map(|()| filled)
    }

    /// So many bytes of one that was taken, which is free again when nobody holds any of them.
    pub(super) fn lend(&mut self, buffer: BytesMut, length: usize) -> Bytes {
        let whole = buffer.freeze();
        let lent = whole.slice(..length);
        self.keep(whole);
        lent
    }

    /// A free one that is large enough, or a new one; it may be larger.
    pub(super) fn take(&mut self, length: usize) -> BytesMut {
        let fits = |whole: &Bytes| whole.len() >= length && whole.is_unique();
        let free = self.whole.iter().rposition(fits).map(|at| self.whole.remove(at));
        if let Some(whole) = free {
            self.bytes -= whole.len();
            if let Ok(buffer) = whole.try_into_mut() {
                return buffer;
            }
        }
        BytesMut::zeroed(length.next_power_of_two())
    }

    /// Keeps it if there is room, which free ones that were lent long ago have to make.
    fn keep(&mut self, whole: Bytes) {
        while self.bytes + whole.len() > KEPT_MAX {
            let Some(at) = self.whole.iter().position(Bytes::is_unique) else { return };
            self.bytes -= self.whole.remove(at).len();
        }
        self.bytes += whole.len();
        self.whole.push(whole);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(buffers: &mut Buffers, length: usize, with: u8) -> Bytes {
        let fill = |buffer: &mut [u8]| {
            assert_eq!(buffer.len(), length);
            buffer.fill(with);
            Ok(())
        };
        buffers.fill(length, fill).expect("nothing fails")
    }

    #[test]
    fn what_somebody_holds_is_never_lent_again_and_what_is_free_is() {
        let mut buffers = Buffers::default();
        let first = filled(&mut buffers, 300_000, 1);
        let part = first.slice(100_000..100_001);
        let place = first.as_ptr();
        drop(first);
        let second = filled(&mut buffers, 200_000, 2);
        assert_eq!(&part[..], [1], "a part of it is on its way");
        assert_ne!(second.as_ptr(), place);
        drop(part);
        assert_eq!(filled(&mut buffers, 262_144, 3).as_ptr(), place, "it is free now");
        assert!(second.iter().all(|byte| *byte == 2));
    }

    #[test]
    fn a_read_that_fails_gives_nothing_and_loses_nothing() {
        let mut buffers = Buffers::default();
        let failed = buffers.fill(LARGE, |_| Err(io::ErrorKind::UnexpectedEof.into()));
        assert_eq!(failed.expect_err("it was refused").kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(buffers.whole.len(), 1);
    }

    #[test]
    fn no_more_is_kept_than_there_is_room_for() {
        let mut buffers = Buffers::default();
        let lent: Vec<Bytes> = (0..40).map(|with| filled(&mut buffers, 1 << 20, with)).collect();
        assert!(buffers.bytes <= KEPT_MAX);
        assert!(lent.iter().zip(0u8..).all(|(bytes, with)| bytes.iter().all(|byte| *byte == with)));
        drop(lent);
        // The largest that there may be: the others make room.
        drop(filled(&mut buffers, KEPT_MAX, 7));
        assert_eq!((buffers.whole.len(), buffers.bytes), (1, KEPT_MAX));
        drop(filled(&mut buffers, KEPT_MAX + 1, 8));
        assert!(buffers.bytes <= KEPT_MAX);
    }
}
