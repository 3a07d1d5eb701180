//! Security events: one at a time, in order, until each was heard (A04).

use super::Report;
use crate::station::{Core, Fact, Outcome, Ticket};
use crate::tempo::Millis;

/// Reports that wait at most; the oldest are given up.
const MOST: usize = 100;

impl Core {
    /// Something happened to its security.
    pub(in crate::station) fn report(&mut self, now: Millis, kind: &'static str, info: String) {
        if self.security.reports.back().is_some_and(|last| last.kind == kind && last.info == info) {
            return;
        }
        if self.security.reports.len() == MOST {
            self.security.reports.pop_front();
            self.security.reporting = false;
        }
        let info = info.chars().take(255).collect();
        self.security.reports.push_back(Report { kind, info, at: self.tempo.at(now) });
    }

    pub(in crate::station) fn tell_reports(&mut self) {
        if self.security.reporting || !self.connected || !self.is_accepted() {
            return;
        }
        if let Some(Report { kind, info, at }) = self.security.reports.front().cloned() {
            self.security.reporting = true;
            self.tell(Ticket::Report, Fact::SecurityEvent { kind, info, at });
        }
    }

    pub(in crate::station) fn report_answered(&mut self, outcome: &Outcome) {
        self.security.reporting = false;
        // A CSMS that does not know the message has heard it all the same.
        if !matches!(outcome, Outcome::TimedOut)
            && let Some(report) = self.security.reports.pop_front()
        {
            self.security.told.push(report.kind);
        }
    }
}
