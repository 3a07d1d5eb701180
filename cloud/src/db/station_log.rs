//! Logs that stations were asked for.

use chrono::{DateTime, Utc};
use shared::id::{CommandId, GatewayId};
use shared::model::file::{LogKind, ReceivedFile};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::firmware::Step;
use super::text;
use crate::auth::Reach;

/// A log and how far it is.
#[derive(Debug, Clone, sqlx::FromRow)]
#[expect(missing_docs, reason = "the names are the columns'")]
pub struct StationLog {
    pub id: Uuid,
    pub charge_point_id: i64,
    pub kind: String,
    pub state: String,
    pub detail: String,
    pub state_at: DateTime<Utc>,
    pub ended: bool,
    pub file_id: Uuid,
    pub name: Option<String>,
    pub size: Option<i64>,
    pub sha256: Option<Vec<u8>>,
    pub received_at: Option<DateTime<Utc>>,
    pub arrived_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub steps: sqlx::types::Json<Vec<Step>>,
}

/// Writes down that a log was asked for.
///
/// # Errors
/// As any statement.
pub async fn insert(
    tx: &mut PgConnection,
    command: CommandId,
    charge_point: i64,
    kind: LogKind,
) -> sqlx::Result<()> {
    sqlx::query("insert into station_logs (id, charge_point_id, kind) values ($1, $2, $3)")
        .bind(command.0)
        .bind(charge_point)
        .bind(kind.name())
        .execute(tx)
        .await?;
    Ok(())
}

/// A station's logs, or one log, within reach, the newest first.
///
/// # Errors
/// When the database does not answer.
pub async fn page(
    tx: &mut PgConnection,
    charge_point: Option<i64>,
    id: Option<Uuid>,
    reach: &Reach,
    (limit, offset): (i64, i64),
) -> sqlx::Result<Vec<StationLog>> {
    sqlx::query_as(
        "select l.*, coalesce((select json_agg(json_build_object('state', state, 'detail', detail, 'at', at) order by at, id)
                               from file_steps where command = l.id), '[]'::json) as steps
         from station_logs l join charge_points p on p.id = l.charge_point_id join sites s on s.id = p.site_id
         where ($1::bigint is null or l.charge_point_id = $1) and ($2::uuid is null or l.id = $2)
           and ($3 or s.owner_id = $4 or s.organization_id = any($5))
         order by l.created_at desc, l.id limit $6 offset $7",
    )
    .bind(charge_point)
    .bind(id)
    .bind(reach.everything)
    .bind(reach.user)
    .bind(&reach.organizations)
    .bind(limit)
    .bind(offset)
    .fetch_all(tx)
    .await
}

/// What a gateway may bring: where its pieces go, and what arrived of it already.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Awaited {
    /// Where its pieces go.
    pub file_id: Uuid,
    /// What it hashes to, if it is here whole.
    pub arrived: Option<Vec<u8>>,
}

/// A log that this gateway was ordered to bring.
///
/// # Errors
/// When the database does not answer.
pub async fn awaited(db: &PgPool, id: Uuid, gateway: GatewayId) -> sqlx::Result<Option<Awaited>> {
    sqlx::query_as(
        "select l.file_id, case when l.arrived_at is not null then l.sha256 end as arrived
         from station_logs l join commands c on c.id = l.id where l.id = $1 and c.gateway_id = $2",
    )
    .bind(id)
    .bind(gateway.0)
    .fetch_optional(db)
    .await
}

/// Does anybody know of an order of this id? One that was given at the gateway is told of when its station has answered.
///
/// # Errors
/// When the database does not answer.
pub async fn is_ordered(db: &PgPool, id: Uuid, gateway: GatewayId) -> sqlx::Result<bool> {
    sqlx::query_scalar("select exists (select from commands where id = $1 and gateway_id = $2)")
        .bind(id)
        .bind(gateway.0)
        .fetch_one(db)
        .await
}

/// What is here is not what will be.
///
/// # Errors
/// When the database does not answer.
pub async fn awaited_again(db: &PgPool, id: Uuid) -> sqlx::Result<()> {
    sqlx::query("update station_logs set arrived_at = null where id = $1").bind(id).execute(db).await?;
    Ok(())
}

/// The log is here, whole.
///
/// # Errors
/// As any statement.
pub async fn arrived(tx: &mut PgConnection, id: Uuid, file: &ReceivedFile) -> sqlx::Result<()> {
    sqlx::query(
        "update station_logs set name = $2, size = $3, sha256 = $4, arrived_at = now(),
                received_at = coalesce(received_at, now())
         where id = $1",
    )
    .bind(id)
    .bind(text(&file.name))
    .bind(i64::try_from(file.size).unwrap_or(i64::MAX))
    .bind(&file.sha256.0[..])
    .execute(tx)
    .await?;
    Ok(())
}
