//! Where a target is: `iscsi://[USER@]HOST[:PORT]/IQN/LUN`.

use std::fmt;

/// The port that targets listen on (RFC 7143).
const PORT: u16 = 3260;

/// A portal of the target beside the one in its address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Portal {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl Portal {
    /// Reads `HOST[:PORT]`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Portal, String> {
        let parts = split_port(text).filter(|(host, _)| !host.is_empty() && !host.contains(['/', '@']));
        let (host, port) = parts.ok_or_else(|| format!("`{text}` is no portal; expected HOST[:PORT]"))?;
        Ok(Portal { host: host.to_owned(), port })
    }
}

impl fmt::Display for Portal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// A logical unit of a target.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Address {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// TargetName.
    pub target: String,
    /// Logical unit number.
    pub lun: u16,
    /// CHAP_N, if the address names a user.
    pub user: Option<String>,
}

/// Largest logical unit number in flat space addressing (SAM-5).
const LUN_MAX: u16 = 0x3fff;

impl Address {
    /// Reads an address.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Address, String> {
        let expected =
            |what: &str| format!("`{text}`: {what}; expected iscsi://[USER@]HOST[:PORT]/TARGET-NAME/LUN");
        let rest = text.strip_prefix("iscsi://").ok_or_else(|| expected("no iscsi:// address"))?;
        let mut parts = rest.splitn(3, '/');
        let (Some(place), Some(target), Some(lun)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(expected("target name or LUN is missing"));
        };
        let (user, place) = match place.rsplit_once('@') {
            Some((user, _)) if user.contains([':', '%']) => {
                return Err(expected("a password does not belong on the command line: --password-file"));
            }
            Some((user, place)) => (Some(user.to_owned()), place),
            None => (None, place),
        };
        let (host, port) = split_port(place).ok_or_else(|| expected("no port number"))?;
        let lun: u16 = lun.parse().map_err(|_| expected("the LUN is no number"))?;
        if host.is_empty() || target.is_empty() || lun > LUN_MAX {
            return Err(expected("host, target name or LUN is not usable"));
        }
        Ok(Address { host: host.to_owned(), port, target: target.to_lowercase(), lun, user })
    }

    /// The portal in the address.
    pub fn portal(&self) -> Portal {
        Portal { host: self.host.clone(), port: self.port }
    }

    /// The LUN field: peripheral device addressing below 256, flat space addressing from there on.
    pub fn lun_field(&self) -> [u8; 8] {
        let [high, low] = if self.lun < 256 { self.lun } else { self.lun | 0x4000 }.to_be_bytes();
        [high, low, 0, 0, 0, 0, 0, 0]
    }
}

/// Host and port; an IPv6 address stands in brackets.
fn split_port(place: &str) -> Option<(&str, u16)> {
    if let Some(rest) = place.strip_prefix('[') {
        let (host, port) = rest.split_once(']')?;
        return match port.strip_prefix(':') {
            Some(port) => port.parse().ok().map(|port| (host, port)),
            None => port.is_empty().then_some((host, PORT)),
        };
    }
    match place.rsplit_once(':') {
        Some((host, port)) => port.parse().ok().map(|port| (host, port)),
        None => Some((place, PORT)),
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = self.user.as_deref().map(|user| format!("{user}@")).unwrap_or_default();
        write!(f, "iscsi://{user}{}/{}/{}", self.portal(), self.target, self.lun)
    }
}

#[cfg(test)]
mod tests {
    use super::{Address, Portal};

    #[test]
    fn portals_are_read_or_refused() {
        assert_eq!(Portal::parse("127.0.0.1:3261").expect("it is one").to_string(), "127.0.0.1:3261");
        assert_eq!(Portal::parse("[::1]:7").expect("it is one").to_string(), "[::1]:7");
        assert_eq!(Portal::parse("array").expect("it is one").port, 3260);
        for bad in ["", ":3260", "a:b", "iscsi://a/b/0", "me@a"] {
            assert!(Portal::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn addresses_are_read_or_refused() {
        let address = Address::parse("iscsi://me@127.0.0.1:3261/iqn.2026-11.a:B/300").expect("it is one");
        assert_eq!((address.port, address.lun, address.user.as_deref()), (3261, 300, Some("me")));
        assert_eq!(address.lun_field()[..2], [0x41, 0x2c]);
        assert_eq!(address.to_string(), "iscsi://me@127.0.0.1:3261/iqn.2026-11.a:b/300");
        assert_eq!(Address::parse("iscsi://[::1]/iqn.x/0").expect("it is one").port, 3260);
        for bad in [
            "",
            "http://a/b/0",
            "iscsi://a",
            "iscsi://a/b",
            "iscsi:///b/0",
            "iscsi://a:x/b/0",
            "iscsi://a/b/x",
            "iscsi://a/b/99999",
            "iscsi://u%p@a/b/0",
        ] {
            assert!(Address::parse(bad).is_err(), "{bad}");
        }
    }
}
