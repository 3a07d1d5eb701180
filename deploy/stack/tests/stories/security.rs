//! Passwords and certificates are changed while sessions run; what was replaced opens no door; what did not come about is
//! taken back.

use firmware_sim::{Event, Station, StationConfig, Tls};
use serde_json::{Value, json};
use stack::wait;

use crate::story::{SOON, Story};

const ROTATE: &str = "mutation($at: ID!) { it: rotatePassword(chargePointId: $at) { outcome } }";
const RENEW: &str = "mutation($at: ID!) { it: renewCertificate(chargePointId: $at) { outcome } }";
const RAISE: &str = "mutation($at: ID!, $to: Int!, $address: String) { it: raiseSecurityProfile(chargePointId: $at, to: $to,
    addressKey: \"CentralSystemURL\", address: $address, overPlainLine: true, terms: { answerWithin: 0 }) { id outcome } }";
const TRUST: &str =
    "mutation($at: ID!) { it: getCertificates(chargePointId: $at, use: CentralSystem) { outcome result } }";
const SECURED: &str =
    "query($at: ID!) { it: stationSecurity(chargePointId: $at) { minimum certificate { serial } } }";
const EVENTS: &str = "query($at: ID!) { it: securityEvents(chargePointId: $at) { kind techInfo } }";

impl Story {
    async fn secure(&self, query: &str, more: Value) -> Value {
        let row = "select id::text from charge_points where charge_point_hardware_id = 'S1'";
        let at: String = sqlx::query_scalar(row).fetch_one(&self.db).await.unwrap();
        let mut variables = json!({ "at": at });
        variables.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.operator.ask(query, variables).await.unwrap()["it"].take()
    }

    async fn authority(&self) -> String {
        let url = format!("{}/site-ca.pem", self.edge.local_url());
        reqwest::get(url).await.unwrap().text().await.unwrap()
    }

    fn simulated(&self, url: &str, tls: Option<Tls>) -> Station {
        let mut config = StationConfig::new(url, "S1").with_password(&self.site.password);
        (config.clock_offset, config.time_scale, config.redial) = (0, 20, (50, 300));
        (config.tls, config.meter_interval) = (tls, 10);
        Station::connect(config)
    }
}

async fn charging(story: &Story, station: &Station) {
    station.booted(SOON).await.unwrap();
    station.plug(1).await.unwrap();
    station.tap(1, &story.site.id_tag).await.unwrap();
    station.until(SOON, |view| view.connectors.iter().any(|it| it.transaction.is_some())).await.unwrap();
}

async fn comes_again(station: &Station) {
    station.drop_network().await;
    station.until(SOON, |view| !view.connected).await.unwrap();
    station.restore_network().await;
    station.until(SOON, |view| view.connected).await.unwrap();
}

/// Waits until the gateway has told that it knows.
async fn secured(story: &Story, wanted: impl Fn(&Value) -> bool) {
    wait::until("the gateway to know", SOON, || async {
        wanted(&story.secure(SECURED, json!({})).await[0]).then_some(())
    })
    .await
    .unwrap();
}

/// Why somebody with this configuration stays outside.
async fn turned_away(config: StationConfig) -> String {
    let station = Station::connect(config);
    let mut events = station.events().await;
    let reason = |event: &Event| {
        assert_ne!(*event, Event::Connected, "it came in");
        if let Event::Disconnected { reason } = event { Some(reason.clone()) } else { None }
    };
    events.find(SOON, reason).await.unwrap()
}

#[tokio::test]
async fn password_and_certificate_are_changed_while_a_session_runs() {
    let story = Story::begin("rotation").await;
    let (tls_url, mutual_url) = story.edge.tls_urls();
    let authority = story.authority().await;
    let station = story.simulated(&tls_url, Some(Tls::new(&authority, None).unwrap()));
    charging(&story, &station).await;

    assert_eq!(story.secure(ROTATE, json!({})).await["outcome"], "Accepted");
    let password = station.access().await.password.unwrap();
    assert!(password.len() == 40 && password != story.site.password);
    let old = StationConfig::new(&tls_url, "S1").with_password(&story.site.password);
    let refused = turned_away(StationConfig { tls: Some(Tls::new(&authority, None).unwrap()), ..old }).await;
    assert!(refused.contains("401"), "{refused}");

    let raised = story.secure(RAISE, json!({ "to": 3 })).await;
    assert_eq!(raised["outcome"], Value::Null);
    secured(&story, |it| it["minimum"] == 3).await;
    let lower = StationConfig::new(&tls_url, "S1").with_password(&password);
    let refused =
        turned_away(StationConfig { tls: Some(Tls::new(&authority, None).unwrap()), ..lower }).await;
    assert!(refused.contains("403"), "never again by a lower profile: {refused}");

    let first = station.access().await;
    assert_eq!(story.secure(RENEW, json!({})).await["outcome"], "Accepted");
    assert_ne!(station.access().await.serial(), first.serial());
    comes_again(&station).await;
    let serial = station.access().await.serial();
    secured(&story, |it| it["certificate"]["serial"].as_str() == serial.as_deref()).await;
    let (chain, key) = first.identity.unwrap();
    let mut stale = StationConfig::new(&mutual_url, "S1");
    stale.tls = Some(Tls::new(&authority, Some((&chain, &key))).unwrap());
    let refused = turned_away(stale).await;
    assert!(refused.contains("401"), "the certificate before is good no more: {refused}");

    station.unplug(1).await.unwrap();
    station.drained(SOON).await.unwrap();
    let energy = station.journal().await[0].energy_wh();
    let bill = &story.bills(1).await[0];
    assert_eq!(Some(bill.energy_wh), energy, "one session, whole, over four connections");
    assert_eq!(bill.edge_total_micros, Some(bill.total_micros));
    story.settled().await;
    story.assert_lanes_whole().await;
}

#[tokio::test]
async fn a_profile_that_does_not_come_about_is_taken_back_and_reported() {
    let story = Story::begin("fallback").await;
    let station = story.simulated(&story.edge.ocpp_url(), None);
    station.booted(SOON).await.unwrap();
    story.secure(RAISE, json!({ "to": 2, "address": "wss://127.0.0.1:1/ocpp" })).await;
    wait::until("the profile that it tried", SOON, || async {
        (station.access().await.profile == 2).then_some(())
    })
    .await
    .unwrap();
    station.until(SOON, |view| view.connected && view.accepted).await.unwrap();
    assert_eq!(station.access().await.profile, 1, "it is back where it was");
    wait::until("its report", SOON, || async {
        let events = story.secure(EVENTS, json!({})).await;
        let told = |it: &Value| it["techInfo"].as_str().is_some_and(|info| info.contains("back to 1"));
        events.as_array()?.iter().any(told).then_some(())
    })
    .await
    .unwrap();
    let trusted = story.secure(TRUST, json!({})).await;
    assert!(trusted["result"].to_string().contains("serial"), "the authority stays installed: {trusted}");
}
