//! The array's storage: one folder with a thin file for each logical unit and a small file for what APTPL keeps.
//!
//! Data lives in the page cache of the operating system, so that reads and writes are carried out at once, in the order in which the array
//! asks for them; only the sync of a file takes long, and whoever drives the disk does it beside its loop ([`Begun::Sync`]). A kill of the process
//! loses nothing that is in the page cache; [`Unsynced::Memory`] makes it lose what a power loss would.
//!
//! **Deliberately absent:** retries, read-ahead, a cache of its own. The operating system has them.

mod buffers;
mod faults;
mod folder;
#[cfg(test)]
mod tests;
mod unit;
mod unsynced;

pub use faults::{Fault, Faults};
pub use folder::Error;

use buffers::Buffers;
use bytes::{Bytes, BytesMut};
use folder::Folder;
use redline_fabric::array::{DiskOperation, DiskOutcome};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use unit::Unit;

/// Where a write waits for a flush.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unsynced {
    /// In the page cache of the operating system: lost when the machine loses power, kept when the process is killed.
    Page,
    /// In the memory of the process: lost when the process is killed.
    Memory,
}

/// What became of an operation that was begun.
#[derive(Debug)]
pub enum Begun {
    /// It has ended.
    Ended(DiskOutcome),
    /// It has ended as soon as this file is synced ([`File::sync_data`]), which may be done on another thread.
    Sync(Arc<File>),
    /// It has ended as soon as this is carried out, which may be done on another thread, and [`Disk::end`] was told.
    Read(Reading),
}

/// A read that nothing but the file has a say in.
#[derive(Debug)]
pub struct Reading {
    file: Arc<File>,
    offset: u64,
    length: usize,
    buffer: BytesMut,
}

impl Reading {
    /// Reads.
    pub fn carry_out(mut self) -> Read {
        let result = self.file.read_exact_at(&mut self.buffer[..self.length], self.offset);
        Read { length: self.length, buffer: self.buffer, result }
    }
}

/// What came of a [`Reading`].
#[derive(Debug)]
pub struct Read {
    length: usize,
    buffer: BytesMut,
    result: io::Result<()>,
}

/// A read shorter than this is not worth another thread's attention.
const BESIDE_MIN: u32 = 64 << 10;

/// The storage of an array.
pub struct Disk {
    folder: Folder,
    units: Vec<Unit>,
    faults: Faults,
    buffers: Buffers,
}

impl Disk {
    /// Opens the folder, or makes it, for units of these sizes in bytes; no other process may use it until the disk is dropped.
    ///
    /// # Errors
    /// [`Error`] if the folder is in use, is somebody else's, or does not fit.
    pub fn open(path: &Path, sizes: &[u64], unsynced: Unsynced) -> Result<Disk, Error> {
        let folder = Folder::open(path)?;
        let units = sizes
            .iter()
            .enumerate()
            .map(|(at, &bytes)| Ok(Unit::new(folder.unit(at, bytes)?, unsynced)))
            .collect::<Result<_, Error>>()?;
        Ok(Disk { folder, units, faults: Faults::default(), buffers: Buffers::default() })
    }

    /// What was stored last by [`Disk::store`].
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be read.
    pub fn stored(&self) -> Result<Option<Vec<u8>>, Error> {
        self.folder.stored()
    }

    /// Replaces what is stored, or erases it, durably before it returns. A crash leaves the old or the new, whole.
    ///
    /// # Errors
    /// [`Error::Io`]; then the array must not go on, because nobody knows which of the two there is.
    pub fn store(&self, state: Option<&[u8]>) -> Result<(), Error> {
        self.folder.store(state)
    }

    /// Plants a fault, or takes it away.
    pub fn set_fault(&mut self, fault: Fault) {
        self.faults.set(fault);
    }

    /// Whether an operation has to wait until [`Fault::Hold`] is over before it may begin.
    pub fn holds(&self) -> bool {
        self.faults.holds
    }

