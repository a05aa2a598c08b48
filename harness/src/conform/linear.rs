//! Are the reads and writes that the initiators saw linearizable, block by block?
//!
//! Each block is a register: a write that was answered GOOD took effect between its `Sent` and its `Received`, a read
//! returned what the block held at some moment in between. This looks at nothing else, neither model nor
//! target, and uses another judge's code: the linearizability tester of `stateright`.
//!
//! The tester's search is exponential in the operations that it may reorder. So the history of a block is cut where
//! nothing was under way; from one piece to the next go all values that the block may then hold. A write whose
//! outcome is unknown is offered to every later piece again, though it can take effect once only: this may accept a
//! history that it should not, and never refuses one that is legal.
//!
//! Not judged: anything from the first loss of power on, since a write-back cache may then lose what was answered
//! GOOD without a flush (`disk/flushed-survives` judges that); reads of damaged blocks; pieces with more than
//! [`Bounds::operations_max`] operations.

use redline_traces::Stamped;
use redline_vocab::{Block, Command, Data, Event, Nexus, Record, Reply, Status, Tag};
use stateright::semantics::{
    ConsistencyTester, LinearizabilityTester,
    register::{Register, RegisterOp, RegisterRet},
};
use std::collections::{BTreeMap, BTreeSet};

/// How much to search.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// Operations in one piece of one block's history beyond which it is not judged.
    pub operations_max: usize,
}

/// What the histories of all blocks say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Linear {
    /// Reads and writes that were judged, one for each block that they touch.
    pub operations: u64,
    /// Operations in pieces that were too long to judge.
    pub unjudged: u64,
    /// Blocks whose history no order of operations explains, with the number of the event that began the piece.
    pub refused: Vec<(u64, u64)>,
}

/// A read or write of one block.
#[derive(Clone, Debug)]
struct Operation {
    sent: u64,
    /// `None`: the outcome is unknown.
    received: Option<u64>,
    what: RegisterOp<Block>,
    /// What a read returned.
    seen: Option<Block>,
}

/// Judges the events that an observer at the initiators sees.
pub fn linearizable<'a>(events: impl IntoIterator<Item = &'a Stamped>, bounds: Bounds) -> Linear {
    let mut out = Linear { operations: 0, unjudged: 0, refused: Vec::new() };
    for (block, operations) in histories(events) {
        judge(block, &operations, bounds, &mut out);
    }
    out
}

/// The operations on each block in the order in which they were sent.
fn histories<'a>(events: impl IntoIterator<Item = &'a Stamped>) -> BTreeMap<u64, Vec<Operation>> {
    let mut under_way: BTreeMap<(Nexus, Tag), (u64, Command)> = BTreeMap::new();
    let mut blocks: BTreeMap<u64, Vec<Operation>> = BTreeMap::new();
    for Stamped { seq, event, .. } in events {
        match event {
            Event::Sent { nexus, tag, command: command @ (Command::Read(_) | Command::Write { .. }) } => {
                under_way.insert((*nexus, *tag), (*seq, *command));
            }
            Event::Received { nexus, tag, reply } => {
                if let Some((sent, command)) = under_way.remove(&(*nexus, *tag)) {
                    finish(&mut blocks, sent, command, Some((*seq, reply)));
                }
            }
            Event::Forgotten { nexus, tag } => {
                if let Some((sent, command)) = under_way.remove(&(*nexus, *tag)) {
                    finish(&mut blocks, sent, command, None);
                }
            }
            Event::PowerLost => break,
            _ => {}
        }
    }
    for (sent, command) in under_way.into_values() {
        finish(&mut blocks, sent, command, None);
    }
    blocks.values_mut().for_each(|operations| operations.sort_by_key(|operation| operation.sent));
    blocks
}

/// Adds a command that ended, or whose end will never be known.
fn finish(
    blocks: &mut BTreeMap<u64, Vec<Operation>>,
    sent: u64,
    command: Command,
    reply: Option<(u64, &Reply)>,
) {
    match (command, reply) {
        (Command::Write { extent, record }, reply) => {
            let received = match reply {
                None => None,
                Some((seq, reply)) => match effect(reply.status) {
                    Effect::Had => Some(seq),
                    Effect::None => return,
                    Effect::Unknown => None,
                },
            };
            for offset in 0..u64::from(extent.blocks) {
                let what = RegisterOp::Write(Block::Of(record));
                blocks.entry(extent.lba.0 + offset).or_default().push(Operation {
                    sent,
                    received,
                    what,
                    seen: None,
                });
            }
        }
        (Command::Read(extent), Some((seq, Reply { status: Status::Good, data: Data::Blocks(seen) }))) => {
            for (lba, seen) in (extent.lba.0..).zip(seen) {
                if *seen != Block::Corrupt {
                    let operation =
                        Operation { sent, received: Some(seq), what: RegisterOp::Read, seen: Some(*seen) };
                    blocks.entry(lba).or_default().push(operation);
                }
            }
        }
        _ => {}
    }
}

