//! Text of login and text PDUs: `key=value`, each ended by a zero byte (RFC 7143, 6.1).

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;

/// Longest key name, in bytes (RFC 7143, 6.1).
pub const KEY_MAX: usize = 63;
/// Longest value, in bytes; the standard's longest are the large binary values of CHAP.
pub const VALUE_MAX: usize = 8192;
/// Most keys in one text.
pub const KEYS_MAX: usize = 256;

/// Why a text cannot be read.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum TextError {
    /// A piece without `=`, or with nothing before it.
    NoKey,
    /// A key that is longer than [`KEY_MAX`] or has other characters than letters, digits and `.-+@_`.
    Key,
    /// A value that is longer than [`VALUE_MAX`] or is not UTF-8.
    Value,
    /// More than [`KEYS_MAX`] keys.
    Count,
    /// The same key twice.
    Repeated,
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TextError::NoKey => "a piece of the text is no key=value",
            TextError::Key => "a key is too long or has characters that keys do not have",
            TextError::Value => "a value is too long or is not UTF-8",
            TextError::Count => "the text has too many keys",
            TextError::Repeated => "a key stands there twice",
        })
    }
}

impl core::error::Error for TextError {}

/// Keys and values, in the order in which they stand.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Text {
    pairs: Vec<(String, String)>,
}

impl Text {
    /// Reads the data of a PDU, or of several joined by the C bit. `TargetAddress` may repeat, as it does in the answer to SendTargets, and
    /// so may `TargetName` there.
    ///
    /// # Errors
    ///
    /// The text is malformed.
    pub fn read(data: &[u8]) -> Result<Text, TextError> {
        let mut text = Text::default();
        for piece in data.split(|byte| *byte == 0).filter(|piece| !piece.is_empty()) {
            let equals = piece.iter().position(|byte| *byte == b'=').ok_or(TextError::NoKey)?;
            let (key, value) = (&piece[..equals], &piece[equals + 1..]);
            if key.is_empty() {
                return Err(TextError::NoKey);
            }
            let fits = |byte: &u8| byte.is_ascii_alphanumeric() || b".-+@_".contains(byte);
            if key.len() > KEY_MAX || !key.iter().all(fits) {
                return Err(TextError::Key);
            }
            if value.len() > VALUE_MAX {
                return Err(TextError::Value);
            }
            let key = core::str::from_utf8(key).map_err(|_| TextError::Key)?;
            let value = core::str::from_utf8(value).map_err(|_| TextError::Value)?;
            if text.pairs.len() == KEYS_MAX {
                return Err(TextError::Count);
            }
            let may_repeat = matches!(key, "TargetName" | "TargetAddress");
            if !may_repeat && text.get(key).is_some() {
                return Err(TextError::Repeated);
            }
            text.put(key, value);
        }
        Ok(text)
    }

    /// As the data of a PDU.
    #[must_use]
    pub fn write(&self) -> Bytes {
        let mut data = Vec::new();
        for (key, value) in &self.pairs {
            data.extend_from_slice(key.as_bytes());
            data.push(b'=');
            data.extend_from_slice(value.as_bytes());
            data.push(0);
        }
        Bytes::from(data)
    }

    /// Appends a key.
    pub fn put(&mut self, key: &str, value: impl ToString) {
        self.pairs.push((key.to_string(), value.to_string()));
    }

    /// The first value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.iter().find(|(name, _)| *name == key).map(|(_, value)| value)
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// There are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }
}
