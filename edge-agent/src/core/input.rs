//! What goes into the core, and how it answers stations, in the model's words. The protocol adapters translate.

use shared::id::{CommandId, EvseNo, ReservationId, StationId, StationTxRef};
use shared::model::command::{Command, CommandResult};
use shared::model::event::{SecurityNoticed, StatusChanged};
use shared::model::file::ReceivedFile;
use shared::model::finding::FindingNoted;
use shared::model::onboarding::StationKnocked;
use shared::model::security::SecurityReported;
use shared::model::session::StopReason;
use shared::model::{AuthStatus, IdToken, MeterReading, StationInfo};
use shared::sync::Document;
use shared::units::{Timestamp, Wh};

use super::AskEnd;
use super::admission::{DecidedHere, InstallerAct, Standing, Visitor};
use super::errand::{Errand, Slot, State as FileState};
use super::findings::Odd;
use super::local_list::HeldList;
use super::reservation::Held;
use super::security::{Arrival, Made, SecurityMemory};
use super::sessions::RunningSession;
use super::settings::SettingsMemory;
use super::suspicion::Suspicion;

/// One connection of a station. A station that connects again has a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LinkId(pub u64);

/// A station's call that waits for its answer, as its connection counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallId(pub u64);

/// Something that happened to the site.
#[derive(Clone, Debug)]
pub enum Input {
    /// The agent has just started with the restored state.
    Restarted,
    /// A station is at the door; that it is connected is said next.
    Arrived {
        /// Who.
        station: StationId,
        /// How.
        arrival: Arrival,
    },
    /// What a station's security needs was made, or cannot be.
    Made {
        /// For whom.
        station: StationId,
        /// What.
        made: Made,
    },
    /// A station said or did something.
    Station {
        /// Who.
        station: StationId,
        /// Over which connection.
        link: LinkId,
        /// The call to answer, if it is one.
        call: Option<CallId>,
        /// What.
        fact: StationFact,
    },
    /// The cloud ordered something.
    Command(Command),
    /// An asking of a station ended.
    Asked {
        /// The command that asked.
        command: CommandId,
        /// How it ended.
        end: AskEnd,
    },
    /// The place of an errand is ready, or cannot be.
    Prepared {
        /// The command that it is for.
        command: CommandId,
        /// The place, or why there is none.
        prepared: Result<Slot, String>,
    },
    /// A log is on the disk, whole.
    Received {
        /// The command that asked for it.
        log: CommandId,
        /// Whose it is.
        station: StationId,
        /// What it is.
        file: ReceivedFile,
    },
    /// The cloud wants a document to be held.
    Document(Document),
    /// The deadline that [`super::Core::next_deadline`] named has come.
    Tick,
    /// Something was odd about a station's words.
    Odd {
        /// Whose.
        station: StationId,
        /// What.
        odd: Odd,
    },
    /// A station showed a peculiarity.
    Suspected {
        /// Which station.
        station: StationId,
        /// What.
        suspicion: Suspicion,
    },
    /// The shell noticed something that an operator should see.
    Noticed(SecurityNoticed),
    /// An unknown station was refused at the door.
    Knocked(StationKnocked),
    /// The installer, at the gateway, decided something.
    Installer(InstallerAct),
}

/// What a station can say, whatever its protocol.
#[derive(Clone, Debug)]
pub enum StationFact {
    /// The connection is up and authenticated.
    Connected,
    /// The connection is up; nobody knows the station, but unknown ones are let in.
    ConnectedPending(Visitor),
    /// The connection is gone.
    Disconnected,
    /// It told who it is after a restart.
    Booted(StationInfo),
    /// A connector's status.
    Status(StatusChanged),
    /// Its clock differs from ours by so many milliseconds; positive: it is slow.
    ClockMeasured(i64),
    /// May this token charge?
    Authorize {
        /// The token.
        token: IdToken,
    },
    /// A session began.
    Start(StartFact),
    /// Meter readings, of a session if it says so.
    Readings {
        /// Where.
        evse: EvseNo,
        /// Of which session, if told.
        tx_ref: Option<StationTxRef>,
        /// In the order in which they were taken.
        readings: Vec<MeterReading>,
    },
    /// A session ended.
    Stop(StopFact),
    /// It reports something of its security.
    SecurityReported(SecurityReported),
    /// It wants a certificate.
    CertificateWanted {
        /// Its request in PEM, or why that cannot be signed.
        request: Result<String, String>,
    },
    /// How far it is with a file.
    FileStatus {
        /// With what, and how far.
        state: FileState,
        /// The request that it names, if it names one.
        request: Option<i32>,
    },
}

