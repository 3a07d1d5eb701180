//! Tap to learn: a card that nobody knows is held to a charger's reader, adopted from a phone, charges; and is barred.

use std::time::Duration;

use firmware_sim::{Event, Station, StationConfig};
use serde_json::{Value, json};
use shared::units::Wh;
use stack::graphql::Client;

use crate::story::{SOON, Story};

const CARD: &str = "04:A2:B3:C4:D5:E6";
const SEEN: &str =
    "subscription($site: ID!) { unknownCardSeen(siteId: $site) { id token station connector taps } }";

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_card_is_adopted_and_later_barred() {
    let story = Story::begin("cards").await;
    let site = json!({ "site": story.site.id.to_string() });
    let mut seen = story.operator.subscribe(SEEN, site.clone()).await.unwrap();
    let charger = charger(&story);
    charger.booted(SOON).await.unwrap();
    charger.plug(1).await.unwrap();

    assert!(!tapped(&charger).await, "nobody knows it yet");
    let event = seen.first(SOON, |event| event["unknownCardSeen"]["token"] == CARD).await.unwrap();
    let card = &event["unknownCardSeen"];
    assert_eq!((&card["station"], &card["taps"]), (&json!("S1"), &json!(1)));
    strangers_see_nothing(&story, &site).await;

    let adopt = "mutation($id: ID!) { adoptCard(unknownCardId: $id, name: \"key ring\") { id token } }";
    let adopted = story.operator.ask(adopt, json!({ "id": card["id"] })).await.unwrap()["adoptCard"].take();
    assert_eq!(adopted["token"], "04A2B3C4D5E6");
    accepted_within(&charger, Duration::from_secs(5)).await;
    let charging = |view: &firmware_sim::View| view.connectors[0].register >= Wh(200);
    charger.until(SOON, charging).await.unwrap();
    charger.tap(1, CARD).await.unwrap();
    charger.drained(SOON).await.unwrap();
    assert_eq!(story.bills(1).await.len(), 1);
    let of_the_operator =
        "select count(*) from sessions join users on users.id = user_id where email = 'operator@example.com'";
    assert_eq!(
        story.count(of_the_operator).await,
        1,
        "its holder pays, however the station writes its number"
    );
    charger.unplug(1).await.unwrap();

    let block = "mutation($id: ID!) { blockCard(id: $id) { status } }";
    story.operator.ask(block, json!({ "id": adopted["id"] })).await.unwrap();
    let mut puppet = story.station("S2").await;
    stack::wait::until("the barred card to be refused", SOON, || async {
        story.edge.state().await.ok()?;
        let held = "select bool_and(held_version = version) from documents";
        sqlx::query_scalar::<_, Option<bool>>(held).fetch_one(&story.db).await.ok()?.filter(|held| *held)
    })
    .await
    .unwrap();
    let answer = puppet.call("Authorize", json!({ "idTag": "04a2b3c4d5e6" })).await.unwrap();
    assert_eq!(answer["idTagInfo"]["status"], "Blocked", "{answer}");
    charger.plug(1).await.unwrap();
    assert!(!tapped(&charger).await);

    let list =
        story.operator.ask("query($site: ID!) { unknownCards(siteId: $site) { id } }", site).await.unwrap();
    assert_eq!(list["unknownCards"], json!([]), "a known card is no unknown one, barred or not");
    story.settled().await;
    story.assert_lanes_whole().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_driver_holds_his_new_card_to_a_public_reader() {
    let story = Story::begin("learning").await;
    let charger = charger(&story);
    charger.booted(SOON).await.unwrap();
    charger.plug(1).await.unwrap();
    let at = story.count("select id from charge_points where charge_point_hardware_id = 'S1'").await;

    let driver = story.driver.clone();
    let learning = tokio::spawn(async move {
        let learn = "mutation($at: ID!) { learnCard(chargePointId: $at, name: \"mine\") { token userId } }";
        driver.ask(learn, json!({ "at": at.to_string() })).await
    });
    stack::wait::until("a lesson", SOON, || async {
        (story.count("select count(*) from card_lessons").await == 1).then_some(())
    })
    .await
    .unwrap();
    assert!(!tapped(&charger).await);
    let learned = learning.await.unwrap().unwrap()["learnCard"].take();
    assert_eq!(learned, json!({ "token": "04A2B3C4D5E6", "userId": story.site.driver.to_string() }));
    accepted_within(&charger, Duration::from_secs(5)).await;
}

fn charger(story: &Story) -> Station {
    let mut config = StationConfig::new(story.edge.ocpp_url(), "S1").with_password(&story.site.password);
    config.redial = (50, 200);
    config.time_scale = 60;
    config.clock_offset = -86_400_000;
    Station::connect(config)
}

/// Holds the card to the reader; was it accepted?
async fn tapped(charger: &Station) -> bool {
    let mut events = charger.events().await;
    charger.tap(1, CARD).await.unwrap();
    let answer =
        |event: &Event| if let Event::Authorised { accepted, .. } = event { Some(*accepted) } else { None };
    events.find(SOON, answer).await.unwrap()
}

/// Taps until the card is accepted, as its holder would; the promise is a second, machines that build stall.
async fn accepted_within(charger: &Station, patience: Duration) {
    let asked = tokio::time::Instant::now();
    while !tapped(charger).await {
        assert!(asked.elapsed() < patience, "the card is not accepted after {:?}", asked.elapsed());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn strangers_see_nothing(story: &Story, site: &Value) {
    let create = "mutation($input: CreateUserInput!) { createUser(input: $input) { id } }";
    let input = json!({ "name": "Rival", "username": "rival", "password": "a rival's password", "role": "business-owner" });
    story.operator.ask(create, json!({ "input": input })).await.unwrap();
    let rival: Client = story.cloud.graphql().log_in("rival", "a rival's password").await.unwrap();
    let list = "query($site: ID!) { unknownCards(siteId: $site) { id } }";
    assert_eq!(rival.ask(list, site.clone()).await.unwrap()["unknownCards"], json!([]));
    for stranger in [&rival, &story.driver] {
        let mut watching = stranger.subscribe(SEEN, site.clone()).await.unwrap();
        assert!(watching.next(SOON).await.is_err(), "a site that is not his looks like none");
    }
}
