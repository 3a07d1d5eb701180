//! Snapshots: whole copies of the database, made while it is written.
//!
//! `VACUUM INTO` over a connection of its own reads one state of the database and disturbs nobody. A copy gets its name when
//! it is on the disk and was found sound; its number is the first segment of the journal that it does not cover.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, ensure};

use super::trouble::Trouble;
use super::{durable, schema};

/// Copies that are kept.
pub(super) const KEPT: usize = 2;

/// Copies the database, and forgets the oldest copies.
pub(super) fn take(database: &Path, folder: &Path, segment: u64) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
    let (draft, path) = (folder.join("draft"), path(folder, segment));
    remove(&draft)?;
    let (size, free) = (std::fs::metadata(database)?.len(), durable::free(folder)?);
    ensure!(free / 2 > size, "a copy of {size} bytes would fill the disk: {free} are free");
    let db = schema::open_reader(database)?;
    let name = draft.to_str().context("the data folder's name is not text")?;
    db.execute("vacuum into ?1", [name]).context("copying the database")?;
    drop(db);
    schema::inspect(&draft).map_err(|trouble| match trouble {
        Trouble::Damaged(reason) => anyhow!("the copy is damaged: {reason}"),
        Trouble::Other(error) => error.context("looking at the copy"),
    })?;
    durable::put(&draft, &path).with_context(|| format!("keeping {}", path.display()))?;
    forget(folder, KEPT)
}

/// The copies, newest first.
pub(super) fn list(folder: &Path) -> std::io::Result<Vec<(u64, PathBuf)>> {
    let mut all: Vec<(u64, PathBuf)> = durable::files(folder)?
        .into_iter()
        .filter_map(|path| Some((path.file_name()?.to_str()?.strip_suffix(".sqlite3")?.parse().ok()?, path)))
        .collect();
    all.sort_unstable_by(|a, b| b.cmp(a));
    Ok(all)
}

/// Deletes all but the newest `kept`, and what a crash left of a copy.
pub(super) fn forget(folder: &Path, kept: usize) -> anyhow::Result<()> {
    for (_, path) in list(folder)?.into_iter().skip(kept) {
        remove(&path)?;
    }
    Ok(remove(&folder.join("draft"))?)
}

fn path(folder: &Path, segment: u64) -> PathBuf {
    folder.join(format!("{segment:010}.sqlite3"))
}

fn remove(path: &Path) -> std::io::Result<()> {
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        durable::remove(Path::new(&name))?;
    }
    Ok(())
}
