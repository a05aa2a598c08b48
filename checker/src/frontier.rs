//! States that wait to be expanded, level by level: in memory while the budget lasts, then on disk.

use crate::space::{Chunk, Space};
use std::{
    collections::VecDeque,
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    path::PathBuf,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

/// Where a chunk waits.
pub enum Slot<S: Space> {
    /// In memory.
    Memory(Chunk<S>),
    /// In the level's file.
    Disk {
        /// Offset.
        at: u64,
        /// Length in bytes.
        bytes: u64,
        /// How many nodes.
        len: u32,
    },
}

/// How much memory may be used, and how much is.
pub struct Budget {
    /// Bytes for table and waiting states together.
    pub max: u64,
    /// The table's bytes.
    table: AtomicU64,
    /// Bytes of waiting states in memory.
    pub frontier: AtomicU64,
    /// Most of both together so far.
    pub peak: AtomicU64,
    /// Bytes of waiting states that were written to disk, ever.
    pub spilled: AtomicU64,
    /// The process uses more than is accounted for: what can wait on disk does.
    pub tight: AtomicBool,
}

impl Budget {
    /// Nothing is used yet.
    pub fn new(max: Option<u64>) -> Budget {
        Budget {
            max: max.unwrap_or(u64::MAX),
            table: AtomicU64::new(0),
            frontier: AtomicU64::new(0),
            peak: AtomicU64::new(0),
            spilled: AtomicU64::new(0),
            tight: AtomicBool::new(false),
        }
    }

    /// The table has this size, or will have it next.
    pub fn set_table(&self, bytes: u64) {
        self.table.store(bytes, Ordering::Relaxed);
        if !self.exceeded() {
            self.peak.fetch_max(bytes + self.frontier.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    /// Whether table and waiting states need more than there is.
    pub fn exceeded(&self) -> bool {
        self.table.load(Ordering::Relaxed) + self.frontier.load(Ordering::Relaxed) > self.max
    }

    /// Whether so many bytes more stay within the budget; they are counted if they do.
    fn admit(&self, bytes: u64) -> bool {
        let waiting = self.frontier.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let used = waiting + self.table.load(Ordering::Relaxed);
        let fits = used <= self.max && !self.tight.load(Ordering::Relaxed);
        if fits {
            self.peak.fetch_max(used, Ordering::Relaxed);
        } else {
            self.release(bytes);
        }
        fits
    }

    fn release(&self, bytes: u64) {
        self.frontier.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// A level's file. It has no name: nothing is left of it when the process ends, however it ends.
pub struct Spill {
    dir: PathBuf,
    file: Mutex<Option<(File, u64)>>,
}

impl Spill {
    /// In this folder, once something is written.
    pub fn new(dir: PathBuf) -> Spill {
        Spill { dir, file: Mutex::new(None) }
    }

    fn write(&self, bytes: &[u8]) -> io::Result<u64> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if file.is_none() {
            *file = Some((tempfile::tempfile_in(&self.dir)?, 0));
        }
        let (file, end) = file.as_mut().expect("it was just opened");
        file.seek(SeekFrom::Start(*end))?;
        file.write_all(bytes)?;
        let at = *end;
        *end += bytes.len() as u64;
        Ok(at)
    }

    fn read(&self, at: u64, bytes: u64) -> io::Result<Vec<u8>> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let (file, _) = file.as_mut().ok_or(io::ErrorKind::NotFound)?;
        file.seek(SeekFrom::Start(at))?;
        let mut content = vec![0; bytes as usize];
        file.read_exact(&mut content)?;
        Ok(content)
    }
}

/// The level that is being filled: keeps a sealed chunk where there is room.
///
/// # Errors
/// If it has to go to disk and cannot.
pub fn keep<S: Space>(space: &S, mut chunk: Chunk<S>, budget: &Budget, spill: &Spill) -> io::Result<Slot<S>> {
    space.seal(&mut chunk);
    keep_sealed(space, chunk, budget, spill)
}

/// The same for a chunk that is sealed already.
///
/// # Errors
/// As [`keep`].
pub fn keep_sealed<S: Space>(
    space: &S,
    chunk: Chunk<S>,
    budget: &Budget,
    spill: &Spill,
) -> io::Result<Slot<S>> {
    // What cannot go to disk is counted all the same; the search then ends for lack of memory.
    if budget.admit(space.bytes(&chunk)) {
        return Ok(Slot::Memory(chunk));
    }
    if !S::STORABLE {
        budget.frontier.fetch_add(space.bytes(&chunk), Ordering::Relaxed);
        return Ok(Slot::Memory(chunk));
    }
    store(space, &chunk, budget, spill)
}

fn store<S: Space>(space: &S, chunk: &Chunk<S>, budget: &Budget, spill: &Spill) -> io::Result<Slot<S>> {
    let bytes = space.save(chunk);
    let at = spill.write(&bytes)?;
    budget.spilled.fetch_add(bytes.len() as u64, Ordering::Relaxed);
    Ok(Slot::Disk { at, bytes: bytes.len() as u64, len: chunk.len })
}

/// Moves the chunk to disk, if it can.
///
/// # Errors
/// If it cannot be written.
pub fn evict<S: Space>(space: &S, slot: &mut Slot<S>, budget: &Budget, spill: &Spill) -> io::Result<()> {
    if let Slot::Memory(chunk) = slot
        && S::STORABLE
    {
        let stored = store(space, chunk, budget, spill)?;
        budget.release(space.bytes(chunk));
        *slot = stored;
    }
    Ok(())
}

/// A level that is being read, from front to back.
pub struct Level<S: Space> {
    /// What waits.
    pub slots: Mutex<VecDeque<Slot<S>>>,
    /// Where slots on disk are.
    pub spill: Spill,
    /// How many nodes there were.
    pub nodes: u64,
}

impl<S: Space> Level<S> {
    /// From its slots.
    pub fn new(slots: VecDeque<Slot<S>>, spill: Spill) -> Level<S> {
        let nodes = slots.iter().map(Slot::nodes).map(u64::from).sum();
        Level { slots: Mutex::new(slots), spill, nodes }
    }

    /// The next chunk.
    ///
    /// # Errors
    /// If it is on disk and cannot be read.
    pub fn pop(&self, space: &S, budget: &Budget) -> io::Result<Option<Chunk<S>>> {
        let slot = self.slots.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        match slot {
            None => Ok(None),
            Some(Slot::Memory(chunk)) => {
                budget.release(space.bytes(&chunk));
                Ok(Some(chunk))
            }
            Some(slot) => self.fetch(space, &slot).map(Some),
        }
    }

    /// A copy of a chunk as bytes, in the form of [`Space::save`].
    ///
    /// # Errors
    /// If it is on disk and cannot be read.
    pub fn copy(&self, space: &S, slot: &Slot<S>) -> io::Result<Vec<u8>> {
        match slot {
            Slot::Memory(chunk) => Ok(space.save(chunk)),
            Slot::Disk { at, bytes, .. } => self.spill.read(*at, *bytes),
        }
    }

    fn fetch(&self, space: &S, slot: &Slot<S>) -> io::Result<Chunk<S>> {
        let bytes = self.copy(space, slot)?;
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, "a spilled chunk has changed on disk");
        space.load(&bytes, slot.nodes()).ok_or_else(damaged)
    }
}

impl<S: Space> Slot<S> {
    /// How many nodes.
    pub fn nodes(&self) -> u32 {
        match self {
            Slot::Memory(chunk) => chunk.len,
            Slot::Disk { len, .. } => *len,
        }
    }
}
