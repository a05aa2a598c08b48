//! A second pair of hands for large reads.
//!
//! To copy 256 KiB out of the page cache takes as long as to hand them to a socket. So when several reads wait, one is carried out here while
//! what another has found is sent. The array keeps writes off the range of a read until it has ended, wherever it is carried out.
//!
//! A read that comes alone stays with the thread that has taken it: waking another one takes longer than a small read.

use crate::disk::{Read, Reading};
use redline_fabric::array::DiskId;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use tokio::sync::Notify;

/// Reads that it has at a time: one that it carries out, and one for when that has ended.
const UNDER_WAY_MAX: usize = 2;

/// The thread, as the process's loop sees it. It ends when this is dropped.
pub(super) struct Helper {
    reads: Sender<(DiskId, Reading)>,
    ended: Receiver<(DiskId, Read)>,
    under_way: usize,
}

impl Helper {
    /// Starts it. It calls `wake` after every read.
    ///
    /// # Errors
    /// If there is no thread to be had.
    pub(super) fn start(wake: Arc<Notify>) -> io::Result<Helper> {
        let (reads, to_do) = channel::<(DiskId, Reading)>();
        let (done, ended) = channel();
        thread::Builder::new().name("reads".to_owned()).spawn(move || {
            for (id, reading) in to_do {
                if done.send((id, reading.carry_out())).is_err() {
                    return;
                }
                wake.notify_one();
            }
        })?;
        Ok(Helper { reads, ended, under_way: 0 })
    }

    /// Whether it takes another one.
    pub(super) fn is_free(&self) -> bool {
        self.under_way < UNDER_WAY_MAX
    }

    /// Whether it has something to do.
    pub(super) fn is_busy(&self) -> bool {
        self.under_way > 0
    }

    /// Gives it a read. One that it cannot take any more comes back carried out.
    pub(super) fn give(&mut self, id: DiskId, reading: Reading) -> Option<(DiskId, Read)> {
        match self.reads.send((id, reading)) {
            Ok(()) => {
                self.under_way += 1;
                None
            }
            Err(back) => Some((back.0.0, back.0.1.carry_out())),
        }
    }

    /// A read that has ended.
    pub(super) fn take(&mut self) -> Option<(DiskId, Read)> {
        let ended = if self.is_busy() { self.ended.try_recv().ok() } else { None };
        self.under_way -= usize::from(ended.is_some());
        ended
    }
}
