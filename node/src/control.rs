//! Orders to a process: one line each on standard input, one line each as answer on standard output.
//!
//! The first line that a process prints is `ready` and its addresses. When its standard input closes, the process ends: whoever started it is
//! gone, also by SIGKILL. A process that cannot notice because it is stopped (SIGSTOP) is ended by the kernel ([`stay_with_parent`]).

use crate::disk::Fault;
use redline_vocab::NodeId;
use std::io::{BufRead, Write};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::mpsc;

/// An order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// Guest: log in there from the next login on.
    Array(SocketAddr),
    /// Guest: send heartbeats for this node there.
    Peer(NodeId, SocketAddr),
    /// Guest: the clock jumps by so many microseconds.
    Jump(i64),
    /// Guest: the clock is slow by so many parts per thousand.
    Skew(i64),
    /// Array: a fault of its disk begins or ends.
    Disk(Fault),
    /// Say how it is.
    Status,
    /// End as planned.
    Stop,
}

/// What the process's loop hears from outside.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Heard {
    /// An order, to be answered by [`answer`].
    Order(Order),
    /// A line that is no order, with what was expected.
    Nonsense(String),
}

/// Reads an order.
///
/// # Errors
/// What was expected.
pub fn parse(line: &str) -> Result<Order, String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let address = |text: &str| {
        text.parse::<SocketAddr>()
            .map_err(|_| format!("`{text}` is no address; expected as in 127.0.0.1:3260"))
    };
    let number = |text: &str| text.parse::<i64>().map_err(|_| format!("`{text}` is no whole number"));
    let switch = |text: &str| match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(format!("`{text}`: expected `on` or `off`")),
    };
    match *words {
        ["array", at] => Ok(Order::Array(address(at)?)),
        ["peer", node, at] => {
            let node = node.parse().map_err(|_| format!("`{node}` is no node's number"))?;
            Ok(Order::Peer(NodeId(node), address(at)?))
        }
        ["clock", "jump", micros] => Ok(Order::Jump(number(micros)?)),
        ["clock", "skew", permille] => Ok(Order::Skew(number(permille)?)),
        ["disk", "fail", on] => Ok(Order::Disk(Fault::Fail(switch(on)?))),
        ["disk", "fill", on] => Ok(Order::Disk(Fault::Fill(switch(on)?))),
        ["disk", "hold", on] => Ok(Order::Disk(Fault::Hold(switch(on)?))),
        ["disk", "slow", "off"] => Ok(Order::Disk(Fault::Slow(None))),
        ["disk", "slow", micros] => {
            let micros = u64::try_from(number(micros)?).map_err(|_| "a delay is not negative".to_owned())?;
            Ok(Order::Disk(Fault::Slow(Some(Duration::from_micros(micros)))))
        }
        ["disk", "corrupt", block] => {
            let block = u64::try_from(number(block)?).map_err(|_| "a block's number is not negative")?;
            Ok(Order::Disk(Fault::Corrupt(block)))
        }
        ["disk", "tear"] => Ok(Order::Disk(Fault::Tear)),
        ["status"] => Ok(Order::Status),
        ["stop"] => Ok(Order::Stop),
        _ => Err("expected array ADDRESS, peer NODE ADDRESS, clock jump MICROSECONDS, clock skew PERMILLE, \
                  disk fail|fill|hold on|off, disk slow MICROSECONDS|off, disk corrupt BLOCK, disk tear, status or stop"
            .to_owned()),
    }
}

/// Longest order in bytes; a longer line is not one.
const LINE_MAX: usize = 4096;

/// Listens to standard input on a thread of its own; the channel closes when the input does.
pub fn listen() -> mpsc::Receiver<Heard> {
    let (sender, receiver) = mpsc::channel(16);
    std::thread::spawn(move || {
        let mut input = std::io::stdin().lock();
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = std::io::Read::take(&mut input, LINE_MAX as u64).read_until(b'\n', &mut line);
            if !matches!(read, Ok(1..)) {
                break;
            }
            let text = String::from_utf8_lossy(&line);
            let heard = parse(&text).map_or_else(Heard::Nonsense, Heard::Order);
            if sender.blocking_send(heard).is_err() {
                return;
            }
        }
        drop(sender);
        // The loop ends when the channel closes. If it cannot, because the disk hangs, say, the process ends all the same.
        std::thread::sleep(ORPHAN_GRACE);
        std::process::exit(70);
    });
    receiver
}

/// How long a process that lost its parent may take to end by itself.
const ORPHAN_GRACE: Duration = Duration::from_secs(2);

/// Waits for Ctrl-C or SIGTERM: to a process that was started by hand, they mean the planned end.
pub async fn interrupted() {
    let terminated = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => signal.recv().await,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminated => {}
    }
}

/// Prints an answer, or the line that says that the process is ready. A parent that has gone away is noticed elsewhere.
pub fn answer(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// Asks the kernel to kill this process when the thread that started it ends.
///
/// # Errors
/// What the operating system says.
pub fn stay_with_parent() -> std::io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Order, parse};
    use crate::disk::Fault;
    use redline_vocab::NodeId;
    use std::time::Duration;

    #[test]
    fn orders_are_read_or_refused_with_what_was_expected() {
        let address = "127.0.0.1:3260".parse().expect("it is one");
        assert_eq!(parse("array 127.0.0.1:3260\n"), Ok(Order::Array(address)));
        assert_eq!(parse("peer 1 127.0.0.1:3260"), Ok(Order::Peer(NodeId(1), address)));
        assert_eq!(parse("clock jump -5"), Ok(Order::Jump(-5)));
        assert_eq!(parse("disk slow 1500"), Ok(Order::Disk(Fault::Slow(Some(Duration::from_micros(1500))))));
        assert_eq!(parse("disk hold off"), Ok(Order::Disk(Fault::Hold(false))));
        assert_eq!(parse("disk fill on"), Ok(Order::Disk(Fault::Fill(true))));
        assert_eq!(parse("disk corrupt 7"), Ok(Order::Disk(Fault::Corrupt(7))));
        for bad in [
            "",
            "array",
            "array here",
            "peer x 127.0.0.1:1",
            "disk",
            "disk fail maybe",
            "disk slow -1",
            "disk corrupt -1",
            "stop now",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
