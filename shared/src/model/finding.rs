//! What was odd about a station's words: mended, missing, unreadable, implausible. No message is refused for it, and none of
//! it is forgotten: the gateway counts each kind of oddity per station, message and field, keeps one example, and tells the
//! cloud now and then.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::{SessionId, StationId};
use crate::units::Timestamp;

/// How much an oddity matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Severity {
    /// Against the schema, the meaning is certain.
    Soft,
    /// Something that a bill needs is missing, unreadable or implausible.
    Hard,
}

/// The kinds of oddities. Few on purpose: what exactly stood there is told by the example.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Oddity {
    /// A needed value is not there, or says nothing.
    Missing,
    /// Longer than the field may be.
    TooLong,
    /// A number for a text, an object for a list and the like.
    WrongType,
    /// What should be a number is none.
    NotANumber,
    /// What should be a time is none.
    NotATime,
    /// A time without a zone.
    NoZone,
    /// Not one of the values that the field may have.
    NotAllowed,
    /// A unit that does not fit the measurand.
    WrongUnit,
    /// The frame was broken and has been mended.
    Mended,
    /// The text is no frame.
    NotAFrame,
    /// A message that nobody knows.
    UnknownAction,
    /// A time that the station's clock cannot mean.
    ClockWrong,
    /// A register fell, and counts from there on.
    RegisterReset,
    /// A register ended below where it began.
    RegisterWentBack,
    /// More or less energy than the measured power can have brought.
    Implausible,
    /// A second end of a session says something else than the first.
    Conflict,
    /// It belongs to no session that is known.
    NoSession,
    /// It happened before the station was ours.
    Foreign,
    /// A limit was accepted and is not kept.
    NoEffect,
}

impl Oddity {
    /// All of them.
    pub const ALL: [Oddity; 19] = [
        Oddity::Missing,
        Oddity::TooLong,
        Oddity::WrongType,
        Oddity::NotANumber,
        Oddity::NotATime,
        Oddity::NoZone,
        Oddity::NotAllowed,
        Oddity::WrongUnit,
        Oddity::Mended,
        Oddity::NotAFrame,
        Oddity::UnknownAction,
        Oddity::ClockWrong,
        Oddity::RegisterReset,
        Oddity::RegisterWentBack,
        Oddity::Implausible,
        Oddity::Conflict,
        Oddity::NoSession,
        Oddity::Foreign,
        Oddity::NoEffect,
    ];
}

impl fmt::Display for Oddity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// The longest example that is kept of an oddity.
pub const LONGEST_EXAMPLE: usize = 2048;

/// How often one kind of oddity was met at a station. A later one of the same station, action, field and oddity replaces it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindingNoted {
    /// Whose words.
    pub station: StationId,
    /// In which message; empty for what is no message.
    pub action: String,
    /// In which field.
    pub field: String,
    /// What about it.
    pub oddity: Oddity,
    /// How much it matters.
    pub severity: Severity,
    /// How often so far.
    pub count: u64,
    /// When it was first met.
    pub first_at: Timestamp,
    /// When it was last met.
    pub at: Timestamp,
    /// The last one, in a sentence.
    pub text: String,
    /// The first message that had it, as it came; without secrets.
    pub example: String,
    /// The session that the last one is about, if one is known.
    pub session: Option<SessionId>,
}

/// An example as it may be kept and shown: no longer than [`LONGEST_EXAMPLE`], and nothing that names a secret.
pub fn example(raw: &str) -> String {
    let mut end = raw.len().min(LONGEST_EXAMPLE);
    while !raw.is_char_boundary(end) {
        end -= 1;
    }
    let example = &raw[..end];
    if super::settings::is_secret(example) {
        return "(withheld: it names a secret)".into();
    }
    example.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_are_cut_and_keep_no_secret() {
        assert_eq!(example(&"ü".repeat(LONGEST_EXAMPLE)).len(), LONGEST_EXAMPLE);
        assert!(!example(r#"[3,"1",{"key":"AuthorizationKey","value":"hush"}]"#).contains("hush"));
    }
}
