//! The course of one connection: what may be said to a station, and when.
//!
//! Stations want to be met gently (QUIRKS Q8, Q14–Q18). Nothing is asked before a station has booted, or has shown that it
//! need not, or has been silent about it for a while: what the rest of the core asks meanwhile is held back here, and asked
//! then. One that never boots is asked to, once, and
//! at most every ten minutes. When it has settled, the statuses that it owes (1.6 §4.2: connector 0 and each connector) are
//! asked for by one trigger, however many are missing.

use std::collections::BTreeSet;

use shared::id::{CommandId, StationId};
use shared::model::command::{CommandBody, Outcome, TriggeredMessage};
use shared::units::Timestamp;

use super::admission::Standing;
use super::{AskEnd, Core, Effects, LinkId, Send, StationFact};

/// So long a station may take to boot before it is asked anything.
pub(super) const GRACE_MS: i64 = 30_000;
/// So long it may take to tell all that it tells by itself.
pub(super) const SETTLING_MS: i64 = 5_000;
/// The least time between two demands to boot: some stations restart each time.
const BOOT_AGAIN_MS: i64 = 10 * 60 * 1000;

/// A station's time on one connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Visit {
    /// It may be asked.
    ready: bool,
    /// It has been left alone for long enough.
    settled: bool,
    /// It booted on this connection.
    booted: bool,
    /// What it was told when it booted last.
    told: Option<Standing>,
    /// The connectors that reported since then.
    reported: BTreeSet<u16>,
    /// When it is looked after next.
    due: Option<Timestamp>,
}

impl Visit {
    pub(super) fn is_settled(&self) -> bool {
        self.settled
    }
}

impl Core {
    pub(super) fn visit_begins(&mut self, now: Timestamp, station: &StationId, link: LinkId) {
        self.forget_visit(station);
        self.unready.insert(link, Vec::new());
        self.look_after_at(station, now.plus_millis(GRACE_MS));
    }

    /// What was held back will not be asked any more.
    pub(super) fn visit_ends(&mut self, now: Timestamp, station: &StationId, link: LinkId, fx: &mut Effects) {
        self.forget_visit(station);
        for (command, _) in self.unready.remove(&link).unwrap_or_default() {
            let end = AskEnd::plain(Outcome::StationOffline, "the station left before it could be asked");
            self.asked(now, command, end, fx);
        }
    }

    fn forget_visit(&mut self, station: &StationId) {
        let Some(known) = self.stations.get_mut(station) else { return };
        if let Some(due) = std::mem::take(&mut known.visit).due {
            self.agenda.remove(&(due, station.clone()));
        }
    }

    /// Keeps back what is asked of stations too early.
    pub(super) fn hold_back(&mut self, fx: &mut Effects) {
        if self.unready.is_empty() {
            return;
        }
        let asks_early =
            |send: &mut Send| matches!(send, Send::Ask { link, .. } if self.unready.contains_key(link));
        let early: Vec<Send> = fx.sends.extract_if(.., asks_early).collect();
        for send in early {
            if let Send::Ask { link, command, ask } = send
                && let Some(held) = self.unready.get_mut(&link)
            {
                held.push((command, ask));
            }
        }
    }

    /// What was held back for a station is not asked after its time.
    pub(super) fn withdraw(&mut self, station: &StationId, command: CommandId, fx: &mut Effects) {
        let Some(link) = self.stations.get(station).and_then(|known| known.link) else { return };
        match self.unready.get_mut(&link) {
            Some(held) => held.retain(|(waiting, _)| *waiting != command),
            None => fx.sends.push(Send::Withdraw { link, command }),
        }
    }

    /// The station was answered that it has booted.
    pub(super) fn visit_booted(
        &mut self,
        now: Timestamp,
        station: &StationId,
        told: Standing,
        fx: &mut Effects,
    ) {
        let Some(known) = self.stations.get_mut(station) else { return };
        let due = known.visit.due;
        known.visit =
            Visit { booted: true, told: Some(told), ready: known.visit.ready, due, ..Visit::default() };
        self.becomes_ready(now, station, fx);
        self.look_after_at(station, now.plus_millis(SETTLING_MS));
    }

    /// A station that booted before and now talks of something else has not restarted: it will not boot again.
    pub(super) fn visit_goes_on(
        &mut self,
        now: Timestamp,
        station: &StationId,
        fact: &StationFact,
        fx: &mut Effects,
    ) {
        let Some(known) = self.stations.get_mut(station).filter(|known| known.link.is_some()) else { return };
        if let StationFact::Status(status) = fact {
            known.visit.reported.insert(status.evse.map_or(0, |evse| evse.0));
        }
        if known.info.is_some() && !known.visit.ready && self.standing(station) == Standing::Accepted {
            self.becomes_ready(now, station, fx);
            self.look_after_at(station, now.plus_millis(SETTLING_MS));
        }
    }

