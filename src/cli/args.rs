//! What can be asked.

use clap::builder::PossibleValuesParser;
use clap::{ArgAction, Parser, Subcommand, ValueEnum};
use redline_harness::probe::address::{Address, Portal};
use redline_harness::record::Shard;
use redline_harness::report::Format as Rendered;
use redline_harness::verdict::Outcome;
use redline_traces::Initiators;
use redline_vocab::{Guard, Quirk};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

const EXAMPLES: &str = "\
Examples:
  redline verify                              everything, on the reference scenario
  redline check --relax preempt-abort         what breaks without PREEMPT AND ABORT
  redline chaos zombie-owner --runs 200       fault injection on a scenario that must fail
  redline hazards                             every hazard with the command that shows it
  redline scenarios --show reference > my.toml; redline check my.toml

Exit codes: 0 holds, 1 violated or diverged, 2 usage or malformed input, 3 inconclusive, 4 vacuous,
5 nondeterministic, 6 refused by the fabric, 70 internal error, 74 input or output error, 130 interrupted.";

const PROBE_EXAMPLES: &str = "\
Examples:
  redline probe iscsi://127.0.0.1:3260/iqn.2026-11.example:disk/1                looks, changes nothing
  redline probe iscsi://10.0.0.7/iqn.2026-11.example:disk/1 --dataloss           tests a scratch LUN
  redline probe iscsi://... --dataloss --portal 10.0.1.7:3260                    over two target ports: ALL_TG_PT, two paths
  redline probe iscsi://... --dataloss --restart-cmd './power-cycle.sh'          with power loss as well
  redline probe iscsi://... --dataloss --story redline-out/probe-1/x.story.json  one finding again
  redline probe --self --quirk abort-ignored                                     our own target, with a bug

The LUN must hold nothing: one with registrations of others, a reservation, a partition table or a file system is refused.";

const VERSIONS: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    "\nreads and writes: trace format 1, scenario format 1, redline-case/1, redline-run/1"
);

/// Model checker and chaos laboratory for replicated storage fabrics.
#[derive(Parser, Debug)]
#[command(name = "redline", version = VERSIONS, before_help = EXAMPLES, arg_required_else_help = true)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
    #[command(flatten)]
    pub common: Common,
}

/// Options of every command.
#[derive(clap::Args, Debug)]
pub struct Common {
    /// Folder for the run's files: new or empty [default: a new one under redline-out/]
    #[arg(long, global = true, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// What is printed on standard output
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Worker threads [default: one for each core]
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// Only the verdict and the findings
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// The tables too
    #[arg(short, long, global = true)]
    pub verbose: bool,
    /// Outcomes that give a failing exit code; interruptions and errors always do
    #[arg(long, global = true, value_delimiter = ',', value_name = "OUTCOMES",
          value_parser = PossibleValuesParser::new(Outcome::ALL.map(Outcome::name)))]
    pub fail_on: Vec<String>,
}

/// What is printed.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// For people
    Text,
    /// The run record (schema redline-run/1)
    Json,
    /// JUnit XML
    Junit,
    /// SARIF 2.1.0
    Sarif,
    /// A summary in Markdown
    Markdown,
}

