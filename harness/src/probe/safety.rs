//! What the probe looks at before it changes anything, and what keeps it from going on.
//!
//! All of this only reads. A unit that somebody uses is left alone: one with registrations that are not the probe's own, with a reservation, or with
//! anything on it that looks like a partition table, a file system or a volume.

use super::tcp::Tcp;
use super::way::Trouble;
use redline_fabric::iscsi::initiator::Direction;
use redline_fabric::scsi::capacity::Capacity;
use redline_fabric::scsi::{pr, report};
use redline_vocab::{Lba, Nexus};

/// How much of the start of the medium is looked at, in bytes: the furthest superblock that is known here is that of Btrfs.
const HEAD_BYTES: u32 = 68 * 1024;

/// Blocks between the scratch range and the end of the medium: backups of partition tables are there.
const TAIL_BLOCKS: u64 = 128;

/// A unit smaller than this has no room for a scratch range out of everybody's way.
const BLOCKS_MIN: u64 = 512;

/// What was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unit {
    /// Vendor, product and revision, as INQUIRY tells them.
    pub product: String,
    /// Size in blocks.
    pub blocks: u64,
    /// Bytes in a block.
    pub block_bytes: u32,
    /// Its designators (page 83h), which are the same on every path.
    pub designators: Vec<Vec<u8>>,
    /// How many target ports it has, if it tells (REPORT TARGET PORT GROUPS).
    pub target_ports: Option<usize>,
    /// First block of the scratch range.
    pub scratch: Lba,
    /// Why the unit must not be touched.
    pub objections: Vec<String>,
}

/// Looks at the unit through this nexus, which is logged in.
///
/// # Errors
/// If it cannot be read.
pub fn look(tcp: &mut Tcp, nexus: Nexus) -> Result<Unit, Trouble> {
    hear_out(tcp, nexus)?;
    let inquiry = good(tcp, nexus, inquiry_cdb(None), 255, "INQUIRY")?;
    if inquiry.first().is_none_or(|first| first & 0x1f != 0) {
        return Err(Trouble::Odd("the logical unit is no disk, or is not there".to_owned()));
    }
    let text = |range: std::ops::Range<usize>| {
        inquiry.get(range).map(|bytes| String::from_utf8_lossy(bytes).trim().to_owned()).unwrap_or_default()
    };
    let product = [text(8..16), text(16..32), text(32..36)].join(" ");
    let page = raw(tcp, nexus, inquiry_cdb(Some(0x83)), 1024)?.unwrap_or_default();
    let capacity = capacity(tcp, nexus)?;
    tcp.learn(capacity.block_bytes);
    tcp.learn_port(nexus, relative_port(&page).unwrap_or(1));
    let mut cdb = [0; 16];
    (cdb[0], cdb[1], cdb[8]) = (0xa3, 0x0a, 0x40);
    let groups = raw(tcp, nexus, cdb, 0x4000)?.and_then(|bytes| report::decode_groups(&bytes));
    let target_ports = groups.map(|groups| groups.iter().map(|group| group.ports.len()).sum());
    let mut objections = Vec::new();
    if capacity.blocks < BLOCKS_MIN {
        objections.push(format!("it has only {} blocks", capacity.blocks));
    }
    let keys = good(tcp, nexus, pr_in_cdb(0), 8192, "READ KEYS")?;
    let (_, keys) =
        pr::decode_keys(&keys).ok_or_else(|| Trouble::Odd("READ KEYS cannot be read".to_owned()))?;
    let held = good(tcp, nexus, pr_in_cdb(1), 255, "READ RESERVATION")?;
    let (_, held) = pr::decode_reservation(&held)
        .ok_or_else(|| Trouble::Odd("READ RESERVATION cannot be read".to_owned()))?;
    let own = match raw(tcp, nexus, pr_in_cdb(3), 16384)? {
        Some(data) => pr::decode_full_status(&data)
            .is_some_and(|(_, entries)| entries.iter().all(|entry| tcp.is_own(&entry.initiator))),
        None => false,
    };
    if !keys.is_empty() && !own {
        let keys: Vec<String> = keys.iter().map(|key| format!("{:#x}", key.0)).collect();
        objections.push(format!("somebody is registered (keys {})", keys.join(", ")));
    }
    if let Some(held) = held.filter(|_| !own) {
        objections.push(format!("it is reserved ({} under key {:#x})", held.kind.short(), held.key.0));
    }
    let head_blocks = u64::from(HEAD_BYTES / capacity.block_bytes.max(1)).min(capacity.blocks);
    let head = read(tcp, nexus, Lba(0), head_blocks as u32, capacity.block_bytes)?;
    objections
        .extend(signatures(&head, capacity.block_bytes).into_iter().map(|what| format!("it holds {what}")));
    let last = read(tcp, nexus, Lba(capacity.blocks - 1), 1, capacity.block_bytes)?;
    if last.starts_with(b"EFI PART") {
        objections.push("it holds the backup of a GUID partition table".to_owned());
    }
    Ok(Unit {
        product,
        blocks: capacity.blocks,
        block_bytes: capacity.block_bytes,
        designators: unit_designators(&page),
        target_ports,
        scratch: Lba(capacity.blocks.saturating_sub(TAIL_BLOCKS)),
        objections,
    })
}

