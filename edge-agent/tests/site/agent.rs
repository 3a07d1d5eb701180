//! The real agent's binary as a process, with documents as if a cloud had sent them.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use edge_agent::core::Write;
use edge_agent::store::{Stamp, Store};
use firmware_sim::{Station, StationConfig};
use sha2::{Digest as _, Sha256};
use shared::id::{BootId, EvseNo, StationId, TariffId};
use shared::model::document::{
    DocumentBody, StationEntry, StationsDoc, TariffAssignment, TariffsDoc, TokensDoc,
};
use shared::model::token::{AuthStatus, TokenEntry};
use shared::model::{Event, Lane};
use shared::sync::{ClockQuality, Document};
use shared::tariff::{Dimension, PriceComponent, Tariff};
use shared::units::{Currency, Timestamp};
use tempfile::TempDir;
use tokio::net::TcpStream;
use uuid::Uuid;

pub(crate) const SOON: Duration = Duration::from_secs(20);
pub(crate) const PASSWORD: &str = "correct horse battery";

/// The agent as a process, on a port that stays the same over restarts.
pub(crate) struct Agent {
    folder: TempDir,
    port: u16,
    settings: Vec<(&'static str, String)>,
    process: Option<Child>,
}

impl Agent {
    /// An agent that knows these stations, all with [`PASSWORD`], and the card `CARD`; a kWh costs 0.30 €.
    pub(crate) async fn with_stations(stations: &[&str]) -> Agent {
        Agent::with(stations, &[]).await
    }

    /// The same with settings of its own, as environment variables.
    pub(crate) async fn with(stations: &[&str], settings: &[(&'static str, u32)]) -> Agent {
        let folder = TempDir::new().unwrap();
        write_documents(folder.path(), stations).await;
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let settings = settings.iter().map(|(name, value)| (*name, value.to_string())).collect();
        let mut agent = Agent { folder, port, settings, process: None };
        agent.start();
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        agent
    }

    pub(crate) fn start(&mut self) {
        let child = Command::new(env!("CARGO_BIN_EXE_edge-agent"))
            .arg("run")
            .env("EDGE_DATA_DIR", self.folder.path())
            .env("EDGE_OCPP__LISTEN", format!("127.0.0.1:{}", self.port))
            .envs([
                ("EDGE_TLS__LISTEN", "127.0.0.1:0"),
                ("EDGE_TLS__MUTUAL_LISTEN", "127.0.0.1:0"),
                ("EDGE_LOCAL__LISTEN", "127.0.0.1:0"),
                ("EDGE_FILES__TLS_LISTEN", "127.0.0.1:0"),
            ])
            .envs(self.settings.iter().map(|(name, value)| (name, value)))
            .stderr(Stdio::null())
            .spawn();
        self.process = Some(child.unwrap());
    }

    pub(crate) fn kill9(&mut self) {
        let mut process = self.process.take().unwrap();
        process.kill().unwrap();
        process.wait().unwrap();
    }

    /// Megabytes that it takes.
    pub(crate) fn megabytes(&self) -> u64 {
        let status = format!("/proc/{}/status", self.process.as_ref().unwrap().id());
        let status = std::fs::read_to_string(status).unwrap();
        let kilobytes = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        kilobytes.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
    }

    /// Where stations connect, their identity not included.
    pub(crate) fn url(&self) -> String {
        format!("ws://127.0.0.1:{}/ocpp", self.port)
    }

    /// What the agent's local pages show to somebody without a token.
    pub(crate) async fn page(&self, path: &str) -> String {
        let listening = std::fs::read_to_string(self.folder.path().join("listening.json")).unwrap();
        let listening: serde_json::Value = serde_json::from_str(&listening).unwrap();
        let url = format!("http://{}{path}", listening["local"].as_str().unwrap());
        let _ = rustls::crypto::ring::default_provider().install_default();
        reqwest::get(url).await.unwrap().text().await.unwrap()
    }

    pub(crate) fn station(&self, identity: &str) -> Station {
        let mut config = StationConfig::new(self.url(), identity).with_password(PASSWORD);
        config.redial = (50, 200);
        config.time_scale = 60;
        config.clock_offset = -86_400_000;
        Station::connect(config)
    }

    /// What the agent would tell the cloud.
    pub(crate) async fn facts(mut self) -> Vec<Event> {
        self.kill9();
        let store = Store::open(self.folder.path()).unwrap().store;
        let mut facts = Vec::new();
        for lane in Lane::ALL {
            let mut after = 0;
            loop {
                let records = store.records(lane, after, 10_000).await.unwrap();
                let Some((last, _)) = records.last() else { break };
                after = *last;
                facts.extend(records.iter().map(|(_, record)| record.event(lane).unwrap()));
            }
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

async fn write_documents(folder: &Path, stations: &[&str]) {
    let store = Store::open(folder).unwrap().store;
    let stations: Vec<StationId> = stations.iter().map(|name| StationId::new(*name).unwrap()).collect();
    let digest = Sha256::new().chain_update(b"salt").chain_update(PASSWORD).finalize();
    let credential = format!("sha256${}${}", STANDARD.encode(b"salt"), STANDARD.encode(digest));
    let energy = PriceComponent { dimension: Dimension::Energy, price_micros: 300_000, step: 1 };
    let tariff =
        Tariff { id: TariffId(Uuid::nil()), version: 1, currency: Currency::EUR, components: vec![energy] };
    let card =
        TokenEntry { token: "card".into(), status: AuthStatus::Accepted, expires_at: None, group: None };
    let entry = |station: &StationId| StationEntry {
        station: station.clone(),
        credential: credential.clone(),
        quirks: Default::default(),
        since: None,
    };
    let everywhere = stations.iter().map(|station| TariffAssignment {
        station: station.clone(),
        evse: EvseNo(1),
        tariff: 0,
    });
    let bodies = [
        DocumentBody::Stations(StationsDoc {
            timezone: "UTC".into(),
            stations: stations.iter().map(entry).collect(),
        }),
        DocumentBody::Tokens(TokensDoc {
            unknown: AuthStatus::Invalid,
            on_stations: false,
            tokens: vec![card],
        }),
        DocumentBody::Tariffs(TariffsDoc { tariffs: vec![tariff], assigned: everywhere.collect() }),
    ];
    let writes = bodies.map(|body| Write::Document(Document { version: 1, body })).into();
    let at = Timestamp(1_763_812_800_000);
    let stamp = Stamp { at, clock: ClockQuality::Synced, boot: BootId(Uuid::nil()), mono_ms: 0 };
    store.commit(stamp, writes, vec![]).await.unwrap();
}
