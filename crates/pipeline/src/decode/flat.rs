//! The JSON that nearly every record is: one object whose values are numbers and texts
//! without escapes.
//!
//! Contract: what is read here is what `serde_json` reads, name by name and value by value.
//! Everything else is `None`: other JSON and what is no JSON, for a reader that takes all
//! and tells what is wrong. Names that repeat are told as often as they are there. Pure.
//!
//! Why: a general reader of JSON was half of what reading costs a pod
//! (`docs/performance.md`).
//!
//! Rejected: looking for all quotes of a payload first, as readers with vector
//! instructions do (no faster for a payload of 150 bytes without them).

use tidegate_kafka::Record;

/// A member's value, as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    /// What is between the quotes.
    Text(&'a str),
    /// A number as JSON defines it, without exponent.
    Number(&'a str),
}

/// A record's payload for [`members`]. Control characters are not read there, so no NUL has
/// to be looked for.
#[inline]
pub(crate) fn payload(record: &Record) -> Option<&str> {
    std::str::from_utf8(record.payload.as_deref()?).ok()
}

/// Tells the members of a flat object in their order, until one is not wanted.
#[inline]
pub(crate) fn members<'a>(
    text: &'a str,
    mut member: impl FnMut(&'a str, Value<'a>) -> Option<()>,
) -> Option<()> {
    let mut reader = Reader { text, at: 0 };
    reader.expect(b'{')?;
    loop {
        reader.expect(b'"')?;
        let name = reader.rest_of_text()?;
        reader.expect(b':')?;
        let value = if reader.expect(b'"').is_some() {
            Value::Text(reader.rest_of_text()?)
        } else {
            Value::Number(reader.number()?)
        };
        member(name, value)?;
        if reader.expect(b',').is_none() {
            break;
        }
    }
    reader.expect(b'}')?;
    reader.skip_space();
    (reader.at == text.len()).then_some(())
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    #[inline]
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// This byte, behind any space. Mostly there is none.
    #[inline]
    fn expect(&mut self, byte: u8) -> Option<()> {
        if self.peek() != Some(byte) {
            self.skip_space();
        }
        self.expect_here(byte)
    }

    #[inline]
    fn expect_here(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    #[inline(never)]
    fn skip_space(&mut self) {
        while self.peek().is_some_and(is_space) {
            self.at += 1;
        }
    }

    /// What is before the closing quote.
    #[inline]
    fn rest_of_text(&mut self) -> Option<&'a str> {
        let start = self.at;
        self.at = end_of_text(self.text.as_bytes(), start)?;
        let text = self.text.get(start..self.at)?;
        self.expect_here(b'"')?;
        Some(text)
    }

    #[inline]
    fn number(&mut self) -> Option<&'a str> {
        let start = self.at;
        let _sign = self.expect_here(b'-');
        if self.expect_here(b'0').is_none() {
            self.digits()?;
        }
        if self.expect_here(b'.').is_some() {
            self.digits()?;
        }
        // A digit behind a leading zero, an exponent: not for us.
        let end = self.peek()?;
        let number = &self.text[start..self.at];
        // -0 is no integer to `serde_json`, and is one to `str::parse`.
        let is_one = number != "-0" && (matches!(end, b',' | b'}') || is_space(end));
        is_one.then_some(number)
    }

    #[inline]
    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// The first quote, backslash or control character from a place on.
