//! Lists of tokens as rows: what is stale, what a list is made of, who has it. The rules are views in `0007_cards.sql`.

use chrono::{DateTime, Utc};
use shared::id::GatewayId;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

/// Notes heeded in one transaction at most.
const BATCH: i64 = 5_000;

/// A token of a list.
#[derive(Debug, sqlx::FromRow)]
pub struct Listed {
    /// The token as kept.
    pub token: String,
    /// See `shared::model::token::AuthStatus`.
    pub status: String,
    /// Until when it is good.
    pub expires_at: Option<DateTime<Utc>>,
    /// Whose.
    pub user_id: Option<i64>,
    /// In which group.
    pub group_id: Option<i64>,
}

/// Is anything stale?
///
/// # Errors
/// When the database does not answer.
pub async fn any_stale(db: &PgPool) -> sqlx::Result<bool> {
    sqlx::query_scalar("select exists (select from stale_lists)").fetch_one(db).await
}

/// Takes the list of what is stale: parts of the public list, and sites. Only one replica at a time has it, until its
/// transaction ends: each builds from what was committed before, so none overwrites a newer list by an older.
///
/// # Errors
/// As any statement.
pub async fn take_stale(tx: &mut PgConnection) -> sqlx::Result<(Vec<i16>, Vec<i64>)> {
    sqlx::query("select pg_advisory_xact_lock(hashtext('evb lists'))").execute(&mut *tx).await?;
    let rows: Vec<(Option<i16>, Option<i64>)> = sqlx::query_as(
        "delete from stale_lists where id in (select id from stale_lists order by id limit $1) returning part, site_id",
    )
    .bind(BATCH)
    .fetch_all(tx)
    .await?;
    let (mut parts, mut sites): (Vec<i16>, Vec<i64>) =
        (rows.iter().filter_map(|row| row.0).collect(), rows.iter().filter_map(|row| row.1).collect());
    parts.sort_unstable();
    parts.dedup();
    sites.sort_unstable();
    sites.dedup();
    Ok((parts, sites))
}

/// The tokens in a part of the public list: those of people who may sign in.
///
/// # Errors
/// As any statement.
pub async fn public(tx: &mut PgConnection, part: i16) -> sqlx::Result<Vec<Listed>> {
    sqlx::query_as(
        "select t.token, t.status, t.expires_at, t.user_id, t.group_id
         from id_tokens t join users u on u.id = t.user_id
         where t.part = $1 and u.is_active order by lower(t.token)",
    )
    .bind(part)
    .fetch_all(tx)
    .await
}

/// The tokens that a site knows as its own.
///
/// # Errors
/// As any statement.
pub async fn own(tx: &mut PgConnection, site: i64) -> sqlx::Result<Vec<Listed>> {
    sqlx::query_as(
        "select t.token, t.status, t.expires_at, t.user_id, t.group_id
         from own_cards o join id_tokens t on t.id = o.card_id left join users u on u.id = t.user_id
         where o.site_id = $1 and coalesce(u.is_active, true) order by lower(t.token)",
    )
    .bind(site)
    .fetch_all(tx)
    .await
}

/// Shall a site's stations keep its lists, too?
///
/// # Errors
/// As any statement.
pub async fn on_stations(tx: &mut PgConnection, site: i64) -> sqlx::Result<bool> {
    let on = sqlx::query_scalar("select local_lists from sites where id = $1").bind(site);
    Ok(on.fetch_optional(tx).await?.unwrap_or(false))
}

/// Gives every public gateway a part of the public list. Returns those to whom it is new.
///
/// # Errors
/// As any statement.
pub async fn give_part(
    tx: &mut PgConnection,
    part: i16,
    name: &str,
    hash: &[u8; 32],
) -> sqlx::Result<Vec<GatewayId>> {
    sqlx::query(
        "insert into public_lists (part, hash) values ($1, $2) on conflict (part) do update set hash = excluded.hash",
    )
    .bind(part)
    .bind(&hash[..])
    .execute(&mut *tx)
    .await?;
    let changed: Vec<Uuid> = sqlx::query_scalar(
        "insert into documents (gateway_id, name, version, hash) select id, $1, 1, $2 from public_gateways order by id
         on conflict (gateway_id, name) do update
         set version = documents.version + 1, hash = excluded.hash, updated_at = now()
         where documents.hash <> excluded.hash
         returning gateway_id",
    )
    .bind(name)
    .bind(&hash[..])
    .fetch_all(tx)
    .await?;
    Ok(changed.into_iter().map(GatewayId).collect())
}

/// Gives the gateways of a site all parts of the public list, if it is a public one. Returns those to whom one is new.
///
/// # Errors
/// As any statement.
pub async fn give_all_parts(tx: &mut PgConnection, site: i64, prefix: &str) -> sqlx::Result<Vec<GatewayId>> {
    let changed: Vec<Uuid> = sqlx::query_scalar(
        "insert into documents (gateway_id, name, version, hash)
         select g.id, $2 || '/' || l.part, 1, l.hash from public_gateways g cross join public_lists l where g.site_id = $1
         on conflict (gateway_id, name) do update
         set version = documents.version + 1, hash = excluded.hash, updated_at = now()
         where documents.hash <> excluded.hash
         returning gateway_id",
    )
    .bind(site)
    .bind(prefix)
    .fetch_all(tx)
    .await?;
    Ok(changed.into_iter().map(GatewayId).collect())
}

/// The parts of the public list that gateways of a site have and must not have: it is no public one any more.
///
/// # Errors
/// As any statement.
pub async fn parts_to_empty(
    tx: &mut PgConnection,
    site: i64,
    prefix: &str,
) -> sqlx::Result<Vec<(GatewayId, u16)>> {
    let rows: Vec<(Uuid, String)> = sqlx::query_as(
        "select d.gateway_id, d.name from documents d join gateways g on g.id = d.gateway_id
         where g.site_id = $1 and g.revoked_at is null and starts_with(d.name, $2 || '/')
           and not exists (select from public_gateways p where p.id = g.id)",
    )
    .bind(site)
    .bind(prefix)
    .fetch_all(tx)
    .await?;
    let part = |name: &str| name.rsplit('/').next()?.parse().ok();
    Ok(rows.iter().filter_map(|(gateway, name)| Some((GatewayId(*gateway), part(name)?))).collect())
}
