//! Why a login is refused and why a connection is closed, for the wire and for a log.

use crate::iscsi::pdu::Malformed;
use core::fmt;

/// Status class and detail of a Login Response (RFC 7143, 11.13.5).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum LoginStatus {
    /// 0000h
    Success,
    /// 0200h: the login makes no sense.
    InitiatorError,
    /// 0201h
    AuthenticationFailed,
    /// 0203h: no target has this name here.
    NotFound,
    /// 0205h
    UnsupportedVersion,
    /// 0206h: the session has its one connection.
    TooManyConnections,
    /// 0207h: InitiatorName or TargetName is missing.
    MissingParameter,
    /// 0209h
    UnsupportedSessionType,
    /// 020Ah: no session has this TSIH.
    SessionDoesNotExist,
    /// 0301h: the target port is out of service.
    ServiceUnavailable,
    /// 0302h: no room for another session.
    OutOfResources,
}

impl LoginStatus {
    /// Class and detail as one number.
    #[must_use]
    pub const fn code(self) -> u16 {
        match self {
            LoginStatus::Success => 0x0000,
            LoginStatus::InitiatorError => 0x0200,
            LoginStatus::AuthenticationFailed => 0x0201,
            LoginStatus::NotFound => 0x0203,
            LoginStatus::UnsupportedVersion => 0x0205,
            LoginStatus::TooManyConnections => 0x0206,
            LoginStatus::MissingParameter => 0x0207,
            LoginStatus::UnsupportedSessionType => 0x0209,
            LoginStatus::SessionDoesNotExist => 0x020A,
            LoginStatus::ServiceUnavailable => 0x0301,
            LoginStatus::OutOfResources => 0x0302,
        }
    }
}

impl fmt::Display for LoginStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = match self {
            LoginStatus::Success => "success",
            LoginStatus::InitiatorError => "initiator error",
            LoginStatus::AuthenticationFailed => "authentication failed",
            LoginStatus::NotFound => "no such target",
            LoginStatus::UnsupportedVersion => "unsupported version",
            LoginStatus::TooManyConnections => "the session has its one connection",
            LoginStatus::MissingParameter => "a name is missing",
            LoginStatus::UnsupportedSessionType => "unsupported session type",
            LoginStatus::SessionDoesNotExist => "no session has this TSIH",
            LoginStatus::ServiceUnavailable => "out of service",
            LoginStatus::OutOfResources => "no room for another session",
        };
        write!(f, "{:04x}h ({words})", self.code())
    }
}

/// Why the target closes a connection.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum CloseReason {
    /// There are as many connections as are allowed.
    Connections,
    /// The login was not finished in time.
    LoginTimeout,
    /// Something else came where a Login Request was due.
    NotLogin,
    /// The login was refused with this status.
    LoginRefused(LoginStatus),
    /// A Login Request came after the login.
    LoginAgain,
    /// The stream cannot be followed any further.
    Malformed(Malformed),
    /// The initiator sent more than may be held for it.
    Buffered {
        /// Bytes held.
        held: usize,
        /// Bytes allowed.
        allowed: usize,
    },
    /// The initiator logged out.
    LoggedOut,
    /// The same initiator port logged in again.
    Reinstated,
    /// Nothing was heard, not even the answer to a ping.
    Silent,
    /// The initiator was asked to log out and has not.
    LogoutOverdue,
    /// A target cold reset drops every connection.
    ColdReset,
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CloseReason::Connections => write!(f, "there are as many connections as are allowed"),
            CloseReason::LoginTimeout => write!(f, "the login was not finished in time"),
            CloseReason::NotLogin => write!(f, "the first PDUs are no login"),
            CloseReason::LoginRefused(status) => write!(f, "login refused: {status}"),
            CloseReason::LoginAgain => write!(f, "a Login Request after the login"),
            CloseReason::Malformed(malformed) => write!(f, "{malformed}"),
            CloseReason::Buffered { held, allowed } => {
                write!(f, "{held} bytes are held for the initiator where {allowed} are allowed")
            }
            CloseReason::LoggedOut => write!(f, "the initiator logged out"),
            CloseReason::Reinstated => write!(f, "the initiator port logged in again"),
            CloseReason::Silent => write!(f, "the initiator is silent and does not answer pings"),
            CloseReason::LogoutOverdue => write!(f, "the initiator was asked to log out and has not"),
            CloseReason::ColdReset => write!(f, "target cold reset"),
        }
    }
}
