//! A fact on the wire: a header that every version can read, and a length-prefixed body that only its kind can.

use serde::{Deserialize, Serialize};

use crate::id::BootId;
use crate::model::{Event, Lane};
use crate::units::Timestamp;

/// How far a record's time can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ClockQuality {
    /// The gateway's clock is synchronised.
    Synced,
    /// It is not, but continues from a time that was.
    Assumed,
    /// It was never set.
    Unset,
}

/// What every record says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The event's kind, see [`kind`].
    pub kind: u16,
    /// The version of that kind's body.
    pub kind_ver: u16,
    /// When it was recorded, by the gateway's clock.
    pub occurred_at: Timestamp,
    /// How far to trust that.
    pub clock: ClockQuality,
    /// The agent process that recorded it.
    pub boot: BootId,
    /// Milliseconds since that process started.
    pub mono_ms: u64,
    /// The business key: the same fact has the same key even under another epoch.
    pub key: String,
}

/// One fact on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// What it says of itself.
    pub header: Header,
    /// The event, in postcard, without its kind.
    pub body: Vec<u8>,
}

/// Why a record could not be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum RecordError {
    /// A kind or a version of it from a newer gateway.
    #[error("unknown kind {0} version {1}")]
    UnknownKind(u16, u16),
    /// The body is not what its kind says.
    #[error("the body of kind {kind} cannot be read: {error}")]
    Body {
        /// The kind.
        kind: u16,
        /// What postcard said.
        error: postcard::Error,
    },
    /// The record came in a lane that its kind does not travel in.
    #[error("kind {0} does not travel in the {1} lane")]
    Lane(u16, &'static str),
}

/// The kinds by number: append-only.
pub mod kind {
    #![expect(missing_docs, reason = "the names are those of the events")]
    pub const SESSION_STARTED: u16 = 1;
    pub const SESSION_STOPPED: u16 = 2;
    pub const AUTHORISATION_DECIDED: u16 = 3;
    pub const SESSION_PRICED: u16 = 4;
    pub const STOP_UNMATCHED: u16 = 5;
    pub const SECURITY_NOTICED: u16 = 6;
    pub const COMMAND_FINISHED: u16 = 7;
    pub const RESERVATION_ENDED: u16 = 8;
    pub const SESSION_METERED: u16 = 16;
    pub const METER_GAP: u16 = 17;
    pub const STATUS_CHANGED: u16 = 32;
    pub const PRESENCE_CHANGED: u16 = 33;
    pub const STATION_BOOTED: u16 = 34;
    pub const DOCUMENT_APPLIED: u16 = 35;
    pub const UNKNOWN_CARD_SEEN: u16 = 36;
    pub const FIRMWARE_PROGRESSED: u16 = 64;
    pub const LOG_PROGRESSED: u16 = 65;
    pub const LOG_RECEIVED: u16 = 66;
    pub const LOCAL_LIST_CHANGED: u16 = 72;
    pub const LOCAL_COMMAND_FINISHED: u16 = 73;

    pub const STATION_KNOCKED: u16 = 40;
    pub const STATION_PENDING: u16 = 41;
    pub const STATION_ADOPTED: u16 = 42;
    pub const STATION_REJECTED: u16 = 43;
    pub const WINDOW_CHANGED: u16 = 44;
    pub const SETTINGS_READ: u16 = 45;
    pub const SETTINGS_APPLIED: u16 = 46;
    pub const CLOCK_MEASURED: u16 = 47;

    pub const FINDING_NOTED: u16 = 48;
    pub const QUIRK_SUGGESTED: u16 = 49;
    pub const SECURITY_REPORTED: u16 = 56;
    pub const SECURITY_PROGRESSED: u16 = 57;
    pub const STATION_SECURED: u16 = 58;
    pub const CREDENTIAL_ROTATED: u16 = 59;

