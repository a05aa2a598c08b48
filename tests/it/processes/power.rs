//! Power cycles of an array process: a planned end, and SIGKILL under load.

use super::initiator::{CHECK_CONDITION, GOOD, Initiator};
use crate::peers::array::{Array, TARGET};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const NAMES: [&str; 2] = ["iqn.2026-11.example.test:a", "iqn.2026-11.example.test:b"];
const KEYS: [u64; 2] = [0xa, 0xb];
/// Write Exclusive - Registrants Only.
const REGISTRANTS_ONLY: u8 = 5;
const RESERVE: u8 = 1;
const REGISTER_AND_IGNORE: u8 = 6;

fn folder() -> TempDir {
    TempDir::new().expect("a folder for temporary files")
}

fn login(portal: SocketAddr, node: usize) -> io::Result<Initiator> {
    Initiator::login(portal, NAMES[node], 1, TARGET)
}

/// Both nodes register, the first one reserves.
fn register(portal: SocketAddr, aptpl: bool) {
    for (node, key) in KEYS.into_iter().enumerate() {
        let mut session = login(portal, node).expect("it may log in");
        let register = session.reserve_out(REGISTER_AND_IGNORE, 0, [0, key], aptpl).expect("it is answered");
        assert_eq!(register.status, GOOD, "{register:?}");
        if node == 0 {
            let reserve =
                session.reserve_out(RESERVE, REGISTRANTS_ONLY, [KEYS[0], 0], false).expect("it is answered");
            assert_eq!(reserve.status, GOOD, "{reserve:?}");
        }
    }
}

/// Registrations and reservation are there, or gone.
fn check_table(portal: SocketAddr, aptpl: bool) {
    let mut session = login(portal, 1).expect("it may log in");
    let keys = session.keys().expect("it is answered");
    let reservation = session.reservation().expect("it is answered");
    if aptpl {
        assert_eq!((keys, reservation), (KEYS.to_vec(), Some((KEYS[0], REGISTRANTS_ONLY))));
    } else {
        assert_eq!((keys, reservation), (Vec::new(), None));
    }
}

#[test]
fn a_planned_stop_is_a_power_cycle_that_loses_no_write() {
    for aptpl in [true, false] {
        let folder = folder();
        let array = Array::start(&folder, &["--unsynced", "memory"]);
        register(array.portals[0], aptpl);
        let mut session = login(array.portals[0], 0).expect("it may log in");
        assert_eq!(session.write(7, &[7; 512]).expect("it is answered").status, GOOD);
        array.stop();
        let array = Array::start(&folder, &["--unsynced", "memory"]);
        check_table(array.portals[0], aptpl);
        let mut session = login(array.portals[0], 0).expect("it may log in");
        // The first command of every nexus hears of the power on.
        let heard = session.command(&[0; 6], &[], 0).expect("it is answered");
        assert_eq!((heard.status, heard.sense), (CHECK_CONDITION, Some((6, 0x29, 0))));
        assert_eq!(session.read(7, 1).expect("it is answered").data, [7; 512]);
        array.stop();
    }
}

/// Quirk `persist-late`: GOOD comes before the table is on stable storage, and a kill between the two loses it.
#[test]
fn a_table_that_is_stored_late_is_lost_by_a_kill_before_that_and_not_after() {
    for late in [true, false] {
        let folder = folder();
        let quirk: &[&str] = if late { &["--quirk", "persist-late"] } else { &[] };
        let array = Array::start(&folder, quirk);
        register(array.portals[0], true);
        array.kill();
        let array = Array::start(&folder, quirk);
        check_table(array.portals[0], !late);
        array.kill();
    }
    let folder = folder();
    let array = Array::start(&folder, &["--quirk", "persist-late"]);
    register(array.portals[0], true);
    let state = folder.path().join("array").join("state");
    let start = Instant::now();
    while !state.exists() {
        assert!(start.elapsed() < Duration::from_secs(60), "it was to be late, not never");
        thread::sleep(Duration::from_millis(20));
    }
    array.kill();
    let array = Array::start(&folder, &["--quirk", "persist-late"]);
    check_table(array.portals[0], true);
    array.kill();
}

/// What a node knows of one of its blocks.
#[derive(Clone, Copy, Default, Debug)]
struct Known {
    /// The last version that was sent.
    sent: u32,
    /// The last version that was acknowledged before a flush that was acknowledged.
    flushed: u32,
}

/// Blocks that each node writes; node n has those from n * BLOCKS on.
const BLOCKS: u32 = 64;

