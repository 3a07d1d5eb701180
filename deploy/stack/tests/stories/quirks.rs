//! A charger with a wrong clock and a mislabelled meter: its session is billed as it was told and doubted; an operator reads
//! what was odd, agrees with what the gateway makes of it, and the next session is right.

use serde_json::{Value, json};
use shared::units::Timestamp;
use stack::puppet::Puppet;
use stack::wait;

use crate::story::{SOON, Story, cost, now};

const FINDINGS: &str =
    "query($site: ID!) { it: findings(siteId: $site, hard: true) { station action oddity count } }";
const SUGGESTIONS: &str =
    "query($site: ID!) { it: quirkSuggestions(siteId: $site) { id station setting evidence } }";
const ACCEPT: &str = "mutation($id: ID!) {
    it: acceptQuirkSuggestion(suggestionId: $id) { clockOffsetMinutes energyScale } }";
const TWO_HOURS: i64 = 2 * 3_600_000;
const MINUTE: i64 = 60_000;

/// What its clock shows.
fn shown(at: Timestamp) -> String {
    at.plus_millis(TWO_HOURS).to_string()
}

/// Half an hour at 20 kW until now, read every minute; the register counts kilowatt-hours and calls them watt-hours.
async fn charges(station: &mut Puppet, tag: &str) {
    let began = now().plus_millis(-30 * MINUTE);
    let begun = json!({ "connectorId": 1, "idTag": tag, "meterStart": 100, "timestamp": shown(began) });
    let transaction = station.call("StartTransaction", begun).await.unwrap()["transactionId"].clone();
    for minute in 1..30 {
        let samples = json!([
            { "value": (100 + minute / 3).to_string() },
            { "value": "20000", "measurand": "Power.Active.Import", "unit": "W" },
        ]);
        let at = shown(began.plus_millis(minute * MINUTE));
        let values = json!({ "connectorId": 1, "transactionId": transaction,
            "meterValue": [{ "timestamp": at, "sampledValue": samples }] });
        station.call("MeterValues", values).await.unwrap();
    }
    let ended = json!({ "transactionId": transaction, "meterStop": 110, "timestamp": shown(now()) });
    station.call("StopTransaction", ended).await.unwrap();
}

impl Story {
    async fn read(&self, query: &str) -> Vec<Value> {
        let variables = json!({ "site": self.site.id.to_string() });
        self.operator.ask(query, variables).await.unwrap()["it"].as_array().unwrap().clone()
    }

    /// What the gateway suggests, as soon as there is so much.
    async fn suggestions(&self, count: usize) -> Vec<Value> {
        wait::until("suggestions", SOON, || async {
            let all = self.read(SUGGESTIONS).await;
            (all.len() == count).then_some(all)
        })
        .await
        .unwrap()
    }
}

#[tokio::test]
async fn a_wrong_clock_and_a_mislabelled_meter_are_noticed_and_mended() {
    let story = Story::begin("quirks").await;
    let mut station = story.station("S1").await;
    for _ in 0..3 {
        let status = json!({ "connectorId": 1, "errorCode": "NoError", "status": "Available", "timestamp": shown(now()) });
        station.call("StatusNotification", status).await.unwrap();
    }
    charges(&mut station, &story.site.id_tag).await;
    let first = story.bills(1).await;
    assert_eq!((first[0].energy_wh, first[0].total_micros), (10, cost(10)), "as it was told");
    let doubted = "select count(*) from sessions where 'Implausible' = any(flags)";
    assert_eq!(story.count(doubted).await, 1);

    let mut suggestions = story.suggestions(2).await;
    suggestions.sort_by_key(|it| it["setting"].to_string());
    let settings: Vec<_> = suggestions.iter().map(|it| it["setting"].as_str().unwrap()).collect();
    assert_eq!(settings, ["clockOffsetMinutes", "energyScale"], "{suggestions:?}");
    let findings = story.read(FINDINGS).await;
    assert!(findings.iter().any(|it| it["station"] == "S1" && it["oddity"] == "Implausible"), "{findings:?}");
    for suggestion in &suggestions {
        story.operator.ask(ACCEPT, json!({ "id": suggestion["id"] })).await.unwrap();
    }
    story.suggestions(0).await;
    let held = "select count(*) from documents where name = 'stations' and held_version = version";
    wait::until("the settings at the gateway", SOON, || async {
        (story.count(held).await == 1).then_some(())
    })
    .await
    .unwrap();

    charges(&mut station, &story.site.id_tag).await;
    let second = &story.bills(2).await[1];
    assert_eq!((second.energy_wh, second.total_micros), (10_000, cost(10_000)));
    assert_eq!(second.edge_total_micros, Some(cost(10_000)));
    let on_time =
        "select count(*) from sessions where energy_wh = 10000 and flags = '{}' and user_id is not null
                       and abs(extract(epoch from now() - stopped_at)) < 600";
    assert_eq!(story.count(on_time).await, 1, "at our time, and nothing is odd about it");
    story.assert_lanes_whole().await;
}
