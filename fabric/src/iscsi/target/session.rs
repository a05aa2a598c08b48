//! One session in the full feature phase: order of commands, and what each PDU does.
//!
//! Commands that are not immediate are executed in the order of their CmdSN, whatever order they come in; those outside of the window are
//! dropped without a word (RFC 7143, 4.2.2.1). A rejected PDU counts as not received.

use super::reason::CloseReason;
use super::transfer::{Due, Task};
use super::{Config, Effect};
use crate::array::{self, Function, InitiatorPort, Managed, TargetPort};
use crate::iscsi::NO_TAG;
use crate::iscsi::negotiate;
use crate::iscsi::negotiate::{Key, Parameters, Purpose};
use crate::iscsi::pdu::{
    self, Bhs, Command, DataOut, Frame, Header, HeaderError, LogoutRequest, NopOut, Numbers, Payload,
    TaskRequest, TextRequest, Writer, reject,
};
use crate::iscsi::serial::Sn;
use crate::iscsi::text::Text;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use bytes::Bytes;
use redline_vocab::{Micros, Nexus, Tag};

/// A PDU that waits for those before it.
#[derive(Clone, Debug)]
enum Held {
    Pdu(Frame),
    /// A task management function has ended the command before it could begin.
    Void,
}

/// Why a PDU is rejected (a reason of [`reject`]).
struct Rejected(u8);

/// A text that is not complete.
#[derive(Clone, Debug)]
struct Partial {
    transfer: u32,
    data: Vec<u8>,
}

/// Whether the connection goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Flow {
    /// It does.
    On,
    /// The initiator has logged out.
    LoggedOut,
}

/// A session with its one connection.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) initiator: InitiatorPort,
    pub(super) port: TargetPort,
    pub(super) purpose: Purpose,
    /// The array's number for it; a discovery session has none.
    pub(super) nexus: Option<Nexus>,
    pub(super) tsih: u16,
    pub(super) cid: u16,
    pub(super) holds: Parameters,
    stat_sn: Sn,
    exp_cmd_sn: Sn,
    max_cmd_sn: Sn,
    window: u32,
    held: BTreeMap<u32, Held>,
    tasks: BTreeMap<Tag, Task>,
    managing: BTreeSet<Tag>,
    /// Commands whose next R2T waits for room.
    waiting: VecDeque<Tag>,
    /// Bytes that were asked for and have not come.
    solicited: usize,
    /// Bytes held: in [`Session::held`] and in the tasks.
    pub(super) buffered: usize,
    transfer: u32,
    text: Option<Partial>,
    /// An unanswered ping, and since when.
    pub(super) pinged: Option<Micros>,
    /// When the initiator, asked to log out, must have done so.
    pub(super) logout_by: Option<Micros>,
}

/// What a session is begun with.
pub(super) struct Begin {
    pub(super) initiator: InitiatorPort,
    pub(super) port: TargetPort,
    pub(super) purpose: Purpose,
    pub(super) nexus: Option<Nexus>,
    pub(super) tsih: u16,
    pub(super) cid: u16,
    pub(super) holds: Parameters,
    pub(super) stat_sn: Sn,
    pub(super) cmd_sn: Sn,
    pub(super) window: u32,
}

/// What a step of a session works on beside the session itself.
pub(super) struct Around<'a> {
    pub(super) config: &'a Config,
    pub(super) out: &'a mut Writer,
    pub(super) effects: &'a mut Vec<Effect>,
}

impl Session {
    pub(super) fn new(begin: Begin) -> Session {
        Session {
            initiator: begin.initiator,
            port: begin.port,
            purpose: begin.purpose,
            nexus: begin.nexus,
            tsih: begin.tsih,
            cid: begin.cid,
            holds: begin.holds,
            stat_sn: begin.stat_sn,
            exp_cmd_sn: begin.cmd_sn,
            max_cmd_sn: begin.cmd_sn.plus(begin.window - 1),
            window: begin.window,
            held: BTreeMap::new(),
            tasks: BTreeMap::new(),
            managing: BTreeSet::new(),
            waiting: VecDeque::new(),
            solicited: 0,
            buffered: 0,
            transfer: 0,
            text: None,
            pinged: None,
            logout_by: None,
        }
    }

