//! How long connectors are kept for drivers, and how often.

use std::time::Duration;

use serde::Deserialize;

/// How long connectors are kept for drivers, and how often.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Booking {
    /// A firm booking: the way to the station.
    pub book_seconds: u32,
    /// A soft booking: while somebody makes up his mind in the app.
    pub soft_seconds: u32,
    /// Bookings that one person may have at a time.
    pub live_per_user: u32,
    /// A connector that somebody had booked and did not use is for others for so long.
    pub cool_down_seconds: u32,
}

impl Default for Booking {
    /// Seven minutes and three are what the first API's tables meant (its timer of 90 seconds for both reaches nobody who
    /// still has to drive). Three at a time lets a family travel. The pause is as long as the wait that others had.
    fn default() -> Self {
        Self { book_seconds: 420, soft_seconds: 180, live_per_user: 3, cool_down_seconds: 300 }
    }
}

impl Booking {
    /// How long a booking lasts.
    pub fn duration(&self, soft: bool) -> Duration {
        Duration::from_secs(u64::from(if soft { self.soft_seconds } else { self.book_seconds }))
    }
}
