//! HTTP for stations: images out, with ranges, and logs in, as a body or as a form's file.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::multipart::Multipart;
use axum::extract::{DefaultBodyLimit, FromRequest as _, Path, Request, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, put};
use futures_util::TryStreamExt as _;
use metrics::counter;
use tokio::io::AsyncRead;
use tokio_util::io::StreamReader;
use tower_http::services::ServeFile;
use tower_http::timeout::{RequestBodyTimeoutLayer, ResponseBodyTimeoutLayer};

use super::Files;
use super::inbox::NotTaken;
use super::place::Place;

/// How long a station may send nothing, or take nothing in.
const SILENCE: Duration = Duration::from_secs(60);

/// The routes. What is not there and what one may not have look the same.
pub(super) fn router(files: Arc<Files>) -> Router {
    let bring = put(bring).post(bring);
    Router::new()
        .route("/firmware/{secret}/{name}", get(fetch))
        .route("/logs/{secret}", bring.clone())
        .route("/logs/{secret}/", bring.clone())
        .route("/logs/{secret}/{*name}", bring)
        .layer(DefaultBodyLimit::disable())
        .layer(RequestBodyTimeoutLayer::new(SILENCE))
        .layer(ResponseBodyTimeoutLayer::new(SILENCE))
        .with_state(files)
}

async fn fetch(
    State(files): State<Arc<Files>>,
    Path((secret, _)): Path<(String, String)>,
    request: Request,
) -> Response {
    let place = files.place(&secret);
    let image = place.as_ref().and_then(|place| place.image.as_ref());
    let Some(path) = image.and_then(|image| files.cache.find(&image.sha256)) else { return nothing_here() };
    counter!("edge_firmware_served_total").increment(1);
    match ServeFile::new(path).try_call(request).await {
        Ok(response) => response.map(Body::new),
        Err(error) => {
            tracing::error!(%error, "an image cannot be read");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

async fn bring(
    State(files): State<Arc<Files>>,
    Path(path): Path<Vec<(String, String)>>,
    request: Request,
) -> Response {
    let part = |wanted: &str| path.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
    let place = part("secret").and_then(|secret| files.place(secret)).filter(|place| place.image.is_none());
    let Some(place) = place else { return nothing_here() };
    let headers = request.headers();
    if headers.contains_key("content-range") {
        return (StatusCode::NOT_IMPLEMENTED, "a log is brought whole\n").into_response();
    }
    let named = part("name").and_then(|name| name.rsplit('/').next()).filter(|name| !name.is_empty());
    let name = named.map(str::to_owned).or_else(|| disposition(headers)).unwrap_or_else(|| "log".to_owned());
    if is_form(headers) {
        return bring_form(&files, &place, request).await;
    }
    let body = StreamReader::new(request.into_body().into_data_stream().map_err(io::Error::other));
    taken(&place, files.inbox.take(&place, &name, 0, body).await)
}

/// The first file of a form, whatever its field is called.
async fn bring_form(files: &Files, place: &Place, request: Request) -> Response {
    let bad = |error: &dyn std::fmt::Display| (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response();
    let mut form = match Multipart::from_request(request, &()).await {
        Ok(form) => form,
        Err(error) => return bad(&error),
    };
    loop {
        match form.next_field().await {
            Err(error) => return bad(&error),
            Ok(None) => return bad(&"the form has no file"),
            Ok(Some(field)) => {
                if let Some(name) = field.file_name().map(str::to_owned) {
                    let body: Box<dyn AsyncRead + Unpin + Send> =
                        Box::new(StreamReader::new(field.map_err(io::Error::other)));
                    return taken(place, files.inbox.take(place, &name, 0, body).await);
                }
            }
        }
    }
}

fn taken(place: &Place, taken: Result<u64, NotTaken>) -> Response {
    let error = match taken {
        Ok(size) => {
            tracing::info!(station = %place.station, size, "a log came");
            return StatusCode::CREATED.into_response();
        }
        Err(error) => error,
    };
    tracing::warn!(station = %place.station, ?error, "a log was not taken");
    let status = match error {
        NotTaken::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
        NotTaken::NoRoom | NotTaken::Disk(_) => StatusCode::INSUFFICIENT_STORAGE,
        NotTaken::Busy | NotTaken::NotThere => StatusCode::CONFLICT,
        NotTaken::Ended(_) => StatusCode::BAD_REQUEST,
    };
    (status, format!("{error}\n")).into_response()
}

fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.trim_start().to_ascii_lowercase().starts_with("multipart/form-data")
}

fn disposition(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_DISPOSITION)?.to_str().ok()?;
    let (_, name) = value.split_once("filename=")?;
    Some(name.trim().trim_matches('"').to_owned())
}

fn nothing_here() -> Response {
    (StatusCode::NOT_FOUND, "nothing here\n").into_response()
}
