//! The data of one command: what the initiator sends for it, and what is sent to it.
//!
//! Write data come in up to three ways: in the command PDU, unsolicited behind it, and by R2T. They come in order, because
//! DataPDUInOrder and DataSequenceInOrder hold: the next byte is always the one behind the last. A Data-Out that does not fit (DataSN,
//! offset, length, flags) breaks the command; the rest of its sequence is still taken in and dropped, so that the stream stays in step.

use crate::array::Response;
use crate::iscsi::NO_TAG;
use crate::iscsi::negotiate::Parameters;
use crate::iscsi::pdu::{self, DataOut, Gather, Header, Numbers, Payload, Residual, Writer};
use crate::iscsi::serial::Sn;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use bytes::Bytes;
use redline_vocab::Tag;

/// What was wrong with a command's data.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Broken {
    /// Numbers, offsets, lengths or flags.
    Order,
    /// The data digest.
    Digest,
}

/// A sequence that an R2T has asked for.
#[derive(Clone, Debug)]
struct Burst {
    transfer: u32,
    end: u32,
    length: u32,
    data_sn: Sn,
}

/// What is left to do after a step of a command's transfer.
#[derive(Debug)]
pub(super) enum Due {
    /// Nothing.
    Nothing,
    /// The array gets the data.
    Data(Vec<Bytes>),
    /// The array hears that the data are broken.
    Broken,
    /// An R2T could be sent.
    Request,
}

/// A command that is not answered.
#[derive(Clone, Debug)]
pub(super) struct Task {
    lun: [u8; 8],
    tag: Tag,
    expected: u32,
    reads: bool,
    writes: bool,
    /// Unsolicited Data-Out still follow.
    unsolicited: Option<Sn>,
    gathered: Gather,
    /// What the array asked for, at most what the initiator expects to send.
    wanted: Option<u32>,
    bursts: VecDeque<Burst>,
    requested: u32,
    r2t_sn: Sn,
    broken: Option<Broken>,
    handed_over: bool,
}

impl Task {
    /// A command as it came, with its immediate data.
    pub(super) fn new(command: &pdu::Command, immediate: Payload, holds: &Parameters) -> Task {
        let allowed = if holds.immediate_data { holds.first_burst_max.min(command.expected) } else { 0 };
        let follows = command.writes && !command.last;
        let broken = immediate.len() > allowed as usize && command.writes || follows && holds.initial_r2t;
        let mut task = Task {
            lun: command.lun,
            tag: command.tag,
            expected: command.expected,
            reads: command.reads,
            writes: command.writes,
            unsolicited: follows.then_some(Sn(0)),
            gathered: Gather::default(),
            wanted: None,
            bursts: VecDeque::new(),
            requested: 0,
            r2t_sn: Sn(0),
            broken: broken.then_some(Broken::Order),
            handed_over: false,
        };
        if command.writes && !broken {
            task.gathered.push(immediate);
        }
        task
    }

    /// Bytes held.
    pub(super) fn held(&self) -> usize {
        self.gathered.len()
    }

    /// Bytes asked for by R2T that have not come.
    pub(super) fn outstanding(&self) -> u32 {
        self.bursts.iter().map(|burst| burst.length).sum()
    }

    /// Its data, if they were broken, were broken by the data digest.
    pub(super) fn digest_failed(&self) -> bool {
        self.broken == Some(Broken::Digest)
    }

    /// The array wants this much.
    pub(super) fn want(&mut self, bytes: u32) -> Due {
        self.wanted = Some(if self.writes { bytes.min(self.expected) } else { 0 });
        self.due()
    }

    /// A Data-Out came.
    pub(super) fn data_out(&mut self, pdu: &DataOut, data: Payload, intact: bool, holds: &Parameters) -> Due {
        if pdu.transfer == NO_TAG {
            self.unsolicited_data(pdu, data, intact, holds);
        } else {
            self.solicited_data(pdu, data, intact);
        }
        self.due()
    }

    fn unsolicited_data(&mut self, pdu: &DataOut, data: Payload, intact: bool, holds: &Parameters) {
        let Some(data_sn) = self.unsolicited else {
            self.spoil(Broken::Order);
            return;
        };
        self.unsolicited = (!pdu.last).then_some(data_sn.next());
        let limit = holds.first_burst_max.min(self.expected);
        if !intact {
            self.spoil(Broken::Digest);
        } else if pdu.data_sn != data_sn || !self.fits(pdu.offset, &data, limit) {
            self.spoil(Broken::Order);
        } else if self.broken.is_none() {
            self.gathered.push(data);
        }
    }

    fn solicited_data(&mut self, pdu: &DataOut, data: Payload, intact: bool) {
        // A sequence that was not asked for, or asked for by a command that had this tag before: nobody waits for it.
        let Some(place) = self.bursts.iter().position(|burst| burst.transfer == pdu.transfer) else { return };
        let (end, data_sn) = (self.bursts[place].end, self.bursts[place].data_sn);
        self.bursts[place].data_sn = data_sn.next();
        let reaches = (pdu.offset as usize).saturating_add(data.len());
        if !intact {
            self.spoil(Broken::Digest);
        } else if place != 0
            || pdu.data_sn != data_sn
            || !self.fits(pdu.offset, &data, end)
            || pdu.last != (reaches == end as usize)
        {
            self.spoil(Broken::Order);
        } else if self.broken.is_none() {
            self.gathered.push(data);
        }
        if pdu.last {
            self.bursts.remove(place);
        }
    }

