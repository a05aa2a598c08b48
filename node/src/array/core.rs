//! The machines of the array, its disk and its trace, and what goes on between them.
//!
//! [`Core::settle`] is the whole of it: inputs are taken one after the other ([`Next`] says in which order); what the disk can do at once is done at its
//! place, and what comes of that is one more input. When nothing is left, or much is to be sent, the trace is handed to the operating system, and then the
//! sockets get their bytes.

use super::Error;
use super::helper::Helper;
use super::wire::Wire;
use crate::disk::{self, Begun, Disk, Fault};
use crate::log::Log;
use redline_fabric::array::{self, Array, DiskId, DiskOperation, DiskOutcome, TargetPort};
use redline_fabric::iscsi::chap::Challenge;
use redline_fabric::iscsi::target::{self, CloseReason, ConnectionId, Endpoint};
use redline_vocab::{Micros, Quirk, Quirks};
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// So many bytes are written before other commands are looked at: the initiator takes them in while the disk is read for the next command,
/// and they are still in the processor's cache.
const EAGER: usize = 128 << 10;

/// How late a table is that is stored late: as a cache that is written back now and then.
const PERSIST_LATE: Duration = Duration::from_secs(1);

/// What is still to be taken in, first come first served in each of the three. Answers go before what the disk has done, and that before more
/// commands: so the first of many reads is on its way before the second is looked at.
#[derive(Default)]
struct Next {
    /// To the endpoint: answers of the array, and what comes from sockets.
    endpoint: VecDeque<target::Input>,
    /// To the array: what the disk has done.
    done: VecDeque<array::Input>,
    /// To the array: commands and whatever else the endpoint has for it.
    commands: VecDeque<array::Input>,
}

/// Flushes that wait for a file: one sync answers all that came before it began.
#[derive(Default)]
struct Syncs {
    running: Vec<DiskId>,
    waiting: Vec<DiskId>,
}

/// The inside of the process.
pub(super) struct Core {
    own: Weak<RefCell<Core>>,
    endpoint: Endpoint,
    array: Array,
    disk: Disk,
    log: Log,
    since: Instant,
    wires: BTreeMap<ConnectionId, Rc<Wire>>,
    next_connection: u64,
    next: Next,
    /// Emptied and used again, so that a step allocates nothing.
    endpoint_effects: Vec<target::Effect>,
    array_effects: Vec<array::Effect>,
    /// Connections that have something to send.
    dirty: Vec<ConnectionId>,
    syncs: Syncs,
    helper: Helper,
    /// Operations that a fault delays.
    delayed: usize,
    /// Operations that a fault holds, in the order in which they came.
    held: VecDeque<(DiskId, DiskOperation)>,
    /// Quirk `persist-late`: the table reaches stable storage some time after its GOOD.
    persists_late: bool,
    /// It is on its way there.
    persisting: bool,
    stopping: bool,
    failure: Option<Error>,
}

impl Core {
    pub(super) fn power_on(
        config: array::Config,
        quirks: Quirks,
        endpoint: Endpoint,
        disk: Disk,
        log: Log,
    ) -> Result<Rc<RefCell<Core>>, Error> {
        let stored = disk.stored()?;
        let mut effects = Vec::new();
        let array = Array::power_on(config, quirks, stored.as_deref(), &mut effects);
        let wake = Arc::new(Notify::new());
        let helper = Helper::start(Arc::clone(&wake))?;
        let core = Rc::new_cyclic(|own| {
            RefCell::new(Core {
                own: own.clone(),
                endpoint,
                array,
                disk,
                log,
                since: Instant::now(),
                wires: BTreeMap::new(),
                next_connection: 0,
                next: Next::default(),
                endpoint_effects: Vec::new(),
                array_effects: effects,
                dirty: Vec::new(),
                syncs: Syncs::default(),
                helper,
                delayed: 0,
                held: VecDeque::new(),
                persists_late: quirks.has(Quirk::PersistLate),
                persisting: false,
                stopping: false,
                failure: None,
            })
        });
        {
            let mut core = core.borrow_mut();
            core.after_array();
            core.settle();
            core.failure()?;
        }
        tokio::task::spawn_local(listen_to_helper(Rc::downgrade(&core), wake));
        Ok(core)
    }

    /// A connection was accepted.
    pub(super) fn accepted(
        &mut self,
        wire: Rc<Wire>,
        port: TargetPort,
        challenge: Challenge,
    ) -> ConnectionId {
        let connection = ConnectionId(self.next_connection);
        self.next_connection += 1;
        let peer = wire.peer().to_string();
        self.wires.insert(connection, wire);
        self.take(target::Input::Accepted { connection, port, peer, challenge });
        connection
    }

