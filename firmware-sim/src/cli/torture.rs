//! `firmware-sim torture`: the program `torture` beside this one. It starts a cloud and an edge, which a simulator of
//! stations knows nothing of.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};

/// Arguments of `torture`.
#[derive(clap::Args)]
pub(crate) struct TortureArguments {
    /// What `torture --help` tells
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Becomes that program; returns only when it cannot.
pub(crate) fn run(arguments: &TortureArguments) -> anyhow::Result<()> {
    let own = std::env::current_exe().context("finding this program's folder")?;
    let program = own.parent().unwrap_or(Path::new("")).join("torture");
    if !program.exists() {
        let program = program.display();
        bail!("{program} is not there: `deploy/torture` builds and runs it, or `cargo build --workspace`");
    }
    let error = Command::new(&program).args(&arguments.arguments).exec();
    Err(error).with_context(|| format!("starting {}", program.display()))
}
