//! OCPP 1.6: a charge point's connector *n* is EVSE *n*; connector 0 is the station as a whole.

mod files;
mod local_list;
mod security;
mod time;
mod words;

use serde_json::value::RawValue;
use shared::id::{EvseNo, ReservationId, StationId, StationTxRef};
use shared::model::command::{CommandBody, ConfigurationEntry, Outcome, Told};
use shared::model::event::StatusChanged;
use shared::model::{AuthStatus, IdToken, MeterReading, StationInfo};
use shared::ocpp::error::ErrorCode;
use shared::ocpp::lenient::Finding;
use shared::ocpp::rpc::Answer;
use shared::ocpp::v16::reply::{self, TagInfo, Transferred};
use shared::ocpp::v16::{
    Confirmation, CsmsCall, ExtendedTrigger, ListCall, Reading, SecurityCall, StationCall, station_call,
};
use shared::units::Timestamp;

use self::time::Clock;
use self::words::{connector_status, registration, stop_reason, tag_status, triggering, verdict};
use super::super::habits::Habits;
use crate::core::{Ask, AskEnd, Reply, StartFact, StationFact, StopFact};

/// CiString20 (§7.28 IdToken).
const LONGEST_TAG: usize = 20;

/// What a station's call means.
pub enum Meaning {
    /// Something that the site decides.
    Fact(StationFact),
    /// Nothing that needs the site: the answer.
    Answer(Box<RawValue>),
}

/// Translates a station's call.
pub fn meaning(
    (station, habits): (&StationId, &Habits),
    call: StationCall,
    now: Timestamp,
    findings: &mut Vec<Finding>,
) -> Meaning {
    let mut clock = Clock { habits, now, findings };
    Meaning::Fact(match call {
        StationCall::SecurityEvent(event) => security::reported(station, event, &mut clock),
        StationCall::SignCertificate { csr } => security::wanted(csr),
        StationCall::Heartbeat => return Meaning::Answer(reply::heartbeat(now)),
        StationCall::DataTransfer(_) => {
            return Meaning::Answer(reply::data_transfer(Transferred::UnknownVendorId, None));
        }
        StationCall::FileStatus(status) => match files::fact(&status) {
            Some(fact) => fact,
            None => return Meaning::Answer(reply::empty()),
        },
        StationCall::Authorize { id_tag } => StationFact::Authorize { token: token(id_tag, habits) },
        StationCall::BootNotification(boot) => StationFact::Booted(info(*boot)),
        StationCall::StatusNotification(status) => match status_changed(station, status, &mut clock) {
            Some(status) => StationFact::Status(status),
            None => return Meaning::Answer(reply::empty()),
        },
        StationCall::StartTransaction(start) => {
            let (at, zone_assumed) = clock.trusted(start.at).unzip();
            StationFact::Start(StartFact {
                evse: evse(start.connector).unwrap_or(EvseNo(1)),
                token: token(start.id_tag, habits),
                meter_start: start.meter_start,
                at,
                zone_assumed: zone_assumed.unwrap_or(false),
                reservation: start.reservation.map(ReservationId),
            })
        }
        StationCall::MeterValues(values) => StationFact::Readings {
            evse: evse(values.connector).unwrap_or(EvseNo(0)),
            tx_ref: tx_ref(values.transaction),
            readings: readings(&values.readings, &mut clock),
        },
        StationCall::StopTransaction(stop) => {
            let (at, zone_assumed) = clock.trusted(stop.at).unzip();
            StationFact::Stop(StopFact {
                tx_ref: tx_ref(stop.transaction),
                token: stop.id_tag.map(|id_tag| token(Some(id_tag), habits)),
                at,
                zone_assumed: zone_assumed.unwrap_or(false),
                meter_stop: stop.meter_stop,
                reason: stop_reason(stop.reason),
                readings: readings(&stop.readings, &mut clock),
            })
        }
    })
}

/// Writes the site's answer.
pub fn answer(reply: &Reply, heartbeat_seconds: u16) -> Box<RawValue> {
    match reply {
        Reply::Booted { now, standing, interval_s } => {
            reply::boot(registration(*standing), *now, interval_s.unwrap_or(heartbeat_seconds))
        }
        Reply::Authorized { status, expires_at, group } => {
            reply::authorize(&tag_info(*status, *expires_at, group))
        }
        Reply::Started { tx_ref, status, expires_at, group } => {
            let number = tx_ref.0.parse().expect("1.6 references are minted as 32-bit integers");
            reply::start_transaction(number, &tag_info(*status, *expires_at, group))
        }
        Reply::Stopped(status) => {
            reply::stop_transaction(status.map(|status| TagInfo::plain(tag_status(status))).as_ref())
        }
        Reply::Signing(taken_on) => reply::sign_certificate(*taken_on),
        Reply::Acknowledged => reply::empty(),
    }
}

