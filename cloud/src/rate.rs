//! How much one address and one user may ask for: a token bucket each, filled with points by the second.
//!
//! Every request costs a point and every field of it one more, so that one big query costs as much as many small ones. Each
//! replica counts for itself. Buckets are kept in a cache of fixed size: a flood from ever new addresses pushes out buckets
//! that are full again anyway, and takes no more memory.

use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::{Clock as _, MonotonicClock};
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use quick_cache::sync::Cache;

use crate::config;

/// Seconds of points that somebody who was quiet may use at once.
const BURST: u32 = 30;
/// Buckets remembered, of each kind.
const BUCKETS: usize = 20_000;

/// The buckets of one replica.
pub(crate) struct Rates {
    addresses: Option<Buckets<IpAddr>>,
    users: Option<Buckets<i64>>,
}

/// Points asked for that are not there.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooFast {
    /// Whose bucket it is.
    pub(crate) whose: &'static str,
    /// Its points per second.
    pub(crate) per_second: u32,
    /// When there are enough.
    pub(crate) wait: Duration,
}

impl Rates {
    pub(crate) fn new(api: &config::Api) -> Self {
        Self {
            addresses: Buckets::new("address", api.points_per_second_and_address),
            users: Buckets::new("user", api.points_per_second_and_user),
        }
    }

    /// Takes points from an address, or from the /64 network of one.
    ///
    /// Requests from this machine are not counted: they are its operator's, or come through a proxy that
    /// `http.trust_forwarded_for` was not told of, and then stand for everybody.
    pub(crate) fn charge_address(&self, address: IpAddr, points: u32) -> Result<(), TooFast> {
        let network = network(address);
        match &self.addresses {
            Some(buckets) if !network.is_loopback() && !network.is_unspecified() => {
                buckets.charge(network, points)
            }
            _ => Ok(()),
        }
    }

    /// Takes points from a user.
    pub(crate) fn charge_user(&self, id: i64, points: u32) -> Result<(), TooFast> {
        self.users.as_ref().map_or(Ok(()), |buckets| buckets.charge(id, points))
    }

    /// Are users limited at all?
    pub(crate) fn limits_users(&self) -> bool {
        self.users.is_some()
    }
}

type Bucket = RateLimiter<NotKeyed, InMemoryState, MonotonicClock>;

struct Buckets<K> {
    whose: &'static str,
    per_second: NonZeroU32,
    kept: Cache<K, Arc<Bucket>>,
}

impl<K: Hash + Eq + Clone> Buckets<K> {
    /// None when there is no limit.
    fn new(whose: &'static str, per_second: u32) -> Option<Self> {
        let per_second = NonZeroU32::new(per_second)?;
        Some(Self { whose, per_second, kept: Cache::new(BUCKETS) })
    }

    fn charge(&self, key: K, points: u32) -> Result<(), TooFast> {
        let burst = self.per_second.saturating_mul(NonZeroU32::new(BURST).expect("not zero"));
        let quota = Quota::per_second(self.per_second).allow_burst(burst);
        let made = || {
            Ok::<_, std::convert::Infallible>(Arc::new(RateLimiter::direct_with_clock(quota, MonotonicClock)))
        };
        let Ok(bucket) = self.kept.get_or_insert_with(&key, made);
        let Some(points) = NonZeroU32::new(points) else { return Ok(()) };
        let wait = match bucket.check_n(points.min(burst)) {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(not_until)) => not_until.wait_time_from(MonotonicClock.now()),
            Err(_) => Duration::from_secs(BURST.into()),
        };
        Err(TooFast { whose: self.whose, per_second: self.per_second.get(), wait })
    }
}

/// What one subscriber of an internet provider has: an address, or a /64 network.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => {
            let bits = address.to_bits() >> 64 << 64;
            Ipv6Addr::from_bits(bits).into()
        }
        other @ (IpAddr::V4(_) | IpAddr::V6(_)) => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(per_second: u32) -> Rates {
        Rates::new(&config::Api {
            points_per_second_and_address: per_second,
            points_per_second_and_user: per_second,
            ..config::Api::default()
        })
    }

    #[test]
    fn a_bucket_holds_half_a_minute_and_tells_when_to_come_back() {
        let rates = rates(10);
        let home = IpAddr::from([10, 0, 0, 1]);
        assert!(rates.charge_address(home, 250).is_ok() && rates.charge_address(home, 50).is_ok());
        let refused = rates.charge_address(home, 20).unwrap_err();
        assert_eq!((refused.whose, refused.per_second), ("address", 10));
        assert!(refused.wait > Duration::from_secs(1) && refused.wait <= Duration::from_secs(2));
        assert!(rates.charge_address(IpAddr::from([10, 0, 0, 2]), 300).is_ok(), "somebody else");
        assert!(rates.charge_user(1, 300).is_ok() && rates.charge_user(1, 1).is_err());
        assert!(rates.charge_user(2, 1_000_000).is_ok(), "no request is more than a full bucket");
    }

    #[test]
    fn a_household_shares_a_bucket_and_this_machine_has_none() {
        let rates = rates(1);
        let at = |text: &str| text.parse::<IpAddr>().unwrap();
        assert!(rates.charge_address(at("2001:db8::1"), 30).is_ok());
        assert!(rates.charge_address(at("2001:db8::2"), 1).is_err());
        assert!(rates.charge_address(at("2001:db8:0:1::1"), 1).is_ok());
        assert!(rates.charge_address(at("::ffff:10.0.0.1"), 30).is_ok());
        assert!(rates.charge_address(at("10.0.0.1"), 1).is_err());
        for here in ["127.0.0.1", "::1", "0.0.0.0"] {
            assert!((0..40).all(|_| rates.charge_address(at(here), 1).is_ok()), "{here}");
        }
    }

    #[test]
    fn ever_new_addresses_take_no_more_memory() {
        let rates = rates(1);
        for number in 0..u32::try_from(BUCKETS).unwrap() * 3 {
            assert!(rates.charge_address(IpAddr::from((number + (11 << 24)).to_be_bytes()), 1).is_ok());
        }
        assert!(rates.addresses.unwrap().kept.len() <= BUCKETS);
        assert!(
            !Rates::new(&config::Api { points_per_second_and_user: 0, ..config::Api::default() })
                .limits_users()
        );
    }
}
