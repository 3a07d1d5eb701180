//! What the stations are doing right now: who is connected, and each connector's status. Lost with the process on
//! purpose: stations tell it again when they connect.

use std::collections::BTreeMap;

use shared::id::{EvseNo, StationId};
use shared::model::event::{Event, PresenceChanged, StationBooted, StatusChanged};
use shared::model::{ConnectorStatus, StationInfo};
use shared::units::Timestamp;

use super::{Core, Effects, LinkId, Reply};

/// A station as the site knows it.
#[derive(Clone, Debug, Default)]
pub struct Station {
    /// Its connection, if there is one.
    pub link: Option<LinkId>,
    /// What it told about itself.
    pub info: Option<StationInfo>,
    /// Its connectors, by EVSE.
    pub connectors: BTreeMap<EvseNo, Connector>,
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
    pub(super) fn connected(
        &mut self,
        now: Timestamp,
        station: StationId,
        link: LinkId,
        fx: &mut Effects,
    ) -> Reply {
        self.stations.entry(station.clone()).or_default().link = Some(link);
        fx.event(Event::PresenceChanged(PresenceChanged {
            station: station.clone(),
            connected: true,
            at: now,
        }));
        self.ask_waiting(now, &station, link, fx);
        self.resume_errands(&station, fx);
        self.tell_withdrawn(now, &station, fx);
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
            known.link = None;
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
        self.stations.entry(station.clone()).or_default().info = Some(info.clone());
        self.booted_with(now, station, &info, fx);
        fx.event(Event::StationBooted(StationBooted { station: station.clone(), info, at: now }));
        Reply::Booted(now)
    }

    /// A status that says nothing new is not a fact worth a record.
    pub(super) fn status(&mut self, now: Timestamp, status: StatusChanged, fx: &mut Effects) -> Reply {
        self.drop_reservations(now, &status.station, status.evse, status.status, fx);
        let connector = Connector { status: status.status, error: status.error.clone(), at: now };
        let changed = match status.evse {
            None => true,
            Some(evse) => {
                let known = &mut self.stations.entry(status.station.clone()).or_default().connectors;
                let before = known.insert(evse, connector.clone());
                before.is_none_or(|b| (b.status, b.error) != (connector.status, connector.error))
            }
        };
        if changed {
            fx.event(Event::StatusChanged(status));
        }
        Reply::Acknowledged
    }
}