    /// The data stand behind what is there, and end at `limit` or before.
    fn fits(&self, offset: u32, data: &Payload, limit: u32) -> bool {
        let here = self.gathered.len();
        self.broken.is_some() || (offset as usize == here && here + data.len() <= limit as usize)
    }

    fn spoil(&mut self, how: Broken) {
        self.broken.get_or_insert(how);
        self.gathered = Gather::default();
    }

    fn due(&mut self) -> Due {
        let Some(wanted) = self.wanted.filter(|_| !self.handed_over) else { return Due::Nothing };
        if self.unsolicited.is_some() {
            return Due::Nothing;
        }
        if self.broken.is_some() {
            if !self.bursts.is_empty() {
                return Due::Nothing;
            }
            self.handed_over = true;
            return Due::Broken;
        }
        if self.gathered.len() >= wanted as usize {
            self.handed_over = true;
            return Due::Data(self.gathered.take(wanted as usize));
        }
        if self.next_request().is_some() { Due::Request } else { Due::Nothing }
    }

    /// From where on the next R2T would ask, and how much is wanted behind that. None: nothing more is to be asked for, or not yet.
    fn next_request(&self) -> Option<(u32, u32)> {
        let idle = self.handed_over || self.broken.is_some() || self.unsolicited.is_some();
        let wanted = self.wanted.filter(|_| !idle)?;
        let from = self.requested.max(self.gathered.len() as u32);
        (from < wanted).then(|| (from, wanted - from))
    }

    /// Sends one R2T, if another one is due and allowed. Returns how many bytes it asks for.
    pub(super) fn request(
        &mut self,
        holds: &Parameters,
        transfer: u32,
        numbers: Numbers,
        out: &mut Writer,
    ) -> Option<u32> {
        let (offset, missing) = self.next_request().filter(|_| self.bursts.len() < holds.r2t_max as usize)?;
        let length = missing.min(holds.burst_max);
        out.put(
            &Header::ReadyToTransfer(pdu::ReadyToTransfer {
                lun: self.lun,
                tag: self.tag,
                transfer,
                numbers,
                r2t_sn: self.r2t_sn,
                offset,
                length,
            }),
            &[],
        );
        self.requested = offset + length;
        self.r2t_sn = self.r2t_sn.next();
        self.bursts.push_back(Burst { transfer, end: offset + length, length, data_sn: Sn(0) });
        Some(length)
    }

    /// How the command's length differs from what the initiator expects.
    fn residual(&self, response: &Response) -> Residual {
        // Data in a direction that the initiator has not announced are not transferred at all.
        let astray = !response.data.is_empty() && !self.reads && self.writes;
        let moves = if astray { 0 } else { response.length };
        let expected = u64::from(self.expected);
        match moves.checked_sub(expected) {
            Some(0) => Residual::None,
            Some(more) => Residual::Overflow(u32::try_from(more).unwrap_or(u32::MAX)),
            None => Residual::Underflow((expected - moves) as u32),
        }
    }

    /// Sends the answer: data in segments that the initiator takes, the status in the last of them if it is GOOD, else in a SCSI Response.
    /// `numbers` are those of the PDU with the status.
    pub(super) fn respond(
        &self,
        response: &Response,
        holds: &Parameters,
        numbers: Numbers,
        out: &mut Writer,
    ) {
        let residual = self.residual(response);
        let mut data = if self.reads { response.data.clone() } else { Bytes::new() };
        data.truncate(self.expected as usize);
        let with_status = response.status == 0 && response.sense.is_empty() && !data.is_empty();
        let mut data_sn = Sn(0);
        let (mut offset, mut burst) = (0, holds.burst_max);
        while !data.is_empty() {
            let segment = data.split_to(data.len().min(holds.send_max.min(burst) as usize));
            let length = segment.len() as u32;
            burst -= length;
            let end = data.is_empty();
            out.put(
                &Header::DataIn(pdu::DataIn {
                    last: end || burst == 0,
                    acknowledge: false,
                    status: (end && with_status).then_some(response.status),
                    residual: if end && with_status { residual } else { Residual::None },
                    lun: [0; 8],
                    tag: self.tag,
                    transfer: NO_TAG,
                    numbers,
                    data_sn,
                    offset,
                }),
                &[segment],
            );
            offset += length;
            data_sn = data_sn.next();
            if burst == 0 {
                burst = holds.burst_max;
            }
        }
        if with_status {
            return;
        }
        let answer = Header::Response(pdu::Response {
            tag: self.tag,
            numbers,
            response: 0,
            status: response.status,
            residual,
            exp_data_sn: data_sn.plus(self.r2t_sn.0).0,
        });
        if response.sense.is_empty() {
            out.put(&answer, &[]);
        } else {
            let mut sense = Vec::with_capacity(2 + response.sense.len());
            sense.extend_from_slice(&(response.sense.len() as u16).to_be_bytes());
            sense.extend_from_slice(&response.sense);
            out.put(&answer, &[Bytes::from(sense)]);
        }
    }
}
