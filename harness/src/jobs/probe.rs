//! Tests the persistent reservations of a target, and says whether a cluster can fence by it.

use super::{Desk, Error, file_word, io_error, since};
use crate::probe::address::{Address, Portal};
use crate::probe::finding::{Danger, Family};
use crate::probe::hunt::{Again, Bounds, Ended, Found, Hunt, Hunter};
use crate::probe::memory::Memory;
use crate::probe::player::{Cast, Player, SCRATCH_BLOCKS};
use crate::probe::safety::{self, Unit};
use crate::probe::story::Step;
use crate::probe::tcp::{Identity, Tcp};
use crate::probe::way::{Trouble, Way};
use crate::record::{Finding, Section, Table};
use crate::verdict::Outcome;
use redline_fabric::iscsi::chap::Account;
use redline_traces::write_atomically;
use redline_vocab::{Lba, Quirks};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Name and version of the form of a stored story.
pub const SCHEMA: &str = "redline-probe/1";

/// Nexuses that the model can tell apart.
const NEXUSES: u8 = 8;

/// Size of the target in memory, in blocks, and its scratch range.
const OWN: (u64, Lba) = (64, Lba(8));

/// What is tested.
#[derive(Clone, Debug)]
pub enum Subject {
    /// Anybody's target.
    Target {
        /// Where it is.
        address: Address,
        /// Portals of its other target ports.
        portals: Vec<Portal>,
        /// Who the probe says it is.
        identity: Identity,
        /// Shell command that takes the target's power away and gives it back.
        restart: Option<String>,
        /// The user allows that data is written.
        dataloss: bool,
    },
    /// The fabric's own target, in memory, with these bugs.
    Own(Quirks),
}

/// How it is tested.
#[derive(Clone, Debug)]
pub struct Ask {
    /// What.
    pub subject: Subject,
    /// Initiator ports that act.
    pub seats: u8,
    /// Commands, about.
    pub commands: u64,
    /// Stop after this time.
    pub lasts: Option<Duration>,
    /// Length up to which all words over the small alphabet are tried.
    pub depth: u32,
    /// Seed of the random stories.
    pub seed: u64,
    /// Only this story.
    pub story: Option<PathBuf>,
}

/// A CHAP user with its secret.
pub fn account(name: &str, secret: Vec<u8>) -> Account {
    Account { name: name.to_owned(), secret }
}

/// A stored story.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    schema: String,
    seats: u8,
    /// Target ports.
    #[serde(default = "one")]
    ports: u8,
    steps: Vec<Step>,
}

const fn one() -> u8 {
    1
}

/// What is needed to tell of it.
struct Scene<'a> {
    desk: &'a Desk<'a>,
    ask: &'a Ask,
    cast: Cast,
    name: String,
    power: bool,
}

