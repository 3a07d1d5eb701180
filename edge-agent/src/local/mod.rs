//! The installer's and the monitoring's side: health, metrics, what the site is doing, and orders to its stations.
//!
//! Looking needs no token: who reaches this listener may look, and it is on loopback unless somebody moves it. Whatever
//! changes something needs the installer's token ([`token`]) in an `Authorization` header, which no page of another origin
//! can make a browser send, and JSON.

pub mod call;
pub mod client;
mod firmware;
mod frames;
mod guard;
mod onboarding;
pub mod operation;
mod orders;
mod page;
mod snapshot;
mod storage;
pub mod token;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::middleware;
use axum::response::IntoResponse;
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;
use serde::Serialize;
use shared::model::Lane;
use tokio::sync::{mpsc, oneshot, watch};

use crate::clock::Clock;
use crate::files::Images;
use crate::frames::FrameLog;
use crate::ocpp::credentials::Directory;
use crate::site::Message;
use crate::store::{Damage, Position, Store};

pub use guard::Guard;
pub use snapshot::{ConnectorView, ReservationView, SessionView, Snapshot, StationView};
use storage::Storage;

/// What the pages show.
#[derive(Clone)]
pub struct Local {
    /// The site.
    pub site: mpsc::Sender<Message>,
    /// The database.
    pub store: Store,
    /// What happened to the database when this process opened it.
    pub damages: Vec<Damage>,
    /// What was said to stations.
    pub frames: FrameLog,
    /// The lanes.
    pub position: watch::Receiver<Position>,
    /// Is the cloud there?
    pub online: watch::Receiver<bool>,
    /// The metrics.
    pub metrics: PrometheusHandle,
    /// Where the certificate is that stations have to trust.
    pub authority: PathBuf,
    /// The installer's token, and who tried others.
    pub guard: Arc<guard::Guard>,
    /// Who may connect.
    pub directory: Arc<Directory>,
    /// The clock.
    pub clock: Arc<Clock>,
    /// The firmware that is here.
    pub images: Images,
}

#[derive(Serialize)]
struct SiteState {
    online: bool,
    lanes: BTreeMap<&'static str, LaneView>,
    storage: Storage,
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
        .route("/", get(page::page))
        .merge(guarded(&local))
        .with_state(local)
}

/// What needs the installer's token.
fn guarded(local: &Local) -> Router<Local> {
    let routes =
        onboarding::routes().merge(frames::routes()).merge(orders::routes()).merge(firmware::routes());
    routes.layer(middleware::from_fn_with_state(Arc::clone(&local.guard), guard::check))
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
        storage: Storage::of(&local),
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
