//! The references by which stations name sessions in OCPP 1.6: integers that we mint and never use twice.
//!
//! Seconds since 2024 rather than 1970, so that they stay a positive 32-bit integer beyond 2038; at least one more than
//! the last, because two connectors may start within a second; and above any that a station was seen to use, because it
//! may remember one of a former system. Zero and negatives are never minted: firmware takes them for "unset".

use shared::id::StationTxRef;
use shared::units::Timestamp;

const EPOCH_2024_MS: i64 = 1_704_067_200_000;

/// The counter behind the references.
#[derive(Debug)]
pub struct TxRefs {
    floor: i64,
}

impl TxRefs {
    /// Continues above `floor`.
    pub fn new(floor: i64) -> Self {
        TxRefs { floor: floor.max(0) }
    }

    /// A reference that was never used, and the new floor to commit with it.
    pub fn mint(&mut self, now: Timestamp) -> (StationTxRef, i64) {
        let seconds = (now.0 - EPOCH_2024_MS) / 1000;
        let next = seconds.max(self.floor + 1).clamp(1, i64::from(i32::MAX));
        self.floor = next;
        (StationTxRef(next.to_string()), next)
    }

    /// Takes note of a reference that a station used.
    pub fn seen(&mut self, tx_ref: &StationTxRef) {
        if let Ok(number) = tx_ref.0.parse::<i32>() {
            // A wild number near the end of the range would leave none to mint.
            if number < i32::MAX / 2 {
                self.floor = self.floor.max(i64::from(number));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_only_rise() {
        let mut refs = TxRefs::new(0);
        let now = Timestamp(EPOCH_2024_MS + 5_000);
        assert_eq!(refs.mint(now).1, 5);
        assert_eq!(refs.mint(now).1, 6);
        refs.seen(&StationTxRef("900".into()));
        refs.seen(&StationTxRef("-1".into()));
        refs.seen(&StationTxRef(i32::MAX.to_string()));
        assert_eq!(refs.mint(now).1, 901);
        assert_eq!(refs.mint(Timestamp(0)).1, 902, "a clock that went back does not matter");
    }
}
