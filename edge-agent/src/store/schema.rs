//! Opening the file: pragmas, checks, migrations.

use std::path::Path;

use anyhow::{Context, ensure};
use rusqlite::{Connection, OpenFlags};

/// Marks the file as ours (`EVB1`).
const APPLICATION_ID: i32 = 0x4556_4231;

/// SQLite before 3.51.3 can corrupt a WAL that is reset while it is read.
const OLDEST_SQLITE: i32 = 3_051_003;

const MIGRATIONS: [&str; 7] = [
    include_str!("../../migrations/0001_init.sql"),
    include_str!("../../migrations/0002_reservations.sql"),
    include_str!("../../migrations/0003_errands.sql"),
    include_str!("../../migrations/0004_settings.sql"),
    include_str!("../../migrations/0005_operations.sql"),
    include_str!("../../migrations/0006_findings.sql"),
    include_str!("../../migrations/0007_security.sql"),
];

/// Opens the database for the writer.
pub(super) fn open(path: &Path) -> anyhow::Result<Connection> {
    ensure!(rusqlite::version_number() >= OLDEST_SQLITE, "SQLite {} is too old", rusqlite::version());
    let mut db = Connection::open(path)?;
    db.busy_timeout(std::time::Duration::from_secs(5))?;
    db.pragma_update(None, "journal_mode", "wal")?;
    db.pragma_update(None, "synchronous", "full")?;
    db.pragma_update(None, "foreign_keys", "on")?;
    db.pragma_update(None, "temp_store", "memory")?;
    check(&db)?;
    migrate(&mut db)?;
    Ok(db)
}

/// Opens it again, for reading only.
pub(super) fn open_reader(path: &Path) -> anyhow::Result<Connection> {
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    db.busy_timeout(std::time::Duration::from_secs(5))?;
    Ok(db)
}

fn check(db: &Connection) -> anyhow::Result<()> {
    let id: i32 = db.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let tables: i64 = db.query_row("select count(*) from sqlite_schema", [], |row| row.get(0))?;
    ensure!(
        id == APPLICATION_ID || (id == 0 && tables == 0),
        "this is not a gateway's database (application_id {id})"
    );
    let verdict: String = db.query_row("pragma quick_check(1)", [], |row| row.get(0))?;
    ensure!(verdict == "ok", "the database is damaged: {verdict}");
    Ok(())
}

fn migrate(db: &mut Connection) -> anyhow::Result<()> {
    let done: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let done = usize::try_from(done)?;
    ensure!(
        done <= MIGRATIONS.len(),
        "the database is from a newer agent (schema {done}, this one knows {})",
        MIGRATIONS.len()
    );
    for (version, sql) in MIGRATIONS.iter().enumerate().skip(done) {
        let step = db.transaction()?;
        step.execute_batch(sql).with_context(|| format!("migration {}", version + 1))?;
        step.pragma_update(None, "user_version", i64::try_from(version + 1)?)?;
        step.pragma_update(None, "application_id", APPLICATION_ID)?;
        step.commit()?;
    }
    Ok(())
}
