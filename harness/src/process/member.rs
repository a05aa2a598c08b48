//! A process of the fabric: one of our own children, steered by lines on its standard input.
//!
//! It is started from the path of an executable, says `ready` with its addresses, and answers each line with one line. It
//! dies in four ways, of which each alone is enough: we end it, its handle is dropped, its standard input closes, or the
//! thread that started it is gone (it asks the kernel for that itself). So no way of dying of ours leaves it behind.
//!
//! Signals go to the process that the handle stands for, and only until its end was waited for: a number that the kernel has
//! given to somebody else is never signalled.

use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

/// What a process may take to come up, or to end when asked.
const PATIENCE: Duration = Duration::from_secs(30);

/// What it may take to answer a line.
const ANSWERS_WITHIN: Duration = Duration::from_secs(20);

/// A process that runs.
#[derive(Debug)]
pub struct Member {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    /// Where it listens.
    pub addresses: Vec<SocketAddr>,
    /// It was sent SIGSTOP.
    stopped: bool,
}

/// Why a process is of no use.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused something.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
    /// It did not come up, or did not say what was expected.
    #[error("{what}: {said}")]
    Said {
        /// What was expected of it.
        what: String,
        /// What it said instead.
        said: String,
    },
    /// It did not answer in time.
    #[error("{what}: no answer in time")]
    Silent {
        /// What was expected of it.
        what: String,
    },
}

fn io_error(what: &str) -> impl FnOnce(io::Error) -> Error + '_ {
    move |source| Error::Io { what: what.to_owned(), source }
}

impl Member {
    /// Starts a process and waits until it is ready. What it complains about goes to this file.
    ///
    /// # Errors
    /// [`Error`]; then there is no process.
    pub async fn start(program: &Path, arguments: Vec<OsString>, complaints: &Path) -> Result<Member, Error> {
        let what = "starting a process";
        let log = File::options().create(true).append(true).open(complaints).map_err(io_error(what))?;
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            // Ctrl-C on the terminal is for us: we end our children in our own order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(io_error(what))?;
        let input = child.stdin.take().expect("it was asked for");
        let output = BufReader::new(child.stdout.take().expect("it was asked for")).lines();
        let mut member = Member { child, input, output, addresses: Vec::new(), stopped: false };
        let said = member.line("coming up", PATIENCE).await?;
        let Some(addresses) = said.strip_prefix("ready") else {
            return Err(Error::Said { what: "coming up".to_owned(), said });
        };
        member.addresses = addresses
            .split_whitespace()
            .map(str::parse)
            .collect::<Result<_, _>>()
            .map_err(|_| Error::Said { what: "coming up".to_owned(), said: said.clone() })?;
        Ok(member)
    }

    async fn line(&mut self, what: &str, within: Duration) -> Result<String, Error> {
        match timeout(within, self.output.next_line()).await {
            Ok(Ok(Some(line))) => Ok(line),
            Ok(Ok(None)) => Err(Error::Said { what: what.to_owned(), said: "it has ended".to_owned() }),
            Ok(Err(source)) => Err(Error::Io { what: what.to_owned(), source }),
            Err(_) => Err(Error::Silent { what: what.to_owned() }),
        }
    }

    /// Gives it a command and returns its answer. A process that is stopped is asked nothing.
    ///
    /// # Errors
    /// [`Error`]
    pub async fn ask(&mut self, command: &str) -> Result<String, Error> {
        self.input.write_all(format!("{command}\n").as_bytes()).await.map_err(io_error(command))?;
        self.line(command, ANSWERS_WITHIN).await
    }

    /// Gives it a command that it must carry out.
    ///
    /// # Errors
    /// [`Error`]
    pub async fn tell(&mut self, command: &str) -> Result<(), Error> {
        let said = self.ask(command).await?;
        if said == "ok" { Ok(()) } else { Err(Error::Said { what: command.to_owned(), said }) }
    }

