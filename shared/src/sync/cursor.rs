//! The rule that makes repeats harmless: what a batch means for a watermark. Pure, and used under the cursor row's lock.

/// What to do with a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cursor {
    /// Apply the records from this place in the batch on; the watermark becomes `watermark`.
    Apply {
        /// How many records at the front were applied before.
        skip: usize,
        /// The watermark afterwards.
        watermark: u64,
    },
    /// All of it was applied before: acknowledge the watermark again.
    Duplicate,
    /// Records are missing in between: acknowledge the old watermark, the gateway goes back to it.
    Gap,
}

/// Judges a batch of `count` records that starts at sequence number `first` against `watermark`, the last one applied.
/// Sequence numbers start at 1; a batch that would pass the end of the range is a gap.
pub fn accept(watermark: u64, first: u64, count: usize) -> Cursor {
    let Some(last) = last_of(first, count) else { return Cursor::Gap };
    if first > watermark.saturating_add(1) {
        return Cursor::Gap;
    }
    if last <= watermark {
        return Cursor::Duplicate;
    }
    match usize::try_from(watermark + 1 - first) {
        Ok(skip) => Cursor::Apply { skip, watermark: last },
        Err(_) => Cursor::Gap,
    }
}

/// The last sequence number of a batch; an empty batch or one numbered from 0 has none.
fn last_of(first: u64, count: usize) -> Option<u64> {
    let steps = u64::try_from(count).ok()?.checked_sub(1)?;
    if first == 0 { None } else { first.checked_add(steps) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_table() {
        let table = [
            (0, 1, 3, Cursor::Apply { skip: 0, watermark: 3 }),
            (3, 4, 1, Cursor::Apply { skip: 0, watermark: 4 }),
            (3, 2, 4, Cursor::Apply { skip: 2, watermark: 5 }),
            (3, 1, 3, Cursor::Duplicate),
            (3, 3, 1, Cursor::Duplicate),
            (3, 5, 1, Cursor::Gap),
            (0, 0, 1, Cursor::Gap),
            (0, 1, 0, Cursor::Gap),
            (0, u64::MAX, 2, Cursor::Gap),
        ];
        for (watermark, first, count, expected) in table {
            assert_eq!(
                accept(watermark, first, count),
                expected,
                "W={watermark} first={first} count={count}"
            );
        }
    }

    proptest! {
        /// Whatever arrives, in whatever order and however often: each record is applied once and in order.
        #[test]
        fn every_record_is_applied_once_and_in_order(deliveries in prop::collection::vec((1u64..40, 1usize..9), 0..200)) {
            let (mut watermark, mut applied) = (0u64, Vec::new());
            for (first, count) in deliveries {
                if let Cursor::Apply { skip, watermark: next } = accept(watermark, first, count) {
                    applied.extend((first..).take(count).skip(skip));
                    prop_assert!(next > watermark);
                    watermark = next;
                }
            }
            prop_assert_eq!(applied, (1..=watermark).collect::<Vec<_>>());
        }
    }
}
