//! What an array remembers of third-party copies: how they ended, and the tokens that stand for data.
//!
//! A token is a right to read what it stands for, so it is bound to its unit and its blocks, nobody can guess it, and it ends when its
//! blocks change, when its issuer is preempted, with a reset, and when there are too many. The array keeps no time, so it does not end by age.
//! Copies stay inside one logical unit: what is copied from or to another one is unreachable.
//!
//! **Deliberately absent:** copies between units. Each of them would need a task in both, and PREEMPT AND ABORT on either to wait for it.

use super::answers::identity;
use super::config::{Config, UnitConfig};
use super::job::{Copy, Ended, Job};
use super::plan::is_beyond;
use super::span::Span;
use super::task::Key;
use crate::scsi::cdb::Cdb;
use crate::scsi::copy::{self, CopyList, Segment, THIS_UNIT, TokenStatus, UseToken};
use crate::scsi::sense::{Format, SenseData};
use crate::scsi::vpd;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use redline_vocab::{LunView, Nexus, Sense};
use sha2::{Digest, Sha256};

/// 0A/00/00
const COPY_ABORTED: Sense = Sense { key: 0x0a, asc: 0x00, ascq: 0x00 };
/// 0A/08/04
const UNREACHABLE: Sense = Sense { key: 0x0a, asc: 0x08, ascq: 0x04 };
/// 05/23/04: the token is not one that we have made, or it has ended.
const TOKEN_UNKNOWN: Sense = Sense { key: 0x05, asc: 0x23, ascq: 0x04 };
/// Copies whose end is remembered.
const ENDED_MAX: usize = 64;
/// Tokens that are remembered.
const TOKENS_MAX: usize = 64;

/// The store of tokens and ends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Copies {
    secret: [u8; 32],
    next: u64,
    tokens: VecDeque<Token>,
    ended: VecDeque<Past>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Token {
    unit: usize,
    issuer: Nexus,
    /// The issuer was registered when it made the token.
    registered: bool,
    bytes: Vec<u8>,
    spans: Vec<Span>,
}

/// A copy that has begun, and how it ended.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Past {
    key: Key,
    unit: usize,
    list: u32,
    kind: Kind,
    segments: u16,
    end: Option<End>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Kind {
    Copy,
    Populate { token: Vec<u8>, blocks: u64 },
    Use { block_bytes: u32 },
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct End {
    moved: u64,
    failed: Option<SenseData>,
}

/// What a new token is about.
pub(super) struct Source<'a> {
    pub(super) config: &'a Config,
    /// Whether the issuer is registered.
    pub(super) registered: bool,
    pub(super) spans: Vec<Span>,
}

impl Copies {
    /// Nothing is remembered.
    pub(super) fn new(secret: [u8; 32]) -> Copies {
        Copies { secret, next: 1, tokens: VecDeque::new(), ended: VecDeque::new() }
    }

    /// The number stands for another nexus.
    pub(super) fn forget(&mut self, nexus: Nexus) {
        self.ended.retain(|past| past.key.0 != nexus);
        self.tokens.retain(|token| token.issuer != nexus);
    }

    /// The unit was reset: its tokens and ends are gone.
    pub(super) fn reset(&mut self, unit: usize) {
        self.ended.retain(|past| past.unit != unit);
        self.tokens.retain(|token| token.unit != unit);
    }

    /// The registrations have changed: whoever was registered when it made a token and is no more has lost that right with the others.
    pub(super) fn registered(&mut self, unit: usize, view: &LunView) {
        let is_registered = |nexus| view.registrants.iter().any(|entry| entry.0 == nexus);
        self.tokens.retain(|token| token.unit != unit || !token.registered || is_registered(token.issuer));
    }

    /// An EXTENDED COPY begins.
    pub(super) fn begin(&mut self, key: Key, unit: usize, list: &CopyList) {
        if !list.discards_status {
            let segments = u16::try_from(list.segments.len()).expect("there are few segments in a list");
            self.remember(Past {
                key,
                unit,
                list: u32::from(list.list),
                kind: Kind::Copy,
                segments,
                end: None,
            });
        }
    }

