//! CRC32C (Castagnoli), the digest of iSCSI headers and data (RFC 7143, 13.1).
//!
//! Sixteen tables, sixteen bytes a turn. A processor's own instruction would be several times faster, but to ask for it at run time needs
//! `std` or `unsafe`, and the initiators that this target meets send header digests only. The test compares with the crate that uses the
//! instruction.

/// Reflected polynomial.
const POLYNOMIAL: u32 = 0x82F6_3B78;

const STRIDE: usize = 16;

static TABLES: [[u32; 256]; STRIDE] = tables();

const fn tables() -> [[u32; 256]; STRIDE] {
    let mut tables = [[0; 256]; STRIDE];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ POLYNOMIAL } else { crc >> 1 };
            bit += 1;
        }
        tables[0][byte] = crc;
        byte += 1;
    }
    let mut table = 1;
    while table < STRIDE {
        let mut byte = 0;
        while byte < 256 {
            let before = tables[table - 1][byte];
            tables[table][byte] = (before >> 8) ^ tables[0][(before & 0xFF) as usize];
            byte += 1;
        }
        table += 1;
    }
    tables
}

/// A checksum under way.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Crc32c(u32);

impl Crc32c {
    /// Of nothing yet.
    #[must_use]
    pub const fn new() -> Crc32c {
        Crc32c(0xFFFF_FFFF)
    }

    /// With these bytes appended.
    #[must_use]
    pub fn with(self, bytes: &[u8]) -> Crc32c {
        let mut crc = self.0;
        let mut chunks = bytes.chunks_exact(STRIDE);
        for chunk in &mut chunks {
            let head = crc.to_le_bytes();
            let mut next = 0;
            for (at, byte) in chunk.iter().enumerate() {
                let folded = if at < 4 { byte ^ head[at] } else { *byte };
                next ^= TABLES[STRIDE - 1 - at][usize::from(folded)];
            }
            crc = next;
        }
        for byte in chunks.remainder() {
            crc = (crc >> 8) ^ TABLES[0][((crc ^ u32::from(*byte)) & 0xFF) as usize];
        }
        Crc32c(crc)
    }

    /// The four bytes that are sent.
    #[must_use]
    pub const fn digest(self) -> [u8; 4] {
        (!self.0).to_le_bytes()
    }
}

impl Default for Crc32c {
    fn default() -> Crc32c {
        Crc32c::new()
    }
}
