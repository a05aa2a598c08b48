//! Basic headers, byte by byte (RFC 7143, 11.3 to 11.17). `write` and `read` stand in the same order so that they can be compared.
//!
//! Lengths of the segments that follow (bytes 4 to 7) belong to the stream and not to the meaning: [`super::Writer`] and
//! [`super::Decoder`] handle them.

use super::{
    Async, Bhs, Command, DataIn, DataOut, HEADER_LENGTH, Header, LoginRequest, LoginResponse, LogoutRequest,
    LogoutResponse, NopIn, NopOut, Numbers, ReadyToTransfer, Reject, Request, Residual, Response, Snack,
    Stage, TaskRequest, TaskResponse, TextRequest, TextResponse,
};
use crate::iscsi::NO_TAG;
use crate::iscsi::serial::Sn;
use core::fmt;
use redline_vocab::Tag;

/// Why a basic header means nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum HeaderError {
    /// No such opcode.
    Opcode(u8),
    /// CSG or NSG is the reserved value 2.
    Stage(u8),
    /// T without a later stage to go to, or T together with C.
    Transition(u8),
    /// F and C contradict each other in a text PDU.
    Continuation(u8),
    /// O and U are both set, or residual flags stand where they have no meaning.
    Residual(u8),
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HeaderError::Opcode(code) => write!(f, "opcode {code:02x}h is unknown"),
            HeaderError::Stage(flags) => write!(f, "login flags {flags:02x}h name a reserved stage"),
            HeaderError::Transition(flags) => {
                write!(f, "login flags {flags:02x}h ask for an impossible transition")
            }
            HeaderError::Continuation(flags) => {
                write!(f, "text flags {flags:02x}h say both last and continued")
            }
            HeaderError::Residual(flags) => write!(f, "residual flags {flags:02x}h contradict each other"),
        }
    }
}

impl core::error::Error for HeaderError {}

const FINAL: u8 = 0x80;
const IMMEDIATE: u8 = 0x40;
const CONTINUE: u8 = 0x40;
const READ: u8 = 0x40;
const WRITE: u8 = 0x20;
const ACKNOWLEDGE: u8 = 0x40;
const OVERFLOW: u8 = 0x04;
const UNDERFLOW: u8 = 0x02;
const STATUS: u8 = 0x01;

fn flag(on: bool, bit: u8) -> u8 {
    if on { bit } else { 0 }
}

/// Fields by their place in the header.
struct Fields<'a>(&'a Bhs);

impl Fields<'_> {
    fn array<const N: usize>(&self, at: usize) -> [u8; N] {
        self.0[at..at + N].try_into().expect("the range has N bytes")
    }
    fn be16(&self, at: usize) -> u16 {
        u16::from_be_bytes(self.array(at))
    }
    fn be32(&self, at: usize) -> u32 {
        u32::from_be_bytes(self.array(at))
    }
    fn sn(&self, at: usize) -> Sn {
        Sn(self.be32(at))
    }
    fn tag(&self) -> Tag {
        Tag(self.be32(16))
    }
    fn request(&self) -> Request {
        Request { immediate: self.0[0] & IMMEDIATE != 0, cmd_sn: self.sn(24), exp_stat_sn: self.sn(28) }
    }
    fn numbers(&self) -> Numbers {
        Numbers { stat_sn: self.sn(24), exp_cmd_sn: self.sn(28), max_cmd_sn: self.sn(32) }
    }
    fn residual(&self) -> Result<Residual, HeaderError> {
        match self.0[1] & (OVERFLOW | UNDERFLOW) {
            0 => Ok(Residual::None),
            OVERFLOW => Ok(Residual::Overflow(self.be32(44))),
            UNDERFLOW => Ok(Residual::Underflow(self.be32(44))),
            _ => Err(HeaderError::Residual(self.0[1])),
        }
    }
}

/// A header under construction.
struct Blank(Bhs);