/// Tests the target.
///
/// # Errors
/// If it cannot be reached, if it must not be touched, or if an artefact cannot be written.
pub fn run(desk: &Desk<'_>, ask: &Ask) -> Result<Section, Error> {
    let start = Instant::now();
    let story = ask.story.as_deref().map(load).transpose()?;
    let seats = story.as_ref().map_or(ask.seats, |story| story.seats);
    let ports = match (&story, &ask.subject) {
        (Some(story), _) => story.ports,
        (None, Subject::Target { portals, .. }) => u8::try_from(portals.len() + 1).unwrap_or(u8::MAX),
        (None, Subject::Own(_)) => {
            if seats > 2 {
                2
            } else {
                1
            }
        }
    };
    if ports >= seats {
        let what = format!("{ports} portals need --nexuses {} at least: B, and A at each of them", ports + 1);
        return Err(Error::Asked(what));
    }
    let mut cast = Cast { seats, ports, sees_all_ports: true };
    let steps = story.as_ref().map(|story| story.steps.as_slice());
    let mut section = match &ask.subject {
        Subject::Own(quirks) => {
            let mut memory = Memory::new(OWN.0, *quirks);
            let mut section = Section::new("probe self");
            let names: Vec<&str> = quirks.iter().map(|quirk| quirk.name()).collect();
            let bugs = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            section.figure("planted bugs", bugs);
            let mut player = Player::new(&mut memory, cast, OWN.0, OWN.1);
            let hunt = hunt(desk, ask, &mut player, steps);
            let scene = Scene { desk, ask, cast, name: "self".to_owned(), power: true };
            tell(&scene, &mut section, &player, hunt)?;
            section
        }
        Subject::Target { address, portals, identity, restart, dataloss } => {
            if portals.len() + 1 != usize::from(ports) {
                let what =
                    format!("the story is of {ports} target ports: one --portal for each but the first");
                return Err(Error::Asked(what));
            }
            let places = cast.places(NEXUSES);
            let mut tcp = Tcp::new(address.clone(), portals, identity.clone(), restart.clone(), places);
            let name = address.to_string();
            let mut section = Section::new(format!("probe {name}"));
            let troubled = |trouble: Trouble| out_of_reach(address, &trouble);
            tcp.login(cast.onlooker()).map_err(troubled)?;
            let unit = safety::look(&mut tcp, cast.onlooker()).map_err(troubled)?;
            introduce(&mut section, &unit);
            look_at_paths(&mut tcp, cast, portals, &unit)?;
            cast.sees_all_ports = unit.target_ports.is_none_or(|all| all == usize::from(ports));
            section.figure("target ports", port_words(cast, &unit));
            if !dataloss {
                tcp.logout(cast.onlooker()).map_err(troubled)?;
                plan(&mut section, &unit, ask);
                section.elapsed_ms = since(start);
                return Ok(section);
            }
            if !unit.objections.is_empty() {
                let _ = tcp.logout(cast.onlooker());
                let what = format!("{name}: left alone: {}", unit.objections.join("; "));
                return Err(Error::Asked(what));
            }
            let scene = Scene { desk, ask, cast, name, power: restart.is_some() };
            attack(&scene, &mut section, &mut tcp, &unit, cast, steps)?;
            section
        }
    };
    section.elapsed_ms = since(start);
    Ok(section)
}

fn out_of_reach(address: &Address, trouble: &Trouble) -> Error {
    Error::Io { file: address.to_string(), source: io::Error::other(trouble.to_string()) }
}

/// The other portals lead to the same unit, each at a target port of its own.
fn look_at_paths(tcp: &mut Tcp, cast: Cast, portals: &[Portal], unit: &Unit) -> Result<(), Error> {
    let mut groups = vec![tcp.group(cast.onlooker())];
    for (port, portal) in (1..).zip(portals) {
        let nexus = cast.nexus(cast.path(port), false);
        let looked = tcp.login(nexus).and_then(|()| {
            groups.push(tcp.group(nexus));
            safety::look_at_path(tcp, nexus, unit)
        });
        let looked = looked.and_then(|()| tcp.logout(nexus));
        looked.map_err(|trouble| Error::Asked(format!("--portal {portal}: {trouble}")))?;
        let last = groups.last().copied().flatten();
        if last.is_some() && groups[..groups.len() - 1].contains(&last) {
            let group = last.unwrap_or_default();
            let what =
                format!("--portal {portal} is in portal group {group} too: it is no other target port");
            return Err(Error::Asked(what));
        }
    }
    Ok(())
}

fn port_words(cast: Cast, unit: &Unit) -> String {
    let paths: Vec<String> =
        (1..cast.ports).map(|port| format!("{} is A at the port {}", cast.path(port), port + 1)).collect();
    let paths = if paths.is_empty() { String::new() } else { format!("; {}", paths.join(", ")) };
    match unit.target_ports {
        Some(all) if !cast.sees_all_ports => format!(
            "{} of {all}{paths}; ALL_TG_PT is not tried: it would register where the probe does not look (--portal)",
            cast.ports
        ),
        _ => format!("{}{paths}", cast.ports),
    }
}

fn introduce(section: &mut Section, unit: &Unit) {
    section.figure("target", &unit.product);
    section.figure("size", format!("{} blocks of {} bytes", unit.blocks, unit.block_bytes));
    section.figure("scratch range", scratch_words(unit));
}

fn scratch_words(unit: &Unit) -> String {
    let first = unit.scratch.0;
    format!("blocks {first} to {}", first + u64::from(SCRATCH_BLOCKS) - 1)
}

