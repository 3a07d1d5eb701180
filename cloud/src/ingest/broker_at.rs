//! Where the broker is and how to log in there: the embedded one of this process, or one (or a cluster of them) named by the
//! configuration.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use rumqttc::{MqttOptions, TlsConfiguration, Transport};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use shared::sync::MAX_FRAME_BYTES;
use shared::sync::address::{BrokerAddress, brokers};
use uuid::Uuid;

use crate::broker::Embedded;
use crate::config::{Mqtt, Secret};

const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Topic and packet id beside the frame.
const HEADROOM: usize = 1024;
/// Unacknowledged messages to the broker.
const IN_FLIGHT: u16 = 500;

/// A broker and a login.
#[derive(Debug, Clone)]
pub struct BrokerAt {
    brokers: Vec<BrokerAddress>,
    tls: Option<Arc<ClientConfig>>,
    username: String,
    password: Option<Secret>,
}

impl BrokerAt {
    /// The embedded broker if there is one, else the configured one.
    ///
    /// # Errors
    /// When the URL or the CA cannot be used.
    pub fn from_config(config: &Mqtt, embedded: Option<&Embedded>) -> anyhow::Result<Self> {
        if let Some(Embedded { inner, .. }) = embedded {
            let (username, password) = inner.credentials();
            return Ok(Self {
                brokers: vec![BrokerAddress {
                    tls: false,
                    host: inner.address.ip().to_string(),
                    port: inner.address.port(),
                }],
                tls: None,
                username: username.into(),
                password: Some(Secret::new(password)),
            });
        }
        let url = config.url.as_deref().context("the ingest role needs mqtt.url or the broker role")?;
        let brokers = brokers(url).context("mqtt.url")?;
        let tls = match (brokers.iter().any(|it| it.tls), &config.ca_file) {
            (false, _) => None,
            (true, Some(ca)) => Some(trusting(ca)?),
            (true, None) => bail!("mqtts:// needs mqtt.ca_file"),
        };
        Ok(Self { brokers, tls, username: config.username.clone(), password: config.password.clone() })
    }

    /// How to reach each broker of the cluster, another one first for each replica; there is at least one.
    pub(super) fn options(&self, replica: Uuid) -> Vec<MqttOptions> {
        let mut all: Vec<_> = self.brokers.iter().map(|broker| self.options_at(broker, replica)).collect();
        let turn = usize::from(replica.as_bytes()[0]) % all.len();
        all.rotate_left(turn);
        all
    }

    fn options_at(&self, broker: &BrokerAddress, replica: Uuid) -> MqttOptions {
        let mut options = MqttOptions::new(format!("cloud-{}", replica.simple()), &broker.host, broker.port);
        options.set_keep_alive(KEEP_ALIVE).set_clean_session(true).set_inflight(IN_FLIGHT);
        options.set_max_packet_size(MAX_FRAME_BYTES + HEADROOM, MAX_FRAME_BYTES + HEADROOM);
        if let Some(password) = &self.password {
            options.set_credentials(&self.username, password.expose());
        }
        if let Some(tls) = &self.tls {
            options.set_transport(Transport::Tls(TlsConfiguration::Rustls(Arc::clone(tls))));
        }
        options
    }
}

fn trusting(ca: &Path) -> anyhow::Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(ca).with_context(|| ca.display().to_string())? {
        roots.add(certificate?).with_context(|| ca.display().to_string())?;
    }
    Ok(Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth()))
}
