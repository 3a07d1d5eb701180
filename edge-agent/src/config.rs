//! One configuration: defaults, then a TOML file, then the environment. A typo is answered with its line and key.
//!
//! The defaults are the file that `edge-agent default-config` prints, so that what is documented is what runs.

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Deserialize;

/// The commented default configuration.
pub const DEFAULT: &str = include_str!("default.toml");

const ENV_PREFIX: &str = "EDGE_";

/// The agent's configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the database, the identity and its secret live.
    pub data_dir: PathBuf,
    /// The stations' side.
    pub ocpp: Ocpp,
    /// The same, encrypted.
    pub tls: Tls,
    /// Firmware for stations and logs from them.
    pub files: Files,
    /// The log of what was said to stations.
    pub frames: Frames,
    /// The database's part of the disk.
    pub store: Store,
    /// The installer's side.
    pub local: Local,
    /// The cloud's side.
    pub sync: Sync,
    /// A collector of traces.
    pub traces: traces::Settings,
}

/// The stations' side.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ocpp {
    /// Address to listen on without TLS; empty: closed.
    pub listen: String,
    /// Seconds between heartbeats.
    pub heartbeat_seconds: u32,
    /// Seconds that a station may take to answer.
    pub answer_seconds: u64,
    /// Seconds of silence after which a station is taken for gone.
    pub silence_seconds: u64,
    /// Connections at most.
    pub max_connections: usize,
    /// Connections of one address at most.
    pub max_connections_per_address: usize,
    /// Handshakes of one identity per minute.
    pub handshakes_per_minute: u32,
    /// Messages of one station per second.
    pub messages_per_second: u32,
    /// Bytes of a message at most.
    pub max_message_bytes: usize,
    /// Failed logins per address and minute at most.
    pub max_failed_logins: u32,
}

/// The stations' side, encrypted.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// Address to listen on for stations with passwords; empty: closed.
    pub listen: String,
    /// Address to listen on for stations with certificates; empty: closed.
    pub mutual_listen: String,
    /// Names and addresses by which stations know the gateway, besides its own.
    pub names: Vec<String>,
    /// A server certificate of one's own, in PEM.
    pub certificate: Option<PathBuf>,
    /// Its key.
    pub key: Option<PathBuf>,
}

/// Firmware for stations and logs from them.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Files {
    /// Address to listen on for HTTPS; empty: closed.
    pub tls_listen: String,
    /// Address to listen on for plain HTTP; empty: closed.
    pub listen: String,
    /// Address to listen on for FTP; empty: closed.
    pub ftp_listen: String,
    /// The first port of FTP's data connections.
    pub ftp_passive_first: u16,
    /// The last one.
    pub ftp_passive_last: u16,
    /// The name or address that stations are told; empty: the one at which they reached us.
    pub address: String,
    /// Hours that a place is open.
    pub open_hours: u32,
    /// Minutes of silence after which an errand is given up.
    pub stalled_minutes: u32,
    /// Megabytes of images at most.
    pub firmware_megabytes: u64,
    /// Megabytes of one log at most.
    pub log_megabytes: u64,
    /// Megabytes of all logs at most.
    pub logs_megabytes: u64,
    /// Megabytes of the disk that stay free.
    pub spare_megabytes: u64,
    /// Hours that a log is kept here once the cloud has it.
    pub keep_hours: u32,
}

/// The log of what was said to stations.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Frames {
    /// Messages of each station; 0: none.
    pub keep_per_station: u32,
    /// Megabytes of all.
    pub keep_megabytes: u32,
}

/// The database's part of the disk.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Store {
    /// Megabytes of the database and its journal; near them, readings are thinned.
    pub megabytes: u64,
    /// Megabytes that are given up first when the disk is full.
    pub ballast_megabytes: u64,
    /// Minutes between two snapshots.
    pub snapshot_minutes: u32,
}

/// The installer's side.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Local {
    /// Address to listen on.
    pub listen: String,
}

/// The cloud's side.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sync {
    /// Overrides the broker that enrolment named.
    pub mqtt_url: Option<String>,
    /// Overrides the cloud's address that enrolment kept.
    pub cloud_url: Option<String>,
    /// A certificate authority to trust, in PEM.
    pub ca_file: Option<PathBuf>,
    /// Seconds before an unanswered batch is sent again.
    pub ack_timeout_seconds: u64,
    /// The most seconds between repeats.
    pub ack_timeout_most_seconds: u64,
    /// Days that acknowledged records are kept.
    pub keep_days: u32,
}

impl Config {
    /// Reads the configuration: the defaults, what the file says, what the environment says.
    pub fn load(file: Option<&Path>) -> anyhow::Result<Config> {
        let mut table: toml::Table = DEFAULT.parse().expect("the default configuration is valid TOML");
        if let Some(path) = file {
            let text =
                std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
            check_keys(&text).with_context(|| format!("in {}", path.display()))?;
            merge(&mut table, text.parse()?);
        }
        overlay(&mut table, environment());
        let text = toml::to_string(&table)?;
        toml::from_str(&text).context("the configuration is not valid")
    }
}

/// Is a fault to be injected here, once? For story tests: the file that `EV_FAULT` names holds the name of the place.
pub fn fault(place: &str) -> bool {
    let Some(file) = std::env::var_os("EV_FAULT") else { return false };
    std::fs::read_to_string(&file).is_ok_and(|named| named.trim() == place)
        && std::fs::remove_file(&file).is_ok()
}

/// Reads a file by itself, every field optional, so that an error points into the file that the person wrote.
fn check_keys(text: &str) -> anyhow::Result<()> {
    toml::from_str::<partial::Config>(text)?;
    Ok(())
}

