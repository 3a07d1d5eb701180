//! Damaged databases, put aside for whoever wants to look into them.

use std::path::Path;

use anyhow::Context;

use super::durable;

/// More are not kept; when the disk is short, only the newest is.
const KEPT: usize = 8;

/// Moves a database with its companions aside; returns its name there.
pub(super) fn put_aside(database: &Path, folder: &Path) -> anyhow::Result<String> {
    std::fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
    let number = numbers(folder)?.last().map_or(1, |last| last + 1);
    let name = format!("{number:04}-edge.sqlite3");
    for suffix in ["-wal", "-shm", ""] {
        let mut from = database.as_os_str().to_owned();
        from.push(suffix);
        let to = folder.join(format!("{name}{suffix}"));
        match std::fs::rename(&from, &to) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("putting {} aside", database.display()));
            }
            Ok(()) | Err(_) => {}
        }
    }
    durable::sync_folder(folder)?;
    if let Some(parent) = database.parent() {
        durable::sync_folder(parent)?;
    }
    while numbers(folder)?.len() > KEPT {
        forget_oldest(folder)?;
    }
    Ok(name)
}

/// Deletes the oldest one, unless it is the only one. Says whether there was one to delete.
pub(super) fn forget_oldest(folder: &Path) -> std::io::Result<bool> {
    let numbers = numbers(folder)?;
    let ([oldest, ..], true) = (numbers.as_slice(), numbers.len() > 1) else { return Ok(false) };
    for suffix in ["", "-wal", "-shm"] {
        durable::remove(&folder.join(format!("{oldest:04}-edge.sqlite3{suffix}")))?;
    }
    Ok(true)
}

/// How many there are.
pub(super) fn count(folder: &Path) -> usize {
    numbers(folder).map_or(0, |numbers| numbers.len())
}

fn numbers(folder: &Path) -> std::io::Result<Vec<u32>> {
    let number = |path: std::path::PathBuf| path.file_name()?.to_str()?.split_once('-')?.0.parse().ok();
    let mut numbers: Vec<u32> = durable::files(folder)?.into_iter().filter_map(number).collect();
    numbers.sort_unstable();
    numbers.dedup();
    Ok(numbers)
}
