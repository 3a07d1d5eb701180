//! Firmware and logs (1.6 §4.4, §4.5, §5.9, §5.19; security whitepaper L01, N01): what a station is asked, and the four
//! messages in which it tells how far it is.
//!
//! The plain and the signed update differ in their messages and mean the same, and so do GetDiagnostics and GetLog: one
//! word list for each pair.

use serde_json::value::RawValue;

use super::schema::{
    DateTime, Firmware, GetDiagnosticsRequest, GetLogRequest, LogParameters, LogType,
    SignedUpdateFirmwareRequest, UpdateFirmwareRequest, Violation, date_time, write,
};
use crate::model::file::{FirmwareSignature, FirmwareState, LogKind, LogState, Retries};
use crate::ocpp::lenient::Reader;
use crate::units::Timestamp;

/// A request of ours about a file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the specification's")]
pub enum FileCall {
    UpdateFirmware {
        location: String,
        retrieve_at: Timestamp,
        retries: Retries,
    },
    SignedUpdateFirmware {
        request: i32,
        location: String,
        signature: FirmwareSignature,
        retrieve_at: Timestamp,
        install_at: Option<Timestamp>,
        retries: Retries,
    },
    GetDiagnostics {
        location: String,
        from: Option<Timestamp>,
        to: Option<Timestamp>,
        retries: Retries,
    },
    GetLog {
        request: i32,
        kind: LogKind,
        location: String,
        from: Option<Timestamp>,
        to: Option<Timestamp>,
        retries: Retries,
    },
}

/// What a status message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Topic {
    /// `FirmwareStatusNotification`
    Firmware,
    /// `SignedFirmwareStatusNotification`
    SignedFirmware,
    /// `DiagnosticsStatusNotification`
    Diagnostics,
    /// `LogStatusNotification`
    Log,
}

/// A station tells how far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileStatus {
    /// With what.
    pub topic: Topic,
    /// The word, as it was sent.
    pub word: Option<String>,
    /// The request that it belongs to, in the whitepaper's messages.
    pub request: Option<i32>,
}

impl FileCall {
    /// The action's name.
    pub fn action(&self) -> &'static str {
        match self {
            FileCall::UpdateFirmware { .. } => "UpdateFirmware",
            FileCall::SignedUpdateFirmware { .. } => "SignedUpdateFirmware",
            FileCall::GetDiagnostics { .. } => "GetDiagnostics",
            FileCall::GetLog { .. } => "GetLog",
        }
    }

    /// The request's payload, if the schema allows what it says.
    pub fn payload(&self) -> Result<Box<RawValue>, Violation> {
        match self {
            FileCall::UpdateFirmware { location, retrieve_at, retries } => {
                let mut request = UpdateFirmwareRequest::new(location, time(*retrieve_at));
                (request.retries, request.retry_interval) = numbers(*retries);
                write(&request)
            }
            FileCall::SignedUpdateFirmware {
                request: id,
                location,
                signature,
                retrieve_at,
                install_at,
                retries,
            } => {
                let FirmwareSignature { certificate, signature } = signature;
                let mut firmware = Firmware::new(location, time(*retrieve_at), certificate, signature);
                firmware.install_date_time = install_at.map(time);
                let mut request = SignedUpdateFirmwareRequest::new(*id, firmware);
                (request.retries, request.retry_interval) = numbers(*retries);
                write(&request)
            }
            FileCall::GetDiagnostics { location, from, to, retries } => {
                let mut request = GetDiagnosticsRequest::new(location);
                (request.start_time, request.stop_time) = (from.map(time), to.map(time));
                (request.retries, request.retry_interval) = numbers(*retries);
                write(&request)
            }
            FileCall::GetLog { request: id, kind, location, from, to, retries } => {
                let mut log = LogParameters::new(location);
                (log.oldest_timestamp, log.latest_timestamp) = (from.map(time), to.map(time));
                let kind = match kind {
                    LogKind::Diagnostics => LogType::DiagnosticsLog,
                    LogKind::Security => LogType::SecurityLog,
                };
                let mut request = GetLogRequest::new(log, kind, *id);
                (request.retries, request.retry_interval) = numbers(*retries);
                write(&request)
            }
        }
    }
}

fn time(at: Timestamp) -> DateTime {
    date_time(at).unwrap_or(DateTime::UNIX_EPOCH)
}

fn numbers(retries: Retries) -> (Option<i32>, Option<i32>) {
    let interval = retries.interval_s.map(|seconds| i32::try_from(seconds).unwrap_or(i32::MAX));
    (retries.count.map(i32::from), interval)
}

impl Topic {
    /// All of them.
    pub const ALL: [Topic; 4] = [Topic::Firmware, Topic::SignedFirmware, Topic::Diagnostics, Topic::Log];

    /// The message's name.
    pub fn action(self) -> &'static str {
        match self {
            Topic::Firmware => "FirmwareStatusNotification",
            Topic::SignedFirmware => "SignedFirmwareStatusNotification",
            Topic::Diagnostics => "DiagnosticsStatusNotification",
            Topic::Log => "LogStatusNotification",
        }
    }
}

impl FileStatus {
    /// Reads one of the four; `None` for any other action.
    pub(super) fn read(reader: &mut Reader, action: &str, payload: &RawValue) -> Option<FileStatus> {
        let topic = Topic::ALL.into_iter().find(|topic| topic.action() == action)?;
        let [word, request] = reader.members(payload, ["status", "requestId"]);
        let request = reader.integer("requestId", request).and_then(|id| i32::try_from(id).ok());
        let word = reader.text("status", word, 50);
        Some(FileStatus { topic, word: reader.needed("status", word), request })
    }

