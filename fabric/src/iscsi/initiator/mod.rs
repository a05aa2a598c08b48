//! One iSCSI session from the initiator's side.
//!
//! Guest nodes and the probe use it. The caller chooses the tags and keeps the time; the session logs in, keeps commands inside of the
//! target's window, moves their data, and reports what came back. It can also be told to misbehave in the ways that a tester needs: to
//! withhold the data of a command after the target has asked for them, to leave commands outstanding, to send bytes of the caller's own.
//!
//! A session lives as long as its connection. To come back after a break, make another one, with the same ISID for the same nexus.
//!
//! **Deliberately absent:** retries and timeouts, which are decisions of whoever uses it.

mod command;
mod login;

pub use command::{Completion, Direction, ScsiCommand};

use crate::iscsi::NO_TAG;
use crate::iscsi::chap::{Account, Algorithm, Challenge};
use crate::iscsi::negotiate::{Offer, Parameters, Purpose, Unfit};
use crate::iscsi::pdu::{
    Async, Bounds, Decoder, Frame, Header, HeaderError, LogoutRequest, Malformed, NopOut, Numbers, Request,
    TaskRequest, TextRequest, Writer,
};
use crate::iscsi::serial::Sn;
use crate::iscsi::text::{Text, TextError};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use bytes::Bytes;
use command::Pending;
use core::fmt;
use login::Login;
use redline_vocab::Tag;

/// Proof of identity.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Credentials {
    /// What the initiator proves to know.
    pub initiator: Account,
    /// What the target must prove to know.
    pub target: Option<Account>,
    /// What CHAP_A offers, in this order.
    pub algorithms: Vec<Algorithm>,
    /// A fresh challenge, used if the target must prove itself.
    pub challenge: Challenge,
}

/// Where a login begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Opening {
    /// In the operational stage: one request says it all. With credentials the login begins in the security stage anyway.
    Operational,
    /// In the security stage, with AuthMethod=None if there are no credentials.
    Security,
}

/// Who logs in where, and how.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// InitiatorName.
    pub name: String,
    /// ISID.
    pub isid: [u8; 6],
    /// TSIH: 0 for a new session, or one that is to be reinstated.
    pub tsih: u16,
    /// CID.
    pub cid: u16,
    /// TargetName; none for a discovery session.
    pub target: Option<String>,
    /// CHAP.
    pub credentials: Option<Credentials>,
    /// How the login begins.
    pub opening: Opening,
    /// What is proposed.
    pub offer: Offer,
    /// The first CmdSN.
    pub cmd_sn: Sn,
}

impl Offer {
    /// What an initiator proposes that has no special wish.
    pub const INITIATOR: Offer = Offer {
        header_digest: false,
        data_digest: false,
        initial_r2t: false,
        immediate_data: true,
        receive_max: 262_144,
        burst_max: 262_144,
        first_burst_max: 262_144,
        r2t_max: 1,
        time_to_wait: 2,
        time_to_retain: 0,
    };
}

/// A task management function (RFC 7143, 11.5.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Management {
    /// Tag of the function itself.
    pub tag: Tag,
    /// The FUNCTION field.
    pub function: u8,
    /// LUN.
    pub lun: [u8; 8],
    /// The task that ABORT TASK is about.
    pub reference: Option<Tag>,
    /// Ahead of the order of commands.
    pub immediate: bool,
}

/// What can happen to a session.
#[derive(Clone, Debug)]
pub enum Input {
    /// The connection is there: log in.
    Connected,
    /// Bytes came.
    Received(Bytes),
    /// The connection is gone.
    Closed,
    /// Send a command, now or as soon as the window lets it through.
    Command(ScsiCommand),
    /// Send a task management function.
    Manage(Management),
    /// Send the data that the command of this tag has withheld.
    Release(Tag),
    /// Ask for a sign of life, with data that come back.
    Ping {
        /// Tag.
        tag: Tag,
        /// Data.
        data: Bytes,
    },
    /// Ask which targets there are: `All` in a discovery session, a name or nothing in a normal one.
    SendTargets {
        /// Tag.
        tag: Tag,
        /// Value of the key.
        value: String,
    },
    /// Log out.
    Logout {
        /// Tag.
        tag: Tag,
        /// 0 session, 1 connection, 2 recovery.
        reason: u8,
    },
    /// Send bytes of the caller's own making.
    Raw(Bytes),
}

