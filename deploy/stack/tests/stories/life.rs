//! Stations' life: an unknown one is seen, let in, adopted or turned away; a known one is held; settings are kept in step, a
//! wrong clock is noticed, and what was said can be read.

use std::time::Duration;

use firmware_sim::{Station, StationConfig};
use serde_json::{Value, json};
use stack::puppet::Puppet;
use stack::wait;

use crate::story::{Charging, SOON, Story, now, start, stop};

const PASSWORD: &str = "what it came with";
const PENDING: &str = "query($site: ID!) { it: pendingStations(siteId: $site) {
    identity state address hadPassword vendor connectors } }";
const OPEN: &str =
    "mutation($site: ID!) { it: openOnboardingWindow(siteId: $site, minutes: 5) { openUntil } }";
const ADOPT: &str = "mutation($site: ID!, $identity: String!) {
    it: adoptStation(siteId: $site, identity: $identity, credential: PRESENTED) { chargePointId password } }";
const REJECT: &str = "mutation($site: ID!, $identity: String!) {
    it: rejectStation(siteId: $site, identity: $identity) { state } }";

impl Story {
    async fn it(&self, query: &str, mut variables: Value) -> Value {
        variables["site"] = json!(self.site.id.to_string());
        self.operator.ask(query, variables).await.unwrap()["it"].take()
    }

    /// The unknown station of this name, as soon as it is in this state.
    async fn unknown(&self, identity: &str, state: &str) -> Value {
        wait::until(&format!("{identity} {state}"), SOON, || async {
            let all = self.it(PENDING, json!({})).await;
            all.as_array()?.iter().find(|it| it["identity"] == identity && it["state"] == state).cloned()
        })
        .await
        .unwrap()
    }

    /// Waits until the cloud knows what a pending station said about itself: it is there before it says anything.
    async fn introduced(&self, identity: &str, vendor: &str) {
        wait::until(&format!("{identity} by {vendor}"), SOON, || async {
            (self.unknown(identity, "pending").await["vendor"] == vendor).then_some(())
        })
        .await
        .unwrap();
    }

    /// A station that nobody knows, inside as soon as the window is open.
    async fn visitor(&self, identity: &str) -> Puppet {
        wait::until("an open window", SOON, || async {
            self.edge.state().await.ok()?["onboarding"]["open_until"].is_string().then_some(())
        })
        .await
        .unwrap();
        Puppet::connect(&self.edge.ocpp_url(), identity, PASSWORD).await.unwrap().attentive()
    }

    async fn charge_point(&self, identity: &str) -> String {
        let row = "select id::text from charge_points where charge_point_hardware_id = $1";
        sqlx::query_scalar(row).bind(identity).fetch_one(&self.db).await.unwrap()
    }

    async fn local(&self, path: &str, body: Value) -> reqwest::Response {
        let url = format!("{}{path}", self.edge.local_url());
        let token = self.edge.installer_token().unwrap();
        reqwest::Client::new().post(url).bearer_auth(token).json(&body).send().await.unwrap()
    }
}

async fn boots(station: &mut Puppet) -> String {
    let boot = json!({ "chargePointVendor": "Unheard", "chargePointModel": "Of", "firmwareVersion": "1" });
    let answer = station.call("BootNotification", boot).await.unwrap();
    answer["status"].as_str().unwrap().to_owned()
}

/// The gateway asks it to boot again, and it does.
async fn told_to_boot(station: &mut Puppet) -> String {
    loop {
        let call = station.asked().await.unwrap();
        let wanted = call.payload["requestedMessage"] == "BootNotification";
        let answer =
            if call.action == "TriggerMessage" { json!({ "status": "Accepted" }) } else { json!({}) };
        station.reply(&call, answer).await.unwrap();
        if wanted {
            return boots(station).await;
        }
    }
}

