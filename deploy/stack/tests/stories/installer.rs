//! An installer at the gateway, without internet: the same orders as from the cloud, with the token that lies on the box. The
//! cloud learns of them when it is there again.

use firmware_sim::{Station, StationConfig};
use serde_json::{Value, json};
use stack::wait;

use crate::story::{SOON, Story};

impl Story {
    async fn order_here(&self, token: Option<&str>, operation: &str, members: Value) -> (u16, Value) {
        let url = format!("{}/api/stations/S1/{operation}", self.edge.local_url());
        let request = reqwest::Client::new().post(url).json(&members);
        let request = if let Some(token) = token { request.bearer_auth(token) } else { request };
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    /// The session that runs at the site, as the page sees it.
    async fn session_here(&self) -> String {
        let url = format!("{}/api/state", self.edge.local_url());
        wait::until("a session", SOON, || async {
            let state: Value = reqwest::get(&url).await.ok()?.json().await.ok()?;
            Some(state["sessions"][0]["session"].as_str()?.to_owned())
        })
        .await
        .unwrap()
    }
}

#[tokio::test]
async fn every_order_works_without_internet_and_the_cloud_learns_of_it() {
    let story = Story::begin("installer").await;
    let mut config = StationConfig::new(story.edge.ocpp_url(), "S1").with_password(&story.site.password);
    (config.clock_offset, config.redial) = (0, (50, 200));
    let station = Station::connect(config);
    station.booted(SOON).await.unwrap();
    let token = story.edge.installer_token().unwrap();
    story.proxy.cut();

    assert_eq!(story.order_here(None, "clear-cache", json!({})).await.0, 401);
    assert_eq!(story.order_here(Some("guess"), "clear-cache", json!({})).await.0, 401);
    let (status, told) = story.order_here(Some(&token), "reset", json!({ "hart": true })).await;
    assert!(status == 400 && told["error"].as_str().unwrap().contains("hart"), "{told}");
    let password = json!({ "key": "AuthorizationKey", "value": "0123456789abcdef" });
    let (_, told) = story.order_here(Some(&token), "change-configuration", password).await;
    assert_eq!(told["outcome"], "Rejected", "{told}");

    let mut orders = 1;
    for (operation, members, outcome) in [
        ("unlock", json!({ "connector": 1 }), "Accepted"),
        ("disable", json!({ "connector": 1 }), "Accepted"),
        ("enable", json!({}), "Accepted"),
        ("change-configuration", json!({ "key": "HeartbeatInterval", "value": "77" }), "Accepted"),
        ("get-configuration", json!({ "keys": ["HeartbeatInterval"] }), "Accepted"),
        ("clear-cache", json!({}), "Accepted"),
        ("trigger", json!({ "message": "status-notification" }), "Accepted"),
        ("data-transfer", json!({ "vendor": "nobody" }), "NotSupported"),
        ("get-local-list-version", json!({}), "Accepted"),
        ("set-charging-profile", json!({ "connector": 1, "profile": profile() }), "Accepted"),
        ("get-composite-schedule", json!({ "seconds": 60, "connector": 1 }), "Accepted"),
        ("clear-charging-profiles", json!({ "id": 7 }), "Accepted"),
        ("clear-charging-profiles", json!({}), "Rejected"),
        ("request-log", json!({}), "Accepted"),
        ("reset", json!({}), "Accepted"),
    ] {
        let (status, told) = story.order_here(Some(&token), operation, members).await;
        assert_eq!((status, told["outcome"].as_str()), (200, Some(outcome)), "{operation}: {told}");
        if operation == "get-configuration" {
            assert!(told["told"].to_string().contains("\"77\""), "{told}");
        }
        orders += 1;
    }

    station.booted(SOON).await.unwrap();
    station.plug(1).await.unwrap();
    let start = json!({ "token": story.site.id_tag, "connector": 1 });
    let (_, told) = story.order_here(Some(&token), "remote-start", start).await;
    assert_eq!(told["outcome"], "Accepted", "{told}");
    let session = story.session_here().await;
    let (_, told) = story.order_here(Some(&token), "remote-stop", json!({ "session": session })).await;
    assert_eq!(told["outcome"], "Accepted", "{told}");
    orders += 2;

    story.proxy.heal();
    story.settled().await;
    assert_eq!(story.bills(1).await.len(), 1, "what was charged meanwhile");
    let learnt = "select count(*) from commands where state = 'finished' and origin = 'installer'";
    assert_eq!(story.count(learnt).await, orders, "each with its end");
    story.assert_lanes_whole().await;
}

/// 16 A for every session, as the local API takes it.
fn profile() -> Value {
    let periods = json!([{ "start_s": 0, "limit_tenths": 160 }]);
    json!({
        "id": 7, "stack_level": 0, "purpose": "Default", "kind": "Relative",
        "schedule": { "unit": "Amperes", "start": null, "duration_s": 86_400, "periods": periods },
    })
}
