//! An installer at the gateway, without internet: the same orders as from the cloud, with the token that lies on the box. The
//! cloud learns of them when it is there again.

use firmware_sim::{Station, StationConfig};
use serde_json::{Value, json};
use stack::wait;

use crate::files::{LOGS, UPDATES, image, runs, simulated, until};
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

/// What `edge-agent station` prints, as JSON.
fn at_the_gateway(story: &Story, arguments: &[&str]) -> Value {
    let told = story.edge.tool(&[&["station", "S1", "--json"], arguments].concat()).unwrap();
    serde_json::from_str(&told).unwrap()
}

// The command line waits in a thread of its own while the station answers.
#[tokio::test(flavor = "multi_thread")]
async fn a_connector_is_kept_and_firmware_comes_on_a_stick_without_internet() {
    let story = Story::begin("stick").await;
    let station = simulated(&story, "S1", None).await;
    story.proxy.cut();
    story.files.cut();

    let reserve = ["reserve", &story.site.id_tag, "--connector", "1", "--minutes", "90"];
    assert_eq!(at_the_gateway(&story, &reserve)["outcome"], "Accepted");
    let kept = story.edge.state().await.unwrap()["reservations"].clone();
    assert_eq!((kept[0]["station"].as_str(), kept[0]["evse"].as_u64()), (Some("S1"), Some(1)), "{kept}");
    assert!(!kept.to_string().contains(&story.site.id_tag), "for whom is nobody's business: {kept}");
    let number = kept[0]["id"].to_string();
    assert_eq!(at_the_gateway(&story, &["cancel-reservation", &number])["outcome"], "Accepted");
    assert_eq!(story.edge.state().await.unwrap()["reservations"], json!([]));

    let stick = tempfile::tempdir().unwrap();
    let (path, image) = (stick.path().join("acme-4.2.bin"), image("4.2", 300_000));
    std::fs::write(&path, image).unwrap();
    let unknown = json!({ "sha256": "00".repeat(32), "file_name": "x.bin", "version": "9" });
    let token = story.edge.installer_token().unwrap();
    let (status, told) = story.order_here(Some(&token), "update-firmware", unknown).await;
    assert!(status == 400 && told["error"].as_str().unwrap().contains("POST /api/firmware"), "{told}");
    let update = ["update-firmware", path.to_str().unwrap(), "--version", "4.2"];
    assert_eq!(at_the_gateway(&story, &update)["outcome"], "Accepted");
    runs(&station, "4.2").await;
    assert_eq!(at_the_gateway(&story, &["request-log"])["outcome"], "Accepted");

    story.proxy.heal();
    story.files.heal();
    let row = until(&story, UPDATES, "S1", |row| row["state"] == "Installed").await;
    assert!(row["version"] == "4.2" && row["ended"] == true, "{row}");
    let log = until(&story, LOGS, "S1", |row| row["arrivedAt"].is_string()).await;
    assert!(log["size"].as_u64().unwrap() > 0, "{log}");
    assert_eq!(station.violations().await, Vec::<String>::new());
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