    fn becomes_ready(&mut self, now: Timestamp, station: &StationId, fx: &mut Effects) {
        let Some(known) = self.stations.get_mut(station) else { return };
        if std::mem::replace(&mut known.visit.ready, true) {
            return;
        }
        let Some(link) = known.link else { return };
        let held = self.unready.remove(&link).unwrap_or_default();
        fx.sends.extend(held.into_iter().map(|(command, ask)| Send::Ask { link, command, ask }));
        if self.standing(station) == Standing::Accepted {
            self.put_waiting(now, station, fx);
        }
    }

    /// May the station be asked?
    pub(super) fn is_ready(&self, station: &StationId) -> bool {
        self.stations.get(station).is_some_and(|known| known.link.is_some() && known.visit.ready)
    }

    fn look_after_at(&mut self, station: &StationId, at: Timestamp) {
        let Some(known) = self.stations.get_mut(station) else { return };
        if let Some(before) = known.visit.due.replace(at) {
            self.agenda.remove(&(before, station.clone()));
        }
        self.agenda.insert((at, station.clone()));
    }

    pub(super) fn next_visit_deadline(&self) -> Option<Timestamp> {
        self.agenda.first().map(|(at, _)| *at)
    }

    pub(super) fn look_after_stations(&mut self, now: Timestamp, fx: &mut Effects) {
        while let Some((at, station)) = self.agenda.first().cloned()
            && at <= now
        {
            self.agenda.pop_first();
            if let Some(known) = self.stations.get_mut(&station) {
                known.visit.due = None;
            }
            self.look_after(now, &station, fx);
        }
    }

    fn look_after(&mut self, now: Timestamp, station: &StationId, fx: &mut Effects) {
        let Some(known) = self.stations.get(station) else { return };
        let visit = &known.visit;
        if !visit.ready {
            let never_booted = known.info.is_none();
            self.becomes_ready(now, station, fx);
            if never_booted {
                self.demand_boot(now, station, fx);
            }
            return self.look_after_at(station, now.plus_millis(SETTLING_MS));
        }
        if visit.told.is_some_and(|told| told != self.standing(station)) {
            return self.demand_boot(now, station, fx);
        }
        if !visit.settled {
            self.settle(now, station, fx);
        }
    }

    fn settle(&mut self, now: Timestamp, station: &StationId, fx: &mut Effects) {
        if let Some(known) = self.stations.get_mut(station) {
            known.visit.settled = true;
        }
        match self.standing(station) {
            Standing::Accepted => {
                if self.owes_statuses(station) {
                    self.trigger(now, station, TriggeredMessage::StatusNotification, fx);
                }
                self.begin_settings(now, station, fx);
                if self.are_settings_read(station) {
                    self.look_at_list(now, station, fx);
                }
            }
            Standing::Pending => self.begin_settings(now, station, fx),
            Standing::Held | Standing::Rejected => {}
        }
    }

    /// Has the station itself, or one of its connectors, not reported since it booted? One that did not boot need not.
    fn owes_statuses(&self, station: &StationId) -> bool {
        let Some(known) = self.stations.get(station) else { return false };
        let visit = &known.visit;
        let told = |number: u16| {
            visit.reported.contains(&number)
                || !visit.booted && known.connectors.keys().any(|evse| evse.0 == number)
                || !visit.booted && number == 0 && known.whole.is_some()
        };
        let last = visit.reported.last().copied().max(known.connectors.keys().last().map(|evse| evse.0));
        let most = self.connectors_of(station).max(last).unwrap_or(1);
        !(0..=most).all(told)
    }

    /// What the stations that are here were told is true no longer for some: they are asked to hear it.
    pub(super) fn tell_standings(&mut self, now: Timestamp, fx: &mut Effects) {
        let stale = |(id, known): (&StationId, &super::Station)| {
            let told = known.visit.told.filter(|_| known.link.is_some())?;
            (told != self.standing(id)).then(|| id.clone())
        };
        let stale: Vec<StationId> = self.stations.iter().filter_map(stale).collect();
        for station in stale {
            self.demand_boot(now, &station, fx);
        }
    }

    fn demand_boot(&mut self, now: Timestamp, station: &StationId, fx: &mut Effects) {
        if self.quirks(station).never_trigger_boot {
            return;
        }
        let Some(known) = self.stations.get_mut(station) else { return };
        let again = known.boot_demanded_at.map(|at| at.plus_millis(BOOT_AGAIN_MS));
        match again.filter(|again| *again > now) {
            Some(again) => self.look_after_at(station, again),
            None => {
                known.boot_demanded_at = Some(now);
                self.trigger(now, station, TriggeredMessage::BootNotification, fx);
            }
        }
    }

    fn trigger(&mut self, now: Timestamp, station: &StationId, message: TriggeredMessage, fx: &mut Effects) {
        self.say(now, station, CommandBody::Trigger { message, evse: None }, fx);
    }
}
