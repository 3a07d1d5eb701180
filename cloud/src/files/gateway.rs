//! For gateways: an image out, a log in.
//!
//! A log comes in numbered pieces, so that a bad line costs a piece and not the log, and then as a whole: whoever says that it is
//! whole hears which pieces are missing.

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::header::HeaderMap;
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse as _;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use shared::id::GatewayId;
use shared::model::file::ReceivedFile;
use sqlx::PgPool;
use uuid::Uuid;

use super::outgoing::Outgoing;
use super::{ForGateways, Refused};
use crate::db::file::{self, PIECE};
use crate::db::firmware;
use crate::db::station_log::{self, Awaited};
use crate::gateways;
use crate::live::{self, Hint};

/// `GET /gateway/firmwares/{id}`: an image that it was ordered to install.
pub(super) async fn fetch(
    State(files): State<ForGateways>,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
) -> Result<Response<Body>, Refused> {
    let gateway = who(&files, &headers).await?;
    let (file, size) = firmware::file_for(&files.app.db, id, gateway).await?.ok_or(Refused::NotFound)?;
    metrics::counter!("firmware_fetches_total").increment(1);
    let size = u64::try_from(size).map_err(anyhow::Error::from)?;
    Ok(Outgoing { id: file, size, asked: &headers }.answer(&files.app.db))
}

/// `PUT /gateway/logs/{id}/{piece}`: a piece of a log.
pub(super) async fn bring(
    State(files): State<ForGateways>,
    Path((id, piece)): Path<(Uuid, u32)>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<StatusCode, Refused> {
    let gateway = who(&files, &headers).await?;
    let awaited = awaited(&files.app.db, id, gateway).await?;
    let most = files.app.config.files.log_bytes();
    if u64::from(piece) * PIECE as u64 + bytes.len() as u64 > most {
        return Err(Refused::TooLarge(most));
    }
    let piece = i32::try_from(piece).map_err(anyhow::Error::from)?;
    file::write_piece(&files.app.db, awaited.file_id, piece, &bytes).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /gateway/logs/{id}`: that is all of it. 200: it is here; 409: these pieces are missing.
pub(super) async fn finish(
    State(files): State<ForGateways>,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
    Json(told): Json<ReceivedFile>,
) -> Result<Response<Body>, Refused> {
    let gateway = who(&files, &headers).await?;
    let db = &files.app.db;
    let awaited = awaited(db, id, gateway).await?;
    if awaited.arrived.as_deref() == Some(&told.sha256.0[..]) {
        return Ok(StatusCode::OK.into_response());
    }
    if awaited.arrived.is_some() {
        // The station brought it once more: what is here is about to change.
        station_log::awaited_again(db, id).await?;
    }
    if told.size > files.app.config.files.log_bytes() {
        tracing::warn!(%gateway, size = told.size, "a log is larger than files.log_megabytes: it stays on the gateway");
        return Err(Refused::NotWanted);
    }
    let missing = missing(db, awaited.file_id, &told).await?;
    if !missing.is_empty() {
        return Ok((StatusCode::CONFLICT, Json(json!({ "missing": missing }))).into_response());
    }
    let mut tx = db.begin().await?;
    station_log::arrived(&mut tx, id, &told).await?;
    live::notify(&mut tx, &Hint { files: vec![id], ..Hint::default() }).await?;
    tx.commit().await?;
    Ok(StatusCode::OK.into_response())
}

/// The pieces that are not here, or not as long as they should be; all of them when they add up to something else.
async fn missing(db: &PgPool, id: Uuid, told: &ReceivedFile) -> Result<Vec<i32>, Refused> {
    let length = i32::try_from(PIECE).map_err(anyhow::Error::from)?;
    let count = i32::try_from(told.size.div_ceil(PIECE as u64)).map_err(anyhow::Error::from)?;
    let rest = i32::try_from(told.size % PIECE as u64).map_err(anyhow::Error::from)?;
    let wanted = |piece: i32| if piece == count - 1 && rest > 0 { rest } else { length };
    file::drop_pieces(db, id, count).await?;
    let here = file::pieces(db, id).await?;
    let lacks = |piece: &i32| !here.contains(&(*piece, wanted(*piece)));
    let missing: Vec<i32> = (0..count).filter(lacks).collect();
    if !missing.is_empty() {
        return Ok(missing);
    }
    let mut hasher = Sha256::new();
    for piece in 0..count {
        hasher.update(file::read_piece(db, id, piece).await?.unwrap_or_default());
    }
    if hasher.finalize()[..] == told.sha256.0 {
        return Ok(vec![]);
    }
    file::drop_pieces(db, id, 0).await?;
    Ok((0..count).collect())
}

/// The log that a gateway brings, unless it is not known yet, or wanted no longer.
async fn awaited(db: &PgPool, id: Uuid, gateway: GatewayId) -> Result<Awaited, Refused> {
    match station_log::awaited(db, id, gateway).await? {
        Some(awaited) => Ok(awaited),
        None if station_log::is_ordered(db, id, gateway).await? => Err(Refused::NotWanted),
        None => Err(Refused::NotFound),
    }
}

/// Who asks.
async fn who(files: &ForGateways, headers: &HeaderMap) -> Result<GatewayId, Refused> {
    let known = gateways::who(&files.app.db, &files.keys, headers).await?;
    known.map(|(id, _)| id).ok_or(Refused::NoGateway)
}
