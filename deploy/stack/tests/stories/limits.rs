//! Charging profiles from the API to the vehicle: what a station is told to allow is what flows.

use firmware_sim::{Station, StationConfig};
use serde_json::{Value, json};
use shared::ocpp::v16::Status;
use shared::units::Watts;

use crate::story::{SOON, Story};

const SET: &str = "mutation($at: ID!, $connector: ID, $profile: ChargingProfileInput!) {
    it: setChargingProfile(chargePointId: $at, connectorId: $connector, profile: $profile) { outcome detail } }";
const CLEAR: &str = "mutation($at: ID!, $id: Int) {
    it: clearChargingProfiles(chargePointId: $at, profileId: $id) { outcome detail } }";
const COMPOSITE: &str = "mutation($at: ID!, $connector: ID) {
    it: getCompositeSchedule(chargePointId: $at, connectorId: $connector, duration: 3600, unit: WATTS) { outcome result } }";

fn limit(id: i32, purpose: &str, session: Option<&str>, unit: &str, limit: f64) -> Value {
    json!({"profileId": id, "purpose": purpose, "sessionId": session, "kind": "RELATIVE",
           "schedule": {"unit": unit, "periods": [{"start": 0, "limit": limit}]}})
}

async fn ask(story: &Story, query: &str, variables: Value) -> Value {
    story.operator.ask(query, variables).await.unwrap()["it"].take()
}

#[tokio::test]
async fn what_a_station_is_told_to_allow_is_what_flows() {
    let story = Story::begin("limits").await;
    let mut config = StationConfig::new(story.edge.ocpp_url(), "S1").with_password(&story.site.password);
    config.meter_interval = 1;
    let station = Station::connect(config);
    station.booted(SOON).await.unwrap();
    station.plug(1).await.unwrap();
    station.tap(1, &story.site.id_tag).await.unwrap();
    let flows = async |power: i64| {
        station.until(SOON, |view| view.connectors.iter().all(|it| it.power == Watts(power))).await.unwrap()
    };
    flows(11_000).await;
    let row = |sql: &'static str| sqlx::query_scalar::<_, String>(sql).fetch_one(&story.db);
    let at = row("select id::text from charge_points where charge_point_hardware_id = 'S1'").await.unwrap();
    let connector = row("select c.id::text from connectors c join charge_points p on p.id = charge_point_id
                         where p.charge_point_hardware_id = 'S1'")
    .await
    .unwrap();
    stack::wait::until("the session", SOON, || async {
        (story.count("select count(*) from sessions where started_at is not null").await == 1).then_some(())
    })
    .await
    .unwrap();
    let session = row("select id::text from sessions").await.unwrap();

    let every = limit(1, "DEFAULT", None, "AMPERES", 6.0);
    assert_eq!(ask(&story, SET, json!({"at": at, "profile": every})).await["outcome"], "Accepted");
    flows(4_140).await;
    let own = limit(2, "SESSION", Some(&session), "WATTS", 7_000.0);
    let set = json!({"at": at, "connector": connector, "profile": own});
    assert_eq!(ask(&story, SET, set).await["outcome"], "Accepted");
    flows(7_000).await;
    let composite = ask(&story, COMPOSITE, json!({"at": at, "connector": connector})).await;
    let schedule = &composite["result"]["told"]["schedule"]["schedule"];
    assert_eq!(schedule["periods"][0]["limit_tenths"], 70_000, "{composite}");

    let relative = limit(3, "STATION", None, "WATTS", 0.0);
    let refused = story.operator.answer(SET, json!({"at": at, "profile": relative})).await.unwrap();
    assert!(refused["errors"][0]["message"].as_str().unwrap().contains("cannot be relative"), "{refused}");
    let none = json!({"profileId": 3, "purpose": "STATION", "kind": "ABSOLUTE", "schedule":
        {"unit": "WATTS", "start": "2026-01-01T00:00:00Z", "periods": [{"start": 0, "limit": 0}]}});
    assert_eq!(ask(&story, SET, json!({"at": at, "profile": none})).await["outcome"], "Accepted");
    let view = flows(0).await;
    assert_eq!(view.connectors[0].status, Status::SuspendedEvse);
    assert_eq!(ask(&story, CLEAR, json!({"at": at, "id": 3})).await["outcome"], "Accepted");
    flows(7_000).await;
    assert_eq!(ask(&story, CLEAR, json!({"at": at})).await["outcome"], "Accepted");
    flows(11_000).await;

    let again = ask(&story, CLEAR, json!({"at": at})).await;
    assert_eq!(
        (again["outcome"].as_str(), again["detail"].as_str()),
        (Some("Rejected"), Some("the station has no such profile"))
    );
    station.unplug(1).await.unwrap();
    station.drained(SOON).await.unwrap();
    let ended = json!({"at": at, "profile": limit(2, "SESSION", Some(&session), "WATTS", 1.0)});
    assert_eq!(ask(&story, SET, ended).await["detail"], "the session has ended");
}
