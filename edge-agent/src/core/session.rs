//! Sessions: started, metered, stopped, priced. Every message about one may come twice, late, or after a restart, so each
//! has a key from its content and a repeat gets the same answer and makes no new fact.

use std::collections::{BTreeSet, HashMap};

use serde::{Deserialize, Serialize};
use shared::id::{EvseNo, SessionId, StationId, StationTxRef};
use shared::model::document::TariffsDoc;
use shared::model::event::{Event, SessionMetered, SessionPriced, StopUnmatched};
use shared::model::session::{SessionFlag, SessionStarted, SessionStopped, StopReason};
use shared::model::{AuthStatus, IdToken, MeterReading, Session};
use shared::tariff::{self, Tariff};
use shared::units::{Timestamp, Wh};

use super::authorize::Decision;
use super::{Core, Effects, Reply, StationFact, StopFact, Write};

/// Closed sessions kept in memory for late repeats; older ones are recalled from the database.
const REMEMBERED: usize = 10_000;

/// How long a session may go on without its stop after another one began on its EVSE (QUIRKS: orphans of a power loss).
const SUPERSEDED_GRACE_MS: i64 = 15 * 60 * 1000;

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
}

/// What makes two starts the same start, whatever their message ids: station, EVSE, token, time and register.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StartKey(pub String);

impl StartKey {
    /// The key of a start. A start without a time has no key of its own and counts as new.
    pub fn of(station: &StationId, start: &StartFact) -> Option<Self> {
        let at = start.at?;
        let meter = start.meter_start.unwrap_or_default();
        Some(StartKey(format!("{station}/{}/{}/{}/{}", start.evse, start.token.folded(), at.0, meter.0)))
    }
}

/// A session with what the gateway needs to go on with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningSession {
    /// The session.
    pub session: Session,
    /// The key of its start.
    pub start_key: Option<StartKey>,
    /// The tariff that it is priced by, kept because the list may change while it runs.
    pub tariff: Option<Tariff>,
    /// When another session began on its EVSE, if one did.
    pub superseded_at: Option<Timestamp>,
}

/// The sessions in memory, found by every name they have.
#[derive(Debug, Default)]
pub struct Sessions {
    by_id: HashMap<SessionId, RunningSession>,
    by_tx_ref: HashMap<(StationId, StationTxRef), SessionId>,
    by_start: HashMap<StartKey, SessionId>,
    open: HashMap<(StationId, EvseNo), Vec<SessionId>>,
    closed: BTreeSet<SessionId>,
}

impl Sessions {
    /// Takes in a session, or its new state.
    pub fn insert(&mut self, running: RunningSession) {
        let (id, start) = (running.session.id(), &running.session.start);
        let place = (start.station.clone(), start.evse);
        self.by_tx_ref.insert((start.station.clone(), start.tx_ref.clone()), id);
        if let Some(key) = &running.start_key {
            self.by_start.insert(key.clone(), id);
        }
        let open = self.open.entry(place).or_default();
        open.retain(|other| *other != id);
        if running.session.is_open() {
            open.push(id);
        } else {
            self.closed.insert(id);
        }
        self.by_id.insert(id, running);
        if self.closed.len() > REMEMBERED
            && let Some(oldest) = self.closed.pop_first()
        {
            self.forget(oldest);
        }
    }

    fn forget(&mut self, id: SessionId) {
        let Some(old) = self.by_id.remove(&id) else { return };
        self.by_tx_ref.remove(&(old.session.start.station.clone(), old.session.start.tx_ref.clone()));
        if let Some(key) = old.start_key {
            self.by_start.remove(&key);
        }
    }

    /// The session of an id.
    pub fn get(&self, id: SessionId) -> Option<&RunningSession> {
        self.by_id.get(&id)
    }

    /// The session that began with this start.
    pub fn by_start(&self, key: &StartKey) -> Option<&RunningSession> {
        self.by_start.get(key).and_then(|id| self.get(*id))
    }

    /// The session that a station means by a reference. Another station's session is never meant.
    pub fn by_tx_ref(&self, station: &StationId, tx_ref: &StationTxRef) -> Option<&RunningSession> {
        self.by_tx_ref.get(&(station.clone(), tx_ref.clone())).and_then(|id| self.get(*id))
    }

