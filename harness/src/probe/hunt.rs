//! Goes through the stories, and makes of each divergence a finding: reduced, named, and tolerated from then on.
//!
//! The idea: a divergence is the end of a story only the first time. It is reduced by delta debugging, each try from a clean unit; then it
//! joins the *tolerated* ones, whose consequences the judge adopts, and the same story is told again, further.

use super::finding::{Aspect, Mismatch, Signature};
use super::letters;
use super::player::{End, Played, Player, Tolerated};
use super::story::Step;
use super::way::Trouble;
use crate::shrink::{Fingerprint, Limit, Reduce, Tried, shrink};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Findings after which a target is left alone.
pub const FINDINGS_MAX: usize = 400;

/// Stories that may be tried to reduce one finding.
const TRIES_MAX: u64 = 80;

/// The same where each try ends the target.
const TRIES_WITH_RESTART_MAX: u64 = 12;

/// How often a story is told again after a finding in it.
const ROUNDS_MAX: usize = 12;

/// Attempts to come back to a target that has gone.
const RETURNS_MAX: u32 = 3;

/// How far to go.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Commands, about.
    pub commands: u64,
    /// Until when.
    pub until: Option<Instant>,
    /// Length up to which all words over the small alphabet are tried.
    pub depth: u32,
    /// Seed of the random stories.
    pub seed: u64,
}

/// A finding.
#[derive(Clone, Debug)]
pub struct Found {
    /// What it is.
    pub mismatch: Mismatch,
    /// The fewest steps that show it.
    pub story: Vec<Step>,
    /// What was sent and what came when they were carried out.
    pub log: Vec<String>,
    /// How often it was met.
    pub times: u64,
    /// Whether it was seen again when its story was carried out again.
    pub again: Again,
    /// It shows only after another finding, and may be its consequence.
    pub follows: Option<Signature>,
}

/// Whether a finding can be shown at will.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Again {
    /// Its reduced story shows it.
    Seen,
    /// Another of its family stands for it: its story was not told again.
    NotTried,
    /// Its story was told again, without it.
    NotSeen,
}

/// Why a hunt ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ended {
    /// Everything was tried that the bounds ask for.
    Whole,
    /// The bound on commands or time was met before every situation was tried with every letter.
    Cut,
    /// Somebody asked for it.
    Interrupted,
    /// The target is gone.
    Gone(Trouble),
    /// [`FINDINGS_MAX`]
    TooMany,
}

/// What a hunt gave.
#[derive(Clone, Debug)]
pub struct Hunt {
    /// The findings, in the order in which they were made.
    pub found: Vec<Found>,
    /// Why it ended.
    pub ended: Ended,
    /// Stories told, by kind.
    pub stories: BTreeMap<&'static str, u64>,
    /// Stories of which the end could not be judged, after a tolerated divergence.
    pub unclear: u64,
    /// What was noted.
    pub notes: BTreeSet<String>,
}

/// Steps as something that can be reduced.
#[derive(Clone, Debug)]
struct Tale(Vec<Step>);

impl Reduce for Tale {
    fn lists(&self) -> Vec<&'static str> {
        vec!["steps"]
    }

    fn len(&self, _: usize) -> usize {
        self.0.len()
    }

    fn retain(&self, _: usize, keep: &dyn Fn(usize) -> bool) -> Option<Tale> {
        let kept = self.0.iter().enumerate().filter(|(at, _)| keep(*at)).map(|(_, step)| *step);
        Some(Tale(kept.collect()))
    }

    /// Fewer writes under way.
    fn simpler(&self) -> Vec<Tale> {
        let mut all = Vec::new();
        for (at, step) in self.0.iter().enumerate() {
            let Step::Flight(flight) = step else { continue };
            let mut with = |writes: u8, withheld: bool| {
                let mut tale = self.clone();
                tale.0[at] = Step::Flight(super::story::Flight { writes, withheld, ..*flight });
                all.push(tale);
            };
            if flight.withheld && flight.writes > 0 {
                with(0, true);
                with(flight.writes, false);
            }
            if flight.writes > 1 {
                with(flight.writes - 1, flight.withheld);
            }
        }
        all
    }
}

/// The hunter.
pub struct Hunter<'p, 'w> {
    player: &'p mut Player<'w>,
    bounds: Bounds,
    stop: &'p AtomicBool,
    progress: &'p dyn Fn(u64, usize),
    tolerated: Tolerated,
    hunt: Hunt,
}

impl<'p, 'w> Hunter<'p, 'w> {
    /// A hunter on this stage. `progress` is told the number of commands and findings now and then.
    pub fn new(
        player: &'p mut Player<'w>,
        bounds: Bounds,
        stop: &'p AtomicBool,
        progress: &'p dyn Fn(u64, usize),
    ) -> Hunter<'p, 'w> {
        let hunt = Hunt {
            found: Vec::new(),
            ended: Ended::Whole,
            stories: BTreeMap::new(),
            unclear: 0,
            notes: BTreeSet::new(),
        };
        Hunter { player, bounds, stop, progress, tolerated: Tolerated::new(), hunt }
    }

    /// Goes through all stories within the bounds.
    pub fn hunt(mut self) -> Hunt {
        let ended = self.all();
        self.hunt.ended = ended.err().unwrap_or(Ended::Whole);
        self.hunt
    }

    /// Tells one story only, until nothing new comes of it.
    pub fn only(mut self, story: &[Step]) -> Hunt {
        self.hunt.ended = self.tell("given story", story).err().unwrap_or(Ended::Whole);
        self.hunt
    }

