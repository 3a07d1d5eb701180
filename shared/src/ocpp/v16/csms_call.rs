//! What a station is asked to do.

use serde_json::value::RawValue;

use crate::model::charging::{ChargingProfile, ProfileFilter, RateUnit};

use super::charging;
use super::files::FileCall;
use super::local_list::ListCall;
use super::names::Trigger;
use super::schema::{
    AvailabilityType, CancelReservationRequest, ChangeAvailabilityRequest, ChangeConfigurationRequest,
    ClearCacheRequest, ClearChargingProfileRequest, DataTransferRequest, DateTime,
    GetCompositeScheduleRequest, GetConfigurationRequest, MessageTrigger, RemoteStartTransactionRequest,
    RemoteStopTransactionRequest, ReserveNowRequest, ResetRequest, ResetType, SetChargingProfileRequest,
    TriggerMessageRequest, UnlockConnectorRequest, Violation, date_time, write,
};
use super::security::SecurityCall;
use crate::units::Timestamp;

/// A request of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the specification's")]
pub enum CsmsCall {
    ChangeAvailability {
        connector: u16,
        operative: bool,
    },
    ChangeConfiguration {
        key: String,
        value: String,
    },
    ClearCache,
    DataTransfer {
        vendor: String,
        message: Option<String>,
        data: Option<String>,
    },
    GetConfiguration {
        keys: Vec<String>,
    },
    RemoteStart {
        connector: Option<u16>,
        id_tag: String,
    },
    RemoteStop {
        transaction: i32,
    },
    Reset {
        hard: bool,
    },
    Trigger {
        message: Trigger,
        connector: Option<u16>,
    },
    UnlockConnector {
        connector: u16,
    },
    ReserveNow {
        connector: u16,
        until: Timestamp,
        id_tag: String,
        parent: Option<String>,
        reservation: i32,
    },
    CancelReservation {
        reservation: i32,
    },
    SetChargingProfile {
        connector: u16,
        profile: ChargingProfile,
        transaction: Option<i32>,
    },
    ClearChargingProfile(ProfileFilter),
    GetCompositeSchedule {
        connector: u16,
        duration_s: u32,
        unit: Option<RateUnit>,
    },
    /// Firmware and logs.
    File(FileCall),
    /// The list of tokens that the station keeps.
    List(ListCall),
    /// Certificates, and the extension's own trigger.
    Security(SecurityCall),
}