    fn remember(&mut self, past: Past) {
        self.ended.retain(|other| (other.key.0, other.list) != (past.key.0, past.list));
        if self.ended.len() == ENDED_MAX {
            self.ended.pop_front();
        }
        self.ended.push_back(past);
    }

    /// POPULATE TOKEN: makes a token; the job has nothing left to do but to end.
    pub(super) fn populate(
        &mut self,
        key: Key,
        list: u32,
        unit: usize,
        source: Source,
    ) -> Result<Job, SenseData> {
        let Source { config, registered, spans } = source;
        let blocks: u64 = spans.iter().map(|span| span.blocks).sum();
        let bytes = spans.iter().map(Span::bytes).sum();
        if blocks == 0 || blocks > u64::from(copy::TOKEN_BLOCKS_MAX) {
            return Err(SenseData::of(Sense::INVALID_FIELD_IN_PARAMETER_LIST));
        }
        let id = self.next;
        self.next += 1;
        let naa = vpd::naa(&identity(config, &config.units[unit]));
        let proof = Sha256::new_with_prefix(self.secret).chain_update(id.to_be_bytes()).chain_update(naa);
        let token = copy::encode_token(id, &naa, bytes, proof.finalize().into());
        if self.tokens.len() == TOKENS_MAX {
            self.tokens.pop_front();
        }
        self.tokens.push_back(Token { unit, issuer: key.0, registered, bytes: token.clone(), spans });
        let kind = Kind::Populate { token, blocks };
        self.remember(Past { key, unit, list, kind, segments: 0, end: None });
        Ok(Job::Nothing)
    }

    /// WRITE USING TOKEN: what the token stands for, from the offset on, goes into the spans.
    pub(super) fn use_token(
        &mut self,
        key: Key,
        list: u32,
        unit: usize,
        wanted: &UseToken,
        spans: &[Span],
    ) -> Result<Job, SenseData> {
        let at = self.tokens.iter().position(|token| token.unit == unit && token.bytes == wanted.token);
        let at = at.ok_or(SenseData::of(TOKEN_UNKNOWN))?;
        let source = &self.tokens[at].spans;
        let pairs = zipped(source, wanted.offset, spans)
            .ok_or(SenseData::of(Sense::INVALID_FIELD_IN_PARAMETER_LIST))?;
        if wanted.deletes {
            self.tokens.remove(at);
        }
        let block_bytes = spans.first().map_or(1, |span| span.block_bytes);
        self.remember(Past { key, unit, list, kind: Kind::Use { block_bytes }, segments: 0, end: None });
        Ok(Job::Copy(Copy::new(pairs)))
    }

    /// A job has ended. Tokens for blocks that it may have changed end with it.
    pub(super) fn ended(&mut self, key: Key, unit: usize, job: &Job, ended: &Ended) {
        if !self.tokens.is_empty() {
            job.each_span(|span, writes| {
                let hit =
                    |token: &Token| token.unit == unit && token.spans.iter().any(|own| own.overlaps(&span));
                self.tokens.retain(|token| !(writes && hit(token)));
            });
        }
        if let Some(past) = self.ended.iter_mut().find(|past| past.key == key && past.end.is_none()) {
            let moved = match job {
                Job::Copy(copy) => copy.moved,
                _ => 0,
            };
            let failed = match ended {
                Ended::Failed(sense) => Some(*sense),
                Ended::Done | Ended::Data(_) => None,
            };
            past.end = Some(End { moved, failed });
        }
    }

