//! Ranges of a medium, and which of them may be worked on at the same time.
//!
//! Tasks whose ranges overlap go one after the other if one of them writes. So a COMPARE AND WRITE is atomic for every nexus, and the order
//! in which tasks end is the order in which they have changed the medium.

/// A range of the medium of one logical unit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct Span {
    /// First block.
    pub(super) lba: u64,
    /// How many blocks.
    pub(super) blocks: u64,
    /// Bytes in a block.
    pub(super) block_bytes: u32,
}

impl Span {
    /// Bytes from the start of the medium.
    pub(super) fn offset(&self) -> u64 {
        self.lba * u64::from(self.block_bytes)
    }

    /// Length in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.blocks * u64::from(self.block_bytes)
    }

    /// Whether they have a block in common.
    pub(super) fn overlaps(&self, other: &Span) -> bool {
        self.lba < other.lba + other.blocks && other.lba < self.lba + self.blocks
    }
}

/// What a task claims of a medium while it is at the back end.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct Claim {
    /// Which logical unit, an index.
    pub(super) unit: usize,
    /// Where.
    pub(super) span: Span,
    /// It writes there.
    pub(super) writes: bool,
}

impl Claim {
    /// Whether the two exclude each other.
    pub(super) fn excludes(&self, other: &Claim) -> bool {
        self.unit == other.unit && (self.writes || other.writes) && self.span.overlaps(&other.span)
    }
}
