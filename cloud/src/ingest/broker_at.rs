//! Where the broker is and how to log in there: the embedded one of this process, or one named by the configuration.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use rumqttc::{MqttOptions, TlsConfiguration, Transport};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use shared::sync::MAX_FRAME_BYTES;
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
    host: String,
    port: u16,
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
                host: inner.address.ip().to_string(),
                port: inner.address.port(),
                tls: None,
                username: username.into(),
                password: Some(Secret::new(password)),
            });
        }
        let url = config.url.as_deref().context("the ingest role needs mqtt.url or the broker role")?;
        let (secure, host, port) = parse(url).with_context(|| format!("mqtt.url `{url}`"))?;
        let tls = match (secure, &config.ca_file) {
            (false, _) => None,
            (true, Some(ca)) => Some(trusting(ca)?),
            (true, None) => bail!("mqtts:// needs mqtt.ca_file"),
        };
        Ok(Self { host, port, tls, username: config.username.clone(), password: config.password.clone() })
    }

    pub(super) fn options(&self, replica: Uuid) -> MqttOptions {
        let mut options = MqttOptions::new(format!("cloud-{}", replica.simple()), &self.host, self.port);
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

fn parse(url: &str) -> anyhow::Result<(bool, String, u16)> {
    let (secure, rest, port) = match (url.strip_prefix("mqtt://"), url.strip_prefix("mqtts://")) {
        (Some(rest), _) => (false, rest, 1883),
        (None, Some(rest)) => (true, rest, 8883),
        (None, None) => bail!("expected mqtt:// or mqtts://"),
    };
    let rest = rest.trim_end_matches('/');
    if rest.is_empty() || rest.contains(['/', '@']) {
        bail!("expected host and port only; the login is mqtt.username and mqtt.password");
    }
    match rest.rsplit_once(':') {
        Some((host, digits)) if !digits.ends_with(']') => {
            Ok((secure, host.trim_matches(['[', ']']).into(), digits.parse().context("port")?))
        }
        Some(_) | None => Ok((secure, rest.trim_matches(['[', ']']).into(), port)),
    }
}

fn trusting(ca: &Path) -> anyhow::Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(ca).with_context(|| ca.display().to_string())? {
        roots.add(certificate?).with_context(|| ca.display().to_string())?;
    }
    Ok(Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brokers_are_named_by_url() {
        assert_eq!(parse("mqtt://host").unwrap(), (false, "host".into(), 1883));
        assert_eq!(parse("mqtts://host:1/").unwrap(), (true, "host".into(), 1));
        assert_eq!(parse("mqtt://[::1]:1884").unwrap(), (false, "::1".into(), 1884));
        assert_eq!(parse("mqtt://[::1]").unwrap(), (false, "::1".into(), 1883));
        for wrong in ["host:1883", "http://host", "mqtt://", "mqtt://u:p@host", "mqtt://host:x"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
