//! What is looked at before a station is told to trust, to move or to take a setting.

use reqwest::Url;
use shared::model::security::{CertificateHash, HIGHEST_PROFILE, ProfileRaise};
use shared::model::settings::{LONGEST_VALUE, folded, is_secret};
use x509_parser::pem::parse_x509_pem;

use super::super::error::{Fault, Result};

/// The longest certificate that a station takes (InstallCertificate.req).
const LONGEST_CERTIFICATE: usize = 5500;
/// OCPP 1.6 §7.29 CiString50.
const LONGEST_KEY: usize = 50;

/// A setting that may be written as it is. Neither what gives access nor what could shut the station out.
pub(in super::super) fn writable(key: &str) -> Result<()> {
    if is_secret(key) {
        return Err(Fault::BadInput(format!(
            "{key} gives access, so it is not written or kept as a setting: rotatePassword has the gateway make a password \
             that nobody sees, provisionStations one to be entered at the station."
        )));
    }
    if folded(key) == "securityprofile" {
        return Err(Fault::BadInput(format!(
            "{key} is not written as a setting, because that can shut the station out: raiseSecurityProfile goes there in \
             steps."
        )));
    }
    Ok(())
}

/// One certificate in PEM and nothing else, so that no key slips in beside it.
pub(super) fn certificate(pem: &str) -> Result<String> {
    let bad = |why: &str| Err(Fault::BadInput(format!("certificate {why}.")));
    let pem = pem.trim();
    if pem.len() > LONGEST_CERTIFICATE {
        return bad("has more than 5500 characters, which is more than a station takes");
    }
    if !pem.starts_with("-----BEGIN CERTIFICATE-----") {
        return bad("must be PEM that begins with -----BEGIN CERTIFICATE-----");
    }
    let Ok((rest, block)) = parse_x509_pem(pem.as_bytes()) else {
        return bad("is no PEM: it must end with -----END CERTIFICATE----- and be base64 between");
    };
    if !rest.trim_ascii().is_empty() {
        return bad("must be a single one, with nothing behind it");
    }
    let whole = x509_parser::parse_x509_certificate(&block.contents).is_ok_and(|(rest, _)| rest.is_empty());
    if whole { Ok(pem.to_owned()) } else { bad("is no X.509 certificate") }
}

/// A name of a certificate, as stations tell them.
pub(super) fn hash(hash: CertificateHash) -> Result<CertificateHash> {
    let parts = [
        ("issuerName", &hash.issuer_name, 128),
        ("issuerKey", &hash.issuer_key, 128),
        ("serial", &hash.serial, 40),
    ];
    for (name, text, longest) in parts {
        if !(1..=longest).contains(&text.len()) || !text.bytes().all(|it| it.is_ascii_hexdigit()) {
            return Err(Fault::BadInput(format!("{name} must be 1 to {longest} hexadecimal digits.")));
        }
    }
    Ok(hash)
}

/// A way to a higher profile.
pub(super) fn raise(raise: ProfileRaise) -> Result<ProfileRaise> {
    let bad = |why: &str| Err(Fault::BadInput(why.to_owned()));
    if !(1..=HIGHEST_PROFILE).contains(&raise.to) {
        return bad("to must be 1, 2 or 3.");
    }
    if let Some(key) = &raise.address_key {
        if !(1..=LONGEST_KEY).contains(&key.chars().count()) || key.chars().any(char::is_control) {
            return bad("addressKey must have 1 to 50 characters that can be seen.");
        }
        writable(key)?;
    }
    match (&raise.address, &raise.address_key) {
        (Some(_), None) => bad("address needs addressKey: the setting in which the station keeps it."),
        (Some(address), Some(_)) => {
            check_address(address, raise.to)?;
            Ok(raise)
        }
        (None, _) => Ok(raise),
    }
}

