//! Commands of an initiator: sending them, moving their data, taking their answers.

use super::{Effect, Event, Failure, Initiator};
use crate::iscsi::NO_TAG;
use crate::iscsi::pdu::{
    Command, DataIn, DataOut, Header, Payload, ReadyToTransfer, Request, Residual, Response,
};
use crate::iscsi::serial::Sn;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use bytes::Bytes;
use redline_vocab::Tag;

/// Which way a command's data go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Direction {
    /// None.
    None,
    /// From the target: this many bytes are expected.
    In(u32),
    /// To the target: this many bytes are announced, and these are there to be sent.
    Out {
        /// Expected data transfer length.
        expected: u32,
        /// The data; more than is announced is not sent.
        data: Vec<Bytes>,
        /// Send nothing before [`super::Input::Release`]: not with the command, not unasked, not when asked.
        withheld: bool,
    },
}

/// A command to be sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ScsiCommand {
    /// Initiator task tag; in no use.
    pub tag: Tag,
    /// LUN.
    pub lun: [u8; 8],
    /// CDB, padded with zeros.
    pub cdb: [u8; 16],
    /// Its data.
    pub direction: Direction,
    /// Task attribute (1 simple, 2 ordered, 3 head of queue).
    pub attribute: u8,
    /// Ahead of the order of commands.
    pub immediate: bool,
}

/// A command's answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Completion {
    /// Which.
    pub tag: Tag,
    /// The iSCSI response: 0 unless the target failed.
    pub response: u8,
    /// SCSI status.
    pub status: u8,
    /// Sense data, without their length.
    pub sense: Bytes,
    /// Data-In.
    pub data: Payload,
    /// Residual.
    pub residual: Residual,
}

/// A command that is not answered.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    cmd_sn: Sn,
    lun: [u8; 8],
    readable: u32,
    data_out: Payload,
    withheld: bool,
    asked: VecDeque<ReadyToTransfer>,
    data_in: Payload,
    data_sn: Sn,
    r2t_sn: Sn,
}

impl Pending {
    pub(super) fn cmd_sn(&self) -> Sn {
        self.cmd_sn
    }
}

/// `length` bytes from `offset` on.
fn cut(payload: &Payload, offset: usize, length: usize) -> Vec<Bytes> {
    let (mut skip, mut left) = (offset, length);
    let mut out = Vec::new();
    for piece in payload.pieces() {
        let from = skip.min(piece.len());
        let until = (from + left).min(piece.len());
        skip -= from;
        left -= until - from;
        if from < until {
            out.push(piece.slice(from..until));
        }
    }
    out
}

impl Initiator {
    pub(super) fn send_command(&mut self, command: ScsiCommand, request: Request) {
        let (reads, writes, expected) = match &command.direction {
            Direction::None => (false, false, 0),
            Direction::In(expected) => (true, false, *expected),
            Direction::Out { expected, .. } => (false, true, *expected),
        };
        let mut pending = Pending {
            cmd_sn: request.cmd_sn,
            lun: command.lun,
            readable: if reads { expected } else { 0 },
            data_out: Payload::default(),
            withheld: false,
            asked: VecDeque::new(),
            data_in: Payload::default(),
            data_sn: Sn(0),
            r2t_sn: Sn(0),
        };
        if let Direction::Out { data, withheld, .. } = command.direction {
            pending.data_out = data.into_iter().collect();
            pending.withheld = withheld;
        }
        let total = pending.data_out.len().min(expected as usize);
        let unasked = if pending.withheld { 0 } else { total.min(self.holds.first_burst_max as usize) };
        let with_command =
            if self.holds.immediate_data { unasked.min(self.holds.send_max as usize) } else { 0 };
        let follows = !self.holds.initial_r2t && with_command < unasked;
        let header = Command {
            request,
            last: !follows,
            reads,
            writes,
            attribute: command.attribute,
            lun: command.lun,
            tag: command.tag,
            expected,
            cdb: command.cdb,
        };
        self.out.put(&Header::Command(header), &cut(&pending.data_out, 0, with_command));
        if follows {
            self.send_data(command.tag, &pending, NO_TAG, with_command, unasked - with_command);
        }
        self.pending.insert(command.tag, pending);
    }

