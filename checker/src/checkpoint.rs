//! Checkpoints: what a search needs to go on after its process was killed.
//!
//! The idea: fingerprints are appended to `seen.log` as they are found, each once; at the end of a level the waiting states are
//! written to a file of their own, everything is flushed to the disk, and then `manifest.json` is replaced atomically. A kill at
//! any moment leaves the last manifest, its frontier file, and a log that begins with what that manifest counts.

use crate::{
    fingerprint::Fingerprint,
    frontier::{Budget, Level, Spill, keep_sealed},
    report::Error,
    search::{Plan, Tally},
    space::Space,
    table::Table,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::VecDeque,
    fs::{self, File, OpenOptions},
    io::{self, BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};
use xxhash_rust::xxh3::Xxh3;

/// Version of the format.
const VERSION: u32 = 1;

/// Whether and where the progress of a search is kept.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    /// A folder for it.
    pub dir: PathBuf,
    /// Least time between two checkpoints; they are made between levels only.
    pub every: Duration,
    /// What is checked: model, bounds and version in words. A checkpoint of something else is not continued.
    pub identity: String,
    /// Continue what is there, which must be something; otherwise begin anew.
    pub resume: bool,
}

#[derive(Serialize, Deserialize)]
struct Manifest {
    version: u32,
    identity: String,
    fingerprint_words: usize,
    levels: Vec<u64>,
    generated: u64,
    fired: Vec<u64>,
    found: Vec<Option<u64>>,
    seen: u64,
    /// Sum of all words of the fingerprints, modulo 2⁶⁴.
    seen_sum: u64,
    frontier: String,
    frontier_xxh3: u64,
    elapsed_ms: u64,
}

/// Writes checkpoints.
pub struct Recorder {
    dir: PathBuf,
    every: Duration,
    identity: String,
    log: Mutex<Log>,
    last: Mutex<Instant>,
}

struct Log {
    file: BufWriter<File>,
    words: u64,
    sum: u64,
    per_fingerprint: usize,
}

/// A search as it was.
pub struct Resumed<S: Space, F> {
    /// What was seen.
    pub table: Table<F>,
    /// What waits.
    pub level: Level<S>,
    /// What was counted.
    pub tally: Tally,
    /// Writes on.
    pub recorder: Recorder,
}

/// Adds a fingerprint to a thread's part of the log.
#[inline]
pub fn put<F: Fingerprint>(log: &mut Vec<u8>, fingerprint: F) {
    log.extend_from_slice(&fingerprint.lead().to_le_bytes());
    if F::WORDS == 2 {
        log.extend_from_slice(&fingerprint.tail().to_le_bytes());
    }
}

impl Recorder {
    /// Begins anew.
    ///
    /// # Errors
    /// If the folder cannot be used.
    pub fn create(checkpoints: &Checkpoints, words: usize) -> io::Result<Recorder> {
        fs::create_dir_all(&checkpoints.dir)?;
        // The manifest goes first: without it nothing else counts.
        match fs::remove_file(checkpoints.dir.join("manifest.json")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        Recorder::on(checkpoints, File::create(checkpoints.dir.join("seen.log"))?, words, 0, 0)
    }

    fn on(
        checkpoints: &Checkpoints,
        file: File,
        per_fingerprint: usize,
        words: u64,
        sum: u64,
    ) -> io::Result<Recorder> {
        Ok(Recorder {
            dir: checkpoints.dir.clone(),
            every: checkpoints.every,
            identity: checkpoints.identity.clone(),
            log: Mutex::new(Log { file: BufWriter::new(file), words, sum, per_fingerprint }),
            last: Mutex::new(Instant::now()),
        })
    }

    /// Appends a thread's part and empties it.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn log(&self, part: &mut Vec<u8>) -> io::Result<()> {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.file.write_all(part)?;
        for word in part.as_chunks::<8>().0 {
            log.sum = log.sum.wrapping_add(u64::from_le_bytes(*word));
            log.words += 1;
        }
        part.clear();
        Ok(())
    }

