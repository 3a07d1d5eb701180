//! What is remembered of each station: one JSON text for one station, in a table for each sort of memory.

use anyhow::Context;
use rusqlite::{Connection, Transaction, params};
use serde::Serialize;
use serde::de::DeserializeOwned;
use shared::id::StationId;

/// A sort of memory.
pub(super) struct Table {
    name: &'static str,
    column: &'static str,
}

/// How reading and writing its settings goes.
pub(super) const SETTINGS: Table = Table { name: "settings_memory", column: "memory" };
/// How it is secured.
pub(super) const SECURITY: Table = Table { name: "security", column: "memory" };
/// What it told about itself.
pub(super) const STATIONS: Table = Table { name: "stations", column: "info" };

impl Table {
    pub(super) fn keep(
        &self,
        db: &Transaction<'_>,
        station: &StationId,
        memory: &impl Serialize,
    ) -> anyhow::Result<()> {
        let Table { name, column } = self;
        db.prepare_cached(&format!("insert or replace into {name} (station, {column}) values (?1, ?2)"))?
            .execute(params![station.as_str(), serde_json::to_string(memory)?])?;
        Ok(())
    }

    pub(super) fn all<T: DeserializeOwned>(&self, db: &Connection) -> anyhow::Result<Vec<(StationId, T)>> {
        let Table { name, column } = self;
        let mut query = db.prepare(&format!("select station, {column} from {name}"))?;
        let rows = query.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
        rows.map(|row| {
            let (station, memory) = row?;
            Ok((StationId::new(station).context("a station's name")?, serde_json::from_str(&memory)?))
        })
        .collect()
    }
}
