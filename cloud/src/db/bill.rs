//! Bills as rows, and the facts that they are made of.

use chrono::{DateTime, Utc};
use shared::tariff::{Cost, Tariff};
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

/// A session that has ended, with what prices it.
#[derive(Debug, sqlx::FromRow)]
pub struct Ended {
    /// Which.
    pub id: Uuid,
    /// Whose.
    pub user_id: Option<i64>,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub stopped_at: DateTime<Utc>,
    /// Its energy.
    pub energy_wh: i64,
    /// The tariff that it names.
    pub tariff_id: Uuid,
    /// The tariff's version.
    pub tariff_version: i32,
    /// That tariff, if we have it.
    pub tariff: Option<Json<Tariff>>,
    /// The edge's figure, if it came.
    pub edge_cost: Option<Json<Cost>>,
    /// The bill's total, if it is billed.
    pub billed_micros: Option<i64>,
}

/// Of these sessions, those that have ended and name a tariff.
pub async fn ended(tx: &mut PgConnection, sessions: &[Uuid]) -> sqlx::Result<Vec<Ended>> {
    sqlx::query_as(
        "select s.id, s.user_id, s.started_at, s.stopped_at, s.energy_wh, s.tariff_id, s.tariff_version,
                t.body as tariff, s.edge_cost, b.total_micros as billed_micros
         from sessions s left join tariffs t on t.id = s.tariff_id and t.version = s.tariff_version
              left join bills b on b.session_id = s.id
         where s.id = any($1) and s.started_at is not null and s.stopped_at is not null and s.energy_wh is not null
           and s.tariff_id is not null and s.tariff_version is not null",
    )
    .bind(sessions)
    .fetch_all(tx)
    .await
}

/// Writes a bill; a session has one, and it does not change.
pub async fn insert(tx: &mut PgConnection, session: &Ended, cost: &Cost) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "insert into bills (session_id, user_id, currency, total_micros, lines, tariff_id, tariff_version)
         values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing",
    )
    .bind(session.id)
    .bind(session.user_id)
    .bind(cost.total.currency.code())
    .bind(cost.total.micros)
    .bind(Json(&cost.lines))
    .bind(session.tariff_id)
    .bind(session.tariff_version)
    .execute(tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Keeps the edge's figure beside ours.
pub async fn set_edge_total(tx: &mut PgConnection, session: Uuid, micros: i64) -> sqlx::Result<()> {
    sqlx::query("update bills set edge_total_micros = $2 where session_id = $1")
        .bind(session)
        .bind(micros)
        .execute(tx)
        .await?;
    Ok(())
}
