//! Firmware on a stick: `POST /api/firmware` takes an image in, and says what it hashes to, for the order to name it.

use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Json, Router};
use futures_util::TryStreamExt as _;
use serde_json::json;
use tokio_util::io::StreamReader;

use super::Local;

pub(super) fn routes() -> Router<Local> {
    Router::new().route("/api/firmware", post(bring))
}

/// The body streams to the disk, so that no limit of bodies in memory is its limit.
async fn bring(State(local): State<Local>, headers: HeaderMap, body: Body) -> Response {
    let size = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    let Some(size) = size.filter(|size| *size > 0) else {
        return refused(StatusCode::LENGTH_REQUIRED, "Say how long the image is: Content-Length.");
    };
    let body = StreamReader::new(body.into_data_stream().map_err(std::io::Error::other));
    match local.images.take(size, body).await {
        Ok(sha256) => Json(json!({ "sha256": sha256.to_string(), "size": size })).into_response(),
        Err(error) => refused(StatusCode::BAD_REQUEST, &format!("The image was not kept: {error:#}.")),
    }
}

fn refused(status: StatusCode, error: &str) -> Response {
    (status, Json(json!({ "error": error }))).into_response()
}
