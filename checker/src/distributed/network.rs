//! The processes and what they say to each other.

use super::sockets;
use crate::{fingerprint::Fingerprint, report::Cut, report::Error};
use serde::{Deserialize, Serialize};
use std::{
    any::Any,
    cell::RefCell,
    marker::PhantomData,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};
use timely::{
    communication::{
        Config, Hooks,
        allocator::{
            AllocatorBuilder, ProcessBuilder, zero_copy::initialize::initialize_networking_from_sockets,
        },
    },
    dataflow::{
        InputHandle, ProbeHandle,
        operators::{Exchange, Input, Inspect, Probe},
    },
    worker::Worker,
};

/// One process of several.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// Which of the addresses is this process's own.
    pub process: usize,
    /// `HOST:PORT` of every process, in the same order everywhere. One address: a single process without network.
    pub addresses: Vec<String>,
    /// Worker threads of each process, the same everywhere, at least 1.
    pub threads: usize,
}

/// A worker of the cluster while [`execute`] runs.
pub struct Member<'t> {
    worker: &'t mut Worker,
    /// Workers of each process.
    threads: usize,
    health: Arc<Health>,
}

/// Whether the other processes are still there.
#[derive(Default)]
struct Health {
    /// A connection has ended, as all do at the end of a run.
    lost: Arc<AtomicBool>,
    /// A worker waits for what will never come.
    stuck: AtomicBool,
}

/// How long a worker waits after a connection has ended: what had arrived before takes its time.
const PATIENCE: Duration = Duration::from_secs(5);

/// Runs the same work on every worker of this process and joins the other processes; returns what the workers gave, in their order.
///
/// If another process dies, the workers of this one are left where they are: the caller should end as well.
///
/// # Errors
/// [`Error::Network`] if the processes do not find each other, [`Error::PeerFailed`] if one of them dies, [`Error::Panicked`] if
/// a worker panics.
pub fn execute<T: Send + 'static>(
    cluster: &Cluster,
    work: impl Fn(&mut Member<'_>) -> T + Send + Sync + 'static,
) -> Result<Vec<T>, Error> {
    let threads = cluster.threads.max(1);
    let health = Arc::new(Health::default());
    let (builders, others) = connect(cluster, threads, &health)?;
    let watched = Arc::clone(&health);
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        let work =
            move |worker: &mut Worker| work(&mut Member { worker, threads, health: Arc::clone(&watched) });
        let guards = timely::execute::execute_from(builders, others, timely::WorkerConfig::default(), work);
        let given = guards.map_err(Error::Network).and_then(|guards| {
            guards.join().into_iter().map(|result| result.map_err(Error::Panicked)).collect()
        });
        // Whoever listens may have given up.
        let _ = tell.send(given);
    });
    loop {
        match told.recv_timeout(Duration::from_millis(100)) {
            Ok(given) => return given,
            Err(mpsc::RecvTimeoutError::Timeout) if health.stuck.load(Ordering::Relaxed) => {
                return Err(Error::PeerFailed);
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                return Err(Error::Panicked("the network's thread ended".to_owned()));
            }
        }
    }
}

type Builders = (Vec<AllocatorBuilder>, Box<dyn Any + Send>);

fn connect(cluster: &Cluster, threads: usize, health: &Health) -> Result<Builders, Error> {
    let Cluster { process, addresses, .. } = cluster;
    if *process >= addresses.len() {
        let why = format!("process {process} has no address among {}", addresses.len());
        return Err(Error::Network(why));
    }
    if addresses.len() == 1 {
        let config = if threads == 1 { Config::Thread } else { Config::Process(threads) };
        return config.try_build().map_err(Error::Network);
    }
    let sockets = sockets::meet(*process, addresses, &health.lost)?;
    let hooks = Hooks::default();
    let local = ProcessBuilder::new_typed_vector(threads, hooks.refill.clone(), hooks.spill.clone());
    let (builders, guard) = initialize_networking_from_sockets(local, sockets, *process, threads, hooks)?;
    Ok((builders.into_iter().map(AllocatorBuilder::Tcp).collect(), Box::new(guard)))
}

/// Something that one worker sends to another one.
#[derive(Clone, Serialize, Deserialize)]
pub struct Message {
    to: u64,
    body: Body,
}

/// What is sent.
#[derive(Clone, Serialize, Deserialize)]
pub enum Body {
    /// States for their owner: fingerprints and those of the states that they come from, as words, and the states as one chunk.
    States { level: u64, fingerprints: Vec<u64>, parents: Vec<u64>, chunk: Vec<u8> },
    /// What a worker says at the end of a level.
    Word(u64, Word),
    /// Where does this state of the level come from?
    Question { asked: u32, level: u64, fingerprint: [u64; 2] },
    /// For those that report: the state's predecessor; zeros for an initial state.
    Answer { asked: u32, level: u64, parent: [u64; 2] },
}

