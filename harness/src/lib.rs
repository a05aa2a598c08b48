//! Placeholder replaced by its slice.