    /// The newest open session of an EVSE.
    pub fn open_at(&self, station: &StationId, evse: EvseNo) -> Option<&RunningSession> {
        self.open.get(&(station.clone(), evse)).and_then(|ids| ids.last()).and_then(|id| self.get(*id))
    }

    /// All open sessions, in no order.
    pub fn open(&self) -> impl Iterator<Item = &RunningSession> {
        self.open.values().flatten().filter_map(|id| self.get(*id))
    }

    pub(super) fn next_deadline(&self) -> Option<Timestamp> {
        let superseded = self.open.values().filter(|ids| ids.len() > 1).flatten();
        superseded
            .filter_map(|id| self.get(*id)?.superseded_at)
            .map(|at| at.plus_millis(SUPERSEDED_GRACE_MS))
            .min()
    }
}

/// The site's tariffs.
#[derive(Debug, Default)]
pub struct Tariffs {
    assigned: HashMap<(StationId, EvseNo), Tariff>,
}

impl Tariffs {
    /// The tariffs of a document. An assignment to a tariff that is not in it counts as none.
    pub fn new(document: TariffsDoc) -> Self {
        let tariff_at =
            |place: u32| usize::try_from(place).ok().and_then(|p| document.tariffs.get(p)).cloned();
        let assigned = document.assigned.into_iter();
        Tariffs {
            assigned: assigned.filter_map(|a| Some(((a.station, a.evse), tariff_at(a.tariff)?))).collect(),
        }
    }

    fn of(&self, station: &StationId, evse: EvseNo) -> Option<&Tariff> {
        self.assigned.get(&(station.clone(), evse))
    }
}

impl Core {
    /// A session that may be needed to judge an input but is not in memory: the shell looks it up first.
    pub fn recall_needed(&self, station: &StationId, fact: &StationFact) -> Option<Recall> {
        match fact {
            StationFact::Start(start) => {
                let key = StartKey::of(station, start)?;
                self.sessions.by_start(&key).is_none().then_some(Recall::Start(key))
            }
            StationFact::Stop(StopFact { tx_ref: Some(tx_ref), .. })
            | StationFact::Readings { tx_ref: Some(tx_ref), .. } => {
                let known = self.sessions.by_tx_ref(station, tx_ref).is_some();
                (!known && meant(tx_ref)).then(|| Recall::TxRef(station.clone(), tx_ref.clone()))
            }
            StationFact::Connected
            | StationFact::Disconnected
            | StationFact::Booted(_)
            | StationFact::Status(_)
            | StationFact::Authorize { .. }
            | StationFact::Readings { .. }
            | StationFact::Stop(_) => None,
        }
    }

    pub(super) fn start(
        &mut self,
        now: Timestamp,
        station: &StationId,
        start: StartFact,
        fx: &mut Effects,
    ) -> Reply {
        let key = StartKey::of(station, &start);
        let decision = self.decide(now, station, &start.token);
        if let Some(known) = key.as_ref().and_then(|key| self.sessions.by_start(key)) {
            return Reply::Started { tx_ref: known.session.start.tx_ref.clone(), status: decision.status };
        }
        self.supersede(now, station, start.evse, fx);
        let running = self.begin(now, station, start, key, &decision, fx);
        let reply = Reply::Started { tx_ref: running.session.start.tx_ref.clone(), status: decision.status };
        fx.event(Event::SessionStarted(running.session.start.clone()));
        self.keep(running, fx);
        reply
    }

    fn begin(
        &mut self,
        now: Timestamp,
        station: &StationId,
        start: StartFact,
        key: Option<StartKey>,
        decision: &Decision,
        fx: &mut Effects,
    ) -> RunningSession {
        let (tx_ref, floor) = self.tx_refs.mint(now);
        fx.writes.push(Write::TxRefFloor(floor));
        let tariff = self.tariffs.of(station, start.evse).cloned();
        let mut flags = Vec::new();
        if start.at.is_none() {
            flags.push(SessionFlag::ClockAssumed);
        }
        if decision.status != AuthStatus::Accepted {
            flags.push(SessionFlag::NotAuthorised);
        }
        let started = SessionStarted {
            session: SessionId((self.ids)(now)),
            station: station.clone(),
            evse: start.evse,
            tx_ref,
            caused_by: self.take_grant(now, station, &start.token),
            token: Some(start.token),
            auth: decision.status,
            authorised_by: decision.by,
            at: start.at.unwrap_or(now),
            meter_start: start.meter_start.unwrap_or_default(),
            tariff: tariff.as_ref().map(Tariff::reference),
            flags,
        };
        RunningSession { session: Session::begin(started), start_key: key, tariff, superseded_at: None }
    }

