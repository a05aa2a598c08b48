//! Strangers' programs against our array: a conformance suite, command-line tools, a block device driver.

pub mod array;
mod score;
mod suite;
mod tools;

/// What installs the programs, for whoever lacks one.
const INSTALL: &str = "apt-get install libiscsi-bin qemu-utils qemu-block-extra tgt";
