//! The scenario file: TOML in, scenario out, and back.
//!
//! Unknown fields are refused with the nearest known name. Errors say file, line and column.

use super::{Array, Chaos, Expect, GuestCluster, Scenario, Workload, duration};
use redline_model::cluster::{Bounds, Left};
use redline_vocab::{Design, FaultKind, Guard, Micros};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Version of the file format.
const FORMAT: u32 = 1;

/// What is wrong with a scenario file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// Name of the file.
    pub file: String,
    /// Line and column, from 1, if the problem is at a place.
    pub place: Option<(usize, usize)>,
    /// What is wrong, and what would be right.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Some((line, column)) => write!(f, "{}:{line}:{column}: {}", self.file, self.what),
            None => write!(f, "{}: {}", self.file, self.what),
        }
    }
}

impl std::error::Error for Problem {}

#[derive(Clone, Copy)]
struct Span(Micros);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Span, D::Error> {
        let text = String::deserialize(from)?;
        duration::parse(&text).map(Span).map_err(serde::de::Error::custom)
    }
}

impl Serialize for Span {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        duration::format(self.0).serialize(to)
    }
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: u32,
    name: String,
    #[serde(default)]
    title: String,
    #[serde(default)]
    site: Vec<FileSite>,
    #[serde(default)]
    array: Vec<FileArray>,
    #[serde(default)]
    guest_cluster: Vec<FileCluster>,
    #[serde(default)]
    design: BTreeMap<String, bool>,
    #[serde(default)]
    bounds: FileBounds,
    #[serde(default)]
    chaos: FileChaos,
    #[serde(default)]
    expect: FileExpect,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct FileSite {
    name: String,
}

macro_rules! section {
    ($name:ident { $($field:ident: $type:ty = $default:expr,)* } $(required { $($must:ident: $mtype:ty,)* })?) => {
        #[derive(Deserialize, Serialize)]
        #[serde(deny_unknown_fields, default)]
        struct $name { $($($must: $mtype,)*)? $($field: $type,)* }
        impl Default for $name {
            fn default() -> $name {
                $name { $($($must: Default::default(),)*)? $($field: $default,)* }
            }
        }
    };
}

const fn us(micros: u64) -> Span {
    Span(Micros(micros))
}

section!(FileArray {
    blocks: u64 = 4096,
    write_cache: bool = true,
    registrants: u16 = 64,
    tasks: u16 = 128,
    time2retain: Span = us(20_000_000),
    latency: Span = us(200),
    jitter: Span = us(300),
    service: Span = us(500),
} required { name: String, site: String, });

section!(FileCluster {
    nodes: u8 = 2,
    key_prefix: String = "0x5245444c494e45".to_owned(),
    arbitration: FileArbitration = FileArbitration::default(),
    workload: FileWorkload = FileWorkload::default(),
} required { name: String, shared_disk: String, });

section!(FileArbitration {
    defend: Span = us(3_000_000),
    challenge_wait: Span = us(7_000_000),
    heartbeat: Span = us(1_000_000),
    silence: Span = us(5_000_000),
});

section!(FileWorkload {
    depth: u8 = 4,
    queue: u16 = 8,
    write_blocks: u16 = 2,
    read_every: u16 = 5,
    flush_every: u16 = 11,
    pause: Span = us(20_000),
});

section!(FileBounds {
    nodes: u8 = Scenario::DEFAULT_BOUNDS.nodes,
    writes: u8 = Scenario::DEFAULT_BOUNDS.left.writes,
    challenges: u8 = Scenario::DEFAULT_BOUNDS.left.challenges,
    defends: u8 = Scenario::DEFAULT_BOUNDS.left.defends,
    stalls: u8 = Scenario::DEFAULT_BOUNDS.left.stalls,
    breaks: u8 = Scenario::DEFAULT_BOUNDS.left.breaks,
    crashes: u8 = Scenario::DEFAULT_BOUNDS.left.crashes,
    power_cycles: u8 = Scenario::DEFAULT_BOUNDS.left.power_cycles,
    queue: u8 = Scenario::DEFAULT_BOUNDS.queue,
});

section!(FileChaos {
    runs: u32 = 2000,
    events: u32 = 1000,
    faults_min: u32 = 5,
    every: Span = us(4_000_000),
    lasts: [Span; 2] = [us(500_000), us(30_000_000)],
    recovery: Span = us(60_000_000),
    faults: BTreeMap<String, u32> = FaultKind::ALL.iter().map(|kind| (kind.name().to_owned(), 10)).collect(),
});

section!(FileExpect {
    verdict: String = "holds".to_owned(),
    properties: Vec<String> = Vec::new(),
});

/// Sections of the scenario language that this version does not carry out yet.
const LATER: [&str; 7] =
    ["space", "host_cluster", "replication", "hyperv_replica", "recovery_plan", "rpo", "file_server"];

