//! The model's words and 1.6's, one for the other.

use shared::model::command::{Outcome, TriggeredMessage};
use shared::model::session::StopReason;
use shared::model::{AuthStatus, ConnectorStatus};
use shared::ocpp::v16::reply::{Registration, TagStatus};
use shared::ocpp::v16::{CsmsCall, ExtendedTrigger, SecurityCall, Status, Trigger, Verdict, names};

use crate::core::Standing;

pub(super) fn tag_status(status: AuthStatus) -> TagStatus {
    match status {
        AuthStatus::Accepted => TagStatus::Accepted,
        AuthStatus::Blocked => TagStatus::Blocked,
        AuthStatus::Expired => TagStatus::Expired,
        AuthStatus::Invalid => TagStatus::Invalid,
        AuthStatus::ConcurrentTx => TagStatus::ConcurrentTx,
    }
}

pub(super) fn connector_status(status: Status) -> ConnectorStatus {
    match status {
        Status::Available => ConnectorStatus::Available,
        Status::Preparing => ConnectorStatus::Preparing,
        Status::Charging => ConnectorStatus::Charging,
        Status::SuspendedEvse => ConnectorStatus::SuspendedEvse,
        Status::SuspendedEv => ConnectorStatus::SuspendedEv,
        Status::Finishing => ConnectorStatus::Finishing,
        Status::Reserved => ConnectorStatus::Reserved,
        Status::Unavailable => ConnectorStatus::Unavailable,
        Status::Faulted => ConnectorStatus::Faulted,
    }
}

pub(super) fn stop_reason(reason: names::StopReason) -> StopReason {
    use names::StopReason as Told;
    match reason {
        Told::DeAuthorized => StopReason::DeAuthorized,
        Told::EmergencyStop => StopReason::EmergencyStop,
        Told::EvDisconnected => StopReason::EvDisconnected,
        Told::HardReset => StopReason::HardReset,
        Told::Local => StopReason::Local,
        Told::Other => StopReason::Other,
        Told::PowerLoss => StopReason::PowerLoss,
        Told::Reboot => StopReason::Reboot,
        Told::Remote => StopReason::Remote,
        Told::SoftReset => StopReason::SoftReset,
        Told::UnlockCommand => StopReason::UnlockCommand,
    }
}

pub(super) fn triggering(message: TriggeredMessage, connector: Option<u16>) -> CsmsCall {
    let plain = |message| CsmsCall::Trigger { message, connector };
    let extended = |message| CsmsCall::Security(SecurityCall::ExtendedTrigger { message, connector });
    match message {
        TriggeredMessage::BootNotification => plain(Trigger::BootNotification),
        TriggeredMessage::DiagnosticsStatus => plain(Trigger::DiagnosticsStatus),
        TriggeredMessage::FirmwareStatus => plain(Trigger::FirmwareStatus),
        TriggeredMessage::Heartbeat => plain(Trigger::Heartbeat),
        TriggeredMessage::MeterValues => plain(Trigger::MeterValues),
        TriggeredMessage::StatusNotification => plain(Trigger::StatusNotification),
        TriggeredMessage::LogStatus => extended(ExtendedTrigger::LogStatus),
        TriggeredMessage::SignedFirmwareStatus => extended(ExtendedTrigger::FirmwareStatus),
    }
}

pub(super) fn verdict(verdict: Option<&Verdict>) -> (Outcome, String) {
    let outcome = match verdict {
        None | Some(Verdict::Accepted | Verdict::AcceptedCanceled | Verdict::Unlocked) => Outcome::Accepted,
        Some(Verdict::Scheduled | Verdict::RebootRequired) => Outcome::Scheduled,
        Some(
            Verdict::Rejected
            | Verdict::UnlockFailed
            | Verdict::Unknown
            | Verdict::InvalidCertificate
            | Verdict::RevokedCertificate,
        ) => Outcome::Rejected,
        Some(Verdict::Occupied) => Outcome::Occupied,
        Some(Verdict::Faulted) => Outcome::Faulted,
        Some(Verdict::Unavailable) => Outcome::Unavailable,
        Some(
            Verdict::NotSupported
            | Verdict::NotImplemented
            | Verdict::UnknownMessageId
            | Verdict::UnknownVendorId,
        ) => Outcome::NotSupported,
        Some(Verdict::VersionMismatch | Verdict::NotFound) => Outcome::Rejected,
        Some(Verdict::Failed | Verdict::Other(_)) => Outcome::Failed,
    };
    let word = match verdict {
        None => String::new(),
        Some(Verdict::Other(word)) => format!("the station answered {word:?}"),
        Some(Verdict::Unknown) => "the station has no such profile".into(),
        Some(known) => format!("{known:?}"),
    };
    (outcome, word)
}

pub(super) fn registration(standing: Standing) -> Registration {
    match standing {
        Standing::Accepted => Registration::Accepted,
        Standing::Held | Standing::Pending => Registration::Pending,
        Standing::Rejected => Registration::Rejected,
    }
}