/// Without permission nothing is changed: says what would be done.
fn plan(section: &mut Section, unit: &Unit, ask: &Ask) {
    section.outcome = Outcome::Inconclusive;
    let doing = format!(
        "would register and reserve from {} initiator ports, reset the unit and the target, and write {} (restored at the end)",
        ask.seats,
        scratch_words(unit)
    );
    section.summary = if unit.objections.is_empty() {
        format!(
            "nothing was changed and nothing was tested: --dataloss is missing; with it the probe {doing}"
        )
    } else {
        format!("nothing was changed; with --dataloss the probe would refuse: {}", unit.objections.join("; "))
    };
}

/// The test itself; the scratch range is saved before it and restored after it.
fn attack(
    scene: &Scene<'_>,
    section: &mut Section,
    tcp: &mut Tcp,
    unit: &Unit,
    cast: Cast,
    steps: Option<&[Step]>,
) -> Result<(), Error> {
    let Subject::Target { address, .. } = &scene.ask.subject else { return Ok(()) };
    let troubled = |trouble: Trouble| out_of_reach(address, &trouble);
    let onlooker = cast.onlooker();
    let saved = safety::read(tcp, onlooker, unit.scratch, u32::from(SCRATCH_BLOCKS), unit.block_bytes)
        .map_err(troubled)?;
    tcp.logout(onlooker).map_err(troubled)?;
    let mut player = Player::new(tcp, cast, unit.blocks, unit.scratch);
    let hunt = hunt(scene.desk, scene.ask, &mut player, steps);
    let left = player.finish();
    tell(scene, section, &player, hunt)?;
    let restored = left
        .and_then(|()| tcp.login(onlooker))
        .and_then(|()| safety::look(tcp, onlooker).map(drop))
        .and_then(|()| safety::restore(tcp, onlooker, unit.scratch, &saved, unit.block_bytes))
        .and_then(|()| tcp.logout(onlooker));
    let words = match restored {
        Ok(()) => "clean, the scratch range restored".to_owned(),
        Err(trouble) => format!("NOT cleaned up: {trouble}"),
    };
    section.figure("left behind", words);
    Ok(())
}

fn hunt(desk: &Desk<'_>, ask: &Ask, player: &mut Player<'_>, steps: Option<&[Step]>) -> Hunt {
    let until = ask.lasts.map(|lasts| Instant::now() + lasts);
    let bounds = Bounds { commands: ask.commands, until, depth: ask.depth, seed: ask.seed };
    let progress = |commands: u64, found: usize| {
        desk.tell(&format!("probe ({found} divergences)"), commands, Some(ask.commands));
    };
    let hunter = Hunter::new(player, bounds, desk.stop, &progress);
    match steps {
        Some(steps) => hunter.only(steps),
        None => hunter.hunt(),
    }
}

/// One row of the report.
struct Row<'a> {
    /// Stands for the others.
    first: &'a Found,
    situations: Vec<&'a str>,
    times: u64,
    danger: Danger,
}

/// Families, the most dangerous first.
fn rows(hunt: &Hunt) -> Vec<Row<'_>> {
    let mut families: BTreeMap<Family, Row<'_>> = BTreeMap::new();
    for found in &hunt.found {
        let fresh = Row { first: found, situations: Vec::new(), times: 0, danger: found.mismatch.danger };
        let row = families.entry(found.mismatch.family()).or_insert(fresh);
        row.situations.push(&found.mismatch.signature.situation);
        row.times += found.times;
        // One that was seen again, alone, and is short, tells most.
        let weight = |found: &Found| {
            let danger = std::cmp::Reverse(found.mismatch.danger);
            (found.follows.is_some(), danger, found.again, found.story.len())
        };
        if weight(found) < weight(row.first) {
            row.first = found;
        }
    }
    let mut rows: Vec<Row<'_>> = families.into_values().collect();
    for row in &mut rows {
        row.danger = row.first.mismatch.danger;
    }
    rows.sort_by_key(|row| std::cmp::Reverse(row.danger));
    rows
}

