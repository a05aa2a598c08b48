//! An array process of our own for strangers' programs: started in a folder for temporary files, steered over its standard input, gone with
//! the value.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use tempfile::TempDir;

/// The name of the target.
pub const TARGET: &str = "iqn.2026-11.example.redline:san-1";

/// Blocks of a unit that has room for every test of the suite: 1 GiB.
const BLOCKS: &str = "2097152";

/// A running array.
pub struct Array {
    process: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// One for each target portal group.
    pub portals: Vec<SocketAddr>,
}

impl Array {
    /// Starts one with two target portal groups in a folder, which may hold what an earlier one has left.
    pub fn start(folder: &TempDir, more: &[&str]) -> Array {
        Array::with_portals(folder, 2, more)
    }

    /// The same with so many target portal groups.
    pub fn with_portals(folder: &TempDir, portals: u8, more: &[&str]) -> Array {
        let mut process = Command::new(env!("CARGO_BIN_EXE_redline"))
            .args(["node", "--role", "array", "--blocks", BLOCKS, "--portals", &portals.to_string(), "--dir"])
            .arg(folder.path().join("array"))
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program can be started");
        let orders = process.stdin.take().expect("it was asked for");
        let answers = BufReader::new(process.stdout.take().expect("it was asked for"));
        let mut array = Array { process, orders, answers, portals: Vec::new() };
        let line = array.answer();
        let addresses = line.strip_prefix("ready ").unwrap_or_else(|| panic!("the array says: {line}"));
        array.portals = addresses.split(' ').map(|one| one.parse().expect("it is an address")).collect();
        array
    }

    /// The unit through one of its portals.
    pub fn url(&self, portal: usize) -> String {
        format!("iscsi://{}/{TARGET}/0", self.portals[portal])
    }

    /// Gives an order; the answer.
    pub fn order(&mut self, order: &str) -> String {
        writeln!(self.orders, "{order}").expect("it listens");
        self.answer()
    }

    /// SIGKILL: a power loss.
    pub fn kill(mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("it is our child");
    }

    /// The planned end.
    pub fn stop(mut self) {
        writeln!(self.orders, "stop").expect("it listens");
        let status = self.process.wait().expect("it is our child");
        assert!(status.success(), "{status}");
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("it answers");
        line.trim_end().to_owned()
    }
}

impl Drop for Array {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