    /// RECEIVE COPY RESULTS and its neighbours, cut to their allocation length.
    pub(super) fn results(
        &self,
        cdb: &Cdb,
        nexus: Nexus,
        unit: usize,
        config: &UnitConfig,
    ) -> Result<Vec<u8>, SenseData> {
        let unknown = SenseData::in_cdb(2);
        let (mut data, allocation) = match *cdb {
            Cdb::ReceiveCopyParameters { allocation } => {
                (copy::encode_operating_parameters(u32::from(u16::MAX) * config.block_bytes), allocation)
            }
            Cdb::ReceiveCopyStatus { list, allocation } => {
                let past = self.past(nexus, unit, u32::from(list)).ok_or(unknown)?;
                let (Kind::Copy, Some(end)) = (&past.kind, &past.end) else { return Err(unknown) };
                let good = end.failed.is_none();
                let segments = if good { past.segments } else { 0 };
                (copy::encode_copy_status(good, segments, end.moved), allocation)
            }
            Cdb::ReceiveRodTokenInformation { list, allocation } => {
                let past = self.past(nexus, unit, list).ok_or(unknown)?;
                let status = token_status(past).ok_or(unknown)?;
                (copy::encode_token_status(&status), allocation)
            }
            _ => return Err(unknown),
        };
        data.truncate(usize::try_from(allocation).unwrap_or(usize::MAX));
        Ok(data)
    }

    fn past(&self, nexus: Nexus, unit: usize, list: u32) -> Option<&Past> {
        self.ended.iter().find(|past| past.key.0 == nexus && past.unit == unit && past.list == list)
    }
}

/// How a token copy ended; `None` if it has not, or is none.
fn token_status(past: &Past) -> Option<TokenStatus> {
    let End { moved, failed } = past.end.as_ref()?;
    let good = failed.is_none();
    let sense = failed.map(|sense| sense.encode(Format::Descriptors)).unwrap_or_default();
    match &past.kind {
        Kind::Copy => None,
        Kind::Populate { token, blocks } => {
            let token = good.then(|| token.clone());
            Some(TokenStatus { action: 0x10, good, blocks: if good { *blocks } else { 0 }, sense, token })
        }
        Kind::Use { block_bytes } => {
            let blocks = moved / u64::from(*block_bytes);
            Some(TokenStatus { action: 0x11, good, blocks, sense, token: None })
        }
    }
}

/// Pairs of equally long spans: what is in `from`, behind the first `skip` blocks, in the order of `to`. `None` if there is not enough.
fn zipped(from: &[Span], mut skip: u64, to: &[Span]) -> Option<Vec<(Span, Span)>> {
    let mut pairs = Vec::new();
    let mut sources = from.iter().copied();
    let mut source = sources.next()?;
    for span in to {
        let mut left = *span;
        while left.blocks > 0 {
            if skip >= source.blocks {
                skip -= source.blocks;
                source = sources.next()?;
                continue;
            }
            let blocks = left.blocks.min(source.blocks - skip);
            let piece = Span { lba: source.lba + skip, blocks, ..source };
            pairs.push((piece, Span { blocks, ..left }));
            skip += blocks;
            left = Span { lba: left.lba + blocks, blocks: left.blocks - blocks, ..left };
        }
    }
    Some(pairs)
}

/// What an EXTENDED COPY copies, inside the unit with the NAA designator `own`.
pub(super) fn pairs(
    list: &CopyList,
    config: &UnitConfig,
    own: [u8; 8],
) -> Result<Vec<(Span, Span)>, SenseData> {
    let here = |index: u16| {
        let named = list.units.get(usize::from(index));
        let is_own = index == THIS_UNIT
            || named.is_some_and(|unit| {
                unit.kind == 0x03 && unit.designator == own && unit.block_bytes == config.block_bytes
            });
        is_own.then_some(()).ok_or(SenseData::of(UNREACHABLE))
    };
    let pair = |segment: &Segment| {
        here(segment.source)?;
        here(segment.destination)?;
        let span = |lba| {
            let blocks = u64::from(segment.blocks);
            let fits = !is_beyond(lba, blocks, config);
            fits.then_some(Span { lba, blocks, block_bytes: config.block_bytes })
                .ok_or(SenseData::of(COPY_ABORTED))
        };
        Ok((span(segment.from)?, span(segment.to)?))
    };
    list.segments.iter().map(pair).collect()
}
