//! The array through its border: bytes in, bytes out, and a disk in memory.

mod blocks;
mod fencing;
mod pages;
mod paths;
mod reservations;

mod rig;
mod strangers;
mod tasks;
