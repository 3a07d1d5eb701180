//! How a station comes to a site: it knocks, it is let in as *pending* while somebody has opened the onboarding window, and
//! a person adopts or rejects it. Never is one accepted silently.

use serde::{Deserialize, Serialize};

use super::station::StationInfo;
use crate::id::StationId;
use crate::units::Timestamp;

/// How long an onboarding window is open when nobody says otherwise.
pub const WINDOW_MINUTES: u32 = 30;
/// The longest that one may be open.
pub const LONGEST_WINDOW_MINUTES: u32 = 24 * 60;

/// The credential of a station that shows a certificate: no password fits it.
pub const CERTIFICATE_ONLY: &str = "certificate";

/// An unknown station was refused at the door. Thinned where it is recorded: one that knocks on is one fact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StationKnocked {
    /// The identity that it gave.
    pub station: StationId,
    /// Its address.
    pub from: String,
    /// The OCPP security profile of the door.
    pub security_profile: u8,
    /// Did it show a password?
    pub had_password: bool,
    /// When.
    pub at: Timestamp,
}

/// An unknown station waits inside for a person's decision; told again when it has told more about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StationPending {
    /// Which.
    pub station: StationId,
    /// Its address.
    pub from: String,
    /// The OCPP security profile of the door.
    pub security_profile: u8,
    /// What the password that it showed verifies against, or [`CERTIFICATE_ONLY`]; none: it showed nothing.
    pub credential: Option<String>,
    /// What it told about itself when it booted.
    pub info: Option<StationInfo>,
    /// How many connectors it has, as far as it told.
    pub connectors: Option<u16>,
    /// When it was heard last.
    pub at: Timestamp,
}

/// The installer adopted a station at the gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StationAdopted {
    /// Which.
    pub station: StationId,
    /// What its password verifies against.
    pub credential: String,
    /// How many connectors it has, as far as is known.
    pub connectors: u16,
    /// When.
    pub at: Timestamp,
}

/// The installer turned a station away at the gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StationRejected {
    /// Which.
    pub station: StationId,
    /// When.
    pub at: Timestamp,
}

/// The installer opened or closed the onboarding window at the gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowChanged {
    /// Open until then; closed when absent.
    pub until: Option<Timestamp>,
    /// When it was changed.
    pub at: Timestamp,
}

/// Who is let in beyond the list of stations, and who of the list has to wait.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdmissionDoc {
    /// When the onboarding window was opened, and until when it is open. A window that the installer closed later stays
    /// closed.
    pub window: Option<(Timestamp, Timestamp)>,
    /// Stations that were turned away: they stay out while the window is open, too.
    pub rejected: Vec<StationId>,
    /// Stations of the list that are held: they may connect, but not charge.
    pub held: Vec<StationId>,
}