/// What a session wants done, in this order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Send these pieces.
    Send(Vec<Bytes>),
    /// Close the connection: the login was refused, the target logged the session out, or does not keep to the protocol.
    Close,
    /// Something the user of the session wants to know.
    Event(Event),
}

/// News of a session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// The login succeeded.
    LoggedIn {
        /// TSIH.
        tsih: u16,
        /// TargetPortalGroupTag, if the target has told it.
        group: Option<u16>,
        /// What was agreed.
        parameters: Parameters,
    },
    /// The login was refused.
    LoginRefused {
        /// Status-Class and Status-Detail.
        status: u16,
    },
    /// A command was answered.
    Completed(Completion),
    /// A task management function was answered.
    Managed {
        /// Which.
        tag: Tag,
        /// The RESPONSE field.
        response: u8,
    },
    /// The target has asked for data of a command that withholds them.
    Withheld {
        /// Which.
        tag: Tag,
        /// From where.
        offset: u32,
        /// How much.
        length: u32,
    },
    /// A ping was answered.
    Pong {
        /// Which.
        tag: Tag,
        /// What came back.
        data: Bytes,
    },
    /// SendTargets was answered.
    Targets {
        /// Which.
        tag: Tag,
        /// What is there.
        targets: Vec<Discovered>,
    },
    /// Logout was answered.
    LoggedOut {
        /// Which.
        tag: Tag,
        /// The RESPONSE field.
        response: u8,
    },
    /// The target has sent an asynchronous message.
    Message(Async),
    /// The target has rejected a PDU.
    Rejected {
        /// Why.
        reason: u8,
        /// Its header.
        header: Bytes,
    },
    /// The target does not keep to the protocol.
    Failed(Failure),
}

/// A target that was discovered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Discovered {
    /// TargetName.
    pub name: String,
    /// Its TargetAddress values.
    pub addresses: Vec<String>,
}

/// What a target has done wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Failure {
    /// The stream cannot be followed.
    Malformed(Malformed),
    /// A header means nothing.
    Header(HeaderError),
    /// A PDU that has no place here.
    Unexpected {
        /// Its opcode.
        opcode: u8,
    },
    /// A text cannot be read.
    Text(TextError),
    /// An answer does not fit what was proposed.
    Unfit(Unfit),
    /// The target has not proved who it is, or wants another proof than there is.
    Authentication,
    /// The login does not come to an end.
    LoginWithoutEnd,
    /// A data digest does not fit.
    DataDigest,
    /// Data-In or R2T of a command are out of order or beyond what was asked for.
    Data {
        /// Which command.
        tag: Tag,
    },
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Malformed(malformed) => write!(f, "{malformed}"),
            Failure::Header(error) => write!(f, "{error}"),
            Failure::Unexpected { opcode } => write!(f, "a PDU of opcode {opcode:02x}h has no place here"),
            Failure::Text(error) => write!(f, "{error}"),
            Failure::Unfit(unfit) => write!(f, "{unfit}"),
            Failure::Authentication => write!(f, "the target has not proved who it is"),
            Failure::LoginWithoutEnd => write!(f, "the login does not come to an end"),
            Failure::DataDigest => write!(f, "data do not fit their digest"),
            Failure::Data { tag } => write!(f, "data of {tag} are out of order"),
        }
    }
}

impl core::error::Error for Failure {}

#[derive(Clone, Debug)]
enum Phase {
    Idle,
    Login(Login),
    Full,
    Over,
}

/// Something that waits for the window.
#[derive(Clone, Debug)]
enum Queued {
    Command(ScsiCommand),
    Manage(Management),
}