#[tokio::test]
async fn an_unknown_station_knocks_waits_is_adopted_and_charges() {
    let story = Story::begin("adopted").await;
    let url = story.edge.ocpp_url();
    let refused = Puppet::connect(&url, "NEW1", PASSWORD).await.unwrap_err().to_string();
    assert!(refused.contains("404"), "{refused}");
    let knocked = story.unknown("NEW1", "knocked").await;
    assert_eq!(
        (knocked["address"].as_str(), knocked["hadPassword"].as_bool()),
        (Some("127.0.0.1"), Some(true))
    );

    story.it(OPEN, json!({})).await;
    let mut station = story.visitor("NEW1").await;
    assert_eq!(boots(&mut station).await, "Pending");
    story.introduced("NEW1", "Unheard").await;
    let free = station.call("StartTransaction", start(&story.site.id_tag, 0, now())).await.unwrap();
    assert_eq!(free["idTagInfo"]["status"], "Invalid", "answered validly, and refused: {free}");
    let transaction = free["transactionId"].as_i64().unwrap();
    station.call("StopTransaction", stop(transaction, 500, now())).await.unwrap();

    let adopted = story.it(ADOPT, json!({ "identity": "NEW1" })).await;
    assert_eq!(adopted["password"], Value::Null, "it keeps its own");
    assert_eq!(told_to_boot(&mut station).await, "Accepted");
    drop(station);
    let mut station = story.visitor("NEW1").await;
    let transaction = station.start(&story.site.id_tag, 500).await;
    station.stop(transaction, 4_500).await;
    story.settled().await;
    let nobodys = "select count(*) from sessions where user_id is null and id_token is null
                       and 'StationPending' = any(flags) and not exists (select from bills b where b.session_id = sessions.id)";
    assert_eq!(story.count(nobodys).await, 1, "what flowed before is nobody's");
    let drivers = "select count(*) from sessions where user_id is not null and charge_point_id is not null and energy_wh = 4000";
    assert_eq!(story.count(drivers).await, 1);
    let left = story.it(PENDING, json!({})).await;
    assert_eq!(left, json!([]), "it is pending no longer");
    story.assert_lanes_whole().await;
}

#[tokio::test]
async fn a_rejected_station_is_told_so_and_stays_out() {
    let story = Story::begin("rejected").await;
    story.it(OPEN, json!({})).await;
    let mut station = story.visitor("NEW2").await;
    assert_eq!(boots(&mut station).await, "Pending");
    story.unknown("NEW2", "pending").await;
    assert_eq!(story.it(REJECT, json!({ "identity": "NEW2" })).await["state"], "rejected");
    assert_eq!(told_to_boot(&mut station).await, "Rejected");
    let closed = station.hear().await.unwrap_err().to_string();
    assert!(closed.contains("turned away"), "{closed}");
    let url = story.edge.ocpp_url();
    let refused = Puppet::connect(&url, "NEW2", PASSWORD).await.unwrap_err().to_string();
    assert!(refused.contains("404"), "while the window is open: {refused}");
}

#[tokio::test]
async fn an_installer_without_internet_adopts_and_the_cloud_hears_of_it() {
    let story = Story::begin("installer").await;
    story.proxy.cut();
    let adopted = story.local("/api/stations/NEW3/adopt", json!({})).await;
    assert_eq!(adopted.status(), 409, "it is not here and has shown nothing");
    assert!(story.local("/api/onboarding", json!({ "minutes": 10 })).await.status().is_success());
    let mut station = story.visitor("NEW3").await;
    assert_eq!(boots(&mut station).await, "Pending");
    let adopted = story.local("/api/stations/NEW3/adopt", json!({ "connectors": 2 })).await;
    assert!(adopted.status().is_success(), "{}", adopted.text().await.unwrap());
    assert_eq!(told_to_boot(&mut station).await, "Accepted");
    let transaction = station.start(&story.site.id_tag, 0).await;
    station.stop(transaction, 700).await;

    story.proxy.heal();
    story.settled().await;
    let connectors = "select count(*) from connectors where charge_point_hardware_id = 'NEW3'";
    assert_eq!(story.count(connectors).await, 2);
    let open = "query($site: ID!) { it: onboardingWindow(siteId: $site) { openUntil } }";
    assert!(story.it(open, json!({})).await["openUntil"].is_string(), "the operator sees the window");
    wait::until("the list with it", SOON, || async {
        let held = "select count(*) from documents where held_version = version and name = 'stations'";
        (story.count(held).await == 1).then_some(())
    })
    .await
    .unwrap();
    let again = Puppet::boot(&story.edge.ocpp_url(), "NEW3", PASSWORD).await;
    again.expect("it is the site's now, with the password that it had");
}

