//! Bookings on a real stack: the app, the cloud, the gateway and simulated stations, one of which knows no reservations.

use std::time::Duration;

use firmware_sim::{Event, Station, StationConfig};
use serde_json::{Value, json};
use shared::ocpp::v16::Status;
use sqlx::PgPool;
use stack::graphql::Client;
use stack::wait;

use crate::story::{SOON, Story};

const BOOK: &str =
    "mutation($id: Float) { it: bookConnector(input: {id: $id}) { status reason heldBy reservationId } }";
const CANCEL: &str = "mutation($id: Float) { it: cancelBookConnector(input: {id: $id}) { status reason } }";
const START: &str = "mutation($id: Float) { it: startTransactionByUser(input: {id: $id}) { status reason } }";
const MARKERS: &str =
    "subscription { markerUpdated(input: {connectorTypesSelected: [\"Type 2\"]}) { siteid available } }";

#[tokio::test]
async fn kept_through_crashes_until_its_driver_comes() {
    let mut story = Story::begin("booking").await;
    let station = simulated(&story, "S1", "Core,Reservation", 60).await;
    let at = connector(&story.db, "S1").await;
    let (_, card) = other_driver(&story).await;
    let mut map = story.driver.subscribe(MARKERS, json!({})).await.unwrap();
    map.first(SOON, |event| available(event) == Some(1)).await.unwrap();

    let booked = ask(&story.driver, BOOK, at).await;
    assert_eq!((&booked["status"], &booked["heldBy"]), (&json!("Reserved"), &json!("station")), "{booked}");
    shows(&station, Status::Reserved).await;
    map.first(SOON, |event| available(event) == Some(0)).await.unwrap();
    assert!(!admitted(&station, &card).await);

    story.edge.service().kill9().unwrap();
    story.cloud.service().kill9().unwrap();
    story.cloud.restart().await.unwrap();
    story.edge.start().await.unwrap();
    station.booted(SOON).await.unwrap();
    story.settled().await;
    assert!(!admitted(&station, &card).await);
    assert_eq!(state(&story, &booked).await, "reserved");

    let mut events = station.events().await;
    let started = ask(&story.driver, START, at).await;
    assert_eq!(started["status"], "Accepted", "{started}");
    station.plug(1).await.unwrap();
    let accepted = |event: &Event| {
        if let Event::StartAnswered { accepted, .. } = event { Some(*accepted) } else { None }
    };
    assert!(events.find(SOON, accepted).await.unwrap());
    until_it_is(&story, &booked, "used").await;
    let its_session = "select count(*) from reservations r join sessions s on s.id = r.session_id and s.user_id = r.user_id";
    assert_eq!(story.count(its_session).await, 1);
    assert_eq!(station.violations().await, Vec::<String>::new());
}

#[tokio::test]
async fn kept_by_the_gateway_where_the_station_cannot_and_free_at_its_hour() {
    let mut story = Story::begin("booking-hour").await;
    let station = simulated(&story, "S1", "Core", 1).await;
    let at = connector(&story.db, "S1").await;
    let (other, card) = other_driver(&story).await;
    assert!(admitted(&station, &card).await, "before it is anybody's");
    shows(&station, Status::Available).await;

    story.cloud.service().set("CLOUD_BOOKING__BOOK_SECONDS", 8);
    story.cloud.service().stop().await.unwrap();
    story.cloud.restart().await.unwrap();
    story.settled().await;
    let booked = ask(&story.driver, BOOK, at).await;
    assert_eq!((&booked["status"], &booked["heldBy"]), (&json!("Reserved"), &json!("gateway")), "{booked}");
    assert!(!admitted(&station, &card).await);
    let refused = ask(&other, START, at).await;
    assert_eq!(refused["status"], "Rejected");
    assert!(refused["reason"].as_str().unwrap().contains("reserved"), "{refused}");
    assert_eq!(ask(&other, CANCEL, at).await["status"], "Failed", "it is not his");

    until_it_is(&story, &booked, "expired").await;
    let shown =
        "select count(*) from connectors where charge_point_hardware_id = 'S1' and status_name = 'Available'";
    assert_eq!(story.count(shown).await, 1);
    let again = async || admitted(&station, &card).await.then_some(());
    wait::until("the gateway's hour", SOON, again).await.unwrap();
}

