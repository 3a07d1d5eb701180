//! Fetching an image: from where the last try ended, checked against what the order says, kept only when it is right.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use reqwest::header::{CONTENT_RANGE, RANGE};
use reqwest::{Method, Response, StatusCode};
use sha2::{Digest as _, Sha256 as Hasher};
use shared::model::file::{FirmwareImage, Sha256};
use tokio::fs::{File, OpenOptions};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::cloud::Cloud;

/// The first pause after a failure, then twice as long, and so on.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// A try that ended early.
enum Failed {
    /// The next one may do better.
    ForNow(anyhow::Error),
    /// It never will.
    ForGood(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for Failed {
    fn from(error: E) -> Self {
        Failed::ForNow(error.into())
    }
}

/// Brings the file at `part` to what the image is, however often the way to the cloud breaks.
pub(super) async fn fetch(cloud: &Cloud, image: &FirmwareImage, part: &Path) -> anyhow::Result<()> {
    let mut pause = FIRST_PAUSE;
    loop {
        match attempt(cloud, image, part).await {
            Ok(()) => return Ok(()),
            Err(Failed::ForGood(error)) => return Err(error),
            Err(Failed::ForNow(error)) => {
                tracing::info!(error = format!("{error:#}"), "fetching an image goes on later");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

async fn attempt(cloud: &Cloud, image: &FirmwareImage, part: &Path) -> Result<(), Failed> {
    let held = tokio::fs::metadata(part).await.map_or(0, |part| part.len());
    if held < image.size || held == 0 {
        let response = ask(cloud, image, held).await?;
        receive(response, held, image.size, part).await?;
    }
    let mut file = File::open(part).await?;
    if digest(&mut file).await? == image.sha256 {
        return Ok(file.sync_all().await?);
    }
    drop(file);
    tokio::fs::remove_file(part).await?;
    Err(Failed::ForGood(anyhow::anyhow!("what the cloud gave is not what was ordered (SHA-256)")))
}

async fn ask(cloud: &Cloud, image: &FirmwareImage, held: u64) -> Result<Response, Failed> {
    let request = cloud.request(Method::GET, &format!("/gateway/firmwares/{}", image.id));
    let mut request = request.map_err(Failed::ForGood)?;
    if held > 0 {
        request = request.header(RANGE, format!("bytes={held}-"));
    }
    let response = request.send().await.context("asking the cloud")?;
    match response.status() {
        StatusCode::OK | StatusCode::PARTIAL_CONTENT => Ok(response),
        StatusCode::NOT_FOUND | StatusCode::GONE => {
            Err(Failed::ForGood(anyhow::anyhow!("the cloud has no such image any more")))
        }
        other => Err(Failed::ForNow(anyhow::anyhow!("the cloud answered {other}"))),
    }
}

/// Appends what comes. A cloud that does not know ranges begins anew, and so do we.
async fn receive(mut response: Response, held: u64, size: u64, part: &Path) -> Result<(), Failed> {
    let resumes = response.status() == StatusCode::PARTIAL_CONTENT;
    if resumes {
        let range = response.headers().get(CONTENT_RANGE).and_then(|range| range.to_str().ok());
        if range.is_none_or(|range| !range.starts_with(&format!("bytes {held}-"))) {
            tokio::fs::remove_file(part).await?;
            return Err(anyhow::anyhow!("the cloud gave another part than was asked for").into());
        }
    }
    let mut file =
        OpenOptions::new().create(true).append(resumes).write(true).truncate(!resumes).open(part).await?;
    let mut length = if resumes { held } else { 0 };
    while let Some(chunk) = response.chunk().await? {
        length += chunk.len() as u64;
        if length > size {
            drop(file);
            tokio::fs::remove_file(part).await?;
            return Err(Failed::ForGood(anyhow::anyhow!("the cloud gave more than was ordered")));
        }
        file.write_all(&chunk).await?;
    }
    file.flush().await?;
    if length < size {
        return Err(anyhow::anyhow!("the connection ended at {length} of {size} bytes").into());
    }
    Ok(())
}

/// What a file hashes to.
pub(super) async fn digest(file: &mut File) -> anyhow::Result<Sha256> {
    let (mut hasher, mut buffer) = (Hasher::new(), vec![0; 256 * 1024]);
    loop {
        match file.read(&mut buffer).await? {
            0 => return Ok(Sha256(hasher.finalize().into())),
            count => hasher.update(&buffer[..count]),
        }
    }
}
