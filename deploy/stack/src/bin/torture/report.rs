//! The report, in Markdown: what was run, from which seed, what came of it, and what was not run and why.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::cli::Arguments;
use crate::outcome::Played;

/// Writes it whole.
pub(crate) fn write(path: &Path, arguments: &Arguments, played: &[Played], took: Duration) -> Result<()> {
    let mut text = String::new();
    head(&mut text, arguments, played, took)?;
    table(&mut text, arguments, played)?;
    for one in played {
        details(&mut text, arguments, one)?;
    }
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn head(text: &mut String, arguments: &Arguments, played: &[Played], took: Duration) -> Result<()> {
    let (scale, seed) = (arguments.scale().name(), arguments.seed());
    let held = played.iter().filter(|one| one.held()).count();
    writeln!(text, "# Torture\n")?;
    writeln!(
        text,
        "Scale `{scale}`, seed `{seed}`, {} s: {held} of {} rows held.\n",
        took.as_secs(),
        played.len()
    )?;
    Ok(())
}

fn table(text: &mut String, arguments: &Arguments, played: &[Played]) -> Result<()> {
    writeln!(
        text,
        "| row | what is done | rounds | faults | sessions | records | lost | doubled | other | held | again |"
    )?;
    writeln!(text, "|---|---|--:|--:|--:|--:|--:|--:|--:|---|---|")?;
    for one in played {
        let verdict = one.outcome.as_ref().map(|outcome| outcome.verdict.clone()).unwrap_or_default();
        let (lost, doubled) = (verdict.lost(), verdict.doubled());
        let other = verdict.findings.len() - lost - doubled;
        let held = if one.held() { "yes" } else { "**no**" };
        writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {lost} | {doubled} | {other} | {held} | `{}` |",
            one.row.name(),
            one.row.fault(),
            one.rounds,
            one.faults,
            verdict.sessions,
            verdict.records,
            arguments.again(one.row)
        )?;
    }
    Ok(())
}

fn details(text: &mut String, _arguments: &Arguments, one: &Played) -> Result<()> {
    writeln!(text, "\n## {}\n\n{} s.", one.row.name(), one.took.as_secs())?;
    match &one.outcome {
        Err(error) => writeln!(text, "\nNot finished: {error:#}")?,
        Ok(outcome) => {
            for finding in outcome.verdict.some_findings() {
                writeln!(text, "\n* {finding}")?;
            }
            for note in &outcome.notes {
                writeln!(text, "\n* {note}")?;
            }
            for (name, times) in &outcome.times {
                writeln!(text, "\n{name}: {}\n\n```text\n{}```", times.sentence(), times.histogram())?;
            }
        }
    }
    Ok(())
}
