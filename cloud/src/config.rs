//! One configuration: defaults, then the TOML file, then the environment.
//!
//! A typo must not become a silent default, so unknown keys are errors that name the key and its line. Everything that may
//! hold a password is a [`Secret`], so that printing or logging a `Config` gives nothing away.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::{Deserialize, Deserializer};

/// The annotated defaults, as `cloud default-config` prints them.
pub const DEFAULT: &str = include_str!("default.toml");

const ENV_PREFIX: &str = "CLOUD_";

/// Everything a replica can be told.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where the rows are; `DATABASE_URL` works as well.
    pub database_url: Secret,
    /// What this replica does.
    pub roles: Roles,
    /// Holds `listening.json`.
    pub data_dir: PathBuf,
    /// Connections to Postgres.
    pub database: Database,
    /// The API.
    pub http: Http,
    /// How gateways are reached.
    pub mqtt: Mqtt,
    /// Login and tokens.
    pub auth: Auth,
    /// The batches that gateways send.
    pub ingest: Ingest,
    /// What is written to standard error.
    pub log: Log,
}

/// The pool of one replica.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Database {
    /// Upper limit of open connections.
    pub max_connections: u32,
}

/// The API's listener.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    /// Port 0 takes a free one; see `listening.json`.
    pub listen: SocketAddr,
    /// Whether `X-Forwarded-For` names the client: only behind a proxy that sets it.
    pub trust_forwarded_for: bool,
    /// Origins whose pages may ask; `*` is any.
    pub allowed_origins: Vec<String>,
}

/// The broker: ours behind its gate, or one of your own.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mqtt {
    /// An external broker, `mqtt://host:1883` or `mqtts://host:8883`; absent: the embedded one.
    pub url: Option<String>,
    /// The cloud's user there.
    pub username: String,
    /// The cloud's password there. With the embedded broker: lets other replicas in through the gate.
    pub password: Option<Secret>,
    /// CA of the external broker; absent: plain for `mqtt://`, required for `mqtts://`.
    pub ca_file: Option<PathBuf>,
    /// The gate in front of the embedded broker.
    pub listen: SocketAddr,
    /// With both, the gate speaks TLS.
    pub tls_cert: Option<PathBuf>,
    /// The key of `tls_cert`.
    pub tls_key: Option<PathBuf>,
    /// What an enrolled gateway is told; absent: the gate's address.
    pub public_url: Option<String>,
    /// Connections the gate holds at once.
    pub max_connections: usize,
}

/// Login and tokens.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Auth {
    /// Keys that sign access tokens, the first one signs; empty: kept in Postgres, shared by all replicas.
    pub signing_keys: Vec<SigningKey>,
}

/// One key that signs access tokens.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SigningKey {
    /// Its name in a token's header.
    pub kid: String,
    /// At least 32 characters.
    pub secret: Secret,
}

/// The batches that gateways send.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ingest {
    /// Batches applied at the same time, each on its own database connection.
    pub workers: usize,
    /// Frames waiting for one worker; when full, frames are dropped and gateways send again.
    pub queue: usize,
}

/// What is written to standard error.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// `tracing` filter; `RUST_LOG` wins.
    pub filter: String,
    /// One JSON object per line.
    pub json: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            database_url: Secret("postgres://localhost/evb".into()),
            roles: Roles::ALL,
            data_dir: "/var/lib/evb-cloud".into(),
            database: Database::default(),
            http: Http::default(),
            mqtt: Mqtt::default(),
            auth: Auth::default(),
            ingest: Ingest::default(),
            log: Log::default(),
        }
    }
}

impl Default for Database {
    fn default() -> Self {
        Self { max_connections: 24 }
    }
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            trust_forwarded_for: false,
            allowed_origins: vec!["*".into()],
        }
    }
}

impl Default for Mqtt {
    fn default() -> Self {
        Self {
            url: None,
            username: "cloud".into(),
            password: None,
            ca_file: None,
            listen: SocketAddr::from(([127, 0, 0, 1], 1883)),
            tls_cert: None,
            tls_key: None,
            public_url: None,
            max_connections: 10_000,
        }
    }
}

