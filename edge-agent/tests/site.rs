//! A site by itself: the real agent's binary, a simulated station, no cloud anywhere. It charges, it survives kill -9, and
//! the outbox holds each session once.

#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test says what it expects by failing"
)]

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use edge_agent::core::Write;
use edge_agent::store::{Stamp, Store};
use firmware_sim::{Again, Station, StationConfig};
use sha2::{Digest as _, Sha256};
use shared::id::{BootId, EvseNo, StationId, TariffId};
use shared::model::document::{
    DocumentBody, StationEntry, StationsDoc, TariffAssignment, TariffsDoc, TokensDoc,
};
use shared::model::token::{AuthStatus, TokenEntry};
use shared::model::{Event, Lane};
use shared::sync::{ClockQuality, Document};
use shared::tariff::{Dimension, PriceComponent, Tariff};
use shared::units::{Currency, Timestamp, Wh};
use tempfile::TempDir;
use uuid::Uuid;

const SOON: Duration = Duration::from_secs(20);
const PASSWORD: &str = "correct horse battery";

/// The agent as a process, on a port that stays the same over restarts.
struct Agent {
    folder: TempDir,
    port: u16,
    process: Option<Child>,
}

impl Agent {
    async fn with_documents() -> Agent {
        let folder = TempDir::new().unwrap();
        write_documents(folder.path()).await;
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut agent = Agent { folder, port, process: None };
        agent.start();
        agent
    }

    fn start(&mut self) {
        let child = Command::new(env!("CARGO_BIN_EXE_edge-agent"))
            .arg("run")
            .env("EDGE_DATA_DIR", self.folder.path())
            .env("EDGE_OCPP__LISTEN", format!("127.0.0.1:{}", self.port))
            .env("EDGE_TLS__LISTEN", "127.0.0.1:0")
            .env("EDGE_TLS__MUTUAL_LISTEN", "127.0.0.1:0")
            .env("EDGE_LOCAL__LISTEN", "127.0.0.1:0")
            .stderr(Stdio::null())
            .spawn();
        self.process = Some(child.unwrap());
    }

    fn kill9(&mut self) {
        let mut process = self.process.take().unwrap();
        process.kill().unwrap();
        process.wait().unwrap();
    }

    fn station(&self) -> Station {
        let url = format!("ws://127.0.0.1:{}/ocpp", self.port);
        let mut config = StationConfig::new(url, "CP1").with_password(PASSWORD);
        config.redial = (50, 200);
        config.time_scale = 60;
        config.clock_offset = -86_400_000;
        Station::connect(config)
    }

    /// What the agent would tell the cloud.
    async fn facts(mut self) -> Vec<Event> {
        self.kill9();
        let store = Store::open(self.folder.path()).unwrap().store;
        let mut facts = Vec::new();
        for lane in Lane::ALL {
            let records = store.records(lane, 0, 10_000).await.unwrap();
            facts.extend(records.iter().map(|(_, record)| record.event(lane).unwrap()));
        }
        facts
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if self.process.is_some() {
            self.kill9();
        }
    }
}

async fn write_documents(folder: &Path) {
    let store = Store::open(folder).unwrap().store;
    let station = StationId::new("CP1").unwrap();
    let digest = Sha256::new().chain_update(b"salt").chain_update(PASSWORD).finalize();
    let credential = format!("sha256${}${}", STANDARD.encode(b"salt"), STANDARD.encode(digest));
    let energy = PriceComponent { dimension: Dimension::Energy, price_micros: 300_000, step: 1 };
    let tariff =
        Tariff { id: TariffId(Uuid::nil()), version: 1, currency: Currency::EUR, components: vec![energy] };
    let card =
        TokenEntry { token: "card".into(), status: AuthStatus::Accepted, expires_at: None, group: None };
    let bodies = [
        DocumentBody::Stations(StationsDoc {
            timezone: "UTC".into(),
            stations: vec![StationEntry { station: station.clone(), credential }],
        }),
        DocumentBody::Tokens(TokensDoc { unknown: AuthStatus::Invalid, tokens: vec![card] }),
        DocumentBody::Tariffs(TariffsDoc {
            tariffs: vec![tariff],
            assigned: vec![TariffAssignment { station, evse: EvseNo(1), tariff: 0 }],
        }),
    ];
    let writes = bodies.map(|body| Write::Document(Document { version: 1, body })).into();
    let at = Timestamp(1_763_812_800_000);
    let stamp = Stamp { at, clock: ClockQuality::Synced, boot: BootId(Uuid::nil()), mono_ms: 0 };
    store.commit(stamp, writes, vec![]).await.unwrap();
}

async fn charging(station: &Station, at_least: i64) {
    let enough = |view: &firmware_sim::View| {
        view.connectors.first().is_some_and(|connector| connector.register >= Wh(at_least))
    };
    station.until(SOON, enough).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_without_cloud_and_through_a_crash_is_kept_once() {
    let mut agent = Agent::with_documents().await;
    let station = agent.station();
    station.booted(SOON).await.unwrap();
    station.plug(1).await.unwrap();
    station.tap(1, "CARD").await.unwrap();
    charging(&station, 1_500).await;
    agent.kill9();
    agent.start();
    charging(&station, 2_500).await;
    station.tap(1, "CARD").await.unwrap();
    station.drained(SOON).await.unwrap();
    station.repeat(Again::Stop, false).await.unwrap();
    station.repeat(Again::Start, false).await.unwrap();
    station.drained(SOON).await.unwrap();

    let journal = station.journal().await;
    let facts = agent.facts().await;
    let (mut started, mut stopped, mut priced) = (Vec::new(), Vec::new(), Vec::new());
    for fact in facts {
        match fact {
            Event::SessionStarted(event) => started.push(event),
            Event::SessionStopped(event) => stopped.push(event),
            Event::SessionPriced(event) => priced.push(event),
            _ => {}
        }
    }
    assert_eq!((journal.len(), started.len(), stopped.len(), priced.len()), (1, 1, 1, 1));
    assert_eq!(Some(stopped[0].energy.0), journal[0].energy_wh());
    assert!(stopped[0].flags.is_empty() && started[0].flags.is_empty(), "{started:?} {stopped:?}");
    let exact = stopped[0].energy.0 * 300_000 / 1000;
    assert!((priced[0].cost.total.micros - exact).abs() <= 5_000, "rounded to a cent");
}
