//! Files over HTTP: images that operators upload and gateways fetch, logs that gateways bring and operators download.
//!
//! They do not fit through the broker and should not be in memory: they stream in pieces of a mebibyte, each a row
//! (`db::file`). An operator shows the token that he shows `/graphql`; a gateway shows its id and secret, and gets only what it
//! was ordered to install, and brings only what it was ordered to bring.

mod gateway;
mod incoming;
mod operator;
mod outgoing;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use tower_http::timeout::{RequestBodyTimeoutLayer, ResponseBodyTimeoutLayer};

use crate::App;
use crate::auth::Auth;
use crate::db::file;
use crate::gateways::Keys;

/// How long somebody may send nothing, or take nothing in.
const SILENCE: Duration = Duration::from_secs(60);
const TIDY_EVERY: Duration = Duration::from_hours(1);

/// Where an image is uploaded.
pub fn upload_path(id: uuid::Uuid) -> String {
    format!("/firmwares/{id}")
}

/// Where a log is downloaded.
pub fn download_path(id: uuid::Uuid) -> String {
    format!("/logs/{id}")
}

/// What those for people share.
#[derive(Clone)]
struct ForPeople {
    app: App,
    auth: Arc<Auth>,
}

/// What those for gateways share.
#[derive(Clone)]
struct ForGateways {
    app: App,
    keys: Arc<Keys>,
}

/// The routes, for people.
pub(crate) fn for_people(app: App, auth: Arc<Auth>) -> Router {
    Router::new()
        .route("/firmwares/{id}", put(operator::upload).post(operator::upload))
        .route("/logs/{id}", get(operator::download))
        .layer(DefaultBodyLimit::disable())
        .layer(RequestBodyTimeoutLayer::new(SILENCE))
        .layer(ResponseBodyTimeoutLayer::new(SILENCE))
        .with_state(ForPeople { app, auth })
}

/// The routes, for gateways.
pub(crate) fn for_gateways(app: App) -> Router {
    Router::new()
        .route("/gateway/firmwares/{id}", get(gateway::fetch))
        .route("/gateway/logs/{id}/{piece}", put(gateway::bring))
        .route("/gateway/logs/{id}", post(gateway::finish))
        .layer(DefaultBodyLimit::max(file::PIECE))
        .layer(RequestBodyTimeoutLayer::new(SILENCE))
        .layer(ResponseBodyTimeoutLayer::new(SILENCE))
        .with_state(ForGateways { app, keys: Arc::default() })
}

/// Deletes what nobody will ask for, until `stop`.
///
/// # Errors
/// None: a database that is away is waited for.
pub async fn sweep(db: PgPool, log_days: u32, stop: CancellationToken) -> anyhow::Result<()> {
    let mut clock = tokio::time::interval(TIDY_EVERY);
    while stop.run_until_cancelled(clock.tick()).await.is_some() {
        if let Err(error) = file::tidy(&db, log_days).await {
            tracing::warn!(%error, "old files are not deleted; trying again");
        }
    }
    Ok(())
}

/// Why a file was not given or taken.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("Sign in first: send your token behind Bearer.")]
    Nobody,
    #[error("This gateway is not enrolled, or its secret is wrong.")]
    NoGateway,
    #[error("There is no such file.")]
    NotFound,
    #[error("Nobody waits for this log any more.")]
    NotWanted,
    #[error("This image is uploaded already. Create another firmware for another image.")]
    Uploaded,
    #[error("A file here has at most {0} bytes.")]
    TooLarge(u64),
    #[error("There is nothing in it.")]
    Empty,
    #[error("{0}")]
    Broken(String),
    #[error("The database does not answer; try again.")]
    Database(#[from] sqlx::Error),
    #[error("Something is wrong here; try again.")]
    Internal(#[from] anyhow::Error),
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = match &self {
            Refused::Nobody | Refused::NoGateway => StatusCode::UNAUTHORIZED,
            Refused::NotFound => StatusCode::NOT_FOUND,
            Refused::NotWanted => StatusCode::GONE,
            Refused::Uploaded => StatusCode::CONFLICT,
            Refused::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Refused::Empty | Refused::Broken(_) => StatusCode::BAD_REQUEST,
            Refused::Database(error) => {
                tracing::error!(%error, "a file was not moved");
                StatusCode::SERVICE_UNAVAILABLE
            }
            Refused::Internal(error) => {
                tracing::error!(error = format!("{error:#}"), "a file was not moved");
                StatusCode::INTERNAL_SERVER_ERROR
            }
        };
        (status, axum::Json(serde_json::json!({ "error": self.to_string() }))).into_response()
    }
}
