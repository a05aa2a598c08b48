//! Encodings come back as they went, and bytes that nobody wrote are read or refused, never worse.

mod encodings;
mod strangers;
