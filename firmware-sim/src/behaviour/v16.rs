//! Facts as OCPP 1.6 messages, and what comes back read to the letter: the simulator is the peer that notices when a
//! CSMS writes something wrong.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the schema's enumerations are open and larger than what is played"
)]

mod files;
mod security;

use serde_json::value::RawValue;
use shared::id::EvseNo;
use shared::model::charging::ProfileFilter;
use shared::ocpp::ErrorCode;
use shared::ocpp::v16::charging;
use shared::ocpp::v16::schema::{self, CsResponse, CsmsRequest, DateTime, Violation, write};
use shared::ocpp::v16::{Confirmation, Context, CsmsCall, ListCall, ListEntry, Trigger, Verdict};
use shared::units::Timestamp;

use crate::config::Hardware;
use crate::event::Registration;
use crate::station::{Fact, Sample, Told};

/// A fact as action and payload.
pub fn call(fact: &Fact, hardware: &Hardware) -> Result<(&'static str, Box<RawValue>), Violation> {
    Ok(match fact {
        Fact::Boot => ("BootNotification", write(&boot(hardware))?),
        Fact::Heartbeat => ("Heartbeat", write(&schema::HeartbeatRequest::new())?),
        Fact::Authorise { tag } => ("Authorize", write(&schema::AuthorizeRequest::new(tag))?),
        Fact::Status { connector, status, at } => {
            let status = schema::ChargePointStatus::from_wire(status.name());
            let error = match status {
                schema::ChargePointStatus::Faulted => schema::ChargePointErrorCode::OtherError,
                _ => schema::ChargePointErrorCode::NoError,
            };
            let mut request = schema::StatusNotificationRequest::new(i32::from(*connector), error, status);
            request.timestamp = Some(stamp(*at));
            ("StatusNotification", write(&request)?)
        }
        Fact::Start { connector, tag, meter, at, reservation } => {
            let meter = register(meter.0);
            let mut request =
                schema::StartTransactionRequest::new(i32::from(*connector), tag, meter, stamp(*at));
            request.reservation_id = *reservation;
            ("StartTransaction", write(&request)?)
        }
        Fact::Readings { connector, transaction, context, sample } => {
            let mut request =
                schema::MeterValuesRequest::new(i32::from(*connector), vec![reading(sample, *context)]);
            request.transaction_id = *transaction;
            ("MeterValues", write(&request)?)
        }
        Fact::Stop { transaction, tag, meter, at, reason } => {
            let meter = register(meter.0);
            let mut request = schema::StopTransactionRequest::new(meter, stamp(*at), *transaction);
            request.id_tag.clone_from(tag);
            request.reason = Some(schema::Reason::from_wire(reason.name()));
            ("StopTransaction", write(&request)?)
        }
        Fact::Transfer { vendor, message, data } => {
            let mut request = schema::DataTransferRequest::new(vendor);
            request.message_id.clone_from(message);
            request.data.clone_from(data);
            ("DataTransfer", write(&request)?)
        }
        Fact::SecurityEvent { kind, info, at } => {
            let mut request = schema::SecurityEventNotificationRequest::new(*kind, stamp(*at));
            request.tech_info = (!info.is_empty()).then(|| info.clone());
            ("SecurityEventNotification", write(&request)?)
        }
        Fact::SignCertificate { csr } => {
            ("SignCertificate", write(&schema::SignCertificateRequest::new(csr))?)
        }
        Fact::File { topic, word, request } => (topic.action(), files::status(*topic, word, *request)?),
    })
}

/// What an answer says.
pub fn told(action: &str, payload: &RawValue) -> Result<Told, Violation> {
    let accepted = |info: &schema::IdTagInfo| info.status == schema::AuthorizationStatus::Accepted;
    Ok(match schema::read_csms_response(action, payload)? {
        CsResponse::Authorize(response) => Told::Token {
            accepted: accepted(&response.id_tag_info),
            parent: response.id_tag_info.parent_id_tag,
        },
        CsResponse::BootNotification(response) => Told::Boot {
            registration: match response.status {
                schema::RegistrationStatus::Accepted => Registration::Accepted,
                schema::RegistrationStatus::Pending => Registration::Pending,
                _ => Registration::Rejected,
            },
            interval: u64::try_from(response.interval).unwrap_or(0),
        },
        CsResponse::StartTransaction(response) => {
            Told::Start { transaction: response.transaction_id, accepted: accepted(&response.id_tag_info) }
        }
        _ => Told::Nothing,
    })
}

