//! The gateway's memory, on a real file: what was committed is there after a restart, numbered without gaps.

#![expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]

use edge_agent::core::{Held, Keeper, Recall, Write};
use edge_agent::store::{Opened, Stamp, Store};
use shared::id::{BootId, EvseNo, ReservationId, StationId, StationTxRef};
use shared::model::event::{AuthorisationDecided, Event, PresenceChanged};
use shared::model::token::{AuthStatus, AuthorisedBy, IdToken};
use shared::model::{Lane, Reservation};
use shared::sync::ClockQuality;
use shared::units::Timestamp;
use tempfile::TempDir;
use uuid::Uuid;

const NOW: Timestamp = Timestamp(1_763_812_800_000);

fn stamp(at: Timestamp) -> Stamp {
    Stamp { at, clock: ClockQuality::Synced, boot: BootId(Uuid::from_u128(1)), mono_ms: 5 }
}

fn decision(token: &str) -> Write {
    Write::Event(Event::AuthorisationDecided(AuthorisationDecided {
        station: StationId::new("CP1").unwrap(),
        token: IdToken::new(token),
        status: AuthStatus::Accepted,
        decided_by: AuthorisedBy::SiteList,
        at: NOW,
    }))
}

fn presence() -> Write {
    let station = StationId::new("CP1").unwrap();
    Write::Event(Event::PresenceChanged(PresenceChanged { station, connected: true, at: NOW }))
}

fn open(folder: &TempDir) -> Opened {
    Store::open(folder.path()).unwrap()
}

async fn numbers(store: &Store, lane: Lane) -> Vec<u64> {
    store.records(lane, 0, 1000).await.unwrap().into_iter().map(|(seq, _)| seq).collect()
}

#[tokio::test]
async fn facts_are_numbered_by_lane_without_gaps_and_survive() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder).store;
    let epoch = store.position().borrow().epoch;
    for token in ["a", "b"] {
        store.commit(stamp(NOW), vec![decision(token), presence()], vec![]).await.unwrap();
    }
    drop(store);
    let Opened { store, last_committed, .. } = open(&folder);
    assert_eq!(store.position().borrow().epoch, epoch);
    assert_eq!(store.position().borrow().heads, [2, 0, 2]);
    assert_eq!(numbers(&store, Lane::Billing).await, [1, 2]);
    assert_eq!(numbers(&store, Lane::Status).await, [1, 2]);
    assert_eq!(last_committed, Some(NOW));
}

#[tokio::test]
async fn acknowledged_billing_records_stay_and_others_go() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder).store;
    store
        .commit(stamp(NOW), vec![decision("a"), decision("b"), presence(), presence()], vec![])
        .await
        .unwrap();
    for lane in [Lane::Billing, Lane::Status] {
        store.acked(lane, 1).await.unwrap();
        store.acked(lane, 99).await.unwrap();
        store.acked(lane, 1).await.unwrap();
    }
    store.retain(NOW).await.unwrap();
    assert_eq!(store.position().borrow().acked, [2, 0, 2], "never beyond the head, never back");
    assert_eq!(numbers(&store, Lane::Billing).await, [1, 2]);
    assert_eq!(numbers(&store, Lane::Status).await, Vec::<u64>::new());
    store.retain(NOW.plus_millis(1)).await.unwrap();
    assert_eq!(numbers(&store, Lane::Billing).await, Vec::<u64>::new());
    store.commit(stamp(NOW), vec![decision("c")], vec![]).await.unwrap();
    assert_eq!(numbers(&store, Lane::Billing).await, [3], "numbers go on");
}

#[tokio::test]
async fn a_new_epoch_numbers_everything_held_anew() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder).store;
    let before = store.position().borrow().clone();
    let writes = vec![decision("a"), decision("b"), presence(), presence(), presence()];
    store.commit(stamp(NOW), writes, vec![]).await.unwrap();
    store.acked(Lane::Billing, 2).await.unwrap();
    store.acked(Lane::Status, 2).await.unwrap();
    store.new_epoch().await.unwrap();
    let after = store.position().borrow().clone();
    assert_ne!(after.epoch, before.epoch);
    assert_eq!(after.parent, Some((before.epoch, [2, 0, 3])));
    assert_eq!((after.heads, after.acked), ([2, 0, 1], [0, 0, 0]));
    assert_eq!(numbers(&store, Lane::Billing).await, [1, 2], "kept billing records are sent again");
    assert_eq!(numbers(&store, Lane::Status).await, [1]);
    drop(store);
    assert_eq!(*open(&folder).store.position().borrow(), after);
}

#[tokio::test]
async fn a_file_that_is_not_ours_is_put_aside_and_kept() {
    let folder = TempDir::new().unwrap();
    let text = b"not a database, but somebody's data, long enough to be looked at";
    std::fs::write(folder.path().join("edge.sqlite3"), text).unwrap();
    let opened = open(&folder);
    assert_eq!(opened.damages[0].what, "database_restored");
    assert_eq!(std::fs::read(folder.path().join("quarantine/0001-edge.sqlite3")).unwrap(), text);
}

#[tokio::test]
async fn nothing_is_recalled_that_was_never_there() {
    let folder = TempDir::new().unwrap();
    let wanted = Recall::TxRef(StationId::new("CP1").unwrap(), StationTxRef("1".into()));
    assert!(open(&folder).store.recall(wanted).await.unwrap().is_none());
}

#[tokio::test]
async fn a_reservation_is_there_until_it_is_gone() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder).store;
    let reservation = |until| Reservation {
        id: ReservationId(7),
        evse: EvseNo(1),
        token: IdToken::new("T"),
        group: None,
        until,
    };
    let held = |until| {
        let (station, reservation) = (StationId::new("CP1").unwrap(), reservation(until));
        Held { station, reservation, since: NOW, keeper: Keeper::Station }
    };
    for until in [NOW, NOW.plus_millis(60_000)] {
        store.commit(stamp(NOW), vec![Write::Reservation(Box::new(held(until)))], vec![]).await.unwrap();
    }
    drop(store);
    let Opened { store, restored, .. } = open(&folder);
    assert_eq!(restored.reservations, [held(NOW.plus_millis(60_000))]);
    store.commit(stamp(NOW), vec![Write::ReservationGone(ReservationId(7))], vec![]).await.unwrap();
    drop(store);
    assert!(open(&folder).restored.reservations.is_empty());
}