fn tell(scene: &Scene<'_>, section: &mut Section, player: &Player<'_>, hunt: Hunt) -> Result<(), Error> {
    // What is seen only once the target has left the model's state may be a consequence: it is listed, and decides nothing.
    let (later, rows): (Vec<Row<'_>>, Vec<Row<'_>>) =
        rows(&hunt).into_iter().partition(|row| row.first.follows.is_some());
    section.figure("initiator ports that act", player.cast().seats);
    section.figure("commands sent", player.commands);
    for (kind, count) in &hunt.stories {
        section.figure(&format!("stories: {kind}"), count);
    }
    section.figure("seed of the random stories", scene.ask.seed);
    section.figure("stories whose end could not be judged", hunt.unclear);
    section.figure("power cycles", if scene.power { "tried" } else { "not tried: no --restart-cmd" });
    let counts = (rows.len(), later.len(), hunt.found.len());
    section.figure(
        "divergences",
        format!(
            "{} kinds, and {} seen only after others; {} situations in all",
            counts.0, counts.1, counts.2
        ),
    );
    section.tables.push(divergences("divergences, the most dangerous first", &rows));
    section.tables.push(divergences("seen only after another divergence, perhaps its consequence", &later));
    section.tables.push(situations(&hunt));
    section.tables.push(Table {
        title: "noted, and no divergence: missing options, free choices".to_owned(),
        columns: vec!["what".to_owned()],
        rows: hunt.notes.iter().map(|note| vec![note.clone()]).collect(),
    });
    section.tables.push(Table {
        title: "commands".to_owned(),
        columns: ["command", "answered", "GOOD"].map(str::to_owned).to_vec(),
        rows: player
            .met
            .iter()
            .map(|(name, (sent, good))| vec![(*name).to_owned(), sent.to_string(), good.to_string()])
            .collect(),
    });
    let complete = hunt.ended == Ended::Whole && scene.ask.story.is_none();
    for danger in Danger::ALL {
        let kinds = rows.iter().filter(|row| row.danger == danger).count();
        let outcome = match (kinds, complete) {
            (0, true) => Outcome::Holds,
            (0, false) => Outcome::Inconclusive,
            _ => Outcome::Violated,
        };
        section.judged(format!("never {danger}"), outcome, format!("{kinds} kinds of divergences"));
    }
    for row in &rows {
        section.findings.push(finding(scene, row)?);
    }
    let fencing = fencing(scene, &rows, &hunt, complete);
    section.outcome = match (&hunt.ended, rows.is_empty()) {
        (Ended::Interrupted, _) => Outcome::Interrupted,
        (_, false) => Outcome::Violated,
        (Ended::Gone(_), true) => Outcome::InputOutput,
        (Ended::Cut | Ended::TooMany, true) => Outcome::Inconclusive,
        (Ended::Whole, true) => Outcome::Holds,
    };
    section.figure("safe for cluster fencing", &fencing);
    section.summary = format!(
        "{} commands, {}; safe for cluster fencing: {fencing}",
        player.commands,
        end_words(&hunt.ended)
    );
    Ok(())
}

fn end_words(ended: &Ended) -> String {
    match ended {
        Ended::Whole => "everything tried".to_owned(),
        Ended::Cut => "cut by a bound before everything was tried".to_owned(),
        Ended::Interrupted => "interrupted".to_owned(),
        Ended::Gone(trouble) => format!("ended because the target is gone ({trouble})"),
        Ended::TooMany => "ended after too many divergences".to_owned(),
    }
}

/// The one line that a user wants.
fn fencing(scene: &Scene<'_>, rows: &[Row<'_>], hunt: &Hunt, complete: bool) -> String {
    match rows.first() {
        Some(row) if row.danger.forbids_fencing() => {
            format!("no, because it {}: {}", row.danger, row.first.mismatch.sentence())
        }
        _ if scene.ask.story.is_some() => "not decided, because only one story was told".to_owned(),
        _ if !complete => format!("not decided, because the test was {}", end_words(&hunt.ended)),
        first => {
            let but = first.map(|_| "; what diverges misleads at most").unwrap_or_default();
            let power = if scene.power { "" } else { "; power loss was not tried" };
            format!("yes, because no fenced node could write and nothing was lost{but}{power}")
        }
    }
}

