//! The run's folder, the flag that Ctrl-C raises, and the record at the end.

use super::args::{Common, Format};
use super::ui;
use redline_harness::jobs::Error;
use redline_harness::record::{Record, Section, Shard};
use redline_harness::report::{self, Detail, Format as Rendered};
use redline_harness::verdict::Outcome;
use redline_traces::write_atomically;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{fs, io, thread};

/// Folder of runs that were not told where to write.
const RUNS: &str = "redline-out";

/// Runs that one folder has room for.
const RUNS_MAX: u32 = 100_000;

/// The run's folder: new, or empty.
///
/// # Errors
/// If it cannot be made, or holds something already.
pub fn folder(asked: Option<&Path>, command: &str) -> Result<PathBuf, Error> {
    let wrong = |path: &Path| {
        let file = path.display().to_string();
        move |source: io::Error| Error::Io { file, source }
    };
    if let Some(path) = asked {
        if path.exists() && !path.is_dir() {
            return Err(wrong(path)(io::Error::new(io::ErrorKind::NotADirectory, "is not a folder")));
        }
        fs::create_dir_all(path).map_err(wrong(path))?;
        if fs::read_dir(path).map_err(wrong(path))?.next().is_some() {
            let what = format!(
                "{}: the folder is not empty; nothing is overwritten: give a new one",
                path.display()
            );
            return Err(Error::Asked(what));
        }
        return Ok(path.to_owned());
    }
    let runs = Path::new(RUNS);
    fs::create_dir_all(runs).map_err(wrong(runs))?;
    for number in 1..=RUNS_MAX {
        let path = runs.join(format!("{command}-{number}"));
        match fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(wrong(&path)(error)),
        }
    }
    Err(Error::Asked(format!("{RUNS} holds {RUNS_MAX} runs of this command: remove some")))
}

/// A flag that Ctrl-C raises; the second Ctrl-C ends the process.
pub fn stop_flag() -> Arc<AtomicBool> {
    let flag = Arc::new(AtomicBool::new(false));
    let raised = Arc::clone(&flag);
    let listen = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        runtime.block_on(async {
            tokio::signal::ctrl_c().await?;
            raised.store(true, Ordering::Relaxed);
            ui::say("interrupted: writing what there is; once more to quit at once");
            tokio::signal::ctrl_c().await?;
            std::process::exit(i32::from(Outcome::Interrupted.code()))
        })
    };
    thread::spawn(move || {
        let failed: io::Result<()> = listen();
        if let Err(error) = failed {
            ui::say(&format!("Ctrl-C will end the process without a report: {error}"));
        }
    });
    flag
}

/// Writes the record and its reports into the folder, prints it, and gives the exit code.
///
/// # Errors
/// If a file cannot be written.
pub fn close(
    common: &Common,
    out: &Path,
    scenario: &str,
    shard: Option<Shard>,
    sections: Vec<Section>,
) -> Result<u8, Error> {
    let record = Record::new(&command_line(), scenario, shard, sections);
    for format in Rendered::ALL {
        let path = out.join(format.file());
        let text = report::render(&record, format, Detail::Full);
        write_atomically(&path, |file| file.write_all(text.as_bytes()))
            .map_err(|source| Error::Io { file: path.display().to_string(), source })?;
    }
    show(common, &record)?;
    if common.format == Format::Text && !common.quiet {
        ui::say(&format!("the whole report is in {}", out.display()));
    }
    Ok(exit_code(common, record.outcome))
}

/// Prints a record.
///
/// # Errors
/// If standard output cannot be written.
pub fn show(common: &Common, record: &Record) -> Result<(), Error> {
    let detail = match (common.quiet, common.verbose) {
        (true, _) => Detail::Quiet,
        (false, true) => Detail::Full,
        (false, false) => Detail::Normal,
    };
    ui::print(&report::render(record, common.format.into(), detail))
        .map_err(|source| Error::Io { file: "standard output".to_owned(), source })
}

/// The exit code, unless `--fail-on` says that this outcome is no failure.
pub fn exit_code(common: &Common, outcome: Outcome) -> u8 {
    let always = matches!(outcome, Outcome::Internal | Outcome::InputOutput | Outcome::Interrupted);
    let selected = common.fail_on.is_empty() || common.fail_on.iter().any(|name| name == outcome.name());
    if always || selected { outcome.code() } else { Outcome::Holds.code() }
}

/// The command line as it was given.
fn command_line() -> String {
    let mut words = vec!["redline".to_owned()];
    words.extend(std::env::args_os().skip(1).map(|word| {
        let word = word.to_string_lossy();
        if word.is_empty() || word.contains(char::is_whitespace) {
            format!("'{word}'")
        } else {
            word.into_owned()
        }
    }));
    words.join(" ")
}