fn tag_info(status: AuthStatus, expires_at: Option<Timestamp>, group: &Option<String>) -> TagInfo {
    TagInfo { status: tag_status(status), expires_at, parent: group.clone() }
}

/// The request that carries an asking, or why 1.6 cannot say it.
pub fn request(ask: &Ask, now: Timestamp) -> Result<(&'static str, Box<RawValue>), String> {
    let call = match ask {
        Ask::RemoteStop(tx_ref) => CsmsCall::RemoteStop {
            transaction: tx_ref.0.parse().map_err(|_| format!("{tx_ref} is no 1.6 transaction id"))?,
        },
        Ask::LimitSession { evse, tx_ref, profile } => CsmsCall::SetChargingProfile {
            connector: evse.0,
            profile: profile.clone(),
            transaction: Some(tx_ref.0.parse().map_err(|_| format!("{tx_ref} is no 1.6 transaction id"))?),
        },
        Ask::Command(body) => csms_call(body)?,
        Ask::UpdateFirmware { update, location, request } => {
            files::update_firmware(update, location, *request, now)?
        }
        Ask::SendLocalList { version, full, lines } => local_list::send(*version, *full, lines),
        Ask::DeliverCertificate { chain } => {
            CsmsCall::Security(SecurityCall::CertificateSigned { chain: chain.clone() })
        }
        Ask::RequestLog { log, location, request, by_get_log } => {
            files::request_log(log, location, *request, *by_get_log)
        }
    };
    let payload = call.payload().map_err(|violation| violation.reason)?;
    Ok((call.action(), payload))
}

fn csms_call(body: &CommandBody) -> Result<CsmsCall, String> {
    let number = |evse: &Option<EvseNo>| evse.map(|evse| evse.0);
    Ok(match body {
        CommandBody::RemoteStart { evse, token } => {
            CsmsCall::RemoteStart { connector: number(evse), id_tag: token.as_str().to_owned() }
        }
        CommandBody::RemoteStop { .. } => return Err("a remote stop needs the station's reference".into()),
        CommandBody::Reset { hard } => CsmsCall::Reset { hard: *hard },
        CommandBody::Unlock { evse } => CsmsCall::UnlockConnector { connector: evse.0 },
        CommandBody::SetAvailability { evse, operative } => {
            CsmsCall::ChangeAvailability { connector: number(evse).unwrap_or(0), operative: *operative }
        }
        CommandBody::GetConfiguration { keys } => CsmsCall::GetConfiguration { keys: keys.clone() },
        CommandBody::ChangeConfiguration { key, value } => {
            CsmsCall::ChangeConfiguration { key: key.clone(), value: value.clone() }
        }
        CommandBody::ClearCache => CsmsCall::ClearCache,
        CommandBody::DataTransfer { vendor, message, data } => {
            CsmsCall::DataTransfer { vendor: vendor.clone(), message: message.clone(), data: data.clone() }
        }
        CommandBody::Trigger { message, evse } => triggering(*message, number(evse)),
        CommandBody::Reserve(wanted) => CsmsCall::ReserveNow {
            connector: wanted.evse.0,
            until: wanted.until,
            id_tag: wanted.token.as_str().to_owned(),
            parent: wanted.group.clone().filter(|group| group.chars().count() <= LONGEST_TAG),
            reservation: wanted.id.0,
        },
        CommandBody::CancelReservation { reservation } => {
            CsmsCall::CancelReservation { reservation: reservation.0 }
        }
        CommandBody::SetChargingProfile { evse, profile } => CsmsCall::SetChargingProfile {
            connector: number(evse).unwrap_or(0),
            profile: profile.clone(),
            transaction: None,
        },
        CommandBody::ClearChargingProfiles(filter) => CsmsCall::ClearChargingProfile(*filter),
        CommandBody::GetCompositeSchedule { evse, duration_s, unit } => CsmsCall::GetCompositeSchedule {
            connector: number(evse).unwrap_or(0),
            duration_s: *duration_s,
            unit: *unit,
        },
        CommandBody::GetLocalListVersion => CsmsCall::List(ListCall::GetVersion),
        CommandBody::SendLocalList => return Err("a list goes in parts".into()),
        CommandBody::InstallCertificate { root, certificate, .. } => {
            let certificate = certificate.clone().ok_or("the gateway has no authority's certificate")?;
            CsmsCall::Security(SecurityCall::InstallCertificate { root: *root, certificate })
        }
        CommandBody::DeleteCertificate(hash) => {
            CsmsCall::Security(SecurityCall::DeleteCertificate(hash.clone()))
        }
        CommandBody::GetCertificates { root } => {
            CsmsCall::Security(SecurityCall::GetInstalledCertificateIds { root: *root })
        }
        CommandBody::RenewCertificate => CsmsCall::Security(SecurityCall::ExtendedTrigger {
            message: ExtendedTrigger::SignChargePointCertificate,
            connector: None,
        }),
        CommandBody::RotatePassword { .. } | CommandBody::RaiseProfile(_) => {
            return Err("this goes in steps".into());
        }
        CommandBody::UpdateFirmware(_) | CommandBody::RequestLog(_) => {
            return Err("a file needs a place to be".into());
        }
        CommandBody::ReadFrames(_) => return Err("the gateway keeps the frames, not the station".into()),
    })
}

