//! Does what was asked.

use super::args::{self, Args, Arm, Chaos, Check, Command, Common, Foreign};
use super::{desk, explain, fabric, probe, process, ui};
use clap::CommandFactory;
use redline_harness::case::Case;
use redline_harness::chaos::Run;
use redline_harness::check::{Engine, Limits, Place, Until, Walks, available_bytes};
use redline_harness::jobs::{self, Desk, Error, chaos, check, hazards, processes, simulate};
use redline_harness::process::logs;
use redline_harness::record::{Record, Section, Shard, Table, merge};
use redline_harness::report::of_table;
use redline_harness::scenario::{self, EMBEDDED, Scenario};
use redline_harness::shrink::Limit;
use redline_harness::sim::plan::Plan;
use redline_harness::verdict::Outcome;
use redline_traces::{Reader, export};
use redline_vocab::{Guard, Micros, Quirk, Quirks};
use std::path::Path;
use std::thread;

/// Does it; the exit code.
pub fn run(args: &Args) -> u8 {
    match dispatch(args) {
        Ok(code) => code,
        Err(error) => {
            ui::say(&error.to_string());
            error.outcome().code()
        }
    }
}

fn dispatch(args: &Args) -> Result<u8, Error> {
    let common = &args.common;
    match &args.command {
        Command::Verify { scenario } => {
            let scenario = scenario::load(&scenario.scenario)?;
            work(common, "verify", &scenario.name.clone(), None, |desk, done| {
                jobs::verify::run(desk, &scenario, done)
            })
        }
        Command::Check(asked) => check_model(common, asked),
        Command::Chaos(asked) => chaos_runs(common, asked),
        Command::Conform { trace, owner_within } => {
            let within = owner_within.map(|seconds| Micros(seconds.saturating_mul(1_000_000)));
            work(common, "conform", "", None, |desk, done| {
                done(if logs::are_in(trace) {
                    processes::conform(desk, trace)?
                } else {
                    jobs::conform::run(desk, trace, within)?
                });
                Ok(())
            })
        }
        Command::Probe(asked) => {
            let ask = probe::ask(asked, quirks(&asked.quirk))?;
            let name = asked.url.as_ref().map_or("self".to_owned(), ToString::to_string);
            work(common, "probe", &name, None, |desk, done| {
                done(jobs::probe::run(desk, &ask)?);
                Ok(())
            })
        }
        Command::Replay { story, scenario, quirk } => {
            let given = scenario.as_deref().map(scenario::load).transpose()?;
            let quirks = quirks(quirk);
            work(common, "replay", "", None, |desk, done| {
                done(jobs::replay::run(desk, story, given.as_ref(), quirks)?);
                Ok(())
            })
        }
        Command::Shrink { case, tries } => {
            let case = Case::load(case)?;
            let limit = Limit { tries_max: *tries };
            work(common, "shrink", &case.scenario.name.clone(), None, |desk, done| {
                done(jobs::shrink::run(desk, case.clone(), limit)?);
                Ok(())
            })
        }
        Command::Export { trace, to, events_max } => export(trace, *to, *events_max),
        Command::Hazards => tables(common, &[hazards::relaxations(), hazards::bugs(), hazards::not_yet()]),
        Command::Scenarios { show: None } => tables(common, &[scenarios()?]),
        Command::Scenarios { show: Some(name) } => {
            scenario::load(name)?;
            let text = match EMBEDDED.iter().find(|one| one.name == name) {
                Some(embedded) => embedded.text.to_owned(),
                None => std::fs::read_to_string(name)
                    .map_err(|source| Error::Io { file: name.clone(), source })?,
            };
            printed(&text)
        }
        Command::Validate { scenario } => {
            let read = scenario::load(scenario)?;
            let dropped: Vec<&str> = read.design.relaxed().map(Guard::name).collect();
            let dropped = if dropped.is_empty() { "none".to_owned() } else { dropped.join(", ") };
            printed(&format!(
                "{}: {}\n  model: {}\n  guards that are off: {dropped}\n  chaos: {} runs of at least {} events\n",
                read.name,
                read.title,
                check::bounds_words(read.bounds),
                read.chaos.runs,
                read.chaos.events
            ))
        }
        Command::Explain { name } => match explain::explain(name) {
            Ok(text) => printed(&text),
            Err(near) => {
                let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
                Err(Error::Asked(format!("nothing is called `{name}`{hint} (see `redline hazards`)")))
            }
        },
        Command::Fabric { command: args::Fabric::Up { scenario, dir, for_time } } => {
            fabric::up(scenario, dir.as_deref(), *for_time)
        }
        Command::Node(asked) => process::run(asked),
        Command::Report { runs, merge: joined } => report_runs(common, runs, *joined),
        Command::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(*shell, &mut Args::command(), "redline", &mut text);
            printed(&String::from_utf8_lossy(&text))
        }
    }
}