    /// How many commands and task management functions are not answered.
    pub(super) fn outstanding(&self) -> usize {
        self.tasks.len() + self.managing.len()
    }

    /// Takes one PDU.
    ///
    /// # Errors
    ///
    /// The connection must be closed.
    pub(super) fn receive(&mut self, frame: Frame, around: &mut Around<'_>) -> Result<Flow, CloseReason> {
        let header = match frame.header {
            Ok(header) => header,
            Err(error) => {
                let reason = if matches!(error, HeaderError::Opcode(_)) {
                    reject::UNSUPPORTED
                } else {
                    reject::PROTOCOL
                };
                self.reject(reason, &frame.bhs, around);
                return Ok(Flow::On);
            }
        };
        if let Header::DataOut(pdu) = header {
            if !frame.intact {
                self.reject(reject::DATA_DIGEST, &frame.bhs, around);
            }
            self.data_out(&pdu, frame.data, frame.intact, around);
        } else if let Header::LoginRequest(_) = header {
            return Err(CloseReason::LoginAgain);
        } else if !frame.intact {
            self.reject(reject::DATA_DIGEST, &frame.bhs, around);
        } else if let Some(request) = header.request() {
            return self.ordered(request, frame, around);
        } else {
            let reason = if matches!(header, Header::Snack(_)) { reject::SNACK } else { reject::PROTOCOL };
            self.reject(reason, &frame.bhs, around);
        }
        self.within(around.config)
    }

    fn within(&self, config: &Config) -> Result<Flow, CloseReason> {
        let allowed = config.limits.buffered_max;
        if self.buffered > allowed {
            return Err(CloseReason::Buffered { held: self.buffered, allowed });
        }
        Ok(Flow::On)
    }

    /// A PDU that has a CmdSN: it and what waited for it are executed when it is their turn.
    fn ordered(
        &mut self,
        request: pdu::Request,
        frame: Frame,
        around: &mut Around<'_>,
    ) -> Result<Flow, CloseReason> {
        if request.immediate {
            let bhs = frame.bhs;
            return match self.execute(frame, around) {
                // A task management function may have closed a hole.
                Ok(Flow::On) => self.catch_up(around),
                Ok(Flow::LoggedOut) => Ok(Flow::LoggedOut),
                Err(Rejected(reason)) => {
                    self.reject(reason, &bhs, around);
                    Ok(Flow::On)
                }
            };
        }
        let ahead = request.cmd_sn.ahead_of(self.exp_cmd_sn);
        let window = self.max_cmd_sn.next().ahead_of(self.exp_cmd_sn);
        if ahead >= window || self.held.contains_key(&request.cmd_sn.0) {
            return Ok(Flow::On);
        }
        if ahead > 0 {
            self.buffered += frame.data.len();
            self.held.insert(request.cmd_sn.0, Held::Pdu(frame));
            return self.within(around.config);
        }
        if self.in_turn(frame, around) == Flow::LoggedOut {
            return Ok(Flow::LoggedOut);
        }
        self.catch_up(around)
    }

    /// Executes the PDU whose turn it is.
    fn in_turn(&mut self, frame: Frame, around: &mut Around<'_>) -> Flow {
        let bhs = frame.bhs;
        self.exp_cmd_sn = self.exp_cmd_sn.next();
        match self.execute(frame, around) {
            Ok(flow) => flow,
            Err(Rejected(reason)) => {
                self.exp_cmd_sn = self.exp_cmd_sn.plus(u32::MAX);
                self.reject(reason, &bhs, around);
                Flow::On
            }
        }
    }

    /// Executes what was held for the number that is next, as far as there is any.
    fn catch_up(&mut self, around: &mut Around<'_>) -> Result<Flow, CloseReason> {
        while let Some(held) = self.held.remove(&self.exp_cmd_sn.0) {
            match held {
                Held::Void => self.exp_cmd_sn = self.exp_cmd_sn.next(),
                Held::Pdu(frame) => {
                    self.buffered -= frame.data.len();
                    if self.in_turn(frame, around) == Flow::LoggedOut {
                        return Ok(Flow::LoggedOut);
                    }
                }
            }
        }
        self.within(around.config)
    }

