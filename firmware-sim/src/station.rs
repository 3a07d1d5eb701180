//! A charging station, pure: plugs, taps, answers and instants go in; facts to send, events and journal lines come out.
//!
//! Boot, heartbeat and the queue of transaction messages are here; sessions, commands and answers are one file each.

mod answered;
mod asked;
mod connector;
mod fact;
pub mod files;
pub mod keys;
mod local_list;
mod profiles;
mod queue;
mod reservation;
pub mod security;
mod session;

use std::collections::HashMap;

use shared::ocpp::v16::{Status, StopReason};
use shared::units::Timestamp;

use self::connector::Connector;
pub use self::fact::{Asker, Effects, Fact, Outcome, Sample, Ticket, Told};
use self::keys::Keys;
use self::queue::{Local, Queue};
pub use self::session::Refusal;
use crate::config::{Hardware, StationConfig};
use crate::event::{Event, Registration, View};
use crate::journal::SessionRecord;
use crate::tempo::{Millis, Tempo};

/// The station.
#[derive(Debug)]
pub struct Core {
    /// What it is.
    pub hardware: Hardware,
    identity: String,
    tempo: Tempo,
    keys: Keys,
    connectors: Vec<Connector>,
    queue: Queue,
    /// The transaction ids of sessions that still have messages to send.
    transactions: HashMap<Local, i32>,
    profiles: Vec<profiles::Held>,
    records: Vec<SessionRecord>,
    /// Tokens that the CSMS has answered about.
    cache: HashMap<String, bool>,
    local_list: local_list::LocalList,
    files: files::Files,
    security: security::Security,
    first_local: Local,
    next_local: Local,
    powered: bool,
    connected: bool,
    trouble: Option<String>,
    registration: Option<Registration>,
    boot_due: Option<Millis>,
    heartbeat_due: Option<Millis>,
    out: Effects,
}

/// How long to wait before booting again when the CSMS leaves it to the station.
const OWN_BOOT_INTERVAL: u64 = 10;
/// Sessions whose record a station remembers; older ones stand in the journal.
const MOST_RECORDS: usize = 1_000;

impl Core {
    /// A station with power and without a connection. `seed` makes its sessions' numbers unique over runs.
    pub fn new(config: &StationConfig, tempo: Tempo, seed: u64) -> Self {
        let mut keys = Keys::new(config.connectors, config.meter_interval);
        let security = security::Security::new(config);
        keys.set("SecurityProfile", security.profile().to_string());
        keys.set("CentralSystemURL", config.url.clone());
        for (key, value) in &config.settings {
            if !keys.set(key, value.clone()) {
                tracing::warn!(key, "no such configuration key");
            }
        }
        let connector = |number| Connector::new(number, config.meter_start, config.max_power, tempo.origin);
        Core {
            hardware: config.hardware.clone(),
            identity: config.identity.clone(),
            tempo,
            keys,
            connectors: (1..=config.connectors).map(connector).collect(),
            queue: Queue::default(),
            transactions: HashMap::new(),
            profiles: Vec::new(),
            records: Vec::new(),
            cache: HashMap::new(),
            local_list: local_list::LocalList::default(),
            files: files::Files::default(),
            security,
            first_local: seed,
            next_local: seed,
            powered: true,
            connected: false,
            trouble: None,
            registration: None,
            boot_due: None,
            heartbeat_due: None,
            out: Effects::default(),
        }
    }

    /// Lets time pass: meters run, what is due is done. Every other input does this first.
    pub fn tick(&mut self, now: Millis) {
        let at = self.tempo.at(now);
        for connector in &mut self.connectors {
            connector.advance(at);
        }
        self.apply_profiles(at);
        if self.powered {
            self.read_meters(now);
            self.expire_permissions(now);
            self.end_reservations(now);
            self.tell_status_changes(now);
            self.tell_presence(now);
            self.go_on_with_files(now);
            self.renew_certificate(now);
            self.tell_reports(now);
            self.pump(now);
        }
    }

    /// The socket is open.
    pub fn connected(&mut self, now: Millis) {
        self.connected = true;
        self.access_worked();
        self.note_line(self.tempo.at(now), "line up".to_owned());
        self.out.events.push(Event::Connected);
        if self.registration == Some(Registration::Accepted) {
            self.tell_all_status(now);
        } else {
            self.boot_due = Some(now);
        }
        self.tick(now);
    }

    /// The socket is closed.
    pub fn disconnected(&mut self, now: Millis, reason: String) {
        self.connected = false;
        self.trouble = Some(reason.clone());
        self.queue.lost();
        self.access_failed(now);
        self.note_line(self.tempo.at(now), format!("line lost: {reason}"));
        self.out.events.push(Event::Disconnected { reason });
        self.tick(now);
    }

    /// The mains fail: sessions end where the meter stands; what has to be told is told after the power is back.
    pub fn cut_power(&mut self, now: Millis) {
        self.tick(now);
        self.stop_all(now, StopReason::PowerLoss);
        self.powered = false;
        self.registration = None;
        self.out.restart = true;
        for connector in &mut self.connectors {
            connector.allowed = None;
        }
        self.forget_reservations();
    }

    /// The mains are back: the station starts anew.
    pub fn restore_power(&mut self, now: Millis) {
        self.powered = true;
        self.tick(now);
    }

