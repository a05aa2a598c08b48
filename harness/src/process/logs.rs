//! What the processes of one run have logged: a file for each life of each process, and the faults.
//!
//! A *life* is one start of a process until its end. A planned end writes the footer; a killed process leaves a log that
//! is cut behind some line. Every line was handed to the kernel before anything it tells of could be seen outside the
//! process, so that a kill takes away at most a step of which nobody has seen anything.

use crate::conform::Error;
use redline_traces::{Header, Reader};
use redline_vocab::{Event, Fault};
use std::path::{Path, PathBuf};

/// Lives of one process that are read at most.
const LIVES_MAX: usize = 10_000;

/// File of the faults that were injected.
pub const NEMESIS: &str = "nemesis.ndjson";

/// One life of a process.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Life {
    /// What it logged.
    pub events: Vec<Event>,
    /// Its log has its footer: it ended as planned, and nothing is missing.
    pub whole: bool,
}

/// The logs of a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Logs {
    /// What all logs have in common.
    pub header: Header,
    /// Faults that were injected, in their order. How they are ordered to the rest is not known.
    pub faults: Vec<Fault>,
    /// Lives of the array, in their order.
    pub array: Vec<Life>,
    /// By node, its lives in their order.
    pub guests: Vec<Vec<Life>>,
}

/// File of a life of the array, from 0.
pub fn array_file(dir: &Path, life: usize) -> PathBuf {
    dir.join(format!("array.{life}.ndjson"))
}

/// File of a life of a node, from 0.
pub fn guest_file(dir: &Path, node: u8, life: usize) -> PathBuf {
    dir.join(format!("node-{node}.{life}.ndjson"))
}

/// Whether the folder holds the logs of a run.
pub fn are_in(dir: &Path) -> bool {
    array_file(dir, 0).is_file()
}

impl Logs {
    /// Reads the logs of a run.
    ///
    /// # Errors
    /// [`Error`]: a log cannot be read, or is of another run than the others.
    pub fn read(dir: &Path) -> Result<Logs, Error> {
        let mut header = None;
        let array = lives(|life| array_file(dir, life), &mut header)?;
        let Some(nodes) = header.as_ref().map(|header| header.nodes) else {
            return Err(Error::Empty);
        };
        let guests = (0..nodes)
            .map(|node| lives(|life| guest_file(dir, node, life), &mut header))
            .collect::<Result<_, _>>()?;
        let faults = match Reader::open(&dir.join(NEMESIS)) {
            Ok(reader) => reader
                .map_while(Result::ok)
                .filter_map(|stamped| match stamped.event {
                    Event::FaultInjected { fault } => Some(fault),
                    _ => None,
                })
                .collect(),
            // A run without faults has no such file.
            Err(redline_traces::Error::Io { source, .. })
                if source.kind() == std::io::ErrorKind::NotFound =>
            {
                Vec::new()
            }
            Err(error) => return Err(Error::Trace(error)),
        };
        Ok(Logs { header: header.ok_or(Error::Empty)?, faults, array, guests })
    }

    /// How many lines there are.
    pub fn events(&self) -> u64 {
        let lives = self.array.iter().chain(self.guests.iter().flatten());
        lives.map(|life| life.events.len() as u64).sum()
    }
}

fn lives(file: impl Fn(usize) -> PathBuf, header: &mut Option<Header>) -> Result<Vec<Life>, Error> {
    let mut lives = Vec::new();
    while lives.len() < LIVES_MAX {
        let path = file(lives.len());
        if !path.is_file() {
            break;
        }
        lives.push(life(&path, header)?);
    }
    Ok(lives)
}

fn life(path: &Path, header: &mut Option<Header>) -> Result<Life, Error> {
    let mut reader = match Reader::open(path) {
        Ok(reader) => reader,
        // Killed before it had written its first line.
        Err(redline_traces::Error::Truncated { .. }) => {
            return Ok(Life { events: Vec::new(), whole: false });
        }
        Err(error) => return Err(Error::Trace(error)),
    };
    let own = reader.header().clone();
    match header {
        Some(known) if !of_one_run(known, &own) => {
            return Err(Error::World("the logs are of different runs"));
        }
        Some(_) => {}
        None => *header = Some(own),
    }
    let mut life = Life { events: Vec::new(), whole: true };
    for stamped in reader.by_ref() {
        match stamped {
            Ok(stamped) => life.events.push(stamped.event),
            Err(redline_traces::Error::Truncated { .. }) => life.whole = false,
            Err(error) => return Err(Error::Trace(error)),
        }
    }
    Ok(life)
}

fn of_one_run(one: &Header, other: &Header) -> bool {
    let world = |header: &Header| (header.nodes, header.nexuses, header.blocks, header.design);
    world(one) == world(other) && one.keys == other.keys && one.visibility == other.visibility
}