    /// Bytes came.
    pub(super) fn received(&mut self, connection: ConnectionId, bytes: bytes::Bytes) {
        self.take(target::Input::Received { connection, bytes });
    }

    /// A connection ended from the other side.
    pub(super) fn closed(&mut self, connection: ConnectionId) {
        if self.wires.remove(&connection).is_some() {
            self.take(target::Input::Closed { connection });
        }
    }

    /// How many bytes the connection waits for, at least.
    pub(super) fn missing(&self, connection: ConnectionId) -> usize {
        self.endpoint.missing(connection)
    }

    pub(super) fn tick(&mut self) {
        self.take(target::Input::Tick);
    }

    pub(super) fn set_fault(&mut self, fault: Fault) {
        self.disk.set_fault(fault);
        if !self.disk.holds() {
            for (id, operation) in std::mem::take(&mut self.held) {
                self.begin_now(id, operation);
            }
            self.settle();
        }
    }

    pub(super) fn status(&self) -> String {
        format!(
            "status sessions={} connections={} outstanding={}",
            self.endpoint.sessions(),
            self.wires.len(),
            self.endpoint.outstanding()
        )
    }

    /// What ended the process's ability to go on, if something did.
    pub(super) fn failure(&mut self) -> Result<(), Error> {
        self.failure.take().map_or(Ok(()), Err)
    }

    pub(super) fn stop_reading(&mut self) {
        self.stopping = true;
        self.wires.values().for_each(|wire| wire.wake());
    }

    pub(super) fn reads(&self) -> bool {
        !self.stopping && self.failure.is_none()
    }

    /// Whether commands are under way or answers not yet sent.
    pub(super) fn is_busy(&self) -> bool {
        let syncing = !self.syncs.running.is_empty();
        syncing
            || self.helper.is_busy()
            || self.delayed > 0
            || !self.held.is_empty()
            || self.wires.values().any(|wire| !wire.is_drained())
    }

    pub(super) fn finish(&mut self) -> Result<(), Error> {
        self.failure()?;
        self.disk.sync()?;
        std::mem::replace(&mut self.log, Log::OFF).finish()?;
        Ok(())
    }

    fn take(&mut self, input: target::Input) {
        self.next.endpoint.push_back(input);
        self.settle();
    }

    fn settle(&mut self) {
        while self.failure.is_none() {
            if let Some(input) = self.next.endpoint.pop_front() {
                let now = Micros(u64::try_from(self.since.elapsed().as_micros()).unwrap_or(u64::MAX));
                self.endpoint.step(now, input, &mut self.endpoint_effects);
                self.after_endpoint();
                continue;
            }
            while let Some((id, read)) = self.helper.take() {
                self.read(id, read);
            }
            let done = self.next.done.pop_front();
            let Some(input) = done.or_else(|| self.next.commands.pop_front()) else { break };
            self.array.step(input, &mut self.array_effects);
            self.after_array();
        }
        if self.failure.is_some() {
            return;
        }
        if self.persists_late && !self.persisting && self.array.is_behind_on_storage() {
            self.persisting = true;
            self.later(PERSIST_LATE, |core| {
                core.persisting = false;
                core.next.done.push_back(array::Input::Persist);
            });
        }
        if let Err(error) = self.log.flush() {
            self.failure = Some(error.into());
            return;
        }
        while let Some(connection) = self.dirty.pop() {
            if let Some(wire) = self.wires.get(&connection) {
                wire.write();
            }
        }
    }

    fn after_endpoint(&mut self) {
        let mut effects = std::mem::take(&mut self.endpoint_effects);
        for effect in effects.drain(..) {
            match effect {
                target::Effect::Send { connection, pieces } => {
                    let Some(wire) = self.wires.get(&connection) else { continue };
                    wire.push(pieces);
                    self.dirty.push(connection);
                    if wire.unsent() < EAGER {
                        continue;
                    }
                    if let Err(error) = self.log.flush() {
                        self.failure = Some(error.into());
                        break;
                    }
                    wire.write();
                }
                target::Effect::Close { connection, reason } => self.close(connection, reason),
                target::Effect::Array(input) => self.next.commands.push_back(input),
                target::Effect::Notice(notice) => eprintln!("redline node: {notice}"),
            }
        }
        self.endpoint_effects = effects;
    }

    fn close(&mut self, connection: ConnectionId, reason: CloseReason) {
        if let Some(wire) = self.wires.remove(&connection) {
            if reason != CloseReason::LoggedOut {
                eprintln!("redline node: the connection from {} was dropped: {reason}", wire.peer());
            }
            wire.close();
        }
    }

