//! The one thread that writes.

use anyhow::Context;
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use shared::id::Epoch;
use shared::model::{Event, Lane};
use shared::sync::v1::PerLane;
use shared::units::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};
use uuid::Uuid;

use super::outbox::{self, lane_number, signed};
use super::{Job, Position, Stamp, findings, security, settings};
use crate::core::{RunningSession, Write};

/// Where `meta` has what the installer decided.
pub(super) const DECIDED_HERE: &str = "decided_here";

/// Jobs in one transaction at most.
const GROUP: usize = 64;

pub(super) struct Writer {
    db: Connection,
    position: Position,
    publish: watch::Sender<Position>,
    /// Makes the keys of facts that have none of their own unique within this process.
    count: u64,
}

impl Writer {
    pub(super) fn new(db: Connection, publish: watch::Sender<Position>) -> Self {
        let position = publish.borrow().clone();
        Writer { db, position, publish, count: 0 }
    }

    /// Runs until every handle is gone or a commit fails.
    pub(super) fn run(mut self, mut jobs: mpsc::Receiver<Job>) -> anyhow::Result<()> {
        while let Some(first) = jobs.blocking_recv() {
            let mut group = vec![first];
            while group.len() < GROUP
                && let Ok(job) = jobs.try_recv()
            {
                group.push(job);
            }
            let waiting = self.commit(group).context("committing to the database")?;
            fault_after_commit();
            self.publish.send_replace(self.position.clone());
            for done in waiting {
                let _ = done.send(());
            }
        }
        self.db.execute_batch("pragma wal_checkpoint(truncate)").context("closing the database")?;
        Ok(())
    }

    fn commit(&mut self, group: Vec<Job>) -> anyhow::Result<Vec<oneshot::Sender<()>>> {
        let transaction = self.db.transaction()?;
        let mut waiting = Vec::with_capacity(group.len());
        let mut position = self.position.clone();
        for job in group {
            match job {
                Job::Commit { stamp, writes, raw, done } => {
                    for write in writes {
                        apply(&transaction, &mut position, &mut self.count, &stamp, write)?;
                    }
                    for raw in raw {
                        transaction
                            .prepare_cached("insert into raw_messages (received_at, station, message) values (?1, ?2, ?3)")?
                            .execute(params![stamp.at.0, raw.station.as_str(), raw.text])?;
                    }
                    set_meta(&transaction, "last_committed", &stamp.at.0.to_string())?;
                    waiting.push(done);
                }
                Job::Acked { lane, watermark } => acked(&transaction, &mut position, lane, watermark)?,
                Job::NewEpoch { done } => {
                    begin_epoch(&transaction, &mut position)?;
                    waiting.push(done);
                }
                Job::Retain { billing_since, done } => {
                    retain(&transaction, &position, billing_since)?;
                    waiting.push(done);
                }
            }
        }
        save_lanes(&transaction, &self.position, &position)?;
        transaction.commit()?;
        self.position = position;
        Ok(waiting)
    }
}

fn apply(
    db: &Transaction<'_>,
    position: &mut Position,
    count: &mut u64,
    stamp: &Stamp,
    write: Write,
) -> anyhow::Result<()> {
    match write {
        Write::Event(event) => append(db, position, count, stamp, &event)?,
        Write::Session(running) => upsert_session(db, &running)?,
        Write::Command { command, result } => {
            let result = result.map(|result| serde_json::to_string(&result)).transpose()?;
            db.prepare_cached(
                "insert into commands (id, received_at, command, result) values (?1, ?2, ?3, ?4)
                 on conflict (id) do update set command = excluded.command, result = excluded.result, waiting = 0",
            )?
            .execute(params![
                command.id.0.as_bytes(),
                stamp.at.0,
                serde_json::to_string(&command)?,
                result
            ])?;
        }
        Write::CommandWaits(command) => {
            db.prepare_cached(
                "insert into commands (id, received_at, command, waiting) values (?1, ?2, ?3, 1)
                 on conflict (id) do nothing",
            )?
            .execute(params![
                command.id.0.as_bytes(),
                stamp.at.0,
                serde_json::to_string(&command)?
            ])?;
        }
        Write::LocalList(list) => {
            db.prepare_cached("insert or replace into local_lists (station, state) values (?1, ?2)")?
                .execute(params![list.station.as_str(), serde_json::to_string(&list)?])?;
        }
        Write::Document(document) => {
            db.prepare_cached("insert or replace into documents (name, version, body) values (?1, ?2, ?3)")?
                .execute(params![
                    &document.body.name(),
                    signed(document.version),
                    postcard::to_stdvec(&document.body)?
                ])?;
        }
        Write::TxRefFloor(floor) => set_meta(db, "tx_ref_floor", &floor.to_string())?,
        Write::Reservation(held) => {
            db.prepare_cached("insert or replace into reservations (id, state) values (?1, ?2)")?
                .execute(params![held.reservation.id.0, serde_json::to_string(&held)?])?;
        }
        Write::ReservationGone(id) => {
            db.prepare_cached("delete from reservations where id = ?1")?.execute([id.0])?;
        }
        Write::Errand(errand) => {
            db.prepare_cached("insert or replace into errands (command, state) values (?1, ?2)")?
                .execute(params![errand.command.0.as_bytes(), serde_json::to_string(&errand)?])?;
        }
        Write::ErrandGone(command) => {
            db.prepare_cached("delete from errands where command = ?1")?.execute([command.0.as_bytes()])?;
        }
        Write::DecidedHere(decided) => set_meta(db, DECIDED_HERE, &serde_json::to_string(&decided)?)?,
        Write::Settings(read) => settings::keep(db, &read)?,
        Write::SettingsMemory(station, memory) => settings::remember(db, &station, &memory)?,
        Write::SecurityMemory(station, memory) => security::remember(db, &station, &memory)?,
        Write::Finding(finding) => findings::keep(db, &finding)?,
        Write::Suggested(suggested) => findings::suggested(db, &suggested)?,
    }
    Ok(())
}

