//! Times that were measured, as percentiles and as a histogram to print.

use std::fmt::Write;
use std::time::Duration;

/// Upper ends of the histogram's bars, in milliseconds.
const BARS: [u64; 12] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000];
/// The longest bar.
const WIDTH: usize = 40;

/// Times, in the order in which they were measured.
#[derive(Clone, Debug, Default)]
pub(crate) struct Times(Vec<Duration>);

impl Times {
    pub(crate) fn add(&mut self, one: Duration) {
        self.0.push(one);
    }

    pub(crate) fn extend(&mut self, other: &Times) {
        self.0.extend(&other.0);
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// The time that so many of a hundred do not exceed.
    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let place = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
        sorted.get(place).copied().unwrap_or_default()
    }

    /// Percentiles in a line.
    pub(crate) fn sentence(&self) -> String {
        let [half, most, worst] = [50, 99, 100].map(|percent| millis(self.percentile(percent)));
        format!("{} measured, p50 {half}, p99 {most}, longest {worst}", self.count())
    }

    /// Bars, one a line, without those before the first and after the last that count something.
    pub(crate) fn histogram(&self) -> String {
        let mut counts = [0_usize; BARS.len() + 1];
        for time in &self.0 {
            let bar = BARS.iter().position(|&end| time.as_millis() < u128::from(end)).unwrap_or(BARS.len());
            counts[bar] += 1;
        }
        let most = counts.iter().copied().max().unwrap_or_default().max(1);
        let first = counts.iter().position(|&count| count > 0).unwrap_or_default();
        let last = counts.iter().rposition(|&count| count > 0).unwrap_or_default();
        (first..=last).fold(String::new(), |mut text, bar| {
            let label = BARS
                .get(bar)
                .map_or(format!(">= {:>5} ms", BARS[BARS.len() - 1]), |end| format!(" < {end:>5} ms"));
            let bars = "#".repeat((counts[bar] * WIDTH).div_ceil(most));
            writeln!(text, "{label} {:>8} {bars}", counts[bar]).expect("a String takes everything");
            text
        })
    }
}

/// A time as a person reads it.
pub(crate) fn millis(time: Duration) -> String {
    match time.as_millis() {
        0..=9 => format!("{:.1} ms", time.as_secs_f64() * 1e3),
        10..=9_999 => format!("{} ms", time.as_millis()),
        _ => format!("{:.1} s", time.as_secs_f64()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_and_bars() {
        let mut times = Times::default();
        (1..=100).for_each(|ms| times.add(Duration::from_millis(ms)));
        assert_eq!(times.percentile(50), Duration::from_millis(50));
        assert_eq!(times.percentile(99), Duration::from_millis(99));
        assert_eq!(times.percentile(100), Duration::from_millis(100));
        let bars = times.histogram();
        assert!(bars.starts_with(" <     2 ms        1 #\n"), "{bars}");
        assert_eq!(Times::default().percentile(99), Duration::ZERO);
    }
}
