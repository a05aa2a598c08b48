//! Files appear whole or not at all, and what is no readable file is called what it is.

use super::sample;
use crate::{Class, Error, Reader, TraceFile, Writer, write_atomically};
use std::fs;
use std::io::{self, Write};
use std::path::Path;

fn record(path: &Path) -> crate::Footer {
    let mut file = TraceFile::create(path, &sample::header()).unwrap();
    for stamped in sample::events() {
        file.record(stamped.at, &stamped.event).unwrap();
    }
    assert_eq!(file.events(), sample::events().len() as u64);
    file.commit().unwrap()
}

fn check_file(name: &str) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    let footer = record(&path);
    let mut reader = Reader::open(&path).unwrap();
    let read: Vec<_> = reader.by_ref().map(Result::unwrap).collect();
    assert_eq!(read, sample::events());
    assert_eq!(reader.footer(), Some(&footer));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file may remain");
    fs::metadata(&path).unwrap().len()
}

#[test]
fn a_file_is_read_as_it_was_written_compressed_or_not() {
    let plain = check_file("trace.ndjson");
    let compressed = check_file("trace.ndjson.zst");
    assert!(compressed * 4 < plain, "{compressed} bytes of {plain}");
}

#[test]
fn the_same_events_give_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["one.ndjson", "two.ndjson", "one.ndjson.zst", "two.ndjson.zst"] {
        record(&folder.path().join(name));
    }
    let bytes = |name: &str| fs::read(folder.path().join(name)).unwrap();
    assert_eq!(bytes("one.ndjson"), bytes("two.ndjson"));
    assert_eq!(bytes("one.ndjson.zst"), bytes("two.ndjson.zst"));
}

#[test]
fn an_abandoned_recording_leaves_the_older_file_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace.ndjson");
    fs::write(&path, "older").unwrap();
    let mut file = TraceFile::create(&path, &sample::header()).unwrap();
    file.record(sample::events()[0].at, &sample::events()[0].event).unwrap();
    drop(file);
    assert_eq!(fs::read_to_string(&path).unwrap(), "older");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file may remain");
}

#[test]
fn a_failed_atomic_write_leaves_the_older_file_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.json");
    write_atomically(&path, |out| out.write_all(b"older")).unwrap();
    let failed = write_atomically(&path, |out| {
        out.write_all(b"newer")?;
        Err(io::ErrorKind::StorageFull.into())
    });
    assert_eq!(failed.unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert_eq!(fs::read_to_string(&path).unwrap(), "older");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file may remain");
}

/// A medium that takes so many bytes and then is full.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(self.0);
        self.0 -= taken;
        if taken == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(taken) }
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_is_reported_wherever_it_happens() {
    let whole = sample::bytes(&sample::header(), &sample::events()).len();
    for room in (0..whole).step_by(97).chain([whole - 1]) {
        let written = Writer::new(Full(room), &sample::header()).and_then(|mut writer| {
            for stamped in sample::events() {
                writer.record(stamped.at, &stamped.event)?;
            }
            writer.finish()
        });
        assert_eq!(
            written.map(|_| ()).unwrap_err().kind(),
            io::ErrorKind::StorageFull,
            "room for {room} bytes"
        );
    }
}

#[test]
fn a_folder_and_a_missing_file_are_called_so() {
    let folder = tempfile::tempdir().unwrap();
    let error = Reader::open(folder.path()).err().unwrap();
    assert!(matches!(error, Error::Directory { .. }), "{error}");
    assert_eq!(error.class(), Class::InputOutput);
    let error = Reader::open(&folder.path().join("none.ndjson")).err().unwrap();
    assert!(matches!(error, Error::Io { .. }), "{error}");
    assert_eq!(error.class(), Class::InputOutput);
}

#[test]
fn a_compressed_file_that_is_cut_or_is_none_is_called_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace.ndjson.zst");
    record(&path);
    let whole = fs::read(&path).unwrap();
    for length in [0, 3, whole.len() / 2, whole.len() - 1] {
        fs::write(&path, &whole[..length]).unwrap();
        let error = read_error(&path);
        assert_eq!(error.class(), Class::Inconclusive, "cut at {length}: {error}");
    }
    fs::write(&path, "{\"format\":\"redline-trace\"}\n").unwrap();
    let error = read_error(&path);
    assert!(matches!(error, Error::Compression { .. }), "{error}");
    assert_eq!(error.class(), Class::Malformed);
}

fn read_error(path: &Path) -> Error {
    match Reader::open(path) {
        Err(error) => error,
        Ok(reader) => reader.filter_map(Result::err).next().expect("the file should have been refused"),
    }
}

/// A medium that fails in the middle of a read.
struct Failing(&'static [u8]);

impl io::Read for Failing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.0.is_empty() {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let count = self.0.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        Ok(count)
    }
}

#[test]
fn a_failing_medium_is_not_taken_for_a_cut_trace() {
    let error = Reader::new(Failing(b"{\"format\":"), "t").err().unwrap();
    assert!(matches!(error, Error::Io { .. }), "{error}");
}
