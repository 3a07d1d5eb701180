//! Documents as rows, and the rows they are made of.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use shared::id::{GatewayId, Shard};
use shared::model::document::{DocumentBody, DocumentVersion};
use shared::model::quirks::StationQuirks;
use shared::sync::v1::Document;
use shared::tariff::Tariff;
use sqlx::types::Json;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

/// A station that may connect.
#[derive(Debug, sqlx::FromRow)]
pub struct StationRow {
    /// Its identity.
    pub station: String,
    /// What its password verifies against.
    pub credential: String,
    /// What is peculiar about it, if something is.
    pub quirks: Option<Json<StationQuirks>>,
    /// Since when it is the site's.
    pub since: DateTime<Utc>,
}

/// What a connector's price is made of.
#[derive(Debug, sqlx::FromRow)]
pub struct ConnectorRow {
    /// The station's identity.
    pub station: String,
    /// The number on the station.
    pub evse: i32,
    /// A chosen tariff.
    pub tariff_id: Option<Uuid>,
    /// Its own price per kWh.
    pub price: Option<Decimal>,
    /// The site's.
    pub default_price: Option<Decimal>,
    /// The site's.
    pub currency: String,
}

/// The gateways that serve a site.
pub async fn gateways_of(tx: &mut PgConnection, site_id: i64) -> sqlx::Result<Vec<GatewayId>> {
    let ids: Vec<Uuid> =
        sqlx::query_scalar("select id from gateways where revoked_at is null and site_id = $1 order by id")
            .bind(site_id)
            .fetch_all(tx)
            .await?;
    Ok(ids.into_iter().map(GatewayId).collect())
}

/// The stations of a site that may connect.
pub async fn stations(tx: &mut PgConnection, site_id: i64) -> sqlx::Result<Vec<StationRow>> {
    sqlx::query_as(
        "select charge_point_hardware_id as station, credential, quirks, created_at as since from charge_points
         where site_id = $1 and charge_point_hardware_id is not null and credential is not null
         order by charge_point_hardware_id",
    )
    .bind(site_id)
    .fetch_all(tx)
    .await
}

/// A site's time zone.
pub async fn timezone(tx: &mut PgConnection, site_id: i64) -> sqlx::Result<String> {
    sqlx::query_scalar("select timezone from sites where id = $1").bind(site_id).fetch_one(tx).await
}

/// The connectors of a site with what prices them.
pub async fn connectors(tx: &mut PgConnection, site_id: i64) -> sqlx::Result<Vec<ConnectorRow>> {
    sqlx::query_as(
        "select p.charge_point_hardware_id as station, c.connector_id as evse, c.tariff_id, c.price, s.default_price,
                s.currency::text as currency
         from connectors c join charge_points p on p.id = c.charge_point_id join sites s on s.id = c.site_id
         where c.site_id = $1 and p.charge_point_hardware_id is not null and c.connector_id is not null
         order by 1, 2",
    )
    .bind(site_id)
    .fetch_all(tx)
    .await
}

/// The newest version of a tariff.
pub async fn newest_tariff(tx: &mut PgConnection, id: Uuid) -> sqlx::Result<Option<Tariff>> {
    let body: Option<Json<Tariff>> =
        sqlx::query_scalar("select body from tariffs where id = $1 order by version desc limit 1")
            .bind(id)
            .fetch_optional(tx)
            .await?;
    Ok(body.map(|Json(tariff)| tariff))
}

/// Keeps a tariff version, unless it is known.
pub async fn keep_tariff(tx: &mut PgConnection, tariff: &Tariff) -> sqlx::Result<()> {
    sqlx::query(
        "insert into tariffs (id, version, currency, body) values ($1, $2, $3, $4) on conflict do nothing",
    )
    .bind(tariff.id.0)
    .bind(i32::try_from(tariff.version).unwrap_or(i32::MAX))
    .bind(tariff.currency.code())
    .bind(Json(tariff))
    .execute(tx)
    .await?;
    Ok(())
}

