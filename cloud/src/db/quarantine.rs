//! Records that could not be applied: parked beside the lane, so that the lane goes on.

use sqlx::PgConnection;

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
