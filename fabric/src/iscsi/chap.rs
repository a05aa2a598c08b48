//! CHAP (RFC 1994, RFC 7143 12.1.3): proof that the other side knows a secret, without sending it.
//!
//! The response is a digest over identifier, secret and challenge. The challenge comes from outside, since nothing here has dice.
//!
//! **Deliberately absent:** Kerberos, SRP, SHA3-256 (algorithm 8).

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

/// Longest challenge or response that is read, in bytes (RFC 7143, 12.1.3).
pub const BINARY_MAX: usize = 1024;

/// CHAP_A.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Algorithm {
    /// 5
    Md5,
    /// 6
    Sha1,
    /// 7
    Sha256,
}

impl Algorithm {
    /// All of them, the one to be preferred first.
    pub const ALL: [Algorithm; 3] = [Algorithm::Sha256, Algorithm::Sha1, Algorithm::Md5];

    /// Its number in CHAP_A.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Algorithm::Md5 => 5,
            Algorithm::Sha1 => 6,
            Algorithm::Sha256 => 7,
        }
    }

    /// By its number, as it stands in CHAP_A.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Algorithm> {
        Algorithm::ALL.into_iter().find(|algorithm| number(text) == Some(algorithm.number()))
    }

    /// The response to a challenge.
    #[must_use]
    pub fn response(self, id: u8, secret: &[u8], challenge: &[u8]) -> Vec<u8> {
        match self {
            Algorithm::Md5 => hash(Md5::new(), id, secret, challenge),
            Algorithm::Sha1 => hash(Sha1::new(), id, secret, challenge),
            Algorithm::Sha256 => hash(Sha256::new(), id, secret, challenge),
        }
    }

    /// How many of a challenge's bytes are sent: as many as initiators know from the time of MD5, or as the digest is long.
    #[must_use]
    pub const fn challenge_length(self) -> usize {
        match self {
            Algorithm::Md5 => 16,
            Algorithm::Sha1 => 20,
            Algorithm::Sha256 => 32,
        }
    }
}

fn hash<D: sha2::Digest>(digest: D, id: u8, secret: &[u8], challenge: &[u8]) -> Vec<u8> {
    digest.chain_update([id]).chain_update(secret).chain_update(challenge).finalize().to_vec()
}

/// What makes a challenge, from outside: unpredictable, and another one for each login.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Challenge {
    /// CHAP_I.
    pub id: u8,
    /// CHAP_C; an algorithm takes as many bytes from the start as it wants.
    pub bytes: [u8; 32],
}

/// One direction's name and secret.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Account {
    /// CHAP_N.
    pub name: String,
    /// The secret; 12 bytes at least are advised (RFC 7143, 12.1.3).
    pub secret: Vec<u8>,
}

impl core::fmt::Debug for Account {
    /// Without the secret: what is printed ends up in a log.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Account").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Whether two byte strings are equal, in a time that depends on their lengths only.
#[must_use]
pub fn same(left: &[u8], right: &[u8]) -> bool {
    let differences =
        left.iter().zip(right).fold(0, |differences, (a, b)| core::hint::black_box(differences | (a ^ b)));
    left.len() == right.len() && core::hint::black_box(differences) == 0
}

/// A binary value as text: a hexadecimal constant.
#[must_use]
pub fn to_text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 + 2 * bytes.len());
    text.push_str("0x");
    for byte in bytes {
        write!(text, "{byte:02x}").expect("a String takes everything");
    }
    text
}

/// A binary value from text: `0x` and hexadecimal digits, or `0b` and base64 (RFC 7143, 6.1). None if it is neither, or longer than
/// [`BINARY_MAX`].
#[must_use]
pub fn from_text(text: &str) -> Option<Vec<u8>> {
    let (base, digits) = text.split_at_checked(2)?;
    let bytes = match base {
        "0x" | "0X" => hexadecimal(digits.as_bytes()),
        "0b" | "0B" => base64(digits.as_bytes()),
        _ => None,
    }?;
    (!bytes.is_empty() && bytes.len() <= BINARY_MAX).then_some(bytes)
}

/// A small number: decimal, or hexadecimal after `0x`.
#[must_use]
pub fn number(text: &str) -> Option<u8> {
    let hexadecimal = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    match hexadecimal {
        Some(digits) if digits.bytes().all(|digit| digit.is_ascii_hexdigit()) => {
            u8::from_str_radix(digits, 16).ok()
        }
        None if text.bytes().all(|digit| digit.is_ascii_digit()) => text.parse().ok(),
        _ => None,
    }
}

fn hexadecimal(digits: &[u8]) -> Option<Vec<u8>> {
    let value = |digit: u8| char::from(digit).to_digit(16).map(|value| value as u8);
    // A constant may leave out the first zero.
    let (odd, pairs) = digits.split_at(digits.len() % 2);
    let first = odd.iter().map(|digit| value(*digit));
    first.chain(pairs.chunks(2).map(|pair| Some(value(pair[0])? << 4 | value(pair[1])?))).collect()
}

fn base64(digits: &[u8]) -> Option<Vec<u8>> {
    let value = |digit: u8| match digit {
        b'A'..=b'Z' => Some(digit - b'A'),
        b'a'..=b'z' => Some(digit - b'a' + 26),
        b'0'..=b'9' => Some(digit - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let padding = digits.iter().rev().take_while(|digit| **digit == b'=').count();
    if !digits.len().is_multiple_of(4) || padding > 2 {
        return None;
    }
    let mut out = Vec::with_capacity(digits.len() / 4 * 3);
    let (mut bits, mut count) = (0_u32, 0);
    for digit in &digits[..digits.len() - padding] {
        bits = bits << 6 | u32::from(value(*digit)?);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
        }
    }
    Some(out)
}