/// A station's word that a session began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartFact {
    /// Where.
    pub evse: EvseNo,
    /// For whom.
    pub token: IdToken,
    /// The register, if told.
    pub meter_start: Option<Wh>,
    /// When, by the station's clock, if it has one.
    pub at: Option<Timestamp>,
    /// The clock's zone is a guess.
    pub zone_assumed: bool,
    /// The reservation that ends with it, if the station names one.
    pub reservation: Option<ReservationId>,
}

/// A station's word that a session ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StopFact {
    /// Our reference as the station remembers it; some send 0 or -1.
    pub tx_ref: Option<StationTxRef>,
    /// Who stopped it, if told.
    pub token: Option<IdToken>,
    /// When, by the station's clock, if it has one.
    pub at: Option<Timestamp>,
    /// The clock's zone is a guess.
    pub zone_assumed: bool,
    /// The register at the end, if told.
    pub meter_stop: Option<Wh>,
    /// Why.
    pub reason: StopReason,
    /// Readings that came with it.
    pub readings: Vec<MeterReading>,
}

/// The answer to a station's call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The time, and what the station may do now.
    Booted {
        /// The time.
        now: Timestamp,
        /// What it may do.
        standing: Standing,
        /// Seconds between heartbeats, or until it boots again; the adapter's default when absent.
        interval_s: Option<u16>,
    },
    /// The token's status, its end and its group.
    Authorized {
        /// May it charge?
        status: AuthStatus,
        /// Until when.
        expires_at: Option<Timestamp>,
        /// Its group.
        group: Option<String>,
    },
    /// The session's reference and the token's status.
    Started {
        /// How the station shall name the session.
        tx_ref: StationTxRef,
        /// May the token charge?
        status: AuthStatus,
        /// Until when.
        expires_at: Option<Timestamp>,
        /// Its group.
        group: Option<String>,
    },
    /// The session's end is kept; the status of the token that stopped it, if there was one.
    Stopped(Option<AuthStatus>),
    /// The certificate that it wants is on its way, or is not.
    Signing(bool),
    /// Heard.
    Acknowledged,
}

/// What the database held at start.
#[derive(Default)]
pub struct Restored {
    /// Open sessions, and the last closed ones.
    pub sessions: Vec<RunningSession>,
    /// The documents held.
    pub documents: Vec<Document>,
    /// Commands that are open or ended lately.
    pub commands: Vec<StoredCommand>,
    /// The highest session reference ever minted or seen.
    pub tx_ref_floor: i64,
    /// Reservations that have not reached their hour.
    pub reservations: Vec<Held>,
    /// Errands that are not over, or not for long.
    pub errands: Vec<Errand>,
    /// What the installer decided.
    pub decided_here: DecidedHere,
    /// What is remembered of stations' settings.
    pub settings: Vec<(StationId, SettingsMemory)>,
    /// What is remembered of stations' security.
    pub security: Vec<(StationId, SecurityMemory)>,
    /// What stations told about themselves.
    pub stations: Vec<(StationId, StationInfo)>,
    /// Stations' lists of tokens.
    pub lists: Vec<HeldList>,
    /// What was odd about stations' words.
    pub findings: Vec<FindingNoted>,
    /// The peculiarities that the cloud was told of.
    pub suggestions: Vec<(StationId, String)>,
}

/// A command from the database.
pub struct StoredCommand {
    /// The command.
    pub command: Command,
    /// Was its station not there yet?
    pub waiting: bool,
    /// Its end, if it ended.
    pub result: Option<CommandResult>,
}