fn divergences(title: &str, rows: &[Row<'_>]) -> Table {
    let columns = ["danger", "in", "where", "expected", "got", "situations", "times", "clause"];
    Table {
        title: title.to_owned(),
        columns: columns.map(str::to_owned).to_vec(),
        rows: rows
            .iter()
            .map(|row| {
                let signature = &row.first.mismatch.signature;
                vec![
                    row.danger.to_string(),
                    signature.aspect.words().to_owned(),
                    signature.situation.clone(),
                    signature.expected.clone(),
                    signature.got.clone(),
                    row.situations.len().to_string(),
                    row.times.to_string(),
                    row.first.mismatch.clause.to_owned(),
                ]
            })
            .collect(),
    }
}

fn situations(hunt: &Hunt) -> Table {
    let columns = ["danger", "in", "where", "expected", "got", "times"];
    let mut rows: Vec<Vec<String>> = hunt
        .found
        .iter()
        .map(|found| {
            let signature = &found.mismatch.signature;
            vec![
                found.mismatch.danger.to_string(),
                signature.aspect.words().to_owned(),
                signature.situation.clone(),
                signature.expected.clone(),
                signature.got.clone(),
                found.times.to_string(),
            ]
        })
        .collect();
    rows.sort();
    Table { title: "all situations".to_owned(), columns: columns.map(str::to_owned).to_vec(), rows }
}

/// A row with its shortest story, stored so that it can be told again.
fn finding(scene: &Scene<'_>, row: &Row<'_>) -> Result<Finding, Error> {
    let mismatch = &row.first.mismatch;
    let mut sentence = format!("{} ({}; {})", mismatch.sentence(), mismatch.danger, mismatch.clause);
    if row.situations.len() > 1 {
        sentence += &format!("; the same in {} other situations", row.situations.len() - 1);
    }
    if let Some(before) = &row.first.follows {
        sentence += &format!("; seen only after another divergence ({})", before.situation);
    }
    if row.first.again == Again::NotSeen {
        sentence += "; not seen when the story was told again";
    }
    let mut finding = Finding::new(
        format!("probe/{}", file_word(mismatch.danger.words())),
        sentence,
        row.first.log.clone(),
    );
    let name = file_word(&mismatch.signature.line());
    let name: String = name.chars().take(80).collect();
    let path = scene.desk.file(&format!("{:08x}-{name}.story.json", hash(&mismatch.signature.line())));
    let Cast { seats, ports, .. } = scene.cast;
    let stored = Stored { schema: SCHEMA.to_owned(), seats, ports, steps: row.first.story.clone() };
    write_atomically(&path, |out| {
        serde_json::to_writer_pretty(&mut *out, &stored)?;
        writeln!(out)
    })
    .map_err(io_error(&path))?;
    finding.artefacts.push(path.display().to_string());
    finding.reproduce = match &scene.ask.subject {
        Subject::Own(quirks) => {
            format!("redline probe --self{} --story {}", super::quirk_options(*quirks), path.display())
        }
        Subject::Target { portals, restart, .. } => {
            let portals: String = portals.iter().map(|portal| format!(" --portal {portal}")).collect();
            let restart = restart.as_ref().map(|cmd| format!(" --restart-cmd '{cmd}'")).unwrap_or_default();
            format!("redline probe {}{portals} --dataloss{restart} --story {}", scene.name, path.display())
        }
    };
    Ok(finding)
}

/// Keeps the names of files apart that are cut to the same beginning.
fn hash(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

fn load(path: &Path) -> Result<Stored, Error> {
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(io_error(path))?;
    let stored: Stored = serde_json::from_str(&text).map_err(|error| Error::Unfit {
        file: format!("{file}:{}:{}", error.line(), error.column()),
        what: format!("not a story of the probe: {error}"),
    })?;
    if stored.schema != SCHEMA {
        return Err(Error::Unfit { file, what: format!("its schema is `{}`, not {SCHEMA}", stored.schema) });
    }
    let seats = 2..=crate::probe::player::SEATS_MAX;
    if !seats.contains(&stored.seats)
        || !(1..stored.seats).contains(&stored.ports)
        || stored.steps.iter().any(|step| !step.is_within(stored.seats))
    {
        return Err(Error::Unfit {
            file,
            what: format!("it needs more than {} seats, or other ones", stored.seats),
        });
    }
    Ok(stored)
}
