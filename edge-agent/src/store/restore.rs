//! What a restarted agent goes on from.

use anyhow::Context;
use rusqlite::{Connection, OptionalExtension, Row, params};
use shared::sync::Document;
use shared::units::Timestamp;

use super::meta::{DECIDED_HERE, get_meta};
use super::{by_station, findings};
use crate::core::{DecidedHere, Errand, Held, HeldList, Recall, Restored, RunningSession, StoredCommand};

/// Closed sessions to take into memory at start; older ones are recalled when needed.
const RECENT_SESSIONS: i64 = 1000;
/// Commands to take into memory at start, besides those that are open.
const RECENT_COMMANDS: i64 = 1000;

pub(super) fn restore(db: &Connection) -> anyhow::Result<Restored> {
    let floor =
        get_meta(db, "tx_ref_floor")?.map(|text| text.parse()).transpose().context("reading tx_ref_floor")?;
    Ok(Restored {
        sessions: sessions(db).context("reading sessions")?,
        documents: documents(db).context("reading documents")?,
        commands: commands(db).context("reading commands")?,
        tx_ref_floor: floor.unwrap_or(0),
        reservations: reservations(db).context("reading reservations")?,
        errands: errands(db).context("reading errands")?,
        decided_here: decided_here(db).context("reading what the installer decided")?,
        settings: by_station::SETTINGS.all(db).context("reading settings")?,
        security: by_station::SECURITY.all(db).context("reading stations' security")?,
        stations: by_station::STATIONS.all(db).context("reading stations")?,
        lists: lists(db).context("reading stations' lists")?,
        findings: findings::all(db).context("reading findings")?,
        suggestions: findings::suggestions(db).context("reading suggestions")?,
    })
}

fn decided_here(db: &Connection) -> anyhow::Result<DecidedHere> {
    let text = get_meta(db, DECIDED_HERE)?;
    Ok(text.map(|text| serde_json::from_str(&text)).transpose()?.unwrap_or_default())
}

pub(super) fn last_committed(db: &Connection) -> anyhow::Result<Option<Timestamp>> {
    let text = get_meta(db, "last_committed")?;
    text.map(|text| text.parse().map(Timestamp)).transpose().context("reading last_committed")
}

pub(super) fn recall(db: &Connection, what: &Recall) -> anyhow::Result<Option<RunningSession>> {
    let text: Option<String> = match what {
        Recall::Start(key) => db
            .prepare_cached("select state from sessions where start_key = ?1")?
            .query_row([&key.0], |row| row.get(0))
            .optional()?,
        Recall::TxRef(station, tx_ref) => db
            .prepare_cached("select state from sessions where station = ?1 and tx_ref = ?2")?
            .query_row([station.as_str(), &tx_ref.0], |row| row.get(0))
            .optional()?,
    };
    Ok(text.map(|text| serde_json::from_str(&text)).transpose()?)
}

fn sessions(db: &Connection) -> anyhow::Result<Vec<RunningSession>> {
    let mut query = db.prepare(
        "select state from sessions where open = 1
         union all
         select state from (select state from sessions where open = 0 order by id desc limit ?1)",
    )?;
    let texts = query.query_map([RECENT_SESSIONS], |row| row.get::<_, String>(0))?;
    texts.map(|text| Ok(serde_json::from_str(&text?)?)).collect()
}

fn reservations(db: &Connection) -> anyhow::Result<Vec<Held>> {
    let mut query = db.prepare("select state from reservations")?;
    let texts = query.query_map([], |row| row.get::<_, String>(0))?;
    texts.map(|text| Ok(serde_json::from_str(&text?)?)).collect()
}

fn errands(db: &Connection) -> anyhow::Result<Vec<Errand>> {
    let mut query = db.prepare("select state from errands")?;
    let texts = query.query_map([], |row| row.get::<_, String>(0))?;
    texts.map(|text| Ok(serde_json::from_str(&text?)?)).collect()
}

fn lists(db: &Connection) -> anyhow::Result<Vec<HeldList>> {
    let mut query = db.prepare("select state from local_lists")?;
    let texts = query.query_map([], |row| row.get::<_, String>(0))?;
    texts.map(|text| Ok(serde_json::from_str(&text?)?)).collect()
}

fn documents(db: &Connection) -> anyhow::Result<Vec<Document>> {
    let mut query = db.prepare("select version, body from documents")?;
    let rows = query.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?)))?;
    rows.map(|row| {
        let (version, body) = row?;
        Ok(Document { version: version.unsigned_abs(), body: postcard::from_bytes(&body)? })
    })
    .collect()
}

fn commands(db: &Connection) -> anyhow::Result<Vec<StoredCommand>> {
    let mut query = db.prepare(
        "select command, waiting, result from commands where result is null
         union all
         select command, waiting, result from (select * from commands where result is not null order by received_at desc limit ?1)",
    )?;
    let rows = query.query_map(params![RECENT_COMMANDS], stored_command)?;
    rows.map(|row| {
        let (command, waiting, result) = row?;
        let result = result.map(|text| serde_json::from_str(&text)).transpose()?;
        Ok(StoredCommand { command: serde_json::from_str(&command)?, waiting, result })
    })
    .collect()
}

fn stored_command(row: &Row<'_>) -> rusqlite::Result<(String, bool, Option<String>)> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
}