/// Where a station shall go. A password in it would be written down wherever the address is.
fn check_address(address: &str, profile: u8) -> Result<()> {
    let bad = |why: &str| Err(Fault::BadInput(format!("address {why}.")));
    // A parser of URLs forgives spaces and line breaks, a station does not.
    if address.len() > LONGEST_VALUE || !address.bytes().all(|it| it.is_ascii_graphic()) {
        return bad("must be at most 500 visible ASCII characters");
    }
    let Ok(url) = Url::parse(address) else { return bad("is no URL, such as wss://gateway.example:9443") };
    if !matches!(url.scheme(), "ws" | "wss") || url.host_str().is_none_or(str::is_empty) {
        return bad("must begin with ws:// or wss:// and name a host");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return bad("must not hold a user name or a password: a station shows those it has");
    }
    if url.fragment().is_some() {
        return bad("must not have a part behind #");
    }
    if profile > 1 && url.scheme() == "ws" {
        return bad("must begin with wss://: profiles 2 and 3 are over TLS");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A throw-away authority of 2026, good for a hundred years; its key is gone.
    const AUTHORITY: &str = include_str!("../../../tests/authority.pem");

    fn why<T: std::fmt::Debug>(result: Result<T>) -> String {
        let Err(Fault::BadInput(why)) = result else { panic!("taken: {result:?}") };
        why
    }

    #[test]
    fn one_certificate_is_taken_and_nothing_beside_it() {
        assert_eq!(certificate(&format!("\n{AUTHORITY}\n")).unwrap(), AUTHORITY.trim());
        let block =
            |label: &str, base64: &str| format!("-----BEGIN {label}-----\n{base64}\n-----END {label}-----\n");
        let key = block("PRIVATE KEY", "AAAA");
        assert!(why(certificate(&format!("{key}{AUTHORITY}"))).contains("begins with"));
        for (text, word) in [
            (format!("{AUTHORITY}{key}"), "single"),
            (format!("{AUTHORITY}{AUTHORITY}"), "single"),
            (block("CERTIFICATE", "AAAA"), "no X.509"),
            (block("CERTIFICATE", "a b c ?"), "no PEM"),
            ("-----BEGIN CERTIFICATE-----\nAAAA".into(), "no PEM"),
            ("-----BEGIN CERTIFICATE-----\u{fffd}\n".into(), "no PEM"),
            (String::new(), "begins with"),
            (AUTHORITY.repeat(20), "5500"),
        ] {
            let why = why(certificate(&text));
            assert!(why.contains(word), "{why} of {text}");
        }
    }

    #[test]
    fn a_way_up_leads_to_an_address_without_secrets() {
        let of = |to, key: Option<&str>, address: Option<&str>| {
            let (address_key, address) = (key.map(str::to_owned), address.map(str::to_owned));
            raise(ProfileRaise { to, address_key, address, over_plain: false })
        };
        assert!(of(2, None, None).is_ok() && of(3, Some("Url"), None).is_ok());
        assert!(of(2, Some("Url"), Some("wss://gateway.example:9443/ocpp")).is_ok());
        assert!(of(1, Some("Url"), Some("ws://[::1]:9000")).is_ok());
        assert!(why(of(0, None, None)).contains("to must"));
        assert!(why(of(4, None, None)).contains("to must"));
        assert!(why(of(2, Some(""), None)).contains("addressKey"));
        assert!(why(of(2, Some("securityprofile"), None)).contains("raiseSecurityProfile"));
        assert!(why(of(2, None, Some("wss://a"))).contains("needs addressKey"));
        for (address, word) in [
            ("https://a", "ws://"),
            ("wss://", "no URL"),
            ("gateway", "no URL"),
            ("wss://CP1:secret@a", "user name"),
            ("wss://CP1@a", "user name"),
            ("ws://a", "over TLS"),
            ("wss://a#b", "behind #"),
            ("wss://a\n.b", "visible"),
            ("wss://ä", "visible"),
        ] {
            let why = why(of(2, Some("Url"), Some(address)));
            assert!(why.contains(word), "{why} of {address}");
        }
    }

    #[test]
    fn names_of_certificates_are_hexadecimal() {
        let algorithm = shared::model::security::HashAlgorithm::Sha256;
        let named = |name: &str, serial: &str| {
            let (issuer_name, issuer_key, serial) = (name.into(), "cd".into(), serial.into());
            hash(CertificateHash { algorithm, issuer_name, issuer_key, serial })
        };
        assert!(named("aB09", "1").is_ok());
        assert!(why(named("", "1")).contains("issuerName"));
        assert!(why(named("xy", "1")).contains("issuerName"));
        assert!(why(named("ab", &"1".repeat(41))).contains("serial"));
    }

    #[test]
    fn what_gives_access_is_not_a_setting() {
        assert!(writable("HeartbeatInterval").is_ok());
        assert!(why(writable(" authorizationkey ")).contains("rotatePassword"));
        assert!(why(writable("FtpPassword")).contains("gives access"));
        assert!(why(writable("'SecurityProfile'")).contains("raiseSecurityProfile"));
    }
}
