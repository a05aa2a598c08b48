//! Task management functions: which units they are about, and when they are answered.

use super::super::task::{Key, Stage};
use super::super::{Effect, Function, Managed};
use super::Array;
use crate::scsi::report::lun_of;
use crate::target;
use alloc::vec::Vec;
use redline_vocab::{self as vocab, Command, Data, Reply};

/// A function that not every unit has answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Managing {
    pub(super) key: Key,
    /// Units that have not answered.
    waits: usize,
    /// TARGET COLD RESET.
    drops_connections: bool,
}

impl Array {
    pub(super) fn manage(&mut self, key: Key, lun: [u8; 8], function: Function, out: &mut Vec<Effect>) {
        let (whole_target, command) = match function {
            Function::AbortTask(tag) => (false, vocab::Function::AbortTask(tag)),
            Function::AbortTaskSet => (false, vocab::Function::AbortTaskSet),
            Function::ClearAca => return answer(key, Managed::Unsupported, out),
            Function::ClearTaskSet => (false, vocab::Function::ClearTaskSet),
            Function::LogicalUnitReset => (false, vocab::Function::LogicalUnitReset),
            Function::TargetWarmReset => (true, vocab::Function::TargetWarmReset),
            Function::TargetColdReset => (true, vocab::Function::TargetColdReset),
        };
        let named = |unit: &super::Unit| lun_of(lun) == Some(unit.config.lun);
        let units: Vec<usize> =
            (0..self.units.len()).filter(|&at| whole_target || named(&self.units[at])).collect();
        if units.is_empty() {
            return answer(key, Managed::NoSuchLun, out);
        }
        let dropped =
            units.iter().map(|&unit| self.drop_undispatched(key, unit, command, out)).sum::<usize>();
        if dropped > 0 && matches!(function, Function::AbortTask(_)) {
            answer(key, Managed::Complete, out);
        } else {
            let drops_connections = function == Function::TargetColdReset;
            self.managing.push(Managing { key, waits: units.len(), drops_connections });
            for unit in units {
                if whole_target || matches!(command, vocab::Function::LogicalUnitReset) {
                    self.copies.reset(unit);
                }
                let (nexus, tag) = key;
                let command = Command::Manage(command);
                self.ask(unit, target::Input::Dispatch { nexus, tag, command }, out);
            }
        }
        self.release_held(out);
        self.settle(out);
    }

    /// Ends what the function names and the target does not know of yet: a PERSISTENT RESERVE OUT without its parameter list, and what
    /// waits behind it.
    fn drop_undispatched(
        &mut self,
        key: Key,
        unit: usize,
        function: vocab::Function,
        out: &mut Vec<Effect>,
    ) -> usize {
        let named = |(other, _): &(&Key, &super::Task)| match function {
            vocab::Function::AbortTask(tag) => **other == (key.0, tag),
            vocab::Function::AbortTaskSet => other.0 == key.0,
            vocab::Function::ClearTaskSet
            | vocab::Function::LogicalUnitReset
            | vocab::Function::TargetWarmReset
            | vocab::Function::TargetColdReset => true,
        };
        let early = |(_, task): &(&Key, &super::Task)| {
            task.unit == unit && matches!(task.stage, Stage::Held(_) | Stage::Listing(_))
        };
        let ended: Vec<Key> = self.tasks.iter().filter(named).filter(early).map(|(key, _)| *key).collect();
        for ended in &ended {
            self.held.retain(|held| held != ended);
            self.drop_task(*ended, out);
        }
        ended.len()
    }

    /// A unit has answered. Says whether the answer was to a function.
    pub(super) fn managed(&mut self, key: Key, reply: &Reply, out: &mut Vec<Effect>) -> bool {
        let Some(at) = self.managing.iter().position(|managing| managing.key == key) else { return false };
        let managing = &mut self.managing[at];
        managing.waits -= 1;
        if managing.waits > 0 {
            return true;
        }
        let Managing { drops_connections, .. } = self.managing.remove(at);
        let outcome = match reply.data {
            Data::Managed(vocab::Managed::NoSuchTask) => Managed::NoSuchTask,
            _ => Managed::Complete,
        };
        answer(key, outcome, out);
        if drops_connections {
            out.push(Effect::DropConnections);
        }
        true
    }
}

fn answer((nexus, tag): Key, outcome: Managed, out: &mut Vec<Effect>) {
    out.push(Effect::Managed { nexus, tag, outcome });
}