#[tokio::test]
async fn a_held_station_charges_nobody_until_it_is_released() {
    let story = Story::begin("held").await;
    let mut station = story.station("S1").await.attentive();
    let at = story.charge_point("S1").await;
    let hold = "mutation($at: ID!) { it: holdStation(chargePointId: $at) }";
    let release = "mutation($at: ID!) { it: releaseStation(chargePointId: $at) }";
    assert_eq!(story.it(hold, json!({ "at": at })).await, true);
    assert_eq!(told_to_boot(&mut station).await, "Pending");
    let refused = station.call("Authorize", json!({ "idTag": story.site.id_tag })).await.unwrap();
    assert_eq!(refused["idTagInfo"]["status"], "Invalid");
    assert_eq!(story.it(release, json!({ "at": at })).await, false);
    wait::until("the release", SOON, || async {
        let state = story.edge.state().await.ok()?;
        (state["stations"][0]["standing"] == "accepted").then_some(())
    })
    .await
    .unwrap();
    assert_eq!(boots(&mut station).await, "Accepted", "it asks again by itself");
}

#[tokio::test]
async fn what_a_site_wants_its_stations_are_set_to() {
    let story = Story::begin("settings").await;
    let want = "mutation($site: ID!, $settings: [WantedSettingInput!]!) {
        it: setWantedConfiguration(siteId: $site, settings: $settings) { settings { key } } }";
    let settings = json!([
        { "key": "metervaluesampleinterval", "value": "17" },
        { "key": "NumberOfConnectors", "value": "9" },
        { "key": "NoSuchThing", "value": "1" },
    ]);
    story.it(want, json!({ "settings": settings })).await;
    let secret = json!([{ "key": "AuthorizationKey", "value": "0123456789abcdef" }]);
    let refused =
        story.operator.answer(want, json!({ "site": story.site.id.to_string(), "settings": secret }));
    assert!(refused.await.unwrap()["errors"][0]["message"].as_str().unwrap().contains("gives access"));

    let station =
        Station::connect(StationConfig::new(story.edge.ocpp_url(), "S1").with_password(&story.site.password));
    station.booted(SOON).await.unwrap();
    let at = story.charge_point("S1").await;
    let ask = "query($at: ID!) { it: stationConfiguration(chargePointId: $at) {
        readAt settings { key value wanted state } } }";
    let configuration = wait::until("the settings", SOON, || async {
        let it = story.it(ask, json!({ "at": at })).await;
        let settings = it["settings"].as_array()?;
        let done = settings.iter().filter(|it| it["state"].is_string()).all(|it| it["state"] != "Waiting");
        (it["readAt"].is_string() && done).then_some(it)
    })
    .await
    .unwrap();
    let of = |key: &str| {
        let all = configuration["settings"].as_array().unwrap();
        all.iter().find(|it| it["key"].as_str().unwrap().eq_ignore_ascii_case(key)).unwrap().clone()
    };
    let interval = of("MeterValueSampleInterval");
    assert_eq!((&interval["state"], &interval["value"]), (&json!("Changed"), &json!("17")), "{interval}");
    assert_eq!(of("NumberOfConnectors")["state"], "Refused", "it is read-only");
    assert_eq!(of("NoSuchThing")["state"], "Unknown");
}

