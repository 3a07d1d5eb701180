//! Latencies, counted in buckets that are 1/32 of an octave wide: exact enough for percentiles, and every station can
//! count at once.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Steps within an octave.
const STEPS: u32 = 32;
const OCTAVES: u32 = 30;

/// Counts durations.
pub(super) struct Histogram {
    buckets: Vec<AtomicU64>,
    longest: AtomicU64,
}

/// Percentiles in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[expect(missing_docs, reason = "the names are the field's")]
pub struct Quantiles {
    pub p50: u64,
    pub p90: u64,
    pub p99: u64,
    pub max: u64,
}

impl Histogram {
    pub(super) fn new() -> Self {
        let buckets = (0..STEPS * OCTAVES).map(|_| AtomicU64::new(0)).collect();
        Histogram { buckets, longest: AtomicU64::new(0) }
    }

    pub(super) fn record(&self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.longest.fetch_max(micros, Ordering::Relaxed);
        let bucket = bucket(micros).min(self.buckets.len() - 1);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn quantiles(&self) -> Quantiles {
        let max = self.longest.load(Ordering::Relaxed);
        let at = |percent| self.quantile(percent).min(max);
        Quantiles { p50: at(50), p90: at(90), p99: at(99), max }
    }

    fn quantile(&self, percent: u64) -> u64 {
        let counts: Vec<u64> = self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect();
        let total: u64 = counts.iter().sum();
        let mut left = (total * percent).div_ceil(100);
        for (bucket, count) in counts.into_iter().enumerate() {
            if count > 0 && left <= count {
                return upper_end(bucket);
            }
            left -= count;
        }
        0
    }
}

/// Up to 64 µs every microsecond has its bucket, above that every 1/32 octave.
fn bucket(micros: u64) -> usize {
    let steps = u64::from(STEPS);
    if micros < 2 * steps {
        return usize::try_from(micros).unwrap_or(usize::MAX);
    }
    let octave = u64::from(micros.ilog2() - STEPS.ilog2());
    let within = (micros >> octave) - steps;
    usize::try_from((octave + 1) * steps + within).unwrap_or(usize::MAX)
}

/// The longest duration that a bucket counts.
fn upper_end(bucket: usize) -> u64 {
    let (bucket, steps) = (u64::try_from(bucket).unwrap_or(u64::MAX), u64::from(STEPS));
    if bucket < 2 * steps {
        return bucket;
    }
    let octave = bucket / steps - 1;
    ((bucket % steps + steps + 1) << octave) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_narrow() {
        for micros in [0, 1, 63, 64, 65, 100, 999, 5_000, 123_456, 30_000_000] {
            let end = upper_end(bucket(micros));
            assert!(end >= micros && end - micros <= micros / 32, "{micros} {end}");
        }
    }

    #[test]
    fn quantiles_of_a_hundred() {
        let histogram = Histogram::new();
        assert_eq!(histogram.quantiles(), Quantiles::default());
        (1..=100).for_each(|ms| histogram.record(Duration::from_millis(ms)));
        let Quantiles { p50, p90, p99, max } = histogram.quantiles();
        assert!((50_000..52_000).contains(&p50), "{p50}");
        assert!((90_000..93_000).contains(&p90), "{p90}");
        assert!((99_000..=100_000).contains(&p99), "{p99}");
        assert_eq!(max, 100_000);
    }
}
