//! What comes out of the core: what to commit, what to send then, and what stations are asked for.

use serde::{Deserialize, Serialize};
use shared::id::{CommandId, EvseNo, ReservationId, StationId, StationTxRef};
use shared::model::StationInfo;
use shared::model::charging::ChargingProfile;
use shared::model::command::{Command, CommandBody, CommandResult, Outcome, Told};
use shared::model::event::Event;
use shared::model::file::{FirmwareUpdate, LogRequest};
use shared::model::finding::FindingNoted;
use shared::model::quirks::QuirkSuggested;
use shared::model::settings::SettingsRead;
use shared::sync::Document;

use super::admission::{DecidedHere, Gate, Passes};
use super::errand::Errand;
use super::local_list::{HeldList, ListLine};
use super::reservation::Held;
use super::security::{Making, SecurityMemory};
use super::sessions::RunningSession;
use super::settings::SettingsMemory;
use super::{CallId, LinkId, Reply};

/// What to ask a station for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// As the command says.
    Command(CommandBody),
    /// End the session with this reference.
    RemoteStop(StationTxRef),
    /// Limit the session with this reference.
    LimitSession {
        /// Where it runs.
        evse: EvseNo,
        /// Its reference.
        tx_ref: StationTxRef,
        /// The limits.
        profile: ChargingProfile,
    },
    /// Install an image.
    UpdateFirmware {
        /// Which, and when.
        update: Box<FirmwareUpdate>,
        /// Where it is.
        location: String,
        /// The request's number.
        request: i32,
    },
    /// Take a part of the list of tokens that it keeps.
    SendLocalList {
        /// The list's version from now on.
        version: i32,
        /// Instead of what it holds, or on top of it.
        full: bool,
        /// What changes.
        lines: Vec<ListLine>,
    },
    /// Take the certificate that it wanted.
    DeliverCertificate {
        /// Its chain in PEM.
        chain: String,
    },
    /// Bring a log.
    RequestLog {
        /// Which.
        log: LogRequest,
        /// To where.
        location: String,
        /// The request's number.
        request: i32,
        /// By the whitepaper's message instead of 1.6's own.
        by_get_log: bool,
    },
}

/// How an asking ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskEnd {
    /// The outcome.
    pub outcome: Outcome,
    /// The station's word or the error's description.
    pub detail: String,
    /// What it told, if it was asked something.
    pub told: Told,
}

impl AskEnd {
    /// An end that tells nothing more.
    pub fn plain(outcome: Outcome, detail: impl Into<String>) -> Self {
        AskEnd { outcome, detail: detail.into(), told: Told::Nothing }
    }
}

/// What to do once an input is decided: first commit all `writes`, then perform the `sends`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// For the database, in order.
    pub writes: Vec<Write>,
    /// For the network, in order.
    pub sends: Vec<Send>,
}

impl Effects {
    pub(super) fn event(&mut self, event: Event) {
        self.writes.push(Write::Event(event));
    }

    /// The facts among the writes.
    pub fn events(&self) -> impl Iterator<Item = &Event> {
        self.writes.iter().filter_map(|write| match write {
            Write::Event(event) => Some(event),
            Write::Session(_)
            | Write::Command { .. }
            | Write::Document(_)
            | Write::TxRefFloor(_)
            | Write::Reservation(_)
            | Write::ReservationGone(_)
            | Write::Errand(_)
            | Write::ErrandGone(_)
            | Write::DecidedHere(_)
            | Write::Settings(_)
            | Write::SettingsMemory(..)
            | Write::SecurityMemory(..)
            | Write::Known(..)
            | Write::CommandWaits(_)
            | Write::LocalList(_)
            | Write::Finding(_)
            | Write::Suggested(_) => None,
        })
    }
}

/// A change to commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Write {
    /// A fact for the outbox; where writes are kept as text it stands beside them, as it travels.
    #[serde(skip)]
    Event(Event),
    /// A session as it now stands.
    Session(Box<RunningSession>),
    /// A command that was taken on, or that ended.
    Command {
        /// The command.
        command: Command,
        /// Its end, if it ended.
        result: Option<CommandResult>,
    },
    /// A command that waits for its station to come.
    CommandWaits(Command),
    /// A station's list of tokens as it now stands.
    LocalList(Box<HeldList>),
    /// A document to hold.
    Document(Document),
    /// No session reference at or below this is minted again.
    TxRefFloor(i64),
    /// A reservation as it now stands.
    Reservation(Box<Held>),
    /// A reservation that is over.
    ReservationGone(ReservationId),
    /// An errand as it now stands.
    Errand(Box<Errand>),
    /// An errand that need not be remembered.
    ErrandGone(CommandId),
    /// What the installer decided.
    DecidedHere(Box<DecidedHere>),
    /// Settings that a station told.
    Settings(SettingsRead),
    /// What is remembered of a station's settings.
    SettingsMemory(StationId, Box<SettingsMemory>),
    /// What is remembered of a station's security.
    SecurityMemory(StationId, Box<SecurityMemory>),
    /// What a station told about itself when it booted.
    Known(StationId, Box<StationInfo>),
    /// How often something odd was met by now.
    Finding(Box<FindingNoted>),
    /// A peculiarity that the cloud is told of.
    Suggested(QuirkSuggested),
}

/// A message to send after the commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Send {
    /// The answer to a station's call.
    Reply {
        /// The connection that called.
        link: LinkId,
        /// The call.
        call: CallId,
        /// The answer.
        reply: Reply,
    },
    /// A request to a station.
    Ask {
        /// The connection to ask over.
        link: LinkId,
        /// The command that asks.
        command: CommandId,
        /// What for.
        ask: Ask,
    },
    /// A request need not reach the station any more, if it is not on its way.
    Withdraw {
        /// The connection over which it was to be asked.
        link: LinkId,
        /// The command that asks.
        command: CommandId,
    },
    /// A command's end, for the fast path to the cloud.
    Result(CommandResult),
    /// Who may connect from now on.
    Directory(Passes),
    /// Make what a station's security needs; [`super::Input::Made`] tells of it.
    Make {
        /// For whom.
        station: StationId,
        /// What.
        what: Making,
    },
    /// Make an errand's place ready; [`super::Input::Prepared`] tells of it.
    Prepare(Box<Errand>),
    /// Keep an errand's place open that was ready before a restart.
    Serve(Box<Errand>),
    /// Close an errand's place.
    Close(CommandId),
    /// Whom the doors let in besides.
    Gate(Gate),
    /// The end of a connection.
    HangUp {
        /// Which.
        link: LinkId,
        /// Why, for the station's log.
        reason: &'static str,
    },
}
