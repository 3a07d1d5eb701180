//! `POST /enroll`: a claim code against an identity.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{ConnectInfo, DefaultBodyLimit, FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use shared::id::GatewayId;
use shared::sync::{FrameKey, SHARDS};
use uuid::Uuid;

use super::{hash, mosquitto, nats};
use crate::auth::throttle::Throttle;
use crate::db::gateway::{self as rows, NewGateway};
use crate::{App, documents};

const SECRET_BYTES: usize = 32;
const BODY_LIMIT: usize = 16 * 1024;
const LONGEST_VERSION: usize = 64;

#[derive(Clone)]
struct Enrolment {
    app: App,
    throttle: Arc<Throttle>,
}

#[derive(Deserialize)]
struct Claim {
    claim: String,
    /// Who the box is already: only a code that renews this identity is meant.
    #[serde(default)]
    gateway: Option<GatewayId>,
    /// What the box runs, for people.
    #[serde(default)]
    agent: Option<String>,
}

/// What the box keeps. The secret exists only here and there.
#[derive(Serialize)]
struct Identity {
    gateway: GatewayId,
    shard: u16,
    secret: String,
    mqtt_url: String,
    site: Site,
}

#[derive(Serialize)]
struct Site {
    id: i64,
    name: String,
}

/// The route, to be merged into the replica's router.
pub fn router(app: App) -> Router {
    Router::new()
        .route("/enroll", post(enroll))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .with_state(Enrolment { app, throttle: Arc::default() })
}

async fn enroll(
    State(state): State<Enrolment>,
    peer: Peer,
    headers: HeaderMap,
    Json(claim): Json<Claim>,
) -> Result<Json<Identity>, Refused> {
    let address = peer.address(&headers, state.app.config.http.trust_forwarded_for);
    if state.throttle.admit(&claim.claim, address, Instant::now()).is_err() {
        return Err(Refused::TooMany);
    }
    let identity = trade(&state.app, &claim).await?.ok_or(Refused::BadClaim)?;
    state.throttle.forgive(&claim.claim, address);
    tracing::info!(gateway = %identity.gateway, site = identity.site.id, "gateway enrolled");
    Ok(Json(identity))
}

/// `None` when the code is unknown, used or expired.
async fn trade(app: &App, claim: &Claim) -> Result<Option<Identity>, sqlx::Error> {
    let code_hash = hash(&claim.claim);
    let mut tx = app.db.begin().await?;
    let Some(claimed) = rows::use_claim(&mut tx, &code_hash, claim.gateway).await? else { return Ok(None) };
    let site_id = claimed.site_id;
    let (id, shard) = match claimed.renews {
        Some(same) => same,
        None => (GatewayId(Uuid::new_v4()), rows::emptiest_shard(&mut tx, SHARDS).await?),
    };
    let mut secret = [0; SECRET_BYTES];
    getrandom::fill(&mut secret).expect("the operating system gives randomness");
    let password = URL_SAFE_NO_PAD.encode(secret);
    let new = NewGateway {
        id,
        shard,
        key: FrameKey::derive(&secret),
        mosquitto_password: mosquitto::password_hash(&password),
        nats_password: nats::password_hash(&password).expect("43 characters are not too many"),
        agent_version: claim.agent.as_ref().map(|version| version.chars().take(LONGEST_VERSION).collect()),
    };
    match claimed.renews {
        Some(_) => rows::renew(&mut tx, &code_hash, &new).await?,
        None => rows::insert(&mut tx, site_id, &code_hash, &new).await?,
    }
    documents::refresh_gateway(&mut tx, new.id, site_id).await?;
    let name = rows::site_name(&mut tx, site_id).await?.unwrap_or_default();
    tx.commit().await?;
    Ok(Some(Identity {
        gateway: new.id,
        shard: new.shard.0,
        secret: password,
        mqtt_url: app.mqtt_url.to_string(),
        site: Site { id: site_id, name },
    }))
}

#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("the claim code is unknown, used, expired, or for another gateway")]
    BadClaim,
    #[error("too many attempts; wait a few minutes")]
    TooMany,
    #[error("the database does not answer; try again")]
    Database(#[from] sqlx::Error),
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = match &self {
            Refused::BadClaim => StatusCode::FORBIDDEN,
            Refused::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Refused::Database(error) => {
                tracing::error!(%error, "enrolment failed");
                StatusCode::SERVICE_UNAVAILABLE
            }
        };
        (status, Json(serde_json::json!({ "error": self.to_string() }))).into_response()
    }
}

/// Who asks, as the listener tells it.
struct Peer(Option<IpAddr>);

impl<S: Sync> FromRequestParts<S> for Peer {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self(parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip())))
    }
}

impl Peer {
    fn address(&self, headers: &HeaderMap, trust_forwarded_for: bool) -> IpAddr {
        let forwarded = || {
            let all = headers.get_all("x-forwarded-for").iter().next_back()?.to_str().ok()?;
            all.rsplit(',').next()?.trim().parse().ok()
        };
        let peer = self.0.unwrap_or(IpAddr::from([0, 0, 0, 0]));
        if trust_forwarded_for { forwarded().unwrap_or(peer) } else { peer }
    }
}