    /// Every kind that this build reads.
    pub const ALL: [u16; 34] = [
        SESSION_STARTED,
        SESSION_STOPPED,
        AUTHORISATION_DECIDED,
        SESSION_PRICED,
        STOP_UNMATCHED,
        SECURITY_NOTICED,
        COMMAND_FINISHED,
        SESSION_METERED,
        METER_GAP,
        STATUS_CHANGED,
        PRESENCE_CHANGED,
        STATION_BOOTED,
        DOCUMENT_APPLIED,
        UNKNOWN_CARD_SEEN,
        RESERVATION_ENDED,
        FIRMWARE_PROGRESSED,
        LOG_PROGRESSED,
        LOG_RECEIVED,
        STATION_KNOCKED,
        STATION_PENDING,
        STATION_ADOPTED,
        STATION_REJECTED,
        WINDOW_CHANGED,
        SETTINGS_READ,
        SETTINGS_APPLIED,
        CLOCK_MEASURED,
        LOCAL_LIST_CHANGED,
        LOCAL_COMMAND_FINISHED,
        FINDING_NOTED,
        QUIRK_SUGGESTED,
        SECURITY_REPORTED,
        SECURITY_PROGRESSED,
        STATION_SECURED,
        CREDENTIAL_ROTATED,
    ];
}

impl Event {
    /// The kind under which it travels.
    pub fn kind(&self) -> u16 {
        match self {
            Event::SessionStarted(_) => kind::SESSION_STARTED,
            Event::SessionStopped(_) => kind::SESSION_STOPPED,
            Event::AuthorisationDecided(_) => kind::AUTHORISATION_DECIDED,
            Event::SessionPriced(_) => kind::SESSION_PRICED,
            Event::StopUnmatched(_) => kind::STOP_UNMATCHED,
            Event::SecurityNoticed(_) => kind::SECURITY_NOTICED,
            Event::CommandFinished(_) => kind::COMMAND_FINISHED,
            Event::SessionMetered(_) => kind::SESSION_METERED,
            Event::MeterGap(_) => kind::METER_GAP,
            Event::StatusChanged(_) => kind::STATUS_CHANGED,
            Event::PresenceChanged(_) => kind::PRESENCE_CHANGED,
            Event::StationBooted(_) => kind::STATION_BOOTED,
            Event::DocumentApplied(_) => kind::DOCUMENT_APPLIED,
            Event::UnknownCardSeen(_) => kind::UNKNOWN_CARD_SEEN,
            Event::ReservationEnded(_) => kind::RESERVATION_ENDED,
            Event::FirmwareProgressed(_) => kind::FIRMWARE_PROGRESSED,
            Event::LogProgressed(_) => kind::LOG_PROGRESSED,
            Event::LogReceived(_) => kind::LOG_RECEIVED,
            Event::StationKnocked(_) => kind::STATION_KNOCKED,
            Event::StationPending(_) => kind::STATION_PENDING,
            Event::StationAdopted(_) => kind::STATION_ADOPTED,
            Event::StationRejected(_) => kind::STATION_REJECTED,
            Event::WindowChanged(_) => kind::WINDOW_CHANGED,
            Event::SettingsRead(_) => kind::SETTINGS_READ,
            Event::SettingsApplied(_) => kind::SETTINGS_APPLIED,
            Event::ClockMeasured(_) => kind::CLOCK_MEASURED,
            Event::LocalListChanged(_) => kind::LOCAL_LIST_CHANGED,
            Event::LocalCommandFinished(_) => kind::LOCAL_COMMAND_FINISHED,
            Event::FindingNoted(_) => kind::FINDING_NOTED,
            Event::QuirkSuggested(_) => kind::QUIRK_SUGGESTED,
            Event::SecurityReported(_) => kind::SECURITY_REPORTED,
            Event::SecurityProgressed(_) => kind::SECURITY_PROGRESSED,
            Event::StationSecured(_) => kind::STATION_SECURED,
            Event::CredentialRotated(_) => kind::CREDENTIAL_ROTATED,
        }
    }

    /// The lane in which it travels.
    pub fn lane(&self) -> Lane {
        lane_of(self.kind()).expect("every event's kind has a lane")
    }

    /// The business key. Facts that can only happen once are named by what they are about; the others by where they
    /// were recorded, which `boot` and `count` (unique within that process) name.
    pub fn key(&self, boot: BootId, count: u64) -> String {
        match self {
            Event::SessionStarted(e) => format!("start/{}", e.session),
            Event::SessionStopped(e) => format!("stop/{}", e.session),
            Event::SessionPriced(e) => format!("price/{}", e.session),
            Event::StopUnmatched(e) => {
                format!("unmatched/{}/{}/{}/{}", e.station, e.tx_ref, e.at.0, e.meter_stop.0)
            }
            Event::CommandFinished(e) => format!("command/{}", e.id),
            Event::LocalCommandFinished(e) => format!("command/{}", e.command.id),
            Event::ReservationEnded(e) => format!("reservation/{}", e.reservation),
            Event::AuthorisationDecided(_)
            | Event::SecurityNoticed(_)
            | Event::SessionMetered(_)
            | Event::MeterGap(_)
            | Event::StatusChanged(_)
            | Event::PresenceChanged(_)
            | Event::StationBooted(_)
            | Event::DocumentApplied(_)
            | Event::UnknownCardSeen(_)
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
            | Event::FindingNoted(_)
            | Event::QuirkSuggested(_)
            | Event::SecurityReported(_)
            | Event::SecurityProgressed(_)
            | Event::StationSecured(_)
            | Event::CredentialRotated(_) => format!("{}/{count}", boot_prefix(boot)),
        }
    }

