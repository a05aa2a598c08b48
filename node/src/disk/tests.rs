//! The disk against a plain array of bytes, its faults, and the folder's refusals.

use super::{Begun, Disk, Error, Fault, Unsynced};
use bytes::Bytes;
use redline_fabric::array::{DiskOperation, DiskOutcome};
use std::fs;
use std::path::Path;
use tempfile::TempDir;

const SIZE: u64 = 1 << 20;

fn folder() -> TempDir {
    TempDir::new().expect("a folder for temporary files")
}

fn open(path: &Path, unsynced: Unsynced) -> Disk {
    Disk::open(path, &[SIZE], unsynced).expect("the folder is new or ours")
}

fn ended(disk: &mut Disk, operation: DiskOperation) -> DiskOutcome {
    match disk.begin(operation, false) {
        Begun::Ended(outcome) => outcome,
        Begun::Sync(file) => {
            file.sync_data().expect("a temporary file can be synced");
            DiskOutcome::Done
        }
        Begun::Read(reading) => disk.end(reading.carry_out()),
    }
}

fn write(disk: &mut Disk, offset: u64, pieces: &[&[u8]]) -> DiskOutcome {
    let data = pieces.iter().map(|piece| Bytes::copy_from_slice(piece)).collect();
    ended(disk, DiskOperation::Write { unit: 0, offset, data, durable: false })
}

fn read(disk: &mut Disk, offset: u64, length: u32) -> Vec<u8> {
    match ended(disk, DiskOperation::Read { unit: 0, offset, length }) {
        DiskOutcome::Read(bytes) => bytes.to_vec(),
        other => panic!("a read ended with {other:?}"),
    }
}

fn flush(disk: &mut Disk) {
    assert_eq!(ended(disk, DiskOperation::Flush { unit: 0 }), DiskOutcome::Done);
}

#[test]
fn what_was_written_is_read_back_whatever_the_pieces() {
    for unsynced in [Unsynced::Page, Unsynced::Memory] {
        let folder = folder();
        let mut disk = open(folder.path(), unsynced);
        let mut image = vec![0; SIZE as usize];
        for turn in 0u8..40 {
            let offset = u64::from(turn) * 7919 % (SIZE / 512 - 16) * 512;
            let bytes: Vec<u8> = (0..4096u32).map(|at| (at % 251) as u8 ^ turn).collect();
            let cut = usize::from(turn) * 97 % 4096;
            assert_eq!(write(&mut disk, offset, &[&bytes[..cut], &bytes[cut..]]), DiskOutcome::Done);
            image[offset as usize..offset as usize + 4096].copy_from_slice(&bytes);
            if turn % 7 == 3 {
                flush(&mut disk);
            }
            if turn % 9 == 5 {
                let unmap = DiskOperation::Unmap { unit: 0, offset: offset + 512, length: 2048 };
                assert_eq!(ended(&mut disk, unmap), DiskOutcome::Done);
                image[offset as usize + 512..offset as usize + 2560].fill(0);
            }
        }
        assert!(read(&mut disk, 0, SIZE as u32) == image, "{unsynced:?}");
    }
}

#[test]
fn memory_that_was_not_flushed_is_lost_with_the_process_and_nothing_else_is() {
    let folder = folder();
    let mut disk = open(folder.path(), Unsynced::Memory);
    write(&mut disk, 0, &[&[1; 1024]]);
    flush(&mut disk);
    write(&mut disk, 512, &[&[2; 1024]]);
    assert_eq!(read(&mut disk, 0, 2048), [[1; 512], [2; 512], [2; 512], [0; 512]].concat());
    // Dropping it writes nothing back, as a kill would not.
    drop(disk);
    let mut disk = open(folder.path(), Unsynced::Memory);
    assert_eq!(read(&mut disk, 0, 2048), [[1; 512], [1; 512], [0; 512], [0; 512]].concat());
}

#[test]
fn a_durable_write_survives_what_loses_memory() {
    let folder = folder();
    let mut disk = open(folder.path(), Unsynced::Memory);
    let data = vec![Bytes::from_static(&[7; 512])];
    let begun = disk.begin(DiskOperation::Write { unit: 0, offset: 512, data, durable: true }, false);
    assert!(matches!(begun, Begun::Sync(_)), "{begun:?}");
    drop(disk);
    assert_eq!(read(&mut open(folder.path(), Unsynced::Memory), 512, 512), [7; 512]);
}

#[test]
fn holes_are_where_nothing_was_written() {
    let folder = folder();
    let mut disk = open(folder.path(), Unsynced::Memory);
    let map = |disk: &mut Disk, offset, length| ended(disk, DiskOperation::Map { unit: 0, offset, length });
    assert_eq!(map(&mut disk, 0, SIZE), DiskOutcome::Allocated { allocated: false, length: SIZE });
    write(&mut disk, 64 * 1024, &[&[1; 65536]]);
    assert_eq!(map(&mut disk, 0, SIZE), DiskOutcome::Allocated { allocated: false, length: 65536 });
    assert_eq!(
        map(&mut disk, 65536, SIZE - 65536),
        DiskOutcome::Allocated { allocated: true, length: 65536 }
    );
    let unmap = DiskOperation::Unmap { unit: 0, offset: 65536, length: 65536 };
    assert_eq!(ended(&mut disk, unmap), DiskOutcome::Done);
    assert_eq!(map(&mut disk, 0, SIZE), DiskOutcome::Allocated { allocated: false, length: SIZE });
}

