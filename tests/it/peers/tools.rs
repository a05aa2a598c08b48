//! `iscsi-ls`, `iscsi-inq` and QEMU's tools on our unit.

use super::INSTALL;
use super::array::{Array, TARGET};
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// Runs a program that must succeed; what it prints.
fn run(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|_| panic!("missing: {program}; install it with: {INSTALL}"));
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{program} {args:?}: {text}");
    assert!(!text.contains("Unable to load module"), "install it with: {INSTALL}");
    text
}

fn folder() -> TempDir {
    TempDir::new().expect("a folder for temporary files")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("the folder's name is Unicode")
}

#[test]
#[ignore = "peer: needs libiscsi-bin"]
fn discovery_shows_the_target_its_portals_and_its_unit() {
    let folder = folder();
    let array = Array::start(&folder, &[]);
    let shown = run("iscsi-ls", &["-s", &format!("iscsi://{}/", array.portals[0])]);
    for (group, portal) in (1..).zip(&array.portals) {
        assert!(shown.contains(&format!("Target:{TARGET} Portal:{portal},{group}")), "{shown}");
    }
    assert!(shown.contains("DIRECT_ACCESS") && shown.contains("Size:1"), "{shown}");
    array.stop();
}

#[test]
#[ignore = "peer: needs libiscsi-bin"]
fn inquiry_and_every_listed_page_can_be_read() {
    let folder = folder();
    let array = Array::start(&folder, &[]);
    let url = array.url(0);
    let shown = run("iscsi-inq", &[&url]);
    assert!(shown.contains("DIRECT_ACCESS") && shown.contains("Vendor:"), "{shown}");
    let pages = run("iscsi-inq", &["-e", "1", "-c", "0x00", &url]);
    assert!(pages.contains("0x83") && pages.contains("0xb0"), "{pages}");
    for page in ["0x80", "0x83", "0xb0", "0xb1", "0xb2"] {
        let shown = run("iscsi-inq", &["-e", "1", "-c", page, &url]);
        assert!(!shown.trim().is_empty(), "page {page}");
    }
    array.stop();
}

#[test]
#[ignore = "peer: needs qemu-utils and qemu-block-extra"]
fn qemu_copies_an_image_there_and_back() {
    let folder = folder();
    let array = Array::start(&folder, &[]);
    let url = array.url(0);
    let info = run("qemu-img", &["info", "-f", "raw", &url]);
    assert!(info.contains("virtual size: 1 GiB (1073741824 bytes)"), "{info}");
    // Data, zeros and holes, not in order.
    let image = folder.path().join("image.raw");
    std::fs::File::create(&image).and_then(|file| file.set_len(1 << 30)).expect("the folder can be written");
    for (command, at) in [("write -P 0x5a", "1M 8M"), ("write -P 0xa5", "1000M 24M"), ("write -z", "4M 1M")] {
        run("qemu-io", &["-f", "raw", "-c", &format!("{command} {at}"), text(&image)]);
    }
    run("qemu-img", &["convert", "-n", "-f", "raw", "-O", "raw", text(&image), &url]);
    run("qemu-img", &["compare", "-f", "raw", "-F", "raw", text(&image), &url]);
    let back = folder.path().join("back.qcow2");
    run("qemu-img", &["convert", "-f", "raw", "-O", "qcow2", &url, text(&back)]);
    run("qemu-img", &["compare", "-f", "raw", "-F", "qcow2", text(&image), text(&back)]);
    array.stop();
}

#[test]
#[ignore = "peer: needs qemu-utils and qemu-block-extra"]
fn qemu_writes_flushes_discards_and_reads_back() {
    let folder = folder();
    let array = Array::start(&folder, &[]);
    let url = array.url(0);
    let session = [
        "write -P 1 0 64k",
        "writev -P 2 64k 4k 4k 512",
        "write -f -P 3 1M 256k",
        "write -z 512k 128k",
        "flush",
        "discard 1M 128k",
        "read -P 1 0 64k",
        "read -P 2 64k 8704",
        "read -P 0 512k 128k",
        "read -P 3 1152k 128k",
        "aio_write -P 4 2M 1M",
        "aio_write -P 5 3M 1M",
        "aio_flush",
        "read -P 4 2M 1M",
        "read -P 5 3M 1M",
    ];
    let mut args = vec!["-f", "raw", "-t", "none", "-d", "unmap"];
    args.extend(session.iter().flat_map(|command| ["-c", command]));
    args.push(&url);
    let shown = run("qemu-io", &args);
    assert!(!shown.contains("Pattern verification failed"), "{shown}");
    assert!(!shown.contains("failed:"), "{shown}");
    array.stop();
    // The same through a power cycle and the other target portal group.
    let array = Array::start(&folder, &[]);
    let shown =
        run("qemu-io", &["-r", "-f", "raw", "-c", "read -P 1 0 64k", "-c", "read -P 5 3M 1M", &array.url(1)]);
    assert!(!shown.contains("Pattern verification failed"), "{shown}");
    array.stop();
}