/// How an asking ended, by what the station answered.
pub fn ended(answer: Answer) -> AskEnd {
    match answer {
        Answer::Timeout => AskEnd::plain(Outcome::TimedOut, "the station did not answer in time"),
        Answer::Error { code: ErrorCode::NotImplemented | ErrorCode::NotSupported, description } => {
            AskEnd::plain(Outcome::NotSupported, description)
        }
        Answer::Error { code, description } => {
            AskEnd::plain(Outcome::Failed, format!("{code}: {description}"))
        }
        Answer::Result(payload) => {
            let read = Confirmation::read(&payload).value;
            let (outcome, detail) = verdict(read.verdict.as_ref());
            let detail = read.data.clone().unwrap_or(detail);
            AskEnd { outcome, detail, told: told(read) }
        }
    }
}

fn told(read: Confirmation) -> Told {
    let entry = |e: shared::ocpp::v16::ConfigurationKey| ConfigurationEntry {
        key: e.key,
        value: e.value,
        readonly: e.readonly,
    };
    if let Some(version) = read.list_version {
        return Told::LocalListVersion(version);
    }
    match read.schedule {
        None if !read.certificates.is_empty() => Told::Certificates(read.certificates),
        Some(schedule) => Told::Schedule(schedule),
        None if read.file_name.is_some() => Told::File { name: read.file_name },
        None if read.configuration.is_empty() && read.unknown_keys.is_empty() => Told::Nothing,
        None => Told::Configuration {
            entries: read.configuration.into_iter().map(entry).collect(),
            unknown_keys: read.unknown_keys,
        },
    }
}

fn status_changed(
    station: &StationId,
    status: station_call::StatusNotification,
    clock: &mut Clock<'_>,
) -> Option<StatusChanged> {
    Some(StatusChanged {
        station: station.clone(),
        evse: evse(status.connector),
        status: connector_status(status.status?),
        error: status.error,
        at: clock.trusted(status.at).map_or(clock.now, |(at, _)| at),
    })
}

fn info(boot: station_call::Boot) -> StationInfo {
    StationInfo {
        vendor: boot.vendor.unwrap_or_default(),
        model: boot.model.unwrap_or_default(),
        serial: boot.serial,
        firmware: boot.firmware,
    }
}

fn readings(readings: &[Reading], clock: &mut Clock<'_>) -> Vec<MeterReading> {
    let reading = |r: &Reading| MeterReading {
        taken_at: clock.trusted(r.at).map_or(clock.now, |(at, _)| at),
        register: r.register,
        power: r.power,
        current: r.current,
        voltage: r.voltage,
        soc: r.soc,
    };
    readings.iter().map(reading).collect()
}

/// 1.6 §3.7.1 asks for an answer even to a start without a tag; an empty token is nobody's. A tag that the station is known
/// to make up stands for another one (QUIRKS Q42).
fn token(id_tag: Option<String>, habits: &Habits) -> IdToken {
    let shown = IdToken::new(id_tag.unwrap_or_default());
    match &habits.quirks.local_tag {
        Some(local) if IdToken::new(local.shown.as_str()).folded() == shown.folded() => local.token.clone(),
        Some(_) | None => shown,
    }
}

fn evse(connector: Option<u16>) -> Option<EvseNo> {
    connector.filter(|number| *number > 0).map(EvseNo)
}

fn tx_ref(transaction: Option<i32>) -> Option<StationTxRef> {
    transaction.map(|number| StationTxRef(number.to_string()))
}
