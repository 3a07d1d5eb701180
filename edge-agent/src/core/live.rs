//! What the stations are doing right now: who is connected, the status of each as a whole and of its connectors, how its
//! clock goes. Lost with the process on purpose: stations tell it again when they connect. But who they are they tell when
//! they boot, and a station whose connection alone went down does not boot again (1.6 §4.2): that is kept.

use std::collections::{BTreeMap, BTreeSet};

use shared::id::{EvseNo, StationId};
use shared::model::event::{ClockMeasured, Event, PresenceChanged, StationBooted, StatusChanged};
use shared::model::{ConnectorStatus, StationInfo};
use shared::units::{Timestamp, Wh};

use super::admission::{Standing, Visitor};
use super::visit::Visit;
use super::{Core, Effects, LinkId, Reply, Send, Write};

/// A station that boots again within so long, and says nothing new, is answered and that is all (QUIRKS Q83).
const FLOOD_MS: i64 = 30_000;
/// A station that waits for a decision asks again so often (1.6 §4.2).
const PENDING_INTERVAL_S: u16 = 60;
/// One that was turned away shall leave us alone for so long.
const REJECTED_INTERVAL_S: u16 = 3600;

/// A station as the site knows it.
#[derive(Clone, Debug, Default)]
pub struct Station {
    /// Its connection, if there is one.
    pub link: Option<LinkId>,
    /// What it told about itself.
    pub info: Option<StationInfo>,
    /// Its connectors, by EVSE.
    pub connectors: BTreeMap<EvseNo, Connector>,
    /// The station as a whole: OCPP 1.6's connector 0.
    pub whole: Option<Connector>,
    /// Its clock is so many milliseconds behind ours, if that was measured.
    pub skew_ms: Option<i64>,
    /// Registers between sessions, and when they were read.
    pub(super) idle: BTreeMap<EvseNo, (Timestamp, Wh)>,
    /// Connectors whose status was never told and follows from their sessions.
    pub(super) derived: BTreeSet<EvseNo>,
    /// When it booted last, and whether it does so again and again.
    pub(super) booted_at: Option<Timestamp>,
    pub(super) floods: bool,
    /// How its connection goes.
    pub(super) visit: Visit,
    /// When it was last asked to boot.
    pub(super) boot_demanded_at: Option<Timestamp>,
}

/// A connector as the site knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connector {
    /// Its status.
    pub status: ConnectorStatus,
    /// Its error code, if there is one.
    pub error: Option<String>,
    /// Since when.
    pub at: Timestamp,
}

impl Core {
    /// Stations of this site that booted before the agent restarted.
    pub(super) fn recognise(&mut self, stations: Vec<(StationId, StationInfo)>) {
        for (station, info) in stations {
            if matches!(self.standing(&station), Standing::Accepted | Standing::Held) {
                self.stations.entry(station).or_default().info = Some(info);
            }
        }
    }

    pub(super) fn connected(
        &mut self,
        now: Timestamp,
        station: StationId,
        link: LinkId,
        fx: &mut Effects,
    ) -> Reply {
        let known = self.stations.entry(station.clone()).or_default();
        (known.link, known.booted_at) = (Some(link), None);
        fx.event(Event::PresenceChanged(PresenceChanged {
            station: station.clone(),
            connected: true,
            at: now,
        }));
        self.visit_begins(now, &station, link);
        self.ask_waiting(now, &station, link, fx);
        self.resume_errands(&station, fx);
        self.tell_withdrawn(now, &station, fx);
        Reply::Acknowledged
    }

    /// Nothing of a station that nobody knows is a fact but that it is here.
    pub(super) fn connected_pending(
        &mut self,
        now: Timestamp,
        station: StationId,
        link: LinkId,
        visitor: Visitor,
        fx: &mut Effects,
    ) -> Reply {
        self.stations.insert(station.clone(), Station { link: Some(link), ..Station::default() });
        self.visit_begins(now, &station, link);
        self.visitor(now, &station, visitor, fx);
        Reply::Acknowledged
    }