impl Blank {
    fn new(opcode: u8, flags: u8) -> Blank {
        let mut bhs = [0; HEADER_LENGTH];
        bhs[0] = opcode;
        bhs[1] = flags;
        Blank(bhs)
    }
    fn put(&mut self, at: usize, bytes: &[u8]) -> &mut Blank {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
        self
    }
    fn be16(&mut self, at: usize, value: u16) -> &mut Blank {
        self.put(at, &value.to_be_bytes())
    }
    fn be32(&mut self, at: usize, value: u32) -> &mut Blank {
        self.put(at, &value.to_be_bytes())
    }
    fn tag(&mut self, tag: Tag) -> &mut Blank {
        self.be32(16, tag.0)
    }
    fn request(&mut self, request: Request) -> &mut Blank {
        self.0[0] |= flag(request.immediate, IMMEDIATE);
        self.be32(24, request.cmd_sn.0).be32(28, request.exp_stat_sn.0)
    }
    fn numbers(&mut self, numbers: Numbers) -> &mut Blank {
        self.be32(24, numbers.stat_sn.0).be32(28, numbers.exp_cmd_sn.0).be32(32, numbers.max_cmd_sn.0)
    }
    fn residual(&mut self, residual: Residual) -> &mut Blank {
        match residual {
            Residual::None => self,
            Residual::Overflow(bytes) => {
                self.0[1] |= OVERFLOW;
                self.be32(44, bytes)
            }
            Residual::Underflow(bytes) => {
                self.0[1] |= UNDERFLOW;
                self.be32(44, bytes)
            }
        }
    }
}

impl Stage {
    const fn code(self) -> u8 {
        match self {
            Stage::Security => 0,
            Stage::Operational => 1,
            Stage::FullFeature => 3,
        }
    }

    fn from_code(code: u8, flags: u8) -> Result<Stage, HeaderError> {
        match code & 3 {
            0 => Ok(Stage::Security),
            1 => Ok(Stage::Operational),
            3 => Ok(Stage::FullFeature),
            _ => Err(HeaderError::Stage(flags)),
        }
    }
}

fn login_flags(stage: Stage, next: Option<Stage>, more: bool) -> u8 {
    let transit = next.map_or(0, |next| FINAL | next.code());
    transit | flag(more, CONTINUE) | stage.code() << 2
}

fn login_stages(flags: u8) -> Result<(Stage, Option<Stage>, bool), HeaderError> {
    let stage = Stage::from_code(flags >> 2, flags)?;
    let more = flags & CONTINUE != 0;
    if flags & FINAL == 0 {
        return Ok((stage, None, more));
    }
    let next = Stage::from_code(flags, flags)?;
    if more || next <= stage { Err(HeaderError::Transition(flags)) } else { Ok((stage, Some(next), false)) }
}

fn text_flags(flags: u8) -> Result<(bool, bool), HeaderError> {
    match (flags & FINAL != 0, flags & CONTINUE != 0) {
        (true, true) => Err(HeaderError::Continuation(flags)),
        flags => Ok(flags),
    }
}

impl Header {
    /// The opcode, without the I bit.
    #[must_use]
    pub const fn opcode(&self) -> u8 {
        match self {
            Header::NopOut(_) => 0x00,
            Header::Command(_) => 0x01,
            Header::TaskRequest(_) => 0x02,
            Header::LoginRequest(_) => 0x03,
            Header::TextRequest(_) => 0x04,
            Header::DataOut(_) => 0x05,
            Header::LogoutRequest(_) => 0x06,
            Header::Snack(_) => 0x10,
            Header::NopIn(_) => 0x20,
            Header::Response(_) => 0x21,
            Header::TaskResponse(_) => 0x22,
            Header::LoginResponse(_) => 0x23,
            Header::TextResponse(_) => 0x24,
            Header::DataIn(_) => 0x25,
            Header::LogoutResponse(_) => 0x26,
            Header::ReadyToTransfer(_) => 0x31,
            Header::Async(_) => 0x32,
            Header::Reject(_) => 0x3F,
        }
    }

