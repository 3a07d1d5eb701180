//! What need not be kept any longer.

use rusqlite::Transaction;
use shared::model::Lane;
use shared::units::Timestamp;

use super::{Position, outbox};

pub(super) fn retain(db: &Transaction<'_>, position: &Position, since: Timestamp) -> rusqlite::Result<()> {
    outbox::delete_acked(db, Lane::Billing, position.acked[Lane::Billing.index()], Some(since))?;
    db.execute("delete from sessions where open = 0 and started_at < ?1", [since.0])?;
    db.execute("delete from raw_messages where received_at < ?1", [since.0])?;
    db.execute("delete from commands where result is not null and received_at < ?1", [since.0])?;
    Ok(())
}
