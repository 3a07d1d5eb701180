//! What the site decides, as one pure machine: no await, no clock, no randomness of its own, no SQL.
//!
//! `handle` turns an input into [`Effects`]: facts and state to commit, and messages to send once they are committed.
//! The shell ([`crate::site`]) commits a whole drained batch at once, then sends. A test is
//! `assert_eq!(core.handle(now, input), effects)`.

mod admission;
mod authorize;
mod charging;
mod command;
mod effects;
mod errand;
mod files;
mod findings;
mod input;
mod knocks;
mod live;
mod local_list;
mod reservation;
mod security;
mod session;
mod sessions;
mod settings;
mod suspicion;
mod taps;
mod tariffs;
#[cfg(test)]
mod tests;
mod trail;
mod tx_ref;
mod visit;

use std::collections::{BTreeSet, HashMap};

use shared::id::{CommandId, StationId};
use shared::model::command::{Command, CommandResult};
use shared::model::document::{DocumentBody, DocumentVersion};
use shared::model::event::{DocumentApplied, Event};
use shared::sync::Document;
use shared::units::Timestamp;

pub use admission::{DecidedHere, Gate, InstallerAct, Pass, Passes, Pending, Standing, Visitor};
pub use authorize::Tokens;
pub use effects::{Ask, AskEnd, Effects, Send, Write};
pub use errand::{Errand, Slot, State as FileState, Step, Work};
pub use findings::Odd;
pub use input::{CallId, Input, LinkId, Reply, Restored, StartFact, StationFact, StopFact, StoredCommand};
pub use live::{Connector, Station};
pub use local_list::{HeldList, ListLine, ListSupport};
pub use reservation::{Held, Keeper};
pub use security::{Arrival, Made, Making, Secret, SecurityMemory};
pub use sessions::{Recall, RunningSession, Sessions, StartKey};
pub use settings::SettingsMemory;
pub use suspicion::Suspicion;
pub use tariffs::Tariffs;
pub use tx_ref::TxRefs;

/// Source of UUIDv7 bits: seeded once by the shell, so that the core stays repeatable in tests.
pub type IdSource = Box<dyn FnMut(Timestamp) -> uuid::Uuid + std::marker::Send>;

/// The site's state and its rules.
pub struct Core {
    ids: IdSource,
    /// What the site's stations are doing.
    pub stations: HashMap<StationId, Station>,
    /// What runs, and what ran lately.
    pub sessions: Sessions,
    tokens: Tokens,
    taps: taps::Taps,
    findings: findings::Ledger,
    suspicions: suspicion::Suspicions,
    limits: charging::Limits,
    tariffs: Tariffs,
    tx_refs: TxRefs,
    commands: HashMap<CommandId, CommandState>,
    /// Connections over which nothing may be asked yet, and what waits for that.
    unready: HashMap<LinkId, Vec<(CommandId, Ask)>>,
    grants: Vec<command::Grant>,
    reservations: reservation::Reservations,
    errands: files::Errands,
    lists: local_list::LocalLists,
    documents: HashMap<String, DocumentVersion>,
    admission: admission::Admission,
    settings: settings::Settings,
    security: security::Security,
    /// When which station is looked after next.
    agenda: BTreeSet<(Timestamp, StationId)>,
}

enum CommandState {
    /// The station is not there yet.
    Waiting(Command),
    /// The station was asked, or will be when it is back.
    Open(Command),
    Finished(CommandResult),
}

impl Core {
    /// A core with what the database held. Commands that a crash interrupted are dealt with by [`Input::Restarted`].
    pub fn new(ids: IdSource, restored: Restored) -> Self {
        let mut core = Core {
            ids,
            stations: HashMap::new(),
            sessions: Sessions::default(),
            tokens: Tokens::default(),
            taps: taps::Taps::default(),
            findings: findings::Ledger::new(restored.findings),
            suspicions: suspicion::Suspicions::new(restored.suggestions),
            limits: charging::Limits::default(),
            tariffs: Tariffs::default(),
            tx_refs: TxRefs::new(restored.tx_ref_floor),
            commands: HashMap::new(),
            unready: HashMap::new(),
            grants: Vec::new(),
            reservations: reservation::Reservations::default(),
            errands: files::Errands::default(),
            lists: local_list::LocalLists::default(),
            documents: HashMap::new(),
            admission: admission::Admission::new(restored.decided_here),
            settings: settings::Settings::new(restored.settings),
            security: security::Security::new(restored.security),
            agenda: BTreeSet::new(),
        };
        for document in restored.documents {
            core.adopt(document);
        }
        core.recognise(restored.stations);
        for session in restored.sessions {
            core.sessions.insert(session);
        }
        core.reservations.extend(restored.reservations.into_iter().map(|held| (held.reservation.id, held)));
        core.restore_errands(restored.errands);
        core.lists.restore(restored.lists);
        restored.commands.into_iter().for_each(|stored| core.restore_command(stored));
        core
    }

