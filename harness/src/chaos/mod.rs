//! Replaced by its slice.
