//! `redline node`: one process of a fabric, configured from a scenario.

use super::args::{self, Role};
use super::ui;
use redline_harness::chaos;
use redline_harness::jobs::Error;
use redline_harness::scenario::{self, Scenario};
use redline_harness::sim::events::setup;
use redline_harness::verdict::Outcome;
use redline_node::{array, disk, guest};
use redline_traces::{Arm, Header, Initiators};
use redline_vocab::{Micros, NodeId, Quirk, Quirks, Tag};
use std::io;
use std::net::SocketAddr;

/// What the names of targets begin with; the array's name follows.
pub const TARGET_PREFIX: &str = "iqn.2026-11.example.redline:";

/// Runs the process until it is told to stop; the exit code.
///
/// # Errors
/// If it cannot be started, or its disk or trace cannot be written.
pub fn run(asked: &args::Node) -> Result<u8, Error> {
    let scenario = scenario::load(&asked.scenario.scenario)?;
    let quirks = asked.quirk.iter().filter_map(|name| Quirk::from_name(name));
    let quirks = quirks.fold(scenario.quirks(), Quirks::with);
    match asked.role {
        Role::Array => run_array(asked, &scenario, quirks)?,
        Role::Guest => run_guest(asked, &scenario, quirks)?,
    }
    Ok(Outcome::Holds.code())
}

fn run_guest(asked: &args::Node, scenario: &Scenario, quirks: Quirks) -> Result<(), Error> {
    let node = NodeId(asked.node.expect("the command line requires it for this role"));
    if node.0 >= scenario.cluster.nodes {
        let last = scenario.cluster.nodes - 1;
        return Err(Error::Asked(format!("{} has nodes 0 to {last}, not {}", scenario.cluster.name, node.0)));
    }
    let config = guest::Config {
        guest: scenario.guest(node),
        quirks,
        target: format!("{TARGET_PREFIX}{}", scenario.array.name),
        ports: ports(scenario, quirks),
        life: asked.life,
        first_tag: Tag(asked.first_tag),
        pause: scenario.cluster.workload.pause,
        listen: asked.listen.first().copied().unwrap_or(ANY_PORT),
        trace: trace(asked, scenario, quirks),
    };
    guest::run(config).map_err(|source| Error::Io { file: format!("node-{}", node.0), source })
}

fn run_array(asked: &args::Node, scenario: &Scenario, quirks: Quirks) -> Result<(), Error> {
    let dir = asked.dir.clone().expect("the command line requires it for this role");
    let mut listen = asked.listen.clone();
    listen.resize(listen.len().max(usize::from(asked.portals)), ANY_PORT);
    if let Some(group) = asked.standby.iter().find(|group| usize::from(**group) > listen.len()) {
        let what = format!("--standby {group}: there are target portal groups 1 to {} only", listen.len());
        return Err(Error::Asked(what));
    }
    let chap = asked.chap.as_deref().map(secret).transpose()?;
    if let Some(open) = listen.iter().find(|address| !address.ip().is_loopback()) {
        if !asked.allow_remote || chap.is_none() {
            let what =
                format!("{open} is not loopback: listening there needs --allow-remote and --chap FILE");
            return Err(Error::Asked(what));
        }
        ui::say(&format!("anybody who reaches {open} and knows the secret may change the disk"));
    }
    let nodes = scenario.cluster.nodes;
    let known = |(nexus, port): (u8, _)| (NodeId(nexus % nodes), port);
    let config = array::Config {
        dir: dir.clone(),
        target: format!("{TARGET_PREFIX}{}", scenario.array.name),
        blocks: asked.blocks.unwrap_or(scenario.array.blocks),
        physical_exponent: match asked.physical_block {
            args::PhysicalBlock::Sector => 0,
            args::PhysicalBlock::Page => 3,
        },
        reads_zeros: !asked.no_lbprz,
        write_cache: scenario.array.write_cache,
        registrants_max: scenario.array.registrants,
        tasks_max: scenario.array.tasks,
        time2retain: scenario.array.time2retain,
        ping_after: Micros(u64::try_from(asked.ping_after.as_micros()).unwrap_or(u64::MAX)),
        quirks,
        known: (0..).zip(ports(scenario, quirks)).map(known).collect(),
        listen,
        standby: asked.standby.iter().copied().map(u16::from).collect(),
        chap,
        unsynced: match asked.unsynced {
            args::Unsynced::Page => disk::Unsynced::Page,
            args::Unsynced::Memory => disk::Unsynced::Memory,
        },
        trace: trace(asked, scenario, quirks),
    };
    array::run(config).map_err(|error| match error {
        array::Error::Disk(error) => {
            Error::Io { file: dir.display().to_string(), source: io::Error::other(error.to_string()) }
        }
        array::Error::Config(error) => Error::Asked(error.to_string()),
        array::Error::Io(source) => Error::Io { file: scenario.array.name.clone(), source },
    })
}

const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// Shortest secret in characters (RFC 7143, 9.2.1: at least 96 bits).
const SECRET_MIN: usize = 12;

/// The user name and the secret that a file holds.
fn secret(path: &std::path::Path) -> Result<array::Chap, Error> {
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|source| Error::Io { file: file.clone(), source })?;
    let lines: Vec<&str> = text.lines().collect();
    match lines[..] {
        [user, secret] if !user.is_empty() && secret.len() >= SECRET_MIN => {
            Ok(array::Chap { user: user.to_owned(), secret: secret.as_bytes().to_vec() })
        }
        _ => Err(Error::Asked(format!(
            "{file}: expected two lines, a user name and a secret of at least {SECRET_MIN} characters"
        ))),
    }
}

/// The initiator ports of the nodes, by nexus: what array and nodes agree on without talking.
fn ports(scenario: &Scenario, quirks: Quirks) -> Vec<guest::InitiatorPort> {
    let nodes = scenario.cluster.nodes;
    (0..setup(scenario, quirks).nexuses())
        .map(|nexus| guest::port(NodeId(nexus % nodes), nexus / nodes))
        .collect()
}

/// The trace that was asked for, with its header.
fn trace(asked: &args::Node, scenario: &Scenario, quirks: Quirks) -> Option<(std::path::PathBuf, Header)> {
    let header = Header {
        arm: Arm::Process,
        seed: String::new(),
        blocks: asked.blocks.unwrap_or(scenario.array.blocks),
        ..chaos::header(scenario, Initiators::Guests, 0, quirks)
    };
    asked.trace.clone().map(|path| (path, header))
}