    /// Sends a message of the maker's own.
    pub fn transfer(&mut self, vendor: String, message: Option<String>, data: Option<String>) {
        self.tell(Ticket::Plain("DataTransfer"), Fact::Transfer { vendor, message, data });
    }

    /// Has it power? Without, nothing is sent and nobody dials.
    pub fn is_powered(&self) -> bool {
        self.powered
    }

    /// What to do about all that came in so far.
    pub fn take(&mut self) -> Effects {
        std::mem::take(&mut self.out)
    }

    /// Is there nothing to do about what came in?
    pub fn is_quiet(&self) -> bool {
        self.out == Effects::default()
    }

    /// When [`Core::tick`] is needed next.
    pub fn next_deadline(&self) -> Option<Millis> {
        if !self.powered {
            return None;
        }
        let sessions = self.connectors.iter().filter_map(|connector| {
            let reading = connector.session.as_ref().and_then(|session| session.next_reading);
            let allowed = connector.allowed.as_ref().map(|(_, until)| *until);
            let reserved = connector.reserved.as_ref().map(|reserved| self.tempo.when(reserved.until));
            [reading, allowed, reserved].into_iter().flatten().min()
        });
        let presence = [
            self.boot_due,
            self.heartbeat_due,
            self.queue.next_deadline(),
            self.next_file_deadline(),
            self.next_report().filter(|_| self.is_accepted()),
        ];
        let presence = presence.into_iter().flatten().filter(|_| self.connected);
        sessions.chain(presence).min()
    }

    /// The station at a glance.
    pub fn view(&self) -> View {
        View {
            connected: self.connected,
            accepted: self.is_accepted(),
            powered: self.powered,
            queued: self.queue.len(),
            trouble: self.trouble.clone(),
            connectors: self.connectors.iter().map(Connector::view).collect(),
        }
    }

    /// Its sessions, the oldest first.
    pub fn records(&self) -> &[SessionRecord] {
        &self.records
    }

    /// Its clock.
    pub fn clock(&self, now: Millis) -> Timestamp {
        self.tempo.at(now)
    }

    fn is_accepted(&self) -> bool {
        self.registration == Some(Registration::Accepted)
    }

    /// Sends something other than a transaction message; lost when there is nobody to hear it.
    fn tell(&mut self, ticket: Ticket, fact: Fact) {
        if self.connected && self.is_accepted() {
            self.out.sends.push((ticket, fact));
        }
    }

    fn tell_presence(&mut self, now: Millis) {
        if !self.connected {
            return;
        }
        if self.boot_due.is_some_and(|due| due <= now) {
            self.boot_due = None;
            self.out.sends.push((Ticket::Boot, Fact::Boot));
        }
        if self.is_accepted() && self.heartbeat_due.is_some_and(|due| due <= now) {
            self.heartbeat_due = self.heartbeat_after(now);
            self.tell(Ticket::Plain("Heartbeat"), Fact::Heartbeat);
        }
    }

    fn heartbeat_after(&self, now: Millis) -> Option<Millis> {
        let seconds = self.keys.number("HeartbeatInterval");
        (seconds > 0).then(|| now + seconds * 1000)
    }

    /// Tells the state of the connectors whose state is not what was told last.
    fn tell_status_changes(&mut self, now: Millis) {
        let at = self.tempo.at(now);
        for place in 0..self.connectors.len() {
            let connector = &mut self.connectors[place];
            let status = connector.status();
            if connector.told == Some(status) {
                continue;
            }
            connector.told = Some(status);
            let number = connector.number;
            self.out.events.push(Event::Status { connector: number, status });
            self.tell(Ticket::Plain("StatusNotification"), Fact::Status { connector: number, status, at });
        }
    }

    /// Forgets what was told, so that the state of everything is told again, the station's own first.
    fn tell_all_status(&mut self, now: Millis) {
        let operative = self.connectors.iter().any(|connector| connector.operative);
        let status = if operative { Status::Available } else { Status::Unavailable };
        let at = self.tempo.at(now);
        self.tell(Ticket::Plain("StatusNotification"), Fact::Status { connector: 0, status, at });
        for connector in &mut self.connectors {
            connector.told = None;
        }
    }

    /// The next transaction message, if one is due.
    fn pump(&mut self, now: Millis) {
        if !self.connected || !self.is_accepted() {
            return;
        }
        let Some(mut queued) = self.queue.send(now) else { return };
        let known = self.transactions.get(&queued.local).copied();
        match &mut queued.fact {
            // A session whose start was never answered goes by -1 (1.6 errata 3.18).
            Fact::Stop { transaction, .. } => *transaction = known.unwrap_or(-1),
            Fact::Readings { transaction, .. } => *transaction = Some(known.unwrap_or(-1)),
            Fact::Boot
            | Fact::Heartbeat
            | Fact::Status { .. }
            | Fact::Authorise { .. }
            | Fact::Start { .. }
            | Fact::Transfer { .. }
            | Fact::File { .. }
            | Fact::SecurityEvent { .. }
            | Fact::SignCertificate { .. } => {}
        }
        self.out.sends.push((Ticket::Transaction(queued.number), queued.fact));
    }

    fn connector(&mut self, number: u16) -> Option<&mut Connector> {
        self.connectors.iter_mut().find(|connector| connector.number == number)
    }
}
