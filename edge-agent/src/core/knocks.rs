//! Unknown stations that were refused at the door, told to the cloud so that an operator sees who knocked.
//!
//! A charger with a wrong address knocks every minute for years, and anybody on the chargers' network can knock under any
//! name: so one is told of now and then, and all together no faster than people could mount new ones.

use std::collections::VecDeque;

use shared::model::event::Event;
use shared::model::onboarding::StationKnocked;
use shared::units::Timestamp;

use super::{Core, Effects};

/// How long a knock is remembered, and the least time between two of one station that are told.
const MEMORY_MS: i64 = 15 * 60 * 1000;
/// Knocks told within that time.
const KNOCKS: usize = 50;

/// The stations that knocked lately.
#[derive(Debug, Default)]
pub(super) struct Knocks(VecDeque<StationKnocked>);

impl Knocks {
    fn admit(&mut self, knock: &StationKnocked) -> bool {
        // A clock that was set back must not keep the memory full.
        self.0.retain(|known| knock.at.millis_since(known.at).unsigned_abs() < MEMORY_MS.unsigned_abs());
        if self.0.len() >= KNOCKS || self.0.iter().any(|known| known.station == knock.station) {
            return false;
        }
        self.0.push_back(knock.clone());
        true
    }
}

impl Core {
    pub(super) fn knocked(&mut self, knock: StationKnocked, fx: &mut Effects) {
        if self.admission.knocks.admit(&knock) {
            fx.event(Event::StationKnocked(knock));
        }
    }

    /// Who knocked lately and was told of, the newest last.
    pub fn knocked_lately(&self, now: Timestamp) -> impl Iterator<Item = &StationKnocked> {
        self.admission.knocks.0.iter().filter(move |knock| now.millis_since(knock.at) < MEMORY_MS)
    }
}

#[cfg(test)]
mod tests {
    use shared::id::StationId;

    use super::*;

    fn knock(name: &str, at: i64) -> StationKnocked {
        let station = StationId::new(name).unwrap();
        let at = Timestamp(1_763_812_800_000 + at);
        StationKnocked { station, from: "10.0.0.7".into(), security_profile: 1, had_password: false, at }
    }

    #[test]
    fn one_that_knocks_on_is_told_of_now_and_then() {
        let mut knocks = Knocks::default();
        let told = (0..180).filter(|n| knocks.admit(&knock("FOO", n * 10_000))).count();
        assert_eq!(told, 2, "half an hour");
    }

    #[test]
    fn made_up_names_cannot_flood_and_a_clock_set_back_does_not_silence() {
        let mut knocks = Knocks::default();
        let told = (0..10_000).filter(|n| knocks.admit(&knock(&format!("X{n}"), *n))).count();
        assert_eq!((told, knocks.0.len()), (KNOCKS, KNOCKS));
        assert!(knocks.admit(&knock("LATE", -2 * MEMORY_MS)));
    }
}
