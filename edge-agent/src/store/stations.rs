//! What stations told about themselves, as rows.

use anyhow::Context;
use rusqlite::{Connection, Transaction, params};
use shared::id::StationId;
use shared::model::StationInfo;

pub(super) fn keep(db: &Transaction<'_>, station: &StationId, info: &StationInfo) -> anyhow::Result<()> {
    db.prepare_cached("insert or replace into stations (station, info) values (?1, ?2)")?
        .execute(params![station.as_str(), serde_json::to_string(info)?])?;
    Ok(())
}

pub(super) fn known(db: &Connection) -> anyhow::Result<Vec<(StationId, StationInfo)>> {
    let mut query = db.prepare("select station, info from stations")?;
    let rows = query.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
    rows.map(|row| {
        let (station, info) = row?;
        Ok((StationId::new(station).context("a station's name")?, serde_json::from_str(&info)?))
    })
    .collect()
}
