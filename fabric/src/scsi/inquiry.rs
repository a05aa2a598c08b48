//! Standard INQUIRY data (SPC-4 6.4.2): a direct access block device, SPC-4, SBC-3, over iSCSI.

use super::field::{bit, put};
use alloc::vec;
use alloc::vec::Vec;

/// Vendor identification, 8 bytes.
pub const VENDOR: &[u8; 8] = b"REDLINE ";
/// Product identification, 16 bytes.
pub const PRODUCT: &[u8; 16] = b"VIRTUAL DISK    ";
/// Product revision, 4 bytes.
pub const REVISION: &[u8; 4] = b"0001";

const LENGTH: usize = 74;
/// VERSION: SPC-4.
const SPC_4: u8 = 6;
/// PERIPHERAL QUALIFIER 011b and device type 1Fh: there is no logical unit here.
const NO_UNIT: u8 = 0x7f;
/// SAM-5, iSCSI, SPC-4, SBC-3.
const STANDARDS: [u16; 4] = [0x00a0, 0x0960, 0x0460, 0x04c0];

/// Standard INQUIRY data; of a LUN without logical unit unless `present`.
pub fn encode(present: bool) -> Vec<u8> {
    let mut out = vec![0; LENGTH];
    out[0] = if present { 0 } else { NO_UNIT };
    out[2] = SPC_4;
    // HISUP; response data format 2.
    out[3] = 0x12;
    out[4] = u8::try_from(LENGTH - 5).expect("the standard data is short");
    // TPGS: implicit asymmetric access only; 3PC: third-party copies.
    out[5] = bit(present, 0x10) | bit(present, 0x08);
    // CMDQUE
    out[7] = 0x02;
    put(&mut out, 8, VENDOR);
    put(&mut out, 16, PRODUCT);
    put(&mut out, 32, REVISION);
    for (at, standard) in (58..).step_by(2).zip(STANDARDS) {
        put(&mut out, at, &standard.to_be_bytes());
    }
    out
}

/// What an initiator wants to know of standard INQUIRY data.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Identity {
    /// There is a logical unit, and it is a direct access block device.
    pub is_disk: bool,
    /// Vendor identification, as sent.
    pub vendor: [u8; 8],
    /// Product identification, as sent.
    pub product: [u8; 16],
}

/// Reads standard INQUIRY data; `None` if it is cut before its names.
pub fn decode(bytes: &[u8]) -> Option<Identity> {
    let is_disk = *bytes.first()? == 0;
    let vendor = super::field::array_at(bytes, 8)?;
    let product = super::field::array_at(bytes, 16)?;
    Some(Identity { is_disk, vendor, product })
}
