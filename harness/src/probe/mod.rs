//! Model-based test of a target's persistent reservations, whoever made the target.
//!
//! The idea: several initiator ports do to a logical unit whatever the standard knows, in right and wrong order, with right and wrong keys,
//! while sessions and power come and go. The model of the unit says after each reply which states are still possible; none left is a
//! divergence. Where the standard leaves a choice the model has every reading, so nobody is blamed for a free choice.
//!
//! `story` says what is done, `letters` which stories are told, `player` (with `airborne`) carries one out, `judge` (with `observed`, `flight` and
//! `medium`) judges it, `hunt` makes findings of divergences, `finding` and `situation` give them names. `way` is the border to the target.
//!
//! **Deliberately absent:** rules of reservations, which are the model's; any knowledge of a particular target.

pub mod address;
mod airborne;
pub mod finding;
mod flight;
pub mod hunt;
mod judge;
mod letters;
mod medium;
pub mod memory;
mod observed;
pub mod player;
pub mod safety;
mod situation;
pub mod story;
pub mod tcp;
#[cfg(test)]
mod tests;
pub mod way;
