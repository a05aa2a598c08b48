//! What can be shown of a logical unit's reservation state, whoever computed it.

use crate::{Generation, Key, Nexus, PrType};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Who holds a reservation, as its owner of state says it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Holder {
    /// One nexus.
    Nexus(Nexus),
    /// Every registrant.
    AllRegistrants,
}

/// A persistent reservation; its scope is always the logical unit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Reservation {
    /// Its type.
    pub kind: PrType,
    /// Its holder.
    pub holder: Holder,
}

/// Registrations and reservation of one logical unit.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct LunView {
    /// PRgeneration.
    pub generation: Generation,
    /// Registered nexuses with their keys, in ascending order of nexus.
    pub registrants: Vec<(Nexus, Key)>,
    /// The reservation, if any.
    pub reservation: Option<Reservation>,
    /// Whether the state persists through power loss.
    pub aptpl: bool,
}
