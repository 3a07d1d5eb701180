//! What a station tells, read leniently. A message is never refused for what stands in it; what a
//! bill needs and lacks is a hard finding.

use serde_json::value::RawValue;

use super::files::FileStatus;
use super::names::{Status, StopReason};
use super::reading::Reading;
use super::schema::Action;
use super::security::{self, SecurityEvent};
use crate::model::quirks::StationQuirks;
use crate::ocpp::error::ErrorCode;
use crate::ocpp::lenient::{Read, Reader, Time};
use crate::units::Wh;

/// A message of a station.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the specification's")]
pub enum StationCall {
    Authorize {
        id_tag: Option<String>,
    },
    BootNotification(Box<Boot>),
    DataTransfer(DataTransfer),
    /// The four status messages of firmware and logs.
    FileStatus(FileStatus),
    Heartbeat,
    MeterValues(MeterValues),
    /// A report of the security extension.
    SecurityEvent(SecurityEvent),
    /// A certificate is wanted.
    SignCertificate {
        /// The request, in PEM.
        csr: Option<String>,
    },
    StartTransaction(Start),
    StatusNotification(StatusNotification),
    StopTransaction(Box<Stop>),
}

/// A station came up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Boot {
    /// The maker.
    pub vendor: Option<String>,
    /// The maker's model.
    pub model: Option<String>,
    /// The serial number of the station, else of its housing.
    pub serial: Option<String>,
    /// The firmware version.
    pub firmware: Option<String>,
    /// The meter's type.
    pub meter_type: Option<String>,
    /// The meter's serial number.
    pub meter_serial: Option<String>,
    /// The SIM card's number.
    pub iccid: Option<String>,
    /// The SIM card's subscriber.
    pub imsi: Option<String>,
}

/// A vendor's own message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DataTransfer {
    /// Whose message.
    pub vendor: Option<String>,
    /// Which message.
    pub message: Option<String>,
    /// Its content; a structure as its JSON text.
    pub data: Option<String>,
}

/// Meter readings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MeterValues {
    /// At which connector; 0 is the station's main meter.
    pub connector: Option<u16>,
    /// In which transaction; 0, negative ones and missing ones are none (Q50, Q52).
    pub transaction: Option<i32>,
    /// The readings.
    pub readings: Vec<Reading>,
}

/// A session began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Start {
    /// At which connector.
    pub connector: Option<u16>,
    /// Who charges.
    pub id_tag: Option<String>,
    /// The register at the start.
    pub meter_start: Option<Wh>,
    /// When.
    pub at: Option<Time>,
    /// The reservation that ends with it.
    pub reservation: Option<i32>,
}

/// A connector, or the station (0), changed its state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatusNotification {
    /// Which; 0 is the whole station.
    pub connector: Option<u16>,
    /// Its state.
    pub status: Option<Status>,
    /// The error; `NoError` is none.
    pub error: Option<String>,
    /// More about the error.
    pub info: Option<String>,
    /// When.
    pub at: Option<Time>,
    /// Whose error code.
    pub vendor: Option<String>,
    /// The vendor's own error code.
    pub vendor_error: Option<String>,
}

/// A session ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stop {
    /// Which transaction; 0, negative ones and missing ones are none (Q51, Q52).
    pub transaction: Option<i32>,
    /// Who stopped it.
    pub id_tag: Option<String>,
    /// The register at the end. Negative ones are none (Q61).
    pub meter_stop: Option<Wh>,
    /// When.
    pub at: Option<Time>,
    /// Why; `Local` when the station does not say (§6.49).
    pub reason: StopReason,
    /// Readings of the session.
    pub readings: Vec<Reading>,
}

impl StationCall {
    /// Reads a call. Only an unknown action is an error.
    pub fn read(action: &str, payload: &RawValue) -> Result<Read<StationCall>, ErrorCode> {
        Self::read_of(&StationQuirks::default(), action, payload)
    }