    pub(super) fn metered(
        &mut self,
        now: Timestamp,
        station: &StationId,
        evse: EvseNo,
        tx_ref: Option<&StationTxRef>,
        readings: &[MeterReading],
        fx: &mut Effects,
    ) {
        let named = tx_ref.filter(|tx_ref| meant(tx_ref));
        if let Some(tx_ref) = named {
            self.tx_refs.seen(tx_ref);
        }
        let by_name = named.and_then(|tx_ref| self.sessions.by_tx_ref(station, tx_ref));
        let found = by_name.or_else(|| self.sessions.open_at(station, evse).filter(|_| named.is_none()));
        let Some(mut running) = found.cloned() else { return };
        if take_readings(now, &mut running.session, readings, fx) {
            self.keep(running, fx);
        }
    }

    pub(super) fn stop(
        &mut self,
        now: Timestamp,
        station: &StationId,
        stop: StopFact,
        fx: &mut Effects,
    ) -> Reply {
        let status = stop.token.as_ref().map(|token| self.decide(now, station, token).status);
        if let Some(tx_ref) = &stop.tx_ref {
            self.tx_refs.seen(tx_ref);
        }
        match self.session_of(station, &stop) {
            Some((running, by_name)) if running.session.is_open() => {
                self.end(now, running, stop, by_name, fx)
            }
            Some((running, _)) => self.repeated_stop(running, &stop, fx),
            None => unmatched(now, station, stop, fx),
        }
        Reply::Stopped(status)
    }

    /// The session that a stop means, and whether it named it. A stop without a reference of ours (0, -1, none) means the
    /// station's only open session, if token and register fit it too; it is never guessed among several.
    fn session_of(&self, station: &StationId, stop: &StopFact) -> Option<(RunningSession, bool)> {
        if let Some(tx_ref) = stop.tx_ref.as_ref().filter(|tx_ref| meant(tx_ref)) {
            return self.sessions.by_tx_ref(station, tx_ref).map(|running| (running.clone(), true));
        }
        let mut open = self.sessions.open().filter(|running| running.session.start.station == *station);
        let (only, more) = (open.next()?, open.next());
        let start = &only.session.start;
        let same_token = stop.token.is_none() || stop.token == start.token;
        let register_fits = stop.meter_stop.is_none_or(|meter| meter >= start.meter_start);
        (more.is_none() && same_token && register_fits).then(|| (only.clone(), false))
    }

    fn end(
        &mut self,
        now: Timestamp,
        mut running: RunningSession,
        stop: StopFact,
        named: bool,
        fx: &mut Effects,
    ) {
        take_readings(now, &mut running.session, &stop.readings, fx);
        let session = &running.session;
        let last_register = session.last.and_then(|last| last.register).unwrap_or(session.start.meter_start);
        let meter_stop = stop.meter_stop.unwrap_or(last_register);
        let (energy, back) = session.final_energy(meter_stop);
        let mut flags: Vec<SessionFlag> = back.into_iter().collect();
        if stop.at.is_none() {
            flags.push(SessionFlag::ClockAssumed);
        }
        if !named {
            flags.push(SessionFlag::UnknownTxRef);
        }
        let stopped = SessionStopped {
            session: session.id(),
            at: stop.at.unwrap_or(now),
            meter_stop,
            energy,
            reason: stop.reason,
            token: stop.token,
            flags,
        };
        self.close(now, running, stopped, fx);
    }

