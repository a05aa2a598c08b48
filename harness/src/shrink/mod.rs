//! Makes a failing run smaller while it fails in the same way.
//!
//! The idea: delta debugging (Zeller and Hildebrandt). A case has several lists (operations, faults, hosts) and a
//! few sizes (time). Elements are removed in ever smaller chunks, list after list, until no single removal keeps
//! the failure; then simpler sizes are tried; all of it again until nothing helps any more. "In the same way" is a
//! [`Fingerprint`], so that shrinking does not slip from the failure at hand to another, easier one.
//!
//! The result is *1-minimal*: no single element of any list can be removed, and no simpler size taken, without
//! losing the failure. It need not be the smallest failing case there is.
//!
//! Deliberately absent: running anything. The caller says how a case is tried. No randomness: the same case and
//! the same answers give the same result.

#[cfg(test)]
mod tests;

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
    /// Names of its lists, in the order in which they are tried: put first what makes trying the rest cheaper.
    fn lists(&self) -> Vec<&'static str>;
    /// How many elements the list has; `list` counts within [`Reduce::lists`].
    fn len(&self, list: usize) -> usize;
    /// The case with only those elements of the list for which `keep` holds; `None` when that would be malformed
    /// (a fault on a host that is gone).
    fn retain(&self, list: usize, keep: &dyn Fn(usize) -> bool) -> Option<Self>;
    /// Simpler variants of its sizes, boldest first. Each must be strictly simpler by some measure that cannot fall
    /// for ever, or shrinking would not end.
    fn simpler(&self) -> Vec<Self>;
}

/// How long to go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limit {
    /// Cases that may be tried.
    pub tries_max: u64,
}

/// Whether the result is as small as this method gets it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// No single removal and no simpler size keeps the failure.
    Minimal,
    /// [`Limit::tries_max`] was reached; a smaller case may exist.
    Limit,
    /// The caller asked to stop.
    Stopped,
}

/// A reduced case.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shrunk<C> {
    /// The smallest case found that fails in the same way.
    pub case: C,
    /// How many cases were tried.
    pub tries: u64,
    /// Why it ended.
    pub end: End,
}

/// What trying a case gave.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Tried {
    /// It failed, with this fingerprint.
    Failed(Fingerprint),
    /// It did not fail, or gave no verdict.
    Passed,
    /// Do not go on.
    Stop,
}

/// Reduces a case that is known to fail with this fingerprint. `attempt` runs a case and says how it failed.
pub fn shrink<C: Reduce>(
    case: C,
    fingerprint: &Fingerprint,
    limit: Limit,
    attempt: impl FnMut(&C) -> Tried,
) -> Shrunk<C> {
    let mut search = Search { best: case, tries: 0, end: None, limit, fingerprint, attempt };
    search.run();
    Shrunk { case: search.best, tries: search.tries, end: search.end.unwrap_or(End::Minimal) }
}

struct Search<'a, C, F> {
    best: C,
    tries: u64,
    end: Option<End>,
    limit: Limit,
    fingerprint: &'a Fingerprint,
    attempt: F,
}

impl<C: Reduce, F: FnMut(&C) -> Tried> Search<'_, C, F> {
    fn run(&mut self) {
        loop {
            let mut smaller = false;
            for list in 0..self.best.lists().len() {
                smaller |= self.reduce_list(list);
            }
            smaller |= self.reduce_sizes();
            if !smaller || self.end.is_some() {
                return;
            }
        }
    }

    /// Removes chunks of the list, halving their length, until single elements are left that are all needed.
    fn reduce_list(&mut self, list: usize) -> bool {
        let mut smaller = false;
        let mut chunk = self.best.len(list);
        while chunk > 0 {
            let mut removed = false;
            // From the end: late elements depend on early ones, not the other way round.
            let mut end = self.best.len(list);
            while end > 0 && self.end.is_none() {
                let start = end.saturating_sub(chunk);
                let candidate = self.best.retain(list, &|at| !(start..end).contains(&at));
                removed |= candidate.is_some_and(|case| self.try_case(case));
                // After a removal this is the length of what is left in front of the chunk, which was not touched.
                end = start;
            }
            smaller |= removed;
            if self.end.is_some() {
                return smaller;
            }
            // A removal of single elements may have made another one removable: go round again.
            chunk = if chunk == 1 && removed { 1 } else { chunk / 2 };
        }
        smaller
    }

    fn reduce_sizes(&mut self) -> bool {
        let mut smaller = false;
        while self.end.is_none() {
            if !self.best.simpler().into_iter().any(|case| self.try_case(case)) {
                break;
            }
            smaller = true;
        }
        smaller
    }

    /// Whether the case fails in the same way; it is then the best one.
    fn try_case(&mut self, case: C) -> bool {
        if self.end.is_some() {
            return false;
        }
        if self.tries == self.limit.tries_max {
            self.end = Some(End::Limit);
            return false;
        }
        self.tries += 1;
        match (self.attempt)(&case) {
            Tried::Failed(found) if found == *self.fingerprint => {
                self.best = case;
                true
            }
            Tried::Failed(_) | Tried::Passed => false,
            Tried::Stop => {
                self.end = Some(End::Stopped);
                false
            }
        }
    }
}
