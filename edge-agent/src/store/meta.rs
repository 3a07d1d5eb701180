//! Single values of the database.

use rusqlite::{Connection, OptionalExtension, Transaction};

/// What the installer decided.
pub(super) const DECIDED_HERE: &str = "decided_here";
/// The journal's last frame that is in the database.
pub(super) const JOURNAL: &str = "journal";
/// The time of the last commit.
pub(super) const LAST_COMMITTED: &str = "last_committed";
/// What happened to the database, until the cloud's lane has it.
pub(super) const DAMAGE: &str = "damage";

pub(super) fn set_meta(db: &Transaction<'_>, key: &str, value: &str) -> rusqlite::Result<()> {
    db.prepare_cached("insert or replace into meta (key, value) values (?1, ?2)")?.execute([key, value])?;
    Ok(())
}

pub(super) fn get_meta(db: &Connection, key: &str) -> rusqlite::Result<Option<String>> {
    db.query_row("select value from meta where key = ?1", [key], |row| row.get(0)).optional()
}

pub(super) fn clear_meta(db: &Transaction<'_>, key: &str) -> rusqlite::Result<()> {
    db.prepare_cached("delete from meta where key = ?1")?.execute([key])?;
    Ok(())
}
