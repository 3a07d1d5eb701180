//! What is sent ahead of a backlog can be billed by itself.

use shared::model::event::SecurityNoticed;
use shared::model::{Event, Lane};
use shared::sync::Record;

use crate::gateway::{Gateway, NOW};

fn numbers(records: &[(u64, Record)]) -> Vec<u64> {
    records.iter().map(|(seq, _)| *seq).collect()
}

#[tokio::test]
async fn a_stop_goes_with_its_start_and_nothing_goes_that_is_not_of_a_session() {
    let mut gateway = Gateway::new();
    let long = gateway.start(1, 1_000).await;
    for _ in 0..5 {
        gateway.session(500).await;
    }
    let backlog = gateway.store.position().borrow().heads[Lane::Billing.index()];
    assert_eq!(backlog, 11);
    let (what, detail) = ("tamper".into(), String::new());
    let noticed = SecurityNoticed { station: None, what, detail, at: NOW };
    gateway.status(Event::SecurityNoticed(noticed)).await;
    let short = gateway.start(2, 7_000).await;
    gateway.stop_session(&short, 7_500).await;
    gateway.stop_session(&long, 9_000).await;

    let live = gateway.store.live_sessions(0, backlog, 256).await.unwrap();
    assert_eq!(numbers(&live), [1, 13, 14, 15], "the long session's start, too");
    let as_stored = gateway.store.records(Lane::Billing, 0, 256).await.unwrap();
    assert!(live.iter().all(|one| as_stored.contains(one)));
    let live = gateway.store.live_sessions(1, backlog, 256).await.unwrap();
    assert_eq!(numbers(&live), [13, 14, 15], "what is acknowledged is there");
}
