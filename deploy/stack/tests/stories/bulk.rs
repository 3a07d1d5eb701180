//! One order to many stations: some are there, some are not, one says no; and an order that waits, and one that is answered
//! late.

use firmware_sim::{Station, StationConfig};
use serde_json::{Value, json};
use stack::puppet::Puppet;

use crate::story::{SOON, Story};

const ORDER: &str = "mutation($site: ID!) { it: bulkOrder(input: { siteId: $site, atOnce: 4,
    operation: { changeConfiguration: { key: \"HeartbeatInterval\", value: \"120\" } } }) { id total state } }";
const WATCH: &str = "subscription($id: ID!) { it: bulkOrderChanged(id: $id) {
    state total waiting underWay outcomes { outcome count } } }";
const ROWS: &str = "query($id: ID!) { it: bulkOrder(id: $id) { state finishedAt
    stations { station outcome detail commandId } refused: stations(outcome: \"Rejected\") { station } } }";
const RESET: &str = "mutation($at: ID!) { it: resetStation(chargePointId: $at,
    terms: { waitForStation: true, expiresIn: 60, answerWithin: 1 }) { id outcome } }";
const COMMAND: &str = "query($id: ID!) { it: command(id: $id) { outcome } }";

/// Simulated stations S01 to S16 that are here, with the story's password.
async fn simulated(story: &Story, names: &[String]) -> Vec<Station> {
    let mut here = Vec::new();
    for name in names {
        let config = StationConfig::new(story.edge.ocpp_url(), name).with_password(&story.site.password);
        here.push(Station::connect(StationConfig { clock_offset: 0, ..config }));
    }
    for station in &here {
        station.booted(SOON).await.unwrap();
    }
    here
}

/// Says no to every setting, yes to everything else.
async fn contrary(mut station: Puppet) {
    while let Ok(call) = station.asked().await {
        let status = if call.action == "ChangeConfiguration" { "Rejected" } else { "Accepted" };
        let answer = if call.action == "GetConfiguration" { json!({}) } else { json!({ "status": status }) };
        if station.reply(&call, answer).await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn twenty_stations_get_one_order_four_at_a_time_and_each_has_its_end() {
    let names: Vec<String> = (1..=20).map(|number| format!("S{number:02}")).collect();
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    let story = Story::with_stations("bulk", &all).await;
    let here = simulated(&story, &names[..16]).await;
    let refuses = Puppet::boot(&story.edge.ocpp_url(), "S17", &story.site.password).await.unwrap();
    let refuses = tokio::spawn(contrary(refuses.attentive()));

    let order = story.operator.ask(ORDER, json!({ "site": story.site.id.to_string() })).await.unwrap();
    assert_eq!(order["it"]["total"], 20);
    let id = order["it"]["id"].clone();
    let mut watching = story.operator.subscribe(WATCH, json!({ "id": id })).await.unwrap();
    let mut waiting = 20;
    let last = loop {
        let told = watching.next(SOON).await.unwrap()["it"].take();
        let left = told["waiting"].as_i64().unwrap();
        assert!(left <= waiting, "it only goes on: {told}");
        assert!(told["underWay"].as_i64().unwrap() <= 4, "no more at once than was asked for: {told}");
        waiting = left;
        if told["state"] == "finished" {
            break told;
        }
    };
    let count = |outcome: &str| {
        let all = last["outcomes"].as_array().unwrap();
        all.iter().find(|it| it["outcome"] == outcome).map_or(0, |it| it["count"].as_i64().unwrap())
    };
    assert_eq!((count("Accepted"), count("Rejected"), count("StationOffline")), (16, 1, 3), "{last}");

    let rows = story.operator.ask(ROWS, json!({ "id": id })).await.unwrap()["it"].take();
    assert_eq!(rows["refused"], json!([{ "station": "S17" }]));
    let ended = |row: &Value| row["outcome"].is_string() && row["commandId"].is_string();
    assert!(rows["stations"].as_array().unwrap().iter().all(ended), "{rows}");
    story.settled().await;
    let set = "select count(*) from station_settings where folded = 'heartbeatinterval' and value = '120'";
    assert_eq!(story.count(set).await, 16);
    drop(here);
    let audited = "select count(*) from audit where action = 'bulkOrder' and (after ->> 'atOnce') = '4'";
    assert_eq!(story.count(audited).await, 1);
    refuses.abort();
}

#[tokio::test]
async fn an_order_waits_for_its_station_and_tells_its_end_to_whoever_asks_later() {
    let story = Story::begin("waiting-order").await;
    let number = "select id from charge_points where charge_point_hardware_id = 'S1'";
    let at = story.count(number).await.to_string();
    let order = story.operator.ask(RESET, json!({ "at": at })).await.unwrap()["it"].take();
    assert_eq!(order["outcome"], Value::Null, "it has not ended, and the answer does not wait for it");

    let mut station = story.station("S1").await;
    let call = loop {
        let call = station.asked().await.unwrap();
        if call.action == "Reset" {
            break call;
        }
        station.reply(&call, json!({})).await.unwrap();
    };
    station.reply(&call, json!({ "status": "Accepted" })).await.unwrap();
    stack::wait::until("the end of the order", SOON, || async {
        let told = story.operator.ask(COMMAND, json!({ "id": order["id"] })).await.ok()?;
        (told["it"]["outcome"] == "Accepted").then_some(())
    })
    .await
    .unwrap();
}