    /// How long the next operation has to wait before it may begin, if it has to.
    pub fn delay(&self) -> Option<Duration> {
        self.faults.slow
    }

    /// Begins an operation; if there is somebody to do it `beside`, that may be left to them ([`Begun::Read`]).
    pub fn begin(&mut self, operation: DiskOperation, beside: bool) -> Begun {
        if self.faults.fails {
            return Begun::Ended(DiskOutcome::Failed);
        }
        match self.carry_out(operation, beside) {
            Ok(begun) => begun,
            Err(error) => Begun::Ended(failed(&error)),
        }
    }

    /// Takes a read back that was done beside.
    pub fn end(&mut self, read: Read) -> DiskOutcome {
        // Whatever came of it, the buffer can be used again.
        let found = self.buffers.lend(read.buffer, read.length);
        read.result.map_or_else(|error| failed(&error), |()| DiskOutcome::Read(found))
    }

    fn carry_out(&mut self, operation: DiskOperation, beside: bool) -> io::Result<Begun> {
        let outcome = match operation {
            DiskOperation::Read { unit, offset, length }
                if self.faults.damages(unit, offset, u64::from(length)) =>
            {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a damaged sector"));
            }
            DiskOperation::Read { unit, offset, length } => {
                let unit = self.units.get(usize::from(unit)).ok_or(io::ErrorKind::NotFound)?;
                if beside && length >= BESIDE_MIN && unit.is_all_in_file() {
                    let (file, length) = (unit.file(), length as usize);
                    return Ok(Begun::Read(Reading {
                        file,
                        offset,
                        length,
                        buffer: self.buffers.take(length),
                    }));
                }
                DiskOutcome::Read(unit.read(offset, length, &mut self.buffers)?)
            }
            DiskOperation::Write { unit, offset, data, durable } => {
                return self.write(unit, offset, &data, durable);
            }
            DiskOperation::Unmap { unit, offset, length } => {
                self.unit(unit)?.unmap(offset, length)?;
                self.faults.mend(unit, offset, length);
                DiskOutcome::Done
            }
            DiskOperation::Map { unit, offset, length } => {
                let (allocated, length) = self.unit(unit)?.map(offset, length)?;
                DiskOutcome::Allocated { allocated, length }
            }
            DiskOperation::Flush { unit } => {
                let unit = self.unit(unit)?;
                unit.write_back()?;
                return Ok(Begun::Sync(unit.file()));
            }
        };
        Ok(Begun::Ended(outcome))
    }

    fn write(&mut self, unit: u16, offset: u64, data: &[Bytes], durable: bool) -> io::Result<Begun> {
        let bytes: u64 = data.iter().map(|piece| piece.len() as u64).sum();
        if self.faults.full && !self.unit(unit)?.is_allocated(offset, bytes)? {
            return Err(io::ErrorKind::StorageFull.into());
        }
        if self.faults.tears && bytes >= 2 * unsynced::SECTOR {
            self.unit(unit)?.tear(offset, data, bytes)?;
            faults::lose_power();
        }
        self.faults.mend(unit, offset, bytes);
        let unit = self.unit(unit)?;
        unit.write(offset, data)?;
        if durable {
            unit.write_back()?;
            return Ok(Begun::Sync(unit.file()));
        }
        Ok(Begun::Ended(DiskOutcome::Done))
    }

    fn unit(&mut self, unit: u16) -> io::Result<&mut Unit> {
        self.units.get_mut(usize::from(unit)).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Brings everything that was written to stable storage: the planned end.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn sync(&mut self) -> io::Result<()> {
        for unit in &mut self.units {
            unit.write_back()?;
            unit.file().sync_data()?;
        }
        Ok(())
    }
}

fn failed(error: &io::Error) -> DiskOutcome {
    eprintln!("redline node: the disk failed: {error}");
    DiskOutcome::Failed
}