    fn execute(&mut self, frame: Frame, around: &mut Around<'_>) -> Result<Flow, Rejected> {
        match frame.header.expect("only PDUs that are understood have an order") {
            Header::Command(pdu) => self.command(&pdu, frame.data, around)?,
            Header::TaskRequest(pdu) => self.manage(&pdu, around)?,
            Header::NopOut(pdu) => self.nop_out(&pdu, &frame.data, around)?,
            Header::TextRequest(pdu) => self.text(&pdu, &frame.data, around)?,
            Header::LogoutRequest(pdu) => return self.logout(&pdu, around),
            Header::LoginRequest(_)
            | Header::DataOut(_)
            | Header::Snack(_)
            | Header::NopIn(_)
            | Header::Response(_)
            | Header::TaskResponse(_)
            | Header::LoginResponse(_)
            | Header::TextResponse(_)
            | Header::DataIn(_)
            | Header::LogoutResponse(_)
            | Header::ReadyToTransfer(_)
            | Header::Async(_)
            | Header::Reject(_) => return Err(Rejected(reject::PROTOCOL)),
        }
        Ok(Flow::On)
    }

    /// A tag for a command or a function, and the session's nexus.
    fn admit(&self, tag: Tag, immediate: bool, config: &Config) -> Result<Nexus, Rejected> {
        let nexus = self.nexus.ok_or(Rejected(reject::PROTOCOL))?;
        if tag.0 == NO_TAG {
            return Err(Rejected(reject::FIELD));
        }
        if self.tasks.contains_key(&tag) || self.managing.contains(&tag) {
            return Err(Rejected(reject::IN_PROGRESS));
        }
        let room = (config.limits.window + config.limits.immediate_max) as usize;
        if immediate && self.outstanding() >= room {
            return Err(Rejected(reject::IMMEDIATE));
        }
        Ok(nexus)
    }

    fn command(&mut self, pdu: &Command, data: Payload, around: &mut Around<'_>) -> Result<(), Rejected> {
        let nexus = self.admit(pdu.tag, pdu.request.immediate, around.config)?;
        let task = Task::new(pdu, data, &self.holds);
        self.buffered += task.held();
        self.tasks.insert(pdu.tag, task);
        let request = array::Request {
            lun: pdu.lun,
            cdb: pdu.cdb,
            expected: pdu.expected,
            reads: pdu.reads,
            writes: pdu.writes,
        };
        around.effects.push(Effect::Array(array::Input::Command { nexus, tag: pdu.tag, request }));
        Ok(())
    }

    fn manage(&mut self, pdu: &TaskRequest, around: &mut Around<'_>) -> Result<(), Rejected> {
        let nexus = self.admit(pdu.tag, pdu.request.immediate, around.config)?;
        self.managing.insert(pdu.tag);
        let function = match pdu.function {
            1 if self.abort_unborn(pdu) => {
                self.managed(pdu.tag, Managed::Complete, around.out);
                return Ok(());
            }
            1 => Function::AbortTask(pdu.reference),
            2 => Function::AbortTaskSet,
            3 => Function::ClearAca,
            4 => Function::ClearTaskSet,
            5 => Function::LogicalUnitReset,
            6 => Function::TargetWarmReset,
            7 => Function::TargetColdReset,
            8 => {
                self.managing.remove(&pdu.tag);
                self.task_response(pdu.tag, 4, around.out);
                return Ok(());
            }
            _ => {
                self.managed(pdu.tag, Managed::Unsupported, around.out);
                return Ok(());
            }
        };
        self.void_held(pdu, function);
        around.effects.push(Effect::Array(array::Input::Manage {
            nexus,
            tag: pdu.tag,
            lun: pdu.lun,
            function,
        }));
        Ok(())
    }