enum Effect {
    Had,
    None,
    Unknown,
}

/// Whether a write with this answer changed the medium (SAM-5: a refused or unexecuted command did not).
const fn effect(status: Status) -> Effect {
    match status {
        Status::Good => Effect::Had,
        Status::ReservationConflict | Status::TaskSetFull => Effect::None,
        Status::CheckCondition(sense) if sense.key == 0x06 => Effect::None,
        Status::CheckCondition(_) | Status::TaskAborted => Effect::Unknown,
    }
}

fn judge(block: u64, operations: &[Operation], bounds: Bounds, out: &mut Linear) {
    let mut values = BTreeSet::from([Block::Blank]);
    let mut unknown: Vec<Record> = Vec::new();
    for piece in pieces(operations) {
        let count = piece.len() as u64;
        if piece.len() + unknown.len() > bounds.operations_max {
            // What the block holds afterwards is not known, so that nothing behind it can be judged either.
            let from = piece[0].sent;
            out.unjudged += operations.iter().filter(|operation| operation.sent >= from).count() as u64;
            return;
        }
        out.operations += count;
        values = after(&values, &unknown, piece);
        if values.is_empty() {
            out.refused.push((block, piece[0].sent));
            return;
        }
        unknown.extend(piece.iter().filter(|operation| operation.received.is_none()).filter_map(written));
    }
}

/// The history, cut where no operation with a known end was under way.
fn pieces(operations: &[Operation]) -> impl Iterator<Item = &[Operation]> {
    let mut busy_until = 0;
    operations.chunk_by(move |before, next| {
        busy_until = busy_until.max(before.received.unwrap_or(0));
        next.sent < busy_until
    })
}

/// The values that the block may hold after the piece; none if no order explains it.
fn after(values: &BTreeSet<Block>, unknown: &[Record], piece: &[Operation]) -> BTreeSet<Block> {
    let writes = piece.iter().filter_map(written).chain(unknown.iter().copied()).map(Block::Of);
    let finals: BTreeSet<Block> = values.iter().copied().chain(writes).collect();
    let explained = |from: Block, to: Block| serializes(from, to, unknown, piece);
    finals.into_iter().filter(|to| values.iter().any(|from| explained(*from, *to))).collect()
}

fn written(operation: &Operation) -> Option<Record> {
    match operation.what {
        RegisterOp::Write(Block::Of(record)) => Some(record),
        RegisterOp::Write(Block::Blank | Block::Corrupt) | RegisterOp::Read => None,
    }
}

/// Whether some order of the operations explains the piece and leaves the block with this value.
fn serializes(from: Block, to: Block, unknown: &[Record], piece: &[Operation]) -> bool {
    let mut tester = LinearizabilityTester::new(Register(from));
    let mut steps: Vec<(u64, usize, bool)> = Vec::new();
    for (at, operation) in piece.iter().enumerate() {
        steps.push((operation.sent, at, false));
        steps.extend(operation.received.map(|received| (received, at, true)));
    }
    steps.sort_unstable();
    // Each operation is a thread of its own: the initiators have several commands outstanding.
    let first = piece.len();
    let told: Result<(), String> = (|| {
        for (nth, record) in unknown.iter().enumerate() {
            tester.on_invoke(first + nth, RegisterOp::Write(Block::Of(*record)))?;
        }
        for (_, at, returns) in steps {
            if returns {
                let value = match piece[at].seen {
                    Some(seen) => RegisterRet::ReadOk(seen),
                    None => RegisterRet::WriteOk,
                };
                tester.on_return(at, value)?;
            } else {
                tester.on_invoke(at, piece[at].what.clone())?;
            }
        }
        let last = first + unknown.len();
        tester.on_invoke(last, RegisterOp::Read)?;
        tester.on_return(last, RegisterRet::ReadOk(to))?;
        Ok(())
    })();
    told.is_ok() && tester.is_consistent()
}

