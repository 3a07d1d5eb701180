//! Ends without a beginning, beginnings without an end, and sessions that are not ours to bill.

use shared::id::{EvseNo, StationId};
use shared::model::event::{Event, StatusChanged, StopUnmatched};
use shared::model::finding::{Oddity, Severity};
use shared::model::session::{End, SessionFlag};
use shared::model::{ConnectorStatus, IdToken};
use shared::units::Timestamp;

use crate::core::sessions::{RunningSession, meant};
use crate::core::{Connector, Core, Effects, StartFact, StopFact};

/// What a station's clock may be behind before what it says is taken for older than its commissioning.
const BEFORE_OURS_MS: i64 = 36 * 3_600_000;

impl Core {
    /// Did it begin before the station was the site's? Stations throw all they have kept at a new server (QUIRKS Q49).
    pub(super) fn is_foreign(
        &mut self,
        now: Timestamp,
        station: &StationId,
        start: &StartFact,
        fx: &mut Effects,
    ) -> bool {
        let (Some(at), Some(since)) = (start.at, self.admission.since(station)) else { return false };
        let foreign = since.millis_since(at) > BEFORE_OURS_MS;
        if foreign {
            let text = format!("began at {at}, the station is the site's since {since}");
            let about = (Oddity::Foreign, Severity::Soft);
            self.doubt(now, (station, None), ("StartTransaction", "timestamp"), about, text, fx);
        }
        foreign
    }

    /// An end that fits no session: one whose start was lost is made up for where there is no doubt about its place (Q59);
    /// any other is kept for an operator and never guessed onto a connector (Q53).
    pub(super) fn stop_without_session(
        &mut self,
        now: Timestamp,
        station: &StationId,
        stop: StopFact,
        fx: &mut Effects,
    ) {
        let text = "no session of this reference";
        let about = (Oddity::NoSession, Severity::Hard);
        self.doubt(now, (station, None), ("StopTransaction", "transactionId"), about, text.into(), fx);
        match self.lost_start(station, &stop) {
            Some(start) => {
                let decision = self.decide(now, station, &start.token);
                let mut running = self.begin(now, station, start, None, &decision, fx);
                running.session.start.flags.push(SessionFlag::StartReconstructed);
                running.session.flags.push(SessionFlag::StartReconstructed);
                fx.event(Event::SessionStarted(running.session.start.clone()));
                self.end(now, running, stop, false, fx);
            }
            None => unmatched(now, station, stop, fx),
        }
    }

    /// The start that an end implies, at a station with one connector. Not of one that names a reference: that may be a
    /// session of before this database. Nor of one that may be the end of a session that has ended already.
    fn lost_start(&self, station: &StationId, stop: &StopFact) -> Option<StartFact> {
        let evse = EvseNo(1);
        let named = stop.tx_ref.as_ref().is_some_and(meant);
        if named || self.connectors_of(station) != Some(1) || self.sessions.open_at(station, evse).is_some() {
            return None;
        }
        let told = stop.readings.iter().find_map(|reading| Some((reading.taken_at, reading.register?)));
        let idle = || self.stations.get(station)?.idle.get(&evse).copied();
        let (at, register) = told.or_else(idle)?;
        let after = |end: &End| at >= end.at && register >= end.meter_stop;
        let is_new = self.sessions.ended_at(station, evse).all(after);
        (is_new && register < stop.meter_stop?).then(|| StartFact {
            evse,
            token: stop.token.clone().unwrap_or_else(|| IdToken::new("")),
            meter_start: Some(register),
            at: Some(at),
            zone_assumed: false,
            reservation: None,
        })
    }

    /// A free connector charges nobody: a session that still runs there has lost its end (Q70). It may yet come.
    pub(in crate::core) fn orphan(
        &mut self,
        now: Timestamp,
        station: &StationId,
        evse: Option<EvseNo>,
        status: ConnectorStatus,
        fx: &mut Effects,
    ) {
        if let (Some(evse), ConnectorStatus::Available) = (evse, status) {
            self.supersede(now, station, evse, fx);
        }
    }

    /// A station that had its time and never told of this connector (Q74): it charges, as its session shows.
    pub(super) fn show_charging(&mut self, now: Timestamp, running: &RunningSession, fx: &mut Effects) {
        let start = &running.session.start;
        let Some(known) = self.stations.get_mut(&start.station) else { return };
        if !known.visit.is_settled() || known.connectors.contains_key(&start.evse) {
            return;
        }
        let status = ConnectorStatus::Charging;
        known.connectors.insert(start.evse, Connector { status, error: None, at: now });
        known.derived.insert(start.evse);
        let (station, evse) = (start.station.clone(), Some(start.evse));
        fx.event(Event::StatusChanged(StatusChanged { station, evse, status, error: None, at: now }));
    }

    /// The other end of it: nothing more is known than that the session is over.
    pub(super) fn show_finished(&mut self, now: Timestamp, running: &RunningSession, fx: &mut Effects) {
        let start = &running.session.start;
        let Some(known) = self.stations.get_mut(&start.station) else { return };
        if !known.derived.remove(&start.evse) {
            return;
        }
        known.connectors.remove(&start.evse);
        let (station, evse, status) = (start.station.clone(), Some(start.evse), ConnectorStatus::Finishing);
        fx.event(Event::StatusChanged(StatusChanged { station, evse, status, error: None, at: now }));
    }
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