    /// What the word says about an update; `None` for `Idle`, for what nobody knows, and for a log.
    pub fn firmware(&self) -> Option<FirmwareState> {
        const WORDS: [(&str, FirmwareState); 13] = [
            ("DownloadScheduled", FirmwareState::DownloadScheduled),
            ("Downloading", FirmwareState::Downloading),
            ("DownloadPaused", FirmwareState::DownloadPaused),
            ("Downloaded", FirmwareState::Downloaded),
            ("DownloadFailed", FirmwareState::DownloadFailed),
            ("SignatureVerified", FirmwareState::SignatureVerified),
            ("InvalidSignature", FirmwareState::InvalidSignature),
            ("InstallScheduled", FirmwareState::InstallScheduled),
            ("Installing", FirmwareState::Installing),
            ("InstallRebooting", FirmwareState::InstallRebooting),
            ("InstallVerificationFailed", FirmwareState::InstallVerificationFailed),
            ("InstallationFailed", FirmwareState::InstallationFailed),
            ("Installed", FirmwareState::Installed),
        ];
        match self.topic {
            Topic::Firmware | Topic::SignedFirmware => self.among(&WORDS),
            Topic::Diagnostics | Topic::Log => None,
        }
    }

    /// What the word says about a log; `None` for `Idle`, for what nobody knows, and for an update.
    pub fn log(&self) -> Option<LogState> {
        const WORDS: [(&str, LogState); 7] = [
            ("Uploading", LogState::Uploading),
            ("Uploaded", LogState::Uploaded),
            ("UploadFailed", LogState::UploadFailed),
            ("UploadFailure", LogState::UploadFailed),
            ("BadMessage", LogState::BadMessage),
            ("NotSupportedOperation", LogState::NotSupported),
            ("PermissionDenied", LogState::PermissionDenied),
        ];
        match self.topic {
            Topic::Diagnostics | Topic::Log => self.among(&WORDS),
            Topic::Firmware | Topic::SignedFirmware => None,
        }
    }

    fn among<T: Copy>(&self, words: &[(&str, T)]) -> Option<T> {
        let word = self.word.as_deref()?.trim();
        words.iter().find(|(known, _)| known.eq_ignore_ascii_case(word)).map(|(_, meaning)| *meaning)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ocpp::v16::StationCall;
    use crate::ocpp::v16::schema::read_csms_request;

    const AT: Timestamp = Timestamp(1_763_812_800_174);
    const RETRIES: Retries = Retries { count: Some(3), interval_s: Some(60) };

    fn signed() -> FileCall {
        FileCall::SignedUpdateFirmware {
            request: 7,
            location: "https://g/f".into(),
            signature: FirmwareSignature { certificate: "PEM".into(), signature: "c2ln".into() },
            retrieve_at: AT,
            install_at: Some(AT),
            retries: Retries { count: None, interval_s: None },
        }
    }

    #[test]
    fn every_request_is_what_the_schema_asks() {
        let (location, from, to) = ("http://g/l".to_owned(), Some(AT), None);
        for (call, payload) in [
            (
                FileCall::UpdateFirmware { location: "http://g/f".into(), retrieve_at: AT, retries: RETRIES },
                r#"{"location":"http://g/f","retrieveDate":"2025-11-22T12:00:00Z","retries":3,"retryInterval":60}"#,
            ),
            (
                signed(),
                r#"{"requestId":7,"firmware":{"location":"https://g/f","retrieveDateTime":"2025-11-22T12:00:00Z","signingCertificate":"PEM","signature":"c2ln","installDateTime":"2025-11-22T12:00:00Z"}}"#,
            ),
            (
                FileCall::GetDiagnostics { location: location.clone(), from, to, retries: RETRIES },
                r#"{"location":"http://g/l","retries":3,"retryInterval":60,"startTime":"2025-11-22T12:00:00Z"}"#,
            ),
            (
                FileCall::GetLog {
                    request: 9,
                    kind: LogKind::Security,
                    location,
                    from,
                    to,
                    retries: RETRIES,
                },
                r#"{"log":{"remoteLocation":"http://g/l","oldestTimestamp":"2025-11-22T12:00:00Z"},"logType":"SecurityLog","requestId":9,"retries":3,"retryInterval":60}"#,
            ),
        ] {
            let written = call.payload().unwrap();
            assert_eq!(written.get(), payload);
            assert!(read_csms_request(call.action(), &written).is_ok(), "{payload}");
        }
    }

    fn read(action: &str, payload: &str) -> FileStatus {
        let payload = RawValue::from_string(payload.to_owned()).unwrap();
        let call = StationCall::read(action, &payload).unwrap().value;
        if let StationCall::FileStatus(status) = call { status } else { panic!("{call:?}") }
    }

    #[test]
    fn words_are_read_in_any_case_and_only_about_their_own_matter() {
        let status =
            read("SignedFirmwareStatusNotification", r#"{"status":" installrebooting","requestId":"5"}"#);
        assert_eq!(
            (status.firmware(), status.log(), status.request),
            (Some(FirmwareState::InstallRebooting), None, Some(5))
        );
        let status = read("DiagnosticsStatusNotification", r#"{"status":"UploadFailed"}"#);
        assert_eq!((status.firmware(), status.log()), (None, Some(LogState::UploadFailed)));
        assert_eq!(
            read("LogStatusNotification", r#"{"status":"UploadFailure"}"#).log(),
            Some(LogState::UploadFailed)
        );
        assert_eq!(read("FirmwareStatusNotification", r#"{"status":"Idle"}"#).firmware(), None);
        assert_eq!(read("FirmwareStatusNotification", "{}").firmware(), None);
    }
}
