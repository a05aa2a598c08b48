//! No bytes make the reader panic, and no change of a byte goes unnoticed.

use super::sample;
use crate::{Header, Reader, Stamped};
use proptest::prelude::*;

/// What a file means, if it means anything.
fn meaning(bytes: &[u8]) -> Option<(Header, Vec<Stamped>)> {
    let reader = Reader::new(bytes, "t").ok()?;
    let header = reader.header().clone();
    reader.collect::<Result<Vec<_>, _>>().ok().map(|events| (header, events))
}

/// A file with one byte changed is refused or means something else.
fn check_byte(whole: &[u8], at: usize, byte: u8) {
    let mut changed = whole.to_vec();
    changed[at] = byte;
    if changed != whole {
        assert_ne!(meaning(&changed), meaning(whole), "byte {at} became {byte:#x} and nobody noticed");
    }
}

#[test]
fn every_change_of_header_and_footer_is_noticed() {
    let whole = sample::bytes(&sample::header(), &sample::events()[..2]);
    assert!(meaning(&whole).is_some());
    for at in 0..whole.len() {
        for byte in [b' ', b'0', b'1', b'"', b'\\', b'\n', b'\r', b'a', b'A', b'{', b'}', b',', 0, 0xff] {
            check_byte(&whole, at, byte);
        }
    }
}

#[test]
#[ignore = "slow: every byte of the sample, every value"]
fn every_change_of_the_sample_is_noticed() {
    let whole = sample::bytes(&sample::header(), &sample::events()[..30]);
    for at in 0..whole.len() {
        for byte in 0..=u8::MAX {
            check_byte(&whole, at, byte);
        }
    }
}

#[test]
#[ignore = "slow: a million spliced and damaged traces"]
fn damaged_traces_never_panic() {
    // A fixed sequence (SplitMix64) keeps the run repeatable.
    let mut state = 42_u64;
    let mut draw = |below: usize| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed ^ (mixed >> 31)) as usize % below
    };
    let whole = sample::bytes(&sample::header(), &sample::events()[..20]);
    for _ in 0..1_000_000 {
        let mut damaged = whole.clone();
        for _ in 0..=draw(3) {
            let (at, from, length) = (draw(damaged.len()), draw(whole.len()), draw(12));
            let splice = whole[from..(from + length).min(whole.len())].to_vec();
            let end = (at + draw(12)).min(damaged.len());
            damaged.splice(at..end, splice);
            damaged.push(draw(256) as u8);
        }
        let read = meaning(&damaged);
        assert!(read.is_none() || damaged != whole);
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(meaning(&bytes).is_none());
    }

    #[test]
    fn arbitrary_bytes_after_a_header_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut file = sample::lines()[0].clone().into_bytes();
        file.push(b'\n');
        file.extend_from_slice(&bytes);
        prop_assert!(meaning(&file).is_none());
    }

    #[test]
    fn json_tokens_in_any_order_never_panic(tokens in proptest::collection::vec(
        proptest::sample::select(vec![
            "{", "}", "[", "]", ",", ":", "\"seq\"", "\"at\"", "\"event\"", "\"sent\"", "\"fence\"", "1", "-", "null",
            "true", "\"footer\"", "\"", "\\", "\\u00", "\"power-lost\"", " ", "\n",
        ]), 0..40,
    )) {
        let file = sample::lines()[0].clone() + "\n" + &tokens.concat();
        prop_assert!(meaning(file.as_bytes()).is_none());
    }

    #[test]
    fn any_changed_byte_is_noticed(at in any::<proptest::sample::Index>(), byte in any::<u8>()) {
        let whole = sample::bytes(&sample::header(), &sample::events());
        check_byte(&whole, at.index(whole.len()), byte);
    }
}
