//! The only place that reads the time.
//!
//! A gateway may have no battery-backed clock and boot in 1970, or in a year to come; somebody may set it while it runs. So
//! what time it is comes from two sources, the system's clock and the time that has passed since this process started, which
//! nobody sets:
//!
//! * Before the cloud told its time, the later of the system's clock and of where this process began, which is never before
//!   the last commit. A system's clock that is late, or is put back, does not make the time stand still.
//! * From then on the cloud's time and what has passed since, unless the system agrees with that: a jump of the system's clock
//!   changes nothing. If we were ahead, the time goes back, once: an order is judged by the time at which it was given.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};
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
    hands: Mutex<Hands>,
    quality: AtomicU8,
}

/// What time it is, by what the system's clock says and how many milliseconds this process runs.
#[derive(Debug)]
struct Hands {
    /// The time when this process started, as far as is known.
    start: i64,
    /// Is that by the cloud's clock?
    sure: bool,
    /// The last time that was told.
    told: i64,
}

impl Clock {
    /// A clock that continues from the last committed time.
    pub fn new(last_committed: Option<Timestamp>) -> Self {
        let (system, last) = (system_now(), last_committed.unwrap_or(Timestamp(0)));
        let continues = last_committed.is_some_and(|last| system >= last);
        Clock {
            boot: BootId(Uuid::now_v7()),
            started: Instant::now(),
            hands: Mutex::new(Hands::from(system.0.max(last.0))),
            quality: AtomicU8::new(if continues { 1 } else { 2 }),
        }
    }

    /// The time; not before one that was told already, unless the cloud said so.
    pub fn now(&self) -> Timestamp {
        let mut hands = self.hands.lock().unwrap_or_else(PoisonError::into_inner);
        Timestamp(hands.tell(system_now().0, self.passed()))
    }

    /// How far to trust [`Clock::now`].
    pub fn quality(&self) -> ClockQuality {
        match self.quality.load(Ordering::Relaxed) {
            0 => ClockQuality::Synced,
            1 => ClockQuality::Assumed,
            _ => ClockQuality::Unset,
        }
    }

    /// Goes by the cloud's time from now on.
    pub fn heard_server_time(&self, server: Timestamp) {
        let mut hands = self.hands.lock().unwrap_or_else(PoisonError::into_inner);
        let wrong_by = hands.set(server.0, system_now().0, self.passed());
        drop(hands);
        if wrong_by.abs() > AGREES_MS {
            tracing::warn!(
                wrong_by_ms = wrong_by,
                "our clock was wrong; the cloud's time counts from now on"
            );
        }
        self.quality.store(0, Ordering::Relaxed);
    }

    /// Milliseconds since this process started; not moved by clock changes.
    pub fn mono_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn passed(&self) -> i64 {
        i64::try_from(self.mono_ms()).unwrap_or(i64::MAX)
    }
}

impl Hands {
    fn from(start: i64) -> Self {
        Hands { start, sure: false, told: start }
    }

    fn tell(&mut self, system: i64, passed: i64) -> i64 {
        let counted = self.start.saturating_add(passed);
        let now = match self.sure {
            true if (system - counted).abs() > AGREES_MS => counted,
            true => system,
            false => system.max(counted),
        };
        self.told = self.told.max(now);
        self.told
    }

    /// Takes over the cloud's time; how far we were ahead of it.
    fn set(&mut self, server: i64, system: i64, passed: i64) -> i64 {
        let ahead = self.tell(system, passed) - server;
        (self.start, self.sure) = (server.saturating_sub(passed), true);
        if ahead > AGREES_MS {
            self.told = server;
        }
        ahead
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

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_000_000_000;
    const DAY: i64 = 86_400_000;

    #[test]
    fn time_goes_on_where_the_system_boots_in_1970_or_is_put_back() {
        let mut hands = Hands::from(NOW);
        assert_eq!(hands.tell(5_000, 1_000), NOW + 1_000);
        assert_eq!(hands.tell(6_000, 2_000), NOW + 2_000);
        // NTP comes late.
        assert_eq!(hands.tell(NOW + DAY, 3_000), NOW + DAY);
        assert_eq!(hands.tell(NOW + 4_000, 4_000), NOW + DAY, "not before what was told");
    }

    #[test]
    fn the_clouds_time_counts_and_jumps_do_not() {
        let mut hands = Hands::from(NOW);
        assert_eq!(hands.set(NOW + DAY, NOW, 0), -DAY);
        assert_eq!(hands.tell(NOW, 1_000), NOW + DAY + 1_000);
        assert_eq!(hands.tell(NOW + DAY + 2_500, 2_000), NOW + DAY + 2_500, "the system agrees");
        assert_eq!(hands.tell(NOW + 30 * DAY, 3_000), NOW + DAY + 3_000);
        assert_eq!(hands.tell(0, 4_000), NOW + DAY + 4_000);
    }

    #[test]
    fn a_gateway_from_a_year_to_come_comes_back_once() {
        let mut hands = Hands::from(NOW + 4_000 * DAY);
        assert_eq!(hands.tell(NOW, 1_000), NOW + 4_000 * DAY + 1_000);
        assert_eq!(hands.set(NOW, NOW, 2_000), 4_000 * DAY + 2_000);
        assert_eq!(hands.tell(NOW + 1_000, 3_000), NOW + 1_000);
        // A little ahead is waited for.
        assert_eq!(hands.set(NOW, NOW, 3_000), 1_000);
        assert_eq!(hands.tell(NOW + 500, 3_500), NOW + 1_000);
    }
}