    /// The CmdSN order that the header stands in; none for Data-Out, SNACK, and everything that a target sends.
    #[must_use]
    pub const fn request(&self) -> Option<Request> {
        match self {
            Header::NopOut(pdu) => Some(pdu.request),
            Header::Command(pdu) => Some(pdu.request),
            Header::TaskRequest(pdu) => Some(pdu.request),
            Header::LoginRequest(pdu) => Some(pdu.request),
            Header::TextRequest(pdu) => Some(pdu.request),
            Header::LogoutRequest(pdu) => Some(pdu.request),
            Header::DataOut(_)
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
            | Header::Reject(_) => None,
        }
    }

    /// As bytes, with the lengths of what follows left at zero.
    #[must_use]
    pub fn write(&self) -> Bhs {
        let op = self.opcode();
        let mut out;
        match self {
            Header::NopOut(pdu) => {
                out = Blank::new(op, FINAL);
                out.put(8, &pdu.lun).tag(pdu.tag).be32(20, pdu.transfer).request(pdu.request);
            }
            Header::Command(pdu) => {
                let flags = flag(pdu.last, FINAL) | flag(pdu.reads, READ) | flag(pdu.writes, WRITE);
                out = Blank::new(op, flags | pdu.attribute & 7);
                out.put(8, &pdu.lun)
                    .tag(pdu.tag)
                    .be32(20, pdu.expected)
                    .request(pdu.request)
                    .put(32, &pdu.cdb);
            }
            Header::TaskRequest(pdu) => {
                out = Blank::new(op, FINAL | pdu.function & 0x7F);
                out.put(8, &pdu.lun).tag(pdu.tag).be32(20, pdu.reference.0).request(pdu.request);
                out.be32(32, pdu.reference_sn.0).be32(36, pdu.exp_data_sn);
            }
            Header::LoginRequest(pdu) => {
                out = Blank::new(op, login_flags(pdu.stage, pdu.next, pdu.more));
                out.put(2, &[pdu.version_max, pdu.version_min]).put(8, &pdu.isid).be16(14, pdu.tsih);
                out.tag(pdu.tag).be16(20, pdu.cid).request(pdu.request);
            }
            Header::TextRequest(pdu) => {
                out = Blank::new(op, flag(pdu.last, FINAL) | flag(pdu.more, CONTINUE));
                out.put(8, &pdu.lun).tag(pdu.tag).be32(20, pdu.transfer).request(pdu.request);
            }
            Header::DataOut(pdu) => {
                out = Blank::new(op, flag(pdu.last, FINAL));
                out.put(8, &pdu.lun).tag(pdu.tag).be32(20, pdu.transfer).be32(28, pdu.exp_stat_sn.0);
                out.be32(36, pdu.data_sn.0).be32(40, pdu.offset);
            }
            Header::LogoutRequest(pdu) => {
                out = Blank::new(op, FINAL | pdu.reason & 0x7F);
                out.tag(pdu.tag).be16(20, pdu.cid).request(pdu.request);
            }
            Header::Snack(pdu) => {
                out = Blank::new(op, FINAL | pdu.kind & 0x0F);
                out.put(8, &pdu.lun).tag(pdu.tag).be32(20, pdu.transfer).be32(28, pdu.exp_stat_sn.0);
                out.be32(40, pdu.begin).be32(44, pdu.length);
            }
            Header::NopIn(pdu) => {
                out = Blank::new(op, FINAL);
                out.put(8, &pdu.lun).tag(pdu.tag).be32(20, pdu.transfer).numbers(pdu.numbers);
            }
            Header::Response(pdu) => {
                out = Blank::new(op, FINAL);
                out.put(2, &[pdu.response, pdu.status]).tag(pdu.tag).numbers(pdu.numbers);
                out.be32(36, pdu.exp_data_sn).residual(pdu.residual);
            }
            Header::TaskResponse(pdu) => {
                out = Blank::new(op, FINAL);
                out.put(2, &[pdu.response]).tag(pdu.tag).numbers(pdu.numbers);
            }
            Header::LoginResponse(pdu) => {
                out = Blank::new(op, login_flags(pdu.stage, pdu.next, pdu.more));
                out.put(2, &[pdu.version_max, pdu.version_active]).put(8, &pdu.isid).be16(14, pdu.tsih);
                out.tag(pdu.tag).numbers(pdu.numbers).be16(36, pdu.status);
            }
            Header::TextResponse(pdu) => {
                out = Blank::new(op, flag(pdu.last, FINAL) | flag(pdu.more, CONTINUE));
                out.put(8, &pdu.lun).tag(pdu.tag).be32(20, pdu.transfer).numbers(pdu.numbers);
            }
            Header::DataIn(pdu) => {
                out = Blank::new(op, flag(pdu.last, FINAL) | flag(pdu.acknowledge, ACKNOWLEDGE));
                out.put(8, &pdu.lun).tag(pdu.tag).be32(20, pdu.transfer).numbers(pdu.numbers);
                out.be32(36, pdu.data_sn.0).be32(40, pdu.offset);
                if let Some(status) = pdu.status {
                    out.0[1] |= STATUS;
                    out.put(3, &[status]).residual(pdu.residual);
                }
            }
            Header::LogoutResponse(pdu) => {
                out = Blank::new(op, FINAL);
                out.put(2, &[pdu.response]).tag(pdu.tag).numbers(pdu.numbers);
                out.be16(40, pdu.time_to_wait).be16(42, pdu.time_to_retain);
            }
            Header::ReadyToTransfer(pdu) => {
                out = Blank::new(op, FINAL);
                out.put(8, &pdu.lun).tag(pdu.tag).be32(20, pdu.transfer).numbers(pdu.numbers);
                out.be32(36, pdu.r2t_sn.0).be32(40, pdu.offset).be32(44, pdu.length);
            }
            Header::Async(pdu) => {
                out = Blank::new(op, FINAL);
                out.put(8, &pdu.lun).be32(16, NO_TAG).numbers(pdu.numbers).put(36, &[pdu.event, pdu.vendor]);
                for (parameter, at) in pdu.parameters.into_iter().zip([38, 40, 42]) {
                    out.be16(at, parameter);
                }
            }
            Header::Reject(pdu) => {
                out = Blank::new(op, FINAL);
                out.put(2, &[pdu.reason]).be32(16, NO_TAG).numbers(pdu.numbers);
            }
        }
        out.0
    }

