//! What a station's times mean. Its clock may never have been set, run far ahead, or show the time of its site.

use shared::ocpp::lenient::{Finding, Oddity, Severity, Time, Zone};
use shared::units::Timestamp;

use crate::ocpp::habits::Habits;

/// Before this instant (2020-01-01) a station's clock was never set (QUIRKS Q46).
const SET_SINCE: Timestamp = Timestamp(1_577_836_800_000);
/// A station's clock may run ahead of ours so far before it is taken for wrong.
const AHEAD_MS: i64 = 24 * 3600 * 1000;

/// A station's clock, as far as it is known.
pub(super) struct Clock<'a> {
    pub(super) habits: &'a Habits,
    pub(super) now: Timestamp,
    pub(super) findings: &'a mut Vec<Finding>,
}

impl Clock<'_> {
    /// A station's time and whether its zone is a guess; none when its clock was plainly never set or runs far ahead. A time
    /// without a zone is its site's (Q43).
    pub(super) fn trusted(&mut self, time: Option<Time>) -> Option<(Timestamp, bool)> {
        let Time { at, zone } = time?;
        let (at, assumed) = match zone {
            Zone::AssumedUtc => (self.habits.local(at), true),
            Zone::Given | Zone::Known => (at, false),
        };
        if at >= SET_SINCE && at <= self.now.plus_millis(AHEAD_MS) {
            return Some((at, assumed));
        }
        self.findings.push(Finding {
            severity: Severity::Soft,
            field: "timestamp".into(),
            oddity: Oddity::ClockWrong,
            text: format!("the station's clock shows {at}"),
        });
        None
    }
}
