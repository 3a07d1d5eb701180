//! The security extension (OCPP 1.6 security whitepaper, edition 3): certificates and what a station reports of its
//! security. Firmware and logs are in [`super::files`].

use serde_json::value::RawValue;

use super::names::ExtendedTrigger;
use super::schema::{
    CertificateHashData, CertificateSignedRequest, CertificateUse, DeleteCertificateRequest,
    ExtendedMessageTrigger, ExtendedTriggerMessageRequest, GetInstalledCertificateIdsRequest,
    HashAlgorithm as HashName, InstallCertificateRequest, Violation, write,
};
use crate::model::security::{CertificateHash, HashAlgorithm, RootUse};
use crate::ocpp::lenient::{Reader, Time};

/// The longest certificate signing request that a station can send.
pub const LONGEST_CSR: usize = 5500;

/// A request of ours about security.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the specification's")]
pub enum SecurityCall {
    CertificateSigned { chain: String },
    InstallCertificate { root: RootUse, certificate: String },
    DeleteCertificate(CertificateHash),
    GetInstalledCertificateIds { root: RootUse },
    ExtendedTrigger { message: ExtendedTrigger, connector: Option<u16> },
}

/// A station's report (A04).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecurityEvent {
    /// What happened.
    pub kind: Option<String>,
    /// When.
    pub at: Option<Time>,
    /// More.
    pub tech_info: Option<String>,
}

impl SecurityCall {
    /// The action's name.
    pub fn action(&self) -> &'static str {
        match self {
            SecurityCall::CertificateSigned { .. } => "CertificateSigned",
            SecurityCall::InstallCertificate { .. } => "InstallCertificate",
            SecurityCall::DeleteCertificate(_) => "DeleteCertificate",
            SecurityCall::GetInstalledCertificateIds { .. } => "GetInstalledCertificateIds",
            SecurityCall::ExtendedTrigger { .. } => "ExtendedTriggerMessage",
        }
    }

    /// The request's payload, if the schema allows what it says.
    pub fn payload(&self) -> Result<Box<RawValue>, Violation> {
        match self {
            SecurityCall::CertificateSigned { chain } => write(&CertificateSignedRequest::new(chain)),
            SecurityCall::InstallCertificate { root, certificate } => {
                write(&InstallCertificateRequest::new(use_of(*root), certificate))
            }
            SecurityCall::DeleteCertificate(hash) => write(&DeleteCertificateRequest::new(hash_of(hash))),
            SecurityCall::GetInstalledCertificateIds { root } => {
                write(&GetInstalledCertificateIdsRequest::new(use_of(*root)))
            }
            SecurityCall::ExtendedTrigger { message, connector } => {
                let message = ExtendedMessageTrigger::from_wire(message.name());
                let mut request = ExtendedTriggerMessageRequest::new(message);
                request.connector_id = connector.map(i32::from);
                write(&request)
            }
        }
    }
}

fn use_of(root: RootUse) -> CertificateUse {
    match root {
        RootUse::CentralSystem => CertificateUse::CentralSystemRootCertificate,
        RootUse::Manufacturer => CertificateUse::ManufacturerRootCertificate,
    }
}

fn hash_of(hash: &CertificateHash) -> CertificateHashData {
    CertificateHashData::new(
        HashName::from_wire(hash.algorithm.name()),
        &hash.issuer_name,
        &hash.issuer_key,
        &hash.serial,
    )
}

impl SecurityEvent {
    pub(super) fn read(reader: &mut Reader, payload: &RawValue) -> SecurityEvent {
        let [kind, at, tech_info] = reader.members(payload, ["type", "timestamp", "techInfo"]);
        let kind = reader.text("type", kind, 50);
        let at = reader.time("timestamp", at);
        SecurityEvent {
            kind: reader.needed("type", kind),
            at: reader.needed("timestamp", at),
            tech_info: reader.text("techInfo", tech_info, 255),
        }
    }
}

/// The request of SignCertificate.req, in PEM.
pub(super) fn csr(reader: &mut Reader, payload: &RawValue) -> Option<String> {
    let [csr] = reader.members(payload, ["csr"]);
    let csr = reader.text("csr", csr, LONGEST_CSR);
    reader.needed("csr", csr)
}

