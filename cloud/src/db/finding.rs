//! What was odd about stations' words, as rows.

use chrono::{DateTime, Utc};
use shared::model::finding::{FindingNoted, Severity};
use sqlx::PgConnection;
use uuid::Uuid;

use super::record::Origin;
use super::text;
use crate::auth::Reach;

/// A kind of oddity of a station.
#[derive(Debug, Clone, sqlx::FromRow)]
#[expect(missing_docs, reason = "the names are the columns'")]
pub struct Finding {
    pub id: i64,
    pub charge_point_id: i64,
    pub station: String,
    pub action: String,
    pub field: String,
    pub oddity: String,
    pub hard: bool,
    pub count: i64,
    pub first_at: DateTime<Utc>,
    pub last_at: DateTime<Utc>,
    pub detail: String,
    pub example: String,
    pub session_id: Option<Uuid>,
}

/// Keeps what a gateway told: the newest of each kind. A count never falls, even where a gateway begins to count anew.
///
/// # Errors
/// As any statement.
pub async fn keep(tx: &mut PgConnection, origin: Origin, it: &FindingNoted) -> sqlx::Result<()> {
    sqlx::query(
        "insert into findings (charge_point_id, action, field, oddity, hard, count, first_at, last_at, detail, example,
                               session_id)
         select p.id, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12 from charge_points p
         where p.site_id = $1 and p.charge_point_hardware_id = $2
         on conflict (charge_point_id, action, field, oddity) do update
         set hard = excluded.hard, count = greatest(findings.count, excluded.count),
             first_at = least(findings.first_at, excluded.first_at),
             last_at = greatest(findings.last_at, excluded.last_at), detail = excluded.detail,
             session_id = coalesce(excluded.session_id, findings.session_id)",
    )
    .bind(origin.site_id)
    .bind(text(it.station.as_str()))
    .bind(text(&it.action))
    .bind(text(&it.field))
    .bind(it.oddity.to_string())
    .bind(it.severity == Severity::Hard)
    .bind(i64::try_from(it.count).unwrap_or(i64::MAX))
    .bind(it.first_at.to_utc().unwrap_or_default())
    .bind(it.at.to_utc().unwrap_or_default())
    .bind(text(&it.text))
    .bind(text(&it.example))
    .bind(it.session.map(|session| session.0))
    .execute(tx)
    .await?;
    Ok(())
}

/// Whose findings.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted {
    /// Of this site.
    pub site: Option<i64>,
    /// Of this station.
    pub charge_point: Option<i64>,
    /// Only those that matter to a bill, or only the others.
    pub hard: Option<bool>,
}

/// Findings within reach, the newest first.
///
/// # Errors
/// As any statement.
pub async fn list(
    tx: &mut PgConnection,
    reach: &Reach,
    wanted: Wanted,
    limit: i64,
) -> sqlx::Result<Vec<Finding>> {
    sqlx::query_as(
        "select f.id, f.charge_point_id, coalesce(p.charge_point_hardware_id, '') as station, f.action, f.field, f.oddity,
                f.hard, f.count, f.first_at, f.last_at, f.detail, f.example, f.session_id
         from findings f join charge_points p on p.id = f.charge_point_id join sites s on s.id = p.site_id
         where ($1 or s.owner_id = $2 or s.organization_id = any($3))
           and ($4::bigint is null or s.id = $4) and ($5::bigint is null or p.id = $5)
           and ($6::boolean is null or f.hard = $6)
         order by f.last_at desc, f.id limit $7",
    )
    .bind(reach.everything)
    .bind(reach.user)
    .bind(&reach.organizations)
    .bind(wanted.site)
    .bind(wanted.charge_point)
    .bind(wanted.hard)
    .bind(limit)
    .fetch_all(tx)
    .await
}
