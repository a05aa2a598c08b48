//! A SAN array as a process: an iSCSI target between sockets and files.
//!
//! One thread owns everything: a task for each connection reads its socket and hands the bytes to the [`core::Core`], which lets the machines take their
//! steps, carries the disk's operations out at once, and writes the answers to the sockets before it returns. So a command that needs
//! no sync is answered by the task that has read it, without a lock, a queue or another thread; only large reads that wait behind each other
//! are shared with a [`helper`].
//!
//! The end of the process is the power cycle of the array: it comes up from its folder.

mod core;
mod helper;
mod wire;

use self::core::Core;
use crate::control::{self, Heard, Order};
use crate::disk::{self, Disk, Unsynced};
use crate::log::Log;
use redline_fabric::array::{self, InitiatorPort, KnownNexus, TargetPort, TargetPortConfig, UnitConfig};
use redline_fabric::iscsi::chap::{Account, Challenge};
use redline_fabric::iscsi::negotiate::Offer;
use redline_fabric::iscsi::target::{self, Accounts, ConfigError, Endpoint, Limits, Portal, Timing};
use redline_fabric::scsi::report::AccessState;
use redline_traces::Header;
use redline_vocab::{Micros, NodeId, Quirks};
use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::LocalSet;

/// Bytes of a block.
const BLOCK_BYTES: u32 = 512;

/// What initiators have to prove to know.
#[derive(Clone, PartialEq, Eq)]
pub struct Chap {
    /// CHAP_N.
    pub user: String,
    /// The secret.
    pub secret: Vec<u8>,
}

/// What the process is.
#[derive(Clone)]
pub struct Config {
    /// Folder of its files.
    pub dir: PathBuf,
    /// iSCSI name of the target.
    pub target: String,
    /// Size of the logical unit in blocks of 512 bytes.
    pub blocks: u64,
    /// Blocks in a physical block, as a power of two (LBPPBE).
    pub physical_exponent: u8,
    /// Whether it promises that unmapped blocks read as zeros (LBPRZ).
    pub reads_zeros: bool,
    /// Whether writes are durable only after a flush.
    pub write_cache: bool,
    /// Registrations it has room for.
    pub registrants_max: u16,
    /// Tasks of one nexus it has room for.
    pub tasks_max: u16,
    /// How long the nexus of a broken connection is kept.
    pub time2retain: Micros,
    /// An initiator that was silent for so long is pinged; one that has not answered half that time later is dropped.
    pub ping_after: Micros,
    /// Planted bugs.
    pub quirks: Quirks,
    /// By nexus, the guests and their initiator ports, which have a number before they log in; all at the first target port.
    pub known: Vec<(NodeId, InitiatorPort)>,
    /// Where it listens: one target portal group each.
    pub listen: Vec<SocketAddr>,
    /// Target ports, counted from 1 in the order of `listen`, through which the medium cannot be reached (ALUA standby).
    pub standby: Vec<u16>,
    /// Who may log in; `None`: anybody.
    pub chap: Option<Chap>,
    /// Where writes wait for a flush.
    pub unsynced: Unsynced,
    /// Where to record what happens, if anywhere.
    pub trace: Option<(PathBuf, Header)>,
}