/// The machine.
#[derive(Clone, Debug)]
pub struct Initiator {
    settings: Settings,
    phase: Phase,
    decoder: Decoder,
    out: Writer,
    holds: Parameters,
    cmd_sn: Sn,
    max_cmd_sn: Sn,
    exp_stat_sn: Sn,
    pending: BTreeMap<Tag, Pending>,
    queue: VecDeque<Queued>,
}

impl Initiator {
    /// A session that waits for its connection.
    #[must_use]
    pub fn new(settings: Settings) -> Initiator {
        let bounds = Bounds { data_max: settings.offer.receive_max.max(8192), ahs_max: 1020 };
        Initiator {
            phase: Phase::Idle,
            decoder: Decoder::new(bounds),
            out: Writer::default(),
            holds: Parameters::INITIAL,
            cmd_sn: settings.cmd_sn,
            max_cmd_sn: settings.cmd_sn,
            exp_stat_sn: Sn(0),
            pending: BTreeMap::new(),
            queue: VecDeque::new(),
            settings,
        }
    }

    /// Whether commands may be sent.
    #[must_use]
    pub fn is_logged_in(&self) -> bool {
        matches!(self.phase, Phase::Full)
    }

    /// What was agreed on.
    #[must_use]
    pub fn parameters(&self) -> &Parameters {
        &self.holds
    }

    /// The tags of the commands that are not answered, those in the queue not included.
    pub fn outstanding(&self) -> impl Iterator<Item = Tag> {
        self.pending.keys().copied()
    }

    /// How many requests wait for the target's window.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    /// The next CmdSN, and the last one that the target takes.
    #[must_use]
    pub fn window(&self) -> (Sn, Sn) {
        (self.cmd_sn, self.max_cmd_sn)
    }

    /// One step.
    pub fn step(&mut self, input: Input, effects: &mut Vec<Effect>) {
        match input {
            Input::Connected => {
                let login = Login::begin(&self.settings, self.cmd_sn, &mut self.out);
                self.phase = Phase::Login(login);
            }
            Input::Received(bytes) => {
                self.decoder.push(bytes);
                self.pump(effects);
            }
            Input::Closed => self.phase = Phase::Over,
            Input::Command(command) => self.queue.push_back(Queued::Command(command)),
            Input::Manage(management) => self.queue.push_back(Queued::Manage(management)),
            Input::Release(tag) => self.release(tag),
            Input::Ping { tag, data } => self.ping(tag, NO_TAG, [0; 8], data),
            Input::SendTargets { tag, value } => self.send_targets(tag, &value),
            Input::Logout { tag, reason } => {
                let request = self.immediate();
                let cid = self.settings.cid;
                self.out.put(&Header::LogoutRequest(LogoutRequest { request, reason, tag, cid }), &[]);
            }
            Input::Raw(bytes) => {
                self.send(effects);
                effects.push(Effect::Send(Vec::from([bytes])));
            }
        }
        self.drain();
        self.send(effects);
    }

    fn send(&mut self, effects: &mut Vec<Effect>) {
        if !self.out.is_empty() {
            effects.push(Effect::Send(self.out.take()));
        }
    }

    fn pump(&mut self, effects: &mut Vec<Effect>) {
        while !matches!(self.phase, Phase::Over | Phase::Idle) {
            let handled = match self.decoder.next() {
                Ok(Some(frame)) => self.handle(frame, effects),
                Ok(None) => return,
                Err(malformed) => Err(Failure::Malformed(malformed)),
            };
            if let Err(failure) = handled {
                effects.push(Effect::Event(Event::Failed(failure)));
                self.end(effects);
            }
        }
    }

    fn end(&mut self, effects: &mut Vec<Effect>) {
        self.send(effects);
        self.phase = Phase::Over;
        effects.push(Effect::Close);
    }

