//! The fabric of a scenario as processes: one array, a guest process for each node, and a link wherever one dials another.
//!
//! ```text
//! node 0 --link--> array <--link-- node 1        commands
//! node 0 --link--> node 1, node 1 --link--> node 0    heartbeats
//! ```
//!
//! Links keep their ports for the whole run; a process that is started anew gets new ones, and its links are led there.
//! Everything that a run writes stands in one folder: the scenario as the processes read it, the disk, a log for each life.
//!
//! **Time.** The times of the scenario are divided by [`HURRY`] before the processes see them, so that takeovers that last
//! ten seconds on a real cluster are met several times a minute. Safety must not rest on time, whatever it is.

use super::logs::{array_file, guest_file};
use super::member::{Error, Member};
use super::proxy::Proxy;
use crate::scenario::{Scenario, to_toml};
use redline_traces::write_atomically;
use redline_vocab::{Micros, NodeId, Quirks};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How many times faster than written the scenario's clocks run.
pub const HURRY: u64 = 8;

/// The workload issues operations only so many times faster: a machine that runs several fabrics is no faster than it is.
const WORKLOAD_HURRY: u64 = 2;

/// Tags of one life of a node; the next life goes on behind them.
const TAGS_OF_A_LIFE: u64 = 1 << 20;

/// What the fabric is made of.
#[derive(Clone, Copy, Debug)]
pub struct Setup<'a> {
    /// The executable whose `node` command runs one process.
    pub program: &'a Path,
    /// The scenario as it is written.
    pub scenario: &'a Scenario,
    /// Between two operations of a node's workload, as written.
    pub pause: Micros,
    /// Planted bugs.
    pub quirks: Quirks,
    /// Folder of the run.
    pub dir: &'a Path,
}

/// A fabric that runs. Dropping it kills every process and closes every port.
#[derive(Debug)]
pub struct Fabric {
    program: PathBuf,
    dir: PathBuf,
    quirks: Quirks,
    write_cache: bool,
    array: Option<Member>,
    array_lives: usize,
    guests: Vec<Option<Member>>,
    guest_lives: Vec<usize>,
    /// By node: its link to the array.
    to_array: Vec<Proxy>,
    /// By sender and receiver of heartbeats; none to itself.
    heartbeats: Vec<Vec<Option<Proxy>>>,
}

/// The scenario with its times divided.
pub fn hurried(scenario: &Scenario, pause: Micros) -> Scenario {
    let mut hurried = scenario.clone();
    let (array, cluster) = (&mut hurried.array, &mut hurried.cluster);
    for time in [
        &mut array.time2retain,
        &mut cluster.defend,
        &mut cluster.challenge_wait,
        &mut cluster.heartbeat,
        &mut cluster.silence,
    ] {
        *time = Micros((time.0 / HURRY).max(1));
    }
    cluster.workload.pause = Micros((pause.0 / WORKLOAD_HURRY).max(1));
    hurried
}

impl Fabric {
    /// Starts everything.
    ///
    /// # Errors
    /// [`Error`]; then nothing runs.
    pub async fn start(setup: Setup<'_>) -> Result<Fabric, Error> {
        let io = |what: &str| {
            let what = format!("{}: {what}", setup.dir.display());
            move |source| Error::Io { what, source }
        };
        let scenario = to_toml(&hurried(setup.scenario, setup.pause));
        let file = setup.dir.join("scenario.toml");
        write_atomically(&file, |out| out.write_all(scenario.as_bytes())).map_err(io("scenario.toml"))?;
        let nodes = usize::from(setup.scenario.cluster.nodes);
        let mut fabric = Fabric {
            program: setup.program.to_owned(),
            dir: setup.dir.to_owned(),
            quirks: setup.quirks,
            write_cache: setup.scenario.array.write_cache,
            array: None,
            array_lives: 0,
            guests: (0..nodes).map(|_| None).collect(),
            guest_lives: vec![0; nodes],
            to_array: Vec::new(),
            heartbeats: Vec::new(),
        };
        for from in 0..nodes {
            fabric.to_array.push(Proxy::open().await.map_err(io("opening a link"))?);
            let mut links = Vec::new();
            for to in 0..nodes {
                links.push(match from == to {
                    true => None,
                    false => Some(Proxy::open().await.map_err(io("opening a link"))?),
                });
            }
            fabric.heartbeats.push(links);
        }
        match fabric.start_all().await {
            Ok(()) => Ok(fabric),
            Err(error) => {
                fabric.kill().await;
                Err(error)
            }
        }
    }

    async fn start_all(&mut self) -> Result<(), Error> {
        self.start_array().await?;
        for node in 0..self.guests.len() as u8 {
            self.start_guest(NodeId(node)).await?;
        }
        Ok(())
    }

    /// Starts the array on its disk, and leads the links there.
    ///
    /// # Errors
    /// [`Error`]
    pub async fn start_array(&mut self) -> Result<(), Error> {
        let disk = self.dir.join("disk");
        let mut arguments = self.arguments("array", &array_file(&self.dir, self.array_lives));
        arguments.extend(["--dir".into(), disk.into_os_string()]);
        // What was not flushed is gone when the process is killed, as it is when a cache loses power.
        arguments
            .extend(["--unsynced", if self.write_cache { "memory" } else { "page" }].map(OsString::from));
        let member = Member::start(&self.program, arguments, &self.dir.join("array.stderr")).await?;
        self.array_lives += 1;
        let Some(address) = member.addresses.first().copied() else {
            return Err(Error::Said { what: "the array's address".to_owned(), said: "ready".to_owned() });
        };
        self.to_array.iter().for_each(|link| link.lead_to(Some(address)));
        self.array = Some(member);
        Ok(())
    }

