//! Enrolment: a one-time claim code becomes this gateway's identity and secret.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use shared::id::{GatewayId, Shard};
use shared::sync::FrameKey;

/// Who this gateway is. The file is readable by its owner only.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// The gateway: MQTT client id and user name.
    pub gateway: GatewayId,
    /// The shard that it belongs to.
    pub shard: Shard,
    /// The MQTT password, base64url of 32 random bytes.
    pub secret: String,
    /// Where the broker is.
    pub mqtt_url: String,
    /// Where the cloud is, for what is too large for the broker.
    #[serde(default)]
    pub cloud_url: Option<String>,
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(alias = "error")]
    message: String,
}

impl Identity {
    /// Reads the identity of a data folder; `None` before enrolment.
    pub fn load(data_dir: &Path) -> anyhow::Result<Option<Identity>> {
        let path = file(data_dir);
        match fs::read_to_string(&path) {
            Ok(text) => toml::from_str(&text).map(Some).with_context(|| format!("in {}", path.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("reading {}", path.display())),
        }
    }

    /// The key that seals this gateway's frames.
    pub fn frame_key(&self) -> anyhow::Result<FrameKey> {
        let secret =
            URL_SAFE_NO_PAD.decode(&self.secret).context("the identity's secret is not base64url")?;
        Ok(FrameKey::derive(&secret))
    }

    fn save(&self, data_dir: &Path) -> anyhow::Result<()> {
        fs::create_dir_all(data_dir).with_context(|| format!("creating {}", data_dir.display()))?;
        let (path, draft) = (file(data_dir), data_dir.join("identity.toml.new"));
        let _ = fs::remove_file(&draft);
        let mut out = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        out.write_all(toml::to_string(self)?.as_bytes())?;
        out.sync_all()?;
        fs::rename(&draft, &path).with_context(|| format!("writing {}", path.display()))
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Identity {{ gateway: {}, shard: {}, mqtt_url: {}, secret: … }}",
            self.gateway, self.shard.0, self.mqtt_url
        )
    }
}

/// Trades a claim code for an identity and keeps it in `data_dir`.
///
/// With `again`, a gateway that is enrolled takes a new secret by a code that was made to renew it, and keeps everything else.
///
/// # Errors
/// When it is, or is not, enrolled already, or the cloud refuses the code.
pub async fn enroll(cloud: &str, claim: &str, data_dir: &Path, again: bool) -> anyhow::Result<Identity> {
    let before = Identity::load(data_dir)?.map(|identity| identity.gateway);
    match before {
        Some(gateway) if !again => bail!(
            "this gateway is enrolled already as {gateway}; with a code that renews it use --again, or remove {} to enrol it anew",
            file(data_dir).display()
        ),
        None if again => bail!("this gateway is not enrolled yet: leave --again out"),
        Some(_) | None => {}
    }
    let url = format!("{}/enroll", cloud.trim_end_matches('/'));
    let facts =
        serde_json::json!({ "claim": claim.trim(), "gateway": before, "agent": env!("CARGO_PKG_VERSION") });
    let answer = reqwest::Client::new()
        .post(&url)
        .json(&facts)
        .send()
        .await
        .with_context(|| format!("asking {url}"))?;
    let status = answer.status();
    let text = answer.text().await?;
    if !status.is_success() {
        let reason = serde_json::from_str::<Refusal>(&text).map_or(text, |refusal| refusal.message);
        bail!("the cloud refused the claim code ({status}): {reason}");
    }
    let identity: Answer =
        serde_json::from_str(&text).with_context(|| format!("{url} did not answer with an identity"))?;
    let identity = Identity {
        gateway: identity.gateway,
        shard: identity.shard,
        secret: identity.secret,
        mqtt_url: identity.mqtt_url,
        cloud_url: Some(cloud.trim_end_matches('/').to_owned()),
    };
    ensure!(identity.frame_key().is_ok(), "the cloud's secret is not base64url");
    identity.save(data_dir)?;
    Ok(identity)
}

/// What the cloud answers; it may say more than we need.
#[derive(Deserialize)]
struct Answer {
    gateway: GatewayId,
    shard: Shard,
    secret: String,
    mqtt_url: String,
}

fn file(data_dir: &Path) -> PathBuf {
    data_dir.join("identity.toml")
}
