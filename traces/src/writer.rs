//! Writes a trace, event by event, as it happens.
//!
//! Lines are encoded into one reused buffer and handed on in large pieces; an event costs no allocation and no system
//! call of its own.

use crate::wire::{FooterLine, Format, HeaderLine, Wire, put_event};
use crate::{Digest, Footer, Header, VERSION, Visibility};
use redline_vocab::{Event, Micros};
use std::io::{self, Write};
use xxhash_rust::xxh3::Xxh3;

/// How many bytes are gathered before they are handed on.
const GATHERED_MAX: usize = 64 * 1024;

/// A trace that is being recorded.
///
/// Dropping it without [`Writer::finish`] leaves a trace without a footer, which readers take for cut.
pub struct Writer<W: Write> {
    out: W,
    gathered: Vec<u8>,
    digest: Xxh3,
    visibility: Visibility,
    events: u64,
    last: Micros,
}

impl<W: Write> Writer<W> {
    /// Begins a trace with its header.
    ///
    /// # Errors
    /// What `out` says.
    pub fn new(out: W, header: &Header) -> io::Result<Writer<W>> {
        let mut gathered = Vec::with_capacity(GATHERED_MAX + GATHERED_MAX / 4);
        HeaderLine { format: Format::Trace, version: VERSION, header: header.clone() }.put(&mut gathered);
        gathered.push(b'\n');
        let visibility = header.visibility;
        let mut writer =
            Writer { out, gathered, digest: Xxh3::new(), visibility, events: 0, last: Micros(0) };
        writer.hand_on()?;
        Ok(writer)
    }

    /// Records an event at this time; it gets the next sequence number. A trace with [`Visibility::Client`] records
    /// only what a client sees and passes over the rest.
    ///
    /// # Panics
    /// If time goes back: the recorder's clock is virtual, so that would be a bug of its owner.
    ///
    /// # Errors
    /// What the output says, possibly for an earlier event.
    pub fn record(&mut self, at: Micros, event: &Event) -> io::Result<()> {
        if self.visibility == Visibility::Client && !event.client_visible() {
            return Ok(());
        }
        assert!(at >= self.last, "virtual time must not go back: from {} to {at}", self.last);
        self.last = at;
        self.events += 1;
        put_event(&mut self.gathered, self.events, at, event);
        if self.gathered.len() >= GATHERED_MAX { self.hand_on() } else { Ok(()) }
    }

    /// Hands everything that was recorded so far to the output, so that it outlives this process.
    ///
    /// # Errors
    /// What the output says.
    pub fn flush(&mut self) -> io::Result<()> {
        if !self.gathered.is_empty() {
            self.hand_on()?;
        }
        self.out.flush()
    }

    /// How many events were recorded.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Ends the trace with its footer and flushes the output.
    ///
    /// # Errors
    /// What the output says.
    pub fn finish(mut self) -> io::Result<(W, Footer)> {
        self.hand_on()?;
        let footer = Footer { events: self.events, digest: Digest(self.digest.digest()) };
        FooterLine { footer }.put(&mut self.gathered);
        self.gathered.push(b'\n');
        self.out.write_all(&self.gathered)?;
        self.out.flush()?;
        Ok((self.out, footer))
    }

    fn hand_on(&mut self) -> io::Result<()> {
        // The digest is taken here, over large pieces, because it is several times faster on them than line by line.
        self.digest.update(&self.gathered);
        let written = self.out.write_all(&self.gathered);
        self.gathered.clear();
        written
    }
}
