//! What the cloud may ask of a station, and how each asking ends.

use serde::{Deserialize, Serialize};

use super::charging::{ChargingProfile, CompositeSchedule, ProfileFilter, RateUnit};
use super::file::{FirmwareUpdate, LogRequest};
use super::frame_log::{FrameFilter, FramePage};
use super::reservation::Reservation;
use super::security::{CertificateHash, ProfileRaise, RootUse};
use super::token::IdToken;
use crate::id::{CommandId, EvseNo, ReservationId, SessionId, StationId};
use crate::units::Timestamp;

/// An order with an end: after `expires_at` it is never carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// Its id. The same id is the same order.
    pub id: CommandId,
    /// When it was given.
    pub issued_at: Timestamp,
    /// When it is void.
    pub expires_at: Timestamp,
    /// Who shall do it.
    pub station: StationId,
    /// What.
    pub body: CommandBody,
    /// Does it wait for a station that is not connected, until it is void?
    pub waits: bool,
    /// Who gave it.
    pub origin: Origin,
}

/// Where an order comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Origin {
    /// From the cloud, which has a row for it.
    #[default]
    Cloud,
    /// From an installer at the gateway, perhaps without internet: the cloud learns of it when it has ended.
    Installer,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CommandBody {
    /// Begin a session for a driver.
    RemoteStart {
        /// Where; the station chooses when absent.
        evse: Option<EvseNo>,
        /// For whom.
        token: IdToken,
    },
    /// End a running session.
    RemoteStop {
        /// Which.
        session: SessionId,
    },
    /// Restart the station.
    Reset {
        /// At once, without ending sessions in order.
        hard: bool,
    },
    /// Let go of a plug.
    Unlock {
        /// Where.
        evse: EvseNo,
    },
    /// Take into or out of service.
    SetAvailability {
        /// Which EVSE; the whole station when absent.
        evse: Option<EvseNo>,
        /// In service?
        operative: bool,
    },
    /// Read settings.
    GetConfiguration {
        /// Which; all when empty.
        keys: Vec<String>,
    },
    /// Change a setting.
    ChangeConfiguration {
        /// Which.
        key: String,
        /// To what.
        value: String,
    },
    /// Forget remembered tokens.
    ClearCache,
    /// Pass a vendor's message on.
    DataTransfer {
        /// Whose message.
        vendor: String,
        /// Which message.
        message: Option<String>,
        /// Its content.
        data: Option<String>,
    },
    /// Ask for a message now.
    Trigger {
        /// Which.
        message: TriggeredMessage,
        /// For which EVSE; all when absent.
        evse: Option<EvseNo>,
    },
    /// Keep an EVSE for a driver.
    Reserve(Reservation),
    /// Keep it no longer.
    CancelReservation {
        /// Which.
        reservation: ReservationId,
    },
    /// Limit charging over time.
    SetChargingProfile {
        /// Where; the whole station when absent. A session's own profile is where the session is.
        evse: Option<EvseNo>,
        /// The limits.
        profile: ChargingProfile,
    },
    /// Limit it no longer.
    ClearChargingProfiles(ProfileFilter),
    /// Tell what all limits add up to.
    GetCompositeSchedule {
        /// Where; the whole station when absent.
        evse: Option<EvseNo>,
        /// From now on, so long.
        duration_s: u32,
        /// In which unit; the station chooses when absent.
        unit: Option<RateUnit>,
    },
    /// Install a firmware image. How far it is comes as [`super::file::FirmwareProgressed`].
    UpdateFirmware(Box<FirmwareUpdate>),
    /// Bring a log. How far it is comes as [`super::file::LogProgressed`].
    RequestLog(LogRequest),
    /// Tell what was said to and by the station. The gateway answers; the station is not asked.
    ReadFrames(FrameFilter),
    /// Tell the version of the list of tokens that the station keeps.
    GetLocalListVersion,
    /// Replace the list that the station keeps by what the site wants it to be.
    SendLocalList,
    /// Trust an authority from now on (M05).
    InstallCertificate {
        /// What for.
        root: RootUse,
        /// Its certificate in PEM; the gateway's own authority when absent.
        certificate: Option<String>,
        /// Even over a line that anybody on the LAN can change.
        over_plain: bool,
    },
    /// Trust one no longer (M04).
    DeleteCertificate(CertificateHash),
    /// Tell which authorities it trusts (M03).
    GetCertificates {
        /// What for.
        root: RootUse,
    },
    /// Make a new key and ask for a certificate (A02). How far that is comes as [`super::security::SecurityProgressed`].
    RenewCertificate,
    /// Take a new password, made by the gateway (A01). How far that is comes as [`super::security::SecurityProgressed`].
    RotatePassword {
        /// Even over a line that anybody on the LAN can read.
        over_plain: bool,
    },
    /// Go to a higher security profile (A05). How far that is comes as [`super::security::SecurityProgressed`].
    RaiseProfile(Box<ProfileRaise>),
}

