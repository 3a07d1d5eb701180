//! Passing logs on: in pieces, each repeated until the cloud has it, so that a bad line loses a piece and not the log, and a
//! restart goes on with what is missing.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio::sync::watch;

use super::Files;
use super::inbox::Label;

/// What the cloud takes at a time.
const PIECE: u64 = 1 << 20;
/// The first pause after a failure, then twice as long, and so on.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
const TIDY_EVERY: Duration = Duration::from_mins(10);

/// What the cloud says of a log: the pieces that it lacks, none when it has it all.
#[derive(Deserialize)]
struct Lacking {
    missing: Vec<u64>,
}

/// Passes on what is here and what comes.
pub(super) async fn run(files: Arc<Files>, mut online: watch::Receiver<bool>, keep_hours: u32) {
    files.inbox.tell_all().await;
    let keep = Duration::from_hours(keep_hours.into());
    let mut pause = FIRST_PAUSE;
    loop {
        let waiting = files.inbox.waiting();
        let mut failed = false;
        for label in &waiting {
            if let Err(error) = pass_on(&files, label).await {
                tracing::info!(station = %label.station, error = format!("{error:#}"), "a log is passed on later");
                failed = true;
            }
        }
        files.inbox.tidy(keep);
        pause = if failed { (pause * 2).min(LONGEST_PAUSE) } else { FIRST_PAUSE };
        tokio::select! {
            () = files.inbox.news.notified() => {}
            () = tokio::time::sleep(if failed { pause } else { TIDY_EVERY }) => {}
            // The cloud is back, or gone: then the next try fails at once.
            Ok(()) = online.changed() => pause = FIRST_PAUSE,
        }
    }
}

async fn pass_on(files: &Files, label: &Label) -> anyhow::Result<()> {
    // Asking first finds out what is there already, after a restart or a lost answer.
    let mut lacking = finish(files, label).await?;
    for _ in 0..3 {
        let Some(missing) = lacking else { return Ok(files.inbox.sent(label.command)?) };
        let mut log = tokio::fs::File::open(files.inbox.log(label.command)).await?;
        for piece in missing {
            log.seek(std::io::SeekFrom::Start(piece * PIECE)).await?;
            let mut bytes = Vec::new();
            (&mut log).take(PIECE).read_to_end(&mut bytes).await?;
            let request =
                files.cloud.request(Method::PUT, &format!("/gateway/logs/{}/{piece}", label.command))?;
            let answer = request.body(bytes).send().await.context("sending a piece")?;
            if !answer.status().is_success() {
                bail!("the cloud answered {} to piece {piece}", answer.status());
            }
        }
        lacking = finish(files, label).await?;
    }
    bail!("the cloud keeps losing pieces")
}

/// Says that the log is whole. The cloud says which pieces it lacks; `None` when it has it, or does not want it.
async fn finish(files: &Files, label: &Label) -> anyhow::Result<Option<Vec<u64>>> {
    let request = files.cloud.request(Method::POST, &format!("/gateway/logs/{}", label.command))?;
    let answer = request.json(&label.file).send().await.context("asking what the cloud has")?;
    match answer.status() {
        StatusCode::OK => Ok(None),
        StatusCode::CONFLICT => Ok(Some(answer.json::<Lacking>().await?.missing)),
        // Its station, or its command, is not there any more: nobody will ever ask for it.
        StatusCode::GONE => {
            tracing::warn!(station = %label.station, "the cloud does not want this log");
            Ok(None)
        }
        other => bail!("the cloud answered {other}"),
    }
}