    /// The body as it travels.
    pub fn body(&self) -> Vec<u8> {
        let bytes = match self {
            Event::SessionStarted(e) => postcard::to_stdvec(e),
            Event::SessionStopped(e) => postcard::to_stdvec(e),
            Event::AuthorisationDecided(e) => postcard::to_stdvec(e),
            Event::SessionPriced(e) => postcard::to_stdvec(e),
            Event::StopUnmatched(e) => postcard::to_stdvec(e),
            Event::SecurityNoticed(e) => postcard::to_stdvec(e),
            Event::CommandFinished(e) => postcard::to_stdvec(e),
            Event::SessionMetered(e) => postcard::to_stdvec(e),
            Event::MeterGap(e) => postcard::to_stdvec(e),
            Event::StatusChanged(e) => postcard::to_stdvec(e),
            Event::PresenceChanged(e) => postcard::to_stdvec(e),
            Event::StationBooted(e) => postcard::to_stdvec(e),
            Event::DocumentApplied(e) => postcard::to_stdvec(e),
            Event::UnknownCardSeen(e) => postcard::to_stdvec(e),
            Event::ReservationEnded(e) => postcard::to_stdvec(e),
            Event::FirmwareProgressed(e) => postcard::to_stdvec(e),
            Event::LogProgressed(e) => postcard::to_stdvec(e),
            Event::LogReceived(e) => postcard::to_stdvec(e),
            Event::StationKnocked(e) => postcard::to_stdvec(e),
            Event::StationPending(e) => postcard::to_stdvec(e),
            Event::StationAdopted(e) => postcard::to_stdvec(e),
            Event::StationRejected(e) => postcard::to_stdvec(e),
            Event::WindowChanged(e) => postcard::to_stdvec(e),
            Event::SettingsRead(e) => postcard::to_stdvec(e),
            Event::SettingsApplied(e) => postcard::to_stdvec(e),
            Event::ClockMeasured(e) => postcard::to_stdvec(e),
            Event::LocalListChanged(e) => postcard::to_stdvec(e),
            Event::LocalCommandFinished(e) => postcard::to_stdvec(e),
            Event::FindingNoted(e) => postcard::to_stdvec(e),
            Event::QuirkSuggested(e) => postcard::to_stdvec(e),
            Event::SecurityReported(e) => postcard::to_stdvec(e),
            Event::SecurityProgressed(e) => postcard::to_stdvec(e),
            Event::StationSecured(e) => postcard::to_stdvec(e),
            Event::CredentialRotated(e) => postcard::to_stdvec(e),
        };
        bytes.expect("wire types always serialise")
    }
}

impl Record {
    /// Reads the event of a record that came in `lane`.
    pub fn event(&self, lane: Lane) -> Result<Event, RecordError> {
        let Header { kind, kind_ver, .. } = self.header;
        match lane_of(kind) {
            None => return Err(RecordError::UnknownKind(kind, kind_ver)),
            Some(_) if kind_ver != 1 => return Err(RecordError::UnknownKind(kind, kind_ver)),
            Some(its) if its != lane => return Err(RecordError::Lane(kind, lane.name())),
            Some(_) => {}
        }
        self.decode().map_err(|error| RecordError::Body { kind, error })
    }

