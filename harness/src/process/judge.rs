//! Conformance over the partial order: is there a history of these logs that the model allows?
//!
//! One is enough to look at, and here is why. The parts of the model (the unit, each node) share no state; they meet in
//! messages, and each message is a pair of lines of two logs. What the unit's part makes of the logs depends on the order
//! of the array's own lines, on the order in which each nexus sent its commands, and on the order in which it received
//! its replies. Every history has these orders in common: they are the order within one log. A command waits on its
//! wire until it is taken, and a reply until it is received, so that it does not matter how long they wait. The same holds for
//! each node's part. So either every history is allowed or none is, and a search through all of them would find the same
//! at each leaf. `tests` holds this against random histories.
//!
//! What remains open is what a killed process did not log. A table change that was under way is kept open in both ways. If
//! more than that would have to be guessed, the verdict is *inconclusive*.
//!
//! Monitors are shown one history, in which nodes come as late as causality lets them. What breaks there breaks in a
//! history that no process can tell from what happened; time in it is the number of the line. Whether an owner comes back in time
//! (`fabric/progress`) cannot be judged from logs without a clock: `run` watches that.

use super::logs::Logs;
use super::order::{End, Lines, Placed, Teller, latest};
use crate::conform::{Error, Inconclusive, Judge, Judgement, Options};
use redline_vocab::{Command, Disposition, Event, Micros, Nexus, Tag};
use std::collections::BTreeMap;

/// What the logs of a run come to.
#[derive(Clone, Debug)]
pub struct Judged {
    /// What the judges say. Event numbers count the lines of the history.
    pub judgement: Judgement,
    /// The history that was judged.
    pub history: Vec<Placed>,
}

/// Judges the logs of a run.
///
/// # Errors
/// [`Error`] if there is nothing to judge.
pub fn judge(logs: &Logs, states_max: usize) -> Result<Judged, Error> {
    let (history, end) = latest(&Lines::of(logs));
    let judgement = judge_history(logs, &history, &end, states_max)?;
    Ok(Judged { judgement, history })
}

/// Judges one history of the logs.
///
/// # Errors
/// [`Error`] if there is nothing to judge.
pub fn judge_history(
    logs: &Logs,
    history: &[Placed],
    end: &End,
    states_max: usize,
) -> Result<Judgement, Error> {
    let options = Options { states_max, owner_within: None };
    let mut walk =
        Walk { judge: Judge::new(&logs.header, options)?, seq: 0, writes: BTreeMap::new(), cut: false };
    for placed in history {
        walk.take(placed);
    }
    walk.end(logs, end)
}

/// How far a write has got that nobody has seen the end of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    Sent,
    Let,
    Given,
}

struct Walk {
    judge: Judge,
    seq: u64,
    writes: BTreeMap<(Nexus, Tag), Way>,
    /// The array's last life was killed.
    cut: bool,
}

impl Walk {
    fn take(&mut self, placed: &Placed) {
        // A login stands in both logs; the history and the monitors have the array's.
        let told_twice = is_told_twice(placed);
        self.seq += u64::from(!told_twice);
        let (seq, at, event) = (self.seq, Micros(self.seq), &placed.event);
        self.note(event);
        if let Teller::ArrayEnds { cut: true } = placed.by {
            self.suppose();
        }
        if !told_twice {
            self.judge.watch(seq, at, event);
        }
        let cut = self.cut;
        match placed.by {
            Teller::Nemesis => self.judge.follow_by(seq, at, event, |world| world.see_unit(event)),
            Teller::Array => self.judge.follow_by(seq, at, event, |world| match event {
                Event::PoweredOn { view } if cut => world.unit_comes_up(view, event),
                Event::NexusLost { nexus } => world.give_up_nexus(*nexus, event),
                _ => world.see_unit(event),
            }),
            Teller::ArrayEnds { cut } => {
                self.cut = cut;
                self.judge.follow_by(seq, at, event, |world| world.unit_ends(cut, event))
            }
            Teller::Node(node) => self.judge.follow_by(seq, at, event, |world| match event {
                Event::Sent { .. } | Event::Received { .. } => world.see_both(node, event),
                _ => world.see_node(node, event),
            }),
            Teller::NodeLife(node) => self.judge.follow_by(seq, at, event, |world| match event {
                Event::Crashed { .. } => world.node_ends(node, event),
                _ => world.see_node(node, event),
            }),
        };
    }

    /// Follows each write until the medium has it or it is known to be gone.
    fn note(&mut self, event: &Event) {
        match event {
            Event::Sent { nexus, tag, command: Command::Write { .. } } => {
                self.writes.insert((*nexus, *tag), Way::Sent);
            }
            Event::Dispatched { nexus, tag, disposition } => {
                if let Some(way) = self.writes.get_mut(&(*nexus, *tag)) {
                    *way = Way::Let;
                }
                if *disposition != Disposition::Enabled {
                    self.writes.remove(&(*nexus, *tag));
                }
            }
            Event::Submitted { nexus, tag } => {
                if let Some(way) = self.writes.get_mut(&(*nexus, *tag)) {
                    *way = Way::Given;
                }
            }
            Event::Committed { nexus, tag }
            | Event::Aborted { nexus, tag }
            | Event::Replied { nexus, tag, .. } => {
                self.writes.remove(&(*nexus, *tag));
            }
            _ => {}
        }
    }

    /// The array was killed: any write that was on its way may have reached the medium without a line that says so. To the
    /// monitors of the medium each of them is one that was at the back end when power was lost.
    fn suppose(&mut self) {
        for ((nexus, tag), way) in std::mem::take(&mut self.writes) {
            if way == Way::Sent {
                let disposition = Disposition::Enabled;
                self.judge.watch(self.seq, Micros(self.seq), &Event::Dispatched { nexus, tag, disposition });
            }
            if way != Way::Given {
                self.judge.watch(self.seq, Micros(self.seq), &Event::Submitted { nexus, tag });
            }
        }
    }

    fn end(mut self, logs: &Logs, end: &End) -> Result<Judgement, Error> {
        let seq = self.seq + 1;
        let cut = |lives: &Vec<super::logs::Life>| lives.last().is_none_or(|life| !life.whole);
        match end {
            End::Complete => {
                if cut(&logs.array) || logs.guests.iter().any(cut) {
                    self.judge.give_up(Inconclusive::NoFooter { events: logs.events() });
                }
            }
            End::Impossible(placed) => {
                let part = format!("causality ({})", teller_words(placed.by));
                self.judge.refuse(seq, Micros(seq), &placed.event, &part);
            }
            End::Unlogged(_) => self.judge.give_up(Inconclusive::CutLog { seq }),
        }
        self.judge.finish(true)
    }
}

/// Whether another log tells the same event.
fn is_told_twice(placed: &Placed) -> bool {
    matches!((&placed.event, placed.by), (Event::LoggedIn { .. }, Teller::Node(_)))
}

/// A history as the events of a trace, each told once; time is their number.
pub fn events(history: &[Placed]) -> impl Iterator<Item = &Event> {
    history.iter().filter(|placed| !is_told_twice(placed)).map(|placed| &placed.event)
}

fn teller_words(by: Teller) -> String {
    match by {
        Teller::Nemesis => "the nemesis".to_owned(),
        Teller::Array | Teller::ArrayEnds { .. } => "the array".to_owned(),
        Teller::Node(node) | Teller::NodeLife(node) => node.to_string(),
    }
}
