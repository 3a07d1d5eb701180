//! The other end of the local API: what `edge-agent station …` does.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Subcommand;
use reqwest::StatusCode;
use reqwest::header::CONTENT_TYPE;
use serde_json::Value;
use shared::model::file::FirmwareSignature;

use super::operation::{BroughtFirmware, Operation};
pub use super::orders::{Outcome, Terms};
use super::token;

/// Where the agent of a data folder listens now.
///
/// # Errors
/// When it is not running, or never was.
pub fn address(data_dir: &Path) -> anyhow::Result<String> {
    let path = data_dir.join("listening.json");
    let text = std::fs::read_to_string(&path).with_context(|| {
        format!("{} cannot be read: is the agent running, and --config right?", path.display())
    })?;
    let listening: Value = serde_json::from_str(&text).with_context(|| format!("in {}", path.display()))?;
    let address = listening["local"].as_str().context("the agent has no local listener")?;
    // A listener on all addresses is reached by loopback.
    Ok(format!("http://{}", address.replace("0.0.0.0", "127.0.0.1").replace("[::]", "[::1]")))
}

/// The installer's token of a data folder.
///
/// # Errors
/// When it may not be read, or was never made.
pub fn token(data_dir: &Path) -> anyhow::Result<String> {
    let path = token::file(data_dir);
    let token = std::fs::read_to_string(&path).with_context(|| {
        format!("{} cannot be read: run this as the agent's user or as root", path.display())
    })?;
    Ok(token.trim().to_owned())
}

/// What can be ordered on the command line.
#[derive(Subcommand)]
pub enum Wanted {
    /// What the agent does as it stands.
    #[command(flatten)]
    Operation(Operation),
    /// Install firmware from a file of this machine; the internet is not needed.
    UpdateFirmware {
        /// The image.
        file: PathBuf,
        /// The version that the station tells once it runs it.
        #[arg(long)]
        version: String,
        /// The maker's certificate, a file in PEM, for a signed update.
        #[arg(long, requires = "signature")]
        certificate: Option<PathBuf>,
        /// The maker's signature of the image in base64.
        #[arg(long, requires = "certificate")]
        signature: Option<String>,
    },
}

/// Gives an order and waits for its end.
///
/// # Errors
/// When the agent cannot be reached, or says no.
pub async fn order(data_dir: &Path, station: &str, wanted: Wanted, terms: Terms) -> anyhow::Result<Outcome> {
    let operation = match wanted {
        Wanted::Operation(operation) => operation,
        Wanted::UpdateFirmware { file, version, certificate, signature } => {
            let signature = match certificate.zip(signature) {
                Some((path, signature)) => {
                    let certificate = std::fs::read_to_string(&path);
                    let certificate = certificate.with_context(|| format!("reading {}", path.display()))?;
                    Some(FirmwareSignature { certificate, signature })
                }
                None => None,
            };
            let (sha256, name) = bring(data_dir, &file).await?;
            Operation::UpdateFirmware(BroughtFirmware { sha256, file_name: name, version, signature })
        }
    };
    let token = token(data_dir)?;
    let named = serde_json::to_value(operation)?;
    let (name, members) =
        named.as_object().and_then(|named| named.iter().next()).context("an operation has a name")?;
    let mut url = reqwest::Url::parse(&address(data_dir)?)?;
    url.path_segments_mut().expect("an http address").extend(["api", "stations", station, name]);
    if let Some(seconds) = terms.expires_in {
        url.query_pairs_mut().append_pair("expires_in", &seconds.to_string());
    }
    url.query_pairs_mut().append_pair("wait_for_station", &terms.wait_for_station.to_string());
    let request = reqwest::Client::new().post(url).bearer_auth(token).json(members);
    serde_json::from_value(answered(request).await?).context("reading the agent's answer")
}

/// Brings an image to the agent; what it hashes to, and what it is called.
async fn bring(data_dir: &Path, image: &Path) -> anyhow::Result<(String, String)> {
    let name = image.file_name().and_then(|name| name.to_str()).context("the image has no name")?;
    let bytes = tokio::fs::read(image).await.with_context(|| format!("reading {}", image.display()))?;
    let url = format!("{}/api/firmware", address(data_dir)?);
    let request = reqwest::Client::new().post(url).bearer_auth(token(data_dir)?);
    let answer = answered(request.header(CONTENT_TYPE, "application/octet-stream").body(bytes)).await?;
    let sha256 = answer["sha256"].as_str().context("the agent does not say what it got")?;
    Ok((sha256.to_owned(), name.to_owned()))
}

async fn answered(request: reqwest::RequestBuilder) -> anyhow::Result<Value> {
    let response = request.send().await.context("asking the agent: is it running?")?;
    let status = response.status();
    if status == StatusCode::OK || status == StatusCode::ACCEPTED {
        return response.json().await.context("reading the agent's answer");
    }
    let answer: Value = response.json().await.unwrap_or_default();
    bail!("{}", answer["error"].as_str().unwrap_or(status.as_str()));
}

impl Outcome {
    /// The exit code of the command line.
    pub fn code(&self) -> u8 {
        match self.outcome.as_deref() {
            Some("Accepted" | "Scheduled" | "BySite") => 0,
            None | Some("StationOffline" | "TimedOut" | "Expired" | "Unknown") => 3,
            Some(_) => 2,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.outcome, self.detail.as_str()) {
            (None, _) => writeln!(f, "no end yet; it goes on as command {}", self.command)?,
            (Some(outcome), detail) if detail.is_empty() || detail == outcome => writeln!(f, "{outcome}")?,
            (Some(outcome), detail) => writeln!(f, "{outcome}: {detail}")?,
        }
        match (&self.told["configuration"]["entries"], &self.told) {
            (_, Value::Null) => Ok(()),
            (Value::Array(entries), told) => {
                entries.iter().try_for_each(|entry| setting(f, entry))?;
                let unknown = told["configuration"]["unknown_keys"].as_array().into_iter().flatten();
                unknown.filter_map(Value::as_str).try_for_each(|key| writeln!(f, "{key} is unknown there"))
            }
            (_, told) => writeln!(f, "{told}"),
        }
    }
}

fn setting(f: &mut fmt::Formatter<'_>, entry: &Value) -> fmt::Result {
    let value = entry["value"].as_str().unwrap_or("(kept secret)");
    let note = if entry["readonly"] == true { "  (read-only)" } else { "" };
    writeln!(f, "{} = {value}{note}", entry["key"].as_str().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_end_is_said_once_and_every_key_that_was_asked_for_is_there() {
        let entries = json!([{ "key": "A", "value": "1", "readonly": true }, { "key": "B", "value": null }]);
        let told = json!({ "configuration": { "entries": entries, "unknown_keys": ["C"] } });
        let mut outcome = Outcome {
            command: uuid::Uuid::nil(),
            outcome: Some("Accepted".into()),
            detail: "Accepted".into(),
            told,
        };
        let lines = "Accepted\nA = 1  (read-only)\nB = (kept secret)\nC is unknown there\n";
        assert_eq!((outcome.to_string().as_str(), outcome.code()), (lines, 0));
        (outcome.outcome, outcome.told) = (Some("Rejected".into()), Value::Null);
        assert_eq!((outcome.to_string().as_str(), outcome.code()), ("Rejected: Accepted\n", 2));
    }
}
