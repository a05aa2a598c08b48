//! Heartbeats between guests: two bytes each, over one TCP connection for each direction of each pair.
//!
//! A heartbeat says who sends it and whether it owns the disk. Connections are made when there is something to send and dropped when
//! they do not take it; a heartbeat that finds no connection is lost, as on any network.

use redline_vocab::NodeId;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// A heartbeat that arrived.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Beat {
    pub(super) from: NodeId,
    pub(super) owner: bool,
}

/// Beats that may wait for the loop; more than that are lost.
const WAITING_MAX: usize = 64;
/// Connections that are listened to at once; one more waits until one ends.
const LISTENED_MAX: usize = 32;
/// A connection or a beat that takes longer is given up.
const PATIENCE: Duration = Duration::from_secs(2);

/// Takes heartbeats of `nodes` nodes in. Runs until the listener fails.
pub(super) fn listen(listener: TcpListener, nodes: u8) -> mpsc::Receiver<Beat> {
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    tokio::spawn(async move {
        let room = std::sync::Arc::new(tokio::sync::Semaphore::new(LISTENED_MAX));
        while let Ok(seat) = std::sync::Arc::clone(&room).acquire_owned().await {
            let Ok((stream, _)) = listener.accept().await else { return };
            let sender = sender.clone();
            tokio::spawn(async move {
                hear(stream, nodes, &sender).await;
                drop(seat);
            });
        }
    });
    receiver
}

async fn hear(mut stream: TcpStream, nodes: u8, sender: &mpsc::Sender<Beat>) {
    let mut bytes = [0; 2];
    while stream.read_exact(&mut bytes).await.is_ok() {
        let [from, owner] = bytes;
        if from >= nodes || owner > 1 {
            eprintln!("redline node: a connection to the heartbeat port that sent no heartbeat was dropped");
            return;
        }
        // A full channel loses beats rather than to keep stale ones.
        let _ = sender.try_send(Beat { from: NodeId(from), owner: owner == 1 });
    }
}

/// The ways to the other nodes.
#[derive(Default)]
pub(super) struct Peers(BTreeMap<NodeId, Peer>);

struct Peer {
    beats: mpsc::Sender<[u8; 2]>,
    task: JoinHandle<()>,
}

impl Peers {
    /// From now on this node is reached there.
    pub(super) fn set(&mut self, node: NodeId, at: SocketAddr) {
        // Two may wait: one on its way and one behind it.
        let (beats, receiver) = mpsc::channel(2);
        let task = tokio::spawn(carry(at, receiver));
        if let Some(old) = self.0.insert(node, Peer { beats, task }) {
            old.task.abort();
        }
    }

    /// Sends a heartbeat, or loses it.
    pub(super) fn send(&self, to: NodeId, from: NodeId, owner: bool) {
        if let Some(peer) = self.0.get(&to) {
            let _ = peer.beats.try_send([from.0, u8::from(owner)]);
        }
    }
}

async fn carry(at: SocketAddr, mut beats: mpsc::Receiver<[u8; 2]>) {
    let mut stream: Option<TcpStream> = None;
    while let Some(beat) = beats.recv().await {
        if stream.is_none() {
            stream = timeout(PATIENCE, TcpStream::connect(at)).await.ok().and_then(Result::ok);
        }
        let Some(open) = &mut stream else { continue };
        let sent = open.set_nodelay(true).is_ok()
            && matches!(timeout(PATIENCE, open.write_all(&beat)).await, Ok(Ok(())));
        if !sent {
            stream = None;
        }
    }
}
