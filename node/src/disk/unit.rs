//! The file of one logical unit: positioned reads and writes, holes, and what is not yet in the file.

use super::Unsynced;
use super::buffers::Buffers;
use super::unsynced::{SECTOR, Sectors};
use bytes::Bytes;
use rustix::fs::{FallocateFlags, SeekFrom, fallocate, seek};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, IoSlice};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// A logical unit.
pub(super) struct Unit {
    file: Arc<File>,
    /// `None`: writes go to the file at once.
    unsynced: Option<Sectors>,
}

impl Unit {
    pub(super) fn new(file: Arc<File>, unsynced: Unsynced) -> Unit {
        let unsynced = match unsynced {
            Unsynced::Page => None,
            Unsynced::Memory => Some(Sectors::default()),
        };
        Unit { file, unsynced }
    }

    pub(super) fn file(&self) -> Arc<File> {
        Arc::clone(&self.file)
    }

    /// Whether the file holds everything that was written.
    pub(super) fn is_all_in_file(&self) -> bool {
        self.unsynced.is_none()
    }

    pub(super) fn read(&self, offset: u64, length: u32, buffers: &mut Buffers) -> io::Result<Bytes> {
        buffers.fill(length as usize, |read| {
            self.file.read_exact_at(read, offset)?;
            if let Some(sectors) = &self.unsynced {
                sectors.lay_over(offset, read);
            }
            Ok(())
        })
    }

    pub(super) fn write(&mut self, offset: u64, data: &[Bytes]) -> io::Result<()> {
        let Some(sectors) = &mut self.unsynced else {
            return write_all(&self.file, offset, data);
        };
        let mut at = offset;
        for piece in whole_sectors(data) {
            sectors.write(at, &piece);
            at += piece.len() as u64;
        }
        if sectors.is_full() { self.write_back() } else { Ok(()) }
    }

    /// The first half of a write, straight to the file.
    pub(super) fn tear(&mut self, offset: u64, data: &[Bytes], bytes: u64) -> io::Result<()> {
        let mut left = (bytes / SECTOR / 2 * SECTOR) as usize;
        let mut half = Vec::new();
        for piece in data {
            let part = piece.slice(..piece.len().min(left));
            left -= part.len();
            half.push(part);
        }
        write_all(&self.file, offset, &half)
    }

    /// Brings what only memory holds into the file.
    pub(super) fn write_back(&mut self) -> io::Result<()> {
        let Some(sectors) = &mut self.unsynced else { return Ok(()) };
        for (offset, sector) in sectors.take() {
            self.file.write_all_at(&sector, offset)?;
        }
        Ok(())
    }

    pub(super) fn unmap(&mut self, offset: u64, length: u64) -> io::Result<()> {
        if length == 0 {
            return Ok(());
        }
        if let Some(sectors) = &mut self.unsynced {
            sectors.forget(offset, length);
        }
        match fallocate(&self.file, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, offset, length) {
            Ok(()) => Ok(()),
            // A file system without holes: zeros read the same.
            Err(Errno::OPNOTSUPP) => write_zeros(&self.file, offset, length),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the first byte is allocated, and for how many bytes that holds.
    pub(super) fn map(&mut self, offset: u64, length: u64) -> io::Result<(bool, u64)> {
        self.write_back()?;
        let end = offset + length;
        let data = next(&self.file, SeekFrom::Data(offset))?.unwrap_or(end);
        if data > offset {
            return Ok((false, data.min(end) - offset));
        }
        let hole = next(&self.file, SeekFrom::Hole(offset))?.unwrap_or(end);
        Ok((true, hole.min(end) - offset))
    }

    pub(super) fn is_allocated(&mut self, offset: u64, length: u64) -> io::Result<bool> {
        let (allocated, holds) = self.map(offset, length)?;
        Ok(allocated && holds == length)
    }
}

/// `None`: there is none up to the end of the file.
fn next(file: &File, from: SeekFrom) -> io::Result<Option<u64>> {
    match seek(file, from) {
        Ok(at) => Ok(Some(at)),
        Err(Errno::NXIO) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Pieces of a write are as large as the transport made them; sectors need whole ones.
fn whole_sectors(data: &[Bytes]) -> Vec<Bytes> {
    if data.iter().all(|piece| (piece.len() as u64).is_multiple_of(SECTOR)) {
        return data.to_vec();
    }
    vec![Bytes::from(data.concat())]
}

fn write_all(file: &File, offset: u64, data: &[Bytes]) -> io::Result<()> {
    if let [piece] = data {
        return file.write_all_at(piece, offset);
    }
    let mut slices: Vec<IoSlice<'_>> = data.iter().map(|piece| IoSlice::new(piece)).collect();
    let mut left = &mut slices[..];
    let mut at = offset;
    IoSlice::advance_slices(&mut left, 0);
    while !left.is_empty() {
        let some = left.len().min(PIECES_MAX);
        let written = rustix::io::pwritev(file, &left[..some], at)?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        at += written as u64;
        IoSlice::advance_slices(&mut left, written);
    }
    Ok(())
}

/// Pieces that one system call takes (`IOV_MAX`).
const PIECES_MAX: usize = 1024;

fn write_zeros(file: &File, offset: u64, length: u64) -> io::Result<()> {
    static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];
    let mut at = offset;
    while at < offset + length {
        let some = ZEROS.len().min((offset + length - at) as usize);
        file.write_all_at(&ZEROS[..some], at)?;
        at += some as u64;
    }
    Ok(())
}
