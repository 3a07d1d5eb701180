//! The only place that reads the time or asks for chance.

use std::time::SystemTime;

use shared::units::Timestamp;
use tokio::time::{Duration, Instant};

use crate::tempo::Millis;

/// Milliseconds since the station was made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) fn start() -> Self {
        Clock(Instant::now())
    }

    pub(crate) fn now(&self) -> Millis {
        u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub(crate) fn instant(&self, at: Millis) -> Instant {
        self.0 + Duration::from_millis(at)
    }
}

/// The time of day.
#[expect(clippy::disallowed_methods, reason = "this is the simulator's clock")]
pub(crate) fn wall() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// A number that nobody can foresee; the time's digits where the system has no chance to offer.
pub(crate) fn random() -> u64 {
    getrandom::u64().unwrap_or_else(|_| wall().0.unsigned_abs())
}