    /// ABORT TASK of a command that has not begun: it is held, or has not even come (RFC 7143, 11.5.5). It never will begin.
    fn abort_unborn(&mut self, pdu: &TaskRequest) -> bool {
        if self.tasks.contains_key(&pdu.reference) {
            return false;
        }
        let is_it = |held: &Held| match held {
            Held::Pdu(frame) => {
                matches!(frame.header, Ok(Header::Command(command)) if command.tag == pdu.reference)
            }
            Held::Void => false,
        };
        if let Some((sn, _)) = self.held.iter().find(|(_, held)| is_it(held)) {
            let sn = *sn;
            self.void(sn);
            return true;
        }
        let window = self.max_cmd_sn.next().ahead_of(self.exp_cmd_sn);
        let missing = pdu.reference_sn.ahead_of(self.exp_cmd_sn) < window
            && pdu.reference_sn.before(pdu.request.cmd_sn)
            && !self.held.contains_key(&pdu.reference_sn.0);
        if missing {
            self.held.insert(pdu.reference_sn.0, Held::Void);
        }
        missing
    }

    /// Commands that are held and that the function is about end before they begin.
    fn void_held(&mut self, pdu: &TaskRequest, function: Function) {
        let everywhere = match function {
            Function::AbortTask(_) | Function::ClearAca => return,
            Function::AbortTaskSet | Function::ClearTaskSet | Function::LogicalUnitReset => false,
            Function::TargetWarmReset | Function::TargetColdReset => true,
        };
        let ends = |held: &Held| match held {
            Held::Pdu(frame) => matches!(frame.header, Ok(Header::Command(command))
                if (everywhere || command.lun == pdu.lun) && command.request.cmd_sn.before(pdu.request.cmd_sn)),
            Held::Void => false,
        };
        let ended: Vec<u32> = self.held.iter().filter(|(_, held)| ends(held)).map(|(sn, _)| *sn).collect();
        ended.into_iter().for_each(|sn| self.void(sn));
    }

    fn void(&mut self, sn: u32) {
        if let Some(Held::Pdu(frame)) = self.held.insert(sn, Held::Void) {
            self.buffered -= frame.data.len();
        }
    }

    fn nop_out(&mut self, pdu: &NopOut, data: &Payload, around: &mut Around<'_>) -> Result<(), Rejected> {
        if pdu.tag.0 == NO_TAG {
            return Ok(());
        }
        let transfer = NO_TAG;
        let mut echo = data.joined();
        echo.truncate(self.holds.send_max as usize);
        let numbers = self.count();
        around.out.put(&Header::NopIn(pdu::NopIn { lun: pdu.lun, tag: pdu.tag, transfer, numbers }), &[echo]);
        Ok(())
    }

    fn text(&mut self, pdu: &TextRequest, data: &Payload, around: &mut Around<'_>) -> Result<(), Rejected> {
        if pdu.tag.0 == NO_TAG {
            return Err(Rejected(reject::FIELD));
        }
        let mut partial = match self.text.take() {
            Some(partial) if partial.transfer == pdu.transfer => partial.data,
            _ if pdu.transfer == NO_TAG => Vec::new(),
            _ => return Err(Rejected(reject::PROTOCOL)),
        };
        if partial.len() + data.len() > around.config.limits.text_max as usize {
            return Err(Rejected(reject::PROTOCOL));
        }
        data.pieces().for_each(|piece| partial.extend_from_slice(piece));
        let answer = if pdu.more {
            Text::default()
        } else {
            let text = Text::read(&partial).map_err(|_| Rejected(reject::PROTOCOL))?;
            partial.clear();
            self.answer(&text, around.config)
        };
        let answer = answer.write();
        // What is longer than one PDU would need C, and initiators that do not know it: Config::check sees to it that it does not come up
        // with the default length.
        if answer.len() > self.holds.send_max as usize {
            return Err(Rejected(reject::PROTOCOL));
        }
        let transfer = if pdu.last {
            NO_TAG
        } else {
            let transfer = self.next_transfer();
            self.text = Some(Partial { transfer, data: partial });
            transfer
        };
        let header = pdu::TextResponse {
            last: pdu.last,
            more: false,
            lun: pdu.lun,
            tag: pdu.tag,
            transfer,
            numbers: self.count(),
        };
        around.out.put(&Header::TextResponse(header), &[answer]);
        Ok(())
    }

