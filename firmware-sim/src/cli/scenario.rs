//! `firmware-sim scenario`.

use std::path::PathBuf;

use firmware_sim::scenario::{Overrides, Scenario};

use super::journal;

/// Arguments of `scenario`.
#[derive(clap::Args)]
pub(crate) struct ScenarioArguments {
    /// The script
    file: PathBuf,
    /// Where the CSMS is, instead of the script's `url`
    #[arg(long, env = "FIRMWARE_SIM_URL")]
    url: Option<String>,
    /// The Basic password of stations that have none in the script
    #[arg(long, env = "FIRMWARE_SIM_PASSWORD", hide_env_values = true)]
    password: Option<String>,
    /// Append what every session's meter saw to this file, as JSON lines
    #[arg(long)]
    journal: Option<PathBuf>,
    /// Only read the script and say what is wrong with it
    #[arg(long)]
    check: bool,
}

pub(crate) async fn run(arguments: ScenarioArguments) -> anyhow::Result<()> {
    let (scenario, text) = Scenario::read(&arguments.file)?;
    if arguments.check {
        println!("{} is right", arguments.file.display());
        return Ok(());
    }
    let journal = journal(arguments.journal.as_deref())?;
    let overrides = Overrides { url: arguments.url, password: arguments.password, journal };
    let (records, summary) = scenario.play(&text, overrides).await?;
    for record in records {
        println!("{}", serde_json::to_string(&record)?);
    }
    anyhow::ensure!(
        summary.is_clean(),
        "{} of {} sessions were answered, the schema was violated {} times",
        summary.answered,
        summary.sessions,
        summary.violations
    );
    Ok(())
}
