//! Certificates as a station sees them: what they are called, whom they are by, and whether they are its own.

use std::fmt;

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use ring::digest::{SHA256, digest};
use shared::model::security::{CertificateHash, HashAlgorithm};
use shared::units::Timestamp;
use x509_parser::certificate::X509Certificate;
use x509_parser::parse_x509_certificate;
use x509_parser::pem::Pem;

const END: &str = "-----END CERTIFICATE-----";

/// A private key, in PEM.
#[derive(Clone)]
pub(super) struct Key(pub(super) String);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

/// The certificates of a PEM text, one by one.
pub(super) fn each(pem: &str) -> impl Iterator<Item = String> {
    pem.split_inclusive(END).filter(|part| part.ends_with(END)).map(|part| format!("{}\n", part.trim()))
}

fn ders(pem: &str) -> Vec<Vec<u8>> {
    Pem::iter_from_buffer(pem.as_bytes()).map_while(Result::ok).map(|pem| pem.contents).collect()
}

fn with<T>(pem: &str, look: impl FnOnce(&X509Certificate<'_>) -> Option<T>) -> Option<T> {
    let first = ders(pem).into_iter().next()?;
    let (_, certificate) = parse_x509_certificate(&first).ok()?;
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
            serial: hex(certificate.raw_serial()).trim_start_matches('0').to_owned(),
        })
    })
}

/// A certificate's serial number, hexadecimal.
pub(super) fn serial(pem: &str) -> Option<String> {
    with(pem, |certificate| Some(hex(certificate.raw_serial())))
}

/// When a certificate begins and ends.
pub(super) fn validity(pem: &str) -> Option<(Timestamp, Timestamp)> {
    with(pem, |certificate| Some(validity_of(certificate)))
}

fn validity_of(certificate: &X509Certificate<'_>) -> (Timestamp, Timestamp) {
    let validity = certificate.validity();
    let at = |seconds: i64| Timestamp(seconds.saturating_mul(1000));
    (at(validity.not_before.timestamp()), at(validity.not_after.timestamp()))
}

/// Has it not ended?
pub(super) fn lasts_at(pem: &str, at: Timestamp) -> bool {
    validity(pem).is_some_and(|(_, ends)| at < ends)
}

/// Is it an authority that signed itself, and has not ended?
pub(super) fn is_root(pem: &str, at: Timestamp) -> bool {
    let is_authority = |root: &X509Certificate<'_>| Some(root.is_ca() && root.verify_signature(None).is_ok());
    lasts_at(pem, at) && with(pem, is_authority) == Some(true)
}

/// Is this certificate, in DER, the root, or by it?
pub(super) fn is_by(der: &[u8], root: &str) -> bool {
    let Ok((_, certificate)) = parse_x509_certificate(der) else { return false };
    let by = |root: &X509Certificate<'_>| Some(certificate.verify_signature(Some(root.public_key())).is_ok());
    with(root, by) == Some(true)
}

/// Is the chain's first certificate for this key and one of these names, good now, and by one of these roots?
pub(super) fn check(
    chain: &str,
    key: &Key,
    names: &[&str],
    roots: &[&str],
    now: Timestamp,
) -> Result<(), &'static str> {
    let chain = ders(chain);
    let first = chain.first().ok_or("no PEM")?;
    let (_, certificate) = parse_x509_certificate(first).map_err(|_| "no certificate")?;
    let key = KeyPair::from_pem(&key.0).map_err(|_| "not for this station's key")?;
    if certificate.public_key().subject_public_key.data.as_ref() != key.public_key_raw() {
        return Err("not for this station's key");
    }
    let mut said = certificate.subject().iter_common_name().filter_map(|name| name.as_str().ok());
    if !said.any(|name| names.iter().any(|its| its.eq_ignore_ascii_case(name))) {
        return Err("not for this station's name");
    }
    let (from, to) = validity_of(&certificate);
    if now < from || to <= now {
        return Err("not good at this time");
    }
    if leads_to(&chain, roots, now) { Ok(()) } else { Err("by nobody whom this station trusts") }
}

/// Is each certificate by the next one, until one is by a root?
fn leads_to(chain: &[Vec<u8>], roots: &[&str], now: Timestamp) -> bool {
    for (place, der) in chain.iter().enumerate() {
        if roots.iter().any(|root| lasts_at(root, now) && is_by(der, root)) {
            return true;
        }
        let Ok((_, certificate)) = parse_x509_certificate(der) else { return false };
        let next = chain.get(place + 1).and_then(|next| parse_x509_certificate(next).ok());
        let signs = |next: &X509Certificate<'_>| {
            next.is_ca() && certificate.verify_signature(Some(next.public_key())).is_ok()
        };
        if !next.is_some_and(|(_, next)| signs(&next)) {
            return false;
        }
    }
    false
}

/// A new key (ECDSA P-256), and the request for a certificate that is for it, in PEM.
pub(super) fn request(common: &str, organization: &str) -> Option<(Key, String)> {
    let key = KeyPair::generate().ok()?;
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common);
    name.push(DnType::OrganizationName, organization);
    let mut params = CertificateParams::default();
    params.distinguished_name = name;
    let request = params.serialize_request(&key).ok()?.pem().ok()?;
    Some((Key(key.serialize_pem()), request))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