    /// Reads a call of a station whose peculiarities are known.
    pub fn read_of(
        quirks: &StationQuirks,
        action: &str,
        payload: &RawValue,
    ) -> Result<Read<StationCall>, ErrorCode> {
        let mut reader = Reader::of(quirks);
        let call = match action.trim() {
            "Authorize" => authorize(&mut reader, payload),
            "BootNotification" => StationCall::BootNotification(Box::new(boot(&mut reader, payload))),
            "DataTransfer" => StationCall::DataTransfer(data_transfer(&mut reader, payload)),
            "Heartbeat" => StationCall::Heartbeat,
            "MeterValues" => StationCall::MeterValues(meter_values(&mut reader, payload)),
            "SecurityEventNotification" => {
                StationCall::SecurityEvent(SecurityEvent::read(&mut reader, payload))
            }
            "SignCertificate" => StationCall::SignCertificate { csr: security::csr(&mut reader, payload) },
            "StartTransaction" => StationCall::StartTransaction(start(&mut reader, payload)),
            "StatusNotification" => StationCall::StatusNotification(status(&mut reader, payload)),
            "StopTransaction" => StationCall::StopTransaction(Box::new(stop(&mut reader, payload))),
            other => match FileStatus::read(&mut reader, other, payload) {
                Some(status) => StationCall::FileStatus(status),
                None => return Err(refusal(other)),
            },
        };
        Ok(reader.done(call))
    }

    /// The action's name.
    pub fn action(&self) -> &'static str {
        match self {
            StationCall::Authorize { .. } => "Authorize",
            StationCall::BootNotification(_) => "BootNotification",
            StationCall::DataTransfer(_) => "DataTransfer",
            StationCall::FileStatus(status) => status.topic.action(),
            StationCall::Heartbeat => "Heartbeat",
            StationCall::MeterValues(_) => "MeterValues",
            StationCall::SecurityEvent(_) => "SecurityEventNotification",
            StationCall::SignCertificate { .. } => "SignCertificate",
            StationCall::StartTransaction(_) => "StartTransaction",
            StationCall::StatusNotification(_) => "StatusNotification",
            StationCall::StopTransaction(_) => "StopTransaction",
        }
    }
}

/// An action of 1.6 that we do not offer is not supported, any other is not implemented (OCPP-J 1.6 §4.2.3).
fn refusal(action: &str) -> ErrorCode {
    match action.parse::<Action>() {
        Ok(_) => ErrorCode::NotSupported,
        Err(_) => ErrorCode::NotImplemented,
    }
}

fn authorize(reader: &mut Reader, payload: &RawValue) -> StationCall {
    let [id_tag] = reader.members(payload, ["idTag"]);
    let id_tag = reader.text("idTag", id_tag, 20);
    StationCall::Authorize { id_tag: reader.needed("idTag", id_tag) }
}

fn boot(reader: &mut Reader, payload: &RawValue) -> Boot {
    let names = [
        "chargePointVendor",
        "chargePointModel",
        "chargePointSerialNumber",
        "chargeBoxSerialNumber",
        "firmwareVersion",
        "meterType",
        "meterSerialNumber",
        "iccid",
        "imsi",
    ];
    let [vendor, model, serial, box_serial, firmware, meter_type, meter_serial, iccid, imsi] =
        reader.members(payload, names);
    let serial = reader.text("chargePointSerialNumber", serial, 25);
    let box_serial = reader.text("chargeBoxSerialNumber", box_serial, 25);
    Boot {
        vendor: reader.text("chargePointVendor", vendor, 20),
        model: reader.text("chargePointModel", model, 20),
        serial: serial.or(box_serial),
        firmware: reader.text("firmwareVersion", firmware, 50),
        meter_type: reader.text("meterType", meter_type, 25),
        meter_serial: reader.text("meterSerialNumber", meter_serial, 25),
        iccid: reader.text("iccid", iccid, 20),
        imsi: reader.text("imsi", imsi, 20),
    }
}

