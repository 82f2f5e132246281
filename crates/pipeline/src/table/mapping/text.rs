//! Times, dates, UUIDs and bytes from text.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;

/// How bytes are written in a JSON text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Encoding {
    #[default]
    Base64,
    Hex,
}

/// 2000-01-01, where PostgreSQL's dates begin.
const EPOCH_DATE: jiff::civil::Date = jiff::civil::date(2000, 1, 1);

/// ISO 8601, without an offset UTC; Unix microseconds.
pub(crate) fn time_us(text: &str) -> Option<i64> {
    if let Some(at_us) = usual_time_us(text.as_bytes()) {
        return Some(at_us);
    }
    let at: Result<jiff::Timestamp, _> = text
        .parse()
        .or_else(|_| text.parse().and_then(|at| jiff::tz::Offset::UTC.to_timestamp(at)));
    at.map_or_else(|_| last_time_us(text), |at| Some(at.as_microsecond()))
}

/// The library's times end a day before the year 9999 does, of which many programs make their
/// "never": 9999-12-31T23:59:59.9999999+00:00.
fn last_time_us(text: &str) -> Option<i64> {
    let pieces = jiff::fmt::temporal::Pieces::parse(text).ok()?;
    if pieces.time_zone_annotation().is_some() {
        return None;
    }
    let time = pieces.time().unwrap_or_default();
    let offset_s = pieces.to_numeric_offset().map_or(0, jiff::tz::Offset::seconds);
    let local_us = pieces.date().to_datetime(time).duration_since(EPOCH).as_micros();
    i64::try_from(local_us).ok()?.checked_sub(i64::from(offset_s) * 1_000_000)
}

/// Unix microseconds as ISO 8601; `None` for what is no time of the years to 9999.
pub(super) fn time_text(at_us: i64) -> Option<String> {
    let at = EPOCH.checked_add(jiff::SignedDuration::from_micros(at_us)).ok()?;
    Some(format!("{at}Z"))
}

const EPOCH: jiff::civil::DateTime = jiff::civil::datetime(1970, 1, 1, 0, 0, 0, 0);

/// `2026-01-01T00:00:00.000Z` with up to six decimals: most times look like this.
fn usual_time_us(text: &[u8]) -> Option<i64> {
    let (text, b'Z') = text.split_last().map(|(last, text)| (text, *last))? else { return None };
    let number = |range: std::ops::Range<usize>| {
        text.get(range)?.iter().try_fold(0i64, |value, byte| {
            byte.is_ascii_digit().then(|| value * 10 + i64::from(byte - b'0'))
        })
    };
    let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if marks.iter().any(|(at, mark)| text.get(*at) != Some(mark)) {
        return None;
    }
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let fraction_us = match text.len() {
        19 => 0,
        length @ 21..=26 if text[19] == b'.' => {
            number(20..length)? * 10i64.pow(6 - (length as u32 - 20))
        }
        _ => return None,
    };
    let date = jiff::civil::Date::new(year as i16, month as i8, day as i8).ok()?;
    let days = i64::from(days_since_2000(date)?) + DAYS_1970_TO_2000;
    Some(((days * 24 + hour) * 3600 + minute * 60 + second) * 1_000_000 + fraction_us)
}

const DAYS_1970_TO_2000: i64 = 10_957;

/// `2026-01-31`; days since 2000-01-01.
pub(super) fn date_days(text: &str) -> Option<i32> {
    if text.len() != 10 {
        return None;
    }
    days_since_2000(text.parse().ok()?)
}

fn days_since_2000(date: jiff::civil::Date) -> Option<i32> {
    EPOCH_DATE.until(date).ok().map(|span| span.get_days())
}

/// With or without hyphens.
pub(super) fn uuid(text: &[u8]) -> Option<[u8; 16]> {
    let has_hyphens = text.len() == 36;
    if !has_hyphens && text.len() != 32 {
        return None;
    }
    if has_hyphens && [8, 13, 18, 23].iter().any(|at| text[*at] != b'-') {
        return None;
    }
    let mut digits = text.iter().filter(|byte| !has_hyphens || **byte != b'-');
    let mut bytes = [0; 16];
    for byte in &mut bytes {
        let (high, low) = (hex_digit(*digits.next()?)?, hex_digit(*digits.next()?)?);
        *byte = high << 4 | low;
    }
    digits.next().is_none().then_some(bytes)
}