/// What a worker says at the end of a level.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Word {
    /// Its states of the next level.
    pub fresh: u64,
    /// Successors that it generated.
    pub generated: u64,
    /// The same by kind of action.
    pub fired: Vec<u64>,
    /// Claims found at its states of the level, each with the least fingerprint of such a state.
    pub found: Vec<Found>,
    /// Why the search should be cut.
    pub halt: Option<Halt>,
}

/// A claim that was found, and where. Ordered by claim, then by fingerprint.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Found {
    /// Index.
    pub claim: u32,
    /// Of the state.
    pub fingerprint: [u64; 2],
}

/// Why a worker wants the search to end.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Halt {
    /// It cannot go on, and says why to its own process.
    Failed,
    /// See [`Cut::Interrupted`].
    Interrupted,
    /// See [`Cut::Time`].
    Time,
    /// See [`Cut::Memory`].
    Memory,
}

impl Halt {
    /// As the end of a search; `None`: it failed.
    pub fn cut(self) -> Option<Cut> {
        match self {
            Halt::Failed => None,
            Halt::Interrupted => Some(Cut::Interrupted),
            Halt::Time => Some(Cut::Time),
            Halt::Memory => Some(Cut::Memory),
        }
    }
}

/// A fingerprint as it travels.
pub fn words<F: Fingerprint>(fingerprint: F) -> [u64; 2] {
    [fingerprint.lead(), fingerprint.tail()]
}

/// A worker's end of the dataflow.
pub struct Network<'w, F> {
    worker: &'w mut Worker,
    threads: usize,
    health: Arc<Health>,
    /// Since when this worker waits for the others.
    waits_since: Option<Instant>,
    input: InputHandle<u64, timely::container::CapacityContainerBuilder<Vec<Message>>>,
    probe: ProbeHandle<u64>,
    inbox: Rc<RefCell<Vec<Body>>>,
    width: PhantomData<F>,
}

impl<'w, F: Fingerprint> Network<'w, F> {
    /// Every worker must make its networks in the same order.
    pub fn new(member: &'w mut Member<'_>) -> Network<'w, F> {
        let mut input = InputHandle::new();
        let probe = ProbeHandle::new();
        let inbox = Rc::new(RefCell::new(Vec::new()));
        let worker = &mut *member.worker;
        worker.dataflow(|scope| {
            let inbox = Rc::clone(&inbox);
            scope
                .input_from(&mut input)
                .container::<Vec<Message>>()
                .exchange(|message: &Message| message.to)
                .inspect(move |message| inbox.borrow_mut().push(message.body.clone()))
                .probe_with(&probe);
        });
        let (threads, health) = (member.threads, Arc::clone(&member.health));
        Network { worker, threads, health, waits_since: None, input, probe, inbox, width: PhantomData }
    }

    /// This worker's number among all.
    pub fn index(&self) -> usize {
        self.worker.index()
    }

    /// How many workers there are in all processes.
    pub fn peers(&self) -> usize {
        self.worker.peers()
    }

    /// Whether this is the first worker of its process, which reports.
    pub fn reports(&self) -> bool {
        self.index().is_multiple_of(self.threads)
    }

    /// Who keeps this fingerprint.
    pub fn owner(&self, fingerprint: F) -> usize {
        // The upper bits decide the place in the owner's table.
        (fingerprint.lead() % self.peers() as u64) as usize
    }

    /// To one worker.
    pub fn send(&mut self, to: usize, body: Body) {
        self.input.send(Message { to: to as u64, body });
    }

    /// To all workers that report.
    pub fn tell_reporters(&mut self, body: &Body) {
        for to in (0..self.peers()).step_by(self.threads) {
            self.send(to, body.clone());
        }
    }

    /// To all workers, this one included.
    pub fn tell_all(&mut self, body: &Body) {
        for to in 0..self.peers() {
            self.send(to, body.clone());
        }
    }

    /// What has come meanwhile.
    pub fn receive(&mut self) -> Vec<Body> {
        self.input.flush();
        self.worker.step();
        self.inbox.take()
    }

    /// Ends the epoch; true once everybody has ended it and everything that was sent in it has arrived. To be called until it is.
    pub fn close_epoch(&mut self, epoch: u64) -> bool {
        if *self.input.time() <= epoch {
            self.input.advance_to(epoch + 1);
        }
        if self.probe.less_than(&(epoch + 1)) {
            self.worker.step_or_park(Some(Duration::from_millis(1)));
        }
        let closed = !self.probe.less_than(&(epoch + 1));
        if closed || !self.inbox.borrow().is_empty() || !self.health.lost.load(Ordering::Relaxed) {
            self.waits_since = None;
        } else if self.waits_since.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
            self.health.stuck.store(true, Ordering::Relaxed);
        }
        closed
    }

    /// What has come meanwhile, without looking for more.
    pub fn arrived(&mut self) -> Vec<Body> {
        self.inbox.take()
    }
}
