//! Finds the workspace's own programs beside the one that runs, and refuses stale ones.
//!
//! `cargo test -p stack` does not build the agent and the cloud, so a test could silently run yesterday's binary.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use anyhow::{Context, Result, bail, ensure};

/// The path of one of the workspace's programs, built in the profile of the current one.
pub fn find(name: &str) -> Result<PathBuf> {
    static FRESH: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let path = profile_dir()?.join(name);
    let mut fresh = FRESH.lock().unwrap_or_else(PoisonError::into_inner);
    // Once per run: an edit in the middle of it is for the next one.
    if !fresh.contains(name) {
        check_fresh(name, &path)?;
        fresh.insert(name.to_owned());
    }
    Ok(path)
}

fn check_fresh(name: &str, path: &Path) -> Result<()> {
    let Ok(built) = path.metadata().and_then(|meta| meta.modified()) else {
        bail!("{} is not built: run `cargo build --workspace`", path.display());
    };
    let own = format!("{name}/src");
    let traces = (name != "firmware-sim").then_some("traces/src");
    for sources in ["shared/src", &own].into_iter().chain(traces) {
        ensure!(
            newest(&repository().join(sources))? <= built,
            "{} is older than {sources}: run `cargo build --workspace`",
            path.display()
        );
    }
    Ok(())
}

/// `target/`, whatever it is called.
pub fn target_dir() -> Result<PathBuf> {
    Ok(profile_dir()?.parent().context("a profile folder has a parent")?.to_owned())
}

/// The top folder of the sources.
pub fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// `target/debug` or `target/release`: the folder of the current program, a test's being one deeper.
fn profile_dir() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    let folder = program.parent().context("a program is in a folder")?;
    let deeper = folder.ends_with("deps") || folder.ends_with("examples");
    Ok(if deeper { folder.parent().context("deps has a parent")? } else { folder }.to_owned())
}

fn newest(folder: &Path) -> Result<SystemTime> {
    let mut newest = SystemTime::UNIX_EPOCH;
    let Ok(entries) = folder.read_dir() else { return Ok(newest) };
    for entry in entries {
        let entry = entry?;
        let modified = if entry.file_type()?.is_dir() {
            self::newest(&entry.path())?
        } else {
            entry.metadata()?.modified()?
        };
        newest = newest.max(modified);
    }
    Ok(newest)
}