    fn after_array(&mut self) {
        let mut effects = std::mem::take(&mut self.array_effects);
        for effect in effects.drain(..) {
            match effect {
                array::Effect::Disk { id, operation } => self.begin(id, operation),
                array::Effect::Store(state) => {
                    // The trace knows of a table before stable storage does.
                    let flushed = self.log.flush().map_err(Error::from);
                    let stored = || self.disk.store(state.as_deref()).map_err(Error::from);
                    if let Err(error) = flushed.and_then(|()| stored()) {
                        self.failure = Some(error);
                        break;
                    }
                }
                array::Effect::Event(event) => {
                    if let Err(error) = self.log.record(&event) {
                        self.failure = Some(error.into());
                        break;
                    }
                }
                array::Effect::LoggedIn { .. }
                | array::Effect::LoginRefused { .. }
                | array::Effect::Ask { .. }
                | array::Effect::Respond { .. }
                | array::Effect::Dropped { .. }
                | array::Effect::Managed { .. }
                | array::Effect::DropConnections => {
                    self.next.endpoint.push_back(target::Input::Array(effect));
                }
            }
        }
        self.array_effects = effects;
    }

    fn begin(&mut self, id: DiskId, operation: DiskOperation) {
        if let Some(delay) = self.disk.delay() {
            self.delayed += 1;
            return self.later(delay, move |core| {
                core.delayed -= 1;
                core.begin_unless_held(id, operation);
            });
        }
        self.begin_unless_held(id, operation);
    }

    fn begin_unless_held(&mut self, id: DiskId, operation: DiskOperation) {
        if self.disk.holds() {
            self.held.push_back((id, operation));
        } else {
            self.begin_now(id, operation);
        }
    }

    fn begin_now(&mut self, id: DiskId, operation: DiskOperation) {
        // The trace knows of a write before the medium does.
        if matches!(operation, DiskOperation::Write { .. } | DiskOperation::Unmap { .. })
            && let Err(error) = self.log.flush()
        {
            self.failure = Some(error.into());
            return;
        }
        // While others wait, this one may be carried out beside.
        let beside = self.helper.is_free() && !self.next.commands.is_empty();
        match self.disk.begin(operation, beside) {
            Begun::Read(reading) => {
                if let Some((id, read)) = self.helper.give(id, reading) {
                    self.read(id, read);
                }
            }
            Begun::Ended(outcome) => self.next.done.push_back(array::Input::DiskDone { id, outcome }),
            Begun::Sync(file) => {
                self.syncs.waiting.push(id);
                if self.syncs.running.is_empty() {
                    self.sync(file);
                }
            }
        }
    }

    fn read(&mut self, id: DiskId, read: disk::Read) {
        let outcome = self.disk.end(read);
        self.next.done.push_back(array::Input::DiskDone { id, outcome });
    }

    /// Syncs the file on another thread, for all flushes that wait.
    fn sync(&mut self, file: Arc<File>) {
        self.syncs.running = std::mem::take(&mut self.syncs.waiting);
        let Some(own) = self.own.upgrade() else { return };
        tokio::task::spawn_local(async move {
            let synced = Arc::clone(&file);
            let ended = tokio::task::spawn_blocking(move || synced.sync_data()).await;
            let outcome = match ended {
                Ok(Ok(())) => DiskOutcome::Done,
                Ok(Err(error)) => {
                    eprintln!("redline node: the disk failed: {error}");
                    DiskOutcome::Failed
                }
                Err(_) => DiskOutcome::Failed,
            };
            let mut core = own.borrow_mut();
            for id in std::mem::take(&mut core.syncs.running) {
                core.next.done.push_back(array::Input::DiskDone { id, outcome: outcome.clone() });
            }
            if !core.syncs.waiting.is_empty() {
                core.sync(file);
            }
            core.settle();
        });
    }

    fn later(&mut self, delay: Duration, act: impl FnOnce(&mut Core) + 'static) {
        let Some(own) = self.own.upgrade() else { return };
        tokio::task::spawn_local(async move {
            tokio::time::sleep(delay).await;
            let mut core = own.borrow_mut();
            act(&mut core);
            core.settle();
        });
    }
}

/// Takes what the helper has done while nothing else goes on.
async fn listen_to_helper(core: Weak<RefCell<Core>>, wake: Arc<Notify>) {
    loop {
        wake.notified().await;
        let Some(core) = core.upgrade() else { return };
        core.borrow_mut().settle();
    }
}