    fn answer(&mut self, text: &Text, config: &Config) -> Text {
        let mut answer = Text::default();
        for (name, value) in text.iter() {
            if name == "SendTargets" {
                let here = value.eq_ignore_ascii_case(&config.name);
                match self.purpose {
                    // SendTargets=All belongs to discovery (RFC 7143, appendix C).
                    Purpose::Discovery if here || value == "All" => config.targets(&mut answer),
                    Purpose::Normal if here || value.is_empty() => config.targets(&mut answer),
                    Purpose::Discovery => {}
                    Purpose::Normal => answer.put(name, "Reject"),
                }
            } else if name == Key::MaxRecvDataSegmentLength.name() {
                // The one operational key that may change after the login.
                if let Some(settled) =
                    negotiate::answer(&config.offer, self.purpose, name, value, &mut self.holds)
                {
                    answer.put(name, settled);
                }
            } else if Key::named(name).is_some() {
                answer.put(name, "Reject");
            } else {
                answer.put(name, "NotUnderstood");
            }
        }
        answer
    }

    fn logout(&mut self, pdu: &LogoutRequest, around: &mut Around<'_>) -> Result<Flow, Rejected> {
        let (response, flow) = match pdu.reason {
            0 => (0, Flow::LoggedOut),
            1 if pdu.cid == self.cid => (0, Flow::LoggedOut),
            1 => (1, Flow::On),
            2 => (2, Flow::On),
            _ => return Err(Rejected(reject::FIELD)),
        };
        let header = pdu::LogoutResponse {
            tag: pdu.tag,
            numbers: self.count(),
            response,
            time_to_wait: self.holds.time_to_wait as u16,
            time_to_retain: self.holds.time_to_retain as u16,
        };
        around.out.put(&Header::LogoutResponse(header), &[]);
        Ok(flow)
    }

    fn data_out(&mut self, pdu: &DataOut, data: Payload, intact: bool, around: &mut Around<'_>) {
        // Late data of a command that has ended are harmless.
        let Some(task) = self.tasks.get_mut(&pdu.tag) else { return };
        let (held, outstanding) = (task.held(), task.outstanding());
        let due = task.data_out(pdu, data, intact, &self.holds);
        self.buffered = self.buffered + task.held() - held;
        self.solicited -= (outstanding - task.outstanding()) as usize;
        self.due(pdu.tag, due, around);
        self.request_waiting(around);
    }

    /// The array asks for a command's data.
    pub(super) fn ask(&mut self, tag: Tag, bytes: u32, around: &mut Around<'_>) {
        let Some(task) = self.tasks.get_mut(&tag) else { return };
        let held = task.held();
        let due = task.want(bytes);
        self.buffered = self.buffered + task.held() - held;
        self.due(tag, due, around);
    }

    fn due(&mut self, tag: Tag, due: Due, around: &mut Around<'_>) {
        let Some(nexus) = self.nexus else { return };
        match due {
            Due::Nothing => {}
            Due::Data(data) => around.effects.push(Effect::Array(array::Input::Data { nexus, tag, data })),
            Due::Broken => around.effects.push(Effect::Array(array::Input::DataBroken { nexus, tag })),
            Due::Request => {
                if !self.waiting.contains(&tag) {
                    self.waiting.push_back(tag);
                }
                self.request_waiting(around);
            }
        }
    }

    /// Sends the R2Ts that are due, as long as there is room for their data. One burst always has room.
    fn request_waiting(&mut self, around: &mut Around<'_>) {
        while let Some(tag) = self.waiting.front().copied() {
            let room = around.config.limits.solicited_max;
            if self.solicited > 0 && self.solicited + self.holds.burst_max as usize > room {
                return;
            }
            let numbers = self.numbers();
            let transfer = self.next_transfer();
            let asked = match self.tasks.get_mut(&tag) {
                Some(task) => task.request(&self.holds, transfer, numbers, around.out),
                None => None,
            };
            match asked {
                Some(bytes) => self.solicited += bytes as usize,
                None => {
                    self.waiting.pop_front();
                }
            }
        }
    }