/// Stores a document; its version rises when its hash differs. `true` when it did.
pub async fn store(
    tx: &mut PgConnection,
    gateway: GatewayId,
    body: &DocumentBody,
    hash: &[u8; 32],
) -> sqlx::Result<bool> {
    keep_body(tx, body, hash).await?;
    let done = sqlx::query(
        "insert into documents (gateway_id, name, version, hash) values ($1, $2, 1, $3)
         on conflict (gateway_id, name) do update
         set version = documents.version + 1, hash = excluded.hash, updated_at = now()
         where documents.hash <> excluded.hash",
    )
    .bind(gateway.0)
    .bind(body.name())
    .bind(&hash[..])
    .execute(tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Keeps a content for [`store`] and its like; it stays for as long as a document has it, and a day longer.
pub async fn keep_body(tx: &mut PgConnection, body: &DocumentBody, hash: &[u8; 32]) -> sqlx::Result<()> {
    sqlx::query(
        "insert into document_bodies (hash, body) values ($1, $2)
         on conflict (hash) do update set stored_at = now() where document_bodies.stored_at < now() - interval '1 hour'",
    )
    .bind(&hash[..])
    .bind(postcard::to_stdvec(body).expect("wire types always serialise"))
    .execute(tx)
    .await?;
    Ok(())
}

/// Forgets contents that no document has had for a day.
///
/// # Errors
/// When the database does not answer.
pub async fn forget_bodies(db: &PgPool) -> sqlx::Result<()> {
    sqlx::query(
        "delete from document_bodies b where stored_at < now() - interval '1 day'
             and not exists (select from documents d where d.hash = b.hash)
             and not exists (select from public_lists l where l.hash = b.hash)",
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Takes note of what a gateway says it works by, which is all that it has: one whose database was lost needs everything anew.
/// A version above ours (we were restored from a backup) raises ours, because a gateway never goes back to a lower one.
pub async fn held(db: &PgPool, gateway: GatewayId, held: &[DocumentVersion]) -> sqlx::Result<()> {
    let names: Vec<&str> = held.iter().map(|doc| doc.name.as_str()).collect();
    let versions: Vec<i64> =
        held.iter().map(|doc| i64::try_from(doc.version).unwrap_or(i64::MAX - 1)).collect();
    let hashes: Vec<&[u8]> = held.iter().map(|doc| &doc.hash[..]).collect();
    sqlx::query(
        "update documents d set held_version = coalesce(h.version, 0),
                version = case when h.name is null or h.hash = d.hash then greatest(h.version, d.version)
                               else greatest(h.version + 1, d.version) end
         from documents all_of left join unnest($2::text[], $3::bigint[], $4::bytea[]) h (name, version, hash)
              on h.name = all_of.name
         where all_of.gateway_id = $1 and d.gateway_id = $1 and d.name = all_of.name",
    )
    .bind(gateway.0)
    .bind(names)
    .bind(versions)
    .bind(hashes)
    .execute(db)
    .await?;
    Ok(())
}

/// The documents that gateways of these shards do not work by yet; of one gateway, or of all that were heard lately.
pub async fn unheld(
    db: &PgPool,
    shards: &[i16],
    gateway: Option<GatewayId>,
) -> sqlx::Result<Vec<(GatewayId, Shard, Document)>> {
    let rows: Vec<(Uuid, i16, i64, Vec<u8>)> = sqlx::query_as(
        "select d.gateway_id, g.shard, d.version, b.body
         from documents d join document_bodies b on b.hash = d.hash join gateways g on g.id = d.gateway_id
         where d.held_version < d.version and g.shard = any($1) and g.revoked_at is null
           and (d.gateway_id = $2 or ($2 is null and g.last_seen_at > now() - interval '5 minutes'))
         limit 200",
    )
    .bind(shards)
    .bind(gateway.map(|gateway| gateway.0))
    .fetch_all(db)
    .await?;
    Ok(rows
        .into_iter()
        .filter_map(|(gateway, shard, version, body)| {
            let document =
                Document { version: u64::try_from(version).ok()?, body: postcard::from_bytes(&body).ok()? };
            Some((GatewayId(gateway), Shard(u16::try_from(shard).ok()?), document))
        })
        .collect())
}
