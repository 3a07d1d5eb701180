//! One station goes mad, or a thousand come back at once: the others charge on and are billed what they metered.
//! `firmware-sim load --hostile` measures what it costs them.

use std::time::Duration;

use firmware_sim::StationConfig;
use firmware_sim::fleet::Credentials;
use firmware_sim::load::{LoadConfig, Mode, hostile};
use shared::id::SessionId;
use shared::model::Event;
use shared::units::Wh;

use crate::agent::{Agent, PASSWORD, SOON};

/// No caps: what the reader takes is asked here, not what it is spared.
const UNCAPPED: [(&str, u32); 3] = [
    ("EDGE_OCPP__MAX_CONNECTIONS_PER_ADDRESS", 2_000),
    ("EDGE_OCPP__HANDSHAKES_PER_MINUTE", 0),
    ("EDGE_OCPP__MESSAGES_PER_SECOND", 0),
];
const FRAMES: u32 = 50_000;
const MOST_MEGABYTES: u64 = 150;

#[tokio::test(flavor = "multi_thread")]
async fn fifty_thousand_hostile_frames_cost_nobody_else_anything() {
    let agent = Agent::with(&["CP1", "CP2", "MAD"], &UNCAPPED).await;
    let stations = [agent.station("CP1"), agent.station("CP2")];
    for station in &stations {
        station.booted(SOON).await.unwrap();
        station.plug(1).await.unwrap();
        station.tap(1, "CARD").await.unwrap();
    }
    let mad = StationConfig::new(agent.url(), "MAD").with_password(PASSWORD);
    let done = hostile::run(&mad, FRAMES).await.unwrap();
    assert!(done.frames == FRAMES && done.answers > FRAMES / 2 && done.thrown_out > 10, "{done:?}");
    assert!(agent.megabytes() < MOST_MEGABYTES, "{} MB", agent.megabytes());
    for station in &stations {
        station.until(SOON, |view| view.connectors[0].register >= Wh(500)).await.unwrap();
        station.tap(1, "CARD").await.unwrap();
        station.drained(SOON).await.unwrap();
        assert!(station.violations().await.is_empty() && station.view().await.trouble.is_none());
    }
    let mut metered = Vec::new();
    for station in &stations {
        metered.extend(station.journal().await.iter().map(|session| session.energy_wh().unwrap()));
    }
    let facts = agent.facts().await;
    let honest: Vec<SessionId> = facts.iter().filter_map(session_of_an_honest_station).collect();
    let ended = facts.iter().filter_map(|fact| match fact {
        Event::SessionStopped(stop) if honest.contains(&stop.session) => Some(stop.energy.0),
        _ => None,
    });
    let mut billed: Vec<i64> = ended.collect();
    metered.sort_unstable();
    billed.sort_unstable();
    assert_eq!(billed, metered);
}

fn session_of_an_honest_station(event: &Event) -> Option<SessionId> {
    match event {
        Event::SessionStarted(start) if start.station.as_str() != "MAD" => Some(start.session),
        _ => None,
    }
}

pub(crate) fn energy_of_a_session(event: &Event) -> Option<i64> {
    match event {
        Event::SessionStopped(stop) => Some(stop.energy.0),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_stations_come_back_within_ten_seconds() {
    let names: Vec<String> = (1..=1_000).map(|number| format!("CP{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut agent = Agent::with(&names, &UNCAPPED).await;
    let storm = || {
        firmware_sim::load::run(LoadConfig {
            url: agent.url(),
            credentials: Credentials::Numbered { prefix: "CP".into(), password: Some(PASSWORD.into()) },
            stations: 1_000,
            mode: Mode::Idle,
            tag: "CARD".into(),
            warm_up: Duration::ZERO,
            duration: Duration::from_millis(100),
            ramp: 100,
            server: None,
        })
    };
    let report = storm().await.unwrap();
    assert_eq!((report.losses, report.errors), (0, 0), "{report}");
    assert!(agent.megabytes() < MOST_MEGABYTES, "{} MB", agent.megabytes());
    agent.kill9();
}