    /// A level is done, and all parts are logged: keeps what is needed to go on from here, if it is time.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn level_done<S: Space, F: Fingerprint>(
        &self,
        space: &S,
        table: &Table<F>,
        level: &Level<S>,
        tally: &Tally,
        elapsed: Duration,
    ) -> io::Result<()> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.elapsed() < self.every {
            return Ok(());
        }
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.file.flush()?;
        log.file.get_ref().sync_data()?;
        debug_assert_eq!(log.words, table.len() * log.per_fingerprint as u64);
        let frontier = format!("frontier-{}.bin", tally.levels.len());
        let frontier_xxh3 = self.write_frontier(space, level, &frontier)?;
        let manifest = Manifest {
            version: VERSION,
            identity: self.identity.clone(),
            fingerprint_words: F::WORDS,
            levels: tally.levels.clone(),
            generated: tally.generated,
            fired: tally.fired.clone(),
            found: tally.found.clone(),
            seen: table.len(),
            seen_sum: log.sum,
            frontier: frontier.clone(),
            frontier_xxh3,
            elapsed_ms: elapsed.as_millis() as u64,
        };
        let text = serde_json::to_vec_pretty(&manifest)?;
        write_durably(&self.dir, "manifest.json", |file| file.write_all(&text))?;
        for entry in fs::read_dir(&self.dir)? {
            let name = entry?.file_name();
            let name = name.to_string_lossy();
            if name.starts_with("frontier-") && *name != *frontier {
                fs::remove_file(self.dir.join(&*name))?;
            }
        }
        *last = Instant::now();
        Ok(())
    }

    fn write_frontier<S: Space>(&self, space: &S, level: &Level<S>, name: &str) -> io::Result<u64> {
        let mut hash = Xxh3::new();
        write_durably(&self.dir, name, |file| {
            let slots = level.slots.lock().unwrap_or_else(PoisonError::into_inner);
            for slot in slots.iter() {
                let bytes = level.copy(space, slot)?;
                let head =
                    [u64::from(slot.nodes()).to_le_bytes(), (bytes.len() as u64).to_le_bytes()].concat();
                for part in [&head, &bytes] {
                    hash.update(part);
                    file.write_all(part)?;
                }
            }
            Ok(())
        })?;
        Ok(hash.digest())
    }
}