impl Default for Ingest {
    fn default() -> Self {
        Self { workers: 8, queue: 64 }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { filter: "info".into(), json: false }
    }
}

impl Config {
    /// Reads the file, if any, and the process environment.
    ///
    /// # Errors
    /// Names the key and its place: line and column of the file, or the variable.
    pub fn load(file: Option<&Path>) -> anyhow::Result<Self> {
        let (name, text) = match file {
            Some(path) => {
                let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
                (path.display().to_string(), text)
            }
            None => ("defaults".into(), String::new()),
        };
        Self::from_sources(&name, &text, std::env::vars()).and_then(Self::checked)
    }

    fn from_sources(
        name: &str,
        text: &str,
        vars: impl Iterator<Item = (String, String)>,
    ) -> anyhow::Result<Self> {
        let mut config: Self = toml::from_str(text).with_context(|| format!("configuration {name}"))?;
        let mut table: toml::Table = toml::from_str(text)?;
        let mut vars: Vec<_> = vars.filter_map(|(key, value)| Some((path_of(&key)?, key, value))).collect();
        vars.sort();
        for (path, key, value) in vars {
            let mut with = table.clone();
            set(&mut with, &path, parse_value(&value)).with_context(|| key.clone())?;
            match with.clone().try_into() {
                Ok(read) => (table, config) = (with, read),
                // Other programs use the prefix too (CLOUD_SDK_VERSION, for one).
                Err(error) if path.len() == 1 && error.message().starts_with("unknown field") => {
                    tracing::warn!("{key} is no setting; ignored");
                }
                Err(error) => return Err(error).with_context(|| format!("environment variable {key}")),
            }
        }
        Ok(config)
    }

    /// Refuses what contradicts itself.
    ///
    /// # Errors
    /// Names the keys.
    pub fn checked(self) -> anyhow::Result<Self> {
        if self.roles.ingest && self.mqtt.url.is_none() && !self.roles.broker {
            bail!("the ingest role needs a broker: add the role `broker`, or set mqtt.url");
        }
        if self.mqtt.tls_cert.is_some() != self.mqtt.tls_key.is_some() {
            bail!("mqtt.tls_cert and mqtt.tls_key go together");
        }
        if self.ingest.workers == 0 || self.ingest.queue == 0 {
            bail!("ingest.workers and ingest.queue must be at least 1");
        }
        if let Some(key) = self.auth.signing_keys.iter().find(|key| key.secret.expose().len() < 32) {
            bail!("auth.signing_keys: the secret of `{}` is shorter than 32 characters", key.kid);
        }
        Ok(self)
    }
}

/// Is a fault to be injected here, once? For stories: the file that `EV_FAULT` names holds the name of the place.
pub fn fault(place: &str) -> bool {
    let Some(file) = std::env::var_os("EV_FAULT") else { return false };
    std::fs::read_to_string(&file).is_ok_and(|named| named.trim() == place)
        && std::fs::remove_file(&file).is_ok()
}

/// What a replica does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Roles {
    /// Serves GraphQL.
    pub api: bool,
    /// Takes batches from gateways and sends them commands.
    pub ingest: bool,
    /// Runs the embedded broker and its gate.
    pub broker: bool,
}

impl Roles {
    /// The one-box default.
    pub const ALL: Self = Self { api: true, ingest: true, broker: true };
    const NONE: Self = Self { api: false, ingest: false, broker: false };

    fn from_names<'a>(names: impl Iterator<Item = &'a str>) -> Result<Self, String> {
        let mut roles = Self::NONE;
        for name in names {
            match name.trim() {
                "api" => roles.api = true,
                "ingest" => roles.ingest = true,
                "broker" => roles.broker = true,
                other => return Err(format!("unknown role `{other}`, expected api, ingest or broker")),
            }
        }
        if roles == Self::NONE { Err("at least one role is needed".into()) } else { Ok(roles) }
    }
}

impl std::str::FromStr for Roles {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::from_names(text.split(','))
    }
}

