//! Timestamps as stations write them: with a zone or without, with none to nine fraction digits, with a space for the `T`.

use chrono::{NaiveDate, NaiveTime, TimeDelta};

use crate::units::Timestamp;

/// How sure a timestamp's zone is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Zone {
    /// `Z` or an offset stood there.
    Given,
    /// None stood there, UTC is assumed.
    AssumedUtc,
    /// What stood there is known to be the station's local time, and has been turned into UTC.
    Known,
}

/// A point in time as a station wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time {
    /// The instant, cut to milliseconds.
    pub at: Timestamp,
    /// How sure it is.
    pub zone: Zone,
}

/// Reads a timestamp, `None` when it is none.
pub fn parse(text: &str) -> Option<Time> {
    let mut rest = Cursor(text.trim().as_bytes());
    let (year, month, day) = (rest.number(4)?, rest.after(b"-")?.number(2)?, rest.after(b"-")?.number(2)?);
    let (hour, minute) = (rest.after(b"Tt ")?.number(2)?, rest.after(b":")?.number(2)?);
    let second = if rest.peek() == Some(b':') { rest.after(b":")?.number(2)?.min(59) } else { 0 };
    let milli = if matches!(rest.peek(), Some(b'.' | b',')) { rest.after(b".,")?.fraction()? } else { 0 };
    let offset = rest.zone()?;
    let date = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)?;
    let time = NaiveTime::from_hms_milli_opt(hour, minute, second, milli)?;
    let local = date.and_time(time);
    let utc = local.checked_sub_signed(TimeDelta::minutes(offset.unwrap_or(0)))?;
    let zone = if offset.is_some() { Zone::Given } else { Zone::AssumedUtc };
    Some(Time { at: Timestamp(utc.and_utc().timestamp_millis()), zone })
}

struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// Steps over one byte out of `allowed`.
    fn after(&mut self, allowed: &[u8]) -> Option<&mut Self> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        allowed.contains(first).then_some(self)
    }

    fn number(&mut self, digits: usize) -> Option<u32> {
        let (number, rest) = self.0.split_at_checked(digits)?;
        self.0 = rest;
        number.iter().try_fold(0, |value, b| b.is_ascii_digit().then(|| value * 10 + u32::from(b - b'0')))
    }

    /// Fraction digits, any number of them, as milliseconds.
    fn fraction(&mut self) -> Option<u32> {
        let length = self.0.iter().take_while(|b| b.is_ascii_digit()).count();
        let (digits, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        let padded = digits.iter().copied().chain(std::iter::repeat(b'0'));
        Some(padded.take(3).fold(0, |value, b| value * 10 + u32::from(b - b'0')))
    }

    /// Minutes east of UTC, `Some(None)` when nothing more stands there.
    fn zone(&mut self) -> Option<Option<i64>> {
        let sign = match self.peek() {
            None => return Some(None),
            Some(b'Z' | b'z') => return (self.0.len() == 1).then_some(Some(0)),
            Some(b'+') => 1,
            Some(b'-') => -1,
            Some(_) => return None,
        };
        let hours = self.after(b"+-")?.number(2)?;
        if self.peek() == Some(b':') {
            self.after(b":")?;
        }
        let minutes = if self.0.is_empty() { 0 } else { self.number(2)? };
        self.0.is_empty().then_some(Some(sign * i64::from(hours * 60 + minutes)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn field_spellings_mean_the_same_instant() {
        let noon = 1_763_812_800_000;
        for (text, at, zone) in [
            ("2025-11-22T12:00:00Z", noon, Zone::Given),
            ("2025-11-22T12:00:00z", noon, Zone::Given),
            ("2025-11-22T12:00:00.5Z", noon + 500, Zone::Given),
            ("2025-11-22T12:00:00.123456789Z", noon + 123, Zone::Given),
            ("2025-11-22T12:00:00,25Z", noon + 250, Zone::Given),
            ("2025-11-22T14:00:00+02:00", noon, Zone::Given),
            ("2025-11-22T14:00:00+0200", noon, Zone::Given),
            ("2025-11-22T14:00:00+02", noon, Zone::Given),
            ("2025-11-22T06:30:00-05:30", noon, Zone::Given),
            ("2025-11-22T12:00:00", noon, Zone::AssumedUtc),
            (" 2025-11-22 12:00:00 ", noon, Zone::AssumedUtc),
            ("2025-11-22T12:00", noon, Zone::AssumedUtc),
            ("2025-11-22T12:00:00.Z", noon, Zone::Given),
        ] {
            assert_eq!(parse(text), Some(Time { at: Timestamp(at), zone }), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in
            ["", "yesterday", "2025-13-01T00:00:00Z", "2025-11-22", "2025-11-22T12:00:00Zz", "1700000000"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _ = parse(&text);
        }

        #[test]
        fn what_we_print_is_read_back(ms in 0..4_000_000_000_000_i64) {
            prop_assert_eq!(parse(&Timestamp(ms).to_string()), Some(Time { at: Timestamp(ms), zone: Zone::Given }));
        }
    }
}