/// Writes a file that is there whole or not at all.
fn write_durably(
    dir: &Path,
    name: &str,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> io::Result<()> {
    let under_way = dir.join(format!("{name}.part"));
    let mut file = BufWriter::new(File::create(&under_way)?);
    write(&mut file)?;
    file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    fs::rename(under_way, dir.join(name))?;
    File::open(dir)?.sync_all()
}

/// The search of the last checkpoint; `None` to begin anew.
///
/// # Errors
/// If there is to be a checkpoint and is none, or it is damaged or of something else.
pub fn resume<S: Space, F: Fingerprint>(
    space: &S,
    checkpoints: &Checkpoints,
    plan: &Plan<'_>,
    budget: &Budget,
) -> Result<Option<Resumed<S, F>>, Error> {
    if !S::STORABLE {
        return Err(wrong(checkpoints, "states of this model cannot be stored".to_owned()));
    }
    if !checkpoints.resume {
        return Ok(None);
    }
    let manifest = read_manifest::<S, F>(space, checkpoints)?;
    let (table, log) = read_seen::<F>(checkpoints, &manifest, plan, budget)?;
    let level = read_frontier(space, checkpoints, &manifest, plan, budget)?;
    let tally = Tally {
        generated: manifest.generated,
        levels: manifest.levels,
        fired: manifest.fired,
        found: manifest.found,
    };
    let words = table.len() * F::WORDS as u64;
    let recorder = Recorder::on(checkpoints, log, F::WORDS, words, manifest.seen_sum)?;
    Ok(Some(Resumed { table, level, tally, recorder }))
}

fn wrong(checkpoints: &Checkpoints, why: String) -> Error {
    Error::Checkpoint { dir: checkpoints.dir.clone(), why }
}

fn read_manifest<S: Space, F: Fingerprint>(space: &S, checkpoints: &Checkpoints) -> Result<Manifest, Error> {
    let wrong = |why: String| wrong(checkpoints, why);
    let text = fs::read(checkpoints.dir.join("manifest.json"))
        .map_err(|error| wrong(format!("nothing to resume: manifest.json: {error}")))?;
    let manifest: Manifest =
        serde_json::from_slice(&text).map_err(|error| wrong(format!("manifest.json: {error}")))?;
    if manifest.version != VERSION {
        return Err(wrong(format!("manifest.json has version {}, not {VERSION}", manifest.version)));
    }
    if manifest.identity != checkpoints.identity {
        return Err(wrong(format!(
            "it is of `{}`, and this check is of `{}`",
            manifest.identity, checkpoints.identity
        )));
    }
    let subject = space.subject();
    if manifest.fingerprint_words != F::WORDS {
        let (its, ours) = (manifest.fingerprint_words * 64, F::WORDS * 64);
        return Err(wrong(format!("its fingerprints have {its} bits, and this check wants {ours}")));
    }
    if manifest.fired.len() != subject.kinds.names.len()
        || manifest.found.len() != subject.claims.len()
        || manifest.frontier.contains(['/', '\\'])
    {
        return Err(wrong("manifest.json does not fit the model's actions and properties".to_owned()));
    }
    Ok(manifest)
}

/// The table, and the log open at the end of what the manifest counts.
fn read_seen<F: Fingerprint>(
    checkpoints: &Checkpoints,
    manifest: &Manifest,
    plan: &Plan<'_>,
    budget: &Budget,
) -> Result<(Table<F>, File), Error> {
    let wrong = |why: &str| wrong(checkpoints, format!("seen.log {why}"));
    let path = checkpoints.dir.join("seen.log");
    let file = OpenOptions::new().read(true).write(true).open(&path)?;
    let bytes = manifest.seen * F::WORDS as u64 * 8;
    if file.metadata()?.len() < bytes {
        return Err(wrong("is shorter than its manifest says"));
    }
    let mut reader = BufReader::with_capacity(1 << 20, &file).take(bytes);
    let mut table = Table::<F>::new()?;
    let mut sum = 0u64;
    let mut fingerprints = Vec::with_capacity(4096);
    let mut left = manifest.seen;
    while left > 0 {
        fingerprints.clear();
        for _ in 0..left.min(4096) {
            let mut words = [0u64; 2];
            for word in words.iter_mut().take(F::WORDS) {
                let mut bytes = [0; 8];
                reader.read_exact(&mut bytes)?;
                *word = u64::from_le_bytes(bytes);
                sum = sum.wrapping_add(*word);
            }
            fingerprints.push(F::from_words(words[0], words[1]));
        }
        left -= fingerprints.len() as u64;
        if !table.reserve(fingerprints.len()) {
            let room = table.grow(fingerprints.len(), budget.max - budget.max / 16, plan.limits.threads)?;
            if !room {
                return Err(wrong("does not fit into the memory budget"));
            }
            table.reserve(fingerprints.len());
        }
        fingerprints.iter().for_each(|one| table.prefetch(*one));
        if !fingerprints.iter().all(|one| one.lead() != 0 && table.insert(*one)) {
            return Err(wrong("has a fingerprint twice, or an empty one"));
        }
    }
    drop(reader);
    if sum != manifest.seen_sum {
        return Err(wrong("does not have the sum that its manifest says"));
    }
    // What was found after the checkpoint will be found again.
    file.set_len(bytes)?;
    let mut file = file;
    io::Seek::seek(&mut file, io::SeekFrom::End(0))?;
    Ok((table, file))
}

fn read_frontier<S: Space>(
    space: &S,
    checkpoints: &Checkpoints,
    manifest: &Manifest,
    plan: &Plan<'_>,
    budget: &Budget,
) -> Result<Level<S>, Error> {
    let wrong = |why: &str| wrong(checkpoints, format!("{} {why}", manifest.frontier));
    let path = checkpoints.dir.join(&manifest.frontier);
    let mut left = fs::metadata(&path)?.len();
    let mut reader = BufReader::new(File::open(&path)?);
    let mut hash = Xxh3::new();
    let mut slots = VecDeque::new();
    let spill = Spill::new(plan.spill_dir.clone());
    while left > 0 {
        let mut head = [0; 16];
        reader.read_exact(&mut head).map_err(|_| wrong("ends within a chunk"))?;
        let (nodes, bytes) = head.split_at(8);
        let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("eight of sixteen bytes"));
        let (nodes, bytes) = (number(nodes), number(bytes));
        left = left
            .checked_sub(16)
            .and_then(|left| left.checked_sub(bytes))
            .ok_or_else(|| wrong("ends within a chunk"))?;
        let mut content = vec![0; bytes as usize];
        reader.read_exact(&mut content)?;
        hash.update(&head);
        hash.update(&content);
        let nodes = u32::try_from(nodes).map_err(|_| wrong("has a chunk of impossible size"))?;
        let chunk = space.load(&content, nodes).ok_or_else(|| wrong("has a damaged chunk"))?;
        slots.push_back(keep_sealed(space, chunk, budget, &spill)?);
    }
    if hash.digest() != manifest.frontier_xxh3 {
        return Err(wrong("does not have the checksum that its manifest says"));
    }
    let level = Level::new(slots, spill);
    if manifest.levels.last() != Some(&level.nodes) && level.nodes > 0 {
        return Err(wrong("does not have as many states as its manifest says"));
    }
    Ok(level)
}