    /// Whether it was stopped by a signal of ours.
    pub fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Stops it where it is, as a debugger or a blackout does.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn pause(&mut self) -> io::Result<()> {
        self.signal(Signal::STOP)?;
        self.stopped = true;
        Ok(())
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn resume(&mut self) -> io::Result<()> {
        self.signal(Signal::CONT)?;
        self.stopped = false;
        Ok(())
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        // `None` once its end was waited for: the number may be somebody else's by now.
        let pid = self.child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        match pid {
            Some(pid) => Ok(kill_process(pid, signal)?),
            None => Err(io::Error::new(io::ErrorKind::NotFound, "the process has ended")),
        }
    }

    /// Kills it, and waits until it is gone.
    ///
    /// # Errors
    /// What the operating system says.
    pub async fn kill(mut self) -> io::Result<()> {
        self.child.kill().await
    }

    /// Waits until it ends by itself; `false`: it has not ended in time.
    ///
    /// # Errors
    /// What the operating system says.
    pub async fn ends_within(&mut self, time: Duration) -> io::Result<bool> {
        match timeout(time, self.child.wait()).await {
            Ok(ended) => ended.map(|_| true),
            Err(_) => Ok(false),
        }
    }

    /// Asks it to end and waits; kills it if it does not. `true`: it has ended as planned.
    ///
    /// # Errors
    /// What the operating system says.
    pub async fn end(mut self) -> io::Result<bool> {
        if self.stopped {
            self.resume()?;
        }
        let asked = self.ask("stop").await.is_ok();
        if asked && self.ends_within(PATIENCE).await? {
            return Ok(true);
        }
        self.child.kill().await?;
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A process that answers like one of the fabric's, written for the shell.
    const STANDS_IN: &str = "echo ready 127.0.0.1:9; while read line; do \
         case $line in stop) echo ok; exit 0;; odd) echo error odd;; *) echo ok;; esac; done";

    fn run(test: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(test);
    }

    async fn member(script: &str, dir: &Path) -> Result<Member, Error> {
        let arguments = vec!["-c".into(), script.into()];
        Member::start(Path::new("/bin/sh"), arguments, &dir.join("complaints")).await
    }

    fn state(pid: u32) -> Option<char> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit_once(") ")?.1.chars().next()
    }

    #[test]
    fn a_process_comes_up_answers_and_ends_when_asked() {
        run(async {
            let dir = tempfile::tempdir().expect("a folder");
            let mut one = member(STANDS_IN, dir.path()).await.expect("it comes up");
            assert_eq!(one.addresses.len(), 1);
            one.tell("clock jump 5").await.expect("it answers");
            assert!(matches!(one.tell("odd").await, Err(Error::Said { .. })));
            assert!(one.end().await.expect("it can be waited for"));
        });
    }

    #[test]
    fn a_process_is_paused_resumed_and_killed_and_nothing_is_left() {
        run(async {
            let dir = tempfile::tempdir().expect("a folder");
            let mut one = member(STANDS_IN, dir.path()).await.expect("it comes up");
            let pid = one.child.id().expect("it runs");
            one.pause().expect("it is ours");
            // The kernel stops it when it next looks at its signals.
            let start = std::time::Instant::now();
            while state(pid) != Some('T') {
                assert!(start.elapsed() < PATIENCE, "it does not stop");
                tokio::task::yield_now().await;
            }
            one.resume().expect("it is ours");
            one.tell("anything").await.expect("it goes on");
            one.pause().expect("it is ours");
            one.kill().await.expect("it is ours");
            assert_eq!(state(pid), None, "it was waited for");
        });
    }

    #[test]
    fn what_does_not_come_up_is_said_and_dropped() {
        run(async {
            let dir = tempfile::tempdir().expect("a folder");
            let error =
                member("echo error no disk; sleep 100", dir.path()).await.expect_err("it is not ready");
            assert!(error.to_string().contains("no disk"), "{error}");
            let error = member("exit 1", dir.path()).await.expect_err("it has ended");
            assert!(error.to_string().contains("it has ended"), "{error}");
        });
    }
}