impl CommandBody {
    /// The command's name in tables, metrics and answers.
    pub fn kind(&self) -> &'static str {
        match self {
            CommandBody::RemoteStart { .. } => "RemoteStart",
            CommandBody::RemoteStop { .. } => "RemoteStop",
            CommandBody::Reset { .. } => "Reset",
            CommandBody::Unlock { .. } => "Unlock",
            CommandBody::SetAvailability { .. } => "SetAvailability",
            CommandBody::GetConfiguration { .. } => "GetConfiguration",
            CommandBody::ChangeConfiguration { .. } => "ChangeConfiguration",
            CommandBody::ClearCache => "ClearCache",
            CommandBody::DataTransfer { .. } => "DataTransfer",
            CommandBody::Trigger { .. } => "Trigger",
            CommandBody::Reserve(_) => "Reserve",
            CommandBody::CancelReservation { .. } => "CancelReservation",
            CommandBody::SetChargingProfile { .. } => "SetChargingProfile",
            CommandBody::ClearChargingProfiles(_) => "ClearChargingProfiles",
            CommandBody::GetCompositeSchedule { .. } => "GetCompositeSchedule",
            CommandBody::UpdateFirmware(_) => "UpdateFirmware",
            CommandBody::RequestLog(_) => "RequestLog",
            CommandBody::ReadFrames(_) => "ReadFrames",
            CommandBody::GetLocalListVersion => "GetLocalListVersion",
            CommandBody::SendLocalList => "SendLocalList",
            CommandBody::InstallCertificate { .. } => "InstallCertificate",
            CommandBody::DeleteCertificate(_) => "DeleteCertificate",
            CommandBody::GetCertificates { .. } => "GetCertificates",
            CommandBody::RenewCertificate => "RenewCertificate",
            CommandBody::RotatePassword { .. } => "RotatePassword",
            CommandBody::RaiseProfile(_) => "RaiseProfile",
        }
    }

    /// May it run again when a crash hid how the first run ended?
    pub fn is_idempotent(&self) -> bool {
        match self {
            CommandBody::SetAvailability { .. }
            | CommandBody::GetConfiguration { .. }
            | CommandBody::ChangeConfiguration { .. }
            | CommandBody::ClearCache
            | CommandBody::Trigger { .. }
            | CommandBody::Reserve(_)
            | CommandBody::CancelReservation { .. }
            | CommandBody::SetChargingProfile { .. }
            | CommandBody::ClearChargingProfiles(_)
            | CommandBody::GetCompositeSchedule { .. }
            | CommandBody::ReadFrames(_)
            | CommandBody::GetLocalListVersion
            | CommandBody::SendLocalList
            | CommandBody::InstallCertificate { .. }
            | CommandBody::DeleteCertificate(_)
            | CommandBody::GetCertificates { .. }
            | CommandBody::RenewCertificate
            | CommandBody::RotatePassword { .. }
            | CommandBody::RaiseProfile(_) => true,
            CommandBody::RemoteStart { .. }
            | CommandBody::RemoteStop { .. }
            | CommandBody::Reset { .. }
            | CommandBody::Unlock { .. }
            | CommandBody::DataTransfer { .. }
            | CommandBody::UpdateFirmware(_)
            | CommandBody::RequestLog(_) => false,
        }
    }
}

