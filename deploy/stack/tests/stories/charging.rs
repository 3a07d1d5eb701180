//! The plain case: a card, a cable, a bill; and everybody sees it.

use serde_json::json;
use stack::house::whole;

use crate::story::{Charging, SOON, Story, cost};

#[tokio::test]
async fn a_session_is_metered_billed_and_seen() {
    let story = Story::begin("charging").await;
    let mut progress = story
        .driver
        .subscribe(
            "subscription($input: InputFilterChargingProgressDto!) {
                chargingProgressUpdated(input: $input) { transactionId power_usage power_spend } }",
            json!({ "input": { "userId": story.site.driver } }),
        )
        .await
        .unwrap();

    let mut station = story.station("S1").await;
    let transaction = station.start(&story.site.id_tag, 5_000).await;
    station.meter(transaction, 8_210, 11_000).await;
    let seen = progress
        .first(SOON, |event| event["chargingProgressUpdated"]["power_spend"].as_f64() == Some(3.21))
        .await
        .unwrap();
    assert_eq!(seen["chargingProgressUpdated"]["power_usage"].as_f64(), Some(11.0), "kW");
    station.stop(transaction, 12_345).await;

    let bills = story.bills(1).await;
    assert_eq!((bills.len(), bills[0].energy_wh), (1, 7_345));
    assert_eq!(bills[0].total_micros, cost(7_345));
    assert_eq!(bills[0].edge_total_micros, Some(cost(7_345)), "edge and cloud price alike");

    let history = story
        .driver
        .ask(
            "{ userChargingHistory(input: { paging: { limit: 10, offset: 0 } }) {
                count data { chargePointHardwareId energyWh moneySpent bill { currency total } } } }",
            json!({}),
        )
        .await
        .unwrap();
    let history = &history["userChargingHistory"];
    assert_eq!(whole(&history["count"]), Some(1));
    let session = &history["data"][0];
    assert_eq!((&session["chargePointHardwareId"], whole(&session["energyWh"])), (&json!("S1"), Some(7_345)));
    assert_eq!(session["bill"], json!({ "currency": "USD", "total": "3.31" }));
    assert_eq!(session["moneySpent"], json!(3.31));
    story.settled().await;
    story.assert_lanes_whole().await;
}

#[tokio::test]
async fn an_unknown_card_is_refused_and_nothing_is_billed() {
    let story = Story::begin("unknown-card").await;
    let mut station = story.station("S1").await;
    let answer = station.call("Authorize", json!({ "idTag": "NOBODY" })).await.unwrap();
    assert_ne!(answer["idTagInfo"]["status"], "Accepted");
    story.settled().await;
    assert_eq!(story.count("select count(*) from bills").await, 0);
}
