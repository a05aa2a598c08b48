//! The process around the fabric: sockets, disk, clock, and the recording of traces.
//!
//! It decides nothing: it carries the effects of the machines in `fabric` out, in their order, and hands back what came of them.