fn data_transfer(reader: &mut Reader, payload: &RawValue) -> DataTransfer {
    let [vendor, message, data] = reader.members(payload, ["vendorId", "messageId", "data"]);
    DataTransfer {
        vendor: reader.text("vendorId", vendor, 255),
        message: reader.text("messageId", message, 50),
        data: reader.anything("data", data),
    }
}

fn meter_values(reader: &mut Reader, payload: &RawValue) -> MeterValues {
    let names = ["connectorId", "transactionId", "meterValue"];
    let [connector, transaction, values] = reader.members(payload, names);
    let connector = connector_of(reader, connector);
    MeterValues {
        connector: reader.needed("connectorId", connector),
        transaction: transaction_of(reader, transaction),
        readings: Reading::read_all(reader, "meterValue", values),
    }
}

fn start(reader: &mut Reader, payload: &RawValue) -> Start {
    let names = ["connectorId", "idTag", "meterStart", "timestamp", "reservationId"];
    let [connector, id_tag, meter_start, at, reservation] = reader.members(payload, names);
    let connector = connector_of(reader, connector);
    let id_tag = reader.text("idTag", id_tag, 20);
    let meter_start = register(reader, "meterStart", meter_start);
    let at = reader.time("timestamp", at);
    let reservation = reader.integer("reservationId", reservation);
    Start {
        connector: reader.needed("connectorId", connector),
        id_tag: reader.needed("idTag", id_tag),
        meter_start: reader.needed("meterStart", meter_start),
        at: reader.needed("timestamp", at),
        reservation: reservation.and_then(|id| i32::try_from(id).ok()),
    }
}

fn status(reader: &mut Reader, payload: &RawValue) -> StatusNotification {
    let names = ["connectorId", "status", "errorCode", "info", "timestamp", "vendorId", "vendorErrorCode"];
    let [connector, status, error, info, at, vendor, vendor_error] = reader.members(payload, names);
    let error = reader.text("errorCode", error, 50);
    StatusNotification {
        connector: connector_of(reader, connector),
        status: reader.name("status", status, Status::from_name),
        error: error.filter(|code| !code.trim().eq_ignore_ascii_case("NoError")),
        info: reader.text("info", info, 50),
        at: reader.time("timestamp", at),
        vendor: reader.text("vendorId", vendor, 255),
        vendor_error: reader.text("vendorErrorCode", vendor_error, 50),
    }
}

fn stop(reader: &mut Reader, payload: &RawValue) -> Stop {
    let names = ["transactionId", "idTag", "meterStop", "timestamp", "reason", "transactionData"];
    let [transaction, id_tag, meter_stop, at, reason, data] = reader.members(payload, names);
    let transaction = transaction_of(reader, transaction);
    let meter_stop = register(reader, "meterStop", meter_stop);
    let at = reader.time("timestamp", at);
    let known_reason = reader.name("reason", reason, StopReason::from_name);
    Stop {
        transaction: reader.needed("transactionId", transaction),
        id_tag: reader.text("idTag", id_tag, 20),
        meter_stop: reader.needed("meterStop", meter_stop),
        at: reader.needed("timestamp", at),
        reason: known_reason.unwrap_or(if reason.is_some() { StopReason::Other } else { StopReason::Local }),
        readings: Reading::read_all(reader, "transactionData", data),
    }
}

fn connector_of(reader: &mut Reader, raw: Option<&RawValue>) -> Option<u16> {
    reader.integer("connectorId", raw).and_then(|number| u16::try_from(number).ok())
}

fn transaction_of(reader: &mut Reader, raw: Option<&RawValue>) -> Option<i32> {
    let id = reader.integer("transactionId", raw)?;
    i32::try_from(id).ok().filter(|id| *id > 0)
}

fn register(reader: &mut Reader, field: &str, raw: Option<&RawValue>) -> Option<Wh> {
    reader.register(field, raw).filter(|register| *register >= 0).map(Wh)
}
