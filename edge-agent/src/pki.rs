//! The site's own certificate authority.
//!
//! Chargers on a LAN have no public names, so no public authority vouches for the gateway. It vouches for itself: an
//! authority is born with the data folder, chargers are given its certificate once, and it signs the gateway's own server
//! certificate and what chargers ask for (OCPP 1.6 security whitepaper, SignCertificate). Its key never leaves the box.
//!
//! Server certificates live in memory and are made anew at each start: chargers trust the authority, not a leaf. Validity
//! begins in 2020, because a charger's clock may be years late after a power cut. The keys are ECDSA P-256; where a charger
//! wants RSA, the configuration names a certificate of one's own.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData as _, SerialNumber,
    date_time_ymd,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use shared::id::StationId;
use shared::model::security::StationCertificate;
use shared::units::Timestamp;
use x509_parser::prelude::{FromDer as _, SubjectPublicKeyInfo};
use x509_parser::public_key::PublicKey;

/// Years that the authority is good for: longer than the chargers.
const AUTHORITY_YEARS: i32 = 30;
/// Years that a server certificate is good for; it is made anew long before.
const SERVER_YEARS: i32 = 2;
/// Years that a charger's certificate is good for.
const STATION_YEARS: i32 = 2;
/// An average year of the calendar.
const YEAR_MS: i64 = 31_556_952_000;
/// No earlier year is true.
const BUILT: i32 = 2026;
const ORGANIZATION: &str = "EV charging site";

/// The authority with its key.
pub struct Authority {
    certificate: CertificateDer<'static>,
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// What became of a charger's request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The chain in PEM, for CertificateSigned.
    pub chain: String,
    /// What it is.
    pub certificate: StationCertificate,
}

/// Why a charger's request is not signed.
#[derive(Debug, thiserror::Error)]
pub enum CsrRefused {
    /// It is no request, or its signature is wrong.
    #[error("the certificate signing request cannot be used: {0}")]
    Unusable(#[from] rcgen::Error),
    /// Its key is too weak, or of a kind that is not known (A00.FR.501 to 503).
    #[error(
        "the certificate signing request's key is not good enough: RSA from 2048 bits, or ECDSA from 256"
    )]
    Weak,
}

/// Is a request, in PEM, worth signing?
///
/// # Errors
/// See [`CsrRefused`].
pub fn check_request(pem: &str) -> Result<(), CsrRefused> {
    let request = CertificateSigningRequestParams::from_pem(pem)?;
    let info = request.public_key.subject_public_key_info();
    let Ok((_, info)) = SubjectPublicKeyInfo::from_der(&info) else { return Err(CsrRefused::Weak) };
    let strong = match info.parsed() {
        Ok(PublicKey::RSA(key)) => key.key_size() >= 2048,
        Ok(PublicKey::EC(point)) => point.key_size() >= 256,
        // What else can have signed the request is Ed25519.
        Ok(_) => true,
        Err(_) => false,
    };
    if strong { Ok(()) } else { Err(CsrRefused::Weak) }
}

impl Authority {
    /// Reads the authority of a data folder, or makes it.
    ///
    /// # Errors
    /// When the folder cannot be read or written, or its files are no certificate and key.
    pub fn open(data_dir: &Path, now: Timestamp) -> anyhow::Result<Self> {
        let certificate = authority_file(data_dir);
        let key = certificate.with_extension("key");
        if !certificate.exists() {
            let dir = data_dir.join("pki");
            fs::create_dir_all(&dir).with_context(|| format!("creating {}", dir.display()))?;
            let (pem, secret) = found(now)?;
            // The certificate last: with it the authority exists.
            write(&key, &secret, 0o600)?;
            write(&certificate, &pem, 0o644)?;
            tracing::info!(file = %certificate.display(), "a certificate authority for this site was made");
        }
        let pem =
            fs::read_to_string(&certificate).with_context(|| format!("reading {}", certificate.display()))?;
        let secret = fs::read_to_string(&key).with_context(|| format!("reading {}", key.display()))?;
        let pair = KeyPair::from_pem(&secret).with_context(|| format!("in {}", key.display()))?;
        let in_file = || format!("in {}", certificate.display());
        Ok(Self {
            certificate: CertificateDer::from_pem_slice(pem.as_bytes()).with_context(in_file)?,
            issuer: Issuer::from_ca_cert_pem(&pem, pair).with_context(in_file)?,
            pem,
        })
    }

