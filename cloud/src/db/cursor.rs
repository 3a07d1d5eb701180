//! Epochs and watermarks: what of a gateway's lanes is committed.

use std::time::Duration;

use shared::id::{Epoch, GatewayId};
use shared::model::Lane;
use shared::sync::handshake::Known;
use sqlx::PgConnection;

/// A lane's cursor, locked.
#[derive(Debug, Clone)]
pub struct Cursor {
    /// Everything up to here is committed.
    pub watermark: u64,
    /// Why the epoch may write no more.
    pub frozen: Option<String>,
}

/// Locks a lane's cursor until the end of the transaction; `None` for an unknown epoch.
pub async fn lock(
    tx: &mut PgConnection,
    gateway: GatewayId,
    epoch: Epoch,
    lane: Lane,
) -> sqlx::Result<Option<Cursor>> {
    let row: Option<(i64, Option<String>)> = sqlx::query_as(
        "select c.watermark, e.frozen_reason from cursors c join gateway_epochs e using (gateway_id, epoch)
         where c.gateway_id = $1 and c.epoch = $2 and c.lane = $3 for update of c",
    )
    .bind(gateway.0)
    .bind(epoch.0)
    .bind(number(lane))
    .fetch_optional(tx)
    .await?;
    Ok(row.map(|(watermark, frozen)| Cursor { watermark: unsigned(watermark), frozen }))
}

/// The birth of a gateway's database before this one, if there was one of which something is committed.
pub async fn latest_before(
    tx: &mut PgConnection,
    gateway: GatewayId,
    epoch: Epoch,
) -> sqlx::Result<Option<Epoch>> {
    let before: Option<uuid::Uuid> = sqlx::query_scalar(
        "select epoch from gateway_epochs e where gateway_id = $1 and epoch <> $2
           and exists (select from cursors c where c.gateway_id = $1 and c.epoch = e.epoch and c.watermark > 0)
         order by started_at desc limit 1",
    )
    .bind(gateway.0)
    .bind(epoch.0)
    .fetch_optional(tx)
    .await?;
    Ok(before.map(Epoch))
}

/// Moves a locked cursor.
pub async fn advance(
    tx: &mut PgConnection,
    gateway: GatewayId,
    epoch: Epoch,
    lane: Lane,
    watermark: u64,
) -> sqlx::Result<()> {
    sqlx::query(
        "update cursors set watermark = $4, moved_at = clock_timestamp()
         where gateway_id = $1 and epoch = $2 and lane = $3",
    )
    .bind(gateway.0)
    .bind(epoch.0)
    .bind(number(lane))
    .bind(signed(watermark))
    .execute(tx)
    .await?;
    Ok(())
}

/// An epoch's state, seen from a hello that arrived `age` ago.
pub async fn epoch(
    tx: &mut PgConnection,
    gateway: GatewayId,
    epoch: Epoch,
    age: Duration,
) -> sqlx::Result<Option<Known>> {
    let rows: Vec<(i16, i64, bool, Option<String>)> = sqlx::query_as(
        "select c.lane, c.watermark, c.moved_at > clock_timestamp() - make_interval(secs => $3), e.frozen_reason
         from cursors c join gateway_epochs e using (gateway_id, epoch)
         where c.gateway_id = $1 and c.epoch = $2",
    )
    .bind(gateway.0)
    .bind(epoch.0)
    .bind(age.as_secs_f64())
    .fetch_all(tx)
    .await?;
    if rows.is_empty() {
        return Ok(None);
    }
    let mut state = Known::default();
    for (lane, watermark, moved, frozen) in rows {
        if let Some(place) = usize::try_from(lane).ok().and_then(|lane| state.watermarks.get_mut(lane)) {
            *place = unsigned(watermark);
        }
        state.moved_since |= moved;
        state.frozen = frozen;
    }
    Ok(Some(state))
}

/// Registers a new epoch with its cursors at 0.
pub async fn register(
    tx: &mut PgConnection,
    gateway: GatewayId,
    epoch: Epoch,
    parent: Option<Epoch>,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into gateway_epochs (gateway_id, epoch, parent_epoch) values ($1, $2, $3) on conflict do nothing",
    )
    .bind(gateway.0)
    .bind(epoch.0)
    .bind(parent.map(|parent| parent.0))
    .execute(&mut *tx)
    .await?;
    sqlx::query(
        "insert into cursors (gateway_id, epoch, lane) select $1, $2, unnest($3::smallint[]) on conflict do nothing",
    )
    .bind(gateway.0)
    .bind(epoch.0)
    .bind(Lane::ALL.map(number))
    .execute(tx)
    .await?;
    Ok(())
}

/// Lets an epoch write no more. `true` when it could until now.
pub async fn freeze(
    tx: &mut PgConnection,
    gateway: GatewayId,
    epoch: Epoch,
    reason: &str,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update gateway_epochs set frozen_reason = $3, frozen_at = now()
         where gateway_id = $1 and epoch = $2 and frozen_reason is null",
    )
    .bind(gateway.0)
    .bind(epoch.0)
    .bind(reason)
    .execute(tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Notes that a gateway was heard.
pub async fn heard(tx: &mut PgConnection, gateway: GatewayId, hello_of: Option<&str>) -> sqlx::Result<()> {
    sqlx::query(
        "update gateways set last_seen_at = now(), agent_version = coalesce($2, agent_version),
                last_hello_at = case when $2 is null then last_hello_at else now() end
         where id = $1",
    )
    .bind(gateway.0)
    .bind(hello_of.map(super::text))
    .execute(tx)
    .await?;
    Ok(())
}

/// A lane as rows have it.
pub fn number(lane: Lane) -> i16 {
    match lane {
        Lane::Billing => 0,
        Lane::Meter => 1,
        Lane::Status => 2,
    }
}

/// A sequence number as rows have it; none that exists is above `i64::MAX`.
pub fn signed(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

fn unsigned(seq: i64) -> u64 {
    u64::try_from(seq).unwrap_or_default()
}
