//! Where states come from, one file a level: pairs of fingerprints, sorted by the first.

use crate::fingerprint::Fingerprint;
use rustc_hash::FxHashMap;
use std::{
    fs::File,
    io::{self, BufWriter, Read, Seek, SeekFrom, Write},
    path::PathBuf,
};

/// The levels so far.
pub struct Parents {
    dir: PathBuf,
    levels: Vec<(File, u64)>,
}

/// Bytes of an entry: two fingerprints of two words.
const ENTRY: u64 = 32;

impl Parents {
    /// Files without names in this folder.
    pub fn new(dir: PathBuf) -> Parents {
        Parents { dir, levels: Vec::new() }
    }

    /// Adds the next level, the first being level 1.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn push<F: Fingerprint>(&mut self, level: FxHashMap<F, [u64; 2]>) -> io::Result<()> {
        let mut entries: Vec<([u64; 2], [u64; 2])> = level
            .into_iter()
            .map(|(fingerprint, parent)| (super::network::words(fingerprint), parent))
            .collect();
        entries.sort_unstable();
        let mut file = BufWriter::new(tempfile::tempfile_in(&self.dir)?);
        for (fingerprint, parent) in &entries {
            for word in fingerprint.iter().chain(parent) {
                file.write_all(&word.to_le_bytes())?;
            }
        }
        let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        self.levels.push((file, entries.len() as u64));
        Ok(())
    }

    /// Where the state of this level comes from: zeros for an initial state, `None` if it is not there.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn of(&mut self, level: u64, fingerprint: [u64; 2]) -> io::Result<Option<[u64; 2]>> {
        let Some((file, count)) = level.checked_sub(1).and_then(|at| self.levels.get_mut(at as usize)) else {
            return Ok(None);
        };
        let (mut from, mut to) = (0, *count);
        while from < to {
            let middle = from.midpoint(to);
            file.seek(SeekFrom::Start(middle * ENTRY))?;
            let mut entry = [0; ENTRY as usize];
            file.read_exact(&mut entry)?;
            let word = |at: usize| {
                u64::from_le_bytes(*entry[8 * at..].first_chunk().expect("an entry has four words"))
            };
            match [word(0), word(1)].cmp(&fingerprint) {
                std::cmp::Ordering::Less => from = middle + 1,
                std::cmp::Ordering::Greater => to = middle,
                std::cmp::Ordering::Equal => return Ok(Some([word(2), word(3)])),
            }
        }
        Ok(None)
    }
}
