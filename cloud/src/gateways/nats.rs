//! What an external NATS (nats-server with JetStream, speaking MQTT, alone or as a cluster) needs to keep gateways apart: an
//! account with a login for each, and what each may say and hear.
//!
//! NATS knows topics as subjects: `evb/v1/3/GATEWAY/up/batch` is `evb.v1.3.GATEWAY.up.batch`. Its MQTT subscriptions at QoS 1
//! are fed through internal subjects, which a client that may not hear everything has to be allowed by name.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context;
use sqlx::PgPool;

use super::write_private;
use crate::Config;
use crate::db::gateway as rows;

/// bcrypt's lowest. The secrets are 256 random bits, more rounds would protect nothing and cost every reconnect.
const COST: u32 = 4;

/// Writes `evb.conf` into a folder: to be included in `nats-server.conf`. To be run again after an enrolment, followed by
/// `nats-server --signal reload` on every node.
///
/// # Errors
/// When the database cannot be read, the cloud has no password, or the file cannot be written.
pub async fn write(config: &Config, db: &PgPool, dir: &Path) -> anyhow::Result<()> {
    let password =
        config.mqtt.password.as_ref().context("set mqtt.password: the cloud's own login at the broker")?;
    let mut users = user(&config.mqtt.username, &password_hash(password.expose())?, "*", ("down", "up"));
    for (gateway, hash) in rows::nats_passwords(db).await? {
        users += &user(&gateway.to_string(), &hash, &gateway.to_string(), ("up", "down"));
    }
    std::fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
    write_private(&dir.join("evb.conf"), &account(&users))
}

/// The hash of a login's secret, as NATS compares it.
///
/// # Errors
/// When the secret is longer than bcrypt takes.
pub fn password_hash(password: &str) -> anyhow::Result<String> {
    // NATS knows the prefix of the reference implementation only.
    let parts = bcrypt::non_truncating_hash_with_result(password, COST).context("hashing for NATS")?;
    Ok(parts.format_for_version(bcrypt::Version::TwoA))
}

/// A login that may say what goes one way of a gateway's topics (`*`: of everybody's) and hear what goes the other. Gateways
/// hear at QoS 0, which needs no more; but those of earlier versions ask for QoS 1.
fn user(name: &str, hash: &str, gateway: &str, (says, hears): (&str, &str)) -> String {
    format!(
        "      {{ user: \"{name}\", password: \"{hash}\", permissions: {{ publish: \"evb.v1.*.{gateway}.{says}.>\", \
         subscribe: [\"evb.v1.*.{gateway}.{hears}.>\", \"$MQTT.sub.>\"] }} }}\n"
    )
}

fn account(users: &str) -> String {
    let mut text = String::from(
        "# Include this in nats-server.conf, beside your server_name, jetstream, mqtt (with its TLS files) and cluster.\n\
         # Above the largest frame (1 MiB and its topic).\n\
         max_payload: 1049600\n\
         accounts {\n  EVB {\n    jetstream: enabled\n    users: [\n",
    );
    write!(text, "{users}    ]\n  }}\n}}\n").expect("a text takes text");
    text
}
