//! A cloud replica as a process.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result};

use crate::graphql::Client;
use crate::service::Service;

/// A replica, running unless it was killed.
#[derive(Debug)]
pub struct Cloud {
    service: Service,
    http: SocketAddr,
    mqtt: Option<SocketAddr>,
}

/// How a replica meets the gateways.
#[derive(Clone, Debug)]
pub enum Broker {
    /// It runs the embedded broker; other replicas come in with this password.
    Embedded {
        /// The replicas' password at the gate.
        password: String,
    },
    /// It uses a broker elsewhere: mosquitto, or another replica's gate.
    At {
        /// `mqtt://host:port`.
        url: String,
        /// The replicas' password there.
        password: String,
    },
}

impl Cloud {
    /// Starts a replica with all roles that `broker` allows.
    pub async fn start(data: &Path, database_url: &str, broker: &Broker) -> Result<Self> {
        let mut cloud = Self::prepare(data, database_url, broker)?;
        cloud.restart().await?;
        Ok(cloud)
    }

    /// The same, before the start: for further settings.
    pub fn prepare(data: &Path, database_url: &str, broker: &Broker) -> Result<Self> {
        let mut service = Service::new("cloud", data)?;
        service.set("DATABASE_URL", database_url);
        service.set("CLOUD_DATA_DIR", data.display());
        service.set("CLOUD_MQTT__LISTEN", "127.0.0.1:0");
        service.set("CLOUD_AUTH__DEV_MAILBOX", true);
        match broker {
            Broker::Embedded { password } => service.set("CLOUD_MQTT__PASSWORD", password),
            Broker::At { url, password } => {
                service.set("CLOUD_ROLES", "api,ingest");
                service.set("CLOUD_MQTT__URL", url);
                service.set("CLOUD_MQTT__PASSWORD", password);
            }
        }
        Ok(Self { service, http: ([127, 0, 0, 1], 0).into(), mqtt: None })
    }

    /// Starts it, on the ports it had before.
    pub async fn restart(&mut self) -> Result<()> {
        self.service.set("CLOUD_HTTP__LISTEN", self.http);
        let listening = self.service.start().await?;
        self.http = *listening.get("http").context("the cloud says where its http is")?;
        self.mqtt = listening.get("mqtt").copied();
        if let Some(mqtt) = self.mqtt {
            self.service.set("CLOUD_MQTT__LISTEN", mqtt);
        }
        Ok(())
    }

    /// The process and its settings.
    pub fn service(&mut self) -> &mut Service {
        &mut self.service
    }

    /// Where it listens for HTTP.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// `http://…`, without a path.
    pub fn http_url(&self) -> String {
        format!("http://{}", self.http)
    }

    /// The page that shows one-time codes instead of sending them.
    pub fn mailbox_url(&self) -> String {
        format!("{}/dev/mail", self.http_url())
    }

    /// The gate in front of the embedded broker.
    pub fn mqtt(&self) -> Result<SocketAddr> {
        self.mqtt.context("this replica has no gate")
    }

    /// A client that has not logged in.
    pub fn graphql(&self) -> Client {
        Client::new(format!("{}/graphql", self.http_url()))
    }

    /// Creates an operator from the command line and logs in as him.
    pub async fn operator(&self, email: &str, password: &str) -> Result<Client> {
        self.service.tool(&["admin", "create", "--email", email, "--password-stdin"], password)?;
        self.graphql().log_in(email, password).await
    }

    /// A one-time claim code for the gateway of a site.
    pub fn claim(&self, site: &str) -> Result<String> {
        let printed = self.service.tool(&["gateway", "claim", "--site", site], "")?;
        printed.split_whitespace().next_back().map(str::to_owned).context("a claim code is printed")
    }

    /// The value of a metric, summed over its labels that contain `label`.
    pub async fn metric(&self, name: &str, label: &str) -> Result<f64> {
        crate::metrics::read(&self.http_url(), name, label).await
    }
}
