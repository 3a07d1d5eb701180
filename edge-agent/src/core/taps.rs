//! Unknown cards at the readers, told to the cloud so that somebody can adopt them.
//!
//! Anybody can hold anything to a reader, as often as he likes, and for weeks without internet: so a card is told of a few
//! times and not at every tap, and all cards together no faster than people could bring new ones.

use std::collections::VecDeque;

use shared::id::{EvseNo, StationId};
use shared::model::IdToken;
use shared::model::event::{Event, UnknownCardSeen};
use shared::units::Timestamp;

use super::{Core, Effects};

/// How long a tap is remembered.
const MEMORY_MS: i64 = 10 * 60 * 1000;
/// Within the memory: taps of all cards,
const TAPS: usize = 60;
/// taps of one card,
const TAPS_OF_A_CARD: usize = 10;
/// and the least time between two of them. Who was told to tap again has waited longer.
const GAP_MS: i64 = 3_000;
/// Longer than any token of any protocol.
const LONGEST: usize = 64;

/// The unknown cards that were told of lately.
#[derive(Debug, Default)]
pub(super) struct Taps(VecDeque<(String, Timestamp)>);

impl Taps {
    /// Is this one worth telling? Then it is remembered.
    fn admit(&mut self, now: Timestamp, token: &IdToken) -> bool {
        // A clock that was set back must not keep the memory full.
        self.0.retain(|(_, at)| now.millis_since(*at).unsigned_abs() < MEMORY_MS.unsigned_abs());
        let card = token.folded();
        let mut same = self.0.iter().filter(|(other, _)| *other == card);
        let (count, last) = (same.clone().count(), same.next_back());
        let too_soon = last.is_some_and(|(_, at)| now.millis_since(*at) < GAP_MS);
        if too_soon
            || count >= TAPS_OF_A_CARD
            || self.0.len() >= TAPS
            || card.is_empty()
            || card.len() > LONGEST
        {
            return false;
        }
        self.0.push_back((card, now));
        true
    }
}

impl Core {
    pub(super) fn unknown_card(
        &mut self,
        now: Timestamp,
        station: &StationId,
        evse: Option<EvseNo>,
        token: &IdToken,
        fx: &mut Effects,
    ) {
        if self.taps.admit(now, token) {
            fx.event(Event::UnknownCardSeen(UnknownCardSeen {
                station: station.clone(),
                evse,
                token: token.clone(),
                at: now,
            }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_763_812_800_000);

    fn admitted(taps: &mut Taps, at_ms: i64, card: &str) -> bool {
        taps.admit(NOW.plus_millis(at_ms), &IdToken::new(card))
    }

    #[test]
    fn a_card_held_to_the_reader_is_told_of_a_few_times() {
        let mut taps = Taps::default();
        let told = (0..100).filter(|n| admitted(&mut taps, n * 500, "04A2B3C4")).count();
        assert_eq!(told, TAPS_OF_A_CARD);
        assert!(!admitted(&mut taps, 60_000, "04:a2:b3:c4"), "the same card, written otherwise");
        assert!(admitted(&mut taps, 60_000, "another"));
        assert!(admitted(&mut taps, MEMORY_MS + 60_000, "04A2B3C4"), "it is new again after a while");
    }

    #[test]
    fn random_cards_cannot_flood() {
        let mut taps = Taps::default();
        let told = (0..10_000).filter(|n| admitted(&mut taps, n * 50, &format!("card {n}"))).count();
        assert_eq!((told, taps.0.len()), (TAPS, TAPS));
        assert!(!admitted(&mut taps, MEMORY_MS, "") && !admitted(&mut taps, MEMORY_MS * 2, &"x".repeat(65)));
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_silence_the_reader() {
        let mut taps = Taps::default();
        let full = (0..10_000).filter(|n| admitted(&mut taps, *n, &format!("card {n}"))).count();
        assert_eq!(full, TAPS);
        assert!(admitted(&mut taps, -2 * MEMORY_MS, "late"));
    }
}
