//! From a damaged database back to a sound one, without a person.
//!
//! 1. The file is looked at when it is opened: whose it is, `quick_check`, the sums of what money hangs on, whether its rows
//!    can be read. One that fails is put aside with its companions, never deleted.
//! 2. The newest snapshot that is sound takes its place, or an empty database.
//! 3. The journal brings it up to date: every answered session is there again, under the ids and keys that it had, so that
//!    neither a station's repeat nor a second delivery makes another of it.
//! 4. A new epoch begins: the old numbers may have meant other records.
//! 5. What happened is kept in the database until the billing lane has it as an alarm.
//!
//! All of that is done to a draft that gets its name at the end; a crash in between begins anew. A database that is sound
//! and merely behind the journal, because its WAL was lost or an old copy was put back, is brought up to date by itself.

use std::path::{Path, PathBuf};

use anyhow::Context;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use serde::{Deserialize, Serialize};

use super::journal::{self, Journal, Read};
use super::meta::{DAMAGE, JOURNAL, get_meta, set_meta};
use super::trouble::Trouble;
use super::{durable, position, quarantine, replay, schema, snapshot};

/// Something that happened to the database, for the cloud and for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Damage {
    /// What, as a stable word: `database_restored` or `database_went_back`.
    pub what: String,
    /// Why, and what came of it.
    pub detail: String,
}

/// Where everything is.
pub(super) struct Paths {
    pub(super) folder: PathBuf,
    pub(super) database: PathBuf,
    pub(super) journal: PathBuf,
    pub(super) snapshots: PathBuf,
    pub(super) quarantine: PathBuf,
}

impl Paths {
    pub(super) fn of(folder: &Path) -> Self {
        Paths {
            folder: folder.to_owned(),
            database: folder.join("edge.sqlite3"),
            journal: folder.join("journal"),
            snapshots: folder.join("snapshots"),
            quarantine: folder.join("quarantine"),
        }
    }

    /// Was there ever a database?
    fn has_history(&self) -> std::io::Result<bool> {
        Ok(journal::last_number(&self.journal)? > 0 || !snapshot::list(&self.snapshots)?.is_empty())
    }
}

/// Opens the database, whatever that takes.
pub(super) fn open(paths: &Paths) -> anyhow::Result<Connection> {
    let is_there = std::fs::metadata(&paths.database).is_ok_and(|file| file.len() > 0);
    let reason = if !is_there && paths.has_history()? {
        "it was gone".to_owned()
    } else {
        match schema::open(&paths.database) {
            Ok(db) => return catch_up(db, paths),
            Err(Trouble::Damaged(reason)) => reason,
            Err(Trouble::Other(error)) => return Err(error),
        }
    };
    tracing::error!(reason, "the database is damaged: it is put aside and restored");
    let aside = quarantine::put_aside(&paths.database, &paths.quarantine)?;
    restore(paths, &reason, &aside).context("restoring the database")?;
    schema::open(&paths.database).map_err(|trouble| match trouble {
        Trouble::Damaged(reason) => anyhow::anyhow!("the restored database is damaged: {reason}"),
        Trouble::Other(error) => error,
    })
}

/// What happened to a database and has not been told yet.
pub(super) fn damages(db: &Connection) -> anyhow::Result<Vec<Damage>> {
    let text = get_meta(db, DAMAGE)?;
    Ok(text.map(|text| serde_json::from_str(&text)).transpose()?.unwrap_or_default())
}

/// The last frame of the journal that a database has.
pub(super) fn last_frame(db: &Connection) -> anyhow::Result<u64> {
    let text = get_meta(db, JOURNAL)?;
    Ok(text.map(|text| text.parse()).transpose().context("reading the journal's number")?.unwrap_or(0))
}

/// Begins the journal's next segment, after a snapshot if the journal has not got the database's last commit.
pub(super) fn begin_journal(paths: &Paths, db: &Connection) -> anyhow::Result<Journal> {
    let (written, has) = (journal::last_number(&paths.journal)?, last_frame(db)?);
    let journal = Journal::begin(&paths.journal, written.max(has))?;
    if has > written {
        tracing::warn!(has, written, "the journal missed the database's last commit: a snapshot is made");
        // On a disk without room for one, that commit is in one place until the next snapshot. Charging goes on.
        if let Err(error) = snapshot::take(&paths.database, &paths.snapshots, journal.segment()) {
            tracing::error!(error = format!("{error:#}"), "no snapshot was made");
        }
    }
    Ok(journal)
}

