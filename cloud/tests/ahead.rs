//! Live sessions that come ahead of a backlog, before, after and between their turns in the lane: billed at once, and once.

#![expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]

mod gateway;

use gateway::{House, priced, record, started, stopped};
use shared::id::{Epoch, SessionId};
use shared::model::Lane;
use shared::sync::{Record, Verdict};
use uuid::Uuid;

const BILLS: &str = "select count(*) from bills";
const RECORDS: &str = "select count(*) from records";
const PARKED: &str = "select count(*) from quarantine";

/// All that a session says in the billing lane.
fn session(energy: i64) -> Vec<Record> {
    let session = SessionId(Uuid::now_v7());
    let facts = [started(session), stopped(session, energy), priced(session, energy)];
    facts.iter().map(|fact| record(fact, 1)).collect()
}

/// Sessions one after the other, as a lane has them.
fn lane(sessions: i64) -> Vec<Record> {
    (1..=sessions).flat_map(|number| session(number * 1_000)).collect()
}

/// Some of a lane with their numbers.
fn numbered(lane: &[Record], numbers: impl IntoIterator<Item = u64>) -> Vec<(u64, Record)> {
    let of = |seq: u64| (seq, lane[usize::try_from(seq - 1).unwrap()].clone());
    numbers.into_iter().map(of).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_session_is_billed_before_its_turn_which_then_changes_nothing() {
    let house = House::new().await;
    let mut gateway = house.enroll().await.connect().await;
    gateway.hello([9, 0, 0], [0; 3]).await;
    let lane = lane(3);
    for _ in 0..2 {
        gateway.ahead(numbered(&lane, 7..=9)).await;
    }
    assert_eq!(house.count(BILLS).await, 1);
    assert_eq!(house.count("select watermark from cursors where lane = 0").await, 0);
    assert_eq!(gateway.batch(Lane::Billing, 1, lane[..5].to_vec()).await, 5);
    gateway.ahead(numbered(&lane, [4, 5, 6])).await;
    assert_eq!(house.count(BILLS).await, 3, "what came in its turn is no hindrance");
    assert_eq!(gateway.batch(Lane::Billing, 6, lane[5..].to_vec()).await, 9);
    gateway.ahead(numbered(&lane, 7..=9)).await;
    // And under another epoch, with other numbers.
    gateway.epoch = Epoch(Uuid::new_v4());
    gateway.hello([6, 0, 0], [0; 3]).await;
    gateway.ahead(numbered(&lane[3..], 4..=6)).await;
    assert_eq!(gateway.batch(Lane::Billing, 1, lane[3..].to_vec()).await, 6);

    assert_eq!(house.count(BILLS).await, 3);
    assert_eq!(house.count("select sum(total_micros)::bigint from bills").await, 1_500_000);
    assert_eq!((house.count(RECORDS).await, house.count(PARKED).await), (9, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_odd_is_left_to_its_turn() {
    let house = House::new().await;
    let mut gateway = house.enroll().await.connect().await;
    gateway.hello([6, 0, 0], [0; 3]).await;
    let lane = lane(2);
    let mut unknown = numbered(&lane, 1..=3);
    unknown[2].1.header.kind = 999;
    gateway.ahead(numbered(&lane, [5, 6])).await;
    gateway.ahead(unknown).await;
    gateway.ahead(numbered(&lane, [2, 1])).await;
    gateway.ahead(Vec::new()).await;
    let counts = (house.count(RECORDS).await, house.count(PARKED).await);
    assert_eq!(counts, (0, 0), "a stop without its start, an unknown kind, falling numbers, nothing at all");
    assert_eq!(gateway.batch(Lane::Billing, 1, lane).await, 6);
    assert_eq!((house.count(BILLS).await, house.count(PARKED).await), (2, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_fact_under_a_number_that_came_ahead_is_a_clone() {
    let house = House::new().await;
    let mut gateway = house.enroll().await.connect().await;
    for ahead_first in [true, false] {
        let (ours, mut theirs) = (lane(2), lane(1));
        theirs.splice(0..0, ours[..3].to_vec());
        gateway.epoch = Epoch(Uuid::new_v4());
        gateway.hello([6, 0, 0], [0; 3]).await;
        if ahead_first {
            gateway.ahead(numbered(&ours, 4..=6)).await;
            gateway.send(Lane::Billing, 1, theirs.clone()).await;
        } else {
            assert_eq!(gateway.batch(Lane::Billing, 1, ours.clone()).await, 6);
            gateway.publish_ahead(numbered(&theirs, 4..=6)).await;
        }
        assert!(matches!(gateway.welcome().await.verdict, Verdict::NewEpoch(_)));
        // Both start over, and nothing is lost or counts twice.
        for lane in [ours, theirs] {
            gateway.epoch = Epoch(Uuid::new_v4());
            gateway.hello([6, 0, 0], [0; 3]).await;
            assert_eq!(gateway.batch(Lane::Billing, 1, lane).await, 6);
        }
    }
    assert_eq!((house.count(BILLS).await, house.count(PARKED).await), (6, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_the_order_every_session_is_billed_once() {
    let house = House::new().await;
    let identity = house.enroll().await;
    let mut gateway = identity.connect().await;
    let (mut dice, rounds, sessions) = (7_u64, 5, 8);
    let mut below = |limit: u64| {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (dice >> 33) % limit
    };
    for _ in 0..rounds {
        let lane = lane(i64::try_from(sessions).unwrap());
        gateway.epoch = Epoch(Uuid::new_v4());
        gateway.hello([sessions * 3, 0, 0], [0; 3]).await;
        let mut watermark = 0;
        while watermark < sessions * 3 {
            if below(3) == 0 {
                // Its own start, or not, and perhaps of the one after, too.
                let first = 1 + below(sessions * 3);
                let last = (first + below(5)).min(sessions * 3);
                gateway.ahead(numbered(&lane, first..=last)).await;
            } else {
                let first = (watermark + below(3)).saturating_sub(2).max(1);
                let count = 1 + usize::try_from(below(4)).unwrap();
                let from = usize::try_from(first - 1).unwrap();
                let records = lane[from..].iter().take(count).cloned().collect();
                watermark = gateway.batch(Lane::Billing, first, records).await;
            }
        }
    }
    let all = i64::try_from(rounds * sessions).unwrap();
    assert_eq!((house.count(BILLS).await, house.count(RECORDS).await), (all, all * 3));
    assert_eq!(house.count(PARKED).await, 0);
    assert_eq!(house.count("select count(*) from gateway_epochs where frozen_reason is not null").await, 0);
    assert_eq!(house.count("select count(*) from alarms where kind <> 'gateway_memory_lost'").await, 0);
}