    /// An old connection's end says nothing about a station that is back on a new one.
    pub(super) fn disconnected(
        &mut self,
        now: Timestamp,
        station: &StationId,
        link: LinkId,
        fx: &mut Effects,
    ) -> Reply {
        if let Some(known) = self.stations.get_mut(station).filter(|known| known.link == Some(link)) {
            (known.link, known.booted_at) = (None, None);
            self.security_left(station);
            self.suspect_restart(now, station, fx);
            self.visit_ends(now, station, link, fx);
            if self.visitor_left(station) {
                self.stations.remove(station);
                return Reply::Acknowledged;
            }
            let station = station.clone();
            fx.event(Event::PresenceChanged(PresenceChanged { station, connected: false, at: now }));
        }
        Reply::Acknowledged
    }

    pub(super) fn booted(
        &mut self,
        now: Timestamp,
        station: &StationId,
        info: StationInfo,
        fx: &mut Effects,
    ) -> Reply {
        let known = self.stations.entry(station.clone()).or_default();
        let last = known.booted_at.replace(now);
        let floods = known.info.as_ref() == Some(&info)
            && last.is_some_and(|last| (0..FLOOD_MS).contains(&now.millis_since(last)));
        known.floods = floods;
        let is_news = known.info.replace(info.clone()).as_ref() != Some(&info);
        let standing = self.standing(station);
        if is_news && matches!(standing, Standing::Accepted | Standing::Held) {
            fx.writes.push(Write::Known(station.clone(), Box::new(info.clone())));
        }
        let interval_s = match standing {
            Standing::Accepted => self.heartbeat_of(station),
            Standing::Held | Standing::Pending => Some(PENDING_INTERVAL_S),
            Standing::Rejected => Some(REJECTED_INTERVAL_S),
        };
        match standing {
            Standing::Accepted | Standing::Held if floods => {}
            Standing::Accepted | Standing::Held => {
                self.booted_with(now, station, &info, fx);
                fx.event(Event::StationBooted(StationBooted { station: station.clone(), info, at: now }));
            }
            Standing::Pending | Standing::Rejected => {
                self.visitor_told(now, station, |visitor| visitor.info = Some(info), fx);
            }
        }
        Reply::Booted { now, standing, interval_s }
    }

    /// The answer to a boot is on its way: what the station is asked for comes after it.
    pub(super) fn boot_answered(
        &mut self,
        now: Timestamp,
        station: &StationId,
        link: LinkId,
        fx: &mut Effects,
    ) {
        let standing = self.standing(station);
        if standing != Standing::Rejected && self.stations.get(station).is_some_and(|known| known.floods) {
            return;
        }
        self.visit_booted(now, station, standing, fx);
        match standing {
            Standing::Accepted => self.remind(now, station, fx),
            Standing::Rejected => fx.sends.push(Send::HangUp { link, reason: "turned away by the operator" }),
            Standing::Held | Standing::Pending => {}
        }
    }

    pub(super) fn clock_measured(
        &mut self,
        now: Timestamp,
        station: StationId,
        skew_ms: i64,
        fx: &mut Effects,
    ) -> Reply {
        self.stations.entry(station.clone()).or_default().skew_ms = Some(skew_ms);
        self.suspect_zone(now, &station, skew_ms, fx);
        if self.standing(&station) != Standing::Pending {
            fx.event(Event::ClockMeasured(ClockMeasured { station, skew_ms, at: now }));
        }
        Reply::Acknowledged
    }

    /// A status that says nothing new is not a fact worth a record.
    pub(super) fn status(&mut self, now: Timestamp, status: StatusChanged, fx: &mut Effects) -> Reply {
        self.drop_reservations(now, &status.station, status.evse, status.status, fx);
        self.orphan(now, &status.station, status.evse, status.status, fx);
        let connector = Connector { status: status.status, error: status.error.clone(), at: now };
        let known = self.stations.entry(status.station.clone()).or_default();
        let before = match status.evse {
            None => known.whole.replace(connector.clone()),
            Some(evse) => {
                known.derived.remove(&evse);
                known.connectors.insert(evse, connector.clone())
            }
        };
        let changed = before.is_none_or(|b| (b.status, b.error) != (connector.status, connector.error));
        if self.standing(&status.station) == Standing::Pending {
            let most = status.evse.map(|evse| evse.0).filter(|number| *number <= 99);
            self.visitor_told(now, &status.station, |it| it.connectors = it.connectors.max(most), fx);
        } else if changed {
            fx.event(Event::StatusChanged(status));
        }
        Reply::Acknowledged
    }
}