/// Looks at the unit through this nexus at a further target port.
///
/// # Errors
/// If it cannot be read, or it is not the same unit at another target port.
pub fn look_at_path(tcp: &mut Tcp, nexus: Nexus, unit: &Unit) -> Result<(), Trouble> {
    hear_out(tcp, nexus)?;
    let page = good(tcp, nexus, inquiry_cdb(Some(0x83)), 1024, "INQUIRY of page 83h")?;
    if unit.designators.is_empty() || unit_designators(&page) != unit.designators {
        return Err(Trouble::Odd("it does not say that it is the same logical unit".to_owned()));
    }
    let port = relative_port(&page);
    tcp.learn_port(nexus, port.ok_or(Trouble::Unable("it does not tell its relative target port"))?);
    Ok(())
}

/// Reads blocks as they are.
///
/// # Errors
/// If that fails.
pub fn read(
    tcp: &mut Tcp,
    nexus: Nexus,
    from: Lba,
    blocks: u32,
    block_bytes: u32,
) -> Result<Vec<u8>, Trouble> {
    let mut cdb = [0; 16];
    cdb[0] = 0x88;
    cdb[2..10].copy_from_slice(&from.0.to_be_bytes());
    cdb[10..14].copy_from_slice(&blocks.to_be_bytes());
    let bytes = good(tcp, nexus, cdb, blocks * block_bytes, "READ")?;
    if bytes.len() == (blocks * block_bytes) as usize {
        Ok(bytes)
    } else {
        Err(Trouble::Odd("READ returns less than was asked for".to_owned()))
    }
}

/// Writes blocks back as they were.
///
/// # Errors
/// If that fails.
pub fn restore(tcp: &mut Tcp, nexus: Nexus, to: Lba, bytes: &[u8], block_bytes: u32) -> Result<(), Trouble> {
    let length = u32::try_from(bytes.len()).expect("the scratch range is small");
    let mut cdb = [0; 16];
    cdb[0] = 0x8a;
    cdb[2..10].copy_from_slice(&to.0.to_be_bytes());
    cdb[10..14].copy_from_slice(&(length / block_bytes).to_be_bytes());
    let data = vec![bytes::Bytes::copy_from_slice(bytes)];
    let direction = Direction::Out { expected: length, data, withheld: false };
    match tcp.raw(nexus, cdb, direction)?.status {
        0 => Ok(()),
        status => Err(Trouble::Odd(format!("the scratch range cannot be restored: status {status:02x}h"))),
    }
}

/// TEST UNIT READY until nothing is pending.
fn hear_out(tcp: &mut Tcp, nexus: Nexus) -> Result<(), Trouble> {
    for _ in 0..16 {
        if tcp.raw(nexus, [0; 16], Direction::None)?.status != 2 {
            return Ok(());
        }
    }
    Err(Trouble::Odd("the logical unit does not become ready".to_owned()))
}

fn raw(tcp: &mut Tcp, nexus: Nexus, cdb: [u8; 16], room: u32) -> Result<Option<Vec<u8>>, Trouble> {
    let answer = tcp.raw(nexus, cdb, Direction::In(room))?;
    Ok((answer.status == 0).then(|| answer.data.to_vec()))
}

fn good(tcp: &mut Tcp, nexus: Nexus, cdb: [u8; 16], room: u32, what: &str) -> Result<Vec<u8>, Trouble> {
    raw(tcp, nexus, cdb, room)?.ok_or_else(|| Trouble::Odd(format!("{what} is refused")))
}

fn inquiry_cdb(page: Option<u8>) -> [u8; 16] {
    let mut cdb = [0; 16];
    cdb[0] = 0x12;
    cdb[1] = u8::from(page.is_some());
    cdb[2] = page.unwrap_or(0);
    // 255 bytes of standard data, 1024 of a page.
    cdb[3..5].copy_from_slice(&if page.is_some() { 1024_u16 } else { 255 }.to_be_bytes());
    cdb
}

fn pr_in_cdb(action: u8) -> [u8; 16] {
    let room: u16 = match action {
        0 => 8192,
        3 => 16384,
        _ => 255,
    };
    let mut cdb = [0; 16];
    cdb[0] = 0x5e;
    cdb[1] = action;
    cdb[7..9].copy_from_slice(&room.to_be_bytes());
    cdb
}

