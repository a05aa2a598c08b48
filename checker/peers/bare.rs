//! The machine's limit on this workload: a breadth-first search over packed states with nothing around it.
//!
//! One property, no limits, no progress, no counts of actions, a table of fixed size that must be large enough: what any
//! checker adds can be measured against it.

#![allow(unsafe_code)]

use crate::twophase::{PADDING, consistent, successors};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

#[inline(always)]
fn hash<const W: usize>(state: &[u64; W]) -> u64 {
    let mut hash = 0x243F_6A88_85A3_08D3u64;
    let mut at = 0;
    while at + 1 < W {
        hash = fold(state[at] ^ hash, state[at + 1] ^ 0xA409_3822_299F_31D0);
        at += 2;
    }
    if at < W {
        hash = fold(state[at] ^ hash, 0x1319_8A2E_0370_7344);
    }
    fold(hash, 0x9E37_79B9_7F4A_7C15) | 1
}

struct Table {
    slots: Vec<AtomicU64>,
    mask: usize,
}

impl Table {
    fn new(log2: u32) -> Table {
        let mut slots = Vec::with_capacity(1 << log2);
        slots.resize_with(1 << log2, || AtomicU64::new(0));
        Table { slots, mask: (1 << log2) - 1 }
    }

    #[inline(always)]
    fn slot(&self, hash: u64) -> usize {
        (hash >> 20) as usize & self.mask
    }

    #[inline(always)]
    fn prefetch(&self, hash: u64) {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a prefetch has no visible effect, and the slot is in the vector.
        unsafe {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            _mm_prefetch::<_MM_HINT_T0>(self.slots.as_ptr().add(self.slot(hash)).cast());
        }
    }

    #[inline(always)]
    fn insert(&self, hash: u64) -> bool {
        let mut at = self.slot(hash);
        loop {
            let found = self.slots[at].load(Relaxed);
            if found == hash {
                return false;
            }
            if found == 0 {
                match self.slots[at].compare_exchange(0, hash, Relaxed, Relaxed) {
                    Ok(_) => return true,
                    Err(other) if other == hash => return false,
                    Err(_) => {}
                }
            }
            at = (at + 1) & self.mask;
        }
    }
}

/// Unique and generated states.
pub fn explore<const W: usize>(count: u32, threads: usize, log2: u32) -> (u64, u64) {
    let table = Table::new(log2);
    let mut root = [PADDING; W];
    root[0] = 0;
    table.insert(hash(&root));
    let mut frontier = vec![root];
    let (mut unique, generated) = (1usize, AtomicUsize::new(1));
    while !frontier.is_empty() {
        let cursor = AtomicUsize::new(0);
        let level = &frontier;
        let worker = || {
            let mut next: Vec<[u64; W]> = Vec::new();
            let mut batch: Vec<(u64, [u64; W])> = Vec::with_capacity(4096);
            let mut count_generated = 0;
            loop {
                let from = cursor.fetch_add(32, Relaxed);
                if from >= level.len() {
                    break;
                }
                batch.clear();
                for state in &level[from..(from + 32).min(level.len())] {
                    successors(count, state[0], |_, word| {
                        let mut next = *state;
                        next[0] = word;
                        let hash = hash(&next);
                        table.prefetch(hash);
                        batch.push((hash, next));
                    });
                }
                count_generated += batch.len();
                for (hash, state) in &batch {
                    if table.insert(*hash) {
                        assert!(consistent(state[0]), "violation");
                        next.push(*state);
                    }
                }
            }
            generated.fetch_add(count_generated, Relaxed);
            next
        };
        let nexts: Vec<Vec<[u64; W]>> = if threads == 1 {
            vec![worker()]
        } else {
            std::thread::scope(|scope| {
                let running: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
                running.into_iter().map(|thread| thread.join().expect("no violation")).collect()
            })
        };
        let mut parts = nexts.into_iter();
        let mut next = parts.next().expect("at least one thread");
        parts.for_each(|part| next.extend_from_slice(&part));
        unique += next.len();
        frontier = next;
    }
    (unique as u64, generated.load(Relaxed) as u64)
}