fn environment() -> Vec<(String, String)> {
    std::env::vars()
        .filter_map(|(key, value)| Some((key.strip_prefix(ENV_PREFIX)?.to_lowercase(), value)))
        .collect()
}

fn merge(base: &mut toml::Table, over: toml::Table) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(toml::Value::Table(below)), toml::Value::Table(above)) => merge(below, above),
            (_, value) => drop(base.insert(key, value)),
        }
    }
}

/// Settings that have no default.
const WITHOUT_DEFAULT: [&str; 6] = [
    "sync__mqtt_url",
    "sync__cloud_url",
    "sync__ca_file",
    "tls__certificate",
    "tls__key",
    "traces__headers_file",
];

/// `ocpp__listen` → `ocpp.listen`. A variable that is no setting is named in the log and left alone: other programs use
/// the prefix too.
fn overlay(table: &mut toml::Table, variables: Vec<(String, String)>) {
    for (name, value) in variables {
        if !set(table, &name, value) && name != "config" {
            tracing::warn!("{ENV_PREFIX}{} is no setting; ignored", name.to_uppercase());
        }
    }
}

fn set(table: &mut toml::Table, name: &str, value: String) -> bool {
    let (section, key) = name.split_once("__").unwrap_or(("", name));
    let place = if section.is_empty() {
        Some(table)
    } else {
        table.get_mut(section).and_then(toml::Value::as_table_mut)
    };
    let Some(place) = place else { return false };
    let value = match place.get(key) {
        Some(toml::Value::Integer(_)) => {
            value.parse().map_or(toml::Value::String(value), toml::Value::Integer)
        }
        Some(toml::Value::String(_)) => toml::Value::String(value),
        Some(toml::Value::Array(_)) => value
            .split(',')
            .map(|part| toml::Value::String(part.trim().to_owned()))
            .collect::<Vec<_>>()
            .into(),
        None if WITHOUT_DEFAULT.contains(&name) => toml::Value::String(value),
        Some(_) | None => return false,
    };
    place.insert(key.to_owned(), value);
    true
}

/// The same keys, all optional.
mod partial {
    use serde::Deserialize;

    macro_rules! optional {
        ($name:ident { $($field:ident: $kind:ty),* $(,)? }) => {
            #[derive(Deserialize)]
            #[serde(deny_unknown_fields)]
            pub(super) struct $name { $(#[expect(dead_code, reason = "only read to be checked")] $field: Option<$kind>),* }
        };
    }

    optional!(Config {
        data_dir: String,
        ocpp: Ocpp,
        tls: Tls,
        files: Files,
        frames: Frames,
        store: Store,
        local: Local,
        sync: Sync,
        traces: Traces
    });
    optional!(Ocpp {
        listen: String,
        heartbeat_seconds: u32,
        answer_seconds: u64,
        silence_seconds: u64,
        max_connections: usize,
        max_message_bytes: usize,
        max_failed_logins: u32,
    });
    optional!(Tls {
        listen: String,
        mutual_listen: String,
        names: Vec<String>,
        certificate: String,
        key: String,
    });
    optional!(Files {
        tls_listen: String,
        listen: String,
        ftp_listen: String,
        ftp_passive_first: u16,
        ftp_passive_last: u16,
        address: String,
        open_hours: u32,
        stalled_minutes: u32,
        firmware_megabytes: u64,
        log_megabytes: u64,
        logs_megabytes: u64,
        spare_megabytes: u64,
        keep_hours: u32,
    });
    optional!(Frames { keep_per_station: u32, keep_megabytes: u32 });
    optional!(Store { megabytes: u64, ballast_megabytes: u64, snapshot_minutes: u32 });
    optional!(Local { listen: String });
    optional!(Sync {
        mqtt_url: String,
        cloud_url: String,
        ca_file: String,
        ack_timeout_seconds: u64,
        ack_timeout_most_seconds: u64,
        keep_days: u32,
    });
    optional!(Traces { url: String, headers_file: String });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_a_configuration() {
        let config = Config::load(None).unwrap();
        assert_eq!(
            (config.ocpp.listen.as_str(), config.tls.listen.as_str()),
            ("", "0.0.0.0:9443"),
            "plain is opt-in"
        );
    }

    #[test]
    fn a_typo_names_its_line_and_key() {
        let error = check_keys("data_dir = \"/x\"\n\n[ocpp]\nlisten = \"a\"\nheartbeat_second = 5\n")
            .unwrap_err()
            .to_string();
        assert!(error.contains("line 5") && error.contains("heartbeat_second"), "{error}");
        let error = check_keys("[ocpp]\nheartbeat_seconds = \"often\"\n").unwrap_err().to_string();
        assert!(error.contains("line 2"), "{error}");
    }

    #[test]
    fn the_environment_has_the_last_word() {
        let mut table: toml::Table = DEFAULT.parse().unwrap();
        let named = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        overlay(
            &mut table,
            vec![
                named("ocpp__heartbeat_seconds", "7"),
                named("data_dir", "/tmp/x"),
                named("tls__names", "a, b"),
                named("url", "u"),
            ],
        );
        overlay(&mut table, vec![named("sync__mqtt_url", "mqtt://h"), named("oops__x", "1")]);
        assert_eq!(table["ocpp"]["heartbeat_seconds"].as_integer(), Some(7));
        assert_eq!(table["tls"]["names"].as_array().map(Vec::len), Some(2));
        assert_eq!(table["data_dir"].as_str(), Some("/tmp/x"));
        assert_eq!(table["sync"]["mqtt_url"].as_str(), Some("mqtt://h"));
        assert!(!table.contains_key("url") && !table.contains_key("oops"));
    }
}
