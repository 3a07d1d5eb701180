//! A whole station against a tiny CSMS on a real socket.
#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test may panic and may look for one thing"
)]

use std::sync::Arc;
use std::time::Duration;

use firmware_sim::{Again, Event, Response, Station, StationConfig};
use futures_util::{SinkExt, StreamExt};
use shared::ocpp::frame::Frame;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response as Http};

const PATIENCE: Duration = Duration::from_secs(5);

/// Accepts everybody, answers everything, and passes on what it hears. Sends what it is given.
async fn csms() -> (String, mpsc::Receiver<String>, mpsc::Sender<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/ocpp", listener.local_addr().unwrap());
    let (heard, hears) = mpsc::channel(1000);
    let (says, mut to_say) = mpsc::channel::<String>(10);
    tokio::spawn(async move {
        let mut count = 0;
        while let Ok((tcp, _)) = listener.accept().await {
            #[expect(clippy::result_large_err, reason = "tungstenite's signature")]
            let greet = |request: &Request, mut response: Http| -> Result<Http, ErrorResponse> {
                assert_eq!(request.headers()["authorization"], "Basic UzE6c2VjcmV0");
                assert_eq!(request.uri().path(), "/ocpp/S1");
                let protocol = request.headers()["sec-websocket-protocol"].clone();
                response.headers_mut().insert("sec-websocket-protocol", protocol);
                Ok(response)
            };
            let mut socket = tokio_tungstenite::accept_hdr_async(tcp, greet).await.unwrap();
            loop {
                tokio::select! {
                    Some(text) = to_say.recv() => socket.send(Message::text(text)).await.unwrap(),
                    message = socket.next() => {
                        let Some(Ok(Message::Text(text))) = message else { break };
                        heard.send(text.to_string()).await.unwrap();
                        if let Ok(Frame::Call { id, action, .. }) = Frame::parse(&text) {
                            count += 1;
                            let answer = format!("[3,\"{id}\",{}]", answer(&action, count));
                            socket.send(Message::text(answer)).await.unwrap();
                        }
                    }
                }
            }
        }
    });
    (url, hears, says)
}

fn answer(action: &str, count: i32) -> String {
    match action {
        "BootNotification" => {
            r#"{"status":"Accepted","currentTime":"2025-01-01T00:00:00Z","interval":300}"#.into()
        }
        "Heartbeat" => r#"{"currentTime":"2025-01-01T00:00:00Z"}"#.into(),
        "Authorize" => r#"{"idTagInfo":{"status":"Accepted"}}"#.into(),
        "StartTransaction" => format!(r#"{{"idTagInfo":{{"status":"Accepted"}},"transactionId":{count}}}"#),
        _ => "{}".into(),
    }
}

fn config(url: &str) -> StationConfig {
    let mut config = StationConfig::new(url, "S1").with_password("secret");
    config.time_scale = 3600;
    config.redial = (10, 50);
    config
}

#[tokio::test]
async fn a_session_survives_a_lost_network() {
    let (url, mut hears, _says) = csms().await;
    let station = Station::connect(config(&url));
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
    while let Ok(text) = hears.try_recv() {
        if let Ok(Frame::Call { action, .. }) = Frame::parse(&text) {
            actions.push(action);
        }
    }
    assert_eq!(actions.iter().filter(|action| *action == "BootNotification").count(), 1);
    assert_eq!(actions.iter().filter(|action| *action == "StopTransaction").count(), 1);
}

#[tokio::test]
async fn commands_repeats_and_raw_frames() {
    let (url, mut hears, says) = csms().await;
    let station = Station::connect(config(&url));
    station.booted(PATIENCE).await.unwrap();
    let mut events = station.events().await;
    says.send(r#"[2,"c1","RemoteStartTransaction",{"idTag":"APP","connectorId":1}]"#.into()).await.unwrap();
    assert_eq!(reply(&mut hears, "c1").await, r#"[3,"c1",{"status":"Accepted"}]"#);
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
    says.send(r#"[2,"c2","RemoteStartTransaction",{"idTag":"APP"}]"#.into()).await.unwrap();
    assert_eq!(reply(&mut hears, "c2").await, r#"[3,"c2",{"status":"Rejected"}]"#);
    let stop = format!(r#"[2,"c3","RemoteStopTransaction",{{"transactionId":{transaction}}}]"#);
    says.send(stop).await.unwrap();
    assert_eq!(reply(&mut hears, "c3").await, r#"[3,"c3",{"status":"Accepted"}]"#);
    says.send(r#"[2,"c4","RemoteStartTransaction",{"connectorId":1}]"#.into()).await.unwrap();
    assert!(reply(&mut hears, "c4").await.starts_with(r#"[4,"c4","OccurenceConstraintViolation""#));
    says.send(r#"[2,"c5","Reset",{"type":"Soft"}]"#.into()).await.unwrap();
    assert_eq!(reply(&mut hears, "c5").await, r#"[3,"c5",{"status":"Accepted"}]"#);
    let booted = events.find(PATIENCE, |event| matches!(event, Event::Booted { .. }).then_some(()));
    booted.await.unwrap();
}

async fn reply(hears: &mut mpsc::Receiver<String>, id: &str) -> String {
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
    let shared = Arc::new(station);
    assert!(!shared.view().await.connected);
}
