//! A station's frames and settings, for whoever stands before it.

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use shared::id::StationId;
use shared::model::command::ConfigurationEntry;
use shared::model::frame_log::{Direction, FrameFilter, LoggedFrame};
use shared::ocpp::lenient::time;

use super::Local;

/// Frames in one export.
const MOST: u32 = 10_000;

#[derive(Deserialize)]
struct Wanted {
    since: Option<String>,
    until: Option<String>,
    action: Option<String>,
    direction: Option<Direction>,
    after: Option<u64>,
    limit: Option<u32>,
}

/// The routes.
pub(super) fn routes() -> Router<Local> {
    Router::new()
        .route("/api/stations/{station}/frames", get(frames))
        .route("/api/stations/{station}/settings", get(settings))
}

/// JSON lines, the oldest first.
async fn frames(
    State(local): State<Local>,
    Path(station): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<impl IntoResponse, (StatusCode, String)> {
    let station = named(station)?;
    let instant = |text: Option<String>| match text {
        None => Ok(None),
        Some(text) => time::parse(&text).map(|it| Some(it.at)).ok_or_else(|| {
            (StatusCode::BAD_REQUEST, format!("{text:?} is no time such as 2026-01-31T12:00:00Z\n"))
        }),
    };
    let filter = FrameFilter {
        since: instant(wanted.since)?,
        until: instant(wanted.until)?,
        action: wanted.action,
        direction: wanted.direction,
        after: wanted.after,
        limit: None,
    };
    let most = wanted.limit.unwrap_or(MOST).min(MOST);
    let found = local.frames.export(station, filter, most).await;
    let found = found.map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}\n")))?;
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], found.iter().map(line).collect::<String>()))
}

async fn settings(
    State(local): State<Local>,
    Path(station): Path<String>,
) -> Result<Json<Vec<ConfigurationEntry>>, (StatusCode, String)> {
    let read = local.store.settings(named(station)?).await;
    read.map(Json).map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}\n")))
}

fn named(station: String) -> Result<StationId, (StatusCode, String)> {
    StationId::new(station).map_err(|error| (StatusCode::BAD_REQUEST, format!("{error}\n")))
}

fn line(frame: &LoggedFrame) -> String {
    let line = serde_json::json!({
        "number": frame.number,
        "at": frame.at.to_string(),
        "connection": frame.connection,
        "direction": frame.direction.name(),
        "action": frame.action,
        "messageId": frame.message_id,
        "text": frame.text,
        "lostBefore": frame.lost_before,
    });
    format!("{line}\n")
}
