//! A folder for one run: removed when all went well, kept (and named) when the thread that holds it panics.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::programs;

/// A folder below `target/stack/` with a name of its own.
#[derive(Debug)]
pub struct Workdir {
    path: PathBuf,
}

impl Workdir {
    /// Makes a fresh folder whose name starts with `name`.
    pub fn new(name: &str) -> Result<Self> {
        let parent = programs::target_dir()?.join("stack");
        std::fs::create_dir_all(&parent).with_context(|| format!("cannot make {}", parent.display()))?;
        let dir = tempfile::Builder::new().prefix(&format!("{name}-")).tempdir_in(&parent)?;
        Ok(Self { path: dir.keep() })
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
