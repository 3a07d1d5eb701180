//! Reads fields of an object, noting what is odd about each.

use serde_json::value::RawValue;

use super::decimal;
use super::finding::{Findings, Read};
use super::json;
use super::time::{self, Time, Zone};

/// Reads one message.
#[derive(Debug, Default)]
pub struct Reader {
    /// What was odd so far.
    pub findings: Findings,
}

impl Reader {
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
            self.findings.hard("payload", "is no object");
        }
        values
    }

    /// A text; empty is missing.
    pub fn text(&mut self, field: &str, raw: Option<&RawValue>, longest: usize) -> Option<String> {
        let raw = raw?;
        let text = json::text(raw)?;
        if !json::is_string(raw) {
            self.findings.soft(field, "is not in quotes");
        }
        if text.len() > longest && text.chars().count() > longest {
            self.findings.soft(field, format_args!("is longer than {longest} characters"));
        }
        Some(text.into_owned())
    }

    /// A text that may be anything, structures included: those are kept as their JSON.
    pub fn anything(&mut self, field: &str, raw: Option<&RawValue>) -> Option<String> {
        let raw = raw?;
        if raw.get().starts_with(['{', '[']) {
            self.findings.soft(field, "is a structure, not a text");
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
            Some(_) => self.findings.soft(field, format_args!("{} is not written as an integer", raw.get())),
            None => self.findings.soft(field, format_args!("{text:?} is no number")),
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

    /// A timestamp.
    pub fn time(&mut self, field: &str, raw: Option<&RawValue>) -> Option<Time> {
        let text = json::text(raw?)?;
        let time = time::parse(&text);
        match time {
            Some(Time { zone: Zone::Given, .. }) => {}
            Some(Time { zone: Zone::AssumedUtc, .. }) => {
                self.findings.soft(field, "has no zone, UTC assumed")
            }
            None => self.findings.soft(field, format_args!("{text:?} is no timestamp")),
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
            self.findings.soft(field, format_args!("{text:?} is not one of the allowed values"));
        }
        value
    }

    /// Notes when a value is missing that a bill needs.
    pub fn needed<T>(&mut self, field: &str, value: Option<T>) -> Option<T> {
        if value.is_none() {
            self.findings.hard(field, "is missing or unreadable");
        }
        value
    }

    /// What was read, and what was odd about it.
    pub fn done<T>(self, value: T) -> Read<T> {
        self.findings.beside(value)
    }
}
