//! Sessions: started, metered, stopped, priced. Every message about one may come twice, late, or after a restart, so each
//! has a key from its content and a repeat gets the same answer and makes no new fact.

mod meter;
mod orphan;

use shared::id::{EvseNo, SessionId, StationId, StationTxRef};
use shared::model::event::{Event, SessionPriced, StopUnmatched};
use shared::model::session::{SessionFlag, SessionStarted, SessionStopped, StopReason};
use shared::model::{AuthStatus, MeterReading, Session};
use shared::tariff::{self, Tariff};
use shared::units::Timestamp;

use super::admission::Standing;
use super::authorize::Decision;
use super::reservation::Claim;
use super::sessions::{RunningSession, SUPERSEDED_GRACE_MS, StartKey, meant};
use super::trail::Trail;
use super::{Core, Effects, Reply, StartFact, StopFact, Write};

impl Decision {
    fn started(self, tx_ref: StationTxRef) -> Reply {
        Reply::Started { tx_ref, status: self.status, expires_at: self.expires_at, group: self.group }
    }
}

impl Core {
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
            return decision.started(known.session.start.tx_ref.clone());
        }
        let claim = self.claim(now, station, &start, &decision);
        let decision = decision.under(claim);
        self.supersede(now, station, start.evse, fx);
        if decision.is_of_an_unknown_card() {
            self.unknown_card(now, station, Some(start.evse), &start.token, fx);
            self.suspect_free_vend(now, station, &start.token, fx);
        }
        let running = self.begin(now, station, start, key, &decision, fx);
        let reply = decision.started(running.session.start.tx_ref.clone());
        fx.event(Event::SessionStarted(running.session.start.clone()));
        if let Claim::Own(reservation) = claim
            && running.session.start.auth == AuthStatus::Accepted
        {
            self.use_reservation(now, reservation, running.session.id(), fx);
        }
        self.show_charging(now, &running, fx);
        self.keep(running, fx);
        reply
    }

    pub(super) fn begin(
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
        // What flowed at a station that nobody has adopted is kept, and is nobody's.
        let pending = matches!(self.standing(station), Standing::Pending | Standing::Rejected);
        let foreign = self.is_foreign(now, station, &start, fx);
        let nobodys = pending || foreign;
        let tariff = self.tariffs.of(station, start.evse).cloned().filter(|_| !nobodys);
        let mut flags = Vec::new();
        if start.at.is_none() || start.zone_assumed {
            flags.push(SessionFlag::ClockAssumed);
        }
        if decision.status != AuthStatus::Accepted {
            flags.push(SessionFlag::NotAuthorised);
        }
        if pending {
            flags.push(SessionFlag::StationPending);
        }
        if foreign {
            flags.push(SessionFlag::Foreign);
        }
        let started = SessionStarted {
            session: SessionId((self.ids)(now)),
            station: station.clone(),
            evse: start.evse,
            tx_ref,
            caused_by: self.take_grant(now, station, &start.token),
            token: Some(start.token).filter(|_| !nobodys),
            auth: decision.status,
            authorised_by: decision.by,
            at: start.at.unwrap_or(now),
            meter_start: start.meter_start.unwrap_or_default(),
            tariff: tariff.as_ref().map(Tariff::reference),
            flags,
        };
        let (session, trail) = (Session::begin(started), Trail::default());
        RunningSession { session, start_key: key, tariff, superseded_at: None, named: false, trail }
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
        let Some(mut running) = found.cloned() else {
            self.keep_in_mind(station, evse, readings);
            return;
        };
        let newly_named = named.is_some() && !std::mem::replace(&mut running.named, named.is_some());
        let news = self.take_readings(now, &mut running, readings, fx);
        if news {
            // Whoever is metered has not ended, whatever its connector said.
            if self.sessions.is_newest(&running) {
                running.superseded_at = None;
            }
            self.show_charging(now, &running, fx);
        }
        if news || newly_named {
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
        let mut status = stop.token.as_ref().map(|token| self.decide(now, station, token).status);
        if let Some(tx_ref) = &stop.tx_ref {
            self.tx_refs.seen(tx_ref);
        }
        match self.session_of(station, &stop) {
            Some((running, by_name)) if running.session.is_open() => {
                if self.is_anothers(now, station, &running, &stop) {
                    status = Some(AuthStatus::Invalid);
                }
                self.end(now, running, stop, by_name, fx)
            }
            Some((running, _)) => self.repeated_stop(now, running, &stop, fx),
            None => self.stop_without_session(now, station, stop, fx),
        }
        Reply::Stopped(status)
    }

    /// Was a session stopped with a card that is neither its own nor of its group? The station let it happen, and the energy
    /// is what it is; but somebody should know (citrineos 213).
    fn is_anothers(
        &self,
        now: Timestamp,
        station: &StationId,
        running: &RunningSession,
        stop: &StopFact,
    ) -> bool {
        let (Some(began), Some(ended)) = (&running.session.start.token, &stop.token) else { return false };
        let group = |token| self.decide(now, station, token).group;
        began.folded() != ended.folded() && group(ended).is_none_or(|its| group(began) != Some(its))
    }

    /// The session that a stop means, and whether it named it. A stop without a reference of ours (0, -1, none) means the
    /// station's only open session, if everything else that it says fits that one; it is never guessed among several.
    fn session_of(&self, station: &StationId, stop: &StopFact) -> Option<(RunningSession, bool)> {
        if let Some(tx_ref) = stop.tx_ref.as_ref().filter(|tx_ref| meant(tx_ref)) {
            return self.sessions.by_tx_ref(station, tx_ref).map(|running| (running.clone(), true));
        }
        let mut open = self.sessions.open().filter(|running| running.session.start.station == *station);
        let (only, more) = (open.next()?, open.next());
        (more.is_none() && self.may_mean(only, stop)).then(|| (only.clone(), false))
    }

    /// Can a stop without a reference be this session's? One without a token could be of a session next door whose start
    /// never arrived, unless the station has no other EVSE, or has not called this one by its reference either.
    fn may_mean(&self, running: &RunningSession, stop: &StopFact) -> bool {
        let start = &running.session.start;
        let register_fits = stop.meter_stop.is_none_or(|meter| meter >= start.meter_start);
        let time_fits = stop.at.is_none_or(|at| at >= start.at);
        let token_fits = match &stop.token {
            Some(_) => stop.token == start.token,
            None => !running.named || self.has_one_evse(&start.station, start.evse),
        };
        register_fits && time_fits && token_fits
    }

    fn has_one_evse(&self, station: &StationId, evse: EvseNo) -> bool {
        let known = self.stations.get(station);
        known.is_none_or(|known| known.connectors.keys().all(|other| *other == evse))
    }

    pub(super) fn end(
        &mut self,
        now: Timestamp,
        mut running: RunningSession,
        stop: StopFact,
        named: bool,
        fx: &mut Effects,
    ) {
        self.take_readings(now, &mut running, &stop.readings, fx);
        let session = &running.session;
        let last_register = session.last.and_then(|last| last.register).unwrap_or(session.start.meter_start);
        let meter_stop = stop.meter_stop.unwrap_or(last_register);
        let (energy, mut flags) = self.judge_meter(now, &running, meter_stop, stop.at.unwrap_or(now), fx);
        let session = &running.session;
        if stop.at.is_none() || stop.zone_assumed {
            flags.push(SessionFlag::ClockAssumed);
        }
        if !named {
            flags.push(SessionFlag::UnknownTxRef);
        }
        let station = session.start.station.clone();
        if self.is_anothers(now, &station, &running, &stop) {
            flags.push(SessionFlag::StoppedByAnother);
        }
        let session = &running.session;
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
        let event = Event::SessionStopped(stopped);
        running.session.apply(&event);
        fx.event(event);
        let session = running.session.id();
        self.session_limits_end(&running.session);
        self.show_finished(now, &running, fx);
        if let Some(tariff) = &running.tariff {
            let cost = tariff::price(&running.session, tariff, now);
            fx.event(Event::SessionPriced(SessionPriced { session, tariff: tariff.reference(), cost }));
        }
        self.keep(running, fx);
    }

    /// The same stop again changes nothing; one that says otherwise is kept for an operator, the first one counts.
    fn repeated_stop(&mut self, now: Timestamp, running: RunningSession, stop: &StopFact, fx: &mut Effects) {
        let Some(end) = &running.session.end else { return };
        let differs = stop.meter_stop.is_some_and(|meter| meter != end.meter_stop);
        if differs && !running.session.flags.contains(&SessionFlag::StopConflict) {
            let mut running = running.clone();
            running.session.flags.push(SessionFlag::StopConflict);
            self.doubt_conflict(now, &running, stop.meter_stop.unwrap_or_default(), fx);
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
    pub(super) fn supersede(&mut self, now: Timestamp, station: &StationId, evse: EvseNo, fx: &mut Effects) {
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
                zone_assumed: false,
                reason,
                readings: vec![],
            };
            self.end(now, running, stop, false, fx);
        }
    }

    pub(super) fn keep(&mut self, running: RunningSession, fx: &mut Effects) {
        fx.writes.push(Write::Session(Box::new(running.clone())));
        self.sessions.insert(running);
    }
}
