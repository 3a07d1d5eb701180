//! Certificates as a station sees them: what they are called, whom they are by, and whether they are its own.

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use ring::digest::{SHA256, digest};
use shared::model::security::{CertificateHash, HashAlgorithm};
use shared::units::Timestamp;
use x509_parser::certificate::X509Certificate;
use x509_parser::pem::Pem;

/// The first certificate in a PEM text, in DER.
fn der(pem: &str) -> Option<Vec<u8>> {
    let pem = Pem::iter_from_buffer(pem.as_bytes()).next()?.ok()?;
    pem.parse_x509().ok()?;
    Some(pem.contents)
}

fn with<T>(pem: &str, look: impl FnOnce(&X509Certificate<'_>) -> Option<T>) -> Option<T> {
    let der = der(pem)?;
    let (_, certificate) = x509_parser::parse_x509_certificate(&der).ok()?;
    look(&certificate)
}

/// The name of a root certificate as OCSP makes it. A root is its own issuer.
pub(super) fn hash(pem: &str) -> Option<CertificateHash> {
    let sha256 = |bytes: &[u8]| hex(digest(&SHA256, bytes).as_ref());
    with(pem, |certificate| {
        Some(CertificateHash {
            algorithm: HashAlgorithm::Sha256,
            issuer_name: sha256(certificate.issuer().as_raw()),
            issuer_key: sha256(&certificate.public_key().subject_public_key.data),
            serial: hex(certificate.raw_serial()),
        })
    })
}

/// A certificate's serial number, hexadecimal.
pub(super) fn serial(pem: &str) -> Option<String> {
    with(pem, |certificate| Some(hex(certificate.raw_serial())))
}

/// When a certificate begins and ends.
pub(super) fn validity(pem: &str) -> Option<(Timestamp, Timestamp)> {
    with(pem, |certificate| {
        let validity = certificate.validity();
        let at = |seconds: i64| Timestamp(seconds.saturating_mul(1000));
        Some((at(validity.not_before.timestamp()), at(validity.not_after.timestamp())))
    })
}

/// Is it for this key, by one of these roots, and good now (A02.FR.06)?
pub(super) fn is_ours(chain: &str, key: &str, roots: &[&str], now: Timestamp) -> bool {
    let Ok(key) = KeyPair::from_pem(key) else { return false };
    let by_root = |certificate: &X509Certificate<'_>, root: &str| {
        with(root, |root| certificate.verify_signature(Some(root.public_key())).ok()).is_some()
    };
    let ours = with(chain, |certificate| {
        let same = certificate.public_key().subject_public_key.data.as_ref() == key.public_key_raw();
        (same && roots.iter().any(|root| by_root(certificate, root))).then_some(())
    });
    ours.is_some() && validity(chain).is_some_and(|(from, to)| from <= now && now < to)
}

/// A new key, and the request for a certificate that is for it, both in PEM.
pub(super) fn request(common: &str, organization: &str) -> Option<(String, String)> {
    let key = KeyPair::generate().ok()?;
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common);
    name.push(DnType::OrganizationName, organization);
    let mut params = CertificateParams::default();
    params.distinguished_name = name;
    let request = params.serialize_request(&key).ok()?.pem().ok()?;
    Some((key.serialize_pem(), request))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
