//! `redline fabric up`: array and guest cluster nodes as processes, wired together, until Ctrl-C.
//!
//! The processes find each other through this program: every one listens on a port that the system chooses, and hears from here where the
//! others are. One that is killed is started again: the array at once and from its disk, which is a power cycle; a node after a while, so
//! that what the others do about it can be seen.

use super::args;
use super::children::Child;
use super::process::TARGET_PREFIX;
use super::{desk, ui};
use redline_harness::jobs::Error;
use redline_harness::scenario::{self, Scenario};
use redline_harness::verdict::Outcome;
use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

/// How often the processes are asked how they are.
const LOOK: Duration = Duration::from_millis(500);

/// How long a node that was killed stays away: longer than a takeover with the times of the reference scenario.
const AWAY: Duration = Duration::from_secs(20);

/// Runs the fabric; the exit code.
///
/// # Errors
/// If a process cannot be started.
pub fn up(asked: &args::Scenario, dir: Option<&Path>, lasts: Option<Duration>) -> Result<u8, Error> {
    let scenario = scenario::load(&asked.scenario)?;
    let dir = match dir {
        Some(dir) => dir.to_owned(),
        None => desk::folder(None, "fabric")?,
    };
    let failed = |source: io::Error| Error::Io { file: dir.display().to_string(), source };
    std::fs::create_dir_all(&dir).map_err(failed)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    runtime.block_on(run(&asked.scenario, &scenario, &dir, lasts)).map_err(failed)?;
    Ok(Outcome::Holds.code())
}

/// A guest cluster node's process, or its absence.
struct Guest {
    child: Option<Child>,
    /// Where it listens to heartbeats, as long as it lives.
    address: SocketAddr,
    died: Instant,
    /// What was told of it last.
    told: String,
}

struct Fabric<'a> {
    name: &'a str,
    scenario: &'a Scenario,
    dir: &'a Path,
    array: Child,
    guests: Vec<Guest>,
}

async fn run(name: &str, scenario: &Scenario, dir: &Path, lasts: Option<Duration>) -> io::Result<()> {
    let array = start_array(name, scenario, dir, &[]).await?;
    let mut guests = Vec::new();
    for node in 0..scenario.cluster.nodes {
        let child = start_guest(name, node).await?;
        let address = child.addresses[0];
        guests.push(Guest { child: Some(child), address, died: Instant::now(), told: String::new() });
    }
    let mut fabric = Fabric { name, scenario, dir, array, guests };
    for node in 0..fabric.guests.len() {
        fabric.wire(node).await?;
    }
    ui::print(&fabric.endpoints())?;
    let watched = tokio::select! {
        watched = fabric.watch() => watched,
        heard = tokio::signal::ctrl_c() => heard,
        () = ends(lasts) => Ok(()),
    };
    ui::say("stopping");
    watched.and(fabric.stop().await)
}

async fn ends(after: Option<Duration>) {
    match after {
        Some(after) => tokio::time::sleep(after).await,
        None => std::future::pending().await,
    }
}

async fn start_array(name: &str, scenario: &Scenario, dir: &Path, at: &[SocketAddr]) -> io::Result<Child> {
    let folder = dir.join(&scenario.array.name);
    let folder = folder.to_str().ok_or_else(|| io::Error::other("the folder's name is not Unicode"))?;
    let mut args = ["--role", "array", name, "--portals", "2", "--dir", folder].map(str::to_owned).to_vec();
    args.extend(at.iter().flat_map(|address| ["--listen".to_owned(), address.to_string()]));
    Child::start(&scenario.array.name, &args).await
}

async fn start_guest(name: &str, node: u8) -> io::Result<Child> {
    let args = ["--role", "guest", name, "--node", &node.to_string()].map(str::to_owned);
    Child::start(&format!("node-{node}"), &args).await
}

