//! Brokers that we did not write instead of the embedded one, with the files that we write for them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod gateway;

use std::time::Duration;

use gateway::{House, record, started};
use rumqttc::QoS;
use shared::id::SessionId;
use shared::model::Lane;
use shared::sync::{Topic, UpTopic, Verdict};
use uuid::Uuid;

#[tokio::test(flavor = "multi_thread")]
async fn mosquitto_needs_no_more_than_our_files() {
    keeps_gateways_apart(House::with_mosquitto().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nats_needs_no_more_than_our_file() {
    keeps_gateways_apart(House::with_nats().await).await;
}

async fn keeps_gateways_apart(house: House) {
    let (mine, other) = (house.enroll().await, house.enroll().await);
    house.tell_broker().await;

    let mut gateway = mine.connect().await;
    assert_eq!(gateway.hello([0; 3], [0; 3]).await.verdict, Verdict::Continue);
    assert_eq!(
        gateway.batch(Lane::Billing, 1, vec![record(&started(SessionId(Uuid::now_v7())), 1)]).await,
        1
    );

    // What the broker's rules forbid is dropped, by some silently: nothing of the other's reaches the cloud or us.
    gateway.client.subscribe(Topic::down_filter(other.shard, other.id), QoS::AtLeastOnce).await.unwrap();
    let mut stranger = other.connect().await;
    let foreign = mine.topic(UpTopic::Batch).to_string();
    stranger.client.publish(foreign, QoS::AtLeastOnce, false, "x").await.unwrap();
    assert_eq!(stranger.hello([0; 3], [0; 3]).await.verdict, Verdict::Continue);
    // A frame of the other's would not open with our key, and that would fail the test.
    let quiet = gateway.hear(|_| None::<()>);
    tokio::time::timeout(Duration::from_secs(1), quiet).await.expect_err("nothing is overheard");
    assert_eq!(house.count("select count(*) from sessions").await, 1);
}
