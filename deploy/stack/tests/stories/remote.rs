//! Remote starts: the app learns what the charger said, also when it says no, nothing, or cannot be reached.

use std::time::Duration;

use serde_json::{Value, json};
use stack::graphql::Client;
use stack::wait;

use crate::story::{Charging, SOON, Story, cost};

const START: &str =
    "mutation($input: TransactionByUserInputDTO!) { startTransactionByUser(input: $input) { status } }";
const STOP: &str =
    "mutation($input: TransactionByUserInputDTO!) { stopTransactionByUser(input: $input) { status } }";

#[tokio::test]
async fn accepted_charged_and_stopped_from_afar() {
    let story = Story::begin("remote").await;
    let mut station = story.station("S1").await;
    let connector = connector(&story, "S1").await;

    let starting = ask(&story.driver, START, connector);
    let call = station.asked().await.unwrap();
    assert_eq!(call.action, "RemoteStartTransaction");
    let id_tag = call.payload["idTag"].as_str().unwrap().to_owned();
    station.reply(&call, json!({ "status": "Accepted" })).await.unwrap();
    assert_eq!(starting.await.unwrap(), "Accepted");

    let transaction = station.start(&id_tag, 100).await;
    station.meter(transaction, 900, 7_000).await;
    until_there_is(&story, "select count(*) from sessions where caused_by is not null").await;

    let stopping = ask(&story.driver, STOP, connector);
    let call = station.asked().await.unwrap();
    assert_eq!(
        (call.action.as_str(), &call.payload["transactionId"]),
        ("RemoteStopTransaction", &json!(transaction))
    );
    station.reply(&call, json!({ "status": "Accepted" })).await.unwrap();
    assert_eq!(stopping.await.unwrap(), "Accepted");
    station.stop(transaction, 2_100).await;

    let bills = story.bills(1).await;
    assert_eq!((bills[0].energy_wh, bills[0].total_micros), (2_000, cost(2_000)));
}

#[tokio::test]
async fn rejected_by_the_station() {
    let story = Story::begin("rejected").await;
    let mut station = story.station("S1").await;
    let starting = ask(&story.driver, START, connector(&story, "S1").await);
    let call = station.asked().await.unwrap();
    station.reply(&call, json!({ "status": "Rejected" })).await.unwrap();
    assert_eq!(starting.await.unwrap(), "Rejected");
}

#[tokio::test]
async fn a_silent_station_ends_in_a_clear_state() {
    let mut story = Story::begin("silent").await;
    story.edge.service().set("EDGE_OCPP__ANSWER_SECONDS", 1);
    story.edge.service().stop().await.unwrap();
    story.edge.start().await.unwrap();
    let mut station = story.station("S1").await;
    let starting = ask(&story.driver, START, connector(&story, "S1").await);
    station.asked().await.unwrap();
    let status = starting.await.unwrap();
    assert!(status != "Accepted" && status != "Rejected", "{status}");
    let timed_out = "select count(*) from commands where state = 'finished' and outcome = 'TimedOut'";
    until_there_is(&story, timed_out).await;
}

#[tokio::test]
async fn an_unreachable_gateway_lets_the_command_expire() {
    let story = Story::begin("expired").await;
    let mut station = story.station("S1").await;
    let connector = connector(&story, "S1").await;
    story.proxy.cut();
    let status = ask(&story.driver, START, connector).await.unwrap();
    assert!(status != "Accepted", "{status}");
    // Whatever the caller was told, the command itself ends, and is never carried out afterwards.
    sqlx::query("update commands set expires_at = now(), due_at = now()").execute(&story.db).await.unwrap();
    until_there_is(&story, "select count(*) from commands where outcome = 'Expired'").await;
    story.proxy.heal();
    story.settled().await;
    // The gateway may well ask it for its statuses.
    while let Ok(asked) = tokio::time::timeout(Duration::from_millis(300), station.asked()).await {
        let asked = asked.unwrap();
        assert_ne!(asked.action, "RemoteStartTransaction", "an expired command was carried out");
    }
}

#[tokio::test]
async fn an_end_that_comes_after_the_order_was_closed_counts_and_is_marked() {
    let story = Story::begin("late").await;
    let mut station = story.station("S1").await;
    let reset = "mutation($station: ID!) { it: resetStation(chargePointId: $station, hard: false,
                     terms: { expiresIn: 2, answerWithin: 0 }) { id } }";
    let number = "select id::text from charge_points where charge_point_hardware_id = 'S1'";
    let number: String = sqlx::query_scalar(number).fetch_one(&story.db).await.unwrap();
    let ordered = story.operator.ask(reset, json!({ "station": number })).await.unwrap();
    let call = loop {
        let call = station.asked().await.unwrap();
        if call.action == "Reset" {
            break call;
        }
    };
    // The station is asked, and says yes while the internet is gone; the cloud gives up waiting.
    story.proxy.cut();
    station.reply(&call, json!({ "status": "Accepted" })).await.unwrap();
    let told = async || {
        let command = "query($id: ID!) { it: command(id: $id) { state outcome late } }";
        let id = &ordered["it"]["id"];
        story.operator.ask(command, json!({ "id": id })).await.unwrap()["it"].take()
    };
    let until = async |wanted: Value| {
        let waited =
            wait::until("the order's end", SOON, async || (told().await == wanted).then_some(())).await;
        assert!(waited.is_ok(), "{} instead of {wanted}", told().await);
    };
    until(json!({ "state": "finished", "outcome": "Expired", "late": false })).await;
    story.proxy.heal();
    until(json!({ "state": "finished", "outcome": "Accepted", "late": true })).await;
}

/// Asks in the background, as an app would; yields the status.
fn ask(client: &Client, operation: &'static str, connector: i64) -> tokio::task::JoinHandle<String> {
    let client = client.clone();
    tokio::spawn(async move {
        let answer = client.ask(operation, json!({ "input": { "id": connector } })).await.unwrap();
        let status =
            answer.as_object().and_then(|fields| fields.values().next()).map(|field| &field["status"]);
        status.and_then(Value::as_str).unwrap().to_owned()
    })
}

/// The number by which apps know a station's connector.
async fn connector(story: &Story, station: &str) -> i64 {
    let query = "select id from connectors where charge_point_hardware_id = $1";
    sqlx::query_scalar(query).bind(station).fetch_one(&story.db).await.unwrap()
}

async fn until_there_is(story: &Story, count: &'static str) {
    wait::until(count, SOON, || async { (story.count(count).await > 0).then_some(()) }).await.unwrap();
}
