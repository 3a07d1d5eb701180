//! Checksums of rows.
//!
//! SQLite notices when the structure of a page is damaged, not when a bit of a value in it flipped. What money hangs on is
//! therefore summed when it is written and compared before it is used: a flipped bit becomes a damaged database, which is
//! restored, and never another bill.

use rusqlite::{Connection, params};
use shared::model::Lane;

use super::outbox::lane_number;

/// The sum of a row's parts.
pub(super) fn of(parts: &[&[u8]]) -> i64 {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        hasher.update(part);
    }
    let first: [u8; 8] = std::array::from_fn(|place| hasher.finalize().as_bytes()[place]);
    i64::from_le_bytes(first)
}

/// The sum of a record.
pub(super) fn of_record(kind: u16, key: &str, body: &[u8]) -> i64 {
    of(&[&kind.to_le_bytes(), key.as_bytes(), body])
}

/// What is wrong with the rows that money hangs on: billing records that the cloud does not have, sessions that run.
pub(super) fn check(db: &Connection) -> rusqlite::Result<Option<String>> {
    let mut records = db.prepare(
        "select seq, kind, key, body, sum from outbox join lanes using (lane)
         where lane = ?1 and seq > acked and sum is not null",
    )?;
    let mut rows = records.query(params![lane_number(Lane::Billing)])?;
    while let Some(row) = rows.next()? {
        let (key, body) = (row.get_ref(2)?.as_str()?, row.get_ref(3)?.as_blob()?);
        if of_record(row.get(1)?, key, body) != row.get::<_, i64>(4)? {
            return Ok(Some(format!("billing record {} is not what was written", row.get::<_, i64>(0)?)));
        }
    }
    let mut sessions = db.prepare("select state, sum from sessions where open = 1 and sum is not null")?;
    let mut rows = sessions.query([])?;
    while let Some(row) = rows.next()? {
        if of(&[row.get_ref(0)?.as_bytes()?]) != row.get::<_, i64>(1)? {
            return Ok(Some("a running session is not what was written".into()));
        }
    }
    Ok(None)
}
