//! A target of the fabric in memory, as a way: what tests and the hunt for planted bugs use.
//!
//! Its back end is slow on purpose. What a nexus sends goes to the back end as soon as there is room, two operations at a time, but it ends
//! only when somebody waits for an answer that needs it, or when things settle. So writes are under way when another nexus preempts.

use super::way::{DataOut, Patience, Trouble, Way};
use redline_fabric::target::{Config, Effect, Input, Outcome, StoredTable, Target};
use redline_vocab::{Block, Command, Extent, Nexus, NodeId, Quirk, Quirks, Reply, Tag};
use std::collections::{BTreeMap, BTreeSet};

/// Operations of one nexus that the back end has at a time.
const AT_BACK_END_MAX: usize = 2;

/// Nexuses that are looked after.
const NEXUSES: u8 = 8;

/// The target with its disk.
#[derive(Debug)]
pub struct Memory {
    target: Target,
    config: Config,
    quirks: Quirks,
    stored: Option<StoredTable>,
    disk: Vec<Block>,
    sessions: BTreeSet<Nexus>,
    started: Vec<(Nexus, Tag, Command)>,
    kept_back: BTreeSet<(Nexus, Tag)>,
    replies: BTreeMap<(Nexus, Tag), Reply>,
    /// A cold reset has broken every connection.
    dropped: bool,
    tags: u32,
}

impl Memory {
    /// A target of `blocks` blocks with these bugs.
    pub fn new(blocks: u64, quirks: Quirks) -> Memory {
        let config = Config { blocks, registrants_max: 64, tasks_max: 64 };
        let target = Target::power_on(config, quirks, None, &mut Vec::new());
        let disk = vec![Block::Blank; usize::try_from(blocks).expect("a small disk")];
        Memory {
            target,
            config,
            quirks,
            stored: None,
            disk,
            sessions: BTreeSet::new(),
            started: Vec::new(),
            kept_back: BTreeSet::new(),
            replies: BTreeMap::new(),
            dropped: false,
            tags: 0,
        }
    }

    fn step(&mut self, input: Input) {
        let mut effects = Vec::new();
        self.target.step(input, &mut effects);
        for effect in effects {
            match effect {
                Effect::Store(table) => self.stored = table,
                Effect::Start { nexus, tag, command } => self.started.push((nexus, tag, command)),
                Effect::Reply { nexus, tag, reply } => {
                    self.replies.insert((nexus, tag), reply);
                }
                Effect::DropConnections => self.dropped = true,
                Effect::Event(_) => {}
            }
        }
    }

    fn end_session(&mut self, nexus: Nexus, input: Input) {
        if self.sessions.remove(&nexus) {
            self.submit();
            self.step(input);
            self.kept_back.retain(|kept| kept.0 != nexus);
        }
    }

    /// Gives the back end what it has room for.
    fn submit(&mut self) {
        for nexus in (0..NEXUSES).map(Nexus) {
            loop {
                let busy = self.started.iter().filter(|started| started.0 == nexus).count();
                let next = self.target.waiting(nexus).find(|tag| !self.kept_back.contains(&(nexus, *tag)));
                match next.filter(|_| busy < AT_BACK_END_MAX) {
                    Some(tag) => self.step(Input::Submit { nexus, tag }),
                    None => break,
                }
            }
        }
    }

    /// The back end is done with an operation: the one that is asked for, or the oldest. `false`: it has none.
    fn finish(&mut self, wanted: impl Fn(Nexus, Tag) -> bool) -> bool {
        if self.started.is_empty() {
            return false;
        }
        let at = self.started.iter().position(|started| wanted(started.0, started.1)).unwrap_or(0);
        let (nexus, tag, command) = self.started.remove(at);
        let outcome = match command {
            Command::Read(extent) => Outcome::Read(self.disk[range(extent)].to_vec()),
            Command::Write { extent, record } => {
                self.disk[range(extent)].fill(Block::Of(record));
                Outcome::Written
            }
            _ => Outcome::Flushed,
        };
        self.step(Input::Done { nexus, tag, outcome });
        true
    }
}

fn range(extent: Extent) -> std::ops::Range<usize> {
    let start = usize::try_from(extent.lba.0).expect("a small disk");
    start..start + usize::from(extent.blocks)
}

impl Way for Memory {
    fn login(&mut self, nexus: Nexus) -> Result<(), Trouble> {
        if self.sessions.contains(&nexus) {
            self.cut(nexus);
        }
        self.submit();
        while !self.target.accepts_login(nexus) {
            self.finish(|of, _| of == nexus);
        }
        self.step(Input::Login { node: NodeId(nexus.0), nexus });
        self.sessions.insert(nexus);
        Ok(())
    }

    fn logout(&mut self, nexus: Nexus) -> Result<(), Trouble> {
        self.end_session(nexus, Input::Logout { nexus });
        Ok(())
    }

    fn cut(&mut self, nexus: Nexus) {
        self.end_session(nexus, Input::LoseNexus { nexus });
    }

    fn send(&mut self, nexus: Nexus, command: &Command, data: DataOut) -> Result<Tag, Trouble> {
        if !self.sessions.contains(&nexus) {
            return Err(Trouble::Lost(format!("{nexus} has no session")));
        }
        self.tags += 1;
        let tag = Tag(self.tags);
        // Quirk `persist-late`: the table reaches stable storage one command later.
        if matches!(command, Command::PrOut(_)) && self.quirks.has(Quirk::PersistLate) {
            self.step(Input::Persist);
        }
        self.step(Input::Dispatch { nexus, tag, command: *command });
        if data == DataOut::KeptBack {
            self.kept_back.insert((nexus, tag));
        }
        self.submit();
        Ok(tag)
    }

    fn hand_over(&mut self, nexus: Nexus, tag: Tag) -> Result<(), Trouble> {
        self.kept_back.remove(&(nexus, tag));
        self.submit();
        Ok(())
    }

    fn receive(&mut self, nexus: Nexus, tag: Tag, _: Patience) -> Result<Option<Reply>, Trouble> {
        loop {
            if let Some(reply) = self.replies.remove(&(nexus, tag)) {
                if std::mem::take(&mut self.dropped) {
                    self.sessions.clone().into_iter().for_each(|nexus| self.cut(nexus));
                }
                return Ok(Some(reply));
            }
            self.submit();
            if !self.finish(|of, which| (of, which) == (nexus, tag)) {
                return Ok(None);
            }
        }
    }

    fn settle(&mut self) -> Result<(), Trouble> {
        self.submit();
        while self.finish(|_, _| false) {
            self.submit();
        }
        Ok(())
    }

    fn can_power_cycle(&self) -> bool {
        true
    }

    fn power_cycle(&mut self) -> Result<(), Trouble> {
        self.started.clear();
        self.kept_back.clear();
        self.replies.clear();
        self.sessions.clear();
        self.target = Target::power_on(self.config, self.quirks, self.stored.clone(), &mut Vec::new());
        Ok(())
    }
}
