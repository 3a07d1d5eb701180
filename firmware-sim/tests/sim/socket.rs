//! A whole station against a tiny CSMS on a real socket.

use std::time::Duration;

use firmware_sim::{Again, Event, Response, Station, StationConfig};
use shared::ocpp::frame::Frame;
use tokio::sync::mpsc;

use crate::csms::Csms;

pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

fn config(url: &str) -> StationConfig {
    let mut config = StationConfig::new(url, "S1").with_password("secret");
    config.time_scale = 3600;
    config.redial = (10, 50);
    config
}

#[tokio::test]
async fn a_session_survives_a_lost_network() {
    let mut csms = Csms::start().await;
    let station = Station::connect(config(&csms.url));
    station.booted(PATIENCE).await.unwrap();
    station.plug(1).await.unwrap();
    station.tap(1, "TAG").await.unwrap();
    let charging = |view: &firmware_sim::View| view.connectors[0].transaction.is_some();
    station.until(PATIENCE, charging).await.unwrap();
    station.drop_network().await;
    station.until(PATIENCE, |view| !view.connected).await.unwrap();
    let before = station.meter(1).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(station.meter(1).await.unwrap() > before, "it charges on");
    station.unplug(1).await.unwrap();
    station.restore_network().await;
    station.drained(PATIENCE).await.unwrap();
    let [record] = &station.journal().await[..] else { panic!("one session") };
    assert!(record.start_answered && record.stop_answered);
    assert_eq!(record.energy_wh().unwrap(), station.meter(1).await.unwrap().0 - 1000);
    let mut actions = Vec::new();
    while let Ok(text) = csms.hears.try_recv() {
        if let Ok(Frame::Call { action, .. }) = Frame::parse(&text) {
            actions.push(action);
        }
    }
    assert_eq!(actions.iter().filter(|action| *action == "BootNotification").count(), 1);
    assert_eq!(actions.iter().filter(|action| *action == "StopTransaction").count(), 1);
}

#[tokio::test]
async fn commands_repeats_and_raw_frames() {
    let mut csms = Csms::start().await;
    let station = Station::connect(config(&csms.url));
    station.booted(PATIENCE).await.unwrap();
    let mut events = station.events().await;
    csms.say(r#"[2,"c1","RemoteStartTransaction",{"idTag":"APP","connectorId":1}]"#);
    assert_eq!(reply(&mut csms.hears, "c1").await, r#"[3,"c1",{"status":"Accepted"}]"#);
    station.plug(1).await.unwrap();
    let picked = events.find(PATIENCE, |event| match event {
        Event::StartAnswered { transaction, .. } => Some(*transaction),
        _ => None,
    });
    let transaction = picked.await.unwrap();
    let id = station.repeat(Again::Start, true).await.unwrap();
    let again = events.find(PATIENCE, |event| match event {
        Event::Unasked { text } => Some(text.contains(&id)),
        _ => None,
    });
    assert!(again.await.unwrap());
    station.respond_to_remote_start(Response::Reject).await;
    csms.say(r#"[2,"c2","RemoteStartTransaction",{"idTag":"APP"}]"#);
    assert_eq!(reply(&mut csms.hears, "c2").await, r#"[3,"c2",{"status":"Rejected"}]"#);
    let stop = format!(r#"[2,"c3","RemoteStopTransaction",{{"transactionId":{transaction}}}]"#);
    csms.say(&stop);
    assert_eq!(reply(&mut csms.hears, "c3").await, r#"[3,"c3",{"status":"Accepted"}]"#);
    csms.say(r#"[2,"c4","RemoteStartTransaction",{"connectorId":1}]"#);
    assert!(reply(&mut csms.hears, "c4").await.starts_with(r#"[4,"c4","OccurenceConstraintViolation""#));
    csms.say(r#"[2,"c5","Reset",{"type":"Soft"}]"#);
    assert_eq!(reply(&mut csms.hears, "c5").await, r#"[3,"c5",{"status":"Accepted"}]"#);
    let booted = events.find(PATIENCE, |event| matches!(event, Event::Booted { .. }).then_some(()));
    booted.await.unwrap();
}

#[tokio::test]
async fn waiting_sees_what_was_asked_before() {
    let csms = Csms::start().await;
    let station = Station::connect(config(&csms.url));
    station.booted(PATIENCE).await.unwrap();
    for _ in 0..20 {
        station.plug(1).await.unwrap();
        station.tap(1, "TAG").await.unwrap();
        station.until(PATIENCE, |view| view.connectors[0].in_session).await.unwrap();
        station.unplug(1).await.unwrap();
        station.drained(PATIENCE).await.unwrap();
        assert!(station.journal().await.iter().all(|record| record.stop_answered));
    }
}

#[tokio::test]
async fn frames_can_be_mangled() {
    let mut csms = Csms::start().await;
    let station = Station::connect(config(&csms.url));
    station.booted(PATIENCE).await.unwrap();
    station.mangle(|frame| frame.replace("\"idTag\":\"", "\"idTag\":\" ")).await;
    station.plug(1).await.unwrap();
    station.tap(1, "TAG").await.unwrap();
    station.until(PATIENCE, |view| view.connectors[0].transaction.is_some()).await.unwrap();
    let mut heard = Vec::new();
    while let Ok(text) = csms.hears.try_recv() {
        heard.push(text);
    }
    assert!(
        heard.iter().any(|text| text.contains("\"Authorize\"") && text.contains("\" TAG\"")),
        "{heard:?}"
    );
    assert_eq!(station.violations().await, Vec::<String>::new());
}

pub(crate) async fn reply(hears: &mut mpsc::Receiver<String>, id: &str) -> String {
    let begin = [format!("[3,\"{id}\""), format!("[4,\"{id}\"")];
    loop {
        let text = tokio::time::timeout(PATIENCE, hears.recv()).await.unwrap().unwrap();
        if begin.iter().any(|begin| text.starts_with(begin)) {
            return text;
        }
    }
}

#[tokio::test]
async fn a_station_that_finds_nobody_tries_again() {
    let station = Station::connect(config("ws://127.0.0.1:1"));
    let mut events = station.events().await;
    for _ in 0..3 {
        let refused =
            events.find(PATIENCE, |event| matches!(event, Event::Disconnected { .. }).then_some(()));
        refused.await.unwrap();
    }
    assert!(!station.view().await.connected);
}