#[tokio::test]
async fn a_wrong_clock_is_noticed_here_and_there() {
    let story = Story::begin("skewed").await;
    let mut station = story.station("S2").await;
    for status in ["Available", "Preparing", "Available"] {
        let at = now().plus_millis(-3_600_000).to_string();
        let report = json!({ "connectorId": 1, "errorCode": "NoError", "status": status, "timestamp": at });
        station.call("StatusNotification", report).await.unwrap();
    }
    let whole = json!({ "connectorId": 0, "errorCode": "NoError", "status": "Available" });
    station.call("StatusNotification", whole).await.unwrap();
    let state = story.edge.state().await.unwrap();
    let here = state["stations"].as_array().unwrap().iter().find(|it| it["station"] == "S2").unwrap();
    assert_eq!(
        (&here["clock_is_wrong"], &here["status"]["status"]),
        (&json!(true), &json!("Available")),
        "{here}"
    );
    let ask = "query { it: chargePoints(filter: { chargePointHardwareId: { eq: \"S2\" } }) { clockSkewMs stationStatus } }";
    let row = wait::until("the skew in the cloud", SOON, || async {
        let row = story.operator.ask(ask, json!({})).await.unwrap()["it"][0].take();
        (row["clockSkewMs"].is_number() && row["stationStatus"].is_string()).then_some(row)
    })
    .await
    .unwrap();
    assert!((row["clockSkewMs"].as_f64().unwrap() - 3_600_000.0).abs() < 30_000.0, "{row}");
    assert_eq!(row["stationStatus"], "Available");
    assert_eq!(
        story.count("select count(*) from alarms where kind = 'clock_skew' and subject = 'S2'").await,
        1
    );
}

#[tokio::test]
async fn what_was_said_can_be_read_without_passwords() {
    let story = Story::begin("frames").await;
    let mut station = story.station("S3").await;
    let at = story.charge_point("S3").await;
    let (operator, password) = (story.operator.clone(), "0badc0ffee0badc0ffee");
    let read = "mutation($at: ID!) {
        it: getConfiguration(chargePointId: $at, keys: [\"AuthorizationKey\"]) { outcome result } }";
    let variables = json!({ "at": at });
    let reading = tokio::spawn(async move { operator.ask(read, variables).await.unwrap() });
    let call = station.asked().await.unwrap();
    // A station should keep it to itself; this one does not.
    let told = json!([{ "key": "AuthorizationKey", "readonly": false, "value": password }]);
    station.reply(&call, json!({ "configurationKey": told })).await.unwrap();
    let answer = reading.await.unwrap();
    assert!(answer.to_string().contains("AuthorizationKey"), "{answer}");
    assert!(!answer.to_string().contains(password), "{answer}");

    let url = format!("{}/api/stations/S3/frames?action=GetConfiguration", story.edge.local_url());
    let lines = wait::until("the frames", SOON, || async {
        let asked = reqwest::Client::new().get(&url).bearer_auth(story.edge.installer_token().ok()?);
        let text = asked.send().await.ok()?.text().await.ok()?;
        (text.matches("AuthorizationKey").count() == 2).then_some(text)
    })
    .await
    .unwrap();
    assert!(!lines.contains(password), "{lines}");
    let read = "mutation($at: ID!, $after: ID) { it: readStationFrames(chargePointId: $at, after: $after, limit: 1) {
        next frames { number direction action text } } }";
    let first = story.it(read, json!({ "at": at })).await;
    assert_eq!(first["frames"][0]["action"], "BootNotification");
    let second = story.it(read, json!({ "at": at, "after": first["next"] })).await;
    assert_eq!(second["frames"][0]["direction"], "SENT", "{second}");
    let kept =
        "select count(*) from commands where kind = 'ReadFrames' and result::text like '%BootNotification%'";
    assert_eq!(story.count(kept).await, 0, "what one person read is not kept for others");
    tokio::time::timeout(Duration::from_secs(1), station.call("Heartbeat", json!({})))
        .await
        .unwrap()
        .unwrap();
}
