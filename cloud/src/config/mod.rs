//! One configuration: defaults, then the TOML file, then the environment.
//!
//! A typo must not become a silent default, so unknown keys are errors that name the key and its line. Everything that may
//! hold a password is a [`Secret`], so that printing or logging a `Config` gives nothing away.

mod api;
mod auth;
mod booking;
mod delivery;
mod files;
mod live;
mod retention;
mod roles;
mod secret;
mod sources;

use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::path::PathBuf;

use anyhow::bail;
use serde::Deserialize;

pub use api::{Api, Introspection};
pub use auth::{Auth, SigningKey};
pub use booking::Booking;
pub use delivery::{Mail, MailTls, Sms, SmsBody, SmsFormat};
pub use files::Files;
pub use live::Live;
pub use retention::Retention;
pub use roles::Roles;
pub use secret::Secret;

/// The annotated defaults, as `cloud default-config` prints them.
pub const DEFAULT: &str = include_str!("default.toml");

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
    /// The API's listener.
    pub http: Http,
    /// What the API lets people ask.
    pub api: Api,
    /// WebSockets.
    pub live: Live,
    /// How gateways are reached.
    pub mqtt: Mqtt,
    /// Login and tokens.
    pub auth: Auth,
    /// How e-mail goes out.
    pub mail: Mail,
    /// How text messages go out.
    pub sms: Sms,
    /// How long connectors are kept for drivers.
    pub booking: Booking,
    /// Firmware for stations and logs from them.
    pub files: Files,
    /// How long what grows for ever is kept.
    pub retention: Retention,
    /// The batches that gateways send.
    pub ingest: Ingest,
    /// A collector of traces.
    pub traces: traces::Settings,
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
    /// How long a gateway that is revoked while it is connected may stay so, at most.
    pub cut_off_revoked_seconds: NonZeroU64,
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
            database_url: Secret::new("postgres://localhost/evb"),
            roles: Roles::ALL,
            data_dir: "/var/lib/evb-cloud".into(),
            database: Database::default(),
            http: Http::default(),
            api: Api::default(),
            live: Live::default(),
            mqtt: Mqtt::default(),
            auth: Auth::default(),
            mail: Mail::default(),
            sms: Sms::default(),
            booking: Booking::default(),
            files: Files::default(),
            retention: Retention::default(),
            ingest: Ingest::default(),
            traces: traces::Settings::default(),
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
            cut_off_revoked_seconds: const { NonZeroU64::new(30).expect("not zero") },
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
        if let Some(objection) = self.retention.objection() {
            bail!(objection);
        }
        self.auth.check(&self.http)?;
        self.api.check()?;
        self.mail.check()?;
        self.sms.check()?;
        self.traces.check()?;
        if self.auth.dev_mailbox && (self.mail.server.is_some() || self.sms.url.is_some()) {
            bail!(
                "auth.dev_mailbox shows messages instead of sending them: take it out, or mail.server and sms.url"
            );
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
