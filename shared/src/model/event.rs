//! What happened. An event is a fact: the edge commits it before it answers anyone, the cloud folds it into its tables.

use serde::{Deserialize, Serialize};

use super::command::{Command, CommandResult};
use super::file::{FirmwareProgressed, LogProgressed, LogReceived};
use super::finding::FindingNoted;
use super::local_list::LocalListChanged;
use super::meter::MeterReading;
use super::onboarding::{StationAdopted, StationKnocked, StationPending, StationRejected, WindowChanged};
use super::quirks::QuirkSuggested;
use super::reservation::ReservationEnded;
use super::security::{CredentialRotated, SecurityProgressed, SecurityReported, StationSecured};
use super::session::{SessionStarted, SessionStopped, TariffRef};
use super::settings::{SettingsApplied, SettingsRead};
use super::station::{ConnectorStatus, StationInfo};
use super::token::{AuthStatus, AuthorisedBy, IdToken};
use crate::id::{EvseNo, SessionId, StationId};
use crate::tariff::Cost;
use crate::units::{Timestamp, Wh};

/// The order in which unsent facts leave a gateway, and what may be given up when storage runs short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Lane {
    /// Never dropped, never compacted, drained first.
    Billing,
    /// May be thinned, only by an explicit [`MeterGap`].
    Meter,
    /// The latest value wins.
    Status,
}

impl Lane {
    /// All lanes, in the order in which they drain.
    pub const ALL: [Lane; 3] = [Lane::Billing, Lane::Meter, Lane::Status];

    /// The lane's place in an array by lane.
    pub fn index(self) -> usize {
        match self {
            Lane::Billing => 0,
            Lane::Meter => 1,
            Lane::Status => 2,
        }
    }

    /// The lane at a place.
    pub fn from_index(index: usize) -> Option<Lane> {
        Lane::ALL.get(index).copied()
    }

    /// The lane's name in metrics and tables.
    pub fn name(self) -> &'static str {
        match self {
            Lane::Billing => "billing",
            Lane::Meter => "meter",
            Lane::Status => "status",
        }
    }
}

/// A decision about a token, kept for disputes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorisationDecided {
    /// Who asked.
    pub station: StationId,
    /// About whom.
    pub token: IdToken,
    /// The answer.
    pub status: AuthStatus,
    /// Who decided.
    pub decided_by: AuthorisedBy,
    /// When.
    pub at: Timestamp,
}

/// The edge's price of an ended session. The cloud prices the same facts again and compares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionPriced {
    /// Which session.
    pub session: SessionId,
    /// By which tariff.
    pub tariff: TariffRef,
    /// The result, line by line.
    pub cost: Cost,
}

/// A stop that no known session fits: kept, shown to an operator, never guessed onto a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopUnmatched {
    /// Who sent it.
    pub station: StationId,
    /// The station's name for the session that it means.
    pub tx_ref: String,
    /// The token in it, if any.
    pub token: Option<IdToken>,
    /// When it says the session ended.
    pub at: Timestamp,
    /// The register it names.
    pub meter_stop: Wh,
}

/// Something that an operator should look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecurityNoticed {
    /// Which station it is about, if one.
    pub station: Option<StationId>,
    /// What, as a stable word such as `duplicate_identity`.
    pub what: String,
    /// The circumstances, for a person.
    pub detail: String,
    /// When.
    pub at: Timestamp,
}

/// A reading of a running session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionMetered {
    /// Which session.
    pub session: SessionId,
    /// What the meter said.
    pub reading: MeterReading,
}

/// Readings that were given up to save storage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeterGap {
    /// Which session.
    pub session: SessionId,
    /// From when.
    pub from: Timestamp,
    /// Until when.
    pub to: Timestamp,
    /// How many readings.
    pub count: u32,
    /// The register at the beginning.
    pub energy_first: Option<Wh>,
    /// The register at the end.
    pub energy_last: Option<Wh>,
}

/// A connector's new status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusChanged {
    /// Where.
    pub station: StationId,
    /// Which EVSE; `None` is the station as a whole.
    pub evse: Option<EvseNo>,
    /// The status.
    pub status: ConnectorStatus,
    /// The station's error code, if it is not "no error".
    pub error: Option<String>,
    /// Since when.
    pub at: Timestamp,
}

/// A station came or went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PresenceChanged {
    /// Which.
    pub station: StationId,
    /// Is there a connection?
    pub connected: bool,
    /// Since when.
    pub at: Timestamp,
}

