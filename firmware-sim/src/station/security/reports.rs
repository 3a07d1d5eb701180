//! Security events: one at a time, in order, until each was heard (A04.FR.02).

use std::collections::VecDeque;

use shared::units::Timestamp;

use crate::station::{Core, Fact, Outcome, Ticket};
use crate::tempo::Millis;

/// The longest techInfo.
const LONGEST: usize = 255;

/// What it reports.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Report {
    kind: &'static str,
    info: String,
    at: Timestamp,
}

/// What nobody has heard yet, and what somebody has.
#[derive(Debug, Default)]
pub(super) struct Reports {
    waiting: VecDeque<Report>,
    /// The first one is on its way.
    sent: bool,
    /// Not before.
    due: Millis,
    heard: Vec<&'static str>,
}

impl Reports {
    pub(super) fn heard(&self) -> &[&'static str] {
        &self.heard
    }

    /// The line is down: what was on its way may be lost.
    pub(super) fn interrupted(&mut self) {
        self.sent = false;
    }
}

impl Core {
    /// Something happened to its security. It is in the log, too (A04.FR.04).
    pub(in crate::station) fn report(&mut self, now: Millis, kind: &'static str, info: String) {
        let at = self.tempo.at(now);
        self.note_line(at, format!("security event {kind} {info}"));
        let info = info.chars().take(LONGEST).collect();
        self.security.reports.waiting.push_back(Report { kind, info, at });
    }

    /// The CSMS showed a certificate that is not to be trusted. As it may do so with every try, it is told once until it is
    /// heard.
    pub fn distrusts(&mut self, now: Millis, reason: String) {
        const KIND: &str = "InvalidCentralSystemCertificate";
        if !self.security.reports.waiting.iter().any(|report| report.kind == KIND) {
            self.report(now, KIND, reason);
        }
    }

    pub(in crate::station) fn tell_reports(&mut self, now: Millis) {
        // On its way out, it would not hear the answer.
        let registered = self.connected && self.is_accepted() && !self.out.restart;
        let reports = &mut self.security.reports;
        if reports.sent || reports.due > now || !registered {
            return;
        }
        if let Some(Report { kind, info, at }) = reports.waiting.front().cloned() {
            reports.sent = true;
            self.tell(Ticket::Report, Fact::SecurityEvent { kind, info, at });
        }
    }

    /// When the next one is to be told.
    pub(in crate::station) fn next_report(&self) -> Option<Millis> {
        let reports = &self.security.reports;
        (!reports.sent && !reports.waiting.is_empty()).then_some(reports.due)
    }

    /// It was heard, or has to be told again. Who does not know the message has heard it all the same.
    pub(in crate::station) fn report_answered(&mut self, now: Millis, outcome: &Outcome) {
        let pause = self.keys.number("TransactionMessageRetryInterval") * 1000;
        let reports = &mut self.security.reports;
        reports.sent = false;
        let again = match outcome {
            Outcome::Told(_) => false,
            Outcome::Refused(error) => error.starts_with("InternalError"),
            Outcome::TimedOut => true,
        };
        if again {
            reports.due = now + pause;
        } else {
            reports.heard.extend(reports.waiting.pop_front().map(|report| report.kind));
        }
    }
}
