//! Records that could not be applied: parked beside the lane, so that the lane goes on.

use chrono::{DateTime, Utc};
use shared::id::{Epoch, GatewayId};
use shared::model::Lane;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::cursor::{number, signed};
use super::record::{Numbered, Origin};
use super::text;

/// Parks a record.
pub async fn park(
    tx: &mut PgConnection,
    origin: Origin,
    parked: Numbered<'_>,
    reason: &str,
) -> sqlx::Result<()> {
    let raw = postcard::to_stdvec(parked.record).expect("wire types always serialise");
    sqlx::query(
        "insert into quarantine (gateway_id, epoch, lane, seq, kind, kind_ver, reason, raw)
         values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict do nothing",
    )
    .bind(origin.gateway.0)
    .bind(origin.epoch.0)
    .bind(number(origin.lane))
    .bind(signed(parked.seq))
    .bind(i32::from(parked.record.header.kind))
    .bind(i32::from(parked.record.header.kind_ver))
    .bind(text(reason))
    .bind(raw)
    .execute(tx)
    .await?;
    Ok(())
}

/// A parked record.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Parked {
    /// The row.
    pub id: i64,
    /// Whose.
    pub gateway_id: Uuid,
    /// Under which birth of its database.
    pub epoch: Uuid,
    /// In which lane, by number.
    pub lane: i16,
    /// Under which number.
    pub seq: i64,
    /// What kind it says it is.
    pub kind: Option<i32>,
    /// Why.
    pub reason: String,
    /// All of it.
    pub raw: Vec<u8>,
    /// Since when.
    pub parked_at: DateTime<Utc>,
    /// The gateway's site.
    pub site_id: i64,
}

impl Parked {
    /// Where it belongs; `None` when nobody here knows its lane.
    pub fn origin(&self) -> Option<Origin> {
        let lane = Lane::ALL.into_iter().find(|lane| number(*lane) == self.lane)?;
        let (gateway, epoch) = (GatewayId(self.gateway_id), Epoch(self.epoch));
        Some(Origin { gateway, site_id: self.site_id, epoch, lane })
    }
}

/// Records that wait, in the order in which they were written; those after `after`.
///
/// # Errors
/// When the database does not answer.
pub async fn waiting(db: &PgPool, after: i64, limit: i64) -> sqlx::Result<Vec<Parked>> {
    sqlx::query_as(
        "select q.id, q.gateway_id, q.epoch, q.lane, q.seq, q.kind, q.reason, q.raw, q.parked_at, g.site_id
         from quarantine q join gateways g on g.id = q.gateway_id
         where q.replayed_at is null and q.id > $1 order by q.id limit $2",
    )
    .bind(after)
    .bind(limit)
    .fetch_all(db)
    .await
}

/// Locks one that waits. `false` when somebody else was faster.
///
/// # Errors
/// As any statement.
pub async fn lock(tx: &mut PgConnection, id: i64) -> sqlx::Result<bool> {
    let locked: Option<i64> =
        sqlx::query_scalar("select id from quarantine where id = $1 and replayed_at is null for update")
            .bind(id)
            .fetch_optional(tx)
            .await?;
    Ok(locked.is_some())
}

/// It is where it belongs.
///
/// # Errors
/// As any statement.
pub async fn replayed(tx: &mut PgConnection, id: i64) -> sqlx::Result<()> {
    sqlx::query("update quarantine set replayed_at = now() where id = $1")
        .bind(id)
        .execute(tx)
        .await
        .map(drop)
}
