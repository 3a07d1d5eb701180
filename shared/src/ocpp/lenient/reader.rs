//! Reads fields of an object, noting what is odd about each.

use serde_json::value::RawValue;

use super::decimal;
use super::finding::{Findings, Oddity, Read};
use super::json;
use super::time::{self, Time, Zone};
use crate::model::quirks::{EnergyScale, StationQuirks};

/// Reads one message.
#[derive(Debug, Default)]
pub struct Reader {
    /// What was odd so far.
    pub findings: Findings,
    clock_offset_ms: i64,
    energy_shift: i32,
}

impl Reader {
    /// Reads the words of a station whose peculiarities are known.
    pub fn of(quirks: &StationQuirks) -> Self {
        let energy_shift = match quirks.energy_scale {
            EnergyScale::AsTold => 0,
            EnergyScale::KilowattHours => 3,
            EnergyScale::WattHours => -3,
        };
        let clock_offset_ms = i64::from(quirks.clock_offset_minutes.unwrap_or(0)) * 60_000;
        Reader { findings: Findings::default(), clock_offset_ms, energy_shift }
    }

    /// The power of ten between what the station's registers say and what they mean (Q64).
    pub fn energy_shift(&self) -> i32 {
        self.energy_shift
    }

    /// The members of these names, the last of each where one repeats. Others are ignored, null is missing.
    pub fn members<'a, const N: usize>(
        &mut self,
        raw: &'a RawValue,
        names: [&str; N],
    ) -> [Option<&'a RawValue>; N] {
        let mut values = [None; N];
        let is_object = json::members(raw, |key, value| {
            if let Some(at) = names.iter().position(|name| *name == key) {
                values[at] = (value.get() != "null").then_some(value);
            }
        });
        if !is_object && raw.get() != "null" {
            self.findings.hard("payload", Oddity::WrongType, "is no object");
        }
        values
    }

    /// A text; empty is missing.
    pub fn text(&mut self, field: &str, raw: Option<&RawValue>, longest: usize) -> Option<String> {
        let raw = raw?;
        let text = json::text(raw)?;
        if !json::is_string(raw) {
            self.findings.soft(field, Oddity::WrongType, "is not in quotes");
        }
        if text.len() > longest && text.chars().count() > longest {
            let what = format_args!("is longer than {longest} characters");
            self.findings.soft(field, Oddity::TooLong, what);
        }
        Some(text.into_owned())
    }

    /// A text that may be anything, structures included: those are kept as their JSON.
    pub fn anything(&mut self, field: &str, raw: Option<&RawValue>) -> Option<String> {
        let raw = raw?;
        if raw.get().starts_with(['{', '[']) {
            self.findings.soft(field, Oddity::WrongType, "is a structure, not a text");
            return Some(raw.get().to_owned());
        }
        json::text(raw).map(|text| text.into_owned())
    }

    /// A whole number: `3`, `3.0` or `"3"`.
    pub fn integer(&mut self, field: &str, raw: Option<&RawValue>) -> Option<i64> {
        let raw = raw?;
        if let Ok(number) = raw.get().parse() {
            return Some(number);
        }
        let text = json::text(raw)?;
        let number = decimal::scaled(&text, 0);
        match number {
            Some(_) => {
                let what = format_args!("{text:?} is not written as an integer");
                self.findings.soft(field, Oddity::WrongType, what);
            }
            None => self.findings.soft(field, Oddity::NotANumber, format_args!("{text:?} is no number")),
        }
        number
    }

    /// A truth value, in quotes or not.
    pub fn truth(&mut self, raw: Option<&RawValue>) -> Option<bool> {
        match json::text(raw?)?.trim() {
            "true" | "True" | "TRUE" | "1" => Some(true),
            "false" | "False" | "FALSE" | "0" => Some(false),
            _ => None,
        }
    }

    /// A register, in watt-hours: a whole number, and a fraction where the station counts kilowatt-hours.
    pub fn register(&mut self, field: &str, raw: Option<&RawValue>) -> Option<i64> {
        if self.energy_shift == 0 {
            return self.integer(field, raw);
        }
        let text = json::text(raw?)?;
        let number = decimal::scaled(&text, self.energy_shift);
        if number.is_none() {
            self.findings.soft(field, Oddity::NotANumber, format_args!("{text:?} is no number"));
        }
        number
    }

    /// A timestamp. A clock that is known to show local time is not believed when it says or leaves out UTC (Q43, Q44).
    pub fn time(&mut self, field: &str, raw: Option<&RawValue>) -> Option<Time> {
        let text = json::text(raw?)?;
        let mut time = time::parse(&text);
        if let Some(time) = &mut time
            && self.clock_offset_ms != 0
            && !names_a_zone(&text)
        {
            *time = Time { at: time.at.plus_millis(-self.clock_offset_ms), zone: Zone::Known };
        }
        match time {
            Some(Time { zone: Zone::Given | Zone::Known, .. }) => {}
            Some(Time { zone: Zone::AssumedUtc, .. }) => {
                self.findings.soft(field, Oddity::NoZone, "has no zone")
            }
            None => self.findings.soft(field, Oddity::NotATime, format_args!("{text:?} is no timestamp")),
        }
        time
    }

    /// A value out of an enumeration.
    pub fn name<T>(
        &mut self,
        field: &str,
        raw: Option<&RawValue>,
        read: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let text = json::text(raw?)?;
        let value = read(&text);
        if value.is_none() {
            let what = format_args!("{text:?} is not one of the allowed values");
            self.findings.soft(field, Oddity::NotAllowed, what);
        }
        value
    }

    /// Notes when a value is missing that a bill needs.
    pub fn needed<T>(&mut self, field: &str, value: Option<T>) -> Option<T> {
        if value.is_none() {
            self.findings.hard(field, Oddity::Missing, "is missing or unreadable");
        }
        value
    }

    /// What was read, and what was odd about it.
    pub fn done<T>(self, value: T) -> Read<T> {
        self.findings.beside(value)
    }
}

/// Does a zone other than UTC stand there?
fn names_a_zone(time: &str) -> bool {
    let clock = time.trim().get(11..).unwrap_or_default();
    clock.contains(['+', '-'])
}