/// Reads a scenario. `file` is its name in messages.
///
/// # Errors
/// All problems that were found, at least one.
pub fn parse(text: &str, file: &str) -> Result<Scenario, Vec<Problem>> {
    let read: File = toml::from_str(text).map_err(|error| vec![explain(&error, text, file)])?;
    let mut checks = Checks { file, text, problems: Vec::new() };
    let scenario = build(read, &mut checks);
    if checks.problems.is_empty() { scenario.ok_or_else(Vec::new) } else { Err(checks.problems) }
}

/// A message of the TOML reader, with the nearest known name.
fn explain(error: &toml::de::Error, text: &str, file: &str) -> Problem {
    let place = error.span().map(|span| position(text, span.start));
    let message = error.message().trim().replace('\n', " ");
    let mut quoted = message.split('`').skip(1).step_by(2);
    let what = match (message.starts_with("unknown field"), quoted.next()) {
        (true, Some(unknown)) if LATER.contains(&unknown) => {
            format!("section `{unknown}` is not supported yet by this version")
        }
        (true, Some(unknown)) => {
            let known: Vec<&str> = quoted.collect();
            let near = nearest(unknown, known.iter().copied());
            let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            format!("unknown field `{unknown}`{hint} (known here: {})", known.join(", "))
        }
        _ => message,
    };
    Problem { file: file.to_owned(), place, what }
}

/// The known name that is nearest to this one, if any is near.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, candidate)| *distance * 2 <= candidate.len().max(name.len()))
        .min()
        .map(|(_, candidate)| candidate)
}

/// Line and column, from 1, of the byte at this offset.
pub fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..text.floor_char_boundary(offset.min(text.len()))];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |rest| rest.chars().count()) + 1;
    (line, column)
}

/// Collects problems beyond the form.
struct Checks<'a> {
    file: &'a str,
    text: &'a str,
    problems: Vec<Problem>,
}

impl Checks<'_> {
    /// Adds a problem at the first line on which the word stands as a field or name.
    fn add(&mut self, word: &str, what: String) {
        let at_field = |line: &str| {
            let code = line.split('#').next().unwrap_or_default();
            code.trim_start().starts_with(word) || code.trim_start().starts_with(&format!("\"{word}\""))
        };
        let line = self.text.lines().position(at_field).or_else(|| {
            self.text.lines().position(|line| line.split('#').next().unwrap_or_default().contains(word))
        });
        let place = line.map(|line| {
            let column = self.text.lines().nth(line).and_then(|text| text.find(word)).unwrap_or(0);
            (line + 1, column + 1)
        });
        self.problems.push(Problem { file: self.file.to_owned(), place, what });
    }

    fn range<T: Into<u64> + Copy>(&mut self, field: &str, value: T, range: std::ops::RangeInclusive<u64>) {
        let value = value.into();
        if !range.contains(&value) {
            self.add(field, format!("`{field}` is {value}, allowed is {} to {}", range.start(), range.end()));
        }
    }

    fn positive(&mut self, field: &str, value: Span) {
        const DAY: u64 = 86_400_000_000;
        if value.0.0 == 0 || value.0.0 > DAY {
            self.add(field, format!("`{field}` must be more than nothing and at most 1440m"));
        }
    }

    fn known(&mut self, what: &str, name: &str, known: &[&str]) -> bool {
        let found = known.contains(&name);
        if !found {
            let hint = nearest(name, known.iter().copied())
                .map(|near| format!("; did you mean `{near}`?"))
                .unwrap_or_default();
            self.add(name, format!("unknown {what} `{name}`{hint} (known: {})", known.join(", ")));
        }
        found
    }
}

/// Properties that `[expect]` may name.
pub const PROPERTIES: [&str; 14] = [
    "lun/holder-registered",
    "lun/reservation-needs-registrant",
    "lun/single-holder",
    "lun/no-zero-key",
    "lun/generation-steps",
    "lun/reservation-ends-lawfully",
    "lun/durable-with-aptpl",
    "lun/abort-is-final",
    "fabric/owner-unique",
    "fabric/no-evicted-write",
    "fabric/progress",
    "disk/flushed-survives",
    "disk/reads-last-write",
    "conformance",
];