#[inline]
fn end_of_text(bytes: &[u8], mut at: usize) -> Option<usize> {
    // Eight at a time: the lowest byte whose upper bit is set in `found` is one. (Above it
    // a borrow can set others.)
    const EACH: u64 = u64::MAX / 0xff;
    let is_zero = |word: u64| word.wrapping_sub(EACH) & !word;
    while let Some(word) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let word = u64::from_le_bytes(*word);
        let quote = is_zero(word ^ (EACH * u64::from(b'"')));
        let backslash = is_zero(word ^ (EACH * u64::from(b'\\')));
        let control = word.wrapping_sub(EACH * 0x20) & !word;
        let found = (quote | backslash | control) & (EACH * 0x80);
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    let found = bytes.get(at..)?.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20))?;
    Some(at + found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value as Json;

    use super::*;

    fn read(text: &str) -> Option<Vec<(&str, Value<'_>)>> {
        let mut read = Vec::new();
        members(text, |name, value| {
            read.push((name, value));
            Some(())
        })?;
        Some(read)
    }

    #[test]
    fn members_come_in_their_order_and_as_written() {
        let text = " {\"a\" : \"x\u{e9}, y\" ,\n\"b\":-0.50,\"a\":0,\"\":\"\" }\t";
        let expected = vec![
            ("a", Value::Text("x\u{e9}, y")),
            ("b", Value::Number("-0.50")),
            ("a", Value::Number("0")),
            ("", Value::Text("")),
        ];
        assert_eq!(read(text), Some(expected));
    }

    #[test]
    fn everything_else_is_left_to_others() {
        let others = [
            "",
            "{",
            "{}",
            "[]",
            "7",
            "null",
            r#"{"a":1"#,
            r#"{"a":1}}"#,
            r#"{"a":1} x"#,
            r#"{"a":1,}"#,
            r#"{,"a":1}"#,
            r#"{"a" 1}"#,
            r#"{a:1}"#,
            r#"{"a":}"#,
            r#"{"a":01}"#,
            r#"{"a":-0}"#,
            r#"{"a":1.}"#,
            r#"{"a":.5}"#,
            r#"{"a":-}"#,
            r#"{"a":+1}"#,
            r#"{"a":1e5}"#,
            r#"{"a":1x}"#,
            r#"{"a":true}"#,
            r#"{"a":null}"#,
            r#"{"a":{"b":1}}"#,
            r#"{"a":[1]}"#,
            r#"{"a":"\n"}"#,
            r#"{"\u0061":"n"}"#,
            "{\"a\":\"\n\"}",
            r#"{"a":"b}"#,
            "{\"a\":1\u{a0}}",
        ];
        for other in others {
            assert_eq!(read(other), None, "{other}");
        }
    }

    #[test]
    fn a_text_ends_at_the_first_byte_that_is_not_of_it() {
        for length in 0..40 {
            for (end, is_end) in [
                (b'"', true),
                (b'\\', true),
                (0, true),
                (0x1f, true),
                (b' ', false),
                (b'!', false),
                (b'#', false),
                (b'[', false),
                (b']', false),
                (0x7f, false),
                (0x80, false),
                (0xff, false),
            ] {
                let mut bytes = vec![b'x'; length];
                bytes.extend([end, b'"', 0, b'"']);
                let expected = if is_end { length } else { length + 1 };
                for start in 0..=length {
                    assert_eq!(end_of_text(&bytes, start), Some(expected), "{length} {end}");
                }
                assert_eq!(end_of_text(&bytes[..length], 0), None);
            }
        }
    }

    #[test]
    fn a_member_that_is_not_wanted_ends_it() {
        assert_eq!(members(r#"{"a":1,"b":2}"#, |name, _| (name == "a").then_some(())), None);
    }

    proptest! {
        /// Pieces of JSON in any order: some are objects, most are nearly one.
        #[test]
        fn what_is_read_is_what_serde_json_reads(
            pieces in prop::collection::vec(
                prop::sample::select(vec![
                    "\"a\":", "\"b\" : ", "\"a\"", "\"x\\ny\"", "\"\u{e9}\"", "\"\u{7f}\"", "\"",
                    ",", ", ", "1", "-1", "0", "-0.50", "00", "1e5", "1.", ".5", " ", "\n", "\u{a0}",
                    "}", "{", "null", "true", ":",
                ]),
                0..9,
            ),
        ) {
            let text = format!("{{{}}}", pieces.concat());
            if let Some(read) = read(&text) {
                let json: Json = serde_json::from_str(&text).expect("is JSON");
                for (name, value) in &read {
                    let last = read.iter().rev().find(|(other, _)| other == name);
                    let expected = match value {
                        Value::Text(text) => Json::from(*text),
                        Value::Number(text) => serde_json::from_str(text).expect("a number"),
                    };
                    if last == Some(&(name, *value)) {
                        prop_assert_eq!(&json[name], &expected);
                    }
                }
                prop_assert_eq!(
                    json.as_object().map(serde_json::Map::len),
                    Some(read.iter().map(|(name, _)| name).collect::<std::collections::HashSet<_>>().len())
                );
            }
        }
    }
}
