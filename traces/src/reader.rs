//! Reads a trace, line by line, and refuses what is not one with the exact place and reason.
//!
//! The reader checks the form only: words, numbers, sequence, time, count and digest. It keeps one line in memory. The
//! first error ends it; nothing is skipped and nothing is guessed.

use crate::wire::{Cursor, HeaderLine, Line, Refusal};
use crate::{Digest, Error, FORMAT, Footer, Header, Place, Problem, Stamped, VERSION, Visibility};
use redline_vocab::Micros;
use serde_json::Value;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use xxhash_rust::xxh3::Xxh3;

/// Longest line that a reader accepts, in bytes. A list of registrants or blocks makes a line long; nothing
/// legitimate comes near.
pub const LINE_MAX: usize = 1 << 20;

/// How many bytes are asked for at a time.
const PIECE: usize = 128 * 1024;

/// Where the bytes of a trace come from: a file, plain or compressed, or anything else that can be read.
pub type Source = Box<dyn Read>;

/// A trace that is being read: an iterator over its events.
///
/// It ends with `None` only after the footer was read and found right; everything else is an error.
pub struct Reader<R: Read = Source> {
    lines: Lines<R>,
    header: Header,
    events: u64,
    last: Micros,
    footer: Option<Footer>,
    failed: bool,
}

impl Reader<Source> {
    /// Opens a trace file; one whose name ends in `.zst` is decompressed.
    ///
    /// # Errors
    /// [`Error::Directory`], [`Error::Io`], or what is wrong with the header.
    pub fn open(path: &Path) -> Result<Reader<Source>, Error> {
        let name = path.display().to_string();
        let io = |source| Error::Io { file: path.display().to_string(), source };
        let file = File::open(path).map_err(io)?;
        if file.metadata().map_err(io)?.is_dir() {
            return Err(Error::Directory { file: name });
        }
        if path.extension().is_some_and(|extension| extension == "zst") {
            let plain = zstd::stream::read::Decoder::new(file).map_err(io)?;
            Reader::begin(Lines::new(Box::new(plain), name, Packing::Zstd))
        } else {
            Reader::begin(Lines::new(Box::new(file), name, Packing::Plain))
        }
    }
}

impl<R: Read> Reader<R> {
    /// Reads the header of a trace; `name` stands for the file in messages.
    ///
    /// # Errors
    /// What is wrong with the header.
    pub fn new(input: R, name: &str) -> Result<Reader<R>, Error> {
        Reader::begin(Lines::new(input, name.to_string(), Packing::Plain))
    }

    fn begin(mut lines: Lines<R>) -> Result<Reader<R>, Error> {
        let found = lines.next(0)?;
        let text = lines.text(found);
        let line = match Cursor::whole::<HeaderLine>(text) {
            Ok(line) if line.version == VERSION => line,
            Ok(_) => return Err(foreign(&lines, text, None)),
            Err(refusal) => return Err(foreign(&lines, text, Some(refusal))),
        };
        Ok(Reader { lines, header: line.header, events: 0, last: Micros(0), footer: None, failed: false })
    }

    /// The header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The footer, once the iterator has ended without an error.
    pub fn footer(&self) -> Option<&Footer> {
        self.footer.as_ref()
    }

    /// The line that was read last, counted from 1.
    pub fn line(&self) -> u64 {
        self.lines.number
    }

    fn advance(&mut self) -> Result<Option<Stamped>, Error> {
        let found = self.lines.next(self.events)?;
        let text = self.lines.text(found);
        match Line::take(text) {
            Ok(Line::Event(stamped)) => {
                self.admit(&stamped)?;
                Ok(Some(stamped))
            }
            Ok(Line::Footer(footer)) => {
                self.close(footer)?;
                Ok(None)
            }
            Err(_) if Cursor::first_field(text) == Some("format") => {
                Err(self.malformed(Problem::Misplaced("an event or the footer, not a second header")))
            }
            Err(refusal) => Err(self.lines.refused(refusal)),
        }
    }

    /// Checks what an event shares with those before it.
    fn admit(&mut self, stamped: &Stamped) -> Result<(), Error> {
        let due = self.events + 1;
        if stamped.seq != due {
            return Err(self.malformed(Problem::SequenceGap { due, found: stamped.seq }));
        }
        if stamped.at < self.last {
            return Err(self.malformed(Problem::TimeGoesBack { before: self.last.0, found: stamped.at.0 }));
        }
        if self.header.visibility == Visibility::Client && !stamped.event.client_visible() {
            return Err(self.malformed(Problem::NotVisible));
        }
        self.events = due;
        self.last = stamped.at;
        Ok(())
    }

    fn close(&mut self, footer: Footer) -> Result<(), Error> {
        if footer.events != self.events {
            return Err(self.malformed(Problem::WrongCount { read: self.events, footer: footer.events }));
        }
        let read = self.lines.digest_before_last();
        if footer.digest != read {
            return Err(self.malformed(Problem::WrongDigest { read, footer: footer.digest }));
        }
        if !self.lines.at_end()? {
            self.lines.number += 1;
            return Err(self.malformed(Problem::AfterFooter));
        }
        self.footer = Some(footer);
        Ok(())
    }

    #[cold]
    fn malformed(&self, problem: Problem) -> Error {
        self.lines.refused(Box::new(Refusal { offset: 0, path: vec![], problem }))
    }
}

impl<R: Read> Iterator for Reader<R> {
    type Item = Result<Stamped, Error>;