    /// Takes one input. Nothing in the result may be sent before its writes are committed.
    pub fn handle(&mut self, now: Timestamp, input: Input) -> Effects {
        let mut fx = Effects::default();
        match input {
            Input::Restarted => {
                self.end_interrupted_commands(now, &mut fx);
                self.reopen_places(&mut fx);
            }
            Input::Arrived { station, arrival } => self.arrived(now, &station, arrival, &mut fx),
            Input::Made { station, made } => self.security_made(now, &station, made, &mut fx),
            Input::Station { station, link, call, fact } => {
                self.station_fact(now, station, link, call, fact, &mut fx)
            }
            Input::Command(command) => self.command(now, command, &mut fx),
            Input::Asked { command, end } => self.asked(now, command, end, &mut fx),
            Input::Prepared { command, prepared } => self.prepared(now, command, prepared, &mut fx),
            Input::Received { log, station, file } => self.received(now, log, station, file, &mut fx),
            Input::Document(document) => self.document(now, document, &mut fx),
            Input::Tick => self.tick(now, &mut fx),
            Input::Noticed(notice) => self.noticed(notice, &mut fx),
            Input::Odd { station, odd } => self.odd(now, &station, odd, &mut fx),
            Input::Suspected { station, suspicion } => self.suspect(now, &station, suspicion, &mut fx),
            Input::Knocked(knock) => self.knocked(knock, &mut fx),
            Input::Installer(act) => self.installer(now, act, &mut fx),
        }
        self.hold_back(&mut fx);
        fx
    }

    /// When [`Input::Tick`] is due, if ever.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let deadlines = [
            self.sessions.next_deadline(),
            self.next_command_deadline(),
            self.next_reservation_deadline(),
            self.next_errand_deadline(),
            self.next_visit_deadline(),
            self.next_security_deadline(),
        ];
        deadlines.into_iter().flatten().min()
    }

    /// The version that is held of each document.
    pub fn documents(&self) -> Vec<DocumentVersion> {
        self.documents.values().cloned().collect()
    }

    fn tick(&mut self, now: Timestamp, fx: &mut Effects) {
        self.close_superseded(now, fx);
        self.expire_commands(now, fx);
        self.expire_reservations(now, fx);
        self.expire_errands(now, fx);
        self.look_after_stations(now, fx);
        self.expire_security(now, fx);
    }

    fn station_fact(
        &mut self,
        now: Timestamp,
        station: StationId,
        link: LinkId,
        call: Option<CallId>,
        fact: StationFact,
        fx: &mut Effects,
    ) {
        let is_boot = matches!(fact, StationFact::Booted(_));
        let name = station.clone();
        if !is_boot && call.is_some() {
            self.visit_goes_on(now, &station, &fact, fx);
        }
        let reply = match fact {
            StationFact::Connected => self.connected(now, station, link, fx),
            StationFact::ConnectedPending(visitor) => self.connected_pending(now, station, link, visitor, fx),
            StationFact::Disconnected => self.disconnected(now, &station, link, fx),
            StationFact::Booted(info) => self.booted(now, &station, info, fx),
            StationFact::Status(status) => self.status(now, status, fx),
            StationFact::ClockMeasured(skew_ms) => self.clock_measured(now, station, skew_ms, fx),
            StationFact::Authorize { token } => self.authorize(now, &station, token, fx),
            StationFact::Start(start) => self.start(now, &station, start, fx),
            StationFact::Readings { evse, tx_ref, readings } => {
                self.metered(now, &station, evse, tx_ref.as_ref(), &readings, fx);
                Reply::Acknowledged
            }
            StationFact::Stop(stop) => self.stop(now, &station, stop, fx),
            StationFact::SecurityReported(report) => {
                self.security_reported(&station, report, fx);
                Reply::Acknowledged
            }
            StationFact::CertificateWanted { request } => self.certificate_wanted(now, &station, request, fx),
            StationFact::FileStatus { state, request } => {
                self.file_status(now, &station, state, request, fx);
                Reply::Acknowledged
            }
        };
        if let Some(call) = call {
            fx.sends.push(Send::Reply { link, call, reply });
        }
        if is_boot {
            self.boot_answered(now, &name, link, fx);
        }
    }

    fn document(&mut self, now: Timestamp, document: Document, fx: &mut Effects) {
        let (name, version) = (document.body.name().into_owned(), document.version);
        if self.documents.get(&name).is_some_and(|held| held.version >= version) {
            return;
        }
        fx.writes.push(Write::Document(document.clone()));
        fx.event(Event::DocumentApplied(DocumentApplied { name, version, at: now }));
        let decides = matches!(document.body, DocumentBody::Stations(_) | DocumentBody::Admission(_));
        let wants = matches!(document.body, DocumentBody::Settings(_));
        let tokens = matches!(document.body, DocumentBody::Tokens(_) | DocumentBody::PublicTokens(_));
        self.adopt(document);
        if decides {
            self.security_listed(fx);
            self.admission_changed(now, fx);
        }
        if wants {
            self.settings_wanted(now, fx);
        }
        if tokens {
            self.tokens_changed(now, fx);
        }
    }

    fn adopt(&mut self, document: Document) {
        self.documents.insert(document.body.name().into_owned(), document.held());
        match document.body {
            DocumentBody::Stations(stations) => self.admission.list(stations),
            DocumentBody::Admission(admission) => self.admission.want(admission),
            DocumentBody::Settings(settings) => self.settings.want(settings),
            DocumentBody::Tokens(tokens) => self.tokens.replace(tokens),
            DocumentBody::PublicTokens(part) => self.tokens.replace_public(part),
            DocumentBody::Tariffs(tariffs) => self.tariffs = Tariffs::new(tariffs),
        }
    }
}
