//! An order about a file as it stands: what, where, and how far.

use serde::{Deserialize, Serialize};
use shared::id::{CommandId, StationId};
use shared::model::command::{Command, CommandBody};
use shared::model::file::{FirmwareState, FirmwareUpdate, LogKind, LogRequest, LogState, ReceivedFile};
use shared::units::Timestamp;

use super::Ask;

/// What is over is remembered for so long: some stations tell the end late, or after they were given up.
const REMEMBERED_MS: i64 = 48 * 3_600_000;
/// An order about a file, and how far it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Errand {
    /// The command that it comes from.
    pub command: CommandId,
    /// Who runs it.
    pub station: StationId,
    /// What to do.
    pub work: Work,
    /// Where the file is, or is brought to.
    pub slot: Option<Slot>,
    /// How far it is.
    pub step: Step,
    /// The last news of it.
    pub state: Option<State>,
    /// Since when.
    pub heard_at: Timestamp,
    /// The log, once it is here.
    pub received: Option<ReceivedFile>,
    /// Does the shell prepare the place right now? Not after a restart.
    #[serde(skip)]
    pub under_way: bool,
    /// Is GetLog the message to ask with? Stations of plain 1.6 know GetDiagnostics only.
    pub by_get_log: bool,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Work {
    /// Install an image.
    Firmware(Box<FirmwareUpdate>),
    /// Bring a log.
    Log(LogRequest),
}

/// How far an errand is on our side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// The place is prepared; the station knows nothing yet.
    Preparing,
    /// The station is asked, or at work.
    Running,
    /// Nothing more is expected.
    Ended,
}

/// The last news, whatever it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// An update.
    Firmware(FirmwareState),
    /// A log.
    Log(LogState),
}

/// A place that only one errand's station knows.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// What nobody can guess: a part of the path, or the password.
    pub secret: String,
    /// The whole address, as the station gets it.
    pub location: String,
    /// When it closes at the latest.
    pub until: Timestamp,
}

impl std::fmt::Debug for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Slot {{ until: {}, … }}", self.until)
    }
}

impl Errand {
    /// The number by which the whitepaper's messages name it. Made from the command's random part: the same after a restart.
    pub fn request(&self) -> i32 {
        let low = self.command.0.as_u128() & 0x7fff_ffff;
        i32::try_from(low).expect("31 bits fit").max(1)
    }

    pub(super) fn new(now: Timestamp, command: &Command) -> Option<Errand> {
        let work = match &command.body {
            CommandBody::UpdateFirmware(update) => Work::Firmware(update.clone()),
            CommandBody::RequestLog(log) => Work::Log(log.clone()),
            CommandBody::RemoteStart { .. }
            | CommandBody::RemoteStop { .. }
            | CommandBody::Reset { .. }
            | CommandBody::Unlock { .. }
            | CommandBody::SetAvailability { .. }
            | CommandBody::GetConfiguration { .. }
            | CommandBody::ChangeConfiguration { .. }
            | CommandBody::ClearCache
            | CommandBody::DataTransfer { .. }
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
            | CommandBody::RaiseProfile(_) => return None,
        };
        let by_get_log = matches!(&work, Work::Log(log) if log.kind == LogKind::Security);
        Some(Errand {
            command: command.id,
            station: command.station.clone(),
            work,
            slot: None,
            step: Step::Preparing,
            state: None,
            heard_at: now,
            received: None,
            under_way: true,
            by_get_log,
        })
    }

    pub(super) fn ask(&self) -> Ask {
        let location = self.slot.as_ref().map(|slot| slot.location.clone()).unwrap_or_default();
        let request = self.request();
        match &self.work {
            Work::Firmware(update) => Ask::UpdateFirmware { update: update.clone(), location, request },
            Work::Log(log) => {
                Ask::RequestLog { log: log.clone(), location, request, by_get_log: self.by_get_log }
            }
        }
    }

    /// When silence becomes too long, or when it is forgotten.
    pub(super) fn deadline(&self, patience_ms: i64) -> Option<Timestamp> {
        match self.step {
            // The command's expiry watches over this.
            Step::Preparing => None,
            Step::Ended => Some(self.heard_at.plus_millis(REMEMBERED_MS)),
            Step::Running => {
                let wanted = match &self.work {
                    Work::Firmware(update) => update.retrieve_at.max(update.install_at),
                    Work::Log(_) => None,
                };
                Some(wanted.unwrap_or(self.heard_at).max(self.heard_at).plus_millis(patience_ms))
            }
        }
    }

    /// May the station still come to the place? Yes where it may try again, or where what it says it brought is not here.
    pub(super) fn needs_slot(&self) -> bool {
        match (self.step, self.state) {
            (Step::Preparing | Step::Running, _) => true,
            (Step::Ended, Some(State::Log(LogState::Uploaded))) => self.received.is_none(),
            (Step::Ended, _) => self.is_stalled(),
        }
    }

    /// Has the station told more than its yes?
    pub(super) fn is_further(&self) -> bool {
        let before = [
            None,
            Some(State::Firmware(FirmwareState::Fetching)),
            Some(State::Firmware(FirmwareState::Fetched)),
        ];
        !before.contains(&self.state)
    }

    pub(super) fn is_stalled(&self) -> bool {
        let stalled = [State::Firmware(FirmwareState::Stalled), State::Log(LogState::Stalled)];
        self.state.is_some_and(|state| stalled.contains(&state))
    }
}