    fn all(&mut self) -> Result<(), Ended> {
        let cast = self.player.cast();
        let power = self.player.way().can_power_cycle();
        let letters = letters::letters(cast, power);
        let situations = letters::situations(cast);
        let look_around = letters::look_around(cast);
        for letter in &letters {
            for situation in &situations {
                let mut story = situation.clone();
                story.push(*letter);
                story.extend(&look_around);
                self.tell("every letter in every situation", &story)?;
            }
        }
        let alphabet = letters::small_alphabet();
        for length in 1..=self.bounds.depth {
            for number in 0.. {
                let Some(mut story) = letters::word(&alphabet, length, number) else { break };
                story.extend(&look_around);
                self.tell("all short words", &story)?;
            }
        }
        for number in 0.. {
            if self.spent() {
                break;
            }
            let story = letters::random(cast, &letters, self.bounds.seed.wrapping_add(number));
            match self.tell("random stories", &story) {
                Err(Ended::Cut) => break,
                other => other?,
            }
        }
        Ok(())
    }

    fn spent(&self) -> bool {
        self.player.commands >= self.bounds.commands
            || self.bounds.until.is_some_and(|until| Instant::now() >= until)
    }

    /// Tells a story, again and again while something new comes of it.
    fn tell(&mut self, kind: &'static str, story: &[Step]) -> Result<(), Ended> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(Ended::Interrupted);
        }
        if self.spent() {
            return Err(Ended::Cut);
        }
        *self.hunt.stories.entry(kind).or_default() += 1;
        for _ in 0..ROUNDS_MAX {
            let played = self.play(story)?;
            self.hunt.notes.extend(played.notes.iter().cloned());
            for old in &mut self.hunt.found {
                old.times +=
                    played.wrong.iter().filter(|one| one.signature == old.mismatch.signature).count() as u64;
            }
            self.hunt.unclear += u64::from(played.end == End::Unclear);
            if played.end != End::Diverged {
                return Ok(());
            }
            self.examine(story, &played)?;
            (self.progress)(self.player.commands, self.hunt.found.len());
        }
        Ok(())
    }

    /// Carries the story out. A target that has gone may come back.
    fn play(&mut self, story: &[Step]) -> Result<Played, Ended> {
        let mut trouble = Trouble::Silent;
        for _ in 0..RETURNS_MAX {
            let played = self.player.play(story, &self.tolerated);
            match &played.end {
                End::Broken(what) => trouble = what.clone(),
                End::Whole | End::Diverged | End::Unclear => return Ok(played),
            }
            if !self.player.way().can_power_cycle() {
                break;
            }
            if let Err(what) = self.player.restart() {
                trouble = what;
            }
        }
        Err(Ended::Gone(trouble))
    }

    /// Makes findings of what is new in a story.
    fn examine(&mut self, story: &[Step], played: &Played) -> Result<(), Ended> {
        let new: Vec<Mismatch> =
            played.wrong.iter().filter(|one| !self.tolerated.contains(&one.signature)).cloned().collect();
        for mismatch in new {
            if self.tolerated.contains(&mismatch.signature) {
                continue;
            }
            if self.hunt.found.len() >= FINDINGS_MAX {
                return Err(Ended::TooMany);
            }
            let found = self.reduce(story, mismatch, played);
            self.tolerated.insert(found.mismatch.signature.clone());
            self.hunt.found.push(found);
        }
        Ok(())
    }

    /// The fewest steps that show the divergence.
    fn reduce(&mut self, story: &[Step], mismatch: Mismatch, played: &Played) -> Found {
        let fingerprint = Fingerprint {
            property: "probe".to_owned(),
            divergence: mismatch.signature.line(),
            event: String::new(),
        };
        let kills = mismatch.signature.aspect == Aspect::Silence;
        let family = mismatch.family();
        let told = self.hunt.found.iter().any(|found| {
            let worse = found.mismatch.danger >= mismatch.danger;
            found.again == Again::Seen && worse && found.mismatch.family() == family
        });
        let tries_max = match (kills, self.player.way().can_power_cycle()) {
            // The first of a family stands for those that are no worse.
            _ if told => 0,
            (false, _) => TRIES_MAX,
            (true, true) => TRIES_WITH_RESTART_MAX,
            (true, false) => 0,
        };
        let mut last = None;
        let reduced = shrink(Tale(story.to_vec()), &fingerprint, Limit { tries_max }, |tale| {
            if self.stop.load(Ordering::Relaxed) {
                return Tried::Stop;
            }
            match self.play(&tale.0) {
                Ok(played) if played.wrong.iter().any(|one| one.signature == mismatch.signature) => {
                    last = Some(played);
                    Tried::Failed(fingerprint.clone())
                }
                Ok(_) => Tried::Passed,
                Err(_) => Tried::Stop,
            }
        });
        let again = match (&last, tries_max) {
            (Some(_), _) => Again::Seen,
            (None, 0) => Again::NotTried,
            (None, _) => Again::NotSeen,
        };
        let shown = last.as_ref().unwrap_or(played);
        let follows = shown
            .wrong
            .iter()
            .take_while(|one| one.signature != mismatch.signature)
            .find(|one| one.moves() && self.tolerated.contains(&one.signature))
            .map(|one| one.signature.clone());
        Found { story: reduced.case.0, log: shown.log.clone(), times: 1, again, follows, mismatch }
    }
}
