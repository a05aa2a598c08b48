//! Connections that misbehave are dropped while others go on, and many sessions are held at once.

use super::initiator::{GOOD, Initiator};
use crate::peers::array::{Array, TARGET};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

fn folder() -> TempDir {
    TempDir::new().expect("a folder for temporary files")
}

fn name(number: u16) -> String {
    format!("iqn.2026-11.example.test:initiator-{number}")
}

#[test]
fn garbage_a_stalled_login_and_a_huge_pdu_are_dropped_while_others_go_on() {
    let folder = folder();
    let array = Array::start(&folder, &[]);
    let portal = array.portals[0];
    let mut good = Initiator::login(portal, &name(0), 0, TARGET).expect("it may log in");
    let connect = || Initiator::connect(portal).expect("the array listens");

    let mut noise = connect();
    let bytes: Vec<u8> = (0..4096u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8 | 0x80).collect();
    // It may hang up while we are still sending.
    let _ = noise.garbage(&bytes);
    let mut huge = connect();
    let mut header = [0; 48];
    // A login whose data segment has the largest length that the field can say, behind the longest additional header.
    header[..8].copy_from_slice(&[0x43, 0x87, 0, 0, 0xff, 0xff, 0xff, 0xff]);
    huge.garbage(&header).expect("it is not yet dropped");
    let mut stalled = connect();
    stalled.garbage(&[0x43, 0x87]).expect("it is not yet dropped");

    let began = Instant::now();
    let waiting: Vec<_> = [noise, huge, stalled]
        .into_iter()
        .map(|mut bad| thread::spawn(move || (bad.is_hung_up(), began.elapsed())))
        .collect();
    let mut turns = 0;
    while waiting.iter().any(|bad| !bad.is_finished()) {
        let data = vec![turns as u8; 4096];
        assert_eq!(good.write(turns % 1000 * 8, &data).expect("it goes on").status, GOOD);
        assert_eq!(good.read(turns % 1000 * 8, 8).expect("it goes on").data, data);
        turns += 1;
    }
    for (bad, within) in waiting.into_iter().zip([5, 5, 19]) {
        let (dropped, after) = bad.join().expect("the thread does not panic");
        assert!(dropped && after < Duration::from_secs(within), "dropped: {dropped}, after {after:?}");
    }
    assert!(turns > 10, "the session went on: {turns}");
    array.stop();
}

#[test]
fn two_hundred_sessions_are_held_at_once() {
    let folder = folder();
    let mut array = Array::start(&folder, &[]);
    let mut sessions: Vec<Initiator> = (0..200)
        .map(|number| {
            let portal = array.portals[usize::from(number) % 2];
            Initiator::login(portal, &name(number), number, TARGET)
                .unwrap_or_else(|error| panic!("session {number}: {error}"))
        })
        .collect();
    assert!(array.order("status").contains("sessions=200 "), "{}", array.order("status"));
    for round in 0..3u8 {
        for (number, session) in (0u32..).zip(&mut sessions) {
            let data = vec![number as u8 ^ round; 512];
            assert_eq!(session.write(number, &data).expect("its session is held").status, GOOD);
        }
        for (number, session) in (0u32..).zip(&mut sessions) {
            let read = session.read(number, 1).expect("its session is held");
            assert_eq!(read.data, vec![number as u8 ^ round; 512], "session {number}");
        }
    }
    array.stop();
}
