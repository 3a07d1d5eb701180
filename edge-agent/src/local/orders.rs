//! Orders to stations, by HTTP: `POST /api/stations/ID/OPERATION` with the operation's members as JSON.
//!
//! They take the same way as the cloud's: through the core, once per id, recorded, and told to the cloud when it is there.

use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use shared::id::{CommandId, StationId};
use shared::model::command::{Command, CommandResult, Origin, Told};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::Local;
use super::operation::{Given, Operation};
use crate::clock;
use crate::site::Message;

/// Seconds for which an order is worth doing, unless somebody says otherwise, and at most.
const LIFE: u32 = 20;
const LONGEST_LIFE: u32 = 30 * 86_400;
/// How long an answer waits for the order's end.
const PATIENCE: Duration = Duration::from_secs(30);

/// The terms of an order.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Terms {
    /// Seconds for which it is worth doing.
    pub expires_in: Option<u32>,
    /// Keep it until the station is there.
    #[serde(default)]
    pub wait_for_station: bool,
}

/// How an order went.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// Its id: sent again as `Idempotency-Key`, it is the same order.
    pub command: Uuid,
    /// `None` while it has not ended.
    pub outcome: Option<String>,
    /// For a person.
    #[serde(default)]
    pub detail: String,
    /// What the station told, if it was asked something.
    #[serde(default)]
    pub told: Value,
}

pub(super) fn routes() -> Router<Local> {
    Router::new().route("/api/stations/{station}/{operation}", post(order))
}

async fn order(
    State(local): State<Local>,
    Path((station, operation)): Path<(String, String)>,
    Query(terms): Query<Terms>,
    headers: HeaderMap,
    Json(members): Json<Map<String, Value>>,
) -> Response {
    match read(&local, &station, operation, terms, &headers, members) {
        Ok(command) => put(&local, command).await,
        Err(error) => (StatusCode::BAD_REQUEST, Json(json!({ "error": error }))).into_response(),
    }
}

fn read(
    local: &Local,
    station: &str,
    operation: String,
    terms: Terms,
    headers: &HeaderMap,
    members: Map<String, Value>,
) -> Result<Command, String> {
    let station = StationId::new(station).map_err(|_| format!("{station:?} is no station's identity."))?;
    let known = local.directory.knows(&station);
    if !known {
        return Err(format!("There is no station {station} at this site."));
    }
    let named = Value::Object(Map::from_iter([(operation, Value::Object(members))]));
    let operation: Operation = serde_json::from_value(named).map_err(|error| error.to_string())?;
    let now = local.clock.now();
    let id = match headers.get("idempotency-key") {
        Some(key) => {
            let key = key.to_str().ok().and_then(|key| key.parse().ok());
            key.ok_or("Idempotency-Key must be a UUID.")?
        }
        None => clock::uuid_at(now),
    };
    let life = terms.expires_in.unwrap_or(LIFE);
    if !(1..=LONGEST_LIFE).contains(&life) {
        return Err(format!("expires_in must be 1 to {LONGEST_LIFE} seconds."));
    }
    Ok(Command {
        id: CommandId(id),
        issued_at: now,
        expires_at: now.plus_millis(i64::from(life) * 1000),
        station,
        body: operation.body(Given { id: CommandId(id), now, held: &|sha256| local.images.size(sha256) })?,
        waits: terms.wait_for_station,
        origin: Origin::Installer,
    })
}

async fn put(local: &Local, command: Command) -> Response {
    let id = command.id;
    let (done, ended) = oneshot::channel();
    let gone = || (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "error": "The gateway is stopping." })));
    if local.site.send(Message::Order { command, done }).await.is_err() {
        return gone().into_response();
    }
    match tokio::time::timeout(PATIENCE, ended).await {
        Ok(Ok(result)) => Json(Outcome::of(result)).into_response(),
        Ok(Err(_)) => gone().into_response(),
        Err(_) => {
            let open = Outcome { command: id.0, outcome: None, detail: String::new(), told: Value::Null };
            (StatusCode::ACCEPTED, Json(open)).into_response()
        }
    }
}

impl Outcome {
    fn of(result: CommandResult) -> Self {
        let told = if result.told == Told::Nothing {
            Value::Null
        } else {
            serde_json::to_value(&result.told).unwrap_or_default()
        };
        let outcome = Some(result.outcome.name().to_owned());
        Outcome { command: result.id.0, outcome, detail: result.detail, told }
    }
}
