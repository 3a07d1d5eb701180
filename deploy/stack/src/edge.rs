//! An edge agent as a process, enrolled at a cloud.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result};
use rumqttc::{AsyncClient, EventLoop, MqttOptions};
use serde::Deserialize;
use serde_json::Value;

use crate::service::Service;

/// An agent, running unless it was killed.
#[derive(Debug)]
pub struct Edge {
    service: Service,
    ocpp: SocketAddr,
    tls: SocketAddr,
    mutual_tls: SocketAddr,
    local: SocketAddr,
    files: [SocketAddr; 3],
}

/// Where stations fetch and bring files: the setting and the name in `listening.json`.
const FILES: [(&str, &str); 3] = [
    ("EDGE_FILES__LISTEN", "files"),
    ("EDGE_FILES__TLS_LISTEN", "files_tls"),
    ("EDGE_FILES__FTP_LISTEN", "files_ftp"),
];

impl Edge {
    /// Enrols a new agent with a claim code, without starting it. Its traffic to the broker goes through `mqtt` when
    /// given (a fault proxy), else to where the cloud says.
    pub fn enroll(data: &Path, cloud: &str, claim: &str, mqtt: Option<SocketAddr>) -> Result<Self> {
        let mut service = Service::new("edge-agent", data)?;
        service.set("EDGE_DATA_DIR", data.display());
        // Every station of this machine has the same address, and days pass in seconds.
        service.set("EDGE_OCPP__MAX_CONNECTIONS_PER_ADDRESS", 20_000);
        service.set("EDGE_OCPP__HANDSHAKES_PER_MINUTE", 0);
        service.set("EDGE_OCPP__MESSAGES_PER_SECOND", 0);
        service.set("EDGE_STORE__BALLAST_MEGABYTES", 0);
        if let Some(mqtt) = mqtt {
            service.set("EDGE_SYNC__MQTT_URL", format!("mqtt://{mqtt}"));
        }
        let folder = data.display().to_string();
        service.tool(&["enroll", "--cloud", cloud, "--claim", claim, "--data", &folder], "")?;
        Ok(Self::anywhere(service))
    }

    /// Not started: its ports are what the system will choose.
    fn anywhere(service: Service) -> Self {
        let unknown = ([127, 0, 0, 1], 0).into();
        Self {
            service,
            ocpp: unknown,
            tls: unknown,
            mutual_tls: unknown,
            local: unknown,
            files: [unknown; 3],
        }
    }

    /// The same agent with a copy of its data, on ports of its own, and far from the cloud; not started.
    pub fn elsewhere(&self, data: &Path) -> Result<Self> {
        let mut service = self.service.elsewhere(data);
        service.set("EDGE_DATA_DIR", data.display());
        service.set("EDGE_SYNC__MQTT_URL", "mqtt://127.0.0.1:9");
        Ok(Self::anywhere(service))
    }

    /// Starts it, on the ports it had before.
    pub async fn start(&mut self) -> Result<()> {
        self.service.set("EDGE_OCPP__LISTEN", self.ocpp);
        self.service.set("EDGE_TLS__LISTEN", self.tls);
        self.service.set("EDGE_TLS__MUTUAL_LISTEN", self.mutual_tls);
        self.service.set("EDGE_LOCAL__LISTEN", self.local);
        for ((setting, _), address) in FILES.iter().zip(self.files) {
            self.service.set(setting, address);
        }
        let listening = self.service.start().await?;
        let at =
            |name: &str| listening.get(name).copied().with_context(|| format!("the agent opened no {name}"));
        (self.ocpp, self.tls, self.mutual_tls) = (at("ocpp")?, at("tls")?, at("mutual_tls")?);
        self.local = at("local")?;
        for ((_, name), address) in FILES.iter().zip(&mut self.files) {
            *address = at(name)?;
        }
        Ok(())
    }

    /// The process and its settings.
    pub fn service(&mut self) -> &mut Service {
        &mut self.service
    }

    /// Where its database, its identity and its log are.
    pub fn data(&self) -> &Path {
        self.service.data()
    }

    /// Where stations connect.
    pub fn ocpp(&self) -> SocketAddr {
        self.ocpp
    }

    /// `ws://…/ocpp`: a station appends its identity.
    pub fn ocpp_url(&self) -> String {
        format!("ws://{}/ocpp", self.ocpp)
    }

    /// `wss://…/ocpp` for stations with passwords, and for those with certificates.
    pub fn tls_urls(&self) -> (String, String) {
        (format!("wss://{}/ocpp", self.tls), format!("wss://{}/ocpp", self.mutual_tls))
    }

    /// Runs a command of the agent's beside it and returns what it prints.
    pub fn tool(&self, arguments: &[&str]) -> Result<String> {
        self.service.tool(arguments, "")
    }

    /// `http://…` of the local API, without a path.
    pub fn local_url(&self) -> String {
        format!("http://{}", self.local)
    }

    /// What an installer has to show at the local API to change something.
    pub fn installer_token(&self) -> Result<String> {
        Ok(std::fs::read_to_string(self.service.data().join("local-token"))?.trim().to_owned())
    }

    /// Who it is towards the broker.
    pub fn identity(&self) -> Result<Identity> {
        Ok(toml::from_str(&std::fs::read_to_string(self.service.data().join("identity.toml"))?)?)
    }

    /// What the agent says about itself.
    pub async fn state(&self) -> Result<Value> {
        let url = format!("{}/api/state", self.local_url());
        Ok(reqwest::get(url).await?.error_for_status()?.json().await?)
    }

    /// The value of a metric, summed over its labels that contain `label`.
    pub async fn metric(&self, name: &str, label: &str) -> Result<f64> {
        crate::metrics::read(&self.local_url(), name, label).await
    }
}

/// Who a gateway is towards the broker.
#[derive(Clone, Debug, Deserialize)]
pub struct Identity {
    /// Client id and user name.
    pub gateway: String,
    /// The shard it belongs to.
    pub shard: u16,
    /// Its password.
    pub secret: String,
}

impl Identity {
    /// One of this gateway's topics.
    pub fn topic(&self, rest: &str) -> String {
        format!("evb/v1/{}/{}/{rest}", self.shard, self.gateway)
    }

    /// An MQTT client that logs in as this gateway.
    pub fn mqtt(&self, broker: SocketAddr) -> (AsyncClient, EventLoop) {
        let mut options = MqttOptions::new(&self.gateway, broker.ip().to_string(), broker.port());
        options.set_credentials(&self.gateway, &self.secret);
        AsyncClient::new(options, 16)
    }
}