#[tokio::test]
async fn an_unreachable_gateway_keeps_nothing_and_says_so() {
    let story = Story::begin("booking-offline").await;
    let station = simulated(&story, "S1", "Core,Reservation", 60).await;
    let at = connector(&story.db, "S1").await;
    story.settled().await;
    story.proxy.cut();
    let asking = tokio::spawn(ask_as(story.driver.clone(), BOOK, at));
    let open = "select count(*) from commands where kind = 'Reserve'";
    wait::until(open, SOON, || async { (story.count(open).await > 0).then_some(()) }).await.unwrap();
    sqlx::query("update commands set expires_at = now()").execute(&story.db).await.unwrap();
    let refused = asking.await.unwrap();
    assert_eq!(refused["status"], "Failed");
    assert!(refused["reason"].as_str().unwrap().contains("did not answer"), "{refused}");
    story.proxy.heal();
    story.settled().await;
    assert_eq!(station.connector(1).await.unwrap().status, Status::Available);
    let booked = ask(&story.driver, BOOK, at).await;
    assert_eq!(booked["status"], "Reserved", "a failure is nobody's fault: {booked}");
    let freed = ask(&story.operator, CANCEL, at).await;
    assert_eq!(freed, json!({ "status": "Available", "reason": null }), "whoever operates there may");
    shows(&station, Status::Available).await;
}

/// A station that was accepted and has told that it is free.
async fn simulated(story: &Story, identity: &str, profiles: &str, waits_for_plug: u32) -> Station {
    let mut config = StationConfig::new(story.edge.ocpp_url(), identity).with_password(&story.site.password);
    config.redial = (50, 500);
    config.settings = vec![
        ("SupportedFeatureProfiles".into(), profiles.into()),
        ("AuthorizationCacheEnabled".into(), "false".into()),
        ("ConnectionTimeOut".into(), waits_for_plug.to_string()),
    ];
    let station = Station::connect(config);
    station.booted(SOON).await.unwrap();
    let free = "select count(*) from connectors c join charge_points p on p.id = c.charge_point_id
                where p.online and c.status = 'Available'";
    wait::until("a free station", SOON, || async { (story.count(free).await == 1).then_some(()) })
        .await
        .unwrap();
    station
}

/// Somebody else with a card that is good at the site.
async fn other_driver(story: &Story) -> (Client, String) {
    let (password, card) = (stack::house::secret(), "OTHERCARD1");
    let create = "mutation($input: CreateUserInput!) { createUser(input: $input) { id } }";
    let input =
        json!({ "name": "Other", "email": "other@example.com", "password": password, "role": "driver" });
    let answer = story.operator.ask(create, json!({ "input": input })).await.unwrap();
    let add = "mutation($user: ID!, $token: String!) { addIdToken(userId: $user, token: $token) { id } }";
    let user = &answer["createUser"]["id"];
    story.operator.ask(add, json!({ "user": user, "token": card })).await.unwrap();
    let held = "select count(*) from documents where held_version <> version";
    wait::until("the card at the site", SOON, || async { (story.count(held).await == 0).then_some(()) })
        .await
        .unwrap();
    (story.driver.log_in("other@example.com", &password).await.unwrap(), card.to_owned())
}

async fn connector(db: &PgPool, station: &str) -> i64 {
    let query = "select id from connectors where charge_point_hardware_id = $1";
    sqlx::query_scalar(query).bind(station).fetch_one(db).await.unwrap()
}

async fn ask(who: &Client, query: &'static str, connector: i64) -> Value {
    ask_as(who.clone(), query, connector).await
}

async fn ask_as(who: Client, query: &'static str, connector: i64) -> Value {
    who.ask(query, json!({ "id": connector })).await.unwrap()["it"].clone()
}

/// Is a card let in? Its driver does not plug in.
async fn admitted(station: &Station, card: &str) -> bool {
    let mut events = station.events().await;
    station.tap(1, card).await.unwrap();
    let answer =
        |event: &Event| if let Event::Authorised { accepted, .. } = event { Some(*accepted) } else { None };
    events.find(SOON, answer).await.unwrap()
}

async fn shows(station: &Station, status: Status) {
    station.until(SOON, |view| view.connectors[0].status == status).await.unwrap();
}

fn available(event: &Value) -> Option<i64> {
    event
        .pointer("/markerUpdated/0/available")
        .and_then(Value::as_f64)
        .map(|count| if count > 0.5 { 1 } else { 0 })
}

async fn state(story: &Story, booked: &Value) -> String {
    let id: i32 = booked["reservationId"].as_str().unwrap().parse().unwrap();
    let query = "select status from reservations where id = $1";
    sqlx::query_scalar(query).bind(id).fetch_one(&story.db).await.unwrap()
}

async fn until_it_is(story: &Story, booked: &Value, wanted: &str) {
    let reached = || async { (state(story, booked).await == wanted).then_some(()) };
    wait::until(wanted, SOON + Duration::from_secs(10), reached).await.unwrap();
}
