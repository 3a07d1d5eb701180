//! TLS towards the cloud, with the system's roots or the one that the configuration names.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, ensure};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

/// Debian's bundle of trusted roots; other systems have it in the same place or name theirs in the configuration.
const SYSTEM_ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";

/// A client's configuration.
pub fn client(ca_file: Option<&Path>) -> anyhow::Result<Arc<rustls::ClientConfig>> {
    let path = ca_file.unwrap_or(Path::new(SYSTEM_ROOTS));
    let mut roots = rustls::RootCertStore::empty();
    let reading = || format!("reading the certificate authorities in {}", path.display());
    for certificate in CertificateDer::pem_file_iter(path).with_context(reading)? {
        // A bundle may hold roots that rustls cannot use; the others still count.
        let _ = roots.add(certificate.with_context(reading)?);
    }
    ensure!(!roots.is_empty(), "{} holds no usable certificate authority", path.display());
    Ok(Arc::new(rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth()))
}