fn build(read: File, checks: &mut Checks<'_>) -> Option<Scenario> {
    if read.format != FORMAT {
        checks.add("format", format!("format is {}, this version reads {FORMAT}", read.format));
    }
    let named = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    if !named(&read.name) {
        checks.add("name", format!("`{}` is no name: letters, digits and dashes", read.name));
    }
    let site = one(checks, "site", read.site)?;
    let array = one(checks, "array", read.array)?;
    let cluster = one(checks, "guest_cluster", read.guest_cluster)?;
    checks.known("site", &array.site, &[&site.name]);
    checks.known("array", &cluster.shared_disk, &[&array.name]);
    let design = design(&read.design, checks);
    let built = Scenario {
        name: read.name,
        title: read.title,
        site: site.name,
        array: build_array(array, checks),
        cluster: build_cluster(cluster, checks),
        design,
        bounds: build_bounds(&read.bounds, checks),
        chaos: build_chaos(&read.chaos, checks),
        expect: build_expect(read.expect, checks),
    };
    let workload = built.cluster.workload;
    if u64::from(workload.write_blocks) >= built.array.blocks && built.array.blocks > 1 {
        checks.add("write_blocks", "a write must fit behind block 0 of the LUN".to_owned());
    }
    Some(built)
}

fn one<T>(checks: &mut Checks<'_>, section: &str, mut all: Vec<T>) -> Option<T> {
    if all.len() != 1 {
        checks.add(section, format!("{} sections [[{section}]]; this version takes exactly one", all.len()));
        return None;
    }
    all.pop()
}

fn design(read: &BTreeMap<String, bool>, checks: &mut Checks<'_>) -> Design {
    let known: Vec<&str> = Guard::ALL.iter().map(|guard| guard.name()).collect();
    let mut design = Design::SOUND;
    for (name, holds) in read {
        if checks.known("guard", name, &known)
            && let (Some(guard), false) = (Guard::from_name(name), holds)
        {
            design = design.without(guard);
        }
    }
    design
}

fn build_array(read: FileArray, checks: &mut Checks<'_>) -> Array {
    checks.range("blocks", read.blocks, 1..=65_536);
    checks.range("registrants", read.registrants, 1..=1024);
    checks.range("tasks", read.tasks, 1..=1024);
    for (field, value) in
        [("time2retain", read.time2retain), ("latency", read.latency), ("service", read.service)]
    {
        checks.positive(field, value);
    }
    Array {
        name: read.name,
        blocks: read.blocks,
        write_cache: read.write_cache,
        registrants: read.registrants,
        tasks: read.tasks,
        time2retain: read.time2retain.0,
        latency: read.latency.0,
        jitter: read.jitter.0,
        service: read.service.0,
    }
}

fn build_cluster(read: FileCluster, checks: &mut Checks<'_>) -> GuestCluster {
    checks.range("nodes", read.nodes, 2..=8);
    let digits = read.key_prefix.trim_start_matches("0x");
    let key_prefix = u64::from_str_radix(digits, 16).unwrap_or(0);
    if key_prefix == 0 || key_prefix >> 56 != 0 {
        checks.add("key_prefix", "`key_prefix` is 1 to 14 hexadecimal digits, not zero".to_owned());
    }
    let times = &read.arbitration;
    for (field, value) in [
        ("defend", times.defend),
        ("challenge_wait", times.challenge_wait),
        ("heartbeat", times.heartbeat),
        ("silence", times.silence),
        ("pause", read.workload.pause),
    ] {
        checks.positive(field, value);
    }
    if times.challenge_wait.0 <= times.defend.0 {
        let what =
            "`challenge_wait` must be longer than `defend`: a live owner defends once in that time (R3, R7)";
        checks.add("challenge_wait", what.to_owned());
    }
    checks.range("depth", read.workload.depth, 1..=64);
    checks.range("queue", read.workload.queue, 1..=1024);
    checks.range("write_blocks", read.workload.write_blocks, 1..=64);
    GuestCluster {
        name: read.name,
        nodes: read.nodes,
        key_prefix,
        defend: times.defend.0,
        challenge_wait: times.challenge_wait.0,
        heartbeat: times.heartbeat.0,
        silence: times.silence.0,
        workload: Workload {
            depth: read.workload.depth,
            queue: read.workload.queue,
            write_blocks: read.workload.write_blocks,
            read_every: read.workload.read_every,
            flush_every: read.workload.flush_every,
            pause: read.workload.pause.0,
        },
    }
}

fn build_bounds(read: &FileBounds, checks: &mut Checks<'_>) -> Bounds {
    checks.range("nodes", read.nodes, 2..=4);
    checks.range("queue", read.queue, 1..=4);
    for (field, value) in [
        ("writes", read.writes),
        ("challenges", read.challenges),
        ("defends", read.defends),
        ("stalls", read.stalls),
        ("breaks", read.breaks),
        ("crashes", read.crashes),
        ("power_cycles", read.power_cycles),
    ] {
        checks.range(field, value, 0..=8);
    }
    Bounds {
        nodes: read.nodes,
        left: Left {
            writes: read.writes,
            challenges: read.challenges,
            defends: read.defends,
            stalls: read.stalls,
            breaks: read.breaks,
            crashes: read.crashes,
            power_cycles: read.power_cycles,
        },
        queue: read.queue,
        restarts: true,
    }
}

