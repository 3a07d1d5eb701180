//! Firmware and logs, read and written to the letter.
#![expect(clippy::wildcard_enum_match_arm, reason = "the schema's enumerations are open")]

use serde_json::value::RawValue;
use shared::model::file::{FirmwareSignature, LogKind, Retries};
use shared::ocpp::v16::schema::{self, CsmsRequest, DateTime, Violation, timestamp, write};
use shared::ocpp::v16::{Confirmation, FileCall, Topic};
use shared::units::Timestamp;

pub(super) fn status(topic: Topic, word: &str, request: Option<i32>) -> Result<Box<RawValue>, Violation> {
    match topic {
        Topic::Firmware => {
            write(&schema::FirmwareStatusNotificationRequest::new(schema::FirmwareStatus::from_wire(word)))
        }
        Topic::Diagnostics => write(&schema::DiagnosticsStatusNotificationRequest::new(
            schema::DiagnosticsStatus::from_wire(word),
        )),
        Topic::SignedFirmware => {
            let status = schema::SignedFirmwareStatus::from_wire(word);
            let mut message = schema::SignedFirmwareStatusNotificationRequest::new(status);
            message.request_id = request;
            write(&message)
        }
        Topic::Log => {
            let mut message =
                schema::LogStatusNotificationRequest::new(schema::UploadLogStatus::from_wire(word));
            message.request_id = request;
            write(&message)
        }
    }
}

/// What the CSMS asks; `None` when it is about no file.
pub(super) fn asked(request: CsmsRequest) -> Option<FileCall> {
    Some(match request {
        CsmsRequest::UpdateFirmware(request) => FileCall::UpdateFirmware {
            location: request.location,
            retrieve_at: timestamp(request.retrieve_date),
            retries: retries(request.retries, request.retry_interval),
        },
        CsmsRequest::SignedUpdateFirmware(request) => FileCall::SignedUpdateFirmware {
            request: request.request_id,
            location: request.firmware.location,
            signature: FirmwareSignature {
                certificate: request.firmware.signing_certificate,
                signature: request.firmware.signature,
            },
            retrieve_at: timestamp(request.firmware.retrieve_date_time),
            install_at: time(request.firmware.install_date_time),
            retries: retries(request.retries, request.retry_interval),
        },
        CsmsRequest::GetDiagnostics(request) => FileCall::GetDiagnostics {
            location: request.location,
            from: time(request.start_time),
            to: time(request.stop_time),
            retries: retries(request.retries, request.retry_interval),
        },
        CsmsRequest::GetLog(request) => FileCall::GetLog {
            request: request.request_id,
            kind: match request.log_type {
                schema::LogType::SecurityLog => LogKind::Security,
                _ => LogKind::Diagnostics,
            },
            location: request.log.remote_location,
            from: time(request.log.oldest_timestamp),
            to: time(request.log.latest_timestamp),
            retries: retries(request.retries, request.retry_interval),
        },
        _ => return None,
    })
}

fn time(at: Option<DateTime>) -> Option<Timestamp> {
    at.map(timestamp)
}

fn retries(count: Option<i32>, interval: Option<i32>) -> Retries {
    Retries {
        count: count.and_then(|count| u16::try_from(count).ok()),
        interval_s: interval.and_then(|seconds| u32::try_from(seconds).ok()),
    }
}

pub(super) fn confirmation(
    call: &FileCall,
    word: &str,
    answer: &Confirmation,
) -> Result<Box<RawValue>, Violation> {
    match call {
        FileCall::UpdateFirmware { .. } => write(&schema::UpdateFirmwareResponse::new()),
        FileCall::SignedUpdateFirmware { .. } => {
            write(&schema::SignedUpdateFirmwareResponse::new(schema::UpdateFirmwareStatus::from_wire(word)))
        }
        FileCall::GetDiagnostics { .. } => {
            let mut response = schema::GetDiagnosticsResponse::new();
            response.file_name.clone_from(&answer.file_name);
            write(&response)
        }
        FileCall::GetLog { .. } => {
            let mut response = schema::GetLogResponse::new(schema::LogStatus::from_wire(word));
            response.filename.clone_from(&answer.file_name);
            write(&response)
        }
    }
}