/// The certificates of GetInstalledCertificateIds.conf. A name that cannot be read is left out.
pub(super) fn read_hash(reader: &mut Reader, raw: &RawValue) -> Option<CertificateHash> {
    let names = ["hashAlgorithm", "issuerNameHash", "issuerKeyHash", "serialNumber"];
    let [algorithm, issuer_name, issuer_key, serial] = reader.members(raw, names);
    Some(CertificateHash {
        algorithm: reader.name("hashAlgorithm", algorithm, hash_name)?,
        issuer_name: reader.text("issuerNameHash", issuer_name, 128)?,
        issuer_key: reader.text("issuerKeyHash", issuer_key, 128)?,
        serial: reader.text("serialNumber", serial, 40)?,
    })
}

fn hash_name(name: &str) -> Option<HashAlgorithm> {
    let all = [HashAlgorithm::Sha256, HashAlgorithm::Sha384, HashAlgorithm::Sha512];
    all.into_iter().find(|known| known.name().eq_ignore_ascii_case(name.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ocpp::v16::schema::read_csms_request;
    use crate::ocpp::v16::{Confirmation, StationCall};

    fn raw(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.to_owned()).unwrap()
    }

    fn hash() -> CertificateHash {
        CertificateHash {
            algorithm: HashAlgorithm::Sha256,
            issuer_name: "ab".into(),
            issuer_key: "cd".into(),
            serial: "01".into(),
        }
    }

    #[test]
    fn every_request_is_what_the_schema_asks() {
        for (call, payload) in [
            (SecurityCall::CertificateSigned { chain: "PEM".into() }, r#"{"certificateChain":"PEM"}"#),
            (
                SecurityCall::InstallCertificate { root: RootUse::CentralSystem, certificate: "PEM".into() },
                r#"{"certificateType":"CentralSystemRootCertificate","certificate":"PEM"}"#,
            ),
            (
                SecurityCall::DeleteCertificate(hash()),
                r#"{"certificateHashData":{"hashAlgorithm":"SHA256","issuerNameHash":"ab","issuerKeyHash":"cd","serialNumber":"01"}}"#,
            ),
            (
                SecurityCall::GetInstalledCertificateIds { root: RootUse::Manufacturer },
                r#"{"certificateType":"ManufacturerRootCertificate"}"#,
            ),
            (
                SecurityCall::ExtendedTrigger {
                    message: ExtendedTrigger::SignChargePointCertificate,
                    connector: None,
                },
                r#"{"requestedMessage":"SignChargePointCertificate"}"#,
            ),
        ] {
            let written = call.payload().unwrap();
            assert_eq!(written.get(), payload);
            assert!(read_csms_request(call.action(), &written).is_ok(), "{payload}");
        }
        let long = SecurityCall::CertificateSigned { chain: "x".repeat(10_001) };
        assert!(long.payload().unwrap_err().reason.contains("certificateChain"));
    }

    #[test]
    fn what_stations_tell_is_read_leniently() {
        let event = StationCall::read(
            "SecurityEventNotification",
            &raw(
                r#"{"type":"TamperDetectionActivated","timestamp":"2026-01-01T00:00:00Z","techInfo":"lid"}"#,
            ),
        );
        let StationCall::SecurityEvent(event) = event.unwrap().value else { panic!() };
        assert_eq!(
            (event.kind.as_deref(), event.tech_info.as_deref()),
            (Some("TamperDetectionActivated"), Some("lid"))
        );
        let read = StationCall::read("SecurityEventNotification", &raw("{}")).unwrap();
        assert!(
            read.value == StationCall::SecurityEvent(SecurityEvent::default()) && !read.findings.is_empty()
        );

        let signed = StationCall::read("SignCertificate", &raw(r#"{"csr":"PEM"}"#)).unwrap().value;
        assert_eq!(signed, StationCall::SignCertificate { csr: Some("PEM".into()) });

        let told = Confirmation::read(&raw(
            r#"{"status":"Accepted","certificateHashData":[{"hashAlgorithm":"sha256","issuerNameHash":"ab",
                "issuerKeyHash":"cd","serialNumber":"01"},{"hashAlgorithm":"MD5"}]}"#,
        ));
        assert_eq!(told.value.certificates, [hash()]);
    }
}