impl Fabric<'_> {
    /// Tells a node where the array and the other nodes are.
    async fn wire(&mut self, node: usize) -> io::Result<()> {
        let peers: Vec<SocketAddr> = self.guests.iter().map(|guest| guest.address).collect();
        let array = self.array.addresses[0];
        let Some(child) = &mut self.guests[node].child else { return Ok(()) };
        for (peer, address) in peers.iter().enumerate().filter(|(peer, _)| *peer != node) {
            child.order(&format!("peer {peer} {address}")).await?;
        }
        child.order(&format!("array {array}")).await?;
        Ok(())
    }

    /// Tells when the disk changes hands, and starts what has ended. Ends only with an error.
    async fn watch(&mut self) -> io::Result<()> {
        loop {
            tokio::time::sleep(LOOK).await;
            if self.array.order("status").await.is_err() {
                self.restart_array().await?;
            }
            for node in 0..self.guests.len() {
                self.look_after(node).await?;
            }
        }
    }

    async fn restart_array(&mut self) -> io::Result<()> {
        let how = self.array.ended().await?;
        ui::say(&format!("{} ended ({how}); it comes up again from its disk", self.array.name()));
        let at = self.array.addresses.clone();
        self.array = start_array(self.name, self.scenario, self.dir, &at).await?;
        Ok(())
    }

    async fn look_after(&mut self, node: usize) -> io::Result<()> {
        let guest = &mut self.guests[node];
        let Some(child) = &mut guest.child else {
            if guest.died.elapsed() < AWAY {
                return Ok(());
            }
            let number = u8::try_from(node).expect("a cluster has at most eight nodes");
            let child = start_guest(self.name, number).await?;
            ui::say(&format!("node-{node} comes up again"));
            guest.address = child.addresses[0];
            guest.child = Some(child);
            for node in 0..self.guests.len() {
                self.wire(node).await?;
            }
            return Ok(());
        };
        let Ok(status) = child.order("status").await else {
            let how = child.ended().await?;
            ui::say(&format!("{} ended ({how}); it comes up again in {} s", child.name(), AWAY.as_secs()));
            (guest.child, guest.died) = (None, Instant::now());
            guest.told.clear();
            return Ok(());
        };
        let now = ownership(&status);
        if guest.told != now {
            ui::say(&format!("{} {now}", child.name()));
            guest.told = now;
        }
        Ok(())
    }

    /// The nodes first, so that they do not see the array go.
    async fn stop(self) -> io::Result<()> {
        let mut stopped = Ok(());
        for child in self.guests.into_iter().filter_map(|guest| guest.child) {
            stopped = stopped.and(child.stop().await);
        }
        stopped.and(self.array.stop().await)
    }

    /// What a user can do with the fabric.
    fn endpoints(&self) -> String {
        let Fabric { scenario, dir, array, guests, .. } = self;
        let target = format!("{TARGET_PREFIX}{}", scenario.array.name);
        let mut text = format!("fabric {} in {}\n\n", scenario.name, dir.display());
        let id = |child: &Child| child.id().map_or_else(String::new, |id| id.to_string());
        let _ = writeln!(text, "  {:<10} process {}", array.name(), id(array));
        for (group, address) in (1..).zip(&array.addresses) {
            let _ = writeln!(text, "    iscsi://{address}/{target}/0   (target portal group {group})");
        }
        for child in guests.iter().filter_map(|guest| guest.child.as_ref()) {
            let listens = child.addresses[0];
            let _ = writeln!(text, "  {:<10} process {}, heartbeats on {listens}", child.name(), id(child));
        }
        let first = array.addresses[0];
        let url = format!("iscsi://{first}/{target}/0");
        let victim = guests.first().and_then(|guest| guest.child.as_ref()).map(id).unwrap_or_default();
        let _ = write!(
            text,
            "\nto try (the owner holds a reservation, so that strangers may only read):\n\
             \x20 iscsi-ls -s iscsi://{first}/\n\
             \x20 iscsi-inq {url}\n\
             \x20 qemu-img info {url}\n\
             \x20 qemu-io -r -f raw -c 'read 0 64k' {url}\n\
             \x20 kill -9 {victim}\n\n\
             Ctrl-C stops everything. `redline fabric up --dir {}` goes on from the disk.\n\n",
            dir.display()
        );
        text
    }
}

/// What a node's status says about the disk.
fn ownership(status: &str) -> String {
    let word = |name: &str| status.split(' ').find_map(|word| word.strip_prefix(name)).unwrap_or_default();
    if word("owner=") == "yes" {
        format!("owns the disk, epoch {}", word("epoch="))
    } else {
        "does not own the disk".to_owned()
    }
}
