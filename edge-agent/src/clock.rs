//! The only place that reads the time.
//!
//! A gateway may have no battery-backed clock and boot in 1970. Time here never falls below the last one that was
//! committed, and says how far it can be trusted: [`ClockQuality::Synced`] once the cloud's time agreed with it.

use std::sync::atomic::{AtomicI64, AtomicU8, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use shared::id::BootId;
use shared::sync::ClockQuality;
use shared::units::Timestamp;
use uuid::Uuid;

/// How far the cloud's clock may differ before ours counts as wrong.
const AGREES_MS: i64 = 10_000;

/// The agent's clock.
#[derive(Debug)]
pub struct Clock {
    /// This process.
    pub boot: BootId,
    started: Instant,
    floor: AtomicI64,
    quality: AtomicU8,
}

impl Clock {
    /// A clock that continues from the last committed time.
    pub fn new(last_committed: Option<Timestamp>) -> Self {
        let floor = last_committed.unwrap_or(Timestamp(0));
        let continues = last_committed.is_some_and(|last| system_now() >= last);
        Clock {
            boot: BootId(Uuid::now_v7()),
            started: Instant::now(),
            floor: AtomicI64::new(floor.0),
            quality: AtomicU8::new(if continues { 1 } else { 2 }),
        }
    }

    /// The time, never before one that was told already.
    pub fn now(&self) -> Timestamp {
        let system = system_now().0;
        Timestamp(self.floor.fetch_max(system, Ordering::Relaxed).max(system))
    }

    /// How far to trust [`Clock::now`].
    pub fn quality(&self) -> ClockQuality {
        match self.quality.load(Ordering::Relaxed) {
            0 => ClockQuality::Synced,
            1 => ClockQuality::Assumed,
            _ => ClockQuality::Unset,
        }
    }

    /// Compares with the cloud's time.
    pub fn heard_server_time(&self, server: Timestamp) {
        let agrees = self.now().millis_since(server).abs() <= AGREES_MS;
        self.quality.store(if agrees { 0 } else { 2 }, Ordering::Relaxed);
    }

    /// Milliseconds since this process started; not moved by clock changes.
    pub fn mono_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// A UUIDv7 for an instant.
pub fn uuid_at(at: Timestamp) -> Uuid {
    let mut random = [0; 10];
    getrandom::fill(&mut random).expect("the operating system gives random bytes");
    uuid::Builder::from_unix_timestamp_millis(u64::try_from(at.0).unwrap_or(0), &random).into_uuid()
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the time")]
fn system_now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