impl From<Format> for Rendered {
    fn from(format: Format) -> Rendered {
        match format {
            Format::Text => Rendered::Text,
            Format::Json => Rendered::Json,
            Format::Junit => Rendered::Junit,
            Format::Sarif => Rendered::Sarif,
            Format::Markdown => Rendered::Markdown,
        }
    }
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// The main job: exhaustive checks, canary, lock-step, simulated chaos, conformance, determinism
    Verify {
        #[command(flatten)]
        scenario: Scenario,
    },
    /// Explores the model exhaustively
    #[command(before_help = "Example: redline check --relax preempt-abort")]
    Check(Check),
    /// Makes runs under faults, simulated or on processes, and judges each
    #[command(
        before_help = "Examples: redline chaos --runs 500 --quirk abort-ignored; redline chaos --arm process --for 10m"
    )]
    Chaos(Chaos),
    /// Judges a recorded trace, or the logs of processes, against the model
    #[command(before_help = "Example: redline conform run.ndjson")]
    Conform {
        /// The trace: *.ndjson or *.ndjson.zst; or the folder of a run on processes
        trace: PathBuf,
        /// Once nothing disturbs the fabric, an owner must exist within this many seconds [default: not judged]
        #[arg(long, value_name = "SECONDS")]
        owner_within: Option<u64>,
    },
    /// Tests the persistent reservations of any iSCSI target against the model
    #[command(before_help = PROBE_EXAMPLES)]
    Probe(Probe),
    /// Drives the fabric along a counterexample or a trace; it follows or refuses, and never improvises
    #[command(before_help = "Example: redline replay counterexample.ndjson --quirk plain-preempt")]
    Replay {
        /// The story: *.ndjson or *.ndjson.zst
        story: PathBuf,
        /// Its scenario: file or embedded name [default: the one that the story names]
        #[arg(long, value_name = "SCENARIO")]
        scenario: Option<String>,
        /// Plants a bug in the fabric; may be given several times
        #[arg(long, value_name = "BUG", value_parser = quirks())]
        quirk: Vec<String>,
    },
    /// Reduces a failing case: operations, faults, hosts, time
    #[command(
        before_help = "Example: redline shrink redline-out/chaos-1/lun-abort-is-final-seed-3.case.toml"
    )]
    Shrink {
        /// The case: *.case.toml, as `chaos` writes it
        case: PathBuf,
        /// Cases that may be tried
        #[arg(long, default_value_t = 5000, value_name = "N")]
        tries: u64,
    },
    /// Writes a trace in the format of another tool to standard output
    #[command(before_help = "Example: redline export story.ndjson --to mermaid > story.mmd")]
    Export {
        /// The trace: *.ndjson or *.ndjson.zst
        trace: PathBuf,
        /// Which format
        #[arg(long, value_enum)]
        to: Foreign,
        /// Events that a diagram shows at most
        #[arg(long, default_value_t = 200, value_name = "N")]
        events_max: usize,
    },
    /// Prints the hazard matrix: what is dropped or planted, what sees it, and the command that shows it
    Hazards,
    /// Lists the scenarios that come with the program
    Scenarios {
        /// Prints the file of one, to start from
        #[arg(long, value_name = "NAME")]
        show: Option<String>,
    },
    /// Checks a scenario file and says what it describes
    Validate {
        /// File or embedded name
        scenario: String,
    },
    /// Tells what a property, guard, bug or hazard is, as in V3, H05, preempt-abort, lun/abort-is-final
    Explain {
        /// Its name
        name: String,
    },
    /// Renders a stored run, or joins the runs of several shards
    #[command(
        before_help = "Example: redline report --merge shard-1/run.json shard-2/run.json --format junit"
    )]
    Report {
        /// Stored runs: run.json
        #[arg(required = true)]
        runs: Vec<PathBuf>,
        /// Joins the shards of one run
        #[arg(long)]
        merge: bool,
    },
    /// A whole fabric as real processes on loopback: array and guest cluster nodes
    Fabric {
        #[command(subcommand)]
        command: Fabric,
    },
    /// Runs one process of a fabric; it takes orders on standard input and ends when that closes
    #[command(before_help = NODE_HELP)]
    Node(Node),
    /// Writes a completion script for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

#[derive(clap::Args, Debug)]
pub struct Scenario {
    /// Scenario: a TOML file or an embedded name
    #[arg(default_value = "reference")]
    pub scenario: String,
}

