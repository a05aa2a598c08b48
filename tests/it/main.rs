//! Integration tests, in reading order.
