//! Wire forms of identifiers, numbers, lists and the few words that are not plain lists of names.

use super::cursor::{Cursor, Taken};
use super::encode;
use super::forms::{Definitions, Wire, defined, itf_variant};
use crate::Problem;
use redline_vocab::{
    Design, Epoch, Generation, Guard, Key, Lba, Micros, Nexus, Nexuses, NodeId, PortList, Quirk, Quirks,
    Sense, Serial, Tag,
};
use serde_json::{Value, json};

/// ITF wants big numbers in this form; writing all of them so saves its readers a distinction.
fn itf_integer(value: impl ToString) -> Value {
    json!({ "#bigint": value.to_string() })
}

macro_rules! unsigned {
    ($($kind:ty)*) => {$(
        impl Wire for $kind {
            #[inline]
            fn put(&self, out: &mut Vec<u8>) {
                encode::integer(out, u64::from(*self));
            }
            #[inline]
            fn take(cursor: &mut Cursor<'_>) -> Taken<Self> {
                let (_, value) = cursor.integer(0, u64::from(<$kind>::MAX))?;
                Ok(value as $kind)
            }
            fn schema(_: &mut Definitions) -> Value {
                json!({ "type": "integer", "minimum": 0, "maximum": <$kind>::MAX })
            }
            fn itf(&self) -> Value {
                itf_integer(self)
            }
        }
    )*};
}
unsigned!(u8 u16 u32 u64);

impl Wire for i16 {
    fn put(&self, out: &mut Vec<u8>) {
        if *self < 0 {
            out.push(b'-');
        }
        encode::integer(out, u64::from(self.unsigned_abs()));
    }
    fn take(cursor: &mut Cursor<'_>) -> Taken<Self> {
        let (negative, value) = cursor.integer(i64::from(i16::MIN), i16::MAX as u64)?;
        let value = value as i64;
        Ok(if negative { -value } else { value } as i16)
    }
    fn schema(_: &mut Definitions) -> Value {
        json!({ "type": "integer", "minimum": i16::MIN, "maximum": i16::MAX })
    }
    fn itf(&self) -> Value {
        itf_integer(self)
    }
}

macro_rules! newtypes {
    ($($kind:ident($inner:ty))*) => {$(
        impl Wire for $kind {
            #[inline]
            fn put(&self, out: &mut Vec<u8>) {
                self.0.put(out);
            }
            #[inline]
            fn take(cursor: &mut Cursor<'_>) -> Taken<Self> {
                <$inner>::take(cursor).map($kind)
            }
            fn schema(definitions: &mut Definitions) -> Value {
                <$inner>::schema(definitions)
            }
            fn itf(&self) -> Value {
                self.0.itf()
            }
        }
    )*};
}
newtypes!(NodeId(u8) Nexus(u8) Tag(u32) Generation(u32) Epoch(u32) Serial(u32) Lba(u64) Micros(u64));

impl Wire for bool {
    #[inline]
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(if *self { b"true" } else { b"false" });
    }
    #[inline]
    fn take(cursor: &mut Cursor<'_>) -> Taken<Self> {
        cursor.boolean()
    }
    fn schema(_: &mut Definitions) -> Value {
        json!({ "type": "boolean" })
    }
    fn itf(&self) -> Value {
        json!(self)
    }
}

impl Wire for String {
    fn put(&self, out: &mut Vec<u8>) {
        encode::string(out, self);
    }
    fn take(cursor: &mut Cursor<'_>) -> Taken<Self> {
        cursor.string()
    }
    fn schema(_: &mut Definitions) -> Value {
        json!({ "type": "string" })
    }
    fn itf(&self) -> Value {
        json!(self)
    }
}

impl<T: Wire> Wire for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Some(value) => value.put(out),
            None => out.extend_from_slice(b"null"),
        }
    }
    fn take(cursor: &mut Cursor<'_>) -> Taken<Self> {
        if cursor.null() { Ok(None) } else { T::take(cursor).map(Some) }
    }
    fn schema(definitions: &mut Definitions) -> Value {
        json!({ "oneOf": [T::schema(definitions), { "type": "null" }] })
    }
    fn itf(&self) -> Value {
        match self {
            Some(value) => itf_variant("Some", Some(value.itf())),
            None => itf_variant("None", None),
        }
    }
}

impl<T: Wire> Wire for Vec<T> {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(b'[');
        for (i, value) in self.iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            value.put(out);
        }
        out.push(b']');
    }
    fn take(cursor: &mut Cursor<'_>) -> Taken<Self> {
        cursor.must(b'[', "a list")?;
        let mut values = Vec::new();
        let mut first = true;
        while cursor.element(&mut first)? {
            values.push(T::take(cursor)?);
        }
        Ok(values)
    }
    fn schema(definitions: &mut Definitions) -> Value {
        json!({ "type": "array", "items": T::schema(definitions) })
    }
    fn itf(&self) -> Value {
        self.iter().map(Wire::itf).collect::<Vec<_>>().into()
    }
}

