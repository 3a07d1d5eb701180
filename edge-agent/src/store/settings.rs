//! Settings of stations as rows.

use rusqlite::{Connection, Transaction, params};
use shared::id::StationId;
use shared::model::command::ConfigurationEntry;
use shared::model::settings::{SettingsRead, folded};

/// Keeps what a station told; after the last part of all its settings, those that it did not tell are gone.
pub(super) fn keep(db: &Transaction<'_>, read: &SettingsRead) -> anyhow::Result<()> {
    let station = read.station.as_str();
    let mut insert = db.prepare_cached(
        "insert or replace into settings (station, key, entry, read_at) values (?1, ?2, ?3, ?4)",
    )?;
    for entry in &read.entries {
        insert.execute(params![station, folded(&entry.key), serde_json::to_string(entry)?, read.at.0])?;
    }
    if read.whole {
        db.execute("delete from settings where station = ?1 and read_at < ?2", params![station, read.at.0])?;
    }
    Ok(())
}

/// What a station said that it is set to.
pub(super) fn of(db: &Connection, station: &StationId) -> anyhow::Result<Vec<ConfigurationEntry>> {
    let mut query = db.prepare_cached("select entry from settings where station = ?1 order by key")?;
    let texts = query.query_map([station.as_str()], |row| row.get::<_, String>(0))?;
    texts.map(|text| Ok(serde_json::from_str(&text?)?)).collect()
}
