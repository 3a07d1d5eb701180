//! Things a person has to look at. The same trouble again is counted on the same row.

use chrono::{DateTime, Utc};
use serde_json::Value;
use shared::id::GatewayId;
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use super::text;
use crate::auth::Reach;

/// One trouble.
#[derive(Debug, Clone, PartialEq)]
pub struct Alarm {
    /// What sort, as a stable word.
    pub kind: String,
    /// What it is about: with the kind and the gateway, its identity.
    pub subject: String,
    /// The circumstances.
    pub detail: Value,
}

/// Raises it. What is about nothing smaller is about its gateway.
pub async fn raise(
    tx: &mut PgConnection,
    gateway: Option<GatewayId>,
    site_id: Option<i64>,
    alarm: &Alarm,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into alarms (kind, subject, gateway_id, site_id, detail) values ($1, $2, $3, $4, $5)
         on conflict (kind, subject, gateway_id) do update
         set detail = excluded.detail, count = alarms.count + 1, raised_at = now(), acknowledged_at = null",
    )
    .bind(text(&alarm.kind))
    .bind(match gateway {
        Some(gateway) if alarm.subject.is_empty() => gateway.to_string(),
        Some(_) | None => text(&alarm.subject),
    })
    .bind(gateway.map(|id| id.0))
    .bind(site_id)
    .bind(Json(&alarm.detail))
    .execute(tx)
    .await?;
    Ok(())
}

/// An alarm as it stands.
#[derive(Debug, Clone, sqlx::FromRow)]
#[expect(missing_docs, reason = "the names are the columns'")]
pub struct Raised {
    pub id: i64,
    pub kind: String,
    pub subject: String,
    pub gateway_id: Option<Uuid>,
    pub site_id: Option<i64>,
    pub detail: Json<Value>,
    pub count: i32,
    pub first_at: DateTime<Utc>,
    pub raised_at: DateTime<Utc>,
    pub acknowledged_at: Option<DateTime<Utc>>,
    pub acknowledged_by: Option<i64>,
}

const RAISED: &str =
    "select a.id, a.kind, a.subject, a.gateway_id, a.site_id, a.detail, a.count, a.first_at, a.raised_at,
       a.acknowledged_at, a.acknowledged_by
     from alarms a left join sites s on s.id = a.site_id
     where ($1 or s.owner_id = $2 or s.organization_id = any($3))";

/// Alarms within reach, the newest first.
///
/// # Errors
/// As any statement.
pub async fn list(
    tx: &mut PgConnection,
    reach: &Reach,
    (site, open): (Option<i64>, Option<bool>),
    limit: i64,
) -> sqlx::Result<Vec<Raised>> {
    let query = format!(
        "{RAISED} and ($4::bigint is null or a.site_id = $4) and ($5::boolean is null or (a.acknowledged_at is null) = $5)
         order by a.raised_at desc, a.id desc limit $6"
    );
    sqlx::query_as(sqlx::AssertSqlSafe(query))
        .bind(reach.everything)
        .bind(reach.user)
        .bind(&reach.organizations)
        .bind(site)
        .bind(open)
        .bind(limit)
        .fetch_all(tx)
        .await
}

/// One alarm within reach.
///
/// # Errors
/// As any statement.
pub async fn find(tx: &mut PgConnection, reach: &Reach, id: i64) -> sqlx::Result<Option<Raised>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!("{RAISED} and a.id = $4")))
        .bind(reach.everything)
        .bind(reach.user)
        .bind(&reach.organizations)
        .bind(id)
        .fetch_optional(tx)
        .await
}

/// Somebody has seen to it. When it is raised again it is open again.
///
/// # Errors
/// As any statement.
pub async fn acknowledge(tx: &mut PgConnection, id: i64, by: i64) -> sqlx::Result<()> {
    sqlx::query("update alarms set acknowledged_at = now(), acknowledged_by = $2 where id = $1")
        .bind(id)
        .bind(by)
        .execute(tx)
        .await?;
    Ok(())
}
