//! The whole house on one machine, and one story on it: two cars charge, the internet goes, a third car comes, the
//! internet returns, and every bill is right.
//!
//! Everything is real except the chargers: Postgres, the cloud with its broker, and the agent are the programs that
//! are deployed. State is kept in `target/demo/`; other clients join through `target/demo/env`.

mod audit;
mod chargers;
mod env;
mod play;
mod screen;
mod stage;

use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use crate::stage::Stage;

/// Runs the house with three simulated stations until Ctrl-C.
#[derive(Parser)]
struct Arguments {
    /// Play the story once, compare the bills with the stations' meters, and exit.
    #[arg(long)]
    once: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            screen::say(&format!("\nThe demo failed: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut stage = tokio::select! {
        stage = Stage::build() => stage?,
        _ = interrupt.recv() => return Ok(()),
        _ = terminate.recv() => return Ok(()),
    };
    let outcome = tokio::select! {
        outcome = perform(&mut stage, arguments.once) => outcome,
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
    };
    match outcome {
        Ok(()) => stage.strike().await,
        Err(error) => {
            screen::say(&format!("Logs and data are kept in {}", stage.keep().display()));
            Err(error)
        }
    }
}

async fn perform(stage: &mut Stage, once: bool) -> Result<()> {
    let screen = screen::watch(stage.house.edge.local_url());
    play::story(stage).await?;
    let differences = audit::bills(stage).await?;
    stage.announce();
    ensure!(differences == 0, "{differences} bills differ from what the stations metered");
    screen::say("Every bill equals what the station metered, in energy and in money.");
    if !once {
        play::on_and_on(stage).await?;
    }
    drop(screen);
    Ok(())
}
