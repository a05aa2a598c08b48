//! The folder of an array: who may use it, its files, and the atomic replacement of what APTPL keeps.
//!
//! ```text
//! redline-array.lock   locked by the process that uses the folder; its presence says that the folder is ours
//! unit-0.img ...       the logical units, thin
//! state                what APTPL keeps; absent: nothing
//! state.new            a replacement that a crash has interrupted; ignored
//! ```

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use thiserror::Error;

const LOCK: &str = "redline-array.lock";
const STATE: &str = "state";
const STATE_NEW: &str = "state.new";

/// Why a folder cannot be used.
#[derive(Error, Debug)]
pub enum Error {
    /// Another process uses it.
    #[error("{}: another process uses this folder", .0.display())]
    InUse(PathBuf),
    /// It has files, but not those of an array.
    #[error("{}: this folder has files that are not an array's; give a new or empty one", .0.display())]
    Foreign(PathBuf),
    /// A unit's file has another size.
    #[error("{}: the file has {found} bytes, but the logical unit is to have {wanted}", file.display())]
    Size {
        /// The file.
        file: PathBuf,
        /// Its size in bytes.
        found: u64,
        /// The unit's size in bytes.
        wanted: u64,
    },
    /// The operating system refused something.
    #[error("{}: {source}", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

/// A folder that only this process uses.
pub(super) struct Folder {
    path: PathBuf,
    /// The lock goes with it.
    _lock: File,
}

impl Folder {
    pub(super) fn open(path: &Path) -> Result<Folder, Error> {
        fs::create_dir_all(path).map_err(|source| at(path, source))?;
        let lock = path.join(LOCK);
        let empty = fs::read_dir(path).map_err(|source| at(path, source))?.next().is_none();
        if !empty && !lock.exists() {
            return Err(Error::Foreign(path.to_owned()));
        }
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock)
            .map_err(|source| at(&lock, source))?;
        match file.try_lock() {
            Ok(()) => Ok(Folder { path: path.to_owned(), _lock: file }),
            Err(TryLockError::WouldBlock) => Err(Error::InUse(path.to_owned())),
            Err(TryLockError::Error(source)) => Err(at(&lock, source)),
        }
    }

    /// The file of a unit, made thin if it is not there.
    pub(super) fn unit(&self, number: usize, bytes: u64) -> Result<Arc<File>, Error> {
        let path = self.path.join(format!("unit-{number}.img"));
        let wrap = |source| at(&path, source);
        let new = !path.exists();
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(wrap)?;
        let found = file.metadata().map_err(wrap)?.len();
        // A crash between creation and set_len leaves an empty file.
        if new || found == 0 {
            file.set_len(bytes).map_err(wrap)?;
            file.sync_all().map_err(wrap)?;
            self.sync()?;
        } else if found != bytes {
            return Err(Error::Size { file: path, found, wanted: bytes });
        }
        Ok(Arc::new(file))
    }

    pub(super) fn stored(&self) -> Result<Option<Vec<u8>>, Error> {
        let path = self.path.join(STATE);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(at(&path, source)),
        }
    }

    pub(super) fn store(&self, state: Option<&[u8]>) -> Result<(), Error> {
        let path = self.path.join(STATE);
        if let Some(bytes) = state {
            let new = self.path.join(STATE_NEW);
            let written = File::create(&new).and_then(|mut file| {
                file.write_all(bytes)?;
                file.sync_all()
            });
            written.map_err(|source| at(&new, source))?;
            fs::rename(&new, &path).map_err(|source| at(&path, source))?;
        } else {
            match fs::remove_file(&path) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(at(&path, source)),
            }
        }
        self.sync()
    }

    /// Names are durable only when their folder is.
    fn sync(&self) -> Result<(), Error> {
        File::open(&self.path).and_then(|folder| folder.sync_all()).map_err(|source| at(&self.path, source))
    }
}

fn at(file: &Path, source: io::Error) -> Error {
    Error::Io { file: file.to_owned(), source }
}
