//! Things a person has to look at. The same trouble again is counted on the same row.

use serde_json::Value;
use shared::id::GatewayId;
use sqlx::PgConnection;
use sqlx::types::Json;

use super::text;

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
