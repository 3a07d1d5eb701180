//! A folder for one run: removed when all went well, kept until the next run (and named) when its test panics.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::programs;

/// A folder below `target/stack/` with a name of its own.
#[derive(Debug)]
pub struct Workdir {
    path: PathBuf,
}

impl Workdir {
    /// Makes a fresh folder whose name starts with `name`, and removes those of processes that are gone.
    pub fn new(name: &str) -> Result<Self> {
        let parent = programs::target_dir()?.join("stack");
        std::fs::create_dir_all(&parent).with_context(|| format!("cannot make {}", parent.display()))?;
        sweep(&parent)?;
        let prefix = format!("{name}.{}.", std::process::id());
        let dir = tempfile::Builder::new().prefix(&prefix).tempdir_in(&parent)?;
        Ok(Self { path: dir.keep() })
    }

    /// Leaves it until the next run, for a look at what went wrong.
    pub fn keep(self) -> PathBuf {
        let path = self.path.clone();
        std::mem::forget(self);
        path
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Workdir {
    #[expect(
        clippy::print_stderr,
        reason = "the person who reads the failed test needs the place of the logs"
    )]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("logs and data are kept in {}", self.path.display());
        } else {
            std::fs::remove_dir_all(&self.path).ok();
        }
    }
}

fn sweep(parent: &Path) -> Result<()> {
    for entry in parent.read_dir()? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let owner = name.split('.').nth(1).unwrap_or("none");
        if !Path::new("/proc").join(owner).exists() {
            std::fs::remove_dir_all(entry.path()).ok();
        }
    }
    Ok(())
}
