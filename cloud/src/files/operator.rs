//! For people: an image in, a log out.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::header::{CONTENT_DISPOSITION, HeaderMap, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderValue, Response};
use serde_json::{Value, json};
use shared::model::file::Sha256;
use uuid::Uuid;

use super::outgoing::Outgoing;
use super::{ForPeople, Refused, incoming};
use crate::auth::{Deed, Viewer};
use crate::db::audit::{self, Entry};
use crate::db::{firmware, station_log, viewer};
use crate::http;

/// `PUT /firmwares/{id}`: the bytes of an image that was announced by `createFirmware`.
pub(super) async fn upload(
    State(files): State<ForPeople>,
    Path(id): Path<Uuid>,
    request: Request,
) -> Result<Json<Value>, Refused> {
    let viewer = who(&files, request.headers()).await?;
    let reach = viewer.reach(Deed::Operate);
    let mut tx = viewer::begin(&files.app.db, &viewer).await?;
    let announced = firmware::find(&mut tx, id, &reach).await?.ok_or(Refused::NotFound)?;
    drop(tx);
    if announced.file_id.is_some() {
        return Err(Refused::Uploaded);
    }
    let (file, most) = (Uuid::new_v4(), files.app.config.files.firmware_bytes());
    let came = incoming::store(&files.app.db, file, request.into_body().into_data_stream(), most).await?;
    let size = i64::try_from(came.size).map_err(anyhow::Error::from)?;
    let mut tx = files.app.db.begin().await?;
    let Some(uploaded) = firmware::uploaded(&mut tx, id, file, size, &came.sha256).await? else {
        drop(tx);
        crate::db::file::drop_pieces(&files.app.db, file, 0).await?;
        return Err(Refused::Uploaded);
    };
    let answer = json!({ "id": id, "size": came.size, "sha256": Sha256(came.sha256).to_string() });
    let entry = Entry {
        actor: Some(viewer.id),
        action: "upload",
        entity: "Firmware",
        row_id: Some(id.to_string()),
        organization_id: uploaded.organization_id,
        after: Some(answer.clone()),
        ..Entry::default()
    };
    audit::write(&mut tx, &entry).await?;
    tx.commit().await?;
    Ok(Json(answer))
}

/// `GET /logs/{id}`: a station's log.
pub(super) async fn download(
    State(files): State<ForPeople>,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
) -> Result<Response<Body>, Refused> {
    let viewer = who(&files, &headers).await?;
    let mut tx = viewer::begin(&files.app.db, &viewer).await?;
    let reach = viewer.reach(Deed::Operate);
    let found = station_log::page(&mut tx, None, Some(id), &reach, (1, 0)).await?.pop();
    drop(tx);
    let log = found.filter(|log| log.arrived_at.is_some()).ok_or(Refused::NotFound)?;
    let size = log.size.and_then(|size| u64::try_from(size).ok()).ok_or(Refused::NotFound)?;
    let mut response = Outgoing { id: log.file_id, size, asked: &headers }.answer(&files.app.db);
    let safe = |c: &char| c.is_ascii_alphanumeric() || "-_.".contains(*c);
    let name: String = log.name.unwrap_or_default().chars().filter(safe).collect();
    let disposition = HeaderValue::from_str(&format!("attachment; filename=\"{name}\""));
    response.headers_mut().insert(CONTENT_DISPOSITION, disposition.map_err(anyhow::Error::from)?);
    // It came from a station: no browser shall take it for a page.
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Ok(response)
}

/// Who asks.
async fn who(files: &ForPeople, headers: &HeaderMap) -> Result<Viewer, Refused> {
    let token = http::token(headers).ok_or(Refused::Nobody)?;
    files.auth.viewer(&token).await?.ok_or(Refused::Nobody)
}