/// One frame more than the database has is a commit that was cut short. More are commits that the database once had.
fn catch_up(mut db: Connection, paths: &Paths) -> anyhow::Result<Connection> {
    let mut position = position::ensure_position(&mut db)?;
    let before = position.clone();
    let step = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let read = journal::read(&paths.journal, last_frame(&step)?)?;
    if read.frames.is_empty() {
        drop(step);
        return Ok(db);
    }
    let went_back = read.frames.len() > 1 || !read.missing.is_empty();
    let unreadable = replay::replay(&step, &mut position, &read.frames)?;
    if went_back {
        let detail = format!("it had lost commits; {}", told(&read, unreadable));
        tracing::error!(detail, "the database went back");
        add_damage(&step, Damage { what: "database_went_back".into(), detail })?;
        position::begin_epoch(&step, &mut position)?;
    }
    position::save_lanes(&step, &before, &position)?;
    step.commit()?;
    Ok(db)
}

fn restore(paths: &Paths, reason: &str, aside: &str) -> anyhow::Result<()> {
    let draft = paths.folder.join("edge.sqlite3.restoring");
    let (mut db, from) = base(paths, &draft)?;
    let read = journal::read(&paths.journal, last_frame(&db)?)?;
    let mut position = position::ensure_position(&mut db)?;
    let (step, before) = (db.transaction()?, position.clone());
    let unreadable = replay::replay(&step, &mut position, &read.frames)?;
    position::begin_epoch(&step, &mut position)?;
    position::save_lanes(&step, &before, &position)?;
    let detail = format!("{reason}; put aside as {aside}; {from}; {}", told(&read, unreadable));
    tracing::error!(detail, "the database was restored");
    add_damage(&step, Damage { what: "database_restored".into(), detail })?;
    step.commit()?;
    db.execute_batch("pragma wal_checkpoint(truncate)")?;
    db.close().map_err(|(_, error)| error)?;
    Ok(durable::put(&draft, &paths.database)?)
}

/// The newest sound snapshot as the draft, or an empty one; and which, for people.
fn base(paths: &Paths, draft: &Path) -> anyhow::Result<(Connection, String)> {
    for (number, path) in snapshot::list(&paths.snapshots)? {
        clear(draft)?;
        durable::copy(&path, draft).with_context(|| format!("copying {}", path.display()))?;
        match schema::open(draft) {
            Ok(db) => return Ok((db, format!("restored from snapshot {number}"))),
            Err(Trouble::Damaged(reason)) => tracing::error!(number, reason, "this snapshot is damaged, too"),
            Err(Trouble::Other(error)) => return Err(error),
        }
    }
    clear(draft)?;
    match schema::open(draft) {
        Ok(db) => Ok((db, "there is no sound snapshot".to_owned())),
        Err(Trouble::Damaged(reason)) => anyhow::bail!("a new database is damaged: {reason}"),
        Err(Trouble::Other(error)) => Err(error),
    }
}

/// What came from the journal, and what did not.
fn told(read: &Read, unreadable: usize) -> String {
    let mut text = format!("{} commits came from the billing journal", read.frames.len());
    for range in &read.missing {
        text += &format!(", numbers {} to {} of it are lost", range.start(), range.end());
    }
    if unreadable > 0 {
        text += &format!(", {unreadable} writes in it could not be read");
    }
    text + "; meter samples since then are lost"
}

fn add_damage(db: &Transaction<'_>, damage: Damage) -> anyhow::Result<()> {
    let mut all = damages(db)?;
    all.push(damage);
    Ok(set_meta(db, DAMAGE, &serde_json::to_string(&all)?)?)
}

fn clear(draft: &Path) -> std::io::Result<()> {
    for suffix in ["", "-wal", "-shm"] {
        let mut name = draft.as_os_str().to_owned();
        name.push(suffix);
        durable::remove(Path::new(&name))?;
    }
    Ok(())
}