    fn handle(&mut self, frame: Frame, effects: &mut Vec<Effect>) -> Result<(), Failure> {
        if !frame.intact {
            return Err(Failure::DataDigest);
        }
        let header = frame.header.map_err(Failure::Header)?;
        if let Phase::Login(login) = &mut self.phase {
            let Header::LoginResponse(response) = header else {
                return Err(Failure::Unexpected { opcode: header.opcode() });
            };
            self.exp_stat_sn = response.numbers.stat_sn.next();
            self.max_cmd_sn = response.numbers.max_cmd_sn;
            if response.status != 0 {
                effects.push(Effect::Event(Event::LoginRefused { status: response.status }));
                self.end(effects);
                return Ok(());
            }
            let data = frame.data.joined();
            if login.step(
                &response,
                &data,
                &self.settings,
                self.exp_stat_sn,
                &mut self.holds,
                &mut self.out,
            )? {
                self.logged_in(response.tsih, effects);
            }
            return Ok(());
        }
        self.full(&header, frame, effects)
    }

    fn logged_in(&mut self, tsih: u16, effects: &mut Vec<Effect>) {
        let Phase::Login(login) = core::mem::replace(&mut self.phase, Phase::Full) else { return };
        self.holds.first_burst_max = self.holds.first_burst_max.min(self.holds.burst_max);
        let bounds = Bounds { data_max: self.settings.offer.receive_max.max(8192), ahs_max: 1020 };
        self.decoder.set(bounds, self.holds.digests);
        self.send(effects);
        self.out.set(self.holds.digests);
        effects.push(Effect::Event(Event::LoggedIn { tsih, group: login.group(), parameters: self.holds }));
    }

    fn full(&mut self, header: &Header, frame: Frame, effects: &mut Vec<Effect>) -> Result<(), Failure> {
        match header {
            Header::DataIn(pdu) => {
                self.numbers(pdu.numbers, pdu.status.is_some());
                self.data_in(pdu, frame.data, effects)?;
            }
            Header::Response(pdu) => {
                self.numbers(pdu.numbers, true);
                self.response(pdu, &frame.data, effects)?;
            }
            Header::ReadyToTransfer(pdu) => {
                self.numbers(pdu.numbers, false);
                self.ready_to_transfer(pdu, effects)?;
            }
            Header::NopIn(pdu) => {
                self.numbers(pdu.numbers, pdu.tag.0 != NO_TAG);
                if pdu.tag.0 != NO_TAG {
                    effects.push(Effect::Event(Event::Pong { tag: pdu.tag, data: frame.data.joined() }));
                } else if pdu.transfer != NO_TAG {
                    self.ping(Tag(NO_TAG), pdu.transfer, pdu.lun, frame.data.joined());
                }
            }
            Header::TaskResponse(pdu) => {
                self.numbers(pdu.numbers, true);
                effects.push(Effect::Event(Event::Managed { tag: pdu.tag, response: pdu.response }));
            }
            Header::TextResponse(pdu) => {
                self.numbers(pdu.numbers, true);
                let text = Text::read(&frame.data.joined()).map_err(Failure::Text)?;
                effects.push(Effect::Event(Event::Targets { tag: pdu.tag, targets: discovered(&text) }));
            }
            Header::LogoutResponse(pdu) => {
                self.numbers(pdu.numbers, true);
                effects.push(Effect::Event(Event::LoggedOut { tag: pdu.tag, response: pdu.response }));
                if pdu.response == 0 {
                    self.end(effects);
                }
            }
            Header::Async(pdu) => {
                self.numbers(pdu.numbers, true);
                effects.push(Effect::Event(Event::Message(*pdu)));
            }
            Header::Reject(pdu) => {
                self.numbers(pdu.numbers, true);
                effects
                    .push(Effect::Event(Event::Rejected { reason: pdu.reason, header: frame.data.joined() }));
            }
            Header::LoginResponse(_)
            | Header::NopOut(_)
            | Header::Command(_)
            | Header::TaskRequest(_)
            | Header::LoginRequest(_)
            | Header::TextRequest(_)
            | Header::DataOut(_)
            | Header::LogoutRequest(_)
            | Header::Snack(_) => return Err(Failure::Unexpected { opcode: header.opcode() }),
        }
        Ok(())
    }

