//! `lun/reset-is-final`: after the response to a task management function, no command that it ends takes effect.
//!
//! The idea: when the target takes a function, note the writes that it concerns and that the target has; when it answers, none of them may
//! commit any more. Writes that are still on their way are not among them: the target cannot end what it has not
//! received.

use super::{
    Scene,
    findings::{Findings, Watched},
    ledger::Stage,
};
use alloc::{format, vec::Vec};
use redline_vocab::{Command, Data, Event, Function, Managed, Nexus, Tag};

/// Writes: of which nexus, sent by which event.
type Writes = Vec<(Nexus, u64)>;

#[derive(Clone, Debug)]
pub(super) struct ResetIsFinal {
    /// Functions that have not been answered, with the writes that they end.
    pending: Vec<(Nexus, Tag, Writes)>,
    /// Writes that must not take effect, with the event that answered the function.
    over: Vec<(Nexus, u64, u64)>,
}

impl ResetIsFinal {
    pub const fn new() -> ResetIsFinal {
        ResetIsFinal { pending: Vec::new(), over: Vec::new() }
    }

    pub fn see(&mut self, scene: &Scene<'_>, out: &mut Findings) {
        match scene.event {
            Event::Dispatched { nexus, tag, .. } => {
                let Some(Command::Manage(function)) = scene.entry.map(|entry| entry.command) else { return };
                let concerned = scene.ledger.under_way().filter(|entry| {
                    let has = matches!(entry.stage, Stage::TaskSet | Stage::BackEnd);
                    let writes = matches!(entry.command, Command::Write { .. });
                    has && writes && ends(function, *nexus, entry.nexus, entry.tag)
                });
                let concerned: Writes = concerned.map(|entry| (entry.nexus, entry.sent)).collect();
                if !concerned.is_empty() {
                    out.fired(Watched::ResetIsFinal);
                    self.pending.push((*nexus, *tag, concerned));
                }
            }
            Event::Replied { nexus, tag, reply } if reply.data == Data::Managed(Managed::Complete) => {
                let Some(at) = self.pending.iter().position(|one| (one.0, one.1) == (*nexus, *tag)) else {
                    return;
                };
                let (_, _, concerned) = self.pending.swap_remove(at);
                self.over.extend(concerned.into_iter().map(|(of, sent)| (of, sent, scene.seq)));
            }
            Event::Committed { nexus, tag } => {
                let Some(entry) = scene.entry else { return };
                if let Some(at) = self.over.iter().position(|one| (one.0, one.1) == (*nexus, entry.sent)) {
                    let (_, _, answered) = self.over.swap_remove(at);
                    out.broken(Watched::ResetIsFinal, scene.seq, scene.at, || {
                        format!(
                            "a write of {nexus} ({tag}) takes effect, whose end event {answered} has told"
                        )
                    });
                }
            }
            Event::Aborted { nexus, .. } => {
                if let Some(entry) = scene.entry {
                    self.over.retain(|one| (one.0, one.1) != (*nexus, entry.sent));
                }
            }
            // Nobody hears an answer that was held for a session that is over.
            Event::NexusLost { nexus } | Event::LoggedOut { nexus } => {
                self.pending.retain(|one| one.0 != *nexus)
            }
            Event::PowerLost => {
                self.pending.clear();
                self.over.clear();
            }
            _ => {}
        }
    }
}

/// Whether the function of `sender` ends the command of `nexus` with this tag (SAM-5 clause 7).
fn ends(function: Function, sender: Nexus, nexus: Nexus, tag: Tag) -> bool {
    match function {
        Function::AbortTask(task) => nexus == sender && tag == task,
        Function::AbortTaskSet => nexus == sender,
        Function::ClearTaskSet
        | Function::LogicalUnitReset
        | Function::TargetWarmReset
        | Function::TargetColdReset => true,
    }
}
