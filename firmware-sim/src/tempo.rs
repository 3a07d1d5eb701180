//! Simulated time: an hour's charge in seconds.
//!
//! Only what happens around the vehicle runs faster: charging, meter intervals, the station's clock. Sockets, time-outs
//! and retries stay in real time, because the other side's do.

use shared::units::Timestamp;

/// Milliseconds of real time since the process began, monotonic.
pub type Millis = u64;

/// How simulated time runs beside real time.
#[derive(Clone, Copy, Debug)]
pub struct Tempo {
    /// Simulated seconds in a real one, from 1.
    pub scale: u32,
    /// The station's clock at [`Tempo::since`].
    pub origin: Timestamp,
    /// When this tempo began.
    pub since: Millis,
}

impl Tempo {
    /// The station's clock at a real instant.
    pub fn at(&self, now: Millis) -> Timestamp {
        let real = i64::try_from(now.saturating_sub(self.since)).unwrap_or(i64::MAX);
        self.origin.plus_millis(real.saturating_mul(i64::from(self.scale.max(1))))
    }

    /// The real instant at which the station's clock shows `at`.
    pub fn when(&self, at: Timestamp) -> Millis {
        let ahead = at.millis_since(self.origin).max(0).unsigned_abs();
        self.since.saturating_add(ahead.div_ceil(u64::from(self.scale.max(1))))
    }

    /// Real milliseconds that this many simulated seconds take, at least one.
    pub fn real(&self, seconds: u64) -> Millis {
        (seconds.saturating_mul(1000) / u64::from(self.scale.max(1))).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_passes_in_six_seconds() {
        let tempo = Tempo { scale: 600, origin: Timestamp(1000), since: 50 };
        assert_eq!(tempo.at(6050), Timestamp(3_601_000));
        assert_eq!(tempo.real(3600), 6000);
        assert_eq!(tempo.when(Timestamp(3_601_000)), 6050);
    }
}