/// What the CSMS asks.
pub fn asked(action: &str, payload: &RawValue) -> Result<CsmsCall, Violation> {
    Ok(match schema::read_csms_request(action, payload)? {
        CsmsRequest::ChangeAvailability(request) => CsmsCall::ChangeAvailability {
            connector: number(request.connector_id)?,
            operative: request.r#type == schema::AvailabilityType::Operative,
        },
        CsmsRequest::ChangeConfiguration(request) => {
            CsmsCall::ChangeConfiguration { key: request.key, value: request.value }
        }
        CsmsRequest::ClearCache(_) => CsmsCall::ClearCache,
        CsmsRequest::DataTransfer(request) => CsmsCall::DataTransfer {
            vendor: request.vendor_id,
            message: request.message_id,
            data: request.data,
        },
        CsmsRequest::GetConfiguration(request) => {
            CsmsCall::GetConfiguration { keys: request.key.unwrap_or_default() }
        }
        CsmsRequest::RemoteStartTransaction(request) => CsmsCall::RemoteStart {
            connector: request.connector_id.map(number).transpose()?,
            id_tag: request.id_tag,
        },
        CsmsRequest::RemoteStopTransaction(request) => {
            CsmsCall::RemoteStop { transaction: request.transaction_id }
        }
        CsmsRequest::Reset(request) => CsmsCall::Reset { hard: request.r#type == schema::ResetType::Hard },
        CsmsRequest::TriggerMessage(request) => CsmsCall::Trigger {
            message: Trigger::from_name(request.requested_message.as_str())
                .ok_or_else(|| not_supported("TriggerMessage"))?,
            connector: request.connector_id.map(number).transpose()?,
        },
        CsmsRequest::UnlockConnector(request) => {
            CsmsCall::UnlockConnector { connector: number(request.connector_id)? }
        }
        CsmsRequest::ReserveNow(request) => CsmsCall::ReserveNow {
            connector: number(request.connector_id)?,
            until: schema::timestamp(request.expiry_date),
            id_tag: request.id_tag,
            parent: request.parent_id_tag,
            reservation: request.reservation_id,
        },
        CsmsRequest::CancelReservation(request) => {
            CsmsCall::CancelReservation { reservation: request.reservation_id }
        }
        CsmsRequest::SetChargingProfile(request) => {
            let (profile, transaction) =
                charging::read_profile(&request.cs_charging_profiles).map_err(impossible)?;
            CsmsCall::SetChargingProfile { connector: number(request.connector_id)?, profile, transaction }
        }
        CsmsRequest::ClearChargingProfile(request) => CsmsCall::ClearChargingProfile(ProfileFilter {
            id: request.id,
            evse: request.connector_id.map(number).transpose()?.map(EvseNo),
            purpose: request
                .charging_profile_purpose
                .map(|word| charging::read_purpose(&word))
                .transpose()
                .map_err(impossible)?,
            stack_level: request.stack_level.map(number).transpose()?,
        }),
        CsmsRequest::GetCompositeSchedule(request) => CsmsCall::GetCompositeSchedule {
            connector: number(request.connector_id)?,
            duration_s: u32::try_from(request.duration).map_err(|_| impossible("a negative duration"))?,
            unit: request.charging_rate_unit.map(|unit| charging::read_unit(&unit)),
        },
        CsmsRequest::GetLocalListVersion(_) => CsmsCall::List(ListCall::GetVersion),
        CsmsRequest::SendLocalList(request) => CsmsCall::List(ListCall::Send {
            version: request.list_version,
            full: request.update_type == schema::UpdateType::Full,
            entries: request
                .local_authorization_list
                .unwrap_or_default()
                .into_iter()
                .map(ListEntry::read)
                .collect(),
        }),
        other => match security::asked(other.clone()) {
            Some(call) => CsmsCall::Security(call),
            None => CsmsCall::File(files::asked(other).ok_or_else(|| not_supported(action))?),
        },
    })
}

/// The answer to what was asked.
pub fn confirmation(call: &CsmsCall, answer: &Confirmation) -> Result<Box<RawValue>, Violation> {
    let word = match &answer.verdict {
        Some(Verdict::Other(word)) => word.clone(),
        Some(verdict) => format!("{verdict:?}"),
        None => String::new(),
    };
    match call {
        CsmsCall::ChangeAvailability { .. } => {
            write(&schema::ChangeAvailabilityResponse::new(schema::AvailabilityStatus::from_wire(&word)))
        }
        CsmsCall::ChangeConfiguration { .. } => {
            write(&schema::ChangeConfigurationResponse::new(schema::ConfigurationStatus::from_wire(&word)))
        }
        CsmsCall::ClearCache => {
            write(&schema::ClearCacheResponse::new(schema::ClearCacheStatus::from_wire(&word)))
        }
        CsmsCall::DataTransfer { .. } => {
            write(&schema::DataTransferResponse::new(schema::DataTransferStatus::from_wire(&word)))
        }
        CsmsCall::GetConfiguration { .. } => write(&configuration(answer)),
        CsmsCall::RemoteStart { .. } => write(&schema::RemoteStartTransactionResponse::new(
            schema::RemoteStartStopStatus::from_wire(&word),
        )),
        CsmsCall::RemoteStop { .. } => write(&schema::RemoteStopTransactionResponse::new(
            schema::RemoteStartStopStatus::from_wire(&word),
        )),
        CsmsCall::Reset { .. } => write(&schema::ResetResponse::new(schema::ResetStatus::from_wire(&word))),
        CsmsCall::Trigger { .. } => {
            write(&schema::TriggerMessageResponse::new(schema::TriggerMessageStatus::from_wire(&word)))
        }
        CsmsCall::SetChargingProfile { .. } => {
            write(&schema::SetChargingProfileResponse::new(schema::ChargingProfileStatus::from_wire(&word)))
        }
        CsmsCall::ClearChargingProfile(_) => write(&schema::ClearChargingProfileResponse::new(
            schema::ClearChargingProfileStatus::from_wire(&word),
        )),
        CsmsCall::GetCompositeSchedule { connector, .. } => write(&composite(*connector, &word, answer)),
        CsmsCall::UnlockConnector { .. } => {
            write(&schema::UnlockConnectorResponse::new(schema::UnlockStatus::from_wire(&word)))
        }
        CsmsCall::ReserveNow { .. } => {
            write(&schema::ReserveNowResponse::new(schema::ReservationStatus::from_wire(&word)))
        }
        CsmsCall::File(call) => files::confirmation(call, &word, answer),
        CsmsCall::Security(call) => security::confirmation(call, &word, answer),
        CsmsCall::List(ListCall::GetVersion) => {
            write(&schema::GetLocalListVersionResponse::new(answer.list_version.unwrap_or(-1)))
        }
        CsmsCall::List(ListCall::Send { .. }) => {
            write(&schema::SendLocalListResponse::new(schema::UpdateStatus::from_wire(&word)))
        }
        CsmsCall::CancelReservation { .. } => {
            write(&schema::CancelReservationResponse::new(schema::CancelReservationStatus::from_wire(&word)))
        }
    }
}

fn configuration(answer: &Confirmation) -> schema::GetConfigurationResponse {
    let key = |entry: &shared::ocpp::v16::ConfigurationKey| {
        let mut key = schema::KeyValue::new(&entry.key, entry.readonly);
        key.value.clone_from(&entry.value);
        key
    };
    let mut response = schema::GetConfigurationResponse::new();
    response.configuration_key = Some(answer.configuration.iter().map(key).collect());
    response.unknown_key = (!answer.unknown_keys.is_empty()).then(|| answer.unknown_keys.clone());
    response
}

fn composite(connector: u16, word: &str, answer: &Confirmation) -> schema::GetCompositeScheduleResponse {
    let status = schema::GetCompositeScheduleStatus::from_wire(word);
    let mut response = schema::GetCompositeScheduleResponse::new(status);
    // Without any limit there is nothing to tell: a schedule has at least one period.
    if let Some(made) = answer.schedule.as_ref().filter(|made| !made.schedule.periods.is_empty()) {
        response.connector_id = Some(i32::from(connector));
        response.schedule_start = made.start.map(stamp);
        response.charging_schedule = Some(charging::write_schedule(&made.schedule));
    }
    response
}

fn impossible(reason: &str) -> Violation {
    Violation { code: ErrorCode::PropertyConstraintViolation, reason: reason.to_owned() }
}

fn boot(hardware: &Hardware) -> schema::BootNotificationRequest {
    let mut request = schema::BootNotificationRequest::new(&hardware.vendor, &hardware.model);
    request.charge_point_serial_number.clone_from(&hardware.serial);
    request.firmware_version.clone_from(&hardware.firmware);
    request
}

fn reading(sample: &Sample, context: Context) -> schema::MeterValue {
    let context = schema::ReadingContext::from_wire(context.name());
    let value = |value: i64, measurand, unit| {
        let mut sampled = schema::SampledValue::new(value.to_string());
        sampled.context = Some(context.clone());
        sampled.measurand = Some(measurand);
        sampled.unit = Some(unit);
        sampled
    };
    // One phase at 230 V: the current that this power means, in whole amperes.
    let current = (sample.power.0 + 115) / 230;
    let mut sampled = vec![
        value(sample.register.0, schema::Measurand::EnergyActiveImportRegister, schema::UnitOfMeasure::Wh),
        value(sample.power.0, schema::Measurand::PowerActiveImport, schema::UnitOfMeasure::W),
        value(current, schema::Measurand::CurrentImport, schema::UnitOfMeasure::A),
        value(230, schema::Measurand::Voltage, schema::UnitOfMeasure::V),
    ];
    if let Some(soc) = sample.soc {
        let mut soc = value(i64::from(soc.0), schema::Measurand::SoC, schema::UnitOfMeasure::Percent);
        soc.location = Some(schema::Location::EV);
        sampled.push(soc);
    }
    schema::MeterValue::new(stamp(sample.at), sampled)
}

fn stamp(at: Timestamp) -> DateTime {
    DateTime::parse(&at.to_string()).unwrap_or(DateTime::UNIX_EPOCH)
}

fn register(wh: i64) -> i32 {
    i32::try_from(wh).unwrap_or(i32::MAX)
}

fn number(connector: i32) -> Result<u16, Violation> {
    u16::try_from(connector).map_err(|_| Violation {
        code: ErrorCode::PropertyConstraintViolation,
        reason: format!("connectorId {connector} is out of range"),
    })
}

fn not_supported(action: &str) -> Violation {
    Violation { code: ErrorCode::NotSupported, reason: format!("{action} is not supported") }
}
