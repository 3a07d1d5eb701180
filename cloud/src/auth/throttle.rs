//! Slows guessing: so many failed logins per account and per address, then none for a while.
//!
//! Checked before any hashing, because argon2 itself is a lever to exhaust the machine with. Each replica counts for itself,
//! so *n* replicas allow *n* times as much; that is enough against guessing.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

const WINDOW: Duration = Duration::from_mins(5);
const PER_ACCOUNT: u32 = 10;
const PER_ADDRESS: u32 = 30;
/// Keys remembered at once; beyond it the oldest windows are forgotten first.
const MAX_KEYS: usize = 20_000;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Account(String),
    Address(IpAddr),
}

struct Count {
    since: Instant,
    attempts: u32,
}

/// The counters of one replica.
#[derive(Default)]
pub(crate) struct Throttle(Mutex<HashMap<Key, Count>>);

impl Throttle {
    /// Counts an attempt, or says how long to wait.
    pub(crate) fn admit(&self, account: &str, address: IpAddr, now: Instant) -> Result<(), Duration> {
        let mut counts = self.0.lock().expect("no code panics while holding it");
        make_room(&mut counts, now);
        let keys = keys(account, address);
        for (key, limit) in &keys {
            if let Some(count) = counts.get(key).filter(|count| now < count.since + WINDOW)
                && count.attempts >= *limit
            {
                return Err(count.since + WINDOW - now);
            }
        }
        for (key, _) in keys {
            let count = counts.entry(key).or_insert(Count { since: now, attempts: 0 });
            if now >= count.since + WINDOW {
                *count = Count { since: now, attempts: 0 };
            }
            count.attempts += 1;
        }
        Ok(())
    }

    /// The attempt succeeded: it was no guess.
    pub(crate) fn forgive(&self, account: &str, address: IpAddr) {
        let mut counts = self.0.lock().expect("no code panics while holding it");
        let [(account, _), (address, _)] = keys(account, address);
        counts.remove(&account);
        if let Some(count) = counts.get_mut(&address) {
            count.attempts = count.attempts.saturating_sub(1);
        }
    }
}

fn keys(account: &str, address: IpAddr) -> [(Key, u32); 2] {
    [(Key::Account(account.trim().to_lowercase()), PER_ACCOUNT), (Key::Address(address), PER_ADDRESS)]
}

fn make_room(counts: &mut HashMap<Key, Count>, now: Instant) {
    if counts.len() < MAX_KEYS {
        return;
    }
    counts.retain(|_, count| now < count.since + WINDOW);
    if counts.len() >= MAX_KEYS {
        let mut ages: Vec<Instant> = counts.values().map(|count| count.since).collect();
        let (_, middle, _) = ages.select_nth_unstable(MAX_KEYS / 2);
        let middle = *middle;
        counts.retain(|_, count| count.since > middle);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    #[test]
    fn an_account_is_guessed_ten_times_then_rests() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        for turn in 0..10 {
            assert!(throttle.admit("A@b.c", address(turn), now).is_ok());
        }
        let wait = throttle.admit(" a@B.c ", address(99), now + Duration::from_secs(60)).unwrap_err();
        assert_eq!(wait, Duration::from_secs(240));
        assert!(throttle.admit("other", address(99), now).is_ok());
        assert!(throttle.admit("a@b.c", address(99), now + WINDOW).is_ok());
    }

    #[test]
    fn an_address_may_not_try_many_accounts() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        for turn in 0..30 {
            assert!(throttle.admit(&format!("user{turn}"), address(1), now).is_ok());
        }
        assert!(throttle.admit("user31", address(1), now).is_err());
        assert!(throttle.admit("user31", address(2), now).is_ok());
    }

    #[test]
    fn success_is_not_counted() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        for _ in 0..100 {
            assert!(throttle.admit("a", address(1), now).is_ok());
            throttle.forgive("a", address(1));
        }
    }

    #[test]
    fn memory_is_bounded() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        for turn in 0..u32::try_from(MAX_KEYS).unwrap() * 2 {
            let later = now + Duration::from_millis(turn.into());
            let _ = throttle.admit(&turn.to_string(), IpAddr::from(turn.to_be_bytes()), later);
        }
        assert!(throttle.0.lock().unwrap().len() <= MAX_KEYS + 2);
    }
}