/// A bit of PERSISTENT RESERVE OUT with what it asks for: `false`, a list of nexuses, or `true` where the bit is set and
/// what it asks for names no ports. Older traces know the bit alone; their targets supported neither.
impl Wire for PortList {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            PortList::Absent => false.put(out),
            PortList::Invalid => true.put(out),
            PortList::Of(nexuses) => nexuses.iter().collect::<Vec<_>>().put(out),
        }
    }
    fn take(cursor: &mut Cursor<'_>) -> Taken<Self> {
        if cursor.peek() != Some(b'[') {
            let set = cursor.boolean()?;
            return Ok(if set { PortList::Invalid } else { PortList::Absent });
        }
        let offset = cursor.mark();
        let listed: Vec<Nexus> = Vec::take(cursor)?;
        // A list has one spelling, so that no byte of a trace can change unnoticed.
        if !listed.is_sorted_by(|one, other| one < other) {
            let found = "another order".to_owned();
            return Err(
                cursor.refuse(offset, Problem::Expected { what: "nexuses in ascending order", found })
            );
        }
        Ok(PortList::Of(listed.into_iter().collect::<Nexuses>()))
    }
    fn schema(definitions: &mut Definitions) -> Value {
        defined(
            definitions,
            "PortList",
            |definitions| json!({ "oneOf": [{ "type": "boolean" }, Vec::<Nexus>::schema(definitions)] }),
        )
    }
    fn itf(&self) -> Value {
        match self {
            PortList::Absent => itf_variant("Absent", None),
            PortList::Invalid => itf_variant("Invalid", None),
            PortList::Of(nexuses) => {
                itf_variant("Of", Some(nexuses.iter().map(|nexus| nexus.itf()).collect::<Vec<_>>().into()))
            }
        }
    }
}

/// Reads 1 to 16 hexadecimal digits.
fn digits(text: &str) -> Option<u64> {
    // `from_str_radix` would accept a sign.
    let plain = (1..=16).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if plain { u64::from_str_radix(text, 16).ok() } else { None }
}

impl Wire for Key {
    #[inline]
    fn put(&self, out: &mut Vec<u8>) {
        encode::hexadecimal(out, self.0);
    }
    #[inline]
    fn take(cursor: &mut Cursor<'_>) -> Taken<Self> {
        const WHAT: &str = "a reservation key such as \"0x1a\"";
        let offset = cursor.mark();
        let text = cursor.name(WHAT)?;
        match text.strip_prefix("0x").and_then(digits) {
            Some(key) => Ok(Key(key)),
            None => {
                let found = format!("\"{text}\"");
                Err(cursor.refuse(offset, Problem::Expected { what: WHAT, found }))
            }
        }
    }
    fn schema(definitions: &mut Definitions) -> Value {
        defined(definitions, "Key", |_| json!({ "type": "string", "pattern": "^0x[0-9a-fA-F]{1,16}$" }))
    }
    fn itf(&self) -> Value {
        json!(format!("{:#x}", self.0))
    }
}

/// The code without its text: `06/2A/05`.
fn sense_code(sense: Sense) -> String {
    format!("{:02X}/{:02X}/{:02X}", sense.key, sense.asc, sense.ascq)
}

impl Wire for Sense {
    fn put(&self, out: &mut Vec<u8>) {
        const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
        for (before, byte) in [(b'"', self.key), (b'/', self.asc), (b'/', self.ascq)] {
            out.extend_from_slice(&[before, DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
        }
        out.push(b'"');
    }
    fn take(cursor: &mut Cursor<'_>) -> Taken<Self> {
        const WHAT: &str = "sense data such as \"06/2A/05\" (sense key, code, qualifier)";
        let offset = cursor.mark();
        let text = cursor.name(WHAT)?;
        let parts: Option<Vec<u8>> = text
            .split('/')
            .map(|part| if part.len() == 2 { digits(part).map(|value| value as u8) } else { None })
            .collect();
        match parts.as_deref() {
            Some(&[key @ 0..=15, asc, ascq]) => Ok(Sense { key, asc, ascq }),
            _ => {
                let found = format!("\"{text}\"");
                Err(cursor.refuse(offset, Problem::Expected { what: WHAT, found }))
            }
        }
    }
    fn schema(definitions: &mut Definitions) -> Value {
        let pattern = "^0[0-9a-fA-F]/[0-9a-fA-F]{2}/[0-9a-fA-F]{2}$";
        defined(definitions, "Sense", |_| json!({ "type": "string", "pattern": pattern }))
    }
    fn itf(&self) -> Value {
        json!(sense_code(*self))
    }
}

macro_rules! name_sets {
    ($($set:ident of $one:ident = $what:literal)*) => {$(
        impl Wire for $set {
            fn put(&self, out: &mut Vec<u8>) {
                self.iter().map(|one| one.name().to_string()).collect::<Vec<_>>().put(out);
            }
            fn take(cursor: &mut Cursor<'_>) -> Taken<Self> {
                cursor.must(b'[', "a list of names")?;
                let mut set = $set::NONE;
                let mut first = true;
                while cursor.element(&mut first)? {
                    let offset = cursor.mark();
                    let name = cursor.name($what)?;
                    match $one::from_name(name) {
                        Some(one) if set.has(one) => {
                            return Err(cursor.refuse(offset, Problem::Twice(one.name())));
                        }
                        Some(one) => set = set.with(one),
                        None => {
                            let known: Vec<&'static str> = $one::ALL.iter().map(|one| one.name()).collect();
                            return Err(cursor.unknown(offset, $what, name, &known));
                        }
                    }
                }
                Ok(set)
            }
            fn schema(definitions: &mut Definitions) -> Value {
                let names: Vec<&str> = $one::ALL.iter().map(|one| one.name()).collect();
                defined(definitions, stringify!($set), |_| {
                    json!({ "type": "array", "items": { "enum": names }, "uniqueItems": true })
                })
            }
            fn itf(&self) -> Value {
                json!({ "#set": self.iter().map(|one| one.name()).collect::<Vec<_>>() })
            }
        }
    )*};
}
name_sets!(Design of Guard = "guard" Quirks of Quirk = "quirk");
