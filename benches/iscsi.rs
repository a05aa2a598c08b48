//! Our array against tgt, side by side: the same programs, the same file system, loopback, one round of each in turn.
//!
//! `just bench-iscsi` prints a table with the median of five rounds of each and the ratio. `iscsi-perf` reads at random and in sequence; `qemu-img bench`
//! writes, in steps that scatter over the unit or follow each other. Needs libiscsi-bin, qemu-utils, qemu-block-extra and tgt.

#[allow(dead_code, reason = "tests use more of it")]
#[path = "../tests/it/peers/array.rs"]
mod array;

use array::Array;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const ROUNDS: usize = 5;
const SIZE: u64 = 1 << 30;
/// A multiple of 4 KiB that visits the unit in a scattered order.
const SCATTER: &str = "20484096";

/// What is measured.
struct Row {
    what: &'static str,
    unit: &'static str,
    tool: Tool,
}

enum Tool {
    /// `iscsi-perf`: requests outstanding, blocks, at random.
    Perf { depth: &'static str, blocks: &'static str, random: bool },
    /// `qemu-img bench -w`: requests outstanding, bytes, step, count.
    Write { depth: &'static str, bytes: u64, step: &'static str, count: u64 },
}

const ROWS: [Row; 8] = [
    Row {
        what: "4 KiB random read, depth 1",
        unit: "IOPS",
        tool: Tool::Perf { depth: "1", blocks: "8", random: true },
    },
    Row {
        what: "4 KiB random read, depth 32",
        unit: "IOPS",
        tool: Tool::Perf { depth: "32", blocks: "8", random: true },
    },
    Row {
        what: "4 KiB scattered write, depth 1",
        unit: "IOPS",
        tool: Tool::Write { depth: "1", bytes: 4096, step: SCATTER, count: 20_000 },
    },
    Row {
        what: "4 KiB scattered write, depth 32",
        unit: "IOPS",
        tool: Tool::Write { depth: "32", bytes: 4096, step: SCATTER, count: 60_000 },
    },
    Row {
        what: "256 KiB sequential read, depth 1",
        unit: "MiB/s",
        tool: Tool::Perf { depth: "1", blocks: "512", random: false },
    },
    Row {
        what: "256 KiB sequential read, depth 8",
        unit: "MiB/s",
        tool: Tool::Perf { depth: "8", blocks: "512", random: false },
    },
    Row {
        what: "256 KiB sequential write, depth 1",
        unit: "MiB/s",
        tool: Tool::Write { depth: "1", bytes: 262_144, step: "262144", count: 4_000 },
    },
    Row {
        what: "256 KiB sequential write, depth 8",
        unit: "MiB/s",
        tool: Tool::Write { depth: "8", bytes: 262_144, step: "262144", count: 4_000 },
    },
];

fn main() {
    // `cargo test --benches` asks for a quick run; there is nothing to test here.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let folder = TempDir::new().expect("a folder for temporary files");
    let ours = Array::start(&folder, &[]);
    let tgt = Tgt::start(&folder);
    let urls = [tgt.url.clone(), ours.url(0)];
    for url in &urls {
        fill(url);
    }
    println!("| what | unit | tgt | redline | ratio |\n|---|---|---|---|---|");
    for row in ROWS {
        let mut seen = [Vec::new(), Vec::new()];
        for _ in 0..ROUNDS {
            for (url, seen) in urls.iter().zip(&mut seen) {
                seen.push(measure(&row.tool, url));
            }
        }
        let [tgt, ours] = seen.map(median);
        println!("| {} | {} | {tgt:.0} | {ours:.0} | {:.2} |", row.what, row.unit, ours / tgt);
    }
    ours.stop();
}

fn median(mut seen: Vec<f64>) -> f64 {
    seen.sort_by(f64::total_cmp);
    seen[seen.len() / 2]
}

