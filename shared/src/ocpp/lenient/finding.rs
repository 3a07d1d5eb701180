//! What was odd about a message, told beside its value.

use std::fmt;

/// How much an oddity matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// Against the schema, the meaning is certain.
    Soft,
    /// Something that a bill needs is missing or unreadable.
    Hard,
}

/// One oddity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// Which field, and what about it.
    pub text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A value read from a message, and what was odd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read<T> {
    /// What it says.
    pub value: T,
    /// What was odd.
    pub findings: Vec<Finding>,
}

impl<T> Read<T> {
    /// Is something missing that a bill needs?
    pub fn is_doubtful(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Hard)
    }
}

/// Collects findings; a message can only have so many, whatever it contains.
#[derive(Debug, Default)]
pub struct Findings(Vec<Finding>);

const MOST_FINDINGS: usize = 16;

impl Findings {
    /// Notes an oddity whose meaning is certain.
    pub fn soft(&mut self, field: &str, what: impl fmt::Display) {
        self.add(Severity::Soft, field, what);
    }

    /// Notes that something is missing that a bill needs.
    pub fn hard(&mut self, field: &str, what: impl fmt::Display) {
        self.add(Severity::Hard, field, what);
    }

    /// The value together with all that was noted.
    pub fn beside<T>(self, value: T) -> Read<T> {
        Read { value, findings: self.0 }
    }

    fn add(&mut self, severity: Severity, field: &str, what: impl fmt::Display) {
        if self.0.len() < MOST_FINDINGS {
            self.0.push(Finding { severity, text: format!("{field}: {what}") });
        }
    }
}
