//! A reader of JSON text that knows what it expects and where it stands.
//!
//! It accepts JSON as RFC 8259 defines it, with three restrictions that no writer of traces should mind: names are
//! written without escapes, numbers are whole and have no exponent, and text is UTF-8. Depth needs no counter: it
//! is bounded by the nesting of the expected types, because nothing unknown is ever skipped.

use super::forms::Wire;
use crate::Problem;

/// Why a line was not accepted: where, in which field, and what is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Refusal {
    /// Offset in bytes from the start of the line.
    pub(crate) offset: usize,
    /// The field, innermost first.
    pub(crate) path: Vec<&'static str>,
    /// What is wrong.
    pub(crate) problem: Problem,
}

impl Refusal {
    /// Adds the name of the field around it.
    #[cold]
    pub(crate) fn within(mut self: Box<Refusal>, field: &'static str) -> Box<Refusal> {
        self.path.push(field);
        self
    }

    /// The field from the outside in, joined by dots.
    pub(crate) fn field(&self) -> String {
        self.path.iter().rev().copied().collect::<Vec<_>>().join(".")
    }
}

pub(crate) type Taken<T> = Result<T, Box<Refusal>>;

/// How much of the offending text a message shows, in characters.
const SHOWN_MAX: usize = 40;

/// A place in a line.
pub(crate) struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// Reads one value that is the whole text.
    pub(crate) fn whole<T: Wire>(text: &'a [u8]) -> Taken<T> {
        let mut cursor = Cursor { text, at: 0 };
        let value = T::take(&mut cursor)?;
        cursor.space();
        if cursor.at == text.len() { Ok(value) } else { Err(cursor.expected("the end of the line")) }
    }

    /// The name of the first field of the object that the text should be.
    #[inline]
    pub(crate) fn first_field(text: &'a [u8]) -> Option<&'a str> {
        let mut cursor = Cursor { text, at: 0 };
        cursor.open().ok()?;
        cursor.name("a name").ok()
    }

    /// The offset of the next byte that is not white space.
    pub(crate) fn mark(&mut self) -> usize {
        self.space();
        self.at
    }

    #[inline]
    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\r') = self.text.get(self.at) {
            self.at += 1;
        }
    }

    /// The next byte that is not white space.
    #[inline]
    pub(crate) fn peek(&mut self) -> Option<u8> {
        self.space();
        self.text.get(self.at).copied()
    }

    /// Steps over this byte if it is next.
    #[inline]
    pub(crate) fn eat(&mut self, byte: u8) -> bool {
        let here = self.peek() == Some(byte);
        self.at += usize::from(here);
        here
    }

    /// Steps over this byte, which must be next.
    #[inline]
    pub(crate) fn must(&mut self, byte: u8, what: &'static str) -> Taken<()> {
        if self.eat(byte) { Ok(()) } else { Err(self.expected(what)) }
    }

    /// Steps over `null` if it is next.
    #[inline]
    pub(crate) fn null(&mut self) -> bool {
        self.space();
        self.word(b"null")
    }

    fn word(&mut self, word: &[u8]) -> bool {
        let here = self.text[self.at..].starts_with(word);
        self.at += if here { word.len() } else { 0 };
        here
    }

    /// `true` or `false`.
    #[inline]
    pub(crate) fn boolean(&mut self) -> Taken<bool> {
        self.space();
        if self.word(b"true") {
            Ok(true)
        } else if self.word(b"false") {
            Ok(false)
        } else {
            Err(self.expected("true or false"))
        }
    }

    /// A whole number in this range. Range and magnitude are separate so that the type can be as wide as `u64`.
    pub(crate) fn integer(&mut self, min: i64, max: u64) -> Taken<(bool, u64)> {
        let start = self.mark();
        let negative = self.eat(b'-');
        let digits = self.at;
        let mut value: u64 = 0;
        let mut wide = false;
        while let Some(digit @ b'0'..=b'9') = self.text.get(self.at) {
            let digit = u64::from(digit - b'0');
            match value.checked_mul(10).and_then(|tens| tens.checked_add(digit)) {
                Some(next) => value = next,
                None => wide = true,
            }
            self.at += 1;
        }
        let leading_zero = self.at - digits > 1 && self.text[digits] == b'0';
        let continued = matches!(self.text.get(self.at), Some(b'.' | b'e' | b'E'));
        if self.at == digits || leading_zero || continued || (negative && value == 0) {
            self.at = start;
            return Err(self.expected("a whole number"));
        }
        let allowed = !wide && if negative { value <= min.unsigned_abs() && min < 0 } else { value <= max };
        if allowed {
            return Ok((negative, value));
        }
        let found = shown(&self.text[start..self.at]);
        Err(Box::new(Refusal {
            offset: start,
            path: vec![],
            problem: Problem::OutOfRange { min, max, found },
        }))
    }

    /// A string without escapes, such as a name.
    #[inline]
    pub(crate) fn name(&mut self, what: &'static str) -> Taken<&'a str> {
        if self.peek() != Some(b'"') {
            return Err(self.expected(what));
        }
        let rest = &self.text[self.at + 1..];
        let Some(length) = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)) else {
            return Err(self.expected(what));
        };
        if rest[length] != b'"' {
            return Err(self.expected(what));
        }
        match std::str::from_utf8(&rest[..length]) {
            Ok(name) => {
                self.at += length + 2;
                Ok(name)
            }
            Err(_) => Err(self.expected(what)),
        }
    }

    /// Any string; escapes are resolved.
    pub(crate) fn string(&mut self) -> Taken<String> {
        if self.peek() != Some(b'"') {
            return Err(self.expected("a string"));
        }
        let start = self.at;
        let mut end = start + 1;
        loop {
            match self.text.get(end) {
                Some(b'"') => break,
                Some(b'\\') => end += 2,
                Some(_) => end += 1,
                None => return Err(self.expected("a string")),
            }
        }
        let quoted = &self.text[start..=end];
        // Escapes are rare and have many rules; serde_json knows them all.
        match serde_json::from_slice::<String>(quoted) {
            Ok(text) => {
                self.at = end + 1;
                Ok(text)
            }
            Err(_) => Err(self.expected("a string")),
        }
    }

    /// Begins an object.
    #[inline]
    pub(crate) fn open(&mut self) -> Taken<()> {
        self.must(b'{', "an object")
    }

    /// The next field's name with its offset, or `None` at the end of the object. `first` is cleared. Which field an empty
    /// object lacks is for the caller to say.
    #[inline]
    pub(crate) fn field(&mut self, first: &mut bool) -> Taken<Option<(&'a str, usize)>> {
        if self.eat(b'}') {
            return Ok(None);
        }
        if !*first {
            self.must(b',', "\",\" or \"}\"")?;
        }
        *first = false;
        let offset = self.mark();
        let name = self.name("the name of a field")?;
        self.must(b':', "\":\"")?;
        Ok(Some((name, offset)))
    }

    /// Begins the next element of a list, or ends the list. `first` is cleared.
    #[inline]
    pub(crate) fn element(&mut self, first: &mut bool) -> Taken<bool> {
        if *first {
            *first = false;
            return Ok(!self.eat(b']'));
        }
        if self.eat(b']') {
            return Ok(false);
        }
        self.must(b',', "\",\" or \"]\"")?;
        Ok(true)
    }

    /// The refusal that something else was expected here.
    #[cold]
    pub(crate) fn expected(&mut self, what: &'static str) -> Box<Refusal> {
        self.space();
        let found = match self.text.get(self.at..) {
            Some([]) | None => "the end of the line".to_string(),
            Some(rest) => shown(rest),
        };
        self.refuse(self.at, Problem::Expected { what, found })
    }

    /// The refusal that a name is not among those known.
    #[cold]
    pub(crate) fn unknown(
        &self,
        offset: usize,
        what: &'static str,
        found: &str,
        known: &[&'static str],
    ) -> Box<Refusal> {
        let near = known.iter().map(|name| (strsim::damerau_levenshtein(name, found), *name)).min();
        // Half of the name may differ; beyond that a suggestion confuses.
        let nearest = near.filter(|(distance, name)| *distance * 2 <= name.len()).map(|(_, name)| name);
        let found = shown(found.as_bytes());
        self.refuse(offset, Problem::Unknown { what, found, nearest })
    }

    /// A refusal at this offset.
    #[cold]
    pub(crate) fn refuse(&self, offset: usize, problem: Problem) -> Box<Refusal> {
        Box::new(Refusal { offset, path: vec![], problem })
    }
}

/// The start of a text, for a message.
fn shown(text: &[u8]) -> String {
    // Four bytes a character at most, so that long lines are not copied whole.
    let head = String::from_utf8_lossy(&text[..text.len().min(SHOWN_MAX * 4)]);
    let mut short = String::new();
    for character in head.chars().take(SHOWN_MAX) {
        // Control characters would garble a terminal; quotes read better as they are.
        if character.is_control() { short.extend(character.escape_debug()) } else { short.push(character) }
    }
    if head.chars().count() > SHOWN_MAX || text.len() > SHOWN_MAX * 4 {
        short.push_str("...");
    }
    short
}