#[derive(clap::Args, Debug)]
pub struct Check {
    #[command(flatten)]
    pub scenario: Scenario,
    /// Drops a guard of the design; may be given several times
    #[arg(long, value_name = "GUARD", value_parser = guards())]
    pub relax: Vec<String>,
    /// Explores another instance: two-nexuses, two-nexuses-restart, three-nexuses, three-nexuses-restart,
    /// legacy-and-resets, port-lists, recovery, or `scenario` for the scenario's own bounds
    #[arg(long, value_name = "NAME")]
    pub instance: Option<String>,
    /// Goes on after a violation until everything is explored
    #[arg(long)]
    pub keep_going: bool,
    /// Stops after this many unique states: inconclusive
    #[arg(long, value_name = "N")]
    pub states_max: Option<u64>,
    /// Stops after this time, as in 90s or 10m: inconclusive
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub time_max: Option<Duration>,
    /// Memory for fingerprints and waiting states, as in 8GiB or 500MiB; beyond it states wait on disk, and when
    /// fingerprints alone need more, the check is inconclusive [default: three quarters of what is free]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub memory: Option<u64>,
    /// Keeps what is needed to go on after a kill, in this folder
    #[arg(long, value_name = "DIR", conflicts_with = "resume")]
    pub checkpoint: Option<PathBuf>,
    /// Goes on from the checkpoint in this folder, and keeps it
    #[arg(long, value_name = "DIR")]
    pub resume: Option<PathBuf>,
    /// Least time between two checkpoints, as in 30s or 5m; they are made between levels
    #[arg(long, value_name = "TIME", value_parser = duration_or_zero, default_value = "1m")]
    pub checkpoint_every: Duration,
    /// Bits by which states are told apart
    #[arg(long, value_parser = ["64", "128"], default_value = "64")]
    pub fingerprints: String,
    /// Which engine explores: the project's own, or that of the stateright crate for comparison
    #[arg(long, value_enum, default_value_t = Engine::Redline)]
    pub engine: Engine,
    /// Explores together with other processes: HOST:PORT of each, in the same order everywhere
    #[arg(long, value_name = "HOST:PORT,...", value_delimiter = ',', requires = "process",
          conflicts_with_all = ["checkpoint", "resume", "engine", "simulate"])]
    pub processes: Vec<String>,
    /// Which of them this process is, from 0
    #[arg(long, value_name = "K", requires = "processes")]
    pub process: Option<usize>,
    /// Takes random walks of so many steps together in place of an exhaustive search: inconclusive at best
    #[arg(long, value_name = "STEPS", conflicts_with_all = ["checkpoint", "resume", "engine", "keep_going", "fingerprints"])]
    pub simulate: Option<u64>,
    /// Seed of the random walks
    #[arg(long, default_value_t = 1, requires = "simulate")]
    pub seed: u64,
}

/// Which engine explores.
#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Engine {
    /// The project's own
    Redline,
    /// Breadth-first search of the stateright crate
    Stateright,
}

#[derive(clap::Args, Debug)]
pub struct Chaos {
    #[command(flatten)]
    pub scenario: Scenario,
    /// Where the fabric runs
    #[arg(long, value_enum, default_value_t = Arm::Sim)]
    pub arm: Arm,
    /// How many runs [default: the scenario's in the simulator, 20 on processes]
    #[arg(long, value_name = "N", conflicts_with = "for_time")]
    pub runs: Option<u64>,
    /// Goes on with new seeds for this long, as in 90s, 10m or 8h
    #[arg(long = "for", id = "for_time", value_name = "TIME", value_parser = duration)]
    pub for_time: Option<Duration>,
    /// Seed of the first run; the others follow
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Which part of the runs, as in 2/8
    #[arg(long, value_name = "K/N", value_parser = shard)]
    pub shard: Option<Shard>,
    /// Plants a bug in the fabric; may be given several times
    #[arg(long, value_name = "BUG", value_parser = quirks())]
    pub quirk: Vec<String>,
    /// Who issues the commands
    #[arg(long, value_enum, default_value_t = Who::Guests)]
    pub initiators: Who,
    /// Makes the run of a stored case again
    #[arg(long, value_name = "FILE", conflicts_with_all = ["runs", "for_time", "shard", "quirk", "seed", "initiators"])]
    pub case: Option<PathBuf>,
    /// Records the trace of every run in the run's folder
    #[arg(long, action = ArgAction::SetTrue, conflicts_with_all = ["for_time", "case"])]
    pub record: bool,
}

#[derive(clap::Args, Debug)]
pub struct Probe {
    /// The logical unit: iscsi://[USER@]HOST[:PORT]/TARGET-NAME/LUN
    #[arg(value_parser = Address::parse, required_unless_present = "own")]
    pub url: Option<Address>,
    /// Portal of another target port of the same unit (HOST[:PORT]); may be given several times. A is seen there too, under a letter of its own
    #[arg(long, value_name = "PORTAL", value_parser = Portal::parse)]
    pub portal: Vec<Portal>,
    /// Tests the fabric's own target, in memory
    #[arg(long = "self", id = "own", conflicts_with_all = ["url", "portal", "dataloss", "restart_cmd", "password_file", "initiator"])]
    pub own: bool,
    /// Plants a bug in the fabric's own target; may be given several times
    #[arg(long, value_name = "BUG", value_parser = quirks(), requires = "own")]
    pub quirk: Vec<String>,
    /// Registers, reserves, resets, and writes to a small scratch range of the LUN
    #[arg(long)]
    pub dataloss: bool,
    /// Initiator ports that act: 2 to 6; up to 3 each try a second ISID as well
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(2..=6))]
    pub nexuses: u8,
    /// Stops after about so many commands
    #[arg(long, value_name = "N", default_value_t = 600_000)]
    pub commands: u64,
    /// Stops after this time, as in 90s or 10m
    #[arg(long = "for", id = "for_time", value_name = "TIME", value_parser = duration)]
    pub for_time: Option<Duration>,
    /// Length up to which all words over the small alphabet of commands are tried
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(0..=5))]
    pub depth: u32,
    /// Seed of the random stories
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Shell command that takes the target's power away, and gives it back before it returns
    #[arg(long, value_name = "CMD", requires = "dataloss")]
    pub restart_cmd: Option<String>,
    /// File with the CHAP secret of the user in the address; otherwise REDLINE_CHAP_SECRET is taken
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// iSCSI name of the probe; several are given to its nexuses in turn
    #[arg(long, value_name = "NAME", default_value = "iqn.2026-11.example.redline:probe")]
    pub initiator: Vec<String>,
    /// Tells only this story, as a finding keeps it
    #[arg(long, value_name = "FILE", conflicts_with_all = ["nexuses", "depth", "seed"])]
    pub story: Option<PathBuf>,
}