#[test]
fn a_full_disk_takes_only_writes_to_blocks_that_it_has() {
    let folder = folder();
    let mut disk = open(folder.path(), Unsynced::Page);
    write(&mut disk, 0, &[&[1; 4096]]);
    disk.set_fault(Fault::Fill(true));
    assert_eq!(write(&mut disk, 0, &[&[2; 4096]]), DiskOutcome::Done);
    assert_eq!(write(&mut disk, 65536, &[&[2; 4096]]), DiskOutcome::Failed);
    disk.set_fault(Fault::Fill(false));
    assert_eq!(write(&mut disk, 65536, &[&[2; 4096]]), DiskOutcome::Done);
}

#[test]
fn a_failing_disk_changes_nothing() {
    let folder = folder();
    let mut disk = open(folder.path(), Unsynced::Page);
    disk.set_fault(Fault::Fail(true));
    assert_eq!(write(&mut disk, 0, &[&[2; 512]]), DiskOutcome::Failed);
    disk.set_fault(Fault::Fail(false));
    assert_eq!(read(&mut disk, 0, 512), [0; 512]);
}

#[test]
fn beyond_the_end_and_unknown_units_fail() {
    let folder = folder();
    let mut disk = open(folder.path(), Unsynced::Page);
    let read = DiskOperation::Read { unit: 0, offset: SIZE - 512, length: 1024 };
    assert_eq!(ended(&mut disk, read), DiskOutcome::Failed);
    assert_eq!(ended(&mut disk, DiskOperation::Flush { unit: 1 }), DiskOutcome::Failed);
}

#[test]
fn the_state_is_the_old_or_the_new_one() {
    let folder = folder();
    let disk = open(folder.path(), Unsynced::Page);
    let stored = |disk: &Disk| disk.stored().expect("it can be read");
    assert_eq!(stored(&disk), None);
    disk.store(Some(b"one")).expect("it can be stored");
    disk.store(Some(b"two")).expect("it can be stored");
    assert_eq!(stored(&disk), Some(b"two".to_vec()));
    // A crash before the rename.
    fs::write(folder.path().join("state.new"), b"thr").expect("the folder can be written");
    drop(disk);
    let disk = open(folder.path(), Unsynced::Page);
    assert_eq!(stored(&disk), Some(b"two".to_vec()));
    disk.store(None).expect("it can be erased");
    disk.store(None).expect("twice too");
    assert_eq!(stored(&disk), None);
}

#[test]
fn a_folder_has_one_user_and_only_folders_of_ours_are_used() {
    let folder = folder();
    let disk = open(folder.path(), Unsynced::Page);
    assert!(matches!(Disk::open(folder.path(), &[SIZE], Unsynced::Page), Err(Error::InUse(_))));
    drop(disk);
    assert!(matches!(Disk::open(folder.path(), &[SIZE * 2], Unsynced::Page), Err(Error::Size { .. })));
    let foreign = self::folder();
    fs::write(foreign.path().join("letter.txt"), b"dear").expect("the folder can be written");
    assert!(matches!(Disk::open(foreign.path(), &[SIZE], Unsynced::Page), Err(Error::Foreign(_))));
    assert_eq!(fs::read_dir(foreign.path()).expect("it can be listed").count(), 1, "nothing was added");
}

#[test]
fn a_large_read_may_be_done_beside_if_the_file_has_everything() {
    let large = DiskOperation::Read { unit: 0, offset: 512, length: 128 << 10 };
    let written: Vec<u8> = (0..128u32 << 10).map(|at| (at % 241) as u8).collect();
    for unsynced in [Unsynced::Page, Unsynced::Memory] {
        let folder = folder();
        let mut disk = open(folder.path(), unsynced);
        assert_eq!(write(&mut disk, 512, &[&written]), DiskOutcome::Done);
        // Twice: the second one is read into the memory of the first.
        for _ in 0..2 {
            let outcome = match (disk.begin(large.clone(), true), unsynced) {
                (Begun::Read(reading), Unsynced::Page) => {
                    disk.end(std::thread::spawn(|| reading.carry_out()).join().expect("no panic"))
                }
                (Begun::Ended(outcome), Unsynced::Memory) => outcome,
                (begun, _) => panic!("{begun:?}"),
            };
            assert_eq!(outcome, DiskOutcome::Read(Bytes::from(written.clone())));
        }
        let small = DiskOperation::Read { unit: 0, offset: 512, length: 4096 };
        assert!(matches!(disk.begin(small, true), Begun::Ended(DiskOutcome::Read(_))));
        disk.set_fault(Fault::Corrupt(100));
        assert!(matches!(disk.begin(large.clone(), true), Begun::Ended(DiskOutcome::Failed)));
    }
    let folder = folder();
    let mut disk = open(folder.path(), Unsynced::Page);
    let beyond = DiskOperation::Read { unit: 0, offset: SIZE - 512, length: 128 << 10 };
    let Begun::Read(reading) = disk.begin(beyond, true) else { panic!("it is large") };
    assert_eq!(disk.end(reading.carry_out()), DiskOutcome::Failed);
}