/// A message that a station can be asked to send (OCPP 1.6 §7.32 MessageTrigger).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are the messages'")]
pub enum TriggeredMessage {
    BootNotification,
    DiagnosticsStatus,
    FirmwareStatus,
    Heartbeat,
    MeterValues,
    StatusNotification,
    LogStatus,
    SignedFirmwareStatus,
}

/// How a command ended. Every command ends in exactly one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Outcome {
    /// The station said yes.
    Accepted,
    /// The station said no, or the site knows that it cannot be done.
    Rejected,
    /// The station will do it when it can (a scheduled availability change, a reboot-required setting).
    Scheduled,
    /// The station does not know such a thing.
    NotSupported,
    /// The station answered with an error.
    Failed,
    /// The station did not answer in time.
    TimedOut,
    /// The station was not connected, or left before it answered.
    StationOffline,
    /// Its time was over before the station could be asked.
    Expired,
    /// A crash hid how it ended, and it must not run twice.
    Unknown,
    /// The station does not do such a thing, so the site does it in its place.
    BySite,
    /// What it is about is in use, or kept for somebody.
    Occupied,
    /// What it is about has failed.
    Faulted,
    /// What it is about is out of service.
    Unavailable,
}

impl Outcome {
    /// The outcome's name in tables and answers.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Accepted => "Accepted",
            Outcome::Rejected => "Rejected",
            Outcome::Scheduled => "Scheduled",
            Outcome::NotSupported => "NotSupported",
            Outcome::Failed => "Failed",
            Outcome::TimedOut => "TimedOut",
            Outcome::StationOffline => "StationOffline",
            Outcome::Expired => "Expired",
            Outcome::Unknown => "Unknown",
            Outcome::BySite => "BySite",
            Outcome::Occupied => "Occupied",
            Outcome::Faulted => "Faulted",
            Outcome::Unavailable => "Unavailable",
        }
    }
}

/// A setting of a station.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigurationEntry {
    /// Its name.
    pub key: String,
    /// Its value, unless the station keeps it to itself.
    pub value: Option<String>,
    /// Can it be changed?
    pub readonly: bool,
}

/// A command's end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandResult {
    /// Which command.
    pub id: CommandId,
    /// How it ended.
    pub outcome: Outcome,
    /// More, for a person: the station's own word, an error's description.
    pub detail: String,
    /// What the station told.
    pub told: Told,
    /// When it ended.
    pub at: Timestamp,
}

/// What a station told in answer to a command that asks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    /// Nothing was asked.
    #[default]
    Nothing,
    /// Its settings ([`CommandBody::GetConfiguration`]).
    Configuration {
        /// Those that it has.
        entries: Vec<ConfigurationEntry>,
        /// Those that it does not know.
        unknown_keys: Vec<String>,
    },
    /// What its limits add up to ([`CommandBody::GetCompositeSchedule`]).
    Schedule(CompositeSchedule),
    /// What the file will be called that it brings ([`CommandBody::RequestLog`]).
    File {
        /// The name, unless there is nothing to bring.
        name: Option<String>,
    },
    /// What was said ([`CommandBody::ReadFrames`]).
    Frames(FramePage),
    /// The version of the list of tokens that it keeps: 0 for an empty one, -1 for none at all.
    LocalListVersion(i32),
    /// The authorities that it trusts ([`CommandBody::GetCertificates`]).
    Certificates(Vec<CertificateHash>),
}

impl CommandResult {
    /// An end that tells nothing more.
    pub fn plain(id: CommandId, outcome: Outcome, detail: impl Into<String>, at: Timestamp) -> Self {
        CommandResult { id, outcome, detail: detail.into(), told: Told::Nothing, at }
    }
}
