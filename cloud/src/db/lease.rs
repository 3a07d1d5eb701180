//! Which replica reads which shards. Sloppy on purpose: two readers of one shard are harmless, because the cursor row decides.

use std::time::Duration;

use sqlx::PgPool;
use uuid::Uuid;

/// A replica that was not seen for so long is gone, and its leases are free.
pub const LEASE: Duration = Duration::from_secs(15);

/// Says that the replica lives, gives back what is more than its fair share, takes what is free up to it.
/// Returns the shards it now holds.
pub async fn renew(db: &PgPool, replica: Uuid) -> sqlx::Result<Vec<i16>> {
    let mut tx = db.begin().await?;
    sqlx::query("insert into replicas (id) values ($1) on conflict (id) do update set seen_at = now()")
        .bind(replica)
        .execute(&mut *tx)
        .await?;
    sqlx::query("delete from replicas where seen_at < now() - make_interval(secs => $1)")
        .bind(LEASE.as_secs_f64())
        .execute(&mut *tx)
        .await?;
    let held: Vec<i16> = sqlx::query_scalar(
        "with share as (
             select ceil((select count(*) from shard_leases)::float8 / (select count(*) from replicas))::int as most),
         candidates as (
             select shard from shard_leases where owner = $1 or owner is null or expires_at < now()
             -- what one holds first: a lease changes hands only when it must
             order by owner is distinct from $1, shard limit (select most from share) for update skip locked)
         update shard_leases l
         set owner = case when c.shard is null then null else $1 end,
             expires_at = case when c.shard is null then '-infinity' else now() + make_interval(secs => $2) end
         from shard_leases s left join candidates c using (shard)
         where l.shard = s.shard and (c.shard is not null or l.owner = $1)
         returning case when l.owner is null then -1::smallint else l.shard end",
    )
    .bind(replica)
    .bind(LEASE.as_secs_f64())
    .fetch_all(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(held.into_iter().filter(|shard| *shard >= 0).collect())
}

/// Gives everything back: the replica ends.
pub async fn release(db: &PgPool, replica: Uuid) -> sqlx::Result<()> {
    sqlx::query("update shard_leases set owner = null, expires_at = '-infinity' where owner = $1")
        .bind(replica)
        .execute(db)
        .await?;
    sqlx::query("delete from replicas where id = $1").bind(replica).execute(db).await?;
    Ok(())
}
