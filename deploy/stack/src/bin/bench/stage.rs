//! What the measurements stand on: a house with as many stations as one needs.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use anyhow::Result;
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
    _postgres: Postgres,
    _dir: Workdir,
}

impl Stage {
    /// A house with stations `B0001`, `B0002` ….
    pub(crate) async fn build(stations: usize) -> Result<Self> {
        let dir = Workdir::new("bench")?;
        let postgres = Postgres::start(dir.path()).await?;
        let url = postgres.create_database().await?;
        let names: Vec<String> = (1..=stations).map(identity).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let house = House::build(dir.path(), &url, BrokerKind::Embedded, &names).await?;
        let stage = Self { house, db: PgPool::connect(&url).await?, _postgres: postgres, _dir: dir };
        stage.documents_arrived().await?;
        Ok(stage)
    }

    async fn documents_arrived(&self) -> Result<()> {
        let held = "select count(*) = 3 and bool_and(held_version = version) from documents";
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

/// The name of a station, counted from 1.
pub(crate) fn identity(number: usize) -> String {
    format!("B{number:04}")
}

/// The time of this machine.
#[expect(clippy::disallowed_methods, reason = "outside every core")]
pub(crate) fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
