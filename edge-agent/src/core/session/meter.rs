//! What the meter means for a session, and what is doubtful about it.

use shared::id::{EvseNo, StationId};
use shared::model::MeterReading;
use shared::model::event::{Event, SessionMetered};
use shared::model::finding::{Oddity, Severity};
use shared::model::quirks::{EnergyScale, Suggestion};
use shared::model::session::SessionFlag;
use shared::units::{Timestamp, Wh};

use crate::core::sessions::RunningSession;
use crate::core::suspicion::Suspicion;
use crate::core::{Core, Effects};

/// A reading may be so far ahead of us.
const AHEAD_MS: i64 = 86_400_000;
/// More watts than any connector gives: a session with more energy than they bring is not believed.
const MOST_WATTS: i64 = 1_000_000;
/// Whatever the time says, so much may have flowed.
const ALWAYS_FINE: i64 = 100_000;
const MS_PER_HOUR: i64 = 3_600_000;

impl Core {
    /// Folds readings into a session; `true` when one of them was news. A reading without a time of its own comes as `now`.
    pub(super) fn take_readings(
        &mut self,
        now: Timestamp,
        running: &mut RunningSession,
        readings: &[MeterReading],
        fx: &mut Effects,
    ) -> bool {
        let believed =
            |reading: &&MeterReading| !reading.is_empty() && reading.taken_at <= now.plus_millis(AHEAD_MS);
        let mut news = false;
        for reading in readings.iter().filter(believed) {
            let session = &mut running.session;
            let before = session.last;
            let event = Event::SessionMetered(SessionMetered { session: session.id(), reading: *reading });
            session.apply(&event);
            if session.last != before {
                news = true;
                running.trail.take(session.start.meter_start, reading);
                session.energy = running.trail.energy(session.start.meter_start);
                fx.event(event);
                self.watch_limit(now, &running.session, reading, fx);
            }
        }
        news
    }

    /// The energy of a session that ends with this register, and what is doubtful about it.
    pub(super) fn judge_meter(
        &mut self,
        now: Timestamp,
        running: &RunningSession,
        meter_stop: Wh,
        at: Timestamp,
        fx: &mut Effects,
    ) -> (Wh, Vec<SessionFlag>) {
        let start = &running.session.start;
        let (energy, went_back) = running.trail.total(start.meter_start, meter_stop);
        let mut flags = Vec::new();
        if went_back {
            flags.push(SessionFlag::RegisterWentBack);
            let text = format!("ended at {} Wh, below where it was", meter_stop.0);
            self.doubt_meter(now, running, Oddity::RegisterWentBack, text, fx);
        }
        if running.trail.fell() {
            flags.push(SessionFlag::RegisterReset);
            let text = format!("fell on the way: {} Wh is the sum of what it rose", energy.0);
            self.doubt_meter(now, running, Oddity::RegisterReset, text, fx);
        }
        let possible =
            at.millis_since(start.at).max(0).saturating_mul(MOST_WATTS / 1000) / MS_PER_HOUR * 1000;
        let contradiction = running.trail.contradiction();
        if contradiction.is_some() || energy.0 > possible.saturating_add(ALWAYS_FINE) {
            flags.push(SessionFlag::Implausible);
            let (by_power, by_register) = running.trail.measured();
            let text = format!(
                "{} Wh in all; the measured power makes {} Wh of what the register calls {} Wh",
                energy.0, by_power.0, by_register.0
            );
            self.doubt_meter(now, running, Oddity::Implausible, text.clone(), fx);
            if let Some(scale) = contradiction.filter(|scale| *scale != EnergyScale::AsTold) {
                let suggestion = Suggestion::EnergyScale(scale);
                let suspicion = Suspicion { suggestion, evidence: text, may_be_chance: false };
                self.suspect(now, &start.station, suspicion, fx);
            }
        }
        (energy, flags)
    }

    fn doubt_meter(
        &mut self,
        now: Timestamp,
        running: &RunningSession,
        oddity: Oddity,
        text: String,
        fx: &mut Effects,
    ) {
        let about = (&running.session.start.station, Some(running.session.id()));
        self.doubt(now, about, ("StopTransaction", "meterStop"), (oddity, Severity::Hard), text, fx);
    }

    pub(super) fn doubt_conflict(
        &mut self,
        now: Timestamp,
        running: &RunningSession,
        meter_stop: Wh,
        fx: &mut Effects,
    ) {
        let text = format!("a second end, at {} Wh; the first one counts", meter_stop.0);
        self.doubt_meter(now, running, Oddity::Conflict, text, fx);
    }

    /// Registers between sessions: where one begins whose start says nothing, or never comes.
    pub(super) fn keep_in_mind(&mut self, station: &StationId, evse: EvseNo, readings: &[MeterReading]) {
        let newest = readings.iter().rev().find_map(|reading| Some((reading.taken_at, reading.register?)));
        if let (Some(newest), Some(known)) = (newest, self.stations.get_mut(station)) {
            known.idle.insert(evse, newest);
        }
    }
}
