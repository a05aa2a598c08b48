//! Connections between the processes: each one connects to those before it and waits for those after it.

use crate::report::Error;
use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::sleep,
    time::{Duration, Instant},
};
use timely::communication::allocator::zero_copy::stream::Stream;

/// How long processes wait for each other at the start: they may be started by hand, or by a scheduler.
const MEET: Duration = Duration::from_secs(600);
/// How long a process may take to say who it is once it is connected.
const GREET: Duration = Duration::from_secs(10);
const RETRY: Duration = Duration::from_millis(100);
/// What a process says first, before its number and how many there are.
const GREETING: [u8; 8] = *b"RLCHECK1";

/// A connection that tells when it has ended.
pub struct Watched {
    stream: TcpStream,
    lost: Arc<AtomicBool>,
}

impl Read for Watched {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.stream.read(into);
        if !matches!(read, Ok(1..)) {
            self.lost.store(true, Ordering::Relaxed);
        }
        read
    }
}

impl Write for Watched {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        self.stream.write(from)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

impl Stream for Watched {
    fn try_clone(&self) -> io::Result<Watched> {
        Ok(Watched { stream: self.stream.try_clone()?, lost: Arc::clone(&self.lost) })
    }

    fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.stream.set_nonblocking(nonblocking)
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.stream.shutdown(how)
    }
}

/// A connection to each other process, in their order; none to this one. `lost` is raised when one of them ends.
///
/// # Errors
/// [`Error::Network`] if they do not meet in time.
pub fn meet(
    process: usize,
    addresses: &[String],
    lost: &Arc<AtomicBool>,
) -> Result<Vec<Option<Watched>>, Error> {
    let deadline = Instant::now() + MEET;
    let of = addresses.len();
    let own = &addresses[process];
    let listener = TcpListener::bind(own).map_err(fails(own))?;
    listener.set_nonblocking(true).map_err(fails(own))?;
    let mut all: Vec<Option<TcpStream>> = (0..of).map(|_| None).collect();
    for (number, address) in addresses.iter().enumerate().take(process) {
        let mut stream = connect(address, deadline).map_err(fails(address))?;
        greet(&mut stream, process, of).map_err(fails(address))?;
        all[number] = Some(stream);
    }
    while all.iter().skip(process + 1).any(Option::is_none) {
        match listener.accept() {
            Ok((mut stream, from)) => {
                // Whoever says something else is a stranger: the search waits for its own.
                let number = greeted(&mut stream, of).ok().flatten().filter(|number| *number > process);
                if number.is_some_and(|number| all[number].replace(stream).is_some()) {
                    return Err(Error::Network(format!(
                        "{from} says that it is a process that is there already"
                    )));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && Instant::now() < deadline => {
                sleep(RETRY)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let missing = (process + 1..of).filter(|number| all[*number].is_none());
                let missing: Vec<&str> = missing.map(|number| addresses[number].as_str()).collect();
                return Err(Error::Network(format!("nothing was heard of {}", missing.join(", "))));
            }
            Err(error) => return Err(fails(own)(error)),
        }
    }
    for stream in all.iter().flatten() {
        stream.set_nodelay(true).map_err(fails(own))?;
    }
    let watched = |stream| Watched { stream, lost: Arc::clone(lost) };
    Ok(all.into_iter().map(|stream| stream.map(watched)).collect())
}

fn fails(address: &str) -> impl Fn(io::Error) -> Error + '_ {
    move |error| Error::Network(format!("{address}: {error}"))
}

fn connect(address: &str, deadline: Instant) -> io::Result<TcpStream> {
    loop {
        match TcpStream::connect(address) {
            Ok(stream) => return Ok(stream),
            Err(error) if Instant::now() >= deadline => return Err(error),
            Err(_) => sleep(RETRY),
        }
    }
}

fn greet(stream: &mut TcpStream, process: usize, of: usize) -> io::Result<()> {
    let mut words = GREETING.to_vec();
    words.extend_from_slice(&(process as u64).to_le_bytes());
    words.extend_from_slice(&(of as u64).to_le_bytes());
    stream.write_all(&words)
}

/// Which process it is; `None` if it is none of this search.
fn greeted(stream: &mut TcpStream, of: usize) -> io::Result<Option<usize>> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(GREET))?;
    let mut words = [0; 24];
    stream.read_exact(&mut words)?;
    stream.set_read_timeout(None)?;
    let number = |at: usize| usize::from_le_bytes(*words[at..].first_chunk().expect("there are 24 bytes"));
    Ok((words[..8] == GREETING && number(16) == of && number(8) < of).then_some(number(8)))
}
