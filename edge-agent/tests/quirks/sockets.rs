//! How chargers stay, and how they take being answered.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::json;
use shared::model::Event;
use shared::model::finding::Oddity;
use shared::model::quirks::{StationQuirks, Suggestion};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;

use super::live::Live;

#[tokio::test]
async fn q05_a_charger_that_knows_no_pings_is_not_pinged() {
    let quirks = StationQuirks { no_ping: true, ..StationQuirks::default() };
    let live = Live::with_settings(quirks, &[("EDGE_OCPP__SILENCE_SECONDS", "2")]).await;
    let mut odd = live.dial("ODD").await.unwrap();
    let mut book = live.dial("BOOK").await.unwrap();
    // The other one is pinged after a second of silence, and again: by then this one would have been, too.
    for _ in 0..2 {
        let next = tokio::time::timeout(Duration::from_secs(20), book.socket.next()).await.unwrap();
        assert!(matches!(next, Some(Ok(Message::Ping(_)))), "{next:?}");
    }
    let quiet = tokio::time::timeout(Duration::from_millis(10), odd.socket.next()).await;
    assert!(quiet.is_err(), "{quiet:?}");
    odd.works().await;
}

#[tokio::test]
async fn q05_a_charger_that_speaks_and_answers_no_ping_is_suggested_not_to_be_pinged() {
    let live = Live::with_settings(StationQuirks::default(), &[("EDGE_OCPP__SILENCE_SECONDS", "4")]).await;
    let mut line = live.dial("BOOK").await.unwrap();
    // A WebSocket library answers pings when it reads; this one only writes.
    for number in 0..5 {
        line.socket
            .send(Message::text(json!([2, number.to_string(), "Heartbeat", {}]).to_string()))
            .await
            .unwrap();
        tokio::time::sleep(Duration::from_millis(2_500)).await;
    }
    live.suggests(Suggestion::NoPing).await;
}

#[tokio::test]
async fn q06_a_charger_that_comes_back_takes_its_old_connections_place() {
    let live = Live::with(StationQuirks::default()).await;
    let mut old = live.dial("BOOK").await.unwrap();
    old.works().await;
    let mut new = live.dial("BOOK").await.unwrap();
    new.works().await;
    while old.hear().await.is_ok() {}
}

#[tokio::test]
async fn q07_a_second_box_is_held_off_and_an_operator_hears_of_it() {
    let live = Live::with(StationQuirks::default()).await;
    let mut first = live.dial("BOOK").await.unwrap();
    first.works().await;
    let alive = tokio::spawn(async move { while first.hear().await.is_ok() {} });
    let login = format!("BOOK:{}", super::live::PASSWORD);
    let second = live.dial_as("BOOK", login.as_bytes(), Some("ocpp1.6"), "127.0.0.2").await;
    assert_eq!(second.err().as_deref(), Some("409"));
    live.tells(|event| matches!(event, Event::SecurityNoticed(it) if it.what == "duplicate_identity")).await;
    assert!(!alive.is_finished());
}

#[tokio::test]
async fn q24_q38_what_was_odd_is_told_with_its_words() {
    let live = Live::with(StationQuirks::default()).await;
    let mut line = live.dial("BOOK").await.unwrap();
    let broken = r#"[,{"idTag":"<img src=x onerror=alert(1)>"}]"#;
    line.socket.send(Message::text(broken)).await.unwrap();
    let told =
        live.tells(|event| matches!(event, Event::FindingNoted(it) if it.oddity == Oddity::NotAFrame)).await;
    let Event::FindingNoted(found) = told else { panic!() };
    assert_eq!((found.count, found.example.as_str()), (1, broken));
    line.works().await;
}

#[tokio::test]
async fn q68_answers_can_be_delayed() {
    let quirks = StationQuirks { answer_delay_ms: 600, ..StationQuirks::default() };
    let live = Live::with(quirks).await;
    let mut line = live.dial("ODD").await.unwrap();
    let began = Instant::now();
    line.call("Heartbeat", json!({})).await.unwrap();
    assert!(began.elapsed() >= Duration::from_millis(600));
    line.works().await;
}

