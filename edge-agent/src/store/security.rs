//! What is remembered of stations' security, as rows.

use anyhow::Context;
use rusqlite::{Connection, Transaction, params};
use shared::id::StationId;

use crate::core::SecurityMemory;

pub(super) fn remember(
    db: &Transaction<'_>,
    station: &StationId,
    memory: &SecurityMemory,
) -> anyhow::Result<()> {
    db.prepare_cached("insert or replace into security (station, memory) values (?1, ?2)")?
        .execute(params![station.as_str(), serde_json::to_string(memory)?])?;
    Ok(())
}

pub(super) fn memories(db: &Connection) -> anyhow::Result<Vec<(StationId, SecurityMemory)>> {
    let mut query = db.prepare("select station, memory from security")?;
    let rows = query.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
    rows.map(|row| {
        let (station, memory) = row?;
        Ok((StationId::new(station).context("a station's name")?, serde_json::from_str(&memory)?))
    })
    .collect()
}