    fn close(
        &mut self,
        now: Timestamp,
        mut running: RunningSession,
        stopped: SessionStopped,
        fx: &mut Effects,
    ) {
        running.session.stopped(&stopped);
        let session = stopped.session;
        fx.event(Event::SessionStopped(stopped));
        if let Some(tariff) = &running.tariff {
            let cost = tariff::price(&running.session, tariff, now);
            fx.event(Event::SessionPriced(SessionPriced { session, tariff: tariff.reference(), cost }));
        }
        self.keep(running, fx);
    }

    /// The same stop again changes nothing; one that says otherwise is kept for an operator, the first one counts.
    fn repeated_stop(&mut self, running: RunningSession, stop: &StopFact, fx: &mut Effects) {
        let Some(end) = &running.session.end else { return };
        let differs = stop.meter_stop.is_some_and(|meter| meter != end.meter_stop);
        if differs && !running.session.flags.contains(&SessionFlag::StopConflict) {
            let mut running = running.clone();
            running.session.flags.push(SessionFlag::StopConflict);
            let start = &running.session.start;
            fx.event(Event::StopUnmatched(StopUnmatched {
                station: start.station.clone(),
                tx_ref: start.tx_ref.0.clone(),
                token: stop.token.clone(),
                at: stop.at.unwrap_or(end.at),
                meter_stop: stop.meter_stop.unwrap_or_default(),
            }));
            self.keep(running, fx);
        }
    }

    /// A new session on an EVSE means that the one before has ended, but its stop may still come.
    fn supersede(&mut self, now: Timestamp, station: &StationId, evse: EvseNo, fx: &mut Effects) {
        if let Some(mut before) = self.sessions.open_at(station, evse).cloned()
            && before.superseded_at.is_none()
        {
            before.superseded_at = Some(now);
            self.keep(before, fx);
        }
    }

    /// Ends the sessions whose stop never came, with the last register that was seen.
    pub(super) fn close_superseded(&mut self, now: Timestamp, fx: &mut Effects) {
        let due = |running: &&RunningSession| {
            running.superseded_at.is_some_and(|at| at.plus_millis(SUPERSEDED_GRACE_MS) <= now)
        };
        let orphans: Vec<RunningSession> = self.sessions.open().filter(due).cloned().collect();
        for running in orphans {
            let at = running.session.last.map_or(running.session.start.at, |last| last.taken_at);
            let reason = StopReason::PowerLoss;
            let stop = StopFact {
                tx_ref: None,
                token: None,
                at: Some(at),
                meter_stop: None,
                reason,
                readings: vec![],
            };
            self.end(now, running, stop, false, fx);
        }
    }

    fn keep(&mut self, running: RunningSession, fx: &mut Effects) {
        fx.writes.push(Write::Session(Box::new(running.clone())));
        self.sessions.insert(running);
    }
}

/// A session to look up in the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recall {
    /// By the key of its start.
    Start(StartKey),
    /// By its station and reference.
    TxRef(StationId, StationTxRef),
}

/// Is this a reference that we may have minted? Stations send 0 or -1 for "I have none".
fn meant(tx_ref: &StationTxRef) -> bool {
    tx_ref.0.parse::<i64>().map_or(!tx_ref.0.is_empty(), |number| number > 0)
}

/// Folds readings into a session; `true` when one of them was news. A reading without a time of its own comes as `now`.
fn take_readings(now: Timestamp, session: &mut Session, readings: &[MeterReading], fx: &mut Effects) -> bool {
    let mut news = false;
    for reading in readings
        .iter()
        .filter(|reading| !reading.is_empty() && reading.taken_at <= now.plus_millis(86_400_000))
    {
        let before = session.last;
        session.metered(reading);
        if session.last != before {
            news = true;
            fx.event(Event::SessionMetered(SessionMetered { session: session.id(), reading: *reading }));
        }
    }
    news
}

fn unmatched(now: Timestamp, station: &StationId, stop: StopFact, fx: &mut Effects) {
    fx.event(Event::StopUnmatched(StopUnmatched {
        station: station.clone(),
        tx_ref: stop.tx_ref.map_or_else(String::new, |tx_ref| tx_ref.0),
        token: stop.token,
        at: stop.at.unwrap_or(now),
        meter_stop: stop.meter_stop.unwrap_or_default(),
    }));
}
