//! The words that model, fabric, judges and traces share.
//!
//! Data only: identifiers, SCSI commands and replies, what a schedule may choose, what can be
//! observed, which guards a design has, which bugs can be planted. Nothing here decides anything:
//! no reservation rule, no ordering rule, no arbitration rule. Ask of an item before it is added:
//! *if it were wrong, could a check still notice?* If not, it does not belong here.
//!
//! `no_std`, no dependencies, no serialisation: the file format lives in `traces`.
#![no_std]

extern crate alloc;

mod action;
mod command;
mod design;
mod event;
mod fault;
mod id;
mod management;
mod ports;
mod quirk;
mod reply;
mod view;

pub use action::Action;
pub use command::{Command, Extent, Name, PrIn, PrOut, PrType, Record, ServiceAction};
pub use design::{Design, Guard};
pub use event::{Event, LossReason};
pub use fault::{Direction, Fault, FaultKind};
pub use id::{Epoch, Generation, Key, Lba, Micros, Nexus, NodeId, Serial, Tag};
pub use management::{Function, Managed};
pub use ports::{Nexuses, PortList};
pub use quirk::{Quirk, Quirks};
pub use reply::{Block, Capabilities, Data, Disposition, FullStatusEntry, Held, Reply, Sense, Status};
pub use view::{Holder, LunView, Reservation};
