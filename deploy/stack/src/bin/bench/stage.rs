//! What the measurements stand on: a house with as many stations as one needs.

use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use sha2::{Digest, Sha256};
use shared::units::Timestamp;
use sqlx::PgPool;
use stack::house::{BrokerKind, House};
use stack::postgres::Postgres;
use stack::wait;
use stack::workdir::Workdir;

/// A house of its own, and the Postgres it stands on.
pub(crate) struct Stage {
    house: House,
    pub(crate) db: PgPool,
    pub(crate) database_url: String,
    _postgres: Postgres,
    dir: Workdir,
}

impl Stage {
    /// A house with stations `B1`, `B2` ….
    pub(crate) async fn build(stations: usize) -> Result<Self> {
        Self::build_on(BrokerKind::Embedded, stations).await
    }

    /// The same with another broker.
    pub(crate) async fn build_on(broker: BrokerKind, stations: usize) -> Result<Self> {
        let dir = Workdir::new("bench")?;
        let postgres = Postgres::start(dir.path()).await?;
        let url = postgres.create_database().await?;
        let house = House::build(dir.path(), &url, broker, &[&identity(stations)]).await?;
        let db = PgPool::connect(&url).await?;
        let mut stage = Self { house, db, database_url: url, _postgres: postgres, dir };
        stage.open_wide().await?;
        stage.add_stations(stations).await?;
        stage.documents_arrived().await?;
        Ok(stage)
    }

    /// Where everything is kept.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// One machine asks for everybody: no limit per address.
    async fn open_wide(&mut self) -> Result<()> {
        let cloud = &mut self.house.cloud;
        for limit in ["CONNECTIONS_PER_ADDRESS", "SUBSCRIPTIONS_PER_ADDRESS"] {
            cloud.service().set(&format!("CLOUD_LIVE__{limit}"), 100_000);
        }
        cloud.service().stop().await?;
        cloud.restart().await
    }

    /// Puts stations into service by the thousand: straight into the tables, with one generated password (for which a
    /// fast hash is right), and then one more through the API, so that the agent is told.
    async fn add_stations(&self, stations: usize) -> Result<()> {
        let digest = Sha256::digest([b"bench", self.site.password.as_bytes()].concat());
        let credential = format!("sha256${}${}", STANDARD.encode(b"bench"), STANDARD.encode(digest));
        let add = "insert into charge_points (site_id, charge_point_hardware_id, credential)
            select $1, $2 || n, $3 from generate_series(1, $4) n";
        let rows = sqlx::query(add).bind(self.site.id).bind(PREFIX).bind(credential);
        rows.bind(i64::try_from(stations)? - 1).execute(&self.db).await?;
        let add =
            "insert into connectors (charge_point_id, site_id, connector_id, charge_point_hardware_id, price)
            select id, site_id, 1, charge_point_hardware_id, 0.45 from charge_points
            on conflict (charge_point_id, connector_id) do nothing";
        sqlx::query(add).execute(&self.db).await?;
        let provision = "mutation($site: ID!) {
            provisionStations(siteId: $site, stations: [{ identity: \"LAST\" }]) { identity } }";
        self.operator.ask(provision, json!({ "site": self.site.id.to_string() })).await.map(drop)
    }

    async fn documents_arrived(&self) -> Result<()> {
        let held = "select count(*) > 3 and bool_and(held_version = version) from documents";
        wait::until("the agent's documents", Duration::from_secs(60), || async {
            sqlx::query_scalar::<_, Option<bool>>(held).fetch_one(&self.db).await.ok()?.filter(|held| *held)
        })
        .await
        .map(drop)
    }
}

impl Deref for Stage {
    type Target = House;

    fn deref(&self) -> &House {
        &self.house
    }
}

impl DerefMut for Stage {
    fn deref_mut(&mut self) -> &mut House {
        &mut self.house
    }
}

/// Begins the name of every station.
pub(crate) const PREFIX: &str = "B";

/// The name of a station, counted from 1.
pub(crate) fn identity(number: usize) -> String {
    format!("{PREFIX}{number}")
}

/// The time of this machine.
#[expect(clippy::disallowed_methods, reason = "outside every core")]
pub(crate) fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
