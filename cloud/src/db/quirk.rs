//! What is peculiar about stations, and what gateways suggest, as rows.

use chrono::{DateTime, Utc};
use shared::model::quirks::{QuirkSuggested, StationQuirks, Suggestion};
use sqlx::PgConnection;
use sqlx::types::Json;

use super::record::Origin;
use super::text;
use crate::auth::Reach;

/// A suggestion that nobody has decided on.
#[derive(Debug, Clone, sqlx::FromRow)]
#[expect(missing_docs, reason = "the names are the columns'")]
pub struct Suggested {
    pub id: i64,
    pub charge_point_id: i64,
    pub site_id: i64,
    pub station: String,
    pub suggestion: Json<Suggestion>,
    pub evidence: String,
    pub suggested_at: DateTime<Utc>,
    pub quirks: Option<Json<StationQuirks>>,
}

/// Keeps what a gateway suggests. What was decided before stays decided.
///
/// # Errors
/// As any statement.
pub async fn suggested(tx: &mut PgConnection, origin: Origin, it: &QuirkSuggested) -> sqlx::Result<()> {
    sqlx::query(
        "insert into quirk_suggestions (charge_point_id, name, suggestion, evidence, suggested_at)
         select p.id, $3, $4, $5, $6 from charge_points p where p.site_id = $1 and p.charge_point_hardware_id = $2
         on conflict (charge_point_id, name) do update
         set suggestion = excluded.suggestion, evidence = excluded.evidence, suggested_at = excluded.suggested_at
         where quirk_suggestions.state = 'open'",
    )
    .bind(origin.site_id)
    .bind(text(it.station.as_str()))
    .bind(it.suggestion.name())
    .bind(Json(printable(&it.suggestion)))
    .bind(text(&it.evidence))
    .bind(it.at.to_utc().unwrap_or_default())
    .execute(tx)
    .await?;
    Ok(())
}

/// Postgres holds no NUL, not even in JSON.
fn printable(suggestion: &Suggestion) -> Suggestion {
    match suggestion {
        Suggestion::LocalTag { shown } => Suggestion::LocalTag { shown: text(shown) },
        Suggestion::AssumeSubprotocol
        | Suggestion::TolerateUpgrade
        | Suggestion::NoPing
        | Suggestion::AnswerDelay { .. }
        | Suggestion::ClockOffset { .. }
        | Suggestion::EnergyScale(_)
        | Suggestion::ConfigurationKeys { .. }
        | Suggestion::NeverTriggerBoot
        | Suggestion::Charging(_) => suggestion.clone(),
    }
}

const SELECT: &str =
    "select q.id, q.charge_point_id, p.site_id, coalesce(p.charge_point_hardware_id, '') as station,
        q.suggestion, q.evidence, q.suggested_at, p.quirks
 from quirk_suggestions q join charge_points p on p.id = q.charge_point_id join sites s on s.id = p.site_id
 where q.state = 'open' and ($1 or s.owner_id = $2 or s.organization_id = any($3))";

/// The open suggestions of a site within reach, the newest first.
///
/// # Errors
/// As any statement.
pub async fn open(
    tx: &mut PgConnection,
    reach: &Reach,
    site: i64,
    limit: i64,
) -> sqlx::Result<Vec<Suggested>> {
    let sql = format!("{SELECT} and p.site_id = $4 order by q.suggested_at desc, q.id limit $5");
    sqlx::query_as(sqlx::AssertSqlSafe(sql))
        .bind(reach.everything)
        .bind(reach.user)
        .bind(&reach.organizations)
        .bind(site)
        .bind(limit)
        .fetch_all(tx)
        .await
}

/// An open suggestion within reach, to be decided on.
///
/// # Errors
/// As any statement.
pub async fn lock(tx: &mut PgConnection, reach: &Reach, id: i64) -> sqlx::Result<Option<Suggested>> {
    let sql = format!("{SELECT} and q.id = $4 for update of q, p");
    sqlx::query_as(sqlx::AssertSqlSafe(sql))
        .bind(reach.everything)
        .bind(reach.user)
        .bind(&reach.organizations)
        .bind(id)
        .fetch_optional(tx)
        .await
}

/// Decides.
///
/// # Errors
/// As any statement.
pub async fn decide(tx: &mut PgConnection, id: i64, state: &str, by: i64) -> sqlx::Result<()> {
    sqlx::query("update quirk_suggestions set state = $2, decided_by = $3, decided_at = now() where id = $1")
        .bind(id)
        .bind(state)
        .bind(by)
        .execute(tx)
        .await?;
    Ok(())
}

/// A station's site and settings, within reach.
///
/// # Errors
/// As any statement.
pub async fn of(
    tx: &mut PgConnection,
    reach: &Reach,
    charge_point: i64,
) -> sqlx::Result<Option<(i64, StationQuirks)>> {
    let found: Option<(i64, Option<Json<StationQuirks>>)> = sqlx::query_as(
        "select p.site_id, p.quirks from charge_points p join sites s on s.id = p.site_id
         where p.id = $4 and ($1 or s.owner_id = $2 or s.organization_id = any($3))",
    )
    .bind(reach.everything)
    .bind(reach.user)
    .bind(&reach.organizations)
    .bind(charge_point)
    .fetch_optional(tx)
    .await?;
    Ok(found.map(|(site, quirks)| (site, quirks.map(|Json(quirks)| quirks).unwrap_or_default())))
}

/// Replaces a station's settings.
///
/// # Errors
/// As any statement.
pub async fn set(tx: &mut PgConnection, charge_point: i64, quirks: &StationQuirks) -> sqlx::Result<()> {
    let unusual = (*quirks != StationQuirks::default()).then_some(Json(quirks));
    sqlx::query("update charge_points set quirks = $2, updated_at = now() where id = $1")
        .bind(charge_point)
        .bind(unusual)
        .execute(tx)
        .await?;
    Ok(())
}
