//! Killed at the worst moment: committed, but nobody told yet. What was not answered is sent again, and changes nothing.

use stack::puppet::Puppet;

use crate::story::{Charging, SOON, Story, cost, now, start, stop};

#[tokio::test]
async fn the_edge_dies_between_commit_and_reply() {
    let mut story = Story::begin("edge-crash").await;
    let mut station = story.station("S1").await;
    story.settled().await;

    let begin = start(&story.site.id_tag, 0, now());
    let mut station = crash_and_return(&mut story, &mut station, "StartTransaction", &begin).await;
    let answer = station.call("StartTransaction", begin).await.unwrap();
    let transaction = answer["transactionId"].as_i64().unwrap();
    station.meter(transaction, 3_000, 11_000).await;

    story.settled().await;
    let end = stop(transaction, 6_400, now());
    let mut station = crash_and_return(&mut story, &mut station, "StopTransaction", &end).await;
    station.call("StopTransaction", end).await.unwrap();

    story.bills(1).await;
    story.settled().await;
    let bills = story.bills(1).await;
    assert_eq!(bills.len(), 1, "{bills:?}");
    assert_eq!((bills[0].energy_wh, bills[0].total_micros), (6_400, cost(6_400)));
    assert_eq!(story.count("select count(*) from sessions").await, 1);
    story.assert_lanes_whole().await;
}

/// The agent dies on this call, is started again, and the station is back.
async fn crash_and_return(
    story: &mut Story,
    station: &mut Puppet,
    action: &str,
    payload: &serde_json::Value,
) -> Puppet {
    story.edge.service().arm("edge.after_commit").unwrap();
    station.call(action, payload.clone()).await.expect_err("the agent dies before it answers");
    let status = story.edge.service().process().unwrap().ended(SOON).await.unwrap();
    assert!(!status.success(), "it did not end by itself: {status}");
    story.edge.start().await.unwrap();
    story.station("S1").await
}

#[tokio::test]
async fn the_cloud_dies_between_commit_and_ack() {
    let mut story = Story::begin("cloud-crash").await;
    story.edge.service().set("EDGE_SYNC__ACK_TIMEOUT_SECONDS", 1);
    story.edge.service().stop().await.unwrap();
    story.edge.start().await.unwrap();
    let mut station = story.station("S1").await;
    story.settled().await;

    story.cloud.service().arm("cloud.after_commit").unwrap();
    let transaction = station.start(&story.site.id_tag, 10).await;
    story.cloud.service().process().unwrap().ended(SOON).await.unwrap();
    station.meter(transaction, 700, 4_000).await;
    story.cloud.restart().await.unwrap();
    story.settled().await;

    story.cloud.service().arm("cloud.after_commit").unwrap();
    station.stop(transaction, 1_010).await;
    story.cloud.service().process().unwrap().ended(SOON).await.unwrap();
    story.cloud.restart().await.unwrap();

    story.bills(1).await;
    story.settled().await;
    let bills = story.bills(1).await;
    assert_eq!(bills.len(), 1, "{bills:?}");
    assert_eq!((bills[0].energy_wh, bills[0].total_micros), (1_000, cost(1_000)));
    story.assert_lanes_whole().await;
}
