//! The guest's way to the array: a TCP connection and the iSCSI session on it, one at a time.
//!
//! **Deliberately absent:** reconnecting by itself. The node decides when.

use bytes::BytesMut;
use redline_fabric::array::InitiatorPort;
use redline_fabric::iscsi::initiator::{
    Completion, Direction, Effect, Event, Initiator, Input, Opening, ScsiCommand, Settings,
};
use redline_fabric::iscsi::negotiate::Offer;
use redline_fabric::iscsi::serial::Sn;
use redline_fabric::scsi::command::{Answer, Outgoing, Ports, incoming};
use redline_vocab::{Command, Reply, Tag};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

/// A connection or a login that takes longer is given up.
const PATIENCE: Duration = Duration::from_secs(5);
/// Room that a read is given, in bytes.
const READ: usize = 64 << 10;
/// Pieces that may wait for a socket that does not take them; a target that reads so little is as good as gone.
const UNSENT_MAX: usize = 4096;

/// What came over the link.
#[derive(Debug)]
pub(super) enum Came {
    /// The session is there.
    LoggedIn,
    /// A command was answered.
    Answer {
        /// Which.
        tag: Tag,
        /// How.
        answer: Raw,
    },
    /// Nothing that the node has to know.
    Nothing,
    /// The connection or the session is gone.
    Broken {
        /// Why.
        why: String,
        /// Whether there was a session.
        was_in: bool,
    },
}

/// An answer in bytes.
#[derive(Debug)]
pub(super) struct Raw(Completion);

impl Raw {
    /// What it says; `None` if it says nothing that SCSI knows.
    pub(super) fn read(&self, command: &Command, block_bytes: u32) -> Option<Reply> {
        if self.0.response != 0 {
            return None;
        }
        let data = self.0.data.joined();
        let answer = Answer { status: self.0.status, sense: &self.0.sense, data: &data };
        incoming(command, answer, block_bytes, Ports(&[])).ok()
    }
}

/// The link.
#[derive(Default)]
pub(super) struct Link {
    state: State,
    came: VecDeque<Came>,
}

#[derive(Default)]
enum State {
    #[default]
    Idle,
    Connecting(JoinHandle<io::Result<TcpStream>>, Box<Settings>),
    Open(Box<Open>),
}

struct Open {
    session: Initiator,
    read: OwnedReadHalf,
    buffer: BytesMut,
    sender: mpsc::Sender<bytes::Bytes>,
    writer: JoinHandle<()>,
    /// A login must be over by then.
    deadline: Instant,
    /// The login has succeeded.
    was_in: bool,
    /// What goes to the writer when the trace is written.
    unsent: Vec<bytes::Bytes>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.writer.abort();
    }
}

impl Drop for State {
    fn drop(&mut self) {
        if let State::Connecting(task, _) = self {
            task.abort();
        }
    }
}

