//! Processes of the fabric that this program has started: the same program, as `redline node`.
//!
//! Each is steered over its standard input and ends when that closes, so that it cannot outlive this program.

use std::io;
use std::net::SocketAddr;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child as Process, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

/// A process that does not come up, answer or end within this time does not work.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running process.
pub struct Child {
    name: String,
    process: Process,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    /// Where it listens.
    pub addresses: Vec<SocketAddr>,
}

impl Child {
    /// Starts `redline node` with these arguments and waits until it is ready.
    ///
    /// # Errors
    /// If it cannot be started or ends at once; it has said why on standard error.
    pub async fn start(name: &str, args: &[String]) -> io::Result<Child> {
        let mut process = Command::new(std::env::current_exe()?)
            .arg("node")
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Ctrl-C is for this program, which then stops its children in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let orders = process.stdin.take().expect("it was asked for");
        let stdout = process.stdout.take().expect("it was asked for");
        let answers = BufReader::new(stdout).lines();
        let mut child = Child { name: name.to_owned(), process, orders, answers, addresses: Vec::new() };
        let line = child.answer().await?;
        let mut words = line.split_whitespace();
        if words.next() != Some("ready") {
            return Err(child.odd(&line));
        }
        child.addresses = words.map(str::parse).collect::<Result<_, _>>().map_err(|_| child.odd(&line))?;
        Ok(child)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id, while it runs.
    pub fn id(&self) -> Option<u32> {
        self.process.id()
    }

    /// Gives an order; the answer.
    ///
    /// # Errors
    /// If it has ended, does not answer, or refuses.
    pub async fn order(&mut self, order: &str) -> io::Result<String> {
        self.orders.write_all(format!("{order}\n").as_bytes()).await?;
        let answer = self.answer().await?;
        if answer.starts_with("error") { Err(self.odd(&answer)) } else { Ok(answer) }
    }

    /// Waits until it ends by itself.
    pub async fn ended(&mut self) -> io::Result<ExitStatus> {
        self.process.wait().await
    }

    /// Ends it as planned, or by force if it does not follow.
    ///
    /// # Errors
    /// If it had to be forced, or ended with an error.
    pub async fn stop(mut self) -> io::Result<()> {
        let _ = self.orders.write_all(b"stop\n").await;
        let Ok(ended) = timeout(PATIENCE, self.process.wait()).await else {
            self.process.kill().await?;
            return Err(io::Error::other(format!("{} did not stop and was killed", self.name)));
        };
        let status = ended?;
        if status.success() {
            Ok(())
        } else {
            Err(io::Error::other(format!("{} ended with {status}", self.name)))
        }
    }

    async fn answer(&mut self) -> io::Result<String> {
        let read = timeout(PATIENCE, self.answers.next_line()).await;
        let silent = || io::Error::new(io::ErrorKind::TimedOut, format!("{} does not answer", self.name));
        let gone = || io::Error::new(io::ErrorKind::UnexpectedEof, format!("{} has ended", self.name));
        read.map_err(|_| silent())??.ok_or_else(gone)
    }

    fn odd(&self, answer: &str) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, format!("{} says: {answer}", self.name))
    }
}
