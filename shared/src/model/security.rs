//! How well a station's connection is secured, and what is done about it (OCPP 1.6 security whitepaper): its profile, its
//! password, its certificate, the authorities that it trusts, and what it reports.

use serde::{Deserialize, Serialize};

use crate::id::{CommandId, StationId};
use crate::units::Timestamp;

/// The security profile that has all there is: TLS with certificates on both sides (A00).
pub const HIGHEST_PROFILE: u8 = 3;
/// The longest text of an event that is kept (SecurityEventNotification.req techInfo).
pub const LONGEST_TECH_INFO: usize = 255;

/// What an authority's certificate is good for (CertificateUseEnumType).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RootUse {
    /// To know us by.
    CentralSystem,
    /// To know the maker's firmware by.
    Manufacturer,
}

impl RootUse {
    /// The name in tables and answers.
    pub fn name(self) -> &'static str {
        match self {
            RootUse::CentralSystem => "CentralSystem",
            RootUse::Manufacturer => "Manufacturer",
        }
    }
}

/// The hash in which a certificate is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum HashAlgorithm {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl HashAlgorithm {
    /// The name in tables and answers.
    pub fn name(self) -> &'static str {
        match self {
            HashAlgorithm::Sha256 => "SHA256",
            HashAlgorithm::Sha384 => "SHA384",
            HashAlgorithm::Sha512 => "SHA512",
        }
    }
}

/// How a station names a certificate that it holds (CertificateHashDataType): as OCSP does.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CertificateHash {
    /// The hash of the next two.
    pub algorithm: HashAlgorithm,
    /// The hash of the issuer's name, hexadecimal.
    pub issuer_name: String,
    /// The hash of the issuer's key, hexadecimal.
    pub issuer_key: String,
    /// The serial number, hexadecimal.
    pub serial: String,
}

/// An order to bring a station to a higher profile (A05). There is none to a lower one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileRaise {
    /// To which: 1 to 3.
    pub to: u8,
    /// The setting in which the station keeps our address, where it does not find the other door by itself.
    pub address_key: Option<String>,
    /// What to write there; the gateway's own address as the station reached it when absent.
    pub address: Option<String>,
    /// The authority's certificate and a password may go over a line that anybody on the LAN can read and change.
    pub over_plain: bool,
}

/// A station reported something about its security (A04). Never dropped: an auditor may ask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecurityReported {
    /// Which.
    pub station: StationId,
    /// What, in the station's word.
    pub kind: String,
    /// More, for a person.
    pub tech_info: Option<String>,
    /// When, by the station's clock if that is to be believed.
    pub at: Timestamp,
}

/// The events that the whitepaper calls critical (§8).
const CRITICAL: [&str; 7] = [
    "FirmwareUpdated",
    "SettingSystemTime",
    "StartupOfTheDevice",
    "ResetOrReboot",
    "SecurityLogWasCleared",
    "MemoryExhaustion",
    "TamperDetectionActivated",
];

/// Does the whitepaper call such an event critical?
pub fn is_critical(kind: &str) -> bool {
    CRITICAL.iter().any(|known| known.eq_ignore_ascii_case(kind.trim()))
}

/// A station's certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StationCertificate {
    /// Its serial number, hexadecimal.
    pub serial: String,
    /// From when it is good.
    pub not_before: Timestamp,
    /// Until when it is good.
    pub not_after: Timestamp,
}

/// What is being done about a station's security.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SecurityWork {
    /// It gets a new password (A01).
    Password,
    /// It gets a new certificate (A02, A03).
    Certificate,
    /// It goes to a higher profile (A05).
    Profile,
}

impl SecurityWork {
    /// The name in tables and answers.
    pub fn name(self) -> &'static str {
        match self {
            SecurityWork::Password => "Password",
            SecurityWork::Certificate => "Certificate",
            SecurityWork::Profile => "Profile",
        }
    }
}

/// How far that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SecurityStep {
    /// The authority's certificate is being installed.
    InstallingRoot,
    /// The station is asked for a request to sign.
    AwaitingRequest,
    /// What was signed is on its way.
    DeliveringCertificate,
    /// The address of the other door is being written.
    WritingAddress,
    /// The new password or profile is being written.
    Writing,
    /// The station has agreed; it is to come with it. What it had before is still good.
    AwaitingReturn,
    /// It came with it; what it had before is good no more.
    Done,
    /// The station refused or did not come. What it had before is still good.
    Failed,
}

impl SecurityStep {
    /// The name in tables and answers.
    pub fn name(self) -> &'static str {
        match self {
            SecurityStep::InstallingRoot => "InstallingRoot",
            SecurityStep::AwaitingRequest => "AwaitingRequest",
            SecurityStep::DeliveringCertificate => "DeliveringCertificate",
            SecurityStep::WritingAddress => "WritingAddress",
            SecurityStep::Writing => "Writing",
            SecurityStep::AwaitingReturn => "AwaitingReturn",
            SecurityStep::Done => "Done",
            SecurityStep::Failed => "Failed",
        }
    }

    /// Does nothing more come?
    pub fn is_end(self) -> bool {
        matches!(self, SecurityStep::Done | SecurityStep::Failed)
    }
}

/// News of what is being done about a station's security.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecurityProgressed {
    /// The order that it comes from; none: the gateway or the station began by itself.
    pub command: Option<CommandId>,
    /// Which station.
    pub station: StationId,
    /// What is done.
    pub work: SecurityWork,
    /// How far it is.
    pub step: SecurityStep,
    /// More, for a person.
    pub detail: String,
    /// When.
    pub at: Timestamp,
}

/// How a station is secured, whole: the latest one says all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StationSecured {
    /// Which.
    pub station: StationId,
    /// The profile by which it came last.
    pub profile: u8,
    /// The lowest by which it may come from now on (A05.FR.09).
    pub minimum: u8,
    /// The certificate with which it came last.
    pub certificate: Option<StationCertificate>,
    /// Since when it has a password that the gateway made.
    pub password_since: Option<Timestamp>,
    /// When.
    pub at: Timestamp,
}

/// A station has come with the password that the gateway made for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialRotated {
    /// Which.
    pub station: StationId,
    /// What its password was verified against before: whoever has set another one since is right.
    pub over: String,
    /// What it is verified against now; see [`super::document::StationEntry::credential`].
    pub credential: String,
    /// When.
    pub at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn critical_is_what_the_whitepaper_calls_so() {
        assert!(is_critical("tamperDetectionActivated ") && is_critical("StartupOfTheDevice"));
        assert!(!is_critical("InvalidFirmwareSignature") && !is_critical("VendorsOwn"));
    }
}