pub(super) fn bytes(text: &str, encoding: Encoding) -> Option<Vec<u8>> {
    match encoding {
        Encoding::Base64 => BASE64.decode(text).ok(),
        Encoding::Hex if text.len().is_multiple_of(2) => text
            .as_bytes()
            .chunks(2)
            .map(|pair| Some(hex_digit(pair[0])? << 4 | hex_digit(pair[1])?))
            .collect(),
        Encoding::Hex => None,
    }
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

/// A decimal number without exponent, at most this many digits.
pub(super) fn is_decimal(text: &str, max_digits: u32) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, decimals) = digits.split_once('.').map_or((digits, None), |(w, d)| (w, Some(d)));
    let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    all_digits(whole)
        && decimals.is_none_or(all_digits)
        && whole.len() + decimals.map_or(0, str::len) <= max_digits as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_time_is_what_the_library_reads() {
        for text in [
            "2026-01-01T00:00:00.000Z",
            "1969-12-31T23:59:59.999999Z",
            "2024-02-29T12:30:45Z",
            "2000-01-01T00:00:00.5Z",
            "0001-01-01T00:00:00Z",
            "9999-12-30T20:59:59.123Z",
        ] {
            let at: jiff::Timestamp = text.parse().expect(text);
            assert_eq!(usual_time_us(text.as_bytes()), Some(at.as_microsecond()), "{text}");
        }
        for text in
            ["2023-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-01-01T24:00:00Z", "Z", ""]
        {
            assert_eq!(time_us(text), None, "{text}");
        }
        for text in [
            "9999-12-31T23:59:59.9999999Z",
            "9999-12-31T23:59:59.9999999+00:00",
            "9999-12-31T23:59:59.999999",
            "9999-12-31 22:59:59.999999-01:00",
        ] {
            assert_eq!(time_us(text), Some(253_402_300_799_999_999), "{text}");
        }
        assert_eq!(time_us("9999-12-31"), Some(253_402_214_400_000_000));
        for text in ["9999-12-31T00:00:00[Europe/Paris]", "9999-12-32T00:00:00.0000000Z", "never"] {
            assert_eq!(time_us(text), None, "{text}");
        }
        let second = Some(946_684_801_000_000);
        assert_eq!(time_us("2000-01-01T02:00:01+02:00"), second);
        assert_eq!(time_us("2000-01-01T00:00:01"), second);
    }

    #[test]
    fn a_time_as_text_is_what_the_library_writes_and_reaches_the_end_of_9999() {
        for at_us in [0, -1, 1_767_225_600_123_000, -62_135_596_800_000_000] {
            let at = jiff::Timestamp::from_microsecond(at_us).expect("a time");
            assert_eq!(time_text(at_us), Some(at.to_string()));
        }
        let last = "9999-12-31T23:59:59.999999Z";
        assert_eq!(time_text(253_402_300_799_999_999).as_deref(), Some(last));
        for at_us in [253_402_300_800_000_000, i64::MAX, i64::MIN] {
            assert_eq!(time_text(at_us), None, "{at_us}");
        }
    }

    #[test]
    fn dates_uuids_bytes_and_decimals() {
        assert_eq!(date_days("2000-01-02"), Some(1));
        assert_eq!(date_days("1999-12-31"), Some(-1));
        assert_eq!(date_days("2026-02-30"), None);
        assert_eq!(date_days("2026-01-01T00:00:00"), None);
        let id = uuid(b"00010203-0405-0607-0809-0a0b0c0d0e0F");
        assert_eq!(id, Some([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]));
        assert_eq!(uuid(b"000102030405060708090a0b0c0d0e0F"), id);
        for wrong in
            ["", "00010203-0405-0607-0809-0a0b0c0d0e0g", "0001020304-05-0607-0809-0a0b0c0d0e0"]
        {
            assert_eq!(uuid(wrong.as_bytes()), None, "{wrong}");
        }
        assert_eq!(bytes("AP8=", Encoding::Base64), Some(vec![0, 255]));
        assert_eq!(bytes("00fF", Encoding::Hex), Some(vec![0, 255]));
        assert_eq!(bytes("0", Encoding::Hex), None);
        assert_eq!(bytes("é0", Encoding::Hex), None);
        for (text, expected) in [
            ("0.1", true),
            ("-12", true),
            ("1e5", false),
            ("1.", false),
            (".5", false),
            ("1234", false),
        ] {
            assert_eq!(is_decimal(text, 3), expected, "{text}");
        }
    }
}
