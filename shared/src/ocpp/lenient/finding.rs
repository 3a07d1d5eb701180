//! What was odd about a message, told beside its value.

use std::fmt;

pub use crate::model::finding::{Oddity, Severity};

/// One oddity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// In which field.
    pub field: String,
    /// What kind.
    pub oddity: Oddity,
    /// What about the field, in a sentence's rest.
    pub text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.text)
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
/// A longer sentence says no more.
const LONGEST_TEXT: usize = 200;

impl Findings {
    /// Notes an oddity whose meaning is certain.
    pub fn soft(&mut self, field: &str, oddity: Oddity, what: impl fmt::Display) {
        self.add(Severity::Soft, field, oddity, what);
    }

    /// Notes that something is missing that a bill needs.
    pub fn hard(&mut self, field: &str, oddity: Oddity, what: impl fmt::Display) {
        self.add(Severity::Hard, field, oddity, what);
    }

    /// The value together with all that was noted.
    pub fn beside<T>(self, value: T) -> Read<T> {
        Read { value, findings: self.0 }
    }

    fn add(&mut self, severity: Severity, field: &str, oddity: Oddity, what: impl fmt::Display) {
        if self.0.len() < MOST_FINDINGS {
            let text = what.to_string().chars().take(LONGEST_TEXT).collect();
            self.0.push(Finding { severity, field: field.into(), oddity, text });
        }
    }
}