/// Why the process cannot go on.
#[derive(Error, Debug)]
pub enum Error {
    /// Its disk does not open, or what must be durable cannot be stored.
    #[error(transparent)]
    Disk(#[from] disk::Error),
    /// Its configuration cannot work.
    #[error("{0}")]
    Config(ConfigError),
    /// The operating system refused something else: an address, the trace.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// How often deadlines are looked at.
const TICK: Duration = Duration::from_millis(100);
/// How long a planned stop waits for commands that are under way.
const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// Runs the process until it is told to stop.
///
/// # Errors
/// [`Error`]
pub fn run(config: Config) -> Result<(), Error> {
    control::stay_with_parent()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, serve(config))
}

async fn serve(config: Config) -> Result<(), Error> {
    let disk = Disk::open(&config.dir, &[config.blocks * u64::from(BLOCK_BYTES)], config.unsynced)?;
    let log = match &config.trace {
        Some((path, header)) => Log::create(path, header)?,
        None => Log::OFF,
    };
    let mut listeners = Vec::new();
    let mut portals = Vec::new();
    for (port, address) in (1..).map(TargetPort).zip(&config.listen) {
        let listener = TcpListener::bind(address).await?;
        portals.push(Portal { address: listener.local_addr()?.to_string(), port });
        listeners.push((listener, port));
    }
    let addresses: Vec<String> = portals.iter().map(|portal| portal.address.clone()).collect();
    let endpoint = Endpoint::new(endpoint_config(&config, portals)).map_err(Error::Config)?;
    let core =
        Core::power_on(array_config(&config, Dice::open()?.secret()?), config.quirks, endpoint, disk, log)?;
    let mut orders = control::listen();
    for (listener, port) in listeners {
        let dice = config.chap.is_some().then(Dice::open).transpose()?;
        tokio::task::spawn_local(accept(Rc::clone(&core), listener, port, dice));
    }
    control::answer(&format!("ready {}", addresses.join(" ")));
    listen(&core, &mut orders).await?;
    stop(&core).await
}

fn endpoint_config(config: &Config, portals: Vec<Portal>) -> target::Config {
    let account = |chap: &Chap| Account { name: chap.user.clone(), secret: chap.secret.clone() };
    let seconds = u32::try_from(config.time2retain.0.div_ceil(1_000_000)).unwrap_or(3600);
    target::Config {
        name: config.target.clone(),
        portals,
        chap: config.chap.as_ref().map(|chap| Accounts { initiator: account(chap), target: None }),
        offer: Offer { time_to_retain: seconds, ..Offer::TARGET },
        limits: Limits::USUAL,
        timing: Timing {
            ping_after: config.ping_after,
            ping_timeout: Micros(config.ping_after.0 / 2),
            ..Timing::USUAL
        },
    }
}

fn array_config(config: &Config, secret: [u8; 32]) -> array::Config {
    let known = config.known.iter().map(|(node, initiator)| KnownNexus {
        node: *node,
        initiator: initiator.clone(),
        port: TargetPort(1),
    });
    let ports = (1..).map(TargetPort).zip(&config.listen);
    array::Config {
        name: config.target.clone(),
        serial: 1,
        units: vec![UnitConfig {
            lun: 0,
            blocks: config.blocks,
            block_bytes: BLOCK_BYTES,
            physical_exponent: config.physical_exponent,
            thin: true,
            reads_zeros: config.reads_zeros,
            write_back: config.write_cache,
        }],
        target_ports: ports
            .map(|(port, _)| match config.standby.contains(&port.0) {
                true => TargetPortConfig { port, state: AccessState::Standby },
                false => TargetPortConfig { port, state: AccessState::ActiveOptimized },
            })
            .collect(),
        known: known.collect(),
        registrants_max: config.registrants_max,
        tasks_max: config.tasks_max,
        secret,
        events: config.trace.is_some(),
    }
}

/// Takes orders until it is told to stop, or whoever has started it is gone.
async fn listen(core: &Rc<RefCell<Core>>, orders: &mut mpsc::Receiver<Heard>) -> Result<(), Error> {
    let mut interrupted = std::pin::pin!(control::interrupted());
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            heard = orders.recv() => match heard {
                Some(Heard::Order(Order::Stop)) | None => return Ok(()),
                Some(Heard::Order(order)) => control::answer(&obey(&mut core.borrow_mut(), order)),
                Some(Heard::Nonsense(expected)) => control::answer(&format!("error {expected}")),
            },
            () = &mut interrupted => return Ok(()),
            _ = tick.tick() => core.borrow_mut().tick(),
        }
        core.borrow_mut().failure()?;
    }
}

fn obey(core: &mut Core, order: Order) -> String {
    match order {
        Order::Disk(fault) => core.set_fault(fault),
        Order::Status => return core.status(),
        Order::Array(_) | Order::Peer(..) | Order::Jump(_) | Order::Skew(_) => {
            return "error an array has no such order: it is a guest's".to_owned();
        }
        Order::Stop => {}
    }
    "ok".to_owned()
}

/// The planned end: what was taken is answered, what was written is synced, the trace gets its footer.
async fn stop(core: &Rc<RefCell<Core>>) -> Result<(), Error> {
    core.borrow_mut().stop_reading();
    let until = Instant::now() + STOP_PATIENCE;
    while core.borrow().is_busy() && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    core.borrow_mut().finish()
}

async fn accept(core: Rc<RefCell<Core>>, listener: TcpListener, port: TargetPort, dice: Option<Dice>) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let challenge = match dice.as_ref().map(Dice::challenge).transpose() {
                    Ok(challenge) => challenge.unwrap_or(Challenge { id: 0, bytes: [0; 32] }),
                    Err(error) => {
                        // Without a challenge that nobody can foresee there is no login.
                        eprintln!("redline node: {peer} was not accepted: no random numbers: {error}");
                        continue;
                    }
                };
                wire::begin(&core, stream, peer, port, challenge);
            }
            Err(error) => {
                eprintln!("redline node: no connection could be accepted: {error}");
                tokio::time::sleep(TICK).await;
            }
        }
    }
}

/// Where unpredictable numbers come from.
struct Dice(std::fs::File);

impl Dice {
    fn open() -> io::Result<Dice> {
        std::fs::File::open("/dev/urandom").map(Dice)
    }

    fn secret(&self) -> io::Result<[u8; 32]> {
        let mut bytes = [0; 32];
        io::Read::read_exact(&mut &self.0, &mut bytes)?;
        Ok(bytes)
    }

    fn challenge(&self) -> io::Result<Challenge> {
        let mut bytes = [0; 33];
        io::Read::read_exact(&mut &self.0, &mut bytes)?;
        let [id, rest @ ..] = bytes;
        Ok(Challenge { id, bytes: rest })
    }
}
