//! Stations and their connectors.

use serde::{Deserialize, Serialize};

/// What a connector is doing (OCPP 1.6 §7.7 ChargePointStatus; the names are the seed API's too).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ConnectorStatus {
    /// Free.
    Available,
    /// Plugged in or authorised, not yet charging.
    Preparing,
    /// Energy may flow.
    Charging,
    /// The vehicle does not take energy.
    SuspendedEv,
    /// The station does not give energy.
    SuspendedEvse,
    /// The session is over, the cable still in.
    Finishing,
    /// Kept for a driver.
    Reserved,
    /// Out of service by decision.
    Unavailable,
    /// Out of service by an error.
    Faulted,
}

impl ConnectorStatus {
    /// All of them, in the order of the specification.
    pub const ALL: [ConnectorStatus; 9] = [
        ConnectorStatus::Available,
        ConnectorStatus::Preparing,
        ConnectorStatus::Charging,
        ConnectorStatus::SuspendedEv,
        ConnectorStatus::SuspendedEvse,
        ConnectorStatus::Finishing,
        ConnectorStatus::Reserved,
        ConnectorStatus::Unavailable,
        ConnectorStatus::Faulted,
    ];

    /// The name as apps and stations spell it.
    pub fn name(self) -> &'static str {
        match self {
            ConnectorStatus::Available => "Available",
            ConnectorStatus::Preparing => "Preparing",
            ConnectorStatus::Charging => "Charging",
            ConnectorStatus::SuspendedEv => "SuspendedEV",
            ConnectorStatus::SuspendedEvse => "SuspendedEVSE",
            ConnectorStatus::Finishing => "Finishing",
            ConnectorStatus::Reserved => "Reserved",
            ConnectorStatus::Unavailable => "Unavailable",
            ConnectorStatus::Faulted => "Faulted",
        }
    }

    /// The status of a name, whatever its case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name().eq_ignore_ascii_case(name.trim()))
    }
}

/// What a station told about itself when it booted. Texts are as received, cut to 255 characters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StationInfo {
    /// The maker.
    pub vendor: String,
    /// The maker's model.
    pub model: String,
    /// The serial number, if told.
    pub serial: Option<String>,
    /// The firmware version, if told.
    pub firmware: Option<String>,
}
