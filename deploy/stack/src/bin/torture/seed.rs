//! Chance that comes the same again for the same seed (SplitMix64).

use std::time::Duration;

use uuid::Uuid;

/// The dice.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

/// A seed that nobody chose, short enough to type.
pub(crate) fn chance() -> u64 {
    Uuid::new_v4().as_u64_pair().0 >> 32
}

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x7047_7572_6521)
    }

    /// Other dice, for one who throws at his own pace.
    pub(crate) fn fork(&mut self) -> Self {
        Dice(self.next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to just below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// True `percent` times of a hundred.
    pub(crate) fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// Between two times.
    pub(crate) fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_throws_the_same_again() {
        let throws = |seed| {
            std::iter::repeat_with(|| 0).take(5).scan(Dice::new(seed), |dice, _| Some(dice.below(1_000)))
        };
        assert!(throws(7).eq(throws(7)));
        assert!(!throws(7).eq(throws(8)));
    }
}