fn append(
    db: &Transaction<'_>,
    position: &mut Position,
    count: &mut u64,
    stamp: &Stamp,
    event: &Event,
) -> rusqlite::Result<()> {
    let head = &mut position.heads[event.lane().index()];
    *head += 1;
    *count += 1;
    outbox::append(db, stamp, *head, &event.key(stamp.boot, *count), event)
}

fn upsert_session(db: &Transaction<'_>, running: &RunningSession) -> anyhow::Result<()> {
    let start = &running.session.start;
    db.prepare_cached(
        "insert into sessions (id, station, tx_ref, start_key, open, started_at, energy_wh, state)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         on conflict (id) do update set open = excluded.open, energy_wh = excluded.energy_wh, state = excluded.state",
    )?
    .execute(params![
        start.session.0.as_bytes(),
        start.station.as_str(),
        start.tx_ref.0,
        running.start_key.as_ref().map(|key| &key.0),
        running.session.is_open(),
        start.at.0,
        running.session.energy.0,
        serde_json::to_string(running)?,
    ])?;
    Ok(())
}

/// A watermark never falls, and never passes the head.
fn acked(db: &Transaction<'_>, position: &mut Position, lane: Lane, watermark: u64) -> rusqlite::Result<()> {
    let place = lane.index();
    let watermark = watermark.min(position.heads[place]);
    if watermark <= position.acked[place] {
        return Ok(());
    }
    position.acked[place] = watermark;
    match lane {
        Lane::Billing => Ok(()), // kept for a disaster until the retention job takes them
        Lane::Meter | Lane::Status => outbox::delete_acked(db, lane, watermark, None),
    }
}

/// Everything still held is numbered anew: what the cloud has already is known by its business key.
fn begin_epoch(db: &Transaction<'_>, position: &mut Position) -> anyhow::Result<()> {
    let parent = (position.epoch, position.heads);
    let mut heads = PerLane::default();
    for lane in Lane::ALL {
        heads[lane.index()] = outbox::renumber(db, lane)?;
    }
    *position =
        Position { epoch: Epoch(Uuid::new_v4()), parent: Some(parent), heads, acked: PerLane::default() };
    save_epoch(db, position)
}

fn retain(db: &Transaction<'_>, position: &Position, since: Timestamp) -> rusqlite::Result<()> {
    outbox::delete_acked(db, Lane::Billing, position.acked[Lane::Billing.index()], Some(since))?;
    db.execute("delete from sessions where open = 0 and started_at < ?1", [since.0])?;
    db.execute("delete from raw_messages where received_at < ?1", [since.0])?;
    db.execute("delete from commands where result is not null and received_at < ?1", [since.0])?;
    Ok(())
}

/// The position of the database, which a new one gets here.
pub(super) fn ensure_position(db: &mut Connection) -> anyhow::Result<Position> {
    let transaction = db.transaction()?;
    let epoch: Option<String> = get_meta(&transaction, "epoch")?;
    let parent: Option<String> = get_meta(&transaction, "parent")?;
    let mut position = Position {
        epoch: match &epoch {
            Some(text) => text.parse().context("reading the epoch")?,
            None => Epoch(Uuid::new_v4()),
        },
        parent: parent
            .map(|text| serde_json::from_str(&text))
            .transpose()
            .context("reading the parent epoch")?,
        heads: PerLane::default(),
        acked: PerLane::default(),
    };
    for lane in Lane::ALL {
        let row: Option<(i64, i64)> = transaction
            .query_row("select head, acked from lanes where lane = ?1", [lane_number(lane)], |r| {
                Ok((r.get(0)?, r.get(1)?))
            })
            .optional()?;
        if let Some((head, acked)) = row {
            position.heads[lane.index()] = head.unsigned_abs();
            position.acked[lane.index()] = acked.unsigned_abs();
        }
    }
    if epoch.is_none() {
        save_epoch(&transaction, &position)?;
    }
    transaction.commit()?;
    Ok(position)
}

fn save_epoch(db: &Transaction<'_>, position: &Position) -> anyhow::Result<()> {
    set_meta(db, "epoch", &position.epoch.to_string())?;
    if let Some(parent) = &position.parent {
        set_meta(db, "parent", &serde_json::to_string(parent)?)?;
    }
    Ok(())
}

fn save_lanes(db: &Transaction<'_>, before: &Position, after: &Position) -> rusqlite::Result<()> {
    for lane in Lane::ALL {
        let place = lane.index();
        let (head, acked) = (after.heads[place], after.acked[place]);
        if (head, acked) != (before.heads[place], before.acked[place]) || after.epoch != before.epoch {
            db.prepare_cached("insert or replace into lanes (lane, head, acked) values (?1, ?2, ?3)")?
                .execute(params![lane_number(lane), signed(head), signed(acked)])?;
        }
    }
    Ok(())
}

fn set_meta(db: &Transaction<'_>, key: &str, value: &str) -> rusqlite::Result<()> {
    db.prepare_cached("insert or replace into meta (key, value) values (?1, ?2)")?.execute([key, value])?;
    Ok(())
}

pub(super) fn get_meta(db: &Connection, key: &str) -> rusqlite::Result<Option<String>> {
    db.query_row("select value from meta where key = ?1", [key], |row| row.get(0)).optional()
}

/// Story tests kill the agent at its worst moment: committed, nobody told. Not in release builds.
fn fault_after_commit() {
    if cfg!(debug_assertions) && crate::config::fault("edge.after_commit") {
        std::process::abort();
    }
}