/// Writes and flushes until the array is gone; counts the flushes.
fn load(portal: SocketAddr, node: usize, mut known: Vec<Known>, flushes: &AtomicU32) -> Vec<Known> {
    let Ok(mut session) = login(portal, node) else { return known };
    let mut acknowledged: Vec<u32> = known.iter().map(|one| one.flushed).collect();
    let mut turn = 0u32;
    loop {
        let at = (turn * 37 % BLOCKS) as usize;
        known[at].sent += 1;
        let version = known[at].sent;
        match session.write(node as u32 * BLOCKS + at as u32, &block(node, at, version)) {
            Ok(answer) if answer.status == GOOD => acknowledged[at] = version,
            Ok(answer) => panic!("a registrant's write is refused: {answer:?}"),
            Err(_) => break,
        }
        turn += 1;
        if turn.is_multiple_of(9) {
            match session.flush() {
                Ok(answer) if answer.status == GOOD => {
                    known.iter_mut().zip(&acknowledged).for_each(|(one, version)| one.flushed = *version);
                    flushes.fetch_add(1, Ordering::Relaxed);
                }
                Ok(answer) => panic!("a flush is refused: {answer:?}"),
                Err(_) => break,
            }
        }
    }
    known
}

/// The version of a block is in every word of it, so that a torn one shows.
fn block(node: usize, at: usize, version: u32) -> Vec<u8> {
    let word = [[node as u8, at as u8, 0x52, 0x4c], version.to_be_bytes()].concat();
    word.repeat(64)
}

/// Reads back what both nodes have written: nothing that was flushed is lost, and nothing is there that was never sent.
fn check_blocks(portal: SocketAddr, known: &mut [Vec<Known>; 2]) {
    for (node, known) in known.iter_mut().enumerate() {
        let mut session = login(portal, node).expect("it may log in");
        for (at, known) in known.iter_mut().enumerate() {
            let read = session.read(node as u32 * BLOCKS + at as u32, 1).expect("it is answered").data;
            let version = u32::from_be_bytes(read[4..8].try_into().expect("four bytes"));
            assert!(
                (known.flushed..=known.sent).contains(&version),
                "node {node}, block {at}: version {version} is there, but {known:?}"
            );
            let expected = if version == 0 { vec![0; 512] } else { block(node, at, version) };
            assert!(read == expected, "node {node}, block {at}: version {version} is torn");
            // What the disk has now no later kill can take away.
            known.flushed = version;
        }
    }
}

/// The story: (1) both nodes register, with APTPL in every other round; (2) both write and flush; (3) SIGKILL at some moment; (4) the array comes
/// up from its disk; (5) the table is there, or gone; (6) no flushed write is lost.
fn check_kills(rounds: u32, unsynced: &str) {
    let folder = folder();
    let mut known = [vec![Known::default(); BLOCKS as usize], vec![Known::default(); BLOCKS as usize]];
    let flushes = Arc::new(AtomicU32::new(0));
    for round in 0..rounds {
        let aptpl = round % 2 == 0;
        let array = Array::start(&folder, &["--unsynced", unsynced]);
        let portals = array.portals.clone();
        register(portals[0], aptpl);
        let workers: Vec<_> = known
            .iter()
            .enumerate()
            .map(|(node, known)| {
                let (known, flushes, portal) = (known.clone(), Arc::clone(&flushes), portals[0]);
                thread::spawn(move || load(portal, node, known, &flushes))
            })
            .collect();
        // Moments that differ from round to round, from before the first write to some hundreds of them.
        thread::sleep(Duration::from_micros(u64::from(round.wrapping_mul(2_654_435_761) >> 16) * 2));
        array.kill();
        for (known, worker) in known.iter_mut().zip(workers) {
            *known = worker.join().expect("no write was refused");
        }
        let array = Array::start(&folder, &["--unsynced", unsynced]);
        check_table(array.portals[0], aptpl);
        check_blocks(array.portals[0], &mut known);
        array.kill();
    }
    let flushes = flushes.load(Ordering::Relaxed);
    assert!(flushes >= rounds, "only {flushes} flushes in {rounds} rounds: nothing was tested");
}

#[test]
fn kills_under_load_lose_no_flushed_write_and_no_table_with_aptpl() {
    check_kills(8, "memory");
}

#[test]
#[ignore = "slow: 500 kills under load"]
fn five_hundred_kills_under_load_lose_no_flushed_write_and_no_table_with_aptpl() {
    check_kills(250, "memory");
    check_kills(250, "page");
}
