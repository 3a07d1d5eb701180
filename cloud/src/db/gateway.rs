//! Gateways, their claim codes and their keys.

use std::time::Duration;

use chrono::{DateTime, Utc};
use shared::id::{GatewayId, Shard};
use shared::sync::FrameKey;
use sqlx::{PgConnection, PgExecutor, PgPool};
use uuid::Uuid;

use crate::auth::Reach;

/// What is known of an enrolled gateway.
#[derive(Debug, Clone)]
pub struct Gateway {
    /// Verifies its logins and seals its frames.
    pub key: FrameKey,
    /// Where its topics are.
    pub shard: Shard,
    /// Whose facts it may tell.
    pub site_id: i64,
    /// May it still?
    pub revoked: bool,
}

/// A gateway as it is enrolled.
#[derive(Debug, Clone)]
pub struct NewGateway {
    /// Its id.
    pub id: GatewayId,
    /// Its shard.
    pub shard: Shard,
    /// Made from its secret.
    pub key: FrameKey,
    /// The hash of the secret as mosquitto compares it.
    pub mosquitto_password: String,
    /// The hash of the secret as NATS compares it.
    pub nats_password: String,
    /// What it says it runs.
    pub agent_version: Option<String>,
}

/// One gateway.
pub async fn find(db: &PgPool, id: GatewayId) -> sqlx::Result<Option<Gateway>> {
    let row: Option<(Vec<u8>, i16, i64, bool)> = sqlx::query_as(
        "select frame_key, shard, site_id, revoked_at is not null from gateways where id = $1",
    )
    .bind(id.0)
    .fetch_optional(db)
    .await?;
    Ok(row.and_then(|(key, shard, site_id, revoked)| {
        let key = FrameKey::from_bytes(key.try_into().ok()?);
        Some(Gateway { key, shard: Shard(u16::try_from(shard).ok()?), site_id, revoked })
    }))
}

/// Writes a claim code's hash; when it expires.
pub async fn insert_claim(
    db: impl PgExecutor<'_>,
    site_id: i64,
    renews: Option<GatewayId>,
    code_hash: &[u8],
    ttl: Duration,
) -> sqlx::Result<DateTime<Utc>> {
    sqlx::query_scalar(
        "insert into claim_codes (code_hash, site_id, expires_at, renews)
         values ($1, $2, now() + make_interval(secs => $3), $4) returning expires_at",
    )
    .bind(code_hash)
    .bind(site_id)
    .bind(ttl.as_secs_f64())
    .bind(renews.map(|id| id.0))
    .fetch_one(db)
    .await
}

/// What a code was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claimed {
    /// The site of the gateway.
    pub site_id: i64,
    /// The gateway that goes on with it; `None`: a new one.
    pub renews: Option<(GatewayId, Shard)>,
}

/// Uses a code up, unless it is unknown, used or expired, or for another gateway than the one that uses it. A revoked one stays so.
pub async fn use_claim(
    tx: &mut PgConnection,
    code_hash: &[u8],
    by: Option<GatewayId>,
) -> sqlx::Result<Option<Claimed>> {
    let used: Option<(i64, Option<Uuid>, Option<i16>)> = sqlx::query_as(
        "update claim_codes c set used_at = now()
         from claim_codes same left join gateways g on g.id = same.renews
         where c.code_hash = $1 and same.code_hash = c.code_hash and c.used_at is null and c.expires_at > now()
           and ($2::uuid is null or c.renews = $2) and g.revoked_at is null
         returning c.site_id, c.renews, g.shard",
    )
    .bind(code_hash)
    .bind(by.map(|id| id.0))
    .fetch_optional(tx)
    .await?;
    Ok(used.map(|(site_id, renews, shard)| {
        let shard = Shard(shard.and_then(|shard| u16::try_from(shard).ok()).unwrap_or_default());
        Claimed { site_id, renews: renews.map(|id| (GatewayId(id), shard)) }
    }))
}

