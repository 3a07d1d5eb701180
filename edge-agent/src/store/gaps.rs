//! Readings that are not kept one by one while the storage is short: one row for each running session says what they were,
//! and becomes a gap record when the session ends or there is room again.

use rusqlite::{Connection, OptionalExtension, Transaction};
use shared::id::SessionId;
use shared::model::event::{MeterGap, SessionMetered};
use uuid::Uuid;

/// Adds a reading to its session's gap.
pub(super) fn add(db: &Transaction<'_>, metered: &SessionMetered) -> rusqlite::Result<()> {
    let one = of(metered);
    let gap = match read(db, metered.session)? {
        Some(gap) => join(&gap, &one),
        None => one,
    };
    let text = serde_json::to_string(&gap).expect("a gap always serialises");
    db.prepare_cached("insert or replace into gaps (session, gap) values (?1, ?2)")?
        .execute((metered.session.0.as_bytes(), text))?;
    Ok(())
}

/// The gap of a session, which is no more pending then.
pub(super) fn take(db: &Transaction<'_>, session: SessionId) -> rusqlite::Result<Option<MeterGap>> {
    let gap = read(db, session)?;
    if gap.is_some() {
        db.prepare_cached("delete from gaps where session = ?1")?.execute([session.0.as_bytes()])?;
    }
    Ok(gap)
}

/// The sessions that have one.
pub(super) fn sessions(db: &Connection) -> rusqlite::Result<Vec<SessionId>> {
    let mut query = db.prepare_cached("select session from gaps")?;
    let rows = query.query_map([], |row| Ok(SessionId(Uuid::from_bytes(row.get(0)?))))?;
    rows.collect()
}

/// A gap of one reading.
pub(super) fn of(metered: &SessionMetered) -> MeterGap {
    let reading = &metered.reading;
    MeterGap {
        session: metered.session,
        from: reading.taken_at,
        to: reading.taken_at,
        count: 1,
        energy_first: reading.register,
        energy_last: reading.register,
    }
}

/// Two gaps of a session as one, in their order.
pub(super) fn join(first: &MeterGap, then: &MeterGap) -> MeterGap {
    MeterGap {
        session: first.session,
        from: first.from.min(then.from),
        to: first.to.max(then.to),
        count: first.count.saturating_add(then.count),
        energy_first: first.energy_first.or(then.energy_first),
        energy_last: then.energy_last.or(first.energy_last),
    }
}

fn read(db: &Connection, session: SessionId) -> rusqlite::Result<Option<MeterGap>> {
    let text: Option<String> = db
        .prepare_cached("select gap from gaps where session = ?1")?
        .query_row([session.0.as_bytes()], |row| row.get(0))
        .optional()?;
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
}
