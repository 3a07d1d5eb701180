//! How a station's clock goes, measured from what it says.
//!
//! A message tells when something happened, which is before it arrives: late by the line's delay, or by days when it was
//! queued. So a slow clock and an old message look alike, and only the smallest difference of several counts; a clock that is
//! ahead shows at once.

use std::collections::VecDeque;

use shared::ocpp::v16::StationCall;
use shared::units::Timestamp;

/// Messages that are compared.
const SAMPLES: usize = 5;
/// So many are needed before a station is called slow.
const ENOUGH: usize = 3;
/// A clock that differs by more misdates sessions.
pub(super) const WRONG_MS: u64 = 60_000;
/// A change by less is no news.
const NEWS_MS: i64 = 5_000;

/// The measure of one connection.
#[derive(Debug, Default)]
pub(super) struct Skew {
    samples: VecDeque<i64>,
    told: Option<i64>,
}

impl Skew {
    /// Takes in a message's own time. The skew, when it is news: our time minus the station's.
    pub(super) fn hear(&mut self, now: Timestamp, said: Timestamp) -> Option<i64> {
        if self.samples.len() >= SAMPLES {
            self.samples.pop_front();
        }
        self.samples.push_back(now.millis_since(said));
        let skew = *self.samples.iter().min()?;
        if skew > NEWS_MS && self.samples.len() < ENOUGH {
            return None;
        }
        let news = self.told.is_none_or(|told| told.abs_diff(skew) > NEWS_MS.unsigned_abs());
        news.then(|| *self.told.insert(skew))
    }
}

/// The newest time that stands in a message.
pub(super) fn said_at(call: &StationCall) -> Option<Timestamp> {
    if let StationCall::MeterValues(values) = call {
        return values.readings.iter().filter_map(|it| it.at).map(|it| it.at).max();
    }
    let at = if let StationCall::StatusNotification(status) = call {
        status.at
    } else if let StationCall::StartTransaction(start) = call {
        start.at
    } else if let StationCall::StopTransaction(stop) = call {
        stop.at
    } else {
        None
    };
    at.map(|it| it.at)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_763_812_800_000);

    #[test]
    fn a_slow_clock_is_told_from_old_messages_and_a_fast_one_at_once() {
        let mut slow = Skew::default();
        let heard: Vec<_> =
            (0..4).map(|n| slow.hear(NOW.plus_millis(n), NOW.plus_millis(n - 120_000))).collect();
        assert_eq!(heard, [None, None, Some(120_000), None], "once, when it is sure");

        let mut queued = Skew::default();
        assert_eq!(queued.hear(NOW, NOW.plus_millis(-86_400_000)), None);
        assert_eq!(
            queued.hear(NOW, NOW.plus_millis(-80)),
            Some(80),
            "a live one shows that the first was old"
        );

        let mut fast = Skew::default();
        assert_eq!(fast.hear(NOW, NOW.plus_millis(90_000)), Some(-90_000));
        assert_eq!(fast.hear(NOW, NOW.plus_millis(91_000)), None, "no news");
    }
}