    /// The numbers of a PDU; `counts` if its StatSN is that of a status.
    fn numbers(&mut self, numbers: Numbers, counts: bool) {
        if counts && !numbers.stat_sn.before(self.exp_stat_sn) {
            self.exp_stat_sn = numbers.stat_sn.next();
        }
        // RFC 7143, 4.2.2.1: a MaxCmdSN that is more than one behind ExpCmdSN is to be ignored, and so is one that goes back.
        let sane = !numbers.max_cmd_sn.next().before(numbers.exp_cmd_sn);
        if sane && self.max_cmd_sn.before(numbers.max_cmd_sn) {
            self.max_cmd_sn = numbers.max_cmd_sn;
        }
    }

    /// Sends what is queued and fits the window. Immediate requests do not wait for those before them.
    fn drain(&mut self) {
        if !self.is_logged_in() {
            return;
        }
        let mut waiting = VecDeque::new();
        while let Some(queued) = self.queue.pop_front() {
            let immediate = match &queued {
                Queued::Command(command) => command.immediate,
                Queued::Manage(management) => management.immediate,
            };
            let open = waiting.is_empty() && !self.max_cmd_sn.before(self.cmd_sn);
            if !immediate && !open {
                waiting.push_back(queued);
                continue;
            }
            let request = if immediate { self.immediate() } else { self.ordered() };
            match queued {
                Queued::Command(command) => self.send_command(command, request),
                Queued::Manage(management) => self.send_management(&management, request),
            }
        }
        self.queue = waiting;
    }

    fn send_management(&mut self, management: &Management, request: Request) {
        let referenced = management.reference.and_then(|tag| self.pending.get(&tag));
        let header = TaskRequest {
            request,
            function: management.function,
            lun: management.lun,
            tag: management.tag,
            reference: management.reference.unwrap_or(Tag(NO_TAG)),
            reference_sn: referenced.map_or(Sn(0), Pending::cmd_sn),
            exp_data_sn: 0,
        };
        self.out.put(&Header::TaskRequest(header), &[]);
    }

    fn ping(&mut self, tag: Tag, transfer: u32, lun: [u8; 8], data: Bytes) {
        let request = self.immediate();
        self.out.put(&Header::NopOut(NopOut { request, lun, tag, transfer }), &[data]);
    }

    fn send_targets(&mut self, tag: Tag, value: &str) {
        let mut text = Text::default();
        text.put("SendTargets", value);
        let request = self.immediate();
        let header = TextRequest { request, last: true, more: false, lun: [0; 8], tag, transfer: NO_TAG };
        self.out.put(&Header::TextRequest(header), &[text.write()]);
    }

    fn immediate(&self) -> Request {
        Request { immediate: true, cmd_sn: self.cmd_sn, exp_stat_sn: self.exp_stat_sn }
    }

    fn ordered(&mut self) -> Request {
        let request = Request { immediate: false, cmd_sn: self.cmd_sn, exp_stat_sn: self.exp_stat_sn };
        self.cmd_sn = self.cmd_sn.next();
        request
    }

    fn purpose(settings: &Settings) -> Purpose {
        if settings.target.is_some() { Purpose::Normal } else { Purpose::Discovery }
    }

    /// Appends a PDU of the caller's own to what is sent next, with the digests that were agreed on.
    pub fn put(&mut self, header: &Header, data: &[Bytes]) {
        self.out.put(header, data);
    }
}

fn discovered(text: &Text) -> Vec<Discovered> {
    let mut targets: Vec<Discovered> = Vec::new();
    for (key, value) in text.iter() {
        match (key, targets.last_mut()) {
            ("TargetName", _) => targets.push(Discovered { name: value.to_string(), addresses: Vec::new() }),
            ("TargetAddress", Some(target)) => target.addresses.push(value.to_string()),
            _ => {}
        }
    }
    targets
}
