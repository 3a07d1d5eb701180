//! The installer's and the monitoring's side: health, metrics, and what the site is doing.

use std::collections::BTreeMap;
use std::path::PathBuf;

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;
use serde::Serialize;
use shared::model::Lane;
use shared::tariff;
use shared::units::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};

use crate::core::{Core, RunningSession};
use crate::site::{Links, Message};
use crate::store::Position;

/// What the pages show.
#[derive(Clone)]
pub struct Local {
    /// The site.
    pub site: mpsc::Sender<Message>,
    /// The lanes.
    pub position: watch::Receiver<Position>,
    /// Is the cloud there?
    pub online: watch::Receiver<bool>,
    /// The metrics.
    pub metrics: PrometheusHandle,
    /// Where the certificate is that stations have to trust.
    pub authority: PathBuf,
}

/// The site at a moment.
#[derive(Clone, Debug, Serialize)]
pub struct Snapshot {
    /// The agent's time.
    pub at: String,
    /// Every station that connected since the agent started.
    pub stations: Vec<StationView>,
    /// The sessions that run.
    pub sessions: Vec<SessionView>,
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

#[derive(Serialize)]
struct SiteState {
    online: bool,
    lanes: BTreeMap<&'static str, LaneView>,
    #[serde(flatten)]
    site: Snapshot,
}

#[derive(Serialize)]
struct LaneView {
    head: u64,
    acked: u64,
    backlog: u64,
}

/// The routes.
pub fn router(local: Local) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/api/state", get(state))
        .route("/site-ca.pem", get(authority))
        .with_state(local)
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
                connectors: station
                    .connectors
                    .iter()
                    .map(|(evse, c)| ConnectorView {
                        evse: evse.0,
                        status: c.status.name(),
                        error: c.error.clone(),
                    })
                    .collect(),
            })
            .collect();
        stations.sort_by(|a, b| a.station.cmp(&b.station));
        let mut sessions: Vec<SessionView> = core.sessions.open().map(|running| view(running, now)).collect();
        sessions.sort_by(|a, b| a.session.cmp(&b.session));
        Snapshot { at: now.to_string(), stations, sessions }
    }
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

/// Ready means that stations are served; the cloud may be away.
async fn ready(State(local): State<Local>) -> (StatusCode, &'static str) {
    match local.snapshot().await {
        Some(_) => (StatusCode::OK, "ready\n"),
        None => (StatusCode::SERVICE_UNAVAILABLE, "stopping\n"),
    }
}

async fn metrics(State(local): State<Local>) -> String {
    local.metrics.render()
}

/// The certificate of the site's authority: for an installer to put into chargers.
async fn authority(State(local): State<Local>) -> Result<impl IntoResponse, StatusCode> {
    let pem = tokio::fs::read_to_string(&local.authority).await.map_err(|_| StatusCode::NOT_FOUND)?;
    Ok(([(CONTENT_TYPE, "application/x-pem-file")], pem))
}

async fn state(State(local): State<Local>) -> Result<Json<SiteState>, StatusCode> {
    let site = local.snapshot().await.ok_or(StatusCode::SERVICE_UNAVAILABLE)?;
    let position = local.position.borrow().clone();
    let lane = |lane: Lane| {
        let (head, acked) = (position.heads[lane.index()], position.acked[lane.index()]);
        (lane.name(), LaneView { head, acked, backlog: head.saturating_sub(acked) })
    };
    Ok(Json(SiteState {
        online: *local.online.borrow(),
        lanes: Lane::ALL.into_iter().map(lane).collect(),
        site,
    }))
}

impl Local {
    async fn snapshot(&self) -> Option<Snapshot> {
        let (asker, answer) = oneshot::channel();
        self.site.send(Message::Snapshot(asker)).await.ok()?;
        answer.await.ok()
    }
}
