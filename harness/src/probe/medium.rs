//! What the scratch range may hold: one set of candidates for each block.
//!
//! A write that was answered with GOOD leaves one candidate; one that was never answered adds one; one that was refused changes
//! nothing. A read must return candidates, and leaves those that it returned.

use super::finding::{ABORT, Aspect, Danger, MEDIUM, Mismatch, Signature};
use redline_vocab::{Block, Extent, Record};
use std::collections::{BTreeMap, BTreeSet};

/// What happened to a write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// GOOD.
    Written,
    /// Refused.
    Refused,
    /// It ended without an answer, with or without effect.
    Unknown,
}

/// The scratch range.
#[derive(Clone, Debug, Default)]
pub struct Medium {
    /// By block address; a block without entry may hold anything.
    blocks: BTreeMap<u64, BTreeSet<Block>>,
    refused: BTreeSet<Record>,
}

impl Medium {
    /// A write has ended.
    pub fn wrote(&mut self, extent: Extent, record: Record, fate: Fate) {
        if fate == Fate::Refused {
            self.refused.insert(record);
            return;
        }
        for lba in extent.lba.0..extent.lba.0 + u64::from(extent.blocks) {
            match fate {
                Fate::Written => {
                    self.blocks.insert(lba, BTreeSet::from([Block::Of(record)]));
                }
                Fate::Unknown | Fate::Refused => {
                    // A block that may hold anything goes on to.
                    if let Some(candidates) = self.blocks.get_mut(&lba) {
                        candidates.insert(Block::Of(record));
                    }
                }
            }
        }
    }

    /// A read has returned this. What it says that must not be.
    pub fn read(&mut self, extent: Extent, found: &[Block]) -> Option<Mismatch> {
        let mut wrong = None;
        for (lba, block) in (extent.lba.0..).zip(found) {
            let known = self.blocks.insert(lba, BTreeSet::from([*block]));
            if known.is_none_or(|candidates| candidates.contains(block)) {
                continue;
            }
            wrong = Some(match block {
                Block::Of(record) if self.refused.contains(record) => mismatch(
                    "READ after a write that was refused",
                    ("what was there before", "what was refused"),
                    (Danger::FencedWrite, super::finding::CONFLICTS),
                ),
                _ => mismatch(
                    "READ after writes",
                    ("what was written last", "something else"),
                    (Danger::Loses, MEDIUM),
                ),
            });
        }
        wrong
    }
}

/// The second of two reads after the end of writes under way showed something else than the first.
pub fn landed_late(situation: String) -> Mismatch {
    mismatch(&situation, ("no effect any more", "the write landed afterwards"), (Danger::FencedWrite, ABORT))
}

fn mismatch(
    situation: &str,
    (expected, got): (&str, &str),
    (danger, clause): (Danger, &'static str),
) -> Mismatch {
    let signature = Signature {
        situation: situation.to_owned(),
        aspect: Aspect::Medium,
        expected: expected.to_owned(),
        got: got.to_owned(),
    };
    Mismatch { signature, danger, clause }
}
