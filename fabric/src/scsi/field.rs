//! Big-endian fields of byte strings that may be too short.

/// The `N` bytes at `at`, if they are there.
pub(crate) fn array_at<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

/// The byte at `at`.
pub(crate) fn u8_at(bytes: &[u8], at: usize) -> Option<u8> {
    bytes.get(at).copied()
}

/// Two bytes at `at`.
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    array_at(bytes, at).map(u16::from_be_bytes)
}

/// Four bytes at `at`.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    array_at(bytes, at).map(u32::from_be_bytes)
}

/// Eight bytes at `at`.
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    array_at(bytes, at).map(u64::from_be_bytes)
}

/// Overwrites the bytes at `at`. The caller has made room.
pub(crate) fn put(bytes: &mut [u8], at: usize, field: &[u8]) {
    bytes[at..at + field.len()].copy_from_slice(field);
}

/// The bit, if the flag is set.
pub(crate) const fn bit(flag: bool, mask: u8) -> u8 {
    if flag { mask } else { 0 }
}

/// A length that a parameter list announces, as a `u16`. Lists of ours are far below its limit.
pub(crate) fn length16(length: usize) -> u16 {
    u16::try_from(length).expect("lists are built from bounded tables")
}

/// A length that a parameter list announces, as a `u32`.
pub(crate) fn length32(length: usize) -> u32 {
    u32::try_from(length).expect("lists are built from bounded tables")
}
