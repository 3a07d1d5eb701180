//! What an agent of an older version would have left: its schema, made by the migrations that it knew, with what this one
//! keeps in the columns that it had.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rusqlite::Connection;
use rusqlite::config::DbConfig;
use stack::programs;

const DATABASE: &str = "edge.sqlite3";
const APPLICATION_ID: i32 = 0x4556_4231;
/// The first version with a journal and snapshots beside its database.
const JOURNAL: usize = 8;

/// The migrations of a program, in their order.
pub(super) fn migrations(program: &str) -> Result<Vec<PathBuf>> {
    let folder = programs::repository().join(program).join("migrations");
    let entries = folder.read_dir().with_context(|| folder.display().to_string())?;
    let mut files: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    files.sort();
    Ok(files)
}

/// The data of an agent of a version, which died, in a folder.
pub(super) fn make(lived: &Path, version: usize, into: &Path) -> Result<()> {
    copy(lived, into, |name| {
        let since_journal = ["journal", "snapshots", "quarantine"].contains(&name);
        let anew = name.starts_with(DATABASE) || name.starts_with("frames.") || name == "log";
        !anew && (version >= JOURNAL || !since_journal)
    })?;
    let db = Connection::open(into.join(DATABASE))?;
    // It died: what it wrote last is in its WAL.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    db.pragma_update(None, "journal_mode", "wal")?;
    for file in &migrations("edge-agent")?[..version] {
        db.execute_batch(&std::fs::read_to_string(file)?)?;
    }
    db.pragma_update(None, "user_version", i64::try_from(version)?)?;
    db.pragma_update(None, "application_id", APPLICATION_ID)?;
    db.execute("attach ?1 as lived", [lived.join(DATABASE).to_str().context("a path in UTF-8")?])?;
    let tables = "select m.name, group_concat(c.name) from main.sqlite_schema m, pragma_table_info(m.name, 'main') c
        where m.type = 'table' and exists (select * from pragma_table_info(m.name, 'lived') l where l.name = c.name)
        group by m.name";
    let mut tables = db.prepare(tables)?;
    let tables = tables.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    for table in tables.collect::<rusqlite::Result<Vec<(String, String)>>>()? {
        let (name, columns) = table;
        db.execute_batch(&format!("insert into main.{name} ({columns}) select {columns} from lived.{name}"))?;
    }
    if version < JOURNAL {
        db.execute("delete from meta where key = 'journal'", [])?;
    }
    Ok(())
}

/// Copies what is wanted of a folder; the rest of what is there stays.
pub(super) fn copy(from: &Path, to: &Path, wanted: impl Fn(&str) -> bool + Copy) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in from.read_dir().with_context(|| from.display().to_string())? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match path.is_dir() {
            _ if !wanted(&name) => {}
            true => copy(&path, &to.join(&name), wanted)?,
            false => std::fs::copy(&path, to.join(&name)).map(drop)?,
        }
    }
    Ok(())
}
