//! A row of the table, and the arithmetic behind its figures.

use std::fmt;
use std::time::Duration;

/// A row.
#[derive(Debug)]
pub(crate) struct Figure {
    work: String,
    ours: String,
    peer: String,
    reach: String,
}

impl Figure {
    pub(crate) fn new(work: impl Into<String>, ours: impl Into<String>) -> Self {
        Self { work: work.into(), ours: ours.into(), peer: "–".into(), reach: "–".into() }
    }

    /// What the same work costs elsewhere, in the same run.
    pub(crate) fn beside(mut self, peer: impl Into<String>) -> Self {
        self.peer = peer.into();
        self
    }

    /// What we want.
    pub(crate) fn reach(mut self, reach: impl Into<String>) -> Self {
        self.reach = reach.into();
        self
    }

    pub(crate) fn header() -> String {
        let titles = Self {
            work: "work".into(),
            ours: "ours".into(),
            peer: "beside it, same run".into(),
            reach: "reach".into(),
        };
        format!("{titles}\n|{}|{}|{}|{}|", "-".repeat(60), "-".repeat(34), "-".repeat(60), "-".repeat(16))
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "| {:58} | {:32} | {:58} | {:14} |", self.work, self.ours, self.peer, self.reach)
    }
}

/// The value below which `share` percent of the samples lie.
pub(crate) fn percentile(samples: &mut [Duration], share: usize) -> Duration {
    samples.sort_unstable();
    let place = (samples.len() * share).div_ceil(100).saturating_sub(1);
    samples.get(place).copied().unwrap_or_default()
}

/// `12.3 ms`.
pub(crate) fn millis(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

/// `12.3 k/s`.
pub(crate) fn per_second(count: u64, time: Duration) -> String {
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let rate = count as f64 / time.as_secs_f64();
    if rate >= 10_000.0 { format!("{:.1} k/s", rate / 1e3) } else { format!("{rate:.0}/s") }
}
