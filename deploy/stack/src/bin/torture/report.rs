//! The report, in Markdown: what was run, from which seed, what came of it, and what was not run and why.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::cli::Arguments;
use crate::outcome::Played;
use crate::rows::Row;

const ABOUT: &str = "\
Written by `deploy/torture --report`. Every row does one kind of thing to the real programs (agent, cloud with its broker,
mosquitto, Postgres) while simulated stations charge; afterwards the checker, which shares no code with them, compares the
stations' journal with the gateway's SQLite and with Postgres: every session once, ended, with its energy to the Wh and its
price to the cent by arithmetic of its own; no session that no station made; every lane committed up to its head, without a
gap, and never back; the audit log's chain; no panic and no secret in a log. *Lost* and *doubled* count sessions, *other*
everything else that is wrong.";

/// Rows that other tests play, or nobody.
const ELSEWHERE: [(&str, &str); 10] = [
    (
        "F14, what its row leaves out",
        "stations with wrong clocks: the stories `life` and `quirks`, `cargo test -p edge-agent --test quirks time`. A gateway that boots in the future and serves before the cloud told it the time: what it dates then is not put right later.",
    ),
    (
        "F15, quirks of stations",
        "`cargo test -p edge-agent --test quirks`, `cargo test -p shared --test ocpp_quirks`.",
    ),
    (
        "F17, a second socket with one identity",
        "`cargo test -p edge-agent --test site weaknesses`, `--test quirks sockets`.",
    ),
    (
        "F18, hostile frames",
        "`cargo test -p edge-agent --test site hostile` (50,000 frames live), `shared/fuzz`; a million live: `firmware-sim load --hostile`.",
    ),
    (
        "F19, slow and many sockets",
        "`cargo test -p edge-agent --test site caps`, `hostile` (a thousand stations within ten seconds).",
    ),
    ("F21, stations that lie under a load limit", "not run."),
    (
        "F23, versions beside one another",
        "`cargo test -p shared --test wire_v1` (golden bytes), `cargo test -p cloud --test ingest` (unknown kinds, unknown versions); there is one wire version so far, so older programs were not run beside newer ones.",
    ),
    (
        "F24, what its row leaves out",
        "rollbacks to an earlier program (its agent refuses a newer database in words: `cargo test -p edge-agent --test storage damage`).",
    ),
    (
        "F25, tenants against one another",
        "`cargo test -p cloud --test matrix --test walls --test tenants`, `stack` story `foreign_topics`.",
    ),
    ("F26, hostile GraphQL", "`cargo test -p cloud --test manners --test sockets`."),
];

const LIMITS: &str = "\
Nowhere: real eMMC or SD cards losing power, a real radio link, OCTT. The programs were built without optimisation unless
`--release` is the first argument. A seed repeats what is done and when; how threads and processes interleave is theirs.
mosquitto ran without persistence: it forgets everything when it is killed.";

/// Writes it whole.
pub(crate) fn write(path: &Path, arguments: &Arguments, played: &[Played], took: Duration) -> Result<()> {
    let mut text = String::new();
    head(&mut text, arguments, played, took)?;
    table(&mut text, arguments, played)?;
    not_run(&mut text, played)?;
    for one in played {
        details(&mut text, one)?;
    }
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn head(text: &mut String, arguments: &Arguments, played: &[Played], took: Duration) -> Result<()> {
    let (scale, seed) = (arguments.scale().name(), arguments.seed());
    let held = played.iter().filter(|one| one.held()).count();
    writeln!(text, "# Torture\n")?;
    writeln!(text, "{ABOUT}\n")?;
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

/// The rows of the matrix that are not played here: who does, or why nobody does.
fn not_run(text: &mut String, played: &[Played]) -> Result<()> {
    writeln!(text, "\n## What was not run here\n")?;
    let left_out = Row::all().filter(|row| played.iter().all(|one| one.row != *row));
    for row in left_out {
        writeln!(text, "* {}, {}: not in this run.", row.name(), row.fault())?;
    }
    for (row, why) in ELSEWHERE {
        writeln!(text, "* {row}: {why}")?;
    }
    writeln!(text, "\n{LIMITS}")?;
    Ok(())
}

fn details(text: &mut String, one: &Played) -> Result<()> {
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
