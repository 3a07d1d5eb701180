//! The command line's way to the running agent: its local API.

use std::path::Path;

use anyhow::{Context, bail};
use clap::Subcommand;
use serde_json::{Value, json};
use shared::id::StationId;

use super::client;

/// What the installer can do about unknown stations.
#[derive(Subcommand)]
pub enum Onboarding {
    /// Let unknown stations in to wait for a decision.
    Open {
        /// For how long; at most a day.
        #[arg(long, default_value_t = shared::model::onboarding::WINDOW_MINUTES)]
        minutes: u32,
    },
    /// Let them in no longer.
    Close,
    /// Who waits, and who was refused at the door.
    Show,
    /// Take a station on. It keeps the password that it showed.
    Adopt {
        /// Its identity.
        station: StationId,
        /// Make a new password, which is printed and has to be entered at the station.
        #[arg(long)]
        new_password: bool,
        /// How many connectors it has, where it did not tell.
        #[arg(long)]
        connectors: Option<u16>,
    },
    /// Turn a station away.
    Reject {
        /// Its identity.
        station: StationId,
    },
}

/// Has the agent of a data folder do it; its answer, for the person.
///
/// # Errors
/// When no agent runs there, or when it refuses, with its reason.
pub async fn onboarding(data_dir: &Path, wanted: Onboarding) -> anyhow::Result<String> {
    let (address, token) = (client::address(data_dir)?, client::token(data_dir)?);
    let at = |path: &str| format!("{address}{path}");
    let client = reqwest::Client::new();
    let request = match wanted {
        Onboarding::Show => client.get(at("/api/onboarding")),
        Onboarding::Open { minutes } => {
            client.post(at("/api/onboarding")).json(&json!({ "minutes": minutes }))
        }
        Onboarding::Close => client.delete(at("/api/onboarding")),
        Onboarding::Adopt { station, new_password, connectors } => client
            .post(at(&format!("/api/stations/{}/adopt", encoded(&station))))
            .json(&json!({ "new_password": new_password, "connectors": connectors })),
        Onboarding::Reject { station } => {
            client.post(at(&format!("/api/stations/{}/reject", encoded(&station)))).json(&json!({}))
        }
    };
    let answer =
        request.bearer_auth(token).send().await.with_context(|| format!("no agent answers at {address}"))?;
    let (status, text) = (answer.status(), answer.text().await?);
    if !status.is_success() {
        bail!("{}", text.trim());
    }
    let shown = serde_json::from_str::<Value>(&text).and_then(|value| serde_json::to_string_pretty(&value));
    Ok(shown.map_or_else(|_| "done\n".to_owned(), |text| text + "\n"))
}

fn encoded(station: &StationId) -> String {
    percent_encoding::utf8_percent_encode(station.as_str(), percent_encoding::NON_ALPHANUMERIC).to_string()
}
