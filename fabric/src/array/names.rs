//! Which nexus is which pair of ports.
//!
//! Known nexuses have fixed numbers, so that a guest and the array need not talk about them. Everybody else gets a free number behind
//! them and keeps it as long as somebody remembers it: a session, a registration, a task, or news that it has not heard.

use super::{InitiatorPort, KnownNexus, TargetPort};
use alloc::vec::Vec;
use redline_vocab::{Nexus, NodeId};

/// Nexus numbers that exist.
const NUMBERS: usize = 256;

/// One pair of ports.
pub(super) type Pair = (InitiatorPort, TargetPort);

/// The list of names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Names {
    nodes: Vec<NodeId>,
    pairs: Vec<Option<Pair>>,
}

impl Names {
    /// Only the known ones, at most 256.
    pub(super) fn new(known: &[KnownNexus]) -> Names {
        assert!(known.len() <= NUMBERS, "a nexus number is a byte");
        Names {
            nodes: known.iter().map(|nexus| nexus.node).collect(),
            pairs: known.iter().map(|nexus| Some((nexus.initiator.clone(), nexus.port))).collect(),
        }
    }

    /// The node whose nexus it is; a stranger is a node of its own.
    pub(super) fn node(&self, nexus: Nexus) -> NodeId {
        self.nodes.get(usize::from(nexus.0)).copied().unwrap_or(NodeId(nexus.0))
    }

    /// The pair with this number.
    pub(super) fn pair(&self, nexus: Nexus) -> Option<&Pair> {
        self.pairs.get(usize::from(nexus.0))?.as_ref()
    }

    /// The number of this pair, if it has one.
    pub(super) fn find(&self, initiator: &InitiatorPort, port: TargetPort) -> Option<Nexus> {
        let named =
            |pair: &Option<Pair>| pair.as_ref().is_some_and(|pair| pair.0 == *initiator && pair.1 == port);
        self.pairs.iter().position(named).map(number)
    }

    /// Every nexus of an initiator device at a port, whatever its ISID.
    pub(super) fn of_device<'a>(
        &'a self,
        name: &'a str,
        port: TargetPort,
    ) -> impl Iterator<Item = Nexus> + 'a {
        let named = move |pair: &Option<Pair>| {
            pair.as_ref().is_some_and(|pair| pair.0.name == name && pair.1 == port)
        };
        self.pairs.iter().enumerate().filter(move |(_, pair)| named(pair)).map(|(at, _)| number(at))
    }

    /// The number of this pair, a new one if need be: one that nobody has had, or one that `forgotten` says is free. `None` if there is none.
    pub(super) fn assign(&mut self, pair: Pair, forgotten: impl Fn(Nexus) -> bool) -> Option<Assigned> {
        if let Some(nexus) = self.find(&pair.0, pair.1) {
            return Some(Assigned::Old(nexus));
        }
        let known = self.nodes.len();
        let unused = self.pairs.iter().skip(known).position(Option::is_none).map(|at| at + known);
        let fresh = unused.or_else(|| (self.pairs.len() < NUMBERS).then_some(self.pairs.len()));
        let at = fresh.or_else(|| (known..self.pairs.len()).find(|&at| forgotten(number(at))))?;
        self.put(at, pair);
        Some(Assigned::New(number(at)))
    }

    /// Gives a number that was stored back to its pair. `false` if it belongs to another one.
    pub(super) fn restore(&mut self, nexus: Nexus, pair: Pair) -> bool {
        let found = self.find(&pair.0, pair.1);
        let at = usize::from(nexus.0);
        let free = self.pairs.get(at).is_none_or(Option::is_none);
        match found {
            Some(own) => own == nexus,
            None if free => {
                self.put(at, pair);
                true
            }
            None => false,
        }
    }

    fn put(&mut self, at: usize, pair: Pair) {
        if at >= self.pairs.len() {
            self.pairs.resize(at + 1, None);
        }
        self.pairs[at] = Some(pair);
    }
}

/// A number, and whether it was somebody else's before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Assigned {
    /// It was this pair's.
    Old(Nexus),
    /// It is this pair's from now on: what the units remember of it is about nobody.
    New(Nexus),
}

fn number(at: usize) -> Nexus {
    Nexus(u8::try_from(at).expect("a nexus number is a byte"))
}
