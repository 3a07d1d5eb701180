//! F3, F4 and F16: worlds without sockets, played by the edge agent's own test programs, as often as the scale says.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use stack::programs;
use tokio::process::Command;

use super::Trial;
use crate::outcome::Outcome;

/// F3: the sync protocol in a world where everything goes wrong, in virtual time.
pub(crate) async fn simulation(trial: &mut Trial) -> Result<Outcome> {
    let rounds = trial.scale.of(1_000, 10_000, 100_000);
    let environment = ("SEEDS", rounds.to_string());
    play(trial, Plan { program: "simulation", which: &["--skip", "exhaustive"], environment, rounds }).await
}

/// F4: every way that a small world can go.
pub(crate) async fn exhaustive(trial: &mut Trial) -> Result<Outcome> {
    let environment = ("WORLD", trial.scale.of("small", "small", "large").to_owned());
    play(trial, Plan { program: "simulation", which: &["exhaustive"], environment, rounds: 1 }).await
}

/// F16: histories of stations that repeat, forget and reorder.
pub(crate) async fn histories(trial: &mut Trial) -> Result<Outcome> {
    let rounds = trial.scale.of(1_000, 5_000, 20_000);
    let environment = ("HISTORIES", rounds.to_string());
    play(trial, Plan { program: "histories", which: &[], environment, rounds }).await
}

/// What is run: the test program, which of its tests, and how much, by its environment.
struct Plan {
    program: &'static str,
    which: &'static [&'static str],
    environment: (&'static str, String),
    rounds: u64,
}

async fn play(trial: &mut Trial, plan: Plan) -> Result<Outcome> {
    let (name, value) = plan.environment;
    trial.line.of(plan.rounds);
    trial.line.doing(format!("{name}={value} cargo test -p edge-agent --test {}", plan.program));
    let mut cargo = Command::new("cargo");
    cargo.args(["test", "-q", "-p", "edge-agent", "--test", plan.program, "--", "--nocapture"]);
    cargo.args(plan.which).env(name, &value).current_dir(programs::repository());
    let output = cargo.stdin(Stdio::null()).kill_on_drop(true).output().await.context("starting cargo")?;
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}", last_lines(&text));
    (0..plan.rounds).for_each(|_| trial.line.round());
    let result = text.lines().find(|line| line.contains("test result")).unwrap_or_default();
    let notes = vec![format!("`{name}={value} cargo test -p edge-agent --test {}`: {result}", plan.program)];
    Ok(Outcome { notes, ..Outcome::default() })
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(12)..].join("\n     ")
}
