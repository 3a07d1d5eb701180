//! What a station trusts, and the certificate that it shows: OCPP security profiles 2 and 3.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

/// A station's side of TLS; cheap to clone.
#[derive(Clone)]
pub struct Tls {
    pub(crate) config: Arc<ClientConfig>,
    authorities: Arc<str>,
    /// The certificate chain and its key, in PEM.
    identity: Option<Arc<(String, String)>>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("identity", &self.identity.is_some()).finish_non_exhaustive()
    }
}

/// PEM that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadPem {
    /// No PEM, or not what it should be.
    #[error("cannot read the PEM: {0}")]
    Pem(#[from] rustls::pki_types::pem::Error),
    /// Not usable for TLS.
    #[error(transparent)]
    Tls(#[from] rustls::Error),
}

impl Tls {
    /// Trusts these authorities, and shows this certificate chain with its key, if any; all in PEM.
    ///
    /// # Errors
    /// When something is not PEM, or not a certificate or key.
    pub fn new(authorities: &str, identity: Option<(&str, &str)>) -> Result<Self, BadPem> {
        let mut roots = RootCertStore::empty();
        for authority in certificates(authorities)? {
            roots.add(authority)?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots);
        let config = match identity {
            Some((chain, key)) => config.with_client_auth_cert(
                certificates(chain)?,
                PrivateKeyDer::from_pem_slice(key.as_bytes())?,
            )?,
            None => config.with_no_client_auth(),
        };
        let identity = identity.map(|(chain, key)| Arc::new((chain.to_owned(), key.to_owned())));
        Ok(Self { config: Arc::new(config), authorities: authorities.into(), identity })
    }

    /// The authorities, in PEM.
    pub(crate) fn authorities(&self) -> &str {
        &self.authorities
    }

    /// The certificate chain and its key, in PEM.
    pub(crate) fn identity(&self) -> Option<(String, String)> {
        self.identity.as_deref().cloned()
    }
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, rustls::pki_types::pem::Error> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).collect()
}