/// What can be done with a fabric.
#[derive(Subcommand, Debug)]
pub enum Fabric {
    /// Starts it, prints its endpoints and commands to try on them, and runs it until Ctrl-C
    #[command(
        before_help = "Example: redline fabric up --dir lab     (the same command again goes on from the disk)"
    )]
    Up {
        #[command(flatten)]
        scenario: Scenario,
        /// Folder of its files: new, or one that an earlier run has left [default: a new one under redline-out/]
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
        /// Ends by itself after this time, as in 90s or 10m
        #[arg(long = "for", id = "up_time", value_name = "TIME", value_parser = duration)]
        for_time: Option<Duration>,
    },
}

const NODE_HELP: &str = "\
Example: redline node --role array --dir san-1

The first line on standard output is `ready` and the addresses on which the process listens. After that each line on standard
input is an order and is answered by one line: array ADDRESS, peer NODE ADDRESS, clock jump MICROSECONDS, clock skew PERMILLE (guest);
disk fail|fill|hold on|off, disk slow MICROSECONDS|off, disk corrupt BLOCK,
disk tear (array); status, stop.";

#[derive(clap::Args, Debug)]
pub struct Node {
    #[command(flatten)]
    pub scenario: Scenario,
    /// What it is
    #[arg(long, value_enum)]
    pub role: Role,
    /// Records what happens in it, in this file, which must not exist
    #[arg(long, value_name = "FILE")]
    pub trace: Option<PathBuf>,
    /// Plants a bug in it; may be given several times
    #[arg(long, value_name = "BUG", value_parser = quirks())]
    pub quirk: Vec<String>,
    /// Address on which it listens, port 0: one that the system chooses; an array may have several [default: 127.0.0.1:0]
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Vec<SocketAddr>,
    /// Array: folder of its files; only one process may use it
    #[arg(long, value_name = "DIR", required_if_eq("role", "array"))]
    pub dir: Option<PathBuf>,
    /// Array: target portal groups; those without an address of their own get one that the system chooses
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=8))]
    pub portals: u8,
    /// Array: number of a target portal group, from 1, that is in standby: reservations can be read and changed through it, data cannot; may be given several times
    #[arg(long, value_name = "GROUP", value_parser = clap::value_parser!(u8).range(1..=8))]
    pub standby: Vec<u8>,
    /// Array: size of the logical unit in blocks of 512 bytes [default: the scenario's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1 << 40))]
    pub blocks: Option<u64>,
    /// Array: size of a physical block in bytes, as the logical unit tells it
    #[arg(long, value_enum, default_value_t = PhysicalBlock::Page)]
    pub physical_block: PhysicalBlock,
    /// Array: makes no promise that unmapped blocks read as zeros (LBPRZ = 0)
    #[arg(long)]
    pub no_lbprz: bool,
    /// Array: where writes wait for a flush; what waits in memory is lost when the process is killed
    #[arg(long, value_enum, default_value_t = Unsynced::Page)]
    pub unsynced: Unsynced,
    /// Array: file with a user name and a secret of at least 12 characters, one a line: initiators must log in with CHAP
    #[arg(long, value_name = "FILE")]
    pub chap: Option<PathBuf>,
    /// Array: may listen on an address that is not loopback; only together with --chap
    #[arg(long)]
    pub allow_remote: bool,
    /// Array: asks an initiator that was silent for so long for a sign of life, and drops it half that time later, as in 5s or 1m
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    pub ping_after: Duration,
    /// Guest: its number, from 0
    #[arg(long, value_name = "N", required_if_eq("role", "guest"))]
    pub node: Option<u8>,
    /// Guest: how many ISIDs its earlier lives have used up
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub life: u8,
    /// Guest: the tag of its first command; whoever joins the traces of several lives tells them apart by it
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub first_tag: u32,
}

