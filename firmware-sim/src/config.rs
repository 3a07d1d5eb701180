//! How a simulated station is set up.

use shared::units::{Watts, Wh};

use crate::ev::Vehicle;
use crate::journal::Journal;
use crate::station::security::SecurityHabits;
use crate::tls::Tls;

/// A station to simulate.
#[derive(Clone, Debug)]
pub struct StationConfig {
    /// Where the CSMS is, the identity not included: `ws://host:port/path`, or `wss://…` with `tls`.
    pub url: String,
    /// The identity: last part of the URL and Basic user name.
    pub identity: String,
    /// The Basic password, if any.
    pub password: Option<String>,
    /// What it trusts and shows over `wss://`.
    pub tls: Option<Tls>,
    /// How many connectors.
    pub connectors: u16,
    /// What BootNotification tells.
    pub hardware: Hardware,
    /// Simulated seconds between meter readings in a session; 0 is never.
    pub meter_interval: u32,
    /// Simulated seconds in a real one.
    pub time_scale: u32,
    /// Moves the station's clock, in milliseconds. A scaled clock runs into the future: start it in the past.
    pub clock_offset: i64,
    /// What a connector can give.
    pub max_power: Watts,
    /// What the registers show at first.
    pub meter_start: Wh,
    /// The vehicle that comes when none is named.
    pub vehicle: Vehicle,
    /// How long to wait for an answer, in milliseconds.
    pub call_timeout: u64,
    /// How long to wait before dialling again: the first time, and at most, in milliseconds.
    pub redial: (u64, u64),
    /// Settings that differ from [`crate::station::keys`]' defaults.
    pub settings: Vec<(String, String)>,
    /// The security profile, 0 to 3; what the URL, the password and the certificate make of it when none.
    pub security_profile: Option<u8>,
    /// How it goes about its security.
    pub security: SecurityHabits,
    /// Where sessions are written to.
    pub journal: Option<Journal>,
}

/// What BootNotification tells.
#[derive(Clone, Debug)]
pub struct Hardware {
    /// The maker.
    pub vendor: String,
    /// The model.
    pub model: String,
    /// The serial number.
    pub serial: Option<String>,
    /// The firmware version.
    pub firmware: Option<String>,
}

impl StationConfig {
    /// A station of one connector, without a password, in real time.
    pub fn new(url: impl Into<String>, identity: impl Into<String>) -> Self {
        StationConfig {
            url: url.into(),
            identity: identity.into(),
            password: None,
            tls: None,
            connectors: 1,
            hardware: Hardware {
                vendor: "FirmwareSim".into(),
                model: "AC-22".into(),
                serial: None,
                firmware: Some(env!("CARGO_PKG_VERSION").into()),
            },
            meter_interval: 60,
            time_scale: 1,
            clock_offset: 0,
            max_power: Watts(22_000),
            meter_start: Wh(1_000),
            vehicle: Vehicle::default(),
            call_timeout: 30_000,
            redial: (1_000, 60_000),
            settings: Vec::new(),
            security_profile: None,
            security: SecurityHabits::default(),
            journal: None,
        }
    }

    /// The same with a password.
    #[must_use]
    pub fn with_password(mut self, password: impl Into<String>) -> Self {
        self.password = Some(password.into());
        self
    }
}
