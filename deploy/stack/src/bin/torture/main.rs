//! Everything that can go wrong between a charger and its bill, done on purpose to the real programs, again and again;
//! and a checker apart from them that compares what the stations metered with what the edge keeps and the cloud bills.
//!
//! A row is one kind of fault; each takes its chances from one seed, which is printed. `deploy/torture --row F2 --seed 7`
//! plays one again. What a seed repeats is what we do to the programs and when; how their threads interleave is theirs.

mod checker;
mod cli;
mod drivers;
mod measure;
mod outcome;
mod power;
mod prober;
mod progress;
mod report;
mod rows;
mod seed;
mod stage;
mod teller;
mod times;
mod watch;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::Arguments;
use crate::outcome::Played;
use crate::progress::{Line, say};
use crate::rows::{Row, Trial};

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("torture: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// True when every row held.
async fn run(arguments: &Arguments) -> Result<bool> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut played = Vec::new();
    let begin = Instant::now();
    say(&format!("{} scale, seed {}", arguments.scale().name(), arguments.seed()));
    for row in arguments.rows() {
        let one = tokio::select! {
            one = play(arguments, row) => one,
            _ = tokio::signal::ctrl_c() => break,
            _ = terminate.recv() => break,
        };
        say(&one.line(arguments));
        played.push(one);
    }
    let failed = played.iter().filter(|one| !one.held()).count();
    say(&format!("\n{} rows held, {failed} failed, {} s", played.len() - failed, begin.elapsed().as_secs()));
    if let Some(path) = &arguments.report {
        report::write(path, arguments, &played, begin.elapsed())?;
    }
    Ok(failed == 0)
}

async fn play(arguments: &Arguments, row: Row) -> Played {
    let begin = Instant::now();
    let line = Line::begin(row.name());
    let mut trial = Trial::new(row, arguments.scale(), arguments.seed(), line);
    let outcome = rows::play(&mut trial).await;
    Played { row, outcome, faults: trial.line.faults(), rounds: trial.line.rounds(), took: begin.elapsed() }
}