impl CsmsCall {
    /// The action's name.
    pub fn action(&self) -> &'static str {
        match self {
            CsmsCall::ChangeAvailability { .. } => "ChangeAvailability",
            CsmsCall::ChangeConfiguration { .. } => "ChangeConfiguration",
            CsmsCall::ClearCache => "ClearCache",
            CsmsCall::DataTransfer { .. } => "DataTransfer",
            CsmsCall::GetConfiguration { .. } => "GetConfiguration",
            CsmsCall::RemoteStart { .. } => "RemoteStartTransaction",
            CsmsCall::RemoteStop { .. } => "RemoteStopTransaction",
            CsmsCall::Reset { .. } => "Reset",
            CsmsCall::Trigger { .. } => "TriggerMessage",
            CsmsCall::UnlockConnector { .. } => "UnlockConnector",
            CsmsCall::ReserveNow { .. } => "ReserveNow",
            CsmsCall::CancelReservation { .. } => "CancelReservation",
            CsmsCall::SetChargingProfile { .. } => "SetChargingProfile",
            CsmsCall::ClearChargingProfile(_) => "ClearChargingProfile",
            CsmsCall::GetCompositeSchedule { .. } => "GetCompositeSchedule",
            CsmsCall::File(call) => call.action(),
            CsmsCall::List(call) => call.action(),
            CsmsCall::Security(call) => call.action(),
        }
    }

    /// The request's payload, if the schema allows what it says: an idTag over 20 characters, for one, it does not.
    pub fn payload(&self) -> Result<Box<RawValue>, Violation> {
        match self {
            CsmsCall::ChangeAvailability { connector, operative } => {
                let to = if *operative { AvailabilityType::Operative } else { AvailabilityType::Inoperative };
                write(&ChangeAvailabilityRequest::new(i32::from(*connector), to))
            }
            CsmsCall::ChangeConfiguration { key, value } => {
                write(&ChangeConfigurationRequest::new(key, value))
            }
            CsmsCall::ClearCache => write(&ClearCacheRequest::new()),
            CsmsCall::DataTransfer { vendor, message, data } => {
                let mut request = DataTransferRequest::new(vendor);
                request.message_id.clone_from(message);
                request.data.clone_from(data);
                write(&request)
            }
            CsmsCall::GetConfiguration { keys } => {
                let mut request = GetConfigurationRequest::new();
                request.key = (!keys.is_empty()).then(|| keys.clone());
                write(&request)
            }
            CsmsCall::RemoteStart { connector, id_tag } => {
                let mut request = RemoteStartTransactionRequest::new(id_tag);
                request.connector_id = connector.map(i32::from);
                write(&request)
            }
            CsmsCall::RemoteStop { transaction } => write(&RemoteStopTransactionRequest::new(*transaction)),
            CsmsCall::Reset { hard } => {
                write(&ResetRequest::new(if *hard { ResetType::Hard } else { ResetType::Soft }))
            }
            CsmsCall::Trigger { message, connector } => {
                let mut request = TriggerMessageRequest::new(MessageTrigger::from_wire(message.name()));
                request.connector_id = connector.map(i32::from);
                write(&request)
            }
            CsmsCall::UnlockConnector { connector } => {
                write(&UnlockConnectorRequest::new(i32::from(*connector)))
            }
            CsmsCall::ReserveNow { connector, until, id_tag, parent, reservation } => {
                let until = date_time(*until).unwrap_or(DateTime::UNIX_EPOCH);
                let mut request = ReserveNowRequest::new(i32::from(*connector), until, id_tag, *reservation);
                request.parent_id_tag.clone_from(parent);
                write(&request)
            }
            CsmsCall::CancelReservation { reservation } => {
                write(&CancelReservationRequest::new(*reservation))
            }
            CsmsCall::SetChargingProfile { connector, profile, transaction } => {
                let profile = charging::write_profile(profile, *transaction);
                write(&SetChargingProfileRequest::new(i32::from(*connector), profile))
            }
            CsmsCall::ClearChargingProfile(filter) => {
                let mut request = ClearChargingProfileRequest::new();
                request.id = filter.id;
                request.connector_id = filter.evse.map(|evse| i32::from(evse.0));
                request.charging_profile_purpose = filter.purpose.map(charging::write_purpose);
                request.stack_level = filter.stack_level.map(i32::from);
                write(&request)
            }
            CsmsCall::GetCompositeSchedule { connector, duration_s, unit } => {
                let duration = i32::try_from(*duration_s).unwrap_or(i32::MAX);
                let mut request = GetCompositeScheduleRequest::new(i32::from(*connector), duration);
                request.charging_rate_unit = unit.map(charging::write_unit);
                write(&request)
            }
            CsmsCall::File(call) => call.payload(),
            CsmsCall::List(call) => call.payload(),
            CsmsCall::Security(call) => call.payload(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ocpp::v16::schema::read_csms_request;

    #[test]
    fn every_request_is_what_the_schema_asks() {
        for (call, payload) in [
            (
                CsmsCall::ChangeAvailability { connector: 0, operative: false },
                r#"{"connectorId":0,"type":"Inoperative"}"#,
            ),
            (
                CsmsCall::ChangeConfiguration { key: "HeartbeatInterval".into(), value: "60".into() },
                r#"{"key":"HeartbeatInterval","value":"60"}"#,
            ),
            (CsmsCall::ClearCache, "{}"),
            (CsmsCall::DataTransfer { vendor: "v".into(), message: None, data: None }, r#"{"vendorId":"v"}"#),
            (CsmsCall::GetConfiguration { keys: vec![] }, "{}"),
            (CsmsCall::GetConfiguration { keys: vec!["a".into()] }, r#"{"key":["a"]}"#),
            (
                CsmsCall::RemoteStart { connector: Some(1), id_tag: "TAG".into() },
                r#"{"idTag":"TAG","connectorId":1}"#,
            ),
            (CsmsCall::RemoteStop { transaction: 9 }, r#"{"transactionId":9}"#),
            (CsmsCall::Reset { hard: true }, r#"{"type":"Hard"}"#),
            (
                CsmsCall::Trigger { message: Trigger::DiagnosticsStatus, connector: None },
                r#"{"requestedMessage":"DiagnosticsStatusNotification"}"#,
            ),
            (CsmsCall::UnlockConnector { connector: 2 }, r#"{"connectorId":2}"#),
            (
                CsmsCall::ReserveNow {
                    connector: 1,
                    until: Timestamp(1_763_812_800_174),
                    id_tag: "TAG".into(),
                    parent: Some("GROUP".into()),
                    reservation: 7,
                },
                r#"{"connectorId":1,"expiryDate":"2025-11-22T12:00:00Z","idTag":"TAG","reservationId":7,"parentIdTag":"GROUP"}"#,
            ),
            (CsmsCall::CancelReservation { reservation: 7 }, r#"{"reservationId":7}"#),
            (
                CsmsCall::ClearChargingProfile(ProfileFilter { stack_level: Some(1), ..Default::default() }),
                r#"{"stackLevel":1}"#,
            ),
            (
                CsmsCall::GetCompositeSchedule { connector: 1, duration_s: 60, unit: Some(RateUnit::Watts) },
                r#"{"connectorId":1,"duration":60,"chargingRateUnit":"W"}"#,
            ),
        ] {
            let written = call.payload().unwrap();
            assert_eq!(written.get(), payload);
            assert!(read_csms_request(call.action(), &written).is_ok(), "{payload}");
        }
    }

    #[test]
    fn what_the_schema_forbids_is_not_written() {
        let call = CsmsCall::RemoteStart { connector: None, id_tag: "x".repeat(21) };
        assert!(call.payload().unwrap_err().reason.contains("idTag"));
    }
}
