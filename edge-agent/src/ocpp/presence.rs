//! Who is here already: a second connection in a station's name.
//!
//! A station whose line broke comes back while its old connection still looks alive here, and must come in at once (QUIRKS
//! Q6). Somebody else with a copied password must not push it out (Q7; the published hijacks by identity). The newcomer has
//! logged in by now; from the same address he takes over. From another one the old connection is asked for a sign of life
//! first: if it gives one, the newcomer is held off and an operator hears of it. So is a third takeover within ten minutes:
//! two boxes with one identity would take turns forever.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use shared::id::StationId;
use tokio::sync::{mpsc, oneshot};

use super::link::Order;
use crate::core::LinkId;

/// How long a connection may take to show that it lives.
const SIGN_OF_LIFE: Duration = Duration::from_secs(3);
/// Takeovers that are nothing but bad luck,
const TAKEOVERS: u8 = 3;
/// in so many milliseconds.
const LATELY: u64 = 600_000;

/// The stations that are connected.
#[derive(Default)]
pub struct Presence(Mutex<HashMap<StationId, Here>>);

struct Here {
    link: LinkId,
    from: IpAddr,
    /// Weak: the site ends a connection by letting go of its orders.
    orders: mpsc::WeakSender<Order>,
    takeovers: u8,
    /// When the first of them was, by the monotonic clock.
    since: u64,
    /// When an operator was last told.
    told: Option<u64>,
}

/// What becomes of a newcomer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// He may come in.
    Welcome,
    /// The station is here already, alive. `tell`: an operator has not been told lately.
    Held {
        /// Tell him.
        tell: bool,
    },
}

impl Presence {
    /// May somebody who has logged in as the station take its place? `now` is the monotonic clock's, in milliseconds.
    pub async fn arrive(&self, station: &StationId, from: IpAddr, now: u64) -> Arrival {
        let Some(old) = self.in_the_way(station, from, now) else { return Arrival::Welcome };
        let (answer, sign) = oneshot::channel();
        let asked = old.try_send(Order::Probe(answer)).is_ok();
        if !asked || !matches!(tokio::time::timeout(SIGN_OF_LIFE, sign).await, Ok(Ok(()))) {
            return Arrival::Welcome;
        }
        let mut all = self.lock();
        let Some(here) = all.get_mut(station) else { return Arrival::Welcome };
        let tell = here.told.is_none_or(|told| now.saturating_sub(told) > LATELY);
        if tell {
            here.told = Some(now);
        }
        Arrival::Held { tell }
    }

    /// The connection that must be asked before another one takes its place.
    fn in_the_way(&self, station: &StationId, from: IpAddr, now: u64) -> Option<mpsc::Sender<Order>> {
        let all = self.lock();
        let here = all.get(station)?;
        let flaps = here.takeovers >= TAKEOVERS && now.saturating_sub(here.since) <= LATELY;
        if here.from != from || flaps { here.orders.upgrade() } else { None }
    }

    /// A connection is the station's from now on.
    pub fn enter(
        &self,
        station: StationId,
        link: LinkId,
        from: IpAddr,
        orders: &mpsc::Sender<Order>,
        now: u64,
    ) {
        let mut all = self.lock();
        let (takeovers, since, told) = match all.get(&station) {
            None => (0, now, None),
            Some(old) if now.saturating_sub(old.since) > LATELY => (1, now, old.told),
            Some(old) => (old.takeovers.saturating_add(1), old.since, old.told),
        };
        all.insert(station, Here { link, from, orders: orders.downgrade(), takeovers, since, told });
    }

    /// A connection ended.
    pub fn leave(&self, station: &StationId, link: LinkId) {
        let mut all = self.lock();
        if all.get(station).is_some_and(|here| here.link == link) {
            all.remove(station);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<StationId, Here>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
    const ELSEWHERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));

    fn station() -> StationId {
        StationId::new("CP1").unwrap()
    }

    /// A connection that gives a sign of life, or none.
    fn connection(alive: bool) -> mpsc::Sender<Order> {
        let (orders, mut from_site) = mpsc::channel(8);
        tokio::spawn(async move {
            let mut ignored = Vec::new();
            while let Some(order) = from_site.recv().await {
                let Order::Probe(answer) = order else { continue };
                if alive {
                    answer.send(()).unwrap();
                } else {
                    ignored.push(answer);
                }
            }
        });
        orders
    }

    #[tokio::test(start_paused = true)]
    async fn the_same_address_takes_over_at_once() {
        let presence = Presence::default();
        assert_eq!(presence.arrive(&station(), HOME, 0).await, Arrival::Welcome);
        let one = connection(true);
        presence.enter(station(), LinkId(1), HOME, &one, 0);
        assert_eq!(presence.arrive(&station(), HOME, 1).await, Arrival::Welcome);
    }

    #[tokio::test(start_paused = true)]
    async fn from_elsewhere_only_a_silent_connection_is_replaced() {
        let presence = Presence::default();
        let one = connection(true);
        presence.enter(station(), LinkId(1), HOME, &one, 0);
        assert_eq!(presence.arrive(&station(), ELSEWHERE, 1).await, Arrival::Held { tell: true });
        assert_eq!(presence.arrive(&station(), ELSEWHERE, 2).await, Arrival::Held { tell: false });
        assert_eq!(presence.arrive(&station(), ELSEWHERE, 2 + LATELY).await, Arrival::Held { tell: true });

        let two = connection(false);
        presence.enter(station(), LinkId(2), HOME, &two, 3);
        assert_eq!(presence.arrive(&station(), ELSEWHERE, 4).await, Arrival::Welcome);
        presence.leave(&station(), LinkId(1));
        assert!(
            presence.in_the_way(&station(), ELSEWHERE, 4).is_some(),
            "an old connection's end is not the station's"
        );
        presence.leave(&station(), LinkId(2));
        assert!(presence.in_the_way(&station(), ELSEWHERE, 4).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn two_boxes_with_one_identity_do_not_take_turns_forever() {
        let (presence, box_of_many) = (Presence::default(), connection(true));
        for link in 0..=u64::from(TAKEOVERS) {
            assert_eq!(presence.arrive(&station(), HOME, link).await, Arrival::Welcome);
            presence.enter(station(), LinkId(link), HOME, &box_of_many, link);
        }
        assert_eq!(presence.arrive(&station(), HOME, 10).await, Arrival::Held { tell: true });
        assert_eq!(presence.arrive(&station(), HOME, 10 + LATELY).await, Arrival::Welcome);
    }
}
