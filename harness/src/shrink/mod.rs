//! Makes a failing run smaller while it fails in the same way.
//!
//! The idea: delta debugging. A case has several lists (operations, faults, hosts) and a few sizes
//! (time); elements are removed in ever smaller chunks, lists after one another, until no single
//! removal keeps the failure. "The same way" is a [`Fingerprint`], so that shrinking does not slip
//! from the failure at hand to another, easier one.
//!
//! Deliberately absent: running anything. The caller says how a case is tried.

/// What makes two failures the same.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Fingerprint {
    /// The property's id; for a divergence `conformance`.
    pub property: String,
    /// Which part of the model refused (`lun`, `node`); empty for a monitor's finding.
    pub divergence: String,
    /// Kind of the event at which it failed, as in `committed`.
    pub event: String,
}

/// A failing input that can be made smaller.
pub trait Reduce: Clone {
    /// Names of its lists, in the order in which they are tried.
    fn lists(&self) -> Vec<&'static str>;
    /// How many elements the list has.
    fn len(&self, list: usize) -> usize;
    /// The case with only those elements of the list for which `keep` holds; `None` when the result would be malformed.
    fn retain(&self, list: usize, keep: &dyn Fn(usize) -> bool) -> Option<Self>;
    /// Simpler variants of its sizes, boldest first.
    fn simpler(&self) -> Vec<Self>;
}
