//! The array through its border: bytes in, bytes out, and a disk in memory.

mod blocks;
#[allow(dead_code)]
mod rig;
