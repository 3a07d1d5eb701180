//! Chargers repeat themselves after a lost answer: with the same message id or a new one, at once or after a restart of
//! the agent. One session and one bill come of it, and every repeat gets the same answer.

use crate::story::{Charging, Story, cost, now, start, stop};

#[tokio::test]
async fn repeated_starts_and_stops_make_one_session_and_one_bill() {
    let mut story = Story::begin("repeats").await;
    let mut station = story.station("S1").await;
    let begin = start(&story.site.id_tag, 1_000, now());

    let first = station.call_with_id("a", "StartTransaction", begin.clone()).await.unwrap();
    let same_id = station.call_with_id("a", "StartTransaction", begin.clone()).await.unwrap();
    let new_id = station.call_with_id("b", "StartTransaction", begin.clone()).await.unwrap();
    assert_eq!((&same_id, &new_id), (&first, &first));

    story.edge.service().kill9().unwrap();
    story.edge.start().await.unwrap();
    let mut station = story.station("S1").await;
    let after_restart = station.call_with_id("c", "StartTransaction", begin).await.unwrap();
    assert_eq!(after_restart, first);

    let transaction = first["transactionId"].as_i64().unwrap();
    station.meter(transaction, 2_000, 7_000).await;
    let end = stop(transaction, 4_600, now());
    let first = station.call_with_id("d", "StopTransaction", end.clone()).await.unwrap();
    for id in ["d", "e"] {
        assert_eq!(station.call_with_id(id, "StopTransaction", end.clone()).await.unwrap(), first);
    }
    story.edge.service().kill9().unwrap();
    story.edge.start().await.unwrap();
    let mut station = story.station("S1").await;
    assert_eq!(station.call_with_id("f", "StopTransaction", end).await.unwrap(), first);

    story.bills(1).await;
    story.settled().await;
    let bills = story.bills(1).await;
    assert_eq!(bills.len(), 1, "{bills:?}");
    assert_eq!((bills[0].energy_wh, bills[0].total_micros), (3_600, cost(3_600)));
    assert_eq!(story.count("select count(*) from sessions").await, 1);
    story.assert_lanes_whole().await;
}