    /// One sequence of Data-Out.
    fn send_data(&mut self, tag: Tag, pending: &Pending, transfer: u32, offset: usize, length: usize) {
        let (mut at, end) = (offset, offset + length);
        let mut data_sn = Sn(0);
        while at < end {
            let segment = (end - at).min(self.holds.send_max as usize);
            let header = DataOut {
                last: at + segment == end,
                lun: pending.lun,
                tag,
                transfer,
                exp_stat_sn: self.exp_stat_sn,
                data_sn,
                offset: at as u32,
            };
            self.out.put(&Header::DataOut(header), &cut(&pending.data_out, at, segment));
            data_sn = data_sn.next();
            at += segment;
        }
    }

    pub(super) fn ready_to_transfer(
        &mut self,
        pdu: &ReadyToTransfer,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Failure> {
        // One for a command that has ended, by abort for instance.
        let Some(mut pending) = self.pending.remove(&pdu.tag) else { return Ok(()) };
        let end = u64::from(pdu.offset) + u64::from(pdu.length);
        if pdu.r2t_sn != pending.r2t_sn || end > pending.data_out.len() as u64 || pdu.length == 0 {
            return Err(Failure::Data { tag: pdu.tag });
        }
        pending.r2t_sn = pending.r2t_sn.next();
        if pending.withheld {
            pending.asked.push_back(*pdu);
            let (tag, offset, length) = (pdu.tag, pdu.offset, pdu.length);
            effects.push(Effect::Event(Event::Withheld { tag, offset, length }));
        } else {
            self.send_data(pdu.tag, &pending, pdu.transfer, pdu.offset as usize, pdu.length as usize);
        }
        self.pending.insert(pdu.tag, pending);
        Ok(())
    }

    pub(super) fn release(&mut self, tag: Tag) {
        let Some(mut pending) = self.pending.remove(&tag) else { return };
        pending.withheld = false;
        while let Some(pdu) = pending.asked.pop_front() {
            self.send_data(tag, &pending, pdu.transfer, pdu.offset as usize, pdu.length as usize);
        }
        self.pending.insert(tag, pending);
    }

    pub(super) fn data_in(
        &mut self,
        pdu: &DataIn,
        data: Payload,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Failure> {
        let Some(pending) = self.pending.get_mut(&pdu.tag) else { return Ok(()) };
        let here = pending.data_in.len();
        let fits = here + data.len() <= pending.readable as usize;
        if !fits || pdu.offset as usize != here || pdu.data_sn != pending.data_sn {
            return Err(Failure::Data { tag: pdu.tag });
        }
        pending.data_sn = pending.data_sn.next();
        data.into_pieces().for_each(|piece| pending.data_in.push(piece));
        if let Some(status) = pdu.status {
            self.complete(pdu.tag, 0, status, Bytes::new(), pdu.residual, effects);
        }
        Ok(())
    }

    pub(super) fn response(
        &mut self,
        pdu: &Response,
        data: &Payload,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Failure> {
        let data = data.joined();
        let sense = match data.get(..2) {
            Some(length) => {
                let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
                if data.len() < 2 + length {
                    return Err(Failure::Data { tag: pdu.tag });
                }
                data.slice(2..2 + length)
            }
            None => Bytes::new(),
        };
        self.complete(pdu.tag, pdu.response, pdu.status, sense, pdu.residual, effects);
        Ok(())
    }

    fn complete(
        &mut self,
        tag: Tag,
        response: u8,
        status: u8,
        sense: Bytes,
        residual: Residual,
        effects: &mut Vec<Effect>,
    ) {
        let Some(pending) = self.pending.remove(&tag) else { return };
        let completion = Completion { tag, response, status, sense, data: pending.data_in, residual };
        effects.push(Effect::Event(Event::Completed(completion)));
    }
}
