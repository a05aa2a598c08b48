//! Stateright's own two-phase commit, as its authors wrote it.

#[allow(dead_code, unused_imports, missing_docs, clippy::all)]
mod example {
    include!("../third_party/stateright-0.31.0/2pc.rs");

    pub fn model(
        count: usize,
    ) -> impl Model<
        State = impl Hash + Eq + Clone + Send + Sync + 'static,
        Action = impl Send + Sync + Clone + PartialEq + std::fmt::Debug + 'static,
    > + Send
    + Sync
    + Clone
    + 'static {
        TwoPhaseSys { rms: 0..count }
    }
}

pub use example::model;
