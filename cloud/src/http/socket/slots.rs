//! How many connections and subscriptions there are, in all, from one address and of one user.
//!
//! Counted per replica: it is the replica's memory and time that they take.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use crate::config::Live;
use crate::rate::network;

/// Counts against the limits; cheap to clone.
#[derive(Clone)]
pub(in crate::http) struct Slots(Arc<Inner>);

struct Inner {
    limits: Live,
    taken: Mutex<HashMap<Counted, usize>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Counted {
    Connections,
    ConnectionsFrom(IpAddr),
    ConnectionsOf(i64),
    SubscriptionsFrom(IpAddr),
    SubscriptionsOf(i64),
}

/// Places that are taken until this is dropped.
pub(super) struct Slot {
    slots: Slots,
    places: Vec<Counted>,
}

/// What there is too much of, for people.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full(pub(super) String);

impl Slots {
    pub(in crate::http) fn new(limits: &Live) -> Self {
        Slots(Arc::new(Inner { limits: limits.clone(), taken: Mutex::default() }))
    }

    /// Subscriptions on one connection.
    pub(super) fn per_connection(&self) -> usize {
        self.0.limits.subscriptions_per_connection
    }

    /// A place on this replica.
    pub(super) fn connection(&self) -> Result<Slot, Full> {
        self.take([Counted::Connections])
    }

    /// A place for a connection from an address.
    pub(super) fn connection_from(&self, address: IpAddr) -> Result<Slot, Full> {
        self.take([Counted::ConnectionsFrom(network(address))])
    }

    /// A place for a connection of a user.
    pub(super) fn connection_of(&self, user: i64) -> Result<Slot, Full> {
        self.take([Counted::ConnectionsOf(user)])
    }

    /// A place for a subscription.
    pub(super) fn subscription(&self, address: IpAddr, user: Option<i64>) -> Result<Slot, Full> {
        let address = Counted::SubscriptionsFrom(network(address));
        self.take([address].into_iter().chain(user.map(Counted::SubscriptionsOf)))
    }

    /// All of these places, or none.
    fn take(&self, wanted: impl IntoIterator<Item = Counted>) -> Result<Slot, Full> {
        let mut slot = Slot { slots: self.clone(), places: Vec::new() };
        for place in wanted {
            let limit = self.limit(place);
            let mut taken = self.0.taken.lock().expect(UNPOISONED);
            let count = taken.entry(place).or_default();
            if *count >= limit {
                return Err(Full(place.too_many(limit)));
            }
            *count += 1;
            slot.places.push(place);
        }
        Ok(slot)
    }

    fn limit(&self, place: Counted) -> usize {
        let limits = &self.0.limits;
        match place {
            Counted::Connections => limits.connections,
            Counted::ConnectionsFrom(_) => limits.connections_per_address,
            Counted::ConnectionsOf(_) => limits.connections_per_user,
            Counted::SubscriptionsFrom(_) => limits.subscriptions_per_address,
            Counted::SubscriptionsOf(_) => limits.subscriptions_per_user,
        }
    }
}

const UNPOISONED: &str = "no code panics while holding it";

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.slots.0.taken.lock().expect(UNPOISONED);
        for place in self.places.drain(..) {
            let left = taken.get_mut(&place).map_or(0, |count| {
                *count -= 1;
                *count
            });
            if left == 0 {
                taken.remove(&place);
            }
        }
    }
}

impl Counted {
    /// Short enough for the reason of a close frame (123 bytes).
    fn too_many(self, limit: usize) -> String {
        match self {
            Counted::Connections => "Too many connections here: try again later".into(),
            Counted::ConnectionsFrom(_) => {
                format!("At most {limit} connections from one address: close others first")
            }
            Counted::ConnectionsOf(_) => format!("At most {limit} connections per user: close others first"),
            Counted::SubscriptionsFrom(_) => {
                format!("At most {limit} subscriptions from one address: end others first")
            }
            Counted::SubscriptionsOf(_) => {
                format!("At most {limit} subscriptions per user: end others first")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_and_given_back() {
        let limits = Live { subscriptions_per_address: 3, subscriptions_per_user: 2, ..Live::default() };
        let slots = Slots::new(&limits);
        let home: IpAddr = "2001:db8::1".parse().unwrap();
        let (first, _second) =
            (slots.subscription(home, Some(1)).unwrap(), slots.subscription(home, Some(1)).unwrap());
        let Full(text) = slots.subscription(home, Some(1)).err().unwrap();
        assert_eq!(text, "At most 2 subscriptions per user: end others first");
        let neighbour = "2001:db8::2".parse().unwrap();
        let third = slots.subscription(neighbour, Some(2)).unwrap();
        assert!(slots.subscription(home, None).is_err(), "the same network");
        assert!(slots.subscription("2001:db8:0:1::1".parse().unwrap(), None).is_ok());
        drop((first, third));
        assert!(slots.subscription(home, Some(1)).is_ok());
        drop(_second);
        assert!(slots.0.taken.lock().unwrap().is_empty(), "nothing is left over");
    }
}