#[tokio::test]
async fn q68_one_that_leaves_when_it_is_answered_is_suggested_to_be_answered_later() {
    let live = Live::with(StationQuirks::default()).await;
    for meter in 0..3 {
        let mut line = live.dial("BOOK").await.unwrap();
        let begun = json!({ "connectorId": 1, "idTag": "CARD", "meterStart": meter, "timestamp": "2025-11-22T12:00:00Z" });
        line.call("StartTransaction", begun).await.unwrap();
    }
    live.suggests(Suggestion::AnswerDelay { ms: 1_000 }).await;
    live.dial("BOOK").await.unwrap().works().await;
}

/// The broker takes the connection and says nothing ever, which is worse than none.
#[tokio::test]
async fn q69_answers_need_no_cloud() {
    let broker = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let live = Live::enrolled_at(&format!("mqtt://{}", broker.local_addr().unwrap())).await;
    let (_silent, _) = broker.accept().await.unwrap();
    let mut line = live.dial("BOOK").await.unwrap();
    line.works().await;
    let stranger = line.call("Authorize", json!({ "idTag": "NEVER-SEEN" })).await.unwrap();
    assert!(stranger["idTagInfo"]["status"].is_string(), "{stranger}");
}

#[tokio::test]
async fn one_that_needs_long_to_answer_is_given_its_time_and_no_other() {
    let quirks = StationQuirks { answer_seconds: Some(1), ..StationQuirks::default() };
    let live = Live::with_settings(quirks, &[("EDGE_OCPP__ANSWER_SECONDS", "60")]).await;
    let mut lines = Vec::new();
    for station in ["ODD", "BOOK"] {
        let mut line = live.dial(station).await.unwrap();
        line.works().await;
        lines.push(line);
    }
    // Neither answers. One is waited for a second, the other a minute.
    let mut patient = tokio::spawn(live.order("BOOK", "clear-cache"));
    let short = live.order("ODD", "clear-cache").await;
    assert!(short.contains("TimedOut"), "{short}");
    let still = tokio::time::timeout(Duration::from_millis(10), &mut patient).await;
    assert!(still.is_err(), "{still:?}");
}

/// What a station says of itself goes to pages, logs and terminals of people: as data, never as anything else.
#[tokio::test]
async fn words_of_a_station_are_data_wherever_they_are_shown() {
    let live = Live::with(StationQuirks::default()).await;
    let mut line = live.dial("BOOK").await.unwrap();
    let hostile =
        "<img src=x onerror=alert(1)>\u{1b}[31m\u{7}\u{202e}\n2026-01-01T00:00:00Z ERROR forged: line";
    let boot =
        json!({ "chargePointVendor": hostile, "chargePointModel": hostile, "firmwareVersion": hostile });
    line.call("BootNotification", boot).await.unwrap();
    let status = json!({ "connectorId": 1, "errorCode": "OtherError", "status": "Faulted", "info": hostile,
        "vendorId": hostile, "vendorErrorCode": hostile });
    line.call("StatusNotification", status).await.unwrap();
    let begun =
        json!({ "connectorId": 1, "idTag": hostile, "meterStart": 0, "timestamp": "2025-11-22T12:00:00Z" });
    let transaction = line.call("StartTransaction", begun).await.unwrap()["transactionId"].clone();
    let ended = json!({ "transactionId": transaction, "idTag": hostile, "meterStop": 9, "reason": hostile,
        "timestamp": "2025-11-22T13:00:00Z" });
    line.call("StopTransaction", ended).await.unwrap();
    line.socket.send(Message::text(format!("no frame {hostile}"))).await.unwrap();
    let state: serde_json::Value = serde_json::from_str(&live.get("/api/state").await).unwrap();
    assert!(state.to_string().contains("onerror"), "as it was said, quoted: {state}");
    line.works().await;

    let log = live.log();
    let raw: Vec<char> = log.chars().filter(|c| c.is_control() && *c != '\n').collect();
    assert!(raw.is_empty() && !log.contains('\u{202e}'), "a terminal would obey: {raw:?}\n{log}");
    assert!(!log.lines().any(|line| line.starts_with("2026-01-01T")), "a forged line: {log}");
}