fn build_chaos(read: &FileChaos, checks: &mut Checks<'_>) -> Chaos {
    checks.range("runs", read.runs, 1..=10_000_000);
    checks.range("events", read.events, 1..=100_000_000);
    checks.range("faults_min", read.faults_min, 0..=1_000_000);
    checks.positive("every", read.every);
    checks.positive("recovery", read.recovery);
    checks.positive("lasts", read.lasts[0]);
    if read.lasts[0].0 > read.lasts[1].0 {
        checks.add("lasts", "`lasts` is the shortest time, then the longest".to_owned());
    }
    let known: Vec<&str> = FaultKind::ALL.iter().map(|kind| kind.name()).collect();
    let mut weights = BTreeMap::new();
    for (name, weight) in &read.faults {
        if checks.known("fault", name, &known)
            && let Some(kind) = FaultKind::ALL.into_iter().find(|kind| kind.name() == name)
        {
            checks.range(name, *weight, 0..=1000);
            weights.insert(kind, *weight);
        }
    }
    if read.faults_min > 0 && weights.values().all(|weight| *weight == 0) {
        checks.add("faults", "no fault has a weight, but `faults_min` is not 0".to_owned());
    }
    Chaos {
        runs: read.runs,
        events: read.events,
        faults_min: read.faults_min,
        every: read.every.0,
        lasts: (read.lasts[0].0, read.lasts[1].0),
        recovery: read.recovery.0,
        weights,
    }
}

fn build_expect(read: FileExpect, checks: &mut Checks<'_>) -> Expect {
    checks.known("verdict", &read.verdict, &["holds", "violated"]);
    for property in &read.properties {
        checks.known("property", property, &PROPERTIES);
    }
    let holds = read.verdict == "holds";
    if holds != read.properties.is_empty() {
        checks.add("properties", "`properties` is for the verdict \"violated\", and needed there".to_owned());
    }
    Expect { holds, properties: read.properties.into_iter().collect() }
}

/// The scenario as a file that [`parse`] reads back to the same scenario.
pub fn to_toml(scenario: &Scenario) -> String {
    let (array, cluster, chaos) = (&scenario.array, &scenario.cluster, &scenario.chaos);
    let left = scenario.bounds.left;
    let file = File {
        format: FORMAT,
        name: scenario.name.clone(),
        title: scenario.title.clone(),
        site: vec![FileSite { name: scenario.site.clone() }],
        array: vec![FileArray {
            name: array.name.clone(),
            site: scenario.site.clone(),
            blocks: array.blocks,
            write_cache: array.write_cache,
            registrants: array.registrants,
            tasks: array.tasks,
            time2retain: Span(array.time2retain),
            latency: Span(array.latency),
            jitter: Span(array.jitter),
            service: Span(array.service),
        }],
        guest_cluster: vec![FileCluster {
            name: cluster.name.clone(),
            shared_disk: array.name.clone(),
            nodes: cluster.nodes,
            key_prefix: format!("{:#x}", cluster.key_prefix),
            arbitration: FileArbitration {
                defend: Span(cluster.defend),
                challenge_wait: Span(cluster.challenge_wait),
                heartbeat: Span(cluster.heartbeat),
                silence: Span(cluster.silence),
            },
            workload: FileWorkload {
                depth: cluster.workload.depth,
                queue: cluster.workload.queue,
                write_blocks: cluster.workload.write_blocks,
                read_every: cluster.workload.read_every,
                flush_every: cluster.workload.flush_every,
                pause: Span(cluster.workload.pause),
            },
        }],
        design: scenario.design.relaxed().map(|guard| (guard.name().to_owned(), false)).collect(),
        bounds: FileBounds {
            nodes: scenario.bounds.nodes,
            writes: left.writes,
            challenges: left.challenges,
            defends: left.defends,
            stalls: left.stalls,
            breaks: left.breaks,
            crashes: left.crashes,
            power_cycles: left.power_cycles,
            queue: scenario.bounds.queue,
        },
        chaos: FileChaos {
            runs: chaos.runs,
            events: chaos.events,
            faults_min: chaos.faults_min,
            every: Span(chaos.every),
            lasts: [Span(chaos.lasts.0), Span(chaos.lasts.1)],
            recovery: Span(chaos.recovery),
            faults: chaos.weights.iter().map(|(kind, weight)| (kind.name().to_owned(), *weight)).collect(),
        },
        expect: FileExpect {
            verdict: if scenario.expect.holds { "holds" } else { "violated" }.to_owned(),
            properties: scenario.expect.properties.iter().cloned().collect(),
        },
    };
    toml::to_string(&file).expect("every field of a scenario has a TOML form")
}
