//! What an onlooker reads of the target's state between steps, against the worlds of the judge.
//!
//! The onlooker is a nexus that never registers. What it reads after each PERSISTENT RESERVE OUT shows at once what that one has done, so
//! that a divergence is blamed on the step that made it. What was read is adopted: the judge goes on from there.

use super::finding::{self, Aspect, Danger, Mismatch, Signature};
use super::judge::{Cause, Judge, PHANTOM, Pending, World, bit, is_shared};
use redline_model::lun::{Answer, Lun};
use redline_model::{Attention, NEXUSES, Table};

use redline_vocab::{
    Data, FullStatusEntry, Generation, Held, Holder, Key, Nexus, PrIn, Reply, Reservation, ServiceAction,
    Status,
};

/// The unit attentions that tell of reservations.
const RESERVATION_NEWS: Pending = bit(Attention::ReservationsPreempted)
    | bit(Attention::ReservationsReleased)
    | bit(Attention::RegistrationsPreempted)
    | bit(Attention::CommandsCleared);

/// What READ KEYS, READ RESERVATION and READ FULL STATUS showed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seen {
    /// PRgeneration.
    pub generation: Generation,
    /// The keys.
    pub keys: Vec<Key>,
    /// The reservation.
    pub held: Option<Held>,
    /// The registrants, if the target has READ FULL STATUS.
    pub full: Option<Vec<FullStatusEntry>>,
}

impl Judge {
    /// Judges what was seen, and goes on from it.
    pub fn see(&mut self, seen: &Seen) -> Vec<Mismatch> {
        let seen = &self.plain(seen);
        let fitting: Vec<World> =
            self.worlds().iter().filter(|world| fits(&world.lun, seen)).cloned().collect();
        if let Some(open) = self.open.take() {
            return vec![self.close(open, seen)];
        }
        if !fitting.is_empty() {
            self.keep(fitting);
            return Vec::new();
        }
        let nearest = self
            .worlds()
            .iter()
            .min_by_key(|world| differences(&world.lun, seen).len())
            .expect("there is always a world")
            .clone();
        let aspects = differences(&nearest.lun, seen);
        let moved = aspects.iter().any(|aspect| matches!(aspect, Aspect::Keys | Aspect::Reservation));
        let wrong = aspects.into_iter().map(|aspect| self.tell(&nearest.lun, seen, aspect)).collect();
        self.adopt(&nearest, seen, moved);
        wrong
    }

    /// What was seen, without a peculiarity that has been told already.
    fn plain(&self, seen: &Seen) -> Seen {
        let mut seen = seen.clone();
        if let Some(held) = seen.held.as_mut().filter(|held| self.shows_shared_key && is_shared(held.kind)) {
            held.key = Key(0);
            for entry in seen.full.iter_mut().flatten() {
                entry.holds = Some(held.kind);
            }
        }
        seen
    }

    /// A command ended with GOOD that must not: was it carried out?
    fn close(&mut self, mut open: Mismatch, seen: &Seen) -> Mismatch {
        let cause = self.causes.last().expect("it was a PERSISTENT RESERVE OUT");
        let mut unmoved = cause.before.clone();
        let untouched = fits(&unmoved, seen);
        unmoved.generation = seen.generation;
        let without_effect = untouched || fits(&unmoved, seen);
        if without_effect {
            open.signature.got += ", without effect";
        } else {
            open.signature.got += ", and it is carried out";
            open.danger = open.danger.max(Danger::Loses);
        }
        let base = World { lun: cause.before.clone(), maybe: self.worlds()[0].maybe };
        self.adopt(&base, seen, !without_effect);
        open
    }

    /// One difference in words.
    fn tell(&mut self, lun: &Lun, seen: &Seen, aspect: Aspect) -> Mismatch {
        let cause = self.causes.last().cloned();
        let before = cause.as_ref().map_or(lun, |cause| &cause.before);
        let action = cause.as_ref().and_then(|cause| cause.action);
        let (expected, got, danger) = match aspect {
            Aspect::Generation => {
                let step = |to: Generation| format!("+{}", to.0.wrapping_sub(before.generation.0));
                (step(lun.generation), step(seen.generation), Danger::Misreports)
            }
            Aspect::Keys => {
                let count = |keys: usize| {
                    let before = before.table.registered().iter().count();
                    match keys.cmp(&before) {
                        std::cmp::Ordering::Less => format!("{} fewer", before - keys),
                        std::cmp::Ordering::Equal => "as many, or others".to_owned(),
                        std::cmp::Ordering::Greater => format!("{} more", keys - before),
                    }
                };
                let expected = lun.table.registered().iter().count();
                (count(expected), count(seen.keys.len()), keys_danger(action, expected, seen.keys.len()))
            }
            Aspect::Reservation => {
                let expected = held_words(lun.held(), before);
                let got = held_words(seen.held, before);
                let kind = |held: Option<Held>| held.map(|held| held.kind);
                let same_kind = kind(lun.held()) == kind(seen.held);
                if same_kind && seen.held.is_some_and(|held| is_shared(held.kind)) {
                    self.shows_shared_key = true;
                    ("key 0".to_owned(), "the key of one registrant".to_owned(), Danger::Misreports)
                } else {
                    (expected, got, Danger::Loses)
                }
            }
            _ => ("the registrants that it should have".to_owned(), "others".to_owned(), Danger::Misreports),
        };
        let clause = match (aspect, action, &cause) {
            (Aspect::Generation, ..) => finding::GENERATION,
            (_, Some(action), _) => finding::clause_of(action),
            (_, None, Some(cause)) if cause.sender == PHANTOM => finding::POWER,
            _ => finding::PERSISTENCE,
        };
        let situation = cause.map_or_else(|| "a clean logical unit".to_owned(), |cause| cause.situation);
        Mismatch { signature: Signature { situation, aspect, expected, got }, danger, clause }
    }