    /// What the bytes mean.
    ///
    /// # Errors
    ///
    /// The opcode is unknown, or flags contradict each other.
    pub fn read(bhs: &Bhs) -> Result<Header, HeaderError> {
        let at = Fields(bhs);
        let flags = bhs[1];
        let last = flags & FINAL != 0;
        Ok(match bhs[0] & 0x3F {
            0x00 => Header::NopOut(NopOut {
                request: at.request(),
                lun: at.array(8),
                tag: at.tag(),
                transfer: at.be32(20),
            }),
            0x01 => Header::Command(Command {
                request: at.request(),
                last,
                reads: flags & READ != 0,
                writes: flags & WRITE != 0,
                attribute: flags & 7,
                lun: at.array(8),
                tag: at.tag(),
                expected: at.be32(20),
                cdb: at.array(32),
            }),
            0x02 => Header::TaskRequest(TaskRequest {
                request: at.request(),
                function: flags & 0x7F,
                lun: at.array(8),
                tag: at.tag(),
                reference: Tag(at.be32(20)),
                reference_sn: at.sn(32),
                exp_data_sn: at.be32(36),
            }),
            0x03 => {
                let (stage, next, more) = login_stages(flags)?;
                Header::LoginRequest(LoginRequest {
                    request: at.request(),
                    next,
                    more,
                    stage,
                    version_max: bhs[2],
                    version_min: bhs[3],
                    isid: at.array(8),
                    tsih: at.be16(14),
                    tag: at.tag(),
                    cid: at.be16(20),
                })
            }
            0x04 => {
                let (last, more) = text_flags(flags)?;
                Header::TextRequest(TextRequest {
                    request: at.request(),
                    last,
                    more,
                    lun: at.array(8),
                    tag: at.tag(),
                    transfer: at.be32(20),
                })
            }
            0x05 => Header::DataOut(DataOut {
                last,
                lun: at.array(8),
                tag: at.tag(),
                transfer: at.be32(20),
                exp_stat_sn: at.sn(28),
                data_sn: at.sn(36),
                offset: at.be32(40),
            }),
            0x06 => Header::LogoutRequest(LogoutRequest {
                request: at.request(),
                reason: flags & 0x7F,
                tag: at.tag(),
                cid: at.be16(20),
            }),
            0x10 => Header::Snack(Snack {
                kind: flags & 0x0F,
                lun: at.array(8),
                tag: at.tag(),
                transfer: at.be32(20),
                exp_stat_sn: at.sn(28),
                begin: at.be32(40),
                length: at.be32(44),
            }),
            0x20 => Header::NopIn(NopIn {
                lun: at.array(8),
                tag: at.tag(),
                transfer: at.be32(20),
                numbers: at.numbers(),
            }),
            0x21 => Header::Response(Response {
                tag: at.tag(),
                numbers: at.numbers(),
                response: bhs[2],
                status: bhs[3],
                residual: at.residual()?,
                exp_data_sn: at.be32(36),
            }),
            0x22 => {
                Header::TaskResponse(TaskResponse { tag: at.tag(), numbers: at.numbers(), response: bhs[2] })
            }
            0x23 => {
                let (stage, next, more) = login_stages(flags)?;
                Header::LoginResponse(LoginResponse {
                    next,
                    more,
                    stage,
                    version_max: bhs[2],
                    version_active: bhs[3],
                    isid: at.array(8),
                    tsih: at.be16(14),
                    tag: at.tag(),
                    numbers: at.numbers(),
                    status: at.be16(36),
                })
            }
            0x24 => {
                let (last, more) = text_flags(flags)?;
                Header::TextResponse(TextResponse {
                    last,
                    more,
                    lun: at.array(8),
                    tag: at.tag(),
                    transfer: at.be32(20),
                    numbers: at.numbers(),
                })
            }
            0x25 => {
                let with_status = flags & STATUS != 0;
                if !with_status && flags & (OVERFLOW | UNDERFLOW) != 0 {
                    return Err(HeaderError::Residual(flags));
                }
                Header::DataIn(DataIn {
                    last,
                    acknowledge: flags & ACKNOWLEDGE != 0,
                    status: with_status.then_some(bhs[3]),
                    residual: at.residual()?,
                    lun: at.array(8),
                    tag: at.tag(),
                    transfer: at.be32(20),
                    numbers: at.numbers(),
                    data_sn: at.sn(36),
                    offset: at.be32(40),
                })
            }
            0x26 => Header::LogoutResponse(LogoutResponse {
                tag: at.tag(),
                numbers: at.numbers(),
                response: bhs[2],
                time_to_wait: at.be16(40),
                time_to_retain: at.be16(42),
            }),
            0x31 => Header::ReadyToTransfer(ReadyToTransfer {
                lun: at.array(8),
                tag: at.tag(),
                transfer: at.be32(20),
                numbers: at.numbers(),
                r2t_sn: at.sn(36),
                offset: at.be32(40),
                length: at.be32(44),
            }),
            0x32 => Header::Async(Async {
                lun: at.array(8),
                numbers: at.numbers(),
                event: bhs[36],
                vendor: bhs[37],
                parameters: [at.be16(38), at.be16(40), at.be16(42)],
            }),
            0x3F => Header::Reject(Reject { reason: bhs[2], numbers: at.numbers() }),
            opcode => return Err(HeaderError::Opcode(opcode)),
        })
    }
}
