//! One connection's socket: what is read goes to the core, what the core has for it is written, at once where the socket takes it.

use super::core::Core;
use bytes::{Bytes, BytesMut};
use redline_fabric::array::TargetPort;
use redline_fabric::iscsi::chap::Challenge;
use redline_fabric::iscsi::target::ConnectionId;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::Notify;

/// What is read at once, in bytes: at least, and at most when a large PDU is under way.
const READ: (usize, usize) = (64 << 10, 512 << 10);
/// A buffer with less room than this is given up for a new one.
const ROOM_MIN: usize = 16 << 10;
/// While so many bytes wait for an initiator that does not read, it is not listened to.
const UNSENT_MAX: usize = 32 << 20;
/// Pieces that are given to one system call.
const PIECES_MAX: usize = 64;
/// How long a closed connection may take its last bytes.
const LINGER: Duration = Duration::from_secs(2);

/// The sending side of a connection, and its end.
pub(super) struct Wire {
    peer: SocketAddr,
    half: OwnedWriteHalf,
    unsent: RefCell<VecDeque<Bytes>>,
    unsent_bytes: Cell<usize>,
    /// The socket does not take any more.
    broken: Cell<bool>,
    /// The core is done with it.
    closing: Cell<bool>,
    changed: Notify,
}

/// Takes care of a connection from here on.
pub(super) fn begin(
    core: &Rc<RefCell<Core>>,
    stream: TcpStream,
    peer: SocketAddr,
    port: TargetPort,
    challenge: Challenge,
) {
    // Without it every answer would wait for the acknowledgement of the one before: 40 ms.
    if let Err(error) = stream.set_nodelay(true) {
        eprintln!("redline node: {peer} was not accepted: {error}");
        return;
    }
    let (read, half) = stream.into_split();
    let wire = Rc::new(Wire {
        peer,
        half,
        unsent: RefCell::default(),
        unsent_bytes: Cell::new(0),
        broken: Cell::new(false),
        closing: Cell::new(false),
        changed: Notify::new(),
    });
    let connection = core.borrow_mut().accepted(Rc::clone(&wire), port, challenge);
    tokio::task::spawn_local(converse(Rc::clone(core), wire, read, connection));
}

async fn converse(
    core: Rc<RefCell<Core>>,
    wire: Rc<Wire>,
    mut read: OwnedReadHalf,
    connection: ConnectionId,
) {
    let mut buffer = BytesMut::new();
    while !wire.closing.get() {
        let listens = core.borrow().reads() && wire.unsent_bytes.get() < UNSENT_MAX;
        if listens && buffer.capacity() < ROOM_MIN {
            buffer.reserve(core.borrow().missing(connection).clamp(READ.0, READ.1));
        }
        tokio::select! {
            biased;
            came = read.read_buf(&mut buffer), if listens => {
                if !matches!(came, Ok(1..)) {
                    core.borrow_mut().closed(connection);
                    return;
                }
                core.borrow_mut().received(connection, buffer.split().freeze());
            }
            ready = wire.half.writable(), if !wire.is_drained() => {
                if ready.is_ok() {
                    wire.write();
                }
            }
            () = wire.changed.notified() => {}
        }
        if wire.broken.get() {
            core.borrow_mut().closed(connection);
            return;
        }
    }
    let _ = tokio::time::timeout(LINGER, async {
        while !wire.is_drained() && wire.half.writable().await.is_ok() {
            wire.write();
        }
    })
    .await;
}

impl Wire {
    /// Bytes that wait to be written.
    pub(super) fn unsent(&self) -> usize {
        self.unsent_bytes.get()
    }

    pub(super) fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Appends what is to be sent.
    pub(super) fn push(&self, pieces: Vec<Bytes>) {
        let bytes: usize = pieces.iter().map(Bytes::len).sum();
        self.unsent_bytes.set(self.unsent_bytes.get() + bytes);
        self.unsent.borrow_mut().extend(pieces);
    }

    /// Writes what the socket takes now. The connection's task writes the rest.
    pub(super) fn write(&self) {
        let mut unsent = self.unsent.borrow_mut();
        while !unsent.is_empty() {
            let mut slices: [IoSlice<'_>; PIECES_MAX] = std::array::from_fn(|_| IoSlice::new(&[]));
            let count = unsent.len().min(PIECES_MAX);
            for (slice, piece) in slices.iter_mut().zip(unsent.iter()) {
                *slice = IoSlice::new(piece);
            }
            match self.half.try_write_vectored(&slices[..count]) {
                Ok(written) => {
                    self.unsent_bytes.set(self.unsent_bytes.get() - written);
                    advance(&mut unsent, written);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => {
                    unsent.clear();
                    self.unsent_bytes.set(0);
                    self.broken.set(true);
                    break;
                }
            }
        }
        if !unsent.is_empty() || self.broken.get() {
            self.wake();
        }
    }

    /// The core is done with it: what is unsent is sent, and then it ends.
    pub(super) fn close(&self) {
        self.closing.set(true);
        self.write();
        self.wake();
    }

    /// Lets the connection's task look again.
    pub(super) fn wake(&self) {
        self.changed.notify_one();
    }

    pub(super) fn is_drained(&self) -> bool {
        self.unsent.borrow().is_empty()
    }
}

fn advance(unsent: &mut VecDeque<Bytes>, mut written: usize) {
    while written > 0 {
        let Some(front) = unsent.front_mut() else { return };
        if written < front.len() {
            bytes::Buf::advance(front, written);
            return;
        }
        written -= front.len();
        unsent.pop_front();
    }
}
