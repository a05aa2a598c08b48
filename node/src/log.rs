//! The trace of one process: what its machine said happened, on disk before anybody else can see what came of it.
//!
//! Events are gathered while the machine takes its steps and handed to the operating system before the bytes that they tell of go to a
//! socket. So a killed process leaves a trace that is cut, but never one that lacks what others have seen. Times are microseconds since
//! the process came up; nothing may be concluded from comparing those of two processes.

use redline_traces::{Header, Writer};
use redline_vocab::{Event, Micros};
use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;
use std::time::Instant;

/// A trace that is being recorded, or none.
pub struct Log(Option<Open>);

struct Open {
    writer: Writer<File>,
    since: Instant,
}

impl Log {
    /// Records nothing.
    pub const OFF: Log = Log(None);

    /// Begins a trace.
    ///
    /// # Errors
    /// What the operating system says; a file that exists is not replaced, because a trace is evidence.
    pub fn create(path: &Path, header: &Header) -> io::Result<Log> {
        let file = OpenOptions::new().write(true).create_new(true).open(path)?;
        Ok(Log(Some(Open { writer: Writer::new(file, header)?, since: Instant::now() })))
    }

    /// Records an event.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn record(&mut self, event: &Event) -> io::Result<()> {
        let Some(open) = &mut self.0 else { return Ok(()) };
        let at = u64::try_from(open.since.elapsed().as_micros()).unwrap_or(u64::MAX);
        open.writer.record(Micros(at), event)
    }

    /// Hands what was recorded to the operating system.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn flush(&mut self) -> io::Result<()> {
        self.0.as_mut().map_or(Ok(()), |open| open.writer.flush())
    }

    /// Ends the trace with its footer: the process ended as planned.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn finish(self) -> io::Result<()> {
        self.0.map_or(Ok(()), |open| open.writer.finish().map(|_| ()))
    }
}
