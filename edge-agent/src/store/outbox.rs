//! The outbox: facts in order, numbered without gaps, kept until the cloud has committed them.

use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};
use shared::id::BootId;
use shared::model::Lane;
use shared::sync::{ClockQuality, Header, MAX_BATCH_BYTES, Record};
use shared::units::Timestamp;
use uuid::Uuid;

use super::{Position, sum};

/// Roughly what a record's header takes on the wire.
const HEADER_BYTES: usize = 80;

const RECORDS: &str =
    "select seq, kind, kind_ver, occurred_at, clock, boot, mono_ms, key, body, sum from outbox
     where lane = ?1 and seq > ?2";

/// Appends a fact under the next number of its lane.
pub(super) fn append(
    db: &Transaction<'_>,
    position: &mut Position,
    lane: Lane,
    record: &Record,
) -> rusqlite::Result<()> {
    let head = &mut position.heads[lane.index()];
    *head += 1;
    insert(db, lane, *head, record)
}

/// Puts a fact under a number.
pub(super) fn insert(db: &Transaction<'_>, lane: Lane, seq: u64, record: &Record) -> rusqlite::Result<()> {
    let Record { header, body } = record;
    db.prepare_cached(
        "insert into outbox (lane, seq, kind, kind_ver, occurred_at, clock, boot, mono_ms, key, body, sum)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )?
    .execute(params![
        lane_number(lane),
        signed(seq),
        header.kind,
        header.kind_ver,
        header.occurred_at.0,
        clock_number(header.clock),
        header.boot.0.as_bytes(),
        signed(header.mono_ms),
        header.key,
        body,
        sum::of_record(header.kind, &header.key, body),
    ])?;
    Ok(())
}

/// Records of a lane after a number, as many as fit a batch.
pub(super) fn records(
    db: &Connection,
    lane: Lane,
    after: u64,
    limit: usize,
) -> anyhow::Result<Vec<(u64, Record)>> {
    let mut query = db.prepare_cached(&format!("{RECORDS} order by seq limit ?3"))?;
    let limit = i64::try_from(limit)?;
    let rows = query.query_map(params![lane_number(lane), signed(after), limit], numbered)?;
    let (mut batch, mut bytes) = (Vec::new(), 0);
    for row in rows {
        let (seq, record) = checked(lane, row?)?;
        bytes += HEADER_BYTES + record.body.len();
        if bytes > MAX_BATCH_BYTES && !batch.is_empty() {
            break;
        }
        batch.push((seq, record));
    }
    Ok(batch)
}

/// The record of a key between two numbers, which is looked for from the end: it is seldom old.
pub(super) fn named(
    db: &Connection,
    lane: Lane,
    above: u64,
    below: u64,
    key: &str,
) -> anyhow::Result<Option<(u64, Record)>> {
    let mut query =
        db.prepare_cached(&format!("{RECORDS} and seq < ?3 and key = ?4 order by seq desc limit 1"))?;
    let row = query.query_row(params![lane_number(lane), signed(above), signed(below), key], numbered);
    row.optional()?.map(|row| checked(lane, row)).transpose()
}

/// A billing record that is spoiled goes nowhere.
fn checked(lane: Lane, (seq, record, its_sum): (u64, Record, Option<i64>)) -> anyhow::Result<(u64, Record)> {
    let its = sum::of_record(record.header.kind, &record.header.key, &record.body);
    let intact = its_sum.is_none_or(|it| it == its);
    anyhow::ensure!(
        intact || lane != Lane::Billing,
        "billing record {seq} is not what was written; the agent ends, and restores the database when it starts"
    );
    Ok((seq, record))
}

/// A row of [`RECORDS`] with its sum.
fn numbered(row: &Row<'_>) -> rusqlite::Result<(u64, Record, Option<i64>)> {
    let header = Header {
        kind: row.get(1)?,
        kind_ver: row.get(2)?,
        occurred_at: Timestamp(row.get(3)?),
        clock: clock_of(row.get(4)?),
        boot: BootId(Uuid::from_bytes(row.get(5)?)),
        mono_ms: row.get::<_, i64>(6)?.unsigned_abs(),
        key: row.get(7)?,
    };
    Ok((row.get::<_, i64>(0)?.unsigned_abs(), Record { header, body: row.get(8)? }, row.get(9)?))
}

/// Records of a lane above a number, up to another.
pub(super) fn between(
    db: &Connection,
    lane: Lane,
    above: u64,
    up_to: u64,
) -> anyhow::Result<Vec<(u64, Record)>> {
    let mut query = db.prepare_cached(&format!("{RECORDS} and seq <= ?3 order by seq"))?;
    let rows = query.query_map(params![lane_number(lane), signed(above), signed(up_to)], numbered)?;
    rows.map(|row| row.map(|(seq, record, _)| (seq, record)).map_err(Into::into)).collect()
}

/// Deletes one record.
pub(super) fn delete(db: &Transaction<'_>, lane: Lane, seq: u64) -> rusqlite::Result<()> {
    db.prepare_cached("delete from outbox where lane = ?1 and seq = ?2")?
        .execute([lane_number(lane), signed(seq)])?;
    Ok(())
}

/// Deletes what the cloud has committed, but billing records only when they are older than `billing_since`.
pub(super) fn delete_acked(
    db: &Transaction<'_>,
    lane: Lane,
    acked: u64,
    before: Option<Timestamp>,
) -> rusqlite::Result<()> {
    db.prepare_cached("delete from outbox where lane = ?1 and seq <= ?2 and occurred_at < ?3")?
        .execute(params![lane_number(lane), signed(acked), before.map_or(i64::MAX, |before| before.0),])?;
    Ok(())
}

/// Numbers a lane's records above `after` anew and without gaps; returns the new head.
pub(super) fn renumber(db: &Transaction<'_>, lane: Lane, after: u64) -> rusqlite::Result<u64> {
    let lane = lane_number(lane);
    let numbers: Vec<i64> = db
        .prepare_cached("select seq from outbox where lane = ?1 and seq > ?2 order by seq")?
        .query_map([lane, signed(after)], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let mut update = db.prepare_cached("update outbox set seq = ?3 where lane = ?1 and seq = ?2")?;
    for (new, old) in (signed(after) + 1..).zip(&numbers) {
        if new != *old {
            update.execute(params![lane, old, new])?;
        }
    }
    Ok(after + u64::try_from(numbers.len()).unwrap_or(u64::MAX))
}

/// A lane's number in the database.
pub(super) fn lane_number(lane: Lane) -> i64 {
    match lane {
        Lane::Billing => 0,
        Lane::Meter => 1,
        Lane::Status => 2,
    }
}

/// SQLite's integers are signed; our counters never reach the sign.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn clock_number(clock: ClockQuality) -> i64 {
    match clock {
        ClockQuality::Synced => 0,
        ClockQuality::Assumed => 1,
        ClockQuality::Unset => 2,
    }
}

fn clock_of(number: i64) -> ClockQuality {
    match number {
        0 => ClockQuality::Synced,
        1 => ClockQuality::Assumed,
        _ => ClockQuality::Unset,
    }
}