    fn decode(&self) -> Result<Event, postcard::Error> {
        let body = &self.body;
        Ok(match self.header.kind {
            kind::SESSION_STARTED => Event::SessionStarted(postcard::from_bytes(body)?),
            kind::SESSION_STOPPED => Event::SessionStopped(postcard::from_bytes(body)?),
            kind::AUTHORISATION_DECIDED => Event::AuthorisationDecided(postcard::from_bytes(body)?),
            kind::SESSION_PRICED => Event::SessionPriced(postcard::from_bytes(body)?),
            kind::STOP_UNMATCHED => Event::StopUnmatched(postcard::from_bytes(body)?),
            kind::SECURITY_NOTICED => Event::SecurityNoticed(postcard::from_bytes(body)?),
            kind::COMMAND_FINISHED => Event::CommandFinished(postcard::from_bytes(body)?),
            kind::SESSION_METERED => Event::SessionMetered(postcard::from_bytes(body)?),
            kind::METER_GAP => Event::MeterGap(postcard::from_bytes(body)?),
            kind::STATUS_CHANGED => Event::StatusChanged(postcard::from_bytes(body)?),
            kind::PRESENCE_CHANGED => Event::PresenceChanged(postcard::from_bytes(body)?),
            kind::STATION_BOOTED => Event::StationBooted(postcard::from_bytes(body)?),
            kind::DOCUMENT_APPLIED => Event::DocumentApplied(postcard::from_bytes(body)?),
            kind::UNKNOWN_CARD_SEEN => Event::UnknownCardSeen(postcard::from_bytes(body)?),
            kind::RESERVATION_ENDED => Event::ReservationEnded(postcard::from_bytes(body)?),
            kind::FIRMWARE_PROGRESSED => Event::FirmwareProgressed(postcard::from_bytes(body)?),
            kind::LOG_PROGRESSED => Event::LogProgressed(postcard::from_bytes(body)?),
            kind::LOG_RECEIVED => Event::LogReceived(postcard::from_bytes(body)?),
            kind::STATION_KNOCKED => Event::StationKnocked(postcard::from_bytes(body)?),
            kind::STATION_PENDING => Event::StationPending(postcard::from_bytes(body)?),
            kind::STATION_ADOPTED => Event::StationAdopted(postcard::from_bytes(body)?),
            kind::STATION_REJECTED => Event::StationRejected(postcard::from_bytes(body)?),
            kind::WINDOW_CHANGED => Event::WindowChanged(postcard::from_bytes(body)?),
            kind::SETTINGS_READ => Event::SettingsRead(postcard::from_bytes(body)?),
            kind::SETTINGS_APPLIED => Event::SettingsApplied(postcard::from_bytes(body)?),
            kind::CLOCK_MEASURED => Event::ClockMeasured(postcard::from_bytes(body)?),
            kind::LOCAL_LIST_CHANGED => Event::LocalListChanged(postcard::from_bytes(body)?),
            kind::LOCAL_COMMAND_FINISHED => {
                Event::LocalCommandFinished(Box::new(postcard::from_bytes(body)?))
            }
            kind::FINDING_NOTED => Event::FindingNoted(postcard::from_bytes(body)?),
            kind::QUIRK_SUGGESTED => Event::QuirkSuggested(postcard::from_bytes(body)?),
            kind::SECURITY_REPORTED => Event::SecurityReported(postcard::from_bytes(body)?),
            kind::SECURITY_PROGRESSED => Event::SecurityProgressed(postcard::from_bytes(body)?),
            kind::STATION_SECURED => Event::StationSecured(postcard::from_bytes(body)?),
            kind::CREDENTIAL_ROTATED => Event::CredentialRotated(postcard::from_bytes(body)?),
            _ => unreachable!("the kind has a lane, so it is one of these"),
        })
    }
}

fn lane_of(kind: u16) -> Option<Lane> {
    match kind {
        kind::SESSION_STARTED..=kind::RESERVATION_ENDED => Some(Lane::Billing),
        kind::SESSION_METERED..=kind::METER_GAP => Some(Lane::Meter),
        kind::STATUS_CHANGED..=kind::UNKNOWN_CARD_SEEN => Some(Lane::Status),
        kind::FIRMWARE_PROGRESSED..=kind::LOG_RECEIVED => Some(Lane::Status),
        kind::STATION_KNOCKED..=kind::CLOCK_MEASURED => Some(Lane::Status),
        kind::LOCAL_LIST_CHANGED..=kind::LOCAL_COMMAND_FINISHED => Some(Lane::Status),
        kind::FINDING_NOTED..=kind::QUIRK_SUGGESTED => Some(Lane::Status),
        kind::SECURITY_REPORTED..=kind::CREDENTIAL_ROTATED => Some(Lane::Status),
        _ => None,
    }
}

/// Half of a boot id is unique enough beside the gateway's own id, and half as long on the wire.
fn boot_prefix(boot: BootId) -> String {
    boot.0.simple().to_string().split_at(16).1.to_owned()
}