/// A station said who it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StationBooted {
    /// Which.
    pub station: StationId,
    /// What it told.
    pub info: StationInfo,
    /// When.
    pub at: Timestamp,
}

/// How a station's clock goes, measured from what it says live.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockMeasured {
    /// Which.
    pub station: StationId,
    /// The gateway's time minus the station's, in milliseconds: positive when the station's clock is slow.
    pub skew_ms: i64,
    /// When.
    pub at: Timestamp,
}

/// The version of a document that the gateway now works by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentApplied {
    /// Which document.
    pub name: String,
    /// Its version.
    pub version: u64,
    /// When.
    pub at: Timestamp,
}

/// A card that the site does not know asked for a charge and was refused. Thinned where it is recorded: a card held to the
/// reader for long is one fact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnknownCardSeen {
    /// Where.
    pub station: StationId,
    /// At which EVSE, if the station told.
    pub evse: Option<EvseNo>,
    /// The card.
    pub token: IdToken,
    /// When.
    pub at: Timestamp,
}

/// An order that an installer gave at the gateway, and how it ended: the cloud learns of both at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalCommandFinished {
    /// The order.
    pub command: Command,
    /// Its end.
    pub result: CommandResult,
}

/// Anything that can happen at a site. Each kind has one number on the wire and one lane: see [`crate::sync::record`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each variant holds the type that says it")]
pub enum Event {
    SessionStarted(SessionStarted),
    SessionStopped(SessionStopped),
    AuthorisationDecided(AuthorisationDecided),
    SessionPriced(SessionPriced),
    StopUnmatched(StopUnmatched),
    SecurityNoticed(SecurityNoticed),
    CommandFinished(CommandResult),
    SessionMetered(SessionMetered),
    MeterGap(MeterGap),
    StatusChanged(StatusChanged),
    PresenceChanged(PresenceChanged),
    StationBooted(StationBooted),
    DocumentApplied(DocumentApplied),
    UnknownCardSeen(UnknownCardSeen),
    ReservationEnded(ReservationEnded),
    FirmwareProgressed(FirmwareProgressed),
    LogProgressed(LogProgressed),
    LogReceived(LogReceived),
    StationKnocked(StationKnocked),
    StationPending(StationPending),
    StationAdopted(StationAdopted),
    StationRejected(StationRejected),
    WindowChanged(WindowChanged),
    SettingsRead(SettingsRead),
    SettingsApplied(SettingsApplied),
    ClockMeasured(ClockMeasured),
    LocalListChanged(LocalListChanged),
    LocalCommandFinished(Box<LocalCommandFinished>),
    FindingNoted(FindingNoted),
    QuirkSuggested(QuirkSuggested),
    SecurityReported(SecurityReported),
    SecurityProgressed(SecurityProgressed),
    StationSecured(StationSecured),
    CredentialRotated(CredentialRotated),
}

impl Event {
    /// The session that it is a fact of, if it is one of a session.
    pub fn session(&self) -> Option<SessionId> {
        match self {
            Event::SessionStarted(it) => Some(it.session),
            Event::SessionStopped(it) => Some(it.session),
            Event::SessionPriced(it) => Some(it.session),
            Event::SessionMetered(it) => Some(it.session),
            Event::MeterGap(it) => Some(it.session),
            Event::AuthorisationDecided(_)
            | Event::StopUnmatched(_)
            | Event::SecurityNoticed(_)
            | Event::CommandFinished(_)
            | Event::StatusChanged(_)
            | Event::PresenceChanged(_)
            | Event::StationBooted(_)
            | Event::DocumentApplied(_)
            | Event::UnknownCardSeen(_)
            | Event::ReservationEnded(_)
            | Event::FirmwareProgressed(_)
            | Event::LogProgressed(_)
            | Event::LogReceived(_)
            | Event::StationKnocked(_)
            | Event::StationPending(_)
            | Event::StationAdopted(_)
            | Event::StationRejected(_)
            | Event::WindowChanged(_)
            | Event::SettingsRead(_)
            | Event::SettingsApplied(_)
            | Event::ClockMeasured(_)
            | Event::LocalListChanged(_)
            | Event::LocalCommandFinished(_)
            | Event::FindingNoted(_)
            | Event::QuirkSuggested(_)
            | Event::SecurityReported(_)
            | Event::SecurityProgressed(_)
            | Event::StationSecured(_)
            | Event::CredentialRotated(_) => None,
        }
    }
}
