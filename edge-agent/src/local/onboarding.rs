//! The installer's decisions at the gateway, with or without internet: the onboarding window, adopting and rejecting.
//!
//! The cloud believes what was decided here when it hears of it. Bodies must be declared as JSON, which a page in somebody's
//! browser cannot do without being asked first.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use shared::id::StationId;
use shared::model::onboarding::WINDOW_MINUTES;
use tokio::sync::oneshot;

use super::Local;
use crate::core::{Core, InstallerAct};
use crate::ocpp::credentials::{hash_chosen, hash_generated};
use crate::site::Message;
use shared::units::Timestamp;

/// OCPP 1.6 security whitepaper: AuthorizationKey of 16 to 40 characters.
const PASSWORD_LENGTH: std::ops::RangeInclusive<usize> = 16..=40;

/// Unknown stations, and until when they are let in.
#[derive(Clone, Debug, Serialize)]
pub struct Onboarding {
    /// Open until then; closed when absent.
    pub open_until: Option<String>,
    /// Those that wait for a decision.
    pub pending: Vec<PendingView>,
    /// Those that were refused at the door lately.
    pub knocked: Vec<KnockView>,
}

/// A station that waits for a decision.
#[derive(Clone, Debug, Serialize)]
pub struct PendingView {
    /// Its identity.
    pub station: String,
    /// Its address.
    pub from: String,
    /// The OCPP security profile of its connection.
    pub security_profile: u8,
    /// Did it show a password, or a certificate?
    pub showed_credential: bool,
    /// What it is.
    pub model: Option<String>,
    /// Its serial number.
    pub serial: Option<String>,
    /// Its firmware.
    pub firmware: Option<String>,
    /// How many connectors it has, as far as it told.
    pub connectors: Option<u16>,
    /// Since when it waits.
    pub since: String,
}

/// A station that was refused at the door.
#[derive(Clone, Debug, Serialize)]
pub struct KnockView {
    /// The identity that it gave.
    pub station: String,
    /// Its address.
    pub from: String,
    /// When.
    pub at: String,
}

#[derive(Deserialize)]
struct Open {
    minutes: Option<u32>,
}

#[derive(Deserialize)]
struct Adopt {
    /// A new password; without it, one is made where `new_password`, else the station keeps what it showed.
    password: Option<String>,
    #[serde(default)]
    new_password: bool,
    connectors: Option<u16>,
}

#[derive(Serialize)]
struct Adopted {
    station: String,
    /// What to enter at the station; shown this once.
    password: Option<String>,
}

type Refusal = (StatusCode, String);

/// The routes.
pub(super) fn routes() -> Router<Local> {
    Router::new()
        .route("/api/onboarding", get(show).post(open).delete(close))
        .route("/api/stations/{station}/adopt", post(adopt))
        .route("/api/stations/{station}/reject", post(reject))
}

impl Onboarding {
    /// As the core sees it.
    pub fn of(core: &Core, now: Timestamp) -> Self {
        let pending = core.pending().map(|(station, it)| PendingView {
            station: station.to_string(),
            from: it.visitor.from.clone(),
            security_profile: it.visitor.security_profile,
            showed_credential: it.visitor.credential.is_some(),
            model: it.info.as_ref().map(|info| format!("{} {}", info.vendor, info.model)),
            serial: it.info.as_ref().and_then(|info| info.serial.clone()),
            firmware: it.info.as_ref().and_then(|info| info.firmware.clone()),
            connectors: it.connectors,
            since: it.since.to_string(),
        });
        let knocked = core.knocked_lately(now).map(|it| KnockView {
            station: it.station.to_string(),
            from: it.from.clone(),
            at: it.at.to_string(),
        });
        let open_until = core.gate().open_until.filter(|until| *until > now);
        Onboarding {
            open_until: open_until.map(|until| until.to_string()),
            pending: pending.collect(),
            knocked: knocked.collect(),
        }
    }
}

async fn show(State(local): State<Local>) -> Result<Json<Onboarding>, StatusCode> {
    let site = local.snapshot().await.ok_or(StatusCode::SERVICE_UNAVAILABLE)?;
    Ok(Json(site.onboarding))
}

async fn open(State(local): State<Local>, Json(wanted): Json<Open>) -> Result<Json<Onboarding>, Refusal> {
    let minutes = wanted.minutes.unwrap_or(WINDOW_MINUTES);
    decide(&local, InstallerAct::OpenWindow { minutes }).await?;
    show(State(local)).await.map_err(|status| (status, String::new()))
}

async fn close(State(local): State<Local>) -> Result<Json<Onboarding>, Refusal> {
    decide(&local, InstallerAct::CloseWindow).await?;
    show(State(local)).await.map_err(|status| (status, String::new()))
}

async fn adopt(
    State(local): State<Local>,
    Path(station): Path<String>,
    Json(wanted): Json<Adopt>,
) -> Result<Json<Adopted>, Refusal> {
    let station = named(station)?;
    let (password, credential) = credential(&wanted).await?.unzip();
    let act = InstallerAct::Adopt { station: station.clone(), credential, connectors: wanted.connectors };
    decide(&local, act).await?;
    Ok(Json(Adopted { station: station.to_string(), password }))
}

async fn reject(State(local): State<Local>, Path(station): Path<String>) -> Result<StatusCode, Refusal> {
    decide(&local, InstallerAct::Reject { station: named(station)? }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A new password and what it verifies against, where one is wanted.
async fn credential(wanted: &Adopt) -> Result<Option<(String, String)>, Refusal> {
    if let Some(password) = wanted.password.clone() {
        if !PASSWORD_LENGTH.contains(&password.len()) {
            return Err((StatusCode::BAD_REQUEST, "a password has 16 to 40 characters\n".into()));
        }
        let bytes = password.clone().into_bytes();
        let hashed = tokio::task::spawn_blocking(move || hash_chosen(&bytes)).await.ok().flatten();
        let hashed = hashed.ok_or((StatusCode::INTERNAL_SERVER_ERROR, String::new()))?;
        return Ok(Some((password, hashed)));
    }
    if !wanted.new_password {
        return Ok(None);
    }
    let mut random = [0; 18];
    getrandom::fill(&mut random).expect("the operating system gives random bytes");
    let password = URL_SAFE_NO_PAD.encode(random);
    let hashed = hash_generated(password.as_bytes());
    Ok(Some((password, hashed)))
}

fn named(station: String) -> Result<StationId, Refusal> {
    StationId::new(station).map_err(|error| (StatusCode::BAD_REQUEST, format!("{error}\n")))
}

/// Returns once it is committed.
async fn decide(local: &Local, act: InstallerAct) -> Result<(), Refusal> {
    let stopping = || (StatusCode::SERVICE_UNAVAILABLE, "stopping\n".to_owned());
    let (done, decided) = oneshot::channel();
    local.site.send(Message::Installer { act, done }).await.map_err(|_| stopping())?;
    match decided.await.map_err(|_| stopping())? {
        Ok(()) => Ok(()),
        Err(objection) => Err((StatusCode::CONFLICT, format!("{objection}\n"))),
    }
}
