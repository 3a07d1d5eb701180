//! Fleet, load and scenario against a tiny CSMS.

use std::path::Path;
use std::time::Duration;

use firmware_sim::fleet::{self, Credentials, FleetConfig};
use firmware_sim::load::{self, LoadConfig, Mode};
use firmware_sim::scenario::{Overrides, Scenario};
use firmware_sim::{Journal, StationConfig};

use crate::csms::Csms;

fn numbered() -> Credentials {
    Credentials::Numbered { prefix: "CP".into(), password: None }
}

fn load_config(url: &str, mode: Mode) -> LoadConfig {
    LoadConfig {
        url: url.into(),
        credentials: numbered(),
        stations: 20,
        mode,
        tag: "TAG".into(),
        warm_up: Duration::from_millis(50),
        duration: Duration::from_millis(500),
        ramp: 0,
        server: Some(std::process::id()),
    }
}

#[tokio::test]
async fn closed_load_counts_calls_and_sessions() {
    let csms = Csms::start().await;
    let report = load::run(load_config(&csms.url, Mode::Closed)).await.unwrap();
    assert!(report.calls > 100, "{report}");
    assert!(report.calls.abs_diff(report.sessions * 10) <= 200, "{report}");
    assert_eq!((report.errors, report.losses), (0, 0), "{report}");
    assert!(report.latency.p50 <= report.latency.p99 && report.latency.p99 <= report.latency.max);
    assert_eq!(report.to_json()["stations"], 20);
}

#[tokio::test]
async fn open_load_keeps_its_rate() {
    let csms = Csms::start().await;
    let report = load::run(load_config(&csms.url, Mode::Open { rate: 400 })).await.unwrap();
    assert!((150..=250).contains(&report.calls), "{report}");
}

#[tokio::test]
async fn a_fleet_ends_with_every_session_answered_and_written() {
    let csms = Csms::start().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.jsonl");
    let mut template = StationConfig::new(&csms.url, "");
    template.connectors = 2;
    template.time_scale = 36_000;
    template.journal = Some(Journal::append(&path).unwrap());
    let summary = fleet::run(FleetConfig {
        template,
        credentials: numbered(),
        stations: 10,
        ramp: 0,
        tags: vec!["A".into(), "B".into()],
        sessions: 3,
        charge_seconds: 3600,
        idle_seconds: 600,
        patience: Duration::from_secs(10),
    })
    .await;
    assert_eq!((summary.sessions, summary.answered, summary.undrained), (60, 60, 0));
    let journal = Journal::read(&path).unwrap();
    assert_eq!(journal.len(), 60);
    let energy: i64 = journal.iter().filter_map(firmware_sim::SessionRecord::energy_wh).sum();
    assert_eq!(energy, summary.energy_wh);
    assert!(energy > 0);
}

#[tokio::test]
async fn the_scripts_that_come_along_can_be_played() {
    for name in ["one-charge", "network-gap", "odd-firmware", "power-cut", "stubborn-repeats"] {
        let csms = Csms::start().await;
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("scenarios/{name}.toml"));
        let text = std::fs::read_to_string(path).unwrap();
        let (first, rest) = text.split_once("time_scale = ").unwrap();
        let text = format!("{first}time_scale = 3600\n{}", rest.split_once('\n').unwrap().1);
        let scenario = Scenario::parse(&text).unwrap();
        let overrides = Overrides { url: Some(csms.url.clone()), ..Overrides::default() };
        let (records, summary) = scenario.play(&text, overrides).await.unwrap();
        assert!(summary.is_clean(), "{name}: {summary:?} {records:?}");
        assert!(summary.sessions > 0 && summary.energy_wh > 0, "{name}: {records:?}");
    }
}
