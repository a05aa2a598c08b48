//! A run as a file: the resolved scenario, who issues commands, the planted bugs and the plan.
//!
//! A failure is kept as this value and not as a seed: a later version of Redline may draw other faults from the same seed,
//! but it makes the same run of the same case.

use crate::chaos::Run;
use crate::conform::words;
use crate::scenario::{self, Scenario};
use crate::shrink::Reduce;
use crate::sim::plan::{Injection, Plan};
use redline_traces::{Initiators, write_atomically};
use redline_vocab::{Direction, Fault, Micros, Nexus, NodeId, Quirk, Quirks};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::{fmt, io};

/// Name and version of the form.
pub const FORMAT: &str = "redline-case/1";

/// A run that can be kept and reduced.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Case {
    /// In which world.
    pub scenario: Scenario,
    /// Under which plan.
    pub plan: Plan,
    /// Who issues the commands.
    pub initiators: Initiators,
    /// Bugs planted beside those of the design.
    pub quirks: Quirks,
}

/// Why there is no case.
#[derive(Debug)]
pub enum Error {
    /// It cannot be read.
    Unreadable(String, io::Error),
    /// It can be read, and is wrong: file, line and column from 1, what.
    Wrong(String, Option<(usize, usize)>, String),
    /// Its scenario is wrong.
    Scenario(scenario::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Unreadable(file, error) => write!(f, "{file}: {error}"),
            Error::Wrong(file, Some((line, column)), what) => write!(f, "{file}:{line}:{column}: {what}"),
            Error::Wrong(file, None, what) => write!(f, "{file}: {what}"),
            Error::Scenario(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {}

impl From<Error> for crate::jobs::Error {
    fn from(error: Error) -> crate::jobs::Error {
        match error {
            Error::Unreadable(file, source) => crate::jobs::Error::Io { file, source },
            Error::Wrong(..) => crate::jobs::Error::Asked(error.to_string()),
            Error::Scenario(error) => crate::jobs::Error::Scenario(error),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: String,
    initiators: Who,
    quirks: Vec<String>,
    plan: FilePlan,
    /// The scenario file's text.
    scenario: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Who {
    Guests,
    Raw,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FilePlan {
    /// As text, because numbers of TOML are signed.
    seed: String,
    events_min: u32,
    pause_us: u64,
    issue_until_us: Option<u64>,
    #[serde(default, rename = "fault")]
    faults: Vec<FileInjection>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileInjection {
    at_us: u64,
    lasts_us: u64,
    fault: FileFault,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", tag = "kind")]
enum FileFault {
    ConnectionReset { nexus: u8 },
    ConnectionStall { nexus: u8 },
    Partition { nexus: u8, direction: FileDirection },
    HeartbeatLoss { node: u8, other: u8 },
    NodePause { node: u8 },
    NodeCrash { node: u8 },
    ClockSkew { node: u8, permille: i16 },
    ClockJump { node: u8, by_us: u64 },
    PowerCycle,
    TornWrite,
    Corruption,
    DiskSlow,
    DiskError,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum FileDirection {
    ToTarget,
    ToInitiator,
    Both,
}

impl From<Fault> for FileFault {
    fn from(fault: Fault) -> FileFault {
        match fault {
            Fault::ConnectionReset(nexus) => FileFault::ConnectionReset { nexus: nexus.0 },
            Fault::ConnectionStall(nexus) => FileFault::ConnectionStall { nexus: nexus.0 },
            Fault::Partition(nexus, direction) => FileFault::Partition {
                nexus: nexus.0,
                direction: match direction {
                    Direction::ToTarget => FileDirection::ToTarget,
                    Direction::ToInitiator => FileDirection::ToInitiator,
                    Direction::Both => FileDirection::Both,
                },
            },
            Fault::HeartbeatLoss(node, other) => FileFault::HeartbeatLoss { node: node.0, other: other.0 },
            Fault::NodePause(node) => FileFault::NodePause { node: node.0 },
            Fault::NodeCrash(node) => FileFault::NodeCrash { node: node.0 },
            Fault::ClockSkew(node, permille) => FileFault::ClockSkew { node: node.0, permille },
            Fault::ClockJump(node, by) => FileFault::ClockJump { node: node.0, by_us: by.0 },
            Fault::PowerCycle => FileFault::PowerCycle,
            Fault::TornWrite => FileFault::TornWrite,
            Fault::Corruption => FileFault::Corruption,
            Fault::DiskSlow => FileFault::DiskSlow,
            Fault::DiskError => FileFault::DiskError,
        }
    }
}

impl From<FileFault> for Fault {
    fn from(fault: FileFault) -> Fault {
        match fault {
            FileFault::ConnectionReset { nexus } => Fault::ConnectionReset(Nexus(nexus)),
            FileFault::ConnectionStall { nexus } => Fault::ConnectionStall(Nexus(nexus)),
            FileFault::Partition { nexus, direction } => Fault::Partition(
                Nexus(nexus),
                match direction {
                    FileDirection::ToTarget => Direction::ToTarget,
                    FileDirection::ToInitiator => Direction::ToInitiator,
                    FileDirection::Both => Direction::Both,
                },
            ),
            FileFault::HeartbeatLoss { node, other } => Fault::HeartbeatLoss(NodeId(node), NodeId(other)),
            FileFault::NodePause { node } => Fault::NodePause(NodeId(node)),
            FileFault::NodeCrash { node } => Fault::NodeCrash(NodeId(node)),
            FileFault::ClockSkew { node, permille } => Fault::ClockSkew(NodeId(node), permille),
            FileFault::ClockJump { node, by_us } => Fault::ClockJump(NodeId(node), Micros(by_us)),
            FileFault::PowerCycle => Fault::PowerCycle,
            FileFault::TornWrite => Fault::TornWrite,
            FileFault::Corruption => Fault::Corruption,
            FileFault::DiskSlow => Fault::DiskSlow,
            FileFault::DiskError => Fault::DiskError,
        }
    }
}

/// The hosts that a fault is about.
fn hosts_of(fault: &Fault) -> Vec<u8> {
    match fault {
        Fault::ConnectionReset(nexus) | Fault::ConnectionStall(nexus) | Fault::Partition(nexus, _) => {
            vec![nexus.0]
        }
        Fault::HeartbeatLoss(node, other) => vec![node.0, other.0],
        Fault::NodePause(node)
        | Fault::NodeCrash(node)
        | Fault::ClockSkew(node, _)
        | Fault::ClockJump(node, _) => {
            vec![node.0]
        }
        Fault::PowerCycle | Fault::TornWrite | Fault::Corruption | Fault::DiskSlow | Fault::DiskError => {
            Vec::new()
        }
    }
}

impl Case {
    /// The run.
    pub fn run(&self) -> Run<'_> {
        Run { scenario: &self.scenario, plan: &self.plan, initiators: self.initiators, quirks: self.quirks }
    }

    /// The faults in words, one a line.
    pub fn fault_words(&self) -> Vec<String> {
        self.plan
            .injections
            .iter()
            .map(|one| {
                let what = words::sentence(&redline_vocab::Event::FaultInjected { fault: one.fault });
                format!("at {:.3} s {what}", one.at.0 as f64 / 1e6)
            })
            .collect()
    }

    /// As text.
    pub fn to_toml(&self) -> String {
        let file = File {
            format: FORMAT.to_owned(),
            initiators: match self.initiators {
                Initiators::Guests => Who::Guests,
                Initiators::Raw => Who::Raw,
            },
            quirks: self.quirks.iter().map(|quirk| quirk.name().to_owned()).collect(),
            scenario: scenario::to_toml(&self.scenario),
            plan: FilePlan {
                seed: self.plan.seed.to_string(),
                events_min: self.plan.events_min,
                pause_us: self.plan.pause.0,
                issue_until_us: self.plan.issue_until.map(|until| until.0),
                faults: self
                    .plan
                    .injections
                    .iter()
                    .map(|one| FileInjection {
                        at_us: one.at.0,
                        lasts_us: one.lasts.0,
                        fault: one.fault.into(),
                    })
                    .collect(),
            },
        };
        toml::to_string_pretty(&file).expect("every field has a form in TOML")
    }

    /// Writes it; the file is whole or not there.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        write_atomically(path, |out| out.write_all(self.to_toml().as_bytes()))
    }

    /// Reads one.
    ///
    /// # Errors
    /// [`Error`]
    pub fn load(path: &Path) -> Result<Case, Error> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| Error::Unreadable(file.clone(), error))?;
        Case::parse(&text, &file)
    }

    /// Reads one from text. `file` is its name in messages.
    ///
    /// # Errors
    /// [`Error`], never [`Error::Unreadable`].
    pub fn parse(text: &str, file: &str) -> Result<Case, Error> {
        let wrong = |what: String| Error::Wrong(file.to_owned(), None, what);
        let read: File = toml::from_str(text).map_err(|error| {
            let place = error.span().map(|span| scenario::position(text, span.start));
            Error::Wrong(file.to_owned(), place, error.message().trim().replace('\n', " "))
        })?;
        if read.format != FORMAT {
            return Err(wrong(format!("its format is `{}`; this version reads `{FORMAT}`", read.format)));
        }
        let scenario = scenario::parse(&read.scenario, &format!("{file} (scenario)"))
            .map_err(|problems| Error::Scenario(scenario::Error::Wrong(problems)))?;
        let mut quirks = Quirks::NONE;
        for name in &read.quirks {
            let quirk =
                Quirk::from_name(name).ok_or_else(|| wrong(format!("no quirk is called `{name}`")))?;
            quirks = quirks.with(quirk);
        }
        let seed = read.plan.seed.parse().map_err(|_| wrong(format!("`{}` is no seed", read.plan.seed)))?;
        let injections: Vec<Injection> = read
            .plan
            .faults
            .into_iter()
            .map(|one| Injection {
                at: Micros(one.at_us),
                lasts: Micros(one.lasts_us),
                fault: one.fault.into(),
            })
            .collect();
        if let Some(host) = injections
            .iter()
            .flat_map(|one| hosts_of(&one.fault))
            .find(|host| *host >= scenario.cluster.nodes)
        {
            return Err(wrong(format!(
                "a fault is about node {host}, but there are {} nodes",
                scenario.cluster.nodes
            )));
        }
        if injections.windows(2).any(|pair| pair[0].at > pair[1].at) {
            return Err(wrong("the faults are not in the order of time".to_owned()));
        }
        let plan = Plan {
            seed,
            injections,
            events_min: read.plan.events_min,
            pause: Micros(read.plan.pause_us.max(1)),
            issue_until: read.plan.issue_until_us.map(Micros),
        };
        let initiators = match read.initiators {
            Who::Guests => Initiators::Guests,
            Who::Raw => Initiators::Raw,
        };
        Ok(Case { scenario, plan, initiators, quirks })
    }
}

/// Least nodes of a guest cluster.
const NODES_MIN: u8 = 2;

impl Reduce for Case {
    fn lists(&self) -> Vec<&'static str> {
        vec!["faults", "hosts"]
    }

    fn len(&self, list: usize) -> usize {
        if list == 0 { self.plan.injections.len() } else { usize::from(self.scenario.cluster.nodes) }
    }

    fn retain(&self, list: usize, keep: &dyn Fn(usize) -> bool) -> Option<Case> {
        let mut case = self.clone();
        if list == 0 {
            let mut at = 0;
            case.plan.injections.retain(|_| {
                at += 1;
                keep(at - 1)
            });
            return Some(case);
        }
        // Hosts are numbered: only the last ones can go.
        let nodes = self.scenario.cluster.nodes;
        let kept = (0..nodes).take_while(|node| keep(usize::from(*node))).count() as u8;
        let suffix = (kept..nodes).all(|node| !keep(usize::from(node)));
        let free = self.plan.injections.iter().flat_map(|one| hosts_of(&one.fault)).all(|host| host < kept);
        if kept < NODES_MIN || !suffix || !free {
            return None;
        }
        case.scenario.cluster.nodes = kept;
        case.scenario.bounds.nodes = case.scenario.bounds.nodes.min(kept);
        Some(case)
    }

    fn simpler(&self) -> Vec<Case> {
        let mut simpler = Vec::new();
        let mut offer = |change: &dyn Fn(&mut Case)| {
            let mut case = self.clone();
            change(&mut case);
            if case != *self {
                simpler.push(case);
            }
        };
        offer(&|case| case.scenario.cluster.workload.read_every = 0);
        offer(&|case| case.scenario.cluster.workload.flush_every = 0);
        offer(&|case| case.scenario.cluster.workload.write_blocks = 1);
        offer(&|case| case.scenario.cluster.workload.depth = 1);
        offer(&|case| case.plan.events_min /= 2);
        offer(&|case| case.plan.events_min -= case.plan.events_min / 8);
        let end = self.plan.injections.last().map_or(10_000_000, |last| last.at.0 + 20_000_000);
        let until = self.plan.issue_until.map_or(end, |until| until.0);
        offer(&|case| case.plan.issue_until = Some(Micros(until / 2)));
        offer(&|case| case.plan.issue_until = Some(Micros(until - until / 8)));
        offer(&|case| case.plan.injections.iter_mut().for_each(|one| one.at.0 /= 2));
        for at in 0..self.plan.injections.len() {
            offer(&|case| case.plan.injections[at].lasts.0 /= 2);
            // This fault and the later ones come earlier.
            let before = at.checked_sub(1).map_or(0, |before| self.plan.injections[before].at.0);
            let by = (self.plan.injections[at].at.0 - before) / 2;
            offer(&|case| case.plan.injections[at..].iter_mut().for_each(|one| one.at.0 -= by));
        }
        simpler
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::load;
    use proptest::prelude::*;

    fn case(name: &str, seed: u64) -> Case {
        let scenario = load(name).expect("it is embedded");
        let plan = Plan::draw(&scenario, seed);
        let quirks = Quirks::NONE.with(Quirk::ALL[seed as usize % Quirk::ALL.len()]);
        Case { scenario, plan, initiators: Initiators::Guests, quirks }
    }

    proptest! {
        #[test]
        fn a_case_comes_back_from_its_file(seed in any::<u64>(), name in prop::sample::select(vec!["reference", "three-nodes"])) {
            let case = case(name, seed);
            prop_assert_eq!(Case::parse(&case.to_toml(), "f").expect("it was just written"), case);
        }

        #[test]
        fn a_damaged_case_is_refused_or_read_but_never_panics(seed in 0u64..8, at in any::<prop::sample::Index>(), byte in 32u8..127) {
            let text = case("reference", seed).to_toml();
            let mut bytes = text.into_bytes();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let _ = Case::parse(&String::from_utf8(bytes).expect("the text is ASCII"), "f");
        }
    }

    #[test]
    fn what_is_wrong_with_a_case_is_said() {
        let text = case("reference", 3).to_toml();
        let swap = |from: &str, to: &str| text.replacen(from, to, 1);
        for (bad, expected) in [
            (swap("redline-case/1", "redline-case/2"), "redline-case/2"),
            (swap("quirks = [", "quirks = [\"no-such\", "), "`no-such`"),
            (swap("initiators", "initiator"), "unknown field `initiator`"),
            (swap("seed = \"3\"", "seed = \"x\""), "`x` is no seed"),
        ] {
            let error = Case::parse(&bad, "f.toml").expect_err(expected).to_string();
            assert!(error.starts_with("f.toml") && error.contains(expected), "{error}");
        }
    }

    #[test]
    fn only_hosts_without_faults_are_removed_and_two_stay() {
        let mut three = case("three-nodes", 1);
        three.plan.injections.clear();
        let without_last = three.retain(1, &|host| host != 2).expect("nothing is about node 2");
        assert_eq!(without_last.scenario.cluster.nodes, 2);
        assert_eq!(three.retain(1, &|host| host == 0), None);
        assert_eq!(three.retain(1, &|host| host != 1), None);
        let lasts = Micros(1);
        three.plan.injections = vec![Injection { at: Micros(1), fault: Fault::NodeCrash(NodeId(2)), lasts }];
        assert_eq!(three.retain(1, &|host| host != 2), None);
    }
}
