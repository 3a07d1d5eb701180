//! What one address, one identity or one station may take of the gateway, so that nobody takes it all (SECURITY S5;
//! CWE-307, CWE-400).
//!
//! Too many sockets of an address and too many handshakes of an identity are turned away; too many messages of a station
//! are not: they are read more slowly, so that it waits at its socket and nothing is lost.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use shared::id::StationId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Identities whose handshakes are counted at most; beyond that those that may come in anyway are forgotten.
const COUNTED: usize = 4096;
/// Handshakes in a row before the pace counts: a bad line breaks more than once.
const HANDSHAKE_BURST: u32 = 20;
/// Messages in a row before the pace counts: a station that comes back has a queue.
const MESSAGE_BURST: u32 = 100;

/// So many in a row, then one per interval (GCRA).
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    interval: u64,
    tolerance: u64,
}

impl Pace {
    /// `count` in `per` units of time; 0 is no limit.
    fn new(count: u32, per: u64, burst: u32) -> Option<Self> {
        let interval = per.checked_div(u64::from(count))?;
        Some(Pace { interval, tolerance: interval * u64::from(burst.saturating_sub(1)) })
    }

    /// Messages of a station, in milliseconds.
    pub fn messages(per_second: u32) -> Option<Self> {
        Pace::new(per_second, 1_000, MESSAGE_BURST)
    }

    /// One more at `now`, after those that `due` remembers.
    pub fn took(&self, due: &mut u64, now: u64) {
        *due = (*due).max(now) + self.interval;
    }

    /// When the next one may come.
    pub fn next(&self, due: u64) -> u64 {
        due.saturating_sub(self.tolerance)
    }
}

/// Counts what is at the doors.
#[derive(Debug)]
pub struct Caps {
    all: Arc<Semaphore>,
    per_address: usize,
    handshakes: Option<Pace>,
    open: Mutex<HashMap<IpAddr, usize>>,
    knocks: Mutex<HashMap<(StationId, IpAddr), u64>>,
}

/// A connection's place; it is free again when this is dropped.
#[derive(Debug)]
pub struct Place {
    caps: Arc<Caps>,
    from: IpAddr,
    _one_of_all: OwnedSemaphorePermit,
}

impl Caps {
    /// Connections at most, in all and of one address, and handshakes per minute of one identity.
    pub fn new(all: usize, per_address: usize, handshakes_per_minute: u32) -> Arc<Self> {
        Arc::new(Caps {
            all: Arc::new(Semaphore::new(all)),
            per_address,
            handshakes: Pace::new(handshakes_per_minute, 60_000, HANDSHAKE_BURST),
            open: Mutex::default(),
            knocks: Mutex::default(),
        })
    }

    /// A place for a connection from an address, if there is one.
    pub fn enter(self: &Arc<Self>, from: IpAddr) -> Option<Place> {
        let permit = self.all.clone().try_acquire_owned().ok()?;
        let mut open = lock(&self.open);
        let count = open.entry(from).or_insert(0);
        if *count >= self.per_address {
            return None;
        }
        *count += 1;
        Some(Place { caps: self.clone(), from, _one_of_all: permit })
    }

    /// May this identity try again from this address at `now`, in milliseconds? Counted by both, so that nobody elsewhere can
    /// lock a station out.
    pub fn may_knock(&self, station: &StationId, from: IpAddr, now: u64) -> bool {
        let Some(pace) = self.handshakes else { return true };
        let mut knocks = lock(&self.knocks);
        if knocks.len() >= COUNTED {
            knocks.retain(|_, due| *due > now);
        }
        let due = knocks.entry((station.clone(), from)).or_insert(0);
        let may = pace.next(*due) <= now;
        if may {
            pace.took(due, now);
        }
        may
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = lock(&self.caps.open);
        if let Some(count) = open.get_mut(&self.from) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.from);
            }
        }
    }
}

fn lock<T>(counted: &Mutex<T>) -> MutexGuard<'_, T> {
    counted.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
    const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));

    #[test]
    fn an_address_has_so_many_places_and_gets_them_back() {
        let caps = Caps::new(4, 2, 0);
        let held: Vec<Place> = (0..2).filter_map(|_| caps.enter(HERE)).collect();
        assert!(held.len() == 2 && caps.enter(HERE).is_none());
        let others: Vec<Place> = [THERE, THERE].into_iter().filter_map(|from| caps.enter(from)).collect();
        assert!(others.len() == 2 && caps.enter(IpAddr::from([10, 0, 0, 3])).is_none(), "all are taken");
        drop(held);
        assert!(caps.enter(HERE).is_some());
    }

    #[test]
    fn an_identity_knocks_so_often_and_nobody_elsewhere_locks_it_out() {
        let caps = Caps::new(1, 1, 5);
        let (station, other) = (StationId::new("CP1").unwrap(), StationId::new("CP2").unwrap());
        assert!((0..HANDSHAKE_BURST).all(|_| caps.may_knock(&station, HERE, 0)));
        assert!(!caps.may_knock(&station, HERE, 0) && !caps.may_knock(&station, HERE, 11_999));
        assert!(caps.may_knock(&station, HERE, 12_000) && !caps.may_knock(&station, HERE, 12_000));
        assert!(caps.may_knock(&station, THERE, 0) && caps.may_knock(&other, HERE, 0));
        assert!((0..1_000).all(|_| Caps::new(1, 1, 0).may_knock(&station, HERE, 0)), "0 is no limit");
    }

    #[test]
    fn a_queue_is_taken_at_once_and_then_at_a_pace() {
        let pace = Pace::messages(10).unwrap();
        let mut due = 0;
        (0..MESSAGE_BURST).for_each(|_| pace.took(&mut due, 1_000));
        assert_eq!(pace.next(due), 1_100);
        pace.took(&mut due, 1_100);
        assert_eq!(pace.next(due), 1_200);
        assert!(pace.next(due) < 100_000);
    }
}
