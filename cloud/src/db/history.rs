//! Charging sessions as people look at them: their own, or those at their sites.

use chrono::{DateTime, Utc};
use sqlx::types::Json;
use sqlx::{PgPool, Postgres, QueryBuilder};

use shared::tariff::CostLine;
use uuid::Uuid;

use super::viewer;
use crate::auth::{Reach, Viewer};

/// A session with its bill, if it has one yet.
#[derive(Debug, sqlx::FromRow)]
#[expect(missing_docs, reason = "the names are the columns'")]
pub struct Session {
    pub id: Uuid,
    pub history_id: i64,
    pub station: String,
    pub evse: i32,
    pub tx_ref: Option<String>,
    pub user_id: Option<i64>,
    pub started_at: Option<DateTime<Utc>>,
    pub stopped_at: Option<DateTime<Utc>>,
    pub meter_start: Option<i64>,
    pub meter_stop: Option<i64>,
    pub energy_wh: Option<i64>,
    pub stop_reason: Option<String>,
    pub site_address: Option<String>,
    pub connector_type: Option<String>,
    pub currency: Option<String>,
    pub total_micros: Option<i64>,
    pub lines: Option<Json<Vec<CostLine>>>,
}

/// Whose sessions.
#[derive(Debug, Clone, Copy)]
pub enum Whose<'a> {
    /// Those that a person paid or that happened at sites within reach.
    Concerning(i64, &'a Reach),
    /// Those that a person paid.
    PaidBy(i64),
}

const SELECT: &str =
    "select se.id, se.history_id, se.station, se.evse, se.tx_ref, se.user_id, se.started_at, se.stopped_at,
        se.meter_start, se.meter_stop, se.energy_wh, se.stop_reason, p.address as site_address,
        c.connector_type_name as connector_type, b.currency, b.total_micros, b.lines
 from sessions se
 left join sites s on s.id = se.site_id
 left join public_sites p on p.id = se.site_id
 left join public_connectors c on c.id = se.connector_id
 left join bills b on b.session_id = se.id
 where ";

/// Begins a statement that selects sessions; conditions, order and limit are the caller's.
pub fn select(whose: Whose<'_>) -> QueryBuilder<Postgres> {
    let mut sql = QueryBuilder::new(SELECT);
    match whose {
        Whose::PaidBy(user) => sql.push("se.user_id = ").push_bind(user),
        Whose::Concerning(_, reach) if reach.everything => sql.push("true"),
        Whose::Concerning(user, reach) => sql
            .push("(se.user_id = ")
            .push_bind(user)
            .push(" or s.owner_id = ")
            .push_bind(reach.user)
            .push(" or s.organization_id = any(")
            .push_bind(reach.organizations.clone())
            .push("))"),
    };
    sql
}

/// Runs such a statement, in the viewer's name.
///
/// # Errors
/// When the database does not answer.
pub async fn fetch(
    db: &PgPool,
    viewer: &Viewer,
    mut sql: QueryBuilder<Postgres>,
) -> sqlx::Result<Vec<Session>> {
    let mut tx = viewer::begin(db, viewer).await?;
    // Filters differ from call to call: their statements are not worth a place in the cache.
    sql.build_query_as().persistent(false).fetch_all(&mut *tx).await
}

/// A page of what somebody paid, newest first, and how many there are in all.
///
/// # Errors
/// When the database does not answer.
pub async fn page(
    db: &PgPool,
    viewer: &Viewer,
    limit: i64,
    offset: i64,
) -> sqlx::Result<(i64, Vec<Session>)> {
    let mut tx = viewer::begin(db, viewer).await?;
    let count = sqlx::query_scalar("select count(*) from sessions where user_id = $1")
        .bind(viewer.id)
        .fetch_one(&mut *tx)
        .await?;
    let mut sql = select(Whose::PaidBy(viewer.id));
    sql.push(" order by se.history_id desc limit ").push_bind(limit).push(" offset ").push_bind(offset);
    Ok((count, sql.build_query_as().fetch_all(&mut *tx).await?))
}
