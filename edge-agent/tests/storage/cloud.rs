//! As much of the cloud as billing needs.

use std::collections::BTreeMap;

use edge_agent::store::Store;
use shared::id::Epoch;
use shared::model::{Event, Lane};
use shared::sync::Record;
use shared::sync::cursor::{Cursor, accept};
use shared::sync::handshake::{Judgement, Known, judge};

#[derive(Default)]
pub(crate) struct Cloud {
    epochs: BTreeMap<Epoch, BTreeMap<(usize, u64), Record>>,
    facts: BTreeMap<String, (Lane, Record)>,
}

impl Cloud {
    /// Takes in all that a gateway has, as sync would: it says hello, is told to begin an epoch if it must, and drains.
    pub(crate) async fn drain(&mut self, store: &Store) {
        self.try_drain(store).await.unwrap();
    }

    /// The same; fails where the store finds a record damaged.
    pub(crate) async fn try_drain(&mut self, store: &Store) -> anyhow::Result<()> {
        let position = store.position();
        loop {
            let at = position.borrow().clone();
            let known = self.epochs.get(&at.epoch).map(|records| {
                let head =
                    |lane: Lane| records.range((lane.index(), 0)..=(lane.index(), u64::MAX)).next_back();
                let mark = |lane| head(lane).map_or(0, |((_, seq), _)| *seq);
                Known { watermarks: Lane::ALL.map(mark), ..Known::default() }
            });
            match judge(&at.heads, &at.acked, known.as_ref()) {
                Judgement::Replace(_) => store.new_epoch().await.unwrap(),
                Judgement::Register | Judgement::Continue | Judgement::OldNews => break,
            }
        }
        for lane in Lane::ALL {
            self.drain_lane(store, lane).await?;
        }
        Ok(())
    }

    async fn drain_lane(&mut self, store: &Store, lane: Lane) -> anyhow::Result<()> {
        let at = store.position().borrow().clone();
        let (records, mut after) = (self.epochs.entry(at.epoch).or_default(), at.acked[lane.index()]);
        loop {
            store.reserve(lane, after + 100).await.unwrap();
            let batch = store.records(lane, after, 100).await?;
            let Some((first, _)) = batch.first().cloned() else { break };
            let mark = records.range((lane.index(), 0)..=(lane.index(), u64::MAX)).next_back();
            let mark = mark.map_or(0, |((_, seq), _)| *seq);
            assert_ne!(accept(mark, first, batch.len()), Cursor::Gap, "a lane has no gaps");
            for (seq, record) in batch {
                let known = records.entry((lane.index(), seq)).or_insert_with(|| record.clone());
                assert_eq!(*known, record, "a number means one record for ever");
                self.facts.entry(record.header.key.clone()).or_insert((lane, record));
                after = seq;
            }
        }
        Ok(store.acked(lane, after).await?)
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        // What cannot be read is parked; in the billing lane there is no such thing.
        let readable = |(lane, record): &(Lane, Record)| match record.event(*lane) {
            Err(error) if *lane == Lane::Billing => panic!("{error}"),
            other => other.ok(),
        };
        self.facts.values().filter_map(readable).collect()
    }

    /// What each session that ended is billed, in Wh.
    pub(crate) fn bills(&self) -> Vec<i64> {
        let stopped = |event| if let Event::SessionStopped(it) = event { Some(it.energy.0) } else { None };
        let mut bills: Vec<i64> = self.events().into_iter().filter_map(stopped).collect();
        bills.sort_unstable();
        bills
    }

    /// How many sessions began.
    pub(crate) fn begun(&self) -> usize {
        self.events().iter().filter(|event| matches!(event, Event::SessionStarted(_))).count()
    }
}