impl<'de> Deserialize<'de> for Roles {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Names {
            Text(String),
            List(Vec<String>),
        }
        match Names::deserialize(deserializer)? {
            Names::Text(text) => text.parse(),
            Names::List(list) => Self::from_names(list.iter().map(String::as_str)),
        }
        .map_err(serde::de::Error::custom)
    }
}

/// Text that never shows in logs.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps it.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself: only for the one who uses it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// `CLOUD_HTTP__LISTEN` → `http`, `listen`; `DATABASE_URL` is taken as well, because every host sets it.
fn path_of(key: &str) -> Option<Vec<String>> {
    if key == "DATABASE_URL" {
        return Some(vec!["database_url".into()]);
    }
    let rest = key.strip_prefix(ENV_PREFIX)?;
    Some(rest.to_lowercase().split("__").map(String::from).collect())
}

/// Numbers, booleans and lists are written as in TOML, everything else is text.
fn parse_value(text: &str) -> toml::Value {
    match toml::from_str::<toml::Table>(&format!("v = {text}")).ok().and_then(|mut table| table.remove("v")) {
        Some(toml::Value::Datetime(_)) | None => toml::Value::String(text.into()),
        Some(value) => value,
    }
}

fn set(table: &mut toml::Table, path: &[String], value: toml::Value) -> anyhow::Result<()> {
    match path {
        [] => bail!("empty name"),
        [last] => {
            table.insert(last.clone(), value);
            Ok(())
        }
        [first, rest @ ..] => {
            let section =
                table.entry(first.clone()).or_insert_with(|| toml::Value::Table(toml::Table::new()));
            let inner = section.as_table_mut().with_context(|| format!("`{first}` is not a section"))?;
            set(inner, rest, value)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str, vars: &[(&str, &str)]) -> anyhow::Result<Config> {
        let vars = vars.iter().map(|(key, value)| ((*key).into(), (*value).into()));
        Config::from_sources("test.toml", text, vars).and_then(Config::checked)
    }

    #[test]
    fn the_printed_defaults_are_the_defaults() {
        let printed = load(DEFAULT, &[]).expect("default.toml is valid");
        assert_eq!(format!("{printed:?}"), format!("{:?}", Config::default()));
    }

    #[test]
    fn a_typo_names_the_key_and_the_line() {
        let error = format!("{:#}", load("[http]\nlisen = \"127.0.0.1:1\"\n", &[]).expect_err("typo"));
        assert!(error.contains("lisen") && error.contains("line 2"), "{error}");
    }

    #[test]
    fn the_environment_wins_over_the_file() {
        let config = load(
            "[http]\nlisten = \"127.0.0.1:1\"",
            &[
                ("CLOUD_HTTP__LISTEN", "127.0.0.1:2"),
                ("CLOUD_ROLES", "api,broker"),
                ("CLOUD_INGEST__WORKERS", "3"),
            ],
        )
        .expect("valid");
        assert_eq!(config.http.listen.port(), 2);
        assert_eq!(config.roles, Roles { api: true, ingest: false, broker: true });
        assert_eq!(config.ingest.workers, 3);
    }

    #[test]
    fn a_wrong_variable_is_named() {
        let error = format!("{:#}", load("", &[("CLOUD_HTTP__PORT", "80")]).expect_err("no such key"));
        assert!(error.contains("CLOUD_HTTP__PORT"), "{error}");
        assert!(load("", &[("CLOUD_SDK_VERSION", "1")]).is_ok(), "another program's variable");
    }

    #[test]
    fn secrets_do_not_print() {
        let config = load("database_url = \"postgres://u:canary@h/d\"\n[mqtt]\npassword = \"canary\"", &[]);
        assert!(!format!("{:?}", config.expect("valid")).contains("canary"));
    }

    #[test]
    fn ingest_without_any_broker_is_refused() {
        assert!(load("roles = [\"api\", \"ingest\"]", &[]).is_err());
        assert!(load("roles = [\"api\"]", &[]).is_ok());
    }
}