fn capacity(tcp: &mut Tcp, nexus: Nexus) -> Result<Capacity, Trouble> {
    let mut cdb = [0; 16];
    (cdb[0], cdb[1], cdb[13]) = (0x9e, 0x10, 32);
    if let Some(capacity) = raw(tcp, nexus, cdb, 32)?.and_then(|bytes| Capacity::decode16(&bytes)) {
        return Ok(capacity);
    }
    let mut cdb = [0; 16];
    cdb[0] = 0x25;
    let bytes = good(tcp, nexus, cdb, 8, "READ CAPACITY")?;
    Capacity::decode10(&bytes).ok_or_else(|| Trouble::Odd("READ CAPACITY cannot be read".to_owned()))
}

/// The designators of page 83h: association and type, and the designator itself.
fn designators(page: &[u8]) -> Vec<(u8, &[u8])> {
    let mut rest = page.get(4..).unwrap_or_default();
    let mut found = Vec::new();
    while let [_, kind, _, length, body @ ..] = rest {
        let Some((designator, more)) = body.split_at_checked(usize::from(*length)) else { break };
        found.push((kind & 0x3f, designator));
        rest = more;
    }
    found
}

/// The relative target port identifier: association 1, type 4.
fn relative_port(page: &[u8]) -> Option<u16> {
    let mut all = designators(page).into_iter();
    all.find_map(|one| match one {
        (0x14, [_, _, high, low]) => Some(u16::from_be_bytes([*high, *low])),
        _ => None,
    })
}

/// The designators of the logical unit: association 0.
fn unit_designators(page: &[u8]) -> Vec<Vec<u8>> {
    let of_unit = designators(page).into_iter().filter(|(kind, _)| kind & 0x30 == 0);
    of_unit.map(|(kind, designator)| [&[kind], designator].concat()).collect()
}

/// What the start of a medium says that it holds.
pub fn signatures(head: &[u8], block_bytes: u32) -> Vec<&'static str> {
    let block = block_bytes as usize;
    let known: [(usize, &[u8], &str); 20] = [
        (510, &[0x55, 0xaa], "a partition table or boot sector (55AAh)"),
        (block, b"EFI PART", "a GUID partition table"),
        (1024 + 56, &[0x53, 0xef], "an ext2, ext3 or ext4 file system"),
        (0, b"XFSB", "an XFS file system"),
        (65536 + 64, b"_BHRfS_M", "a Btrfs file system"),
        (3, b"NTFS    ", "an NTFS file system"),
        (3, b"EXFAT   ", "an exFAT file system"),
        (3, b"ReFS", "a ReFS file system"),
        (0, b"LABELONE", "an LVM physical volume"),
        (512, b"LABELONE", "an LVM physical volume"),
        (1024, b"LABELONE", "an LVM physical volume"),
        (1536, b"LABELONE", "an LVM physical volume"),
        (0, b"LUKS\xba\xbe", "a LUKS volume"),
        (4096, &[0xfc, 0x4e, 0x2b, 0xa9], "a member of a Linux software RAID"),
        (0, &[0xfc, 0x4e, 0x2b, 0xa9], "a member of a Linux software RAID"),
        (4086, b"SWAPSPACE2", "a swap area"),
        (65536, &[0x01, 0x16, 0x19, 0x70], "a GFS2 file system"),
        (1024, b"OCFSV2", "an OCFS2 file system"),
        (1024, &[0x10, 0x20, 0xf5, 0xf2], "an F2FS file system"),
        (32769, b"CD001", "an ISO 9660 file system"),
    ];
    let mut found: Vec<&'static str> = known
        .iter()
        .filter(|(at, magic, _)| head.get(*at..).is_some_and(|rest| rest.starts_with(magic)))
        .map(|one| one.2)
        .collect();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::{relative_port, signatures, unit_designators};

    #[test]
    fn what_is_in_use_is_known_by_its_signature() {
        let mut head = vec![0; 68 * 1024];
        assert!(signatures(&head, 512).is_empty());
        head[510..512].copy_from_slice(&[0x55, 0xaa]);
        head[512..520].copy_from_slice(b"EFI PART");
        assert_eq!(signatures(&head, 512).len(), 2);
        assert!(signatures(&[0; 16], 512).is_empty(), "a short head is no reason to panic");
    }

    #[test]
    fn the_relative_port_is_found_among_designators() {
        let page = [0, 0x83, 0, 16, 1, 3, 0, 4, 9, 9, 9, 9, 0x51, 0x94, 0, 4, 0, 0, 0, 7];
        assert_eq!(relative_port(&page), Some(7));
        assert_eq!(unit_designators(&page), [[3, 9, 9, 9, 9]]);
        assert_eq!(relative_port(&page[..12]), None);
        assert_eq!(relative_port(&[]), None);
    }
}