/// What a process is.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// A SAN array: an iSCSI target
    Array,
    /// A guest cluster node: an iSCSI initiator
    Guest,
}

/// Physical blocks that logical blocks of 512 bytes may lie in.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum PhysicalBlock {
    /// Disks of old
    #[value(name = "512")]
    Sector,
    /// Disks of today
    #[value(name = "4096")]
    Page,
}

/// Where writes wait for a flush.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unsynced {
    /// In the page cache of the operating system
    Page,
    /// In the memory of the process
    Memory,
}

/// Formats of other tools.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Foreign {
    /// Informal Trace Format, for the viewers of Apalache and Quint
    Itf,
    /// ShiViz log with vector clocks
    Shiviz,
    /// Mermaid sequence diagram
    Mermaid,
}

#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arm {
    /// In the deterministic simulator
    Sim,
    /// As real processes on loopback, under real faults
    Process,
}

#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Who {
    /// Guest cluster nodes
    Guests,
    /// Initiators without arbitration logic: any command at any time
    Raw,
}

impl From<Who> for Initiators {
    fn from(who: Who) -> Initiators {
        match who {
            Who::Guests => Initiators::Guests,
            Who::Raw => Initiators::Raw,
        }
    }
}

fn guards() -> PossibleValuesParser {
    PossibleValuesParser::new(Guard::ALL.iter().map(|guard| guard.name()))
}

fn quirks() -> PossibleValuesParser {
    PossibleValuesParser::new(Quirk::ALL.iter().map(|quirk| quirk.name()))
}

/// A time as in `90s`, `10m`, `8h`.
fn duration(text: &str) -> Result<Duration, String> {
    let expected =
        || format!("`{text}` is no time; expected a whole number with s, m or h, as in 90s, 10m or 8h");
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(expected)?;
    let number: u64 = text[..digits].parse().map_err(|_| expected())?;
    let seconds = match &text[digits..] {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err(expected()),
    };
    let total = number.checked_mul(seconds).filter(|total| (1..=31_536_000).contains(total));
    total.map(Duration::from_secs).ok_or_else(|| format!("`{text}` is not between 1s and a year"))
}

/// A time, or none at all.
fn duration_or_zero(text: &str) -> Result<Duration, String> {
    if text == "0s" { Ok(Duration::ZERO) } else { duration(text) }
}

/// A size as in `8GiB` or `500MiB`.
fn size(text: &str) -> Result<u64, String> {
    let expected =
        || format!("`{text}` is no size; expected a whole number with MiB or GiB, as in 500MiB or 8GiB");
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(expected)?;
    let number: u64 = text[..digits].parse().map_err(|_| expected())?;
    let shift = match &text[digits..] {
        "MiB" => 20,
        "GiB" => 30,
        _ => return Err(expected()),
    };
    let bytes = number.checked_mul(1 << shift).filter(|bytes| *bytes >= 16 << 20);
    bytes.ok_or_else(|| format!("`{text}` is less than 16MiB, or more than there can be"))
}

/// A part of the work, as in `2/8`.
fn shard(text: &str) -> Result<Shard, String> {
    let expected = || format!("`{text}` is no shard; expected K/N with K from 1 to N, as in 2/8");
    let (number, of) = text.split_once('/').ok_or_else(expected)?;
    let shard =
        Shard { number: number.parse().map_err(|_| expected())?, of: of.parse().map_err(|_| expected())? };
    if shard.number == 0 || shard.number > shard.of { Err(expected()) } else { Ok(shard) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn times_and_shards_are_read_or_refused() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("8h"), Ok(Duration::from_secs(28800)));
        for bad in ["", "5", "s", "5d", "0s", "-1s", "99999999999999999999h", "1.5h"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
        assert_eq!(shard("2/8"), Ok(Shard { number: 2, of: 8 }));
        for bad in ["", "2", "0/3", "4/3", "a/b", "1/"] {
            assert!(shard(bad).is_err(), "{bad}");
        }
    }
}