/// Every block is there, so that nobody gains from holes.
fn fill(url: &str) {
    let count = (SIZE / 1_048_576).to_string();
    run(
        "qemu-img",
        &[
            "bench",
            "-f",
            "raw",
            "-t",
            "none",
            "-w",
            "--pattern=90",
            "-s",
            "1048576",
            "-d",
            "8",
            "-c",
            &count,
            url,
        ],
    );
}

fn measure(tool: &Tool, url: &str) -> f64 {
    match tool {
        Tool::Perf { depth, blocks, random } => {
            let mut args = vec!["-t", "3", "-m", depth, "-b", blocks];
            args.extend(random.then_some("-r"));
            args.push(url);
            let text = String::from_utf8_lossy(&run("iscsi-perf", &args).stdout).replace('\r', "\n");
            // "iops average 12363 (48 MB/s)": with 1024 * 1024 bytes to the MB.
            let last = text
                .lines()
                .rev()
                .find_map(|line| line.trim().strip_prefix("iops average "))
                .expect("a summary");
            let iops: f64 = last.split(' ').next().and_then(|word| word.parse().ok()).expect("a number");
            if *random { iops } else { iops / 4.0 }
        }
        Tool::Write { depth, bytes, step, count } => {
            let (size, count_text) = (bytes.to_string(), count.to_string());
            let args = [
                "bench",
                "-f",
                "raw",
                "-t",
                "none",
                "-w",
                "-d",
                depth,
                "-s",
                &size,
                "-S",
                step,
                "-c",
                &count_text,
                url,
            ];
            let text = String::from_utf8_lossy(&run("qemu-img", &args).stdout).into_owned();
            let seconds =
                text.lines().find_map(|line| line.strip_prefix("Run completed in ")).expect("a summary");
            let seconds: f64 =
                seconds.split(' ').next().and_then(|word| word.parse().ok()).expect("a number");
            let iops = *count as f64 / seconds;
            if *bytes == 4096 { iops } else { iops * (*bytes as f64) / 1_048_576.0 }
        }
    }
}

fn run(program: &str, args: &[&str]) -> Output {
    let output = Command::new(program).args(args).stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|_| {
        panic!("missing: {program}; install it with: apt-get install libiscsi-bin qemu-utils qemu-block-extra tgt")
    });
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// A tgtd of our own.
struct Tgt {
    process: Child,
    url: String,
}

impl Tgt {
    fn start(folder: &TempDir) -> Tgt {
        let image = folder.path().join("tgt.img");
        std::fs::File::create(&image).and_then(|file| file.set_len(SIZE)).expect("the folder can be written");
        // tgtd cannot take a port that the system chooses: ask the system for one that is free now.
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .and_then(|free| free.local_addr())
            .expect("a free port")
            .port();
        // The control port is the number of a socket file, not of a TCP port; tgtd takes none above 32767.
        let control = (port % 32_000).to_string();
        let process = Command::new("tgtd")
            .args(["-f", "-C", &control, "--iscsi", &format!("portal=127.0.0.1:{port}")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("missing: tgtd; install it with: apt-get install tgt");
        let image = image.to_string_lossy().into_owned();
        let until = Instant::now() + Duration::from_secs(10);
        for args in [
            &[
                "--mode",
                "target",
                "--op",
                "new",
                "--tid",
                "1",
                "--targetname",
                "iqn.2026-11.example.tgt:disk",
            ][..],
            &["--mode", "logicalunit", "--op", "new", "--tid", "1", "--lun", "1", "--backing-store", &image],
            &["--mode", "target", "--op", "bind", "--tid", "1", "--initiator-address", "ALL"],
        ] {
            let ask = || Command::new("tgtadm").args(["-C", &control, "--lld", "iscsi"]).args(args).output();
            while !ask().expect("missing: tgtadm; install it with: apt-get install tgt").status.success() {
                assert!(Instant::now() < until, "tgtd does not take orders: {args:?}");
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        Tgt { process, url: format!("iscsi://127.0.0.1:{port}/iqn.2026-11.example.tgt:disk/1") }
    }
}

impl Drop for Tgt {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