    /// Goes on from what was seen. Where registrations or the reservation `moved` against the rules, nobody can say who has been told.
    fn adopt(&mut self, base: &World, seen: &Seen, moved: bool) {
        let seen = &self.plain(seen);
        let cause = self.causes.last().cloned();
        let mut maybe = base.maybe;
        if moved {
            maybe.iter_mut().for_each(|pending| *pending |= RESERVATION_NEWS);
        }
        match rebuilt(&base.lun, cause.as_ref(), seen) {
            Some(lun) => self.keep(vec![World { lun, maybe }]),
            None => self.lost = true,
        }
    }
}

/// More keys than there should be: somebody who was removed is still in. Fewer: somebody was lost.
fn keys_danger(action: Option<ServiceAction>, expected: usize, got: usize) -> Danger {
    use ServiceAction::{Clear, Preempt, PreemptAndAbort};
    match action {
        Some(Preempt | PreemptAndAbort | Clear) if got > expected => Danger::FencedWrite,
        _ if got > expected => Danger::Misreports,
        _ => Danger::Loses,
    }
}

fn held_words(held: Option<Held>, before: &Lun) -> String {
    match (held, before.held()) {
        (None, _) => "none".to_owned(),
        (Some(held), Some(old)) if held == old => "as before".to_owned(),
        (Some(held), Some(old)) if held.kind == old.kind => "the same type under another key".to_owned(),
        (Some(_), _) => "a new one".to_owned(),
    }
}

fn reply(data: Data) -> Reply {
    Reply { status: Status::Good, data }
}

fn differences(lun: &Lun, seen: &Seen) -> Vec<Aspect> {
    let mut out = Vec::new();
    // PRgeneration is an aspect of its own: the rest is compared as if it were right.
    let generation = lun.generation;
    let keys = Data::Keys { generation, keys: seen.keys.clone() };
    if !lun.answers(Answer::Shown(PrIn::ReadKeys), &reply(keys)) {
        out.push(Aspect::Keys);
    }
    let held = Data::Reservation { generation, held: seen.held };
    if !lun.answers(Answer::Shown(PrIn::ReadReservation), &reply(held)) {
        out.push(Aspect::Reservation);
    }
    if out.is_empty()
        && let Some(entries) = &seen.full
    {
        let known = entries.iter().all(|entry| usize::from(entry.nexus.0) < NEXUSES);
        let data = Data::FullStatus { generation, entries: entries.clone() };
        if !known || !lun.answers(Answer::Shown(PrIn::ReadFullStatus), &reply(data)) {
            out.push(Aspect::FullStatus);
        }
    }
    if seen.generation != generation {
        out.push(Aspect::Generation);
    }
    out
}

fn fits(lun: &Lun, seen: &Seen) -> bool {
    differences(lun, seen).is_empty()
}

/// The unit that shows what was seen, as near to `base` as can be; `None` if that is not clear.
fn rebuilt(base: &Lun, cause: Option<&Cause>, seen: &Seen) -> Option<Lun> {
    let mut keys = [Key(0); NEXUSES];
    if let Some(entries) = &seen.full {
        for entry in entries {
            *keys.get_mut(usize::from(entry.nexus.0))? = entry.key;
        }
    } else {
        let mut left = seen.keys.clone();
        let mut give = |keys: &mut [Key; NEXUSES], from: &Table| {
            for (at, slot) in keys.iter_mut().enumerate().filter(|(_, slot)| **slot == Key(0)) {
                let key = from.key(Nexus(at as u8));
                if let Some(found) = left.iter().position(|one| *one == key && key != Key(0)) {
                    *slot = left.remove(found);
                }
            }
            left.clone()
        };
        give(&mut keys, &base.table);
        let orphans = give(&mut keys, cause.map_or(&base.table, |cause| &cause.before.table));
        // A key that belonged to nobody: the sender's new one, or else nobody's that we know.
        for key in orphans {
            let sender = cause.map_or(PHANTOM, |cause| cause.sender);
            let free = [sender, PHANTOM].into_iter().find(|nexus| keys[usize::from(nexus.0)] == Key(0))?;
            keys[usize::from(free.0)] = key;
        }
    }
    let reservation = match seen.held {
        None => None,
        Some(held) if is_shared(held.kind) => {
            Some(Reservation { kind: held.kind, holder: Holder::AllRegistrants })
        }
        Some(held) => {
            let before = match base.table.reservation.map(|held| held.holder) {
                Some(Holder::Nexus(nexus)) => Some(nexus),
                Some(Holder::AllRegistrants) | None => None,
            };
            let mut candidates = before
                .into_iter()
                .chain(cause.map(|cause| cause.sender))
                .chain((0..NEXUSES as u8).map(Nexus));
            let holder = candidates.find(|nexus| keys[usize::from(nexus.0)] == held.key)?;
            Some(Reservation { kind: held.kind, holder: Holder::Nexus(holder) })
        }
    };
    let mut lun = base.clone();
    lun.table = Table { keys, reservation, aptpl: base.table.aptpl };
    lun.generation = seen.generation;
    lun.persist();
    fits(&lun, seen).then_some(lun)
}
