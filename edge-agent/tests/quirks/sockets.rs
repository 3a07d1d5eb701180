//! How chargers stay, and how they take being answered.

use std::time::Duration;

use futures_util::StreamExt as _;
use serde_json::json;
use shared::model::Event;
use shared::model::finding::Oddity;
use shared::model::quirks::StationQuirks;
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
    use futures_util::SinkExt as _;
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
async fn q69_answers_need_no_cloud() {
    let live = Live::with(StationQuirks::default()).await;
    live.dial("BOOK").await.unwrap().works().await;
}
