//! What the pages show of the site at a moment.

use serde::Serialize;
use shared::tariff;
use shared::units::Timestamp;

use super::onboarding::Onboarding;
use crate::core::{Connector, Core, Held, RunningSession, Standing};
use crate::site::Links;

/// A station's clock that differs by more misdates its sessions.
const CLOCK_IS_WRONG_MS: u64 = 60_000;

/// The site at a moment.
#[derive(Clone, Debug, Serialize)]
pub struct Snapshot {
    /// The agent's time.
    pub at: String,
    /// Every station that connected since the agent started.
    pub stations: Vec<StationView>,
    /// The sessions that run.
    pub sessions: Vec<SessionView>,
    /// Connectors that are kept for somebody.
    pub reservations: Vec<ReservationView>,
    /// Unknown stations.
    pub onboarding: Onboarding,
}

/// A station.
#[derive(Clone, Debug, Serialize)]
pub struct StationView {
    /// Its identity.
    pub station: String,
    /// Is it connected?
    pub connected: bool,
    /// The OCPP security profile of its connection: at 1 its password crosses the network unencrypted.
    pub security_profile: Option<u8>,
    /// What it is.
    pub model: Option<String>,
    /// What it may do: accepted, held, pending or rejected.
    pub standing: &'static str,
    /// Its status as a whole: OCPP 1.6's connector 0.
    pub status: Option<ConnectorView>,
    /// Its clock is so many milliseconds behind ours.
    pub clock_skew_ms: Option<i64>,
    /// It is wrong by more than a minute.
    pub clock_is_wrong: bool,
    /// Its connectors.
    pub connectors: Vec<ConnectorView>,
}

/// A connector.
#[derive(Clone, Debug, Serialize)]
pub struct ConnectorView {
    /// The EVSE's number.
    pub evse: u16,
    /// Its status.
    pub status: &'static str,
    /// Its error, if it has one.
    pub error: Option<String>,
}

/// A running session.
#[derive(Clone, Debug, Serialize)]
pub struct SessionView {
    /// Its id.
    pub session: String,
    /// Where.
    pub station: String,
    /// Where.
    pub evse: u16,
    /// Since when.
    pub started_at: String,
    /// Energy so far.
    pub energy_wh: i64,
    /// Power now.
    pub power_w: Option<i64>,
    /// The vehicle's state of charge.
    pub soc_percent: Option<u8>,
    /// What it costs so far.
    pub cost: Option<String>,
}

/// A connector that is kept for somebody. For whom is not shown: a token is as good as its card.
#[derive(Clone, Debug, Serialize)]
pub struct ReservationView {
    /// Its number.
    pub id: i32,
    /// Where.
    pub station: String,
    /// Where.
    pub evse: u16,
    /// Until when.
    pub until: String,
}

impl Snapshot {
    /// The site as the core sees it.
    pub fn of(core: &Core, links: &Links, now: Timestamp) -> Self {
        let mut stations: Vec<StationView> = core
            .stations
            .iter()
            .map(|(id, station)| StationView {
                station: id.to_string(),
                connected: station.link.is_some(),
                security_profile: links.profile(id),
                model: station.info.as_ref().map(|info| format!("{} {}", info.vendor, info.model)),
                standing: standing(core.standing(id)),
                status: station.whole.as_ref().map(|it| connector(0, it)),
                clock_skew_ms: station.skew_ms,
                clock_is_wrong: station.skew_ms.is_some_and(|it| it.unsigned_abs() > CLOCK_IS_WRONG_MS),
                connectors: station.connectors.iter().map(|(evse, it)| connector(evse.0, it)).collect(),
            })
            .collect();
        stations.sort_by(|a, b| a.station.cmp(&b.station));
        let mut sessions: Vec<SessionView> = core.sessions.open().map(|running| view(running, now)).collect();
        sessions.sort_by(|a, b| a.session.cmp(&b.session));
        let mut reservations: Vec<ReservationView> = core.reserved(now).map(kept).collect();
        reservations.sort_by_key(|it| it.id);
        Snapshot {
            at: now.to_string(),
            stations,
            sessions,
            reservations,
            onboarding: Onboarding::of(core, now),
        }
    }
}

fn connector(evse: u16, it: &Connector) -> ConnectorView {
    ConnectorView { evse, status: it.status.name(), error: it.error.clone() }
}

fn standing(standing: Standing) -> &'static str {
    match standing {
        Standing::Accepted => "accepted",
        Standing::Held => "held",
        Standing::Pending => "pending",
        Standing::Rejected => "rejected",
    }
}

fn kept(held: &Held) -> ReservationView {
    let it = &held.reservation;
    let (station, until) = (held.station.to_string(), it.until.to_string());
    ReservationView { id: it.id.0, station, evse: it.evse.0, until }
}

fn view(running: &RunningSession, now: Timestamp) -> SessionView {
    let session = &running.session;
    SessionView {
        session: session.id().to_string(),
        station: session.start.station.to_string(),
        evse: session.start.evse.0,
        started_at: session.start.at.to_string(),
        energy_wh: session.energy.0,
        power_w: session.power().map(|power| power.0),
        soc_percent: session.soc().map(|soc| soc.0),
        cost: running.tariff.as_ref().map(|tariff| tariff::price(session, tariff, now).total.to_string()),
    }
}
