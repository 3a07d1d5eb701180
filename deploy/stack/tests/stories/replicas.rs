//! Replicas remember nothing of their own: what one takes in, the subscribers of another see at once.

use serde_json::{Value, json};
use stack::house::{BrokerKind, whole};

use crate::story::{Charging, SOON, Story};

const SITE: &str = "subscription($input: InputFilterSiteDto!) {
    siteUpdated(input: $input) { site_name connector_type available total } }";

#[tokio::test]
async fn a_subscriber_of_replica_b_sees_what_replica_a_took_in() {
    let story = Story::begin("replicas").await;
    sees_it(&story).await;
}

#[tokio::test]
async fn and_so_with_an_external_broker() {
    let story = Story::with_broker("replicas-mosquitto", BrokerKind::Mosquitto).await;
    sees_it(&story).await;
}

async fn sees_it(story: &Story) {
    let replica = story.replica("replica-b").await.unwrap();
    let input = json!({ "input": { "siteId": story.site.id, "connectorTypesSelected": ["Type 2"] } });
    let mut live = replica.graphql().subscribe(SITE, input).await.unwrap();
    let mut station = story.station("S1").await;
    let available =
        |wanted| move |event: &Value| whole(&event["siteUpdated"][0]["available"]) == Some(wanted);
    live.first(SOON, available(1)).await.unwrap();
    let transaction = station.start(&story.site.id_tag, 0).await;
    live.first(SOON, available(0)).await.unwrap();
    station.stop(transaction, 100).await;
    live.first(SOON, available(1)).await.unwrap();
}

#[tokio::test]
async fn one_replica_dies_and_the_other_takes_over() {
    let mut story = Story::with_broker("takeover", BrokerKind::Mosquitto).await;
    let replica = story.replica("replica-b").await.unwrap();
    let mut station = story.station("S1").await;
    let transaction = station.start(&story.site.id_tag, 0).await;
    story.cloud.service().kill9().unwrap();
    station.stop(transaction, 800).await;
    assert_eq!(story.bills(1).await[0].energy_wh, 800);
    drop(replica);
}

const MARKERS: &str = "subscription($input: InputFilterMarkersDto!, $after: String) {
    markerUpdated(input: $input, delta: true, after: $after) { siteid name available total cursor } }";

#[tokio::test]
async fn a_watcher_whose_replica_dies_goes_on_at_another_and_misses_nothing() {
    let mut story = Story::with_broker("resume", BrokerKind::Mosquitto).await;
    let other = story.replica("replica-b").await.unwrap();
    let mut station = story.station("S1").await;
    let variables =
        |after: Option<String>| json!({ "input": { "connectorTypesSelected": ["Type 2"] }, "after": after });
    let mut live = story.cloud.graphql().subscribe(MARKERS, variables(None)).await.unwrap();
    let marker =
        |event: &Value| event["markerUpdated"].as_array().and_then(|all| all.last().cloned()).unwrap();
    let available = |wanted| move |event: &Value| whole(&marker(event)["available"]) == Some(wanted);
    live.first(SOON, available(1)).await.unwrap();

    // Changed at the one replica, heard at the other.
    let operator = other.graphql().with_token(story.operator.token().unwrap());
    let save =
        "mutation($data: JSON!) { createOrUpdateSiteWithChargePoints(input: { data: $data }) { siteId } }";
    operator.ask(save, json!({ "data": { "id": story.site.id, "name": "Renamed" } })).await.unwrap();
    let heard = live.first(SOON, |event| marker(event)["name"] == "Renamed").await.unwrap();
    let cursor = marker(&heard)["cursor"].as_str().unwrap().to_owned();

    story.cloud.service().kill9().unwrap();
    let transaction = station.start(&story.site.id_tag, 0).await;
    story.settled().await;
    let mut resumed = other.graphql().subscribe(MARKERS, variables(Some(cursor))).await.unwrap();
    resumed.first(SOON, available(0)).await.unwrap();
    station.stop(transaction, 100).await;
    resumed.first(SOON, available(1)).await.unwrap();
}