    fn next(&mut self) -> Option<Result<Stamped, Error>> {
        if self.failed || self.footer.is_some() {
            return None;
        }
        let next = self.advance();
        self.failed = next.is_err();
        next.transpose()
    }
}

/// Says what a first line is that is not a header of this version.
#[cold]
fn foreign<R: Read>(lines: &Lines<R>, text: &[u8], refusal: Option<Box<Refusal>>) -> Error {
    let file = lines.name.clone();
    let loose: Value = serde_json::from_slice(text).unwrap_or(Value::Null);
    if loose["format"] != FORMAT {
        return Error::NotATrace { file };
    }
    match loose["version"].as_u64() {
        Some(version) if version > u64::from(VERSION) => {
            let redline = loose["header"]["redline"].as_str().unwrap_or("unknown").to_string();
            Error::Newer { file, version, redline }
        }
        Some(_) | None => {
            let found = loose["version"].to_string();
            let problem = Problem::OutOfRange { min: i64::from(VERSION), max: u64::from(VERSION), found };
            lines.refused(refusal.unwrap_or(Box::new(Refusal { offset: 0, path: vec!["version"], problem })))
        }
    }
}

/// Whether the bytes were compressed, which decides what a read error means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Packing {
    Plain,
    Zstd,
}

/// Where a line stands in the buffer, its line end excluded.
#[derive(Clone, Copy)]
struct Span {
    start: usize,
    end: usize,
}

/// Splits bytes into lines within one reused buffer, and takes the digest of the lines that were read.
struct Lines<R: Read> {
    input: R,
    name: String,
    packing: Packing,
    buffer: Vec<u8>,
    /// The bytes of the buffer from here on are not yet part of a line.
    start: usize,
    /// The bytes of the buffer up to here are filled.
    filled: usize,
    /// The bytes of the buffer up to here are in the digest, or were before they left the buffer.
    digested: usize,
    /// Start of the last line; the digest never covers it, since it may be the footer.
    last: usize,
    digest: Xxh3,
    number: u64,
}

impl<R: Read> Lines<R> {
    fn new(input: R, name: String, packing: Packing) -> Lines<R> {
        let buffer = vec![0; PIECE];
        Lines {
            input,
            name,
            packing,
            buffer,
            start: 0,
            filled: 0,
            digested: 0,
            last: 0,
            digest: Xxh3::new(),
            number: 0,
        }
    }

    fn text(&self, span: Span) -> &[u8] {
        &self.buffer[span.start..span.end]
    }

    /// The next line. A line without its end is a cut file, since every writer ends the footer's line too.
    fn next(&mut self, events: u64) -> Result<Span, Error> {
        self.number += 1;
        let mut searched = self.start;
        loop {
            if let Some(length) = memchr::memchr(b'\n', &self.buffer[searched..self.filled]) {
                let end = searched + length;
                let span = Span { start: self.start, end };
                if end - self.start > LINE_MAX {
                    return Err(self.too_long());
                }
                self.last = self.start;
                self.start = end + 1;
                return Ok(span);
            }
            if self.filled - self.start > LINE_MAX {
                return Err(self.too_long());
            }
            self.make_room();
            searched = self.filled;
            if self.fill(events)? == 0 {
                return Err(Error::Truncated { file: self.name.clone(), line: self.number, events });
            }
        }
    }

    /// Moves the unread bytes to the front, after taking the digest of those that leave.
    fn make_room(&mut self) {
        self.digest.update(&self.buffer[self.digested..self.start]);
        self.buffer.copy_within(self.start..self.filled, 0);
        self.filled -= self.start;
        self.start = 0;
        self.last = 0;
        self.digested = 0;
        if self.buffer.len() - self.filled < PIECE / 2 {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
    }

    fn fill(&mut self, events: u64) -> Result<usize, Error> {
        loop {
            match self.input.read(&mut self.buffer[self.filled..]) {
                Ok(count) => {
                    self.filled += count;
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.unreadable(error, events)),
            }
        }
    }

    #[cold]
    fn unreadable(&self, source: io::Error, events: u64) -> Error {
        let file = self.name.clone();
        match (self.packing, source.kind()) {
            (Packing::Zstd, io::ErrorKind::UnexpectedEof) => {
                Error::Truncated { file, line: self.number, events }
            }
            // The decompressor's own complaints have no kind; the operating system's have one.
            (Packing::Zstd, io::ErrorKind::Other) => Error::Compression { file, source },
            _ => Error::Io { file, source },
        }
    }

    /// The digest of every line before the last one read.
    fn digest_before_last(&mut self) -> Digest {
        self.digest.update(&self.buffer[self.digested..self.last]);
        self.digested = self.last;
        Digest(self.digest.digest())
    }

    /// Whether nothing follows the last line.
    fn at_end(&mut self) -> Result<bool, Error> {
        if self.start < self.filled {
            return Ok(false);
        }
        self.make_room();
        Ok(self.fill(0)? == 0)
    }

    #[cold]
    fn too_long(&self) -> Error {
        self.refused(Box::new(Refusal { offset: LINE_MAX, path: vec![], problem: Problem::TooLong }))
    }

    #[cold]
    #[allow(clippy::boxed_local, reason = "refusals travel boxed, to keep the results of the hot path small")]
    fn refused(&self, refusal: Box<Refusal>) -> Error {
        let place = Place {
            file: self.name.clone(),
            line: self.number,
            column: refusal.offset + 1,
            field: refusal.field(),
        };
        Error::Malformed { place: Box::new(place), problem: Box::new(refusal.problem) }
    }
}
