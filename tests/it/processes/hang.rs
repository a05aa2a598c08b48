//! A back end that hangs: who needs it waits, who does not goes on, and PREEMPT AND ABORT waits for the writes that it ends.

use super::initiator::{Answer, GOOD, Initiator};
use crate::peers::array::{Array, TARGET};
use std::io;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const KEYS: [u64; 2] = [0xa, 0xb];
/// Write Exclusive - Registrants Only.
const REGISTRANTS_ONLY: u8 = 5;
const RESERVE: u8 = 1;
const PREEMPT_AND_ABORT: u8 = 5;
const REGISTER_AND_IGNORE: u8 = 6;

fn login(portal: SocketAddr, node: usize) -> Initiator {
    let name = format!("iqn.2026-11.example.test:{}", ["a", "b", "c"][node]);
    Initiator::login(portal, &name, 1, TARGET).expect("it may log in")
}

/// Waits until the array has so many commands that it has not answered.
fn outstanding(array: &mut Array, count: usize) {
    let start = Instant::now();
    while !array.order("status").ends_with(&format!("outstanding={count}")) {
        assert!(start.elapsed() < Duration::from_secs(20), "{}", array.order("status"));
        thread::sleep(Duration::from_millis(5));
    }
}

/// The story: (1) A holds the reservation; (2) the back end hangs, and A's write is there; (3) B preempts A and aborts; (4) a third one asks
/// for the keys and is answered: A's is gone, but B has no GOOD; (5) the back end goes on, and B gets its GOOD; (6) A's write was never answered,
/// and nothing changes the medium any more.
#[test]
fn preempt_and_abort_waits_for_a_back_end_that_hangs() {
    let folder = TempDir::new().expect("a folder for temporary files");
    let mut array = Array::start(&folder, &[]);
    let portal = array.portals[0];
    let mut nodes: Vec<Initiator> = (0..2).map(|node| login(portal, node)).collect();
    for (node, key) in nodes.iter_mut().zip(KEYS) {
        assert_eq!(node.reserve_out(REGISTER_AND_IGNORE, 0, [0, key], true).expect("answered").status, GOOD);
    }
    assert_eq!(
        nodes[0].reserve_out(RESERVE, REGISTRANTS_ONLY, [0xa, 0], false).expect("answered").status,
        GOOD
    );
    assert_eq!(nodes[0].write(9, &[1; 512]).expect("answered").status, GOOD);

    assert_eq!(array.order("disk hold on"), "ok");
    let (mut a, mut b) = {
        let b = nodes.pop().expect("there are two");
        (nodes.pop().expect("there are two"), b)
    };
    let write: thread::JoinHandle<io::Result<Answer>> = thread::spawn(move || a.write(9, &[2; 512]));
    outstanding(&mut array, 1);
    let preempt = thread::spawn(move || {
        let answer = b.reserve_out(PREEMPT_AND_ABORT, REGISTRANTS_ONLY, [0xb, 0xa], false);
        (b, answer.expect("it is answered"))
    });
    outstanding(&mut array, 2);
    assert_eq!(login(portal, 2).keys().expect("it is answered"), [0xb], "what needs no disk goes on");
    assert!(!preempt.is_finished(), "a write that it ends is at the back end");

    assert_eq!(array.order("disk hold off"), "ok");
    let (mut b, answer) = preempt.join().expect("it does not panic");
    assert_eq!(answer.status, GOOD);
    let found = b.read(9, 1).expect("it is answered").data;
    assert!(found == [1; 512] || found == [2; 512], "the write was carried out before GOOD, or never");
    assert_eq!(b.write(9, &[3; 512]).expect("it is answered").status, GOOD);
    assert_eq!(b.flush().expect("it is answered").status, GOOD);
    assert_eq!(b.read(9, 1).expect("it is answered").data, [3; 512]);
    array.stop();
    assert!(write.join().expect("it does not panic").is_err(), "an aborted command has no answer (TAS = 0)");
}

/// What was held goes on in the order in which it came, and reads see it.
#[test]
fn a_back_end_that_goes_on_does_all_that_came() {
    let folder = TempDir::new().expect("a folder for temporary files");
    for unsynced in ["page", "memory"] {
        let mut array = Array::start(&folder, &["--unsynced", unsynced]);
        let portal = array.portals[0];
        assert_eq!(array.order("disk hold on"), "ok");
        let writers: Vec<_> = (0..3u8)
            .map(|node| {
                thread::spawn(move || login(portal, node.into()).write(u32::from(node), &[node + 1; 512]))
            })
            .collect();
        outstanding(&mut array, 3);
        assert_eq!(array.order("disk hold off"), "ok");
        for writer in writers {
            assert_eq!(writer.join().expect("it does not panic").expect("it is answered").status, GOOD);
        }
        let found = login(portal, 0).read(0, 3).expect("it is answered").data;
        assert_eq!(found, [[1; 512], [2; 512], [3; 512]].concat());
        array.stop();
    }
}
