//! The three doors through which stations come in, one per security profile of OCPP (1.6 security whitepaper §2): plain with
//! a password, TLS with a password, TLS with a certificate. Each has a listener of its own, so that no client can talk its
//! way from one to another.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use arc_swap::ArcSwap;
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use shared::id::StationId;
use shared::model::security::StationCertificate;
use shared::units::Timestamp;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::pki::hex;

/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// A door.
#[derive(Clone)]
pub enum Door {
    /// Profile 1: a password over a line that anybody on the LAN can read.
    Plain,
    /// Profile 2: a password over TLS.
    Tls(TlsAcceptor),
    /// Profile 3: a certificate of this site's authority.
    Mutual(TlsAcceptor),
}

/// The certificate that the doors show; it is replaced while they are open.
#[derive(Debug)]
pub struct Shown(ArcSwap<CertifiedKey>);

/// A TLS connection, and whose certificate it showed.
pub struct Entered {
    /// The stream.
    pub stream: TlsStream<TcpStream>,
    /// The certificate; none was asked for at profile 2.
    pub certified: Option<Certified>,
}

/// A certificate that a station showed.
#[derive(Clone, Debug)]
pub struct Certified {
    /// The station that it is for: its common name.
    pub station: StationId,
    /// What it is.
    pub certificate: StationCertificate,
}

impl Shown {
    /// Shows a certificate.
    pub fn new(certificate: Arc<CertifiedKey>) -> Arc<Self> {
        Arc::new(Self(ArcSwap::new(certificate)))
    }

    /// Shows another one from now on.
    pub fn replace(&self, certificate: Arc<CertifiedKey>) {
        self.0.store(certificate);
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

impl Door {
    /// A door of profile 2.
    pub fn tls(shown: &Arc<Shown>) -> Self {
        Door::Tls(acceptor(shown))
    }

    /// A door of profile 3, for certificates of this authority.
    ///
    /// # Errors
    /// When the authority's certificate cannot be used.
    pub fn mutual(shown: &Arc<Shown>, authority: &CertificateDer<'static>) -> anyhow::Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone()).context("the site's authority cannot be used")?;
        let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build()?;
        let config = ServerConfig::builder()
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::clone(shown) as Arc<_>);
        Ok(Door::Mutual(TlsAcceptor::from(Arc::new(config))))
    }

    /// The OCPP security profile.
    pub fn profile(&self) -> u8 {
        match self {
            Door::Plain => 1,
            Door::Tls(_) => 2,
            Door::Mutual(_) => 3,
        }
    }
}

/// TLS that shows a certificate and asks for none.
pub fn acceptor(shown: &Arc<Shown>) -> TlsAcceptor {
    let config =
        ServerConfig::builder().with_no_client_auth().with_cert_resolver(Arc::clone(shown) as Arc<_>);
    TlsAcceptor::from(Arc::new(config))
}

/// Takes a TLS connection in.
///
/// # Errors
/// When the handshake fails, for example for a certificate that this site did not sign.
pub async fn enter(acceptor: &TlsAcceptor, socket: TcpStream) -> std::io::Result<Entered> {
    let stream = tokio::time::timeout(HANDSHAKE, acceptor.accept(socket)).await??;
    let certified = stream.get_ref().1.peer_certificates().and_then(|chain| certified(chain.first()?));
    Ok(Entered { stream, certified })
}

fn certified(certificate: &CertificateDer<'_>) -> Option<Certified> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let name = certificate.subject().iter_common_name().next()?.as_str().ok()?;
    let at = |time: x509_parser::time::ASN1Time| Timestamp(time.timestamp().saturating_mul(1000));
    let validity = certificate.validity();
    let facts = StationCertificate {
        serial: hex(certificate.raw_serial()),
        not_before: at(validity.not_before),
        not_after: at(validity.not_after),
    };
    Some(Certified { station: StationId::new(name).ok()?, certificate: facts })
}
