//! The sessions in memory, found by every name they have: what runs, and what ran lately. Older ones are in the database;
//! [`Core::recall_needed`] says when one of them has to be fetched.

use std::collections::{BTreeSet, HashMap};

use serde::{Deserialize, Serialize};
use shared::id::{EvseNo, SessionId, StationId, StationTxRef};
use shared::model::Session;
use shared::model::session::End;
use shared::tariff::Tariff;
use shared::units::Timestamp;

use super::trail::Trail;
use super::{Core, StartFact, StationFact, StopFact};

/// Closed sessions kept in memory for late repeats; older ones are recalled from the database.
const REMEMBERED: usize = 10_000;

/// How long a session may go on without its stop after another one began on its EVSE (QUIRKS: orphans of a power loss).
pub(super) const SUPERSEDED_GRACE_MS: i64 = 15 * 60 * 1000;

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
    /// When another session began on its EVSE, or the connector became free, if it did.
    pub superseded_at: Option<Timestamp>,
    /// The station has called it by its reference: it knows that.
    #[serde(default)]
    pub named: bool,
    /// How its register went.
    #[serde(default)]
    pub trail: Trail,
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

    /// Is it the last one that began at its EVSE?
    pub(super) fn is_newest(&self, running: &RunningSession) -> bool {
        let start = &running.session.start;
        self.open_at(&start.station, start.evse).is_some_and(|last| last.session.id() == running.session.id())
    }

    /// The ends of an EVSE's sessions that are remembered, in no order.
    pub(super) fn ended_at(&self, station: &StationId, evse: EvseNo) -> impl Iterator<Item = &End> {
        let ended = self.closed.iter().filter_map(|id| self.get(*id));
        let here = move |running: &&RunningSession| {
            running.session.start.station == *station && running.session.start.evse == evse
        };
        ended.filter(here).filter_map(|running| running.session.end.as_ref())
    }

    /// All open sessions, in no order.
    pub fn open(&self) -> impl Iterator<Item = &RunningSession> {
        self.open.values().flatten().filter_map(|id| self.get(*id))
    }

    pub(super) fn next_deadline(&self) -> Option<Timestamp> {
        let open = self.open.values().flatten();
        open.filter_map(|id| self.get(*id)?.superseded_at).map(|at| at.plus_millis(SUPERSEDED_GRACE_MS)).min()
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
            | StationFact::FileStatus { .. }
            | StationFact::SecurityReported(_)
            | StationFact::CertificateWanted { .. }
            | StationFact::ConnectedPending(_)
            | StationFact::ClockMeasured(_)
            | StationFact::Disconnected
            | StationFact::Booted(_)
            | StationFact::Status(_)
            | StationFact::Authorize { .. }
            | StationFact::Readings { .. }
            | StationFact::Stop(_) => None,
        }
    }
}

/// Is this a reference that we may have minted? Stations send 0 or -1 for "I have none".
pub(super) fn meant(tx_ref: &StationTxRef) -> bool {
    tx_ref.0.parse::<i64>().map_or(!tx_ref.0.is_empty(), |number| number > 0)
}