impl Link {
    /// Whether there is neither a connection nor an attempt at one.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle)
    }

    /// Begins to connect and to log in.
    pub(super) fn connect(&mut self, to: SocketAddr, port: InitiatorPort, target: &str) {
        let settings = Settings {
            name: port.name,
            isid: port.isid,
            tsih: 0,
            cid: 0,
            target: Some(target.to_owned()),
            credentials: None,
            opening: Opening::Operational,
            offer: Offer { time_to_retain: 3600, ..Offer::INITIATOR },
            cmd_sn: Sn(1),
        };
        let task = tokio::spawn(async move {
            let stream = timeout(PATIENCE, TcpStream::connect(to)).await.map_err(io::Error::from)??;
            stream.set_nodelay(true)?;
            Ok(stream)
        });
        self.came.clear();
        self.state = State::Connecting(task, Box::new(settings));
    }

    /// Hands a command to the session.
    pub(super) fn send(&mut self, tag: Tag, command: Outgoing) {
        let Outgoing { cdb, data, expected_in } = command;
        let direction = match (data.is_empty(), expected_in) {
            (true, 0) => Direction::None,
            (true, expected) => Direction::In(expected),
            (false, _) => {
                let expected = u32::try_from(data.len()).expect("a command's data fit into its length field");
                Direction::Out { expected, data: vec![data.into()], withheld: false }
            }
        };
        let simple = 1;
        let command = ScsiCommand { tag, lun: [0; 8], cdb, direction, attribute: simple, immediate: false };
        self.step(Input::Command(command));
    }

    /// Sends what has come together.
    pub(super) fn write(&mut self) {
        let State::Open(open) = &mut self.state else { return };
        let sent = open.unsent.drain(..).all(|piece| open.sender.try_send(piece).is_ok());
        if !sent {
            self.broken("the connection takes nothing more");
        }
    }

    /// Gives the connection up.
    pub(super) fn drop_connection(&mut self) {
        self.state = State::Idle;
        self.came.clear();
    }

    /// What comes next; never ends while there is no connection. Nothing is lost when it is not waited for to its end.
    pub(super) async fn next(&mut self) -> Came {
        if let Some(came) = self.came.pop_front() {
            return came;
        }
        match &mut self.state {
            State::Idle => std::future::pending().await,
            State::Connecting(task, settings) => {
                let connected = task.await.unwrap_or_else(|_| Err(io::ErrorKind::Other.into()));
                let settings = settings.as_ref().clone();
                match connected {
                    Ok(stream) => self.open(stream, settings),
                    Err(error) => self.broken(&error.to_string()),
                }
            }
            State::Open(open) => {
                open.buffer.reserve(READ);
                let login = !open.was_in;
                tokio::select! {
                    read = open.read.read_buf(&mut open.buffer) => match read {
                        Ok(0) => self.broken("the array has closed it"),
                        Ok(_) => {
                            let bytes = open.buffer.split().freeze();
                            self.step(Input::Received(bytes));
                        }
                        Err(error) => self.broken(&error.to_string()),
                    },
                    () = sleep_until(open.deadline), if login => self.broken("the login took too long"),
                }
            }
        }
        self.came.pop_front().unwrap_or(Came::Nothing)
    }

    fn open(&mut self, stream: TcpStream, settings: Settings) {
        let (read, write) = stream.into_split();
        let (sender, receiver) = mpsc::channel(UNSENT_MAX);
        self.state = State::Open(Box::new(Open {
            session: Initiator::new(settings),
            read,
            buffer: BytesMut::new(),
            sender,
            writer: tokio::spawn(carry(write, receiver)),
            deadline: Instant::now() + PATIENCE,
            was_in: false,
            unsent: Vec::new(),
        }));
        self.step(Input::Connected);
    }

    fn step(&mut self, input: Input) {
        let State::Open(open) = &mut self.state else { return };
        let mut effects = Vec::new();
        open.session.step(input, &mut effects);
        for effect in effects {
            let State::Open(open) = &mut self.state else { return };
            match effect {
                Effect::Send(pieces) => open.unsent.extend(pieces),
                Effect::Close => self.broken("the session has ended"),
                Effect::Event(Event::LoggedIn { .. }) => {
                    open.was_in = true;
                    self.came.push_back(Came::LoggedIn);
                }
                Effect::Event(Event::Completed(completion)) => {
                    self.came.push_back(Came::Answer { tag: completion.tag, answer: Raw(completion) });
                }
                Effect::Event(Event::LoginRefused { status }) => {
                    self.broken(&format!("the login was refused: {status:04x}h"));
                }
                Effect::Event(Event::Failed(failure)) => self.broken(&failure.to_string()),
                Effect::Event(Event::Rejected { reason, .. }) => {
                    self.broken(&format!("the array has rejected a PDU: {reason:02x}h"));
                }
                // An initiator that asks nothing else hears nothing else; a message announces the end of the connection.
                Effect::Event(
                    Event::Withheld { .. }
                    | Event::Managed { .. }
                    | Event::Pong { .. }
                    | Event::Targets { .. }
                    | Event::LoggedOut { .. }
                    | Event::Message(_),
                ) => {}
            }
        }
    }

    fn broken(&mut self, why: &str) {
        let was_in = matches!(&self.state, State::Open(open) if open.was_in);
        self.state = State::Idle;
        self.came.push_back(Came::Broken { why: why.to_owned(), was_in });
    }
}

async fn carry(mut write: OwnedWriteHalf, mut pieces: mpsc::Receiver<bytes::Bytes>) {
    while let Some(piece) = pieces.recv().await {
        // A broken connection is noticed by its reader.
        if write.write_all(&piece).await.is_err() {
            return;
        }
    }
}