/// Lets a job work in a folder of its own. What it has done until an error or an interruption is written.
fn work(
    common: &Common,
    command: &str,
    scenario: &str,
    shard: Option<Shard>,
    job: impl FnOnce(&Desk<'_>, &mut dyn FnMut(Section)) -> Result<(), Error>,
) -> Result<u8, Error> {
    let out = desk::folder(common.out.as_deref(), command)?;
    let stop = desk::stop_flag();
    let threads =
        common.threads.map_or_else(|| thread::available_parallelism().map_or(1, usize::from), usize::from);
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global()
        .map_err(|error| Error::Asked(format!("no worker threads: {error}")))?;
    let bar = ui::Bar::new(common.quiet);
    let progress = |progress: &jobs::Progress| bar.show(progress);
    let desk = Desk { stop: &stop, threads, out: &out, progress: &progress };
    let mut sections = Vec::new();
    let ended = job(&desk, &mut |section| sections.push(section));
    bar.clear();
    if let Err(error) = ended {
        if sections.is_empty() {
            // An empty folder would only be in the way.
            let _ = std::fs::remove_dir(&out);
            return Err(error);
        }
        let mut section = Section::new(command);
        section.outcome = error.outcome();
        section.summary = error.to_string();
        sections.push(section);
    }
    desk::close(common, &out, scenario, shard, sections)
}

fn check_model(common: &Common, asked: &Check) -> Result<u8, Error> {
    let scenario = scenario::load(&asked.scenario.scenario)?;
    let guards: Vec<Guard> = asked.relax.iter().filter_map(|name| Guard::from_name(name)).collect();
    let explored = match asked.instance.as_deref() {
        None => check::explored_for(&scenario, &guards)?,
        Some("scenario") => check::Explored::Cluster(scenario.bounds),
        Some("recovery") => check::recovery_instance(),
        Some(name) => check::Explored::Reservations(check::instance(name)?),
    };
    let design = guards.iter().fold(scenario.design, |design, guard| design.without(*guard));
    let until = if asked.keep_going { Until::Exhausted } else { Until::FirstViolation };
    let memory = asked.memory.or_else(|| available_bytes().map(|free| free / 4 * 3));
    let kept = asked.resume.as_ref().or(asked.checkpoint.as_ref());
    work(common, "check", &scenario.name.clone(), None, |desk, done| {
        let (states_max, time_max) = (asked.states_max, asked.time_max);
        let limits = Limits { threads: desk.threads, states_max, time_max, memory_max: memory, until };
        if let Some(steps) = asked.simulate {
            let walks =
                Walks { seed: asked.seed, steps_max: steps, depth_max: simulate::DEPTH_MAX, time_max };
            done(simulate::run(desk, &scenario, explored, design, walks)?);
            return Ok(());
        }
        let place = asked.process.map(|process| Place { process, addresses: asked.processes.clone() });
        let ask = check::Ask {
            design,
            place: place.as_ref(),
            limits,
            engine: match asked.engine {
                args::Engine::Redline => Engine::Redline,
                args::Engine::Stateright => Engine::Stateright,
            },
            bits: if asked.fingerprints == "128" { 128 } else { 64 },
            keep: kept.map(|dir| check::Keep {
                dir,
                every: asked.checkpoint_every,
                resume: asked.resume.is_some(),
            }),
        };
        done(check::run(desk, &scenario, explored, ask)?);
        Ok(())
    })
}

fn chaos_runs(common: &Common, asked: &Chaos) -> Result<u8, Error> {
    let program = std::env::current_exe()
        .map_err(|source| Error::Io { file: "the program's own executable".to_owned(), source })?;
    let how = processes::How { program: &program, keep_all: asked.record };
    if let Some(file) = &asked.case {
        let case = Case::load(file)?;
        return work(common, "chaos", &case.scenario.name.clone(), None, |desk, done| {
            done(match asked.arm {
                Arm::Sim => chaos::again(desk, &case)?,
                Arm::Process => processes::again(desk, &case, how)?,
            });
            Ok(())
        });
    }
    let scenario = scenario::load(&asked.scenario.scenario)?;
    let runs = match asked.arm {
        Arm::Sim => u64::from(scenario.chaos.runs),
        Arm::Process => processes::RUNS,
    };
    let ask = chaos::Ask {
        seed: asked.seed,
        runs: asked.runs.unwrap_or(runs),
        lasts: asked.for_time,
        shard: asked.shard,
        quirks: quirks(&asked.quirk),
        initiators: asked.initiators.into(),
    };
    work(common, "chaos", &scenario.name.clone(), asked.shard, |desk, done| {
        if asked.arm == Arm::Process {
            done(processes::run(desk, &scenario, ask, how)?);
            return Ok(());
        }
        let section = chaos::run(desk, &scenario, ask)?;
        if asked.record {
            record_all(desk.out, &scenario, ask)?;
        }
        done(section);
        Ok(())
    })
}

/// Records every run of a campaign.
fn record_all(out: &Path, scenario: &Scenario, ask: chaos::Ask) -> Result<(), Error> {
    use rayon::prelude::*;
    let (seed, runs) = chaos::part(ask);
    (0..runs).into_par_iter().try_for_each(|nth| {
        let plan = &Plan::draw(scenario, seed.wrapping_add(nth));
        let path = out.join(format!("run-{}.ndjson", plan.seed));
        let run = Run { scenario, plan, initiators: ask.initiators, quirks: ask.quirks };
        run.record_to(&path).map_err(|source| Error::Io { file: path.display().to_string(), source })?;
        Ok(())
    })
}

fn report_runs(common: &Common, runs: &[std::path::PathBuf], joined: bool) -> Result<u8, Error> {
    let mut records: Vec<Record> = runs.iter().map(|path| Record::load(path)).collect::<Result<_, _>>()?;
    let record = match (joined, records.len()) {
        (true, _) => merge(records),
        (false, 1) => records.remove(0),
        (false, _) => {
            return Err(Error::Asked("several runs are only shown together with --merge".to_owned()));
        }
    };
    desk::show(common, &record)?;
    Ok(desk::exit_code(common, record.outcome))
}

fn export(trace: &Path, to: Foreign, events_max: usize) -> Result<u8, Error> {
    let reader = Reader::open(trace)?;
    let header = reader.header().clone();
    let events = reader.collect::<Result<Vec<_>, _>>()?;
    let mut text = Vec::new();
    let written = match to {
        Foreign::Itf => export::itf(&header, &events, &mut text),
        Foreign::Shiviz => export::shiviz(&header, &events, &mut text),
        Foreign::Mermaid => export::mermaid(&header, &events, events_max, &mut text),
    };
    written.map_err(|source| Error::Io { file: "memory".to_owned(), source })?;
    printed(&String::from_utf8_lossy(&text))
}

fn scenarios() -> Result<Table, Error> {
    let mut rows = Vec::new();
    for embedded in EMBEDDED {
        let read = scenario::load(embedded.name)?;
        let expects = if read.expect.holds {
            "holds".to_owned()
        } else {
            let properties: Vec<&str> = read.expect.properties.iter().map(String::as_str).collect();
            format!("violates {}", properties.join(", "))
        };
        rows.push(vec![read.name, read.title, expects]);
    }
    let columns = ["scenario", "what", "expected"].map(str::to_owned).to_vec();
    Ok(Table { title: "Scenarios that come with the program".to_owned(), columns, rows })
}

fn tables(common: &Common, tables: &[Table]) -> Result<u8, Error> {
    let text = if common.format == super::args::Format::Json {
        let mut text = serde_json::to_string_pretty(tables).expect("a table has no maps");
        text.push('\n');
        text
    } else {
        tables.iter().map(|table| format!("{}\n\n{}\n\n", table.title, listed(table))).collect()
    };
    printed(&text)
}

/// A table for people. Commands stand on lines of their own, whole, so that they can be pasted.
fn listed(table: &Table) -> String {
    let Some((last, heads)) = table.columns.split_last().filter(|(last, _)| *last == "command") else {
        return of_table(table).to_string();
    };
    let mut text = String::new();
    for row in &table.rows {
        let cells = heads.iter().zip(row).map(|(head, cell)| format!("  {head}: {cell}\n"));
        text.extend(cells);
        text += &format!("  {last}: {}\n\n", row[heads.len()]);
    }
    text.trim_end().to_owned()
}

fn printed(text: &str) -> Result<u8, Error> {
    ui::print(text).map_err(|source| Error::Io { file: "standard output".to_owned(), source })?;
    Ok(Outcome::Holds.code())
}

fn quirks(names: &[String]) -> Quirks {
    names.iter().filter_map(|name| Quirk::from_name(name)).fold(Quirks::NONE, Quirks::with)
}
