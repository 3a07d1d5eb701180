//! How a station answers what it was asked, read leniently.

use serde_json::value::RawValue;

use super::{charging, security};
use crate::model::charging::CompositeSchedule;
use crate::model::security::CertificateHash;
use crate::ocpp::lenient::{Read, Reader, json};

/// The status word of an answer, whatever the request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the specification's")]
pub enum Verdict {
    Accepted,
    Rejected,
    Scheduled,
    RebootRequired,
    NotSupported,
    NotImplemented,
    Unlocked,
    UnlockFailed,
    UnknownMessageId,
    UnknownVendorId,
    Occupied,
    Faulted,
    Unavailable,
    Unknown,
    AcceptedCanceled,
    InvalidCertificate,
    RevokedCertificate,
    Failed,
    VersionMismatch,
    NotFound,
    /// A word that the specification does not know.
    Other(String),
}

/// An answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Confirmation {
    /// The status word; GetConfiguration has none.
    pub verdict: Option<Verdict>,
    /// What DataTransfer answered.
    pub data: Option<String>,
    /// The settings that GetConfiguration asked for.
    pub configuration: Vec<ConfigurationKey>,
    /// Settings that the station does not know.
    pub unknown_keys: Vec<String>,
    /// The schedule that GetCompositeSchedule asked for.
    pub schedule: Option<CompositeSchedule>,
    /// What the file will be called that GetDiagnostics or GetLog asked for.
    pub file_name: Option<String>,
    /// The version that GetLocalListVersion asked for.
    pub list_version: Option<i32>,
    /// The certificates that GetInstalledCertificateIds asked for.
    pub certificates: Vec<CertificateHash>,
}

/// A setting of a station (§7.29 KeyValue).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigurationKey {
    /// Its name, trimmed (Q35).
    pub key: String,
    /// Its value.
    pub value: Option<String>,
    /// Can it be changed?
    pub readonly: bool,
}

impl Verdict {
    /// Reads a status word, whatever its case.
    pub fn read(word: &str) -> Self {
        const KNOWN: [(&str, Verdict); 20] = [
            ("Accepted", Verdict::Accepted),
            ("Rejected", Verdict::Rejected),
            ("Scheduled", Verdict::Scheduled),
            ("RebootRequired", Verdict::RebootRequired),
            ("NotSupported", Verdict::NotSupported),
            ("NotImplemented", Verdict::NotImplemented),
            ("Unlocked", Verdict::Unlocked),
            ("UnlockFailed", Verdict::UnlockFailed),
            ("UnknownMessageId", Verdict::UnknownMessageId),
            ("UnknownVendorId", Verdict::UnknownVendorId),
            ("Occupied", Verdict::Occupied),
            ("Faulted", Verdict::Faulted),
            ("Unavailable", Verdict::Unavailable),
            ("Unknown", Verdict::Unknown),
            ("AcceptedCanceled", Verdict::AcceptedCanceled),
            ("InvalidCertificate", Verdict::InvalidCertificate),
            ("RevokedCertificate", Verdict::RevokedCertificate),
            ("Failed", Verdict::Failed),
            ("VersionMismatch", Verdict::VersionMismatch),
            ("NotFound", Verdict::NotFound),
        ];
        let word = word.trim();
        let known = KNOWN.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(word));
        known.map_or_else(|| Verdict::Other(word.to_owned()), |(_, verdict)| verdict)
    }
}

impl Confirmation {
    /// Reads the answer to any of our requests.
    pub fn read(payload: &RawValue) -> Read<Confirmation> {
        let mut reader = Reader::default();
        let names = [
            "status",
            "data",
            "configurationKey",
            "unknownKey",
            "scheduleStart",
            "chargingSchedule",
            "fileName",
            "filename",
            "listVersion",
            "certificateHashData",
        ];
        let [status, data, keys, unknown, start, schedule, diagnostics, log, version, certificates] =
            reader.members(payload, names);
        let mut confirmation = Confirmation {
            verdict: reader.text("status", status, 50).map(|word| Verdict::read(&word)),
            data: reader.anything("data", data),
            schedule: charging::read_composite(&mut reader, start, schedule),
            file_name: reader.text("fileName", diagnostics.or(log), 255),
            list_version: reader
                .integer("listVersion", version)
                .and_then(|number| i32::try_from(number).ok()),
            ..Confirmation::default()
        };
        if let Some(keys) = keys {
            json::items(keys, |raw| confirmation.configuration.extend(configuration_key(&mut reader, raw)));
        }
        if let Some(certificates) = certificates {
            json::items(certificates, |raw| {
                confirmation.certificates.extend(security::read_hash(&mut reader, raw));
            });
        }
        if let Some(unknown) = unknown {
            json::items(unknown, |raw| {
                confirmation.unknown_keys.extend(json::text(raw).map(|key| key.trim().to_owned()));
            });
        }
        reader.done(confirmation)
    }
}

fn configuration_key(reader: &mut Reader, raw: &RawValue) -> Option<ConfigurationKey> {
    let [key, value, readonly] = reader.members(raw, ["key", "value", "readonly"]);
    Some(ConfigurationKey {
        key: reader.text("key", key, 50)?.trim().trim_matches('"').to_owned(),
        value: reader.text("value", value, 500),
        readonly: reader.truth(readonly).unwrap_or(false),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Confirmation {
        Confirmation::read(&RawValue::from_string(json.to_owned()).unwrap()).value
    }

    #[test]
    fn status_words_are_read_in_any_case() {
        assert_eq!(read(r#"{"status":"accepted "}"#).verdict, Some(Verdict::Accepted));
        assert_eq!(read(r#"{"status":"Maybe"}"#).verdict, Some(Verdict::Other("Maybe".into())));
        assert_eq!(read("{}").verdict, None);
        assert_eq!(read("[]").verdict, None);
    }

    #[test]
    fn q35_keys_are_trimmed_and_values_may_be_numbers() {
        let read = read(
            r#"{"configurationKey":[{"key":" \"HeartbeatInterval\" ","readonly":"false","value":300},{"value":"x"}],
                "unknownKey":["Nope",""]}"#,
        );
        let expected =
            ConfigurationKey { key: "HeartbeatInterval".into(), value: Some("300".into()), readonly: false };
        assert_eq!(read.configuration, [expected]);
        assert_eq!(read.unknown_keys, ["Nope"]);
    }
}
