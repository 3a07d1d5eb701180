//! Where the lanes are, as rows: epoch, heads, watermarks, and what the network may have seen.

use anyhow::Context;
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use shared::id::Epoch;
use shared::model::Lane;
use shared::sync::v1::PerLane;
use uuid::Uuid;

use super::Position;
use super::meta::{get_meta, set_meta};
use super::outbox::{self, lane_number, signed};

/// The position of the database, which a new one gets here.
pub(super) fn ensure_position(db: &mut Connection) -> anyhow::Result<Position> {
    let transaction = db.transaction()?;
    let position = read(&transaction)?;
    if get_meta(&transaction, "epoch")?.is_none() {
        save_epoch(&transaction, &position)?;
    }
    transaction.commit()?;
    Ok(position)
}

/// The position that stands in a database; one without an epoch has a new one, which is not kept.
pub(super) fn read(db: &Connection) -> anyhow::Result<Position> {
    let (epoch, parent) = (get_meta(db, "epoch")?, get_meta(db, "parent")?);
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
        sent: PerLane::default(),
    };
    for lane in Lane::ALL {
        let row: Option<[i64; 3]> = db
            .query_row("select head, acked, sent from lanes where lane = ?1", [lane_number(lane)], |r| {
                Ok([r.get(0)?, r.get(1)?, r.get(2)?])
            })
            .optional()?;
        if let Some([head, acked, sent]) = row.map(|row| row.map(i64::unsigned_abs)) {
            let place = lane.index();
            (position.heads[place], position.acked[place], position.sent[place]) = (head, acked, sent);
        }
    }
    Ok(position)
}

fn save_epoch(db: &Transaction<'_>, position: &Position) -> anyhow::Result<()> {
    set_meta(db, "epoch", &position.epoch.to_string())?;
    if let Some(parent) = &position.parent {
        set_meta(db, "parent", &serde_json::to_string(parent)?)?;
    }
    Ok(())
}

pub(super) fn save_lanes(db: &Transaction<'_>, before: &Position, after: &Position) -> rusqlite::Result<()> {
    for lane in Lane::ALL {
        let place = lane.index();
        let of = |it: &Position| (it.heads[place], it.acked[place], it.sent[place]);
        if of(after) != of(before) || after.epoch != before.epoch {
            let (head, acked, sent) = of(after);
            db.prepare_cached(
                "insert or replace into lanes (lane, head, acked, sent) values (?1, ?2, ?3, ?4)",
            )?
            .execute(params![lane_number(lane), signed(head), signed(acked), signed(sent)])?;
        }
    }
    Ok(())
}

/// A watermark never falls, and never passes the head.
pub(super) fn acked(
    db: &Transaction<'_>,
    position: &mut Position,
    lane: Lane,
    watermark: u64,
) -> rusqlite::Result<()> {
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
pub(super) fn begin_epoch(db: &Transaction<'_>, position: &mut Position) -> anyhow::Result<()> {
    let parent = (position.epoch, position.heads);
    let mut heads = PerLane::default();
    for lane in Lane::ALL {
        heads[lane.index()] = outbox::renumber(db, lane, 0)?;
    }
    let none = PerLane::default();
    *position =
        Position { epoch: Epoch(Uuid::new_v4()), parent: Some(parent), heads, acked: none, sent: none };
    save_epoch(db, position)
}
