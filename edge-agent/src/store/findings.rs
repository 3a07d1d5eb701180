//! Findings and suggestions as rows.

use anyhow::Context;
use rusqlite::{Connection, Transaction, params};
use shared::id::StationId;
use shared::model::finding::FindingNoted;
use shared::model::quirks::QuirkSuggested;

pub(super) fn keep(db: &Transaction<'_>, finding: &FindingNoted) -> anyhow::Result<()> {
    db.prepare_cached(
        "insert or replace into findings (station, action, field, oddity, state) values (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![
        finding.station.as_str(),
        finding.action,
        finding.field,
        finding.oddity.to_string(),
        serde_json::to_string(finding)?
    ])?;
    Ok(())
}

pub(super) fn all(db: &Connection) -> anyhow::Result<Vec<FindingNoted>> {
    let mut query = db.prepare("select state from findings")?;
    let texts = query.query_map([], |row| row.get::<_, String>(0))?;
    texts.map(|text| Ok(serde_json::from_str(&text?)?)).collect()
}

pub(super) fn suggested(db: &Transaction<'_>, it: &QuirkSuggested) -> anyhow::Result<()> {
    db.prepare_cached("insert or ignore into suggestions (station, name) values (?1, ?2)")?
        .execute(params![it.station.as_str(), it.suggestion.name()])?;
    Ok(())
}

pub(super) fn suggestions(db: &Connection) -> anyhow::Result<Vec<(StationId, String)>> {
    let mut query = db.prepare("select station, name from suggestions")?;
    let rows = query.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
    rows.map(|row| {
        let (station, name) = row?;
        Ok((StationId::new(station).context("a station's name")?, name))
    })
    .collect()
}
