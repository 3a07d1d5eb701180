//! Opening the file: pragmas, checks, migrations.

use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use anyhow::anyhow;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::trouble::Trouble;
use super::{ladder, position, restore, sum};

/// Marks the file as ours (`EVB1`).
const APPLICATION_ID: i32 = 0x4556_4231;

/// SQLite before 3.51.3 can corrupt a WAL that is reset while it is read.
const OLDEST_SQLITE: i32 = 3_051_003;

const MIGRATIONS: [&str; 9] = [
    include_str!("../../migrations/0001_init.sql"),
    include_str!("../../migrations/0002_reservations.sql"),
    include_str!("../../migrations/0003_errands.sql"),
    include_str!("../../migrations/0004_settings.sql"),
    include_str!("../../migrations/0005_operations.sql"),
    include_str!("../../migrations/0006_findings.sql"),
    include_str!("../../migrations/0007_security.sql"),
    include_str!("../../migrations/0008_storage.sql"),
    include_str!("../../migrations/0009_stations.sql"),
];

/// How long the look at the pages may take. On slow storage a large database is not looked through to its end; what it is
/// used for is still checked, by SQLite itself and by [`sum`].
const PATIENCE: Duration = Duration::from_secs(4);

/// Opens the database for the writer, once it was found sound.
pub(super) fn open(path: &Path) -> Result<Connection, Trouble> {
    let old = rusqlite::version_number() < OLDEST_SQLITE;
    if old {
        return Err(Trouble::Other(anyhow!("SQLite {} is too old", rusqlite::version())));
    }
    let mut db = Connection::open(path)?;
    db.busy_timeout(Duration::from_secs(5))?;
    db.pragma_update(None, "journal_mode", "wal")?;
    db.pragma_update(None, "synchronous", "full")?;
    db.pragma_update(None, "foreign_keys", "on")?;
    db.pragma_update(None, "temp_store", "memory")?;
    check_pages(&db)?;
    migrate(&mut db)?;
    check_rows(&db)?;
    Ok(db)
}

/// Opens it again, for reading only.
pub(super) fn open_reader(path: &Path) -> anyhow::Result<Connection> {
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    db.busy_timeout(Duration::from_secs(5))?;
    Ok(db)
}

/// Looks whether a database is sound, and changes nothing.
pub(super) fn inspect(path: &Path) -> Result<(), Trouble> {
    let db = open_reader(path).map_err(Trouble::of)?;
    check_pages(&db)?;
    check_rows(&db)
}

fn check_pages(db: &Connection) -> Result<(), Trouble> {
    let id: i32 = db.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let tables: i64 = db.query_row("select count(*) from sqlite_schema", [], |row| row.get(0))?;
    if id != APPLICATION_ID && (id != 0 || tables != 0) {
        return Err(Trouble::Damaged(format!("it is not a gateway's database (application_id {id})")));
    }
    match within(PATIENCE, db, || db.query_row("pragma quick_check(1)", [], |row| row.get::<_, String>(0))) {
        Ok(verdict) if verdict == "ok" => Ok(()),
        Ok(verdict) => Err(Trouble::Damaged(verdict)),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => {
            tracing::warn!(
                seconds = PATIENCE.as_secs(),
                "the database is too large to be looked through; going on"
            );
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

fn check_rows(db: &Connection) -> Result<(), Trouble> {
    if let Some(damage) = sum::check(db)? {
        return Err(Trouble::Damaged(damage));
    }
    restore::restore(db).map_err(Trouble::of)?;
    restore::last_committed(db).map_err(Trouble::of)?;
    position::read(db).map_err(Trouble::of)?;
    ladder::last_frame(db).map_err(Trouble::of)?;
    ladder::damages(db).map_err(Trouble::of)?;
    Ok(())
}

/// Runs a query that is interrupted when it takes too long.
fn within<T>(patience: Duration, db: &Connection, query: impl FnOnce() -> T) -> T {
    let interrupt = db.get_interrupt_handle();
    std::thread::scope(|scope| {
        let (done, wait) = mpsc::channel::<()>();
        scope.spawn(move || {
            if wait.recv_timeout(patience) == Err(mpsc::RecvTimeoutError::Timeout) {
                interrupt.interrupt();
            }
        });
        let outcome = query();
        drop(done);
        outcome
    })
}

fn migrate(db: &mut Connection) -> Result<(), Trouble> {
    let done: u32 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let (done, known) = (usize::try_from(done).unwrap_or(usize::MAX), MIGRATIONS.len());
    if done > known {
        let newer = anyhow!("the database is from a newer agent (schema {done}, this one knows {known})");
        return Err(Trouble::Other(newer));
    }
    for (version, sql) in MIGRATIONS.iter().enumerate().skip(done) {
        let step = db.transaction()?;
        step.execute_batch(sql)?;
        step.pragma_update(None, "user_version", i64::try_from(version + 1).unwrap_or(i64::MAX))?;
        step.pragma_update(None, "application_id", APPLICATION_ID)?;
        step.commit()?;
    }
    Ok(())
}
