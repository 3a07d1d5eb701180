//! Certificates and security events as OCPP 1.6's security extension writes them.

use serde_json::value::RawValue;
use shared::model::security::{CertificateHash, HashAlgorithm, RootUse};
use shared::ocpp::v16::schema::{self, CsmsRequest, Violation, write};
use shared::ocpp::v16::{Confirmation, ExtendedTrigger, SecurityCall};

/// What is asked about security; `None` when it is something else.
pub(super) fn asked(request: CsmsRequest) -> Option<SecurityCall> {
    Some(match request {
        CsmsRequest::CertificateSigned(request) => {
            SecurityCall::CertificateSigned { chain: request.certificate_chain }
        }
        CsmsRequest::InstallCertificate(request) => SecurityCall::InstallCertificate {
            root: root(&request.certificate_type),
            certificate: request.certificate,
        },
        CsmsRequest::DeleteCertificate(request) => {
            SecurityCall::DeleteCertificate(hash(request.certificate_hash_data))
        }
        CsmsRequest::GetInstalledCertificateIds(request) => {
            SecurityCall::GetInstalledCertificateIds { root: root(&request.certificate_type) }
        }
        CsmsRequest::ExtendedTriggerMessage(request) => SecurityCall::ExtendedTrigger {
            message: ExtendedTrigger::from_name(request.requested_message.as_str())?,
            connector: request.connector_id.and_then(|number| u16::try_from(number).ok()),
        },
        _ => return None,
    })
}

/// The answer.
pub(super) fn confirmation(
    call: &SecurityCall,
    word: &str,
    answer: &Confirmation,
) -> Result<Box<RawValue>, Violation> {
    match call {
        SecurityCall::CertificateSigned { .. } => {
            write(&schema::CertificateSignedResponse::new(schema::CertificateSignedStatus::from_wire(word)))
        }
        SecurityCall::InstallCertificate { .. } => {
            write(&schema::InstallCertificateResponse::new(schema::InstallCertificateStatus::from_wire(word)))
        }
        SecurityCall::DeleteCertificate(_) => {
            write(&schema::DeleteCertificateResponse::new(schema::DeleteCertificateStatus::from_wire(word)))
        }
        SecurityCall::GetInstalledCertificateIds { .. } => {
            let status = schema::GetInstalledCertificateStatus::from_wire(word);
            let mut response = schema::GetInstalledCertificateIdsResponse::new(status);
            let certificates: Vec<_> = answer.certificates.iter().map(hash_data).collect();
            response.certificate_hash_data = (!certificates.is_empty()).then_some(certificates);
            write(&response)
        }
        SecurityCall::ExtendedTrigger { .. } => {
            write(&schema::ExtendedTriggerMessageResponse::new(schema::TriggerMessageStatus::from_wire(word)))
        }
    }
}

fn root(kind: &schema::CertificateUse) -> RootUse {
    match kind {
        schema::CertificateUse::ManufacturerRootCertificate => RootUse::Manufacturer,
        _ => RootUse::CentralSystem,
    }
}

fn hash(data: schema::CertificateHashData) -> CertificateHash {
    CertificateHash {
        algorithm: match data.hash_algorithm.as_str() {
            "SHA384" => HashAlgorithm::Sha384,
            "SHA512" => HashAlgorithm::Sha512,
            _ => HashAlgorithm::Sha256,
        },
        issuer_name: data.issuer_name_hash,
        issuer_key: data.issuer_key_hash,
        serial: data.serial_number,
    }
}

fn hash_data(hash: &CertificateHash) -> schema::CertificateHashData {
    let algorithm = schema::HashAlgorithm::from_wire(hash.algorithm.name());
    schema::CertificateHashData::new(algorithm, &hash.issuer_name, &hash.issuer_key, &hash.serial)
}