#[cfg(test)]
mod tests {
    //! Histories of one block whose answer is known by heart.

    use super::*;
    use redline_vocab::{Epoch, Extent, Lba, Micros, NodeId, Sense, Serial};

    const BOUNDS: Bounds = Bounds { operations_max: 10 };
    const BLOCK: Extent = Extent { lba: Lba(5), blocks: 1 };

    fn record(serial: u32) -> Record {
        Record { writer: NodeId(0), epoch: Epoch(1), serial: Serial(serial) }
    }

    fn write(nexus: u8, tag: u32) -> Event {
        Event::Sent {
            nexus: Nexus(nexus),
            tag: Tag(tag),
            command: Command::Write { extent: BLOCK, record: record(tag) },
        }
    }

    fn read(nexus: u8, tag: u32) -> Event {
        Event::Sent { nexus: Nexus(nexus), tag: Tag(tag), command: Command::Read(BLOCK) }
    }

    fn answer(nexus: u8, tag: u32, status: Status) -> Event {
        Event::Received { nexus: Nexus(nexus), tag: Tag(tag), reply: Reply::of(status) }
    }

    fn sees(nexus: u8, tag: u32, block: Block) -> Event {
        let reply = Reply { status: Status::Good, data: Data::Blocks(vec![block]) };
        Event::Received { nexus: Nexus(nexus), tag: Tag(tag), reply }
    }

    fn check(events: impl IntoIterator<Item = Event>) -> Linear {
        let stamped: Vec<_> =
            (1u64..).zip(events).map(|(seq, event)| Stamped { seq, at: Micros(seq), event }).collect();
        linearizable(&stamped, BOUNDS)
    }

    #[test]
    fn a_read_returns_what_was_written_before_it() {
        let story = |seen| [write(0, 1), answer(0, 1, Status::Good), read(1, 2), sees(1, 2, seen)];
        assert_eq!(
            check(story(Block::Of(record(1)))),
            Linear { operations: 2, unjudged: 0, refused: vec![] }
        );
        assert_eq!(check(story(Block::Blank)).refused, [(5, 3)]);
    }

    #[test]
    fn a_read_beside_a_write_may_return_either_value() {
        for seen in [Block::Blank, Block::Of(record(1))] {
            let story = [write(0, 1), read(1, 2), sees(1, 2, seen), answer(0, 1, Status::Good)];
            assert_eq!(check(story).refused, []);
        }
    }

    #[test]
    fn two_reads_do_not_see_a_write_come_and_go() {
        let story = [
            write(0, 1),
            read(1, 2),
            sees(1, 2, Block::Of(record(1))),
            read(1, 3),
            sees(1, 3, Block::Blank),
            answer(0, 1, Status::Good),
        ];
        assert_eq!(check(story).refused, [(5, 1)]);
    }

    #[test]
    fn a_refused_write_has_no_effect() {
        let attention = Status::CheckCondition(Sense::REGISTRATIONS_PREEMPTED);
        for status in [Status::ReservationConflict, attention] {
            let story = |seen| [write(0, 1), answer(0, 1, status), read(1, 2), sees(1, 2, seen)];
            assert_eq!(check(story(Block::Blank)).refused, []);
            assert_eq!(check(story(Block::Of(record(1)))).refused, [(5, 3)]);
        }
    }

    #[test]
    fn a_write_of_unknown_outcome_may_take_effect_late_or_never() {
        for seen in [Block::Blank, Block::Of(record(1))] {
            let forgotten = Event::Forgotten { nexus: Nexus(0), tag: Tag(1) };
            let story =
                [write(0, 1), forgotten, read(1, 2), sees(1, 2, Block::Blank), read(1, 3), sees(1, 3, seen)];
            assert_eq!(check(story).refused, []);
        }
    }

    #[test]
    fn too_many_operations_at_once_are_not_judged_and_said_so() {
        let sent = (1..=20).map(|tag| write(0, tag));
        let answered = (1..=20).map(|tag| answer(0, tag, Status::Good));
        assert_eq!(check(sent.chain(answered)), Linear { operations: 0, unjudged: 20, refused: vec![] });
    }

    #[test]
    fn nothing_is_judged_after_a_power_loss() {
        let lost =
            [write(0, 1), answer(0, 1, Status::Good), Event::PowerLost, read(0, 2), sees(0, 2, Block::Blank)];
        assert_eq!(check(lost), Linear { operations: 1, unjudged: 0, refused: vec![] });
    }
}
