//! Trace files on disk: written beside their final name, synced, then renamed, so that a reader never sees half a file
//! and a failure overwrites nothing.

use crate::{Footer, Header, Writer};
use redline_vocab::{Event, Micros};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use tempfile::{Builder, NamedTempFile};

/// zstd level: traces shrink to a tenth already at the fastest levels, and recording must not wait.
const LEVEL: i32 = 1;

/// A trace file that is being recorded. Dropping it leaves nothing behind; [`TraceFile::commit`] makes it appear.
pub struct TraceFile {
    writer: Writer<Output>,
    path: PathBuf,
}

/// Where the bytes go before the file has its name.
enum Output {
    Plain(NamedTempFile),
    Zstd(Box<zstd::stream::write::Encoder<'static, NamedTempFile>>),
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Output::Plain(file) => file.write(bytes),
            Output::Zstd(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Output::Plain(file) => file.flush(),
            Output::Zstd(encoder) => encoder.flush(),
        }
    }
}

impl TraceFile {
    /// Begins a trace that will be called `path`; a name that ends in `.zst` is compressed.
    ///
    /// # Errors
    /// What the operating system says, such as a folder that does not exist.
    pub fn create(path: &Path, header: &Header) -> io::Result<TraceFile> {
        let file = beside(path)?;
        let output = if path.extension().is_some_and(|extension| extension == "zst") {
            Output::Zstd(Box::new(zstd::stream::write::Encoder::new(file, LEVEL)?))
        } else {
            Output::Plain(file)
        };
        Ok(TraceFile { writer: Writer::new(output, header)?, path: path.to_path_buf() })
    }

    /// Records an event; see [`Writer::record`].
    ///
    /// # Errors
    /// What the operating system says, such as a full disk.
    pub fn record(&mut self, at: Micros, event: &Event) -> io::Result<()> {
        self.writer.record(at, event)
    }

    /// How many events were recorded.
    pub fn events(&self) -> u64 {
        self.writer.events()
    }

    /// Ends the trace and gives the file its name, replacing an older file of that name at once and whole.
    ///
    /// # Errors
    /// What the operating system says; then the older file, if any, is as it was.
    pub fn commit(self) -> io::Result<Footer> {
        let (output, footer) = self.writer.finish()?;
        let file = match output {
            Output::Plain(file) => file,
            Output::Zstd(encoder) => encoder.finish()?,
        };
        settle(file, &self.path)?;
        Ok(footer)
    }
}

/// Writes a whole file in the same way: never half of it, and nothing lost if it fails.
///
/// # Errors
/// What the operating system or `write` says.
pub fn write_atomically(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut file = io::BufWriter::new(beside(path)?);
    write(&mut file)?;
    settle(file.into_inner().map_err(io::IntoInnerError::into_error)?, path)
}

/// The folder in which the file will stand: renaming is atomic only within one file system.
fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    }
}

fn beside(path: &Path) -> io::Result<NamedTempFile> {
    let mut builder = Builder::new();
    builder.prefix(".redline-").suffix(".part");
    // Temporary files are private by default, but a trace is meant to be passed on: the umask decides.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder(path))
}

fn settle(file: NamedTempFile, path: &Path) -> io::Result<()> {
    file.as_file().sync_all()?;
    file.persist(path).map_err(|refused| refused.error)?;
    // The new name is durable only when its folder is.
    File::open(folder(path))?.sync_all()
}
