//! What a target is called, where it listens, and its limits.

use crate::array::TargetPort;
use crate::iscsi::chap::Account;
use crate::iscsi::negotiate::{Offer, RECEIVE_DEFAULT};
use crate::iscsi::text::Text;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use redline_vocab::Micros;

/// A portal: an address at which a target port is reached.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Portal {
    /// `host:port`, as SendTargets tells it.
    pub address: String,
    /// Which target port; it is the portal group tag too.
    pub port: TargetPort,
}

/// Secrets. With them every normal and discovery session needs CHAP.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Accounts {
    /// What initiators prove to know.
    pub initiator: Account,
    /// What the target proves to know, if an initiator asks for it.
    pub target: Option<Account>,
}

/// How much a target puts up with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Connections, those that have not logged in included.
    pub connections_max: usize,
    /// Sessions.
    pub sessions_max: usize,
    /// Commands of one session that are not answered: the width of the CmdSN window.
    pub window: u32,
    /// Immediate commands beside them.
    pub immediate_max: u32,
    /// Bytes held for one session: commands that wait for their turn, and data that are not complete.
    pub buffered_max: usize,
    /// Bytes of one session that R2Ts have asked for and that have not come; one burst is always allowed.
    pub solicited_max: usize,
    /// Bytes of a text that comes in several PDUs.
    pub text_max: u32,
    /// Bytes of additional header segments.
    pub ahs_max: u16,
}

impl Limits {
    /// What fits a loopback or a storage network: 256 sessions of 128 commands; the bytes held are what 128 commands may send unasked.
    pub const USUAL: Limits = Limits {
        connections_max: 512,
        sessions_max: 256,
        window: 128,
        immediate_max: 16,
        buffered_max: 40 << 20,
        solicited_max: 8 << 20,
        text_max: 16 << 10,
        ahs_max: 256,
    };
}

/// Deadlines.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timing {
    /// A login must be over this long after the connection was accepted.
    pub login: Micros,
    /// An initiator that was silent for so long is pinged.
    pub ping_after: Micros,
    /// A ping must be answered within this.
    pub ping_timeout: Micros,
}

impl Timing {
    /// What initiators use themselves.
    pub const USUAL: Timing = Timing {
        login: Micros(15_000_000),
        ping_after: Micros(30_000_000),
        ping_timeout: Micros(15_000_000),
    };
}

impl Offer {
    /// What the target is ready for: digests if they are asked for, large bursts, unsolicited data.
    pub const TARGET: Offer = Offer {
        header_digest: true,
        data_digest: true,
        initial_r2t: false,
        immediate_data: true,
        receive_max: 262_144,
        burst_max: 1 << 20,
        first_burst_max: 262_144,
        r2t_max: 4,
        time_to_wait: 2,
        time_to_retain: 20,
    };
}

/// A target.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// iSCSI name.
    pub name: String,
    /// Where it is reached.
    pub portals: Vec<Portal>,
    /// Who may come in; anybody if there are no accounts.
    pub chap: Option<Accounts>,
    /// What it negotiates.
    pub offer: Offer,
    /// How much it puts up with.
    pub limits: Limits,
    /// Deadlines.
    pub timing: Timing,
}

/// A configuration that cannot work.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ConfigError {
    /// The answer to SendTargets is longer than one PDU may be before anything was declared; some initiators refuse a continued one.
    Targets {
        /// Bytes.
        length: usize,
        /// Bytes allowed.
        allowed: usize,
    },
    /// The iSCSI name is empty or longer than 223 bytes.
    Name,
    /// A limit is 0, or FirstBurstLength is above MaxBurstLength.
    Limit,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::Targets { length, allowed } => {
                write!(
                    f,
                    "the answer to SendTargets has {length} bytes where {allowed} are allowed: fewer portals"
                )
            }
            ConfigError::Name => write!(f, "an iSCSI name has 1 to 223 bytes"),
            ConfigError::Limit => write!(f, "a limit is 0, or FirstBurstLength is above MaxBurstLength"),
        }
    }
}

impl core::error::Error for ConfigError {}

impl Config {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if self.name.is_empty() || self.name.len() > 223 {
            return Err(ConfigError::Name);
        }
        let mut targets = Text::default();
        self.targets(&mut targets);
        let (length, allowed) = (targets.write().len(), RECEIVE_DEFAULT as usize);
        if length > allowed {
            return Err(ConfigError::Targets { length, allowed });
        }
        let Limits { connections_max, sessions_max, window, .. } = self.limits;
        let Offer { receive_max, burst_max, first_burst_max, r2t_max, .. } = self.offer;
        let lengths =
            receive_max >= 512 && first_burst_max >= 512 && first_burst_max <= burst_max && r2t_max > 0;
        let counts = connections_max > 0 && sessions_max > 0 && window > 0 && window < 1 << 30;
        if lengths && counts { Ok(()) } else { Err(ConfigError::Limit) }
    }

    /// The answer to SendTargets.
    pub(super) fn targets(&self, answer: &mut Text) {
        answer.put("TargetName", &self.name);
        for portal in &self.portals {
            answer.put("TargetAddress", format!("{},{}", portal.address, portal.port.0));
        }
    }
}
