//! Finds the workspace's own programs beside the one that runs, and refuses stale ones.
//!
//! `cargo test -p stack` does not build the agent and the cloud, so a test could silently run yesterday's binary.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

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
    for source in sources(path).with_context(|| format!("what {name} was built from"))? {
        // One that is gone was an edit, too.
        let is_older =
            source.metadata().and_then(|meta| meta.modified()).is_ok_and(|changed| changed <= built);
        ensure!(
            is_older,
            "{} is older than {}: run `cargo build --workspace`",
            path.display(),
            source.display()
        );
    }
    Ok(())
}

/// What cargo wrote down beside a program: `PROGRAM: SOURCE SOURCE …`, blanks in names behind backslashes.
fn sources(program: &Path) -> Result<Vec<PathBuf>> {
    let text = std::fs::read_to_string(program.with_extension("d"))?;
    let (_, sources) = text.split_once(": ").context("a list of sources")?;
    let sources = sources.trim_end().replace("\\ ", "\0");
    Ok(sources.split(' ').map(|source| PathBuf::from(source.replace('\0', " "))).collect())
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