    /// The certificate that chargers have to trust, in PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The certificate that chargers have to trust.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// A new server certificate for the names and addresses by which chargers know the gateway.
    ///
    /// # Errors
    /// When a name is none.
    pub fn server(&self, names: &[String], now: Timestamp) -> anyhow::Result<Arc<CertifiedKey>> {
        let mut params = CertificateParams::new(names).context("tls.names")?;
        params.distinguished_name = name_of(names.first().map_or("gateway", String::as_str));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        set_validity(&mut params, now, SERVER_YEARS);
        let key = KeyPair::generate()?;
        let leaf = params.signed_by(&key, &self.issuer)?;
        let secret = PrivateKeyDer::try_from(key.serialize_der()).map_err(anyhow::Error::msg)?;
        certified(vec![leaf.der().clone(), self.certificate.clone()], &secret)
    }

    /// Signs what a charger asks for, as a client certificate of that charger and nothing else, whatever it wrote into the
    /// request. It begins later than `after`, where its last one began: chargers take what begins last for the newest
    /// (A02.FR.09).
    ///
    /// # Errors
    /// See [`CsrRefused`].
    pub fn sign(
        &self,
        station: &StationId,
        csr: &str,
        after: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Signed, CsrRefused> {
        check_request(csr)?;
        let mut request = CertificateSigningRequestParams::from_pem(csr)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = name_of(station.as_str());
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.serial_number = Some(SerialNumber::from_slice(&serial()));
        set_validity(&mut params, now, STATION_YEARS);
        params.not_before += later_begins_later(now);
        if let Some(after) = after {
            let least = after.plus_millis(1000).0 / 1000 - params.not_before.unix_timestamp();
            params.not_before += Duration::from_secs(u64::try_from(least).unwrap_or(0));
        }
        let certificate = StationCertificate {
            serial: params.serial_number.as_ref().map(|it| hex(it.as_ref())).unwrap_or_default(),
            not_before: Timestamp(params.not_before.unix_timestamp() * 1000),
            not_after: Timestamp(params.not_after.unix_timestamp() * 1000),
        };
        request.params = params;
        Ok(Signed { chain: request.signed_by(&self.issuer)?.pem(), certificate })
    }
}

/// All certificates begin long ago, for the sake of wrong clocks: one that is issued a year later begins 36 days later.
fn later_begins_later(now: Timestamp) -> Duration {
    let since_built = now.0.saturating_sub(i64::from(2020 - 1970) * YEAR_MS).max(0);
    Duration::from_secs(since_built.unsigned_abs() / 10_000)
}

/// Sixteen random bytes that are a positive number without a leading zero.
fn serial() -> [u8; 16] {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes[0] = bytes[0] & 0x7f | 0x40;
    bytes
}

/// Bytes in hexadecimal, as certificates' serial numbers are written.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The certificate of a data folder's authority.
pub fn authority_file(data_dir: &Path) -> PathBuf {
    data_dir.join("pki/site-ca.pem")
}

/// A certificate of one's own, with its chain and key, in PEM.
///
/// # Errors
/// When a file cannot be read, or the two do not belong together.
pub fn from_files(certificate: &Path, key: &Path) -> anyhow::Result<Arc<CertifiedKey>> {
    let reading = |path: &Path| format!("reading {}", path.display());
    let chain: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(certificate).with_context(|| reading(certificate))?.collect();
    let secret = PrivateKeyDer::from_pem_file(key).with_context(|| reading(key))?;
    certified(chain.with_context(|| reading(certificate))?, &secret)
}

fn certified(
    chain: Vec<CertificateDer<'static>>,
    key: &PrivateKeyDer<'_>,
) -> anyhow::Result<Arc<CertifiedKey>> {
    let key = rustls::crypto::ring::sign::any_supported_type(key)?;
    let certified = CertifiedKey::new(chain, key);
    certified.keys_match().context("the certificate is not this key's")?;
    Ok(Arc::new(certified))
}

fn found(now: Timestamp) -> anyhow::Result<(String, String)> {
    let mut params = CertificateParams::default();
    params.distinguished_name = name_of("EV site CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    set_validity(&mut params, now, AUTHORITY_YEARS);
    let key = KeyPair::generate()?;
    Ok((params.self_signed(&key)?.pem(), key.serialize_pem()))
}

fn name_of(common: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common);
    name.push(DnType::OrganizationName, ORGANIZATION);
    name
}

/// From 2020, for so many years from now. A clock that was never set counts as this build's year.
fn set_validity(params: &mut CertificateParams, now: Timestamp, years: i32) {
    let year = i32::try_from(1970 + now.0 / YEAR_MS).unwrap_or(BUILT).max(BUILT);
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(year + years + 1, 1, 1);
}

fn write(path: &Path, text: &str, mode: u32) -> anyhow::Result<()> {
    let draft = path.with_extension("new");
    let _ = fs::remove_file(&draft);
    let writing = || format!("writing {}", path.display());
    let mut out =
        fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&draft).with_context(writing)?;
    out.write_all(text.as_bytes()).and_then(|()| out.sync_all()).with_context(writing)?;
    fs::rename(&draft, path).with_context(writing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::SanType;
    use x509_parser::prelude::X509Certificate;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    #[test]
    fn the_authority_is_made_once_and_its_key_is_nobodys_to_read() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let first = Authority::open(dir.path(), NOW).unwrap();
        let again = Authority::open(dir.path(), NOW).unwrap();
        assert_eq!(first.pem(), again.pem());
        let mode = fs::metadata(dir.path().join("pki/site-ca.key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        first.server(&["gateway.local".into(), "192.168.1.7".into()], NOW).unwrap();
    }

    #[test]
    fn a_request_becomes_its_stations_client_certificate_whatever_it_asks_for() {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::open(dir.path(), NOW).unwrap();
        let key = KeyPair::generate().unwrap();
        let mut greedy = CertificateParams::default();
        greedy.distinguished_name = name_of("SOMEBODY-ELSE");
        greedy.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        greedy.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        greedy.subject_alt_names = vec![SanType::DnsName("gateway.local".try_into().unwrap())];
        let csr = greedy.serialize_request(&key).unwrap().pem().unwrap();

        let station = StationId::new("CP1").unwrap();
        let signed = authority.sign(&station, &csr, None, NOW).unwrap();
        let der = CertificateDer::from_pem_slice(signed.chain.as_bytes()).unwrap();
        let (_, certificate) = X509Certificate::from_der(&der).unwrap();
        assert_eq!(certificate.subject().iter_common_name().next().unwrap().as_str(), Ok("CP1"));
        assert!(!certificate.is_ca() && certificate.subject_alternative_name().unwrap().is_none());
        let usage = certificate.extended_key_usage().unwrap().unwrap().value;
        assert!(usage.client_auth && !usage.server_auth);
        let ca = authority.certificate();
        let (_, ca) = X509Certificate::from_der(ca).unwrap();
        certificate.verify_signature(Some(ca.public_key())).unwrap();

        assert_eq!(hex(certificate.raw_serial()), signed.certificate.serial);
        let validity = certificate.validity();
        assert_eq!(validity.not_before.timestamp() * 1000, signed.certificate.not_before.0);
        assert_eq!(validity.not_after.timestamp() * 1000, signed.certificate.not_after.0);

        assert!(matches!(check_request("no request"), Err(CsrRefused::Unusable(_))));
    }

    #[test]
    fn a_later_certificate_is_the_newer_one_to_a_charger_though_all_begin_long_ago() {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::open(dir.path(), NOW).unwrap();
        let csr = CertificateParams::default().serialize_request(&KeyPair::generate().unwrap()).unwrap();
        let csr = csr.pem().unwrap();
        let station = StationId::new("CP1").unwrap();
        let sign = |after, now| authority.sign(&station, &csr, after, now).unwrap().certificate;
        let at = |now| sign(None, now);
        let (first, second) = (at(NOW), at(NOW.plus_millis(60_000)));
        let at_once = sign(Some(first.not_before), NOW);
        assert!(first.not_before < at_once.not_before && at_once.not_before < second.not_before);
        assert!(first.not_before < second.not_before && second.not_before < Timestamp(1_650_000_000_000));
        assert!(first.not_after > NOW.plus_millis(YEAR_MS) && first.serial != second.serial);
        assert!(at(Timestamp(0)).not_before < first.not_before);
    }

    #[test]
    fn a_clock_that_was_never_set_makes_certificates_that_are_good_today() {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::open(dir.path(), Timestamp(0)).unwrap();
        let (_, certificate) = X509Certificate::from_der(authority.certificate()).unwrap();
        let today = x509_parser::time::ASN1Time::from_timestamp(NOW.0 / 1000).unwrap();
        assert!(certificate.validity().is_valid_at(today));
    }
}
