//! What can be wrong, in words for a person.

use std::fmt;

/// Told at most, of all findings of a row.
const MOST: usize = 12;

/// One thing that must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// The station never got its answer.
    NotAnswered { session: String },
    /// The cloud has no such session.
    Lost { session: String },
    /// There are several of it.
    Doubled { session: String, place: &'static str, times: usize },
    /// A session that no station made.
    Invented { session: String, place: &'static str },
    /// It still runs there, though the station ended it.
    Open { session: String, place: &'static str },
    /// Another energy than the meter's.
    Energy { session: String, place: &'static str, metered: i64, kept: Option<i64> },
    /// It ended and there is no bill.
    NotBilled { session: String },
    /// Another amount than what is owed.
    Money { session: String, owed: i64, billed: i64 },
    /// The edge that kept everything does not have it.
    EdgeForgot { session: String },
    /// The cloud has not committed what the edge has written.
    Behind { lane: String, head: i64, watermark: i64 },
    /// A lane in the cloud has not every number up to its watermark.
    Gap { lane: String, watermark: i64, records: i64 },
    /// A watermark went back, or the edge counts more as committed than is.
    Watermark { words: String },
    /// Other records were parked than the unreadable ones.
    Parked { count: i64, poison: i64 },
    /// The chain of the audit log does not hold.
    Audit { words: String },
    /// A program panicked.
    Panic { log: String, line: String },
    /// A log shows a secret.
    Secret { log: String, whose: String },
    /// A promise of this row in particular.
    Promise { words: String },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Finding::NotAnswered { session } => write!(f, "{session}: the station got no answer"),
            Finding::Lost { session } => write!(f, "{session}: LOST, the cloud does not have it"),
            Finding::Doubled { session, place, times } => {
                write!(f, "{session}: {times} TIMES in the {place}")
            }
            Finding::Invented { session, place } => {
                write!(f, "{session}: in the {place}, and no station made it")
            }
            Finding::Open { session, place } => write!(f, "{session}: has ended, and runs in the {place}"),
            Finding::Energy { session, place, metered, kept } => {
                write!(f, "{session}: metered {metered} Wh, the {place} has {kept:?} Wh")
            }
            Finding::NotBilled { session } => write!(f, "{session}: no bill"),
            Finding::Money { session, owed, billed } => {
                write!(f, "{session}: owed {owed} millionths, billed {billed}")
            }
            Finding::EdgeForgot { session } => write!(f, "{session}: the edge does not have it"),
            Finding::Behind { lane, head, watermark } => {
                write!(f, "{lane}: written up to {head}, committed up to {watermark}")
            }
            Finding::Gap { lane, watermark, records } => {
                write!(f, "{lane}: committed up to {watermark}, but {records} records are kept")
            }
            Finding::Watermark { words } | Finding::Promise { words } => f.write_str(words),
            Finding::Parked { count, poison } => {
                write!(f, "{count} records parked, {poison} were unreadable")
            }
            Finding::Audit { words } => write!(f, "the audit log: {words}"),
            Finding::Panic { log, line } => write!(f, "{log}: {line}"),
            Finding::Secret { log, whose } => write!(f, "{log} shows {whose}"),
        }
    }
}

/// What the checker says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Sessions that stations made and got answers for.
    pub(crate) sessions: usize,
    /// What they metered.
    pub(crate) energy_wh: i64,
    /// What is owed for it, in millionths.
    pub(crate) owed_micros: i64,
    /// Records that the cloud has.
    pub(crate) records: i64,
    /// What is wrong.
    pub(crate) findings: Vec<Finding>,
}

impl Verdict {
    /// The same with what another look found.
    pub(crate) fn add(&mut self, other: Verdict) {
        self.sessions += other.sessions;
        self.energy_wh += other.energy_wh;
        self.owed_micros += other.owed_micros;
        self.records += other.records;
        self.findings.extend(other.findings);
    }

    pub(crate) fn lost(&self) -> usize {
        self.findings.iter().filter(|finding| matches!(finding, Finding::Lost { .. })).count()
    }

    pub(crate) fn doubled(&self) -> usize {
        let twice =
            |finding: &&Finding| matches!(finding, Finding::Doubled { .. } | Finding::Invented { .. });
        self.findings.iter().filter(twice).count()
    }

    /// The counts.
    pub(crate) fn sentence(&self) -> String {
        let others = self.findings.len() - self.lost() - self.doubled();
        let others = if others == 0 { String::new() } else { format!(", {others} other findings") };
        let (sessions, lost, doubled) = (self.sessions, self.lost(), self.doubled());
        format!("{sessions} sessions, {} records, {lost} lost, {doubled} doubled{others}", self.records)
    }

    /// As many findings as a person reads.
    pub(crate) fn some_findings(&self) -> Vec<String> {
        let mut told: Vec<String> = self.findings.iter().take(MOST).map(Finding::to_string).collect();
        if self.findings.len() > MOST {
            told.push(format!("… and {} more", self.findings.len() - MOST));
        }
        told
    }
}