    /// Starts the process of a node, and leads the links there.
    ///
    /// # Errors
    /// [`Error`]
    pub async fn start_guest(&mut self, node: NodeId) -> Result<(), Error> {
        let at = usize::from(node.0);
        let life = self.guest_lives[at];
        let mut arguments = self.arguments("guest", &guest_file(&self.dir, node.0, life));
        let first_tag = life as u64 * TAGS_OF_A_LIFE + 1;
        for (option, value) in
            [("--node", u64::from(node.0)), ("--life", life as u64), ("--first-tag", first_tag)]
        {
            arguments.extend([option.into(), value.to_string().into()]);
        }
        let complaints = self.dir.join(format!("node-{at}.stderr"));
        let mut member = Member::start(&self.program, arguments, &complaints).await?;
        self.guest_lives[at] += 1;
        let Some(address) = member.addresses.first().copied() else {
            return Err(Error::Said { what: "a node's address".to_owned(), said: "ready".to_owned() });
        };
        for (to, link) in self.heartbeats[at].iter().enumerate() {
            if let Some(link) = link {
                member.tell(&format!("peer {to} {}", link.address())).await?;
            }
        }
        for links in &self.heartbeats {
            if let Some(link) = &links[at] {
                link.lead_to(Some(address));
            }
        }
        member.tell(&format!("array {}", self.to_array[at].address())).await?;
        self.guests[at] = Some(member);
        Ok(())
    }

    fn arguments(&self, role: &str, log: &Path) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = vec!["node".into(), "--role".into(), role.into()];
        arguments.push(self.dir.join("scenario.toml").into_os_string());
        arguments.extend(["--trace".into(), log.as_os_str().to_owned()]);
        for quirk in self.quirks.iter() {
            arguments.extend(["--quirk".into(), quirk.name().into()]);
        }
        arguments
    }

    /// The array, if it runs.
    pub fn array(&mut self) -> Option<&mut Member> {
        self.array.as_mut()
    }

    /// The process of the node, if it runs.
    pub fn guest(&mut self, node: NodeId) -> Option<&mut Member> {
        self.guests[usize::from(node.0)].as_mut()
    }

    /// The link from the node to the array.
    pub fn link(&self, node: NodeId) -> &Proxy {
        &self.to_array[usize::from(node.0)]
    }

    /// The link for heartbeats from one node to another.
    pub fn heartbeat_link(&self, from: NodeId, to: NodeId) -> Option<&Proxy> {
        self.heartbeats[usize::from(from.0)][usize::from(to.0)].as_ref()
    }

    /// Kills the array: it loses power.
    ///
    /// # Errors
    /// What the operating system says.
    pub async fn kill_array(&mut self) -> io::Result<()> {
        self.to_array.iter().for_each(|link| link.lead_to(None));
        match self.array.take() {
            Some(array) => array.kill().await,
            None => Ok(()),
        }
    }

    /// Lets the array end by what it was told to do, or kills it after this time.
    ///
    /// # Errors
    /// What the operating system says.
    pub async fn array_dies_within(&mut self, time: Duration) -> io::Result<()> {
        if let Some(array) = &mut self.array {
            array.ends_within(time).await?;
        }
        self.kill_array().await
    }

    /// Kills the process of a node: it crashes.
    ///
    /// # Errors
    /// What the operating system says.
    pub async fn kill_guest(&mut self, node: NodeId) -> io::Result<()> {
        for links in &self.heartbeats {
            if let Some(link) = &links[usize::from(node.0)] {
                link.lead_to(None);
            }
        }
        match self.guests[usize::from(node.0)].take() {
            Some(guest) => guest.kill().await,
            None => Ok(()),
        }
    }

    /// Whether some node says that it owns the disk.
    ///
    /// # Errors
    /// [`Error`]: a process does not answer.
    pub async fn has_owner(&mut self) -> Result<bool, Error> {
        for guest in self.guests.iter_mut().flatten().filter(|guest| !guest.is_stopped()) {
            let status = guest.ask("status").await?;
            if status.split_whitespace().any(|word| word == "owner=yes") {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Kills everything and waits until it is gone. What cannot be killed has ended already.
    pub async fn kill(mut self) {
        for member in self.guests.iter_mut().filter_map(Option::take).chain(self.array.take()) {
            let _ = member.kill().await;
        }
    }

    /// Ends everything as planned: nodes first, so that the array has nothing under way. `false`: something had to be killed.
    ///
    /// # Errors
    /// What the operating system says.
    pub async fn end(mut self) -> io::Result<bool> {
        let mut planned = true;
        for guest in self.guests.iter_mut().filter_map(Option::take) {
            planned &= guest.end().await?;
        }
        if let Some(array) = self.array.take() {
            planned &= array.end().await?;
        }
        Ok(planned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{load, parse};

    #[test]
    fn a_hurried_scenario_can_be_read_back_and_keeps_its_proportions() {
        let scenario = load("reference").expect("it is embedded");
        let quick = hurried(&scenario, scenario.cluster.workload.pause);
        assert_eq!(quick.cluster.challenge_wait.0, scenario.cluster.challenge_wait.0 / HURRY);
        assert!(quick.cluster.challenge_wait > quick.cluster.defend);
        assert_eq!(parse(&to_toml(&quick), "quick.toml").expect("it is a scenario"), quick);
    }
}