/// The site of a gateway within reach that was not revoked.
pub async fn site_within(tx: &mut PgConnection, id: GatewayId, reach: &Reach) -> sqlx::Result<Option<i64>> {
    sqlx::query_scalar(
        "select s.id from gateways g join sites s on s.id = g.site_id
         where ($1 or s.owner_id = $2 or s.organization_id = any($3)) and g.id = $4 and g.revoked_at is null",
    )
    .bind(reach.everything)
    .bind(reach.user)
    .bind(&reach.organizations)
    .bind(id.0)
    .fetch_optional(tx)
    .await
}

/// Gives a gateway other secrets; what knows the old ones only is not this gateway any more.
pub async fn renew(tx: &mut PgConnection, code_hash: &[u8], new: &NewGateway) -> sqlx::Result<()> {
    sqlx::query(
        "update gateways set frame_key = $2, mosquitto_password = $3, nats_password = $4,
           agent_version = coalesce($5, agent_version)
         where id = $1",
    )
    .bind(new.id.0)
    .bind(&new.key.to_bytes()[..])
    .bind(&new.mosquitto_password)
    .bind(&new.nats_password)
    .bind(&new.agent_version)
    .execute(&mut *tx)
    .await?;
    used_by(tx, code_hash, new.id).await
}

/// Writes an enrolled gateway, and who used the code.
pub async fn insert(
    tx: &mut PgConnection,
    site_id: i64,
    code_hash: &[u8],
    new: &NewGateway,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into gateways (id, site_id, shard, frame_key, mosquitto_password, nats_password, agent_version)
         values ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(new.id.0)
    .bind(site_id)
    .bind(i16::try_from(new.shard.0).unwrap_or_default())
    .bind(&new.key.to_bytes()[..])
    .bind(&new.mosquitto_password)
    .bind(&new.nats_password)
    .bind(&new.agent_version)
    .execute(&mut *tx)
    .await?;
    used_by(tx, code_hash, new.id).await
}

async fn used_by(tx: &mut PgConnection, code_hash: &[u8], gateway: GatewayId) -> sqlx::Result<()> {
    sqlx::query("update claim_codes set gateway_id = $2 where code_hash = $1")
        .bind(code_hash)
        .bind(gateway.0)
        .execute(tx)
        .await?;
    Ok(())
}

/// The shard with the fewest gateways.
pub async fn emptiest_shard(tx: &mut PgConnection, shards: u16) -> sqlx::Result<Shard> {
    let shard: i32 = sqlx::query_scalar(
        "select n from generate_series(0, $1) n left join gateways g on g.shard = n and g.revoked_at is null
         group by n order by count(g.id), random() limit 1",
    )
    .bind(i32::from(shards) - 1)
    .fetch_one(tx)
    .await?;
    Ok(Shard(u16::try_from(shard).unwrap_or_default()))
}

/// A site's name, if there is such a site.
pub async fn site_name(tx: &mut PgConnection, site_id: i64) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar("select coalesce(name, '') from sites where id = $1")
        .bind(site_id)
        .fetch_optional(tx)
        .await
}

/// Which of these are revoked or gone.
pub async fn no_longer_valid(db: &PgPool, ids: &[Uuid]) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar(
        "select id from unnest($1::uuid[]) u (id)
         where not exists (select from gateways g where g.id = u.id and g.revoked_at is null)",
    )
    .bind(ids)
    .fetch_all(db)
    .await
}

/// Takes the right to connect from a gateway; what it said remains.
pub async fn revoke(db: &PgPool, id: GatewayId) -> sqlx::Result<bool> {
    let done = sqlx::query("update gateways set revoked_at = now() where id = $1 and revoked_at is null")
        .bind(id.0)
        .execute(db)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Every gateway's line for mosquitto's password file.
pub async fn mosquitto_passwords(db: &PgPool) -> sqlx::Result<Vec<(Uuid, String)>> {
    sqlx::query_as("select id, mosquitto_password from gateways where revoked_at is null order by id")
        .fetch_all(db)
        .await
}

/// Every gateway's login for NATS' accounts.
pub async fn nats_passwords(db: &PgPool) -> sqlx::Result<Vec<(Uuid, String)>> {
    sqlx::query_as("select id, nats_password from gateways where revoked_at is null order by id")
        .fetch_all(db)
        .await
}