    /// The array's answer to a command.
    pub(super) fn respond(&mut self, tag: Tag, mut response: array::Response, around: &mut Around<'_>) {
        let Some(task) = self.remove(tag) else { return };
        if task.digest_failed() {
            report_digest(&mut response);
        }
        let numbers = self.count();
        task.respond(&response, &self.holds, numbers, around.out);
        self.request_waiting(around);
    }

    /// A command has ended without an answer.
    pub(super) fn dropped(&mut self, tag: Tag, around: &mut Around<'_>) {
        self.remove(tag);
        self.request_waiting(around);
    }

    fn remove(&mut self, tag: Tag) -> Option<Task> {
        let task = self.tasks.remove(&tag)?;
        self.buffered -= task.held();
        self.solicited -= task.outstanding() as usize;
        Some(task)
    }

    /// The array's answer to a task management function.
    pub(super) fn managed(&mut self, tag: Tag, outcome: Managed, out: &mut Writer) {
        if self.managing.remove(&tag) {
            let response = match outcome {
                Managed::Complete => 0,
                Managed::NoSuchTask => 1,
                Managed::NoSuchLun => 2,
                Managed::Unsupported => 5,
            };
            self.task_response(tag, response, out);
        }
    }

    fn task_response(&mut self, tag: Tag, response: u8, out: &mut Writer) {
        let numbers = self.count();
        out.put(&Header::TaskResponse(pdu::TaskResponse { tag, numbers, response }), &[]);
    }

    /// Asks the initiator for a sign of life.
    pub(super) fn ping(&mut self, now: Micros, out: &mut Writer) {
        self.pinged = Some(now);
        let transfer = self.next_transfer();
        let numbers = self.numbers();
        out.put(&Header::NopIn(pdu::NopIn { lun: [0; 8], tag: Tag(NO_TAG), transfer, numbers }), &[]);
    }

    /// Asks the initiator to log out within `seconds`.
    pub(super) fn ask_logout(&mut self, seconds: u16, by: Micros, out: &mut Writer) {
        self.logout_by = Some(by);
        let message = pdu::Async {
            lun: [0; 8],
            numbers: self.count(),
            event: 1,
            vendor: 0,
            parameters: [0, 0, seconds],
        };
        out.put(&Header::Async(message), &[]);
    }

    fn reject(&mut self, reason: u8, bhs: &Bhs, around: &mut Around<'_>) {
        let numbers = self.count();
        around.out.put(&Header::Reject(pdu::Reject { reason, numbers }), &[Bytes::copy_from_slice(bhs)]);
    }

    fn next_transfer(&mut self) -> u32 {
        let transfer = self.transfer;
        self.transfer = if transfer + 1 == NO_TAG { 0 } else { transfer + 1 };
        transfer
    }

    /// The numbers of a PDU that carries a status.
    fn count(&mut self) -> Numbers {
        let numbers = self.numbers();
        self.stat_sn = self.stat_sn.next();
        numbers
    }

    /// The numbers of any other PDU. The window opens as far as there are free places, and what was open is never closed.
    fn numbers(&mut self) -> Numbers {
        let free = self.window.saturating_sub(self.outstanding() as u32);
        let max = self.exp_cmd_sn.plus(free).plus(u32::MAX);
        if self.max_cmd_sn.before(max) {
            self.max_cmd_sn = max;
        }
        Numbers { stat_sn: self.stat_sn, exp_cmd_sn: self.exp_cmd_sn, max_cmd_sn: self.max_cmd_sn }
    }
}

/// The array does not know of digests and calls the data broken (0B/4B/00); PROTOCOL SERVICE CRC ERROR (0B/47/05) is what a data digest
/// error ends a task with (RFC 7143, 7.8).
fn report_digest(response: &mut array::Response) {
    let fixed = response.sense.first().is_some_and(|code| code & 0x7E == 0x70);
    let place = if fixed { 12 } else { 2 };
    if let Some(code) = response.sense.get_mut(place..place + 2)
        && *code == [0x4B, 0x00]
    {
        code.copy_from_slice(&[0x47, 0x05]);
    }
}
