//! What a station is answered. Written through the schema's types; there is no way to write a malformed answer.

use serde_json::value::RawValue;

use super::schema::{
    AuthorizationStatus, AuthorizeResponse, BootNotificationResponse, DataTransferResponse,
    DataTransferStatus, DateTime, GenericStatus, HeartbeatResponse, IdTagInfo, RegistrationStatus,
    SignCertificateResponse, StartTransactionResponse, StopTransactionResponse, date_time, raw,
};
use crate::ocpp::frame;
use crate::units::Timestamp;

/// What the site says of an idTag (§7.15 IdTagInfo).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagInfo {
    /// May it charge?
    pub status: TagStatus,
    /// Until when a station may remember this.
    pub expires_at: Option<Timestamp>,
    /// Its group.
    pub parent: Option<String>,
}

/// The answer about an idTag (§7.2 AuthorizationStatus).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are the specification's")]
pub enum TagStatus {
    Accepted,
    Blocked,
    Expired,
    Invalid,
    ConcurrentTx,
}

/// The answer to a boot (§7.35 RegistrationStatus).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are the specification's")]
pub enum Registration {
    Accepted,
    Pending,
    Rejected,
}

/// The answer to a vendor's message (§7.12 DataTransferStatus).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are the specification's")]
pub enum Transferred {
    Accepted,
    Rejected,
    UnknownMessageId,
    UnknownVendorId,
}

impl TagInfo {
    /// A status and nothing more.
    pub fn plain(status: TagStatus) -> Self {
        TagInfo { status, expires_at: None, parent: None }
    }

    pub(super) fn to_schema(&self) -> IdTagInfo {
        let mut info = IdTagInfo::new(match self.status {
            TagStatus::Accepted => AuthorizationStatus::Accepted,
            TagStatus::Blocked => AuthorizationStatus::Blocked,
            TagStatus::Expired => AuthorizationStatus::Expired,
            TagStatus::Invalid => AuthorizationStatus::Invalid,
            TagStatus::ConcurrentTx => AuthorizationStatus::ConcurrentTx,
        });
        info.expiry_date = self.expires_at.and_then(date_time);
        info.parent_id_tag = self.parent.clone().filter(|parent| parent.chars().count() <= 20);
        info
    }
}

impl TagStatus {
    /// The schema's word; one that it does not know admits nobody.
    pub(super) fn from_schema(status: &AuthorizationStatus) -> Self {
        #[expect(clippy::wildcard_enum_match_arm, reason = "the schema's enumerations are open")]
        match status {
            AuthorizationStatus::Accepted => TagStatus::Accepted,
            AuthorizationStatus::Blocked => TagStatus::Blocked,
            AuthorizationStatus::Expired => TagStatus::Expired,
            AuthorizationStatus::ConcurrentTx => TagStatus::ConcurrentTx,
            _ => TagStatus::Invalid,
        }
    }
}

/// Authorize.conf.
pub fn authorize(info: &TagInfo) -> Box<RawValue> {
    raw(&AuthorizeResponse::new(info.to_schema()))
}

/// BootNotification.conf; the interval in seconds.
pub fn boot(registration: Registration, now: Timestamp, interval: u16) -> Box<RawValue> {
    let status = match registration {
        Registration::Accepted => RegistrationStatus::Accepted,
        Registration::Pending => RegistrationStatus::Pending,
        Registration::Rejected => RegistrationStatus::Rejected,
    };
    raw(&BootNotificationResponse::new(status, current_time(now), i32::from(interval)))
}

/// DataTransfer.conf.
pub fn data_transfer(status: Transferred, data: Option<String>) -> Box<RawValue> {
    let status = match status {
        Transferred::Accepted => DataTransferStatus::Accepted,
        Transferred::Rejected => DataTransferStatus::Rejected,
        Transferred::UnknownMessageId => DataTransferStatus::UnknownMessageId,
        Transferred::UnknownVendorId => DataTransferStatus::UnknownVendorId,
    };
    let mut response = DataTransferResponse::new(status);
    response.data = data;
    raw(&response)
}

/// Heartbeat.conf.
pub fn heartbeat(now: Timestamp) -> Box<RawValue> {
    raw(&HeartbeatResponse::new(current_time(now)))
}

/// SignCertificate.conf: the request is taken on, or it cannot be (A02.FR.11, A02.FR.12).
pub fn sign_certificate(accepted: bool) -> Box<RawValue> {
    let status = if accepted { GenericStatus::Accepted } else { GenericStatus::Rejected };
    raw(&SignCertificateResponse::new(status))
}

/// StartTransaction.conf. Carries a transaction id whatever the site says of the tag (§4.8).
pub fn start_transaction(transaction: i32, info: &TagInfo) -> Box<RawValue> {
    raw(&StartTransactionResponse::new(info.to_schema(), transaction))
}

/// StopTransaction.conf.
pub fn stop_transaction(info: Option<&TagInfo>) -> Box<RawValue> {
    let mut response = StopTransactionResponse::new();
    response.id_tag_info = info.map(TagInfo::to_schema);
    raw(&response)
}

/// The empty answer: MeterValues, StatusNotification, DiagnosticsStatusNotification, FirmwareStatusNotification.
pub fn empty() -> Box<RawValue> {
    frame::empty_object()
}

fn current_time(now: Timestamp) -> DateTime {
    date_time(now).unwrap_or(DateTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn q45_times_are_utc_with_z_and_whole_seconds() {
        let now = Timestamp(1_763_812_800_174);
        assert_eq!(heartbeat(now).get(), r#"{"currentTime":"2025-11-22T12:00:00Z"}"#);
        assert_eq!(
            boot(Registration::Accepted, now, 300).get(),
            r#"{"status":"Accepted","currentTime":"2025-11-22T12:00:00Z","interval":300}"#
        );
    }

    #[test]
    fn optional_members_are_left_out() {
        let info = TagInfo { status: TagStatus::Accepted, expires_at: None, parent: Some("x".repeat(21)) };
        assert_eq!(authorize(&info).get(), r#"{"idTagInfo":{"status":"Accepted"}}"#);
        assert_eq!(
            start_transaction(7, &TagInfo::plain(TagStatus::Blocked)).get(),
            r#"{"idTagInfo":{"status":"Blocked"},"transactionId":7}"#
        );
        assert_eq!(stop_transaction(None).get(), "{}");
        assert_eq!(
            data_transfer(Transferred::UnknownVendorId, None).get(),
            r#"{"status":"UnknownVendorId"}"#
        );
    }
}
